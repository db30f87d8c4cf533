// The hand-worked cases of policy_loss. Unless said otherwise one token, D = 1, the defaults.
#include <math.h>

#include "policy_case.h"

// One token with log-ratio `rho` and lp = -1.
static policy_case one_token(const char *preset, double rho, float A)
{
    static float lp, old, advantage;
    lp = -1, old = (float)(-1 - rho), advantage = A;
    return plc_one(preset, 1, &lp, &old, &advantage);
}

#define EXPECT_ONE(c, loss, slope)                  \
    do {                                            \
        const double expected_slope[] = {slope};    \
        plc_expect(tk, &(c), loss, expected_slope); \
    } while (0)

// r = 1 exactly, so -2 exactly.
TK_TEST(policy_loss, equal_logprobs_give_a_ratio_of_one)
{
    policy_case c = one_token(NULL, 0, 2);
    policy_result r = plc_run(tk, &c);
    TK_EXPECT(r.loss == -2 && r.grad[0] == -2, "loss %g, gradient %g", r.loss, (double)r.grad[0]);
    plc_free(&r);
    for (int level = MERIT_POLICY_LEVEL_TOKEN; level <= MERIT_POLICY_LEVEL_SEQUENCE_SUM; level++) {
        float lp[5000], A[1] = {2};
        for (int t = 0; t < 5000; t++) {
            lp[t] = -0.37f * (float)(t % 41);
        }
        c = plc_one(NULL, 5000, lp, lp, A);
        c.d.ratio_level = level;
        r = plc_run(tk, &c);
        TK_EXPECT(r.stats.ratio_min == 1 && r.stats.ratio_max == 1 && r.stats.sum_ratio == 5000,
                  "level %d: ratios from %.9g to %.9g", level, (double)r.stats.ratio_min,
                  (double)r.stats.ratio_max);
        plc_free(&r);
    }
}

TK_TEST(policy_loss, clipping_stops_the_gradient)
{
    policy_case c = one_token(NULL, log(1.5), 1);
    EXPECT_ONE(c, -1.2, 0);
    c = one_token(NULL, log(1.5), -1);
    EXPECT_ONE(c, 1.5, 1.5);
    c = one_token(NULL, log(0.5), 1);
    EXPECT_ONE(c, -0.5, -0.5);
    c = one_token(NULL, log(0.5), -1);
    EXPECT_ONE(c, 0.8, 0);
}

TK_TEST(policy_loss, caps_and_dual_clips_large_ratios)
{
    policy_case c = one_token(NULL, log(4), -1);
    EXPECT_ONE(c, 4, 4);
    c.d.dual_clip = 3;
    EXPECT_ONE(c, 3, 0);
    c.d.dual_clip = 0, c.d.ratio_cap = 2;
    EXPECT_ONE(c, 2, 0);
}

TK_TEST(policy_loss, detached_weights_multiply_the_logprob)
{
    const float lp[] = {-0.7f}, A[] = {1};
    const float old[] = {(float)(-0.7 - log(1.5))};
    policy_case c = plc_one("cispo.relative", 1, lp, old, A);
    EXPECT_ONE(c, 0.84, -1.2);
    c.d.ratio_low = 0, c.d.ratio_high = 5;
    EXPECT_ONE(c, 1.05, -1.5);
}

TK_TEST(policy_loss, gates_are_smooth)
{
    policy_case c = one_token("sapo", log(1.5), 1);
    EXPECT_ONE(c, -2.489837325, -1.410022273);
    c = one_token("sapo", log(1.5), -1);
    EXPECT_ONE(c, 2.393585479, 1.401209735);
    c = one_token("sapo", 0, 1);
    EXPECT_ONE(c, -2, -1);
}

TK_TEST(policy_loss, quadratic_pulls_toward_the_old_policy)
{
    const float lp[] = {-0.7f}, old[] = {-1.2f}, A[] = {1};
    policy_case c = plc_one("dro", 1, lp, old, A);
    EXPECT_ONE(c, 0.7125, -0.95);
}

