// comm_fold_moments, CPU. Threads own tiles of groups.
#include "../backend.h"
#include "../core/moments_cpu.h"
#include "../core/parallel.h"
#include "comm_fold_moments.h"

typedef merit_comm_fold_moments_args args_type;

static void fold_tiles(void *state, int64_t begin, int64_t end)
{
    const args_type *const a = state;
    const int64_t tiles = merit_comm_moments_tiles(a);
    for (int64_t item = begin; item < end; item++) {
        const int32_t set = (int32_t)(item / tiles);
        const int64_t tile = item % tiles;
        merit_comm_walk walk = merit_comm_walk_begin();
        if (a->groups_per_record != 1) {
            a->tiles[item] = merit_comm_moments_at(a, &walk, tile, set);
            continue;
        }
        const int64_t first = tile * MERIT_TILE;
        const int64_t left = a->num_groups - first;
        const int count = (int)(left < MERIT_TILE ? left : MERIT_TILE);
        merit_moments records[MERIT_TILE];
        for (int i = 0; i < count; i++) {
            records[i] = merit_comm_moments_at(a, &walk, first + i, set);
        }
        a->tiles[item] = merit_moments_fold_tile(records, sizeof records[0], count);
    }
}

merit_comm_fold_moments_launcher MERIT_BACKEND_FN(comm_fold_moments);

int MERIT_BACKEND_FN(comm_fold_moments)(const merit_comm_fold_moments_args *args,
                                        const merit_launch *launch)
{
    const int64_t tiles = merit_comm_moments_tiles(args);
    merit_parallel_ranges(launch->num_threads, tiles * args->num_sets, 1, fold_tiles, (void *)args);
    for (int32_t set = 0; set < args->num_sets; set++) {
        merit_moments_tree tree;
        tree.count = 0;
        for (int64_t tile = 0; tile < tiles; tile++) {
            merit_moments_tree_push(&tree, args->tiles[set * tiles + tile]);
        }
        args->moments[set] = merit_moments_output(merit_moments_tree_finish(&tree));
    }
    return 0;
}
