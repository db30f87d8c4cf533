// Sums of exponentials whose sizes may lie any distance apart: a mantissa and a power of two, so that
// moving to another power is exact, and no log is taken before the end.
#ifndef MERIT_PREFERENCE_ORDINAL_LEVELS_H
#define MERIT_PREFERENCE_ORDINAL_LEVELS_H

#include "../core/exact.h"

// m 2^n, n an integer (as binary64: logits may be 1e38); m == 0: nothing.
typedef struct merit_scaled {
    double m;
    double n;
} merit_scaled;

MERIT_HD static inline merit_scaled merit_scaled_zero(void)
{
    merit_scaled s;
    s.m = 0.0;
    s.n = 0.0;
    return s;
}

// The multiple of 4 nearest y <= -2^40: an integer that binary64 holds.
MERIT_HD static inline double merit_scaled_far(double y)
{
    const double quarter = m_mul64(0.25, y);
    const double whole = m_sub64(m_add64(quarter, MERIT_ROUND64), MERIT_ROUND64);
    return y < -0x1p52 ? y : m_mul64(4.0, whole);
}

// x = n ln2 + hi + lo, abs(hi) <= 0.347, -2^40 <= x <= 0.
typedef struct merit_scaled_parts {
    double n;
    merit_pair32 r;
} merit_scaled_parts;

MERIT_HD static inline merit_scaled_parts merit_scaled_reduce(double x)
{
    const double y = m_mul64(x, 0x1.71547652b82fep0);
    merit_scaled_parts p;
    p.n = m_sub64(m_add64(y, MERIT_ROUND64), MERIT_ROUND64);
    const double coarse = m_fma64(p.n, -0x1.62e42fefa39efp-1, x);
    const double r = m_fma64(p.n, -0x1.abc9e3b39803fp-56, coarse);
    p.r.hi = m_round32(r);
    p.r.lo = m_round32(m_sub64(r, (double)p.r.hi));
    return p;
}

// e^x for x <= 0: x = n ln2 + r, e^r by exp's binary32 core as hi + lo. From 2^40 on an ulp of r is
// lost in x: the power alone.
MERIT_HD static inline merit_scaled merit_scaled_exp(double x)
{
    if (!(x > -m_inf64())) return merit_scaled_zero();
    merit_scaled s;
    if (x < -0x1p40) {
        s.m = 1.0;
        s.n = merit_scaled_far(m_mul64(x, 0x1.71547652b82fep0));
        return s;
    }
    const merit_scaled_parts p = merit_scaled_reduce(x);
    const merit_pair32 e = m_exp_core(p.r);
    s.n = p.n;
    s.m = m_add64((double)e.hi, (double)e.lo);
    return s;
}

// a 2^n; n far below 0 gives 0.
MERIT_HD static inline double merit_scaled_shift(double a, double n)
{
    const double raised = n < -2000.0 ? -2000.0 : n;
    return m_scale64(a, (int64_t)(raised > 2000.0 ? 2000.0 : raised));
}

MERIT_HD static inline merit_scaled merit_scaled_add(merit_scaled a, merit_scaled b)
{
    if (b.m == 0.0) return a;
    if (a.m == 0.0) return b;
    merit_scaled s;
    s.n = a.n > b.n ? a.n : b.n;
    s.m = m_add64(merit_scaled_shift(a.m, m_sub64(a.n, s.n)),
                  merit_scaled_shift(b.m, m_sub64(b.n, s.n)));
    return s;
}

MERIT_HD static inline merit_scaled merit_scaled_times(merit_scaled a, double factor)
{
    a.m = m_mul64(a.m, factor);
    return a;
}

MERIT_HD static inline merit_scaled merit_scaled_mul(merit_scaled a, merit_scaled b)
{
    merit_scaled s;
    s.m = m_mul64(a.m, b.m);
    s.n = m_add64(a.n, b.n);
    return s;
}

MERIT_HD static inline double merit_scaled_ratio(merit_scaled a, merit_scaled b)
{
    if (a.m == 0.0) return 0.0;
    return merit_scaled_shift(m_div64(a.m, b.m), m_sub64(a.n, b.n));
}

// log(a b / c), c != 0: the logs of the mantissas and the powers apart.
MERIT_HD static inline double merit_scaled_log_ratio(merit_scaled a, merit_scaled b, merit_scaled c)
{
    const double mantissas = m_sub64(m_add64(m_log64(a.m), m_log64(b.m)), m_log64(c.m));
    const double powers = m_sub64(m_add64(a.n, b.n), c.n);
    return m_add64(m_mul64(powers, 0x1.62e42fefa39efp-1), mantissas);
}

#endif
