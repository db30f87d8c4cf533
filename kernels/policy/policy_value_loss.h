// policy_value_loss: arguments and formulas, for both backends.
#ifndef MERIT_POLICY_VALUE_LOSS_H
#define MERIT_POLICY_VALUE_LOSS_H

#include <merit/policy_loss.h>

#include "policy_sequences.h"
#include "policy_terms.h"

// Sums over tokens, and after the first is scaled over sequences.
enum {
    MERIT_POLICY_VALUE_SUM_LOSS = MERIT_POLICY_SUM_LOSS,
    MERIT_POLICY_VALUE_SUM_VALUE,
    MERIT_POLICY_VALUE_SUM_SQUARED_ERROR,
    MERIT_POLICY_VALUE_SUM_RETURN,
    MERIT_POLICY_VALUE_SUM_RETURN_SQUARED,
    MERIT_POLICY_VALUE_SUMS
};

enum {
    MERIT_POLICY_VALUE_COUNT_TOKENS = 0,
    MERIT_POLICY_VALUE_COUNT_CLIPPED,
    MERIT_POLICY_VALUE_COUNTS
};

typedef struct merit_policy_value_loss_args {
    merit_policy_value_loss_desc d;
    merit_policy_value_loss_io io;
    merit_policy_layout layout;
    merit_policy_terms terms; // one per sequence
} merit_policy_value_loss_args;

// A sequence's a_t; valid 0: nothing of it counts.
typedef struct merit_policy_value_scale {
    double scale; // a_t scale
    float scale32;
    int64_t valid;
} merit_policy_value_scale;

typedef struct merit_policy_value_token {
    float loss; // the larger h
    float slope; // its derivative, 0 where clipped
    float error; // v - R
    int32_t clipped;
} merit_policy_value_token;

MERIT_HD static inline int merit_policy_value_counts_first(const merit_policy_value_loss_args *a)
{
    return a->d.aggregation == MERIT_POLICY_AGGREGATION_SEQUENCE;
}

// valid: n_i where it is needed, else any number but 0.
MERIT_HD static inline merit_policy_value_scale
merit_policy_value_scale_of(const merit_policy_value_loss_args *a, int64_t valid)
{
    const double D = a->d.denominator == 0.0 ? a->io.denominator[0] : a->d.denominator;
    const int by_sequence = a->d.aggregation == MERIT_POLICY_AGGREGATION_SEQUENCE;
    merit_policy_value_scale s;
    s.valid = D == 0.0 ? 0 : valid;
    const double divisor = by_sequence ? m_mul64((double)valid, D) : D;
    s.scale = m_mul64((double)a->d.scale, m_div64(1.0, divisor));
    s.scale32 = m_round32(s.scale);
    return s;
}

MERIT_HD static inline float merit_policy_value_h(float u, float delta, int huber)
{
    const float size = m_abs32(u);
    const float square = m_mul(u, u);
    const float near = m_mul(0.5f, square);
    const float far = m_mul(delta, m_sub(size, m_mul(0.5f, delta)));
    const float bent = size > delta ? far : near; // NaN: near
    return huber ? bent : square;
}

MERIT_HD static inline float merit_policy_value_slope(float u, float delta, int huber)
{
    const float limit = u > delta ? delta : u;
    const float bent = limit < -delta ? -delta : limit;
    return huber ? bent : m_add(u, u);
}

// Of a valid token. clip 0: old is not looked at.
MERIT_HD static inline merit_policy_value_token
merit_policy_value_token_of(float clip, float delta, int huber, float v, float old, float R)
{
    merit_policy_value_token t;
    t.error = m_sub(v, R);
    const float first = merit_policy_value_h(t.error, delta, huber);
    const float slope = merit_policy_value_slope(t.error, delta, huber);
    const float low = m_sub(old, clip);
    const float high = m_add(old, clip);
    const float raised = v < low ? low : v;
    const float near = raised > high ? high : raised;
    const float second = merit_policy_value_h(m_sub(near, R), delta, huber);
    const float lost = old == old ? 0.0f : old; // NaN, that comparisons hide
    const int clipped = second > first;
    const float larger = clipped ? second : first;
    const float passed = clipped ? 0.0f : slope;
    t.clipped = clip > 0.0f ? clipped : 0;
    t.loss = clip > 0.0f ? m_add(larger, lost) : first;
    t.slope = clip > 0.0f ? m_add(passed, lost) : slope;
    return t;
}

MERIT_HD static inline float merit_policy_value_gradient(const merit_policy_value_scale *s,
                                                         float slope)
{
    return m_canonical32(m_add(m_mul(s->scale32, slope), 0.0f));
}

MERIT_HD static inline void merit_policy_value_write_terms(const merit_policy_value_loss_args *a,
                                                           const merit_policy_value_scale *s,
                                                           int64_t n, const double *sums)
{
    const merit_policy_terms *const t = &a->terms;
    for (int k = 0; k < t->num_sums; k++) {
        double term = sums[k];
        if (k == MERIT_POLICY_VALUE_SUM_LOSS) term = s->valid == 0 ? 0.0 : m_mul64(s->scale, term);
        t->sums[k * t->count + n] = m_add64(term, 0.0);
    }
}

MERIT_HD static inline void merit_policy_value_write_totals(const merit_policy_value_loss_args *a,
                                                            const double *sums,
                                                            const merit_policy_tally *tally)
{
    merit_policy_value_stats *const out = a->io.stats;
    if (a->io.loss != NULL) *a->io.loss = m_canonical64(sums[MERIT_POLICY_VALUE_SUM_LOSS]);
    if (out == NULL) return;
    merit_policy_value_stats r;
    r.tokens = (int64_t)tally->counts[MERIT_POLICY_VALUE_COUNT_TOKENS];
    r.clipped = (int64_t)tally->counts[MERIT_POLICY_VALUE_COUNT_CLIPPED];
    r.sum_value = m_canonical64(m_add64(sums[MERIT_POLICY_VALUE_SUM_VALUE], 0.0));
    r.sum_squared_error = m_canonical64(sums[MERIT_POLICY_VALUE_SUM_SQUARED_ERROR]);
    r.sum_return = m_canonical64(m_add64(sums[MERIT_POLICY_VALUE_SUM_RETURN], 0.0));
    r.sum_return_squared = m_canonical64(sums[MERIT_POLICY_VALUE_SUM_RETURN_SQUARED]);
    *out = r;
}

#endif
