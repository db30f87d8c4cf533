// Arguments and formulas of dominance_quantile_huber: one level z against one target y, what a level makes
// of its sums over the targets, what a row makes of its levels.
#ifndef MERIT_DOMINANCE_QUANTILE_HUBER_H
#define MERIT_DOMINANCE_QUANTILE_HUBER_H

#include <merit/dominance_quantile.h>

#include "../core/counters.h"
#include "../core/total.h"

enum { MERIT_HUBER_LANES = 4 }; // target j belongs to lane j mod 4

typedef struct merit_dominance_quantile_huber_args {
    merit_dominance_quantile_huber_desc d; // resolved: strides and the denominator
    merit_dominance_quantile_huber_io io;
    int32_t needs_total; // loss or loss_tiles
    double row_divisor; // what the sums of a row are divided by, but for its number of targets
    merit_total total; // one term per row
} merit_dominance_quantile_huber_args;

// Rows --------------------------------------------------------------------------------------------

typedef enum merit_huber_state {
    MERIT_HUBER_RUNS,
    MERIT_HUBER_ZERO, // no weight or no targets: nothing of the row is read
    MERIT_HUBER_UNKNOWN // NaN
} merit_huber_state;

typedef struct merit_huber_row {
    merit_huber_state state;
    int32_t count; // targets to read: 0 unless the row runs
    int32_t bad_count;
    double weight;
    double divisor; // of the loss
    double slope; // what turns sums of slopes into gradients
} merit_huber_row;

MERIT_HD static inline merit_huber_row
merit_huber_row_of(const merit_dominance_quantile_huber_args *args, int64_t r)
{
    merit_huber_row row;
    const float weight = args->io.weight == NULL ? 1.0f : args->io.weight[r];
    const int32_t count =
        args->io.target_count == NULL ? args->d.num_targets : args->io.target_count[r];
    row.bad_count = weight != 0.0f && (count < 0 || count > args->d.num_targets);
    row.state = row.bad_count                  ? MERIT_HUBER_UNKNOWN
                : weight == 0.0f || count == 0 ? MERIT_HUBER_ZERO
                                               : MERIT_HUBER_RUNS;
    row.count = row.state == MERIT_HUBER_RUNS ? count : 0;
    row.weight = (double)weight;
    row.divisor = m_mul64((double)count, args->row_divisor);
    row.slope = -m_div64(m_div64(row.weight, args->d.denominator), row.divisor);
    return row;
}

MERIT_HD static inline const float *
merit_huber_tau_of(const merit_dominance_quantile_huber_args *args, int64_t r)
{
    return args->io.tau + r * args->d.ld_tau;
}

MERIT_HD static inline int merit_huber_tau_is_bad(float tau)
{
    return !(tau >= 0.0f && tau <= 1.0f);
}

// Pairs -------------------------------------------------------------------------------------------

// One lane of the sums over targets.
typedef struct merit_huber_lane {
    float loss, slope;
} merit_huber_lane;

// u = y - z. above = tau, below = 1 - tau. With c = clip(u, -kappa, kappa) both branches of the Huber loss
// are c (u - c / 2), and its slope is c; NaN passes. kappa 0 has |u| and its sign.
MERIT_HD static inline void merit_huber_add(merit_huber_lane *lane, int pinball, float kappa,
                                            float above, float below, float u)
{
    const float w = u < 0.0f ? below : above;
    if (pinball) {
        const float slope = u < 0.0f ? -below : u >= 0.0f ? above : u;
        lane->loss = m_fma(slope, u, lane->loss);
        lane->slope = m_add(lane->slope, slope);
        return;
    }
    const float low = kappa < u ? kappa : u;
    const float c = -kappa > low ? -kappa : low;
    const float slope = m_mul(w, c);
    lane->loss = m_fma(slope, m_fma(-0.5f, c, u), lane->loss);
    lane->slope = m_add(lane->slope, slope);
}

MERIT_HD static inline float merit_huber_fold(float l0, float l1, float l2, float l3)
{
    return m_add(m_add(l0, l1), m_add(l2, l3));
}

// Results -----------------------------------------------------------------------------------------

// The gradient of a level from its sum of slopes; scale: the row's slope.
MERIT_HD static inline float merit_huber_gradient(double scale, float slope)
{
    const float g = m_round32(m_mul64((double)slope, scale));
    return m_canonical32(m_add(g, 0.0f));
}

// What a row that does not run leaves everywhere.
MERIT_HD static inline float merit_huber_fill(merit_huber_state state)
{
    return state == MERIT_HUBER_UNKNOWN ? m_nan32() : 0.0f;
}

// The results of a row from the sum over its levels.
MERIT_HD static inline void merit_huber_write_row(const merit_dominance_quantile_huber_args *args,
                                                  const merit_huber_row *row, int bad_tau,
                                                  int64_t r, double sum)
{
    const double loss = row->state == MERIT_HUBER_RUNS ? m_div64(sum, row->divisor)
                                                       : (double)merit_huber_fill(row->state);
    if (args->io.loss_rows != NULL) args->io.loss_rows[r] = m_canonical32(m_round32(loss));
    if (args->needs_total) {
        const double term = m_mul64(row->weight, loss);
        args->total.terms[r] = row->state == MERIT_HUBER_ZERO ? 0.0 : term;
    }
    m_count(args->io.diagnostics, MERIT_COUNTER_BAD_COUNT, (uint64_t)row->bad_count);
    m_count(args->io.diagnostics, MERIT_COUNTER_BAD_TAU, (uint64_t)bad_tau);
}

MERIT_HD static inline void merit_huber_write_total(const merit_dominance_quantile_huber_args *args,
                                                    double sum)
{
    if (args->io.loss == NULL) return;
    *args->io.loss = m_canonical64(m_div64(sum, args->d.denominator));
}

#endif
