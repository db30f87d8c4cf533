// binary64 exp, log and their relatives, defined bit for bit by their sequence of IEEE operations.
// Include exact.h: it has the table of measured errors.
//
// Sums of a large exact term and a small correction are kept as hi + lo (Dekker 1971) until the
// last addition, so that nearly all of the error is that one rounding. Fast two-sums state why the
// first operand is the larger. Coefficients: tests/math/coefficients.sollya.
#ifndef MERIT_CORE_EXACT64_H
#define MERIT_CORE_EXACT64_H

#include "portable.h"

// The unevaluated sum hi + lo, hi being hi + lo rounded.
typedef struct merit_pair64 {
    double hi, lo;
} merit_pair64;

// a + b exactly, for abs(a) >= abs(b) or a == 0 (Dekker 1971).
MERIT_HD static inline merit_pair64 m_fast_two_sum64(double a, double b)
{
    merit_pair64 sum;
    sum.hi = m_add64(a, b);
    sum.lo = m_sub64(b, m_sub64(sum.hi, a));
    return sum;
}

// a + b exactly (Knuth 1969).
MERIT_HD static inline merit_pair64 m_two_sum64(double a, double b)
{
    merit_pair64 sum;
    sum.hi = m_add64(a, b);
    const double b_part = m_sub64(sum.hi, a);
    const double a_part = m_sub64(sum.hi, b_part);
    sum.lo = m_add64(m_sub64(a, a_part), m_sub64(b, b_part));
    return sum;
}

// 2^n for -1022 <= n <= 1023.
MERIT_HD static inline double m_exp2_int64(int64_t n)
{
    return m_from_bits64(((uint64_t)n + 1023u) << 52);
}

// a * 2^n, rounded once if the result is subnormal: abs(n) <= 2044, two multiplications.
MERIT_HD static inline double m_scale64(double a, int64_t n)
{
    // Unsigned, because n is any word where a is NaN, and AVX2 has no arithmetic 64-bit shift.
    const uint64_t half = (((uint64_t)n + 4096u) >> 1) - 2048u;
    return m_mul64(m_mul64(a, m_exp2_int64((int64_t)half)),
                   m_exp2_int64((int64_t)((uint64_t)n - half)));
}

// Adding 1.5 * 2^52 rounds to the nearest integer and leaves it in the low bits.
#define MERIT_ROUND64 0x1.8p52

MERIT_HD static inline int64_t m_rounded_int64(double shifted)
{
    return (int64_t)(m_bits64(shifted) - m_bits64(MERIT_ROUND64));
}

// x = n ln2 + r.hi + r.lo, abs(r.hi) <= ln2/2 (Cody and Waite 1980). abs(x) <= 750.
MERIT_HD static inline merit_pair64 m_exp_reduce64(double x, int64_t *n)
{
    const double shifted = m_fma64(x, 0x1.71547652b82fep0, MERIT_ROUND64);
    const double k = m_sub64(shifted, MERIT_ROUND64);
    const double coarse = m_fma64(k, -0x1.62e42fefa3p-1, x); // exact: the constant has 41 bits
    merit_pair64 r;
    r.hi = m_fma64(k, -0x1.3de6af278ece6p-42, coarse);
    r.lo = m_fma64(k, -0x1.3de6af278ece6p-42, m_sub64(coarse, r.hi));
    *n = m_rounded_int64(shifted);
    return r;
}

// e^r - 1 - r for abs(r) <= 0.3468, to about 1 ulp.
MERIT_HD static inline double m_exp_tail64(double r)
{
    double p = 0x1.1f955e9bee5c9p-29;
    p = m_fma64(p, r, 0x1.af5f7d301d6c1p-26);
    p = m_fma64(p, r, 0x1.27e4c60d734ebp-22);
    p = m_fma64(p, r, 0x1.71ddf7e7d5dd2p-19);
    p = m_fma64(p, r, 0x1.a01a01b031151p-16);
    p = m_fma64(p, r, 0x1.a01a01b00fbe8p-13);
    p = m_fma64(p, r, 0x1.6c16c16c14802p-10);
    p = m_fma64(p, r, 0x1.111111110f642p-7);
    p = m_fma64(p, r, 0x1.5555555555559p-5);
    p = m_fma64(p, r, 0x1.5555555555559p-3);
    const double half = m_mul64(m_mul64(0.5, r), r); // r^2/2 = half + half_lo
    const double half_lo = m_fma64(m_mul64(0.5, r), r, -half);
    return m_add64(half, m_fma64(m_mul64(m_add64(half, half), r), p, half_lo));
}

// e^(r.hi + r.lo) for abs(r.hi) <= 0.3468; the result lies in [0.70, 1.42]. hi + lo is good to
// 0.10 ulp of hi.
MERIT_HD static inline merit_pair64 m_exp_core64(merit_pair64 r)
{
    const merit_pair64 sum = m_fast_two_sum64(1.0, r.hi);
    const double lo = m_add64(sum.lo, m_fma64(r.lo, sum.hi, m_exp_tail64(r.hi)));
    return m_fast_two_sum64(sum.hi, lo);
}

