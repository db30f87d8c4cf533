// advantage_spread: values of segments over their tokens.
#include <math.h>

#include "group_case.h"
#include "spread_case.h"

// By hand -----------------------------------------------------------------------------------------

TK_TEST(advantage_spread, repeats_each_value_over_its_segment)
{
    const float values[] = {.5f, -1, 3};
    const int64_t offsets[] = {0, 2, 2, 5};
    const float expected[] = {.5f, .5f, 3, 3, 3};
    spread_case c = spread_make(values, 3, 5);
    c.d.segments.offsets = offsets;
    spread_expect_floats(tk, &c, expected);
}

TK_TEST(advantage_spread, gain_mask_and_add_take_part)
{
    const float values[] = {.5f, -1};
    const int64_t offsets[] = {0, 2, 5};
    const uint8_t mask[] = {1, 0, 2, 1, 0};
    const float add[] = {.25f, NAN, 0, 1, INFINITY};
    const float expected[] = {1.25f, 0, -2, -1, 0};
    spread_case c = spread_make(values, 2, 5);
    c.d.segments.offsets = offsets;
    c.d.gain = 2;
    c.mask = mask;
    c.add = add;
    spread_expect_floats(tk, &c, expected);
    c.in_place = 1;
    spread_expect_floats(tk, &c, expected);
}

TK_TEST(advantage_spread, tokens_in_no_segment_get_zero)
{
    const float values[] = {7, 8};
    const int64_t offsets[] = {1, 2, 4};
    const float by_offsets[] = {0, 7, 8, 8, 0, 0, 0};
    const float by_stride[] = {7, 7, 0, 8, 8, 0, 0};
    const float add[] = {1, 1, 1, 1, 1, 1, 1};
    const float added[] = {8, 8, 0, 9, 9, 0, 0};
    spread_case c = spread_make(values, 2, 7);
    c.d.segments.offsets = offsets;
    spread_expect_floats(tk, &c, by_offsets);
    spread_case d = spread_make(values, 2, 7);
    d.d.segments.group_size = 2;
    d.d.segments.group_stride = 3;
    spread_expect_floats(tk, &d, by_stride);
    d.add = add;
    spread_expect_floats(tk, &d, added);
}

// Position 0 is token 2, and so on: index as group_index gives it, token 1 in its tail.
TK_TEST(advantage_spread, positions_stand_for_indexed_tokens)
{
    const float values[] = {5, 6};
    const int64_t offsets[] = {0, 2, 3};
    const int32_t index[] = {2, 3, 0, 1};
    const float expected[] = {6, 0, 5, 5};
    spread_case c = spread_make(values, 2, 4);
    c.d.segments.offsets = offsets;
    c.d.segments.index = index;
    spread_expect_floats(tk, &c, expected);
}

// 1 + 2^-8 lies between the bf16 numbers 1 and 1 + 2^-7. 2^-40 more decides, but not in binary32.
TK_TEST(advantage_spread, bf16_is_rounded_once)
{
    const double values[] = {1 + 0x1p-8, 1 + 0x1p-8 + 0x1p-40, -1 - 0x1p-8 - 0x1p-40, 1 + 0x3p-8,
                             1 + 0x3p-8 - 0x1p-40};
    const uint32_t expected[] = {0x3f80, 0x3f81, 0xbf81, 0x3f82, 0x3f81};
    spread_case c = spread_make(values, 5, 5);
    c.d.segments.group_size = 1;
    c.d.value_dtype = MERIT_DTYPE_F64;
    c.d.out_dtype = MERIT_DTYPE_BF16;
    spread_expect_words(tk, &c, expected);
}

// 2^24 + 1 is no binary32: the product and the sum are binary64.
TK_TEST(advantage_spread, product_and_sum_are_not_rounded_to_binary32)
{
    const float values[] = {0x1p24f};
    const float add[] = {1, 1 - 0x1p24f};
    const double wide[] = {0x1.00000100001p0};
    const float expected[] = {0x1p24f, 1};
    const float narrow[] = {0x1.000002p0f};
    spread_case c = spread_make(values, 1, 2);
    c.d.segments.group_size = 2;
    c.add = add;
    spread_expect_floats(tk, &c, expected);
    spread_case d = spread_make(wide, 1, 1);
    d.d.segments.group_size = 1;
    d.d.value_dtype = MERIT_DTYPE_F64;
    spread_expect_floats(tk, &d, narrow);
}

// A payload does not reach the output.
TK_TEST(advantage_spread, a_nan_stays_in_its_segment_and_is_canonical)
{
    const uint32_t payload = 0xffc12345;
    float values[] = {1, 0, 2};
    memcpy(&values[1], &payload, sizeof payload);
    const uint32_t expected[] = {0x3f800000, 0x7fc00000, 0x40000000};
    const uint32_t halves[] = {0x3f80, 0x7fc0, 0x4000};
    spread_case c = spread_make(values, 3, 3);
    c.d.segments.group_size = 1;
    spread_expect_words(tk, &c, expected);
    c.d.out_dtype = MERIT_DTYPE_BF16;
    spread_expect_words(tk, &c, halves);
}

TK_TEST(advantage_spread, nothing_to_spread_is_fine)
{
    spread_case none = spread_make(NULL, 0, 0);
    spread_result r = spread_run(tk, tk->ctx, &none);
    spread_free(&r);
    const float zeros[3] = {0};
    spread_case no_segments = spread_make(NULL, 0, 3);
    spread_expect_floats(tk, &no_segments, zeros);
    merit_advantage_spread_io io = {.struct_size = sizeof io};
    tk_expect_ok(tk->ctx, merit_advantage_spread(tk->ctx, &none.d, &io, NULL, 0, NULL));
    size_t bytes = 1;
    tk_expect_ok(tk->ctx, merit_advantage_spread_workspace(tk->ctx, &none.d, &bytes));
    TK_EXPECT(bytes == 0, "%zu bytes", bytes);
}

