// Vectors of binary32 over actions: one pair of actions per element, never two levels.
#ifndef MERIT_DOMINANCE_VECTOR_CPU_H
#define MERIT_DOMINANCE_VECTOR_CPU_H

#include "../core/portable.h"

#if defined(__SSE4_2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define DOM_WIDTH 16
#elif defined(__AVX2__)
#define DOM_WIDTH 8
#else
#define DOM_WIDTH 4
#endif

#define DOM_INLINE static inline __attribute__((always_inline))

typedef float dom_f __attribute__((vector_size(4 * DOM_WIDTH)));
typedef int32_t dom_i __attribute__((vector_size(4 * DOM_WIDTH)));
enum { DOM_HALF = DOM_WIDTH / 2 };

// Half as many, in binary64: elements 0 .. DOM_HALF - 1 are half 0.
typedef double dom_d __attribute__((vector_size(4 * DOM_WIDTH)));
typedef int64_t dom_l __attribute__((vector_size(4 * DOM_WIDTH)));

DOM_INLINE dom_f dom_splat(float a)
{
    return a - (dom_f){0.0f};
}

DOM_INLINE dom_f dom_load(const float *at)
{
    dom_f v;
    memcpy(&v, at, sizeof v);
    return v;
}

// a > 0 ? a : 0
DOM_INLINE dom_f dom_above_zero(dom_f a)
{
    const dom_f zero = {0.0f};
#if defined(__AVX512F__)
    return (dom_f)_mm512_max_ps((__m512)a, (__m512)zero);
#elif defined(__AVX2__)
    return (dom_f)_mm256_max_ps((__m256)a, (__m256)zero);
#else
    return (dom_f)((dom_i)a & (a > zero));
#endif
}

// a < 0 ? a : 0
DOM_INLINE dom_f dom_below_zero(dom_f a)
{
    const dom_f zero = {0.0f};
#if defined(__AVX512F__)
    return (dom_f)_mm512_min_ps((__m512)a, (__m512)zero);
#elif defined(__AVX2__)
    return (dom_f)_mm256_min_ps((__m256)a, (__m256)zero);
#else
    return (dom_f)((dom_i)a & (a < zero));
#endif
}

// mask ? a : 0
DOM_INLINE dom_f dom_where(dom_i mask, dom_f a)
{
    return (dom_f)(mask & (dom_i)a);
}

DOM_INLINE dom_f dom_fma(dom_f a, dom_f b, dom_f c)
{
#if defined(__AVX512F__)
    return (dom_f)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__) && defined(__FMA__)
    return (dom_f)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    dom_f r;
    for (int i = 0; i < DOM_WIDTH; i++) {
        r[i] = m_fma(a[i], b[i], c[i]);
    }
    return r;
#endif
}

DOM_INLINE dom_d dom_widen(dom_f a, int half)
{
#if defined(__AVX512F__)
    const __m512 v = (__m512)a;
    return (dom_d)_mm512_cvtps_pd(
        half == 0 ? _mm512_castps512_ps256(v)
                  : _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1)));
#elif defined(__AVX2__)
    const __m256 v = (__m256)a;
    return (dom_d)_mm256_cvtps_pd(half == 0 ? _mm256_castps256_ps128(v)
                                            : _mm256_extractf128_ps(v, 1));
#else
    dom_d r;
    for (int i = 0; i < DOM_HALF; i++) {
        r[i] = (double)a[half * DOM_HALF + i];
    }
    return r;
#endif
}

