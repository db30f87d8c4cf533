// advantage_spread: values of segments over their tokens.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "group_case.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof((array)[0])))

typedef struct spread_case {
    merit_advantage_spread_desc d;
    const void *values; // [N] value_dtype
    const uint8_t *mask;
    const float *add;
    int in_place; // out is add
} spread_case;

typedef struct spread_result {
    uint32_t *words; // [T], NULL when nothing was written to any
    unsigned char *raw;
    merit_diagnostics diagnostics;
    merit_status status;
} spread_result;

static spread_case make(const void *values, int64_t num_segments, int64_t num_tokens)
{
    spread_case c = {.values = values};
    cr_assert(merit_advantage_spread_desc_init(&c.d, sizeof c.d) == MERIT_STATUS_OK);
    c.d.segments.num_groups = num_segments;
    c.d.num_tokens = num_tokens;
    return c;
}

static size_t out_bytes(const spread_case *c)
{
    return c->d.out_dtype == MERIT_DTYPE_BF16 ? 2 : 4;
}

static spread_result run(tk_fixture *tk, merit_context *ctx, const spread_case *c)
{
    merit_advantage_spread_desc d = c->d;
    spread_result r = {0};
    const int64_t T = d.num_tokens, N = d.segments.num_groups;
    const size_t size = out_bytes(c);
    d.segments.offsets = tk_input(tk, d.segments.offsets, N + 1, sizeof(int64_t));
    d.segments.index = tk_input(tk, d.segments.index, T, sizeof(int32_t));
    merit_advantage_spread_io io = {.struct_size = sizeof io};
    io.values = tk_input(tk, c->values, N, d.value_dtype == MERIT_DTYPE_F64 ? 8 : 4);
    io.mask = tk_input(tk, c->mask, T, 1);
    io.out = c->in_place ? tk_inout(tk, c->add, T, size) : tk_output(tk, T, size);
    io.add = c->in_place ? io.out : tk_input(tk, c->add, T, sizeof(float));
    io.diagnostics = tk_inout(tk, &r.diagnostics, 1, sizeof r.diagnostics);
    r.status = merit_advantage_spread(ctx, &d, &io, NULL, 0, NULL);
    tk_expect_ok(ctx, r.status);
    r.raw = calloc((size_t)T + 1, size);
    r.words = calloc((size_t)T + 1, sizeof *r.words);
    cr_assert(r.raw != NULL && r.words != NULL);
    tk_read(tk, io.out, r.raw, T, size);
    tk_read(tk, io.diagnostics, &r.diagnostics, 1, sizeof r.diagnostics);
    for (int64_t t = 0; t < T; t++) {
        memcpy(&r.words[t], r.raw + (size_t)t * size, size);
    }
    tk_release(tk);
    return r;
}

static void release(spread_result *r)
{
    free(r->words);
    free(r->raw);
}

static void expect_words(tk_fixture *tk, const spread_case *c, const uint32_t *expected)
{
    spread_result r = run(tk, tk->ctx, c);
    tk_expect_bits(r.words, expected, c->d.num_tokens, sizeof *expected);
    release(&r);
}

static void expect_floats(tk_fixture *tk, const spread_case *c, const float *expected)
{
    expect_words(tk, c, (const uint32_t *)(const void *)expected);
}

// By hand -----------------------------------------------------------------------------------------

TK_TEST(advantage_spread, repeats_each_value_over_its_segment)
{
    const float values[] = {.5f, -1, 3};
    const int64_t offsets[] = {0, 2, 2, 5};
    const float expected[] = {.5f, .5f, 3, 3, 3};
    spread_case c = make(values, 3, 5);
    c.d.segments.offsets = offsets;
    expect_floats(tk, &c, expected);
}

TK_TEST(advantage_spread, gain_mask_and_add_take_part)
{
    const float values[] = {.5f, -1};
    const int64_t offsets[] = {0, 2, 5};
    const uint8_t mask[] = {1, 0, 2, 1, 0};
    const float add[] = {.25f, NAN, 0, 1, INFINITY};
    const float expected[] = {1.25f, 0, -2, -1, 0};
    spread_case c = make(values, 2, 5);
    c.d.segments.offsets = offsets;
    c.d.gain = 2;
    c.mask = mask;
    c.add = add;
    expect_floats(tk, &c, expected);
    c.in_place = 1;
    expect_floats(tk, &c, expected);
}

