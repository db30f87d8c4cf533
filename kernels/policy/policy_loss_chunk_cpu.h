// policy_loss, CPU: the steps of up to 128 tokens, each a loop that the compiler turns into vectors. A
// token's operations form one long chain; in steps, many tokens are worked on at once.
#ifndef MERIT_POLICY_LOSS_CHUNK_CPU_H
#define MERIT_POLICY_LOSS_CHUNK_CPU_H

#include "policy_loss_sequence.h"

enum { POLICY_CHUNK = 128 };

typedef struct policy_surrogate_values {
    float loss[POLICY_CHUNK], slope[POLICY_CHUNK], ratio_slope[POLICY_CHUNK];
} policy_surrogate_values;

typedef struct policy_chunk {
    int64_t start; // token
    int count;
    int32_t valid[POLICY_CHUNK];
    int32_t is_alt[POLICY_CHUNK];
    float lp[POLICY_CHUNK], old[POLICY_CHUNK], advantage[POLICY_CHUNK];
    float log_ratio[POLICY_CHUNK]; // of the token
    float shared_log[POLICY_CHUNK]; // rho: of the token or the sequence
    float ratio[POLICY_CHUNK];
    int32_t inside[POLICY_CHUNK];
    float rollout[POLICY_CHUNK], gap[POLICY_CHUNK], mismatch[POLICY_CHUNK]; // W
    float c[POLICY_CHUNK], k[POLICY_CHUNK];
    int32_t kept[POLICY_CHUNK], within[POLICY_CHUNK];
    policy_surrogate_values surrogate;
    float kl_seen[POLICY_CHUNK], kl_loss[POLICY_CHUNK], kl_slope[POLICY_CHUNK];
    float kl_ratio_slope[POLICY_CHUNK], kl_both[POLICY_CHUNK];
    int32_t kl_stops[POLICY_CHUNK];
    float entropy[POLICY_CHUNK];
    float policy_part[POLICY_CHUNK], kl_part[POLICY_CHUNK], entropy_part[POLICY_CHUNK]; // or 0
} policy_chunk;

static void policy_load(const policy_chunk *p, const float *array, float absent, float *restrict to)
{
    if (array == NULL) {
        for (int j = 0; j < p->count; j++) {
            to[j] = absent;
        }
        return;
    }
    const float *const from = array + p->start;
    for (int j = 0; j < p->count; j++) {
        const float value = from[j]; // whatever a masked token holds
        to[j] = p->valid[j] ? value : absent;
    }
}

static void policy_read(const merit_policy_loss_args *restrict a,
                        const merit_policy_sequence *restrict s, policy_chunk *restrict p)
{
    const uint8_t *const mask = a->io.mask;
    const int dead = s->is_dead;
    for (int j = 0; j < p->count; j++) {
        p->valid[j] = !dead;
    }
    if (mask != NULL && !dead)
        for (int j = 0; j < p->count; j++) {
            p->valid[j] = mask[p->start + j] != 0;
        }
    for (int j = 0; j < p->count; j++) {
        p->is_alt[j] = 0;
    }
    if (a->io.token_mode != NULL) {
        for (int j = 0; j < p->count; j++) {
            p->is_alt[j] = (a->io.token_mode[p->start + j] == 1) & p->valid[j];
        }
    }
    policy_load(p, a->io.logprob, 0.0f, p->lp);
    policy_load(p, a->reads_old ? a->io.old : a->io.logprob, 0.0f, p->old);
    if (a->d.advantage_level == MERIT_POLICY_ADVANTAGE_TOKEN) {
        policy_load(p, a->io.advantages, 0.0f, p->advantage);
    } else {
        for (int j = 0; j < p->count; j++) {
            p->advantage[j] = s->advantage;
        }
    }
    policy_load(p, a->reads_rollout ? a->io.rollout : NULL, 0.0f, p->rollout);
    policy_load(p, a->reads_entropy ? a->io.entropy : NULL, 0.0f, p->entropy);
    for (int j = 0; j < p->count; j++) {
        p->log_ratio[j] = m_sub(p->lp[j], p->old[j]);
    }
}

