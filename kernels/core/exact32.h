// binary32 exp, log and their relatives, defined bit for bit by their sequence of IEEE operations.
// Include exact.h: it has the table of measured errors.
//
// No binary64 inside: consumer GPUs run it at 1/64 of the rate. Instead, sums of a large exact term
// and a small correction are kept as hi + lo (Dekker 1971) until the last addition, so that nearly
// all of the error is that one rounding. Every function is branch-free and loops over it vectorize.
// Coefficients: tests/math/coefficients.sollya.
#ifndef MERIT_CORE_EXACT32_H
#define MERIT_CORE_EXACT32_H

#include "portable.h"

// The unevaluated sum hi + lo, hi being hi + lo rounded.
typedef struct merit_pair32 {
    float hi, lo;
} merit_pair32;

// a + b exactly, for abs(a) >= abs(b) or a == 0 (Dekker 1971).
MERIT_HD static inline merit_pair32 m_fast_two_sum(float a, float b)
{
    merit_pair32 sum;
    sum.hi = m_add(a, b);
    sum.lo = m_sub(b, m_sub(sum.hi, a));
    return sum;
}

// a + b exactly (Knuth 1969).
MERIT_HD static inline merit_pair32 m_two_sum(float a, float b)
{
    merit_pair32 sum;
    sum.hi = m_add(a, b);
    const float b_part = m_sub(sum.hi, a);
    const float a_part = m_sub(sum.hi, b_part);
    sum.lo = m_add(m_sub(a, a_part), m_sub(b, b_part));
    return sum;
}

MERIT_HD static inline float m_inf32(void)
{
    return m_from_bits32(0x7f800000u);
}

MERIT_HD static inline float m_abs32(float a)
{
    return m_from_bits32(m_bits32(a) & 0x7fffffffu);
}

// abs(a) with the sign of `sign`.
MERIT_HD static inline float m_with_sign32(float a, float sign)
{
    return m_from_bits32((m_bits32(a) & 0x7fffffffu) | (m_bits32(sign) & 0x80000000u));
}

// 2^n for -126 <= n <= 127.
MERIT_HD static inline float m_exp2_int(int32_t n)
{
    return m_from_bits32(((uint32_t)n + 127u) << 23);
}

// a * 2^n, rounded once if the result is subnormal: abs(n) <= 252, two multiplications.
MERIT_HD static inline float m_scale32(float a, int32_t n)
{
    // Unsigned, because n is any word where a is NaN.
    const uint32_t half = (((uint32_t)n + 512u) >> 1) - 256u;
    return m_mul(m_mul(a, m_exp2_int((int32_t)half)), m_exp2_int((int32_t)((uint32_t)n - half)));
}

// Adding 1.5 * 2^23 rounds to the nearest integer and leaves it in the low bits.
#define MERIT_ROUND32 0x1.8p23f

MERIT_HD static inline int32_t m_rounded_int32(float shifted)
{
    return (int32_t)(m_bits32(shifted) - m_bits32(MERIT_ROUND32));
}

// abs(k) < 2^22. Cheaper than a conversion on a GPU.
MERIT_HD static inline float m_from_int32(int32_t k)
{
    return m_sub(m_from_bits32(m_bits32(MERIT_ROUND32) + (uint32_t)k), MERIT_ROUND32);
}

// exp ---------------------------------------------------------------------------------------------

// x = n ln2 + r.hi + r.lo, abs(r.hi) <= ln2/2 (Cody and Waite 1980). abs(x) <= 150.
MERIT_HD static inline merit_pair32 m_exp_reduce(float x, int32_t *n)
{
    const float shifted = m_fma(x, 0x1.715476p0f, MERIT_ROUND32);
    const float k = m_sub(shifted, MERIT_ROUND32);
    const float coarse = m_fma(k, -0x1.62e4p-1f, x); // exact: the constant has 16 bits
    merit_pair32 r;
    r.hi = m_fma(k, -0x1.7f7d1cp-20f, coarse);
    r.lo = m_fma(k, -0x1.7f7d1cp-20f, m_sub(coarse, r.hi));
    *n = m_rounded_int32(shifted);
    return r;
}

