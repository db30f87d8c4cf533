// policy_loss: the formulas of one token, for both backends.
//
// Selections by `?:` and not by branches, so that loops over tokens vectorize.
#ifndef MERIT_POLICY_LOSS_TOKEN_H
#define MERIT_POLICY_LOSS_TOKEN_H

#include "policy_loss_args.h"

// What all tokens of a sequence share.
typedef struct merit_policy_sequence {
    merit_policy_span span;
    int64_t valid; // n_i; 0 until it is counted
    int32_t is_dead; // nothing counts: D is 0
    int32_t is_absent; // sequence_weight 0
    double weight; // s_i
    double denominator; // D
    double scale; // a_t
    float scale32;
    float advantage; // A_i; of GEOMETRIC with advantages per token their mean
    float log_ratio; // rho, with a sequence-level ratio
    float mismatch; // m
    float reject; // log of the rejected statistic
    float log_low[2], log_high[2]; // GEOMETRIC: logs of the bounds
    float geometric; // GEOMETRIC: l
    double slope; // gradient through the ratio, a included
} merit_policy_sequence;

// A valid token as read.
typedef struct merit_policy_input {
    float lp, old, ref, rollout, entropy, weight, advantage;
    int32_t is_alt;
} merit_policy_input;

typedef struct merit_policy_ratio {
    float value;
    int32_t inside; // the clamp of the log-ratio does not bite
} merit_policy_ratio;

typedef struct merit_policy_surrogate_value {
    float loss; // l
    float ratio_slope; // dl / drho
    float slope; // dl / dlp besides
} merit_policy_surrogate_value;

typedef struct merit_policy_kl_value {
    float seen; // KL after its clamps
    float loss; // times r if so weighted
    float slope; // d / dlp
    float ratio_slope; // d / drho through the ratio of the sequence
    float both; // KL' + KL, before a clamp stops it
    int32_t stops; // a clamp bites
} merit_policy_kl_value;

MERIT_HD static inline float merit_policy_clamp(float x, float low, float high)
{
    const float raised = x < low ? low : x;
    return raised > high ? high : raised; // NaN passes
}

// 0, or NaN if x is.
MERIT_HD static inline float merit_policy_nothing(float x)
{
    return x == x ? 0.0f : x;
}

// Ratio and weights -------------------------------------------------------------------------------

MERIT_HD static inline merit_policy_ratio merit_policy_ratio_of(const merit_policy_loss_args *a,
                                                                float log_ratio)
{
    const float low = a->d.log_ratio_min;
    const float high = a->d.log_ratio_max;
    merit_policy_ratio r;
    r.value = m_exp(merit_policy_clamp(log_ratio, low, high));
    r.inside = !(log_ratio < low) & !(log_ratio > high);
    return r;
}

// W of a mismatch or of the statistic that rejects.
MERIT_HD static inline float merit_policy_importance(float log_weight)
{
    return m_exp(merit_policy_clamp(log_weight, -20.0f, 20.0f));
}

MERIT_HD static inline float merit_policy_mismatch_weight(int32_t rule, float low, float high,
                                                          float w)
{
    const float clipped = merit_policy_clamp(w, low, high);
    const float kept = (w < low) | (w > high) ? 0.0f : w;
    const float ruled = rule == MERIT_POLICY_MISMATCH_RULE_MASK ? kept : clipped;
    return rule == MERIT_POLICY_MISMATCH_RULE_NONE ? 1.0f : ruled;
}

// 1 where the policy term stays. Rejection does not touch NaN, so that it shows.
MERIT_HD static inline int merit_policy_kept(const merit_policy_loss_args *a, float w,
                                             float advantage)
{
    const int outside = (w < a->d.reject_low) | (w > a->d.reject_high);
    const int touched = (a->d.reject_when == MERIT_POLICY_REJECT_WHEN_ANY) | (advantage < 0.0f);
    return !(outside & touched);
}

// Total variation of one token: pi - o within its bounds.
MERIT_HD static inline int merit_policy_within_tv(const merit_policy_loss_args *a, float lp,
                                                  float anchor, float advantage)
{
    const float gap = m_sub(m_exp(lp), m_exp(anchor));
    const int high = !(gap > a->d.divergence_high);
    const int low = !(gap < -a->d.divergence_low);
    return advantage > 0.0f ? high : low;
}

