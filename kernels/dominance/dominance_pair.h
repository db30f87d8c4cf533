// The formulas of one pair of actions a, b under one objective: the sums over levels, what is made of
// them, the relation.
//
// Sums are taken as if larger were better; a sign of -1 exchanges P and M, which is exact. Likewise
// the pair (b, a) has the bits of (a, b) with P and M exchanged.
#ifndef MERIT_DOMINANCE_PAIR_H
#define MERIT_DOMINANCE_PAIR_H

#include "dominance_compare.h"

enum { MERIT_DOMINANCE_LANES = 4 }; // level n belongs to lane n mod 4

// Which sums a comparison takes. `less` sums are kept negative: min(d + delta, 0) costs one operation.
typedef enum merit_dominance_kind {
    MERIT_DOMINANCE_KIND_WINS, // p = 0
    MERIT_DOMINANCE_KIND_AREA, // p = 1
    MERIT_DOMINANCE_KIND_SQUARE, // p = 2
    MERIT_DOMINANCE_KIND_RUNNING, // integrate
    MERIT_DOMINANCE_KIND_RANKS // MANN_WHITNEY
} merit_dominance_kind;

MERIT_HD static inline merit_dominance_kind
merit_dominance_kind_of(const merit_dominance_compare *c)
{
    if (c->measure == MERIT_DOMINANCE_MEASURE_MANN_WHITNEY) return MERIT_DOMINANCE_KIND_RANKS;
    if (c->integrate) return MERIT_DOMINANCE_KIND_RUNNING;
    return c->power == 0   ? MERIT_DOMINANCE_KIND_WINS
           : c->power == 1 ? MERIT_DOMINANCE_KIND_AREA
                           : MERIT_DOMINANCE_KIND_SQUARE;
}

// Levels ------------------------------------------------------------------------------------------

// One lane of the sums.
typedef struct merit_dominance_lane {
    float more, less, tie;
} merit_dominance_lane;

// Adds a level. weighted 0: w is 1. tie is summed for weighted wins alone; else it follows.
MERIT_HD static inline void merit_dominance_add(merit_dominance_lane *s, merit_dominance_kind kind,
                                                int weighted, float delta, float w, float qa,
                                                float qb)
{
    const float d = m_sub(qa, qb);
    if (kind == MERIT_DOMINANCE_KIND_WINS) {
        s->more = m_add(s->more, d > delta ? w : 0.0f);
        s->less = m_sub(s->less, d < -delta ? w : 0.0f);
        if (weighted) s->tie = m_add(s->tie, d > delta || d < -delta ? 0.0f : w);
        return;
    }
    const float above = m_sub(d, delta);
    const float below = m_add(d, delta);
    const float more = above > 0.0f ? above : 0.0f;
    const float less = below < 0.0f ? below : 0.0f;
    if (kind == MERIT_DOMINANCE_KIND_AREA) {
        s->more = weighted ? m_fma(w, more, s->more) : m_add(s->more, more);
        s->less = weighted ? m_fma(w, less, s->less) : m_add(s->less, less);
    } else {
        s->more = m_fma(weighted ? m_mul(w, more) : more, more, s->more);
        s->less = m_fma(weighted ? m_mul(w, less) : less, -less, s->less);
    }
}

// The running sums of integrate, one lane, binary64.
typedef struct merit_dominance_running {
    double sum, more, less, tie;
} merit_dominance_running;

// delta: in the units of the running sum. weighted 0: w is 1.
MERIT_HD static inline void merit_dominance_add_running(merit_dominance_running *s, int power,
                                                        double delta, double w, float qa, float qb)
{
    s->sum = m_add64(s->sum, m_mul64(w, (double)m_sub(qa, qb)));
    const double above = m_sub64(s->sum, delta);
    const double below = m_sub64(-s->sum, delta);
    const double more = above > 0.0 ? above : 0.0;
    const double less = below > 0.0 ? below : 0.0;
    const double of_more = power == 0 ? 1.0 : power == 1 ? more : m_mul64(more, more);
    const double of_less = power == 0 ? 1.0 : power == 1 ? less : m_mul64(less, less);
    s->more = m_add64(s->more, above > 0.0 ? m_mul64(w, of_more) : 0.0);
    s->less = m_add64(s->less, below > 0.0 ? m_mul64(w, of_less) : 0.0);
    s->tie = m_add64(s->tie, above > 0.0 || below > 0.0 ? 0.0 : w);
}

MERIT_HD static inline double merit_dominance_running_delta(const merit_dominance_compare *c, int m)
{
    const double delta = (double)c->delta[m];
    return c->weights == NULL ? m_mul64(delta, (double)c->num_levels) : delta;
}

// Four lanes to one, neighbours first.
MERIT_HD static inline float merit_dominance_fold(float l0, float l1, float l2, float l3)
{
    return m_add(m_add(l0, l1), m_add(l2, l3));
}

MERIT_HD static inline double merit_dominance_fold64(double l0, double l1, double l2, double l3)
{
    return m_add64(m_add64(l0, l1), m_add64(l2, l3));
}

// Pairs -------------------------------------------------------------------------------------------

// P, M, T and P - M in units of 1 / unit, the objective's sign applied.
typedef struct merit_dominance_pair {
    double gain, loss, tie, difference;
} merit_dominance_pair;

