// preference_pair: pairs worked by hand. Reduction SUM and f32 scores unless a case says otherwise.
#include <math.h>

#include "preference_case.h"

static pc_case pairs(const char *preset, int64_t n, const float *chosen, const float *rejected)
{
    pc_case c = pc_scores(preset, n, chosen, rejected);
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_SUM;
    return c;
}

static void expect_one(tk_fixture *tk, const pc_case *c, double loss, double chosen,
                       double rejected)
{
    pc_expect(tk, c, loss, &chosen, &rejected);
}

// Bradley-Terry -----------------------------------------------------------------------------------

TK_TEST(preference_pair, equal_scores_lose_log_2_and_pull_by_one_half_exactly)
{
    static const float scores[] = {0, 0.1f, -3.7f, 1e30f, 0x1p-149f};
    for (int i = 0; i < 5; i++) {
        pc_case c = pairs("bt", 1, &scores[i], &scores[i]);
        expect_one(tk, &c, 0.693147180560, -0.5, 0.5);
        pc_result r = pc_run(tk, &c);
        TK_EXPECT(r.grad_chosen[0] == -0.5 && r.grad_rejected[0] == 0.5, "%.17g and %.17g",
                  r.grad_chosen[0], r.grad_rejected[0]);
        pc_free(&r);
        c.d.beta = 0.1f; // -1/2 of beta
        r = pc_run(tk, &c);
        TK_EXPECT(r.grad_chosen[0] == -0.5 * (double)0.1f, "%.17g", r.grad_chosen[0]);
        pc_free(&r);
    }
}

// d = 2: sp(-2), -s(-2).
TK_TEST(preference_pair, the_winner_ahead_by_two)
{
    const float chosen = 2.5f, rejected = 0.5f;
    pc_case c = pairs("bt", 1, &chosen, &rejected);
    expect_one(tk, &c, 0.126928011043, -0.119202922022, 0.119202922022);
}

TK_TEST(preference_pair, a_margin_is_subtracted_from_the_difference)
{
    const float chosen = 1.5f, rejected = 0.25f, margin = 0.5f;
    pc_case c = pairs("bt", 1, &chosen, &rejected);
    c.d.margin = margin;
    expect_one(tk, &c, 0.386871006115, -0.320821300825, 0.320821300825);
    c.d.margin = 0;
    c.io.margins = &margin;
    expect_one(tk, &c, 0.386871006115, -0.320821300825, 0.320821300825);
    c.d.margin = -0.25f; // both add up
    const float rest = 0.75f;
    c.io.margins = &rest;
    expect_one(tk, &c, 0.386871006115, -0.320821300825, 0.320821300825);
}

TK_TEST(preference_pair, a_weight_multiplies_its_pair)
{
    const float chosen = 0, rejected = 1, weight = 3;
    pc_case c = pairs("bt", 1, &chosen, &rejected);
    c.io.weights = &weight;
    expect_one(tk, &c, 3.93978506255, -2.19317573589, 2.19317573589);
}

TK_TEST(preference_pair, a_soft_label_mixes_both_outcomes)
{
    const float chosen = 0.5f, rejected = 0, p = 0.75f;
    pc_case c = pairs("oni.soft", 1, &chosen, &rejected);
    c.io.probabilities = &p;
    expect_one(tk, &c, 0.599076984180, -0.127540668798, 0.127540668798);
}

// q+ = 0.9; q+ = 1.125, q- = -0.125.
TK_TEST(preference_pair, smoothing_conservative_and_robust)
{
    const float chosen = 1, rejected = 0;
    pc_case c = pairs(NULL, 1, &chosen, &rejected);
    c.d.smoothing = 0.1f;
    expect_one(tk, &c, 0.413261687518, -0.168941421370, 0.168941421370);
    c.d.smoothing_kind = MERIT_SMOOTHING_ROBUST;
    expect_one(tk, &c, 0.188261687518, -0.393941421370, 0.393941421370);
}

// The DPO family ----------------------------------------------------------------------------------

TK_TEST(preference_pair, dpo_takes_differences_to_references)
{
    const float chosen = -12, rejected = -15, ref_chosen = -13, ref_rejected = -14;
    pc_case c = pairs("dpo", 1, &chosen, &rejected);
    c.io.ref_chosen = &ref_chosen;
    c.io.ref_rejected = &ref_rejected;
    expect_one(tk, &c, 0.598138869382, -0.0450166002688, 0.0450166002688);
}