// e^r - 1 - r for abs(r) <= 0.347, to about 1 ulp.
MERIT_HD static inline float m_exp_tail(float r)
{
    float p = 0x1.a2a18ap-13f;
    p = m_fma(p, r, 0x1.6d413cp-10f);
    p = m_fma(p, r, 0x1.110fdap-7f);
    p = m_fma(p, r, 0x1.5554f2p-5f);
    p = m_fma(p, r, 0x1.555556p-3f);
    const float half = m_mul(m_mul(0.5f, r), r); // r^2/2 = half + half_lo
    const float half_lo = m_fma(m_mul(0.5f, r), r, -half);
    return m_add(half, m_fma(m_mul(m_add(half, half), r), p, half_lo));
}

// e^(r.hi + r.lo) for abs(r.hi) <= 0.347; the result lies in [0.70, 1.42]. hi + lo is good to 0.10
// ulp of hi.
MERIT_HD static inline merit_pair32 m_exp_core(merit_pair32 r)
{
    const merit_pair32 sum = m_fast_two_sum(1.0f, r.hi);
    const float lo = m_add(sum.lo, m_fma(r.lo, sum.hi, m_exp_tail(r.hi)));
    return m_fast_two_sum(sum.hi, lo);
}

// e^x as hi + lo. Results below 2^-126 round to the subnormal grid, hi and lo each by itself.
MERIT_HD static inline merit_pair32 m_exp_pair(float x)
{
    // Beyond these limits the result is 0 or inf; NaN passes through both selects.
    const float raised = x < -105.0f ? -105.0f : x;
    const float clipped = raised > 90.0f ? 90.0f : raised;
    int32_t n;
    const merit_pair32 r = m_exp_reduce(clipped, &n);
    const merit_pair32 e = m_exp_core(r);
    merit_pair32 y;
    y.hi = m_canonical32(m_scale32(e.hi, n));
    y.lo = m_canonical32(m_scale32(e.lo, n));
    return y;
}

// e^x. exp(0) = 1 exactly; 0 below -103.98, inf above 88.73.
MERIT_HD static inline float m_exp(float x)
{
    return m_exp_pair(x).hi;
}

// 2^x. Exact for integers.
MERIT_HD static inline float m_exp2(float x)
{
    const float raised = x < -151.0f ? -151.0f : x;
    const float clipped = raised > 128.0f ? 128.0f : raised;
    const float shifted = m_add(clipped, MERIT_ROUND32);
    const float f = m_sub(clipped, m_sub(shifted, MERIT_ROUND32)); // exact
    merit_pair32 r; // f ln2
    r.hi = m_mul(f, 0x1.62e43p-1f);
    r.lo = m_fma(f, -0x1.05c61p-29f, m_fma(f, 0x1.62e43p-1f, -r.hi));
    return m_canonical32(m_scale32(m_exp_core(r).hi, m_rounded_int32(shifted)));
}

// scale (e^r - 1) + (scale + less) without cancellation, as hi + lo that are not yet added up. less: -1,
// or 0 where it would be lost.
MERIT_HD static inline merit_pair32 m_expm1_join(merit_pair32 r, float scale, float less)
{
    const float tail = m_fma(r.lo, m_add(1.0f, r.hi), m_exp_tail(r.hi));
    const merit_pair32 whole = m_two_sum(scale, less);
    merit_pair32 y = m_fast_two_sum(whole.hi, m_mul(scale, r.hi));
    y.lo = m_fma(scale, tail, m_add(y.lo, whole.lo));
    return y;
}

// (e^x - 1) / 2^power: 2^n (e^r - 1) + (2^n - 1). power is 0 up to n = 64; above, the -1 is lost, and so
// is any x.
MERIT_HD static inline merit_pair32 m_expm1_core(float x, int32_t *power)
{
    const float raised = x < -30.0f ? -30.0f : x; // -1 from -18 down
    const float clipped = raised > 90.0f ? 90.0f : raised;
    int32_t n;
    const merit_pair32 r = m_exp_reduce(clipped, &n);
    const int far = n > 64;
    *power = far ? n : 0;
    return m_expm1_join(r, m_exp2_int(far ? 0 : n), far ? 0.0f : -1.0f);
}