static void policy_ratio(const merit_policy_loss_args *restrict a,
                         const merit_policy_sequence *restrict s, policy_chunk *restrict p)
{
    if (merit_policy_is_sequence_level(a->d.ratio_level)) {
        const merit_policy_ratio r = merit_policy_ratio_of(a, s->log_ratio);
        for (int j = 0; j < p->count; j++) {
            p->shared_log[j] = s->log_ratio;
            p->ratio[j] = r.value;
            p->inside[j] = r.inside;
        }
        return;
    }
    const float low = a->d.log_ratio_min;
    const float high = a->d.log_ratio_max;
    for (int j = 0; j < p->count; j++) {
        const float log_ratio = p->log_ratio[j];
        p->shared_log[j] = log_ratio;
        p->ratio[j] = merit_policy_clamp(log_ratio, low, high);
        p->inside[j] = !(log_ratio < low) & !(log_ratio > high);
    }
    for (int j = 0; j < p->count; j++) {
        p->ratio[j] = m_exp(p->ratio[j]);
    }
}

// With the rule as a constant the loop vectorizes.
__attribute__((always_inline)) static inline void
policy_mismatch_weights_as(const merit_policy_loss_args *restrict a, int32_t rule,
                           policy_chunk *restrict p)
{
    const float low = a->d.mismatch_low;
    const float high = a->d.mismatch_high;
    for (int j = 0; j < p->count; j++) {
        p->c[j] = merit_policy_mismatch_weight(rule, low, high, p->mismatch[j]);
    }
}

static void policy_mismatch_weights(const merit_policy_loss_args *a, policy_chunk *p)
{
    switch (a->d.mismatch_rule) {
    case MERIT_POLICY_MISMATCH_RULE_MASK:
        policy_mismatch_weights_as(a, MERIT_POLICY_MISMATCH_RULE_MASK, p);
        break;
    case MERIT_POLICY_MISMATCH_RULE_NONE:
        policy_mismatch_weights_as(a, MERIT_POLICY_MISMATCH_RULE_NONE, p);
        break;
    default: policy_mismatch_weights_as(a, MERIT_POLICY_MISMATCH_RULE_TRUNCATE, p); break;
    }
}

// The log of the importance of each token: num - rollout, or lp - old.
static void policy_differences(const float *restrict a, const float *restrict b, int count,
                               float *restrict to)
{
    for (int j = 0; j < count; j++) {
        to[j] = m_sub(a[j], b[j]);
    }
}