TK_TEST(policy_loss, reshape_lifts_unlikely_tokens)
{
    const float lp[] = {(float)log(0.5), (float)log(0.1)}, A[] = {1, 1};
    for (int i = 0; i < 2; i++) {
        policy_case c = plc_one(NULL, 1, lp + i, NULL, A);
        c.d.surrogate = MERIT_POLICY_SURROGATE_RESHAPE;
        EXPECT_ONE(c, i == 0 ? -0.833333333 : -0.5, i == 0 ? -0.138888889 : -0.25);
    }
}

// pi 0.9 (0.7), o 0.6.
TK_TEST(policy_loss, divergence_masks_stop_the_policy_term)
{
    const float old[] = {(float)log(0.6)};
    float lp[] = {(float)log(0.9)}, A[] = {1};
    policy_case c = plc_one("dppo_tv", 1, lp, old, A);
    EXPECT_ONE(c, 0, 0);
    A[0] = -1;
    EXPECT_ONE(c, -0.158040773, 1.5);
    c.d.divergence = MERIT_POLICY_DIVERGENCE_KL;
    EXPECT_ONE(c, -0.158040773, 1.5);
    A[0] = 1;
    EXPECT_ONE(c, 0, 0);
    c.d.divergence_high = 0.3112f;
    EXPECT_ONE(c, 0, 0);
    c.d.divergence_high = 0.3113f; // the divergence is 0.311238680
    EXPECT_ONE(c, 0.158040773, -1.5);
    lp[0] = (float)log(0.7);
    c.d.divergence_high = 0.0226f; // here 0.022582421
    EXPECT_ONE(c, 0.416120768, -1.166666667);
    c.d.divergence_high = 0.0225f;
    EXPECT_ONE(c, 0, 0);
    c.d.divergence = MERIT_POLICY_DIVERGENCE_TV, c.d.divergence_high = 0.2f;
    c.d.ratio_high = INFINITY;
    EXPECT_ONE(c, 0.416120768, -1.166666667);
}

// rho = (ln 2, 0): the mean ratio is sqrt 2.
TK_TEST(policy_loss, sequence_ratios_share_their_gradient)
{
    const float lp[] = {-1, -1}, old[] = {(float)(-1 - log(2)), -1};
    float A[] = {-1, 0};
    policy_case c = plc_one("gspo", 2, lp, old, A);
    c.d.ratio_low = 0.5f, c.d.ratio_high = 2;
    plc_expect(tk, &c, 1.414213562, ((double[]){0.707106781, 0.707106781}));
    A[0] = 1, A[1] = 3;
    c.d.advantage_level = MERIT_POLICY_ADVANTAGE_TOKEN;
    plc_expect(tk, &c, -2.828427125, ((double[]){-1.414213562, -1.414213562}));
    c.d.ratio_gradient = MERIT_POLICY_RATIO_GRADIENT_STRAIGHT;
    plc_expect(tk, &c, -2.828427125, ((double[]){-0.707106781, -2.121320344}));
}

// rho = (ln 2, -2 ln 2) clipped in logs to +-0.4.
TK_TEST(policy_loss, geometric_means_clip_each_token)
{
    const float lp[] = {-1, -1}, old[] = {(float)(-1 - log(2)), (float)(-1 + 2 * log(2))};
    float A[] = {1};
    policy_case c = plc_one("gmpo", 2, lp, old, A);
    plc_expect(tk, &c, -0.610701379, ((double[]){0, -0.305350690}));
    A[0] = -1;
    plc_expect(tk, &c, 1.157860135, ((double[]){0.578930067, 0}));
}

