// policy_loss: a sequence from its first count to its terms, and the results of a call.
#ifndef MERIT_POLICY_LOSS_SEQUENCE_H
#define MERIT_POLICY_LOSS_SEQUENCE_H

#include "policy_loss_token.h"

// What sweeps over a sequence add up before the main one.
typedef enum merit_policy_before {
    MERIT_POLICY_BEFORE_LOG_RATIO,
    MERIT_POLICY_BEFORE_MISMATCH,
    MERIT_POLICY_BEFORE_REJECT,
    MERIT_POLICY_BEFORE_ADVANTAGE, // GEOMETRIC with advantages per token
    MERIT_POLICY_BEFORE_BOUNDED, // GEOMETRIC: u
    MERIT_POLICY_BEFORE_KINDS
} merit_policy_before;

MERIT_HD static inline int merit_policy_is_sequence_level(int32_t level)
{
    return level == MERIT_POLICY_LEVEL_SEQUENCE_MEAN || level == MERIT_POLICY_LEVEL_SEQUENCE_SUM;
}

MERIT_HD static inline int merit_policy_needs_before(const merit_policy_loss_args *a, int kind)
{
    switch (kind) {
    case MERIT_POLICY_BEFORE_LOG_RATIO: return merit_policy_is_sequence_level(a->d.ratio_level);
    case MERIT_POLICY_BEFORE_MISMATCH: return merit_policy_is_sequence_level(a->d.mismatch_level);
    case MERIT_POLICY_BEFORE_REJECT: return merit_policy_is_sequence_level(a->d.reject_level);
    case MERIT_POLICY_BEFORE_ADVANTAGE:
        return a->is_geometric && a->d.advantage_level == MERIT_POLICY_ADVANTAGE_TOKEN;
    default: return a->is_geometric;
    }
}

// Gradients go through the ratio of the sequence.
MERIT_HD static inline int merit_policy_ratio_through(const merit_policy_loss_args *a)
{
    return merit_policy_is_sequence_level(a->d.ratio_level) &&
           a->d.ratio_gradient == MERIT_POLICY_RATIO_GRADIENT_THROUGH;
}

MERIT_HD static inline int merit_policy_is_valid(const merit_policy_loss_args *a, int64_t token)
{
    return a->io.mask == NULL || a->io.mask[token] != 0;
}

MERIT_HD static inline float merit_policy_old(const merit_policy_loss_args *a, int64_t token)
{
    return a->reads_old ? a->io.old[token] : a->io.logprob[token];
}

// The log of the mismatch of a token.
MERIT_HD static inline float merit_policy_gap(const merit_policy_loss_desc *d, float lp, float old,
                                              float rollout)
{
    const int current = d->mismatch_numerator == MERIT_POLICY_NUMERATOR_CURRENT;
    return m_sub(current ? lp : old, rollout);
}

// The log of the statistic that rejects a token.
MERIT_HD static inline float merit_policy_reject_log(const merit_policy_loss_desc *d, float lp,
                                                     float old, float rollout)
{
    const int current = d->reject_source == MERIT_POLICY_REJECT_SOURCE_CURRENT_OLD;
    return m_sub(current ? lp : old, current ? old : rollout);
}

// The term of a valid token.
MERIT_HD static inline double merit_policy_before_term(const merit_policy_loss_desc *d,
                                                       const merit_policy_sequence *s, int kind,
                                                       float lp, float old, float rollout,
                                                       float advantage)
{
    switch (kind) {
    case MERIT_POLICY_BEFORE_LOG_RATIO: return (double)m_sub(lp, old);
    case MERIT_POLICY_BEFORE_MISMATCH: return (double)merit_policy_gap(d, lp, old, rollout);
    case MERIT_POLICY_BEFORE_REJECT: return (double)merit_policy_reject_log(d, lp, old, rollout);
    case MERIT_POLICY_BEFORE_ADVANTAGE: return (double)advantage;
    default: return (double)merit_policy_bounded(s, m_sub(lp, old));
    }
}

