// advantage_group, CPU, the common case (merit_advantage_has_plain_options) for one group of many members: two
// readings of its tiles for the moments, the second from the cache, and one that writes. Parts of a group may be
// read by several threads. What is not finite, or has a scale of 0, is for the general path.
//
// Why no check per member before a division as in quotient.h: rewards are multiples of 2^-149 below 2^128, and a
// mean of LONG_LEAST_MEAN or more is a multiple of 2^-493, so a difference of them is 0 or at least that.
#ifndef MERIT_ADVANTAGE_GROUP_LONG_CPU_H
#define MERIT_ADVANTAGE_GROUP_LONG_CPU_H

#include "../core/lanes_cpu.h"
#include "../core/moments_cpu.h"
#include "../core/parallel.h"
#include "../core/wide_cpu.h"
#include "advantage_group.h"
#include "advantage_group_dense_cpu.h"

#define LONG_LEAST_MEAN 0x1p-440

// Stores past the cache.
#if defined(__FMA__) || defined(__AVX512F__)
#define LONG_STREAMS 1
#else
#define LONG_STREAMS 0
#endif

enum {
    LONG_LANES = MERIT_LANES / WIDE_WIDTH, // vectors of lanes
    LONG_ROWS = MERIT_TILE / MERIT_LANES,
    LONG_LINE = 16, // rewards in a line of the cache
    LONG_AHEAD = MERIT_TILE, // rewards from a member to the line that is asked for
    LONG_SHARED = 1 << 16, // members of a group that several threads share
    LONG_STREAMED = 1 << 22, // members that no cache holds
    LONG_MOST_PARTS = 256, // of such a group
    LONG_LEAST_TILES = 8 // of a part
};

// Reading -----------------------------------------------------------------------------------------

WIDE_INLINE wide_d long_load(const float *rewards)
{
    wide_f r;
    memcpy(&r, rewards, sizeof r);
    return wide_widen(r) + (wide_d){0.0};
}

// Moments -----------------------------------------------------------------------------------------

WIDE_INLINE wide_d long_term(const float *rewards, int squares, wide_d mean, wide_d *min,
                             wide_d *max)
{
    const wide_d x = long_load(rewards);
    if (squares) return (x - mean) * (x - mean);
    *min = wide_min(x, *min);
    *max = wide_max(x, *max);
    return x;
}

// One lane vector: the members v, v + nv, ... of `rows` rows, and one more if there is a rest.
WIDE_INLINE wide_d long_lane(const float *rewards, int v, int nv, int rows, int more, int squares,
                             wide_d mean, wide_d *min, wide_d *max)
{
    wide_d sum = {0.0};
    for (int row = 0; row < rows + more; row++) {
        const wide_d x = long_term(rewards + (row * nv + v) * WIDE_WIDTH, squares, mean, min, max);
        sum = row == 0 ? x : sum + x;
    }
    return sum;
}

// Sum of the members of a tile, or of the squares of their differences from `mean`. nv vectors of lanes.
WIDE_INLINE double long_sum(const float *rewards, int length, int nv, int asks, int squares,
                            double mean, wide_d *min, wide_d *max)
{
    _Alignas(64) double lanes[MERIT_LANES];
    const wide_d from = (wide_d){0.0} + mean;
    const int rows = length / WIDE_WIDTH / nv;
    const int rest = length / WIDE_WIDTH % nv;
    const int tail = length % WIDE_WIDTH;
    for (int v = 0; v < nv; v++) {
        if (asks && v * WIDE_WIDTH % LONG_LINE == 0) {
            for (int row = 0; row < rows; row++) {
                __builtin_prefetch(rewards + LONG_AHEAD + (row * nv + v) * WIDE_WIDTH);
            }
        }
        const wide_d sum = long_lane(rewards, v, nv, rows, v < rest, squares, from, min, max);
        memcpy(lanes + v * WIDE_WIDTH, &sum, sizeof sum);
    }
    if (tail > 0) {
        float last[WIDE_WIDTH];
        double terms[WIDE_WIDTH];
        for (int l = 0; l < WIDE_WIDTH; l++) {
            last[l] = rewards[l < tail ? length - tail + l : length - 1];
        }
        const wide_d x = long_term(last, squares, from, min, max);
        memcpy(terms, &x, sizeof x);
        for (int l = 0; l < tail; l++) {
            double *const lane = &lanes[rest * WIDE_WIDTH + l];
            *lane = m_add64(*lane, terms[l]);
        }
    }
    return merit_lanes_fold64(lanes, nv * WIDE_WIDTH);
}

