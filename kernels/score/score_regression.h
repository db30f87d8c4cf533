// score_regression: arguments and formulas of one entry and one head.
#ifndef MERIT_SCORE_REGRESSION_H
#define MERIT_SCORE_REGRESSION_H

#include <merit/score.h>

#include "../core/counters.h"
#include "../core/lanes.h"

enum {
    MERIT_REGRESSION_TICKETS = 64, // words, left at zero by every call
    MERIT_REGRESSION_MAX_HEADS = 1024
};

typedef struct merit_score_regression_args {
    merit_score_regression_desc d; // strides resolved: no zeros
    merit_score_regression_io io;
    int32_t counts_first; // the divisors are counted before anything else
    int64_t num_tiles; // of 2048 rows
    // workspace
    uint32_t *tickets; // [MERIT_REGRESSION_TICKETS]
    uint64_t *counts; // [K + 1] valid entries of each head; last: rows with one
    double *sums; // [tiles,K,2] of w l and of (w dl/ds)^2
} merit_score_regression_args;

MERIT_HD static inline int regression_is_valid(const merit_score_regression_args *a, int64_t p,
                                               int64_t k)
{
    const float label = a->io.labels[p * a->d.label_stride + k];
    if (label != label || (a->d.use_sentinel && label == a->d.sentinel)) return 0;
    return a->io.mask == NULL || a->io.mask[p * a->d.num_heads + k] != 0;
}

typedef struct merit_regression_entry {
    double loss; // w l
    double slope; // w dl/ds
} merit_regression_entry;

// softplus and sigmoid of s in binary32.
MERIT_HD static inline merit_regression_entry regression_bce(float s, float y)
{
    const merit_pair32 tail = m_softplus_tail(s);
    const double plus = (double)m_softplus_from(s, tail);
    const double minus = (double)m_softplus_from(-s, tail);
    merit_regression_entry e;
    e.loss = m_add64(m_mul64((double)y, minus), m_mul64(m_sub64(1.0, (double)y), plus));
    e.slope = m_sub64((double)m_sigmoid(s), (double)y);
    return e;
}

// A valid entry of score s, label y and row weight w. link is a literal where loops shall vectorize.
MERIT_HD static inline merit_regression_entry
regression_of(const merit_score_regression_desc *options, const int32_t link, float s, float y,
              double w)
{
    const double d = m_sub64((double)s, (double)y);
    const double size = m_abs64(d);
    const double delta = (double)options->huber_delta;
    merit_regression_entry e;
    switch (link) {
    case MERIT_REGRESSION_MSE:
        e.loss = m_mul64(d, d);
        e.slope = m_mul64(2.0, d);
        if (options->half) {
            e.loss = m_mul64(0.5, e.loss);
            e.slope = d;
        }
        break;
    case MERIT_REGRESSION_BCE:
        e = regression_bce(s, y);
        if (!(y >= 0.0f && y <= 1.0f)) e.loss = e.slope = m_nan64();
        break;
    default:
        e.loss = size <= delta ? m_mul64(0.5, m_mul64(d, d))
                               : m_mul64(delta, m_sub64(size, m_mul64(0.5, delta)));
        e.slope = m_clip64(d, -delta, delta);
        if (m_is_nan64(d)) e.loss = d;
        break;
    }
    e.loss = m_mul64(w, e.loss);
    e.slope = m_mul64(w, e.slope);
    return e;
}

MERIT_HD static inline merit_regression_entry regression_entry(const merit_score_regression_args *a,
                                                               int64_t p, int64_t k)
{
    const float s = a->io.scores[p * a->d.score_stride + k];
    const float y = a->io.labels[p * a->d.label_stride + k];
    const double w = a->io.row_weight != NULL ? (double)a->io.row_weight[p] : 1.0;
    return regression_of(&a->d, a->d.link, s, y, w);
}

MERIT_HD static inline float regression_gradient(double scale, double slope)
{
    return m_canonical32(m_round32(m_add64(m_mul64(scale, slope), 0.0)));
}

// A target of BCE outside [0, 1].
MERIT_HD static inline int regression_is_bad_target(int32_t link, float y)
{
    return link == MERIT_REGRESSION_BCE && !(y >= 0.0f && y <= 1.0f);
}