// KL alone: A = 0. d = ref - lp.
static policy_case kl_of(double d, int kl)
{
    static float lp[] = {-1}, A[] = {0}, ref[1];
    ref[0] = (float)(-1 + d);
    policy_case c = plc_one(NULL, 1, lp, lp, A);
    c.io.ref = ref;
    c.d.kl = kl, c.d.kl_coef = 1;
    return c;
}

TK_TEST(policy_loss, estimates_the_divergence_from_the_reference)
{
    policy_case c = kl_of(0.5, MERIT_POLICY_KL_K1);
    EXPECT_ONE(c, -0.5, 1);
    c.d.kl_gradient = MERIT_POLICY_KL_GRADIENT_SQUARED;
    EXPECT_ONE(c, -0.5, -0.5);
    c = kl_of(0.5, MERIT_POLICY_KL_K2);
    EXPECT_ONE(c, 0.125, -0.5);
    c = kl_of(0.5, MERIT_POLICY_KL_K3);
    EXPECT_ONE(c, 0.148721271, -0.648721271);
    c = kl_of(-0.5, MERIT_POLICY_KL_K3);
    EXPECT_ONE(c, 0.106530660, 0.393469340);
    c = kl_of(-0.5, MERIT_POLICY_KL_ABS);
    EXPECT_ONE(c, 0.5, 1);
    c = kl_of(0, MERIT_POLICY_KL_ABS);
    EXPECT_ONE(c, 0, 0);
}

TK_TEST(policy_loss, small_divergences_lose_no_digits)
{
    const float lp[] = {0}, ref[] = {1e-4f}, A[] = {0};
    policy_case c = plc_one(NULL, 1, lp, lp, A);
    c.io.ref = ref, c.d.kl_coef = 1;
    EXPECT_ONE(c, 5.00016667e-9, -1.000050002e-4);
    policy_result r = plc_run(tk, &c);
    TK_EXPECT(fabs(r.loss / 5.00016667e-9 - 1) <= 1e-6, "loss %.10g", r.loss);
    plc_free(&r);
}

TK_TEST(policy_loss, clamps_keep_gradients_finite)
{
    policy_case c = kl_of(25, MERIT_POLICY_KL_K3);
    c.d.kl_input_clamp = 20, c.d.kl_output_clamp = 10;
    EXPECT_ONE(c, 10, 0);
    c = kl_of(200, MERIT_POLICY_KL_K3);
    c.d.kl_input_clamp = 20, c.d.kl_output_clamp = 10;
    EXPECT_ONE(c, 10, 0);
    c = kl_of(20, MERIT_POLICY_KL_K3);
    c.d.kl_input_clamp = 20;
    EXPECT_ONE(c, 485165174.41, -485165194.41);
}

// d = 0.5, r = 1.5.
TK_TEST(policy_loss, weighs_the_divergence_by_the_ratio)
{
    const float lp[] = {-1}, old[] = {(float)(-1 - log(1.5))}, ref[] = {-0.5f}, A[] = {0};
    policy_case c = plc_one(NULL, 1, lp, old, A);
    c.io.ref = ref, c.d.kl_coef = 1, c.d.kl_weight = MERIT_POLICY_KL_WEIGHT_RATIO;
    EXPECT_ONE(c, 0.223081906, -0.75);
}

// m = (ln 3, ln 1/2, 0). With r = 1 and A = -1 the loss of a token is w.
TK_TEST(policy_loss, corrects_the_mismatch_with_the_rollout)
{
    const float lp[] = {-1, -1, -1}, A[] = {-1};
    const float rollout[] = {(float)(-1 - log(3)), (float)(-1 - log(0.5)), -1};
    policy_case c = plc_one("mismatch.tis", 3, lp, lp, A);
    c.io.rollout = rollout;
    plc_expect(tk, &c, 3.5, ((double[]){2, 0.5, 1}));
    c.d.mismatch_rule = MERIT_POLICY_MISMATCH_RULE_MASK, c.d.mismatch_low = 0.4f;
    plc_expect(tk, &c, 1.5, ((double[]){0, 0.5, 1}));
    c.d.mismatch_rule = MERIT_POLICY_MISMATCH_RULE_TRUNCATE, c.d.mismatch_low = 0;
    c.d.mismatch_level = MERIT_POLICY_LEVEL_SEQUENCE_SUM;
    plc_expect(tk, &c, 4.5, ((double[]){1.5, 1.5, 1.5}));
    c.d.mismatch_level = MERIT_POLICY_LEVEL_SEQUENCE_MEAN;
    plc_expect(tk, &c, 3 * 1.144714243, ((double[]){1.144714243, 1.144714243, 1.144714243}));
}

