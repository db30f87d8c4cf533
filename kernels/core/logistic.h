// log(1 + e^x) and 1 / (1 + e^-x) together, for losses over millions of pairs: less work than the two
// functions of exact32.h one after the other, at 2.4 ulp for the second.
//
//   e^-abs(x) = s + s v, s = 2^n, abs(v) < 0.42        t = s + s v rounded, t_lo what that lost
//   log(1 + t) = 2 atanh(q), q = t / (2 + t)            2 atanh(q) = 2 q + q^3 P(q^2)
//
// t - 2 q is exact (Sterbenz: 2 q lies between 2 t / 3 and t), so t - q (2 + t), which corrects q, takes
// one more operation.
//
// Largest error over all 2^32 inputs: softplus 0.981 ulp, sigmoid 2.40 ulp.
// Exact: softplus(0) = log 2 rounded, sigmoid(0) = 1/2. tests/math measures them again.
#ifndef MERIT_CORE_LOGISTIC_H
#define MERIT_CORE_LOGISTIC_H

#include "exact.h"

typedef struct merit_logistic {
    float softplus;
    float sigmoid;
} merit_logistic;

// e^a = 2^n (1 + v), -105 <= a <= 0: returns v, good to 0.5 ulp of 1.
MERIT_HD static inline float m_logistic_exp(float a, int32_t *n)
{
    const float shifted = m_fma(a, 0x1.715476p0f, MERIT_ROUND32);
    const float k = m_sub(shifted, MERIT_ROUND32);
    const float coarse = m_fma(k, -0x1.62e4p-1f, a); // exact: the constant has 16 bits
    const float r = m_fma(k, -0x1.7f7d1cp-20f, coarse);
    float p = 0x1.cf6ff2p-14f;
    p = m_fma(p, r, 0x1.6d583ap-10f);
    p = m_fma(p, r, 0x1.119c0ep-7f);
    p = m_fma(p, r, 0x1.5554dep-5f);
    p = m_fma(p, r, 0x1.5554f2p-3f);
    p = m_fma(p, r, 0.5f);
    *n = m_rounded_int32(shifted);
    return m_fma(m_mul(r, r), p, r);
}

// Larger and smaller of two values of which at most one is negative: such words are in the order of the
// values, and compilers have vector instructions for them whatever a NaN would do.
MERIT_HD static inline float m_max_word32(float a, float b)
{
    const int32_t x = (int32_t)m_bits32(a);
    const int32_t y = (int32_t)m_bits32(b);
    return m_from_bits32((uint32_t)(x > y ? x : y));
}

MERIT_HD static inline float m_min_word32(float a, float b)
{
    const int32_t x = (int32_t)m_bits32(a);
    const int32_t y = (int32_t)m_bits32(b);
    return m_from_bits32((uint32_t)(x < y ? x : y));
}

// s + s v as hi + lo.
MERIT_HD static inline merit_pair32 m_logistic_scale(float s, float v)
{
    merit_pair32 t;
    t.hi = m_fma(v, s, s);
    t.lo = m_fma(v, s, m_sub(s, t.hi));
    return t;
}

// e^-abs(x) as hi + lo for abs(x) <= 80: no limits to observe, nothing underflows.
MERIT_HD static inline merit_pair32 m_logistic_near_exp(float x)
{
    int32_t n;
    const float v = m_logistic_exp(-m_abs32(x), &n);
    return m_logistic_scale(m_exp2_int(n), v);
}

// From e^-abs(x) = t + t_lo. x is finite, or has an abs(x) that swallows log(1 + t).
MERIT_HD static inline merit_logistic m_logistic_of(float x, float t, float t_lo)
{
    const float q = m_div(t, m_add(2.0f, t));
    const float twice = m_add(q, q);
    const float rest = m_fma(-q, t, m_sub(t, twice));
    const float complement = m_sub(1.0f, q); // 2 / (2 + t)
    const float correction = m_mul(complement, m_fma(t_lo, complement, rest));
    const float y = m_mul(q, q);
    float p = 0x1.1efe5p-2f;
    p = m_fma(p, y, 0x1.1eb4bap-2f);
    p = m_fma(p, y, 0x1.99d294p-2f);
    p = m_fma(p, y, 0x1.5555p-1f);
    const float lo = m_fma(m_mul(q, y), p, correction);
    const float smaller = m_min_word32(m_max_word32(x, 0.0f), twice);
    const merit_pair32 sum = m_fast_two_sum(m_max_word32(x, twice), smaller);
    merit_logistic r;
    r.softplus = m_add(sum.hi, m_add(sum.lo, lo));
    r.sigmoid = m_div(x < 0.0f ? t : 1.0f, m_add(1.0f, t));
    return r;
}

// The bits of m_logistic for abs(x) <= 80.
MERIT_HD static inline merit_logistic m_logistic_near(float x)
{
    const merit_pair32 t = m_logistic_near_exp(x);
    return m_logistic_of(x, t.hi, t.lo);
}

// Any x.
MERIT_HD static inline merit_logistic m_logistic(float x)
{
    const float size = m_abs32(x);
    const float clipped = size > 105.0f ? 105.0f : size; // from here on e^-size is 0
    int32_t n;
    const float v = m_logistic_exp(-clipped, &n);
    const merit_pair32 t = m_logistic_scale(m_scale32(1.0f, n), v);
    merit_logistic r = m_logistic_of(x, t.hi, t.lo);
    if (x == m_inf32()) r.softplus = x; // the two-sum makes it NaN
    r.softplus = m_canonical32(r.softplus);
    r.sigmoid = m_canonical32(r.sigmoid);
    return r;
}

#endif
