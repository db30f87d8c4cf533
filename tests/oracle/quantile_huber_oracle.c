#include "quantile_huber_oracle.h"

#include <math.h>
#include <stdlib.h>

static double huber(double kappa, double u)
{
    if (kappa == 0) return fabs(u);
    return fabs(u) <= kappa ? u * u / 2 : kappa * (fabs(u) - kappa / 2);
}

static double slope(double kappa, double u)
{
    if (isnan(u)) return NAN;
    if (kappa == 0) return u >= 0 ? 1 : -1;
    return u > kappa ? kappa : u < -kappa ? -kappa : u;
}

static double share(double tau, double u)
{
    return fabs(tau - (u < 0 ? 1 : 0));
}

double huber_oracle_level(double kappa, double divisor, double tau, double z, const double *targets,
                          int64_t count)
{
    double sum = 0;
    for (int64_t j = 0; j < count; j++) {
        const double u = targets[j] - z;
        sum += share(tau, u) * huber(kappa, u) / divisor;
    }
    return sum / (double)count;
}

static void fill_row(huber_oracle *o, int64_t r, int64_t N, double value)
{
    o->loss_rows[r] = value;
    for (int64_t i = 0; i < N; i++) {
        o->gradients[r * N + i] = value;
    }
}

static void run_row(huber_oracle *o, const merit_dominance_quantile_huber_desc *d,
                    const merit_dominance_quantile_huber_io *io, int64_t r, double denominator)
{
    const int64_t N = d->num_levels, M = d->num_targets;
    const double weight = io->weight == NULL ? 1 : io->weight[r];
    const int64_t n = io->target_count == NULL ? M : io->target_count[r];
    const double kappa = d->kappa, divisor = d->divide_by_kappa && kappa > 0 ? kappa : 1;
    const double c = d->level_reduction == MERIT_DOMINANCE_LEVELS_MEAN ? 1 / (double)N : 1;
    const float *const tau = io->tau + r * d->ld_tau;
    const float *const z = io->quantiles + r * (d->ld_quantiles == 0 ? N : d->ld_quantiles);
    const float *const y = io->targets + r * (d->ld_targets == 0 ? M : d->ld_targets);
    int bad_tau = 0;
    fill_row(o, r, N, 0);
    if (weight == 0) return;
    const int bad_count = n < 0 || n > M;
    if (!bad_count && n == 0) return;
    for (int64_t i = 0; i < N && !bad_count; i++) {
        bad_tau |= !(tau[i] >= 0 && tau[i] <= 1);
    }
    o->bad_count += bad_count;
    o->bad_tau += bad_tau;
    if (bad_count || bad_tau) {
        fill_row(o, r, N, NAN);
        o->loss = o->size = NAN;
        return;
    }
    double loss = 0;
    for (int64_t i = 0; i < N; i++) {
        double of_level = 0, gradient = 0, largest = 0;
        for (int64_t j = 0; j < n; j++) {
            const double u = (double)y[j] - z[i];
            const double term = share(tau[i], u) * slope(kappa, u) / divisor;
            of_level += share(tau[i], u) * huber(kappa, u) / divisor;
            gradient += term;
            largest = fmax(largest, fabs(term));
        }
        loss += c * of_level / (double)n;
        o->gradients[r * N + i] = -weight / denominator * c * gradient / (double)n;
        o->largest[r * N + i] = fabs(weight) / denominator * c * largest;
    }
    o->loss_rows[r] = loss;
    o->loss += weight * loss / denominator;
    o->size += fabs(weight * loss / denominator);
}

huber_oracle *huber_oracle_new(const merit_dominance_quantile_huber_desc *desc,
                               const merit_dominance_quantile_huber_io *io)
{
    const int64_t R = desc->num_rows, N = desc->num_levels;
    huber_oracle *const o = calloc(1, sizeof *o);
    o->loss_rows = calloc((size_t)R + 1, sizeof(double));
    o->gradients = calloc((size_t)(R * N) + 1, sizeof(double));
    o->largest = calloc((size_t)(R * N) + 1, sizeof(double));
    const double denominator = isnan(desc->denominator) ? (double)R : desc->denominator;
    for (int64_t r = 0; r < R; r++) {
        run_row(o, desc, io, r, denominator);
    }
    return o;
}

void huber_oracle_free(huber_oracle *o)
{
    free(o->loss_rows), free(o->gradients), free(o->largest), free(o);
}