WIDE_INLINE merit_moments long_tile_of(const float *rewards, int length, int nv, int asks)
{
    wide_d low = (wide_d){0.0} + m_inf64();
    wide_d high = -low;
    merit_moments r = merit_moments_empty();
    r.count = (double)length;
    const double sum = long_sum(rewards, length, nv, asks, 0, 0.0, &low, &high);
    if (!m_is_finite64(sum)) {
        r.min = r.max = r.mean = r.m2 = m_nan64();
        return r;
    }
    for (int l = 0; l < WIDE_WIDTH; l++) {
        r.min = low[l] < r.min ? low[l] : r.min;
        r.max = high[l] > r.max ? high[l] : r.max;
    }
    const int equal = r.min == r.max;
    r.mean = equal ? r.min : m_div64(sum, r.count);
    if (!equal) {
        r.m2 = long_sum(rewards, length, nv, 0, 1, r.mean, &low, &high);
    }
    return r;
}

static __attribute__((noinline)) merit_moments long_whole_tile(const float *rewards)
{
    return long_tile_of(rewards, MERIT_TILE, LONG_LANES, 1);
}

static __attribute__((noinline)) merit_moments long_part_tile(const float *rewards, int length)
{
    const int width = merit_tile_width(length);
    return long_tile_of(rewards, length, width <= WIDE_WIDTH ? 1 : width / WIDE_WIDTH, 0);
}

// Of the tiles [begin, end) of a group of `size` members, from its first reward.
static merit_moments long_moments(const float *rewards, int64_t size, int64_t begin, int64_t end)
{
    merit_moments_tree tree;
    tree.count = 0;
    for (int64_t tile = begin; tile < end; tile++) {
        const float *const first = rewards + tile * MERIT_TILE;
        const int64_t left = size - tile * MERIT_TILE;
        const merit_moments m =
            left < MERIT_TILE ? long_part_tile(first, (int)left) : long_whole_tile(first);
        if (end - begin == 1) return m;
        merit_moments_tree_push(&tree, m);
    }
    return merit_moments_tree_finish(&tree);
}

// Advantages --------------------------------------------------------------------------------------

typedef struct long_group {
    const merit_advantage_group_args *a;
    const float *rewards; // the first
    int64_t begin; // its row
    int64_t size;
    int64_t
        part_tiles; // of a part: a power of two, so that parts are subtrees of the tree over tiles
    merit_moments *parts;
    merit_advantage_rule rule;
    int32_t divides; // by the scale
} long_group;

// The rule of a group from its moments; 0: for the general path.
static int long_find_rule(long_group *g, merit_moments moments)
{
    const merit_advantage_group_args *const a = g->a;
    const int scaled = a->d.scale == MERIT_SCALE_STD;
    const int centered = a->d.center != MERIT_CENTER_NONE;
    const int equal = moments.min == moments.max;
    if (!m_is_finite64(moments.max)) return 0;
    if (centered && moments.mean != 0.0 && m_abs64(moments.mean) < LONG_LEAST_MEAN) return 0;
    merit_advantage_partial p = merit_advantage_partial_empty();
    p.record.moments = moments;
    g->rule = merit_advantage_rule_of(a, &p, 0);
    g->divides = scaled && !equal;
    if (!scaled) return 1;
    if (g->rule.scale_missing) return 0;
    if (equal) return centered && g->rule.scale <= a->d.zero_threshold;
    return g->rule.scale > a->d.zero_threshold && g->rule.divisor.is_safe;
}

WIDE_INLINE wide_d long_value(const long_group *g, const float *rewards, int center, int divides)
{
    const wide_d zero = {0.0};
    wide_d x = long_load(rewards);
    if (center != MERIT_CENTER_NONE) x = x - (zero + g->rule.mean);
    if (center == MERIT_CENTER_LEAVE_ONE_OUT) {
        x = x * (zero + (double)g->rule.count);
        wide_divide(&x, 1, zero + g->rule.others.d, zero + g->rule.others.reciprocal);
    }
    if (divides) wide_divide(&x, 1, zero + g->rule.divisor.d, zero + g->rule.divisor.reciprocal);
    return x;
}

// A line of advantages past the cache, where the instruction set has a store for it.
WIDE_INLINE void long_stream(float *advantages, wide_f first, wide_f second)
{
#if defined(__AVX512F__)
    const __m512 line = _mm512_castps256_ps512((__m256)first);
    _mm512_stream_ps(advantages, _mm512_insertf32x8(line, (__m256)second, 1));
#elif LONG_STREAMS
    _mm_stream_ps(advantages, (__m128)first);
    _mm_stream_ps(advantages + WIDE_WIDTH, (__m128)second);
#else
    (void)advantages, (void)first, (void)second; // LONG_STREAMS
#endif
}

