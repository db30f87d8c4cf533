// Readouts of READOUT_ROWS rows at a time on a CPU: a value of each row side by side, so that all loops
// over rows are vectors and the tree over columns needs no shuffle. Up to 256 columns, one per lane.
#ifndef MERIT_SCORE_READOUT_BLOCK_CPU_H
#define MERIT_SCORE_READOUT_BLOCK_CPU_H

#include "../core/wide_cpu.h"
#include "score_readout.h"

enum { READOUT_ROWS = 16 };

typedef double readout_values[READOUT_ROWS]; // of one column

typedef struct readout_block {
    const merit_score_readout_args *a;
    int64_t first; // row
    int rows; // that there are; values of the others repeat the last
    readout_values x[MERIT_LANES]; // inputs
    readout_values y[MERIT_LANES]; // directions, or logits, then (y - max) / T
    readout_values p[MERIT_LANES]; // shares, or levels in rising order
    readout_values u[MERIT_LANES]; // transformed inputs, or gradients
    readout_values term[MERIT_LANES];
    merit_readout_tail steps[MERIT_LANES]; // of places, the same for all rows
} readout_block;

// Not unrolled: gcc 12 makes vectors of the loop, but none of what it unrolled before.
#define EACH_ROW(r) _Pragma("GCC unroll 1") for (int r = 0; r < READOUT_ROWS; r++)

// Vectors of rows r, r + 1, ..., where the compiler does not find them itself.
#define EACH_WIDE(r) for (int r = 0; r < READOUT_ROWS; r += WIDE_WIDTH)

WIDE_INLINE wide_d block_wide(const double *values, int r)
{
    wide_d v;
    memcpy(&v, values + r, sizeof v);
    return v;
}

WIDE_INLINE void block_set_wide(double *values, int r, wide_d v)
{
    memcpy(values + r, &v, sizeof v);
}

// Neighbors-first trees over terms of rows r, r + 1, ...
WIDE_INLINE wide_d block_sum2(readout_values *term, int r)
{
    return block_wide(term[0], r) + block_wide(term[1], r);
}

WIDE_INLINE wide_d block_sum4(readout_values *term, int r)
{
    return block_sum2(term, r) + block_sum2(term + 2, r);
}

WIDE_INLINE wide_d block_sum8(readout_values *term, int r)
{
    return block_sum4(term, r) + block_sum4(term + 4, r);
}

// Of a power of two from 8 on.
static wide_d block_sum_many(readout_values *term, int r, int count)
{
    if (count == 8) return block_sum8(term, r);
    return block_sum_many(term, r, count / 2) + block_sum_many(term + count / 2, r, count / 2);
}

WIDE_INLINE wide_d block_sum_of(readout_values *term, int r, int size)
{
    switch (size) {
    case 1: return block_wide(term[0], r);
    case 2: return block_sum2(term, r);
    case 4: return block_sum4(term, r);
    case 8: return block_sum8(term, r);
    case 16: return block_sum8(term, r) + block_sum8(term + 8, r);
    default: return block_sum_many(term, r, size);
    }
}

// The tree over term[0 .. count): its complete subtrees are the digits of count, the last ones join first.
static void block_sum(readout_values *term, int count, double *sum)
{
    EACH_WIDE(r)
    {
        int size = count & -count;
        int first = count - size;
        wide_d total = block_sum_of(term + first, r, size);
        while (first > 0) {
            size = first & -first;
            first -= size;
            total = block_sum_of(term + first, r, size) + total;
        }
        block_set_wide(sum, r, total + wide_splat(0.0));
    }
}

static int64_t block_row(const readout_block *b, int r)
{
    return b->first + (r < b->rows ? r : b->rows - 1);
}

// Whole blocks of binary32 are transposed four columns at a time.
static int block_is_whole(const readout_block *b, int32_t dtype)
{
    return b->rows == READOUT_ROWS && dtype == MERIT_DTYPE_F32;
}

// The next four columns; the last four may come twice in part.
static int block_next_quad(int k, int columns)
{
    return k + 4 < columns && k + 8 > columns ? columns - 4 : k + 4;
}

