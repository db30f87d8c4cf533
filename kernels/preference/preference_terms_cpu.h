// The fold of preference_terms.h as C loops.
#ifndef MERIT_PREFERENCE_TERMS_CPU_H
#define MERIT_PREFERENCE_TERMS_CPU_H

#include "../core/lanes_cpu.h"
#include "../core/parallel.h"
#include "preference_terms.h"

static void preference_fold_tiles(void *state, int64_t begin, int64_t end)
{
    const merit_preference_terms *const t = state;
    for (int64_t tile = begin; tile < end; tile++) {
        const int64_t first = tile * MERIT_TILE;
        const int64_t left = t->count - first;
        const int length = (int)(left < MERIT_TILE ? left : MERIT_TILE);
        merit_preference_totals totals = merit_preference_totals_zero();
        for (int k = 0; k < t->num_sums; k++) {
            totals.sums[k] = merit_tile_sum64(t->sums + k * t->count + first, length);
        }
        for (int j = 0; j < length; j++) {
            for (int k = 0; k < MERIT_PREFERENCE_MAX_COUNTS; k++) {
                totals.counts[k] += t->flags[first + j] >> k & 1;
            }
        }
        t->tiles[tile] = totals;
        if (t->loss_tiles != NULL) {
            t->loss_tiles[tile] = m_canonical64(totals.sums[MERIT_PREFERENCE_SUM_WEIGHTED]);
        }
    }
}

static inline merit_preference_totals preference_fold(merit_preference_terms *t, int num_threads)
{
    const int64_t tiles = merit_preference_num_tiles(t);
    if (tiles == 0) return merit_preference_totals_zero();
    merit_preference_totals *const all = t->tiles;
    merit_parallel_ranges(num_threads, tiles, 1, preference_fold_tiles, t);
    // in place: a round writes no tile that it reads later
    for (int64_t count = tiles; count > 1; count = (count + 1) / 2) {
        for (int64_t i = 0; i < (count + 1) / 2; i++) {
            all[i] = 2 * i + 1 < count ? merit_preference_totals_merge(all[2 * i], all[2 * i + 1])
                                       : all[2 * i];
        }
    }
    return all[0];
}

#endif