TK_TEST(advantage_spread, tokens_in_no_segment_get_zero)
{
    const float values[] = {7, 8};
    const int64_t offsets[] = {1, 2, 4};
    const float by_offsets[] = {0, 7, 8, 8, 0, 0, 0};
    const float by_stride[] = {7, 7, 0, 8, 8, 0, 0};
    const float add[] = {1, 1, 1, 1, 1, 1, 1};
    const float added[] = {8, 8, 0, 9, 9, 0, 0};
    spread_case c = make(values, 2, 7);
    c.d.segments.offsets = offsets;
    expect_floats(tk, &c, by_offsets);
    spread_case d = make(values, 2, 7);
    d.d.segments.group_size = 2;
    d.d.segments.group_stride = 3;
    expect_floats(tk, &d, by_stride);
    d.add = add;
    expect_floats(tk, &d, added);
}

// Position 0 is token 2, and so on: index as group_index gives it, token 1 in its tail.
TK_TEST(advantage_spread, positions_stand_for_indexed_tokens)
{
    const float values[] = {5, 6};
    const int64_t offsets[] = {0, 2, 3};
    const int32_t index[] = {2, 3, 0, 1};
    const float expected[] = {6, 0, 5, 5};
    spread_case c = make(values, 2, 4);
    c.d.segments.offsets = offsets;
    c.d.segments.index = index;
    expect_floats(tk, &c, expected);
}

// 1 + 2^-8 lies between the bf16 numbers 1 and 1 + 2^-7. 2^-40 more decides, but not in binary32.
TK_TEST(advantage_spread, bf16_is_rounded_once)
{
    const double values[] = {1 + 0x1p-8, 1 + 0x1p-8 + 0x1p-40, -1 - 0x1p-8 - 0x1p-40, 1 + 0x3p-8,
                             1 + 0x3p-8 - 0x1p-40};
    const uint32_t expected[] = {0x3f80, 0x3f81, 0xbf81, 0x3f82, 0x3f81};
    spread_case c = make(values, 5, 5);
    c.d.segments.group_size = 1;
    c.d.value_dtype = MERIT_DTYPE_F64;
    c.d.out_dtype = MERIT_DTYPE_BF16;
    expect_words(tk, &c, expected);
}

// 2^24 + 1 is no binary32: the product and the sum are binary64.
TK_TEST(advantage_spread, product_and_sum_are_not_rounded_to_binary32)
{
    const float values[] = {0x1p24f};
    const float add[] = {1, 1 - 0x1p24f};
    const double wide[] = {0x1.00000100001p0};
    const float expected[] = {0x1p24f, 1};
    const float narrow[] = {0x1.000002p0f};
    spread_case c = make(values, 1, 2);
    c.d.segments.group_size = 2;
    c.add = add;
    expect_floats(tk, &c, expected);
    spread_case d = make(wide, 1, 1);
    d.d.segments.group_size = 1;
    d.d.value_dtype = MERIT_DTYPE_F64;
    expect_floats(tk, &d, narrow);
}

// A payload does not reach the output.
TK_TEST(advantage_spread, a_nan_stays_in_its_segment_and_is_canonical)
{
    const uint32_t payload = 0xffc12345;
    float values[] = {1, 0, 2};
    memcpy(&values[1], &payload, sizeof payload);
    const uint32_t expected[] = {0x3f800000, 0x7fc00000, 0x40000000};
    const uint32_t halves[] = {0x3f80, 0x7fc0, 0x4000};
    spread_case c = make(values, 3, 3);
    c.d.segments.group_size = 1;
    expect_words(tk, &c, expected);
    c.d.out_dtype = MERIT_DTYPE_BF16;
    expect_words(tk, &c, halves);
}

