// Calls of merit_score_backward and their comparison.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "score_case.h"
#include "score_words.h"

static int64_t or_dense(int64_t stride, int64_t dense)
{
    return stride != 0 ? stride : dense;
}

// Where row `row` of grad_hidden starts.
static int64_t grad_start(const merit_score_desc *d, int64_t row)
{
    const int64_t stride = or_dense(d->grad_hidden_stride, d->hidden_size);
    if (d->grad_layout == MERIT_GRAD_LAYOUT_ROWS || d->row_tokens == 0) return row * stride;
    const int64_t row_stride = or_dense(d->grad_hidden_row_stride, d->row_tokens * stride);
    return row / d->row_tokens * row_stride + row % d->row_tokens * stride;
}

static void read_hidden(tk_fixture *tk, const score_case *c, const void *block, int64_t count,
                        score_gradients *g)
{
    const int64_t H = c->d.hidden_size;
    const size_t size = score_word_bytes(c->d.hidden_dtype);
    unsigned char *const raw = calloc((size_t)count + 1, size);
    unsigned char *const used = calloc((size_t)count + 1, 1);
    tk_read(tk, block, raw, count, size);
    g->hidden = calloc((size_t)(g->rows * H) + 1, sizeof *g->hidden);
    for (int64_t i = 0; i < g->rows * H; i++) {
        const int64_t at = grad_start(&c->d, i / H) + i % H;
        g->hidden[i] = score_from_word(raw + (size_t)at * size, c->d.hidden_dtype);
        used[at] = 1;
    }
    for (int64_t at = 0; at < count; at++) {
        TK_EXPECT(used[at] || tk_untouched(raw + (size_t)at * size, 1, size),
                  "the gap at element %lld of grad_hidden", (long long)at);
    }
    free(raw), free(used);
}

// [rows,columns] f32 at a stride, over old values or guard bytes.
static void *grad_block(tk_fixture *tk, const score_case *c, const float *old, int64_t rows,
                        int64_t columns, int64_t stride)
{
    const int64_t count = (rows - 1) * stride + columns;
    if (!c->d.accumulate) return tk_output(tk, count, 4);
    void *const stored = score_store_rows(old, rows, columns, stride, MERIT_DTYPE_F32);
    void *const block = tk_inout(tk, stored, count, 4);
    free(stored);
    return block;
}

static float *read_floats(tk_fixture *tk, const void *block, int64_t rows, int64_t columns,
                          int64_t stride)
{
    const int64_t count = (rows - 1) * stride + columns;
    float *const raw = calloc((size_t)count + 1, sizeof *raw);
    float *const out = calloc((size_t)(rows * columns) + 1, sizeof *out);
    tk_read(tk, block, raw, count, 4);
    for (int64_t i = 0; i < rows * columns; i++) {
        out[i] = raw[i / columns * stride + i % columns];
    }
    free(raw);
    return out;
}

static double *read_tiles(tk_fixture *tk, const void *block, int64_t count)
{
    double *const out = calloc((size_t)count + 1, sizeof *out);
    tk_read(tk, block, out, count, 8);
    return out;
}

