// LINEAR readouts: the reward along a direction.
#ifndef MERIT_SCORE_READOUT_LINEAR_H
#define MERIT_SCORE_READOUT_LINEAR_H

#include "score_readout_value.h"

MERIT_HD static inline double readout_direction(const merit_score_readout_args *a, int64_t p, int k)
{
    return (double)a->io.direction[p * a->d.direction_stride + k];
}

// d reward / d v of a reward along v / length.
MERIT_HD static inline double readout_unit_slope(double x, double v, double reward, double length)
{
    return m_div64(m_sub64(x, m_mul64(reward, m_div64(v, length))), length);
}

MERIT_HD static inline void readout_linear(const merit_score_readout_args *a, int64_t p)
{
    const int size = a->d.num_columns;
    double reward;
    double length = 1.0;
    READOUT_SUM(reward, size, m_mul64(readout_direction(a, p, k), readout_input(a, p, k)));
    if (a->d.unit) {
        READOUT_SUM(length, size, m_mul64(readout_direction(a, p, k), readout_direction(a, p, k)));
        length = m_sqrt64(length);
        m_count(a->io.diagnostics, MERIT_COUNTER_ZERO_DIRECTION, length == 0.0);
        reward = m_div64(reward, length);
    }
    if (a->io.reward != NULL) a->io.reward[p] = readout_round(reward);
    const double g = readout_upstream(a->grad.grad_reward, p);
    for (int k = 0; k < size && a->grad.grad_inputs != NULL; k++) {
        const double v = readout_direction(a, p, k);
        readout_store(a->grad.grad_inputs, a->d.input_dtype, p * a->d.grad_stride + k,
                      m_mul64(g, a->d.unit ? m_div64(v, length) : v));
    }
    for (int k = 0; k < size && a->grad.grad_direction != NULL; k++) {
        double slope = readout_input(a, p, k);
        if (a->d.unit) {
            slope = readout_unit_slope(slope, readout_direction(a, p, k), reward, length);
        }
        a->grad.grad_direction[p * size + k] = readout_round(m_mul64(g, slope));
    }
}

#endif
