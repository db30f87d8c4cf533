// dominance_quantile_sort: rows worked by hand, the oracle over sizes.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sort_case.h"

// -0 before 0, equal values in their order, NaN of either sign last and canonical.
TK_TEST(dominance_quantile_sort, matches_a_row_sorted_by_hand)
{
    const float values[] = {3, -NAN, 0, -0.0f, INFINITY, 3, NAN, -INFINITY, -2, -0x1p-149f};
    const float sorted[] = {-INFINITY, -2, -0x1p-149f, -0.0f, 0, 3, 3, INFINITY, NAN, NAN};
    const int32_t index[] = {7, 8, 9, 3, 2, 0, 5, 4, 1, 6};
    sort_case c = sort_make(values, 1, 10);
    sort_result r = sort_run(tk, &c);
    tk_expect_bits(r.sorted, sorted, 10, sizeof(float));
    tk_expect_bits(r.index, index, 10, sizeof(int32_t));
    sort_free(&r);
    sort_check(tk, &c);
}

// N = 5: ceil(5 tau) - 1. 0.2 and 0.6 fall on an element, 0.21 goes to the next.
TK_TEST(dominance_quantile_sort, levels_take_the_left_continuous_inverse)
{
    static const float values[] = {50, 10, 40, 20, 30};
    static const double tau[] = {1e-9, .2, .21, .5, .6, .95, 1};
    static const float expected[] = {10, 10, 20, 30, 30, 50, 50};
    static const int32_t index[] = {1, 1, 3, 4, 4, 0, 0};
    sort_case c = sort_make(values, 1, 5);
    c.d.tau = tau, c.d.num_taus = 7;
    sort_result r = sort_run(tk, &c);
    tk_expect_bits(r.sorted, expected, 7, sizeof(float));
    tk_expect_bits(r.index, index, 7, sizeof(int32_t));
    sort_free(&r);
}

static float any_value(tk_random *random, int kind)
{
    if (kind == 1) return (float)tk_below(random, 4) - 2; // many ties
    if (kind == 2) { // any bits
        const uint32_t bits = (uint32_t)tk_bits(random);
        float value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    if (kind == 3 && tk_chance(random, .5)) {
        const float special[] = {NAN, -NAN, 0, -0.0f, INFINITY, -INFINITY};
        return special[tk_below(random, 6)];
    }
    return (float)tk_normal(random);
}

static void check_rows(tk_fixture *tk, tk_random *random, int64_t rows, int levels)
{
    static const double many[] = {.05, .1, .25, .3, .5, .7, .75, .9, .95};
    sort_case c = sort_make(NULL, rows, levels);
    if (tk_chance(random, .3)) c.d.ld_values = levels + tk_below(random, 4);
    if (tk_chance(random, .3)) c.d.num_taus = 1 + (int)tk_below(random, 9), c.d.tau = many;
    const int results = c.d.num_taus > 0 ? c.d.num_taus : levels;
    if (tk_chance(random, .3)) c.d.ld_sorted = results + tk_below(random, 4);
    c.without_index = tk_chance(random, .4);
    c.without_sorted = !c.without_index && tk_chance(random, .2);
    if (!c.without_sorted && tk_chance(random, .3)) {
        c.in_place = 1;
        c.d.ld_values = levels + tk_below(random, 3);
        c.d.ld_sorted = c.d.ld_values;
    }
    if (c.in_place && results > levels) c.d.num_taus = 0, c.d.tau = NULL;
    tk->shift = (int)tk_below(random, 4);
    const int64_t count = rows * (c.d.ld_values == 0 ? levels : c.d.ld_values);
    float *const values = malloc(((size_t)count + 1) * sizeof *values);
    const int kind = (int)tk_below(random, 4);
    for (int64_t i = 0; i < count; i++) {
        values[i] = any_value(random, kind);
    }
    c.values = values;
    tk_case("%lld rows of %d, %d levels, kind %d", (long long)rows, levels, c.d.num_taus, kind);
    sort_check(tk, &c);
    free(values);
}

TK_TEST(dominance_quantile_sort, sizes_agree_with_the_oracle)
{
    static const int sizes[] = {1,   2,   3,   4,   5,   7,   8,    15,   16,  17,  23,
                                24,  25,  31,  32,  33,  63,  64,   65,   100, 127, 128,
                                129, 200, 255, 256, 257, 500, 1023, 1024, 1025};
    enum { NUM_SIZES = sizeof sizes / sizeof sizes[0] };
    tk_random random = {31};
    for (int round = 0; round < (tk->kind == TK_SIMT ? 2 : 4); round++) {
        for (int k = 0; k < NUM_SIZES; k++) {
            const int most = sizes[k] > 200 ? 3 : 40;
            check_rows(tk, &random, 1 + tk_below(&random, most), sizes[k]);
        }
    }
}

TK_TEST(dominance_quantile_sort, long_rows_agree_with_the_oracle)
{
    static const int sizes[] = {2047, 2048, 2049, 4095, 4096, 4097, 8192, 8193, 20000, 65536};
    tk_random random = {32};
    for (int k = 0; k < 10; k++) {
        check_rows(tk, &random, sizes[k] > 4096 ? 2 : 1, sizes[k]);
    }
}

// More short rows than the blocks of a device or the slots of a CPU take at a time.
TK_TEST(dominance_quantile_sort, many_rows_agree_with_the_oracle)
{
    tk_random random = {33};
    check_rows(tk, &random, 5000, 3);
    check_rows(tk, &random, 9000, 1);
    check_rows(tk, &random, 700, 20);
}

TK_TEST(dominance_quantile_sort, launches_once)
{
    static float values[5000];
    for (int k = 0; k < 3; k++) {
        sort_case c = sort_make(values, k, k == 2 ? 2500 : 5000);
        tk_launches(tk);
        sort_result r = sort_run(tk, &c);
        const int launches = tk_launches(tk);
        TK_EXPECT(launches == (tk->emulated ? k > 0 : -1), "%d launches", launches);
        sort_free(&r);
    }
}
