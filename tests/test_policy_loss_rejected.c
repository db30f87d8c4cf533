// Calls of policy_loss that are rejected, and that nothing is written then.
#include <math.h>
#include <string.h>

#include "policy_case.h"

enum { T = 4 };

static const float zeros[T] = {0};
static const uint8_t modes[T] = {0, 1, 0, 1};

static policy_case good(void)
{
    policy_case c = plc_one(NULL, T, zeros, zeros, zeros);
    c.d.sequences.num_groups = 2, c.d.sequences.group_size = 2;
    return c;
}

static void expect_rejected(tk_fixture *tk, const policy_case *c, const char *words)
{
    policy_result r = plc_run(tk, c);
    tk_case("%s", words);
    tk_expect_rejected(tk->ctx, r.status, MERIT_STATUS_INVALID_ARGUMENT, words);
    TK_EXPECT(tk_untouched(r.grad, T, 4) && tk_untouched(&r.loss, 1, 8) &&
                  tk_untouched(&r.stats, 1, sizeof r.stats),
              "a rejected call wrote");
    plc_free(&r);
}

#define REJECT(field, value, words)     \
    do {                                \
        policy_case c = good();         \
        c.d.field = (value);            \
        expect_rejected(tk, &c, words); \
    } while (0)

TK_TEST(policy_loss, rejects_bad_scalars)
{
    REJECT(ratio_low, 1.1f, "ratio_low|0..1");
    REJECT(ratio_low, -0.1f, "ratio_low");
    REJECT(ratio_low, NAN, "ratio_low");
    REJECT(ratio_high, 0, "ratio_high");
    REJECT(ratio_high, 0.7f, "ratio_high|ratio_low");
    REJECT(ratio_high, NAN, "ratio_high");
    REJECT(ratio_low_negative, 1.5f, "ratio_low_negative");
    REJECT(ratio_high_negative, 0.1f, "ratio_high_negative");
    REJECT(alt_low, 2, "alt_low");
    REJECT(alt_low, NAN, "alt_low");
    REJECT(alt_high, 0.5f, "alt_high");
    REJECT(alt_high, NAN, "alt_high");
    REJECT(log_ratio_min, 0.1f, "log_ratio_min");
    REJECT(log_ratio_min, NAN, "log_ratio_min");
    REJECT(log_ratio_max, -0.1f, "log_ratio_max");
    REJECT(log_ratio_max, NAN, "log_ratio_max");
    REJECT(ratio_cap, 0.5f, "ratio_cap|more than 1");
    REJECT(ratio_cap, 1, "ratio_cap");
    REJECT(ratio_cap, NAN, "ratio_cap");
    REJECT(dual_clip, 1, "dual_clip");
    REJECT(dual_clip, 0.5f, "dual_clip");
    REJECT(dual_clip, -3, "dual_clip");
    REJECT(dual_clip, NAN, "dual_clip");
    REJECT(gate_tau_positive, 0, "gate_tau_positive");
    REJECT(gate_tau_positive, NAN, "gate_tau_positive");
    REJECT(gate_tau_negative, -1, "gate_tau_negative");
    REJECT(gate_tau_negative, NAN, "gate_tau_negative");
    REJECT(quadratic, -1, "quadratic");
    REJECT(quadratic, NAN, "quadratic");
    REJECT(reshape, 0, "reshape");
    REJECT(reshape, NAN, "reshape");
    REJECT(divergence_low, -1, "divergence_low");
    REJECT(divergence_low, NAN, "divergence_low");
    REJECT(divergence_high, -1, "divergence_high");
    REJECT(divergence_high, NAN, "divergence_high");
    REJECT(kl_coef, -1, "kl_coef");
    REJECT(kl_coef, INFINITY, "kl_coef");
    REJECT(kl_coef, NAN, "kl_coef");
    REJECT(kl_input_clamp, 0, "kl_input_clamp");
    REJECT(kl_input_clamp, NAN, "kl_input_clamp");
    REJECT(kl_output_clamp, 0, "kl_output_clamp");
    REJECT(kl_output_clamp, NAN, "kl_output_clamp");
    REJECT(mismatch_low, -1, "mismatch_low");
    REJECT(mismatch_low, NAN, "mismatch_low");
    REJECT(mismatch_high, 0, "mismatch_high|mismatch_low");
    REJECT(mismatch_high, NAN, "mismatch_high");
    REJECT(reject_low, NAN, "reject_low");
    REJECT(reject_high, 0, "reject_high|reject_low");
    REJECT(reject_high, NAN, "reject_high");
    REJECT(entropy_coef, INFINITY, "entropy_coef");
    REJECT(entropy_coef, NAN, "entropy_coef");
    REJECT(denominator, NAN, "denominator");
    REJECT(denominator, -1, "denominator");
    REJECT(denominator, INFINITY, "denominator");
}

