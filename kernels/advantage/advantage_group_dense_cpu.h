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

#include "../core/quotient.h"
#include "advantage_group.h"

#if defined(__FMA__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define DENSE_WIDTH 8 // groups side by side
#else
#define DENSE_WIDTH 4
#endif

enum {
    DENSE_MAX_SIZE = 128,
    ADVANTAGE_DENSE_GRAIN = 2048 // groups; a multiple of the width
};

#define DENSE_INLINE static inline __attribute__((always_inline))

typedef float dense_f __attribute__((vector_size(4 * DENSE_WIDTH)));
typedef int32_t dense_i __attribute__((vector_size(4 * DENSE_WIDTH)));
typedef double dense_d __attribute__((vector_size(8 * DENSE_WIDTH)));
typedef int64_t dense_l __attribute__((vector_size(8 * DENSE_WIDTH)));

// Vectors -----------------------------------------------------------------------------------------

DENSE_INLINE dense_d dense_fma(dense_d a, dense_d b, dense_d c)
{
#if defined(__AVX512F__)
    return (dense_d)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__FMA__)
    return (dense_d)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
    dense_d r;
    for (int i = 0; i < DENSE_WIDTH; i++) {
        r[i] = m_fma64(a[i], b[i], c[i]);
    }
    return r;
#endif
}

// Of finite values.
DENSE_INLINE dense_d dense_min(dense_d a, dense_d b)
{
#if defined(__AVX512F__)
    return (dense_d)_mm512_min_pd((__m512d)a, (__m512d)b);
#else
    const dense_l less = a < b;
    return (dense_d)((less & (dense_l)a) | (~less & (dense_l)b));
#endif
}

DENSE_INLINE dense_d dense_max(dense_d a, dense_d b)
{
#if defined(__AVX512F__)
    return (dense_d)_mm512_max_pd((__m512d)a, (__m512d)b);
#else
    const dense_l more = a > b;
    return (dense_d)((more & (dense_l)a) | (~more & (dense_l)b));
#endif
}

DENSE_INLINE dense_d dense_widen(dense_f a)
{
#if defined(__AVX512F__)
    return (dense_d)_mm512_cvtps_pd((__m256)a);
#elif defined(__FMA__)
    return (dense_d)_mm256_cvtps_pd((__m128)a);
#else
    return __builtin_convertvector(a, dense_d);
#endif
}

DENSE_INLINE dense_f dense_round(dense_d a)
{
#if defined(__AVX512F__)
    return (dense_f)_mm512_cvtpd_ps((__m512d)a);
#elif defined(__FMA__)
    return (dense_f)_mm256_cvtpd_ps((__m256d)a);
#else
    return __builtin_convertvector(a, dense_f);
#endif
}

DENSE_INLINE dense_d dense_splat(double a)
{
    return a - (dense_d){0.0};
}

DENSE_INLINE dense_d dense_select(dense_l mask, dense_d yes, dense_d no)
{
    return (dense_d)((mask & (dense_l)yes) | (~mask & (dense_l)no));
}

DENSE_INLINE int dense_any(dense_l mask)
{
    int64_t all = 0;
    for (int i = 0; i < DENSE_WIDTH; i++) {
        all |= mask[i];
    }
    return all != 0;
}

