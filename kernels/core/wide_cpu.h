// Vectors of binary64 for CPU kernels that work on as many groups or rows side by side as a vector has
// elements: eight with AVX-512, else four. Each element follows the scalar rules of portable.h.
#ifndef MERIT_CORE_WIDE_CPU_H
#define MERIT_CORE_WIDE_CPU_H

#include "quotient.h"

#if defined(__FMA__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define WIDE_WIDTH 8
#else
#define WIDE_WIDTH 4
#endif

enum { WIDE_MAX_SIZE = 128 }; // terms of wide_sum

#define WIDE_INLINE static inline __attribute__((always_inline))

typedef float wide_f __attribute__((vector_size(4 * WIDE_WIDTH)));
typedef int32_t wide_i __attribute__((vector_size(4 * WIDE_WIDTH)));
typedef double wide_d __attribute__((vector_size(8 * WIDE_WIDTH)));
typedef int64_t wide_l __attribute__((vector_size(8 * WIDE_WIDTH)));

// Vectors -----------------------------------------------------------------------------------------

WIDE_INLINE wide_d wide_fma(wide_d a, wide_d b, wide_d c)
{
#if defined(__AVX512F__)
    return (wide_d)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__FMA__)
    return (wide_d)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
    wide_d r;
    for (int i = 0; i < WIDE_WIDTH; i++) {
        r[i] = m_fma64(a[i], b[i], c[i]);
    }
    return r;
#endif
}

// Of finite values.
WIDE_INLINE wide_d wide_min(wide_d a, wide_d b)
{
#if defined(__AVX512F__)
    return (wide_d)_mm512_min_pd((__m512d)a, (__m512d)b);
#else
    const wide_l less = a < b;
    return (wide_d)((less & (wide_l)a) | (~less & (wide_l)b));
#endif
}

WIDE_INLINE wide_d wide_max(wide_d a, wide_d b)
{
#if defined(__AVX512F__)
    return (wide_d)_mm512_max_pd((__m512d)a, (__m512d)b);
#else
    const wide_l more = a > b;
    return (wide_d)((more & (wide_l)a) | (~more & (wide_l)b));
#endif
}

WIDE_INLINE wide_d wide_widen(wide_f a)
{
#if defined(__AVX512F__)
    return (wide_d)_mm512_cvtps_pd((__m256)a);
#elif defined(__FMA__)
    return (wide_d)_mm256_cvtps_pd((__m128)a);
#else
    return __builtin_convertvector(a, wide_d);
#endif
}

WIDE_INLINE wide_f wide_round(wide_d a)
{
#if defined(__AVX512F__)
    return (wide_f)_mm512_cvtpd_ps((__m512d)a);
#elif defined(__FMA__)
    return (wide_f)_mm256_cvtpd_ps((__m256d)a);
#else
    return __builtin_convertvector(a, wide_f);
#endif
}

WIDE_INLINE wide_d wide_splat(double a)
{
    return a - (wide_d){0.0};
}

WIDE_INLINE wide_d wide_select(wide_l mask, wide_d yes, wide_d no)
{
    return (wide_d)((mask & (wide_l)yes) | (~mask & (wide_l)no));
}

WIDE_INLINE int wide_any(wide_l mask)
{
#if defined(__AVX512F__)
    return _mm512_test_epi64_mask((__m512i)mask, (__m512i)mask) != 0;
#elif defined(__FMA__)
    return _mm256_movemask_pd((__m256d)mask) != 0;
#else
    int64_t all = 0;
    for (int i = 0; i < WIDE_WIDTH; i++) {
        all |= mask[i];
    }
    return all != 0;
#endif
}

WIDE_INLINE wide_d wide_sqrt(wide_d a)
{
#if defined(__AVX512F__)
    return (wide_d)_mm512_sqrt_pd((__m512d)a);
#elif defined(__FMA__)
    return (wide_d)_mm256_sqrt_pd((__m256d)a);
#else
    for (int i = 0; i < WIDE_WIDTH; i++) {
        a[i] = m_sqrt64(a[i]);
    }
    return a;
#endif
}

// Four columns of as many rows as a vector has elements, and back: column[j][i] = rows[i * stride + j].
// Rows i and i + 4 meet in a vector by how they are loaded, so only 4 x 4 blocks are transposed, within
// 128 bits: two thirds of the shuffles of a whole transpose.
WIDE_INLINE void wide_transpose_quads(wide_f v[4])
{
#if WIDE_WIDTH == 8
    const wide_i low32 = {0, 8, 1, 9, 4, 12, 5, 13};
    const wide_i high32 = {2, 10, 3, 11, 6, 14, 7, 15};
    const wide_i low64 = {0, 1, 8, 9, 4, 5, 12, 13};
    const wide_i high64 = {2, 3, 10, 11, 6, 7, 14, 15};
#else
    const wide_i low32 = {0, 4, 1, 5};
    const wide_i high32 = {2, 6, 3, 7};
    const wide_i low64 = {0, 1, 4, 5};
    const wide_i high64 = {2, 3, 6, 7};
#endif
    const wide_f a0 = __builtin_shuffle(v[0], v[1], low32);
    const wide_f a1 = __builtin_shuffle(v[0], v[1], high32);
    const wide_f a2 = __builtin_shuffle(v[2], v[3], low32);
    const wide_f a3 = __builtin_shuffle(v[2], v[3], high32);
    v[0] = __builtin_shuffle(a0, a2, low64);
    v[1] = __builtin_shuffle(a0, a2, high64);
    v[2] = __builtin_shuffle(a1, a3, low64);
    v[3] = __builtin_shuffle(a1, a3, high64);
}

