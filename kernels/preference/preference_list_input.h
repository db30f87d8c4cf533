// What preference_list reads: items, where groups lie, which groups count.
#ifndef MERIT_PREFERENCE_LIST_INPUT_H
#define MERIT_PREFERENCE_LIST_INPUT_H

#include "../core/load.h"
#include "preference_list_args.h"

// State of an item.
enum {
    MERIT_LIST_MEMBER = 1, // in the set
    MERIT_LIST_POSITIVE = 2, // ANCHORED signs
    MERIT_LIST_NEGATIVE = 4,
    MERIT_LIST_TARGET = 8, // INDEX: the target
    MERIT_LIST_IN_MASK = 16,
    MERIT_LIST_NO_ROW = 32 // its index entry is out of range
};

// What items of a group showed.
enum {
    MERIT_LIST_SAW_BAD_INDEX = 1,
    MERIT_LIST_SAW_NONFINITE = 2,
    MERIT_LIST_SAW_SKIPPED = 4,
    MERIT_LIST_SAW_BAD_WEIGHT = 8,
    MERIT_LIST_SAW_BAD_RANK = 16,
    MERIT_LIST_SAW_BAD_TARGET = 32,
    MERIT_LIST_SAW_POISON = 1 | 2 | 8 | 16 | 32 // the group is NaN
};

typedef struct merit_list_item {
    double x; // the score, later x = u / tau
    double key; // weight, rank or label
    int32_t state;
} merit_list_item;

// Row of item i of a group that begins at `begin`; -1 when the index entry is out of range.
MERIT_HD static inline int64_t merit_list_row(const merit_preference_list_args *a, int64_t begin,
                                              int64_t i)
{
    if (a->d.groups.index == NULL) return begin + i;
    const int64_t row = a->d.groups.index[begin + i];
    return row >= 0 && row < a->d.num_items ? row : -1;
}

// Sets state bits and the key by mode; returns saw bits. `lost`: the key is not finite.
MERIT_HD static inline int merit_list_load_key(const merit_preference_list_args *a, int64_t row,
                                               merit_list_item *item, int *lost)
{
    switch (a->d.mode) {
    case MERIT_LIST_MODE_PLACKETT_LUCE: {
        const int32_t rank = a->io.ranks[row];
        item->key = (double)rank;
        return rank < -1 ? MERIT_LIST_SAW_BAD_RANK : 0;
    }
    case MERIT_LIST_MODE_ALL_PAIRS:
        item->key = (double)a->io.labels[row];
        *lost = m_is_nan64(item->key);
        return *lost ? MERIT_LIST_SAW_BAD_TARGET : 0;
    case MERIT_LIST_MODE_ANCHORED: {
        const int sign = a->io.signs[row];
        item->state |= sign > 0 ? MERIT_LIST_POSITIVE : sign < 0 ? MERIT_LIST_NEGATIVE : 0;
        return sign < -1 || sign > 1 ? MERIT_LIST_SAW_BAD_TARGET : 0;
    }
    default:
        if (a->d.target != MERIT_LIST_TARGET_WEIGHTS) return 0;
        item->key = (double)a->io.weights[row];
        *lost = !m_is_finite64(item->key);
        return item->key >= 0.0 ? 0 : MERIT_LIST_SAW_BAD_WEIGHT;
    }
}

// Whether -inf is a member of probability 0, not an error.
MERIT_HD static inline int merit_list_takes_minus_inf(const merit_preference_list_args *a)
{
    return a->d.center == MERIT_LIST_CENTER_NONE && a->d.mode != MERIT_LIST_MODE_ALL_PAIRS &&
           a->d.mode != MERIT_LIST_MODE_ANCHORED;
}

// Reads item i of the group at `begin`; target: its index, or -1.
MERIT_HD static inline merit_list_item merit_list_load(const merit_preference_list_args *a,
                                                       int64_t begin, int64_t i, int64_t target,
                                                       int *saw)
{
    merit_list_item item;
    item.x = 0.0;
    item.key = 0.0;
    item.state = 0;
    const int64_t row = merit_list_row(a, begin, i);
    if (row < 0) {
        *saw |= MERIT_LIST_SAW_BAD_INDEX;
        item.state = MERIT_LIST_NO_ROW;
        return item;
    }
    if (a->io.mask != NULL && a->io.mask[row] == 0) return item;
    // Adding +0 makes -0 a +0: no later result depends on the sign of a zero.
    const double s =
        m_add64(m_load_real(a->io.scores, a->d.score_dtype, row * a->d.score_stride), 0.0);
    int lost = 0;
    const int found = merit_list_load_key(a, row, &item, &lost);
    if (a->d.skip_invalid && (lost || !m_is_finite64(s))) {
        *saw |= MERIT_LIST_SAW_SKIPPED;
        item.state = MERIT_LIST_IN_MASK;
        return item;
    }
    const int lower = merit_list_takes_minus_inf(a) ? s >= -m_inf64() : s > -m_inf64();
    if (lost || !(lower && s < m_inf64())) *saw |= MERIT_LIST_SAW_NONFINITE;
    *saw |= found;
    item.x = s;
    item.state |= MERIT_LIST_MEMBER | MERIT_LIST_IN_MASK | (i == target ? MERIT_LIST_TARGET : 0);
    return item;
}

