// The fold of total.h by blocks: the last block to finish a tile of rows folds it, and the last of those
// folds the tiles.
#ifndef MERIT_CORE_TOTAL_CUH
#define MERIT_CORE_TOTAL_CUH

#include "team.cuh"
#include "total.h"

namespace
{

struct MergeTotal {
    MERIT_HD double operator()(double a, double b) const
    {
        return m_add64(a, b);
    }
};

// Called by a whole block when the terms of `amount` rows from `first` on, all of one tile, are written.
// True in the block that folded all tiles: the sum is t.tiles[0].
MERIT_DEVICE_CALL bool finish_total_rows(const merit_total &t, const Team<kTeamBlockWide> &team,
                                         int64_t first, int amount)
{
    const int64_t tile = first / MERIT_TILE;
    const int rows = merit_total_tile_rows(&t, tile);
    if (!block_is_last(&t.tile_tickets[tile], (uint32_t)amount, (uint32_t)rows)) return false;
    const double *const terms = t.terms + tile * MERIT_TILE;
    const double sum = team_sum(team, [&](int slot) {
        const int i = team_element(team, slot);
        return i < rows ? terms[i] : 0.0;
    });
    if (team.rank == 0) {
        t.tiles[tile] = sum;
        if (t.tile_sums != NULL) t.tile_sums[tile] = m_canonical64(sum);
    }
    const int64_t tiles = merit_total_num_tiles(&t);
    if (!block_is_last(&t.tickets[MERIT_TOTAL_TICKET_TILES_DONE], 1, (uint32_t)tiles)) return false;
    block_fold_records(t.tiles, tiles, MergeTotal());
    return true;
}

// Tickets of tiles beyond those that fit at the start of the workspace.
inline int clear_far_total_tickets(const merit_total &t, cudaStream_t stream)
{
    const int64_t tiles = merit_total_num_tiles(&t);
    if (tiles <= MERIT_TOTAL_TICKET_NEAR) return 0;
    return (int)cudaMemsetAsync(t.tile_tickets, 0, (size_t)tiles * sizeof(uint32_t), stream);
}

} // namespace

#endif