// Members [begin, end). Those of a group that no cache holds go past it, where they are aligned.
WIDE_INLINE void long_write(const long_group *g, int64_t begin, int64_t end, int center,
                            int divides)
{
    const float *const rewards = g->rewards;
    float *const advantages = (float *)g->a->io.advantages + g->begin;
    const int streams =
        LONG_STREAMS && g->size >= LONG_STREAMED && (uintptr_t)(advantages + begin) % 64 == 0;
    int64_t i = begin;
    for (; streams && i + 2 * WIDE_WIDTH <= end; i += 2 * WIDE_WIDTH) {
        const wide_f v = wide_round(long_value(g, rewards + i, center, divides));
        const wide_f w = wide_round(long_value(g, rewards + i + WIDE_WIDTH, center, divides));
        long_stream(advantages + i, v, w);
    }
#if LONG_STREAMS
    if (streams) _mm_sfence();
#endif
    for (; i + WIDE_WIDTH <= end; i += WIDE_WIDTH) {
        const wide_f v = wide_round(long_value(g, rewards + i, center, divides));
        memcpy(advantages + i, &v, sizeof v);
    }
    float rest[WIDE_WIDTH] = {0.0f};
    if (i == end) return;
    memcpy(rest, rewards + i, (size_t)(end - i) * sizeof *rest);
    const wide_f v = wide_round(long_value(g, rest, center, divides));
    memcpy(rest, &v, sizeof v);
    memcpy(advantages + i, rest, (size_t)(end - i) * sizeof *rest);
}

static __attribute__((noinline)) void long_write_standard(const long_group *g, int64_t begin,
                                                          int64_t end)
{
    long_write(g, begin, end, MERIT_CENTER_MEAN, 1);
}

static __attribute__((noinline)) void long_write_any(const long_group *g, int64_t begin,
                                                     int64_t end)
{
    long_write(g, begin, end, g->a->d.center, g->divides);
}

static void long_advantages(const long_group *g, int64_t begin, int64_t end)
{
    if (g->a->io.advantages == NULL) return;
    if (g->a->d.center == MERIT_CENTER_MEAN && g->divides) {
        long_write_standard(g, begin, end);
    } else {
        long_write_any(g, begin, end);
    }
}

// Groups ------------------------------------------------------------------------------------------

static void long_outputs(const long_group *g, int64_t group, merit_moments moments)
{
    const merit_advantage_group_args *const a = g->a;
    const int equal = moments.min == moments.max;
    merit_advantage_partial p = merit_advantage_partial_empty();
    p.record.moments = moments;
    const merit_advantage_shape shape = {g->size, moments.min, moments.max, 0.0};
    const int zero_rule =
        a->d.scale == MERIT_SCALE_STD && !g->divides && a->d.zero_rule != MERIT_ZERO_RULE_DIVIDE;
    merit_advantage_write_group(a, group, 0, g->size, &shape, &p, &g->rule,
                                zero_rule ? MERIT_ADVANTAGE_SAW_ZERO_RULE : 0);
    if (a->io.keep != NULL) memset(a->io.keep + g->begin, !equal, (size_t)g->size);
}

static void long_find_parts(void *state, int64_t begin, int64_t end)
{
    const long_group *const g = state;
    const int64_t tiles = (g->size + MERIT_TILE - 1) / MERIT_TILE;
    for (int64_t part = begin; part < end; part++) {
        const int64_t first = part * g->part_tiles;
        const int64_t last = first + g->part_tiles < tiles ? first + g->part_tiles : tiles;
        g->parts[part] = long_moments(g->rewards, g->size, first, last);
    }
}

static void long_write_parts(void *state, int64_t begin, int64_t end)
{
    const long_group *const g = state;
    const int64_t members = g->part_tiles * MERIT_TILE;
    long_advantages(g, begin * members, end * members < g->size ? end * members : g->size);
}

// All of a group that is not refused, of two members or more; 0: for the general path, nothing is written.
static int long_run(const merit_advantage_group_args *a, int64_t group, int64_t begin, int64_t size,
                    int num_threads)
{
    const int64_t tiles = (size + MERIT_TILE - 1) / MERIT_TILE;
    long_group g = {.a = a, .begin = begin, .size = size, .part_tiles = tiles};
    merit_moments parts[LONG_MOST_PARTS];
    merit_moments moments;
    int64_t num_parts = 1;
    g.rewards = (const float *)a->io.rewards + begin;
    g.parts = parts;
    if (num_threads > 1) {
        g.part_tiles = LONG_LEAST_TILES;
        while (g.part_tiles * LONG_MOST_PARTS < tiles) {
            g.part_tiles *= 2;
        }
        num_parts = (tiles + g.part_tiles - 1) / g.part_tiles;
        merit_parallel_ranges(num_threads, num_parts, 1, long_find_parts, &g);
        merit_moments_tree tree;
        tree.count = 0;
        for (int64_t part = 0; part < num_parts; part++) {
            merit_moments_tree_push(&tree, parts[part]);
        }
        moments = merit_moments_tree_finish(&tree);
    } else {
        moments = long_moments(g.rewards, size, 0, tiles);
    }
    if (!long_find_rule(&g, moments)) return 0;
    if (num_threads > 1) {
        merit_parallel_ranges(num_threads, num_parts, 1, long_write_parts, &g);
    } else {
        long_advantages(&g, 0, size);
    }
    if (dense_has_outputs(a)) long_outputs(&g, group, moments);
    return 1;
}

#endif