TK_TEST(preference_pair, mm_dpo_takes_beta_from_the_margin_of_the_pair)
{
    const float chosen = 2, rejected = 0, signal = 1;
    pc_case c = pairs("mm_dpo", 1, &chosen, &rejected);
    c.io.beta_signal = &signal;
    expect_one(tk, &c, 0.580617555213, -0.0527098548113, 0.0527098548113);
    // At d = 0 the gradient is -beta_i / 2.
    const float zeros[4] = {0}, signals[] = {0, -1, 100, 1};
    const double betas[] = {0.1, 0.067563936465, 0.15, 0.119673467014};
    double expected[4], opposite[4];
    for (int i = 0; i < 4; i++) {
        expected[i] = -betas[i] / 2, opposite[i] = betas[i] / 2;
    }
    pc_case d = pairs("mm_dpo", 4, zeros, zeros);
    d.io.beta_signal = signals;
    pc_expect(tk, &d, 4 * 0.693147180560, expected, opposite);
}

// beta_i is cut off at 0: map_weight 3, signal -2: 1 + 3 (1 - e) < 0.
TK_TEST(preference_pair, a_beta_below_zero_becomes_zero)
{
    const float chosen = 2, rejected = 0, signal = -2;
    pc_case c = pairs("mm_dpo", 1, &chosen, &rejected);
    c.d.map_weight = 3;
    c.io.beta_signal = &signal;
    expect_one(tk, &c, 0.693147180560, 0, 0);
}

TK_TEST(preference_pair, simpo_divides_by_lengths)
{
    const float chosen = -10, rejected = -27;
    const int32_t chosen_length = 20, rejected_length = 30;
    pc_case c = pairs("simpo", 1, &chosen, &rejected);
    c.d.margin = 1;
    c.io.chosen_length = &chosen_length;
    c.io.rejected_length = &rejected_length;
    expect_one(tk, &c, 0.798138869382, -0.0549833997312, 0.0366555998208);
}

// (3 - 5)^2; with p = 3/4 and SWAP 3/4 (3 - 5)^2 + 1/4 (-3 - 5)^2.
TK_TEST(preference_pair, ipo_is_a_square_around_its_margin)
{
    const float chosen = 3, rejected = 0, least = 2.5f, p = 0.75f;
    pc_case c = pairs("ipo", 1, &chosen, &rejected);
    c.d.margin = 5;
    expect_one(tk, &c, 4, -4, 4);
    c.d.target = MERIT_PAIR_TARGET_PROBABILITY;
    c.io.probabilities = &p;
    expect_one(tk, &c, 19, 1, -1);
    c.io.chosen = &least;
    expect_one(tk, &c, 0.75 * 6.25 + 0.25 * 56.25, 0, 0);
}

TK_TEST(preference_pair, hinge_stops_at_one)
{
    const float chosen[] = {1.2f, 2, 2.5f, -3}, rejected[4] = {0};
    const double first[] = {-0.5, 0, 0, -0.5}, second[] = {0.5, 0, 0, 0.5};
    pc_case c = pairs("slic", 4, chosen, rejected);
    c.d.beta = 0.5f;
    pc_expect(tk, &c, 0.4 + 0 + 0 + 2.5, first, second);
}

TK_TEST(preference_pair, exponential)
{
    const float chosen = 0.5f, rejected = 0;
    pc_case c = pairs(NULL, 1, &chosen, &rejected);
    c.d.link = MERIT_LINK_EXPONENTIAL;
    expect_one(tk, &c, 0.606530659713, -0.606530659713, 0.606530659713);
}

TK_TEST(preference_pair, discopop)
{
    const float chosen = 0.5f, rejected = 0;
    pc_case c = pairs("discopop", 1, &chosen, &rejected);
    c.d.beta = 1;
    expect_one(tk, &c, 0.606524646598, -0.606400007223, 0.606400007223);
    c.io.chosen = &rejected;
    expect_one(tk, &c, 0.846573590280, 0.784264097200, -0.784264097200);
}

TK_TEST(preference_pair, exo)
{
    const float chosen = 1, rejected = 0;
    pc_case c = pairs("exo", 1, &chosen, &rejected);
    c.d.beta = 1;
    c.d.link_param = 0.1f;
    expect_one(tk, &c, 0.114082107667, -0.235388638674, 0.235388638674);
}

// Losses of one side ------------------------------------------------------------------------------