// Rows to columns: out[j][i] = in[i][j].
DENSE_INLINE void dense_transpose(dense_f v[DENSE_WIDTH])
{
#if DENSE_WIDTH == 8
    const dense_i low32 = {0, 8, 1, 9, 4, 12, 5, 13};
    const dense_i high32 = {2, 10, 3, 11, 6, 14, 7, 15};
    const dense_i low64 = {0, 1, 8, 9, 4, 5, 12, 13};
    const dense_i high64 = {2, 3, 10, 11, 6, 7, 14, 15};
    const dense_i low128 = {0, 1, 2, 3, 8, 9, 10, 11};
    const dense_i high128 = {4, 5, 6, 7, 12, 13, 14, 15};
    dense_f a[8];
    dense_f b[8];
    for (int i = 0; i < 4; i++) {
        a[2 * i] = __builtin_shuffle(v[2 * i], v[2 * i + 1], low32);
        a[2 * i + 1] = __builtin_shuffle(v[2 * i], v[2 * i + 1], high32);
    }
    for (int i = 0; i < 2; i++) {
        b[4 * i] = __builtin_shuffle(a[4 * i], a[4 * i + 2], low64);
        b[4 * i + 1] = __builtin_shuffle(a[4 * i], a[4 * i + 2], high64);
        b[4 * i + 2] = __builtin_shuffle(a[4 * i + 1], a[4 * i + 3], low64);
        b[4 * i + 3] = __builtin_shuffle(a[4 * i + 1], a[4 * i + 3], high64);
    }
    for (int i = 0; i < 4; i++) {
        v[i] = __builtin_shuffle(b[i], b[i + 4], low128);
        v[i + 4] = __builtin_shuffle(b[i], b[i + 4], high128);
    }
#else
    const dense_i low32 = {0, 4, 1, 5};
    const dense_i high32 = {2, 6, 3, 7};
    const dense_i low64 = {0, 1, 4, 5};
    const dense_i high64 = {2, 3, 6, 7};
    const dense_f a0 = __builtin_shuffle(v[0], v[1], low32);
    const dense_f a1 = __builtin_shuffle(v[0], v[1], high32);
    const dense_f a2 = __builtin_shuffle(v[2], v[3], low32);
    const dense_f a3 = __builtin_shuffle(v[2], v[3], high32);
    v[0] = __builtin_shuffle(a0, a2, low64);
    v[1] = __builtin_shuffle(a0, a2, high64);
    v[2] = __builtin_shuffle(a1, a3, low64);
    v[3] = __builtin_shuffle(a1, a3, high64);
#endif
}

// x[m] / divisor, bit for bit, for numerators and divisors in the range of quotient.h.
DENSE_INLINE void dense_divide(dense_d *x, int size, dense_d divisor, dense_d reciprocal)
{
    for (int m = 0; m < size; m++) {
        const dense_d q = x[m] * reciprocal;
        x[m] = dense_fma(dense_fma(-q, divisor, x[m]), reciprocal, q);
    }
}

// Neighbours-first trees. For literal powers of two as nested sums, so that few values are alive at a
// time; squares: of the squared differences from `from`.
DENSE_INLINE dense_d dense_term(const dense_d *x, dense_d from, int squares)
{
    if (!squares) return x[0];
    const dense_d difference = x[0] - from;
    return difference * difference;
}

DENSE_INLINE dense_d dense_sum2(const dense_d *x, dense_d from, int squares)
{
    return dense_term(x, from, squares) + dense_term(x + 1, from, squares);
}

DENSE_INLINE dense_d dense_sum4(const dense_d *x, dense_d from, int squares)
{
    return dense_sum2(x, from, squares) + dense_sum2(x + 2, from, squares);
}

DENSE_INLINE dense_d dense_sum8(const dense_d *x, dense_d from, int squares)
{
    return dense_sum4(x, from, squares) + dense_sum4(x + 4, from, squares);
}

DENSE_INLINE dense_d dense_sum16(const dense_d *x, dense_d from, int squares)
{
    return dense_sum8(x, from, squares) + dense_sum8(x + 8, from, squares);
}

DENSE_INLINE dense_d dense_sum32(const dense_d *x, dense_d from, int squares)
{
    return dense_sum16(x, from, squares) + dense_sum16(x + 16, from, squares);
}

DENSE_INLINE dense_d dense_sum(const dense_d *x, int size, dense_d from, int squares)
{
    switch (size) {
    case 2: return dense_sum2(x, from, squares);
    case 4: return dense_sum4(x, from, squares);
    case 8: return dense_sum8(x, from, squares);
    case 16: return dense_sum16(x, from, squares);
    case 32: return dense_sum32(x, from, squares);
    case 64: return dense_sum32(x, from, squares) + dense_sum32(x + 32, from, squares);
    default: break;
    }
    dense_d level[DENSE_MAX_SIZE];
    for (int m = 0; m < size; m++) {
        level[m] = dense_term(x + m, from, squares);
    }
    for (int count = size; count > 1; count = (count + 1) / 2) {
        for (int m = 0; m < count / 2; m++) {
            level[m] = level[2 * m] + level[2 * m + 1];
        }
        if (count % 2 != 0) level[count / 2] = level[count - 1]; // passes through
    }
    return level[0];
}

