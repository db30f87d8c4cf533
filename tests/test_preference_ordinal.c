// preference_ordinal: numbers worked by hand, the oracle over many shapes, hostile values, rejected
// calls.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ordinal_case.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof((array)[0])))

// p = (.2, .3, .5), r = (.5, .3, .2) as logs.
static void hand_logits(float *a, float *b)
{
    const double p[] = {0.2, 0.3, 0.5};
    for (int k = 0; k < 3; k++) {
        a[k] = (float)log(p[k]);
        b[k] = (float)log(p[2 - k]);
    }
}

static void expect_hand(tk_fixture *tk, const ordinal_case *c, double loss, const double *chosen,
                        const double *rejected)
{
    ordinal_result r = ordinal_run(tk, c);
    tk_expect_close(&r.loss, &loss, 1, 1e-7, 4e-7);
    if (chosen != NULL) {
        tk_expect_close(r.grad_chosen, chosen, c->d.num_levels, 1e-7, 4e-7);
        tk_expect_close(r.grad_rejected, rejected, c->d.num_levels, 1e-7, 4e-7);
    }
    ordinal_free(&r);
}

// By hand -----------------------------------------------------------------------------------------

TK_TEST(preference_ordinal, three_levels_by_hand)
{
    float a[3], b[3];
    hand_logits(a, b);
    const double a1[] = {0.2, 0.0272727272727, -0.227272727273};
    const double b1[] = {-0.227272727273, 0.0272727272727, 0.2};
    const double a2[] = {0.128057553957, 0.019424460432, -0.147482014388};
    const double b2[] = {-0.147482014388, 0.019424460432, 0.128057553957};
    ordinal_case c = ordinal_make("oprm", a, b, 1, 3);
    expect_hand(tk, &c, 0.597837000756, a1, b1);
    c = ordinal_make("oprm.half_tie", a, b, 1, 3);
    expect_hand(tk, &c, 0.363843433417, a2, b2);
}

TK_TEST(preference_ordinal, regions_by_hand)
{
    float a[3], b[3];
    hand_logits(a, b);
    const int32_t upper[] = {1, 2}, lower[] = {0, 1}, top[] = {2, 2};
    const double a1[] = {0.2, 0.0272727272727, -0.227272727273};
    const double b1[] = {-0.227272727273, 0.0272727272727, 0.2};
    const double a4[] = {0.2, 0.3, -0.5}, b4[] = {-0.125, -0.075, 0.2}, b5[] = {0.5, -0.7, 0.2};
    ordinal_case c = ordinal_make("oprm.rgft", a, b, 1, 3);
    c.io.chosen_region = upper, c.io.rejected_region = lower;
    expect_hand(tk, &c, 0.597837000756, a1, b1);
    c.io.chosen_region = top;
    expect_hand(tk, &c, 0.916290731874, a4, b4);
    c.io.chosen_region = c.io.rejected_region = upper;
    expect_hand(tk, &c, 1.89711998489, a4, b5);
}

TK_TEST(preference_ordinal, uniform_levels_by_hand)
{
    const float zero[9] = {0};
    const double third[] = {1.0 / 3, 0, -1.0 / 3}, back[] = {-1.0 / 3, 0, 1.0 / 3};
    ordinal_case c = ordinal_make("oprm", zero, zero, 1, 3);
    expect_hand(tk, &c, 1.09861228867, third, back);
    c = ordinal_make("oprm", zero, zero, 1, 9);
    expect_hand(tk, &c, 0.810930216216, NULL, NULL);
    c.d.tie_share = 0.5f;
    expect_hand(tk, &c, 0.693147180560, NULL, NULL);
}

TK_TEST(preference_ordinal, two_levels_by_hand)
{
    const float a[] = {0, 2}, b[] = {0, 0};
    const double ga[] = {0.119202922022, -0.119202922022}, gb[] = {-0.5, 0.5};
    ordinal_case c = ordinal_make("oprm", a, b, 1, 2);
    expect_hand(tk, &c, 0.820075191603, ga, gb);
}

TK_TEST(preference_ordinal, probabilities_that_underflow_by_hand)
{
    const float a[] = {0, -200, -200}, b[] = {-200, -200, 0};
    const double ga[] = {1, -1.0 / 3, -2.0 / 3}, gb[] = {-2.0 / 3, -1.0 / 3, 1};
    ordinal_case c = ordinal_make("oprm", a, b, 1, 3);
    expect_hand(tk, &c, 398.901387711, ga, gb);
    // the same gap, fifty times: sums of any sizes
    const float wide_a[] = {0, -1e4f, -1e4f}, wide_b[] = {-1e4f, -1e4f, 0};
    c = ordinal_make("oprm", wide_a, wide_b, 1, 3);
    expect_hand(tk, &c, 2e4 - log(3), ga, gb);
}

