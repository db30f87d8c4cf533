// preference_pair: the ends of binary32.
#include <float.h>
#include <math.h>
#include <string.h>

#include "preference_random.h"

// Scores whose differences are +-88.7 (where exp leaves binary32), +-1e4, +-2 FLT_MAX, a subnormal.
static const float chosen_ends[] = {88.7f,   0,        88.8f,   0,      1e4f,      -1e4f,
                                    FLT_MAX, -FLT_MAX, FLT_MAX, 0,      0x1p-149f, 0,
                                    -3e38f,  104,      -104,    709.9f, -746,      0};
static const float rejected_ends[] = {0,        88.7f,   0,       88.8f,   0, 0,
                                      -FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX, 0, 0x1p-149f,
                                      3e38f,    0,       0,       0,       0, 0};
enum { ENDS = sizeof chosen_ends / sizeof chosen_ends[0] };

static pc_case ends(const char *preset)
{
    pc_case c = pc_scores(preset, ENDS, chosen_ends, rejected_ends);
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_SUM;
    return c;
}

// Runs; NaN nowhere; the oracle's numbers.
static void expect_no_nan(tk_fixture *tk, const pc_case *c)
{
    pc_result r = pc_run(tk, c);
    tk_case("%s", pc_describe(c));
    tk_expect_ok(tk->ctx, r.status);
    TK_EXPECT(!isnan(r.loss) && !isnan(r.route_sum[0]) && !isnan(r.grad_tie), "sums %g %g %g",
              r.loss, r.route_sum[0], r.grad_tie);
    for (int i = 0; i < ENDS; i++) {
        TK_EXPECT(!isnan(r.pair_loss[i]) && !isnan(r.probability[i]), "pair %d: loss %g, p %g", i,
                  (double)r.pair_loss[i], (double)r.probability[i]);
        TK_EXPECT(r.grad_chosen == NULL || !isnan(r.grad_chosen[i]), "pair %d: grad_chosen", i);
        TK_EXPECT(r.grad_rejected == NULL || !isnan(r.grad_rejected[i]), "pair %d: grad_rejected",
                  i);
    }
    if (tk->is_first_run) pc_expect_oracle(c, &r);
    pc_free(&r);
}

TK_TEST(preference_pair, finite_scores_never_give_nan_under_any_link)
{
    static const float probabilities[] = {1, 0, .5f, .25f};
    for (int32_t link = 0; link <= MERIT_LINK_DISCOPOP; link++) {
        for (int k = 0; k < 4; k++) {
            for (int p = 0; p < 4; p++) {
                float targets[ENDS];
                pc_case c = ends(NULL);
                c.d.link = link;
                c.d.link_param = link == MERIT_LINK_EXO ? .1f : k == 1 ? 2.5f : .05f;
                c.d.beta = k == 2 ? .1f : 1;
                c.d.opposite = k == 3;
                c.d.margin = k == 3 ? .5f : 0;
                for (int i = 0; i < ENDS; i++) {
                    targets[i] = probabilities[p];
                }
                c.d.target = MERIT_PAIR_TARGET_PROBABILITY;
                c.io.probabilities = targets;
                expect_no_nan(tk, &c);
            }
        }
    }
}

// Terms of both signs, each beyond every range: the two sides of SWAP under a wide margin, weights of
// outcomes that leave [0, 1], a loss of each side alone against that of the pair.
TK_TEST(preference_pair, infinities_of_either_sign_never_meet)
{
    static const float margins[] = {0, 88.7f, 300, 1e4f, FLT_MAX, -FLT_MAX};
    static const float probabilities[] = {1, .5f, .25f};
    for (int32_t link = 0; link <= MERIT_LINK_DISCOPOP; link++) {
        for (int k = 0; k < 6 * 3 * 4; k++) {
            float targets[ENDS];
            const int options = k / 18;
            pc_case c = ends(NULL);
            c.d.link = link, c.d.unary_link = link;
            c.d.link_param = link == MERIT_LINK_EXO ? .1f : 2.5f;
            c.d.opposite = MERIT_OPPOSITE_SWAP;
            c.d.margin = margins[k % 6];
            c.d.smoothing_kind = MERIT_SMOOTHING_ROBUST;
            c.d.smoothing = options % 2 == 1 ? .25f : 0;
            c.d.target = MERIT_PAIR_TARGET_PROBABILITY;
            c.io.probabilities = targets;
            for (int i = 0; i < ENDS; i++) {
                targets[i] = probabilities[k / 6 % 3];
            }
            for (int i = 0; i < 4 && options / 2 == 1; i++) {
                c.d.unary[i] = 1 + (float)i;
            }
            c.d.unary_margin = options / 2 == 1 ? c.d.margin : 0;
            expect_no_nan(tk, &c);
        }
    }
}

