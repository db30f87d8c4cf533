// From rewards to gradients on GSM8K: four solutions to each problem with their correctness and length
// (MERIT_DATA_DIR). Their log-probabilities are drawn from a fixed seed.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "policy_case.h"
#include "tk_data.h"

enum { G = 4, CHARS_PER_TOKEN = 4 };

typedef struct rollouts {
    int64_t sequences, tokens;
    float *rewards, *advantages; // [B]
    int64_t *offsets; // [B+1]
    float *logprob, *old, *ref, *rollout; // [T]
} rollouts;

static void *zeros(int64_t count, size_t size)
{
    void *const block = calloc((size_t)count + 1, size);
    cr_assert(block != NULL);
    return block;
}

static rollouts read_rollouts(int64_t problems)
{
    tk_npy correct = tk_npy_read("gsm8k_groups/correct.npy");
    tk_npy chars = tk_npy_read("gsm8k_groups/solution_chars.npy");
    cr_assert(correct.count == chars.count && correct.count >= problems * G);
    rollouts r = {.sequences = problems * G};
    r.rewards = zeros(r.sequences, 4), r.advantages = zeros(r.sequences, 4);
    r.offsets = zeros(r.sequences + 1, 8);
    for (int64_t i = 0; i < r.sequences; i++) {
        r.rewards[i] = (float)correct.values[i];
        r.offsets[i + 1] = r.offsets[i] + (int64_t)chars.values[i] / CHARS_PER_TOKEN + 1;
    }
    r.tokens = r.offsets[r.sequences];
    r.logprob = zeros(r.tokens, 4), r.old = zeros(r.tokens, 4), r.ref = zeros(r.tokens, 4);
    r.rollout = zeros(r.tokens, 4);
    tk_random random = {2021};
    for (int64_t t = 0; t < r.tokens; t++) {
        r.logprob[t] = (float)log(0.02 + 0.97 * tk_uniform(&random));
        r.old[t] = fminf(-0.001f, r.logprob[t] + (float)(0.1 * tk_normal(&random)));
        r.ref[t] = fminf(-0.001f, r.logprob[t] + (float)(0.2 * tk_normal(&random)));
        r.rollout[t] = fminf(-0.001f, r.old[t] + (float)(0.02 * tk_normal(&random)));
    }
    tk_npy_free(&correct), tk_npy_free(&chars);
    return r;
}

static void free_rollouts(rollouts *r)
{
    free(r->rewards), free(r->advantages), free(r->offsets);
    free(r->logprob), free(r->old), free(r->ref), free(r->rollout);
}

// Group advantages of the rewards, by the library.
static void advantages_of(tk_fixture *tk, rollouts *r)
{
    merit_advantage_group_desc d;
    merit_advantage_group_desc_init(&d, sizeof d);
    cr_assert(merit_advantage_group_preset("trl.group", &d) == MERIT_STATUS_OK);
    d.num_rows = r->sequences;
    d.groups.num_groups = r->sequences / G, d.groups.group_size = G;
    merit_advantage_group_io io = {.struct_size = sizeof io};
    io.rewards = tk_input(tk, r->rewards, r->sequences, 4);
    io.advantages = tk_output(tk, r->sequences, 4);
    size_t bytes = 0;
    tk_expect_ok(tk->ctx, merit_advantage_group_workspace(tk->ctx, &d, &bytes));
    void *const workspace = tk_workspace(tk, bytes);
    tk_expect_ok(tk->ctx, merit_advantage_group(tk->ctx, &d, &io, workspace, bytes, NULL));
    tk_read(tk, io.advantages, r->advantages, r->sequences, 4);
    tk_release(tk);
}

static policy_case case_of(const char *preset, const rollouts *r, int64_t first, int64_t count,
                           int64_t *offsets)
{
    const int64_t begin = r->offsets[first];
    policy_case c = plc_one(preset, r->offsets[first + count] - begin, r->logprob + begin,
                            r->old + begin, r->advantages + first);
    for (int64_t i = 0; i <= count; i++) {
        offsets[i] = r->offsets[first + i] - begin;
    }
    c.d.sequences = (merit_groups){.num_groups = count, .offsets = offsets};
    c.d.denominator = (double)r->tokens;
    c.io.ref = r->ref + begin, c.io.rollout = r->rollout + begin;
    return c;
}

TK_TEST(policy_loss_data, trains_on_gsm8k)
{
    tk_require_data();
    rollouts r = read_rollouts(tk->kind == TK_CPU ? 660 : 60);
    advantages_of(tk, &r);
    int64_t *const offsets = zeros(r.sequences + 1, 8);
    const char *const presets[] = {"trl.dapo", "grpo", "gspo", "mismatch.seq_mask_tis"};
    for (int k = 0; k < 4; k++) {
        policy_case c = case_of(presets[k], &r, 0, r.sequences, offsets);
        plc_check(tk, &c);
        policy_result whole = plc_run(tk, &c);
        // micro-batches of 50 problems
        double loss = 0, size = 0;
        for (int64_t first = 0; first < r.sequences; first += 50 * G) {
            const int64_t left = r.sequences - first;
            policy_case part =
                case_of(presets[k], &r, first, left < 50 * G ? left : 50 * G, offsets);
            policy_result p = plc_run(tk, &part);
            tk_expect_bits(p.grad, whole.grad + r.offsets[first], part.d.num_tokens, 4);
            loss += p.loss, size += fabs(p.loss);
            plc_free(&p);
        }
        for (int64_t t = 0; t < r.tokens; t++) {
            size += fabs((double)whole.token_loss[t]);
        }
        TK_EXPECT(fabs(loss - whole.loss) <= 1e-15 * size, "%s: %.17g of parts, %.17g", presets[k],
                  loss, whole.loss);
        plc_free(&whole);
    }
    free(offsets), free_rollouts(&r);
}
