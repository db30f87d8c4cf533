// The tree over tiles (lanes.h) for records of populations, one subtree at a time.
#ifndef MERIT_CORE_MOMENTS_TREE_H
#define MERIT_CORE_MOMENTS_TREE_H

#include "moments.h"

// As merit_tile_sum: start with zeroed `count`, push in rising order, finish folds what is left.
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

// A record as an operation writes it: an empty population has no mean or range.
static inline merit_moments merit_moments_output(merit_moments m)
{
    const int empty = m.count == 0.0;
    m.mean = empty ? m_nan64() : m_canonical64(m.mean);
    m.m2 = m_canonical64(m.m2);
    m.min = empty ? m_nan64() : m_canonical64(m.min);
    m.max = empty ? m_nan64() : m_canonical64(m.max);
    return m;
}

#endif
