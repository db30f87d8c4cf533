// The canonical order of every sum (the numerics contract): element i of a row or group belongs to
// tile i / 2048 and lane i mod 256; a lane adds its up to eight elements in rising i; the 256 lanes
// fold by a binary tree, neighbours first; tiles fold by the same tree over the tile index, and a
// tile without a right sibling passes through unchanged. Absent elements are neutral.
//
// This is the order as C loops. team.cuh has it as warp and block operations.
#ifndef MERIT_CORE_LANES_H
#define MERIT_CORE_LANES_H

#include "portable.h"

enum {
    MERIT_LANES = 256,
    MERIT_TILE = 2048,
    MERIT_TILE_LEVELS = 48 // tiles of any int64_t length fold in fewer levels
};

// Tree over lanes[0 .. count): neighbours first, count a power of two. Destroys the array.
static inline double merit_lanes_fold64(double *lanes, int count)
{
    for (int width = count / 2; width >= 1; width /= 2) {
        for (int i = 0; i < width; i++) {
            lanes[i] = m_add64(lanes[2 * i], lanes[2 * i + 1]);
        }
    }
    return lanes[0];
}

static inline float merit_lanes_fold32(float *lanes, int count)
{
    for (int width = count / 2; width >= 1; width /= 2) {
        for (int i = 0; i < width; i++) {
            lanes[i] = m_add(lanes[2 * i], lanes[2 * i + 1]);
        }
    }
    return lanes[0];
}

// Sum of one tile of `length` <= 2048 values. Lanes beyond the length stay out of the tree: adding
// their zeros would change nothing.
static inline double merit_tile_sum64(const double *values, int length)
{
    double lanes[MERIT_LANES];
    if (length <= 0) return 0.0;
    int width = 1;
    while (width < length && width < MERIT_LANES) {
        width *= 2;
    }
    const int first = length < width ? length : width;
    for (int i = 0; i < first; i++) {
        lanes[i] = values[i];
    }
    for (int i = first; i < width; i++) {
        lanes[i] = 0.0;
    }
    for (int start = width; start < length; start += width) {
        const int count = length - start < width ? length - start : width;
        for (int i = 0; i < count; i++) {
            lanes[i] = m_add64(lanes[i], values[start + i]);
        }
    }
    return merit_lanes_fold64(lanes, width);
}

// The tree over tiles, one tile at a time: a stack of complete subtrees, like the digits of a binary
// counter. Start with zeroed `count`; push in rising tile order; finish folds what is left.
typedef struct merit_tile_sum {
    int64_t count;
    double level[MERIT_TILE_LEVELS];
} merit_tile_sum;

MERIT_HD static inline void merit_tile_sum_push(merit_tile_sum *s, double value)
{
    int depth = 0;
    for (int64_t bits = s->count; bits != 0; bits &= bits - 1) {
        depth++;
    }
    for (int64_t bits = s->count; (bits & 1) != 0; bits >>= 1) {
        value = m_add64(s->level[--depth], value);
    }
    s->level[depth] = value;
    s->count++;
}

MERIT_HD static inline double merit_tile_sum_finish(const merit_tile_sum *s)
{
    int depth = 0;
    for (int64_t bits = s->count; bits != 0; bits &= bits - 1) {
        depth++;
    }
    if (depth == 0) return 0.0;
    double value = s->level[--depth];
    while (depth > 0) {
        value = m_add64(s->level[--depth], value);
    }
    return value;
}

#endif
