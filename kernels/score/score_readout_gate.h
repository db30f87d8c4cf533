// GATE readouts: rewards mixed by the probabilities of a gate.
#ifndef MERIT_SCORE_READOUT_GATE_H
#define MERIT_SCORE_READOUT_GATE_H

#include "score_readout_softmax.h"

// u_j = sum over k of r_k M[k,j].
MERIT_HD static inline double readout_transformed(const merit_score_readout_args *a, int64_t p,
                                                  int j)
{
    if (a->io.transform == NULL) return readout_input(a, p, j);
    const int size = a->d.num_columns;
    double u;
    READOUT_SUM(u, size,
                m_mul64(readout_input(a, p, k), (double)a->io.transform[(int64_t)k * size + j]));
    return u;
}

// d reward / d y of share `prob` of u, g the upstream times the scale.
MERIT_HD static inline double readout_gate_slope(double g, double temperature, double prob,
                                                 double u, double mixed)
{
    return m_mul64(m_div64(g, temperature), m_mul64(prob, m_sub64(u, mixed)));
}

MERIT_HD static inline void readout_gate(const merit_score_readout_args *a, int64_t p)
{
    const int size = a->d.num_columns;
    const merit_readout_softmax s = readout_softmax(a, p);
    const double scale = (double)a->d.scale;
    double mixed;
    READOUT_SUM(mixed, size, m_mul64(readout_prob(a, &s, p, k), readout_transformed(a, p, k)));
    if (a->io.reward != NULL) a->io.reward[p] = readout_round(m_mul64(scale, mixed));
    for (int k = 0; k < size && a->io.gate != NULL; k++) {
        a->io.gate[p * size + k] = readout_round(readout_prob(a, &s, p, k));
    }
    const double g = m_mul64(readout_upstream(a->grad.grad_reward, p), scale);
    for (int j = 0; j < size && a->grad.grad_inputs != NULL; j++) {
        double slope = readout_prob(a, &s, p, j);
        if (a->io.transform != NULL) {
            const float *const row = a->io.transform + (int64_t)j * size;
            READOUT_SUM(slope, size, m_mul64((double)row[k], readout_prob(a, &s, p, k)));
        }
        readout_store(a->grad.grad_inputs, a->d.input_dtype, p * a->d.grad_stride + j,
                      m_mul64(g, slope));
    }
    for (int k = 0; k < size && a->grad.grad_gate_logits != NULL; k++) {
        readout_store(a->grad.grad_gate_logits, a->d.input_dtype, p * (int64_t)size + k,
                      readout_gate_slope(g, (double)a->d.temperature, readout_prob(a, &s, p, k),
                                         readout_transformed(a, p, k), mixed));
    }
}

#endif
