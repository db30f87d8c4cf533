// What the readouts share: sums over columns in the canonical order (column k in lane k mod 256, lanes fold
// neighbors first), and how values are read and written.
#ifndef MERIT_SCORE_READOUT_VALUE_H
#define MERIT_SCORE_READOUT_VALUE_H

#include "../core/counters.h"
#include "../core/lanes.h"
#include "../core/load.h"
#include "score_readout_args.h"

typedef struct merit_readout_sum {
    int32_t count; // lanes pushed
    double level[9];
} merit_readout_sum;

MERIT_HD static inline void readout_push(merit_readout_sum *s, double value)
{
    int depth = 0;
    for (int32_t bits = s->count; bits != 0; bits &= bits - 1) {
        depth++;
    }
    for (int32_t bits = s->count; (bits & 1) != 0; bits >>= 1) {
        value = m_add64(s->level[--depth], value);
    }
    s->level[depth] = value;
    s->count++;
}

MERIT_HD static inline double readout_finish(const merit_readout_sum *s)
{
    int depth = 0;
    for (int32_t bits = s->count; bits != 0; bits &= bits - 1) {
        depth++;
    }
    double value = 0.0;
    if (depth > 0) value = s->level[--depth];
    while (depth > 0) {
        value = m_add64(s->level[--depth], value);
    }
    return m_add64(value, 0.0);
}

// result = sum over k < size of `term`, an expression of k.
#define READOUT_SUM(result, size, term)                                    \
    do {                                                                   \
        merit_readout_sum readout_lanes;                                   \
        readout_lanes.count = 0;                                           \
        for (int lane = 0; lane < MERIT_LANES && lane < (size); lane++) {  \
            double lane_sum = 0.0;                                         \
            for (int k = lane; k < (size); k += MERIT_LANES) {             \
                lane_sum = k == lane ? (term) : m_add64(lane_sum, (term)); \
            }                                                              \
            readout_push(&readout_lanes, lane_sum);                        \
        }                                                                  \
        (result) = readout_finish(&readout_lanes);                         \
    } while (0)

MERIT_HD static inline float readout_round(double value)
{
    return m_canonical32(m_round32(value));
}

MERIT_HD static inline void readout_store(void *array, int32_t dtype, int64_t i, double value)
{
    switch (dtype) {
    case MERIT_DTYPE_BF16: ((uint16_t *)array)[i] = m_to_bf16_64(value); break;
    case MERIT_DTYPE_F16: ((uint16_t *)array)[i] = m_to_f16_64(value); break;
    default: ((float *)array)[i] = readout_round(value); break;
    }
}

MERIT_HD static inline double readout_upstream(const float *gradients, int64_t i)
{
    return gradients == NULL ? 0.0 : (double)gradients[i];
}

// Column k of the inputs of row p, by level_index where there is one.
MERIT_HD static inline double readout_input(const merit_score_readout_args *a, int64_t p, int k)
{
    const int64_t column = a->io.level_index != NULL ? a->io.level_index[k] : k;
    return m_load_real(a->io.inputs, a->d.input_dtype, p * a->d.input_stride + column);
}

#endif