score_gradients score_run_backward(tk_fixture *tk, const score_case *c)
{
    const merit_score_desc *const d = &c->d;
    const int64_t H = d->hidden_size, K = d->num_heads, P = score_case_positions(d);
    const int64_t C = d->routed ? 1 : K;
    const int64_t tiles = (P + 2047) / 2048;
    const int partial = d->shard == MERIT_SCORE_SHARD_PARTIAL;
    const int dense = d->grad_layout == MERIT_GRAD_LAYOUT_DENSE;
    score_gradients g = {.rows = dense ? score_case_tokens(d) : P};
    const merit_score_forward_io index = score_upload_index(tk, c);
    merit_score_backward_io io = {.struct_size = sizeof io,
                                  .post_std = index.post_std,
                                  .route = index.route,
                                  .lengths = index.lengths,
                                  .mask = index.mask,
                                  .cu_seqlens = index.cu_seqlens,
                                  .ids = index.ids,
                                  .positions = index.positions,
                                  .position_offsets = index.position_offsets};
    const int64_t weight_stride = or_dense(d->weight_stride, H);
    const int64_t grad_stride = or_dense(d->grad_weight_stride, H);
    const int64_t score_stride = or_dense(d->grad_score_stride, C);
    int64_t count;
    void *const hidden = score_store_hidden(c, &count);
    void *const weight = score_store_rows(c->weight, K, H, weight_stride, d->weight_dtype);
    void *const scores = score_store_rows(c->grad_scores, P, C, score_stride, MERIT_DTYPE_F32);
    if (c->outputs & SB_WEIGHT) {
        io.hidden = tk_input(tk, hidden, count, score_word_bytes(d->hidden_dtype));
    }
    if (c->outputs & SB_HIDDEN) {
        io.weight =
            tk_input(tk, weight, (K - 1) * weight_stride + H, score_word_bytes(d->weight_dtype));
    }
    io.grad_scores = tk_input(tk, scores, P == 0 ? 0 : (P - 1) * score_stride + C, 4);
    free(hidden), free(weight), free(scores);
    io.label_mask = tk_input(tk, c->label_mask, P * C, 1);
    const int64_t grad_count = g.rows == 0 ? 0 : grad_start(d, g.rows - 1) + H;
    if (c->outputs & SB_HIDDEN) {
        io.grad_hidden = tk_output(tk, grad_count, score_word_bytes(d->hidden_dtype));
    }
    if (c->outputs & SB_WEIGHT) {
        io.grad_weight = partial ? tk_output(tk, tiles * K * H, 8)
                                 : grad_block(tk, c, c->old_weight, K, H, grad_stride);
    }
    if (c->outputs & SB_BIAS) {
        io.grad_bias =
            partial ? tk_output(tk, tiles * K, 8) : grad_block(tk, c, c->old_bias, K, 1, 1);
    }
    io.diagnostics = tk_inout(tk, &g.diagnostics, 1, sizeof g.diagnostics);
    size_t bytes = 0;
    tk_expect_ok(tk->ctx, merit_score_backward_workspace(tk->ctx, d, &bytes));
    void *const workspace = tk_workspace(tk, bytes);
    tk_expect_ok(tk->ctx, merit_score_backward(tk->ctx, d, &io, workspace, bytes, NULL));
    if (io.grad_hidden != NULL) read_hidden(tk, c, io.grad_hidden, grad_count, &g);
    if (io.grad_weight != NULL && partial) {
        g.weight_tiles = read_tiles(tk, io.grad_weight, tiles * K * H);
    } else if (io.grad_weight != NULL) {
        g.weight = read_floats(tk, io.grad_weight, K, H, grad_stride);
    }
    if (io.grad_bias != NULL && partial) {
        g.bias_tiles = read_tiles(tk, io.grad_bias, tiles * K);
    } else if (io.grad_bias != NULL) {
        g.bias = read_floats(tk, io.grad_bias, K, 1, 1);
    }
    tk_read(tk, io.diagnostics, &g.diagnostics, 1, sizeof g.diagnostics);
    tk_release(tk);
    return g;
}

void score_free_gradients(score_gradients *g)
{
    free(g->hidden), free(g->weight), free(g->bias);
    free(g->weight_tiles), free(g->bias_tiles);
}

static void expect_near(const double *actual, const double *expected, const double *sizes,
                        int64_t count, double share, double rtol, double atol)
{
    double *const limits = calloc((size_t)count + 1, sizeof *limits);
    for (int64_t i = 0; i < count; i++) {
        limits[i] = share * sizes[i] + rtol * fabs(expected[i]) + atol;
    }
    tk_expect_within(actual, expected, limits, count);
    free(limits);
}

void score_check_backward(tk_fixture *tk, const score_case *c)
{
    score_gradients g = score_run_backward(tk, c);
    if (!tk->is_first_run) {
        score_free_gradients(&g);
        return;
    }
    const merit_score_desc *const d = &c->d;
    const int64_t H = d->hidden_size, K = d->num_heads;
    const int64_t entries = score_case_positions(d) * (d->routed ? 1 : K);
    double *const hidden = score_widened(c->hidden, score_case_tokens(d) * H);
    double *const weight = score_widened(c->weight, K * H);
    double *const scores = score_widened(c->grad_scores, entries);
    double *const old_weight = c->old_weight ? score_widened(c->old_weight, K * H) : NULL;
    double *const old_bias = c->old_bias ? score_widened(c->old_bias, K) : NULL;
    const score_oracle_arrays arrays = {.hidden = hidden,
                                        .weight = weight,
                                        .grad_scores = scores,
                                        .label_mask = c->label_mask,
                                        .old_weight = old_weight,
                                        .old_bias = old_bias};
    score_oracle *const o = score_oracle_backward(d, &c->io, &arrays);
    // K additions in binary32 and one rounding to the type; lanes of 8 terms; u has a rounding.
    const double type = d->hidden_dtype == MERIT_DTYPE_F32    ? 0x1p-24
                        : d->hidden_dtype == MERIT_DTYPE_BF16 ? 0x1p-8
                                                              : 0x1p-11;
    if (g.hidden != NULL) {
        expect_near(g.hidden, o->grad_hidden, o->grad_hidden_size, g.rows * H,
                    (double)(K + 2) * 0x1p-24, type * 1.01,
                    d->hidden_dtype == MERIT_DTYPE_F16 ? 0x1p-25 : 0);
    }
    if (g.weight != NULL) {
        double *const actual = score_widened(g.weight, K * H);
        expect_near(actual, o->grad_weight, o->grad_weight_size, K * H, 11 * 0x1p-24, 0x1p-24, 0);
        free(actual);
    }
    if (g.bias != NULL) {
        double *const actual = score_widened(g.bias, K);
        expect_near(actual, o->grad_bias, o->grad_bias_size, K, 11 * 0x1p-24, 0x1p-24, 0);
        free(actual);
    }
    score_expect_counters(&g.diagnostics, o->counters);
    free(hidden), free(weight), free(scores), free(old_weight), free(old_bias);
    score_oracle_free(o);
    score_free_gradients(&g);
}
