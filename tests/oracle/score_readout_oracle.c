#include "score_readout_oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef long double real;

static void softmax(const double *y, const int32_t *index, int K, double T, double *p, real *log_p)
{
    real top = -INFINITY, sum = 0;
    for (int k = 0; k < K; k++) {
        top = fmaxl(top, y[index != NULL ? index[k] : k]);
    }
    for (int k = 0; k < K; k++) {
        sum += expl((y[index != NULL ? index[k] : k] - top) / T);
    }
    for (int k = 0; k < K; k++) {
        log_p[k] = (y[index != NULL ? index[k] : k] - top) / T - logl(sum);
        p[k] = (double)expl(log_p[k]);
    }
}

typedef struct atom {
    double q, w;
    int n;
} atom;

static int by_level(const void *a, const void *b)
{
    const atom *const x = a, *const y = b;
    if (x->q != y->q) return x->q < y->q ? -1 : 1;
    return x->n - y->n;
}

static double level_at(const atom *atoms, int N, real u)
{
    real total = 0;
    for (int n = 0; n < N; n++) {
        total += atoms[n].w;
        if (total >= u - 1e-12L) return atoms[n].q;
    }
    return atoms[N - 1].q;
}

static void attribute(const merit_score_readout_desc *d, const merit_score_readout_forward_io *io,
                      const double *x, int a, readout_oracle *o)
{
    const int N = d->num_columns / d->num_attributes;
    for (int n = 1; n < N && !d->sort; n++) {
        if (x[a * N + n] >= x[a * N + n - 1]) continue;
        o->mean[a] = o->cvar[a] = o->iqr[a] = NAN;
        return;
    }
    atom *const atoms = calloc((size_t)N, sizeof *atoms);
    for (int n = 0; n < N; n++) {
        atoms[n] =
            (atom){x[a * N + n], io->level_weights ? (double)io->level_weights[n] : 1.0 / N, n};
    }
    qsort(atoms, (size_t)N, sizeof *atoms, by_level);
    real mean = 0, tail = 0, before = 0;
    for (int n = 0; n < N; n++) {
        mean += (real)atoms[n].w * atoms[n].q;
        const real upto = n + 1 == N ? 1.0L : before + atoms[n].w;
        const real inside = fminl(upto, d->alpha) - before;
        if (inside > 0) tail += inside * atoms[n].q;
        before = upto;
    }
    o->mean[a] = (double)mean;
    o->cvar[a] = d->alpha == 1 ? (double)mean : (double)(tail / d->alpha);
    o->iqr[a] = level_at(atoms, N, 0.75L) - level_at(atoms, N, 0.25L);
    free(atoms);
}

void readout_oracle_row(const merit_score_readout_desc *d, const merit_score_readout_forward_io *io,
                        const double *x, const double *y, const double *v, readout_oracle *o)
{
    const int K = d->num_columns;
    static real log_p[1024];
    memset(o, 0, sizeof *o);
    real sum = 0, length = 0;
    switch (d->kind) {
    case MERIT_READOUT_LINEAR:
        for (int k = 0; k < K; k++) {
            sum += (real)v[k] * x[k];
            length += (real)v[k] * v[k];
        }
        o->reward = (double)(d->unit ? sum / sqrtl(length) : sum);
        break;
    case MERIT_READOUT_GATE:
        softmax(y, NULL, K, d->temperature, o->prob, log_p);
        for (int k = 0; k < K; k++) {
            real u = io->transform == NULL ? x[k] : 0;
            for (int j = 0; io->transform != NULL && j < K; j++) {
                u += (real)x[j] * io->transform[j * K + k];
            }
            sum += expl(log_p[k]) * u;
        }
        o->reward = (double)(d->scale * sum);
        break;
    case MERIT_READOUT_LEVELS: {
        softmax(x, io->level_index, K, d->temperature, o->prob, log_p);
        real entropy = 0, variance = 0;
        for (int k = 0; k < K; k++) {
            sum += (io->level_values ? (real)io->level_values[k] : k + 1) * expl(log_p[k]);
            if (o->prob[k] > 0) entropy -= expl(log_p[k]) * log_p[k];
        }
        for (int k = 0; k < K; k++) {
            const real apart = (io->level_values ? (real)io->level_values[k] : k + 1) - sum;
            variance += expl(log_p[k]) * apart * apart;
        }
        o->mean[0] = (double)sum;
        o->variance = (double)variance;
        o->entropy = (double)entropy;
        break;
    }
    default:
        for (int a = 0; a < d->num_attributes; a++) {
            attribute(d, io, x, a, o);
        }
    }
}
