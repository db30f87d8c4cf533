// policy_loss, CPU, the common case at full speed: CLIP, at most K3 of the reference, weights that the
// tokens of a sequence share, loss and gradient and perhaps statistics. The formulas of
// policy_loss_token.h, a few at a time over 128 tokens, so that each loop is one of vectors and holds
// enough independent work; what other options ask for is left out. A sequence that has no weight takes the
// general path.
#ifndef MERIT_POLICY_LOSS_COMMON_CPU_H
#define MERIT_POLICY_LOSS_COMMON_CPU_H

#include "policy_loss_sums_cpu.h"

#define POLICY_INLINE __attribute__((always_inline)) static inline
#define POLICY_CALL __attribute__((noinline)) static // a loop keeps its registers to itself

enum {
    POLICY_AHEAD = 4 * POLICY_CHUNK, // tokens
    POLICY_CACHE_LINE = 64
};

typedef struct policy_common {
    float c; // that every valid token has
    float ratio_slope; // with one ratio for the sequence, what goes through it
    float shared; // the gradient through it
    int32_t by_token; // ratios
    int32_t has_advantages; // of its own for each token
    int32_t has_kl;
    int32_t has_bounds; // dual_clip, ratio_cap or bounds of the log-ratio
    int32_t has_clamps; // of the KL
    int32_t count; // tokens of the chunk
    int32_t padded; // and what fills up the last vector: masked
    int32_t valid[POLICY_CHUNK];
    float log_ratio[POLICY_CHUNK], apart[POLICY_CHUNK]; // 0 where masked
    float advantage[POLICY_CHUNK], shared_log[POLICY_CHUNK]; // rho of the sequence
    float ratio[POLICY_CHUNK], loss[POLICY_CHUNK], slope[POLICY_CHUNK];
    float kl_loss[POLICY_CHUNK], kl_slope[POLICY_CHUNK];
    uint32_t largest_ratio,
        largest_apart; // words of the largest log-ratio and d, without their signs
} policy_common;

// Whether the options of a call are common ones.
static int policy_is_common(const merit_policy_loss_args *a)
{
    const merit_policy_loss_desc *const d = &a->d;
    const int k3 = d->kl == MERIT_POLICY_KL_K3 && d->kl_gradient == MERIT_POLICY_KL_GRADIENT_OWN &&
                   d->kl_weight == MERIT_POLICY_KL_WEIGHT_ONE;
    const int by_token = d->ratio_level == MERIT_POLICY_LEVEL_TOKEN;
    const int corrects = d->mismatch_level != MERIT_POLICY_LEVEL_NONE;
    if (d->surrogate != MERIT_POLICY_SURROGATE_CLIP || a->io.token_mode != NULL) return 0;
    if (d->advantage_level != MERIT_POLICY_ADVANTAGE_SEQUENCE && !by_token) return 0;
    if (corrects && (d->mismatch_level == MERIT_POLICY_LEVEL_TOKEN || a->io.stats != NULL ||
                     d->correction_scope != MERIT_POLICY_SCOPE_POLICY)) {
        return 0;
    }
    if (d->reject_level != MERIT_POLICY_LEVEL_NONE) return 0;
    if (d->divergence != MERIT_POLICY_DIVERGENCE_NONE) return 0;
    if (!k3 && d->kl_coef > 0.0f) return 0;
    if (d->entropy_coef != 0.0f || a->io.token_weight != NULL) return 0;
    if (a->io.grad_entropy != NULL || a->io.token_loss != NULL) return 0;
    return a->io.stats == NULL || (!a->reads_rollout && !a->reads_entropy);
}

// What tokens share: of the call.
static void policy_common_start(const merit_policy_loss_args *a, policy_common *p)
{
    const merit_policy_loss_desc *const d = &a->d;
    const float inf = m_inf32();
    memset(p, 0, sizeof *p);
    p->by_token = d->ratio_level == MERIT_POLICY_LEVEL_TOKEN;
    p->has_advantages = d->advantage_level == MERIT_POLICY_ADVANTAGE_TOKEN;
    p->has_kl = d->kl_coef > 0.0f;
    p->has_bounds = d->dual_clip > 0.0f || d->ratio_cap > 0.0f || d->log_ratio_min > -inf ||
                    d->log_ratio_max < inf;
    p->has_clamps = d->kl_input_clamp < inf || d->kl_output_clamp < inf;
}

