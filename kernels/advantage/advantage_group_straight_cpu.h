// advantage_group, CPU: the passes over a group whose members are consecutive rows of one column that all
// count, as loops without branches. Same steps and bits as the general passes, several times the speed.
#ifndef MERIT_ADVANTAGE_GROUP_STRAIGHT_CPU_H
#define MERIT_ADVANTAGE_GROUP_STRAIGHT_CPU_H

#include <string.h>

#include "../core/lanes_cpu.h"
#include "../core/wide_cpu.h"
#include "advantage_group.h"

// Every row is in mask and in V, and a member is one element.
static inline int straight_takes(const merit_advantage_group_args *a)
{
    return a->d.num_columns == 1 && a->io.column_weights == NULL && a->io.mask == NULL &&
           a->io.stats_mask == NULL && a->d.groups.index == NULL &&
           a->d.invalid == MERIT_INVALID_PROPAGATE;
}

// Rewards of rows first .. first + length - 1 as members; NaN and infinite ones are counted.
static inline void straight_read(const merit_advantage_group_args *a, int64_t first, int length,
                                 double *x, uint64_t *nans, uint64_t *infs)
{
    if (a->d.reward_dtype == MERIT_DTYPE_F32 && a->d.reward_row_stride == 1) {
        const float *const r = (const float *)a->io.rewards + first;
        for (int j = 0; j < length; j++) {
            x[j] = (double)r[j];
        }
    } else {
        for (int j = 0; j < length; j++) {
            x[j] =
                m_load_real(a->io.rewards, a->d.reward_dtype, (first + j) * a->d.reward_row_stride);
        }
    }
    int odd = 0; // how many are not finite
    for (int j = 0; j < length; j++) {
        odd += m_sub64(x[j], x[j]) != 0.0;
    }
    for (int j = 0; j < length && odd > 0; j++) {
        *nans += (uint64_t)m_is_nan64(x[j]);
        *infs += (uint64_t)m_is_inf64(x[j]);
    }
    const double low = (double)a->d.reward_low;
    const double high = (double)a->d.reward_high;
    for (int j = 0; j < length; j++) {
        x[j] = m_add64(m_clip64(x[j], low, high), 0.0);
    }
}

// Smallest and largest, NaN if there is one: exact, so in any order. No element is -0.
static inline void straight_range(const double *u, int length, double *min, double *max)
{
    enum { WAYS = 4 };
    wide_d low[WAYS];
    wide_d high[WAYS];
    wide_l odd = {0};
    int j = 0;
    for (int w = 0; w < WAYS; w++) {
        low[w] = wide_splat(m_inf64());
        high[w] = wide_splat(-m_inf64());
    }
    for (; j + WAYS * WIDE_WIDTH <= length; j += WAYS * WIDE_WIDTH) {
        for (int w = 0; w < WAYS; w++) {
            wide_d x;
            memcpy(&x, u + j + w * WIDE_WIDTH, sizeof x);
            low[w] = wide_min(x, low[w]);
            high[w] = wide_max(x, high[w]);
            odd |= x != x;
        }
    }
    for (; j + WIDE_WIDTH <= length; j += WIDE_WIDTH) {
        wide_d x;
        memcpy(&x, u + j, sizeof x);
        low[0] = wide_min(x, low[0]);
        high[0] = wide_max(x, high[0]);
        odd |= x != x;
    }
    low[0] = wide_min(wide_min(low[0], low[1]), wide_min(low[2], low[3]));
    high[0] = wide_max(wide_max(high[0], high[1]), wide_max(high[2], high[3]));
    for (int l = 0; l < WIDE_WIDTH && j > 0; l++) {
        *min = low[0][l] < *min ? low[0][l] : *min;
        *max = high[0][l] > *max ? high[0][l] : *max;
    }
    int any = wide_any(odd);
    for (; j < length; j++) {
        *min = u[j] < *min ? u[j] : *min;
        *max = u[j] > *max ? u[j] : *max;
        any |= u[j] != u[j];
    }
    if (any) *min = *max = m_nan64();
}

