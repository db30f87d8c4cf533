// The fold of policy_terms.h by blocks: the last block to finish a tile of sequences folds it, and the
// last block of all folds the tiles and takes the tally.
#ifndef MERIT_POLICY_TERMS_CUH
#define MERIT_POLICY_TERMS_CUH

#include "../core/team.cuh"
#include "policy_terms.h"

namespace
{

struct MergePolicyTotals {
    MERIT_HD merit_policy_totals operator()(merit_policy_totals a, merit_policy_totals b) const
    {
        return merit_policy_totals_merge(a, b);
    }
};

MERIT_DEVICE_CALL void fold_policy_tile(const merit_policy_terms &t,
                                        const Team<kTeamBlockWide> &team, int64_t tile)
{
    const int64_t first = tile * MERIT_TILE;
    const int64_t left = t.count - first;
    const int length = (int)(left < (int64_t)MERIT_TILE ? left : (int64_t)MERIT_TILE);
    for (int k = 0; k < MERIT_POLICY_MAX_SUMS; k++) {
        double sum = 0.0;
        if (k < t.num_sums) {
            const double *const terms = t.sums + k * t.count + first;
            sum = team_sum(team, [&](int slot) {
                const int i = team_element(team, slot);
                return i < length ? terms[i] : 0.0;
            });
        }
        if (team.rank != 0) continue;
        t.tiles[tile].sums[k] = sum;
        if (k == MERIT_POLICY_SUM_LOSS && t.loss_tiles != NULL) {
            t.loss_tiles[tile] = m_canonical64(sum);
        }
    }
}

// Called by a whole block when `amount` sequences of the tile of `first` are written.
MERIT_DEVICE void finish_policy_sequences(const merit_policy_terms &t,
                                          const Team<kTeamBlockWide> &team, int64_t first,
                                          int64_t amount)
{
    const int64_t tile = first / MERIT_TILE;
    const int64_t left = t.count - tile * MERIT_TILE;
    const uint32_t total = (uint32_t)(left < (int64_t)MERIT_TILE ? left : (int64_t)MERIT_TILE);
    if (block_is_last(&t.tile_tickets[tile], (uint32_t)amount, total)) {
        fold_policy_tile(t, team, tile);
    }
}

// Adds the threads' tallies to that of the call.
MERIT_DEVICE void add_policy_tally(const merit_policy_terms &t, const uint32_t *counts,
                                   int num_counts, const uint32_t *extremes)
{
    unsigned long long *const all =
        reinterpret_cast<unsigned long long *>(t.tickets + MERIT_POLICY_TICKET_COUNTS);
    const bool leads = threadIdx.x % kWarpSize == 0;
    for (int k = 0; k < num_counts; k++) {
        unsigned long long count = counts[k];
        for (int distance = 1; distance < kWarpSize; distance *= 2) {
            count += __shfl_xor_sync(kFullWarp, count, distance);
        }
        if (leads && count != 0) atomicAdd(&all[k], count);
    }
    for (int k = 0; k < MERIT_POLICY_MAX_EXTREMES; k++) {
        uint32_t word = extremes[k];
        for (int distance = 1; distance < kWarpSize; distance *= 2) {
            const uint32_t other = __shfl_xor_sync(kFullWarp, word, distance);
            word = other > word ? other : word;
        }
        if (leads && word != 0) atomicMax(&t.tickets[MERIT_POLICY_TICKET_EXTREMES + k], word);
    }
}

// By one thread of the last block: the tally of the call; its words are back at zero.
MERIT_DEVICE void take_policy_tally(const merit_policy_terms &t, merit_policy_tally *tally)
{
    unsigned long long *const all =
        reinterpret_cast<unsigned long long *>(t.tickets + MERIT_POLICY_TICKET_COUNTS);
    for (int k = 0; k < MERIT_POLICY_MAX_COUNTS; k++) {
        tally->counts[k] = atomicExch(&all[k], 0ull);
    }
    for (int k = 0; k < MERIT_POLICY_MAX_EXTREMES; k++) {
        tally->extremes[k] = atomicExch(&t.tickets[MERIT_POLICY_TICKET_EXTREMES + k], 0u);
    }
}

// Tickets of tiles beyond those that fit at the start of the workspace.
inline int clear_far_policy_tickets(const merit_policy_terms &t, cudaStream_t stream)
{
    const int64_t tiles = merit_policy_num_tiles(&t);
    if (tiles <= MERIT_POLICY_TICKET_NEAR) return 0;
    return (int)cudaMemsetAsync(t.tile_tickets, 0, (size_t)tiles * sizeof(uint32_t), stream);
}

} // namespace

#endif
