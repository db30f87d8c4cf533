#include "spread_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "group_oracle.h"

spread_case spread_make(const void *values, int64_t num_segments, int64_t num_tokens)
{
    spread_case c = {.values = values};
    cr_assert(merit_advantage_spread_desc_init(&c.d, sizeof c.d) == MERIT_STATUS_OK);
    c.d.segments.num_groups = num_segments;
    c.d.num_tokens = num_tokens;
    return c;
}

size_t spread_out_bytes(const spread_case *c)
{
    return c->d.out_dtype == MERIT_DTYPE_BF16 ? 2 : 4;
}

spread_result spread_run(tk_fixture *tk, merit_context *ctx, const spread_case *c)
{
    merit_advantage_spread_desc d = c->d;
    spread_result r = {0};
    const int64_t T = d.num_tokens, N = d.segments.num_groups;
    const size_t size = spread_out_bytes(c);
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

void spread_free(spread_result *r)
{
    free(r->words);
    free(r->raw);
}

void spread_expect_words(tk_fixture *tk, const spread_case *c, const uint32_t *expected)
{
    spread_result r = spread_run(tk, tk->ctx, c);
    tk_expect_bits(r.words, expected, c->d.num_tokens, sizeof *expected);
    spread_free(&r);
}

void spread_expect_floats(tk_fixture *tk, const spread_case *c, const float *expected)
{
    spread_expect_words(tk, c, (const uint32_t *)(const void *)expected);
}

void spread_expect_oracle(tk_fixture *tk, merit_context *ctx, const spread_case *c)
{
    spread_result r = spread_run(tk, ctx, c);
    const int64_t T = c->d.num_tokens;
    if (tk->is_first_run) {
        const merit_groups *const g = &c->d.segments;
        const spread_layout layout = {
            g->num_groups, g->group_size, g->group_stride, g->max_size, g->offsets, g->index, T};
        const int is_bf16 = c->d.out_dtype == MERIT_DTYPE_BF16;
        const size_t size = spread_out_bytes(c);
        int32_t *const segment_of = calloc((size_t)T + 1, sizeof *segment_of);
        uint32_t *const expected = calloc((size_t)T + 1, sizeof *expected);
        cr_assert(segment_of != NULL && expected != NULL);
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
    spread_free(&r);
}