TK_TEST(preference_ordinal, means_and_orders_by_hand)
{
    float a[3], b[3];
    hand_logits(a, b);
    ordinal_case c = ordinal_make("oprm", a, b, 1, 3);
    ordinal_result r = ordinal_run(tk, &c);
    const double mean[] = {2.3, 1.7}, win = 0.55, tie = 0.29;
    tk_expect_close(r.mean, mean, 2, 0, 4e-7);
    tk_expect_close(r.win, &win, 1, 0, 4e-7);
    tk_expect_close(r.tie, &tie, 1, 0, 4e-7);
    TK_EXPECT(r.metrics.correct_strict == 1 && r.metrics.pairs == 1, "correct");
    ordinal_free(&r);
    c.d.first_value = -1, c.d.value_step = 0.5f;
    const double moved[] = {-0.35, -0.65};
    r = ordinal_run(tk, &c);
    tk_expect_close(r.mean, moved, 2, 0, 4e-7);
    ordinal_free(&r);
}

// Against the oracle ------------------------------------------------------------------------------

typedef struct random_pairs {
    float *a, *b, *weights;
    int32_t *region_a, *region_b;
    uint8_t *mask;
} random_pairs;

static random_pairs make_pairs(int64_t N, int K, uint64_t seed)
{
    tk_random random = {seed};
    random_pairs p;
    p.a = calloc((size_t)(N * K) + 1, sizeof(float));
    p.b = calloc((size_t)(N * K) + 1, sizeof(float));
    p.weights = calloc((size_t)N + 1, sizeof(float));
    p.region_a = calloc(2 * (size_t)N + 1, sizeof(int32_t));
    p.region_b = calloc(2 * (size_t)N + 1, sizeof(int32_t));
    p.mask = calloc((size_t)N + 1, 1);
    for (int64_t i = 0; i < N * K; i++) {
        p.a[i] = (float)(tk_below(&random, 65) - 32) / 8; // exact in 16 bits
        p.b[i] = (float)(tk_below(&random, 65) - 32) / 8;
    }
    for (int64_t n = 0; n < N; n++) {
        p.weights[n] = tk_chance(&random, 0.2) ? 0 : (float)(0.25 + tk_uniform(&random));
        p.mask[n] = tk_chance(&random, 0.8);
        p.region_a[2 * n] = (int32_t)tk_below(&random, K);
        p.region_a[2 * n + 1] = K - 1;
        p.region_b[2 * n + 1] = (int32_t)tk_below(&random, K);
    }
    return p;
}

static void free_pairs(random_pairs *p)
{
    free(p->a), free(p->b), free(p->weights), free(p->region_a), free(p->region_b), free(p->mask);
}

TK_TEST(preference_ordinal, all_levels_and_options_agree_with_the_oracle)
{
    const int levels[] = {2, 3, 9, 10, 16, 17, 33, 64};
    for (int k = 0; k < 8; k++) {
        const int K = levels[k];
        const int64_t N = 37;
        random_pairs p = make_pairs(N, K, 100 + (uint64_t)K);
        for (int variant = 0; variant < 5; variant++) {
            ordinal_case c = ordinal_make("oprm", p.a, p.b, N, K);
            c.d.reduction = variant % 4;
            const double denominator = 17.5;
            if (variant == 3) c.io.denominator = &denominator;
            if (variant >= 1) c.io.weights = p.weights;
            if (variant == 1 || variant == 2) c.io.mask = p.mask;
            if (variant >= 2) {
                c.d.temperature = 1.5f;
                c.d.tie_share = 0.25f * (float)variant;
                c.io.chosen_region = p.region_a, c.io.rejected_region = p.region_b;
            }
            c.in_place = variant == 4;
            tk_case("%d levels, variant %d", K, variant);
            ordinal_check(tk, &c);
        }
        free_pairs(&p);
    }
}

TK_TEST(preference_ordinal, sizes_around_tiles_agree_with_the_oracle)
{
    const int64_t sizes[] = {1, 31, 127, 128, 129, 255, 257, 2047, 2048, 2049, 4100};
    for (int k = 0; k < 11; k++) {
        random_pairs p = make_pairs(sizes[k], 3, 7 + (uint64_t)k);
        ordinal_case c = ordinal_make("oprm.half_tie", p.a, p.b, sizes[k], 3);
        c.io.weights = p.weights;
        c.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT;
        tk_case("%lld pairs", (long long)sizes[k]);
        ordinal_check(tk, &c);
        c.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_VALID;
        c.io.mask = p.mask;
        ordinal_check(tk, &c);
        free_pairs(&p);
    }
}

