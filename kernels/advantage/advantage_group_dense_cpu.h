// advantage_group, CPU, the common case at full speed: one dense binary32 reward column in uniform
// groups of 2..32, mean or leave-one-out center, no scale or the group's deviation.
//
// Eight groups are worked on side by side, one per vector element: their rewards are transposed so
// that a vector holds member m of each. Sums over members are then plain vector additions in the order
// of the canonical tree, and divisions by a group's divisor are one multiplication and two fused
// multiply-adds (quotient.h). Eight groups with a NaN or an infinity among them, and the remainder, go
// through the general path.
#ifndef MERIT_ADVANTAGE_GROUP_DENSE_CPU_H
#define MERIT_ADVANTAGE_GROUP_DENSE_CPU_H

#include "../core/quotient.h"
#include "advantage_group.h"

#if defined(__FMA__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

enum {
    DENSE_WIDTH = 8, // groups side by side
    DENSE_MAX_SIZE = 32,
    ADVANTAGE_DENSE_GRAIN = 2048 // groups; a multiple of the width
};

#define DENSE_INLINE static inline __attribute__((always_inline))

typedef float f8 __attribute__((vector_size(32), aligned(4)));
typedef int32_t i8 __attribute__((vector_size(32)));
typedef double d8 __attribute__((vector_size(64)));
typedef int64_t l8 __attribute__((vector_size(64)));

// Vectors -----------------------------------------------------------------------------------------

DENSE_INLINE d8 fma8(d8 a, d8 b, d8 c)
{
#if defined(__AVX512F__)
    return (d8)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__FMA__)
    typedef union {
        d8 whole;
        __m256d half[2];
    } halves;
    const halves x = {a};
    const halves y = {b};
    const halves z = {c};
    halves r;
    r.half[0] = _mm256_fmadd_pd(x.half[0], y.half[0], z.half[0]);
    r.half[1] = _mm256_fmadd_pd(x.half[1], y.half[1], z.half[1]);
    return r.whole;
#else
    d8 r;
    for (int i = 0; i < 8; i++) {
        r[i] = m_fma64(a[i], b[i], c[i]);
    }
    return r;
#endif
}

DENSE_INLINE d8 splat8(double a)
{
    return (d8){a, a, a, a, a, a, a, a};
}

DENSE_INLINE d8 select8(l8 mask, d8 yes, d8 no)
{
    return (d8)((mask & (l8)yes) | (~mask & (l8)no));
}

DENSE_INLINE int any8(l8 mask)
{
    int64_t all = 0;
    for (int i = 0; i < 8; i++) {
        all |= mask[i];
    }
    return all != 0;
}

// Rows to columns: out[j][i] = in[i][j].
DENSE_INLINE void transpose8(f8 v[8])
{
    const i8 low32 = {0, 8, 1, 9, 4, 12, 5, 13};
    const i8 high32 = {2, 10, 3, 11, 6, 14, 7, 15};
    const i8 low64 = {0, 1, 8, 9, 4, 5, 12, 13};
    const i8 high64 = {2, 3, 10, 11, 6, 7, 14, 15};
    const i8 low128 = {0, 1, 2, 3, 8, 9, 10, 11};
    const i8 high128 = {4, 5, 6, 7, 12, 13, 14, 15};
    f8 a[8];
    f8 b[8];
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
}

// Neighbours-first tree over size values; absent ones are +0, which changes nothing.
DENSE_INLINE d8 sum8(const d8 *values, int size)
{
    d8 level[DENSE_MAX_SIZE];
    for (int m = 0; m < size; m++) {
        level[m] = values[m];
    }
    for (int count = size; count > 1; count = (count + 1) / 2) {
        for (int m = 0; m < count / 2; m++) {
            level[m] = level[2 * m] + level[2 * m + 1];
        }
        if (count % 2 != 0) level[count / 2] = level[count - 1];
    }
    return level[0];
}

// Per group: eight scalar formulas, which the compiler turns into vector ones -----------------------

