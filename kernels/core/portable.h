// What C11, CUDA C++ and the emulated device share: function attributes, IEEE arithmetic with a
// fixed rounding, bit casts. Formulas use these names and never a bare operator on floats, so that
// every compiler emits the same sequence of roundings.
//
// Host files that include this are compiled with -ffp-contract=off -fno-math-errno
// -fno-trapping-math, device files with -fmad=false: a product and a sum never fuse by themselves.
#ifndef MERIT_CORE_PORTABLE_H
#define MERIT_CORE_PORTABLE_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Inlined always: a formula that stays a call keeps the loop around it scalar.
#if defined(__CUDACC__)
#define MERIT_HD __host__ __device__ __attribute__((always_inline))
#else
#define MERIT_HD __attribute__((always_inline))
#endif

// binary32 arithmetic -----------------------------------------------------------------------------

MERIT_HD static inline float m_add(float a, float b)
{
#if defined(__CUDA_ARCH__)
    return __fadd_rn(a, b);
#else
    return a + b;
#endif
}

MERIT_HD static inline float m_sub(float a, float b)
{
#if defined(__CUDA_ARCH__)
    return __fsub_rn(a, b);
#else
    return a - b;
#endif
}

MERIT_HD static inline float m_mul(float a, float b)
{
#if defined(__CUDA_ARCH__)
    return __fmul_rn(a, b);
#else
    return a * b;
#endif
}

// a * b + c, rounded once. Without FMA hardware this is libm's exact fmaf: slow, the same bits.
MERIT_HD static inline float m_fma(float a, float b, float c)
{
#if defined(__CUDA_ARCH__)
    return __fmaf_rn(a, b, c);
#else
    return __builtin_fmaf(a, b, c);
#endif
}

MERIT_HD static inline float m_div(float a, float b)
{
#if defined(__CUDA_ARCH__)
    return __fdiv_rn(a, b);
#else
    return a / b;
#endif
}

MERIT_HD static inline float m_sqrt(float a)
{
#if defined(__CUDA_ARCH__)
    return __fsqrt_rn(a);
#else
    return __builtin_sqrtf(a);
#endif
}

// binary64 arithmetic -----------------------------------------------------------------------------

MERIT_HD static inline double m_add64(double a, double b)
{
#if defined(__CUDA_ARCH__)
    return __dadd_rn(a, b);
#else
    return a + b;
#endif
}

MERIT_HD static inline double m_sub64(double a, double b)
{
#if defined(__CUDA_ARCH__)
    return __dsub_rn(a, b);
#else
    return a - b;
#endif
}

MERIT_HD static inline double m_mul64(double a, double b)
{
#if defined(__CUDA_ARCH__)
    return __dmul_rn(a, b);
#else
    return a * b;
#endif
}

MERIT_HD static inline double m_fma64(double a, double b, double c)
{
#if defined(__CUDA_ARCH__)
    return __fma_rn(a, b, c);
#else
    return __builtin_fma(a, b, c);
#endif
}

MERIT_HD static inline double m_div64(double a, double b)
{
#if defined(__CUDA_ARCH__)
    return __ddiv_rn(a, b);
#else
    return a / b;
#endif
}

MERIT_HD static inline double m_sqrt64(double a)
{
#if defined(__CUDA_ARCH__)
    return __dsqrt_rn(a);
#else
    return __builtin_sqrt(a);
#endif
}

// Conversions: to binary64 is exact, to binary32 rounds to nearest even.
MERIT_HD static inline float m_round32(double a)
{
#if defined(__CUDA_ARCH__)
    return __double2float_rn(a);
#else
    return (float)a;
#endif
}

// Bits --------------------------------------------------------------------------------------------

MERIT_HD static inline uint32_t m_bits32(float a)
{
#if defined(__CUDA_ARCH__)
    return __float_as_uint(a);
#else
    uint32_t bits;
    memcpy(&bits, &a, sizeof bits);
    return bits;
#endif
}

MERIT_HD static inline float m_from_bits32(uint32_t bits)
{
#if defined(__CUDA_ARCH__)
    return __uint_as_float(bits);
#else
    float a;
    memcpy(&a, &bits, sizeof a);
    return a;
#endif
}

MERIT_HD static inline uint64_t m_bits64(double a)
{
#if defined(__CUDA_ARCH__)
    return (uint64_t)__double_as_longlong(a);
#else
    uint64_t bits;
    memcpy(&bits, &a, sizeof bits);
    return bits;
#endif
}

MERIT_HD static inline double m_from_bits64(uint64_t bits)
{
#if defined(__CUDA_ARCH__)
    return __longlong_as_double((long long)bits);
#else
    double a;
    memcpy(&a, &bits, sizeof a);
    return a;
#endif
}

// NaN, infinity, selection ------------------------------------------------------------------------

// The canonical quiet NaN: the only one that merit writes.
MERIT_HD static inline float m_nan32(void)
{
    return m_from_bits32(0x7fc00000u);
}

MERIT_HD static inline double m_nan64(void)
{
    return m_from_bits64(0x7ff8000000000000u);
}

MERIT_HD static inline double m_inf64(void)
{
    return m_from_bits64(0x7ff0000000000000u);
}

MERIT_HD static inline int m_is_nan32(float a)
{
    return a != a;
}

MERIT_HD static inline int m_is_nan64(double a)
{
    return a != a;
}

MERIT_HD static inline int m_is_inf64(double a)
{
    return a == m_inf64() || a == -m_inf64();
}

MERIT_HD static inline int m_is_finite64(double a)
{
    return !(m_is_nan64(a) || m_is_inf64(a));
}

MERIT_HD static inline float m_canonical32(float a)
{
    return a != a ? m_nan32() : a;
}

MERIT_HD static inline double m_canonical64(double a)
{
    return a != a ? m_nan64() : a;
}

MERIT_HD static inline double m_abs64(double a)
{
    return m_from_bits64(m_bits64(a) & 0x7fffffffffffffffu);
}

// Into [low, high]; NaN passes through.
MERIT_HD static inline double m_clip64(double a, double low, double high)
{
    const double raised = a < low ? low : a;
    return raised > high ? high : raised;
}

// Minimum and maximum that propagate NaN from either side.
MERIT_HD static inline double m_min64(double a, double b)
{
    return a < b || m_is_nan64(a) ? a : b;
}

MERIT_HD static inline double m_max64(double a, double b)
{
    return a > b || m_is_nan64(a) ? a : b;
}

#endif
