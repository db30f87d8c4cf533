// The formulas of dominance_quantile_huber.h on vectors: an element per level, or per row.
#ifndef MERIT_DOMINANCE_QUANTILE_HUBER_VECTOR_CPU_H
#define MERIT_DOMINANCE_QUANTILE_HUBER_VECTOR_CPU_H

#include "../core/wide32_cpu.h"
#include "dominance_quantile_huber.h"

typedef merit_dominance_quantile_huber_args huber_args;

// u < 0 ? yes : no
WIDE_INLINE wide32_f huber_where_negative(wide32_f u, wide32_f yes, wide32_f no)
{
    const wide32_f zero = {0.0f};
#if defined(__AVX512F__)
    const __mmask16 mask = _mm512_cmp_ps_mask((__m512)u, (__m512)zero, _CMP_LT_OQ);
    return (wide32_f)_mm512_mask_blend_ps(mask, (__m512)no, (__m512)yes);
#elif defined(__FMA__)
    const __m256 mask = _mm256_cmp_ps((__m256)u, (__m256)zero, _CMP_LT_OQ);
    return (wide32_f)_mm256_blendv_ps((__m256)no, (__m256)yes, mask);
#else
    const wide32_i mask = u < zero;
    return (wide32_f)((mask & (wide32_i)yes) | (~mask & (wide32_i)no));
#endif
}

// u >= 0 ? yes : no
WIDE_INLINE wide32_f huber_where_known(wide32_f u, wide32_f yes, wide32_f no)
{
    const wide32_i mask = u >= (wide32_f){0.0f};
    return (wide32_f)((mask & (wide32_i)yes) | (~mask & (wide32_i)no));
}

// Into [-kappa, kappa]; NaN passes.
WIDE_INLINE wide32_f huber_clip(wide32_f u, wide32_f kappa)
{
#if defined(__AVX512F__)
    return (wide32_f)_mm512_max_ps((__m512)-kappa, _mm512_min_ps((__m512)kappa, (__m512)u));
#elif defined(__FMA__)
    return (wide32_f)_mm256_max_ps((__m256)-kappa, _mm256_min_ps((__m256)kappa, (__m256)u));
#else
    const wide32_i above = kappa < u;
    const wide32_f low = (wide32_f)((above & (wide32_i)kappa) | (~above & (wide32_i)u));
    const wide32_i below = -kappa > low;
    return (wide32_f)((below & (wide32_i)-kappa) | (~below & (wide32_i)low));
#endif
}

typedef struct huber_lane {
    wide32_f loss, slope;
} huber_lane;

typedef struct huber_levels {
    wide32_f z, above, below, kappa;
} huber_levels;

// merit_huber_add of as many levels.
WIDE_INLINE void huber_add(huber_lane *lane, int pinball, const huber_levels *l, wide32_f target)
{
    const wide32_f u = target - l->z;
    wide32_f slope;
    if (pinball) {
        slope = huber_where_negative(u, -l->below, huber_where_known(u, l->above, u));
        lane->loss = wide32_fma(slope, u, lane->loss);
    } else {
        const wide32_f c = huber_clip(u, l->kappa);
        slope = huber_where_negative(u, l->below, l->above) * c;
        lane->loss = wide32_fma(slope, wide32_fma(wide32_splat(-0.5f), c, u), lane->loss);
    }
    lane->slope = lane->slope + slope;
}

// aside: targets are vectors, one element for each of l; else they are the same for all.
WIDE_INLINE wide32_f huber_target(int aside, const float *targets, int j)
{
    return aside ? wide32_load_f32(targets + j * WIDE32_WIDTH) : wide32_splat(targets[j]);
}

WIDE_INLINE void huber_add_targets(const huber_levels *l, int pinball, int aside,
                                   const float *targets, int count, huber_lane *sum)
{
    huber_lane lanes[MERIT_HUBER_LANES] = {{{0.0f}, {0.0f}}};
    int j = 0;
    for (; j + MERIT_HUBER_LANES <= count; j += MERIT_HUBER_LANES) {
        huber_add(&lanes[0], pinball, l, huber_target(aside, targets, j));
        huber_add(&lanes[1], pinball, l, huber_target(aside, targets, j + 1));
        huber_add(&lanes[2], pinball, l, huber_target(aside, targets, j + 2));
        huber_add(&lanes[3], pinball, l, huber_target(aside, targets, j + 3));
    }
    if (j < count) huber_add(&lanes[0], pinball, l, huber_target(aside, targets, j));
    if (j + 1 < count) huber_add(&lanes[1], pinball, l, huber_target(aside, targets, j + 1));
    if (j + 2 < count) huber_add(&lanes[2], pinball, l, huber_target(aside, targets, j + 2));
    sum->loss = (lanes[0].loss + lanes[1].loss) + (lanes[2].loss + lanes[3].loss);
    sum->slope = (lanes[0].slope + lanes[1].slope) + (lanes[2].slope + lanes[3].slope);
}

#endif
