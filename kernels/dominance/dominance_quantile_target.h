// Arguments and formulas of dominance_quantile_target: what a row of targets is made of, one target.
#ifndef MERIT_DOMINANCE_QUANTILE_TARGET_H
#define MERIT_DOMINANCE_QUANTILE_TARGET_H

#include <merit/dominance_quantile.h>

#include "../core/counters.h"
#include "../core/load.h"

enum { MERIT_TARGET_MAX_OBJECTIVES = 32 };

typedef struct merit_dominance_quantile_target_args {
    merit_dominance_quantile_target_desc d; // strides resolved
    merit_dominance_quantile_target_io io;
    float gamma[MERIT_TARGET_MAX_OBJECTIVES];
} merit_dominance_quantile_target_args;

// Row b M + m of the targets.
typedef struct merit_target_row {
    int64_t q; // element of q_next where the action begins; MIXTURE: where action 0 does
    int32_t count; // entries
    int32_t is_filled; // all entries are `value`, q_next is not read
    float value; // the reward where it is not filled
    float discount;
    const uint32_t *set; // MIXTURE: actions, as bits
} merit_target_row;

MERIT_HD static inline int merit_target_words(const merit_dominance_quantile_target_args *args)
{
    return (args->d.num_actions + 31) / 32;
}

// Bits of word w that are actions.
MERIT_HD static inline uint32_t
merit_target_actions(const merit_dominance_quantile_target_args *args, const uint32_t *set, int w)
{
    const int left = args->d.num_actions - 32 * w;
    return left >= 32 ? set[w] : set[w] & ((1u << left) - 1u);
}

MERIT_HD static inline int merit_target_ones(uint32_t bits)
{
#if defined(__CUDA_ARCH__)
    return __popc(bits);
#else
    return __builtin_popcount(bits);
#endif
}

// Number of the lowest bit of a word that has one.
MERIT_HD static inline int merit_target_lowest(uint32_t bits)
{
    return merit_target_ones((bits & (0u - bits)) - 1u);
}

// Also writes what there is one of per row: the count, the diagnostics.
MERIT_HD static inline merit_target_row
merit_target_row_of(const merit_dominance_quantile_target_args *args, int64_t r, int writes)
{
    const merit_dominance_quantile_target_desc *const d = &args->d;
    const merit_dominance_quantile_target_io *const io = &args->io;
    const int64_t b = r / d->num_objectives;
    const int m = (int)(r - b * d->num_objectives);
    const int done = io->done != NULL && io->done[b] != 0;
    merit_target_row row;
    int bad = 0;
    row.q = b * d->stride_state + m * d->stride_objective;
    row.count = d->num_levels;
    row.discount = io->discount != NULL ? io->discount[r] : args->gamma[m];
    row.set = NULL;
    if (d->mode == MERIT_DOMINANCE_TARGET_MIXTURE) {
        const int words = merit_target_words(args);
        int size = 0;
        row.set = io->final + b * words;
        for (int w = 0; w < words; w++) {
            const uint32_t actions = merit_target_actions(args, row.set, w);
            size += merit_target_ones(actions);
            bad |= actions != row.set[w];
        }
        if (!bad && !(done && size == 0)) row.count = size * d->num_levels;
    } else {
        const int32_t action =
            d->mode == MERIT_DOMINANCE_TARGET_SHARED ? io->action[b] : io->greedy[r];
        bad = action < 0 || action >= d->num_actions;
        row.q += bad ? 0 : action * d->stride_action;
    }
    bad &= !done;
    row.is_filled = done || bad;
    row.value = bad ? m_nan32() : m_canonical32(io->reward[r]);
    if (writes) {
        if (io->target_count != NULL) io->target_count[r] = row.count;
        m_count(io->diagnostics, MERIT_COUNTER_BAD_ACTION, (uint64_t)bad);
    }
    return row;
}

// r + g Z
MERIT_HD static inline float merit_target_of(float reward, float discount, float q)
{
    return m_canonical32(m_add(m_fma(discount, q, reward), 0.0f));
}

#endif
