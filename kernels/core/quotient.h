// Exact division by a divisor shared by many numerators: one multiplication and two fused
// multiply-adds instead of a division, and the same bits. Made for GPUs, where a binary64 division is
// some thirty instructions. A CPU may divide as well: in cache, AVX-512 on Zen 4 takes 0.12 ns for a
// division, 0.07 ns for the scheme and 0.14 ns for its check.
//
//   y = RN(1/d) once;  q0 = RN(c y),  r = RN(c - q0 d),  q1 = RN(q0 + r y) = RN(c/d)
//
// The scheme with one correction is due to Markstein ("Computation of elementary functions on the
// IBM RISC System/6000 processor", 1990); see Cornea, Harrison, Tang, "Scientific Computing on
// Itanium-based Systems", 2002, and Brisebarre, Muller, Raina, "Accelerating Correctly Rounded
// Floating-Point Division when the Divisor Is Known in Advance", IEEE Trans. Computers 53(8), 2004.
// Proof that one correction is enough, precision p = 53, c and d scaled to [1, 2), no underflow:
// abs(y - 1/d) <= 2^-(p+1), so q1 rounds a value that differs from c/d by at most
// abs(r) 2^-(p+1), where abs(r) = d abs(q0 - c/d).
//
// (1) c >= d. An ulp of c/d is 2^(1-p), and abs(q0 - c/d) < (c/4 + 1/2) ulp < 1 ulp, so r is a
//     multiple of 2^(2-2p) below 2^p of them: exact. The only midpoints in reach lie at
//     r/d = +-1/2 ulp. c/d is no midpoint, its distance from one is a multiple of 2^(1-2p)/d and
//     so at least that, while the value to be rounded is off by d (1/2 ulp) 2^-(p+1) = d 2^(-1-2p)
//     there. As d^2 < 4, it lies on the same side as c/d. (q0 is below 1, on the finer grid, only
//     for c = d; then the value differs from 1 by at most 2^(-2p).)
// (2) c < d. An ulp is 2^-p, and abs(q0 - c/d) < (c/2 + 1/2) ulp < 3/2 ulp. At r/d = +-1/2 ulp, r
// is
//     exact and the argument of (1) holds with every length halved. Midpoints at +-3/2 ulp are out
//     of reach: with the rounding of r (it may need p + 1 bits when above one ulp) the error of the
//     value is below 2^(2-p) ulp there, so abs(q0 - c/d) would have to exceed 3/2 - 2^(2-p) ulp;
//     that needs c > 2 - 2^(4-p), hence d = 2 - j 2^(1-p) and c = 2 - i 2^(1-p) with 0 < j < i < 8,
//     and a rounding error of c y above (1/2 - 2^(3-p)) ulp. But y is 1/2 + m 2^-p for a small
//     integer m, so c y is within 2^(8-p) ulp of a multiple of the ulp. Contradiction.
//
// The exponent limits below keep y and the quotient normal and r clear of underflow: its lowest bit
// is at or above 2^-606.
#ifndef MERIT_CORE_QUOTIENT_H
#define MERIT_CORE_QUOTIENT_H

#include "portable.h"

#define MERIT_QUOTIENT_LOW 0x1p-500
#define MERIT_QUOTIENT_HIGH 0x1p500

typedef struct merit_divisor64 {
    double d;
    double reciprocal; // RN(1 / d)
    int32_t is_safe; // abs(d) lies in [2^-500, 2^500]
} merit_divisor64;

MERIT_HD static inline merit_divisor64 m_divisor64(double d)
{
    merit_divisor64 divisor;
    divisor.d = d;
    divisor.reciprocal = m_div64(1.0, d);
    const double size = m_abs64(d);
    divisor.is_safe = size >= MERIT_QUOTIENT_LOW && size <= MERIT_QUOTIENT_HIGH;
    return divisor;
}

// Whether m_quotient_unchecked64 may be used. A block of numerators is checked first (bitwise &,
// which vectorizes), then divided by one loop or the other.
MERIT_HD static inline int m_quotient_is_safe64(double c, merit_divisor64 divisor)
{
    const double size = m_abs64(c);
    const int in_range = (size >= MERIT_QUOTIENT_LOW) & (size <= MERIT_QUOTIENT_HIGH);
    return divisor.is_safe & (in_range | (size == 0.0));
}

// RN(c / d) for a safe pair. Branch-free.
MERIT_HD static inline double m_quotient_unchecked64(double c, merit_divisor64 divisor)
{
    const double q = m_mul64(c, divisor.reciprocal);
    const double r = m_fma64(-q, divisor.d, c);
    // The correction of a zero would lose its sign.
    return c == 0.0 ? q : m_fma64(r, divisor.reciprocal, q);
}

// RN(c / d), bit for bit m_div64(c, d), for every c and d.
MERIT_HD static inline double m_quotient64(double c, merit_divisor64 divisor)
{
    return m_quotient_is_safe64(c, divisor) ? m_quotient_unchecked64(c, divisor)
                                            : m_div64(c, divisor.d);
}

#endif
