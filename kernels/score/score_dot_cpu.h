// Sums of products of hidden rows and heads by vectors: the canonical lanes of one tile of 2048
// elements, for some rows and heads at once, so that each loaded value serves several products.
//
// Even and odd elements go to registers of their own. 16-bit words split that way without a shuffle,
// and the first level of the lane tree, even + odd, needs none either. Weights lie in memory in the
// same order (score_pack): VEC_WIDTH even elements, VEC_WIDTH odd ones, and so on, padded by zeros to
// whole turns of 256 lanes.
#ifndef MERIT_SCORE_DOT_CPU_H
#define MERIT_SCORE_DOT_CPU_H

#include "../core/load.h"
#include "score_args.h"

#if defined(__AVX512F__) || defined(__FMA__)
#include <immintrin.h>
#endif

#define SCORE_INLINE static inline __attribute__((always_inline))

// Vectors -----------------------------------------------------------------------------------------

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

// out[i] = even[i] + odd[i] in binary64.
SCORE_INLINE void vec_store_pairs(double *out, const float *even, vec odd)
{
    const __m512d low = _mm512_add_pd(_mm512_cvtps_pd(_mm256_loadu_ps(even)),
                                      _mm512_cvtps_pd(_mm512_castps512_ps256(odd)));
    const __m512d high = _mm512_add_pd(_mm512_cvtps_pd(_mm256_loadu_ps(even + 8)),
                                       _mm512_cvtps_pd(_mm512_extractf32x8_ps(odd, 1)));
    _mm512_storeu_pd(out, low);
    _mm512_storeu_pd(out + 8, high);
}

enum { VEC_DOUBLES = 8 };
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

// a0 + a1, b0 + b1, a2 + a3, b2 + b3, ...
SCORE_INLINE vecd vecd_add_neighbors(vecd a, vecd b)
{
    return _mm512_add_pd(_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b));
}

// The same with neighboring pairs of elements in the place of elements.
SCORE_INLINE vecd vecd_add_pairs(vecd a, vecd b)
{
    return _mm512_add_pd(_mm512_shuffle_f64x2(a, b, 0x88), _mm512_shuffle_f64x2(a, b, 0xdd));
}