// A scale of 0 makes all of them 0.
TK_TEST(preference_pair, a_scale_of_zero_makes_infinite_gradients_zero)
{
    static const float zero = 0;
    for (int32_t link = 0; link <= MERIT_LINK_DISCOPOP; link++) {
        pc_case c = ends(NULL);
        c.d.link = link;
        c.d.link_param = link == MERIT_LINK_EXO ? .1f : 2.5f;
        c.io.grad_scale = &zero;
        c.io.alpha = &zero;
        pc_result r = pc_run(tk, &c);
        tk_case("%s", pc_describe(&c));
        TK_EXPECT(r.loss == 0, "loss %g", r.loss);
        for (int i = 0; i < ENDS; i++) {
            TK_EXPECT(r.grad_chosen[i] == 0 && r.grad_rejected[i] == 0, "pair %d: %g, %g", i,
                      r.grad_chosen[i], r.grad_rejected[i]);
        }
        pc_free(&r);
    }
}

// The larger exponential decides, in either order: -e^-z+ q+ + e^-z- q-.
TK_TEST(preference_pair, the_larger_of_two_infinite_slopes_decides)
{
    static const float chosen[] = {50, -50, 0, 1e6f, -1e6f}, rejected[5];
    static const float half[] = {.5f, .5f, .5f, .5f, .5f};
    pc_case c = pc_scores(NULL, 5, chosen, rejected);
    c.d.link = MERIT_LINK_EXPONENTIAL;
    c.d.opposite = MERIT_OPPOSITE_SWAP;
    c.d.margin = 200; // z+ = d - 200, z- = -d - 200
    c.d.target = MERIT_PAIR_TARGET_PROBABILITY;
    c.io.probabilities = half;
    pc_result r = pc_run(tk, &c);
    const double slopes[] = {INFINITY, -INFINITY, 0, INFINITY, -INFINITY};
    tk_expect_close(r.grad_chosen, slopes, 5, 0, 0);
    TK_EXPECT(isinf(r.loss) && r.loss > 0 && isinf(r.pair_loss[2]), "loss %g", r.loss);
    TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_NONFINITE] == 5, "counted %llu",
              (unsigned long long)r.diagnostics.count[MERIT_COUNTER_NONFINITE]);
    pc_free(&r);
}

TK_TEST(preference_pair, finite_scores_never_give_nan_under_tie_models)
{
    static const float parameters[] = {1e-6f, .5f, 5, 80, 1e4f};
    for (int k = 0; k < 5; k++) {
        for (int32_t model = MERIT_TIE_MODEL_RAO_KUPPER; model <= MERIT_TIE_MODEL_DAVIDSON;
             model++) {
            for (int outcome = -1; outcome <= 1; outcome++) {
                int8_t outcomes[ENDS];
                pc_case c = ends(NULL);
                memset(outcomes, outcome, sizeof outcomes);
                c.d.target = MERIT_PAIR_TARGET_OUTCOME;
                c.d.tie_model = model;
                c.d.log_tie = parameters[k];
                c.io.outcomes = outcomes;
                expect_no_nan(tk, &c);
                if (model == MERIT_TIE_MODEL_RAO_KUPPER) continue;
                c.d.log_tie = -parameters[k];
                expect_no_nan(tk, &c);
            }
        }
    }
}

TK_TEST(preference_pair, finite_scores_never_give_nan_under_losses_of_one_side)
{
    for (int32_t link = 0; link <= MERIT_LINK_DISCOPOP; link++) {
        for (int k = 0; k < 4; k++) {
            pc_case c = ends(NULL);
            c.d.pair_weight = 0;
            c.d.unary_link = link;
            c.d.link_param = link == MERIT_LINK_EXO ? .1f : .05f;
            c.d.unary[k] = 1.5f;
            c.d.unary_shift = .25f, c.d.unary_margin = .125f;
            expect_no_nan(tk, &c);
        }
    }
    pc_case c = ends("trl.reward_centered"); // binary64 holds the square of a sum
    expect_no_nan(tk, &c);
}

// max(0, beta (1 + w (1 - e^(-rate signal)))) at either end: 0, beta (1 + w), beta where w is 0.
TK_TEST(preference_pair, far_beta_signals_give_the_limits_of_the_map)
{
    static const float signals[] = {1e4f, -1e4f, FLT_MAX, -FLT_MAX, 0};
    static const double with_weight[] = {-.5 * 1.5, 0, -.5 * 1.5, 0, -.5};
    static const double without[] = {-.5, -.5, -.5, -.5, -.5};
    const float zeros[5] = {0};
    pc_case c = pc_scores("mm_dpo", 5, zeros, zeros);
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_SUM;
    c.d.beta = 1;
    c.io.beta_signal = signals;
    pc_expect(tk, &c, 5 * 0.693147180560, with_weight, NULL);
    c.d.map_weight = 0;
    pc_expect(tk, &c, 5 * 0.693147180560, without, NULL);
}

