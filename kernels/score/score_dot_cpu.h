// Sums of products of hidden rows and heads by vectors: the canonical lanes of one tile of 2048
// elements, for some rows and heads at once, so that each loaded value serves several products.
//
// Even and odd elements have registers of their own, so that the first level of the lane tree, even +
// odd, needs no shuffle. Weights lie in memory in the same order (score_pack_head): VEC_WIDTH even
// elements, VEC_WIDTH odd ones, and so on, padded by zeros to whole turns of 256 lanes.
//
// Lanes are summed a few vectors at a time over all turns, which reads a row in steps of 512 elements:
// no prefetcher of the hardware follows more than one or two such rows well. So only one or two rows
// go together, and the loop fetches those that come later itself, line by line.
#ifndef MERIT_SCORE_DOT_CPU_H
#define MERIT_SCORE_DOT_CPU_H

#include "score_vec_cpu.h"

enum {
    SCORE_ROWS = 2, // at once
    SCORE_HEADS = 4,
    SCORE_SUMS = SCORE_HEADS, // rows times heads: two rows with one head, one with several
    SCORE_AHEAD = 3, // rows that are fetched ahead, at most
    SCORE_BLOCK = 2 * VEC_WIDTH, // lanes of an even and an odd vector
    SCORE_MAX_PARTS = MERIT_LANES / SCORE_BLOCK
};

// The products of one tile: rows and heads start at the tile.
typedef struct score_block {
    const unsigned char *rows[SCORE_ROWS];
    const unsigned char *next[SCORE_ROWS]; // what will be read later
    const float *heads[SCORE_HEADS]; // packed
    int turns; // of 256 lanes, 1..8
    vecd parts[SCORE_SUMS][SCORE_MAX_PARTS]; // of the lane tree
    double sums[SCORE_SUMS + VEC_DOUBLES]; // of rows times heads
} score_block;

// Even and odd vectors of lanes at once: as many as keep the multipliers busy, and registers hold.
SCORE_INLINE int score_pairs_at_once(const int heads)
{
    if (VEC_WIDTH == 16) return 2;
    return VEC_WIDTH == 8 && heads <= 2 ? 2 : 1;
}

static inline int score_rows_at_once(int heads)
{
    return heads == 1 ? 2 : 1;
}

// Rows between the one that is multiplied and the one that is fetched: on a Zen 5 at 4.5 GHz, nearer
// ones come too late for four heads, and farther ones for one head crowd others out.
static inline int score_rows_ahead(int heads)
{
    return heads == 1 ? 2 : SCORE_AHEAD;
}

// The lines of share `n`, of `bytes` each, of what comes later.
SCORE_INLINE void score_fetch(const unsigned char *next, const int bytes, int n)
{
    if (bytes < 64) { // some shares to a line
        if (n % (64 / bytes) == 0) __builtin_prefetch(next + n * bytes);
        return;
    }
#pragma GCC unroll 4
    for (int line = 0; line < bytes; line += 64) {
        __builtin_prefetch(next + n * bytes + line);
    }
}

// Lanes [lane, lane + pairs * SCORE_BLOCK) over all turns: sums[rows * heads][2 * pairs].
SCORE_INLINE void score_dot_lanes(const score_block *b, const int dtype, const int rows,
                                  const int heads, const int pairs, int lane, vec (*sums)[4])
{
    const int bytes = SCORE_BLOCK * (dtype == MERIT_DTYPE_F32 ? 4 : 2);
    const int turns = b->turns;
#pragma GCC unroll 4
    for (int i = 0; i < rows * heads; i++) {
#pragma GCC unroll 4
        for (int j = 0; j < 2 * pairs; j++) {
            sums[i][j] = vec_zero();
        }
    }
    for (int turn = 0; turn < turns; turn++) {
        const int share = (lane / (pairs * SCORE_BLOCK) * turns + turn) * pairs;
#pragma GCC unroll 2
        for (int j = 0; j < pairs; j++) {
            const int at = turn * MERIT_LANES + lane + j * SCORE_BLOCK;
            vec hidden[SCORE_ROWS][2];
#pragma GCC unroll 2
            for (int r = 0; r < rows; r++) {
                vec_load_hidden(dtype, b->rows[r], at, &hidden[r][0], &hidden[r][1]);
                score_fetch(b->next[r], bytes, share + j);
            }
#pragma GCC unroll 4
            for (int k = 0; k < heads; k++) {
                const vec even = vec_load(b->heads[k] + at);
                const vec odd = vec_load(b->heads[k] + at + VEC_WIDTH);
#pragma GCC unroll 2
                for (int r = 0; r < rows; r++) {
                    vec *const s = sums[r * heads + k] + 2 * j;
                    s[0] = vec_fma(hidden[r][0], even, s[0]);
                    s[1] = vec_fma(hidden[r][1], odd, s[1]);
                }
            }
        }
    }
}

