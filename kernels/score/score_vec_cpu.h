// Vectors of a CPU for score_dot_cpu.h: one set of functions for AVX-512, for AVX2 and for any machine.
//
// vec: VEC_WIDTH floats, vecd: VEC_DOUBLES doubles. Even and odd elements of what is loaded go to
// vectors of their own: 16-bit words split that way without a shuffle.
#ifndef MERIT_SCORE_VEC_CPU_H
#define MERIT_SCORE_VEC_CPU_H

#include "../core/load.h"
#include "score_args.h"

#if defined(__AVX512F__) || defined(__FMA__)
#include <immintrin.h>
#endif

#define SCORE_INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
enum { VEC_WIDTH = 16 };
typedef __m512 vec;

SCORE_INLINE vec vec_zero(void)
{
    return _mm512_setzero_ps();
}

SCORE_INLINE vec vec_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

SCORE_INLINE void vec_store(float *p, vec a)
{
    _mm512_storeu_ps(p, a);
}

SCORE_INLINE vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

// Elements 0, 2, 4, ... (odd 1: 1, 3, 5, ...) of two neighbors. odd is a literal.
SCORE_INLINE vec vec_pick(vec a, vec b, const int odd)
{
    const __m512i evens =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_ps(a, _mm512_add_epi32(evens, _mm512_set1_epi32(odd)), b);
}

SCORE_INLINE vec vec_pick_bf16(const uint16_t *p, const int odd)
{
    const __m512i words = _mm512_loadu_si512(p);
    return _mm512_castsi512_ps(odd ? _mm512_and_si512(words, _mm512_set1_epi32((int)0xffff0000u))
                                   : _mm512_slli_epi32(words, 16));
}

SCORE_INLINE vec vec_load_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

enum { VEC_DOUBLES = 8, VEC_LEVELS = 3 };
typedef __m512d vecd;

SCORE_INLINE vecd vecd_load(const double *p)
{
    return _mm512_loadu_pd(p);
}

SCORE_INLINE void vecd_store(double *p, vecd a)
{
    _mm512_storeu_pd(p, a);
}

SCORE_INLINE vecd vecd_add(vecd a, vecd b)
{
    return _mm512_add_pd(a, b);
}

// out[0], out[1]: even + odd in binary64.
SCORE_INLINE void vec_add_pairs(vec even, vec odd, vecd *out)
{
    out[0] = _mm512_add_pd(_mm512_cvtps_pd(_mm512_castps512_ps256(even)),
                           _mm512_cvtps_pd(_mm512_castps512_ps256(odd)));
    out[1] = _mm512_add_pd(_mm512_cvtps_pd(_mm512_extractf32x8_ps(even, 1)),
                           _mm512_cvtps_pd(_mm512_extractf32x8_ps(odd, 1)));
}

// One level of the tree over elements, of two vectors at once. Level 0 adds neighbors: a0 + a1,
// b0 + b1, a2 + a3, ...; the others add neighboring pairs of elements. After VEC_LEVELS of them the
// sums of VEC_DOUBLES vectors lie in a row.
SCORE_INLINE vecd vecd_join(vecd a, vecd b, const int level)
{
    if (level == 0) return _mm512_add_pd(_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b));
    return _mm512_add_pd(_mm512_shuffle_f64x2(a, b, 0x88), _mm512_shuffle_f64x2(a, b, 0xdd));
}
#elif defined(__FMA__)
enum { VEC_WIDTH = 8 };
typedef __m256 vec;

SCORE_INLINE vec vec_zero(void)
{
    return _mm256_setzero_ps();
}

SCORE_INLINE vec vec_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

SCORE_INLINE void vec_store(float *p, vec a)
{
    _mm256_storeu_ps(p, a);
}

SCORE_INLINE vec vec_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}

SCORE_INLINE vec vec_in_order(vec halves)
{
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(halves), 0xd8));
}

SCORE_INLINE vec vec_pick(vec a, vec b, const int odd)
{
    return vec_in_order(odd ? _mm256_shuffle_ps(a, b, 0xdd) : _mm256_shuffle_ps(a, b, 0x88));
}

SCORE_INLINE vec vec_pick_bf16(const uint16_t *p, const int odd)
{
    const __m256i words = _mm256_loadu_si256((const __m256i *)p);
    return _mm256_castsi256_ps(odd ? _mm256_and_si256(words, _mm256_set1_epi32((int)0xffff0000u))
                                   : _mm256_slli_epi32(words, 16));
}

SCORE_INLINE vec vec_load_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

enum { VEC_DOUBLES = 4, VEC_LEVELS = 2 };
typedef __m256d vecd;

SCORE_INLINE vecd vecd_load(const double *p)
{
    return _mm256_loadu_pd(p);
}

SCORE_INLINE void vecd_store(double *p, vecd a)
{
    _mm256_storeu_pd(p, a);
}

SCORE_INLINE vecd vecd_add(vecd a, vecd b)
{
    return _mm256_add_pd(a, b);
}