static const float one = 1, minus_half = -0.5f;

TK_TEST(preference_pair, nca)
{
    pc_case c = pairs("nca", 1, &one, &minus_half);
    c.d.beta = 1;
    expect_one(tk, &c, 1.20693102337, 0.096587867945, 0.188770334399);
}

TK_TEST(preference_pair, bco_shifts_both_sides_by_a_running_mean)
{
    const float shift = 0.25f;
    pc_case c = pairs("bco", 1, &one, &minus_half);
    c.d.beta = 1;
    c.io.unary_shift_dev = &shift;
    expect_one(tk, &c, 0.773742012230, -0.320821300825, 0.320821300825);
    c.io.unary_shift_dev = NULL;
    c.d.unary_shift = shift;
    expect_one(tk, &c, 0.773742012230, -0.320821300825, 0.320821300825);
}

TK_TEST(preference_pair, apo_zero_and_apo_down)
{
    pc_case c = pairs("apo_zero", 1, &one, &minus_half),
            d = pairs("apo_down", 1, &one, &minus_half);
    c.d.beta = d.d.beta = 1;
    expect_one(tk, &c, 0.646482090168, -0.196611933241, 0.235003712202);
    expect_one(tk, &d, 0.913484102436, 0.0474654811711, 0.149146452070);
}

TK_TEST(preference_pair, sppo_hard)
{
    const float chosen = 2, rejected = -1;
    pc_case c = pairs("sppo_hard", 1, &chosen, &rejected);
    c.d.unary_margin = 5; // 1 / (2 * 0.1)
    expect_one(tk, &c, 25, -6, 8);
}

TK_TEST(preference_pair, kto_as_a_pair_and_as_two_calls_of_one_side)
{
    const float chosen = 2, rejected = -1, shift = 0.1f * 0.5f;
    pc_case c = pairs("kto", 1, &chosen, &rejected);
    c.d.beta = 0.1f;
    c.io.unary_shift_dev = &shift;
    expect_one(tk, &c, 0.925140309313, -0.0248599006678, 0.0248599006678);
    pc_case up = c, down = c;
    up.io.rejected = NULL;
    up.d.unary[3] = 0;
    down.io.chosen = NULL;
    down.d.unary[0] = 0;
    pc_result first = pc_run(tk, &up), second = pc_run(tk, &down);
    tk_expect_ok(tk->ctx, first.status);
    tk_expect_ok(tk->ctx, second.status);
    const double sum = first.loss + second.loss, expected = 0.925140309313;
    tk_expect_close(&sum, &expected, 1, 1e-7, 4e-7);
    TK_EXPECT(first.grad_rejected == NULL && second.grad_chosen == NULL,
              "a side that is not there");
    pc_free(&first), pc_free(&second);
}

TK_TEST(preference_pair, centering_pulls_the_sum_of_scores_to_zero)
{
    const float chosen = 1.5f, rejected = 0.5f;
    pc_case c = pairs("trl.reward_centered", 1, &chosen, &rejected);
    expect_one(tk, &c, 0.353261687518, -0.228941421370, 0.308941421370);
}

// Labels, routes ----------------------------------------------------------------------------------

// Label -2 at d = 1/2: 2 sp(1/2); sp(2.5); sp(-1.5).
TK_TEST(preference_pair, helpsteer_labels_as_weights_and_as_margins)
{
    const float chosen = 0.5f, rejected = 0, two = 2;
    const int8_t outcome = -1;
    pc_case scaled = pairs("helpsteer2.scaled", 1, &chosen, &rejected);
    scaled.io.outcomes = &outcome;
    scaled.io.weights = &two;
    expect_one(tk, &scaled, 1.94815396836, 2 * 0.622459331202, -2 * 0.622459331202);
    pc_case margin = pairs("helpsteer2.margin", 1, &chosen, &rejected);
    margin.io.outcomes = &outcome;
    margin.io.margins = &two;
    expect_one(tk, &margin, 2.57888973429, 0.924141819979, -0.924141819979);
    margin.d.opposite = MERIT_OPPOSITE_NEGATE;
    expect_one(tk, &margin, 0.201413277983, 0.182425523806, -0.182425523806);
}