// NaN stands for the bound of the other sign in these two, and a second surrogate that no token has is unused.
TK_TEST(policy_loss, takes_what_is_left_open)
{
    policy_case c = good();
    c.d.ratio_low_negative = c.d.ratio_high_negative = NAN;
    c.d.surrogate_alt = MERIT_POLICY_SURROGATE_QUADRATIC;
    c.io.old = NULL;
    policy_result r = plc_run(tk, &c);
    tk_expect_ok(tk->ctx, r.status);
    plc_free(&r);
}

TK_TEST(policy_loss, rejects_unknown_choices)
{
#define CHOICE(field, last)                           \
    do {                                              \
        REJECT(field, -1, #field);                    \
        REJECT(field, (last) + 1, #field "|" #field); \
    } while (0)
    CHOICE(advantage_level, MERIT_POLICY_ADVANTAGE_TOKEN);
    CHOICE(ratio_level, MERIT_POLICY_LEVEL_SEQUENCE_SUM);
    REJECT(ratio_level, MERIT_POLICY_LEVEL_NONE, "ratio_level");
    CHOICE(ratio_gradient, MERIT_POLICY_RATIO_GRADIENT_STRAIGHT);
    CHOICE(surrogate, MERIT_POLICY_SURROGATE_RESHAPE);
    CHOICE(surrogate_alt, MERIT_POLICY_SURROGATE_RESHAPE);
    CHOICE(divergence, MERIT_POLICY_DIVERGENCE_KL);
    CHOICE(divergence_anchor, MERIT_POLICY_ANCHOR_ROLLOUT);
    CHOICE(kl, MERIT_POLICY_KL_ABS);
    CHOICE(kl_gradient, MERIT_POLICY_KL_GRADIENT_SQUARED);
    CHOICE(kl_weight, MERIT_POLICY_KL_WEIGHT_RATIO);
    CHOICE(mismatch_level, MERIT_POLICY_LEVEL_SEQUENCE_SUM);
    CHOICE(mismatch_rule, MERIT_POLICY_MISMATCH_RULE_MASK);
    CHOICE(mismatch_numerator, MERIT_POLICY_NUMERATOR_CURRENT);
    CHOICE(reject_level, MERIT_POLICY_LEVEL_SEQUENCE_SUM);
    CHOICE(reject_source, MERIT_POLICY_REJECT_SOURCE_CURRENT_OLD);
    CHOICE(reject_when, MERIT_POLICY_REJECT_WHEN_NEGATIVE);
    CHOICE(correction_scope, MERIT_POLICY_SCOPE_ALL);
    CHOICE(aggregation, MERIT_POLICY_AGGREGATION_SEQUENCE);
    REJECT(surrogate_alt, MERIT_POLICY_SURROGATE_GEOMETRIC, "surrogate_alt|GEOMETRIC");
    policy_case c = good();
    c.d.surrogate = MERIT_POLICY_SURROGATE_GEOMETRIC;
    c.d.ratio_level = MERIT_POLICY_LEVEL_SEQUENCE_MEAN;
    expect_rejected(tk, &c, "ratio_level|GEOMETRIC");
}

TK_TEST(policy_loss, rejects_missing_arrays)
{
    const double D = 1;
    for (int n = 0; n < 13; n++) {
        policy_case c = good();
        const char *words = "";
        c.io.ref = c.io.rollout = c.io.entropy = zeros;
        switch (n) {
        case 0: c.io.logprob = NULL, words = "logprob is NULL"; break;
        case 1: c.io.advantages = NULL, words = "advantages is NULL"; break;
        case 2:
            c.io.old = NULL, c.d.surrogate = MERIT_POLICY_SURROGATE_QUADRATIC;
            words = "old is NULL|QUADRATIC";
            break;
        case 3: c.io.ref = NULL, c.d.kl_coef = 0.1f, words = "ref is NULL|kl_coef"; break;
        case 4:
            c.io.rollout = NULL, c.d.mismatch_level = MERIT_POLICY_LEVEL_TOKEN;
            words = "rollout is NULL|mismatch_level";
            break;
        case 5:
            c.io.rollout = NULL, c.d.reject_level = MERIT_POLICY_LEVEL_TOKEN;
            words = "rollout is NULL|reject_level";
            break;
        case 6:
            c.io.rollout = NULL, c.d.divergence = MERIT_POLICY_DIVERGENCE_TV;
            c.d.divergence_anchor = MERIT_POLICY_ANCHOR_ROLLOUT;
            words = "rollout is NULL|divergence";
            break;
        case 7: c.io.entropy = NULL, c.d.entropy_coef = 1, words = "entropy is NULL"; break;
        case 8:
            c.io.old = NULL, c.io.token_mode = modes, c.d.alt_low = 0.5f;
            words = "old is NULL|surrogate_alt";
            break;
        case 9:
            c.io.old = NULL, c.io.token_mode = modes;
            c.d.surrogate_alt = MERIT_POLICY_SURROGATE_QUADRATIC;
            words = "old is NULL|QUADRATIC";
            break;
        case 10: c.d.denominator = 0, words = "denominator is NULL"; break;
        case 11: c.io.denominator = &D, words = "denominator is given"; break;
        default: {
            static const int32_t index[T] = {0, 1, 2, 3};
            c.d.sequences.index = index, words = "index";
        }
        }
        expect_rejected(tk, &c, words);
    }
}

TK_TEST(policy_loss, rejects_bad_sequences)
{
    size_t bytes;
    const int64_t counts[] = {-1, INT64_MAX};
    policy_case c = good();
    for (int n = 0; n < 2; n++) {
        c.d.num_tokens = counts[n];
        tk_expect_rejected(tk->ctx, merit_policy_loss_workspace(tk->ctx, &c.d, &bytes),
                           MERIT_STATUS_INVALID_ARGUMENT, "num_tokens");
    }
    c = good();
    c.d.sequences.group_size = 3;
    expect_rejected(tk, &c, "sequences|within 4 rows");
    c = good();
    c.d.sequences.group_stride = 1;
    expect_rejected(tk, &c, "group_stride");
    c = good();
    c.d.sequences.group_size = 0;
    expect_rejected(tk, &c, "offsets is NULL");
    c = good();
    c.d.sequences.max_size = -1;
    expect_rejected(tk, &c, "max_size");
}

// An output on an input (but for the three that may hold the gradient), or on another output.
Test(policy_loss, rejects_overlap)
{
    merit_context *ctx = NULL;
    const merit_context_desc cd = {.struct_size = sizeof cd, .backend = MERIT_BACKEND_CPU};
    cr_assert(merit_context_create(&cd, &ctx) == MERIT_STATUS_OK);
    float a[2 * T] = {0}, b[2 * T] = {0};
    _Alignas(256) static unsigned char workspace[1 << 16];
    merit_policy_loss_desc d = good().d;
    size_t bytes;
    cr_assert(merit_policy_loss_workspace(ctx, &d, &bytes) == MERIT_STATUS_OK);
    cr_assert(bytes <= sizeof workspace);
    for (int n = 0; n < 6; n++) {
        float *const gradient = n == 0 ? a : n == 1 ? b + 1 : n == 2 ? b : n == 3 ? a + T : b + T;
        const merit_policy_loss_io io = {.struct_size = sizeof io,
                                         .logprob = a,
                                         .old = b,
                                         .advantages = zeros,
                                         .grad_logprob = gradient,
                                         .token_loss = n == 4 ? b + T : NULL};
        const merit_status status =
            merit_policy_loss(ctx, &d, &io, workspace, n == 5 ? bytes - 1 : bytes, NULL);
        const merit_status expected = n == 2 || n == 3 ? MERIT_STATUS_OK
                                      : n == 5         ? MERIT_STATUS_WORKSPACE_TOO_SMALL
                                                       : MERIT_STATUS_INVALID_ARGUMENT;
        cr_expect(status == expected, "case %d gives %d: %s", n, (int)status,
                  merit_context_last_error(ctx));
    }
    merit_context_destroy(ctx);
}