// Element i: the neighbors-first tree over v[i].
SCORE_INLINE vecd vecd_fold(const vecd *v)
{
    const vecd low = vecd_add_pairs(vecd_add_neighbors(v[0], v[1]), vecd_add_neighbors(v[2], v[3]));
    const vecd high =
        vecd_add_pairs(vecd_add_neighbors(v[4], v[5]), vecd_add_neighbors(v[6], v[7]));
    return vecd_add_pairs(low, high);
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

SCORE_INLINE void vec_store_pairs(double *out, const float *even, vec odd)
{
    const __m256d low = _mm256_add_pd(_mm256_cvtps_pd(_mm_loadu_ps(even)),
                                      _mm256_cvtps_pd(_mm256_castps256_ps128(odd)));
    const __m256d high = _mm256_add_pd(_mm256_cvtps_pd(_mm_loadu_ps(even + 4)),
                                       _mm256_cvtps_pd(_mm256_extractf128_ps(odd, 1)));
    _mm256_storeu_pd(out, low);
    _mm256_storeu_pd(out + 4, high);
}

enum { VEC_DOUBLES = 4 };
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

SCORE_INLINE vecd vecd_fold(const vecd *v)
{
    const vecd low = _mm256_hadd_pd(v[0], v[1]); // v0: 0 + 1, v1: 0 + 1, v0: 2 + 3, v1: 2 + 3
    const vecd high = _mm256_hadd_pd(v[2], v[3]);
    return _mm256_add_pd(_mm256_permute2f128_pd(low, high, 0x20),
                         _mm256_permute2f128_pd(low, high, 0x31));
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

SCORE_INLINE void vec_store_pairs(double *out, const float *even, vec odd)
{
    for (int i = 0; i < VEC_WIDTH; i++) {
        out[i] = m_add64((double)even[i], (double)odd.v[i]);
    }
}

enum { VEC_DOUBLES = 2 };
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

SCORE_INLINE vecd vecd_fold(const vecd *v)
{
    return (vecd){{m_add64(v[0].v[0], v[0].v[1]), m_add64(v[1].v[0], v[1].v[1])}};
}
#endif

// The even or the odd ones of 2 VEC_WIDTH elements of a hidden row.
SCORE_INLINE vec vec_pick_hidden(const int dtype, const unsigned char *row, int at, const int odd)
{
    if (dtype == MERIT_DTYPE_BF16) return vec_pick_bf16((const uint16_t *)row + at, odd);
    if (dtype == MERIT_DTYPE_F16) {
        const uint16_t *const words = (const uint16_t *)row + at;
        return vec_pick(vec_load_f16(words), vec_load_f16(words + VEC_WIDTH), odd);
    }
    const float *const values = (const float *)row + at;
    return vec_pick(vec_load(values), vec_load(values + VEC_WIDTH), odd);
}

// Tiles -------------------------------------------------------------------------------------------

enum {
    SCORE_ROWS = 8, // at once
    SCORE_HEADS = 4,
    SCORE_SUMS = 24, // rows times heads
    SCORE_BLOCK = 2 * VEC_WIDTH, // lanes at once
    SCORE_FOLDED = VEC_DOUBLES * VEC_DOUBLES, // sums of lane pairs that fold to a vector
    SCORE_KEPT = MERIT_LANES / 2 / VEC_DOUBLES // what is left of a tile's
};

// The products of one tile: rows and heads start at the tile.
typedef struct score_block {
    const unsigned char *rows[SCORE_ROWS];
    const unsigned char *next[SCORE_ROWS]; // what will be read after them
    const float *heads[SCORE_HEADS]; // packed
    int turns; // of 256 lanes, 1..8
    float even[SCORE_SUMS][VEC_WIDTH];
    double pairs[SCORE_SUMS][SCORE_FOLDED]; // even + odd lane sums
    double kept[SCORE_SUMS][SCORE_KEPT];
    double sums[SCORE_SUMS]; // of rows times heads
} score_block;

// x[0 .. SCORE_FOLDED) to VEC_DOUBLES values of the neighbors-first tree.
SCORE_INLINE vecd score_fold_part(const double *x)
{
    vecd v[VEC_DOUBLES];
    for (int n = 0; n < VEC_DOUBLES; n++) {
        v[n] = vecd_load(x + n * VEC_DOUBLES);
    }
    return vecd_fold(v);
}

// The rest of the lane tree of `count` sums. Their last levels are done together.
SCORE_INLINE void score_fold_kept(score_block *b, int count)
{
    for (int first = 0; first < count; first += VEC_DOUBLES) {
        vecd last[2][VEC_DOUBLES];
        for (int j = 0; j < VEC_DOUBLES; j++) {
            double *const x = b->kept[first + j < count ? first + j : first]; // any will do
            for (int width = SCORE_KEPT; first + j < count && width > 2 * VEC_DOUBLES;
                 width /= VEC_DOUBLES) {
                for (int i = 0; i < width; i += SCORE_FOLDED) {
                    vecd_store(x + i / VEC_DOUBLES, score_fold_part(x + i));
                }
            }
            last[0][j] = vecd_load(x);
            last[1][j] = vecd_load(x + VEC_DOUBLES);
        }
        double sums[VEC_DOUBLES];
        vecd_store(sums, vecd_add(vecd_fold(last[0]), vecd_fold(last[1])));
        for (int j = 0; j < VEC_DOUBLES && first + j < count; j++) {
            b->sums[first + j] = sums[j];
        }
    }
}

// The even or odd lanes of SCORE_BLOCK lanes over all turns.
SCORE_INLINE void score_dot_lanes(const score_block *b, const int dtype, const int rows,
                                  const int heads, const int odd, int lane, vec *sums)
{
    const int bytes = dtype == MERIT_DTYPE_F32 ? 4 : 2;
    const int turns = b->turns;
#pragma GCC unroll 24
    for (int i = 0; i < rows * heads; i++) {
        sums[i] = vec_zero();
    }
    for (int turn = 0; turn < turns; turn++) {
        const int at = turn * MERIT_LANES + lane;
        vec weight[SCORE_HEADS];
#pragma GCC unroll 4
        for (int k = 0; k < heads; k++) {
            weight[k] = vec_load(b->heads[k] + at + odd * VEC_WIDTH);
        }
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            // A part of the next tile each time, in rising order whatever the order of the lanes.
            const int part = (lane / SCORE_BLOCK * turns + turn) * SCORE_BLOCK + odd * VEC_WIDTH;
            if (!odd || VEC_WIDTH * bytes >= 64) {
                __builtin_prefetch(b->next[r] + part * bytes);
            }
            const vec hidden = vec_pick_hidden(dtype, b->rows[r], at, odd);
#pragma GCC unroll 4
            for (int k = 0; k < heads; k++) {
                sums[r * heads + k] = vec_fma(hidden, weight[k], sums[r * heads + k]);
            }
        }
    }
}

// dtype, rows and heads are literals: the loops over them unroll, sums stay in registers.
SCORE_INLINE void score_dot_tile(score_block *b, const int dtype, const int rows, const int heads)
{
    for (int lane = 0; lane < MERIT_LANES; lane += SCORE_BLOCK) {
        vec sums[SCORE_SUMS];
        score_dot_lanes(b, dtype, rows, heads, 0, lane, sums);
#pragma GCC unroll 24
        for (int i = 0; i < rows * heads; i++) {
            vec_store(b->even[i], sums[i]);
        }
        score_dot_lanes(b, dtype, rows, heads, 1, lane, sums);
        const int part = lane / 2 % SCORE_FOLDED;
#pragma GCC unroll 24
        for (int i = 0; i < rows * heads; i++) {
            vec_store_pairs(b->pairs[i] + part, b->even[i], sums[i]);
        }
        if (part + VEC_WIDTH < SCORE_FOLDED) continue;
        for (int i = 0; i < rows * heads; i++) {
            const int from = (lane / 2 - part) / VEC_DOUBLES;
            vecd_store(b->kept[i] + from, score_fold_part(b->pairs[i]));
        }
    }
    score_fold_kept(b, rows * heads);
}

// Rows that go with `heads`: as many sums as registers hold.
static inline int score_rows_at_once(int heads)
{
    if (VEC_WIDTH == 16) return heads == 1 ? 4 : heads == 2 ? 8 : 6;
    return heads <= 2 ? 4 : 2;
}

#define SCORE_CASE(dtype, rows, heads) \
    case 8 * (rows) + (heads): score_dot_tile(b, dtype, rows, heads); break

// rows: 1 or score_rows_at_once(heads).
#if defined(__AVX512F__)
#define SCORE_CASES(dtype)   \
    SCORE_CASE(dtype, 4, 1); \
    SCORE_CASE(dtype, 8, 2); \
    SCORE_CASE(dtype, 6, 3); \
    SCORE_CASE(dtype, 6, 4)
#else
#define SCORE_CASES(dtype)   \
    SCORE_CASE(dtype, 4, 1); \
    SCORE_CASE(dtype, 4, 2); \
    SCORE_CASE(dtype, 2, 3); \
    SCORE_CASE(dtype, 2, 4)
#endif
#define SCORE_DOT_FUNCTION(name, dtype)                   \
    static void name(score_block *b, int rows, int heads) \
    {                                                     \
        switch (8 * rows + heads) {                       \
            SCORE_CASES(dtype);                           \
            SCORE_CASE(dtype, 1, 1);                      \
            SCORE_CASE(dtype, 1, 2);                      \
            SCORE_CASE(dtype, 1, 3);                      \
        default: score_dot_tile(b, dtype, 1, 4); break;   \
        }                                                 \
    }

SCORE_DOT_FUNCTION(score_dot_f32, MERIT_DTYPE_F32)
SCORE_DOT_FUNCTION(score_dot_bf16, MERIT_DTYPE_BF16)
SCORE_DOT_FUNCTION(score_dot_f16, MERIT_DTYPE_F16)

static void score_dot(score_block *b, int32_t dtype, int rows, int heads)
{
    switch (dtype) {
    case MERIT_DTYPE_BF16: score_dot_bf16(b, rows, heads); break;
    case MERIT_DTYPE_F16: score_dot_f16(b, rows, heads); break;
    default: score_dot_f32(b, rows, heads); break;
    }
}

// One head in the order of vec_pick_hidden, zeros behind it.
static inline void score_pack_head(const merit_score_desc *d, const void *weight, int64_t head,
                                   float *packed)
{
    const int32_t size = d->hidden_size;
    for (int32_t at = 0; at < score_padded(size); at += SCORE_BLOCK) {
        const int64_t from = head * d->weight_stride + at;
        if (d->weight_dtype == MERIT_DTYPE_F32 && at + SCORE_BLOCK <= size) {
            const float *const values = (const float *)weight + from;
            const vec low = vec_load(values);
            const vec high = vec_load(values + VEC_WIDTH);
            vec_store(packed + at, vec_pick(low, high, 0));
            vec_store(packed + at + VEC_WIDTH, vec_pick(low, high, 1));
            continue;
        }
        for (int i = 0; i < SCORE_BLOCK; i++) {
            const float value =
                at + i < size ? (float)m_load_real(weight, d->weight_dtype, from + i) : 0.0f;
            packed[at + i % 2 * VEC_WIDTH + i / 2] = value;
        }
    }
}

// Tree over tiles, in place.
static inline double score_fold_tiles(double *sums, int count)
{
    for (; count > 1; count = (count + 1) / 2) {
        for (int i = 0; i < (count + 1) / 2; i++) {
            sums[i] = 2 * i + 1 < count ? m_add64(sums[2 * i], sums[2 * i + 1]) : sums[2 * i];
        }
    }
    return sums[0];
}

#endif
