// preference_ordinal: properties of losses, gradients and parts of a call.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ordinal_random.h"

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
    ordinal_random p = ordinal_random_make(200, 9, 23);
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
    ordinal_random_free(&p);
}

// Logits are multiples of 1/8, so that adding 16 is exact.
TK_TEST(preference_ordinal, a_shift_changes_no_bit)
{
    ordinal_random p = ordinal_random_make(50, 9, 29);
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
    ordinal_random_free(&p);
}

TK_TEST(preference_ordinal, regions_of_all_levels_are_no_regions)
{
    ordinal_random p = ordinal_random_make(40, 9, 31);
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
    ordinal_random_free(&p);
}

// K = 2: the chosen level is 1 and the rejected one 0.
TK_TEST(preference_ordinal, two_levels_are_two_logistic_losses)
{
    ordinal_random p = ordinal_random_make(60, 2, 37);
    ordinal_case c = ordinal_make("oprm", p.a, p.b, 60, 2);
    ordinal_result r = ordinal_run(tk, &c);
    for (int n = 0; n < 60; n++) {
        const double expected = log1p(exp((double)p.a[2 * n] - p.a[2 * n + 1])) +
                                log1p(exp((double)p.b[2 * n + 1] - p.b[2 * n]));
        tk_expect_close(&r.pair_loss[n], &expected, 1, 1e-7, 2e-7);
    }
    ordinal_free(&r);
    ordinal_random_free(&p);
}

TK_TEST(preference_ordinal, equal_distributions_tie_exactly)
{
    ordinal_random p = ordinal_random_make(50, 9, 41);
    ordinal_case c = ordinal_make("oprm.half_tie", p.a, p.a, 50, 9);
    ordinal_result r = ordinal_run(tk, &c);
    TK_EXPECT(r.metrics.tied == 50 && r.metrics.correct_strict == 0, "%lld tied",
              (long long)r.metrics.tied);
    TK_EXPECT(r.metrics.sum_difference == 0, "%g", r.metrics.sum_difference);
    ordinal_free(&r);
    ordinal_random_free(&p);
}

// Neighbors first; an odd one out passes through.
static double fold(double *values, int64_t count)
{
    while (count > 1) {
        for (int64_t i = 0; i < count / 2; i++) {
            values[i] = values[2 * i] + values[2 * i + 1];
        }
        if (count % 2 == 1) values[count / 2] = values[count - 1];
        count = (count + 1) / 2;
    }
    return values[0];
}

static void compare_parts(tk_fixture *tk, const ordinal_case *c, const int64_t *parts,
                          int is_aligned)
{
    const int64_t K = c->d.num_levels, N = c->d.num_pairs;
    ordinal_result whole = ordinal_run(tk, c);
    double loss = 0, tiles[8];
    int64_t first = 0, num_tiles = 0;
    for (int k = 0; first < N; k++) {
        const int64_t count = parts[k] < N - first ? parts[k] : N - first;
        ordinal_case some = *c;
        some.d.num_pairs = count;
        some.chosen += first * K, some.rejected += first * K;
        some.io.weights += first;
        ordinal_result p = ordinal_run(tk, &some);
        tk_expect_bits(p.chosen_words, whole.chosen_words + first * K, count * K, 4);
        tk_expect_bits(p.rejected_words, whole.rejected_words + first * K, count * K, 4);
        tk_expect_bits(p.pair_loss, whole.pair_loss + first, count, 8);
        for (int64_t t = 0; t < (count + 2047) / 2048 && is_aligned; t++) {
            tiles[num_tiles++] = p.tiles[t];
        }
        loss += p.loss;
        first += count;
        ordinal_free(&p);
    }
    tk_expect_close(&loss, &whole.loss, 1, 0, 1e-15 + 4e-16); // the last term: of adding them here
    if (is_aligned) {
        const double folded = fold(tiles, num_tiles) / c->io.denominator[0];
        tk_expect_bits(&folded, &whole.loss, 1, 8);
    }
    ordinal_free(&whole);
}

TK_TEST(preference_ordinal, parts_with_a_given_denominator_make_the_whole)
{
    enum { N = 6300, K = 3 };
    static const int64_t ragged[] = {1, 31, 300, 17, 256, 999, 2048, N};
    static const int64_t whole_tiles[] = {2048, 4096, N};
    static const double denominator = 999.25;
    ordinal_random p = ordinal_random_make(N, K, 43);
    ordinal_case c = ordinal_make("oprm", p.a, p.b, N, K);
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_GIVEN;
    c.io.denominator = &denominator;
    c.io.weights = p.weights;
    compare_parts(tk, &c, ragged, 0);
    compare_parts(tk, &c, whole_tiles, 1);
    ordinal_random_free(&p);
}

TK_TEST(preference_ordinal, each_output_is_the_same_alone)
{
    ordinal_random p = ordinal_random_make(10, 4, 47);
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
    ordinal_random_free(&p);
}

TK_TEST(preference_ordinal, grad_scale_scales_gradients_alone)
{
    ordinal_random p = ordinal_random_make(4, 4, 53);
    const float scale = -4;
    ordinal_case c = ordinal_make("oprm", p.a, p.b, 4, 4), d = c;
    d.io.grad_scale = &scale;
    ordinal_result x = ordinal_run(tk, &c), y = ordinal_run(tk, &d);
    tk_expect_bits(&x.loss, &y.loss, 1, 8);
    for (int i = 0; i < 16; i++) {
        TK_EXPECT(y.grad_chosen[i] == -4 * x.grad_chosen[i], "%g", y.grad_chosen[i]);
    }
    ordinal_free(&x), ordinal_free(&y);
    ordinal_random_free(&p);
}
