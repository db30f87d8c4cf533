// preference_list: metrics of a group, gradients, counters, and the totals of a call.
#ifndef MERIT_PREFERENCE_LIST_OUTPUT_H
#define MERIT_PREFERENCE_LIST_OUTPUT_H

#include "../core/counters.h"
#include "preference_list_shape.h"

// (grad_scale / D); count: valid groups.
MERIT_HD static inline double merit_list_denominator(const merit_preference_list_args *a,
                                                     int64_t count)
{
    switch (a->d.reduction) {
    case MERIT_PREFERENCE_REDUCTION_SUM: return 1.0;
    case MERIT_PREFERENCE_REDUCTION_MEAN_GROUPS: return (double)a->d.groups.num_groups;
    case MERIT_PREFERENCE_REDUCTION_GIVEN: return a->io.denominator[0];
    default: return (double)count;
    }
}

MERIT_HD static inline double merit_list_scale(const merit_preference_list_args *a, int64_t count)
{
    const double upstream = a->io.grad_scale == NULL ? 1.0 : (double)a->io.grad_scale[0];
    const double d = merit_list_denominator(a, count);
    return upstream == 0.0 && d == 0.0 ? upstream : m_div64(upstream, d);
}

MERIT_HD static inline void merit_list_store(const merit_preference_list_args *a, int64_t row,
                                             double value)
{
    const int64_t at = row * a->d.grad_stride;
    switch (a->d.score_dtype) {
    case MERIT_DTYPE_BF16: ((uint16_t *)a->io.grad_scores)[at] = m_to_bf16_64(value); break;
    case MERIT_DTYPE_F16: ((uint16_t *)a->io.grad_scores)[at] = m_to_f16_64(value); break;
    default: ((float *)a->io.grad_scores)[at] = m_canonical32(m_round32(value)); break;
    }
}

// The gradient of an item that has dx = slope; scale: grad_scale / D.
MERIT_HD static inline void merit_list_finish(const merit_preference_list_args *a,
                                              const merit_list_group *g, double scale, int64_t row,
                                              double slope)
{
    double ds = slope;
    if (a->d.center != MERIT_LIST_CENTER_NONE) {
        ds = m_mul64(g->factor, m_sub64(slope, g->slope_mean));
    }
    if (a->d.tau != 1.0f) ds = m_div64(ds, (double)a->d.tau);
    merit_list_store(a, row, ds == 0.0 ? ds : m_mul64(m_mul64(scale, g->weight), ds));
}

// Adds what a group has to say to the counters, once.
MERIT_HD static inline void merit_list_tell(const merit_preference_list_args *a,
                                            const merit_list_group *g)
{
    merit_diagnostics *const diagnostics = a->io.diagnostics;
    if (diagnostics == NULL) return;
    const int saw = g->shape.saw;
    const int lost_weight = g->fate == MERIT_LIST_NAN && !m_is_finite64(g->weight);
    const int bad_weight = g->fate == MERIT_LIST_NAN && !(g->weight >= 0.0);
    const int overflow = g->fate == MERIT_LIST_PRESENT && a->d.link == MERIT_LINK_EXPONENTIAL &&
                         a->d.mode == MERIT_LIST_MODE_ALL_PAIRS && !m_is_finite64(g->loss);
    const int lost = MERIT_LIST_SAW_NONFINITE | MERIT_LIST_SAW_SKIPPED;
    m_count(diagnostics, MERIT_COUNTER_NONFINITE, (saw & lost) != 0 || lost_weight || overflow);
    m_count(diagnostics, MERIT_COUNTER_BAD_WEIGHT,
            (saw & MERIT_LIST_SAW_BAD_WEIGHT) != 0 || bad_weight);
    m_count(diagnostics, MERIT_COUNTER_BAD_RANK, (saw & MERIT_LIST_SAW_BAD_RANK) != 0);
    m_count(diagnostics, MERIT_COUNTER_BAD_TARGET, (saw & MERIT_LIST_SAW_BAD_TARGET) != 0);
    m_count(diagnostics, MERIT_COUNTER_BAD_INDEX, (saw & MERIT_LIST_SAW_BAD_INDEX) != 0);
    m_count(diagnostics, MERIT_COUNTER_EMPTY_GROUP, g->fate == MERIT_LIST_EMPTY);
    if (g->fate != MERIT_LIST_NAN) return;
    m_count(diagnostics, MERIT_COUNTER_BAD_OFFSETS, g->span.refusal == MERIT_LIST_BAD_OFFSETS);
    m_count(diagnostics, MERIT_COUNTER_GROUP_TOO_LARGE, g->span.refusal == MERIT_LIST_TOO_LARGE);
}

// Ranks of the positives among all: flags of MERIT_LIST_COUNT_.
MERIT_HD static inline uint32_t merit_list_rank_flags(const merit_list_extremes *e)
{
    const uint32_t top1 = (uint32_t)(e->best_positive > e->best_negative);
    const uint32_t top1_tie = (uint32_t)(e->best_positive >= e->best_negative);
    const uint32_t many = (uint32_t)(e->worst_positive > e->best_negative);
    const uint32_t many_tie = (uint32_t)(e->worst_positive >= e->best_negative);
    return 1u << MERIT_LIST_COUNT_RANKED | top1 << MERIT_LIST_COUNT_TOP1_STRICT |
           top1_tie << MERIT_LIST_COUNT_TOP1_TIE | many << MERIT_LIST_COUNT_MANY_STRICT |
           many_tie << MERIT_LIST_COUNT_MANY_TIE;
}