MERIT_HD static inline float m_expm1(float x)
{
    int32_t power;
    const merit_pair32 e = m_expm1_core(x, &power);
    const float y = m_scale32(m_add(e.hi, e.lo), power);
    return m_canonical32(x == 0.0f ? x : y); // the sign of zero survives
}

// hi + lo - d
MERIT_HD static inline float m_expm1_minus(merit_pair32 e, float d)
{
    const merit_pair32 rest = m_two_sum(e.hi, -d);
    return m_add(rest.hi, m_add(rest.lo, e.lo));
}

// e^d - 1 - d without cancellation, positive away from 0. Below abs(d) = ln2/2 it is the tail of the
// series by itself.
MERIT_HD static inline float m_expm1m(float d)
{
    int32_t power;
    const merit_pair32 e = m_expm1_core(d, &power);
    const float near = m_expm1_minus(e, d);
    const float far = m_scale32(m_add(e.hi, e.lo), power);
    const float y = power == 0 ? near : far;
    return m_canonical32(m_abs32(d) == m_inf32() ? m_inf32() : y);
}

// The bits of m_exp, m_expm1 and m_expm1m with fewer operations where no result is subnormal or too large.

// abs(x) <= MERIT_EXP_NEAR
#define MERIT_EXP_NEAR 80.0f

MERIT_HD static inline float m_exp_near(float x)
{
    int32_t n;
    const merit_pair32 r = m_exp_reduce(x, &n);
    return m_mul(m_exp_core(r).hi, m_exp2_int(n));
}

// abs(x) <= MERIT_EXPM1_NEAR
#define MERIT_EXPM1_NEAR 30.0f

MERIT_HD static inline merit_pair32 m_expm1_near_core(float x)
{
    int32_t n;
    const merit_pair32 r = m_exp_reduce(x, &n);
    return m_expm1_join(r, m_exp2_int(n), -1.0f);
}

MERIT_HD static inline float m_expm1_near(float x)
{
    const merit_pair32 e = m_expm1_near_core(x);
    return x == 0.0f ? x : m_add(e.hi, e.lo);
}

MERIT_HD static inline float m_expm1m_near(float d)
{
    return m_expm1_minus(m_expm1_near_core(d), d);
}

// tanh x = -e / (2 + e), e = expm1(-2 abs(x)).
MERIT_HD static inline float m_tanh(float x)
{
    const float size = m_abs32(x);
    int32_t power;
    const merit_pair32 parts = m_expm1_core(m_mul(-2.0f, size > 10.0f ? 10.0f : size), &power);
    const merit_pair32 e = m_fast_two_sum(parts.hi, parts.lo);
    const merit_pair32 den = m_fast_two_sum(2.0f, e.hi);
    const float reciprocal = m_div(1.0f, den.hi);
    const float q = m_mul(-e.hi, reciprocal);
    // num - q den, num = -(e.hi + e.lo), den = den.hi + den.lo + e.lo
    const float r = m_sub(m_fma(-q, den.hi, -e.hi), m_fma(q, m_add(den.lo, e.lo), e.lo));
    return m_canonical32(m_with_sign32(m_fma(r, reciprocal, q), x));
}

// 1 / (1 + e^-x) = (x < 0 ? t : 1) / (1 + t), t = e^-abs(x).
MERIT_HD static inline float m_sigmoid(float x)
{
    const merit_pair32 t = m_exp_pair(x > 0.0f ? -x : x);
    const merit_pair32 den = m_fast_two_sum(1.0f, t.hi);
    const float num = x < 0.0f ? t.hi : 1.0f;
    const float num_lo = x < 0.0f ? t.lo : 0.0f;
    const float reciprocal = m_div(1.0f, den.hi);
    const float q = m_mul(num, reciprocal);
    const float r = m_sub(m_fma(-q, den.hi, num), m_fma(q, m_add(den.lo, t.lo), -num_lo));
    return m_canonical32(m_fma(r, reciprocal, q));
}

// exp2 for sums of exponentials -------------------------------------------------------------------