// A divisor that has to be summed: one launch up to 16384 pairs, two above.
TK_TEST(preference_ordinal, launches_are_as_documented)
{
    for (int k = 0; k < 2; k++) {
        const int64_t N = 16384 + k;
        random_pairs p = make_pairs(N, 2, 3);
        for (int by_weight = 0; by_weight < 2; by_weight++) {
            ordinal_case c = ordinal_make("oprm.half_tie", p.a, p.b, N, 2);
            c.d.reduction = by_weight ? MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT
                                      : MERIT_PREFERENCE_REDUCTION_MEAN_VALID;
            c.io.mask = p.mask;
            c.io.weights = p.weights;
            tk_launches(tk);
            ordinal_check(tk, &c);
            const int launches = tk_launches(tk);
            TK_EXPECT(launches == -1 || launches == 1 + k, "%d launches", launches);
        }
        free_pairs(&p);
    }
}

TK_TEST(preference_ordinal, many_pairs_agree_with_the_oracle)
{
    const int64_t N = tk->kind == TK_SIMT ? 5000 : 65537;
    random_pairs p = make_pairs(N, 2, 8);
    ordinal_case c = ordinal_make("oprm", p.a, p.b, N, 2);
    c.io.mask = p.mask;
    ordinal_check(tk, &c);
    free_pairs(&p);
}

TK_TEST(preference_ordinal, other_types_and_strides_agree_with_the_oracle)
{
    static const int32_t dtypes[] = {MERIT_DTYPE_BF16, MERIT_DTYPE_F16, MERIT_DTYPE_F32};
    random_pairs p = make_pairs(70, 5, 19);
    for (int k = 0; k < 6; k++) {
        ordinal_case c = ordinal_make("oprm", p.a, p.b, 70, 5);
        c.d.logit_dtype = dtypes[k % 3];
        c.d.chosen_stride = 7, c.d.rejected_stride = 5;
        c.d.grad_chosen_stride = 6, c.d.grad_rejected_stride = 9;
        c.in_place = k >= 3;
        if (c.in_place) c.d.grad_chosen_stride = 7, c.d.grad_rejected_stride = 0;
        ordinal_check(tk, &c);
    }
    free_pairs(&p);
}

// Properties --------------------------------------------------------------------------------------

TK_TEST(preference_ordinal, the_oracle_agrees_with_its_finite_differences)
{
    if (!tk->is_first_run) return;
    tk_random random = {5};
    enum { K = 6 };
    double a[K], b[K];
    for (int k = 0; k < K; k++) {
        a[k] = tk_normal(&random), b[k] = tk_normal(&random);
    }
    const int32_t upper[] = {2, 4}, lower[] = {0, 3};
    for (int variant = 0; variant < 3; variant++) {
        ordinal_case c = ordinal_make("oprm", NULL, NULL, 1, K);
        c.d.temperature = 1.25f;
        c.d.tie_share = 0.5f * (float)variant;
        if (variant > 0) c.io.chosen_region = upper, c.io.rejected_region = lower;
        ordinal_oracle *const o = ordinal_oracle_run(&c.d, &c.io, a, b);
        for (int k = 0; k < 2 * K; k++) {
            double *const x = k < K ? &a[k] : &b[k - K];
            const double kept = *x, h = 1e-5;
            double side[2];
            for (int j = 0; j < 2; j++) {
                *x = j == 0 ? kept - h : kept + h;
                ordinal_oracle *const q = ordinal_oracle_run(&c.d, &c.io, a, b);
                side[j] = q->loss;
                ordinal_oracle_free(q);
            }
            *x = kept;
            const double slope = (side[1] - side[0]) / (2 * h);
            const double expected = k < K ? o->grad_chosen[k] : o->grad_rejected[k - K];
            tk_expect_close(&slope, &expected, 1, 1e-7, 1e-7);
        }
        ordinal_oracle_free(o);
    }
}

