// policy_logprob_backward: the gradient of one logit.
#ifndef MERIT_POLICY_LOGPROB_GRADIENT_H
#define MERIT_POLICY_LOGPROB_GRADIENT_H

#include "policy_logprob.h"

#define MERIT_LN2_32 0x1.62e43p-1f

enum { MERIT_LOGPROB_SLOPES = 0, MERIT_LOGPROB_ZEROS = 1, MERIT_LOGPROB_NANS = 2 };

// A row of the backward pass.
typedef struct merit_logprob_slope {
    const void *logits; // [V]
    void *grad; // [V], maybe the same
    int64_t index;
    int64_t target; // -1: none
    merit_logprob_reference reference; // at the exponent of the state
    float inverse; // pi = weight * inverse
    float toward; // g_lp logit_scale / temperature
    float entropic; // g_H logit_scale / temperature
    float within; // added to ln2 y: log pi + entropy (FULL: + 1 - P)
    float without; // FULL, outside K: entropy - P
    float cap_ratio;
    int32_t fate; // MERIT_LOGPROB_SLOPES: of logits; or what the whole row is filled with
} merit_logprob_slope;

MERIT_HD static inline int merit_logprob_has_bad_id(const merit_policy_logprob_backward_args *args,
                                                    int64_t t)
{
    if (args->d.support != MERIT_LOGPROB_SUPPORT_SUBSET) return 0;
    const int32_t *const ids = args->io.subset_ids + t * args->d.ld_subset;
    int bad = 0;
    for (int i = 0; i < args->d.subset_size; i++) {
        bad |= ids[i] < 0 || ids[i] >= args->d.vocab_size;
    }
    return bad;
}

// *counter: what is wrong with the row, -1: nothing that the backward pass counts.
MERIT_HD static inline merit_logprob_slope
merit_logprob_slope_begin(const merit_policy_logprob_backward_args *args, int64_t t,
                          int32_t *counter)
{
    const merit_policy_logprob_desc *const d = &args->d;
    const merit_policy_logprob_backward_io *const io = &args->io;
    const int64_t offset = t * d->ld_logits * (d->dtype == MERIT_DTYPE_F32 ? 4 : 2);
    merit_logprob_slope s;
    s.logits = (const char *)io->logits + offset;
    s.grad = (char *)io->grad_logits + offset;
    s.index = t;
    s.target = -1;
    s.inverse = 0.0f;
    s.toward = 0.0f;
    s.entropic = 0.0f;
    s.within = 0.0f;
    s.without = 0.0f;
    s.cap_ratio = 0.0f;
    s.reference = merit_logprob_reference_at(0.0f, 0);
    s.fate = MERIT_LOGPROB_ZEROS;
    *counter = -1;
    int ignored = 0;
    int bad_label = 0;
    if (io->targets != NULL) {
        s.target = merit_logprob_target(d, io->targets, t, &ignored, &bad_label);
    }
    if (ignored) return s;
    const float temperature = io->temperatures != NULL ? io->temperatures[t] : d->temperature;
    const int cold = !(temperature > 0.0f && temperature < m_inf32());
    s.fate = MERIT_LOGPROB_NANS;
    if (cold) *counter = MERIT_COUNTER_BAD_TEMPERATURE;
    if (!cold && (bad_label || merit_logprob_has_bad_id(args, t))) {
        *counter = MERIT_COUNTER_BAD_LABEL;
    }
    const merit_policy_logprob_state state = io->state[t];
    if (*counter >= 0 || m_is_nan32(state.inverse)) return s;
    s.fate = MERIT_LOGPROB_SLOPES;
    s.reference = merit_logprob_reference_at(merit_logprob_factor(d, temperature), state.exponent);
    s.inverse = state.inverse;
    if (d->soft_cap > 0.0f) s.cap_ratio = m_div(m_abs32(d->logit_scale), d->soft_cap);
    const float rate = m_div(d->logit_scale, temperature);
    if (io->grad_logprob != NULL) s.toward = m_mul(io->grad_logprob[t], rate);
    if (io->grad_entropy == NULL) return s;
    s.entropic = m_mul(io->grad_entropy[t], rate);
    s.within = m_add(io->entropy[t], m_log(state.inverse));
    if (d->normalize == MERIT_LOGPROB_NORMALIZE_FULL) {
        const float share = m_exp(io->mass[t]);
        s.without = m_sub(io->entropy[t], share);
        s.within = m_add(s.within, m_sub(1.0f, share));
    }
    return s;
}