// Per group: scalar formulas over the elements, which the compiler turns into vector ones ----------

// merit_advantage_std with a divisor that all groups share.
DENSE_INLINE dense_d dense_std(dense_d m2, merit_divisor64 degrees)
{
    dense_d variance = m2;
    dense_divide(&variance, 1, dense_splat(degrees.d), dense_splat(degrees.reciprocal));
    double v[DENSE_WIDTH];
    memcpy(v, &variance, sizeof v);
    for (int i = 0; i < DENSE_WIDTH; i++) {
        v[i] = m_sqrt64(v[i]);
    }
    memcpy(&variance, v, sizeof v);
    return variance;
}

#define DENSE_DIVISOR(rule)                              \
    for (int i = 0; i < DENSE_WIDTH; i++) {              \
        v[i] = merit_advantage_divisor(rule, eps, v[i]); \
    }

DENSE_INLINE dense_d dense_divisor(int32_t eps_rule, double eps, dense_d s)
{
    double v[DENSE_WIDTH];
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

DENSE_INLINE void dense_read(const float *rewards, int64_t stride, int size, dense_d *x)
{
    int m = 0;
    for (; m + DENSE_WIDTH <= size; m += DENSE_WIDTH) {
        dense_f v[DENSE_WIDTH];
        for (int l = 0; l < DENSE_WIDTH; l++) {
            memcpy(&v[l], rewards + l * stride + m, sizeof v[l]);
        }
        dense_transpose(v);
        for (int j = 0; j < DENSE_WIDTH; j++) {
            x[m + j] = dense_widen(v[j]);
        }
    }
    for (; m < size; m++) {
        for (int l = 0; l < DENSE_WIDTH; l++) {
            x[m][l] = (double)rewards[l * stride + m];
        }
    }
}

DENSE_INLINE void dense_write(float *advantages, int64_t stride, int size, const dense_d *a)
{
    int m = 0;
    for (; m + DENSE_WIDTH <= size; m += DENSE_WIDTH) {
        dense_f v[DENSE_WIDTH];
        for (int j = 0; j < DENSE_WIDTH; j++) {
            v[j] = dense_round(a[m + j]);
        }
        dense_transpose(v);
        for (int l = 0; l < DENSE_WIDTH; l++) {
            memcpy(advantages + l * stride + m, &v[l], sizeof v[l]);
        }
    }
    for (; m < size; m++) {
        for (int l = 0; l < DENSE_WIDTH; l++) {
            advantages[l * stride + m] = (float)a[m][l];
        }
    }
}

// What dense_block leaves for the group outputs.
typedef struct dense_statistics {
    dense_d mean;
    dense_d m2;
    dense_d min;
    dense_d max;
} dense_statistics;

// Advantages under LEAVE_ONE_OUT_STD from the rewards x and the centered c: each member is divided by the
// deviation of the others. A member that is left out keeps its place in the trees, as a 0. Equal others
// have a deviation of exactly 0.
DENSE_INLINE void dense_own_scales(const merit_advantage_group_args *a, int size, dense_d *x,
                                   dense_d *c)
{
    const dense_d zero = {0.0};
    const double others = (double)(size - 1);
    const merit_divisor64 members = m_divisor64(others);
    const merit_divisor64 degrees = m_divisor64(m_sub64(others, (double)a->d.ddof));
    for (int m = 0; m < size; m++) {
        const dense_d own = x[m];
        x[m] = zero;
        dense_d mean = dense_sum(x, size, zero, 0);
        dense_divide(&mean, 1, dense_splat(members.d), dense_splat(members.reciprocal));
        x[m] = mean;
        dense_d s = dense_std(dense_sum(x, size, mean, 1), degrees);
        x[m] = own;
        if (size < 3) s = zero;
        const dense_l is_zero = s <= dense_splat(a->d.zero_threshold);
        const dense_d quotient = c[m] / dense_divisor(a->d.eps_rule, a->d.eps, s);
        dense_d ruled = quotient;
        if (a->d.zero_rule == MERIT_ZERO_RULE_UNSCALED) ruled = c[m];
        if (a->d.zero_rule == MERIT_ZERO_RULE_ZERO) ruled = zero;
        c[m] = dense_select(c[m] == zero, zero, dense_select(is_zero, ruled, quotient));
    }
}

// Groups first .. first + DENSE_WIDTH - 1. Returns 0, with nothing written, when the general path has
// to take them. out NULL: no statistics.
DENSE_INLINE int dense_block(const merit_advantage_group_args *a, int64_t first, int size,
                             int center, int scale, int clips, dense_statistics *out)
{
    if (size < 2 || size > DENSE_MAX_SIZE) __builtin_unreachable(); // merit_advantage_is_plain
    const int64_t stride = a->d.groups.group_stride;
    const double count = (double)size;
    const dense_d zero = {0.0};
    dense_d x[DENSE_MAX_SIZE];
    dense_read((const float *)a->io.rewards + first * stride, stride, size, x);
    dense_d sum = dense_sum(x, size, zero, 0);
    if (dense_any(~(sum - sum == zero))) return 0; // a NaN or an infinity shows in its sum

    if (clips) {
        const dense_d low = dense_splat((double)a->d.reward_low);
        const dense_d high = dense_splat((double)a->d.reward_high);
        for (int m = 0; m < size; m++) {
            x[m] = dense_min(dense_max(x[m], low), high);
        }
        sum = dense_sum(x, size, zero, 0);
        if (dense_any(~(sum - sum == zero))) return 0; // a bound may be infinite
    }
    if (out != NULL) {
        out->min = x[0];
        out->max = x[0];
        for (int m = 1; m < size; m++) {
            out->min = dense_min(out->min, x[m]);
            out->max = dense_max(out->max, x[m]);
        }
        out->min += zero;
        out->max += zero;
    }

    const merit_divisor64 members = m_divisor64(count);
    dense_d mean = sum;
    dense_divide(&mean, 1, dense_splat(members.d), dense_splat(members.reciprocal));
    const int own_scales = scale == MERIT_SCALE_LEAVE_ONE_OUT_STD;
    const int scaled = scale == MERIT_SCALE_STD;
    const int centered = center != MERIT_CENTER_NONE;
    dense_d rewards[DENSE_MAX_SIZE];
    for (int m = 0; m < size && own_scales; m++) {
        rewards[m] = x[m];
    }
    if (centered) {
        for (int m = 0; m < size; m++) {
            x[m] = x[m] - mean;
        }
    }
    dense_d m2 = zero;
    if (scaled) m2 = dense_sum(x, size, centered ? zero : mean, 1);
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
            x[m] = x[m] * dense_splat(count);
        }
        dense_divide(x, size, dense_splat(others.d), dense_splat(others.reciprocal));
    }
    if (own_scales) dense_own_scales(a, size, rewards, x);
    if (scaled) {
        const dense_d s = dense_std(m2, m_divisor64(m_sub64(count, (double)a->d.ddof)));
        dense_d divisor = dense_divisor(a->d.eps_rule, a->d.eps, s);
        // A zero scale and a divisor out of range are for the general path; equal rewards stay 0,
        // unless there is no center.
        const dense_l equal = m2 == zero;
        const dense_l outside = (divisor < dense_splat(MERIT_QUOTIENT_LOW)) |
                                (divisor > dense_splat(MERIT_QUOTIENT_HIGH)) |
                                (s <= dense_splat(a->d.zero_threshold));
        if (dense_any(centered ? outside & ~equal : outside)) return 0;
        divisor = dense_select(outside, dense_splat(1.0), divisor);
        dense_divide(x, size, divisor, dense_splat(1.0) / divisor);
    }
    if (a->io.advantages != NULL) {
        dense_write((float *)a->io.advantages + first * stride, stride, size, x);
    }
    return 1;
}

static inline void dense_outputs(const merit_advantage_group_args *a, int64_t first, int size,
                                 const dense_statistics *s)
{
    for (int l = 0; l < DENSE_WIDTH; l++) {
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
