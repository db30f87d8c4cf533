#include "policy_stacks.h"

#include <math.h>
#include <stddef.h>

enum { B = STACK_ROWS, L = STACK_LENGTH };

typedef long double real;
typedef stack_batch batch;

static int length(const batch *b, int i)
{
    int n = 0;
    for (int t = 0; t < L; t++) {
        n += b->mask[i * L + t] != 0;
    }
    return n;
}

// Losses of tokens ----------------------------------------------------------------------------------

static real clip_to(real x, real low, real high)
{
    return fminl(fmaxl(x, low), high);
}

static real ratio(const batch *b, int k)
{
    return expl(b->lp[k] - b->old[k]);
}

static real ratio_now(const batch *b, int k)
{
    return expl(b->now[k] - b->old[k]);
}

static real ppo_clip(real r, real A, real low, real high)
{
    return -fminl(r * A, clip_to(r, low, high) * A);
}

static real clip_token(const batch *b, int i, int k)
{
    return ppo_clip(ratio(b, k), b->A[i], 0.8L, 1.2L);
}

static real clip_higher(const batch *b, int i, int k)
{
    return ppo_clip(ratio(b, k), b->A[i], 0.8L, 1.28L);
}

static real k3(real d)
{
    return expl(d) - d - 1;
}

static real clip_with_k3(const batch *b, int i, int k)
{
    return clip_token(b, i, k) + 0.04L * k3(b->ref[k] - b->lp[k]);
}

// min(ratio, delta) in the first branch, delta 1.5 here.
static real clip_delta(const batch *b, int i, int k)
{
    const real r = ratio(b, k), A = b->A[i];
    return -fminl(fminl(r, 1.5L) * A, clip_to(r, 0.8L, 1.2L) * A);
}

static real verl_token(const batch *b, int i, int k)
{
    const real r = expl(clip_to(b->lp[k] - b->old[k], -20, 20)), A = b->A[i];
    const real first = fmaxl(-A * r, -A * clip_to(r, 0.8L, 1.2L));
    const real policy = A < 0 ? fminl(-A * 3, first) : first;
    const real kl = clip_to(k3(clip_to(b->ref[k] - b->lp[k], -20, 20)), -10, 10);
    return policy + 0.1L * kl;
}

static real openrlhf_token(const batch *b, int i, int k)
{
    const real r = expl(clip_to(b->lp[k] - b->old[k], -20, 20));
    const real kl = clip_to(k3(b->ref[k] - b->lp[k]), -10, 10);
    return ppo_clip(r, b->A[i], 0.8L, 1.2L) + 0.1L * kl;
}

static real nemo_token(const batch *b, int i, int k)
{
    return clip_token(b, i, k) + 0.1L * ratio(b, k) * k3(b->ref[k] - b->lp[k]);
}

static real log_mean(const batch *b, int i, const double *lp, int sum_only)
{
    real sum = 0;
    for (int t = 0; t < L; t++) {
        if (b->mask[i * L + t]) sum += lp[i * L + t] - b->old[i * L + t];
    }
    return sum_only ? sum : sum / fmaxl(length(b, i), 1);
}

static real gspo_sequence(const batch *b, int i, int k)
{
    (void)k;
    return ppo_clip(expl(log_mean(b, i, b->lp, 0)), b->A[i], 1 - 3e-4L, 1 + 4e-4L);
}

static real gspo_straight(const batch *b, int i, int k)
{
    const real log_ratio = b->lp[k] - b->now[k] + log_mean(b, i, b->now, 0);
    return ppo_clip(expl(fminl(log_ratio, 10)), b->A[i], 1 - 3e-4L, 1 + 4e-4L);
}

static real rloo_sequence(const batch *b, int i, int k)
{
    (void)k;
    return ppo_clip(expl(log_mean(b, i, b->lp, 1)), b->A[i], 0.8L, 1.2L);
}

// sign(A) times the log-ratio is clipped above, as in verl and TRL.
static real geometric(const batch *b, int i, real width)
{
    const real sign = b->A[i] > 0 ? 1 : b->A[i] < 0 ? -1 : 0;
    real sum = 0;
    for (int t = 0; t < L; t++) {
        const int k = i * L + t;
        if (!b->mask[k]) continue;
        const real x = b->lp[k] - b->old[k];
        sum += sign * fminl(sign * x, sign * clip_to(x, -width, width));
    }
    return -b->A[i] * expl(sum / fmaxl(length(b, i), 1));
}

static real gmpo_sequence(const batch *b, int i, int k)
{
    (void)k;
    return geometric(b, i, 0.4L);
}

static real verl_gmpo_sequence(const batch *b, int i, int k)
{
    (void)k;
    return geometric(b, i, 0.2L);
}

static real weighted(const batch *b, int i, int k, real low, real high)
{
    return -clip_to(ratio_now(b, k), low, high) * b->A[i] * b->lp[k];
}

