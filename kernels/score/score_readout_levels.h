// LEVELS readouts: the distribution over rating levels, its moments and probabilities.
#ifndef MERIT_SCORE_READOUT_LEVELS_H
#define MERIT_SCORE_READOUT_LEVELS_H

#include "score_readout_softmax.h"

MERIT_HD static inline double readout_level_value(const merit_score_readout_args *a, int k)
{
    return a->io.level_values != NULL ? (double)a->io.level_values[k] : (double)(k + 1);
}

// p log p, 0 for p = 0. log p = (y - max) / T - log sum.
MERIT_HD static inline double readout_surprise(double prob, double shifted, double log_sum)
{
    return prob == 0.0 ? 0.0 : m_mul64(prob, m_sub64(shifted, log_sum));
}

MERIT_HD static inline double readout_deviation(double prob, double value, double mean)
{
    const double d = m_sub64(value, mean);
    return m_mul64(prob, m_mul64(d, d));
}

// What a row of levels has in the end, and the upstreams of that.
typedef struct merit_readout_moments {
    double log_sum, mean, variance, entropy;
    double g_mean, g_variance, g_entropy;
} merit_readout_moments;

// The gradient of the logit of a level.
MERIT_HD static inline double readout_level_slope(const merit_readout_moments *m, double prob,
                                                  double shifted, double value, double temperature)
{
    const double d = m_sub64(value, m->mean);
    const double by_mean = m_mul64(m->g_mean, d);
    const double by_var = m_mul64(m->g_variance, m_sub64(m_mul64(d, d), m->variance));
    const double by_ent = m_mul64(m->g_entropy, m_add64(m_sub64(shifted, m->log_sum), m->entropy));
    const double slope = m_sub64(m_add64(by_mean, by_var), by_ent);
    return prob == 0.0 ? 0.0 : m_mul64(m_div64(prob, temperature), slope);
}

// Whether the level_index of a row lies within the logits.
MERIT_HD static inline int readout_has_bad_index(const merit_score_readout_args *a)
{
    for (int k = 0; k < a->d.num_columns && a->io.level_index != NULL; k++) {
        if (a->io.level_index[k] < 0 || a->io.level_index[k] >= a->d.num_logits) return 1;
    }
    return 0;
}

// The same values in all outputs of a row without a distribution.
MERIT_HD static inline void readout_levels_without(const merit_score_readout_args *a, int64_t p,
                                                   double mean, double gradient)
{
    if (a->io.mean != NULL) a->io.mean[p] = readout_round(mean);
    if (a->io.variance != NULL) a->io.variance[p] = m_nan32();
    if (a->io.entropy != NULL) a->io.entropy[p] = m_nan32();
    for (int k = 0; k < a->d.num_columns; k++) {
        if (a->io.prob != NULL) a->io.prob[p * a->d.num_columns + k] = m_nan32();
        if (a->grad.grad_inputs == NULL) continue;
        readout_store(a->grad.grad_inputs, a->d.input_dtype, p * a->d.grad_stride + k, gradient);
    }
}

MERIT_HD static inline void readout_levels(const merit_score_readout_args *a, int64_t p)
{
    const int size = a->d.num_columns;
    if (readout_has_bad_index(a)) {
        m_count(a->io.diagnostics, MERIT_COUNTER_BAD_INDEX, 1);
        readout_levels_without(a, p, m_nan64(), m_nan64());
        return;
    }
    const merit_readout_softmax s = readout_softmax(a, p);
    if (s.max == -m_inf64()) {
        m_count(a->io.diagnostics, MERIT_COUNTER_EMPTY_ROW, 1);
        readout_levels_without(a, p, (double)a->d.empty_value, 0.0);
        return;
    }
    merit_readout_moments m;
    m.log_sum = m_log64(s.sum);
    READOUT_SUM(m.mean, size, m_mul64(readout_level_value(a, k), readout_prob(a, &s, p, k)));
    READOUT_SUM(m.variance, size,
                readout_deviation(readout_prob(a, &s, p, k), readout_level_value(a, k), m.mean));
    READOUT_SUM(
        m.entropy, size,
        readout_surprise(readout_prob(a, &s, p, k), readout_shifted(a, &s, p, k), m.log_sum));
    m.entropy = m_sub64(0.0, m.entropy);
    if (a->io.mean != NULL) a->io.mean[p] = readout_round(m.mean);
    if (a->io.variance != NULL) a->io.variance[p] = readout_round(m.variance);
    if (a->io.entropy != NULL) a->io.entropy[p] = readout_round(m.entropy);
    m.g_mean = readout_upstream(a->grad.grad_mean, p);
    m.g_variance = readout_upstream(a->grad.grad_variance, p);
    m.g_entropy = readout_upstream(a->grad.grad_entropy, p);
    for (int k = 0; k < size; k++) {
        const double prob = readout_prob(a, &s, p, k);
        if (a->io.prob != NULL) a->io.prob[p * size + k] = readout_round(prob);
        if (a->grad.grad_inputs == NULL) continue;
        readout_store(a->grad.grad_inputs, a->d.input_dtype, p * a->d.grad_stride + k,
                      readout_level_slope(&m, prob, readout_shifted(a, &s, p, k),
                                          readout_level_value(a, k), (double)a->d.temperature));
    }
}

#endif
