// Records of a population {count, mean, m2, min, max} and their merge (Chan, Golub, LeVeque 1983).
#ifndef MERIT_CORE_MOMENTS_H
#define MERIT_CORE_MOMENTS_H

#include <merit/types.h>

#include "lanes.h"

// Neutral: merging with it returns the other record unchanged.
MERIT_HD static inline merit_moments merit_moments_empty(void)
{
    merit_moments r;
    r.count = 0.0;
    r.mean = 0.0;
    r.m2 = 0.0;
    r.min = m_inf64();
    r.max = -m_inf64();
    return r;
}

// Finite min == max: the mean is that value and every deviation 0, exactly.
MERIT_HD static inline int merit_moments_all_equal(double min, double max)
{
    return min == max && m_is_finite64(min);
}

// Merge of two neighbours, a before b:
//   n = na + nb; d = mean_b - mean_a; mean = mean_a + d * nb / n; m2 = (m2a + m2b) + d * d * (na * nb / n)
MERIT_HD static inline merit_moments merit_moments_merge(merit_moments a, merit_moments b)
{
    if (a.count == 0.0) return b;
    if (b.count == 0.0) return a;
    merit_moments r;
    r.count = m_add64(a.count, b.count);
    r.min = m_min64(a.min, b.min);
    r.max = m_max64(a.max, b.max);
    const double d = m_sub64(b.mean, a.mean);
    const double mean = m_add64(a.mean, m_div64(m_mul64(d, b.count), r.count));
    const double cross = m_mul64(m_mul64(d, d), m_div64(m_mul64(a.count, b.count), r.count));
    const double m2 = m_add64(m_add64(a.m2, b.m2), cross);
    const int equal = merit_moments_all_equal(r.min, r.max);
    r.mean = equal ? r.min : mean;
    r.m2 = equal ? 0.0 : m2;
    return r;
}

// A record as an operation writes it: an empty population has no mean or range.
MERIT_HD static inline merit_moments merit_moments_output(merit_moments m)
{
    const int empty = m.count == 0.0;
    m.mean = empty ? m_nan64() : m_canonical64(m.mean);
    m.m2 = m_canonical64(m.m2);
    m.min = empty ? m_nan64() : m_canonical64(m.min);
    m.max = empty ? m_nan64() : m_canonical64(m.max);
    return m;
}

#endif
