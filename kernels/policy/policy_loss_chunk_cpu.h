// policy_loss, CPU: the steps of up to 128 tokens, each a loop that the compiler turns into vectors. A
// token's operations form one long chain; in steps, many tokens are worked on at once.
#ifndef MERIT_POLICY_LOSS_CHUNK_CPU_H
#define MERIT_POLICY_LOSS_CHUNK_CPU_H

#include "policy_loss_sequence.h"

enum { POLICY_CHUNK = 128 };

typedef struct policy_chunk {
    const merit_policy_loss_args *a;
    const merit_policy_sequence *s;
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
    float loss[POLICY_CHUNK], slope[POLICY_CHUNK], ratio_slope[POLICY_CHUNK];
    float kl_seen[POLICY_CHUNK], kl_loss[POLICY_CHUNK], kl_slope[POLICY_CHUNK];
    float kl_ratio_slope[POLICY_CHUNK];
    float entropy[POLICY_CHUNK];
    float policy_part[POLICY_CHUNK], kl_part[POLICY_CHUNK], entropy_part[POLICY_CHUNK]; // or 0
    int32_t surrogate[POLICY_CHUNK];
} policy_chunk;

static void policy_load(const policy_chunk *p, const float *array, float absent, float *to)
{
    if (array == NULL) {
        for (int j = 0; j < p->count; j++) {
            to[j] = absent;
        }
        return;
    }
    const float *const from = array + p->start;
    for (int j = 0; j < p->count; j++) {
        to[j] = p->valid[j] ? from[j] : absent;
    }
}

static void policy_read(policy_chunk *restrict p)
{
    const merit_policy_loss_args *const a = p->a;
    const uint8_t *const mask = a->io.mask;
    const int dead = p->s->is_dead;
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
            p->advantage[j] = p->s->advantage;
        }
    }
    policy_load(p, a->reads_rollout ? a->io.rollout : NULL, 0.0f, p->rollout);
    policy_load(p, a->reads_entropy ? a->io.entropy : NULL, 0.0f, p->entropy);
    for (int j = 0; j < p->count; j++) {
        p->log_ratio[j] = m_sub(p->lp[j], p->old[j]);
    }
}

static void policy_ratio(policy_chunk *restrict p)
{
    const merit_policy_loss_args *const a = p->a;
    if (merit_policy_is_sequence_level(a->d.ratio_level)) {
        const merit_policy_ratio r = merit_policy_ratio_of(a, p->s->log_ratio);
        for (int j = 0; j < p->count; j++) {
            p->shared_log[j] = p->s->log_ratio;
            p->ratio[j] = r.value;
            p->inside[j] = r.inside;
        }
        return;
    }
    for (int j = 0; j < p->count; j++) {
        const merit_policy_ratio r = merit_policy_ratio_of(a, p->log_ratio[j]);
        p->shared_log[j] = p->log_ratio[j];
        p->ratio[j] = r.value;
        p->inside[j] = r.inside;
    }
}

// w keep, then c and k.
static void policy_mismatch(policy_chunk *restrict p)
{
    const merit_policy_loss_args *const a = p->a;
    if (a->reads_rollout) {
        for (int j = 0; j < p->count; j++) {
            p->gap[j] = merit_policy_gap(a, p->lp[j], p->old[j], p->rollout[j]);
        }
    }
    if (a->d.mismatch_level == MERIT_POLICY_LEVEL_NONE) {
        for (int j = 0; j < p->count; j++) {
            p->c[j] = 1.0f;
        }
    } else if (a->d.mismatch_level == MERIT_POLICY_LEVEL_TOKEN) {
        for (int j = 0; j < p->count; j++) {
            p->mismatch[j] = merit_policy_importance(p->gap[j]);
            p->c[j] = merit_policy_mismatch_weight(a, p->mismatch[j]);
        }
    } else {
        const float w = merit_policy_importance(p->s->mismatch);
        const float weight = merit_policy_mismatch_weight(a, w);
        for (int j = 0; j < p->count; j++) {
            p->mismatch[j] = w;
            p->c[j] = weight;
        }
    }
    for (int j = 0; j < p->count; j++) {
        p->kept[j] = 1;
    }
    if (a->d.reject_level == MERIT_POLICY_LEVEL_TOKEN) {
        for (int j = 0; j < p->count; j++) {
            const float m = merit_policy_reject_log(a, p->lp[j], p->old[j], p->rollout[j]);
            p->kept[j] = merit_policy_kept(a, merit_policy_importance(m), p->advantage[j]);
        }
    } else if (a->d.reject_level != MERIT_POLICY_LEVEL_NONE) {
        const float w = merit_policy_importance(p->s->reject);
        for (int j = 0; j < p->count; j++) {
            p->kept[j] = merit_policy_kept(a, w, p->advantage[j]);
        }
    }
    for (int j = 0; j < p->count; j++) {
        p->c[j] = p->kept[j] ? p->c[j] : 0.0f;
    }
}