TK_TEST(preference_ordinal, win_loss_and_tie_sum_to_one_and_rows_to_zero)
{
    random_pairs p = make_pairs(200, 9, 23);
    ordinal_case c = ordinal_make("oprm", p.a, p.b, 200, 9);
    ordinal_case d = ordinal_make("oprm", p.b, p.a, 200, 9);
    ordinal_result x = ordinal_run(tk, &c), y = ordinal_run(tk, &d);
    for (int n = 0; n < 200; n++) {
        const double sum = x.win[n] + y.win[n] + x.tie[n];
        TK_EXPECT(fabs(sum - 1) <= 4 * 0x1p-24, "pair %d: %.9g", n, sum);
        double row = 0;
        for (int k = 0; k < 9; k++) {
            row += x.grad_chosen[9 * n + k];
        }
        TK_EXPECT(fabs(row) <= 9 * 0x1p-24, "pair %d: row %g", n, row);
    }
    ordinal_free(&x), ordinal_free(&y);
    free_pairs(&p);
}

// Logits are multiples of 1/8, so that adding 16 is exact.
TK_TEST(preference_ordinal, a_shift_changes_no_bit)
{
    random_pairs p = make_pairs(50, 9, 29);
    float *const moved = calloc(450, sizeof *moved);
    for (int i = 0; i < 450; i++) {
        moved[i] = p.a[i] + 16;
    }
    ordinal_case c = ordinal_make("oprm", p.a, p.b, 50, 9), d = c;
    d.chosen = moved;
    ordinal_result x = ordinal_run(tk, &c), y = ordinal_run(tk, &d);
    tk_expect_bits(x.pair_loss, y.pair_loss, 50, 8);
    tk_expect_bits(x.chosen_words, y.chosen_words, 450, 4);
    tk_expect_bits(x.rejected_words, y.rejected_words, 450, 4);
    ordinal_free(&x), ordinal_free(&y);
    free(moved);
    free_pairs(&p);
}

TK_TEST(preference_ordinal, regions_of_all_levels_are_no_regions)
{
    random_pairs p = make_pairs(40, 9, 31);
    int32_t all[80];
    for (int n = 0; n < 40; n++) {
        all[2 * n] = 0, all[2 * n + 1] = 8;
    }
    ordinal_case c = ordinal_make("oprm.half_tie", p.a, p.b, 40, 9), d = c;
    d.io.chosen_region = d.io.rejected_region = all;
    ordinal_result x = ordinal_run(tk, &c), y = ordinal_run(tk, &d);
    tk_expect_bits(&x.loss, &y.loss, 1, 8);
    tk_expect_bits(x.chosen_words, y.chosen_words, 360, 4);
    tk_expect_bits(x.rejected_words, y.rejected_words, 360, 4);
    ordinal_free(&x), ordinal_free(&y);
    free_pairs(&p);
}

// K = 2: the chosen level is 1 and the rejected one 0.
TK_TEST(preference_ordinal, two_levels_are_two_logistic_losses)
{
    random_pairs p = make_pairs(60, 2, 37);
    ordinal_case c = ordinal_make("oprm", p.a, p.b, 60, 2);
    ordinal_result r = ordinal_run(tk, &c);
    for (int n = 0; n < 60; n++) {
        const double expected = log1p(exp((double)p.a[2 * n] - p.a[2 * n + 1])) +
                                log1p(exp((double)p.b[2 * n + 1] - p.b[2 * n]));
        tk_expect_close(&r.pair_loss[n], &expected, 1, 1e-7, 2e-7);
    }
    ordinal_free(&r);
    free_pairs(&p);
}

TK_TEST(preference_ordinal, equal_distributions_tie_exactly)
{
    random_pairs p = make_pairs(50, 9, 41);
    ordinal_case c = ordinal_make("oprm.half_tie", p.a, p.a, 50, 9);
    ordinal_result r = ordinal_run(tk, &c);
    TK_EXPECT(r.metrics.tied == 50 && r.metrics.correct_strict == 0, "%lld tied",
              (long long)r.metrics.tied);
    TK_EXPECT(r.metrics.sum_difference == 0, "%g", r.metrics.sum_difference);
    ordinal_free(&r);
    free_pairs(&p);
}

