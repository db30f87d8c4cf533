// comm_fold_moments: arguments, and the record that a place of the batch holds.
#ifndef MERIT_COMM_FOLD_MOMENTS_H
#define MERIT_COMM_FOLD_MOMENTS_H

#include "../core/moments.h"
#include "comm_parts.h"

typedef struct merit_comm_fold_moments_args {
    merit_comm_parts parts; // rows are groups
    const merit_moments *records; // [records of the rank,num_sets] of rank 0 in its message
    int64_t num_groups; // of all ranks
    int32_t num_sets;
    int32_t groups_per_record; // 1 or MERIT_TILE
    merit_moments *tiles; // workspace [num_sets, tiles of all ranks]
    merit_moments *moments; // [num_sets]
} merit_comm_fold_moments_args;

MERIT_HD static inline int64_t merit_comm_moments_tiles(const merit_comm_fold_moments_args *args)
{
    return (args->num_groups + MERIT_TILE - 1) / MERIT_TILE;
}

// Record i of the batch.
MERIT_HD static inline merit_moments merit_comm_moments_at(const merit_comm_fold_moments_args *args,
                                                           merit_comm_walk *walk, int64_t i,
                                                           int32_t set)
{
    merit_comm_walk_to(walk, &args->parts, args->groups_per_record, i);
    const merit_moments *const part =
        (const merit_moments *)merit_gathered_at(args->records, args->parts.step, walk->rank);
    return part[(i - walk->first) * args->num_sets + set];
}

#endif
