// policy_loss at the edges: infinities, NaN, exact bounds, nothing to do.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "policy_random.h"

// Every surrogate and estimator over log-ratios and differences up to infinity.
TK_TEST(policy_loss, extreme_log_ratios_follow_ieee)
{
    const float gaps[] = {0, 1e-7f, -1e-7f, 20, -20, 88, -88, 200, -200, INFINITY, -INFINITY};
    enum { N = 11 * 2 };
    float lp[N], old[N], ref[N], A[N];
    for (int i = 0; i < N; i++) {
        lp[i] = -1;
        old[i] = -1 - gaps[i / 2];
        ref[i] = -1 + gaps[i / 2];
        A[i] = i % 2 ? -1.5f : 1.5f;
    }
    for (int surrogate = 0; surrogate <= MERIT_POLICY_SURROGATE_RESHAPE; surrogate++) {
        if (surrogate == MERIT_POLICY_SURROGATE_GEOMETRIC)
            continue; // one token spoils its sequence
        for (int clamped = 0; clamped < 2; clamped++) {
            policy_case c = plc_one(clamped ? "verl.vanilla" : NULL, N, lp, old, A);
            c.d.advantage_level = MERIT_POLICY_ADVANTAGE_TOKEN;
            c.d.surrogate = surrogate;
            plc_check(tk, &c);
            policy_result r = plc_run(tk, &c);
            for (int i = 0; i < N && clamped; i++) {
                if (surrogate == MERIT_POLICY_SURROGATE_QUADRATIC) break; // rho is not clamped
                TK_EXPECT(isfinite(r.grad[i]), "surrogate %d: gradient %d is %g", surrogate, i,
                          (double)r.grad[i]);
            }
            // old = -inf, A > 0: clipped
            if (surrogate == MERIT_POLICY_SURROGATE_CLIP) {
                TK_EXPECT(r.grad[18] == 0, "gradient %g", (double)r.grad[18]);
            }
            plc_free(&r);
        }
    }
    for (int kl = MERIT_POLICY_KL_K1; kl <= MERIT_POLICY_KL_ABS; kl++) {
        for (int squared = 0; squared < 2; squared++) {
            policy_case c = plc_one("verl.vanilla", N, lp, lp, A);
            c.d.advantage_level = MERIT_POLICY_ADVANTAGE_TOKEN;
            c.d.kl = kl, c.d.kl_gradient = squared, c.d.kl_coef = 0.5f, c.io.ref = ref;
            policy_result r = plc_run(tk, &c);
            for (int i = 0; i < N; i++) {
                TK_EXPECT(isfinite(r.grad[i]) && isfinite(r.token_loss[i]),
                          "kl %d: gradient %d is %g, loss %g", kl, i, (double)r.grad[i],
                          (double)r.token_loss[i]);
            }
            plc_free(&r);
            c.d.kl_input_clamp = c.d.kl_output_clamp = INFINITY;
            plc_check(tk, &c);
        }
    }
}

// Both log-probabilities -inf: no ratio.
TK_TEST(policy_loss, nan_stays_with_its_token)
{
    enum { N = 8 };
    const float quiet[N] = {-1, -1, -1, -1, -1, -1, -1, -1};
    float lp[N], A[1] = {1}, old[N], ref[N];
    memcpy(lp, quiet, sizeof lp), memcpy(old, quiet, sizeof old), memcpy(ref, quiet, sizeof ref);
    lp[1] = NAN, old[3] = NAN, lp[5] = old[5] = -INFINITY, ref[6] = NAN;
    policy_case c = plc_one("grpo", N, lp, old, A);
    c.io.ref = ref;
    policy_result r = plc_run(tk, &c);
    TK_EXPECT(isnan(r.loss) && r.stats.nan_tokens == 4, "loss %g, %lld tokens", r.loss,
              (long long)r.stats.nan_tokens);
    for (int t = 0; t < N; t++) {
        const int lost = t == 1 || t == 3 || t == 5 || t == 6;
        TK_EXPECT(isnan(r.grad[t]) == lost, "gradient %d is %g", t, (double)r.grad[t]);
    }
    TK_EXPECT(r.stats.ratio_min == 1 && r.stats.ratio_max == 1, "ratios %g %g",
              (double)r.stats.ratio_min, (double)r.stats.ratio_max);
    plc_free(&r);

    // of a sequence-level ratio: its sequence, and no other
    for (int kind = 0; kind < 3; kind++) {
        float pair[2] = {1, 1};
        c = plc_one(kind == 2 ? "gmpo" : "gspo", N, lp, quiet, pair);
        memcpy(lp, quiet, sizeof lp);
        lp[1] = NAN;
        c.d.sequences.num_groups = 2, c.d.sequences.group_size = 4;
        if (kind == 1) c.d.ratio_gradient = MERIT_POLICY_RATIO_GRADIENT_STRAIGHT;
        r = plc_run(tk, &c);
        for (int t = 0; t < N; t++) {
            TK_EXPECT(isnan(r.grad[t]) == (t < 4), "kind %d: gradient %d is %g", kind, t,
                      (double)r.grad[t]);
        }
        TK_EXPECT(r.stats.nan_tokens == 4, "%lld", (long long)r.stats.nan_tokens);
        plc_free(&r);
    }
}

