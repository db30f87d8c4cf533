// The canonical fold (lanes.h) of records of populations as C loops.
#ifndef MERIT_CORE_MOMENTS_CPU_H
#define MERIT_CORE_MOMENTS_CPU_H

#include "moments.h"

// The tree over tiles, one tile at a time, as merit_tile_sum: start with zeroed `count`, push in rising
// order, finish folds what is left.
typedef struct merit_moments_tree {
    int64_t count;
    merit_moments level[MERIT_TILE_LEVELS];
} merit_moments_tree;

static inline int merit_moments_tree_depth(const merit_moments_tree *t)
{
    int depth = 0;
    for (int64_t bits = t->count; bits != 0; bits &= bits - 1) {
        depth++;
    }
    return depth;
}

static inline void merit_moments_tree_push(merit_moments_tree *t, merit_moments value)
{
    int depth = merit_moments_tree_depth(t);
    for (int64_t bits = t->count; (bits & 1) != 0; bits >>= 1) {
        value = merit_moments_merge(t->level[--depth], value);
    }
    t->level[depth] = value;
    t->count++;
}

static inline merit_moments merit_moments_tree_finish(const merit_moments_tree *t)
{
    int depth = merit_moments_tree_depth(t);
    if (depth == 0) return merit_moments_empty();
    merit_moments value = t->level[--depth];
    while (depth > 0) {
        value = merit_moments_merge(t->level[--depth], value);
    }
    return value;
}

// One tile: `count` records up to MERIT_TILE, `stride` bytes from one to the next. Lanes in rising order,
// then the lane tree.
static inline merit_moments merit_moments_fold_tile(const void *records, size_t stride, int count)
{
    const unsigned char *const base = records;
    merit_moments lanes[MERIT_LANES];
    for (int lane = 0; lane < MERIT_LANES; lane++) {
        lanes[lane] = merit_moments_empty();
        for (int i = lane; i < count; i += MERIT_LANES) {
            const merit_moments *const record = (const void *)(base + (size_t)i * stride);
            lanes[lane] = merit_moments_merge(lanes[lane], *record);
        }
    }
    for (int width = MERIT_LANES / 2; width >= 1; width /= 2) {
        for (int i = 0; i < width; i++) {
            lanes[i] = merit_moments_merge(lanes[2 * i], lanes[2 * i + 1]);
        }
    }
    return lanes[0];
}

#endif