// w keep, then c and k.
static void policy_mismatch(const merit_policy_loss_args *restrict a,
                            const merit_policy_sequence *restrict s, policy_chunk *restrict p)
{
    if (a->reads_rollout) {
        const int current = a->d.mismatch_numerator == MERIT_POLICY_NUMERATOR_CURRENT;
        policy_differences(current ? p->lp : p->old, p->rollout, p->count, p->gap);
    }
    if (a->d.mismatch_level == MERIT_POLICY_LEVEL_NONE) {
        for (int j = 0; j < p->count; j++) {
            p->c[j] = 1.0f;
        }
    } else if (a->d.mismatch_level == MERIT_POLICY_LEVEL_TOKEN) {
        for (int j = 0; j < p->count; j++) {
            p->mismatch[j] = merit_policy_importance(p->gap[j]);
        }
        policy_mismatch_weights(a, p);
    } else {
        const float w = merit_policy_importance(s->mismatch);
        const float weight = merit_policy_mismatch_weight(a->d.mismatch_rule, a->d.mismatch_low,
                                                          a->d.mismatch_high, w);
        for (int j = 0; j < p->count; j++) {
            p->mismatch[j] = w;
            p->c[j] = weight;
        }
    }
    for (int j = 0; j < p->count; j++) {
        p->kept[j] = 1;
    }
    if (a->d.reject_level == MERIT_POLICY_LEVEL_TOKEN) {
        const int current = a->d.reject_source == MERIT_POLICY_REJECT_SOURCE_CURRENT_OLD;
        float weights[POLICY_CHUNK];
        policy_differences(current ? p->lp : p->old, current ? p->old : p->rollout, p->count,
                           weights);
        for (int j = 0; j < p->count; j++) {
            weights[j] = merit_policy_importance(weights[j]);
        }
        const float low = a->d.reject_low;
        const float high = a->d.reject_high;
        const int32_t any = a->d.reject_when == MERIT_POLICY_REJECT_WHEN_ANY;
        for (int j = 0; j < p->count; j++) {
            const int32_t outside = (weights[j] < low) | (weights[j] > high);
            const int32_t negative = p->advantage[j] < 0.0f;
            p->kept[j] = (outside & (any | negative)) == 0;
        }
    } else if (a->d.reject_level != MERIT_POLICY_LEVEL_NONE) {
        const float w = merit_policy_importance(s->reject);
        const int32_t positive = merit_policy_kept(a, w, 1.0f);
        const int32_t negative = merit_policy_kept(a, w, -1.0f);
        for (int j = 0; j < p->count; j++) {
            p->kept[j] = p->advantage[j] < 0.0f ? negative : positive;
        }
    }
    for (int j = 0; j < p->count; j++) {
        p->c[j] = p->kept[j] ? p->c[j] : 0.0f;
    }
}

static void policy_divergence(const merit_policy_loss_args *restrict a, policy_chunk *restrict p)
{
    const float *const anchor =
        a->d.divergence_anchor == MERIT_POLICY_ANCHOR_ROLLOUT ? p->rollout : p->old;
    for (int j = 0; j < p->count; j++) {
        p->within[j] = 1;
    }
    if (a->d.divergence == MERIT_POLICY_DIVERGENCE_TV) {
        for (int j = 0; j < p->count; j++) {
            p->within[j] = merit_policy_within_tv(a, p->lp[j], anchor[j], p->advantage[j]);
        }
    } else if (a->d.divergence == MERIT_POLICY_DIVERGENCE_KL) {
        for (int j = 0; j < p->count; j++) {
            p->within[j] = merit_policy_within_kl(a, p->lp[j], anchor[j], p->advantage[j]);
        }
    }
}

static void policy_weights(const merit_policy_loss_args *restrict a,
                           const merit_policy_sequence *restrict s, policy_chunk *restrict p)
{
    const int all = a->d.correction_scope == MERIT_POLICY_SCOPE_ALL;
    const int absent = s->is_absent;
    policy_mismatch(a, s, p);
    policy_divergence(a, p);
    for (int j = 0; j < p->count; j++) {
        const float k = all ? p->c[j] : 1.0f;
        p->k[j] = p->valid[j] & !absent ? k : 0.0f;
    }
    if (a->io.token_weight != NULL) {
        float weight[POLICY_CHUNK];
        policy_load(p, a->io.token_weight, 0.0f, weight);
        for (int j = 0; j < p->count; j++) {
            const int none = (p->c[j] == 0.0f) | (weight[j] == 0.0f);
            const float product = m_mul(weight[j], p->c[j]);
            p->c[j] = none ? 0.0f : product;
        }
    }
    for (int j = 0; j < p->count; j++) {
        p->c[j] = p->valid[j] & p->within[j] & !absent ? p->c[j] : 0.0f;
    }
}

// Bounds of r.
static void policy_bounds(const merit_policy_loss_args *restrict a, const policy_chunk *restrict p,
                          int alt, float *restrict low, float *restrict high)
{
    const float positive_low = merit_policy_low(a, 1.0f, alt);
    const float positive_high = merit_policy_high(a, 1.0f, alt);
    const float negative_low = merit_policy_low(a, -1.0f, alt);
    const float negative_high = merit_policy_high(a, -1.0f, alt);
    for (int j = 0; j < p->count; j++) {
        low[j] = p->advantage[j] < 0.0f ? negative_low : positive_low;
        high[j] = p->advantage[j] < 0.0f ? negative_high : positive_high;
    }
}