// D_k from the counts.
MERIT_HD static inline double regression_divisor(const merit_score_regression_args *a, int64_t k)
{
    const int32_t heads = a->d.num_heads;
    double entries = 0.0; // integers: exact
    double seen = 0.0;
    switch (a->d.reduction) {
    case MERIT_REGRESSION_GIVEN: return a->io.denominators[k];
    case MERIT_REGRESSION_MEAN_VALID:
        for (int32_t i = 0; i < heads; i++) {
            entries = m_add64(entries, (double)a->counts[i]);
        }
        return entries;
    case MERIT_REGRESSION_MEAN_HEAD:
        for (int32_t i = 0; i < heads; i++) {
            seen = m_add64(seen, a->counts[i] > 0 ? 1.0 : 0.0);
        }
        return m_mul64((double)a->counts[k], seen);
    case MERIT_REGRESSION_MEAN_ROW: return (double)a->counts[heads];
    default: return 1.0;
    }
}

// alpha_k / D_k; without entries a divisor may be 0, and nothing is scaled by it.
MERIT_HD static inline double regression_scale(const merit_score_regression_args *a, int64_t k)
{
    const double alpha = a->io.alpha != NULL ? (double)a->io.alpha[k] : 1.0;
    return m_div64(alpha, regression_divisor(a, k));
}

// Writes a gradient, a bad label counted, and returns what the entry adds: zeros when it is not valid.
MERIT_HD static inline merit_regression_entry regression_visit(const merit_score_regression_args *a,
                                                               int64_t p, int64_t k, double scale)
{
    merit_regression_entry e;
    e.loss = e.slope = 0.0;
    float gradient = 0.0f;
    if (regression_is_valid(a, p, k)) {
        e = regression_entry(a, p, k);
        gradient = regression_gradient(scale, e.slope);
        const float y = a->io.labels[p * a->d.label_stride + k];
        m_count(a->io.diagnostics, MERIT_COUNTER_BAD_TARGET,
                (uint64_t)regression_is_bad_target(a->d.link, y));
    }
    if (a->io.grad_scores != NULL) a->io.grad_scores[p * a->d.grad_stride + k] = gradient;
    return e;
}

// Head k from its sums over all tiles; returns what it adds to the loss.
MERIT_HD static inline double regression_finish_head(const merit_score_regression_args *a,
                                                     int64_t k)
{
    merit_tile_sum loss;
    merit_tile_sum square;
    loss.count = 0;
    square.count = 0;
    for (int64_t tile = 0; tile < a->num_tiles; tile++) {
        const double *const sums = a->sums + (tile * a->d.num_heads + k) * 2;
        if (a->io.loss_tiles != NULL) {
            a->io.loss_tiles[tile * a->d.num_heads + k] = m_canonical64(m_add64(sums[0], 0.0));
        }
        merit_tile_sum_push(&loss, sums[0]);
        merit_tile_sum_push(&square, sums[1]);
    }
    const double sum = m_add64(merit_tile_sum_finish(&loss), 0.0);
    const double count = (double)a->counts[k];
    if (a->io.head_count != NULL) a->io.head_count[k] = (int64_t)a->counts[k];
    if (a->io.head_loss != NULL) {
        a->io.head_loss[k] = a->counts[k] == 0 ? 0.0 : m_canonical64(m_div64(sum, count));
    }
    if (a->io.grad_norm_sq != NULL) {
        a->io.grad_norm_sq[k] = m_canonical64(m_add64(merit_tile_sum_finish(&square), 0.0));
    }
    return a->counts[k] == 0 ? 0.0 : m_mul64(regression_scale(a, k), sum);
}

// All heads, by one thread.
MERIT_HD static inline void regression_finish(const merit_score_regression_args *a)
{
    double loss = 0.0;
    uint64_t entries = 0;
    for (int32_t k = 0; k < a->d.num_heads; k++) {
        loss = m_add64(loss, regression_finish_head(a, k));
        entries += a->counts[k];
    }
    if (a->io.loss != NULL) a->io.loss[0] = m_canonical64(loss);
    m_count(a->io.diagnostics, MERIT_COUNTER_EMPTY_STATISTICS, entries == 0);
}

#endif
