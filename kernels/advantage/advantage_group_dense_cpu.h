// advantage_group, CPU, the common case (merit_advantage_is_plain) at full speed.
//
// As many groups as a vector has elements are worked on side by side: their rewards are transposed so
// that a vector holds member m of each. Sums over members are then plain vector additions in the order
// of the canonical tree, and divisions by a group's divisor are one multiplication and two fused
// multiply-adds (quotient.h). Vectors with a NaN or an infinity among them, or with a divisor at the
// edge of the number range, and the remainder, go through the general path.
//
// Why no check per member: rewards are binary32, so a sum of at most 128 and a deviation from their mean
// are 0 or between 2^-210 and 2^140, and squares and their sums between 2^-420 and 2^290: inside the
// range of quotient.h. Nothing underflows, so m2 is 0 only for equal rewards, whose mean is exact.
#ifndef MERIT_ADVANTAGE_GROUP_DENSE_CPU_H
#define MERIT_ADVANTAGE_GROUP_DENSE_CPU_H

#include "../core/wide_cpu.h"
#include "advantage_group.h"

enum {
    DENSE_MAX_SIZE = WIDE_MAX_SIZE,
    ADVANTAGE_DENSE_GRAIN = 2048 // groups; a multiple of the width
};

// Per group: scalar formulas over the elements, which the compiler turns into vector ones ----------

// merit_advantage_std with a divisor that all groups share.
WIDE_INLINE wide_d dense_std(wide_d m2, merit_divisor64 degrees)
{
    wide_d variance = m2;
    wide_divide(&variance, 1, wide_splat(degrees.d), wide_splat(degrees.reciprocal));
    double v[WIDE_WIDTH];
    memcpy(v, &variance, sizeof v);
    for (int i = 0; i < WIDE_WIDTH; i++) {
        v[i] = m_sqrt64(v[i]);
    }
    memcpy(&variance, v, sizeof v);
    return variance;
}

#define DENSE_DIVISOR(rule)                              \
    for (int i = 0; i < WIDE_WIDTH; i++) {               \
        v[i] = merit_advantage_divisor(rule, eps, v[i]); \
    }

WIDE_INLINE wide_d dense_divisor(int32_t eps_rule, double eps, wide_d s)
{
    double v[WIDE_WIDTH];
    memcpy(v, &s, sizeof v);
    switch (eps_rule) {
    case MERIT_EPS_RULE_FLOOR: DENSE_DIVISOR(MERIT_EPS_RULE_FLOOR); break;
    case MERIT_EPS_RULE_ROOT: DENSE_DIVISOR(MERIT_EPS_RULE_ROOT); break;
    case MERIT_EPS_RULE_ROOT_FLOOR: DENSE_DIVISOR(MERIT_EPS_RULE_ROOT_FLOOR); break;
    default: DENSE_DIVISOR(MERIT_EPS_RULE_ADD); break;
    }
    memcpy(&s, v, sizeof v);
    return s;
}

// Groups side by side -----------------------------------------------------------------------------

WIDE_INLINE void dense_read(const float *rewards, int64_t stride, int size, wide_d *x)
{
    int m = 0;
    for (; m + WIDE_WIDTH <= size; m += WIDE_WIDTH) {
        wide_f v[WIDE_WIDTH];
        for (int l = 0; l < WIDE_WIDTH; l++) {
            memcpy(&v[l], rewards + l * stride + m, sizeof v[l]);
        }
        wide_transpose(v);
        for (int j = 0; j < WIDE_WIDTH; j++) {
            x[m + j] = wide_widen(v[j]);
        }
    }
    for (; m < size; m++) {
        for (int l = 0; l < WIDE_WIDTH; l++) {
            x[m][l] = (double)rewards[l * stride + m];
        }
    }
}

WIDE_INLINE void dense_write(float *advantages, int64_t stride, int size, const wide_d *a)
{
    int m = 0;
    for (; m + WIDE_WIDTH <= size; m += WIDE_WIDTH) {
        wide_f v[WIDE_WIDTH];
        for (int j = 0; j < WIDE_WIDTH; j++) {
            v[j] = wide_round(a[m + j]);
        }
        wide_transpose(v);
        for (int l = 0; l < WIDE_WIDTH; l++) {
            memcpy(advantages + l * stride + m, &v[l], sizeof v[l]);
        }
    }
    for (; m < size; m++) {
        for (int l = 0; l < WIDE_WIDTH; l++) {
            advantages[l * stride + m] = (float)a[m][l];
        }
    }
}