static void policy_divergence(policy_chunk *restrict p)
{
    const merit_policy_loss_args *const a = p->a;
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

static void policy_weights(policy_chunk *restrict p)
{
    const merit_policy_loss_args *const a = p->a;
    const int all = a->d.correction_scope == MERIT_POLICY_SCOPE_ALL;
    const int absent = p->s->is_absent;
    policy_mismatch(p);
    policy_divergence(p);
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

// With the kind as a constant the loop vectorizes.
__attribute__((always_inline)) static inline void policy_surrogate_as(policy_chunk *restrict p,
                                                                      int32_t kind, int alt)
{
    const merit_policy_loss_args *const a = p->a;
    const float geometric = p->s->geometric;
    for (int j = 0; j < p->count; j++) {
        const float A = p->advantage[j];
        const merit_policy_ratio r = {p->ratio[j], p->inside[j]};
        const merit_policy_surrogate_value v =
            merit_policy_surrogate_of(a, kind, geometric, A, r, p->shared_log[j], p->lp[j],
                                      merit_policy_low(a, A, alt), merit_policy_high(a, A, alt));
        const int mine = p->is_alt[j] == alt;
        p->loss[j] = mine ? v.loss : p->loss[j];
        p->slope[j] = mine ? v.slope : p->slope[j];
        p->ratio_slope[j] = mine ? v.ratio_slope : p->ratio_slope[j];
    }
}

static void policy_surrogate(policy_chunk *restrict p, int32_t kind, int alt)
{
    switch (kind) {
    case MERIT_POLICY_SURROGATE_DETACHED:
        policy_surrogate_as(p, MERIT_POLICY_SURROGATE_DETACHED, alt);
        break;
    case MERIT_POLICY_SURROGATE_GATE:
        policy_surrogate_as(p, MERIT_POLICY_SURROGATE_GATE, alt);
        break;
    case MERIT_POLICY_SURROGATE_GEOMETRIC:
        policy_surrogate_as(p, MERIT_POLICY_SURROGATE_GEOMETRIC, alt);
        break;
    case MERIT_POLICY_SURROGATE_QUADRATIC:
        policy_surrogate_as(p, MERIT_POLICY_SURROGATE_QUADRATIC, alt);
        break;
    case MERIT_POLICY_SURROGATE_RESHAPE:
        policy_surrogate_as(p, MERIT_POLICY_SURROGATE_RESHAPE, alt);
        break;
    default: policy_surrogate_as(p, MERIT_POLICY_SURROGATE_CLIP, alt); break;
    }
}

static void policy_surrogates(policy_chunk *restrict p)
{
    for (int j = 0; j < p->count; j++) {
        p->loss[j] = 0.0f;
        p->slope[j] = 0.0f;
        p->ratio_slope[j] = 0.0f;
    }
    policy_surrogate(p, p->a->d.surrogate, 0);
    if (p->a->io.token_mode != NULL) policy_surrogate(p, p->a->d.surrogate_alt, 1);
}

__attribute__((always_inline)) static inline void policy_kl_as(policy_chunk *restrict p,
                                                               int32_t kind, const float *ref)
{
    const merit_policy_loss_args *const a = p->a;
    const int through = merit_policy_ratio_through(a);
    for (int j = 0; j < p->count; j++) {
        const merit_policy_ratio r = {p->ratio[j], p->inside[j]};
        const merit_policy_kl_value v = merit_policy_kl_of(a, kind, ref[j], p->lp[j], r, through);
        p->kl_seen[j] = v.seen;
        p->kl_loss[j] = v.loss;
        p->kl_slope[j] = v.slope;
        p->kl_ratio_slope[j] = v.ratio_slope;
    }
}

static void policy_kl(policy_chunk *restrict p)
{
    float ref[POLICY_CHUNK];
    policy_load(p, p->a->io.ref, 0.0f, ref);
    switch (p->a->d.kl) {
    case MERIT_POLICY_KL_K1: policy_kl_as(p, MERIT_POLICY_KL_K1, ref); break;
    case MERIT_POLICY_KL_K2: policy_kl_as(p, MERIT_POLICY_KL_K2, ref); break;
    case MERIT_POLICY_KL_ABS: policy_kl_as(p, MERIT_POLICY_KL_ABS, ref); break;
    default: policy_kl_as(p, MERIT_POLICY_KL_K3, ref); break;
    }
}

// The token's parts of the loss, 0 where its weight is.
static void policy_parts(policy_chunk *restrict p)
{
    const merit_policy_loss_args *const a = p->a;
    const int has_kl = a->d.kl_coef > 0.0f;
    const int has_entropy = a->d.entropy_coef != 0.0f;
    for (int j = 0; j < p->count; j++) {
        p->policy_part[j] = p->c[j] == 0.0f ? 0.0f : p->loss[j];
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
static void policy_work_out(policy_chunk *restrict p)
{
    policy_read(p);
    policy_ratio(p);
    policy_weights(p);
    policy_surrogates(p);
    if (p->a->d.kl_coef > 0.0f) policy_kl(p);
    policy_parts(p);
}

#endif