DENSE_INLINE d8 std8(d8 m2, double count, int32_t ddof)
{
    double in[8];
    double out[8];
    memcpy(in, &m2, sizeof in);
    for (int i = 0; i < 8; i++) {
        out[i] = merit_advantage_std(in[i], count, ddof);
    }
    d8 r;
    memcpy(&r, out, sizeof r);
    return r;
}

#define DIVISOR8(rule)                                      \
    for (int i = 0; i < 8; i++) {                           \
        out[i] = merit_advantage_divisor(rule, eps, in[i]); \
    }

DENSE_INLINE d8 divisor8(int32_t eps_rule, double eps, d8 s)
{
    double in[8];
    double out[8];
    memcpy(in, &s, sizeof in);
    switch (eps_rule) {
    case MERIT_EPS_RULE_FLOOR: DIVISOR8(MERIT_EPS_RULE_FLOOR); break;
    case MERIT_EPS_RULE_ROOT: DIVISOR8(MERIT_EPS_RULE_ROOT); break;
    case MERIT_EPS_RULE_ROOT_FLOOR: DIVISOR8(MERIT_EPS_RULE_ROOT_FLOOR); break;
    default: DIVISOR8(MERIT_EPS_RULE_ADD); break;
    }
    d8 r;
    memcpy(&r, out, sizeof r);
    return r;
}

// Eight groups ------------------------------------------------------------------------------------

DENSE_INLINE void read8(const float *rewards, int64_t stride, int size, d8 *x)
{
    int m = 0;
    for (; m + 8 <= size; m += 8) {
        f8 v[8];
        for (int l = 0; l < 8; l++) {
            memcpy(&v[l], rewards + l * stride + m, sizeof v[l]);
        }
        transpose8(v);
        for (int j = 0; j < 8; j++) {
            x[m + j] = __builtin_convertvector(v[j], d8);
        }
    }
    for (; m < size; m++) {
        for (int l = 0; l < 8; l++) {
            x[m][l] = (double)rewards[l * stride + m];
        }
    }
}

DENSE_INLINE void write8(float *advantages, int64_t stride, int size, const d8 *a)
{
    int m = 0;
    for (; m + 8 <= size; m += 8) {
        f8 v[8];
        for (int j = 0; j < 8; j++) {
            v[j] = __builtin_convertvector(a[m + j], f8);
        }
        transpose8(v);
        for (int l = 0; l < 8; l++) {
            memcpy(advantages + l * stride + m, &v[l], sizeof v[l]);
        }
    }
    for (; m < size; m++) {
        for (int l = 0; l < 8; l++) {
            advantages[l * stride + m] = (float)a[m][l];
        }
    }
}

// What dense_block leaves for the group outputs.
typedef struct dense_statistics {
    d8 mean;
    d8 m2;
    d8 min;
    d8 max;
} dense_statistics;