// KL of the Bernoulli distribution of o from that of pi. 1 - p is -expm1: without cancellation.
MERIT_HD static inline float merit_policy_bernoulli(float lp, float anchor, float o)
{
    const float rest_new = m_add(-m_expm1(lp), 1e-8f);
    const float rest_old = -m_expm1(anchor);
    const float odds = m_log(m_div(m_add(rest_old, 1e-8f), rest_new));
    return m_add(m_mul(o, m_sub(anchor, lp)), m_mul(rest_old, odds));
}

MERIT_HD static inline int merit_policy_within_kl(const merit_policy_loss_args *a, float lp,
                                                  float anchor, float advantage)
{
    const float pi = m_exp(lp);
    const float o = m_exp(anchor);
    const float d = merit_policy_bernoulli(lp, anchor, o);
    const int high = !((d > a->d.divergence_high) & (pi > o));
    const int low = !((d > a->d.divergence_low) & (pi < o));
    return advantage > 0.0f ? high : low;
}

// Surrogates --------------------------------------------------------------------------------------

// Bounds of r for the sign of A; those of the second surrogate do not depend on it.
MERIT_HD static inline float merit_policy_low(const merit_policy_loss_args *a, float advantage,
                                              int is_alt)
{
    const float positive = a->low[0]; // loads that depend on no comparison
    const float negative = a->low[1];
    const float alt = a->d.alt_low;
    const float main = advantage < 0.0f ? negative : positive;
    return is_alt ? alt : main;
}

MERIT_HD static inline float merit_policy_high(const merit_policy_loss_args *a, float advantage,
                                               int is_alt)
{
    const float positive = a->high[0];
    const float negative = a->high[1];
    const float alt = a->d.alt_high;
    const float main = advantage < 0.0f ? negative : positive;
    return is_alt ? alt : main;
}

// The first branch of CLIP. cap: ratio_cap, inf without one.
MERIT_HD static inline float merit_policy_clip_first(float A, float r, float cap)
{
    return m_mul(-A, r > cap ? cap : r);
}

// dual: dual_clip, inf without one.
MERIT_HD static inline merit_policy_surrogate_value
merit_policy_clip(float A, merit_policy_ratio r, float low, float high, float cap, float dual)
{
    const float first = merit_policy_clip_first(A, r.value, cap);
    const float second = m_mul(-A, merit_policy_clamp(r.value, low, high));
    const float larger = first >= second ? first : second;
    const float far = m_mul(-A, dual);
    const float most = A < 0.0f ? far : m_inf32();
    const float least = most < larger ? most : larger;
    const int unclipped = (first >= second) & (r.value <= cap);
    const int passes = unclipped & !(most < larger) & (r.inside != 0) & (A != 0.0f);
    const float slope = m_mul(-A, r.value);
    const float passed = passes ? slope : 0.0f;
    const float loss = A == 0.0f ? 0.0f : least;
    // NaN that comparisons would hide: of a branch, with A = 0 only that of the ratio
    const float seen = A == 0.0f ? r.value : m_add(first, second);
    merit_policy_surrogate_value v;
    v.loss = seen == seen ? loss : seen;
    v.ratio_slope = seen == seen ? m_add(passed, 0.0f) : seen;
    v.slope = 0.0f;
    return v;
}

MERIT_HD static inline float merit_policy_or_infinite(float bound)
{
    return bound > 0.0f ? bound : m_inf32();
}

MERIT_HD static inline merit_policy_surrogate_value
merit_policy_detached(float A, merit_policy_ratio r, float lp, float low, float high)
{
    const float q = m_mul(-A, merit_policy_clamp(r.value, low, high));
    const float nothing = merit_policy_nothing(m_add(r.value, lp)); // NaN for inf - inf too
    merit_policy_surrogate_value v;
    v.loss = A == 0.0f ? nothing : m_mul(q, lp);
    v.ratio_slope = 0.0f;
    v.slope = A == 0.0f ? nothing : q;
    v.slope = lp == lp ? v.slope : lp;
    return v;
}

MERIT_HD static inline merit_policy_surrogate_value
merit_policy_gate(const merit_policy_loss_args *a, float A, merit_policy_ratio r)
{
    const float tau = A > 0.0f ? a->d.gate_tau_positive : a->d.gate_tau_negative;
    const float x = m_mul(tau, m_sub(r.value, 1.0f));
    const float s = m_sigmoid(x);
    const float rest = m_sigmoid(-x); // 1 - s without cancellation
    const float both = m_mul(s, rest);
    const float bent = both == 0.0f ? 0.0f : m_mul(both, r.value); // 0 at r = inf
    const float slope = m_mul(m_mul(-4.0f, A), bent);
    const float nothing = merit_policy_nothing(r.value);
    merit_policy_surrogate_value v;
    v.loss = m_mul(m_mul(-A, m_div(4.0f, tau)), s);
    v.ratio_slope = r.inside ? slope : merit_policy_nothing(slope);
    v.loss = A == 0.0f ? nothing : v.loss;
    v.ratio_slope = A == 0.0f ? nothing : v.ratio_slope;
    v.slope = 0.0f;
    return v;
}

