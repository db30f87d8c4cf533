// QUANTILE for blocks of rows on a CPU: levels find their places by counting what comes before them,
// which needs no branch.
#ifndef MERIT_SCORE_READOUT_QUANTILE_CPU_H
#define MERIT_SCORE_READOUT_QUANTILE_CPU_H

#include "score_readout_block_cpu.h"

// Places of the levels of an attribute, x[0 .. size), in rising order, ties by the lower index: how many
// come before.
static void block_places(readout_values *x, int size, int32_t (*place)[READOUT_ROWS])
{
    float level[MERIT_LANES][READOUT_ROWS]; // exact: inputs have at most 24 bits
    for (int n = 0; n < size; n++) {
        EACH_ROW(r) level[n][r] = (float)x[n][r];
    }
    for (int n = 0; n < size; n++) {
        int32_t before[READOUT_ROWS] = {0};
        for (int m = 0; m < n; m++) {
            EACH_ROW(r) before[r] += level[m][r] <= level[n][r];
        }
        for (int m = n + 1; m < size; m++) {
            EACH_ROW(r) before[r] += level[m][r] < level[n][r];
        }
        memcpy(place[n], before, sizeof before);
    }
}

// NaN, or falling without sort: the row has no result.
static void block_find_bad(readout_block *b, readout_values *x, int size, int *bad)
{
    const merit_score_readout_args *const a = b->a;
    readout_values before;
    int falls[READOUT_ROWS] = {0}, nan[READOUT_ROWS] = {0};
    EACH_ROW(r) before[r] = -m_inf64();
    for (int n = 0; n < size; n++) {
        EACH_ROW(r)
        {
            nan[r] |= m_is_nan64(x[n][r]);
            falls[r] |= x[n][r] < before[r];
            before[r] = x[n][r];
        }
    }
    EACH_ROW(r)
    {
        const int crossing = falls[r] && !nan[r] && !a->d.sort;
        bad[r] = nan[r] || crossing;
        m_count(a->io.diagnostics, MERIT_COUNTER_CROSSING, (uint64_t)(crossing && r < b->rows));
    }
}

static void block_attribute(readout_block *b, int attribute, int size)
{
    const merit_score_readout_args *const a = b->a;
    const int first = attribute * size, count = a->d.num_attributes;
    readout_values *const x = b->x + first;
    const double alpha = (double)a->d.alpha;
    int32_t place[MERIT_LANES][READOUT_ROWS];
    int bad[READOUT_ROWS];
    readout_values mean, tail, iqr, low = {0}, high = {0}, g_mean, g_cvar, g_iqr;
    block_find_bad(b, x, size, bad);
    block_places(x, size, place);
    for (int n = 0; n < size; n++) {
        EACH_ROW(r) b->p[place[n][r]][r] = x[n][r];
    }
    block_sum(b->p, size, mean);
    EACH_ROW(r) mean[r] = m_div64(mean[r], (double)size);
    for (int s = 0; s < size; s++) {
        const double mass = b->steps[s].mass;
        EACH_ROW(r) b->term[s][r] = mass == 0.0 ? 0.0 : m_mul64(mass, b->p[s][r]);
        if (b->steps[s].is_low) memcpy(low, b->p[s], sizeof low);
        if (b->steps[s].is_high) memcpy(high, b->p[s], sizeof high);
    }
    block_sum(b->term, size, tail);
    const double nan = m_nan64();
    EACH_ROW(r)
    {
        tail[r] = bad[r] ? nan : alpha == 1.0 ? mean[r] : m_div64(tail[r], alpha);
        mean[r] = bad[r] ? nan : mean[r];
        iqr[r] = bad[r] ? nan : m_sub64(high[r], low[r]);
    }
    block_store_values(b, a->io.mean, count, attribute, mean);
    block_store_values(b, a->io.cvar, count, attribute, tail);
    block_store_values(b, a->io.iqr, count, attribute, iqr);
    if (a->grad.grad_inputs == NULL) return;
    block_upstream(b, a->grad.grad_mean, count, attribute, g_mean);
    block_upstream(b, a->grad.grad_cvar, count, attribute, g_cvar);
    block_upstream(b, a->grad.grad_iqr, count, attribute, g_iqr);
    for (int n = 0; n < size; n++) {
        EACH_ROW(r)
        {
            const double slope =
                readout_tail_slope(&b->steps[place[n][r]], alpha, g_mean[r], g_cvar[r], g_iqr[r]);
            b->u[n][r] = bad[r] ? nan : slope;
        }
    }
    block_store(b, a->grad.grad_inputs, a->d.input_dtype, a->d.grad_stride, first, size, b->u);
}

static void block_quantile(readout_block *b)
{
    const int count = b->a->d.num_attributes;
    block_load_inputs(b);
    for (int i = 0; i < count; i++) {
        block_attribute(b, i, b->a->d.num_columns / count);
    }
}

#endif
