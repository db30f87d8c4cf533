// Readouts of a block of rows on a CPU: LINEAR, GATE and LEVELS; score_readout_quantile_cpu.h has QUANTILE.
#ifndef MERIT_SCORE_READOUT_KINDS_CPU_H
#define MERIT_SCORE_READOUT_KINDS_CPU_H

#include "score_readout_block_cpu.h"

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
    block_sum(b->term, size, reward);
    if (a->d.unit) {
        for (int k = 0; k < size; k++) {
            EACH_ROW(r) b->term[k][r] = m_mul64(b->y[k][r], b->y[k][r]);
        }
        block_sum(b->term, size, length);
        EACH_ROW(r) length[r] = m_sqrt64(length[r]);
        uint64_t zeros = 0;
        for (int r = 0; r < b->rows; r++) {
            zeros += length[r] == 0.0;
        }
        m_count(a->io.diagnostics, MERIT_COUNTER_ZERO_DIRECTION, zeros);
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
    block_sum(b->p, size, sum);
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
        block_sum(b->term, size, b->u[j]);
    }
    readout_values *const u = transform != NULL ? b->u : b->x;
    for (int k = 0; k < size; k++) {
        EACH_ROW(r) b->term[k][r] = m_mul64(b->p[k][r], u[k][r]);
    }
    block_sum(b->term, size, mixed);
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
            block_sum(b->term, size, b->u[j]);
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
    block_sum(b->term, size, mean);
    for (int k = 0; k < size; k++) {
        const double value = readout_level_value(a, k);
        EACH_ROW(r) b->term[k][r] = readout_deviation(b->p[k][r], value, mean[r]);
    }
    block_sum(b->term, size, variance);
    for (int k = 0; k < size; k++) {
        EACH_ROW(r) b->term[k][r] = readout_surprise(b->p[k][r], b->y[k][r], log_sum[r]);
    }
    block_sum(b->term, size, entropy);
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
