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

#endif
