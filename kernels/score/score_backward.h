// score_backward: arguments and formulas.
//
// A first step resolves every position: where its hidden row starts, and u[p,k], the gradients of its
// scores behind the affine. Later steps read those.
#ifndef MERIT_SCORE_BACKWARD_H
#define MERIT_SCORE_BACKWARD_H

#include "../core/load.h"
#include "score_args.h"

enum {
    MERIT_SCORE_COLUMNS = 32, // of grad_weight per block of a device
    MERIT_SCORE_HEADS = 4, // heads per block
    MERIT_SCORE_MAX_CHUNKS = 32, // sets of tiles of positions that blocks share
    MERIT_SCORE_STACK_LEVELS = 24, // tiles of a set fold in fewer
    MERIT_SCORE_BLOCKS_PER_SM = 4 // that the sets of tiles are to bring
};

typedef struct merit_score_backward_args {
    merit_score_desc d; // strides resolved: no zeros
    merit_score_backward_io io;
    merit_score_finder find;
    int64_t tiles_per_chunk; // a power of two
    int32_t num_chunks;
    // workspace
    uint32_t *tickets; // [sets of columns times sets of heads], when num_chunks > 1
    int64_t *starts; // [P] first element of the hidden row, or a merit_position_kind
    float *gradients; // [P,K or 1] u
    double *chunk_sums; // [num_chunks,K,H + 1], when num_chunks > 1; column H is grad_bias
    float *wide_weight; // [K,H] CPU, 16-bit weights in binary32
    // DENSE, per row of hidden
    uint64_t *owners; // [tokens] smallest p, all ones = none
    uint32_t *owner_counts; // [tokens]
} merit_score_backward_args;

// u of an entry without a gradient: the bits of a NaN that no formula gives.
MERIT_HD static inline float score_absent_gradient(void)
{
    return m_from_bits32(0xffffffffu);
}

MERIT_HD static inline int score_is_absent(float u)
{
    return m_bits32(u) == 0xffffffffu;
}

// u[p,column] for a position that was found.
MERIT_HD static inline float score_gradient(const merit_score_backward_args *args, int64_t p,
                                            int64_t column, int64_t position, int bad_route)
{
    const merit_score_backward_io *const io = &args->io;
    if (position == MERIT_POSITION_EMPTY || position == MERIT_POSITION_MASKED) {
        return score_absent_gradient();
    }
    if (io->label_mask != NULL && io->label_mask[p * score_num_columns(&args->d) + column] == 0) {
        return score_absent_gradient();
    }
    if (position < 0 || bad_route) return m_nan32();
    const float g = io->grad_scores[p * args->d.grad_score_stride + column];
    const int64_t head = args->d.routed ? io->route[p] : column;
    return m_canonical32(io->post_std != NULL ? m_div(g, io->post_std[head]) : g);
}

MERIT_HD static inline int score_has_bad_route(const merit_score_backward_args *args, int64_t p,
                                               int64_t position)
{
    if (!args->d.routed || position < 0) return 0;
    return args->io.route[p] < 0 || args->io.route[p] >= args->d.num_heads;
}

// u[p,k] of a head, from the resolved gradients.
MERIT_HD static inline float score_gradient_of_head(const merit_score_backward_args *args,
                                                    int64_t p, int64_t head)
{
    if (!args->d.routed) return args->gradients[p * args->d.num_heads + head];
    return args->io.route[p] == head ? args->gradients[p] : score_absent_gradient();
}

// An element of grad_hidden.
MERIT_HD static inline void score_store(void *array, int32_t dtype, int64_t i, float value)
{
    switch (dtype) {
    case MERIT_DTYPE_BF16: ((uint16_t *)array)[i] = m_to_bf16(value); break;
    case MERIT_DTYPE_F16: ((uint16_t *)array)[i] = m_to_f16(value); break;
    default: ((float *)array)[i] = m_canonical32(value); break;
    }
}

// What is written for a sum over positions, given what was there. + 0: no -0.
MERIT_HD static inline float score_sum_value(const merit_score_backward_args *args, double sum,
                                             float old)
{
    const double base = args->d.accumulate ? (double)old : 0.0;
    return m_canonical32(m_round32(m_add64(base, sum)));
}

MERIT_HD static inline int64_t score_position_tiles(const merit_score_finder *find)
{
    return (find->num_positions + MERIT_TILE - 1) / MERIT_TILE;
}

// Row of grad_hidden (an element) that belongs to a row of hidden.
MERIT_HD static inline int64_t score_grad_row_start(const merit_score_backward_args *args,
                                                    int64_t token)
{
    return score_row_start(&args->find, token, args->d.grad_hidden_row_stride,
                           args->d.grad_hidden_stride);
}

#endif