// The columns of rows that are `stride` apart; how many: 0 or all.
static int block_load_quads(const float *rows, int64_t stride, int columns, readout_values *to)
{
    if (columns < 4) return 0;
    for (int k = 0; k < columns; k = block_next_quad(k, columns)) {
        EACH_WIDE(r)
        {
            wide_f column[4];
            wide_load_columns(rows + r * stride + k, stride, column);
            for (int j = 0; j < 4; j++) {
                block_set_wide(to[k + j], r, wide_widen(column[j]));
            }
        }
    }
    return columns;
}

WIDE_INLINE wide_f block_round(wide_d v)
{
    const wide_f f = wide_round(v);
    wide_f clean;
    for (int i = 0; i < WIDE_WIDTH; i++) {
        clean[i] = m_canonical32(f[i]);
    }
    return clean;
}

static int block_store_quads(float *rows, int64_t stride, int columns, readout_values *from)
{
    if (columns < 4) return 0;
    for (int k = 0; k < columns; k = block_next_quad(k, columns)) {
        EACH_WIDE(r)
        {
            wide_f column[4];
            for (int j = 0; j < 4; j++) {
                column[j] = block_round(block_wide(from[k + j], r));
            }
            wide_store_columns(rows + r * stride + k, stride, column);
        }
    }
    return columns;
}

// The rows of the next block: bursts too short for the prefetchers of the hardware.
static void block_prefetch(const readout_block *b, const void *array, int32_t dtype, int64_t stride,
                           int columns)
{
    enum { LINE = 64 /* bytes of the cache */ };
    const int64_t row = b->first + READOUT_ROWS;
    if (stride != columns || row + READOUT_ROWS > b->a->d.num_rows) return;
    const int bytes = dtype == MERIT_DTYPE_F32 ? 4 : 2;
    const unsigned char *const next = (const unsigned char *)array + row * stride * bytes;
    for (int i = 0; i < READOUT_ROWS * columns * bytes; i += LINE) {
        __builtin_prefetch(next + i);
    }
}

// Columns of the rows of an array; index NULL: in order.
static void block_load(const readout_block *b, const void *array, int32_t dtype, int64_t stride,
                       const int32_t *index, int columns, readout_values *to)
{
    int first = 0;
    if (index == NULL) block_prefetch(b, array, dtype, stride, columns);
    if (index == NULL && block_is_whole(b, dtype)) {
        first = block_load_quads((const float *)array + b->first * stride, stride, columns, to);
    }
    EACH_ROW(r)
    {
        const int64_t row = block_row(b, r) * stride;
        for (int k = first; k < columns; k++) {
            to[k][r] = m_load_real(array, dtype, row + (index != NULL ? index[k] : k));
        }
    }
}

static void block_load_inputs(readout_block *b)
{
    const merit_score_readout_args *const a = b->a;
    block_load(b, a->io.inputs, a->d.input_dtype, a->d.input_stride, a->io.level_index,
               a->d.num_columns, b->x);
}

static void block_upstream(const readout_block *b, const float *gradients, int64_t stride,
                           int64_t at, double *g)
{
    EACH_ROW(r) g[r] = readout_upstream(gradients, block_row(b, r) * stride + at);
}

// One value per row.
static void block_store_values(const readout_block *b, float *array, int64_t stride, int64_t at,
                               const double *values)
{
    if (array == NULL) return;
    if (stride == 1 && b->rows == READOUT_ROWS) {
        float *const out = array + b->first + at;
        EACH_ROW(r) out[r] = readout_round(values[r]);
        return;
    }
    for (int r = 0; r < b->rows; r++) {
        array[(b->first + r) * stride + at] = readout_round(values[r]);
    }
}

static void block_store(const readout_block *b, void *array, int32_t dtype, int64_t stride,
                        int64_t at, int columns, readout_values *from)
{
    if (array == NULL) return;
    int first = 0;
    if (block_is_whole(b, dtype)) {
        first = block_store_quads((float *)array + b->first * stride + at, stride, columns, from);
    }
    for (int r = 0; r < b->rows; r++) {
        const int64_t row = (b->first + r) * stride + at;
        for (int k = first; k < columns; k++) {
            readout_store(array, dtype, row + k, from[k][r]);
        }
    }
}

#endif