WIDE_INLINE void wide_load_columns(const float *rows, int64_t stride, wide_f column[4])
{
    for (int i = 0; i < 4; i++) {
#if WIDE_WIDTH == 8
        const __m256 first = _mm256_castps128_ps256(_mm_loadu_ps(rows + i * stride));
        const __m128 other = _mm_loadu_ps(rows + (i + 4) * stride);
        column[i] = (wide_f)_mm256_insertf128_ps(first, other, 1);
#else
        memcpy(&column[i], rows + i * stride, sizeof column[i]);
#endif
    }
    wide_transpose_quads(column);
}

WIDE_INLINE void wide_store_columns(float *rows, int64_t stride, wide_f column[4])
{
    wide_transpose_quads(column);
    for (int i = 0; i < 4; i++) {
#if WIDE_WIDTH == 8
        _mm_storeu_ps(rows + i * stride, _mm256_castps256_ps128((__m256)column[i]));
        _mm_storeu_ps(rows + (i + 4) * stride, _mm256_extractf128_ps((__m256)column[i], 1));
#else
        memcpy(rows + i * stride, &column[i], sizeof column[i]);
#endif
    }
}

// x[m] / divisor, bit for bit, for numerators and divisors in the range of quotient.h.
WIDE_INLINE void wide_divide(wide_d *x, int size, wide_d divisor, wide_d reciprocal)
{
    for (int m = 0; m < size; m++) {
#if defined(__AVX512F__) || defined(__FMA__)
        const wide_d q = x[m] * reciprocal;
        x[m] = wide_fma(wide_fma(-q, divisor, x[m]), reciprocal, q);
#else
        x[m] = x[m] / divisor; // faster than an fma without an instruction for it
        (void)reciprocal;
#endif
    }
}

// Neighbours-first trees. For literal powers of two as nested sums, so that few values are alive at a
// time; squares: of the squared differences from `from`.
WIDE_INLINE wide_d wide_term(const wide_d *x, wide_d from, int squares)
{
    if (!squares) return x[0];
    const wide_d difference = x[0] - from;
    return difference * difference;
}

WIDE_INLINE wide_d wide_sum2(const wide_d *x, wide_d from, int squares)
{
    return wide_term(x, from, squares) + wide_term(x + 1, from, squares);
}

WIDE_INLINE wide_d wide_sum4(const wide_d *x, wide_d from, int squares)
{
    return wide_sum2(x, from, squares) + wide_sum2(x + 2, from, squares);
}

WIDE_INLINE wide_d wide_sum8(const wide_d *x, wide_d from, int squares)
{
    return wide_sum4(x, from, squares) + wide_sum4(x + 4, from, squares);
}

WIDE_INLINE wide_d wide_sum16(const wide_d *x, wide_d from, int squares)
{
    return wide_sum8(x, from, squares) + wide_sum8(x + 8, from, squares);
}

WIDE_INLINE wide_d wide_sum32(const wide_d *x, wide_d from, int squares)
{
    return wide_sum16(x, from, squares) + wide_sum16(x + 16, from, squares);
}

WIDE_INLINE wide_d wide_sum64(const wide_d *x, wide_d from, int squares)
{
    return wide_sum32(x, from, squares) + wide_sum32(x + 32, from, squares);
}

WIDE_INLINE wide_d wide_sum128(const wide_d *x, wide_d from, int squares)
{
    return wide_sum64(x, from, squares) + wide_sum64(x + 64, from, squares);
}

// Of other sizes: the complete subtrees of the bits of `size`, the largest first, fold from the last.
__attribute__((unused, noinline)) static void
wide_sum_subtrees(const wide_d *x, int size, const wide_d *from, int squares, wide_d *sum)
{
    const wide_d *const end = x + size;
    wide_d total = {0.0};
    int folded = 0;
#define WIDE_SUBTREE(width, subtree)                               \
    if (size & (width)) {                                          \
        folded += (width);                                         \
        const wide_d part = subtree(end - folded, *from, squares); \
        total = folded == (width) ? part : part + total;           \
    }
    WIDE_SUBTREE(1, wide_term)
    WIDE_SUBTREE(2, wide_sum2)
    WIDE_SUBTREE(4, wide_sum4)
    WIDE_SUBTREE(8, wide_sum8)
    WIDE_SUBTREE(16, wide_sum16)
    WIDE_SUBTREE(32, wide_sum32)
    WIDE_SUBTREE(64, wide_sum64)
    WIDE_SUBTREE(128, wide_sum128)
#undef WIDE_SUBTREE
    *sum = total;
}

WIDE_INLINE wide_d wide_sum(const wide_d *x, int size, wide_d from, int squares)
{
    wide_d sum;
    switch (size) {
    case 2: return wide_sum2(x, from, squares);
    case 4: return wide_sum4(x, from, squares);
    case 8: return wide_sum8(x, from, squares);
    case 10: return wide_sum8(x, from, squares) + wide_sum2(x + 8, from, squares);
    case 12: return wide_sum8(x, from, squares) + wide_sum4(x + 8, from, squares);
    case 16: return wide_sum16(x, from, squares);
    case 32: return wide_sum32(x, from, squares);
    case 64: return wide_sum64(x, from, squares);
    default: break;
    }
    wide_sum_subtrees(x, size, &from, squares, &sum);
    return sum;
}

#endif