// Sequences ---------------------------------------------------------------------------------------

MERIT_HD static inline merit_policy_sequence merit_policy_begin(const merit_policy_loss_args *a,
                                                                int64_t n)
{
    const int by_token = a->d.advantage_level == MERIT_POLICY_ADVANTAGE_TOKEN;
    merit_policy_sequence s;
    s.span = merit_policy_span_of(&a->layout, n);
    s.valid = 0;
    s.denominator = a->d.denominator == 0.0 ? a->io.denominator[0] : a->d.denominator;
    s.is_dead = s.denominator == 0.0;
    s.weight = a->io.sequence_weight == NULL ? 1.0 : (double)a->io.sequence_weight[n];
    s.is_absent = s.weight == 0.0;
    s.scale = m_div64(s.weight, s.denominator);
    s.scale32 = m_round32(s.scale);
    s.advantage = by_token ? 0.0f : a->io.advantages[n];
    s.log_ratio = 0.0f;
    s.mismatch = 0.0f;
    s.reject = 0.0f;
    s.geometric = 0.0f;
    s.slope = 0.0;
    for (int k = 0; k < 2; k++) {
        s.log_low[k] = a->is_geometric ? m_log(a->low[k]) : 0.0f;
        s.log_high[k] = a->is_geometric ? m_log(a->high[k]) : 0.0f;
    }
    return s;
}

// Once s->valid is there.
MERIT_HD static inline void merit_policy_counted(const merit_policy_loss_args *a,
                                                 merit_policy_sequence *s)
{
    if (a->d.aggregation != MERIT_POLICY_AGGREGATION_SEQUENCE || s->valid == 0) return;
    s->scale = m_div64(s->weight, m_mul64((double)s->valid, s->denominator));
    s->scale32 = m_round32(s->scale);
}

MERIT_HD static inline float merit_policy_level_of(const merit_policy_sequence *s, int32_t level,
                                                   double sum)
{
    const double valid = (double)s->valid;
    return m_round32(level == MERIT_POLICY_LEVEL_SEQUENCE_MEAN ? m_div64(sum, valid) : sum);
}

// Takes a sum of an earlier sweep.
MERIT_HD static inline void merit_policy_take(const merit_policy_loss_args *a,
                                              merit_policy_sequence *s, int kind, double sum)
{
    const double valid = (double)s->valid;
    switch (kind) {
    case MERIT_POLICY_BEFORE_LOG_RATIO:
        s->log_ratio = merit_policy_level_of(s, a->d.ratio_level, sum);
        break;
    case MERIT_POLICY_BEFORE_MISMATCH:
        s->mismatch = merit_policy_level_of(s, a->d.mismatch_level, sum);
        break;
    case MERIT_POLICY_BEFORE_REJECT:
        s->reject = merit_policy_level_of(s, a->d.reject_level, sum);
        break;
    case MERIT_POLICY_BEFORE_ADVANTAGE: s->advantage = m_round32(m_div64(sum, valid)); break;
    default: {
        const float mean = m_exp(m_round32(m_div64(sum, valid)));
        s->geometric =
            s->advantage == 0.0f ? merit_policy_nothing(mean) : m_mul(-s->advantage, mean);
        break;
    }
    }
}

// slope: sum over the tokens of what goes through the ratio.
MERIT_HD static inline void merit_policy_take_slope(const merit_policy_loss_args *a,
                                                    merit_policy_sequence *s, double slope)
{
    const int is_sum = a->d.ratio_level == MERIT_POLICY_LEVEL_SEQUENCE_SUM;
    const double all = m_mul64(s->scale, slope);
    s->slope = is_sum ? all : m_div64(all, (double)s->valid);
    if (s->is_absent) s->slope = 0.0;
}

// Tokens ------------------------------------------------------------------------------------------