// From the means: only the violation of the larger mean enters, so that P - M has the sign of their
// difference. `first`: a comes before b, which decides between two equal sums of different rounding.
// Means that cannot be subtracted (infinities) leave P and M as they are.
MERIT_HD static inline merit_dominance_pair
merit_dominance_by_means(double more, double less, double sum_a, double sum_b, int first)
{
    merit_dominance_pair p;
    p.difference = m_sub64(sum_a, sum_b);
    const int a_larger = p.difference > 0.0 || (p.difference == 0.0 && first);
    const double violation = a_larger ? less : more;
    const double other = m_add64(violation, a_larger ? p.difference : -p.difference);
    const int apart = m_is_nan64(p.difference);
    p.gain = apart ? more : a_larger ? other : violation;
    p.loss = apart ? less : a_larger ? violation : other;
    p.tie = 0.0;
    return p;
}

// unweighted: T is what P and M left of N.
MERIT_HD static inline merit_dominance_pair merit_dominance_by_sums(double more, double less,
                                                                    double tie)
{
    merit_dominance_pair p;
    p.gain = more;
    p.loss = less;
    p.tie = tie;
    p.difference = m_sub64(more, less);
    return p;
}

MERIT_HD static inline merit_dominance_pair merit_dominance_unknown(void)
{
    merit_dominance_pair p;
    p.gain = p.loss = p.tie = p.difference = m_nan64();
    return p;
}

// b over a.
MERIT_HD static inline merit_dominance_pair merit_dominance_turned(merit_dominance_pair p)
{
    merit_dominance_pair r;
    r.gain = p.loss;
    r.loss = p.gain;
    r.tie = p.tie;
    r.difference = -p.difference;
    return r;
}

// more, less: sums as if larger were better, both >= 0; sum_*: of the levels of the rows.
// unknown: a row or a weight forbids the comparison.
MERIT_HD static inline merit_dominance_pair
merit_dominance_make(const merit_dominance_compare *c, int m, double more, double less, double tie,
                     double sum_a, double sum_b, int first, int unknown)
{
    if (unknown) return merit_dominance_unknown();
    const int turned = merit_dominance_is_negative(c, m);
    const double p = turned ? less : more;
    const double q = turned ? more : less;
    if (c->by_means) {
        return turned ? merit_dominance_by_means(p, q, -sum_a, -sum_b, first)
                      : merit_dominance_by_means(p, q, sum_a, sum_b, first);
    }
    return merit_dominance_by_sums(p, q, tie);
}

MERIT_HD static inline int merit_dominance_halves_ties(const merit_dominance_compare *c)
{
    return c->measure == MERIT_DOMINANCE_MEASURE_MANN_WHITNEY ||
           (c->power == 0 && c->ties == MERIT_DOMINANCE_TIES_HALF);
}

// QD before rounding; total of a pair without anything: 1/2.
MERIT_HD static inline double merit_dominance_share(merit_dominance_pair p)
{
    const double total = m_add64(p.gain, p.loss);
    const double share = m_div64(p.gain, total);
    return total == 0.0 ? 0.5 : share;
}

// 1 - M / (2 M + D) for D = P - M >= 0, and its counterpart.
MERIT_HD static inline double merit_dominance_share_by_means(merit_dominance_pair p)
{
    const int larger = p.difference >= 0.0;
    const double small = larger ? p.loss : p.gain;
    const double distance = larger ? p.difference : -p.difference;
    const double total = m_add64(m_add64(small, small), distance);
    const double part = m_div64(small, total);
    const double share = larger ? m_sub64(1.0, part) : part;
    const double known = total == 0.0 ? 0.5 : share;
    return p.gain < m_inf64() ? known : m_nan64(); // NaN and inf / inf
}

MERIT_HD static inline float merit_dominance_qd(const merit_dominance_compare *c,
                                                merit_dominance_pair p)
{
    double share;
    if (c->by_means) {
        share = merit_dominance_share_by_means(p);
    } else if (merit_dominance_halves_ties(c)) {
        const double half = m_mul64(0.5, p.tie);
        merit_dominance_pair halved = p;
        halved.gain = m_add64(p.gain, half);
        halved.loss = m_add64(p.loss, half);
        share = merit_dominance_share(halved);
    } else {
        share = merit_dominance_share(p);
    }
    return m_canonical32(m_round32(share));
}

MERIT_HD static inline float merit_dominance_gain(const merit_dominance_compare *c,
                                                  merit_dominance_pair p)
{
    return m_canonical32(m_round32(m_div64(p.gain, c->unit)));
}

// a >_theta b. False wherever something is NaN or infinite. No division: at theta = 1 any violation
// counts, however small.
MERIT_HD static inline int merit_dominance_beats(const merit_dominance_compare *c, double theta,
                                                 double eta, merit_dominance_pair p)
{
    const int ahead = p.difference > 0.0 && p.gain < m_inf64();
    const int enough = !(eta > 0.0) || p.difference > m_mul64(eta, c->unit);
    int share;
    if (merit_dominance_halves_ties(c)) {
        const double all = m_add64(m_add64(p.gain, p.loss), p.tie);
        share = m_add64(p.gain, m_mul64(0.5, p.tie)) >= m_mul64(theta, all);
    } else if (theta == 1.0) {
        share = p.loss == 0.0;
    } else {
        share = m_mul64(m_sub64(1.0, theta), p.gain) >= m_mul64(theta, p.loss);
    }
    return ahead & enough & share;
}

#endif