// A NaN must not vanish behind a weight that a comparison with it decides.
TK_TEST(policy_loss, corrections_do_not_hide_nan)
{
    const float lp[] = {NAN, -1}, old[] = {-1, -1}, A[] = {-1};
    for (int n = 0; n < 4; n++) {
        policy_case c = plc_one(NULL, 2, lp, old, A);
        c.io.rollout = old;
        if (n == 0) c.d.reject_level = MERIT_POLICY_LEVEL_TOKEN, c.d.reject_low = 0.5f;
        if (n == 0) c.d.reject_source = MERIT_POLICY_REJECT_SOURCE_CURRENT_OLD;
        if (n == 1) c.d.mismatch_level = MERIT_POLICY_LEVEL_TOKEN;
        if (n == 1) c.d.mismatch_rule = MERIT_POLICY_MISMATCH_RULE_MASK;
        if (n == 1) c.d.mismatch_numerator = MERIT_POLICY_NUMERATOR_CURRENT;
        if (n == 2) c.d.divergence = MERIT_POLICY_DIVERGENCE_TV;
        if (n == 3) c.d.divergence = MERIT_POLICY_DIVERGENCE_KL;
        policy_result r = plc_run(tk, &c);
        TK_EXPECT(isnan(r.loss) && isnan(r.grad[0]) && isfinite(r.grad[1]), "%d: loss %g", n,
                  r.loss);
        plc_free(&r);
    }
}

TK_TEST(policy_loss, terms_of_weight_zero_are_left_out)
{
    const float lp[] = {NAN, -1, -1}, old[] = {-1, NAN, -1}, A[] = {1};
    const float weight[] = {0, 0, 1};
    policy_case c = plc_one(NULL, 3, lp, old, A);
    c.io.token_weight = weight;
    policy_result r = plc_run(tk, &c);
    TK_EXPECT(r.loss == -1 && r.grad[0] == 0 && r.grad[1] == 0, "loss %g", r.loss);
    TK_EXPECT(r.stats.nan_tokens == 0, "%lld", (long long)r.stats.nan_tokens);
    plc_free(&r);
    const float none[] = {0}, ref[] = {NAN, NAN, NAN};
    c = plc_one("grpo", 3, lp, old, A);
    c.io.sequence_weight = none, c.io.ref = ref;
    r = plc_run(tk, &c);
    TK_EXPECT(r.loss == 0 && r.grad[0] == 0 && r.grad[2] == 0, "loss %g", r.loss);
    plc_free(&r);
}