// Means of routes 0, 0, 1, half each.
TK_TEST(preference_pair, each_route_is_a_mean_of_its_own)
{
    const float chosen[] = {0, 1, 0}, rejected[] = {0, 0, 1}, alpha[] = {.5f, .5f};
    const int32_t routes[] = {0, 0, 1};
    const double first[] = {-0.125, -0.0672353553425, -0.365529289315};
    const double second[] = {0.125, 0.0672353553425, 0.365529289315};
    pc_case c = pc_scores("bt", 3, chosen, rejected);
    const pc_case plain = c;
    c.d.num_routes = 2;
    c.d.route_kind = MERIT_ROUTE_KIND_ARRAY;
    c.io.routes = routes;
    c.io.alpha = alpha;
    pc_expect(tk, &c, 0.908233060779, first, second);
    pc_expect(tk, &plain, 0.773223518532, NULL, NULL);
}

// Scores [2,2] flattened: column 0 holds pairs 0 and 2.
TK_TEST(preference_pair, columns_are_routes)
{
    const float chosen[] = {0, 0, 1, 0}, rejected[] = {0, 1, 0, 1}, alpha[] = {.5f, .5f};
    const double first[] = {-0.125, -0.182764644657, -0.0672353553425, -0.182764644657};
    pc_case c = pc_scores("bt", 4, chosen, rejected);
    c.d.num_routes = 2;
    c.d.route_kind = MERIT_ROUTE_KIND_COLUMN;
    c.io.alpha = alpha;
    pc_expect(tk, &c, 0.908233060779, first, NULL);
}

// Magnitudes --------------------------------------------------------------------------------------

TK_TEST(preference_pair, far_scores_reach_subnormals_and_plain_numbers)
{
    const float chosen[] = {100, -100, 1e4f, -1e4f}, rejected[4] = {0};
    const float losses[] = {0x1.bp-145f, 100, 0, 1e4f}; // e^-100 = 3.72e-44
    pc_case c = pairs("bt", 4, chosen, rejected);
    pc_result r = pc_run(tk, &c);
    tk_expect_ok(tk->ctx, r.status);
    const double gradients[] = {-0x1.bp-145, -1, -0.0, -1};
    tk_expect_bits(r.pair_loss, losses, 4, 4);
    tk_expect_bits(r.grad_chosen, gradients, 4, 8);
    pc_free(&r);
}

// Metrics -----------------------------------------------------------------------------------------

TK_TEST(preference_pair, metrics_of_four_pairs)
{
    const float chosen[] = {2, 0, -1, 3}, rejected[4] = {0};
    pc_case c = pairs("bt", 4, chosen, rejected);
    pc_result r = pc_run(tk, &c);
    tk_expect_ok(tk->ctx, r.status);
    const merit_preference_metrics *const m = r.metrics;
    TK_EXPECT(m->pairs == 4 && m->decided == 4 && m->correct_strict == 2 && m->tied == 1,
              "pairs %lld, decided %lld, correct %lld, tied %lld", (long long)m->pairs,
              (long long)m->decided, (long long)m->correct_strict, (long long)m->tied);
    TK_EXPECT(
        m->sum_difference == 4 && m->sum_difference_squared == 14 && m->sum_chosen == 4 &&
            m->sum_rejected == 0 && m->min_score == -1 && m->max_score == 3 && m->sum_weight == 4 &&
            m->invalid == 0 && m->zero_weight == 0 && m->label_ties == 0,
        "sums %g %g %g %g, range %g %g, weight %g", m->sum_difference, m->sum_difference_squared,
        m->sum_chosen, m->sum_rejected, m->min_score, m->max_score, m->sum_weight);
    pc_free(&r);
}

TK_TEST(preference_pair, calibration_of_four_pairs_in_five_bins)
{
    const float chosen[] = {2, -0.5f, 0.1f, -3}, rejected[4] = {0};
    const double confidence[] = {0.524979, 0.622459, 0, 0.880797, 0.952574};
    const double hits[] = {1, 0, 0, 1, 0}, counts[] = {1, 1, 0, 1, 1};
    pc_case c = pairs("bt", 4, chosen, rejected);
    c.d.calibration_bins = 5;
    pc_result r = pc_run(tk, &c);
    tk_expect_ok(tk->ctx, r.status);
    for (int b = 0; b < 5; b++) {
        const double actual[] = {(double)r.bins[b].count, r.bins[b].sum_confidence,
                                 r.bins[b].sum_hit};
        const double expected[] = {counts[b], confidence[b], hits[b]};
        tk_case("bin %d", b);
        tk_expect_close(actual, expected, 3, 1e-6, 0);
    }
    pc_free(&r);
}