// The sums of `parts` vectors of the lane tree, whose next level is `level`, for each of `count` sums.
SCORE_INLINE void score_fold_parts(score_block *b, const int count, const int parts,
                                   const int level)
{
    // The last levels of several sums are done together; unused ones take any values.
    vecd last[2][SCORE_SUMS + VEC_DOUBLES];
#pragma GCC unroll 4
    for (int i = 0; i < count; i++) {
        vecd v[SCORE_MAX_PARTS];
#pragma GCC unroll 32
        for (int n = 0; n < parts; n++) {
            v[n] = b->parts[i][n];
        }
        int at = level;
#pragma GCC unroll 8
        for (int left = parts / 2; left >= 2; left /= 2) {
#pragma GCC unroll 16
            for (int n = 0; n < left; n++) {
                v[n] = vecd_join(v[2 * n], v[2 * n + 1], at);
            }
            at = (at + 1) % VEC_LEVELS;
        }
        last[0][i] = v[0];
        last[1][i] = v[1];
    }
    if (2 * count <= VEC_DOUBLES) { // both halves in one fold
        const int half = VEC_DOUBLES / 2;
        double sums[VEC_DOUBLES];
        vecd v[VEC_DOUBLES];
#pragma GCC unroll 8
        for (int i = 0; i < VEC_DOUBLES; i++) {
            v[i] = last[i / half][i % half < count ? i % half : 0];
        }
        vecd_store(sums, vecd_fold(v));
        for (int i = 0; i < count; i++) {
            b->sums[i] = m_add64(sums[i], sums[half + i]);
        }
        return;
    }
#pragma GCC unroll 8
    for (int i = count; i % VEC_DOUBLES != 0; i++) {
        last[0][i] = last[1][i] = last[0][0];
    }
#pragma GCC unroll 4
    for (int i = 0; i < count; i += VEC_DOUBLES) {
        vecd_store(b->sums + i, vecd_add(vecd_fold(last[0] + i), vecd_fold(last[1] + i)));
    }
}

// dtype, rows and heads are literals: the loops over them unroll, sums stay in registers.
SCORE_INLINE void score_dot_tile(score_block *b, const int dtype, const int rows, const int heads)
{
    const int pairs = score_pairs_at_once(heads);
    const int step = pairs * SCORE_BLOCK;
    for (int lane = 0; lane < MERIT_LANES; lane += step) {
        vec sums[SCORE_SUMS][4];
        score_dot_lanes(b, dtype, rows, heads, pairs, lane, sums);
#pragma GCC unroll 4
        for (int i = 0; i < rows * heads; i++) {
            vecd v[4]; // level by level, as far as it goes without the next lanes
            vec_add_pairs(sums[i][0], sums[i][1], v);
            v[0] = vecd_join(v[0], v[1], 0);
            if (pairs == 2) {
                vec_add_pairs(sums[i][2], sums[i][3], v + 2);
                v[0] = vecd_join(v[0], vecd_join(v[2], v[3], 0), 1);
            }
            b->parts[i][lane / step] = v[0];
        }
    }
    score_fold_parts(b, rows * heads, MERIT_LANES / step, pairs % VEC_LEVELS);
}

#define SCORE_DOT_FUNCTION(name, dtype)                   \
    static void name(score_block *b, int rows, int heads) \
    {                                                     \
        switch (heads) {                                  \
        case 1:                                           \
            if (rows == 2) {                              \
                score_dot_tile(b, dtype, 2, 1);           \
            } else {                                      \
                score_dot_tile(b, dtype, 1, 1);           \
            }                                             \
            break;                                        \
        case 2: score_dot_tile(b, dtype, 1, 2); break;    \
        case 3: score_dot_tile(b, dtype, 1, 3); break;    \
        default: score_dot_tile(b, dtype, 1, 4); break;   \
        }                                                 \
    }

SCORE_DOT_FUNCTION(score_dot_f32, MERIT_DTYPE_F32)
SCORE_DOT_FUNCTION(score_dot_bf16, MERIT_DTYPE_BF16)
SCORE_DOT_FUNCTION(score_dot_f16, MERIT_DTYPE_F16)

// rows: 1 or score_rows_at_once(heads).
static void score_dot(score_block *b, int32_t dtype, int rows, int heads)
{
    switch (dtype) {
    case MERIT_DTYPE_BF16: score_dot_bf16(b, rows, heads); break;
    case MERIT_DTYPE_F16: score_dot_f16(b, rows, heads); break;
    default: score_dot_f32(b, rows, heads); break;
    }
}

// One head in the order of vec_load_hidden, zeros behind it.
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
