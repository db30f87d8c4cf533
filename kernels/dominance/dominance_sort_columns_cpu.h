// Sorting a row per vector element, CPU: the network of dominance_sort.h over keys of DOM_WIDTH rows side
// by side.
#ifndef MERIT_DOMINANCE_SORT_COLUMNS_CPU_H
#define MERIT_DOMINANCE_SORT_COLUMNS_CPU_H

#include "dominance_sort.h"
#include "dominance_vector_cpu.h"

typedef uint32_t dom_u __attribute__((vector_size(4 * DOM_WIDTH)));

DOM_INLINE dom_u dom_select_u(dom_i mask, dom_u yes, dom_u no)
{
    return ((dom_u)mask & yes) | (~(dom_u)mask & no);
}

DOM_INLINE dom_u dom_min_u(dom_u a, dom_u b)
{
#if defined(__AVX512F__)
    return (dom_u)_mm512_min_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (dom_u)_mm256_min_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE4_2__)
    return (dom_u)_mm_min_epu32((__m128i)a, (__m128i)b);
#else
    return dom_select_u((dom_i)(a < b), a, b);
#endif
}

DOM_INLINE dom_u dom_max_u(dom_u a, dom_u b)
{
#if defined(__AVX512F__)
    return (dom_u)_mm512_max_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (dom_u)_mm256_max_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE4_2__)
    return (dom_u)_mm_max_epu32((__m128i)a, (__m128i)b);
#else
    return dom_select_u((dom_i)(a < b), b, a);
#endif
}

// merit_dominance_key and merit_dominance_level_of, element by element.
DOM_INLINE dom_u dom_keys(dom_u bits)
{
    const dom_u sign = (dom_u)((dom_i)bits >> 31);
    const dom_i nan = (dom_i)((bits & 0x7fffffffu) > 0x7f800000u);
    return (bits ^ (sign | 0x80000000u)) | (dom_u)nan;
}

DOM_INLINE dom_u dom_levels_of(dom_u keys)
{
    const dom_u sign = ~(dom_u)((dom_i)keys >> 31); // of the level
    const dom_u canonical = (dom_u){0} + 0x7fc00000u;
    return dom_select_u((dom_i)(keys == ~(dom_u){0}), canonical, keys ^ (sign | 0x80000000u));
}

DOM_INLINE void dom_exchange(dom_u *low, dom_u *high)
{
    const dom_u a = *low, b = *high;
    *low = dom_min_u(a, b);
    *high = dom_max_u(a, b);
}

// Sorts `count` vectors of keys.
static void dominance_sort_keys(dom_u *keys, int count)
{
    for (int width = 2; width / 2 < count; width *= 2) {
        for (int first = 0; first < count; first += width) { // mirrored: first + low, last - low
            const int last = first + width - 1;
            for (int low = last < count ? 0 : last - count + 1; low < width / 2; low++) {
                dom_exchange(&keys[first + low], &keys[last - low]);
            }
        }
        for (int half = width / 4; half >= 1; half /= 2) {
            for (int first = 0; first + half < count; first += 2 * half) {
                const int left = count - first - half;
                for (int low = 0; low < half && low < left; low++) {
                    dom_exchange(&keys[first + low], &keys[first + low + half]);
                }
            }
        }
    }
}

// Sorts `levels` levels of each of DOM_WIDTH rows into columns: element j of columns[n] is the n-th of
// row j.
static inline void dominance_sort_columns(const float *const *rows, int levels, dom_u *columns)
{
    dom_columns(rows, levels, (float *)columns);
    for (int n = 0; n < levels; n++) {
        columns[n] = dom_keys(columns[n]);
    }
    dominance_sort_keys(columns, levels);
    for (int n = 0; n < levels; n++) {
        columns[n] = dom_levels_of(columns[n]);
    }
}

// Columns of levels back to rows.
static inline void dominance_rows_of_columns(const dom_u *columns, int levels, float *const *rows)
{
    const float *const from = (const float *)columns;
    int n = 0;
#if defined(__SSE4_2__)
    for (; n + 4 <= levels; n += 4) {
        for (int j = 0; j < DOM_WIDTH; j += 4) {
            const float *const block = from + (int64_t)n * DOM_WIDTH + j;
            __m128 a = _mm_loadu_ps(block);
            __m128 b = _mm_loadu_ps(block + DOM_WIDTH);
            __m128 c = _mm_loadu_ps(block + 2 * DOM_WIDTH);
            __m128 d = _mm_loadu_ps(block + 3 * DOM_WIDTH);
            _MM_TRANSPOSE4_PS(a, b, c, d);
            _mm_storeu_ps(rows[j] + n, a);
            _mm_storeu_ps(rows[j + 1] + n, b);
            _mm_storeu_ps(rows[j + 2] + n, c);
            _mm_storeu_ps(rows[j + 3] + n, d);
        }
    }
#endif
    for (; n < levels; n++) {
        for (int j = 0; j < DOM_WIDTH; j++) {
            rows[j][n] = from[(int64_t)n * DOM_WIDTH + j];
        }
    }
}

#endif
