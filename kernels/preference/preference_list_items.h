// preference_list: what an item adds to the sums of its group, and its slope (CROSS_ENTROPY, ANCHORED).
#ifndef MERIT_PREFERENCE_LIST_ITEMS_H
#define MERIT_PREFERENCE_LIST_ITEMS_H

#include "preference_list_shape.h"

// Share of the target that an item with this weight (or that is the target) gets.
MERIT_HD static inline double merit_list_share(const merit_preference_list_args *a,
                                               const merit_list_group *g, double key, int is_target)
{
    const double q = a->d.target == MERIT_LIST_TARGET_WEIGHTS ? m_div64(key, g->sum_weight)
                     : is_target                              ? 1.0
                                                              : 0.0;
    if (a->d.smoothing == 0.0f) return q;
    const double e = (double)a->d.smoothing;
    return m_add64(m_mul64(m_sub64(1.0, e), q), m_div64(e, (double)g->shape.content.members));
}

typedef struct merit_list_shares {
    double own;
    double other; // of the other one of two members
} merit_list_shares;

MERIT_HD static inline merit_list_shares merit_list_shares_of(const merit_preference_list_args *a,
                                                              const merit_list_group *g,
                                                              merit_list_item item)
{
    const int is_target = (item.state & MERIT_LIST_TARGET) != 0;
    merit_list_shares q;
    q.own = merit_list_share(a, g, item.key, is_target);
    q.other = 0.0;
    if (g->is_pair) {
        const merit_list_shape *const s = &g->shape;
        const double key = item.key == s->key_max ? s->key_min : s->key_max;
        q.other = merit_list_share(a, g, key, !is_target);
    }
    return q;
}

// x - x' of the other one of two members.
MERIT_HD static inline double merit_list_pair_gap(const merit_list_group *g, double x)
{
    return m_sub64(x, x == g->x_max ? g->x_min : g->x_max);
}

MERIT_HD static inline double merit_list_exp(double x, double top)
{
    return (double)m_exp(m_round32(m_sub64(x, top)));
}

MERIT_HD static inline double merit_list_softplus(double x)
{
    return merit_preference_softplus_of(m_logistic(m_round32(x)), x);
}

// What a sum over the items of a group adds up.
typedef enum merit_list_term_kind {
    MERIT_LIST_TERM_NONE,
    MERIT_LIST_TERM_SCORE,
    MERIT_LIST_TERM_WEIGHT,
    MERIT_LIST_TERM_EXP,
    MERIT_LIST_TERM_EXP_POSITIVE,
    MERIT_LIST_TERM_EXP_NEGATIVE,
    MERIT_LIST_TERM_LOSS, // CROSS_ENTROPY and POINTWISE
    MERIT_LIST_TERM_SLOPE
} merit_list_term_kind;

MERIT_HD static inline double merit_list_cross_entropy(const merit_preference_list_args *a,
                                                       const merit_list_group *g,
                                                       merit_list_item item)
{
    const double q = merit_list_shares_of(a, g, item).own;
    if (q == 0.0) return 0.0;
    if (g->is_pair) {
        return m_mul64(q, merit_list_softplus(-merit_list_pair_gap(g, item.x)));
    }
    return m_mul64(q, m_add64(m_sub64(g->x_max, item.x), g->log_sum));
}

MERIT_HD static inline double merit_list_cross_entropy_slope(const merit_preference_list_args *a,
                                                             const merit_list_group *g,
                                                             merit_list_item item)
{
    const merit_list_shares q = merit_list_shares_of(a, g, item);
    if (!g->is_pair) {
        return m_sub64(m_div64(merit_list_exp(item.x, g->x_max), g->sum_exp), q.own);
    }
    // as preference_pair: own phi'(z) - other phi'(-z)
    const float z = m_round32(merit_list_pair_gap(g, item.x));
    const double win = q.own == 0.0 ? 0.0 : m_mul64(q.own, -(double)m_logistic(-z).sigmoid);
    const double loss = q.other == 0.0 ? 0.0 : m_mul64(q.other, -(double)m_logistic(z).sigmoid);
    return m_sub64(win, loss);
}