// With the kind as a constant the loop vectorizes.
__attribute__((always_inline)) static inline void
policy_surrogate_as(const merit_policy_loss_args *restrict a,
                    const merit_policy_sequence *restrict s, const policy_chunk *restrict p,
                    int32_t kind, int alt, policy_surrogate_values *restrict to)
{
    const float geometric = s->geometric;
    float low[POLICY_CHUNK], high[POLICY_CHUNK];
    policy_bounds(a, p, alt, low, high);
    for (int j = 0; j < p->count; j++) {
        const merit_policy_ratio r = {p->ratio[j], p->inside[j]};
        const merit_policy_surrogate_value v = merit_policy_surrogate_of(
            a, kind, geometric, p->advantage[j], r, p->shared_log[j], p->lp[j], low[j], high[j]);
        to->loss[j] = v.loss;
        to->slope[j] = v.slope;
        to->ratio_slope[j] = v.ratio_slope;
    }
}

static void policy_surrogate(const merit_policy_loss_args *restrict a,
                             const merit_policy_sequence *restrict s,
                             const policy_chunk *restrict p, int32_t kind, int alt,
                             policy_surrogate_values *restrict to)
{
    switch (kind) {
    case MERIT_POLICY_SURROGATE_DETACHED:
        policy_surrogate_as(a, s, p, MERIT_POLICY_SURROGATE_DETACHED, alt, to);
        break;
    case MERIT_POLICY_SURROGATE_GATE:
        policy_surrogate_as(a, s, p, MERIT_POLICY_SURROGATE_GATE, alt, to);
        break;
    case MERIT_POLICY_SURROGATE_GEOMETRIC:
        policy_surrogate_as(a, s, p, MERIT_POLICY_SURROGATE_GEOMETRIC, alt, to);
        break;
    case MERIT_POLICY_SURROGATE_QUADRATIC:
        policy_surrogate_as(a, s, p, MERIT_POLICY_SURROGATE_QUADRATIC, alt, to);
        break;
    case MERIT_POLICY_SURROGATE_RESHAPE:
        policy_surrogate_as(a, s, p, MERIT_POLICY_SURROGATE_RESHAPE, alt, to);
        break;
    default: policy_surrogate_as(a, s, p, MERIT_POLICY_SURROGATE_CLIP, alt, to); break;
    }
}

static void policy_surrogates(const merit_policy_loss_args *restrict a,
                              const merit_policy_sequence *restrict s, policy_chunk *restrict p)
{
    policy_surrogate(a, s, p, a->d.surrogate, 0, &p->surrogate);
    if (a->io.token_mode == NULL) return;
    policy_surrogate_values other;
    policy_surrogate(a, s, p, a->d.surrogate_alt, 1, &other);
    for (int j = 0; j < p->count; j++) {
        p->surrogate.loss[j] = p->is_alt[j] ? other.loss[j] : p->surrogate.loss[j];
        p->surrogate.slope[j] = p->is_alt[j] ? other.slope[j] : p->surrogate.slope[j];
        p->surrogate.ratio_slope[j] =
            p->is_alt[j] ? other.ratio_slope[j] : p->surrogate.ratio_slope[j];
    }
}

// With the kind as a constant the loops vectorize; two, because K3 takes long chains of operations.
__attribute__((always_inline)) static inline void policy_kl_as(int count, int32_t kind,
                                                               const float *restrict x,
                                                               float *restrict value,
                                                               float *restrict slope)
{
    for (int j = 0; j < count; j++) {
        value[j] = merit_policy_kl_raw(kind, x[j]);
    }
    for (int j = 0; j < count; j++) {
        slope[j] = merit_policy_kl_raw_slope(kind, x[j]);
    }
}