static real cispo_token(const batch *b, int i, int k)
{
    return weighted(b, i, k, 0.8L, 1.2L);
}

static real cispo_roll(const batch *b, int i, int k)
{
    return weighted(b, i, k, 0.9L, 1.1L);
}

static real cispo_open(const batch *b, int i, int k)
{
    return weighted(b, i, k, 0, 1.2L);
}

// torch.clamp(ratio, max=epsilon_high), 1.5 here.
static real cispo_absolute(const batch *b, int i, int k)
{
    return -fminl(ratio_now(b, k), 1.5L) * b->A[i] * b->lp[k];
}

static real reinforce_token(const batch *b, int i, int k)
{
    return -b->A[i] * b->lp[k];
}

static real topr_token(const batch *b, int i, int k)
{
    return b->A[i] < 0 ? weighted(b, i, k, 0, 1) : reinforce_token(b, i, k);
}

static real dppo_token(const batch *b, int i, int k, int by_kl)
{
    const real pi = expl(b->now[k]), o = expl(b->old[k]), A = b->A[i];
    const real D = o * (b->old[k] - b->now[k]) + (1 - o) * logl((1 - o + 1e-8L) / (1 - pi + 1e-8L));
    const int valid = by_kl ? (A > 0 ? D <= 0.2L || pi <= o : D <= 0.2L || pi >= o)
                            : (A > 0 ? pi - o <= 0.2L : pi - o >= -0.2L);
    return -A * fminl(expl(clip_to(b->now[k] - b->old[k], -20, 20)), 3) * b->lp[k] * valid;
}

static real dppo_tv_token(const batch *b, int i, int k)
{
    return dppo_token(b, i, k, 0);
}

static real dppo_kl_token(const batch *b, int i, int k)
{
    return dppo_token(b, i, k, 1);
}

// old and ref are the rollout's.
static real prime_token(const batch *b, int i, int k)
{
    const real gap = expl(b->now[k]) - expl(b->rollout[k]), A = b->A[i];
    const int valid = A > 0 ? gap <= 0.2L : gap >= -0.2L;
    const real log_ratio = b->lp[k] - b->rollout[k];
    return -expl(b->now[k] - b->rollout[k]) * A * b->lp[k] * valid + 1e-3L * log_ratio * log_ratio;
}

static real sapo_token(const batch *b, int i, int k)
{
    const real tau = b->A[i] > 0 ? 1 : 1.05L;
    return -b->A[i] * 4 / tau / (1 + expl(-tau * (ratio(b, k) - 1)));
}

static real dro_token(const batch *b, int i, int k)
{
    const real log_ratio = b->lp[k] - b->old[k];
    return -(b->A[i] * b->lp[k] - 0.05L * log_ratio * log_ratio);
}

static real critique_token(const batch *b, int i, int k)
{
    const real p = expl(b->lp[k]);
    return b->mode[k] == 1 ? -b->A[i] * p / (p + 0.1L) : clip_token(b, i, k);
}

static real mismatch(const batch *b, int i, int mean)
{
    real sum = 0;
    for (int t = 0; t < L; t++) {
        if (b->mask[i * L + t]) sum += b->old[i * L + t] - b->rollout[i * L + t];
    }
    return mean ? sum / fmaxl(length(b, i), 1) : sum;
}

// vllm_importance_sampling_mode sequence_mask, cap 3.
static real trl_token(const batch *b, int i, int k)
{
    const real w = expl(mismatch(b, i, 0));
    return clip_token(b, i, k) * (w > 3 ? 0 : w);
}

static real tis_token(const batch *b, int i, int k)
{
    return clip_token(b, i, k) * clip_to(expl(b->old[k] - b->rollout[k]), 0, 2);
}

static real tis_sequence(const batch *b, int i, int k)
{
    return clip_token(b, i, k) * fminl(expl(clip_to(mismatch(b, i, 0), -20, 20)), 2);
}

static real icepop_token(const batch *b, int i, int k)
{
    const real w = expl(b->old[k] - b->rollout[k]);
    return clip_token(b, i, k) * (w < 0.5L || w > 5 ? 0 : w);
}

static real seq_mask_tis_token(const batch *b, int i, int k)
{
    const real whole = expl(mismatch(b, i, 1));
    if (whole < 0.5L || whole > 5) return 0;
    return clip_token(b, i, k) * clip_to(expl(b->old[k] - b->rollout[k]), 0, 5);
}

// Drops sequences with A < 0 and mean(old - lp) > delta, 0.05 here.
static real opsm_token(const batch *b, int i, int k)
{
    const int drops = b->A[i] < 0 && -log_mean(b, i, b->now, 0) > 0.05L;
    return drops ? 0 : clip_token(b, i, k);
}

// Aggregation ---------------------------------------------------------------------------------------