// r exactly on a bound passes; A = 0 gives 0.
TK_TEST(policy_loss, equality_counts_as_unclipped)
{
    const float lp[] = {0}, old[] = {0};
    for (int n = 0; n < 4; n++) {
        const float A[] = {n % 2 ? -2.0f : 2.0f};
        policy_case c = plc_one(NULL, 1, lp, old, A);
        if (n < 2) c.d.ratio_high = 1;
        if (n >= 2) c.d.ratio_low = 1;
        policy_result r = plc_run(tk, &c);
        TK_EXPECT(r.grad[0] == -A[0], "gradient %g", (double)r.grad[0]);
        TK_EXPECT(r.stats.clipped_low == 0 && r.stats.clipped_high == 0, "counted");
        plc_free(&r);
    }
    // bounds that are the ratio itself, as the call computes it
    for (int n = 0; n < 6; n++) {
        const float up[] = {n == 1 ? -0.3f : 0.3f}, A[] = {n == 0 || n == 5 ? 1.0f : -1.0f};
        policy_case c = plc_one(NULL, 1, up, old, A);
        c.d.ratio_low = 0, c.d.ratio_high = 100;
        policy_result r = plc_run(tk, &c);
        const float ratio = r.stats.ratio_max, slope = -A[0] * ratio;
        TK_EXPECT(r.grad[0] == slope, "gradient %g", (double)r.grad[0]);
        plc_free(&r);
        if (n == 0) c.d.ratio_high = ratio;
        if (n == 1) c.d.ratio_low = ratio;
        if (n == 2) c.d.ratio_cap = ratio;
        if (n == 3) c.d.dual_clip = ratio;
        if (n == 4) c.d.log_ratio_max = up[0];
        if (n == 5) c.d.ratio_high = nextafterf(ratio, 0); // just beyond
        r = plc_run(tk, &c);
        TK_EXPECT(r.grad[0] == (n == 5 ? 0 : slope), "bound %d: gradient %g, ratio %g", n,
                  (double)r.grad[0], (double)ratio);
        TK_EXPECT(r.stats.clipped_high == (n == 5) && r.stats.clipped_low == 0 &&
                      r.stats.capped == 0 && r.stats.dual_clipped == 0 && r.stats.log_clamped == 0,
                  "bound %d is counted", n);
        plc_free(&r);
    }
    const float far[] = {200}, zero[] = {0};
    for (int surrogate = 0; surrogate <= MERIT_POLICY_SURROGATE_RESHAPE; surrogate++) {
        if (surrogate == MERIT_POLICY_SURROGATE_QUADRATIC) continue;
        policy_case c = plc_one(NULL, 1, far, old, zero);
        c.d.surrogate = surrogate;
        policy_result r = plc_run(tk, &c);
        TK_EXPECT(r.loss == 0 && r.grad[0] == 0, "surrogate %d: %g %g", surrogate, r.loss,
                  (double)r.grad[0]);
        plc_free(&r);
    }
}

TK_TEST(policy_loss, advantages_beyond_the_numbers_stay_with_their_tokens)
{
    const float lp[] = {-1, -1, -1, -1}, old[] = {-1, -1.5f, -1, -1};
    const float A[] = {INFINITY, -INFINITY, NAN, 1};
    policy_case c = plc_one(NULL, 4, lp, old, A);
    c.d.advantage_level = MERIT_POLICY_ADVANTAGE_TOKEN;
    policy_result r = plc_run(tk, &c);
    TK_EXPECT(r.grad[0] == -INFINITY && r.grad[1] == INFINITY && isnan(r.grad[2]) &&
                  r.grad[3] == -1,
              "gradients %g %g %g %g", (double)r.grad[0], (double)r.grad[1], (double)r.grad[2],
              (double)r.grad[3]);
    plc_free(&r);
    // inf times a ratio of 0 is NaN, and is not hidden
    const float none[] = {-INFINITY, -1, -1, -1};
    c.io.logprob = none, c.io.old = lp;
    const float unlimited[] = {INFINITY, 1, 1, 1};
    c.io.advantages = unlimited;
    r = plc_run(tk, &c);
    TK_EXPECT(isnan(r.loss) && isnan(r.grad[0]) && r.stats.nan_tokens == 1, "loss %g, gradient %g",
              r.loss, (double)r.grad[0]);
    TK_EXPECT(r.grad[1] == -1 && r.grad[3] == -1, "gradients %g %g", (double)r.grad[1],
              (double)r.grad[3]);
    plc_free(&r);
    // of a sequence: its own
    const float pair[] = {INFINITY, 1};
    c = plc_one(NULL, 4, lp, lp, pair);
    c.d.sequences.num_groups = 2, c.d.sequences.group_size = 2;
    r = plc_run(tk, &c);
    TK_EXPECT(r.grad[0] == -INFINITY && r.grad[1] == -INFINITY && r.grad[2] == -1 &&
                  r.grad[3] == -1,
              "gradients %g %g %g %g", (double)r.grad[0], (double)r.grad[1], (double)r.grad[2],
              (double)r.grad[3]);
    plc_free(&r);
}