TK_TEST(advantage_spread, nothing_to_spread_is_fine)
{
    spread_case none = make(NULL, 0, 0);
    spread_result r = run(tk, tk->ctx, &none);
    release(&r);
    const float zeros[3] = {0};
    spread_case no_segments = make(NULL, 0, 3);
    expect_floats(tk, &no_segments, zeros);
    merit_advantage_spread_io io = {.struct_size = sizeof io};
    tk_expect_ok(tk->ctx, merit_advantage_spread(tk->ctx, &none.d, &io, NULL, 0, NULL));
    size_t bytes = 1;
    tk_expect_ok(tk->ctx, merit_advantage_spread_workspace(tk->ctx, &none.d, &bytes));
    TK_EXPECT(bytes == 0, "%zu bytes", bytes);
}

// The oracle --------------------------------------------------------------------------------------

static void *block(int64_t count, size_t size)
{
    void *const memory = calloc((size_t)count + 1, size);
    cr_assert(memory != NULL);
    return memory;
}

static void expect_oracle(tk_fixture *tk, merit_context *ctx, const spread_case *c)
{
    spread_result r = run(tk, ctx, c);
    const int64_t T = c->d.num_tokens;
    if (tk->is_first_run) {
        const merit_groups *const g = &c->d.segments;
        const spread_layout layout = {
            g->num_groups, g->group_size, g->group_stride, g->max_size, g->offsets, g->index, T};
        const int is_bf16 = c->d.out_dtype == MERIT_DTYPE_BF16;
        const size_t size = out_bytes(c);
        int32_t *const segment_of = block(T, sizeof *segment_of);
        uint32_t *const expected = block(T, sizeof *expected);
        spread_oracle_segments(&layout, segment_of);
        for (int64_t t = 0; t < T; t++) {
            const int32_t n = segment_of[t];
            if (n == -3) {
                TK_EXPECT(tk_untouched(r.raw + (size_t)t * size, 1, size), "token %lld was written",
                          (long long)t);
                expected[t] = r.words[t];
                continue;
            }
            if (n == -1 || (c->mask != NULL && c->mask[t] == 0)) continue;
            const double value = n < 0 ? NAN
                                 : c->d.value_dtype == MERIT_DTYPE_F64
                                     ? ((const double *)c->values)[n]
                                     : ((const float *)c->values)[n];
            expected[t] = spread_oracle_word(c->d.gain, value, c->add != NULL,
                                             c->add != NULL ? c->add[t] : 0, is_bf16);
        }
        tk_expect_bits(r.words, expected, T, sizeof *expected);
        free(segment_of);
        free(expected);
    }
    release(&r);
}

// Values, mask and add of any size, with numbers of every magnitude.
typedef struct inputs {
    void *values;
    uint8_t *mask;
    float *add;
} inputs;

static inputs make_inputs(tk_random *random, int64_t num_segments, int64_t num_tokens, int f64)
{
    inputs in = {block(num_segments, 8), block(num_tokens, 1), block(num_tokens, sizeof(float))};
    for (int64_t n = 0; n < num_segments; n++) {
        const double value = ldexp(tk_normal(random), (int)tk_below(random, 40) - 30);
        if (f64) {
            ((double *)in.values)[n] = value;
        } else {
            ((float *)in.values)[n] = (float)value;
        }
    }
    for (int64_t t = 0; t < num_tokens; t++) {
        in.mask[t] = tk_chance(random, 0.3) ? 0 : (uint8_t)(1 + tk_below(random, 255));
        in.add[t] = (float)tk_normal(random);
    }
    return in;
}

static void free_inputs(inputs *in)
{
    free(in->values);
    free(in->mask);
    free(in->add);
}

// All sixteen ways to call on one layout.
static void expect_all_options(tk_fixture *tk, merit_context *ctx, merit_groups segments,
                               int64_t num_tokens)
{
    tk_random random = {(uint64_t)(num_tokens * 37 + segments.num_groups)};
    for (int f64 = 0; f64 < 2; f64++) {
        inputs in = make_inputs(&random, segments.num_groups, num_tokens, f64);
        for (int options = 0; options < 8; options++) {
            spread_case c = make(in.values, segments.num_groups, num_tokens);
            c.d.segments = segments;
            c.d.value_dtype = f64 ? MERIT_DTYPE_F64 : MERIT_DTYPE_F32;
            c.d.out_dtype = options & 1 ? MERIT_DTYPE_BF16 : MERIT_DTYPE_F32;
            c.d.gain = options & 4 ? -1.7f : 1;
            if (options & 2) c.mask = in.mask;
            if (options & 4) c.add = in.add;
            expect_oracle(tk, ctx, &c);
        }
        free_inputs(&in);
    }
}

