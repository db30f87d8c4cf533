// Probabilities of a row: of the gates, of the levels.
#ifndef MERIT_SCORE_READOUT_SOFTMAX_H
#define MERIT_SCORE_READOUT_SOFTMAX_H

#include "score_readout_value.h"

// logits of a row: GATE its own array, LEVELS the inputs.
MERIT_HD static inline double readout_logit(const merit_score_readout_args *a, int64_t p, int k)
{
    if (a->d.kind == MERIT_READOUT_LEVELS) return readout_input(a, p, k);
    return m_load_real(a->io.gate_logits, a->d.input_dtype, p * a->d.gate_stride + k);
}

typedef struct merit_readout_softmax {
    double max; // -inf: all are
    double sum; // of e^((y - max) / T)
} merit_readout_softmax;

MERIT_HD static inline double readout_shifted(const merit_score_readout_args *a,
                                              const merit_readout_softmax *s, int64_t p, int k)
{
    return m_div64(m_sub64(readout_logit(a, p, k), s->max), (double)a->d.temperature);
}

MERIT_HD static inline double readout_exp(const merit_score_readout_args *a,
                                          const merit_readout_softmax *s, int64_t p, int k)
{
    return (double)m_exp(m_round32(readout_shifted(a, s, p, k)));
}

MERIT_HD static inline merit_readout_softmax readout_softmax(const merit_score_readout_args *a,
                                                             int64_t p)
{
    merit_readout_softmax s;
    s.max = -m_inf64();
    for (int k = 0; k < a->d.num_columns; k++) {
        const double y = readout_logit(a, p, k);
        s.max = y > s.max || m_is_nan64(y) ? y : s.max;
        if (m_is_nan64(y)) break;
    }
    READOUT_SUM(s.sum, a->d.num_columns, readout_exp(a, &s, p, k));
    return s;
}

MERIT_HD static inline double readout_prob(const merit_score_readout_args *a,
                                           const merit_readout_softmax *s, int64_t p, int k)
{
    return m_div64(readout_exp(a, s, p, k), s->sum);
}

#endif