TK_TEST(preference_ordinal, parts_with_a_given_denominator_make_the_whole)
{
    enum { N = 2048 + 70, K = 3, CUT = 2048 };
    random_pairs p = make_pairs(N, K, 43);
    const double denominator = 999.25;
    ordinal_case whole = ordinal_make("oprm", p.a, p.b, N, K);
    whole.d.reduction = MERIT_PREFERENCE_REDUCTION_GIVEN;
    whole.io.denominator = &denominator;
    ordinal_case head = whole, tail = whole;
    head.d.num_pairs = CUT, tail.d.num_pairs = N - CUT;
    tail.chosen += CUT * K, tail.rejected += CUT * K;
    ordinal_result a = ordinal_run(tk, &whole), b = ordinal_run(tk, &head);
    ordinal_result c = ordinal_run(tk, &tail);
    tk_expect_bits(a.chosen_words, b.chosen_words, CUT * K, 4);
    tk_expect_bits(a.chosen_words + CUT * K, c.chosen_words, (N - CUT) * K, 4);
    tk_expect_bits(a.tiles, b.tiles, 1, 8);
    tk_expect_bits(a.tiles + 1, c.tiles, 1, 8);
    const double sum = b.loss + c.loss;
    tk_expect_close(&sum, &a.loss, 1, 0, 1e-15);
    ordinal_free(&a), ordinal_free(&b), ordinal_free(&c);
    free_pairs(&p);
}

TK_TEST(preference_ordinal, each_output_is_the_same_alone)
{
    random_pairs p = make_pairs(10, 4, 47);
    ordinal_case c = ordinal_make("oprm", p.a, p.b, 10, 4);
    c.io.weights = p.weights;
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT;
    ordinal_result all = ordinal_run(tk, &c);
    for (int bit = 1; bit < PO_ALL; bit *= 2) {
        c.outputs = bit;
        ordinal_result one = ordinal_run(tk, &c);
        if (bit == PO_LOSS) tk_expect_bits(&one.loss, &all.loss, 1, 8);
        if (bit == PO_GRAD_CHOSEN) tk_expect_bits(one.chosen_words, all.chosen_words, 40, 4);
        if (bit == PO_GRAD_REJECTED) tk_expect_bits(one.rejected_words, all.rejected_words, 40, 4);
        if (bit == PO_PAIR_LOSS) tk_expect_bits(one.pair_loss, all.pair_loss, 10, 8);
        if (bit == PO_WIN) tk_expect_bits(one.win, all.win, 10, 8);
        if (bit == PO_TIE) tk_expect_bits(one.tie, all.tie, 10, 8);
        if (bit == PO_MEAN) tk_expect_bits(one.mean, all.mean, 20, 8);
        if (bit == PO_METRICS) tk_expect_bits(&one.metrics, &all.metrics, 1, sizeof all.metrics);
        if (bit == PO_TILES) tk_expect_bits(one.tiles, all.tiles, 1, 8);
        ordinal_free(&one);
    }
    ordinal_free(&all);
    free_pairs(&p);
}

TK_TEST(preference_ordinal, grad_scale_scales_gradients_alone)
{
    random_pairs p = make_pairs(4, 4, 53);
    const float scale = -4;
    ordinal_case c = ordinal_make("oprm", p.a, p.b, 4, 4), d = c;
    d.io.grad_scale = &scale;
    ordinal_result x = ordinal_run(tk, &c), y = ordinal_run(tk, &d);
    tk_expect_bits(&x.loss, &y.loss, 1, 8);
    for (int i = 0; i < 16; i++) {
        TK_EXPECT(y.grad_chosen[i] == -4 * x.grad_chosen[i], "%g", y.grad_chosen[i]);
    }
    ordinal_free(&x), ordinal_free(&y);
    free_pairs(&p);
}

// Hostile values ----------------------------------------------------------------------------------

TK_TEST(preference_ordinal, finite_logits_never_give_nan)
{
    static const float sizes[] = {88.7f, 1e4f, 1e12f, 0x1p41f, 0x1p51f, 1e30f, FLT_MAX, FLT_MIN};
    for (int j = 0; j < 8; j++) {
        const float s = sizes[j];
        const float a[] = {s, -s, 0, s / 2}, b[] = {-s, s, s / 3, -s};
        for (int t = 0; t < 3; t++) {
            ordinal_case c = ordinal_make("oprm.half_tie", a, b, 1, 4);
            c.d.temperature = t == 0 ? 1 : t == 1 ? FLT_MIN : FLT_MAX;
            ordinal_result r = ordinal_run(tk, &c);
            tk_case("%g, temperature %g", (double)s, (double)c.d.temperature);
            TK_EXPECT(!isnan(r.loss) && r.loss >= 0, "loss %g", r.loss);
            for (int k = 0; k < 4; k++) {
                TK_EXPECT(!isnan(r.grad_chosen[k]) && !isnan(r.grad_rejected[k]), "gradient %d", k);
            }
            TK_EXPECT(!isnan(r.win[0]) && !isnan(r.mean[1]), "win or mean");
            ordinal_free(&r);
        }
    }
}