// 2^f on [-1/2, 1/2], degree 5: relative error below 1.4e-7 in exact arithmetic, and 1 exactly at 0.
MERIT_HD static inline float m_exp2_p5_core(float f)
{
    float p = 0x1.5fbaa2p-10f;
    p = m_fma(p, f, 0x1.3ced7p-7f);
    p = m_fma(p, f, 0x1.c6adaap-5f);
    p = m_fma(p, f, 0x1.ebf9b2p-3f);
    p = m_fma(p, f, 0x1.62e432p-1f);
    return m_fma(p, f, 1.0f);
}

// 2^(f + k) for finite operands and normal results, k being the low bits of `shifted`, a sum with
// MERIT_ROUND32 (whose own bits leave the word at the left): one integer instruction.
MERIT_HD static inline float m_exp2_p5_scaled(float f, float shifted)
{
    return m_from_bits32(m_bits32(m_exp2_p5_core(f)) + (m_bits32(shifted) << 23));
}

// 2^y. 0 below -125, inf from 128 on.
MERIT_HD static inline float m_exp2_p5(float y)
{
    const float shifted = m_add(y, MERIT_ROUND32);
    const float f = m_sub(y, m_sub(shifted, MERIT_ROUND32));
    const float finite = m_exp2_p5_scaled(f, shifted);
    const float raised = y < -125.0f ? 0.0f : y < 128.0f ? finite : m_inf32();
    return m_is_nan32(y) ? m_nan32() : raised;
}

// log ---------------------------------------------------------------------------------------------

// k ln2 + log(1 + f + f_lo) for sqrt(1/2) <= 1 + f < sqrt(2), f_lo at most about an ulp of 1 + f:
// f - f^2/2 + f^3 P(f). hi + lo is good to 0.13 ulp of hi.
MERIT_HD static inline merit_pair32 m_log_core(float k, float f, float f_lo)
{
    float p = 0x1.1b43aap-4f;
    p = m_fma(p, f, -0x1.e2e49ap-4f);
    p = m_fma(p, f, 0x1.e64d6cp-4f);
    p = m_fma(p, f, -0x1.fb43dcp-4f);
    p = m_fma(p, f, 0x1.233306p-3f);
    p = m_fma(p, f, -0x1.5562ep-3f);
    p = m_fma(p, f, 0x1.99a542p-3f);
    p = m_fma(p, f, -0x1.ffffeep-3f);
    p = m_fma(p, f, 0x1.555546p-2f);
    // 1 / (1 + f) to 0.6 %: enough for a correction below one ulp.
    float slope = -0x1.e24cd8p-1f;
    slope = m_fma(slope, f, 0x1.1d08dcp0f);
    slope = m_fma(slope, f, -0x1.01c652p0f);
    slope = m_fma(slope, f, 0x1.ff23bap-1f);
    const float half = m_mul(m_mul(0.5f, f), f); // f^2/2 = half + half_lo
    const float half_lo = m_fma(m_mul(0.5f, f), f, -half);
    const float cube = m_mul(m_add(half, half), f);

    const merit_pair32 sum = m_fast_two_sum(m_mul(k, 0x1.62e4p-1f), f); // product exact
    const merit_pair32 more = m_fast_two_sum(sum.hi, -half);
    float lo = m_sub(m_add(sum.lo, more.lo), half_lo);
    lo = m_fma(k, 0x1.7f7d1cp-20f, lo);
    lo = m_fma(f_lo, slope, lo);
    lo = m_fma(cube, p, lo);
    return m_fast_two_sum(more.hi, lo);
}

// x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), for positive finite x; f is exact.
MERIT_HD static inline float m_log_reduce(float x, int32_t *k)
{
    const int subnormal = x < 0x1p-126f;
    const uint32_t bits = m_bits32(subnormal ? m_mul(x, 0x1p23f) : x);
    // Exponent of x / sqrt(1/2), biased by 256 to stay positive.
    const uint32_t biased = (bits - 0x3f3504f3u + 0x80000000u) >> 23;
    *k = (int32_t)biased - (subnormal ? 256 + 23 : 256);
    return m_sub(m_from_bits32(bits - ((biased - 256) << 23)), 1.0f);
}

