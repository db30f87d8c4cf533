// Minus the log probability of a win or a tie, with derivatives, under the models of Rao and Kupper
// (1967) and of Davidson (1970). binary64 throughout, in forms whose terms have one sign.
#ifndef MERIT_PREFERENCE_TIE_H
#define MERIT_PREFERENCE_TIE_H

#include "preference_link.h"

// The model and what its parameter alone decides.
typedef struct merit_preference_tie {
    int32_t model;
    double log_tie; // RAO_KUPPER: eta; DAVIDSON: l
    double log_share; // RAO_KUPPER: log(1 - e^(-2 eta))
    double share_slope; // RAO_KUPPER: 2 / (e^(2 eta) - 1)
} merit_preference_tie;

MERIT_HD static inline merit_preference_tie merit_preference_tie_of(int32_t model, float log_tie)
{
    const double doubled = m_mul64(2.0, (double)log_tie);
    const int rao_kupper = model == MERIT_TIE_MODEL_RAO_KUPPER;
    merit_preference_tie t;
    t.model = model;
    t.log_tie = (double)log_tie;
    t.log_share = rao_kupper ? m_log64(-m_expm1_64(-doubled)) : 0.0;
    t.share_slope = rao_kupper ? m_div64(2.0, m_expm1_64(doubled)) : 0.0;
    return t;
}

typedef struct merit_preference_outcome {
    double value; // -log P
    double slope; // d value / d z
    double tie_slope; // d value / d log_tie
} merit_preference_outcome;

// log1p(e^-abs(x)): what softplus adds to max(x, 0).
MERIT_HD static inline double merit_preference_softplus_tail(double x)
{
    return m_softplus64(x > 0.0 ? -x : x);
}

// tie: sp(eta - z) + sp(eta + z) - log(expm1(2 eta))
//    = max(abs(z) - eta, 0) + log1p(e^-abs(eta - z)) + log1p(e^-abs(eta + z)) - log(1 - e^(-2 eta))
// dz = s(eta + z) - s(eta - z) = sign(z) s(eta + a) s(a - eta) (1 - e^(-2 a)), a = abs(z)
MERIT_HD static inline merit_preference_outcome
merit_preference_rao_kupper(const merit_preference_tie *t, int is_tie, double z)
{
    const double eta = t->log_tie;
    merit_preference_outcome o;
    if (!is_tie) {
        const double lost = m_sub64(eta, z);
        o.value = m_softplus64(lost);
        o.tie_slope = merit_preference_sigmoid64(lost);
        o.slope = -o.tie_slope;
        return o;
    }
    const double size = m_abs64(z);
    const double outside = m_sub64(size, eta);
    const double tails = m_add64(merit_preference_softplus_tail(outside),
                                 merit_preference_softplus_tail(m_add64(eta, size)));
    o.value = m_add64(outside > 0.0 ? outside : 0.0, m_sub64(tails, t->log_share));
    const double win = merit_preference_sigmoid64(outside);
    const double slope = m_mul64(m_mul64(merit_preference_sigmoid64(m_add64(eta, size)), win),
                                 -m_expm1_64(m_mul64(-2.0, size)));
    o.slope = z < 0.0 ? -slope : slope;
    const double loss = merit_preference_sigmoid64(-m_add64(eta, size));
    o.tie_slope = -m_add64(m_add64(win, loss), t->share_slope);
    return o;
}

// Shares of win, loss and tie of chosen are proportional to e^(z/2), e^(-z/2), e^l. The largest
// exponent is taken out; the others' exponentials are what log1p sees.
MERIT_HD static inline merit_preference_outcome
merit_preference_davidson(const merit_preference_tie *t, int is_tie, double z,
                          double *win_probability)
{
    const double half = m_mul64(0.5, z);
    const double size = m_abs64(half);
    const double l = t->log_tie;
    const double top = l > size ? l : size;
    const double e_favored = m_exp64(m_sub64(size, top));
    const double e_other = m_exp64(m_sub64(-size, top));
    const double e_tie = m_exp64(m_sub64(l, top));
    // the sum without its largest term, which is 1
    const double rest = m_add64(e_other, l > size ? e_favored : e_tie);
    const double total = m_add64(1.0, rest);
    const double favored = m_div64(e_favored, total);
    const double other = m_div64(e_other, total);
    const double tie = m_div64(e_tie, total);
    const double won = z < 0.0 ? other : favored;
    const double lost = z < 0.0 ? favored : other;
    merit_preference_outcome o;
    o.value = m_add64(m_sub64(top, is_tie ? l : half), m_log1p64(rest));
    if (is_tie) {
        const double slope = m_mul64(m_mul64(0.5, favored), -m_expm1_64(m_mul64(-2.0, size)));
        o.slope = z < 0.0 ? -slope : slope;
        o.tie_slope = -m_add64(won, lost);
    } else {
        o.slope = -m_add64(lost, m_mul64(0.5, tie));
        o.tie_slope = tie;
    }
    *win_probability = won;
    return o;
}

// Of a win at z, or of a tie at z.
MERIT_HD static inline merit_preference_outcome
merit_preference_outcome_of(const merit_preference_tie *t, int is_tie, double z)
{
    double unused;
    if (t->model == MERIT_TIE_MODEL_DAVIDSON) {
        return merit_preference_davidson(t, is_tie, z, &unused);
    }
    return merit_preference_rao_kupper(t, is_tie, z);
}

// P(chosen wins) at z.
MERIT_HD static inline double merit_preference_win_probability(const merit_preference_tie *t,
                                                               double z)
{
    double probability;
    if (t->model == MERIT_TIE_MODEL_DAVIDSON) {
        merit_preference_davidson(t, 0, z, &probability);
        return probability;
    }
    return merit_preference_sigmoid64(m_sub64(z, t->log_tie));
}

#endif