TK_TEST(advantage_spread, is_one_launch)
{
    const float values[] = {1, 2};
    spread_case c = spread_make(values, 2, 10000);
    c.d.segments.group_size = 5000;
    tk_launches(tk);
    spread_result r = spread_run(tk, tk->ctx, &c);
    const int launches = tk_launches(tk);
    TK_EXPECT(launches == 1 || !tk->emulated, "%d launches", launches);
    spread_free(&r);
}

// Groups of group_index go in as they are: here N is bounded by the tokens.
TK_TEST(advantage_spread, takes_the_runs_of_group_index)
{
    const int64_t ids[] = {4, 4, -1, 4, 9, 9, 9};
    const float values[] = {1, 2, 3, NAN, NAN, NAN, NAN};
    const float expected[] = {1, 1, 0, 2, 3, 3, 3};
    const gi_case g = gi_make(MERIT_GROUP_KIND_RUNS, ids, 7, 0);
    gi_result r = gi_run_on(tk, tk->ctx, &g);
    spread_case c = spread_make(values, 7, 7);
    c.d.segments.offsets = r.offsets;
    c.d.segments.index = r.index;
    spread_expect_floats(tk, &c, expected);
    gi_free(&r);
}

// Bad data ----------------------------------------------------------------------------------------

static void expect_counts(tk_fixture *tk, const spread_case *c, uint64_t bad_offsets,
                          uint64_t bad_index, uint64_t too_large)
{
    spread_result r = spread_run(tk, tk->ctx, c);
    merit_diagnostics expected = {{0}};
    expected.count[MERIT_COUNTER_BAD_OFFSETS] = bad_offsets;
    expected.count[MERIT_COUNTER_BAD_INDEX] = bad_index;
    expected.count[MERIT_COUNTER_GROUP_TOO_LARGE] = too_large;
    tk_expect_bits(r.diagnostics.count, expected.count, MERIT_NUM_COUNTERS, sizeof(uint64_t));
    spread_free(&r);
}

TK_TEST(advantage_spread, a_segment_that_leaves_the_tokens_writes_nothing_and_is_counted)
{
    const float values[] = {1, 2, 3};
    const int64_t beyond[] = {0, 2, 3, 6};
    const int64_t before[] = {-2, 1, 3, 4};
    spread_case c = spread_make(values, 3, 4);
    c.d.segments.offsets = beyond;
    spread_expect_oracle(tk, tk->ctx, &c);
    expect_counts(tk, &c, 1, 0, 0);
    c.d.segments.offsets = before;
    spread_expect_oracle(tk, tk->ctx, &c);
    expect_counts(tk, &c, 1, 0, 0);
}

// Tokens that only one good segment holds, beside segments that run backwards. Elsewhere every
// backend has to do the same, whatever it is.
TK_TEST(advantage_spread, decreasing_offsets_are_counted_and_harm_nobody_else)
{
    const float values[] = {1, 2, 3, 4};
    const int64_t offsets[] = {0, 10, 5, 12, 20};
    spread_case c = spread_make(values, 4, 20);
    c.d.segments.offsets = offsets;
    spread_result r = spread_run(tk, tk->ctx, &c);
    for (int t = 0; t < 20; t++) {
        if (t >= 5 && t < 10) continue;
        const float expected = t < 5 ? 1.0f : t < 12 ? 3.0f : 4.0f;
        tk_expect_bits(&r.words[t], &expected, 1, sizeof expected);
    }
    spread_free(&r);
    expect_counts(tk, &c, 1, 0, 0);

    tk_random random = {6};
    float many[2000] = {0};
    int64_t wild[2001];
    for (int round = 0; round < 4; round++) {
        for (int n = 0; n <= 2000; n++) {
            wild[n] = round < 2 ? 6 * n : tk_below(&random, 15000) - 1000;
            if (round == 1 && n % 500 == 3) wild[n] = tk_below(&random, 12000);
            many[n % 2000] = (float)n;
        }
        spread_case d = spread_make(many, 2000, 12000);
        d.d.segments.offsets = wild;
        spread_result s = spread_run(tk, tk->ctx, &d);
        spread_free(&s);
    }
}

TK_TEST(advantage_spread, a_segment_above_max_size_is_nan_and_counted)
{
    const float values[] = {1, 2};
    const int64_t offsets[] = {0, 2, 5};
    const uint8_t mask[] = {1, 1, 0, 1, 1};
    spread_case c = spread_make(values, 2, 5);
    c.d.segments.offsets = offsets;
    c.d.segments.max_size = 2;
    c.mask = mask;
    const uint32_t expected[] = {0x3f800000, 0x3f800000, 0, 0x7fc00000, 0x7fc00000};
    spread_expect_words(tk, &c, expected);
    expect_counts(tk, &c, 0, 0, 1);
}

TK_TEST(advantage_spread, index_entries_out_of_range_are_counted)
{
    const float values[] = {1};
    const int64_t offsets[] = {0, 3};
    const int32_t index[] = {-1, 1, 3};
    spread_case c = spread_make(values, 1, 3);
    c.d.segments.offsets = offsets;
    c.d.segments.index = index;
    spread_expect_oracle(tk, tk->ctx, &c);
    expect_counts(tk, &c, 0, 2, 0);
}