// Of a sequence; 0 where the general path has to take it.
static int policy_common_begin(const merit_policy_loss_args *a, const merit_policy_sequence *s,
                               policy_common *p)
{
    p->c = 1.0f;
    p->shared = 0.0f;
    if (s->is_dead || s->is_absent) return 0;
    if (a->d.mismatch_level != MERIT_POLICY_LEVEL_NONE) {
        p->c =
            merit_policy_mismatch_weight(a->d.mismatch_rule, a->d.mismatch_low, a->d.mismatch_high,
                                         merit_policy_importance(s->mismatch));
    }
    for (int j = 0; j < POLICY_CHUNK && !p->has_advantages; j++) {
        p->advantage[j] = s->advantage;
    }
    if (p->by_token) return p->c == p->c && p->c != 0.0f;
    // sums of equal terms below are exact
    if (p->c != 1.0f || s->valid >= (int64_t)1 << 29) return 0;
    const merit_policy_ratio r = merit_policy_ratio_of(a, s->log_ratio);
    const float A = s->advantage;
    const merit_policy_surrogate_value v = merit_policy_clip(
        A, r, merit_policy_low(a, A, 0), merit_policy_high(a, A, 0),
        merit_policy_or_infinite(a->d.ratio_cap), merit_policy_or_infinite(a->d.dual_clip));
    const float both = m_add(v.ratio_slope, v.slope);
    p->ratio_slope = v.ratio_slope;
    for (int j = 0; j < POLICY_CHUNK; j++) {
        p->shared_log[j] = s->log_ratio;
        p->ratio[j] = r.value;
        p->loss[j] = v.loss;
        p->slope[j] = a->goes_through ? v.slope : both;
    }
    return 1;
}

// The sum of `count` terms that are equal.
static double policy_common_equal(int64_t count, float term)
{
    return m_add64(m_mul64((double)count, (double)term), 0.0);
}

// Chunks ------------------------------------------------------------------------------------------

// The largest word of the results without a sign: the order of such words is that of their values.
POLICY_INLINE uint32_t policy_common_differences(const float *a, const float *b,
                                                 const int32_t *restrict valid, int count,
                                                 float *restrict to)
{
    uint32_t largest = 0;
    for (int j = 0; j < count; j++) {
        const float x = m_sub(a[j], b[j]);
        to[j] = valid[j] != 0 ? x : 0.0f;
    }
    for (int j = 0; j < count; j++) {
        const uint32_t size = m_bits32(to[j]) & 0x7fffffffu;
        largest = size > largest ? size : largest;
    }
    return largest;
}

// Asks for the line of tokens that a later chunk reads.
POLICY_INLINE void policy_common_prefetch(const void *from)
{
    for (int i = 0; i < POLICY_CHUNK * (int)sizeof(float); i += POLICY_CACHE_LINE) {
        __builtin_prefetch((const char *)from + i, 0, 3);
    }
}

POLICY_CALL void policy_common_read(const merit_policy_loss_args *restrict a, int64_t start,
                                    int count, policy_common *restrict p)
{
    const float *const lp = a->io.logprob + start;
    p->count = count;
    p->padded = (count + 15) & ~15;
    if (start + count + POLICY_AHEAD <= a->layout.num_tokens && count == POLICY_CHUNK) {
        policy_common_prefetch(lp + POLICY_AHEAD);
        if (a->reads_old) policy_common_prefetch(a->io.old + start + POLICY_AHEAD);
        if (p->has_kl) policy_common_prefetch(a->io.ref + start + POLICY_AHEAD);
    }
    for (int j = count; j < p->padded; j++) {
        p->valid[j] = 0;
        p->log_ratio[j] = 0.0f;
        p->apart[j] = 0.0f;
    }
    if (a->io.mask != NULL) {
        const uint8_t *const mask = a->io.mask + start;
        for (int j = 0; j < count; j++) {
            p->valid[j] = mask[j] != 0;
        }
    } else {
        for (int j = 0; j < count; j++) {
            p->valid[j] = 1;
        }
    }
    if (p->by_token || a->io.stats != NULL) {
        const float *const old = (a->reads_old ? a->io.old : a->io.logprob) + start;
        p->largest_ratio = policy_common_differences(lp, old, p->valid, count, p->log_ratio);
    }
    if (p->has_advantages) {
        memcpy(p->advantage, a->io.advantages + start, (size_t)count * sizeof(float));
    }
    if (p->has_kl) {
        p->largest_apart =
            policy_common_differences(a->io.ref + start, lp, p->valid, count, p->apart);
    }
}

POLICY_CALL void policy_common_ratios_near(const merit_policy_loss_args *restrict a,
                                           policy_common *restrict p)
{
    const float low = a->d.log_ratio_min;
    const float high = a->d.log_ratio_max;
    const int count = p->padded;
    for (int j = 0; j < count; j++) {
        p->ratio[j] = m_exp_near(merit_policy_clamp(p->log_ratio[j], low, high));
    }
}

POLICY_CALL void policy_common_ratios_far(const merit_policy_loss_args *restrict a,
                                          policy_common *restrict p)
{
    const float low = a->d.log_ratio_min;
    const float high = a->d.log_ratio_max;
    const int count = p->padded;
    for (int j = 0; j < count; j++) {
        p->ratio[j] = m_exp(merit_policy_clamp(p->log_ratio[j], low, high));
    }
}