// Groups first .. first + 7. Returns 0, with nothing written, when one holds a NaN or an infinity or
// when a quotient may leave the range of quotient.h.
DENSE_INLINE int dense_block(const merit_advantage_group_args *a, int64_t first, int size,
                             dense_statistics *out)
{
    if (size < 2 || size > DENSE_MAX_SIZE) __builtin_unreachable(); // merit_advantage_is_plain
    const int64_t stride = a->d.groups.group_stride;
    const double count = (double)size;
    const d8 zero = splat8(0.0);
    d8 x[DENSE_MAX_SIZE];
    read8((const float *)a->io.rewards + first * stride, stride, size, x);

    d8 min = x[0];
    d8 max = x[0];
    l8 odd = ~(x[0] - x[0] == zero);
    for (int m = 1; m < size; m++) {
        min = select8(x[m] < min, x[m], min);
        max = select8(x[m] > max, x[m], max);
        odd |= ~(x[m] - x[m] == zero);
    }
    if (any8(odd)) return 0;

    const d8 low = splat8((double)a->d.reward_low);
    const d8 high = splat8((double)a->d.reward_high);
    if (a->d.reward_low != -INFINITY || a->d.reward_high != INFINITY) {
        for (int m = 0; m < size; m++) {
            x[m] = select8(x[m] < low, low, x[m]);
            x[m] = select8(x[m] > high, high, x[m]);
        }
        min = select8(min < low, low, min);
        min = select8(min > high, high, min);
        max = select8(max < low, low, max);
        max = select8(max > high, high, max);
        if (any8(~(min - min == zero) | ~(max - max == zero))) return 0;
    }

    d8 mean = sum8(x, size) / splat8(count);
    mean = select8(min == max, min, mean);
    const int center = a->d.center;
    const int scaled = a->d.scale != MERIT_SCALE_NONE;
    out->mean = mean;
    out->min = min;
    out->max = max;
    out->m2 = zero;
    if (scaled) {
        d8 squares[DENSE_MAX_SIZE];
        for (int m = 0; m < size; m++) {
            const d8 deviation = x[m] - mean;
            squares[m] = deviation * deviation;
        }
        out->m2 = sum8(squares, size);
        out->m2 = select8(min == max, zero, out->m2);
    }
    if (center != MERIT_CENTER_NONE) {
        for (int m = 0; m < size; m++) {
            x[m] = x[m] - mean;
        }
    }
    if (center == MERIT_CENTER_LEAVE_ONE_OUT) {
        const merit_divisor64 others = m_divisor64(m_sub64(count, 1.0));
        const d8 reciprocal = splat8(others.reciprocal);
        const d8 divisor = splat8(others.d);
        l8 outside = {0};
        for (int m = 0; m < size; m++) {
            const d8 c = x[m] * splat8(count);
            const d8 magnitude = select8(c < zero, -c, c);
            const d8 q = c * reciprocal;
            x[m] = fma8(fma8(-q, divisor, c), reciprocal, q);
            outside |= (magnitude > splat8(MERIT_QUOTIENT_HIGH)) |
                       ((magnitude < splat8(MERIT_QUOTIENT_LOW)) & (c != zero));
        }
        if (any8(outside)) return 0;
    }
    if (scaled) {
        const d8 s = std8(out->m2, count, a->d.ddof);
        const d8 divisor = divisor8(a->d.eps_rule, a->d.eps, s);
        const d8 reciprocal = splat8(1.0) / divisor;
        const l8 is_zero = s <= splat8(a->d.zero_threshold);
        // A zero scale and a divisor out of range are for the general path, unless all c are 0 there.
        l8 outside = (divisor < splat8(MERIT_QUOTIENT_LOW)) |
                     (divisor > splat8(MERIT_QUOTIENT_HIGH)) | is_zero;
        outside &= ~(min == max);
        for (int m = 0; m < size; m++) {
            const d8 c = x[m];
            const d8 magnitude = select8(c < zero, -c, c);
            const d8 q = c * reciprocal;
            const d8 quotient = fma8(fma8(-q, divisor, c), reciprocal, q);
            x[m] = select8(c == zero, zero, quotient);
            outside |= (magnitude > splat8(MERIT_QUOTIENT_HIGH)) |
                       ((magnitude < splat8(MERIT_QUOTIENT_LOW)) & (c != zero));
        }
        if (any8(outside)) return 0;
    }
    if (a->io.advantages != NULL) {
        write8((float *)a->io.advantages + first * stride, stride, size, x);
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

// Some literal sizes, so that the loops over members unroll and values stay in registers.
static int dense_sized_block(const merit_advantage_group_args *a, int64_t first, int size,
                             dense_statistics *out)
{
    switch (size) {
    case 2: return dense_block(a, first, 2, out);
    case 4: return dense_block(a, first, 4, out);
    case 8: return dense_block(a, first, 8, out);
    case 16: return dense_block(a, first, 16, out);
    case 32: return dense_block(a, first, 32, out);
    default: return dense_block(a, first, size, out);
    }
}

#endif
