#include "readout_case.h"

#include <stdlib.h>

#include "score_words.h"

readout_case readout_make(const char *preset, int32_t kind, int64_t P, int32_t K,
                          const float *inputs)
{
    readout_case c = {.inputs = inputs};
    cr_assert(merit_score_readout_desc_init(&c.d, sizeof c.d) == MERIT_STATUS_OK);
    c.d.kind = kind;
    if (preset != NULL) cr_assert(merit_score_readout_preset(preset, &c.d) == MERIT_STATUS_OK);
    c.d.num_rows = P;
    c.d.num_columns = K;
    c.io.struct_size = sizeof c.io;
    return c;
}

static double *read_floats(tk_fixture *tk, const void *block, int64_t count, int32_t dtype)
{
    if (block == NULL) return NULL;
    const size_t size = score_word_bytes(dtype);
    unsigned char *const raw = calloc((size_t)count + 1, size);
    double *const wide = calloc((size_t)count + 1, sizeof *wide);
    tk_read(tk, block, raw, count, size);
    for (int64_t i = 0; i < count; i++) {
        wide[i] = score_from_word(raw + (size_t)i * size, dtype);
    }
    free(raw);
    return wide;
}

static const void *upload(tk_fixture *tk, const float *values, int64_t rows, int64_t columns,
                          int64_t stride, int32_t dtype)
{
    if (values == NULL) return NULL;
    void *const stored = score_store_rows(values, rows, columns, stride, dtype);
    const void *const block =
        tk_input(tk, stored, (rows - 1) * stride + columns, score_word_bytes(dtype));
    free(stored);
    return block;
}

readout_result readout_run(tk_fixture *tk, const readout_case *c)
{
    readout_result r = {0};
    const merit_score_readout_desc *const d = &c->d;
    const int64_t P = d->num_rows, K = d->num_columns;
    const int64_t A = d->kind == MERIT_READOUT_QUANTILE ? d->num_attributes : 1;
    const int levels = d->kind == MERIT_READOUT_LEVELS;
    const int64_t width = levels && d->num_logits > 0 ? d->num_logits : K;
    const int quantile = d->kind == MERIT_READOUT_QUANTILE;
    const int mixed = !levels && !quantile;
    const int32_t dtype = d->input_dtype;
    const int32_t F32 = MERIT_DTYPE_F32;
    merit_score_readout_forward_io f = c->io;
    f.inputs = upload(tk, c->inputs, P, width, d->input_stride ? d->input_stride : width, dtype);
    f.gate_logits = upload(tk, c->gate_logits, P, K, d->gate_stride ? d->gate_stride : K, dtype);
    f.direction = d->direction_stride ? upload(tk, c->direction, P, K, d->direction_stride, F32)
                                      : tk_input(tk, c->direction, K, 4);
    f.transform = tk_input(tk, f.transform, K * K, 4);
    f.level_index = tk_input(tk, f.level_index, K, 4);
    f.level_values = tk_input(tk, f.level_values, K, 4);
    f.level_weights = tk_input(tk, f.level_weights, K / A, 4);
    f.reward = mixed ? tk_output(tk, P, 4) : NULL;
    f.gate = d->kind == MERIT_READOUT_GATE ? tk_output(tk, P * K, 4) : NULL;
    f.mean = mixed ? NULL : tk_output(tk, P * A, 4);
    f.variance = levels ? tk_output(tk, P, 4) : NULL;
    f.entropy = levels ? tk_output(tk, P, 4) : NULL;
    f.prob = levels ? tk_output(tk, P * K, 4) : NULL;
    f.cvar = quantile ? tk_output(tk, P * A, 4) : NULL;
    f.iqr = quantile ? tk_output(tk, P * A, 4) : NULL;
    f.diagnostics = tk_inout(tk, &r.diagnostics, 1, sizeof r.diagnostics);
    tk_expect_ok(tk->ctx, merit_score_readout_forward(tk->ctx, d, &f, NULL, 0, NULL));
    r.reward = read_floats(tk, f.reward, P, F32);
    r.gate = read_floats(tk, f.gate, P * K, F32);
    r.mean = read_floats(tk, f.mean, P * A, F32);
    r.variance = read_floats(tk, f.variance, P, F32);
    r.entropy = read_floats(tk, f.entropy, P, F32);
    r.prob = read_floats(tk, f.prob, P * K, F32);
    r.cvar = read_floats(tk, f.cvar, P * A, F32);
    r.iqr = read_floats(tk, f.iqr, P * A, F32);
    tk_read(tk, f.diagnostics, &r.diagnostics, 1, sizeof r.diagnostics);
    merit_score_readout_backward_io b = {.struct_size = sizeof b,
                                         .inputs = f.inputs,
                                         .direction = f.direction,
                                         .gate_logits = f.gate_logits,
                                         .transform = f.transform,
                                         .level_index = f.level_index,
                                         .level_values = f.level_values,
                                         .level_weights = f.level_weights,
                                         .grad_reward = tk_input(tk, c->grad[0], P, 4),
                                         .grad_mean = tk_input(tk, c->grad[1], P * A, 4),
                                         .grad_variance = tk_input(tk, c->grad[2], P, 4),
                                         .grad_entropy = tk_input(tk, c->grad[3], P, 4),
                                         .grad_cvar = tk_input(tk, c->grad[4], P * A, 4),
                                         .grad_iqr = tk_input(tk, c->grad[5], P * A, 4)};
    const int64_t grad_count = d->grad_stride ? (P - 1) * d->grad_stride + K : P * K;
    b.grad_inputs = tk_output(tk, grad_count, score_word_bytes(dtype));
    b.grad_direction = d->kind == MERIT_READOUT_LINEAR ? tk_output(tk, P * K, 4) : NULL;
    b.grad_gate_logits =
        d->kind == MERIT_READOUT_GATE ? tk_output(tk, P * K, score_word_bytes(dtype)) : NULL;
    tk_expect_ok(tk->ctx, merit_score_readout_backward(tk->ctx, d, &b, NULL, 0, NULL));
    r.grad_inputs = read_floats(tk, b.grad_inputs, grad_count, dtype);
    r.grad_direction = read_floats(tk, b.grad_direction, P * K, F32);
    r.grad_gate = read_floats(tk, b.grad_gate_logits, P * K, dtype);
    tk_release(tk);
    return r;
}

void readout_free(readout_result *r)
{
    free(r->reward), free(r->gate), free(r->mean), free(r->variance), free(r->entropy);
    free(r->prob), free(r->cvar), free(r->iqr);
    free(r->grad_inputs), free(r->grad_direction), free(r->grad_gate);
}