// Both halves to binary32, NaN canonical.
DOM_INLINE dom_f dom_round(dom_d low, dom_d high)
{
#if defined(__AVX512F__)
    const __m256d below = _mm256_castps_pd(_mm512_cvtpd_ps((__m512d)low));
    const __m256d above = _mm256_castps_pd(_mm512_cvtpd_ps((__m512d)high));
    const dom_f narrow =
        (dom_f)_mm512_castpd_ps(_mm512_insertf64x4(_mm512_castpd256_pd512(below), above, 1));
#elif defined(__AVX2__)
    const dom_f narrow =
        (dom_f)_mm256_set_m128(_mm256_cvtpd_ps((__m256d)high), _mm256_cvtpd_ps((__m256d)low));
#else
    dom_f narrow;
    for (int i = 0; i < DOM_HALF; i++) {
        narrow[i] = m_round32(low[i]);
        narrow[DOM_HALF + i] = m_round32(high[i]);
    }
#endif
    const dom_i number = narrow == narrow;
    return (dom_f)((number & (dom_i)narrow) | (~number & (dom_i)dom_splat(m_nan32())));
}

DOM_INLINE dom_d dom_splat64(double a)
{
    return a - (dom_d){0.0};
}

DOM_INLINE dom_d dom_load64(const double *at)
{
    dom_d v;
    memcpy(&v, at, sizeof v);
    return v;
}

DOM_INLINE void dom_store64(double *at, dom_d v)
{
    memcpy(at, &v, sizeof v);
}

// mask ? yes : no
DOM_INLINE dom_d dom_select64(dom_l mask, dom_d yes, dom_d no)
{
    return (dom_d)((mask & (dom_l)yes) | (~mask & (dom_l)no));
}

// Masks of both halves as one.
DOM_INLINE dom_i dom_narrow(dom_l low, dom_l high)
{
#if defined(__AVX512F__)
    return (dom_i)_mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi64_epi32((__m512i)low)),
                                     _mm512_cvtepi64_epi32((__m512i)high), 1);
#elif defined(__AVX2__)
    // the low words of both, by 128 bits: 0 1 4 5 | 2 3 6 7
    const __m256 words = _mm256_shuffle_ps((__m256)low, (__m256)high, 0x88);
    return (dom_i)_mm256_permute4x64_epi64(_mm256_castps_si256(words), 0xd8);
#else
    dom_i r;
    for (int i = 0; i < DOM_HALF; i++) {
        r[i] = (int32_t)low[i];
        r[DOM_HALF + i] = (int32_t)high[i];
    }
    return r;
#endif
}

// Bit j: element j of the mask.
DOM_INLINE uint32_t dom_bits(dom_i mask)
{
#if defined(__AVX512F__)
    return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask);
#elif defined(__AVX2__)
    return (uint32_t)_mm256_movemask_ps((__m256)mask);
#else
    uint32_t bits = 0;
    for (int i = 0; i < DOM_WIDTH; i++) {
        bits |= (uint32_t)(mask[i] & 1) << i;
    }
    return bits;
#endif
}

// Levels of DOM_WIDTH rows side by side: columns[n * DOM_WIDTH + j] = rows[j][n].
static inline void dom_columns(const float *const *rows, int levels, float *columns)
{
    int n = 0;
#if defined(__SSE4_2__)
    for (; n + 4 <= levels; n += 4) {
        for (int j = 0; j < DOM_WIDTH; j += 4) {
            __m128 a = _mm_loadu_ps(rows[j] + n);
            __m128 b = _mm_loadu_ps(rows[j + 1] + n);
            __m128 c = _mm_loadu_ps(rows[j + 2] + n);
            __m128 d = _mm_loadu_ps(rows[j + 3] + n);
            _MM_TRANSPOSE4_PS(a, b, c, d);
            float *const to = columns + (int64_t)n * DOM_WIDTH + j;
            _mm_storeu_ps(to, a);
            _mm_storeu_ps(to + DOM_WIDTH, b);
            _mm_storeu_ps(to + 2 * DOM_WIDTH, c);
            _mm_storeu_ps(to + 3 * DOM_WIDTH, d);
        }
    }
#endif
    for (; n < levels; n++) {
        for (int j = 0; j < DOM_WIDTH; j++) {
            columns[(int64_t)n * DOM_WIDTH + j] = rows[j][n];
        }
    }
}

#endif
