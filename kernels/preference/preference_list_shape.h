// preference_list: from the items of a group to what becomes of it.
#ifndef MERIT_PREFERENCE_LIST_SHAPE_H
#define MERIT_PREFERENCE_LIST_SHAPE_H

#include "preference_list_input.h"

MERIT_HD static inline merit_list_shape merit_list_shape_empty(void)
{
    merit_list_shape s;
    s.content.members = 0;
    s.content.positives = 0;
    s.content.negatives = 0;
    s.content.differs = 0;
    s.in_sets = 0;
    s.saw = 0;
    s.s_min = m_inf64();
    s.s_max = -m_inf64();
    s.key_min = m_inf64();
    s.key_max = -m_inf64();
    return s;
}

MERIT_HD static inline void merit_list_shape_add(const merit_preference_list_args *a,
                                                 merit_list_shape *s, merit_list_item item)
{
    if (!(item.state & MERIT_LIST_MEMBER)) return;
    const int negative = (item.state & MERIT_LIST_NEGATIVE) != 0;
    s->content.members++;
    s->content.positives += merit_list_is_pick(a, item);
    s->content.negatives += negative;
    s->s_min = item.x < s->s_min ? item.x : s->s_min;
    s->s_max = item.x > s->s_max ? item.x : s->s_max;
    if (a->d.mode == MERIT_LIST_MODE_PLACKETT_LUCE) {
        s->in_sets += merit_list_is_stage(a, item.key);
        if (item.key < 0.0) return;
    } else {
        s->in_sets += (item.state & (MERIT_LIST_POSITIVE | MERIT_LIST_NEGATIVE)) != 0;
    }
    s->key_min = item.key < s->key_min ? item.key : s->key_min;
    s->key_max = item.key > s->key_max ? item.key : s->key_max;
}

// x of a score.
MERIT_HD static inline double merit_list_x(const merit_preference_list_args *a,
                                           const merit_list_group *g, double s)
{
    double u = s;
    if (a->d.center != MERIT_LIST_CENTER_NONE) u = m_mul64(m_sub64(s, g->mean), g->factor);
    return a->d.tau == 1.0f ? u : m_div64(u, (double)a->d.tau);
}

// What is known before any item is read. PRESENT: read on.
MERIT_HD static inline void merit_list_begin(const merit_preference_list_args *a,
                                             merit_list_group *g, int64_t group)
{
    g->group = group;
    g->span = merit_list_span_of(a, group);
    g->weight = merit_list_weight(a, group);
    g->target = -1;
    g->shape = merit_list_shape_empty();
    g->settled = 0;
    g->is_pair = 0;
    g->terms = 1;
    g->slope_mean = 0.0;
    g->loss = 0.0;
    g->fate = MERIT_LIST_PRESENT;
    if (g->weight == 0.0) {
        g->fate = MERIT_LIST_ABSENT;
        return;
    }
    if (g->span.refusal != MERIT_LIST_FINE) {
        g->fate = MERIT_LIST_NAN;
        return;
    }
    if (merit_list_has_index(a)) {
        g->target = a->io.target_index[group];
        if (g->target < 0 || g->span.size == 0) {
            g->fate = MERIT_LIST_EMPTY;
        } else if (g->target >= g->span.size) {
            g->shape.saw = MERIT_LIST_SAW_BAD_TARGET;
            g->fate = MERIT_LIST_NAN;
        }
    }
}

// The fate that the shape decides, and what follows from it alone.
MERIT_HD static inline void merit_list_judge(const merit_preference_list_args *a,
                                             merit_list_group *g)
{
    merit_list_shape *const s = &g->shape;
    const int64_t members = s->content.members;
    s->content.differs =
        members > 1 && (s->key_max > s->key_min || (s->saw & MERIT_LIST_SAW_BAD_TARGET) != 0);
    if (!merit_list_is_valid(a, s->content)) {
        s->saw &= MERIT_LIST_SAW_SKIPPED | MERIT_LIST_SAW_BAD_INDEX;
        g->fate = MERIT_LIST_EMPTY;
        return;
    }
    if (!(s->s_max > -m_inf64())) s->saw |= MERIT_LIST_SAW_NONFINITE;
    if (!(g->weight >= 0.0 && g->weight < m_inf64()) || (s->saw & MERIT_LIST_SAW_POISON) != 0) {
        g->fate = MERIT_LIST_NAN;
        return;
    }
    g->is_pair = a->d.mode == MERIT_LIST_MODE_CROSS_ENTROPY && members == 2;
    if (a->d.inner == MERIT_LIST_INNER_MEAN && a->d.mode != MERIT_LIST_MODE_CROSS_ENTROPY) {
        g->terms = s->in_sets; // ALL_PAIRS: set when the pairs are counted
    }
    g->mean = 0.0;
    g->factor = 1.0;
    if (a->d.center == MERIT_LIST_CENTER_LEAVE_ONE_OUT) {
        g->factor = members == 1 ? 0.0 : m_div64((double)members, (double)(members - 1));
    }
}