// Nothing valid, D = 0 in device memory, no sequence, no token.
TK_TEST(policy_loss, nothing_to_do_gives_zeros)
{
    const float lp[] = {NAN, NAN, NAN, NAN}, A[] = {1, 1};
    const uint8_t mask[4] = {0};
    const double D = 0;
    for (int n = 0; n < 5; n++) {
        policy_case c = plc_one("gspo", 4, lp, lp, A);
        c.d.sequences.num_groups = 2, c.d.sequences.group_size = 2;
        if (n == 0) c.io.mask = mask;
        if (n == 1) c.d.denominator = 0, c.io.denominator = &D;
        if (n == 2) c.d.sequences.num_groups = 0;
        if (n == 3) c.d.num_tokens = 0;
        if (n == 4) {
            cr_assert(merit_policy_loss_preset("ppo", &c.d) == MERIT_STATUS_OK);
            c.d.denominator = 0, c.io.denominator = &D;
        }
        policy_result r = plc_run(tk, &c);
        tk_expect_ok(tk->ctx, r.status);
        TK_EXPECT(r.loss == 0 && r.stats.tokens == 0 && r.stats.nonempty_sequences == 0 &&
                      r.stats.nan_tokens == 0,
                  "case %d: loss %g, tokens %lld", n, r.loss, (long long)r.stats.tokens);
        TK_EXPECT(r.stats.sequences == c.d.sequences.num_groups, "case %d: sequences", n);
        for (int t = 0; t < r.num_tokens; t++) {
            TK_EXPECT(r.grad[t] == 0 && !signbit(r.grad[t]), "case %d: gradient %g", n,
                      (double)r.grad[t]);
        }
        plc_free(&r);
    }
}

// An empty sequence adds nothing; only D decides whether it dilutes.
TK_TEST(policy_loss, refuses_bad_offsets_and_long_sequences)
{
    const float lp[12] = {0}, A[4] = {1, 1, 1, 1};
    const int64_t past[] = {0, 3, 5, 20}, early[] = {-2, 3, 5, 12}, falls[] = {1, 6, 4, 4, 11};
    const int64_t *const layouts[] = {past, early, falls};
    uint8_t mask[12];
    memset(mask, 1, sizeof mask);
    mask[4] = mask[5] = 0; // where the sequences of `falls` meet
    for (int n = 0; n < 4; n++) {
        policy_case c = plc_one("grpo", 12, lp, lp, A);
        c.io.ref = lp, c.io.mask = mask;
        c.d.sequences.group_size = 0;
        c.d.sequences.num_groups = n == 2 ? 4 : 3;
        c.d.sequences.offsets = n == 3 ? (const int64_t[]){0, 3, 10, 12} : layouts[n];
        if (n == 3) c.d.sequences.max_size = 5;
        policy_result r = plc_run(tk, &c);
        tk_expect_ok(tk->ctx, r.status);
        const uint64_t *const count = r.diagnostics.count;
        TK_EXPECT(count[MERIT_COUNTER_BAD_OFFSETS] == (n < 3), "layout %d: %llu", n,
                  (unsigned long long)count[MERIT_COUNTER_BAD_OFFSETS]);
        TK_EXPECT(count[MERIT_COUNTER_GROUP_TOO_LARGE] == (n == 3), "layout %d", n);
        TK_EXPECT(isfinite(r.loss), "layout %d: loss %g", n, r.loss);
        TK_EXPECT(n != 0 || (isnan(r.grad[5]) && isnan(r.grad[11]) && isfinite(r.grad[0])),
                  "layout %d: gradients %g %g", n, (double)r.grad[5], (double)r.grad[0]);
        TK_EXPECT(n != 3 || (isnan(r.grad[4]) && isfinite(r.grad[11])), "layout 3");
        plc_free(&r);
    }
}

// 2^18 tokens whose log-ratios alternate between 20 and -20, the last a little less: binary32 sums lose
// the sign of the mean.
TK_TEST(policy_loss, long_sequences_keep_the_sign_of_the_mean)
{
    const int64_t N = tk->kind == TK_CPU ? 1 << 18 : 1 << 14;
    float *const lp = calloc((size_t)N, 4), *const old = calloc((size_t)N, 4);
    cr_assert(lp != NULL && old != NULL);
    const float A[] = {1};
    for (int64_t t = 0; t < N; t++) {
        lp[t] = -30, old[t] = t % 2 ? -10 : -50;
    }
    lp[N - 1] = -30.001f;
    policy_case c = plc_one("gspo", N, lp, old, A);
    c.d.ratio_low = 0, c.d.ratio_high = 2;
    policy_result r = plc_run(tk, &c);
    const double mean = ((double)lp[N - 1] + 30) / (double)N;
    TK_EXPECT(r.stats.ratio_max <= 1 && fabs((double)r.stats.ratio_max - exp(mean)) <= 6e-8,
              "ratio %.9g, expected %.9g", (double)r.stats.ratio_max, exp(mean));
    plc_check(tk, &c);
    plc_free(&r);
    free(lp), free(old);
}