// Token losses 1, 2, 3 | 10 | none valid.
TK_TEST(policy_loss, divides_by_the_callers_denominator)
{
    const float lp[12] = {0}, A[12] = {-1, -2, -3, 0, -10};
    const uint8_t mask[12] = {1, 1, 1, 0, 1};
    policy_case c = plc_one(NULL, 12, lp, lp, A);
    c.d.advantage_level = MERIT_POLICY_ADVANTAGE_TOKEN;
    c.d.sequences.num_groups = 3, c.d.sequences.group_size = 4;
    c.io.mask = mask;
    c.d.denominator = 4;
    plc_expect(tk, &c, 4, NULL);
    c.d.denominator = 8;
    plc_expect(tk, &c, 2, NULL);
    c.d.aggregation = MERIT_POLICY_AGGREGATION_SEQUENCE;
    c.d.denominator = 2;
    plc_expect(tk, &c, 6, NULL);
    c.d.denominator = 3;
    plc_expect(tk, &c, 4, NULL);
    const double D = 3;
    c.d.denominator = 0, c.io.denominator = &D;
    plc_expect(tk, &c, 4, NULL);
}

TK_TEST(policy_loss, rewards_entropy)
{
    const float lp[4] = {0}, A[1] = {0}, H[] = {1, 2, 3, 4};
    policy_case c = plc_one(NULL, 4, lp, lp, A);
    c.d.entropy_coef = 0.01f, c.d.denominator = 4;
    c.io.entropy = H;
    plc_expect(tk, &c, -0.025, NULL);
    policy_result r = plc_run(tk, &c);
    for (int t = 0; t < 4; t++) {
        TK_EXPECT(fabs((double)r.grad_entropy[t] + 0.0025) <= 1e-9, "gradient %g",
                  (double)r.grad_entropy[t]);
    }
    plc_free(&r);
}

TK_TEST(policy_loss, matches_a_whole_case)
{
    const float lp[] = {-.5f, -1, -2, -.25f}, old[] = {-.7f, -1, -1.5f, -.25f};
    const float ref[] = {-.5f, -1.1f, -2.2f, -.5f}, A[] = {1, 1, -1, -1};
    policy_case c = plc_one(NULL, 4, lp, old, A);
    c.d.advantage_level = MERIT_POLICY_ADVANTAGE_TOKEN;
    c.d.kl_coef = 0.1f, c.d.denominator = 4;
    c.io.ref = ref;
    plc_expect(tk, &c, -0.098690776, ((double[]){0, -0.247620935, 0.004531731, 0.255529980}));
    policy_result r = plc_run(tk, &c);
    TK_EXPECT(r.stats.clipped_high == 1 && r.stats.clipped_low == 1, "clipped %lld %lld",
              (long long)r.stats.clipped_high, (long long)r.stats.clipped_low);
    const double actual[] = {r.stats.sum_kl_ref,    r.stats.ratio_min, r.stats.ratio_max,
                             r.stats.sum_ratio / 4, r.stats.sum_k1,    r.stats.sum_k3};
    const double expected[] = {0.052368954, 0.606530660, 1.221402758,
                               0.956983354, 0.3,         0.127933418};
    tk_expect_close(actual, expected, 6, 1e-9, 2e-6);
    plc_free(&r);
}
