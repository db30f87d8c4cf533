#include "policy_random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void *zeros(int64_t count, size_t size)
{
    void *const block = calloc((size_t)count + 1, size);
    cr_assert(block != NULL);
    return block;
}

static int choice(tk_random *random, int low, int high)
{
    return low + (int)tk_below(random, high - low + 1);
}

static float between(tk_random *random, double low, double high)
{
    return (float)(low + (high - low) * tk_uniform(random));
}

static void lay_out(tk_random *random, policy_random *a, policy_case *c, int64_t sequences,
                    int64_t max_length)
{
    merit_policy_loss_desc *const d = &c->d;
    d->sequences.num_groups = sequences;
    a->offsets = zeros(sequences + 1, sizeof *a->offsets);
    if (tk_chance(random, 0.5)) {
        d->sequences.group_size = 1 + tk_below(random, max_length);
        d->sequences.group_stride =
            tk_chance(random, 0.5) ? 0 : d->sequences.group_size + tk_below(random, 3);
        const int64_t stride =
            d->sequences.group_stride ? d->sequences.group_stride : d->sequences.group_size;
        d->num_tokens = sequences * stride + tk_below(random, 3);
        return;
    }
    d->sequences.group_size = 0;
    a->offsets[0] = tk_below(random, 3);
    for (int64_t i = 0; i < sequences; i++) {
        const int64_t length = tk_chance(random, 0.2) ? 0 : 1 + tk_below(random, max_length);
        a->offsets[i + 1] = a->offsets[i] + length;
    }
    d->sequences.offsets = a->offsets;
    d->num_tokens = a->offsets[sequences] + tk_below(random, 3);
}

static void fill_tokens(tk_random *random, policy_random *a, int64_t T)
{
    const double width = tk_chance(random, 0.2) ? 6 : 0.4;
    for (int64_t t = 0; t < T; t++) {
        a->logprob[t] = between(random, -4, -0.001);
        a->old[t] = a->logprob[t] + (float)(width * tk_normal(random));
        if (tk_chance(random, 0.1)) a->old[t] = a->logprob[t];
        if (a->old[t] > 0) a->old[t] = -a->old[t];
        a->ref[t] = a->logprob[t] + (float)(width * tk_normal(random));
        a->rollout[t] = a->old[t] + (float)(0.3 * tk_normal(random));
        if (a->rollout[t] > 0) a->rollout[t] = -a->rollout[t];
        a->entropy[t] = between(random, 0, 3);
        a->weight[t] = tk_chance(random, 0.1) ? 0.0f : between(random, 0, 2);
        a->mask[t] = (uint8_t)(tk_chance(random, 0.7) ? 1 + tk_below(random, 255) : 0);
        a->mode[t] = (uint8_t)tk_chance(random, 0.3);
        a->advantages[t] = tk_chance(random, 0.1) ? 0.0f : (float)tk_normal(random);
    }
}

void plr_options(tk_random *random, policy_case *c)
{
    merit_policy_loss_desc *const d = &c->d;
    d->advantage_level = choice(random, 0, 1);
    d->surrogate = choice(random, 0, MERIT_POLICY_SURROGATE_RESHAPE);
    d->ratio_level = tk_chance(random, 0.5) ? MERIT_POLICY_LEVEL_TOKEN
                                            : choice(random, MERIT_POLICY_LEVEL_TOKEN,
                                                     MERIT_POLICY_LEVEL_SEQUENCE_SUM);
    if (d->surrogate == MERIT_POLICY_SURROGATE_GEOMETRIC) d->ratio_level = MERIT_POLICY_LEVEL_TOKEN;
    d->ratio_gradient = choice(random, 0, 1);
    if (tk_chance(random, 0.3)) d->log_ratio_min = -between(random, 0.3, 20);
    if (tk_chance(random, 0.3)) d->log_ratio_max = between(random, 0.3, 20);
    do {
        d->surrogate_alt = choice(random, 0, MERIT_POLICY_SURROGATE_RESHAPE);
    } while (d->surrogate_alt == MERIT_POLICY_SURROGATE_GEOMETRIC);
    d->ratio_low = between(random, 0, 1), d->ratio_high = between(random, 1, 2);
    if (tk_chance(random, 0.3)) d->ratio_low_negative = between(random, 0, 1);
    if (tk_chance(random, 0.3)) d->ratio_high_negative = between(random, 1, 2);
    if (tk_chance(random, 0.5)) d->alt_low = between(random, 0, 1), d->alt_high = 1.1f;
    if (tk_chance(random, 0.3)) d->ratio_cap = between(random, 1.01, 3);
    if (tk_chance(random, 0.3)) d->dual_clip = between(random, 1.01, 3);
    d->gate_tau_positive = between(random, 0.5, 2), d->gate_tau_negative = between(random, 0.5, 2);
    d->quadratic = between(random, 0, 1), d->reshape = between(random, 0.01, 1);
    if (tk_chance(random, 0.4)) d->divergence = choice(random, 0, MERIT_POLICY_DIVERGENCE_KL);
    d->divergence_low = between(random, 0, 0.3), d->divergence_high = between(random, 0, 0.3);
    d->divergence_anchor = choice(random, 0, 1);
    d->kl = choice(random, 0, MERIT_POLICY_KL_ABS);
    if (tk_chance(random, 0.6)) d->kl_coef = between(random, 0, 0.3);
    d->kl_gradient = choice(random, 0, 1), d->kl_weight = choice(random, 0, 1);
    if (tk_chance(random, 0.3)) d->kl_input_clamp = between(random, 0.1, 2);
    if (tk_chance(random, 0.3)) d->kl_output_clamp = between(random, 0.1, 2);
    if (tk_chance(random, 0.5)) d->mismatch_level = choice(random, 0, 3);
    d->mismatch_rule = choice(random, 0, MERIT_POLICY_MISMATCH_RULE_MASK);
    d->mismatch_low = between(random, 0, 0.9), d->mismatch_high = between(random, 1, 2);
    d->mismatch_numerator = choice(random, 0, 1);
    if (tk_chance(random, 0.4)) d->reject_level = choice(random, 0, 3);
    d->reject_low = between(random, 0, 0.9), d->reject_high = between(random, 1, 2);
    d->reject_source = choice(random, 0, 1), d->reject_when = choice(random, 0, 1);
    d->correction_scope = choice(random, 0, 1);
    if (tk_chance(random, 0.4)) d->entropy_coef = between(random, -0.1, 0.1);
    d->aggregation = choice(random, 0, 1);
}

