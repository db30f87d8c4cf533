// Each field of policy_loss changes a result: a case per field whose gradient moves when it does.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "policy_random.h"

enum { T = 64 };

// A case where every option has something to act on.
static policy_case busy(void)
{
    static float lp[T], old[T], ref[T], rollout[T], H[T], weight[T], A[T];
    static uint8_t mask[T], mode[T];
    static const float s[8] = {1, 2, 1, 1, .5f, 1, 1, 3};
    tk_random random = {5};
    for (int t = 0; t < T; t++) {
        lp[t] = (float)(-2 * tk_uniform(&random) - 0.01);
        old[t] = lp[t] + (float)(0.5 * tk_normal(&random));
        if (old[t] > 0) old[t] = -old[t];
        ref[t] = lp[t] + (float)tk_normal(&random);
        rollout[t] = old[t] + (float)(0.5 * tk_normal(&random));
        if (rollout[t] > 0) rollout[t] = -rollout[t];
        H[t] = (float)tk_uniform(&random), weight[t] = (float)tk_uniform(&random);
        A[t] = (float)tk_normal(&random);
        mask[t] = t % 9 != 0, mode[t] = t % 5 == 0;
    }
    policy_case c = plc_one(NULL, T, lp, old, A);
    c.d.advantage_level = MERIT_POLICY_ADVANTAGE_TOKEN;
    c.d.sequences.num_groups = 8, c.d.sequences.group_size = 8;
    c.d.kl_coef = 0.1f, c.d.entropy_coef = 0.01f;
    c.d.mismatch_level = MERIT_POLICY_LEVEL_TOKEN, c.d.mismatch_high = 1.2f;
    c.d.reject_level = MERIT_POLICY_LEVEL_TOKEN, c.d.reject_low = 0.75f, c.d.reject_high = 1.4f;
    c.io.ref = ref, c.io.rollout = rollout, c.io.entropy = H, c.io.token_weight = weight;
    c.io.mask = mask, c.io.token_mode = mode, c.io.sequence_weight = s;
    return c;
}

static void expect_change(tk_fixture *tk, const policy_case *a, const policy_case *b,
                          const char *field)
{
    policy_result r = plc_run(tk, a), s = plc_run(tk, b);
    tk_expect_ok(tk->ctx, r.status);
    tk_expect_ok(tk->ctx, s.status);
    const int same = r.loss == s.loss && memcmp(r.grad, s.grad, T * 4) == 0 &&
                     memcmp(r.grad_entropy, s.grad_entropy, T * 4) == 0;
    TK_EXPECT(!same, "%s changes nothing", field);
    if (tk->is_first_run) plc_expect_oracle(b, &s);
    plc_free(&r), plc_free(&s);
}