// log x as hi + lo. log(0) = -inf, NaN below 0.
MERIT_HD static inline merit_pair32 m_log_pair(float x)
{
    int32_t k;
    const float f = m_log_reduce(x, &k);
    merit_pair32 y = m_log_core(m_from_int32(k), f, 0.0f);
    y.hi = x < m_inf32() ? y.hi : x;
    y.hi = x > 0.0f ? y.hi : x == 0.0f ? -m_inf32() : m_nan32();
    y.lo = x > 0.0f && x < m_inf32() ? y.lo : 0.0f;
    return y;
}

MERIT_HD static inline float m_log(float x)
{
    return m_log_pair(x).hi;
}

// log2 x. Exact for powers of two.
MERIT_HD static inline float m_log2(float x)
{
    int32_t k;
    const float f = m_log_reduce(x, &k);
    const merit_pair32 e = m_log_core(0.0f, f, 0.0f);
    const float hi = m_mul(e.hi, 0x1.715476p0f);
    float lo = m_fma(e.hi, 0x1.715476p0f, -hi);
    lo = m_fma(e.hi, 0x1.4ae0cp-26f, lo);
    lo = m_fma(e.lo, 0x1.715476p0f, lo);
    const merit_pair32 sum = m_fast_two_sum(m_from_int32(k), hi); // abs(hi) <= 1/2, k 0 or >= 1
    const float y = m_add(sum.hi, m_add(sum.lo, lo));
    const float finite = x < m_inf32() ? y : x;
    return x > 0.0f ? finite : x == 0.0f ? -m_inf32() : m_nan32();
}

// log(1 + x) without cancellation: 1 + x = u + c exactly, and c enters through the derivative.
MERIT_HD static inline float m_log1p(float x)
{
    const merit_pair32 sum = m_two_sum(1.0f, x);
    int32_t k;
    const float f_far = m_log_reduce(sum.hi, &k);
    // c is at most half an ulp of u; from k = 30 on it is lost whatever it is.
    const float c = m_mul(sum.lo, m_exp2_int(k > 30 ? -30 : -k));
    const float y = m_log_core(m_from_int32(k), k == 0 ? x : f_far, k == 0 ? 0.0f : c).hi;
    const float finite = x < m_inf32() && x != 0.0f ? y : x; // the sign of zero survives
    return x > -1.0f ? finite : x == -1.0f ? -m_inf32() : m_nan32();
}

// log(1 + t.hi + t.lo) as hi + lo for 0 <= t.hi <= 1.
MERIT_HD static inline merit_pair32 m_log1p_unit(merit_pair32 t)
{
    const merit_pair32 sum = m_fast_two_sum(1.0f, t.hi);
    const int far = sum.hi >= 0x1.6a09e6p0f;
    const float c = m_mul(0.5f, m_add(sum.lo, t.lo));
    const float f = far ? m_sub(m_mul(0.5f, sum.hi), 1.0f) : t.hi;
    return m_log_core(far ? 1.0f : 0.0f, f, far ? c : t.lo);
}

// log1p(e^-abs(x)): what softplus(x) and softplus(-x) share.
MERIT_HD static inline merit_pair32 m_softplus_tail(float x)
{
    return m_log1p_unit(m_exp_pair(x > 0.0f ? -x : x));
}

MERIT_HD static inline float m_softplus_from(float x, merit_pair32 tail)
{
    const merit_pair32 sum = m_two_sum(x > 0.0f ? x : 0.0f, tail.hi);
    const float y = m_add(sum.hi, m_add(sum.lo, tail.lo));
    // Above 1000 the tail is 0; inf would turn the two-sum into NaN.
    return m_canonical32(x > 1000.0f ? x : y);
}

// log(1 + e^x) = max(x, 0) + log1p(e^-abs(x)).
MERIT_HD static inline float m_softplus(float x)
{
    return m_softplus_from(x, m_softplus_tail(x));
}

// log(1 / (1 + e^-x)) = -softplus(-x).
MERIT_HD static inline float m_log_sigmoid(float x)
{
    return m_canonical32(-m_softplus(-x));
}

#endif