static inline merit_moments straight_moments(const double *u, int length)
{
    merit_moments r = merit_moments_empty();
    straight_range(u, length, &r.min, &r.max);
    r.count = (double)length;
    const int equal = merit_moments_all_equal(r.min, r.max);
    r.mean = equal ? r.min : m_div64(merit_tile_sum64(u, length), r.count);
    r.m2 = equal ? 0.0 : merit_tile_squares64(u, r.mean, length);
    return r;
}

// Whether straight_apply knows the options, and the group has no undefined statistic.
static inline int straight_applies(const merit_advantage_group_args *a,
                                   const merit_advantage_rule *r)
{
    const int center = a->d.center == MERIT_CENTER_NONE || a->d.center == MERIT_CENTER_MEAN ||
                       a->d.center == MERIT_CENTER_LEAVE_ONE_OUT;
    return straight_takes(a) && center && a->d.scale != MERIT_SCALE_LEAVE_ONE_OUT_STD &&
           a->num_sets == 1 && a->d.columns != MERIT_COLUMNS_NORMALIZE_FIRST &&
           a->d.map == MERIT_MAP_IDENTITY && a->io.add == NULL && !r->no_stats &&
           !r->scale_missing && r->count > 1 && r->center_count > 1.0;
}

// Advantages of `length` members, u destroyed: their rows are first, first + 1, ... Returns saw bits.
static inline int straight_apply(const merit_advantage_group_args *a, const merit_advantage_rule *r,
                                 int64_t first, int length, double *u, int keep)
{
    int saw = 0;
    if (a->d.center == MERIT_CENTER_MEAN) {
        for (int j = 0; j < length; j++) {
            u[j] = m_sub64(u[j], r->mean);
        }
    } else if (a->d.center == MERIT_CENTER_LEAVE_ONE_OUT) {
        const double count = (double)r->count;
        for (int j = 0; j < length; j++) {
            u[j] = m_div64(m_mul64(m_sub64(u[j], r->mean), count), r->others.d);
        }
    }
    const int is_zero = r->scale <= a->d.zero_threshold;
    if (a->d.scale == MERIT_SCALE_NONE) {
        // c is the value
    } else if (m_is_nan64(r->scale)) {
        for (int j = 0; j < length; j++) {
            u[j] = m_nan64();
        }
    } else if (is_zero && a->d.zero_rule != MERIT_ZERO_RULE_DIVIDE) {
        saw = MERIT_ADVANTAGE_SAW_ZERO_RULE;
        for (int j = 0; j < length && a->d.zero_rule == MERIT_ZERO_RULE_ZERO; j++) {
            u[j] = 0.0;
        }
    } else {
        const double divisor = r->divisor.d;
        for (int j = 0; j < length; j++) {
            const double quotient = m_div64(u[j], divisor);
            u[j] = u[j] == 0.0 ? 0.0 : quotient;
        }
    }
    const double gain = (double)a->d.gain;
    const double low = (double)a->d.low;
    const double high = (double)a->d.high;
    for (int j = 0; j < length; j++) {
        u[j] = m_mul64(gain, m_clip64(u[j], low, high));
    }
    if (a->io.advantages != NULL && a->d.advantage_dtype == MERIT_DTYPE_F64) {
        double *const out = (double *)a->io.advantages + first;
        for (int j = 0; j < length; j++) {
            out[j] = m_canonical64(u[j]);
        }
    } else if (a->io.advantages != NULL) {
        float *const out = (float *)a->io.advantages + first;
        for (int j = 0; j < length; j++) {
            out[j] = m_canonical32(m_round32(u[j]));
        }
    }
    for (int j = 0; j < length && a->io.keep != NULL; j++) {
        a->io.keep[first + j] = keep && !m_is_nan64(u[j]);
    }
    return saw;
}

#endif