// Groups ------------------------------------------------------------------------------------------

MERIT_HD static inline merit_list_span merit_list_span_of(const merit_preference_list_args *a,
                                                          int64_t group)
{
    const merit_groups *const g = &a->d.groups;
    const int64_t items = a->d.num_items;
    merit_list_span s;
    s.refusal = MERIT_LIST_FINE;
    s.gap = 0;
    if (g->group_size > 0) {
        s.begin = group * g->group_stride;
        s.size = g->group_size;
        const int64_t left = items - s.begin;
        s.gap = (left < g->group_stride ? left : g->group_stride) - s.size;
        return s;
    }
    const int64_t begin = g->offsets[group];
    const int64_t end = g->offsets[group + 1];
    s.begin = begin;
    s.size = end - begin;
    if (begin < 0 || end < begin || end > items) {
        const int known = begin >= 0 && begin <= items && end > items;
        s.size = known ? items - begin : 0;
        s.refusal = MERIT_LIST_BAD_OFFSETS;
    } else if (s.size > a->size_limit) {
        s.refusal = MERIT_LIST_TOO_LARGE;
    }
    return s;
}

// Rows in no group, as positions: [0, before) and [after, R). Bad outer offsets claim nothing.
MERIT_HD static inline void merit_list_outside(const merit_preference_list_args *a, int64_t *before,
                                               int64_t *after)
{
    const merit_groups *const g = &a->d.groups;
    const int64_t items = a->d.num_items;
    if (g->group_size > 0) {
        const int64_t end = g->num_groups * g->group_stride;
        *before = 0;
        *after = end < items ? end : items;
        return;
    }
    const int64_t first = g->num_groups > 0 ? g->offsets[0] : 0;
    const int64_t last = g->num_groups > 0 ? g->offsets[g->num_groups] : 0;
    *before = first > 0 && first <= items ? first : 0;
    *after = last >= 0 && last < items ? last : items;
    if (*after < *before) *after = *before;
}

// 1: a stage of PLACKETT_LUCE.
MERIT_HD static inline int merit_list_is_stage(const merit_preference_list_args *a, double rank)
{
    return rank >= 0.0 && (a->d.top_k == 0 || rank < (double)a->d.top_k);
}

MERIT_HD static inline int merit_list_is_pick(const merit_preference_list_args *a,
                                              merit_list_item item)
{
    switch (a->d.mode) {
    case MERIT_LIST_MODE_PLACKETT_LUCE: return item.key < -1.0 || merit_list_is_stage(a, item.key);
    case MERIT_LIST_MODE_ALL_PAIRS: return 0;
    case MERIT_LIST_MODE_ANCHORED: return (item.state & MERIT_LIST_POSITIVE) != 0;
    default:
        if (a->d.target == MERIT_LIST_TARGET_WEIGHTS) return !(item.key == 0.0);
        return (item.state & MERIT_LIST_TARGET) != 0;
    }
}

// A group that holds this contributes, be it as a NaN.
MERIT_HD static inline int merit_list_is_valid(const merit_preference_list_args *a,
                                               merit_list_content c)
{
    switch (a->d.mode) {
    case MERIT_LIST_MODE_ALL_PAIRS: return c.differs;
    case MERIT_LIST_MODE_ANCHORED:
        if (a->d.require_both) return c.positives > 0 && c.negatives > 0;
        return c.positives + c.negatives > 0;
    default: return c.positives > 0 && c.members > 1;
    }
}

MERIT_HD static inline double merit_list_weight(const merit_preference_list_args *a, int64_t group)
{
    return a->io.group_weight == NULL ? 1.0 : (double)a->io.group_weight[group];
}

MERIT_HD static inline int merit_list_has_index(const merit_preference_list_args *a)
{
    return a->d.mode == MERIT_LIST_MODE_CROSS_ENTROPY && a->d.target == MERIT_LIST_TARGET_INDEX;
}

// 1 when the group counts in MEAN_VALID. Reads as little as it can: stops at the first items that
// decide.
MERIT_HD static inline int merit_list_counts(const merit_preference_list_args *a, int64_t group)
{
    if (merit_list_weight(a, group) == 0.0) return 1;
    const merit_list_span span = merit_list_span_of(a, group);
    if (span.refusal != MERIT_LIST_FINE) return 1;
    int saw = 0;
    int64_t target = -1;
    merit_list_content c = {0, 0, 0, 0};
    if (merit_list_has_index(a)) {
        target = a->io.target_index[group];
        if (target < 0 || span.size == 0) return 0;
        if (target >= span.size) return 1;
        const merit_list_item item = merit_list_load(a, span.begin, target, target, &saw);
        if (!(item.state & MERIT_LIST_MEMBER)) return 0;
        c.positives = 1;
    }
    double label = 0.0;
    for (int64_t i = 0; i < span.size; i++) {
        const merit_list_item item = merit_list_load(a, span.begin, i, target, &saw);
        if (!(item.state & MERIT_LIST_MEMBER)) continue;
        if (c.members == 0) label = item.key;
        c.members++;
        c.positives += merit_list_is_pick(a, item);
        c.negatives += (item.state & MERIT_LIST_NEGATIVE) != 0;
        c.differs |= c.members > 1 && !(item.key == label);
        if (merit_list_is_valid(a, c)) return 1;
    }
    return 0;
}

#endif
