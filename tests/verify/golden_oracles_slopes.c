// Golden cases of score_readout_backward against the derivatives in long double, as the call left them.
#include <math.h>
#include <stdlib.h>

#include "golden_oracles.h"
#include "score_case.h"
#include "score_readout_oracle.h"

typedef long double real;
typedef merit_score_readout_desc readout_desc;
typedef merit_score_readout_backward_io readout_io;

enum { MAX_COLUMNS = 1024 };

// One row: its inputs, and what is expected with the size of the terms in it.
typedef struct slopes {
    const double *x, *y, *v;
    readout_oracle o; // of the forward pass
    real inputs[MAX_COLUMNS], other[MAX_COLUMNS]; // other: of the direction or the gate logits
    real size[MAX_COLUMNS], other_size[MAX_COLUMNS];
} slopes;

static real at(const float *array, int64_t i)
{
    return array != NULL ? (real)array[i] : 0;
}

static void linear(const readout_desc *d, real g, slopes *s)
{
    real length = 0;
    for (int k = 0; k < d->num_columns; k++) {
        length += (real)s->v[k] * s->v[k];
    }
    length = d->unit ? sqrtl(length) : 1;
    for (int k = 0; k < d->num_columns; k++) {
        const real along = d->unit ? (real)s->o.reward * s->v[k] / length : 0;
        s->inputs[k] = g * s->v[k] / length;
        s->other[k] = g * (s->x[k] - along) / length;
        s->size[k] = fabsl(s->inputs[k]);
        s->other_size[k] = fabsl(g) * (fabsl((real)s->x[k]) + fabsl(along)) / length;
    }
}

static void gate(const readout_desc *d, const readout_io *io, real g, slopes *s)
{
    const int K = d->num_columns;
    const real sum = (real)s->o.reward / d->scale;
    for (int k = 0; k < K; k++) {
        real u = 0, size = fabsl(sum), along = 0, along_size = 0;
        for (int j = 0; j < K; j++) {
            const real m = io->transform != NULL ? (real)io->transform[j * K + k] : j == k;
            const real back = io->transform != NULL ? (real)io->transform[k * K + j] : j == k;
            u += s->x[j] * m, size += fabsl(s->x[j] * m);
            along += back * s->o.prob[j], along_size += fabsl(back * s->o.prob[j]);
        }
        s->inputs[k] = g * d->scale * along, s->size[k] = fabsl(g * d->scale) * along_size;
        s->other[k] = g * d->scale / d->temperature * s->o.prob[k] * (u - sum);
        s->other_size[k] = fabsl(g * d->scale / d->temperature * s->o.prob[k]) * size;
    }
}

static void levels(const readout_desc *d, const readout_io *io, int64_t p, slopes *s)
{
    for (int k = 0; k < d->num_columns; k++) {
        const real value = io->level_values != NULL ? (real)io->level_values[k] : k + 1;
        const real apart = value - s->o.mean[0], share = s->o.prob[k] / (real)d->temperature;
        const real log_p = s->o.prob[k] > 0 ? logl(s->o.prob[k]) : 0;
        const real by_mean = at(io->grad_mean, p) * apart;
        const real by_variance = at(io->grad_variance, p) * (apart * apart - s->o.variance);
        const real by_entropy = at(io->grad_entropy, p) * (log_p + s->o.entropy);
        s->inputs[k] = share * (by_mean + by_variance - by_entropy);
        s->size[k] = share * (fabsl(at(io->grad_mean, p)) * (fabsl(value) + fabsl(value - apart)) +
                              fabsl(at(io->grad_variance, p)) * (apart * apart + s->o.variance) +
                              fabsl(at(io->grad_entropy, p)) * (fabsl(log_p) + s->o.entropy + 1));
    }
}

// Rank by rank: the next larger level, the lower index first.
static int next_level(const double *q, int N, int last)
{
    int best = -1;
    for (int n = 0; n < N; n++) {
        if (last >= 0 && (q[n] < q[last] || (q[n] == q[last] && n <= last))) continue;
        if (best < 0 || q[n] < q[best]) best = n;
    }
    return best;
}