// e^x as hi + lo. Results below 2^-1022 round to the subnormal grid, hi and lo each by itself.
MERIT_HD static inline merit_pair64 m_exp_pair64(double x)
{
    // Beyond these limits the result is 0 or inf; NaN passes through both selects.
    const double raised = x < -746.0 ? -746.0 : x;
    const double clipped = raised > 710.0 ? 710.0 : raised;
    int64_t n;
    const merit_pair64 r = m_exp_reduce64(clipped, &n);
    const merit_pair64 e = m_exp_core64(r);
    merit_pair64 y;
    y.hi = m_canonical64(m_scale64(e.hi, n));
    y.lo = m_canonical64(m_scale64(e.lo, n));
    return y;
}

// e^x. exp(0) = 1 exactly; 0 below -745.14, inf above 709.79.
MERIT_HD static inline double m_exp64(double x)
{
    return m_exp_pair64(x).hi;
}

// 2^x. Exact for integers.
MERIT_HD static inline double m_exp2_64(double x)
{
    const double raised = x < -1076.0 ? -1076.0 : x;
    const double clipped = raised > 1024.0 ? 1024.0 : raised;
    const double shifted = m_add64(clipped, MERIT_ROUND64);
    const double f = m_sub64(clipped, m_sub64(shifted, MERIT_ROUND64)); // exact
    merit_pair64 r; // f ln2
    r.hi = m_mul64(f, 0x1.62e42fefa39efp-1);
    r.lo = m_fma64(f, 0x1.abc9e3b39803fp-56, m_fma64(f, 0x1.62e42fefa39efp-1, -r.hi));
    return m_canonical64(m_scale64(m_exp_core64(r).hi, m_rounded_int64(shifted)));
}

// e^x - 1 without cancellation: 2^n (e^r - 1) + (2^n - 1).
MERIT_HD static inline double m_expm1_64(double x)
{
    const double raised = x < -60.0 ? -60.0 : x; // -1 from -38 down
    const double clipped = raised > 710.0 ? 710.0 : raised;
    int64_t n;
    const merit_pair64 r = m_exp_reduce64(clipped, &n);
    const double tail = m_fma64(r.lo, m_add64(1.0, r.hi), m_exp_tail64(r.hi));
    // From n = 64 on the -1 is below half an ulp: there e^r is computed and scaled afterwards.
    const int64_t before = n > 63 ? 0 : n;
    const double scale = m_exp2_int64(before);
    const merit_pair64 whole = m_two_sum64(scale, n > 63 ? 0.0 : -1.0);
    const merit_pair64 sum = m_fast_two_sum64(whole.hi, m_mul64(scale, r.hi));
    const double y = m_add64(sum.hi, m_add64(m_add64(sum.lo, whole.lo), m_mul64(scale, tail)));
    const double scaled = n > 63 ? m_scale64(y, n) : y;
    // The sign of zero survives.
    return m_canonical64(x == 0.0 ? x : scaled);
}

// 1 / (1 + f) to about 0.3 % for f = 2 s / (1 - s): enough for a correction below one ulp.
MERIT_HD static inline double m_log_slope64(double s)
{
    return m_fma64(m_mul64(-2.0, s), m_fma64(m_sub64(s, 1.0), s, 1.0), 1.0);
}

// k ln2 + log(1 + f + f_lo) for sqrt(1/2) <= 1 + f < sqrt(2), f_lo at most about an ulp of 1 + f.
// With s = f / (2 + f): log(1 + f) = 2 atanh(s) = f - f^2/2 + s (f^2/2 + R(s^2)) (Ng 1993, fdlibm).
MERIT_HD static inline merit_pair64 m_log_core64(double k, double f, double f_lo)
{
    const double s = m_div64(f, m_add64(2.0, f));
    const double z = m_mul64(s, s);
    double p = 0x1.2f0387a618403p-3;
    p = m_fma64(p, z, 0x1.39a1eddc43889p-3);
    p = m_fma64(p, z, 0x1.74663cbb1eb4fp-3);
    p = m_fma64(p, z, 0x1.c71c52153f6d4p-3);
    p = m_fma64(p, z, 0x1.24924941e04a4p-2);
    p = m_fma64(p, z, 0x1.999999997ff27p-2);
    p = m_fma64(p, z, 0x1.5555555555592p-1);
    const double half = m_mul64(m_mul64(0.5, f), f); // f^2/2 = half + half_lo
    const double half_lo = m_fma64(m_mul64(0.5, f), f, -half);
    const double rest = m_fma64(p, z, half);

    const merit_pair64 sum = m_fast_two_sum64(m_mul64(k, 0x1.62e42fefa3p-1), f); // product exact
    const merit_pair64 more = m_fast_two_sum64(sum.hi, -half);
    double lo = m_sub64(m_add64(sum.lo, more.lo), half_lo);
    lo = m_fma64(k, 0x1.3de6af278ece6p-42, lo);
    lo = m_fma64(f_lo, m_log_slope64(s), lo);
    lo = m_fma64(s, rest, lo);
    return m_fast_two_sum64(more.hi, lo);
}