// The scores are known, in sum (0 without centering): items are x from here on.
MERIT_HD static inline void merit_list_settle(const merit_preference_list_args *a,
                                              merit_list_group *g, double sum)
{
    if (a->d.center != MERIT_LIST_CENTER_NONE) {
        g->mean = m_div64(sum, (double)g->shape.content.members);
    }
    g->x_min = merit_list_x(a, g, g->shape.s_min);
    g->x_max = merit_list_x(a, g, g->shape.s_max);
    g->settled = 1;
}

// Of disjoint sets of items. Commutes.
MERIT_HD static inline merit_list_shape merit_list_shape_merge(merit_list_shape a,
                                                               merit_list_shape b)
{
    a.content.members += b.content.members;
    a.content.positives += b.content.positives;
    a.content.negatives += b.content.negatives;
    a.in_sets += b.in_sets;
    a.saw |= b.saw;
    a.s_min = b.s_min < a.s_min ? b.s_min : a.s_min;
    a.s_max = b.s_max > a.s_max ? b.s_max : a.s_max;
    a.key_min = b.key_min < a.key_min ? b.key_min : a.key_min;
    a.key_max = b.key_max > a.key_max ? b.key_max : a.key_max;
    return a;
}

// Extremes ----------------------------------------------------------------------------------------

MERIT_HD static inline merit_list_extremes merit_list_extremes_empty(void)
{
    merit_list_extremes e;
    e.best_positive = -m_inf64();
    e.worst_positive = m_inf64();
    e.best_negative = -m_inf64();
    e.found = 0;
    return e;
}

MERIT_HD static inline merit_list_extremes merit_list_extremes_merge(merit_list_extremes a,
                                                                     merit_list_extremes b)
{
    a.best_positive = b.best_positive > a.best_positive ? b.best_positive : a.best_positive;
    a.worst_positive = b.worst_positive < a.worst_positive ? b.worst_positive : a.worst_positive;
    a.best_negative = b.best_negative > a.best_negative ? b.best_negative : a.best_negative;
    a.found |= b.found;
    return a;
}

// From extremes of scores to those of x, which rises with the score.
MERIT_HD static inline void merit_list_settle_extremes(const merit_preference_list_args *a,
                                                       merit_list_group *g)
{
    merit_list_extremes *const e = &g->extremes;
    if (e->found & MERIT_LIST_POSITIVE) {
        e->best_positive = merit_list_x(a, g, e->best_positive);
        e->worst_positive = merit_list_x(a, g, e->worst_positive);
    }
    if (e->found & MERIT_LIST_NEGATIVE) e->best_negative = merit_list_x(a, g, e->best_negative);
}

// Whether an item is what the metrics call positive.
MERIT_HD static inline int merit_list_is_positive(const merit_preference_list_args *a,
                                                  const merit_list_group *g, merit_list_item item)
{
    switch (a->d.mode) {
    case MERIT_LIST_MODE_PLACKETT_LUCE: return item.key == g->shape.key_min;
    case MERIT_LIST_MODE_ALL_PAIRS: return item.key == g->shape.key_max;
    case MERIT_LIST_MODE_ANCHORED: return (item.state & MERIT_LIST_POSITIVE) != 0;
    default:
        if (a->d.target == MERIT_LIST_TARGET_WEIGHTS) return item.key > 0.0;
        return (item.state & MERIT_LIST_TARGET) != 0;
    }
}

MERIT_HD static inline int merit_list_is_negative(const merit_preference_list_args *a,
                                                  const merit_list_group *g, merit_list_item item)
{
    if (a->d.mode == MERIT_LIST_MODE_ANCHORED) return (item.state & MERIT_LIST_NEGATIVE) != 0;
    return !merit_list_is_positive(a, g, item);
}

MERIT_HD static inline int merit_list_has_both(const merit_list_group *g)
{
    return g->extremes.found == (MERIT_LIST_POSITIVE | MERIT_LIST_NEGATIVE);
}

// A negative at or above the best positive.
MERIT_HD static inline int merit_list_is_above(const merit_preference_list_args *a,
                                               const merit_list_group *g, merit_list_item item)
{
    return (item.state & MERIT_LIST_MEMBER) != 0 && merit_list_is_negative(a, g, item) &&
           item.x >= g->extremes.best_positive;
}

#endif