// ANCHORED: what the exponentials of the two sets are taken relative to, from the extremes.
MERIT_HD static inline void merit_list_place_anchors(const merit_preference_list_args *a,
                                                     merit_list_group *g)
{
    const int split = a->d.anchored == MERIT_ANCHORED_SPLIT;
    const merit_list_extremes *const e = &g->extremes;
    g->top_positive = split && !(e->worst_positive < 0.0) ? 0.0 : -e->worst_positive;
    g->top_negative = split && !(e->best_negative > 0.0) ? 0.0 : e->best_negative;
}

// The loss from the sums over both sets; POINTWISE: from the sum of losses.
MERIT_HD static inline void merit_list_close_anchored(const merit_preference_list_args *a,
                                                      merit_list_group *g, double first,
                                                      double second)
{
    const int split = a->d.anchored == MERIT_ANCHORED_SPLIT;
    g->loss = first;
    if (a->d.anchored != MERIT_ANCHORED_POINTWISE) {
        g->sum_positive = first;
        g->sum_negative = second;
        if (split) {
            g->sum_positive = m_add64(first, merit_list_exp(0.0, g->top_positive));
            g->sum_negative = m_add64(second, merit_list_exp(0.0, g->top_negative));
        }
        const double positive = m_add64(g->top_positive, m_log64(g->sum_positive));
        const double negative = m_add64(g->top_negative, m_log64(g->sum_negative));
        const double both = m_add64(positive, negative);
        g->joint = merit_preference_sigmoid64(both);
        g->loss = split ? both : m_softplus64(both);
    }
    if (g->terms > 1) g->loss = m_div64(g->loss, (double)g->terms);
}

MERIT_HD static inline double merit_list_anchored_slope(const merit_preference_list_args *a,
                                                        const merit_list_group *g,
                                                        merit_list_item item)
{
    const int positive = (item.state & MERIT_LIST_POSITIVE) != 0;
    double size;
    if (a->d.anchored == MERIT_ANCHORED_POINTWISE) {
        size = (double)m_logistic(m_round32(positive ? -item.x : item.x)).sigmoid;
    } else {
        const double e = positive ? merit_list_exp(-item.x, g->top_positive)
                                  : merit_list_exp(item.x, g->top_negative);
        size = m_div64(e, positive ? g->sum_positive : g->sum_negative);
        if (a->d.anchored == MERIT_ANCHORED_PRODUCT) size = m_mul64(g->joint, size);
    }
    return positive ? m_sub64(0.0, size) : size;
}

// dx of an item of CROSS_ENTROPY or ANCHORED.
MERIT_HD static inline double merit_list_slope(const merit_preference_list_args *a,
                                               const merit_list_group *g, merit_list_item item)
{
    if (a->d.mode == MERIT_LIST_MODE_CROSS_ENTROPY) {
        return merit_list_cross_entropy_slope(a, g, item);
    }
    if (!(item.state & (MERIT_LIST_POSITIVE | MERIT_LIST_NEGATIVE))) return 0.0;
    const double slope = merit_list_anchored_slope(a, g, item);
    return g->terms == 1 ? slope : m_div64(slope, (double)g->terms);
}

MERIT_HD static inline double merit_list_term(const merit_preference_list_args *a,
                                              const merit_list_group *g, merit_list_term_kind kind,
                                              merit_list_item item)
{
    if (!(item.state & MERIT_LIST_MEMBER)) return 0.0;
    const int positive = (item.state & MERIT_LIST_POSITIVE) != 0;
    const int negative = (item.state & MERIT_LIST_NEGATIVE) != 0;
    switch (kind) {
    case MERIT_LIST_TERM_SCORE: return item.x;
    case MERIT_LIST_TERM_WEIGHT: return item.key;
    case MERIT_LIST_TERM_EXP: return merit_list_exp(item.x, g->x_max);
    case MERIT_LIST_TERM_EXP_POSITIVE:
        return positive ? merit_list_exp(-item.x, g->top_positive) : 0.0;
    case MERIT_LIST_TERM_EXP_NEGATIVE:
        return negative ? merit_list_exp(item.x, g->top_negative) : 0.0;
    case MERIT_LIST_TERM_LOSS:
        if (a->d.mode == MERIT_LIST_MODE_CROSS_ENTROPY) return merit_list_cross_entropy(a, g, item);
        if (!(positive || negative)) return 0.0;
        return merit_list_softplus(positive ? -item.x : item.x);
    default: return merit_list_slope(a, g, item);
    }
}

#endif
