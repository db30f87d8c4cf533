// Where the tokens of a sequence lie, and which tokens lie in none.
#ifndef MERIT_POLICY_SEQUENCES_H
#define MERIT_POLICY_SEQUENCES_H

#include <merit/types.h>

#include "../core/counters.h"

typedef enum merit_policy_refusal {
    MERIT_POLICY_FINE = 0,
    MERIT_POLICY_BAD_OFFSETS,
    MERIT_POLICY_TOO_LARGE
} merit_policy_refusal;

typedef struct merit_policy_layout {
    merit_groups groups; // group_stride resolved, no index
    int64_t num_tokens;
    int32_t has_offsets; // else uniform; without tokens of size and stride 0
} merit_policy_layout;

typedef struct merit_policy_span {
    int64_t begin;
    int64_t size; // of a refused sequence: as many tokens as it surely has
    int64_t gap; // tokens behind it that belong to nobody
    merit_policy_refusal refusal;
} merit_policy_span;

MERIT_HD static inline merit_policy_span merit_policy_span_of(const merit_policy_layout *l,
                                                              int64_t sequence)
{
    const merit_groups *const g = &l->groups;
    merit_policy_span s;
    s.refusal = MERIT_POLICY_FINE;
    s.gap = 0;
    if (!l->has_offsets) {
        s.begin = sequence * g->group_stride;
        s.size = g->group_size;
        const int64_t left = l->num_tokens - s.begin;
        s.gap = (left < g->group_stride ? left : g->group_stride) - s.size;
        return s;
    }
    s.begin = g->offsets[sequence];
    const int64_t end = g->offsets[sequence + 1];
    if (s.begin < 0 || end < s.begin || end > l->num_tokens) {
        const int known = s.begin >= 0 && s.begin <= l->num_tokens && end > l->num_tokens;
        s.size = known ? l->num_tokens - s.begin : 0;
        s.refusal = MERIT_POLICY_BAD_OFFSETS;
        return s;
    }
    s.size = end - s.begin;
    if (g->max_size > 0 && s.size > g->max_size) s.refusal = MERIT_POLICY_TOO_LARGE;
    return s;
}

MERIT_HD static inline void merit_policy_tell(const merit_policy_span *s,
                                              merit_diagnostics *diagnostics)
{
    m_count(diagnostics, MERIT_COUNTER_BAD_OFFSETS, s->refusal == MERIT_POLICY_BAD_OFFSETS);
    m_count(diagnostics, MERIT_COUNTER_GROUP_TOO_LARGE, s->refusal == MERIT_POLICY_TOO_LARGE);
}

// Tokens in no sequence, besides the gaps: [0, before) and [after, T). Bad outer offsets claim nothing.
typedef struct merit_policy_outside {
    int64_t before;
    int64_t after;
} merit_policy_outside;

MERIT_HD static inline merit_policy_outside merit_policy_outside_of(const merit_policy_layout *l)
{
    const merit_groups *const g = &l->groups;
    const int64_t tokens = l->num_tokens;
    merit_policy_outside o;
    if (g->num_groups == 0) {
        o.before = 0;
        o.after = 0;
        return o;
    }
    if (!l->has_offsets) {
        const int64_t end = g->num_groups * g->group_stride;
        o.before = 0;
        o.after = end < tokens ? end : tokens;
        return o;
    }
    const int64_t first = g->offsets[0];
    const int64_t last = g->offsets[g->num_groups];
    o.before = first > 0 && first <= tokens ? first : 0;
    o.after = last >= 0 && last < tokens ? last : tokens;
    if (o.after < o.before) o.after = o.before;
    return o;
}

#endif
