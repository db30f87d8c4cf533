// log(1 + e^x) and 1 / (1 + e^-x) together, for losses over millions of pairs: less work than the two
// functions of exact32.h one after the other, at 2 ulp for the second.
//
//   t = e^-abs(x)    q = t / (2 + t)    log(1 + t) = 2 atanh(q) = 2 q + q^3 P(q^2)
//
// Largest error over all 2^32 inputs: softplus 0.84 ulp, sigmoid 2.41 ulp, subnormal results 0.78.
// Exact: softplus(0) = log 2 rounded, sigmoid(0) = 1/2. tests/math measures them again.
#ifndef MERIT_CORE_LOGISTIC_H
#define MERIT_CORE_LOGISTIC_H

#include "exact.h"

typedef struct merit_logistic {
    float softplus;
    float sigmoid;
} merit_logistic;

// e^r as hi + lo, r = r.hi + r.lo, abs(r.hi) <= 0.347, to 0.2 ulp of hi.
MERIT_HD static inline merit_pair32 m_logistic_exp_core(merit_pair32 r)
{
    float p = 0x1.6d7c98p-10f;
    p = m_fma(p, r.hi, 0x1.123ad8p-7f);
    p = m_fma(p, r.hi, 0x1.5554bep-5f);
    p = m_fma(p, r.hi, 0x1.55549p-3f);
    p = m_fma(p, r.hi, 0.5f);
    const merit_pair32 sum = m_fast_two_sum(1.0f, r.hi);
    const float tail = m_mul(m_mul(r.hi, r.hi), p);
    const float lo = m_add(sum.lo, m_fma(r.lo, sum.hi, tail));
    return m_fast_two_sum(sum.hi, lo);
}

// From t = e^-abs(x) as hi + lo. x is finite, or has an abs(x) that swallows log(1 + t).
MERIT_HD static inline merit_logistic m_logistic_of(float x, merit_pair32 t)
{
    const float den = m_add(2.0f, t.hi);
    const float den_lo = m_sub(t.hi, m_sub(den, 2.0f));
    const float q = m_div(t.hi, den);
    // (t - q (2 + t)) / (2 + t), twice, corrects q: 1 - q = 2 / (2 + t)
    const float rest = m_fma(-q, den_lo, m_fma(-q, den, t.hi));
    const float complement = m_sub(1.0f, q);
    const float correction = m_mul(complement, m_fma(t.lo, complement, rest));
    const float y = m_mul(q, q);
    float p = 0x1.f08af8p-3f;
    p = m_fma(p, y, 0x1.b72bb8p-3f);
    p = m_fma(p, y, 0x1.25051p-2f);
    p = m_fma(p, y, 0x1.9996d8p-2f);
    p = m_fma(p, y, 0x1.555558p-1f);
    const float lo = m_fma(m_mul(q, y), p, correction);
    const merit_pair32 sum = m_two_sum(x > 0.0f ? x : 0.0f, m_add(q, q));
    merit_logistic r;
    r.softplus = m_add(sum.hi, m_add(sum.lo, lo));
    r.sigmoid = m_div(x < 0.0f ? t.hi : 1.0f, m_add(1.0f, t.hi));
    return r;
}

// abs(x) <= 80: no limits to observe, nothing underflows, and 2^n is one factor. The bits of
// m_logistic.
MERIT_HD static inline merit_logistic m_logistic_near(float x)
{
    int32_t n;
    const merit_pair32 e = m_logistic_exp_core(m_exp_reduce(x > 0.0f ? -x : x, &n));
    const float scale = m_exp2_int(n);
    merit_pair32 t;
    t.hi = m_mul(e.hi, scale);
    t.lo = m_mul(e.lo, scale);
    return m_logistic_of(x, t);
}

// Any x.
MERIT_HD static inline merit_logistic m_logistic(float x)
{
    const float size = x > 0.0f ? x : -x;
    const float clipped = size > 105.0f ? 105.0f : size; // from here on e^-size is 0
    int32_t n;
    const merit_pair32 e = m_logistic_exp_core(m_exp_reduce(-clipped, &n));
    merit_pair32 t;
    t.hi = m_scale32(e.hi, n);
    t.lo = m_scale32(e.lo, n);
    merit_logistic r = m_logistic_of(x, t);
    if (x == m_inf32()) r.softplus = x; // the two-sum makes it NaN
    r.softplus = m_canonical32(r.softplus);
    r.sigmoid = m_canonical32(r.sigmoid);
    return r;
}

#endif