MERIT_HD static inline double merit_policy_token_loss(const merit_policy_loss_args *a,
                                                      double policy, double kl, double entropy)
{
    const double with_kl = m_add64(policy, m_mul64((double)a->d.kl_coef, kl));
    return m_sub64(with_kl, m_mul64((double)a->d.entropy_coef, entropy));
}

// The gradient wrt lp; shared: through the ratio of the sequence, where it passes. c, k: 0 leaves a term
// out.
MERIT_HD static inline float merit_policy_gradient(const merit_policy_loss_args *a,
                                                   const merit_policy_sequence *s, float c, float k,
                                                   float slope, float kl_slope, float shared)
{
    const float policy = m_mul(m_mul(c, s->scale32), slope);
    const float kl = m_mul(m_mul(m_mul(a->d.kl_coef, k), s->scale32), kl_slope);
    const float own = c == 0.0f ? 0.0f : policy;
    const float pull = (k == 0.0f) | (a->d.kl_coef == 0.0f) ? 0.0f : kl;
    return m_canonical32(m_add(m_add(own, pull), shared));
}

// Whether the gradient of a token's own surrogate goes through the whole sequence.
MERIT_HD static inline int merit_policy_token_through(const merit_policy_loss_args *a, int is_alt)
{
    return merit_policy_ratio_through(a) || (a->is_geometric && !is_alt);
}

// Whether what the sequence shares reaches a token: GEOMETRIC stops it where u is a bound.
MERIT_HD static inline int merit_policy_passes(const merit_policy_loss_args *a,
                                               const merit_policy_sequence *s, float log_ratio)
{
    return !a->is_geometric | (merit_policy_bounded(s, log_ratio) == log_ratio) |
           (log_ratio != log_ratio);
}

// Results -----------------------------------------------------------------------------------------

// The terms of a sequence from its sums over tokens (of the statistics where there are any).
MERIT_HD static inline void merit_policy_write_terms(const merit_policy_loss_args *a,
                                                     const merit_policy_sequence *s, int64_t n,
                                                     const double *cells)
{
    const merit_policy_terms *const t = &a->terms;
    double terms[MERIT_POLICY_LOSS_SUMS];
    const double scale = s->is_absent ? 0.0 : s->scale;
    const double kl = m_mul64(scale, (double)a->d.kl_coef);
    const double entropy = m_mul64(scale, -(double)a->d.entropy_coef);
    const double policy = cells[MERIT_POLICY_CELL_POLICY];
    const int none = s->is_absent || s->is_dead || s->valid == 0;
    terms[MERIT_POLICY_LOSS_SUM_POLICY] = none ? 0.0 : m_mul64(scale, policy);
    terms[MERIT_POLICY_LOSS_SUM_KL] =
        none || a->d.kl_coef == 0.0f ? 0.0 : m_mul64(kl, cells[MERIT_POLICY_CELL_KL]);
    terms[MERIT_POLICY_LOSS_SUM_ENTROPY] = none || a->d.entropy_coef == 0.0f
                                               ? 0.0
                                               : m_mul64(entropy, cells[MERIT_POLICY_CELL_ENTROPY]);
    terms[MERIT_POLICY_LOSS_SUM_LOSS] =
        m_add64(m_add64(terms[MERIT_POLICY_LOSS_SUM_POLICY], terms[MERIT_POLICY_LOSS_SUM_KL]),
                terms[MERIT_POLICY_LOSS_SUM_ENTROPY]);
    for (int k = MERIT_POLICY_LOSS_SUM_RATIO; k < t->num_sums; k++) {
        terms[k] = cells[k - MERIT_POLICY_LOSS_SUM_RATIO + MERIT_POLICY_CELL_RATIO];
    }
    for (int k = 0; k < t->num_sums; k++) {
        t->sums[k * t->count + n] = m_add64(terms[k], 0.0);
    }
}

