// dominance_quantile_huber on the CPU where a row has fewer levels than a vector has elements: an element per
// row. The sums are those of a row alone.
#ifndef MERIT_DOMINANCE_QUANTILE_HUBER_ROWS_CPU_H
#define MERIT_DOMINANCE_QUANTILE_HUBER_ROWS_CPU_H

#include "dominance_quantile_huber_vector_cpu.h"

enum { HUBER_ASIDE_LEVELS = 8, HUBER_ASIDE_TARGETS = 64 }; // columns of both fit the first cache

static inline int huber_goes_aside(const huber_args *args)
{
    return args->d.num_levels <= HUBER_ASIDE_LEVELS && args->d.num_targets <= HUBER_ASIDE_TARGETS;
}

// columns[n * WIDE32_WIDTH + j] = element n of row j.
static inline void huber_columns(const float *first, int64_t stride, int count, float *columns)
{
    for (int j = 0; j < WIDE32_WIDTH; j++) {
        const float *const row = first + j * stride;
        for (int n = 0; n < count; n++) {
            columns[n * WIDE32_WIDTH + j] = row[n];
        }
    }
}

// WIDE32_WIDTH rows from r on that all run and have as many targets. sums: of their levels.
static void huber_run_aside(const huber_args *args, const merit_huber_row *rows, int64_t r,
                            double *sums)
{
    const merit_dominance_quantile_huber_desc *const d = &args->d;
    const int levels = d->num_levels;
    float z[HUBER_ASIDE_LEVELS * WIDE32_WIDTH], tau[HUBER_ASIDE_LEVELS * WIDE32_WIDTH];
    float targets[HUBER_ASIDE_TARGETS * WIDE32_WIDTH];
    float slopes[HUBER_ASIDE_LEVELS][WIDE32_WIDTH];
    double losses[HUBER_ASIDE_LEVELS][WIDE32_WIDTH];
    double scale[WIDE32_WIDTH];
    huber_columns(args->io.quantiles + r * d->ld_quantiles, d->ld_quantiles, levels, z);
    huber_columns(merit_huber_tau_of(args, r), d->ld_tau, levels, tau);
    huber_columns(args->io.targets + r * d->ld_targets, d->ld_targets, rows[0].count, targets);
    for (int j = 0; j < WIDE32_WIDTH; j++) {
        scale[j] = rows[j].slope;
    }
    for (int i = 0; i < HUBER_ASIDE_LEVELS; i++) {
        huber_lane sum = {{0.0f}, {0.0f}};
        if (i < levels) {
            huber_levels l = {.z = wide32_load_f32(z + i * WIDE32_WIDTH),
                              .above = wide32_load_f32(tau + i * WIDE32_WIDTH)};
            l.below = wide32_splat(1.0f) - l.above;
            l.kappa = wide32_splat(d->kappa);
            if (d->kappa == 0.0f) {
                huber_add_targets(&l, 1, 1, targets, rows[0].count, &sum);
            } else {
                huber_add_targets(&l, 0, 1, targets, rows[0].count, &sum);
            }
        }
        for (int j = 0; j < WIDE32_WIDTH; j++) {
            losses[i][j] = (double)sum.loss[j];
            slopes[i][j] = merit_huber_gradient(scale[j], sum.slope[j]);
        }
    }
    for (int j = 0; j < WIDE32_WIDTH; j++) { // absent levels are zeros, which change nothing
        const double low =
            m_add64(m_add64(losses[0][j], losses[1][j]), m_add64(losses[2][j], losses[3][j]));
        const double high =
            m_add64(m_add64(losses[4][j], losses[5][j]), m_add64(losses[6][j], losses[7][j]));
        sums[j] = m_add64(low, high);
    }
    if (args->io.grad_quantiles == NULL) return;
    for (int j = 0; j < WIDE32_WIDTH; j++) {
        float *const gradients = args->io.grad_quantiles + (r + j) * d->ld_quantiles;
        for (int i = 0; i < levels; i++) {
            gradients[i] = slopes[i][j];
        }
    }
}

#endif
