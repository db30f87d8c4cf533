// Arguments of the launchers of advantage_group.
//
// V is the set of members that enter the statistics: in stats_mask and not skipped. A *set* is what
// is normalized by itself: the combined reward (COMBINE_FIRST, one set) or one column (K sets).
#ifndef MERIT_ADVANTAGE_GROUP_ARGS_H
#define MERIT_ADVANTAGE_GROUP_ARGS_H

#include <merit/advantage.h>

#include "../core/moments.h"

enum {
    // Members of a group whose transform or scale compares all pairs.
    MERIT_ADVANTAGE_PAIRS_LIMIT = 4096
};

// Everything a tile of a group contributes to the statistics, for V. Merges like a record; the sums
// fold by the same trees.
typedef struct merit_advantage_partial {
    merit_moments moments;
    double nonzero; // count of u != 0
    double sum_w; // weights
    double sum_wu; // weights times u
    double first; // largest u
    double second; // second largest, with multiplicity
    int64_t first_at; // member index of the largest, the lowest on ties
} merit_advantage_partial;

typedef struct merit_advantage_group_args {
    merit_advantage_group_desc d; // strides resolved: no zeros
    merit_advantage_group_io io;
    int32_t num_sets;
    int32_t needs_pairs; // groups above MERIT_ADVANTAGE_PAIRS_LIMIT are refused
    int32_t needs_batch; // a BATCH level or batch_moments: run twice, records first
    int32_t records_only; // this run only writes group_records (set by the launcher)
    int64_t size_bound; // no group is larger: group_size, max_size or num_rows
    // workspace
    double *sums; // [R] NORMALIZE_FIRST sums of groups beyond a tile
    merit_advantage_partial *group_records; // [num_sets,N]
    merit_advantage_partial *tile_records; // [num_sets, tiles of 2048 groups]
    merit_advantage_partial *batch_records; // [num_sets]
    uint32_t *tickets; // [tiles of 2048 groups + 2]
    merit_advantage_partial *split_partials; // tiles of groups spread over blocks
    int64_t *split_groups; // those groups
} merit_advantage_group_args;

#endif