TK_TEST(advantage_spread, agrees_with_the_oracle_on_uniform_segments)
{
    static const int64_t sizes[] = {1, 2, 3, 5, 4095, 4096, 5000};
    for (int i = 0; i < COUNT(sizes); i++) {
        for (int64_t gap = 0; gap < 6; gap += 5) {
            const int64_t num = 1 + 9000 / (sizes[i] + gap);
            const merit_groups g = {
                .num_groups = num, .group_size = sizes[i], .group_stride = sizes[i] + gap};
            tk_case("size %lld, gap %lld", (long long)sizes[i], (long long)gap);
            tk->shift = i % 4; // vectors, and the tokens before and after them
            expect_all_options(tk, tk->ctx, g, num * (sizes[i] + gap) + i % 5);
        }
    }
}

// Offsets whose mean segment has `mean` tokens; some are empty.
static int64_t *make_offsets(tk_random *random, int64_t num, int64_t mean)
{
    int64_t *const offsets = block(num + 1, sizeof *offsets);
    offsets[0] = tk_below(random, 3);
    for (int64_t n = 0; n < num; n++) {
        offsets[n + 1] = offsets[n] + (tk_chance(random, 0.2) ? 0 : tk_below(random, 2 * mean + 1));
    }
    return offsets;
}

TK_TEST(advantage_spread, agrees_with_the_oracle_on_ragged_and_indexed_segments)
{
    static const int64_t means[] = {1, 3, 40, 1500, 9000};
    tk_random random = {77};
    for (int i = 0; i < COUNT(means); i++) {
        const int64_t num = 3 + 9000 / means[i];
        int64_t *const offsets = make_offsets(&random, num, means[i]);
        const int64_t T = offsets[num] + i % 3;
        int32_t *const index = block(T, sizeof *index);
        for (int64_t p = 0; p < T; p++) { // an inside-out shuffle
            const int64_t other = tk_below(&random, p + 1);
            index[p] = index[other];
            index[other] = (int32_t)p;
        }
        merit_groups g = {.num_groups = num, .offsets = offsets};
        tk->shift = i % 3;
        tk_case("mean %lld", (long long)means[i]);
        expect_all_options(tk, tk->ctx, g, T);
        g.index = index;
        expect_all_options(tk, tk->ctx, g, T);
        g.index = NULL;
        g.max_size = means[i]; // about half are larger
        expect_all_options(tk, tk->ctx, g, T);
        free(offsets);
        free(index);
    }
}

TK_TEST(advantage_spread, gives_the_same_with_any_number_of_threads)
{
    static const int threads[] = {1, 2, 5, 16};
    tk_random random = {5};
    int64_t *const offsets = make_offsets(&random, 900, 100);
    const merit_groups g = {.num_groups = 900, .offsets = offsets};
    for (int i = 0; i < (tk->kind == TK_CPU ? COUNT(threads) : 1); i++) {
        merit_context *const ctx = tk_context(tk, threads[i]);
        expect_all_options(tk, ctx, g, offsets[900]);
        merit_context_destroy(ctx);
    }
    free(offsets);
}

TK_TEST(advantage_spread, is_one_launch)
{
    const float values[] = {1, 2};
    spread_case c = make(values, 2, 10000);
    c.d.segments.group_size = 5000;
    tk_launches(tk);
    spread_result r = run(tk, tk->ctx, &c);
    const int launches = tk_launches(tk);
    TK_EXPECT(launches == 1 || !tk->emulated, "%d launches", launches);
    release(&r);
}