MERIT_HD static inline merit_policy_surrogate_value
merit_policy_quadratic(const merit_policy_loss_args *a, float A, float log_ratio, float lp)
{
    const float bend = m_mul(a->d.quadratic, log_ratio);
    merit_policy_surrogate_value v;
    v.loss = -m_sub(m_mul(A, lp), m_mul(m_mul(0.5f, bend), log_ratio));
    v.ratio_slope = bend;
    v.slope = lp == lp ? -A : lp;
    return v;
}

MERIT_HD static inline merit_policy_surrogate_value
merit_policy_reshape(const merit_policy_loss_args *a, float A, float lp)
{
    const float p = m_exp(lp);
    const float whole = m_add(p, a->d.reshape);
    const float share = m_div(p, whole);
    const float nothing = merit_policy_nothing(lp);
    merit_policy_surrogate_value v;
    v.loss = A == 0.0f ? nothing : m_mul(-A, share);
    v.ratio_slope = 0.0f;
    v.slope = A == 0.0f ? nothing : m_mul(v.loss, m_div(a->d.reshape, whole));
    return v;
}

MERIT_HD static inline merit_policy_surrogate_value
merit_policy_surrogate_of(const merit_policy_loss_args *a, int32_t surrogate, float geometric,
                          float A, merit_policy_ratio r, float log_ratio, float lp, float low,
                          float high)
{
    switch (surrogate) {
    case MERIT_POLICY_SURROGATE_DETACHED: return merit_policy_detached(A, r, lp, low, high);
    case MERIT_POLICY_SURROGATE_GATE: return merit_policy_gate(a, A, r);
    case MERIT_POLICY_SURROGATE_GEOMETRIC: {
        merit_policy_surrogate_value v;
        v.loss = geometric;
        v.ratio_slope = geometric;
        v.slope = 0.0f;
        return v;
    }
    case MERIT_POLICY_SURROGATE_QUADRATIC: return merit_policy_quadratic(a, A, log_ratio, lp);
    case MERIT_POLICY_SURROGATE_RESHAPE: return merit_policy_reshape(a, A, lp);
    default:
        return merit_policy_clip(A, r, low, high, merit_policy_or_infinite(a->d.ratio_cap),
                                 merit_policy_or_infinite(a->d.dual_clip));
    }
}

// GEOMETRIC: u of a token.
MERIT_HD static inline float merit_policy_bounded(const merit_policy_sequence *s, float log_ratio)
{
    const float low = s->advantage < 0.0f ? s->log_low[1] : s->log_low[0];
    const float high = s->log_high[0];
    const float below = log_ratio > high ? high : log_ratio;
    const float above = log_ratio < low ? low : log_ratio;
    return s->advantage > 0.0f ? below : above;
}

// KL ----------------------------------------------------------------------------------------------

// KL of x = d inside its clamp, before the clamp of the value.
MERIT_HD static inline float merit_policy_kl_raw(int32_t kind, float x)
{
    switch (kind) {
    case MERIT_POLICY_KL_K1: return -x;
    case MERIT_POLICY_KL_K2: return m_mul(m_mul(0.5f, x), x);
    case MERIT_POLICY_KL_ABS: return m_abs32(x);
    default: return m_expm1m(x);
    }
}

// Its derivative wrt lp.
MERIT_HD static inline float merit_policy_kl_raw_slope(int32_t kind, float x)
{
    switch (kind) {
    case MERIT_POLICY_KL_K1: return 1.0f;
    case MERIT_POLICY_KL_K2: return -x;
    case MERIT_POLICY_KL_ABS: {
        const float sign = x > 0.0f ? -1.0f : 1.0f;
        return x == 0.0f ? 0.0f : sign;
    }
    default: return -m_expm1(x);
    }
}

