// Sums over the positions of a tile, for some columns of hidden and some heads on a CPU. A lane's rows
// go through registers, a few lanes make a subtree in binary64, and only subtrees are kept.
#ifndef MERIT_SCORE_COLUMNS_CPU_H
#define MERIT_SCORE_COLUMNS_CPU_H

#include "../core/lanes.h"
#include "../core/wide32_cpu.h"
#include "score_backward.h"

enum {
    COLUMNS = 512,
    HEADS = MERIT_SCORE_HEADS,
    PAIR = 2 * WIDE32_WIDTH, // columns of two vectors
    SUMS_AT_ONCE = WIDE32_WIDTH / 2, // pairs of vectors: half of the registers
    SUBTREE = 8, // lanes
    SUBTREE_LEVELS = 6, // of the tree over subtrees
    LANE_ROWS = MERIT_TILE / MERIT_LANES
};
_Static_assert(COLUMNS % (SUMS_AT_ONCE * PAIR) == 0, "columns are whole turns");

typedef struct column_sums {
    const merit_score_backward_args *a;
    int64_t head; // the first of
    int heads;
    int32_t column; // the first of
    int columns;
    int padded; // to whole pairs
    int64_t first, end; // positions of the tile
    double level[SUBTREE_LEVELS][HEADS][COLUMNS];
    float lane[SUBTREE][COLUMNS]; // of one head; pairs of bf16: even columns, then odd ones
    unsigned char row[LANE_ROWS][COLUMNS * sizeof(float)]; // copies that are padded
} column_sums;

// Rows of a lane that have a gradient.
typedef struct lane_rows {
    int count;
    float u[LANE_ROWS];
    const unsigned char *row[LANE_ROWS]; // from the first column on
} lane_rows;

static inline int hidden_bytes(const column_sums *s)
{
    return s->a->d.hidden_dtype == MERIT_DTYPE_F32 ? 4 : 2;
}

// `turn`: the number of the row in its lane.
static const unsigned char *row_of(column_sums *s, int64_t p, int turn)
{
    static const unsigned char zeros[COLUMNS * sizeof(float)];
    if (s->a->starts[p] < 0) return zeros; // u is NaN
    const unsigned char *const row =
        (const unsigned char *)s->a->io.hidden + (s->a->starts[p] + s->column) * hidden_bytes(s);
    if (s->padded == s->columns) return row;
    memcpy(s->row[turn], row, (size_t)(s->columns * hidden_bytes(s)));
    return s->row[turn];
}

static void find_rows(column_sums *s, int64_t head, int64_t first, lane_rows *rows)
{
    rows->count = 0;
    for (int64_t p = first; p < s->end; p += MERIT_LANES) {
        const float u = score_gradient_of_head(s->a, p, head);
        if (score_is_absent(u)) continue;
        rows->u[rows->count] = u;
        rows->row[rows->count] = row_of(s, p, rows->count);
        rows->count++;
    }
}

// dtype and pairs are literals.
WIDE_INLINE void add_rows(const lane_rows *rows, const int dtype, const int pairs, int at,
                          float *lane)
{
    wide32_f sum[2 * SUMS_AT_ONCE];
    for (int i = 0; i < 2 * pairs; i++) {
        sum[i] = (wide32_f){0.0f};
    }
    for (int r = 0; r < rows->count; r++) {
        const wide32_f u = wide32_splat(rows->u[r]);
#pragma GCC unroll 8
        for (int i = 0; i < pairs; i++) {
            const int column = at + i * PAIR;
            const uint16_t *const words = (const uint16_t *)(const void *)rows->row[r] + column;
            const float *const floats = (const float *)(const void *)rows->row[r] + column;
            wide32_f a, b;
            if (dtype == MERIT_DTYPE_BF16) {
                wide32_load_bf16_pairs(words, &a, &b);
            } else if (dtype == MERIT_DTYPE_F16) {
                a = wide32_load_f16(words), b = wide32_load_f16(words + WIDE32_WIDTH);
            } else {
                a = wide32_load_f32(floats), b = wide32_load_f32(floats + WIDE32_WIDTH);
            }
            sum[2 * i] = wide32_fma(u, a, sum[2 * i]);
            sum[2 * i + 1] = wide32_fma(u, b, sum[2 * i + 1]);
        }
    }
    memcpy(lane + at, sum, (size_t)(pairs * PAIR) * sizeof *lane);
}

