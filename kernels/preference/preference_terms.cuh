// The fold of preference_terms.h by blocks: the last block to finish a tile of terms folds it, and the
// last of those folds the tiles.
#ifndef MERIT_PREFERENCE_TERMS_CUH
#define MERIT_PREFERENCE_TERMS_CUH

#include "../core/team.cuh"
#include "preference_terms.h"

namespace
{

struct MergeTotals {
    MERIT_HD merit_preference_totals operator()(merit_preference_totals a,
                                                merit_preference_totals b) const
    {
        return merit_preference_totals_merge(a, b);
    }
};

// Counts of flag bits [first, first + 4) over a tile, 16 bits each.
MERIT_DEVICE uint64_t count_flags(const Team<kTeamBlockWide> &team, const uint32_t *flags,
                                  int length, int first)
{
    uint64_t mine = 0;
    for (int i = team.rank; i < length; i += kTeamBlock) {
        const uint32_t bits = flags[i] >> first;
        mine += (uint64_t)(bits & 1) | (uint64_t)(bits >> 1 & 1) << 16 |
                (uint64_t)(bits >> 2 & 1) << 32 | (uint64_t)(bits >> 3 & 1) << 48;
    }
    return team_reduce(team, mine, [](uint64_t a, uint64_t b) { return a + b; });
}

MERIT_DEVICE_CALL void fold_terms_tile(const merit_preference_terms &t,
                                       const Team<kTeamBlockWide> &team, int64_t tile)
{
    const int64_t first = tile * MERIT_TILE;
    const int64_t left = t.count - first;
    const int length = (int)(left < (int64_t)MERIT_TILE ? left : (int64_t)MERIT_TILE);
    merit_preference_totals *const totals = &t.tiles[tile];
    for (int k = 0; k < MERIT_PREFERENCE_MAX_SUMS; k++) {
        double sum = 0.0;
        if (k < t.num_sums) {
            const double *const terms = t.sums + k * t.count + first;
            sum = team_sum(team, [&](int slot) {
                const int i = team_element(team, slot);
                return i < length ? terms[i] : 0.0;
            });
        }
        if (team.rank != 0) continue;
        totals->sums[k] = sum;
        if (k == MERIT_PREFERENCE_SUM_WEIGHTED && t.loss_tiles != NULL) {
            t.loss_tiles[tile] = m_canonical64(sum);
        }
    }
    for (int k = 0; k < MERIT_PREFERENCE_MAX_COUNTS; k += 4) {
        const uint64_t counts = count_flags(team, t.flags + first, length, k);
        for (int j = k; j < k + 4 && j < MERIT_PREFERENCE_MAX_COUNTS; j++) {
            if (team.rank == 0) totals->counts[j] = (int64_t)(counts >> 16 * (j - k) & 0xffffu);
        }
    }
}

// Called by a whole block when `amount` terms of the tile of `term` are written. True in the block that
// folded all tiles: the totals are in t.tiles[0].
MERIT_DEVICE_CALL bool finish_terms(const merit_preference_terms &t,
                                    const Team<kTeamBlockWide> &team, int64_t term, int64_t amount)
{
    const int64_t tiles = merit_preference_num_tiles(&t);
    const int64_t tile = term / MERIT_TILE;
    const int64_t left = t.count - tile * MERIT_TILE;
    const uint32_t total = (uint32_t)(left < (int64_t)MERIT_TILE ? left : (int64_t)MERIT_TILE);
    if (!block_is_last(&t.tile_tickets[tile], (uint32_t)amount, total)) return false;
    fold_terms_tile(t, team, tile);
    if (!block_is_last(&t.tickets[MERIT_PREFERENCE_TICKET_TILES_DONE], 1, (uint32_t)tiles)) {
        return false;
    }
    block_fold_records(t.tiles, tiles, MergeTotals());
    return true;
}

// Tickets of tiles beyond those that fit at the start of the workspace.
inline int clear_far_tickets(const merit_preference_terms &t, cudaStream_t stream)
{
    const int64_t tiles = merit_preference_num_tiles(&t);
    if (tiles <= MERIT_PREFERENCE_TICKET_NEAR) return 0;
    return (int)cudaMemsetAsync(t.tile_tickets, 0, (size_t)tiles * sizeof(uint32_t), stream);
}

} // namespace

#endif
