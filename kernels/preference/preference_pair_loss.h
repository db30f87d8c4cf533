// preference_pair: loss and gradients of a usable pair.
#ifndef MERIT_PREFERENCE_PAIR_LOSS_H
#define MERIT_PREFERENCE_PAIR_LOSS_H

#include "preference_pair_input.h"

typedef struct merit_preference_result {
    double z; // logit that chosen wins
    double loss; // L
    double grad_chosen; // dL / dx_c
    double grad_rejected; // dL / dx_r
    double grad_tie; // dL / dlog_tie
    int32_t overflows; // an EXPONENTIAL leaves binary32
} merit_preference_result;

// q, the probability that is fitted. 1/2 stays 1/2.
MERIT_HD static inline double merit_preference_fitted(const merit_preference_pair_desc *d, double p)
{
    const double e = (double)d->smoothing;
    const double fitted = d->smoothing_kind == MERIT_SMOOTHING_ROBUST
                              ? m_div64(m_sub64(p, e), m_sub64(1.0, m_mul64(2.0, e)))
                              : m_add64(m_mul64(m_sub64(1.0, e), p), m_mul64(e, m_sub64(1.0, p)));
    return e == 0.0 || p == 0.5 ? p : fitted;
}

// Terms with a coefficient of 0 are left out, so that 0 * inf never appears. The loop over terms has
// one call of the links: two terms of the pair, then two of each side alone.
MERIT_HD static inline merit_preference_result
merit_preference_pair_loss(const merit_preference_pair_args *a,
                           const merit_preference_pair_shared *s, const merit_preference_input *in)
{
    const merit_preference_pair_desc *const d = &a->d;
    const double scaled = m_mul64(in->beta, m_sub64(in->x_chosen, in->x_rejected));
    const double z = m_sub64(scaled, in->margin);
    const double opposite = d->opposite == MERIT_OPPOSITE_SWAP ? m_sub64(-scaled, in->margin) : -z;
    const double pair_weight = (double)d->pair_weight;
    const double q = merit_preference_fitted(d, in->p);
    double pair = 0.0;
    double pair_slope = 0.0; // wrt beta d
    double alone = 0.0;
    double chosen_slope = 0.0; // wrt beta x_c
    double rejected_slope = 0.0;
    merit_preference_result r;
    r.z = z;
    r.grad_tie = 0.0;
    r.overflows = 0;

    const int fits_pair = pair_weight > 0.0;
    if (fits_pair && s->models_ties) {
        const int lost = in->outcome < 0;
        const merit_preference_outcome o =
            merit_preference_outcome_of(&s->tie, in->outcome == 0, lost ? opposite : z);
        pair = o.value;
        pair_slope = lost ? -o.slope : o.slope;
        r.grad_tie = m_mul64(pair_weight, o.tie_slope);
    }
    const int first = fits_pair && !s->models_ties ? 0 : 2;
    const int last = s->has_unary ? 6 : 2;
#if defined(__CUDA_ARCH__)
#pragma unroll 1
#endif
    for (int term = first; term < last; term++) {
        const int side = term / 2; // 0: the pair, 1: chosen, 2: rejected
        const int minus = term % 2;
        const double coefficient = side > 0 ? (double)d->unary[term - 2]
                                   : minus  ? m_sub64(1.0, q)
                                            : q;
        if (coefficient == 0.0) continue;
        double at = minus ? opposite : z;
        if (side > 0) {
            const double x = side == 1 ? in->x_chosen : in->x_rejected;
            const double base = m_sub64(m_mul64(in->beta, x), s->unary_shift);
            at = m_sub64(minus ? -base : base, (double)d->unary_margin);
        }
        const merit_preference_link *const link = side > 0 ? &s->unary_link : &s->link;
        merit_preference_value v = merit_preference_evaluate(link, at);
        if (merit_preference_is_beyond(link->link, v.value)) {
            if (link->link == MERIT_LINK_EXPONENTIAL) r.overflows = 1;
            // ROBUST gives terms of either sign: their sum stays finite
            if (d->smoothing_kind != MERIT_SMOOTHING_ROBUST) v.value = m_inf64();
        }
        const double value = m_mul64(coefficient, v.value);
        const double slope = m_mul64(minus ? -coefficient : coefficient, v.slope);
        if (side == 0) {
            pair = m_add64(pair, value);
            pair_slope = minus ? m_add64(pair_slope, slope) : slope;
        } else {
            alone = m_add64(alone, value);
            if (side == 1) chosen_slope = m_add64(chosen_slope, slope);
            if (side == 2) rejected_slope = m_add64(rejected_slope, slope);
        }
    }

    const int flat = in->beta == 0.0;
    const double both =
        flat || !fits_pair ? 0.0 : m_mul64(in->beta, m_mul64(pair_weight, pair_slope));
    r.loss = fits_pair ? m_mul64(pair_weight, pair) : 0.0;
    r.grad_chosen = both;
    r.grad_rejected = -both;
    if (s->has_unary) {
        r.loss = m_add64(r.loss, alone);
        r.grad_chosen = m_add64(both, flat ? 0.0 : m_mul64(in->beta, chosen_slope));
        r.grad_rejected = m_add64(-both, flat ? 0.0 : m_mul64(in->beta, rejected_slope));
    }
    if (d->center > 0.0f) {
        const double sum = m_add64(in->x_chosen, in->x_rejected);
        const double pull = m_mul64(m_mul64(2.0, (double)d->center), sum);
        r.loss = m_add64(r.loss, m_mul64((double)d->center, m_mul64(sum, sum)));
        r.grad_chosen = m_add64(r.grad_chosen, pull);
        r.grad_rejected = m_add64(r.grad_rejected, pull);
    }
    return r;
}

#endif