// Groups of group_index go in as they are: here N is bounded by the tokens.
TK_TEST(advantage_spread, takes_the_runs_of_group_index)
{
    const int64_t ids[] = {4, 4, -1, 4, 9, 9, 9};
    const float values[] = {1, 2, 3, NAN, NAN, NAN, NAN};
    const float expected[] = {1, 1, 0, 2, 3, 3, 3};
    const gi_case g = gi_make(MERIT_GROUP_KIND_RUNS, ids, 7, 0);
    gi_result r = gi_run_on(tk, tk->ctx, &g);
    spread_case c = make(values, 7, 7);
    c.d.segments.offsets = r.offsets;
    c.d.segments.index = r.index;
    expect_floats(tk, &c, expected);
    gi_free(&r);
}

// Bad data ----------------------------------------------------------------------------------------

static void expect_counts(tk_fixture *tk, const spread_case *c, uint64_t bad_offsets,
                          uint64_t bad_index, uint64_t too_large)
{
    spread_result r = run(tk, tk->ctx, c);
    merit_diagnostics expected = {{0}};
    expected.count[MERIT_COUNTER_BAD_OFFSETS] = bad_offsets;
    expected.count[MERIT_COUNTER_BAD_INDEX] = bad_index;
    expected.count[MERIT_COUNTER_GROUP_TOO_LARGE] = too_large;
    tk_expect_bits(r.diagnostics.count, expected.count, MERIT_NUM_COUNTERS, sizeof(uint64_t));
    release(&r);
}

TK_TEST(advantage_spread, a_segment_that_leaves_the_tokens_writes_nothing_and_is_counted)
{
    const float values[] = {1, 2, 3};
    const int64_t beyond[] = {0, 2, 3, 6};
    const int64_t before[] = {-2, 1, 3, 4};
    spread_case c = make(values, 3, 4);
    c.d.segments.offsets = beyond;
    expect_oracle(tk, tk->ctx, &c);
    expect_counts(tk, &c, 1, 0, 0);
    c.d.segments.offsets = before;
    expect_oracle(tk, tk->ctx, &c);
    expect_counts(tk, &c, 1, 0, 0);
}

// Tokens that only one good segment holds, beside segments that run backwards. Elsewhere every
// backend has to do the same, whatever it is.
TK_TEST(advantage_spread, decreasing_offsets_are_counted_and_harm_nobody_else)
{
    const float values[] = {1, 2, 3, 4};
    const int64_t offsets[] = {0, 10, 5, 12, 20};
    spread_case c = make(values, 4, 20);
    c.d.segments.offsets = offsets;
    spread_result r = run(tk, tk->ctx, &c);
    for (int t = 0; t < 20; t++) {
        if (t >= 5 && t < 10) continue;
        const float expected = t < 5 ? 1.0f : t < 12 ? 3.0f : 4.0f;
        tk_expect_bits(&r.words[t], &expected, 1, sizeof expected);
    }
    release(&r);
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
        spread_case d = make(many, 2000, 12000);
        d.d.segments.offsets = wild;
        spread_result s = run(tk, tk->ctx, &d);
        release(&s);
    }
}

TK_TEST(advantage_spread, a_segment_above_max_size_is_nan_and_counted)
{
    const float values[] = {1, 2};
    const int64_t offsets[] = {0, 2, 5};
    const uint8_t mask[] = {1, 1, 0, 1, 1};
    spread_case c = make(values, 2, 5);
    c.d.segments.offsets = offsets;
    c.d.segments.max_size = 2;
    c.mask = mask;
    const uint32_t expected[] = {0x3f800000, 0x3f800000, 0, 0x7fc00000, 0x7fc00000};
    expect_words(tk, &c, expected);
    expect_counts(tk, &c, 0, 0, 1);
}

TK_TEST(advantage_spread, index_entries_out_of_range_are_counted)
{
    const float values[] = {1};
    const int64_t offsets[] = {0, 3};
    const int32_t index[] = {-1, 1, 3};
    spread_case c = make(values, 1, 3);
    c.d.segments.offsets = offsets;
    c.d.segments.index = index;
    expect_oracle(tk, tk->ctx, &c);
    expect_counts(tk, &c, 0, 2, 0);
}