// What dense_block leaves for the group outputs.
typedef struct dense_statistics {
    wide_d mean;
    wide_d m2;
    wide_d min;
    wide_d max;
} dense_statistics;

// Advantages under LEAVE_ONE_OUT_STD from the rewards x and the centered c: each member is divided by the
// deviation of the others. A member that is left out keeps its place in the trees, as a 0. Equal others
// have a deviation of exactly 0.
WIDE_INLINE void dense_own_scales(const merit_advantage_group_args *a, int size, wide_d *x,
                                  wide_d *c)
{
    const wide_d zero = {0.0};
    const double others = (double)(size - 1);
    const merit_divisor64 members = m_divisor64(others);
    const merit_divisor64 degrees = m_divisor64(m_sub64(others, (double)a->d.ddof));
    for (int m = 0; m < size; m++) {
        const wide_d own = x[m];
        x[m] = zero;
        wide_d mean = wide_sum(x, size, zero, 0);
        wide_divide(&mean, 1, wide_splat(members.d), wide_splat(members.reciprocal));
        x[m] = mean;
        wide_d s = dense_std(wide_sum(x, size, mean, 1), degrees);
        x[m] = own;
        if (size < 3) s = zero;
        const wide_l is_zero = s <= wide_splat(a->d.zero_threshold);
        const wide_d quotient = c[m] / dense_divisor(a->d.eps_rule, a->d.eps, s);
        wide_d ruled = quotient;
        if (a->d.zero_rule == MERIT_ZERO_RULE_UNSCALED) ruled = c[m];
        if (a->d.zero_rule == MERIT_ZERO_RULE_ZERO) ruled = zero;
        c[m] = wide_select(c[m] == zero, zero, wide_select(is_zero, ruled, quotient));
    }
}

// Groups first .. first + WIDE_WIDTH - 1. Returns 0, with nothing written, when the general path has
// to take them. out NULL: no statistics.
WIDE_INLINE int dense_block(const merit_advantage_group_args *a, int64_t first, int size,
                            int center, int scale, int clips, dense_statistics *out)
{
    if (size < 2 || size > DENSE_MAX_SIZE) __builtin_unreachable(); // merit_advantage_is_plain
    const int64_t stride = a->d.groups.group_stride;
    const double count = (double)size;
    const wide_d zero = {0.0};
    wide_d x[DENSE_MAX_SIZE];
    dense_read((const float *)a->io.rewards + first * stride, stride, size, x);
    wide_d sum = wide_sum(x, size, zero, 0);
    if (wide_any(~(sum - sum == zero))) return 0; // a NaN or an infinity shows in its sum

    if (clips) {
        const wide_d low = wide_splat((double)a->d.reward_low);
        const wide_d high = wide_splat((double)a->d.reward_high);
        for (int m = 0; m < size; m++) {
            x[m] = wide_min(wide_max(x[m], low), high);
        }
        sum = wide_sum(x, size, zero, 0);
        if (wide_any(~(sum - sum == zero))) return 0; // a bound may be infinite
    }
    if (out != NULL) {
        out->min = x[0];
        out->max = x[0];
        for (int m = 1; m < size; m++) {
            out->min = wide_min(out->min, x[m]);
            out->max = wide_max(out->max, x[m]);
        }
        out->min += zero;
        out->max += zero;
    }

    const merit_divisor64 members = m_divisor64(count);
    wide_d mean = sum;
    wide_divide(&mean, 1, wide_splat(members.d), wide_splat(members.reciprocal));
    const int own_scales = scale == MERIT_SCALE_LEAVE_ONE_OUT_STD;
    const int scaled = scale == MERIT_SCALE_STD;
    const int centered = center != MERIT_CENTER_NONE;
    wide_d rewards[DENSE_MAX_SIZE];
    for (int m = 0; m < size && own_scales; m++) {
        rewards[m] = x[m];
    }
    if (centered) {
        for (int m = 0; m < size; m++) {
            x[m] = x[m] - mean;
        }
    }
    wide_d m2 = zero;
    if (scaled) m2 = wide_sum(x, size, centered ? zero : mean, 1);
    if (out != NULL) {
        out->mean = mean + zero;
        out->m2 = m2;
    }
    if (!scaled) {
        for (int m = 0; m < size; m++) {
            x[m] = x[m] + zero; // makes -0 a +0, as the general path does with rewards
        }
    }
    if (center == MERIT_CENTER_LEAVE_ONE_OUT) {
        const merit_divisor64 others = m_divisor64(m_sub64(count, 1.0));
        for (int m = 0; m < size; m++) {
            x[m] = x[m] * wide_splat(count);
        }
        wide_divide(x, size, wide_splat(others.d), wide_splat(others.reciprocal));
    }
    if (own_scales) dense_own_scales(a, size, rewards, x);
    if (scaled) {
        const wide_d s = dense_std(m2, m_divisor64(m_sub64(count, (double)a->d.ddof)));
        wide_d divisor = dense_divisor(a->d.eps_rule, a->d.eps, s);
        // A zero scale and a divisor out of range are for the general path; equal rewards stay 0,
        // unless there is no center.
        const wide_l equal = m2 == zero;
        const wide_l outside = (divisor < wide_splat(MERIT_QUOTIENT_LOW)) |
                               (divisor > wide_splat(MERIT_QUOTIENT_HIGH)) |
                               (s <= wide_splat(a->d.zero_threshold));
        if (wide_any(centered ? outside & ~equal : outside)) return 0;
        divisor = wide_select(outside, wide_splat(1.0), divisor);
        wide_divide(x, size, divisor, wide_splat(1.0) / divisor);
    }
    if (a->io.advantages != NULL) {
        dense_write((float *)a->io.advantages + first * stride, stride, size, x);
    }
    return 1;
}