TK_TEST(preference_ordinal, levels_of_minus_infinity_have_probability_zero)
{
    const float a[] = {-INFINITY, 1, 0.5f, -INFINITY}, b[] = {0.25f, -INFINITY, 0, -1};
    ordinal_case c = ordinal_make("oprm.half_tie", a, b, 1, 4);
    ordinal_check(tk, &c);
    ordinal_result r = ordinal_run(tk, &c);
    TK_EXPECT(r.grad_chosen[0] == 0 && r.grad_chosen[3] == 0 && r.grad_rejected[1] == 0,
              "gradient");
    ordinal_free(&r);
    // certain: nothing is lost
    const float high[] = {-INFINITY, -INFINITY, 3, -INFINITY};
    const float low[] = {-INFINITY, 9, -INFINITY, -INFINITY};
    c = ordinal_make("oprm", high, low, 1, 4);
    r = ordinal_run(tk, &c);
    TK_EXPECT(r.loss == 0 && r.win[0] == 1 && r.mean[0] == 3 && r.mean[1] == 2, "%g", r.loss);
    ordinal_free(&r);
    c = ordinal_make("oprm", low, high, 1, 4);
    ordinal_check(tk, &c); // impossible: NaN, counted
}

TK_TEST(preference_ordinal, masked_pairs_may_hold_anything)
{
    const float a[] = {1, 2, NAN, INFINITY, 0, 1}, b[] = {0, 1, NAN, 5, 1, 0};
    const float plain_a[] = {1, 2, 0, 0, 0, 1}, plain_b[] = {0, 1, 0, 0, 1, 0};
    const float weights[] = {1, NAN, 2}, plain_weights[] = {1, 0, 2};
    const int32_t region[] = {0, 1, 7, -9, 0, 1};
    const uint8_t mask[] = {1, 0, 255};
    ordinal_case c = ordinal_make("oprm.half_tie", a, b, 3, 2);
    ordinal_case d = ordinal_make("oprm.half_tie", plain_a, plain_b, 3, 2);
    c.d.reduction = d.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_VALID;
    c.io.mask = d.io.mask = mask;
    c.io.weights = weights, d.io.weights = plain_weights;
    c.io.chosen_region = c.io.rejected_region = region;
    ordinal_result x = ordinal_run(tk, &c), y = ordinal_run(tk, &d);
    tk_expect_bits(&x.loss, &y.loss, 1, 8);
    tk_expect_bits(x.chosen_words, y.chosen_words, 6, 4);
    tk_expect_bits(x.rejected_words, y.rejected_words, 6, 4);
    tk_expect_bits(&x.metrics, &y.metrics, 1, sizeof x.metrics);
    tk_expect_bits(&x.diagnostics, &y.diagnostics, 1, sizeof x.diagnostics);
    const uint32_t zeros[2] = {0, 0};
    tk_expect_bits(x.chosen_words + 2, zeros, 2, 4);
    ordinal_free(&x), ordinal_free(&y);
    // weight 0: absent, but valid
    const float none[] = {1, 0, 2};
    c.io.mask = NULL, c.io.weights = none;
    ordinal_check(tk, &c);
}

// Bad input ---------------------------------------------------------------------------------------

TK_TEST(preference_ordinal, a_bad_pair_is_nan_alone_and_counted)
{
    for (int what = 0; what < 10; what++) {
        for (int skip = 0; skip < 2; skip++) {
            float a[] = {0, 1, 2, 0.5f, 1, 0, 1, 0, 1}, b[] = {1, 0, 0, 1, 0, 2, 0.5f, 1, 1};
            float weights[] = {1, 2, 0.5f};
            int32_t upper[] = {1, 2, 1, 2, 0, 2}, lower[] = {0, 1, 0, 1, 0, 2};
            switch (what) {
            case 0: a[4] = NAN; break;
            case 1: b[5] = INFINITY; break;
            case 2: a[3] = a[4] = a[5] = -INFINITY; break;
            case 3: weights[1] = -1; break;
            case 4: weights[1] = NAN; break;
            case 5: weights[1] = INFINITY; break;
            case 6: upper[3] = 3; break;
            case 7: lower[2] = -1; break;
            case 8: upper[2] = 2, upper[3] = 1; break;
            default: upper[2] = upper[3] = 1, lower[2] = 1, lower[3] = 2; break; // nothing above
            }
            ordinal_case c = ordinal_make("oprm.rgft", a, b, 3, 3);
            c.d.skip_invalid = skip;
            c.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_VALID;
            c.io.weights = weights;
            c.io.chosen_region = upper, c.io.rejected_region = lower;
            tk_case("case %d, skip %d", what, skip);
            ordinal_check(tk, &c);
        }
    }
}

