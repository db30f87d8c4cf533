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

#define EACH_ROW(r) for (int r = 0; r < READOUT_ROWS; r++)

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

// The tree over term[0 .. count), in place.
static void block_sum(readout_block *b, int count, double *restrict sum)
{
    for (; count > 1; count = (count + 1) / 2) {
        for (int i = 0; i < count / 2; i++) {
            EACH_ROW(r) b->term[i][r] = m_add64(b->term[2 * i][r], b->term[2 * i + 1][r]);
        }
        if (count % 2 != 0) memcpy(b->term[count / 2], b->term[count - 1], sizeof *b->term);
    }
    EACH_ROW(r) sum[r] = m_add64(b->term[0][r], 0.0);
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

// The first columns of rows that are `stride` apart; how many: a multiple of 4.
static int block_load_quads(const float *rows, int64_t stride, int columns, readout_values *to)
{
    int k = 0;
    for (; k + 4 <= columns; k += 4) {
        EACH_WIDE(r)
        {
            wide_f column[4];
            wide_load_columns(rows + r * stride + k, stride, column);
            for (int j = 0; j < 4; j++) {
                block_set_wide(to[k + j], r, wide_widen(column[j]));
            }
        }
    }
    return k;
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
    int k = 0;
    for (; k + 4 <= columns; k += 4) {
        EACH_WIDE(r)
        {
            wide_f column[4];
            for (int j = 0; j < 4; j++) {
                column[j] = block_round(block_wide(from[k + j], r));
            }
            wide_store_columns(rows + r * stride + k, stride, column);
        }
    }
    return k;
}

// Columns of the rows of an array; index NULL: in order.
static void block_load(const readout_block *b, const void *array, int32_t dtype, int64_t stride,
                       const int32_t *index, int columns, readout_values *to)
{
    int first = 0;
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
    for (int r = 0; r < b->rows && array != NULL; r++) {
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

// LINEAR ------------------------------------------------------------------------------------------

static void block_linear(readout_block *b)
{
    const merit_score_readout_args *const a = b->a;
    const int size = a->d.num_columns;
    readout_values reward, length, g;
    block_load_inputs(b);
    block_load(b, a->io.direction, MERIT_DTYPE_F32, a->d.direction_stride, NULL, size, b->y);
    for (int k = 0; k < size; k++) {
        EACH_ROW(r) b->term[k][r] = m_mul64(b->y[k][r], b->x[k][r]);
    }
    block_sum(b, size, reward);
    if (a->d.unit) {
        for (int k = 0; k < size; k++) {
            EACH_ROW(r) b->term[k][r] = m_mul64(b->y[k][r], b->y[k][r]);
        }
        block_sum(b, size, length);
        EACH_ROW(r) length[r] = m_sqrt64(length[r]);
        for (int r = 0; r < b->rows; r++) {
            m_count(a->io.diagnostics, MERIT_COUNTER_ZERO_DIRECTION, length[r] == 0.0);
        }
        EACH_ROW(r) reward[r] = m_div64(reward[r], length[r]);
    }
    block_store_values(b, a->io.reward, 1, 0, reward);
    block_upstream(b, a->grad.grad_reward, 1, 0, g);
    for (int k = 0; k < size && a->grad.grad_inputs != NULL; k++) {
        if (a->d.unit) {
            EACH_ROW(r) b->u[k][r] = m_mul64(g[r], m_div64(b->y[k][r], length[r]));
        } else {
            EACH_ROW(r) b->u[k][r] = m_mul64(g[r], b->y[k][r]);
        }
    }
    block_store(b, a->grad.grad_inputs, a->d.input_dtype, a->d.grad_stride, 0, size, b->u);
    for (int k = 0; k < size && a->grad.grad_direction != NULL; k++) {
        if (a->d.unit) {
            EACH_ROW(r)
            {
                b->u[k][r] =
                    m_mul64(g[r], readout_unit_slope(b->x[k][r], b->y[k][r], reward[r], length[r]));
            }
        } else {
            EACH_ROW(r) b->u[k][r] = m_mul64(g[r], b->x[k][r]);
        }
    }
    block_store(b, a->grad.grad_direction, MERIT_DTYPE_F32, size, 0, size, b->u);
}

// Softmax -----------------------------------------------------------------------------------------

// Logits y become (y - max) / T, and p their shares.
static void block_softmax(readout_block *b, readout_values *y, double *restrict max,
                          double *restrict sum)
{
    const int size = b->a->d.num_columns;
    const wide_d temperature = wide_splat((double)b->a->d.temperature);
    const int divides = b->a->d.temperature != 1.0f; // a division by 1 changes nothing
    EACH_WIDE(r)
    {
        wide_d top = wide_splat(-m_inf64());
        for (int k = 0; k < size; k++) {
            const wide_d v = block_wide(y[k], r);
            top = wide_select((v > top) | (v != v), v, top); // NaN stays
        }
        block_set_wide(max, r, top);
    }
    for (int k = 0; k < size; k++) {
        EACH_WIDE(r)
        {
            const wide_d below = block_wide(y[k], r) - block_wide(max, r);
            block_set_wide(b->y[k], r, divides ? below / temperature : below);
        }
        EACH_ROW(r) b->p[k][r] = (double)m_exp(m_round32(b->y[k][r]));
    }
    memcpy(b->term, b->p, (size_t)size * sizeof *b->p);
    block_sum(b, size, sum);
    // Shares of sums from 1 to 256: inside the range of quotient.h. NaN stays NaN.
    EACH_WIDE(r)
    {
        const wide_d divisor = block_wide(sum, r);
        const wide_d reciprocal = wide_splat(1.0) / divisor;
        for (int k = 0; k < size; k++) {
            wide_d share = block_wide(b->p[k], r);
            wide_divide(&share, 1, divisor, reciprocal);
            block_set_wide(b->p[k], r, share);
        }
    }
}

// GATE --------------------------------------------------------------------------------------------

static void block_gate(readout_block *b)
{
    const merit_score_readout_args *const a = b->a;
    const int size = a->d.num_columns;
    const double scale = (double)a->d.scale, temperature = (double)a->d.temperature;
    const float *const transform = a->io.transform;
    readout_values max, sum, mixed, reward, g;
    block_load_inputs(b);
    block_load(b, a->io.gate_logits, a->d.input_dtype, a->d.gate_stride, NULL, size, b->y);
    block_softmax(b, b->y, max, sum);
    for (int j = 0; j < size && transform != NULL; j++) {
        for (int k = 0; k < size; k++) {
            const double m = (double)transform[k * size + j];
            EACH_ROW(r) b->term[k][r] = m_mul64(b->x[k][r], m);
        }
        block_sum(b, size, b->u[j]);
    }
    readout_values *const u = transform != NULL ? b->u : b->x;
    for (int k = 0; k < size; k++) {
        EACH_ROW(r) b->term[k][r] = m_mul64(b->p[k][r], u[k][r]);
    }
    block_sum(b, size, mixed);
    EACH_ROW(r) reward[r] = m_mul64(scale, mixed[r]);
    block_store_values(b, a->io.reward, 1, 0, reward);
    block_store(b, a->io.gate, MERIT_DTYPE_F32, size, 0, size, b->p);
    block_upstream(b, a->grad.grad_reward, 1, 0, g);
    EACH_ROW(r) g[r] = m_mul64(g[r], scale);
    for (int k = 0; k < size && a->grad.grad_gate_logits != NULL; k++) {
        EACH_ROW(r)
        {
            b->y[k][r] = readout_gate_slope(g[r], temperature, b->p[k][r], u[k][r], mixed[r]);
        }
    }
    block_store(b, a->grad.grad_gate_logits, a->d.input_dtype, size, 0, size, b->y);
    for (int j = 0; j < size && a->grad.grad_inputs != NULL; j++) {
        for (int k = 0; k < size && transform != NULL; k++) {
            const double m = (double)transform[j * size + k];
            EACH_ROW(r) b->term[k][r] = m_mul64(m, b->p[k][r]);
        }
        if (transform != NULL) {
            block_sum(b, size, b->u[j]);
            EACH_ROW(r) b->u[j][r] = m_mul64(g[r], b->u[j][r]);
        } else {
            EACH_ROW(r) b->u[j][r] = m_mul64(g[r], b->p[j][r]);
        }
    }
    block_store(b, a->grad.grad_inputs, a->d.input_dtype, a->d.grad_stride, 0, size, b->u);
}

// LEVELS ------------------------------------------------------------------------------------------

static void block_levels(readout_block *b)
{
    const merit_score_readout_args *const a = b->a;
    const int size = a->d.num_columns;
    const double temperature = (double)a->d.temperature;
    readout_values max, sum, log_sum, mean, variance, entropy, g_mean, g_variance, g_entropy;
    block_load_inputs(b);
    block_softmax(b, b->x, max, sum);
    EACH_ROW(r) log_sum[r] = m_log64(sum[r]);
    for (int k = 0; k < size; k++) {
        const double value = readout_level_value(a, k);
        EACH_ROW(r) b->term[k][r] = m_mul64(value, b->p[k][r]);
    }
    block_sum(b, size, mean);
    for (int k = 0; k < size; k++) {
        const double value = readout_level_value(a, k);
        EACH_ROW(r) b->term[k][r] = readout_deviation(b->p[k][r], value, mean[r]);
    }
    block_sum(b, size, variance);
    for (int k = 0; k < size; k++) {
        EACH_ROW(r) b->term[k][r] = readout_surprise(b->p[k][r], b->y[k][r], log_sum[r]);
    }
    block_sum(b, size, entropy);
    EACH_ROW(r) entropy[r] = m_sub64(0.0, entropy[r]);
    block_upstream(b, a->grad.grad_mean, 1, 0, g_mean);
    block_upstream(b, a->grad.grad_variance, 1, 0, g_variance);
    block_upstream(b, a->grad.grad_entropy, 1, 0, g_entropy);
    for (int k = 0; k < size && a->grad.grad_inputs != NULL; k++) {
        const double value = readout_level_value(a, k);
        EACH_ROW(r)
        {
            const merit_readout_moments m = {.log_sum = log_sum[r],
                                             .mean = mean[r],
                                             .variance = variance[r],
                                             .entropy = entropy[r],
                                             .g_mean = g_mean[r],
                                             .g_variance = g_variance[r],
                                             .g_entropy = g_entropy[r]};
            b->u[k][r] = readout_level_slope(&m, b->p[k][r], b->y[k][r], value, temperature);
        }
    }
    block_store_values(b, a->io.mean, 1, 0, mean);
    block_store_values(b, a->io.variance, 1, 0, variance);
    block_store_values(b, a->io.entropy, 1, 0, entropy);
    block_store(b, a->io.prob, MERIT_DTYPE_F32, size, 0, size, b->p);
    block_store(b, a->grad.grad_inputs, a->d.input_dtype, a->d.grad_stride, 0, size, b->u);
    for (int r = 0; r < b->rows; r++) {
        if (max[r] == -m_inf64()) readout_levels(a, b->first + r); // no distribution: over that
    }
}

#endif