MERIT_HD static inline merit_list_outcome merit_list_outcome_empty(void)
{
    merit_list_outcome o;
    o.above = 0;
    o.concordant = 0;
    o.discordant = 0;
    o.tied = 0;
    return o;
}

// sum: of exp(x - x_max).
MERIT_HD static inline float merit_list_lse(const merit_list_group *g, double sum)
{
    return m_round32(m_add64(g->x_max, m_log64(sum)));
}

// The group's loss, counters, and its share of loss and metrics for the fold over groups; once.
MERIT_HD static inline void merit_list_record(const merit_preference_list_args *a,
                                              const merit_list_group *g,
                                              const merit_list_outcome *o)
{
    const int present = g->fate == MERIT_LIST_PRESENT;
    const double lost = g->fate == MERIT_LIST_NAN ? m_nan64() : 0.0;
    const double weighted = present ? m_mul64(g->weight, g->loss) : lost;
    merit_list_tell(a, g);
    if (a->io.group_loss != NULL) {
        a->io.group_loss[g->group] = m_canonical32(m_round32(weighted));
    }
    if (!a->needs_fold) return;
    const int ranked = present && a->io.metrics != NULL && merit_list_has_both(g);
    const int valid = g->fate != MERIT_LIST_EMPTY;
    const int invalid = g->fate == MERIT_LIST_NAN;
    double *const sums = a->terms.sums + g->group;
    const int64_t groups = a->d.groups.num_groups;
    a->terms.flags[g->group] = (ranked ? merit_list_rank_flags(&g->extremes) : 0u) |
                               (uint32_t)valid << MERIT_LIST_COUNT_VALID |
                               (uint32_t)invalid << MERIT_LIST_COUNT_INVALID;
    sums[MERIT_LIST_SUM_WEIGHTED * groups] = weighted;
    if (a->terms.num_sums == 1) return;
    sums[MERIT_LIST_SUM_LOSS * groups] = present ? g->loss : 0.0;
    sums[MERIT_LIST_SUM_WEIGHT * groups] = present ? g->weight : 0.0;
    sums[MERIT_LIST_SUM_RECIPROCAL_RANK * groups] =
        ranked ? m_div64(1.0, (double)(1 + o->above)) : 0.0;
    sums[MERIT_LIST_SUM_CONCORDANT * groups] = (double)o->concordant;
    sums[MERIT_LIST_SUM_DISCORDANT * groups] = (double)o->discordant;
    sums[MERIT_LIST_SUM_TIED * groups] = (double)o->tied;
}

// The same of a group that is not PRESENT.
MERIT_HD static inline void merit_list_record_unread(const merit_preference_list_args *a,
                                                     const merit_list_group *g)
{
    const merit_list_outcome none = merit_list_outcome_empty();
    if (a->io.lse != NULL) a->io.lse[g->group] = g->fate == MERIT_LIST_NAN ? m_nan32() : 0.0f;
    merit_list_record(a, g, &none);
}

// Totals ------------------------------------------------------------------------------------------

// loss, metrics and the check of the denominator, from the totals of all groups.
MERIT_HD static inline void merit_list_write_totals(const merit_preference_list_args *a,
                                                    const merit_preference_totals *t)
{
    const int64_t valid = t->counts[MERIT_LIST_COUNT_VALID];
    const double sum = t->sums[MERIT_LIST_SUM_WEIGHTED];
    const int asked = a->io.loss != NULL || a->io.grad_scores != NULL;
    if (valid > 0 && asked) {
        const double d = merit_list_denominator(a, valid);
        m_count(a->io.diagnostics, MERIT_COUNTER_ZERO_DENOMINATOR, d == 0.0);
        if (a->io.loss != NULL) *a->io.loss = sum == 0.0 ? 0.0 : m_canonical64(m_div64(sum, d));
    } else if (a->io.loss != NULL) {
        *a->io.loss = 0.0;
    }
    merit_preference_list_metrics *const m = a->io.metrics;
    if (m == NULL) return;
    m->groups = valid;
    m->ranked = t->counts[MERIT_LIST_COUNT_RANKED];
    m->invalid = t->counts[MERIT_LIST_COUNT_INVALID];
    m->top1_strict = t->counts[MERIT_LIST_COUNT_TOP1_STRICT];
    m->top1_tie = t->counts[MERIT_LIST_COUNT_TOP1_TIE];
    m->one_to_many_strict = t->counts[MERIT_LIST_COUNT_MANY_STRICT];
    m->one_to_many_tie = t->counts[MERIT_LIST_COUNT_MANY_TIE];
    m->concordant = (int64_t)t->sums[MERIT_LIST_SUM_CONCORDANT];
    m->discordant = (int64_t)t->sums[MERIT_LIST_SUM_DISCORDANT];
    m->tied = (int64_t)t->sums[MERIT_LIST_SUM_TIED];
    m->sum_reciprocal_rank = t->sums[MERIT_LIST_SUM_RECIPROCAL_RANK];
    m->sum_weight = t->sums[MERIT_LIST_SUM_WEIGHT];
    m->sum_loss = t->sums[MERIT_LIST_SUM_LOSS];
}

#endif