// has_bounds: that of p as a constant. A is read from an array even if it is the same for all: conditions
// on a scalar would become loops of their own, with branches inside.
POLICY_INLINE void policy_common_clip(const merit_policy_loss_args *restrict a, int has_bounds,
                                      policy_common *restrict p)
{
    const float cap = has_bounds ? merit_policy_or_infinite(a->d.ratio_cap) : m_inf32();
    const float dual = has_bounds ? merit_policy_or_infinite(a->d.dual_clip) : m_inf32();
    const float least = a->d.log_ratio_min;
    const float most = a->d.log_ratio_max;
    const float positive_low = a->low[0]; // loads that depend on no comparison
    const float negative_low = a->low[1];
    const float positive_high = a->high[0];
    const float negative_high = a->high[1];
    const int count = p->padded;
    for (int j = 0; j < count; j++) {
        const float A = p->advantage[j];
        const float low = A < 0.0f ? negative_low : positive_low;
        const float high = A < 0.0f ? negative_high : positive_high;
        const float x = p->log_ratio[j];
        const merit_policy_ratio r = {p->ratio[j], has_bounds ? !(x < least) & !(x > most) : 1};
        const merit_policy_surrogate_value v = merit_policy_clip(A, r, low, high, cap, dual);
        p->loss[j] = v.loss;
        p->slope[j] = m_add(v.ratio_slope, v.slope);
    }
}

POLICY_CALL void policy_common_clip_plain(const merit_policy_loss_args *a, policy_common *p)
{
    policy_common_clip(a, 0, p);
}

POLICY_CALL void policy_common_clip_bounded(const merit_policy_loss_args *a, policy_common *p)
{
    policy_common_clip(a, 1, p);
}

// e^d - 1 as hi + lo, of small d inside its clamp
POLICY_CALL void policy_common_expm1_near(int count, float limit, const float *restrict apart,
                                          float *restrict hi, float *restrict lo)
{
    for (int j = 0; j < count; j++) {
        const float x = merit_policy_clamp(apart[j], -limit, limit);
        const merit_pair32 e = m_expm1_near_core(x);
        hi[j] = e.hi;
        lo[j] = e.lo;
    }
}

POLICY_INLINE void policy_common_kl_near_as(const merit_policy_loss_args *restrict a,
                                            int has_clamps, const float *restrict hi,
                                            const float *restrict lo, policy_common *restrict p)
{
    const float limit = a->d.kl_input_clamp;
    const int count = p->padded;
    for (int j = 0; j < count; j++) {
        const merit_pair32 e = {hi[j], lo[j]};
        const float d = p->apart[j];
        const float x = has_clamps ? merit_policy_clamp(d, -limit, limit) : d;
        const float value = m_expm1_minus(e, x);
        const float slope = x == 0.0f ? -x : -m_add(e.hi, e.lo);
        if (has_clamps) {
            const merit_policy_kl_value v = merit_policy_kl_of(a, d, x, value, slope);
            p->kl_loss[j] = v.loss;
            p->kl_slope[j] = v.slope;
        } else {
            p->kl_loss[j] = value;
            p->kl_slope[j] = slope;
        }
    }
}

POLICY_CALL void policy_common_kl_near(const merit_policy_loss_args *a, const float *hi,
                                       const float *lo, policy_common *p)
{
    policy_common_kl_near_as(a, 0, hi, lo, p);
}

POLICY_CALL void policy_common_kl_clamped(const merit_policy_loss_args *a, const float *hi,
                                          const float *lo, policy_common *p)
{
    policy_common_kl_near_as(a, 1, hi, lo, p);
}

POLICY_CALL void policy_common_kl_far(const merit_policy_loss_args *restrict a,
                                      policy_common *restrict p)
{
    const float limit = a->d.kl_input_clamp;
    const int count = p->padded;
    for (int j = 0; j < count; j++) {
        const float d = p->apart[j];
        const float x = merit_policy_clamp(d, -limit, limit);
        const float value = merit_policy_kl_raw(MERIT_POLICY_KL_K3, x);
        const float slope = merit_policy_kl_raw_slope(MERIT_POLICY_KL_K3, x);
        const merit_policy_kl_value v = merit_policy_kl_of(a, d, x, value, slope);
        p->kl_loss[j] = v.loss;
        p->kl_slope[j] = v.slope;
    }
}

static void policy_common_kl(const merit_policy_loss_args *a, policy_common *p)
{
    float hi[POLICY_CHUNK], lo[POLICY_CHUNK];
    if (p->largest_apart > m_bits32(MERIT_EXPM1_NEAR)) {
        policy_common_kl_far(a, p);
        return;
    }
    policy_common_expm1_near(p->padded, a->d.kl_input_clamp, p->apart, hi, lo);
    if (p->has_clamps) {
        policy_common_kl_clamped(a, hi, lo, p);
    } else {
        policy_common_kl_near(a, hi, lo, p);
    }
}

static void policy_common_work_out(const merit_policy_loss_args *a, int64_t start, int count,
                                   policy_common *p)
{
    policy_common_read(a, start, count, p);
    if (p->by_token) {
        if (p->largest_ratio <= m_bits32(MERIT_EXP_NEAR)) {
            policy_common_ratios_near(a, p);
        } else {
            policy_common_ratios_far(a, p);
        }
        if (p->has_bounds) {
            policy_common_clip_bounded(a, p);
        } else {
            policy_common_clip_plain(a, p);
        }
    }
    if (p->has_kl) policy_common_kl(a, p);
}

#endif
