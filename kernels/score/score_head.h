// From the sum of a head's products to its score, for both backends.
#ifndef MERIT_SCORE_HEAD_H
#define MERIT_SCORE_HEAD_H

#include "../core/load.h"
#include "score_args.h"

// What becomes of a sum: parameters of one head.
typedef struct merit_score_affine {
    const float *bias, *mean, *std; // [K], NULL
    float empty_value;
} merit_score_affine;

// (sum + bias - mean) / std in binary64, rounded once. + 0 so that no score is -0.
MERIT_HD static inline float score_finish_value(const merit_score_affine *a, int64_t head,
                                                double sum)
{
    double z = a->bias != NULL ? m_add64(sum, (double)a->bias[head]) : sum;
    if (a->mean != NULL) z = m_sub64(z, (double)a->mean[head]);
    if (a->std != NULL) z = m_div64(z, (double)a->std[head]);
    return m_canonical32(m_round32(m_add64(z, 0.0)));
}

// The score of a position without a token.
MERIT_HD static inline float score_absent_value(const merit_score_affine *a, int64_t position)
{
    switch (position) {
    case MERIT_POSITION_EMPTY: return m_canonical32(a->empty_value);
    case MERIT_POSITION_MASKED: return 0.0f;
    default: return m_nan32();
    }
}

// Its tile sums.
MERIT_HD static inline double score_absent_sum(int64_t position)
{
    const int harmless = position == MERIT_POSITION_EMPTY || position == MERIT_POSITION_MASKED;
    return harmless ? 0.0 : m_nan64();
}

MERIT_HD static inline uint64_t score_is_bad_std(float std)
{
    return std == 0.0f || std != std;
}

MERIT_HD static inline float score_weight_at(const merit_score_desc *d, const void *weight,
                                             int64_t i)
{
    return m_round32(m_load_real(weight, d->weight_dtype, i));
}

#endif