// A sequence of a few thousand tokens: log-probs cancel in binary64, not in binary32.
TK_TEST(preference_pair, long_sequences_keep_the_digits_of_their_differences)
{
    const float score = -2048.25f, reference = nextafterf(-2048.25f, 0);
    const double step = (double)reference - (double)score;
    pc_case c = pc_scores("dpo", 1, &score, &score);
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_SUM;
    c.d.beta = 1;
    c.io.ref_chosen = &score;
    c.io.ref_rejected = &reference;
    pc_result r = pc_run(tk, &c);
    const double z = step, loss = log1p(exp(-z)), slope = -1 / (1 + exp(z));
    tk_expect_close(&r.loss, &loss, 1, 0, 1.2e-7);
    tk_expect_close(r.grad_chosen, &slope, 1, 0, 1.2e-7);
    TK_EXPECT(r.metrics->sum_difference == step, "d is %.17g, expected %.17g",
              r.metrics->sum_difference, step);
    pc_free(&r);
}

TK_TEST(preference_pair, exponential_beyond_its_range_is_infinite_and_counted)
{
    pc_case c = ends(NULL);
    c.d.link = MERIT_LINK_EXPONENTIAL;
    pc_result r = pc_run(tk, &c);
    uint64_t infinite = 0;
    for (int i = 0; i < ENDS; i++) {
        const double d = (double)chosen_ends[i] - (double)rejected_ends[i];
        const int is_out = d < -88.73; // log of FLT_MAX is 88.72
        TK_EXPECT((isinf(r.pair_loss[i]) != 0) == is_out, "pair %d: %g", i, (double)r.pair_loss[i]);
        TK_EXPECT((isinf(r.grad_chosen[i]) != 0) == is_out, "pair %d: %g", i, r.grad_chosen[i]);
        infinite += (uint64_t)is_out;
    }
    TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_NONFINITE] == infinite, "counted %llu of %llu",
              (unsigned long long)r.diagnostics.count[MERIT_COUNTER_NONFINITE],
              (unsigned long long)infinite);
    TK_EXPECT(isinf(r.loss) && r.metrics->invalid == 0, "loss %g", r.loss);
    pc_free(&r);
}

// Losses of two routes, both beyond the range, under alphas of either sign.
TK_TEST(preference_pair, infinite_routes_of_either_sign_never_meet)
{
    static const float far[] = {-1e4f, -1e4f, 1}, zeros[3];
    static const int32_t routes[] = {0, 1, 2};
    static const float alphas[][3] = {{1, -1, 2}, {2, -1, 1}, {1, -2, 1}, {-1, 0, 1}, {0, 0, 1}};
    const double finite = exp(-1.0);
    const double losses[] = {2 * finite, INFINITY, -INFINITY, -INFINITY, finite};
    for (int k = 0; k < 5; k++) {
        pc_case c = pc_scores(NULL, 3, far, zeros);
        c.d.link = MERIT_LINK_EXPONENTIAL;
        c.d.reduction = MERIT_PREFERENCE_REDUCTION_SUM;
        c.d.num_routes = 3;
        c.d.route_kind = MERIT_ROUTE_KIND_ARRAY;
        c.io.routes = routes;
        c.io.alpha = alphas[k];
        pc_result r = pc_run(tk, &c);
        tk_case("alphas %g, %g", (double)alphas[k][0], (double)alphas[k][1]);
        tk_expect_close(&r.loss, &losses[k], 1, 0, 1e-7);
        if (tk->is_first_run) pc_expect_oracle(&c, &r);
        pc_free(&r);
    }
}

// grad_scale or alpha 0 over a denominator of 0: nothing.
TK_TEST(preference_pair, a_scale_of_zero_over_zero_is_zero)
{
    static const float zero = 0;
    static const double nothing = 0;
    for (int k = 0; k < 2; k++) {
        pc_case c = ends(NULL);
        c.d.reduction = MERIT_PREFERENCE_REDUCTION_GIVEN;
        c.io.denominators = &nothing;
        if (k == 0) c.io.grad_scale = &zero;
        if (k == 1) c.io.alpha = &zero;
        pc_result r = pc_run(tk, &c);
        tk_case("%d", k);
        TK_EXPECT(k == 0 ? isinf(r.loss) : r.loss == 0, "loss %g", r.loss);
        for (int i = 0; i < ENDS; i++) {
            TK_EXPECT(r.grad_chosen[i] == 0 && r.grad_rejected[i] == 0, "pair %d: %g, %g", i,
                      r.grad_chosen[i], r.grad_rejected[i]);
        }
        pc_free(&r);
    }
}
