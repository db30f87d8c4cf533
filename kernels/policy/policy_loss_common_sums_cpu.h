// policy_loss, CPU, the common calls: what is added up over a chunk.
#ifndef MERIT_POLICY_LOSS_COMMON_SUMS_CPU_H
#define MERIT_POLICY_LOSS_COMMON_SUMS_CPU_H

#include "policy_loss_common_cpu.h"

// Sums --------------------------------------------------------------------------------------------

// Gradients, and what the chunk adds to the sums.
POLICY_INLINE void policy_common_add_as(const merit_policy_loss_args *restrict a,
                                        const merit_policy_sequence *restrict s, int has_kl,
                                        const policy_common *restrict p, float *restrict to,
                                        double *restrict policy, double *restrict kl)
{
    const double c = (double)p->c;
    const float own = m_mul(p->c, s->scale32);
    const float pull = m_mul(a->d.kl_coef, s->scale32);
    const float shared = p->shared;
    const int count = p->padded;
    for (int j = 0; j < count; j++) {
        const int on = p->valid[j] != 0;
        const float by_kl = has_kl ? m_mul(pull, p->kl_slope[j]) : 0.0f;
        const float g = m_add(m_add(m_mul(own, p->slope[j]), by_kl), shared);
        const double term = m_mul64(c, (double)p->loss[j]);
        to[j] = on ? m_canonical32(g) : 0.0f;
        policy[j] = m_add64(policy[j], on ? term : 0.0);
        if (has_kl) kl[j] = m_add64(kl[j], (double)p->kl_loss[j]);
    }
}

POLICY_CALL void policy_common_add_alone(const merit_policy_loss_args *a,
                                         const merit_policy_sequence *s, const policy_common *p,
                                         float *to, double *policy)
{
    policy_common_add_as(a, s, 0, p, to, policy, NULL);
}

POLICY_CALL void policy_common_add_kl(const merit_policy_loss_args *a,
                                      const merit_policy_sequence *s, const policy_common *p,
                                      float *to, double *policy, double *kl)
{
    policy_common_add_as(a, s, 1, p, to, policy, kl);
}

// at: the lane of the chunk's first token, which is token `start`.
static void policy_common_add(const merit_policy_loss_args *a, const merit_policy_sequence *s,
                              const policy_common *p, int64_t start, int at, policy_sums *sums)
{
    float gradients[POLICY_CHUNK];
    float *const place = a->io.grad_logprob == NULL ? gradients : a->io.grad_logprob + start;
    float *const to = p->count == p->padded ? place : gradients;
    double *const policy = sums->lanes[MERIT_POLICY_CELL_POLICY] + at;
    if (p->has_kl) {
        policy_common_add_kl(a, s, p, to, policy, sums->lanes[MERIT_POLICY_CELL_KL] + at);
    } else {
        policy_common_add_alone(a, s, p, to, policy);
    }
    if (to != place) memcpy(place, to, (size_t)p->count * sizeof(float));
}

// Statistics --------------------------------------------------------------------------------------

POLICY_CALL void policy_common_add_ratios(const policy_common *restrict p, double *restrict ratios,
                                          double *restrict squares, double *restrict k1)
{
    const int count = p->padded;
    for (int j = 0; j < count; j++) {
        const int on = p->valid[j] != 0;
        const double ratio = on ? (double)p->ratio[j] : 0.0;
        ratios[j] = m_add64(ratios[j], ratio);
        squares[j] = m_add64(squares[j], m_mul64(ratio, ratio));
        k1[j] = m_sub64(k1[j], (double)p->log_ratio[j]);
    }
}

POLICY_CALL void policy_common_k3_near(int count, const float *restrict hi,
                                       const float *restrict lo, const float *restrict log_ratio,
                                       double *restrict k3)
{
    for (int j = 0; j < count; j++) {
        const merit_pair32 e = {hi[j], lo[j]};
        k3[j] = m_add64(k3[j], (double)m_expm1_minus(e, log_ratio[j]));
    }
}

POLICY_CALL void policy_common_k3_far(int count, const float *restrict log_ratio,
                                      double *restrict k3)
{
    for (int j = 0; j < count; j++) {
        k3[j] = m_add64(k3[j], (double)m_expm1m(log_ratio[j]));
    }
}

POLICY_CALL void policy_common_add_kl_seen(const policy_common *restrict p, double *restrict seen)
{
    const int count = p->padded;
    for (int j = 0; j < count; j++) {
        seen[j] = m_add64(seen[j], (double)p->kl_loss[j]);
    }
}

// Flags of the tokens, 0 where masked.
POLICY_CALL void policy_common_flags(const merit_policy_loss_args *restrict a,
                                     const merit_policy_sequence *restrict s,
                                     const policy_common *restrict p, uint32_t *restrict flags)
{
    const float cap = merit_policy_or_infinite(a->d.ratio_cap);
    const float dual = merit_policy_or_infinite(a->d.dual_clip);
    const float positive_low = a->low[0];
    const float negative_low = a->low[1];
    const float positive_high = a->high[0];
    const float negative_high = a->high[1];
    const float *const log_ratio = p->by_token ? p->log_ratio : p->shared_log;
    const int count = p->padded;
    for (int j = 0; j < count; j++) {
        const float A = p->advantage[j];
        const float low = A < 0.0f ? negative_low : positive_low;
        const float high = A < 0.0f ? negative_high : positive_high;
        const float x = log_ratio[j];
        const uint32_t clipped = merit_policy_ratio_flags(a, s, MERIT_POLICY_SURROGATE_CLIP, A,
                                                          p->ratio[j], x, low, high, cap, dual);
        const int lost = (p->loss[j] != p->loss[j]) | (p->kl_loss[j] != p->kl_loss[j]);
        const uint32_t all =
            clipped | (uint32_t)lost << MERIT_POLICY_COUNT_NAN | 1u << MERIT_POLICY_COUNT_TOKENS;
        flags[j] = p->valid[j] != 0 ? all : 0;
    }
}

static void policy_common_statistics(const merit_policy_loss_args *a,
                                     const merit_policy_sequence *s, const policy_common *p, int at,
                                     policy_sums *sums, merit_policy_tally *tally)
{
    uint32_t flags[POLICY_CHUNK];
    double *const k3 = sums->lanes[MERIT_POLICY_CELL_K3] + at;
    policy_common_add_ratios(p, sums->lanes[MERIT_POLICY_CELL_RATIO] + at,
                             sums->lanes[MERIT_POLICY_CELL_RATIO_SQUARED] + at,
                             sums->lanes[MERIT_POLICY_CELL_K1] + at);
    if (p->largest_ratio <= m_bits32(MERIT_EXPM1_NEAR)) {
        float hi[POLICY_CHUNK], lo[POLICY_CHUNK];
        policy_common_expm1_near(p->padded, m_inf32(), p->log_ratio, hi, lo);
        policy_common_k3_near(p->padded, hi, lo, p->log_ratio, k3);
    } else {
        policy_common_k3_far(p->padded, p->log_ratio, k3);
    }
    if (p->has_kl) policy_common_add_kl_seen(p, sums->lanes[MERIT_POLICY_CELL_KL_REF] + at);
    policy_common_flags(a, s, p, flags);
    policy_tally_flags(flags, p->padded, tally->counts);
    policy_tally_extremes(p->valid, p->ratio, p->padded,
                          &tally->extremes[MERIT_POLICY_EXTREME_RATIO_MIN],
                          &tally->extremes[MERIT_POLICY_EXTREME_RATIO_MAX]);
}

#endif
