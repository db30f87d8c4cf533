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

// The statistics of a population that levels above the group share.
typedef struct merit_advantage_record {
    merit_moments moments;
    double nonzero; // count of u != 0
} merit_advantage_record;

// Everything a tile of a group contributes to the statistics, for V. Merges like a record; the sums
// fold by the same trees.
typedef struct merit_advantage_partial {
    merit_advantage_record record;
    double sum_w; // weights
    double sum_wu; // weights times u
    double first; // largest u
    double second; // second largest, with multiplicity
    int64_t first_at; // member index of the largest, the lowest on ties
} merit_advantage_partial;

// A group of the split schedule.
typedef struct merit_advantage_split {
    int64_t group;
    int64_t first_tile; // of its partials
    merit_advantage_partial partial; // of the whole group
    merit_moments x_range; // of x over V: count, min, max
    uint32_t tiles_done;
    int32_t saw; // merit_advantage_saw bits of all members
} merit_advantage_split;

// A run makes records (of BATCH levels) or advantages, or one after the other.
enum { MERIT_ADVANTAGE_PASS_RECORDS = 0, MERIT_ADVANTAGE_PASS_APPLY = 1 };

// Ticket words at the start of a workspace; every call leaves them at zero.
enum {
    MERIT_ADVANTAGE_TICKET_SPLIT = 0, // groups listed for the split schedule
    MERIT_ADVANTAGE_TICKET_APPLY = 1, // blocks done with it
    MERIT_ADVANTAGE_TICKET_BATCH = 2, // tiles of groups folded
    MERIT_ADVANTAGE_TICKET_SPLIT_TILES = 4, // two words: partials that the groups listed need
    MERIT_ADVANTAGE_TICKET_TILES = 6, // groups done, per tile of 2048
    MERIT_ADVANTAGE_TICKET_WORDS = 64, // tiles beyond these have words elsewhere
    MERIT_ADVANTAGE_TICKET_NEAR = MERIT_ADVANTAGE_TICKET_WORDS - MERIT_ADVANTAGE_TICKET_TILES,
    // A larger group is spread over blocks, where its options allow.
    MERIT_ADVANTAGE_SPLIT_SIZE = 65536
};

typedef struct merit_advantage_group_args {
    merit_advantage_group_desc d; // strides resolved: no zeros
    merit_advantage_group_io io;
    int32_t num_sets;
    int32_t needs_pairs; // groups above MERIT_ADVANTAGE_PAIRS_LIMIT are refused
    int32_t needs_batch; // a BATCH level or batch_moments: run twice, records first
    int64_t size_bound; // no group is larger: group_size, max_size or num_rows
    int32_t can_split; // options that one pass over a group's tiles can serve
    // which of the two passes a run makes (set by the launchers)
    int32_t first_pass;
    int32_t last_pass;
    int32_t lists_split; // the run lists the groups of the split schedule
    // workspace
    uint32_t *tickets; // [MERIT_ADVANTAGE_TICKET_WORDS]
    uint32_t *tile_tickets; // [tiles of 2048 groups]: in tickets when they fit
    double *sums; // [R] NORMALIZE_FIRST sums of groups beyond a tile
    merit_advantage_record *group_records; // [num_sets,N]
    merit_advantage_record *tile_records; // [num_sets, tiles of 2048 groups]
    merit_advantage_record *batch_records; // [num_sets]
    merit_advantage_partial *split_tiles; // [merit_advantage_split_tile_room]
    merit_advantage_split *split_groups; // [merit_advantage_split_room]
} merit_advantage_group_args;

// Entries of the list of the split schedule: as many groups as can lie side by side.
MERIT_HD static inline int64_t merit_advantage_split_room(int64_t num_rows)
{
    return num_rows / MERIT_ADVANTAGE_SPLIT_SIZE + 1;
}

// Partials of their tiles.
MERIT_HD static inline int64_t merit_advantage_split_tile_room(int64_t num_rows)
{
    return num_rows / 2048 + merit_advantage_split_room(num_rows) + 1;
}

#endif
