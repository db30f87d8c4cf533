// The links phi(z) of the preference losses, with their derivatives.
//
// LOGISTIC, EXPONENTIAL and SIGMOID round z to binary32 and stay there: losses over millions of pairs
// use them, and consumer GPUs run binary64 at 1/64 of the rate. The others work in binary64.
#ifndef MERIT_PREFERENCE_LINK_H
#define MERIT_PREFERENCE_LINK_H

#include <merit/preference.h>

#include "../core/logistic.h"

// 1 / (1 + e^-x), to 2 ulp.
MERIT_HD static inline double merit_preference_sigmoid64(double x)
{
    const double e = m_exp64(x < 0.0 ? x : -x);
    return m_canonical64(m_div64(x < 0.0 ? e : 1.0, m_add64(1.0, e)));
}

// A link and what its parameter alone decides.
typedef struct merit_preference_link {
    int32_t link;
    double parameter; // EXO: e; DISCOPOP: T
    double log_right; // EXO: log(1 - e)
    double log_wrong; // EXO: log e
} merit_preference_link;

MERIT_HD static inline merit_preference_link merit_preference_link_of(int32_t link, float parameter)
{
    const int exo = link == MERIT_LINK_EXO;
    merit_preference_link l;
    l.link = link;
    l.parameter = (double)parameter;
    l.log_right = exo ? m_log1p64(-(double)parameter) : 0.0;
    l.log_wrong = exo ? m_log64((double)parameter) : 0.0;
    return l;
}

typedef struct merit_preference_value {
    double value; // phi(z)
    double slope; // phi'(z)
} merit_preference_value;

// Slopes of either sign meet, so no finite z may give an infinite one: infinities would cancel to NaN.
// Exponentials go on in binary64 where they leave their range, and stop at e^485 < 2^700: that leaves room
// for the products and sums that follow. What of them reaches a binary32 output is infinite there; a loss
// with such a term is infinite where all terms have one sign.
#define MERIT_PREFERENCE_LAST_EXPONENT 485.0f
#define MERIT_PREFERENCE_LAST 0x1.a1ec65e29e512p699 // e^485

// e^-z; beyond binary32 to 8 units of its last place.
MERIT_HD static inline double merit_preference_exponential(float z)
{
    const float limit = MERIT_PREFERENCE_LAST_EXPONENT;
    const double near = (double)m_exp(-z);
    const double root = (double)m_exp(m_mul(-z > limit ? limit : -z, 0.125f));
    const double square = m_mul64(root, root);
    const double fourth = m_mul64(square, square);
    return near == m_inf64() ? m_mul64(fourth, fourth) : near;
}

// Whether the value of a link has left the range of its exponential.
MERIT_HD static inline int merit_preference_is_beyond(int32_t link, double value)
{
    if (link == MERIT_LINK_EXPONENTIAL) return value > 0x1.fffffep127;
    return link == MERIT_LINK_DISCOPOP && value > 0x1p690;
}

// softplus of a binary32 argument, x before its rounding. Above binary32 it is x itself.
MERIT_HD static inline double merit_preference_softplus_of(merit_logistic l, double x)
{
    return (double)l.softplus == m_inf64() ? x : (double)l.softplus;
}

// z finite gives values that are finite.
MERIT_HD static inline merit_preference_value merit_preference_exo(const merit_preference_link *l,
                                                                   double z)
{
    const double right = merit_preference_sigmoid64(z);
    const double wrong = merit_preference_sigmoid64(-z);
    const double log_ratio_right = m_sub64(-m_softplus64(-z), l->log_right);
    const double log_ratio_wrong = m_sub64(-m_softplus64(z), l->log_wrong);
    merit_preference_value v;
    v.value = m_add64(m_mul64(right, log_ratio_right), m_mul64(wrong, log_ratio_wrong));
    v.slope = m_mul64(m_mul64(right, wrong), m_sub64(z, m_sub64(l->log_right, l->log_wrong)));
    return v;
}

// With u = s(z / T), v = 1 - u and w = u exp(-z):
//   phi = v sp(-z) + w    phi' = -v s(-z) + w (v / T - 1) - u v / T sp(-z)
// For z < 0, w = v exp(z / T - z): exp(-z) alone would overflow where w does not.
MERIT_HD static inline merit_preference_value
merit_preference_discopop(const merit_preference_link *l, double z)
{
    const double t = l->parameter;
    const double u = merit_preference_sigmoid64(m_div64(z, t));
    const double v = merit_preference_sigmoid64(-m_div64(z, t));
    const int negative = z < 0.0;
    const double power =
        negative ? m_mul64(z, m_div64(m_sub64(1.0, t), t)) : -z; // T > 1: may be large
    const double e = m_exp64(power);
    const double w =
        m_mul64(negative ? v : u, e > MERIT_PREFERENCE_LAST ? MERIT_PREFERENCE_LAST : e);
    const double softplus = m_softplus64(-z);
    const double share = m_div64(v, t);
    merit_preference_value r;
    r.value = m_add64(m_mul64(v, softplus), w);
    r.slope =
        m_sub64(m_mul64(w, m_sub64(share, 1.0)), m_add64(m_mul64(v, merit_preference_sigmoid64(-z)),
                                                         m_mul64(m_mul64(u, share), softplus)));
    return r;
}

// phi(z) and phi'(z). A NaN z gives NaN.
MERIT_HD static inline merit_preference_value
merit_preference_evaluate(const merit_preference_link *l, double z)
{
    const float z32 = m_round32(z);
    merit_preference_value v;
    switch (l->link) {
    case MERIT_LINK_HINGE:
        v.value = z < 1.0 ? m_sub64(1.0, z) : z != z ? z : 0.0;
        v.slope = z < 1.0 ? -1.0 : z != z ? z : 0.0;
        break;
    case MERIT_LINK_SQUARED:
        v.value = m_mul64(z, z);
        v.slope = m_mul64(2.0, z);
        break;
    case MERIT_LINK_EXPONENTIAL:
        v.value = merit_preference_exponential(z32);
        v.slope = -v.value;
        break;
    case MERIT_LINK_SIGMOID:
        v.value = (double)m_sigmoid(-z32);
        v.slope = -m_mul64(v.value, (double)m_sigmoid(z32));
        break;
    case MERIT_LINK_EXO: v = merit_preference_exo(l, z); break;
    case MERIT_LINK_DISCOPOP: v = merit_preference_discopop(l, z); break;
    default: { // LOGISTIC
        const merit_logistic l = m_logistic(-z32);
        v.value = merit_preference_softplus_of(l, -z);
        v.slope = -(double)l.sigmoid;
    }
    }
    return v;
}

#endif