// The gradient of a logit that enters as it is, in K, and is not the target's. Rounded as by
// merit_logprob_gradient_of: adding to +0 changes no sum, and keeps -0 away.
MERIT_HD static inline float merit_logprob_gradient(const merit_logprob_slope *s, float x,
                                                    int entropic)
{
    const float y = merit_logprob_exponent(&s->reference, x);
    const float power = merit_logprob_power(&s->reference, x);
    const int live = y >= MERIT_LOGPROB_LOWEST;
    const float pi = m_mul(live ? power : 0.0f, s->inverse);
    const float g = m_fma(-s->toward, pi, 0.0f);
    if (!entropic) return g;
    const float log_pi = m_fma(live ? y : 0.0f, MERIT_LN2_32, s->within);
    return m_fma(-s->entropic, m_mul(pi, log_pi), g);
}

// How often v is in K.
MERIT_HD static inline int merit_logprob_times(const merit_policy_logprob_backward_args *args,
                                               int64_t t, int64_t v)
{
    if (args->d.support != MERIT_LOGPROB_SUPPORT_SUBSET) {
        return merit_logprob_keeps(&args->d, args->io.keep_mask, t, v);
    }
    const int32_t *const ids = args->io.subset_ids + t * args->d.ld_subset;
    int times = 0;
    for (int i = 0; i < args->d.subset_size; i++) {
        times += ids[i] == v;
    }
    return times;
}

// The gradient of the logit x of v. plain is a literal: logits enter as they are, and all are in K.
MERIT_HD static inline float
merit_logprob_gradient_as(const merit_policy_logprob_backward_args *args,
                          const merit_logprob_slope *s, float x, int64_t v, const int plain)
{
    const int full = !plain && args->d.normalize == MERIT_LOGPROB_NORMALIZE_FULL;
    const int times = plain ? 1 : merit_logprob_times(args, s->index, v);
    const float z = merit_logprob_enter(&args->d, s->cap_ratio, x);
    const int hit = v == s->target && times > 0 && z > -m_inf32();
    const int missed = v == s->target && !hit; // the log-prob is -inf whatever this logit is
    if ((times == 0 && !full) || (missed && z == -m_inf32())) return 0.0f;
    const float y = merit_logprob_exponent(&s->reference, z);
    const int live = y >= MERIT_LOGPROB_LOWEST;
    const float pi = m_mul(merit_logprob_weight(&s->reference, z), s->inverse);
    const float often = (float)times;
    const float share = full && !missed ? pi : m_mul(often, pi);
    float g = hit ? m_mul(s->toward, m_sub(1.0f, share)) : m_fma(-s->toward, share, 0.0f);
    if (args->io.grad_entropy != NULL) {
        // times (log pi + 1) + entropy - P under FULL
        const float log_pi = m_fma(live ? y : 0.0f, MERIT_LN2_32, s->within);
        const float inside =
            full && times > 1 ? m_add(log_pi, m_mul((float)(times - 1), m_sub(log_pi, s->without)))
                              : m_mul(full ? 1.0f : often, log_pi);
        g = m_fma(-s->entropic, m_mul(pi, times > 0 ? inside : s->without), g);
    }
    if (!plain && args->d.soft_cap > 0.0f && m_abs32(z) < m_inf32()) {
        const float turned = args->d.logit_scale < 0.0f ? -x : x;
        const float tanh = m_tanh(m_mul(turned, s->cap_ratio));
        g = m_mul(g, m_fma(-tanh, tanh, 1.0f));
    }
    return m_add(g, 0.0f);
}

// Under every option.
MERIT_HD static inline float
merit_logprob_gradient_of(const merit_policy_logprob_backward_args *args,
                          const merit_logprob_slope *s, float x, int64_t v)
{
    return merit_logprob_gradient_as(args, s, x, v, 0);
}

// What a row that has no slopes is filled with.
MERIT_HD static inline float merit_logprob_filling(const merit_logprob_slope *s)
{
    return s->fate == MERIT_LOGPROB_ZEROS ? 0.0f : m_nan32();
}

MERIT_HD static inline void merit_logprob_store(void *grad, int32_t dtype, int64_t i, float g)
{
    switch (dtype) {
    case MERIT_DTYPE_BF16: ((uint16_t *)grad)[i] = m_to_bf16(g); break;
    case MERIT_DTYPE_F16: ((uint16_t *)grad)[i] = m_to_f16(g); break;
    default: ((float *)grad)[i] = m_canonical32(g); break;
    }
}

#endif