long double policy_stack_loss(const policy_stack *stack, const stack_batch *b)
{
    const stack_mean kind = stack->kind;
    real total = 0;
    int tokens = 0, rows = 0;
    for (int i = 0; i < B; i++) {
        const int n = length(b, i);
        tokens += n, rows += n > 0;
        for (int t = 0; t < L; t++) {
            const int k = i * L + t;
            if (!b->mask[k]) continue;
            const real l = stack->loss(b, i, k);
            total += kind == STACK_ALL_ROWS || kind == STACK_NONEMPTY_ROWS ? l / n : l;
        }
    }
    switch (kind) {
    case STACK_ALL_ROWS: return total / B;
    case STACK_NONEMPTY_ROWS: return total / rows;
    case STACK_CONSTANT: return total / (B * L);
    default: return total / tokens;
    }
}

static const policy_stack stacks[] = {
    {"ppo", clip_token, STACK_GLOBAL_TOKENS},
    {"grpo", clip_with_k3, STACK_ALL_ROWS},
    {"trl.grpo", trl_token, STACK_ALL_ROWS},
    {"trl.dapo", trl_token, STACK_GLOBAL_TOKENS},
    {"trl.bnpo", trl_token, STACK_GLOBAL_TOKENS},
    {"trl.dr_grpo", trl_token, STACK_CONSTANT},
    {"dr_grpo", clip_token, STACK_CONSTANT},
    {"dapo", clip_higher, STACK_GLOBAL_TOKENS},
    {"trl.delta", clip_delta, STACK_GLOBAL_TOKENS},
    {"verl.vanilla", verl_token, STACK_GLOBAL_TOKENS},
    {"openrlhf", openrlhf_token, STACK_GLOBAL_TOKENS},
    {"nemo", nemo_token, STACK_GLOBAL_TOKENS},
    {"liger", clip_with_k3, STACK_GLOBAL_TOKENS},
    {"gspo", gspo_sequence, STACK_ALL_ROWS},
    {"gspo_token", gspo_straight, STACK_NONEMPTY_ROWS},
    {"verl.gspo", gspo_straight, STACK_NONEMPTY_ROWS},
    {"gmpo", gmpo_sequence, STACK_ALL_ROWS},
    {"verl.gmpo", verl_gmpo_sequence, STACK_ALL_ROWS},
    {"rloo.trl", rloo_sequence, STACK_ALL_ROWS},
    {"cispo.relative", cispo_token, STACK_GLOBAL_TOKENS},
    {"cispo.roll", cispo_roll, STACK_GLOBAL_TOKENS},
    {"cispo.open_instruct", cispo_open, STACK_GLOBAL_TOKENS},
    {"cispo.absolute", cispo_absolute, STACK_GLOBAL_TOKENS},
    {"reinforce", reinforce_token, STACK_GLOBAL_TOKENS},
    {"gpg", reinforce_token, STACK_GLOBAL_TOKENS},
    {"rloo", reinforce_token, STACK_GLOBAL_TOKENS},
    {"rltf", reinforce_token, STACK_GLOBAL_TOKENS},
    {"reinforce_pp", openrlhf_token, STACK_GLOBAL_TOKENS},
    {"topr", topr_token, STACK_GLOBAL_TOKENS},
    {"dppo_tv", dppo_tv_token, STACK_GLOBAL_TOKENS},
    {"dppo_kl", dppo_kl_token, STACK_GLOBAL_TOKENS},
    {"dppo.prime", prime_token, STACK_GLOBAL_TOKENS},
    {"sapo", sapo_token, STACK_ALL_ROWS},
    {"dro", dro_token, STACK_GLOBAL_TOKENS},
    {"kimi", dro_token, STACK_GLOBAL_TOKENS},
    {"critique_grpo", critique_token, STACK_ALL_ROWS},
    {"offpolicy_mask", opsm_token, STACK_GLOBAL_TOKENS},
    {"mismatch.tis", tis_token, STACK_GLOBAL_TOKENS},
    {"mismatch.tis_sequence", tis_sequence, STACK_GLOBAL_TOKENS},
    {"mismatch.icepop", icepop_token, STACK_GLOBAL_TOKENS},
    {"mismatch.seq_mask_tis", seq_mask_tis_token, STACK_GLOBAL_TOKENS},
};

const policy_stack *policy_stack_at(int i)
{
    return i >= 0 && i < (int)(sizeof stacks / sizeof stacks[0]) ? &stacks[i] : NULL;
}

double policy_stack_denominator(const policy_stack *stack, const stack_batch *b)
{
    const stack_mean kind = stack->kind;
    int tokens = 0, rows = 0;
    for (int i = 0; i < B; i++) {
        tokens += length(b, i), rows += length(b, i) > 0;
    }
    return kind == STACK_ALL_ROWS        ? B
           : kind == STACK_NONEMPTY_ROWS ? rows
           : kind == STACK_CONSTANT      ? B * L
                                         : tokens;
}
