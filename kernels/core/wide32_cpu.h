// Vectors of binary32 for CPU kernels: 16 elements with AVX-512, else 8. Each element follows the scalar
// rules of portable.h. wide_cpu.h has the vectors of binary64.
#ifndef MERIT_CORE_WIDE32_CPU_H
#define MERIT_CORE_WIDE32_CPU_H

#include "float16.h"
#include "lanes.h"
#include "wide_cpu.h"

#if defined(__AVX512F__)
#define WIDE32_WIDTH 16
#else
#define WIDE32_WIDTH 8
#endif

typedef float wide32_f __attribute__((vector_size(4 * WIDE32_WIDTH)));
typedef int32_t wide32_i __attribute__((vector_size(4 * WIDE32_WIDTH)));
typedef uint32_t wide32_u __attribute__((vector_size(4 * WIDE32_WIDTH))); // wraps

WIDE_INLINE wide32_f wide32_splat(float a)
{
    return a - (wide32_f){0.0f};
}

WIDE_INLINE wide32_f wide32_fma(wide32_f a, wide32_f b, wide32_f c)
{
#if defined(__AVX512F__)
    return (wide32_f)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
    return (wide32_f)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    wide32_f r;
    for (int i = 0; i < WIDE32_WIDTH; i++) {
        r[i] = m_fma(a[i], b[i], c[i]);
    }
    return r;
#endif
}

// yes where `mask` is all ones, 0 elsewhere.
WIDE_INLINE wide32_f wide32_keep(wide32_i mask, wide32_f yes)
{
    return (wide32_f)(mask & (wide32_i)yes);
}

WIDE_INLINE wide32_f wide32_load_f32(const float *from)
{
    wide32_f r;
    memcpy(&r, from, sizeof r);
    return r;
}

// Twice as many bf16 words, as the elements with even numbers and those with odd ones.
WIDE_INLINE void wide32_load_bf16_pairs(const uint16_t *from, wide32_f *even, wide32_f *odd)
{
    wide32_u words;
    memcpy(&words, from, sizeof words);
    *even = (wide32_f)(words << 16);
    *odd = (wide32_f)(words & 0xffff0000u);
}

WIDE_INLINE wide32_f wide32_load_f16(const uint16_t *from)
{
#if defined(__AVX512F__)
    return (wide32_f)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)from));
#elif defined(__FMA__)
    return (wide32_f)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)from));
#else
    wide32_f r;
    for (int i = 0; i < WIDE32_WIDTH; i++) {
        r[i] = m_from_f16(from[i]);
    }
    return r;
#endif
}

// Vectors of 16-bit words of the same size.
typedef int16_t wide16_i __attribute__((vector_size(4 * WIDE32_WIDTH)));

WIDE_INLINE wide16_i wide16_load(const uint16_t *from)
{
    wide16_i r;
    memcpy(&r, from, sizeof r);
    return r;
}

WIDE_INLINE wide16_i wide16_max_signed(wide16_i a, wide16_i b)
{
#if defined(__AVX512F__)
    return (wide16_i)_mm512_max_epi16((__m512i)a, (__m512i)b);
#elif defined(__FMA__)
    return (wide16_i)_mm256_max_epi16((__m256i)a, (__m256i)b);
#else
    const wide16_i more = a > b;
    return (more & a) | (~more & b);
#endif
}

WIDE_INLINE wide16_i wide16_max_unsigned(wide16_i a, wide16_i b)
{
#if defined(__AVX512F__)
    return (wide16_i)_mm512_max_epu16((__m512i)a, (__m512i)b);
#elif defined(__FMA__)
    return (wide16_i)_mm256_max_epu16((__m256i)a, (__m256i)b);
#else
    const wide16_i more = (a ^ INT16_MIN) > (b ^ INT16_MIN);
    return (more & a) | (~more & b);
#endif
}

// Neighbours-first tree over `count` vectors of lanes in their order, a power of two. Destroys the array.
WIDE_INLINE float wide32_fold(wide32_f *lanes, int count)
{
#if WIDE32_WIDTH == 16
    const wide32_i even = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
#else
    const wide32_i even = {0, 2, 4, 6, 8, 10, 12, 14};
#endif
    const wide32_i odd = even + 1;
    for (; count > 1; count /= 2) {
        for (int i = 0; i < count / 2; i++) {
            const wide32_f a = lanes[2 * i];
            const wide32_f b = lanes[2 * i + 1];
            lanes[i] = __builtin_shuffle(a, b, even) + __builtin_shuffle(a, b, odd);
        }
    }
    float last[WIDE32_WIDTH];
    memcpy(last, lanes, sizeof last);
    return merit_lanes_fold32(last, WIDE32_WIDTH);
}

#endif