TK_TEST(preference_ordinal, a_zero_denominator_is_ieee_and_counted)
{
    const float a[] = {0, 1, 1, 0}, b[] = {1, 0, 0, 0}, weights[] = {1, 0};
    const double zero = 0;
    ordinal_case c = ordinal_make("oprm", a, b, 2, 2);
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_GIVEN;
    c.io.denominator = &zero;
    c.io.weights = weights;
    ordinal_result r = ordinal_run(tk, &c);
    TK_EXPECT(r.loss == INFINITY && r.grad_chosen[0] == INFINITY && r.grad_chosen[2] == 0, "%g",
              r.loss);
    TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_ZERO_DENOMINATOR] == 1, "counted");
    ordinal_free(&r);
    const float none[] = {0, 0};
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT;
    c.io.denominator = NULL, c.io.weights = none;
    ordinal_check(tk, &c);
}

TK_TEST(preference_ordinal, no_pairs_are_fine)
{
    ordinal_case c = ordinal_make("oprm", NULL, NULL, 0, 9);
    ordinal_result r = ordinal_run(tk, &c);
    TK_EXPECT(r.loss == 0 && r.metrics.pairs == 0 && r.metrics.sum_loss == 0, "%g", r.loss);
    ordinal_free(&r);
    const float a[] = {NAN, 1}, b[] = {1, 1};
    const uint8_t mask[] = {0};
    c = ordinal_make("oprm", a, b, 1, 2);
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_VALID;
    c.io.mask = mask;
    ordinal_check(tk, &c);
}

// Rejected calls ----------------------------------------------------------------------------------

typedef void spoil(merit_preference_ordinal_desc *d, merit_preference_ordinal_io *io);

#define SPOIL(name, statement)                                                          \
    static void name(merit_preference_ordinal_desc *d, merit_preference_ordinal_io *io) \
    {                                                                                   \
        (void)d, (void)io;                                                              \
        statement;                                                                      \
    }

static const int32_t some_region[2] = {0, 1};
static const double some_denominator = 1;

SPOIL(bad_pairs, d->num_pairs = -1)
SPOIL(one_level, d->num_levels = 1)
SPOIL(many_levels, d->num_levels = 65)
SPOIL(bad_dtype, d->logit_dtype = MERIT_DTYPE_I32)
SPOIL(short_chosen, d->chosen_stride = 1)
SPOIL(short_rejected, d->rejected_stride = -1)
SPOIL(short_grad_chosen, d->grad_chosen_stride = 1)
SPOIL(short_grad_rejected, d->grad_rejected_stride = 1)
SPOIL(bad_temperature, d->temperature = 0)
SPOIL(nan_temperature, d->temperature = NAN)
SPOIL(bad_share, d->tie_share = 1.5f)
SPOIL(bad_first, d->first_value = INFINITY)
SPOIL(bad_step, d->value_step = 0)
SPOIL(bad_reduction, d->reduction = MERIT_PREFERENCE_REDUCTION_MEAN_GROUPS)
SPOIL(bad_skip, d->skip_invalid = 2)
SPOIL(no_chosen, io->chosen_logits = NULL)
SPOIL(no_rejected, io->rejected_logits = NULL)
SPOIL(one_region, io->chosen_region = some_region)
SPOIL(other_region, io->rejected_region = some_region)
SPOIL(no_denominator, d->reduction = MERIT_PREFERENCE_REDUCTION_GIVEN)
SPOIL(extra_denominator, io->denominator = &some_denominator)
SPOIL(overlap, io->win = (float *)io->grad_chosen_logits)
SPOIL(wrong_place, io->grad_chosen_logits = (void *)(uintptr_t)io->rejected_logits)

static const struct rejected {
    spoil *spoil;
    const char *words;
} rejections[] = {
    {bad_pairs, "num_pairs is -1"},
    {one_level, "num_levels is 1|2..64"},
    {many_levels, "num_levels is 65|2..64"},
    {bad_dtype, "logit_dtype is 4"},
    {short_chosen, "chosen_stride is 1|num_levels"},
    {short_rejected, "rejected_stride is -1"},
    {short_grad_chosen, "grad_chosen_stride is 1"},
    {short_grad_rejected, "grad_rejected_stride is 1"},
    {bad_temperature, "temperature is 0"},
    {nan_temperature, "temperature is nan"},
    {bad_share, "tie_share is 1.5"},
    {bad_first, "first_value is inf"},
    {bad_step, "value_step is 0"},
    {bad_reduction, "reduction is 4|0..3"},
    {bad_skip, "skip_invalid is 2"},
    {no_chosen, "chosen_logits is NULL"},
    {no_rejected, "rejected_logits is NULL"},
    {one_region, "rejected_region is NULL|chosen_region"},
    {other_region, "chosen_region is NULL|rejected_region"},
    {no_denominator, "denominator is NULL|GIVEN"},
    {extra_denominator, "denominator is given|GIVEN"},
    {overlap, "win|overlaps|grad_chosen_logits"},
    {wrong_place, "grad_chosen_logits|rejected_logits"},
};

