// Arguments of the launchers of preference_list.
#ifndef MERIT_PREFERENCE_LIST_ARGS_H
#define MERIT_PREFERENCE_LIST_ARGS_H

#include <merit/preference.h>

#include "preference_link.h"
#include "preference_list_state.h"
#include "preference_terms.h"

enum {
    // Groups that are sorted, and groups whose items are compared in pairs.
    MERIT_LIST_RANKED_LIMIT = 65536,
    MERIT_LIST_PAIRS_LIMIT = 8192,
    // Items of a group whose arrays a CPU thread or a block keeps close; larger ones use the workspace.
    MERIT_LIST_RESIDENT = 2048,
    // Up to here each block counts the valid groups for itself; above, all blocks do it together.
    MERIT_LIST_COUNTED_HERE = 16384,
    // CUDA: items of a group that one block takes alone; the work of larger ones is spread over all blocks.
    MERIT_LIST_ALONE = 16384,
    MERIT_LIST_PAIRS_ALONE = 1024 // ALL_PAIRS
};

// What a group adds to the loss and the metrics.
enum {
    MERIT_LIST_SUM_WEIGHTED = MERIT_PREFERENCE_SUM_WEIGHTED, // group_weight times the loss
    MERIT_LIST_SUM_LOSS = 1,
    MERIT_LIST_SUM_WEIGHT = 2,
    MERIT_LIST_SUM_RECIPROCAL_RANK = 3,
    MERIT_LIST_SUM_CONCORDANT = 4, // counts of pairs: exact in binary64
    MERIT_LIST_SUM_DISCORDANT = 5,
    MERIT_LIST_SUM_TIED = 6,
    MERIT_LIST_NUM_SUMS = 7
};

enum {
    MERIT_LIST_COUNT_VALID = 0, // bits of a group's flags
    MERIT_LIST_COUNT_RANKED = 1,
    MERIT_LIST_COUNT_INVALID = 2,
    MERIT_LIST_COUNT_TOP1_STRICT = 3,
    MERIT_LIST_COUNT_TOP1_TIE = 4,
    MERIT_LIST_COUNT_MANY_STRICT = 5,
    MERIT_LIST_COUNT_MANY_TIE = 6,
    MERIT_LIST_NUM_COUNTS = 7
};

typedef struct merit_preference_list_args {
    merit_preference_list_desc d; // group_stride resolved; num_groups 0 when there are no items
    merit_preference_list_io io;
    int64_t empty_groups; // groups without a single item in the call: their outputs are +0
    merit_preference_link link;
    int64_t size_limit; // a larger group is refused
    int32_t needs_count; // MEAN_VALID with gradients: valid groups are counted first
    int32_t needs_fold; // loss, loss_tiles, metrics or the check of a GIVEN denominator
    int64_t num_valid; // CPU: the count
    merit_preference_terms terms; // one per group
    // workspace
    merit_list_split *split_groups; // [split_capacity]; NULL: no group can be so large
    merit_list_partial *split_tiles; // [split_tile_capacity]
    uint32_t *split_owners; // [split_tile_capacity]: groups listed whose tiles these are
    int64_t split_capacity;
    int64_t split_tile_capacity;
    uint64_t *keys; // [R]; these four for modes that compare items, if groups may be so large
    double *xs; // [R]
    double *slopes; // [R]
    double *losses; // [R]
} merit_preference_list_args;

#endif