static void quantile(const readout_desc *d, const readout_io *io, int64_t p, int a, slopes *s)
{
    const int N = d->num_columns / d->num_attributes;
    const int64_t i = p * d->num_attributes + a;
    real before = 0;
    for (int rank = 0, n = -1, low = 0, high = 0; rank < N; rank++) {
        n = next_level(s->x + a * N, N, n);
        const real w = io->level_weights != NULL ? (real)io->level_weights[n] : 1.0L / N;
        const real upto = rank + 1 == N ? 1 : before + w;
        const real inside = d->alpha == 1 ? w : fmaxl(0, fminl(upto, d->alpha) - before);
        real g = at(io->grad_mean, i) * w + at(io->grad_cvar, i) * inside / d->alpha;
        if (!high && upto >= 0.75L - 1e-12L) high = 1, g += at(io->grad_iqr, i);
        if (!low && upto >= 0.25L - 1e-12L) low = 1, g -= at(io->grad_iqr, i);
        s->inputs[a * N + n] = g;
        s->size[a * N + n] = fabsl(at(io->grad_mean, i)) + fabsl(at(io->grad_cvar, i)) / d->alpha +
                             fabsl(at(io->grad_iqr, i));
        before = upto;
    }
}

// A row of an output in its type: shares from a binary32 exp, and one rounding to the type.
static void expect_row(const char *name, const void *array, int32_t dtype, int64_t start,
                       const real *expected, const real *size, int K)
{
    if (array == NULL) return;
    const size_t bytes = dtype == MERIT_DTYPE_F32 ? 4 : 2;
    const double step = dtype == MERIT_DTYPE_F32    ? 0x1p-24
                        : dtype == MERIT_DTYPE_BF16 ? 0x1p-8
                                                    : 0x1p-11;
    float *const row = golden_rows((const char *)array + (size_t)start * bytes, dtype, 1, K, K);
    for (int k = 0; k < K; k++) {
        const double actual = row[k], e = (double)expected[k];
        const double limit = 2e-6 * (double)size[k] + step * fabs(e) + 0x1p-24;
        tk_expect_within_at(__FILE__, __LINE__, name, &actual, &e, &limit, 1);
    }
    free(row);
}

static void check_row(const readout_desc *d, const readout_io *io, int64_t p, slopes *s)
{
    const int K = d->num_columns;
    const merit_score_readout_forward_io forward = {.transform = io->transform,
                                                    .level_index = io->level_index,
                                                    .level_values = io->level_values,
                                                    .level_weights = io->level_weights};
    readout_oracle_row(d, &forward, s->x, s->y, s->v, &s->o);
    switch (d->kind) {
    case MERIT_READOUT_LINEAR: linear(d, at(io->grad_reward, p), s); break;
    case MERIT_READOUT_GATE: gate(d, io, at(io->grad_reward, p), s); break;
    case MERIT_READOUT_LEVELS: levels(d, io, p, s); break;
    default:
        for (int a = 0; a < d->num_attributes; a++) {
            quantile(d, io, p, a, s);
        }
    }
    expect_row("grad_inputs", io->grad_inputs, d->input_dtype,
               p * (d->grad_stride ? d->grad_stride : K), s->inputs, s->size, K);
    expect_row("grad_direction", io->grad_direction, MERIT_DTYPE_F32, p * K, s->other,
               s->other_size, K);
    expect_row("grad_gate_logits", io->grad_gate_logits, d->input_dtype, p * K, s->other,
               s->other_size, K);
}

const char *golden_score_readout_backward(tk_fixture *tk, const void *desc, const void *io)
{
    const readout_desc *const d = desc;
    const readout_io *const x = io;
    const int64_t P = d->num_rows, K = d->num_columns, V = d->num_logits > 0 ? d->num_logits : K;
    float *const inputs =
        golden_rows(x->inputs, d->input_dtype, P, d->input_stride ? d->input_stride : V, V);
    float *const gates =
        golden_rows(x->gate_logits, d->input_dtype, P, d->gate_stride ? d->gate_stride : K, K);
    float *const directions = golden_rows(x->direction, MERIT_DTYPE_F32, P, d->direction_stride, K);
    slopes *const s = calloc(1, sizeof *s);
    int64_t compared = 0;
    (void)tk;
    cr_assert_not_null(s);
    for (int64_t p = 0; p < P; p++) {
        double *const row = score_widened(inputs + p * V, V);
        double *const logits = score_widened(gates + p * K, K);
        double *const direction = score_widened(directions + p * K, K);
        s->x = row, s->y = logits, s->v = direction;
        if (golden_readout_applies(d, x->level_index, inputs + p * V, gates + p * K)) {
            check_row(d, x, p, s), compared++;
        }
        free(row), free(logits), free(direction);
    }
    free(inputs), free(gates), free(directions), free(s);
    return compared == 0 && P > 0 ? "no row is finite and whole" : NULL;
}
