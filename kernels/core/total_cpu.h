// The fold of total.h as C loops.
#ifndef MERIT_CORE_TOTAL_CPU_H
#define MERIT_CORE_TOTAL_CPU_H

#include "lanes_cpu.h"
#include "parallel.h"
#include "total.h"

static void merit_total_fold_tiles(void *state, int64_t begin, int64_t end)
{
    const merit_total *const t = state;
    for (int64_t tile = begin; tile < end; tile++) {
        const double sum =
            merit_tile_sum64(t->terms + tile * MERIT_TILE, merit_total_tile_rows(t, tile));
        t->tiles[tile] = sum;
        if (t->tile_sums != NULL) t->tile_sums[tile] = m_canonical64(sum);
    }
}

static inline double merit_total_fold(merit_total *t, int num_threads)
{
    const int64_t tiles = merit_total_num_tiles(t);
    merit_parallel_ranges(num_threads, tiles, 1, merit_total_fold_tiles, t);
    merit_tile_sum sum = {0};
    for (int64_t tile = 0; tile < tiles; tile++) {
        merit_tile_sum_push(&sum, t->tiles[tile]);
    }
    return merit_tile_sum_finish(&sum);
}

#endif
