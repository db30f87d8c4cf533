// One row, or one pair of rows, as they lie in memory: four levels at a time, which are the four lanes.
#ifndef MERIT_DOMINANCE_LANES_CPU_H
#define MERIT_DOMINANCE_LANES_CPU_H

#include "dominance_rows_cpu.h"

typedef float dom_lanes __attribute__((vector_size(16)));
typedef double dom_wide_lanes __attribute__((vector_size(32)));

DOM_INLINE dom_lanes dom_load_lanes(const float *at)
{
    dom_lanes v;
    memcpy(&v, at, sizeof v);
    return v;
}

// The last levels, and zeros, which change no sum.
DOM_INLINE dom_lanes dom_load_rest(const float *at, int count)
{
    dom_lanes v = {0.0f};
    memcpy(&v, at, (size_t)count * sizeof *at);
    return v;
}

DOM_INLINE dom_wide_lanes dom_widen_lanes(dom_lanes a)
{
#if defined(__AVX__)
    return (dom_wide_lanes)_mm256_cvtps_pd((__m128)a);
#else
    return (dom_wide_lanes){(double)a[0], (double)a[1], (double)a[2], (double)a[3]};
#endif
}

// Rows -------------------------------------------------------------------------------------------

DOM_INLINE double dominance_sum_row(const float *row, const float *weights, int levels,
                                    int weighted)
{
    dom_wide_lanes sum = {0.0};
    int n = 0;
    for (; n + 4 <= levels; n += 4) {
        const dom_wide_lanes level = dom_widen_lanes(dom_load_lanes(row + n));
        sum += weighted ? dom_widen_lanes(dom_load_lanes(weights + n)) * level : level;
    }
    if (n < levels) {
        const dom_wide_lanes level = dom_widen_lanes(dom_load_rest(row + n, levels - n));
        sum += weighted ? dom_widen_lanes(dom_load_rest(weights + n, levels - n)) * level : level;
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

// As dominance_describe_block, of a row that may fall.
static inline void dominance_describe_row(const dominance_slot *s, const float *row, double *sum,
                                          uint32_t *flags)
{
    const int levels = s->c->num_levels;
    *sum = s->weights == NULL ? dominance_sum_row(row, NULL, levels, 0)
                              : dominance_sum_row(row, s->weights, levels, 1);
    *flags = 0;
    for (int n = 0; !(*sum - *sum == 0.0) && n < levels; n++) {
        *flags |= merit_dominance_level_flags(s->c, row[n], row[n]);
    }
}

// sum of max(0, low - high)
DOM_INLINE float dominance_violation_of(const float *high, const float *low, const float *weights,
                                        int levels, int weighted)
{
    dom_lanes sum = {0.0f};
    for (int n = 0; n < levels; n += 4) {
        const int rest = levels - n;
        const dom_lanes d = rest < 4 ? dom_load_rest(low + n, rest) - dom_load_rest(high + n, rest)
                                     : dom_load_lanes(low + n) - dom_load_lanes(high + n);
#if defined(__SSE4_2__)
        const dom_lanes x = (dom_lanes)_mm_max_ps((__m128)d, _mm_setzero_ps());
#else
        dom_lanes x;
        for (int i = 0; i < 4; i++) {
            x[i] = d[i] > 0.0f ? d[i] : 0.0f;
        }
#endif
        if (!weighted) {
            sum += x;
            continue;
        }
        const dom_lanes w =
            rest < 4 ? dom_load_rest(weights + n, rest) : dom_load_lanes(weights + n);
#if defined(__FMA__)
        sum = (dom_lanes)_mm_fmadd_ps((__m128)w, (__m128)x, (__m128)sum);
#else
        for (int i = 0; i < 4; i++) {
            sum[i] = m_fma(w[i], x[i], sum[i]);
        }
#endif
    }
    return merit_dominance_fold(sum[0], sum[1], sum[2], sum[3]);
}

#endif
