// comm_fold_sums: arguments and the formula of one total.
#ifndef MERIT_COMM_FOLD_SUMS_H
#define MERIT_COMM_FOLD_SUMS_H

#include "comm_parts.h"

typedef struct merit_comm_fold_sums_args {
    merit_comm_parts parts;
    const double *tiles; // [tiles of the rank,num_sums] of rank 0 in its message
    const int64_t *counts; // [num_counts] likewise
    int32_t num_sums;
    int32_t num_counts;
    double *sums; // [num_sums]
    int64_t *total_counts; // [num_counts]
} merit_comm_fold_sums_args;

MERIT_HD static inline double merit_comm_sum(const merit_comm_fold_sums_args *args, int32_t k)
{
    merit_tile_sum sum;
    sum.count = 0;
    for (int32_t rank = 0; rank < args->parts.num_ranks; rank++) {
        const int64_t rows = merit_comm_rows_of(&args->parts, rank);
        const int64_t tiles = (rows + MERIT_TILE - 1) / MERIT_TILE;
        const double *const part =
            (const double *)merit_gathered_at(args->tiles, args->parts.step, rank);
        for (int64_t tile = 0; tile < tiles; tile++) {
            merit_tile_sum_push(&sum, part[tile * args->num_sums + k]);
        }
    }
    return m_canonical64(m_add64(merit_tile_sum_finish(&sum), 0.0));
}

// Wraps like the unsigned sum.
MERIT_HD static inline int64_t merit_comm_count(const merit_comm_fold_sums_args *args, int32_t k)
{
    uint64_t total = 0;
    for (int32_t rank = 0; rank < args->parts.num_ranks; rank++) {
        const int64_t *const part =
            (const int64_t *)merit_gathered_at(args->counts, args->parts.step, rank);
        total += (uint64_t)part[k];
    }
    return (int64_t)total;
}

// Total i of num_sums + num_counts.
MERIT_HD static inline void merit_comm_fold_total(const merit_comm_fold_sums_args *args, int64_t i)
{
    if (i < args->num_sums) {
        args->sums[i] = merit_comm_sum(args, (int32_t)i);
    } else {
        const int32_t k = (int32_t)(i - args->num_sums);
        args->total_counts[k] = merit_comm_count(args, k);
    }
}

#endif
