// The parts of merit_bench that decide what a number means: order statistics, error bounds, the
// names and filters of points.
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "accuracy.h"
#include "random.h"
#include "statistics.h"

// Statistics ------------------------------------------------------------------------------------------

// By hand: P(Binomial(6, 1/2) <= 0) = 1/64 <= 0.025 < 7/64; n = 5 has 1/32 > 0.025 already.
// n = 10: 11/1024 <= 0.025 < 56/1024. 30 and 100: ranks 10 and 40 of the usual tables.
Test(bench, rank_of_the_median_interval_is_the_binomial_one)
{
    const struct {
        int64_t n, rank;
    } cases[] = {{0, -1}, {1, -1}, {5, -1}, {6, 0}, {8, 0}, {9, 1}, {10, 1}, {30, 9}, {100, 39}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int64_t rank = bench_median_rank(cases[i].n);
        cr_expect(rank == cases[i].rank, "n %d: rank %d, expected %d", (int)cases[i].n, (int)rank,
                  (int)cases[i].rank);
    }
}

Test(bench, summary_of_known_samples)
{
    double samples[11] = {10, 0, 9, 1, 8, 2, 7, 3, 6, 4, 5};
    const bench_summary s = bench_summarize(samples, 11);
    cr_expect(s.count == 11 && s.min == 0 && s.median == 5);
    cr_expect(s.p5 == 0.5 && s.p25 == 2.5 && s.p75 == 7.5 && s.p95 == 9.5);
    cr_expect(s.ci_low == 1 && s.ci_high == 9, "interval [%g, %g]", s.ci_low, s.ci_high);
    cr_expect(bench_relative_error(&s) == 0.8 && bench_spread(&s) == 1.0);
}

Test(bench, too_few_samples_are_never_precise)
{
    double samples[5] = {1, 1, 1, 1, 1};
    const bench_summary s = bench_summarize(samples, 5);
    cr_expect(isinf(bench_relative_error(&s)));
}

// The interval must hold the true median in 95 % of experiments for a skewed distribution: exp(u) of
// a uniform u has median exp(1/2). 4000 experiments: the standard error is below 0.4 %.
Test(bench, interval_covers_the_median_as_often_as_it_says)
{
    enum { EXPERIMENTS = 4000, SAMPLES = 25 };
    int covered = 0;
    for (int e = 0; e < EXPERIMENTS; e++) {
        double samples[SAMPLES];
        for (int i = 0; i < SAMPLES; i++) {
            samples[i] = exp(bench_uniform(7, (uint64_t)(e * SAMPLES + i)));
        }
        const bench_summary s = bench_summarize(samples, SAMPLES);
        covered += s.ci_low <= exp(0.5) && exp(0.5) <= s.ci_high;
    }
    cr_expect(covered > 0.945 * EXPERIMENTS, "covered %d of %d", covered, EXPERIMENTS);
    cr_expect(covered < 0.975 * EXPERIMENTS, "covered %d of %d: too wide", covered, EXPERIMENTS);
}

// Accuracy --------------------------------------------------------------------------------------------

Test(bench, ulp_is_the_distance_of_neighbors)
{
    const float values[] = {1.0f, 1.5f, 1.9999999f, 2.0f, 1e-30f, 1e30f, 1e-40f};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        const double step = (double)nextafterf(values[i], INFINITY) - (double)values[i];
        cr_expect(bench_ulp32(values[i]) == step, "ulp of %g", (double)values[i]);
        cr_expect(bench_ulp32(-(double)values[i]) == step);
    }
    cr_expect(bench_ulp32(0) == 0x1p-149);
}

Test(bench, results_beyond_the_bound_are_wrong)
{
    bench_error error = {0};
    cr_expect(bench_check_f32(&error, 0, 1.0f, 1.0 + 0.5 * 0x1p-23, 0.5, 0));
    cr_expect(error.max_ulp == 0.5 && error.text[0] == '\0');
    cr_expect(!bench_check_f32(&error, 3, 1.0f + 0x1p-22f, 1.0, 1, 0));
    cr_expect(error.max_ulp == 2 && error.max_abs == 0x1p-22);
    cr_expect(strstr(error.text, "element 3") != NULL, "text: %s", error.text);
    cr_expect(bench_check_f32(&error, 4, 0.25f, 0, 0, 0.25), "the absolute part counts");
    cr_expect(!bench_check_f32(&error, 5, 0.25f, 0, 0, 0.2));
}

Test(bench, nan_agrees_with_nan_only)
{
    bench_error error = {0};
    cr_expect(bench_check_f32(&error, 0, NAN, (double)NAN, 0, 0));
    cr_expect(bench_check_f32(&error, 0, INFINITY, (double)INFINITY, 0, 0));
    cr_expect(!bench_check_f32(&error, 0, NAN, 1, 1e9, 1e9));
    cr_expect(!bench_check_f32(&error, 0, 1, (double)NAN, 1e9, 1e9));
    cr_expect(!bench_check_f32(&error, 0, INFINITY, 1, 1, 1));
    cr_expect(!bench_check_f32(&error, 0, -INFINITY, (double)INFINITY, 1, 1));
}

Test(bench, first_different_byte_is_found)
{
    const char a[8] = "abcdefg";
    const char b[8] = "abcdXfg";
    cr_expect(bench_first_difference(a, a, 8) == -1);
    cr_expect(bench_first_difference(a, b, 8) == 4);
    cr_expect(bench_first_difference(a, b, 4) == -1);
    cr_expect(bench_first_difference(a, b, 0) == -1);
}

// Points ----------------------------------------------------------------------------------------------

static const char *const layouts[] = {"even", "odd"};
static const bench_axis axes[] = {
    {"layout", layouts}, {"rows", NULL}, {"size", NULL}, {NULL, NULL}};
static const bench_sweep sweeps[] = {
    {{{1, 2}, {16, 32}, {8}}, BENCH_QUICK},
    {{{2}, {64}, {8}}, 0},
    {{{0}}, 0},
};
static const bench_op op = {.name = "op", .axes = axes, .sweeps = sweeps};

Test(bench, sweeps_are_products_in_order)
{
    const char *const expected[] = {"even 16x8", "even 32x8", "odd 16x8", "odd 32x8", "odd 64x8"};
    bench_point point;
    for (int i = 0; i < 5; i++) {
        char name[BENCH_TEXT];
        cr_assert(bench_point_at(&op, i, &point));
        bench_point_name(&point, name);
        cr_expect(strcmp(name, expected[i]) == 0, "point %d is %s", i, name);
        cr_expect(point.flags == (i < 4 ? BENCH_QUICK : 0));
    }
    cr_expect(!bench_point_at(&op, 5, &point));
}

Test(bench, filters_select_by_text_and_by_value)
{
    bench_point point;
    cr_assert(bench_point_at(&op, 3, &point)); // odd 32x8
    cr_expect(bench_point_matches(&point, NULL));
    cr_expect(bench_point_matches(&point, "32x"));
    cr_expect(!bench_point_matches(&point, "even"));
    cr_expect(bench_point_matches(&point, "layout=odd"));
    cr_expect(bench_point_matches(&point, "size=8,rows=32"));
    cr_expect(!bench_point_matches(&point, "size=8,rows=3"));
    cr_expect(!bench_point_matches(&point, "rows=320"));
    cr_expect(!bench_point_matches(&point, "columns=8"));
}
