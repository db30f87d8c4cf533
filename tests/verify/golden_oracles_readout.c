// Golden cases of the readouts against their C oracle, as the call left the outputs.
#include <math.h>
#include <stdlib.h>

#include "golden_oracles.h"
#include "score_case.h"
#include "score_readout_oracle.h"

static bool all_finite(const float *row, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(row[i])) return false;
    }
    return true;
}

bool golden_readout_applies(const merit_score_readout_desc *d, const int32_t *level_index,
                            const float *inputs, const float *gates)
{
    const int K = d->num_columns, width = d->num_logits > 0 ? d->num_logits : K;
    for (int k = 0; level_index != NULL && k < K; k++) {
        if (level_index[k] < 0 || level_index[k] >= width) return false;
    }
    const int levels = K / (d->kind == MERIT_READOUT_QUANTILE ? d->num_attributes : K);
    for (int k = 1; !d->sort && d->kind == MERIT_READOUT_QUANTILE && k < K; k++) {
        if (k % levels != 0 && inputs[k] < inputs[k - 1]) return false;
    }
    return all_finite(inputs, width) && all_finite(gates, K);
}

static void expect_row(const merit_score_readout_desc *d, const merit_score_readout_forward_io *x,
                       int64_t p, const readout_oracle *o)
{
    const int64_t K = d->num_columns, A = d->num_attributes;
    const float *const arrays[] = {x->reward, x->mean, x->variance, x->entropy,
                                   x->cvar,   x->iqr,  x->prob,     x->gate};
    const int64_t widths[] = {1, A, 1, 1, A, A, K, K};
    const double *const expected[] = {&o->reward, o->mean, &o->variance, &o->entropy,
                                      o->cvar,    o->iqr,  o->prob,      o->prob};
    // the bounds of the suite: exp in binary32 is 2^-23 relative in each share
    const double atol[] = {4e-6 * (double)K, 1e-6, 1e-5, 1e-6, 1e-6, 1e-6, 0, 0};
    for (int i = 0; i < 8; i++) {
        if (arrays[i] == NULL) continue;
        double *const actual = score_widened(arrays[i] + p * widths[i], widths[i]);
        tk_expect_close(actual, expected[i], widths[i], atol[i], i < 6 ? 1e-6 : 5e-7);
        free(actual);
    }
}

const char *golden_score_readout_forward(tk_fixture *tk, const void *desc, const void *io)
{
    const merit_score_readout_desc *const d = desc;
    const merit_score_readout_forward_io *const x = io;
    const int64_t P = d->num_rows, K = d->num_columns;
    const int64_t width = d->num_logits > 0 ? d->num_logits : K;
    float *const inputs =
        golden_rows(x->inputs, d->input_dtype, P, d->input_stride ? d->input_stride : width, width);
    float *const gates =
        golden_rows(x->gate_logits, d->input_dtype, P, d->gate_stride ? d->gate_stride : K, K);
    float *const directions = golden_rows(x->direction, MERIT_DTYPE_F32, P, d->direction_stride, K);
    int64_t compared = 0;
    (void)tk;
    for (int64_t p = 0; p < P; p++) {
        if (!golden_readout_applies(d, x->level_index, inputs + p * width, gates + p * K)) continue;
        readout_oracle o;
        double *const row = score_widened(inputs + p * width, width);
        double *const logits = score_widened(gates + p * K, K);
        double *const direction = score_widened(directions + p * K, K);
        readout_oracle_row(d, x, row, logits, direction, &o);
        expect_row(d, x, p, &o);
        compared++;
        free(row), free(logits), free(direction);
    }
    free(inputs), free(gates), free(directions);
    return compared == 0 && P > 0 ? "no row is finite and whole" : NULL;
}
