// advantage_group, CUDA: the fold of the records of all groups, for BATCH levels. Integer tickets find the
// last block to finish a tile of 2048 groups, which folds it, and the last of those, which folds the tiles.
#ifndef MERIT_ADVANTAGE_GROUP_BATCH_CUH
#define MERIT_ADVANTAGE_GROUP_BATCH_CUH

#include "../core/records.cuh"
#include "advantage_group.h"

namespace
{

constexpr int kThreads = kTeamBlock;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int64_t kTile = MERIT_TILE; // groups whose records fold together, members of a tile
constexpr int64_t kLanes = MERIT_LANES; // of a tile

typedef merit_advantage_group_args Args;

struct MergeRecords {
    MERIT_HD merit_advantage_record operator()(merit_advantage_record a,
                                               merit_advantage_record b) const
    {
        return merit_advantage_record_merge(a, b);
    }
};

struct MergePartials {
    MERIT_HD merit_advantage_partial operator()(merit_advantage_partial a,
                                                merit_advantage_partial b) const
    {
        return merit_advantage_partial_merge(a, b);
    }
};

// Folds one tile of 2048 groups in every set, in place.
MERIT_DEVICE void fold_group_tile(const Args &a, int64_t tile, int64_t tiles)
{
    const int64_t groups = a.d.groups.num_groups;
    const int64_t first = tile * kTile;
    const int64_t count = groups - first < kTile ? groups - first : kTile;
    for (int32_t set = 0; set < a.num_sets; set++) {
        merit_advantage_record *const records = a.group_records + set * groups + first;
        for (int64_t g = threadIdx.x; a.io.group_moments != NULL && g < count; g += kLanes) {
            a.io.group_moments[(first + g) * a.num_sets + set] =
                merit_moments_output(records[g].moments);
        }
        block_fold_tile(records, count, MergeRecords(), [&](int64_t g) { return records[g]; });
        if (threadIdx.x != 0) continue;
        a.tile_records[set * tiles + tile] = records[0];
        if (a.io.tile_moments != NULL) {
            a.io.tile_moments[tile * a.num_sets + set] = merit_moments_output(records[0].moments);
        }
    }
}

MERIT_DEVICE void fold_batch(const Args &a, int64_t tiles)
{
    for (int32_t set = 0; set < a.num_sets; set++) {
        merit_advantage_record *const records = a.tile_records + set * tiles;
        block_fold_records(records, tiles, MergeRecords());
        if (threadIdx.x == 0) {
            a.batch_records[set] = records[0];
            if (a.io.batch_moments != NULL) {
                a.io.batch_moments[set] = merit_moments_output(records[0].moments);
            }
        }
    }
}

// Called by a whole block when `amount` groups of the tile of `group` have their records.
MERIT_DEVICE_CALL void finish_records(const Args &a, int64_t group, int64_t amount)
{
    const int64_t groups = a.d.groups.num_groups;
    const int64_t tiles = (groups + kTile - 1) / kTile;
    const int64_t tile = group / kTile;
    const int64_t left = groups - tile * kTile;
    const uint32_t total = (uint32_t)(left < kTile ? left : kTile);
    if (!block_is_last(&a.tile_tickets[tile], (uint32_t)amount, total)) return;
    fold_group_tile(a, tile, tiles);
    if (!block_is_last(&a.tickets[MERIT_ADVANTAGE_TICKET_BATCH], 1, (uint32_t)tiles)) return;
    fold_batch(a, tiles);
}

} // namespace

#endif