// x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), for positive finite x; f is exact.
MERIT_HD static inline double m_log_reduce64(double x, int64_t *k)
{
    const int subnormal = x < 0x1p-1022;
    const uint64_t bits = m_bits64(subnormal ? m_mul64(x, 0x1p54) : x);
    // Exponent of x / sqrt(1/2), biased by 2048 to stay positive: AVX2 has only logical shifts.
    const uint64_t biased = (bits - 0x3fe6a09e667f3bcdu + 0x8000000000000000u) >> 52;
    *k = (int64_t)biased - (subnormal ? 2048 + 54 : 2048);
    return m_sub64(m_from_bits64(bits - ((biased - 2048) << 52)), 1.0);
}

// abs(k) < 2^51; no ISA before AVX-512 converts 64-bit integers.
MERIT_HD static inline double m_from_int64(int64_t k)
{
    return m_sub64(m_from_bits64(m_bits64(MERIT_ROUND64) + (uint64_t)k), MERIT_ROUND64);
}

// log x as hi + lo, good to 0.13 ulp of hi. log(0) = -inf, NaN below 0.
MERIT_HD static inline merit_pair64 m_log_pair64(double x)
{
    int64_t k;
    const double f = m_log_reduce64(x, &k);
    merit_pair64 y = m_log_core64(m_from_int64(k), f, 0.0);
    y.hi = x < m_inf64() ? y.hi : x;
    y.hi = x > 0.0 ? y.hi : x == 0.0 ? -m_inf64() : m_nan64();
    y.lo = x > 0.0 && x < m_inf64() ? y.lo : 0.0;
    return y;
}

MERIT_HD static inline double m_log64(double x)
{
    return m_log_pair64(x).hi;
}

// log2 x. Exact for powers of two.
MERIT_HD static inline double m_log2_64(double x)
{
    int64_t k;
    const double f = m_log_reduce64(x, &k);
    const merit_pair64 e = m_log_core64(0.0, f, 0.0);
    const double hi = m_mul64(e.hi, 0x1.71547652b82fep0);
    double lo = m_fma64(e.hi, 0x1.71547652b82fep0, -hi);
    lo = m_fma64(e.hi, 0x1.777d0ffda0d24p-56, lo);
    lo = m_fma64(e.lo, 0x1.71547652b82fep0, lo);
    const merit_pair64 sum =
        m_fast_two_sum64(m_from_int64(k), hi); // abs(hi) <= 1/2, k is 0 or at least 1
    const double y = m_add64(sum.hi, m_add64(sum.lo, lo));
    const double finite = x < m_inf64() ? y : x;
    return x > 0.0 ? finite : x == 0.0 ? -m_inf64() : m_nan64();
}

// log(1 + x) without cancellation: 1 + x = u + c exactly, and c enters through the derivative.
MERIT_HD static inline double m_log1p64(double x)
{
    const merit_pair64 sum = m_two_sum64(1.0, x);
    int64_t k;
    const double f_far = m_log_reduce64(sum.hi, &k);
    // c is at most half an ulp of u; from k = 60 on it is lost whatever it is.
    const double c = m_mul64(sum.lo, m_exp2_int64(k > 60 ? -60 : -k));
    const double y = m_log_core64(m_from_int64(k), k == 0 ? x : f_far, k == 0 ? 0.0 : c).hi;
    const double finite = x < m_inf64() && x != 0.0 ? y : x; // the sign of zero survives
    return x > -1.0 ? finite : x == -1.0 ? -m_inf64() : m_nan64();
}

// log(1 + t.hi + t.lo) as hi + lo for 0 <= t.hi <= 1.
MERIT_HD static inline merit_pair64 m_log1p_unit64(merit_pair64 t)
{
    const merit_pair64 sum = m_fast_two_sum64(1.0, t.hi);
    const int far = sum.hi >= 0x1.6a09e667f3bcdp0;
    const double c = m_mul64(0.5, m_add64(sum.lo, t.lo));
    const double f = far ? m_sub64(m_mul64(0.5, sum.hi), 1.0) : t.hi;
    return m_log_core64(far ? 1.0 : 0.0, f, far ? c : t.lo);
}

// log(1 + e^x) = max(x, 0) + log1p(e^-abs(x)).
MERIT_HD static inline double m_softplus64(double x)
{
    const merit_pair64 tail = m_log1p_unit64(m_exp_pair64(x > 0.0 ? -x : x));
    const merit_pair64 sum = m_two_sum64(x > 0.0 ? x : 0.0, tail.hi);
    const double y = m_add64(sum.hi, m_add64(sum.lo, tail.lo));
    // Above 1000 the tail is 0; inf would turn the two-sum into NaN.
    return m_canonical64(x > 1000.0 ? x : y);
}

// log(1 / (1 + e^-x)) = -softplus(-x).
MERIT_HD static inline double m_log_sigmoid64(double x)
{
    return m_canonical64(-m_softplus64(-x));
}

#endif
