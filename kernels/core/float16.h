// bf16 and f16 words to and from binary32. Widening is exact, narrowing rounds to nearest even;
// both are integer code with selects, so that every backend gives the same bits and loops
// vectorize. A NaN narrows to the canonical word.
#ifndef MERIT_CORE_FLOAT16_H
#define MERIT_CORE_FLOAT16_H

#include "portable.h"

#define MERIT_BF16_NAN 0x7fc0u
#define MERIT_F16_NAN 0x7e00u

// A NaN keeps its payload: formulas make their results canonical, not their loads.
MERIT_HD static inline float m_from_bf16(uint16_t word)
{
    return m_from_bits32((uint32_t)word << 16);
}

MERIT_HD static inline uint16_t m_to_bf16(float a)
{
    const uint32_t bits = m_bits32(a);
    // Adds one half of the last place, less one unit if the word below would be even. A carry into
    // the exponent is right, up to and including infinity.
    const uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? MERIT_BF16_NAN : rounded);
}

// binary64 to binary32 toward zero, with the last bit set when that was inexact: such a value keeps
// its side of every midpoint of a narrower type (Boldo, Melquiond 2005).
MERIT_HD static inline float m_round32_to_odd(double a)
{
    const float near = m_round32(a);
    const double error = m_sub64(m_abs64((double)near), m_abs64(a)); // its sign is exact
    const uint32_t bits = m_bits32(near);
    const uint32_t odd = (error > 0.0 ? bits - 1u : bits) | 1u;
    return m_from_bits32(error > 0.0 || error < 0.0 ? odd : bits);
}

// binary64 to bf16, rounded once.
MERIT_HD static inline uint16_t m_to_bf16_64(double a)
{
    return m_to_bf16(m_round32_to_odd(a));
}

// A NaN widens to the canonical one, as the hardware conversions do.
MERIT_HD static inline float m_from_f16(uint16_t word)
{
    const uint32_t size = word & 0x7fffu;
    const uint32_t sign = (uint32_t)(word & 0x8000u) << 16;
    const uint32_t normal = (size << 13) + (112u << 23); // bias 127 instead of 15
    // Subnormal: 2^-14 (1 + m 2^-10) - 2^-14 = m 2^-24, exact and free of binary32 subnormals.
    const uint32_t tiny = m_bits32(m_sub(m_from_bits32(normal + (1u << 23)), 0x1p-14f));
    const uint32_t special = size > 0x7c00u ? 0x7fc00000u : 0x7f800000u | sign;
    const uint32_t finite = (size < 0x400u ? tiny : normal) | sign;
    return m_from_bits32(size < 0x7c00u ? finite : special);
}

MERIT_HD static inline uint16_t m_to_f16(float a)
{
    const uint32_t bits = m_bits32(a);
    const uint32_t size = bits & 0x7fffffffu;
    const uint32_t sign = bits >> 16 & 0x8000u;
    const uint32_t normal = (size - (112u << 23) + 0xfffu + (size >> 13 & 1u)) >> 13;
    // Below 2^-14 the last place is 2^-24: adding 1/2 rounds there (a binary32 in [1/2, 1) has the
    // same last place) and leaves the word in the low bits.
    const uint32_t tiny = m_bits32(m_add(m_from_bits32(size), 0.5f)) - 0x3f000000u;
    const uint32_t finite = size < 0x38800000u ? tiny : normal;
    // From 65520 on, the midpoint between the largest f16 and 2^16: infinity.
    const uint32_t word = size < 0x477ff000u ? finite : 0x7c00u;
    return (uint16_t)(size > 0x7f800000u ? MERIT_F16_NAN : word | sign);
}

// binary64 to f16, rounded once.
MERIT_HD static inline uint16_t m_to_f16_64(double a)
{
    return m_to_f16(m_round32_to_odd(a));
}

#endif
