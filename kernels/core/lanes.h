// The canonical order of every sum (the numerics contract): element i of a row or group belongs to
// tile i / 2048 and lane i mod 256; a lane adds its up to eight elements in rising i; the 256 lanes
// fold by a binary tree, neighbours first; tiles fold by the same tree over the tile index, and a
// tile without a right sibling passes through unchanged. Absent elements are neutral.
//
// lanes_cpu.h has the order as C loops over arrays, team.cuh as warp and block operations.
#ifndef MERIT_CORE_LANES_H
#define MERIT_CORE_LANES_H

#include "exact.h"

enum {
    MERIT_LANES = 256,
    MERIT_TILE = 2048,
    MERIT_TILE_LEVELS = 48 // tiles of any int64_t length fold in fewer levels
};

// Tree over lanes[0 .. count): neighbours first, count a power of two. Destroys the array. Two arrays in
// turn: a level in place would be a chain of dependences.
MERIT_HD static inline double merit_lanes_fold64(double *lanes, int count)
{
    double other[MERIT_LANES / 2];
    double *from = lanes;
    double *to = other;
    for (int width = count / 2; width >= 1; width /= 2) {
        for (int i = 0; i < width; i++) {
            to[i] = m_add64(from[2 * i], from[2 * i + 1]);
        }
        double *const done = from;
        from = to;
        to = done;
    }
    return from[0];
}

MERIT_HD static inline float merit_lanes_fold32(float *lanes, int count)
{
    float other[MERIT_LANES / 2];
    float *from = lanes;
    float *to = other;
    for (int width = count / 2; width >= 1; width /= 2) {
        for (int i = 0; i < width; i++) {
            to[i] = m_add(from[2 * i], from[2 * i + 1]);
        }
        float *const done = from;
        from = to;
        to = done;
    }
    return from[0];
}

// Lanes that a tile uses: the power of two that holds it, at most 256.
MERIT_HD static inline int merit_tile_width(int length)
{
    int width = 1;
    while (width < length && width < MERIT_LANES) {
        width *= 2;
    }
    return width;
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

// sum 2^(scale x) = sum 2^exponent. Each tile has its own integer reference, the ceiling of its largest
// scale x, so that moving to another reference is an exact multiplication. NaN and +inf give NaN; all
// -inf: sum 0, exponent INT32_MIN. abs(scale x) up to 2^22.
typedef struct merit_exp_sum {
    double sum;
    int32_t exponent;
} merit_exp_sum;

// Merge of two neighbours, exact but for the one addition.
MERIT_HD static inline merit_exp_sum merit_exp_sum_merge(merit_exp_sum a, merit_exp_sum b)
{
    if (a.sum == 0.0) return b;
    if (b.sum == 0.0) return a;
    merit_exp_sum r;
    r.exponent = a.exponent > b.exponent ? a.exponent : b.exponent;
    r.sum = m_add64(m_scale64(a.sum, (int64_t)a.exponent - r.exponent),
                    m_scale64(b.sum, (int64_t)b.exponent - r.exponent));
    return r;
}

#endif
