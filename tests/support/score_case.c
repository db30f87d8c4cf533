#include "score_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "score_words.h"

score_case score_make(const float *hidden, int64_t B, int64_t T, int32_t H, const float *weight,
                      int32_t K, int32_t positions)
{
    score_case c = {.hidden = hidden, .weight = weight};
    cr_assert(merit_score_desc_init(&c.d, sizeof c.d) == MERIT_STATUS_OK);
    c.d.num_rows = T == 0 ? 0 : B;
    c.d.row_tokens = T;
    c.d.num_tokens = T == 0 ? B : 0;
    c.d.hidden_size = H;
    c.d.num_heads = K;
    c.d.hidden_dtype = MERIT_DTYPE_F32;
    c.d.positions = positions;
    c.io.struct_size = sizeof c.io;
    return c;
}

int64_t score_case_tokens(const merit_score_desc *d)
{
    return d->row_tokens > 0 ? d->num_rows * d->row_tokens : d->num_tokens;
}

int64_t score_case_positions(const merit_score_desc *d)
{
    if (d->positions == MERIT_POSITIONS_ALL) return score_case_tokens(d);
    if (d->positions != MERIT_POSITIONS_EXPLICIT) return d->num_rows;
    return d->position_layout == MERIT_POSITION_LAYOUT_PER_ROW ? d->num_rows * d->positions_per_row
                                                               : d->num_positions;
}

void *score_store_hidden(const score_case *c, int64_t *count)
{
    const merit_score_desc *const d = &c->d;
    const int64_t H = d->hidden_size, tokens = score_case_tokens(d);
    const int64_t stride = d->hidden_stride != 0 ? d->hidden_stride : H;
    const int64_t T = d->row_tokens > 0 ? d->row_tokens : tokens;
    const int64_t row_stride = d->hidden_row_stride != 0 ? d->hidden_row_stride : T * stride;
    const size_t size = score_word_bytes(d->hidden_dtype);
    *count = tokens == 0 ? 0 : (tokens / T - 1) * row_stride + (T - 1) * stride + H;
    unsigned char *const memory = malloc((size_t)(*count + 1) * size);
    memset(memory, 0xff, (size_t)(*count + 1) * size);
    for (int64_t i = 0; i < tokens * H; i++) {
        const int64_t row = i / H, at = row / T * row_stride + row % T * stride + i % H;
        score_to_word(memory + (size_t)at * size, c->hidden[i], d->hidden_dtype);
    }
    return memory;
}

merit_score_forward_io score_upload_index(tk_fixture *tk, const score_case *c)
{
    const merit_score_desc *const d = &c->d;
    const int64_t B = d->num_rows, tokens = score_case_tokens(d), K = d->num_heads;
    const int64_t P = score_case_positions(d);
    const size_t index = d->index_dtype == MERIT_DTYPE_I64 ? 8 : 4;
    merit_score_forward_io io = c->io;
    io.bias = tk_input(tk, io.bias, K, 4);
    io.post_mean = tk_input(tk, io.post_mean, K, 4);
    io.post_std = tk_input(tk, io.post_std, K, 4);
    io.route = tk_input(tk, io.route, P, 4);
    io.lengths = tk_input(tk, io.lengths, B, 4);
    io.mask = tk_input(tk, io.mask, tokens, 1);
    io.cu_seqlens = tk_input(tk, io.cu_seqlens, B + 1, index);
    io.ids = tk_input(tk, io.ids, tokens, index);
    io.positions = tk_input(tk, io.positions, P, index);
    io.position_offsets = tk_input(tk, io.position_offsets, B + 1, 8);
    return io;
}