TK_TEST(preference_ordinal, rejected_calls_say_why_and_write_nothing)
{
    const float logits[] = {0, 1};
    for (int64_t k = 0; k < COUNT(rejections); k++) {
        ordinal_case c = ordinal_make("oprm", logits, logits, 1, 2);
        merit_preference_ordinal_desc d = c.d;
        merit_preference_ordinal_io io = c.io;
        void *const chosen = tk_output(tk, 2, 4);
        io.chosen_logits = tk_input(tk, logits, 2, 4);
        io.rejected_logits = tk_input(tk, logits, 2, 4);
        io.grad_chosen_logits = chosen;
        io.loss = tk_output(tk, 1, 8);
        rejections[k].spoil(&d, &io);
        void *const workspace = tk_workspace(tk, 1 << 14);
        const merit_status status =
            merit_preference_ordinal(tk->ctx, &d, &io, workspace, 1 << 14, NULL);
        tk_case("rejection %lld", (long long)k);
        tk_expect_rejected(tk->ctx, status, MERIT_STATUS_INVALID_ARGUMENT, rejections[k].words);
        unsigned char bytes[8];
        tk_read(tk, chosen, bytes, 2, 4);
        TK_EXPECT(tk_untouched(bytes, 2, 4), "the gradient was written");
        tk_read(tk, io.loss, bytes, 1, 8);
        TK_EXPECT(tk_untouched(bytes, 1, 8), "the loss was written");
        tk_release(tk);
    }
    ordinal_case c = ordinal_make("oprm", logits, logits, 1, 2);
    size_t bytes = 0;
    tk_expect_ok(tk->ctx, merit_preference_ordinal_workspace(tk->ctx, &c.d, &bytes));
    merit_preference_ordinal_io io = c.io;
    io.chosen_logits = io.rejected_logits = tk_input(tk, logits, 2, 4);
    void *const workspace = tk_workspace(tk, bytes);
    tk_expect_rejected(tk->ctx,
                       merit_preference_ordinal(tk->ctx, &c.d, &io, workspace, bytes - 1, NULL),
                       MERIT_STATUS_WORKSPACE_TOO_SMALL, "workspace has");
    tk_expect_rejected(tk->ctx, merit_preference_ordinal_workspace(tk->ctx, &c.d, NULL),
                       MERIT_STATUS_INVALID_ARGUMENT, "bytes is NULL");
}

Test(preference_ordinal, presets_leave_sizes_alone)
{
    merit_preference_ordinal_desc d;
    cr_assert(merit_preference_ordinal_desc_init(&d, sizeof d) == MERIT_STATUS_OK);
    int count = 0;
    while (merit_preference_ordinal_preset_name(count) != NULL) {
        d.num_pairs = 17, d.num_levels = 5, d.chosen_stride = 8, d.logit_dtype = MERIT_DTYPE_F16;
        cr_assert(merit_preference_ordinal_preset(merit_preference_ordinal_preset_name(count),
                                                  &d) == MERIT_STATUS_OK);
        cr_assert(d.num_pairs == 17 && d.num_levels == 5 && d.chosen_stride == 8 &&
                  d.logit_dtype == MERIT_DTYPE_F16);
        count++;
    }
    cr_assert(count == 3, "%d presets", count);
    cr_assert(merit_preference_ordinal_preset("oprm.half_tie", &d) == MERIT_STATUS_OK);
    cr_assert(d.tie_share == 0.5f && d.temperature == 1 && d.value_step == 1);
    cr_assert(merit_preference_ordinal_preset("nothing", &d) == MERIT_STATUS_NOT_FOUND);
    cr_assert(merit_preference_ordinal_preset(NULL, &d) == MERIT_STATUS_INVALID_ARGUMENT);
    cr_assert(merit_preference_ordinal_preset("oprm", NULL) == MERIT_STATUS_INVALID_ARGUMENT);
}