SCORE_INLINE void vec_add_pairs(vec even, vec odd, vecd *out)
{
    out[0] = _mm256_add_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(even)),
                           _mm256_cvtps_pd(_mm256_castps256_ps128(odd)));
    out[1] = _mm256_add_pd(_mm256_cvtps_pd(_mm256_extractf128_ps(even, 1)),
                           _mm256_cvtps_pd(_mm256_extractf128_ps(odd, 1)));
}

SCORE_INLINE vecd vecd_join(vecd a, vecd b, const int level)
{
    if (level == 0) return _mm256_add_pd(_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
    return _mm256_add_pd(_mm256_permute2f128_pd(a, b, 0x20), _mm256_permute2f128_pd(a, b, 0x31));
}
#else
// Any machine: its exact fma is slow without an instruction for it.
enum { VEC_WIDTH = 4 };
typedef struct vec {
    float v[VEC_WIDTH];
} vec;

SCORE_INLINE vec vec_zero(void)
{
    return (vec){{0.0f}};
}

SCORE_INLINE vec vec_load(const float *p)
{
    vec r;
    memcpy(&r, p, sizeof r);
    return r;
}

SCORE_INLINE void vec_store(float *p, vec a)
{
    memcpy(p, &a, sizeof a);
}

SCORE_INLINE vec vec_fma(vec a, vec b, vec c)
{
    for (int i = 0; i < VEC_WIDTH; i++) {
        c.v[i] = m_fma(a.v[i], b.v[i], c.v[i]);
    }
    return c;
}

SCORE_INLINE vec vec_pick(vec a, vec b, const int odd)
{
    vec r;
    for (int i = 0; i < VEC_WIDTH / 2; i++) {
        r.v[i] = a.v[2 * i + odd];
        r.v[VEC_WIDTH / 2 + i] = b.v[2 * i + odd];
    }
    return r;
}

SCORE_INLINE vec vec_pick_bf16(const uint16_t *p, const int odd)
{
    vec r;
    for (int i = 0; i < VEC_WIDTH; i++) {
        r.v[i] = m_from_bf16(p[2 * i + odd]);
    }
    return r;
}

SCORE_INLINE vec vec_load_f16(const uint16_t *p)
{
    vec r;
    for (int i = 0; i < VEC_WIDTH; i++) {
        r.v[i] = m_from_f16(p[i]);
    }
    return r;
}

enum { VEC_DOUBLES = 2, VEC_LEVELS = 1 };
typedef struct vecd {
    double v[VEC_DOUBLES];
} vecd;

SCORE_INLINE vecd vecd_load(const double *p)
{
    return (vecd){{p[0], p[1]}};
}

SCORE_INLINE void vecd_store(double *p, vecd a)
{
    p[0] = a.v[0];
    p[1] = a.v[1];
}

SCORE_INLINE vecd vecd_add(vecd a, vecd b)
{
    return (vecd){{m_add64(a.v[0], b.v[0]), m_add64(a.v[1], b.v[1])}};
}

SCORE_INLINE void vec_add_pairs(vec even, vec odd, vecd *out)
{
    for (int i = 0; i < VEC_WIDTH; i++) {
        out[i / VEC_DOUBLES].v[i % VEC_DOUBLES] = m_add64((double)even.v[i], (double)odd.v[i]);
    }
}

SCORE_INLINE vecd vecd_join(vecd a, vecd b, const int level)
{
    (void)level;
    return (vecd){{m_add64(a.v[0], a.v[1]), m_add64(b.v[0], b.v[1])}};
}
#endif

// 2 VEC_WIDTH elements of a hidden row. dtype is a literal.
SCORE_INLINE void vec_load_hidden(const int dtype, const unsigned char *row, int at, vec *even,
                                  vec *odd)
{
    if (dtype == MERIT_DTYPE_BF16) {
        *even = vec_pick_bf16((const uint16_t *)row + at, 0);
        *odd = vec_pick_bf16((const uint16_t *)row + at, 1);
        return;
    }
    vec low, high;
    if (dtype == MERIT_DTYPE_F16) {
        low = vec_load_f16((const uint16_t *)row + at);
        high = vec_load_f16((const uint16_t *)row + at + VEC_WIDTH);
    } else {
        low = vec_load((const float *)row + at);
        high = vec_load((const float *)row + at + VEC_WIDTH);
    }
    *even = vec_pick(low, high, 0);
    *odd = vec_pick(low, high, 1);
}

// The tree over the elements of each of VEC_DOUBLES vectors, in place: element i of v[0] is the sum
// of v[i].
SCORE_INLINE vecd vecd_fold(vecd *v)
{
#pragma GCC unroll 3
    for (int level = 0; level < VEC_LEVELS; level++) {
        for (int i = 0; i < VEC_DOUBLES >> (level + 1); i++) {
            v[i] = vecd_join(v[2 * i], v[2 * i + 1], level);
        }
    }
    return v[0];
}

#endif