__attribute__((always_inline)) static inline void policy_kl_by_ratio_as(policy_chunk *restrict p,
                                                                        int through)
{
    for (int j = 0; j < p->count; j++) {
        const merit_policy_ratio r = {p->ratio[j], p->inside[j]};
        merit_policy_kl_value v = {p->kl_seen[j], p->kl_loss[j], p->kl_slope[j],
                                   0.0f,          p->kl_both[j], p->kl_stops[j]};
        v = merit_policy_kl_by_ratio(v, r, through);
        p->kl_loss[j] = v.loss;
        p->kl_slope[j] = v.slope;
        p->kl_ratio_slope[j] = v.ratio_slope;
    }
}

static void policy_kl(const merit_policy_loss_args *restrict a, policy_chunk *restrict p)
{
    const float limit = a->d.kl_input_clamp;
    float d[POLICY_CHUNK], x[POLICY_CHUNK], value[POLICY_CHUNK], slope[POLICY_CHUNK];
    policy_load(p, a->io.ref, 0.0f, d);
    for (int j = 0; j < p->count; j++) {
        d[j] = m_sub(d[j], p->lp[j]);
        x[j] = merit_policy_clamp(d[j], -limit, limit);
    }
    switch (a->d.kl) {
    case MERIT_POLICY_KL_K1: policy_kl_as(p->count, MERIT_POLICY_KL_K1, x, value, slope); break;
    case MERIT_POLICY_KL_K2: policy_kl_as(p->count, MERIT_POLICY_KL_K2, x, value, slope); break;
    case MERIT_POLICY_KL_ABS: policy_kl_as(p->count, MERIT_POLICY_KL_ABS, x, value, slope); break;
    default: policy_kl_as(p->count, MERIT_POLICY_KL_K3, x, value, slope); break;
    }
    for (int j = 0; j < p->count; j++) {
        const merit_policy_kl_value v = merit_policy_kl_of(a, d[j], x[j], value[j], slope[j]);
        p->kl_seen[j] = v.seen;
        p->kl_loss[j] = v.loss;
        p->kl_slope[j] = v.slope;
        p->kl_ratio_slope[j] = 0.0f;
        p->kl_both[j] = v.both;
        p->kl_stops[j] = v.stops;
    }
    if (a->d.kl_weight == MERIT_POLICY_KL_WEIGHT_RATIO) {
        if (merit_policy_ratio_through(a)) {
            policy_kl_by_ratio_as(p, 1);
        } else {
            policy_kl_by_ratio_as(p, 0);
        }
    }
}

// The token's parts of the loss, 0 where its weight is.
static void policy_parts(const merit_policy_loss_args *restrict a, policy_chunk *restrict p)
{
    const int has_kl = a->d.kl_coef > 0.0f;
    const int has_entropy = a->d.entropy_coef != 0.0f;
    for (int j = 0; j < p->count; j++) {
        p->policy_part[j] = p->c[j] == 0.0f ? 0.0f : p->surrogate.loss[j];
    }
    if (has_kl)
        for (int j = 0; j < p->count; j++) {
            p->kl_part[j] = p->k[j] == 0.0f ? 0.0f : p->kl_loss[j];
        }
    if (has_entropy)
        for (int j = 0; j < p->count; j++) {
            p->entropy_part[j] = p->k[j] == 0.0f ? 0.0f : p->entropy[j];
        }
}

// Everything up to the outputs.
static void policy_work_out(const merit_policy_loss_args *restrict a,
                            const merit_policy_sequence *restrict s, policy_chunk *restrict p)
{
    policy_read(a, s, p);
    policy_ratio(a, s, p);
    policy_weights(a, s, p);
    policy_surrogates(a, s, p);
    if (a->d.kl_coef > 0.0f) policy_kl(a, p);
    policy_parts(a, p);
}

#endif