static inline void dense_outputs(const merit_advantage_group_args *a, int64_t first, int size,
                                 const dense_statistics *s)
{
    for (int l = 0; l < WIDE_WIDTH; l++) {
        merit_advantage_partial p = merit_advantage_partial_empty();
        p.record.moments =
            (merit_moments){(double)size, s->mean[l], s->m2[l], s->min[l], s->max[l]};
        const merit_advantage_shape shape = {size, s->min[l], s->max[l], 0.0};
        const merit_advantage_rule rule = merit_advantage_rule_of(a, &p, 0);
        const int zero_rule = a->d.scale != MERIT_SCALE_NONE && rule.scale <= a->d.zero_threshold &&
                              a->d.zero_rule != MERIT_ZERO_RULE_DIVIDE;
        merit_advantage_write_group(a, first + l, 0, size, &shape, &p, &rule,
                                    zero_rule ? MERIT_ADVANTAGE_SAW_ZERO_RULE : 0);
        if (a->io.keep == NULL) continue;
        uint8_t *const keep = a->io.keep + (first + l) * a->d.groups.group_stride;
        memset(keep, !merit_moments_all_equal(s->min[l], s->max[l]), (size_t)size);
    }
}

// Whether dense_block knows the options of the call. Outputs that tell of a zero rule need the general
// path where members have scales of their own.
static int dense_takes(const merit_advantage_group_args *a)
{
    const int own_scales = a->d.scale == MERIT_SCALE_LEAVE_ONE_OUT_STD &&
                           a->io.group_flags == NULL && a->io.group_scale == NULL;
    const int scale = own_scales || a->d.scale == MERIT_SCALE_NONE || a->d.scale == MERIT_SCALE_STD;
    return merit_advantage_is_plain(a, DENSE_MAX_SIZE, scale);
}

// Literal sizes and the common options, so that loops unroll and rewards stay in registers.
#define DENSE_SIZES(center, scale)                                       \
    switch (size) {                                                      \
    case 4: return dense_block(a, first, 4, center, scale, 0, NULL);     \
    case 8: return dense_block(a, first, 8, center, scale, 0, NULL);     \
    case 16: return dense_block(a, first, 16, center, scale, 0, NULL);   \
    case 32: return dense_block(a, first, 32, center, scale, 0, NULL);   \
    default: return dense_block(a, first, size, center, scale, 0, NULL); \
    }

static int dense_known_block(const merit_advantage_group_args *a, int64_t first, int size,
                             dense_statistics *out)
{
    const int center = a->d.center;
    const int scale = a->d.scale;
    const int clips = a->d.reward_low != -INFINITY || a->d.reward_high != INFINITY;
    if (out == NULL && !clips && center == MERIT_CENTER_MEAN) {
        if (scale == MERIT_SCALE_STD) DENSE_SIZES(MERIT_CENTER_MEAN, MERIT_SCALE_STD);
        DENSE_SIZES(MERIT_CENTER_MEAN, MERIT_SCALE_NONE);
    }
    if (out == NULL && !clips && center == MERIT_CENTER_LEAVE_ONE_OUT &&
        scale == MERIT_SCALE_NONE) {
        DENSE_SIZES(MERIT_CENTER_LEAVE_ONE_OUT, MERIT_SCALE_NONE);
    }
    return dense_block(a, first, size, center, scale, clips, out);
}

#endif
