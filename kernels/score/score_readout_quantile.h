// QUANTILE readouts: means, tails and ranges of the quantiles of an attribute.
#ifndef MERIT_SCORE_READOUT_QUANTILE_H
#define MERIT_SCORE_READOUT_QUANTILE_H

#include "score_readout_value.h"

// Index of the level that follows level `last` in sorted order (ties: the lower index first); last -1:
// the first one.
MERIT_HD static inline int readout_next(const merit_score_readout_args *a, int64_t p, int first,
                                        int size, int last)
{
    const double before = last >= 0 ? readout_input(a, p, first + last) : 0.0;
    int best = -1;
    double least = 0.0;
    for (int n = 0; n < size; n++) {
        const double q = readout_input(a, p, first + n);
        const int later = last < 0 || q > before || (q == before && n > last);
        if (later && (best < 0 || q < least)) {
            best = n;
            least = q;
        }
    }
    return best;
}

typedef struct merit_readout_tail {
    double below; // cumulative weight before this level
    double upto; // and with it
    double weight;
    double mass; // inside (0, alpha]
    int is_low, is_high; // the quartiles
} merit_readout_tail;

// Step to sorted place `place`, which is level n.
MERIT_HD static inline void readout_step(const merit_score_readout_args *a, int size, int place,
                                         int n, merit_readout_tail *t)
{
    const double alpha = (double)a->d.alpha;
    const int uniform = a->io.level_weights == NULL;
    const double before = place == 0 ? 0.0 : t->upto;
    t->weight = uniform ? m_div64(1.0, (double)size) : (double)a->io.level_weights[n];
    t->below = before;
    t->upto = uniform ? m_div64((double)(place + 1), (double)size) : m_add64(before, t->weight);
    const int last = place + 1 == size;
    const double end = last || t->upto > alpha ? alpha : t->upto;
    t->mass = end > before ? m_sub64(end, before) : 0.0;
    if (alpha == 1.0) t->mass = t->weight; // the mean
    t->is_low = (place == 0 || before < 0.25) && (last || t->upto >= 0.25);
    t->is_high = (place == 0 || before < 0.75) && (last || t->upto >= 0.75);
}

// What a level of weight t->weight gets of the upstreams.
MERIT_HD static inline double readout_tail_slope(const merit_readout_tail *t, double alpha,
                                                 double g_mean, double g_cvar, double g_iqr)
{
    const double by_mean = m_mul64(g_mean, t->weight);
    const double by_tail = m_mul64(g_cvar, m_div64(t->mass, alpha));
    const double by_iqr = m_mul64(g_iqr, (double)(t->is_high - t->is_low));
    return m_add64(m_add64(by_mean, by_tail), by_iqr);
}

// One attribute: levels first .. first + size of row p; out: its place in [P,A].
MERIT_HD static inline void readout_attribute(const merit_score_readout_args *a, int64_t p,
                                              int first, int size, int64_t out)
{
    int bad = 0;
    int crossing = 0;
    double before = -m_inf64();
    for (int n = 0; n < size; n++) {
        const double q = readout_input(a, p, first + n);
        bad |= m_is_nan64(q);
        crossing |= q < before;
        before = q;
    }
    crossing = crossing && !bad && !a->d.sort;
    m_count(a->io.diagnostics, MERIT_COUNTER_CROSSING, (uint64_t)crossing);
    bad |= crossing;
    const double g_mean = readout_upstream(a->grad.grad_mean, out);
    const double g_cvar = readout_upstream(a->grad.grad_cvar, out);
    const double g_iqr = readout_upstream(a->grad.grad_iqr, out);
    const double alpha = (double)a->d.alpha;
    double lanes_mean = 0.0;
    double lanes_tail = 0.0;
    double low = 0.0;
    double high = 0.0;
    // Sorted place s is in lane s mod 256. Up to 256 levels one walk visits the lanes in order; beyond,
    // each lane takes a walk of its own.
    const int many = size > MERIT_LANES;
    merit_readout_sum mean_sum;
    merit_readout_sum tail_sum;
    mean_sum.count = 0;
    tail_sum.count = 0;
    for (int lane = 0; lane < (many ? (int)MERIT_LANES : 1) && !bad; lane++) {
        merit_readout_tail t;
        t.upto = 0.0;
        int n = -1;
        for (int place = 0; place < size; place++) {
            n = a->d.sort ? readout_next(a, p, first, size, n) : place;
            readout_step(a, size, place, n, &t);
            if (many && place % MERIT_LANES != lane) continue;
            const double q = readout_input(a, p, first + n);
            const double plain = a->io.level_weights == NULL ? q : m_mul64(t.weight, q);
            const double tail = t.mass == 0.0 ? 0.0 : m_mul64(t.mass, q);
            const int starts = !many || place == lane;
            lanes_mean = starts ? plain : m_add64(lanes_mean, plain);
            lanes_tail = starts ? tail : m_add64(lanes_tail, tail);
            if (!many || place + MERIT_LANES >= size) {
                readout_push(&mean_sum, lanes_mean);
                readout_push(&tail_sum, lanes_tail);
            }
            if (t.is_low) low = q;
            if (t.is_high) high = q;
            if (a->grad.grad_inputs == NULL) continue;
            readout_store(a->grad.grad_inputs, a->d.input_dtype, p * a->d.grad_stride + first + n,
                          readout_tail_slope(&t, alpha, g_mean, g_cvar, g_iqr));
        }
    }
    double mean = readout_finish(&mean_sum);
    if (a->io.level_weights == NULL) mean = m_div64(mean, (double)size);
    const double tail = m_div64(readout_finish(&tail_sum), alpha);
    const double nan = m_nan64();
    if (a->io.mean != NULL) a->io.mean[out] = readout_round(bad ? nan : mean);
    if (a->io.cvar != NULL) {
        a->io.cvar[out] = readout_round(bad ? nan : alpha == 1.0 ? mean : tail);
    }
    if (a->io.iqr != NULL) a->io.iqr[out] = readout_round(bad ? nan : m_sub64(high, low));
    for (int n = 0; n < size && bad && a->grad.grad_inputs != NULL; n++) {
        readout_store(a->grad.grad_inputs, a->d.input_dtype, p * a->d.grad_stride + first + n, nan);
    }
}

#endif