#define CHANGE(base, field, value)                  \
    do {                                            \
        policy_case changed = base;                 \
        changed.d.field = (value);                  \
        expect_change(tk, &base, &changed, #field); \
    } while (0)

TK_TEST(policy_loss, each_field_changes_a_result)
{
    policy_case c = busy();
    CHANGE(c, denominator, 2);
    CHANGE(c, ratio_level, MERIT_POLICY_LEVEL_SEQUENCE_MEAN);
    CHANGE(c, ratio_level, MERIT_POLICY_LEVEL_SEQUENCE_SUM);
    CHANGE(c, log_ratio_min, -0.1f);
    CHANGE(c, log_ratio_max, 0.1f);
    CHANGE(c, ratio_low, 0.95f);
    CHANGE(c, ratio_high, 1.01f);
    CHANGE(c, ratio_low_negative, 0.95f);
    CHANGE(c, ratio_cap, 1.01f);
    CHANGE(c, dual_clip, 1.01f);
    CHANGE(c, alt_high, 1.5f);
    CHANGE(c, alt_low, 0.5f);
    for (int surrogate = 1; surrogate <= MERIT_POLICY_SURROGATE_RESHAPE; surrogate++) {
        CHANGE(c, surrogate, surrogate);
        if (surrogate != MERIT_POLICY_SURROGATE_DETACHED &&
            surrogate != MERIT_POLICY_SURROGATE_GEOMETRIC) {
            CHANGE(c, surrogate_alt, surrogate);
        }
    }
    CHANGE(c, divergence, MERIT_POLICY_DIVERGENCE_TV);
    CHANGE(c, divergence, MERIT_POLICY_DIVERGENCE_KL);
    CHANGE(c, kl, MERIT_POLICY_KL_K1);
    CHANGE(c, kl, MERIT_POLICY_KL_K2);
    CHANGE(c, kl, MERIT_POLICY_KL_ABS);
    CHANGE(c, kl_coef, 0.2f);
    CHANGE(c, kl_gradient, MERIT_POLICY_KL_GRADIENT_SQUARED);
    CHANGE(c, kl_weight, MERIT_POLICY_KL_WEIGHT_RATIO);
    CHANGE(c, kl_input_clamp, 0.5f);
    CHANGE(c, kl_output_clamp, 0.5f);
    CHANGE(c, mismatch_level, MERIT_POLICY_LEVEL_NONE);
    CHANGE(c, mismatch_level, MERIT_POLICY_LEVEL_SEQUENCE_MEAN);
    CHANGE(c, mismatch_level, MERIT_POLICY_LEVEL_SEQUENCE_SUM);
    CHANGE(c, mismatch_rule, MERIT_POLICY_MISMATCH_RULE_NONE);
    CHANGE(c, mismatch_rule, MERIT_POLICY_MISMATCH_RULE_MASK);
    CHANGE(c, mismatch_low, 0.9f);
    CHANGE(c, mismatch_high, 1.1f);
    CHANGE(c, mismatch_numerator, MERIT_POLICY_NUMERATOR_CURRENT);
    CHANGE(c, reject_level, MERIT_POLICY_LEVEL_NONE);
    CHANGE(c, reject_level, MERIT_POLICY_LEVEL_SEQUENCE_SUM);
    CHANGE(c, reject_low, 0.9f);
    CHANGE(c, reject_high, 1.1f);
    CHANGE(c, reject_source, MERIT_POLICY_REJECT_SOURCE_CURRENT_OLD);
    CHANGE(c, reject_when, MERIT_POLICY_REJECT_WHEN_NEGATIVE);
    CHANGE(c, correction_scope, MERIT_POLICY_SCOPE_ALL);
    CHANGE(c, entropy_coef, 0.02f);
    CHANGE(c, aggregation, MERIT_POLICY_AGGREGATION_SEQUENCE);
    CHANGE(c, advantage_level, MERIT_POLICY_ADVANTAGE_SEQUENCE);
}

TK_TEST(policy_loss, each_field_of_a_surrogate_changes_a_result)
{
    policy_case c = busy();
    c.d.surrogate = MERIT_POLICY_SURROGATE_GATE;
    CHANGE(c, gate_tau_positive, 2);
    CHANGE(c, gate_tau_negative, 2);
    c.d.surrogate = MERIT_POLICY_SURROGATE_QUADRATIC;
    CHANGE(c, quadratic, 0.5f);
    c.d.surrogate = MERIT_POLICY_SURROGATE_RESHAPE;
    CHANGE(c, reshape, 0.5f);
    c.d.surrogate = MERIT_POLICY_SURROGATE_DETACHED;
    CHANGE(c, ratio_high_negative, 1.01f);
    c.d.surrogate = MERIT_POLICY_SURROGATE_CLIP;
    c.d.ratio_level = MERIT_POLICY_LEVEL_SEQUENCE_MEAN;
    CHANGE(c, ratio_gradient, MERIT_POLICY_RATIO_GRADIENT_STRAIGHT);
    c = busy();
    c.d.divergence = MERIT_POLICY_DIVERGENCE_TV;
    c.d.divergence_low = c.d.divergence_high = 0.05f;
    CHANGE(c, divergence_low, 1);
    CHANGE(c, divergence_high, 1);
    CHANGE(c, divergence_anchor, MERIT_POLICY_ANCHOR_ROLLOUT);
}

TK_TEST(policy_loss, each_array_changes_a_result)
{
    policy_case c = busy();
    policy_case without[6] = {c, c, c, c, c, c};
    without[0].io.old = NULL;
    without[1].io.token_weight = NULL;
    without[2].io.mask = NULL;
    without[3].io.token_mode = NULL;
    without[4].io.sequence_weight = NULL;
    without[5].io.rollout = c.io.old;
    for (int n = 0; n < 6; n++) {
        expect_change(tk, &c, &without[n], "an array");
    }
}