score_result score_run(tk_fixture *tk, const score_case *c)
{
    const merit_score_desc *const d = &c->d;
    score_result r = {.P = score_case_positions(d), .C = d->routed ? 1 : d->num_heads};
    merit_score_forward_io io = score_upload_index(tk, c);
    const int64_t K = d->num_heads;
    const int64_t weight_stride = d->weight_stride != 0 ? d->weight_stride : d->hidden_size;
    int64_t count;
    void *const hidden = score_store_hidden(c, &count);
    void *const weight =
        score_store_rows(c->weight, K, d->hidden_size, weight_stride, d->weight_dtype);
    io.hidden = tk_input(tk, hidden, count, score_word_bytes(d->hidden_dtype));
    io.weight = tk_input(tk, weight, (K - 1) * weight_stride + d->hidden_size,
                         score_word_bytes(d->weight_dtype));
    free(hidden), free(weight);
    const int partial = d->shard == MERIT_SCORE_SHARD_PARTIAL;
    const int64_t stride = d->score_stride != 0 ? d->score_stride : r.C;
    const int64_t tiles = (d->hidden_size + 2047) / 2048;
    const int64_t scores = partial ? tiles * r.P * r.C : r.P == 0 ? 0 : (r.P - 1) * stride + r.C;
    io.scores = tk_output(tk, scores, partial ? 8 : 4);
    io.found_positions = tk_output(tk, r.P, 8);
    io.diagnostics = tk_inout(tk, &r.diagnostics, 1, sizeof r.diagnostics);
    size_t bytes = 0;
    r.status = merit_score_forward_workspace(tk->ctx, d, &bytes);
    tk_expect_ok(tk->ctx, r.status);
    void *const workspace = tk_workspace(tk, bytes);
    r.status = merit_score_forward(tk->ctx, d, &io, workspace, bytes, NULL);
    tk_expect_ok(tk->ctx, r.status);
    r.scores = calloc((size_t)(r.P * r.C) + 1, sizeof *r.scores);
    r.positions = calloc((size_t)r.P + 1, sizeof *r.positions);
    tk_read(tk, io.found_positions, r.positions, r.P, 8);
    tk_read(tk, io.diagnostics, &r.diagnostics, 1, sizeof r.diagnostics);
    if (partial) {
        r.tile_sums = calloc((size_t)scores + 1, sizeof *r.tile_sums);
        tk_read(tk, io.scores, r.tile_sums, scores, 8);
    } else {
        float *const raw = calloc((size_t)scores + 1, sizeof *raw);
        tk_read(tk, io.scores, raw, scores, 4);
        for (int64_t i = 0; i < scores; i++) {
            if (i % stride < r.C) {
                r.scores[i / stride * r.C + i % stride] = raw[i];
            } else {
                TK_EXPECT(tk_untouched(raw + i, 1, 4), "the gap behind position %lld",
                          (long long)(i / stride));
            }
        }
        free(raw);
    }
    tk_release(tk);
    return r;
}

void score_free(score_result *r)
{
    free(r->scores), free(r->tile_sums), free(r->positions);
}

double *score_widened(const float *values, int64_t count)
{
    double *const wide = calloc((size_t)count + 1, sizeof *wide);
    for (int64_t i = 0; i < count; i++) {
        wide[i] = values[i];
    }
    return wide;
}

void score_expect_counters(const merit_diagnostics *actual, const double *expected)
{
    for (int i = 0; i < MERIT_NUM_COUNTERS; i++) {
        TK_EXPECT((double)actual->count[i] == expected[i], "counter %d is %llu, expected %g", i,
                  (unsigned long long)actual->count[i], expected[i]);
    }
}

void score_check(tk_fixture *tk, const score_case *c)
{
    score_result r = score_run(tk, c);
    if (!tk->is_first_run) {
        score_free(&r);
        return;
    }
    const int64_t H = c->d.hidden_size;
    double *const hidden = score_widened(c->hidden, score_case_tokens(&c->d) * H);
    double *const weight = score_widened(c->weight, c->d.num_heads * H);
    const score_oracle_arrays arrays = {.hidden = hidden, .weight = weight};
    score_oracle *const o = score_oracle_forward(&c->d, &c->io, &arrays);
    double *const scores = score_widened(r.scores, r.P * r.C);
    double *const limits = calloc((size_t)(r.P * r.C) + 1, sizeof *limits);
    for (int64_t i = 0; i < r.P * r.C; i++) { // the header's bound, and the last rounding
        limits[i] = 10 * 0x1p-24 * o->size[i] + 0x1p-24 * fabs(o->scores[i]);
    }
    tk_expect_within(scores, o->scores, limits, r.P * r.C);
    for (int64_t p = 0; p < r.P; p++) {
        TK_EXPECT(r.positions[p] == o->positions[p], "position %lld is %lld, expected %lld",
                  (long long)p, (long long)r.positions[p], (long long)o->positions[p]);
    }
    score_expect_counters(&r.diagnostics, o->counters);
    free(scores), free(limits), free(hidden), free(weight);
    score_oracle_free(o);
    score_free(&r);
}

void score_expect(tk_fixture *tk, const score_case *c, const double *expected)
{
    score_result r = score_run(tk, c);
    double *const scores = score_widened(r.scores, r.P * r.C);
    tk_expect_close(scores, expected, r.P * r.C, 0, 0);
    free(scores);
    score_free(&r);
}

float *score_random_values(tk_random *random, int64_t count)
{
    float *const values = calloc((size_t)count + 1, sizeof *values);
    for (int64_t i = 0; i < count; i++) {
        values[i] = (float)(tk_below(random, 511) - 255) / 32;
    }
    return values;
}
