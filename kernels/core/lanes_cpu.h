// The canonical order of lanes.h as C loops over arrays.
#ifndef MERIT_CORE_LANES_CPU_H
#define MERIT_CORE_LANES_CPU_H

#include "lanes.h"

// Tiles -------------------------------------------------------------------------------------------
//
// Each function below adds the terms of one tile of at most 2048 elements. Lanes beyond the length
// stay out of the tree: adding their zeros would change nothing.

// A tile function: `term` is the expression of element i, a sum of type `type` in lanes.
#define MERIT_TILE_FUNCTION(name, type, add, fold, parameters, term)             \
    static inline type name parameters                                           \
    {                                                                            \
        type lanes[MERIT_LANES];                                                 \
        if (length <= 0) return 0;                                               \
        const int width = merit_tile_width(length);                              \
        if (width > MERIT_LANES) __builtin_unreachable(); /* merit_tile_width */ \
        const int first = length < width ? length : width;                       \
        for (int i = 0; i < first; i++) {                                        \
            lanes[i] = (term);                                                   \
        }                                                                        \
        for (int i = first; i < width; i++) {                                    \
            lanes[i] = 0;                                                        \
        }                                                                        \
        for (int start = width; start < length; start += width) {                \
            const int end = length - start < width ? length : start + width;     \
            for (int i = start; i < end; i++) {                                  \
                lanes[i - start] = add(lanes[i - start], (term));                \
            }                                                                    \
        }                                                                        \
        return fold(lanes, width);                                               \
    }

// sum x
MERIT_TILE_FUNCTION(merit_tile_sum64, double, m_add64, merit_lanes_fold64,
                    (const double *x, int length), x[i])
MERIT_TILE_FUNCTION(merit_tile_sum32, float, m_add, merit_lanes_fold32,
                    (const float *x, int length), x[i])
// sum x y, products rounded
MERIT_TILE_FUNCTION(merit_tile_dot64, double, m_add64, merit_lanes_fold64,
                    (const double *x, const double *y, int length), m_mul64(x[i], y[i]))
MERIT_TILE_FUNCTION(merit_tile_dot32, float, m_add, merit_lanes_fold32,
                    (const float *x, const float *y, int length), m_mul(x[i], y[i]))
// sum (x - mean)^2
MERIT_TILE_FUNCTION(merit_tile_squares64, double, m_add64, merit_lanes_fold64,
                    (const double *x, double mean, int length),
                    m_mul64(m_sub64(x[i], mean), m_sub64(x[i], mean)))
MERIT_TILE_FUNCTION(merit_tile_squares32, float, m_add, merit_lanes_fold32,
                    (const float *x, float mean, int length),
                    m_mul(m_sub(x[i], mean), m_sub(x[i], mean)))
// sum exp(x - max)
MERIT_TILE_FUNCTION(merit_tile_exp_sum64, double, m_add64, merit_lanes_fold64,
                    (const double *x, double max, int length), m_exp64(m_sub64(x[i], max)))
// sum 2^(scale x - exponent), exponent an integer: see merit_exp_sum32
MERIT_TILE_FUNCTION(merit_tile_exp_sum32, float, m_add, merit_lanes_fold32,
                    (const float *x, float scale, float exponent, int length),
                    m_exp2_p5(m_fma(x[i], scale, -exponent)))

// Whole arrays ------------------------------------------------------------------------------------

#define MERIT_OVER_TILES(tile_sum)                                                          \
    merit_tile_sum tiles = {0};                                                             \
    for (int64_t start = 0; start < length; start += MERIT_TILE) {                          \
        const int count = (int)(length - start < MERIT_TILE ? length - start : MERIT_TILE); \
        merit_tile_sum_push(&tiles, (double)(tile_sum));                                    \
    }                                                                                       \
    return merit_tile_sum_finish(&tiles)

// The tile functions over any length. Tile sums in binary32 fold in binary64.
static inline double merit_sum64(const double *x, int64_t length)
{
    MERIT_OVER_TILES(merit_tile_sum64(x + start, count));
}

static inline double merit_sum32(const float *x, int64_t length)
{
    MERIT_OVER_TILES(merit_tile_sum32(x + start, count));
}

static inline double merit_dot64(const double *x, const double *y, int64_t length)
{
    MERIT_OVER_TILES(merit_tile_dot64(x + start, y + start, count));
}

static inline double merit_dot32(const float *x, const float *y, int64_t length)
{
    MERIT_OVER_TILES(merit_tile_dot32(x + start, y + start, count));
}

static inline double merit_squares64(const double *x, double mean, int64_t length)
{
    MERIT_OVER_TILES(merit_tile_squares64(x + start, mean, count));
}

static inline double merit_squares32(const float *x, float mean, int64_t length)
{
    MERIT_OVER_TILES(merit_tile_squares32(x + start, mean, count));
}

static inline double merit_exp_sum64(const double *x, double max, int64_t length)
{
    MERIT_OVER_TILES(merit_tile_exp_sum64(x + start, max, count));
}

static inline merit_exp_sum merit_tile_exp_sum(const float *x, float scale, int length)
{
    float max = -m_inf32();
    for (int i = 0; i < length; i++) {
        const float y = m_mul(x[i], scale);
        max = y > max || y != y ? y : max;
        if (y != y) break;
    }
    if (max == -m_inf32()) return (merit_exp_sum){0.0, INT32_MIN};
    if (!(max < m_inf32())) return (merit_exp_sum){m_nan64(), 0};
    const float rounded = m_sub(m_add(max, MERIT_ROUND32), MERIT_ROUND32);
    const float exponent = rounded < max ? m_add(rounded, 1.0f) : rounded;
    const float sum = merit_tile_exp_sum32(x, scale, exponent, length);
    return (merit_exp_sum){(double)sum, (int32_t)exponent};
}

static inline merit_exp_sum merit_exp_sum32(const float *x, float scale, int64_t length)
{
    merit_exp_sum level[MERIT_TILE_LEVELS];
    int depth = 0;
    int64_t tiles = 0;
    for (int64_t start = 0; start < length; start += MERIT_TILE, tiles++) {
        const int count = (int)(length - start < MERIT_TILE ? length - start : MERIT_TILE);
        merit_exp_sum s = merit_tile_exp_sum(x + start, scale, count);
        for (int64_t bits = tiles; (bits & 1) != 0; bits >>= 1) {
            s = merit_exp_sum_merge(level[--depth], s);
        }
        level[depth++] = s;
    }
    if (depth == 0) return (merit_exp_sum){0.0, INT32_MIN};
    merit_exp_sum s = level[--depth];
    while (depth > 0) {
        s = merit_exp_sum_merge(level[--depth], s);
    }
    return s;
}

#endif
