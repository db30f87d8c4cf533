// advantage_spread against the oracle.
#include <math.h>
#include <stdlib.h>

#include "spread_case.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof((array)[0])))

static void *block(int64_t count, size_t size)
{
    void *const memory = calloc((size_t)count + 1, size);
    cr_assert(memory != NULL);
    return memory;
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
            spread_case c = spread_make(in.values, segments.num_groups, num_tokens);
            c.d.segments = segments;
            c.d.value_dtype = f64 ? MERIT_DTYPE_F64 : MERIT_DTYPE_F32;
            c.d.out_dtype = options & 1 ? MERIT_DTYPE_BF16 : MERIT_DTYPE_F32;
            c.d.gain = options & 4 ? -1.7f : 1;
            if (options & 2) c.mask = in.mask;
            if (options & 4) c.add = in.add;
            spread_expect_oracle(tk, ctx, &c);
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