WIDE_INLINE void add_lane(const lane_rows *rows, const int dtype, int columns, float *lane)
{
    int at = 0;
    for (; at + SUMS_AT_ONCE * PAIR <= columns; at += SUMS_AT_ONCE * PAIR) {
        add_rows(rows, dtype, SUMS_AT_ONCE, at, lane);
    }
    for (; at < columns; at += PAIR) {
        add_rows(rows, dtype, 1, at, lane);
    }
}

static void sum_lane(column_sums *s, int64_t head, int64_t first, float *lane)
{
    lane_rows rows;
    find_rows(s, head, first, &rows);
    switch (s->a->d.hidden_dtype) {
    case MERIT_DTYPE_BF16: add_lane(&rows, MERIT_DTYPE_BF16, s->padded, lane); break;
    case MERIT_DTYPE_F16: add_lane(&rows, MERIT_DTYPE_F16, s->padded, lane); break;
    default: add_lane(&rows, MERIT_DTYPE_F32, s->padded, lane); break;
    }
}

static void fold_subtree(float (*restrict lane)[COLUMNS], int count, double *restrict sums)
{
    _Static_assert(SUBTREE == 8, "written out");
#define LANE_PAIR(n) m_add64((double)lane[n][i], (double)lane[n + 1][i])
    for (int i = 0; i < count; i++) {
        sums[i] = m_add64(m_add64(LANE_PAIR(0), LANE_PAIR(2)), m_add64(LANE_PAIR(4), LANE_PAIR(6)));
    }
#undef LANE_PAIR
}

static void add_columns(double *restrict sums, const double *restrict more, int count)
{
    for (int i = 0; i < count; i++) {
        sums[i] = m_add64(sums[i], more[i]);
    }
}

// Columns of bf16 back in order.
static void order_columns(double *sums, int count)
{
    for (int at = 0; at < count; at += PAIR) {
        double ordered[PAIR];
        for (int i = 0; i < WIDE32_WIDTH; i++) {
            ordered[2 * i] = sums[at + i];
            ordered[2 * i + 1] = sums[at + WIDE32_WIDTH + i];
        }
        memcpy(sums + at, ordered, sizeof ordered);
    }
}

// Lanes from `lane` on, below `lanes`, to a level; those that are missing are 0.
static void sum_subtree(column_sums *s, int lane, int lanes, double (*level)[COLUMNS])
{
    for (int k = 0; k < s->heads; k++) {
        for (int i = 0; i < SUBTREE; i++) {
            const int64_t first = s->first + lane + i;
            if (lane + i < lanes) {
                sum_lane(s, s->head + k, first, s->lane[i]);
            } else {
                memset(s->lane[i], 0, sizeof s->lane[i]);
            }
        }
        fold_subtree(s->lane, s->padded, level[k]);
    }
}

// The sums of one tile, to level[0]. Levels are the digits of a binary counter of subtrees.
static void sum_tile(column_sums *s, int64_t tile)
{
    const int64_t left = s->a->find.num_positions - tile * MERIT_TILE;
    const int lanes = left < MERIT_LANES ? (int)left : MERIT_LANES; // the others are 0
    const int subtrees = (lanes + SUBTREE - 1) / SUBTREE;
    int depth = 0;
    s->first = tile * MERIT_TILE;
    s->end = s->first + (left < MERIT_TILE ? left : MERIT_TILE);
    s->padded = (s->columns + PAIR - 1) / PAIR * PAIR;
    memset(s->row, 0, sizeof s->row);
    for (int n = 0; n < subtrees; n++) {
        sum_subtree(s, n * SUBTREE, lanes, s->level[depth++]);
        for (int bits = n; depth > 1 && ((bits & 1) != 0 || n + 1 == subtrees); bits >>= 1) {
            depth--;
            for (int k = 0; k < s->heads; k++) {
                add_columns(s->level[depth - 1][k], s->level[depth][k], s->padded);
            }
        }
    }
    for (int k = 0; s->a->d.hidden_dtype == MERIT_DTYPE_BF16 && k < s->heads; k++) {
        order_columns(s->level[0][k], s->padded);
    }
}

#endif