MERIT_HD static inline void merit_policy_write_totals(const merit_policy_loss_args *a,
                                                      const double *sums,
                                                      const merit_policy_tally *tally)
{
    merit_policy_stats *const out = a->io.stats;
    if (a->io.loss != NULL) {
        *a->io.loss = m_canonical64(m_add64(sums[MERIT_POLICY_LOSS_SUM_LOSS], 0.0));
    }
    if (out == NULL) return;
    const uint64_t *const counts = tally->counts;
    merit_policy_stats r;
    r.tokens = (int64_t)counts[MERIT_POLICY_COUNT_TOKENS];
    r.sequences = a->layout.groups.num_groups;
    r.nonempty_sequences = (int64_t)counts[MERIT_POLICY_COUNT_NONEMPTY];
    r.clipped_low = (int64_t)counts[MERIT_POLICY_COUNT_CLIPPED_LOW];
    r.clipped_high = (int64_t)counts[MERIT_POLICY_COUNT_CLIPPED_HIGH];
    r.capped = (int64_t)counts[MERIT_POLICY_COUNT_CAPPED];
    r.dual_clipped = (int64_t)counts[MERIT_POLICY_COUNT_DUAL_CLIPPED];
    r.log_clamped = (int64_t)counts[MERIT_POLICY_COUNT_LOG_CLAMPED];
    r.divergence_masked = (int64_t)counts[MERIT_POLICY_COUNT_DIVERGENCE_MASKED];
    r.mismatch_truncated = (int64_t)counts[MERIT_POLICY_COUNT_TRUNCATED];
    r.mismatch_masked = (int64_t)counts[MERIT_POLICY_COUNT_MASKED];
    r.rejected_tokens = (int64_t)counts[MERIT_POLICY_COUNT_REJECTED];
    r.rejected_sequences = (int64_t)counts[MERIT_POLICY_COUNT_REJECTED_SEQUENCES];
    r.nan_tokens = (int64_t)counts[MERIT_POLICY_COUNT_NAN];
    r.policy_loss = m_canonical64(m_add64(sums[MERIT_POLICY_LOSS_SUM_POLICY], 0.0));
    r.kl_loss = m_canonical64(m_add64(sums[MERIT_POLICY_LOSS_SUM_KL], 0.0));
    r.entropy_loss = m_canonical64(m_add64(sums[MERIT_POLICY_LOSS_SUM_ENTROPY], 0.0));
    r.sum_ratio = m_canonical64(sums[MERIT_POLICY_LOSS_SUM_RATIO]);
    r.sum_ratio_squared = m_canonical64(sums[MERIT_POLICY_LOSS_SUM_RATIO_SQUARED]);
    r.sum_k1 = m_canonical64(m_add64(sums[MERIT_POLICY_LOSS_SUM_K1], 0.0));
    r.sum_k3 = m_canonical64(sums[MERIT_POLICY_LOSS_SUM_K3]);
    r.sum_kl_ref = m_canonical64(m_add64(sums[MERIT_POLICY_LOSS_SUM_KL_REF], 0.0));
    r.sum_entropy = m_canonical64(m_add64(sums[MERIT_POLICY_LOSS_SUM_ENTROPY_SEEN], 0.0));
    r.sum_mismatch = m_canonical64(sums[MERIT_POLICY_LOSS_SUM_MISMATCH]);
    r.sum_abs_logprob_gap = m_canonical64(sums[MERIT_POLICY_LOSS_SUM_GAP]);
    r.ratio_min = merit_policy_low_of(tally->extremes[MERIT_POLICY_EXTREME_RATIO_MIN]);
    r.ratio_max = merit_policy_high_of(tally->extremes[MERIT_POLICY_EXTREME_RATIO_MAX]);
    r.mismatch_min = merit_policy_low_of(tally->extremes[MERIT_POLICY_EXTREME_MISMATCH_MIN]);
    r.mismatch_max = merit_policy_high_of(tally->extremes[MERIT_POLICY_EXTREME_MISMATCH_MAX]);
    *out = r;
}

#endif