// KL and its derivative, unweighted. value, raw_slope: of x, d inside its clamp.
MERIT_HD static inline merit_policy_kl_value
merit_policy_kl_of(const merit_policy_loss_args *a, float d, float x, float value, float raw_slope)
{
    const float limit = a->d.kl_input_clamp;
    const float most = a->d.kl_output_clamp;
    const int squared = a->d.kl_gradient == MERIT_POLICY_KL_GRADIENT_SQUARED;
    const float chosen = squared ? -x : raw_slope;
    const float slope = x == x ? chosen : x;
    merit_policy_kl_value k;
    k.seen = merit_policy_clamp(value, -most, most);
    k.stops = (d < -limit) | (d > limit) | (value < -most) | (value > most);
    k.loss = k.seen;
    k.slope = k.stops ? 0.0f : slope;
    k.ratio_slope = 0.0f;
    // K3' + K3 = -d exactly
    k.both = (a->d.kl == MERIT_POLICY_KL_K3) & !squared ? -x : m_add(slope, k.seen);
    return k;
}

// KL r. through: rho is that of the sequence and gradients go through it, so they are kept apart.
MERIT_HD static inline merit_policy_kl_value
merit_policy_kl_by_ratio(merit_policy_kl_value k, merit_policy_ratio r, int through)
{
    const float apart = m_mul(r.value, k.slope);
    const float together = r.inside & !through ? m_mul(r.value, k.both) : apart;
    k.loss = m_mul(r.value, k.seen);
    k.slope = k.stops ? 0.0f : together;
    k.ratio_slope = k.stops | !r.inside | !through ? 0.0f : k.loss;
    return k;
}

// Flags -------------------------------------------------------------------------------------------

// Bits of MERIT_POLICY_COUNT_: of the surrogate and its ratio. cap, dual: ratio_cap and dual_clip, inf
// without one.
MERIT_HD static inline uint32_t merit_policy_ratio_flags(const merit_policy_loss_args *a,
                                                         const merit_policy_sequence *s,
                                                         int32_t surrogate, float A, float r,
                                                         float log_ratio, float low, float high,
                                                         float cap, float dual)
{
    const int clips = surrogate == MERIT_POLICY_SURROGATE_CLIP;
    const int bounds = clips | (surrogate == MERIT_POLICY_SURROGATE_DETACHED);
    const int geometric = surrogate == MERIT_POLICY_SURROGATE_GEOMETRIC;
    // what is compared with which bounds; nothing lies outside infinite ones
    const float sign = geometric ? s->advantage : A;
    const float x = geometric ? log_ratio : r;
    const float least = geometric ? s->log_low[1] : low;
    const float most = geometric ? s->log_high[0] : high;
    const float floor = (bounds | geometric) ? least : -m_inf32();
    const float ceiling = (bounds | geometric) ? most : m_inf32();
    const float first = merit_policy_clip_first(A, r, cap);
    const float second = m_mul(-A, merit_policy_clamp(r, low, high));
    const float larger = first >= second ? first : second;
    const float far = m_mul(-A, dual);
    uint32_t flags = 0;
    flags |= (sign < 0.0f) & (x < floor) ? 1u << MERIT_POLICY_COUNT_CLIPPED_LOW : 0u;
    flags |= (sign > 0.0f) & (x > ceiling) ? 1u << MERIT_POLICY_COUNT_CLIPPED_HIGH : 0u;
    if (clips) flags |= r > cap ? 1u << MERIT_POLICY_COUNT_CAPPED : 0u;
    if (clips) flags |= (A < 0.0f) & (far < larger) ? 1u << MERIT_POLICY_COUNT_DUAL_CLIPPED : 0u;
    flags |= log_ratio < a->d.log_ratio_min ? 1u << MERIT_POLICY_COUNT_LOG_CLAMPED : 0u;
    flags |= log_ratio > a->d.log_ratio_max ? 1u << MERIT_POLICY_COUNT_LOG_CLAMPED : 0u;
    return flags;
}

MERIT_HD static inline uint32_t merit_policy_mismatch_flags(const merit_policy_loss_args *a,
                                                            float w)
{
    const int cuts = a->d.mismatch_rule == MERIT_POLICY_MISMATCH_RULE_TRUNCATE;
    const int masks = a->d.mismatch_rule == MERIT_POLICY_MISMATCH_RULE_MASK;
    const uint32_t rest = masks ? 1u << MERIT_POLICY_COUNT_MASKED : 0u;
    const uint32_t flag = cuts ? 1u << MERIT_POLICY_COUNT_TRUNCATED : rest;
    return (w < a->d.mismatch_low) | (w > a->d.mismatch_high) ? flag : 0u;
}

#endif
