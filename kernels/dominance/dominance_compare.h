// What dominance_pairwise and dominance_subset share: the options of a comparison, and reading rows.
#ifndef MERIT_DOMINANCE_COMPARE_H
#define MERIT_DOMINANCE_COMPARE_H

#include <merit/dominance.h>

#include "../core/load.h"

enum {
    MERIT_DOMINANCE_MAX_OBJECTIVES = 32,
    MERIT_DOMINANCE_MAX_ACTIONS = 1024,
    MERIT_DOMINANCE_MAX_LEVELS = 65536,
    MERIT_DOMINANCE_MAX_SORTED = 4096 // levels of a row that sort_levels takes
};

typedef struct merit_dominance_compare {
    const void *q;
    const float *weights; // NULL = 1/N
    merit_diagnostics *diagnostics;
    int64_t num_states;
    int64_t stride_state, stride_objective, stride_action, stride_level; // resolved: no zeros
    int64_t weights_stride_state;
    int32_t num_objectives, num_actions, num_levels;
    int32_t dtype;
    int32_t measure, power, ties, integrate, sort_levels;
    int32_t by_means; // power 1, delta 0, not integrated: P - M is the difference of two means
    int32_t expects_order; // levels must rise
    // Sums are kept without the factor 1/N of absent weights: a sum P stands for P / unit.
    double unit;
    uint32_t negative; // bit m: smaller is better
    float delta[MERIT_DOMINANCE_MAX_OBJECTIVES];
} merit_dominance_compare;

// What is known of a row.
enum {
    MERIT_DOMINANCE_ROW_NAN = 1, // a level is NaN
    MERIT_DOMINANCE_ROW_INF = 2, // a level is infinite
    MERIT_DOMINANCE_ROW_UNSORTED = 4, // a level is below the one before
    // no pair with the row is defined
    MERIT_DOMINANCE_ROW_UNKNOWN = MERIT_DOMINANCE_ROW_NAN | MERIT_DOMINANCE_ROW_UNSORTED
};

MERIT_HD static inline int64_t merit_dominance_row_at(const merit_dominance_compare *c, int64_t b,
                                                      int m, int a)
{
    return b * c->stride_state + m * c->stride_objective + a * c->stride_action;
}

// Element i of q, widened exactly.
MERIT_HD static inline float merit_dominance_load(const merit_dominance_compare *c, int64_t i)
{
    switch (c->dtype) {
    case MERIT_DTYPE_BF16: return m_from_bf16(((const uint16_t *)c->q)[i]);
    case MERIT_DTYPE_F16: return m_from_f16(((const uint16_t *)c->q)[i]);
    default: return ((const float *)c->q)[i];
    }
}

// Flags of a level beside the one before (the level itself for the first).
MERIT_HD static inline uint32_t merit_dominance_level_flags(const merit_dominance_compare *c,
                                                            float level, float before)
{
    const uint32_t size = m_bits32(level) & 0x7fffffffu;
    uint32_t flags = size > 0x7f800000u ? MERIT_DOMINANCE_ROW_NAN : 0;
    flags |= size == 0x7f800000u ? MERIT_DOMINANCE_ROW_INF : 0;
    flags |= c->expects_order && level < before ? MERIT_DOMINANCE_ROW_UNSORTED : 0;
    return flags;
}

MERIT_HD static inline const float *merit_dominance_weights_of(const merit_dominance_compare *c,
                                                               int64_t b)
{
    return c->weights == NULL ? NULL : c->weights + b * c->weights_stride_state;
}

// Whether a pair of the state may be compared; sign of the objective and its dead zone.
MERIT_HD static inline int merit_dominance_is_negative(const merit_dominance_compare *c, int m)
{
    return (int)(c->negative >> m & 1u);
}

#endif