// Leaves out arrays that the options can do without.
static void leave_out(tk_random *random, policy_case *c)
{
    merit_policy_loss_io *const io = &c->io;
    if (tk_chance(random, 0.4)) io->mask = NULL;
    if (tk_chance(random, 0.6)) io->token_mode = NULL;
    if (tk_chance(random, 0.5)) io->token_weight = NULL;
    if (tk_chance(random, 0.5)) io->sequence_weight = NULL;
    if (c->d.kl_coef == 0 && tk_chance(random, 0.5)) io->ref = NULL;
    if (c->d.entropy_coef == 0 && tk_chance(random, 0.5)) io->entropy = NULL;
    const int needs_rollout = c->d.mismatch_level || c->d.reject_level || c->d.divergence;
    if (!needs_rollout && tk_chance(random, 0.5)) io->rollout = NULL;
    const int needs_old = c->d.surrogate == MERIT_POLICY_SURROGATE_QUADRATIC || io->token_mode;
    if (!needs_old && tk_chance(random, 0.1)) io->old = NULL;
}

policy_case plr_case(tk_random *random, policy_random *a, int64_t sequences, int64_t max_length)
{
    policy_case c = plc_one(NULL, 1, NULL, NULL, NULL);
    memset(a, 0, sizeof *a);
    lay_out(random, a, &c, sequences, max_length);
    const int64_t T = c.d.num_tokens;
    a->logprob = zeros(T, 4), a->old = zeros(T, 4), a->ref = zeros(T, 4);
    a->rollout = zeros(T, 4), a->entropy = zeros(T, 4), a->weight = zeros(T, 4);
    a->advantages = zeros(T + sequences, 4), a->sequence_weight = zeros(sequences, 4);
    a->mask = zeros(T, 1), a->mode = zeros(T, 1);
    fill_tokens(random, a, T);
    for (int64_t i = 0; i < sequences; i++) {
        a->sequence_weight[i] = tk_chance(random, 0.1) ? 0.0f : between(random, 0, 2);
        a->advantages[T + i] = (float)tk_normal(random);
    }
    plr_options(random, &c);
    a->denominator = 1 + 100 * tk_uniform(random);
    if (tk_chance(random, 0.3)) {
        c.d.denominator = 0, c.io.denominator = &a->denominator;
    } else {
        c.d.denominator = a->denominator;
    }
    c.io.logprob = a->logprob, c.io.old = a->old, c.io.ref = a->ref, c.io.rollout = a->rollout;
    c.io.entropy = a->entropy, c.io.token_weight = a->weight, c.io.mask = a->mask;
    c.io.token_mode = a->mode, c.io.sequence_weight = a->sequence_weight;
    const int by_token = c.d.advantage_level == MERIT_POLICY_ADVANTAGE_TOKEN;
    c.io.advantages = by_token ? a->advantages : a->advantages + T;
    leave_out(random, &c);
    return c;
}

void plr_free(policy_random *a)
{
    free(a->logprob), free(a->old), free(a->ref), free(a->rollout), free(a->entropy);
    free(a->weight), free(a->advantages), free(a->sequence_weight), free(a->mask), free(a->mode);
    free(a->offsets);
    memset(a, 0, sizeof *a);
}
