// Statistics of advantage_group: partials of tiles and their merge, transforms, and the rule that
// every member of a group needs besides its own value.
#ifndef MERIT_ADVANTAGE_GROUP_STATISTICS_H
#define MERIT_ADVANTAGE_GROUP_STATISTICS_H

#include "../core/exact.h"
#include "../core/quotient.h"
#include "advantage_group_args.h"

// Partials ----------------------------------------------------------------------------------------

MERIT_HD static inline merit_advantage_record merit_advantage_record_empty(void)
{
    merit_advantage_record r;
    r.moments = merit_moments_empty();
    r.nonzero = 0.0;
    return r;
}

// a lies before b.
MERIT_HD static inline merit_advantage_record merit_advantage_record_merge(merit_advantage_record a,
                                                                           merit_advantage_record b)
{
    merit_advantage_record r;
    r.moments = merit_moments_merge(a.moments, b.moments);
    r.nonzero = m_add64(a.nonzero, b.nonzero);
    return r;
}

MERIT_HD static inline merit_advantage_partial merit_advantage_partial_empty(void)
{
    merit_advantage_partial p;
    p.record = merit_advantage_record_empty();
    p.sum_w = 0.0;
    p.sum_wu = 0.0;
    p.first = -m_inf64();
    p.second = -m_inf64();
    p.first_at = INT64_MAX;
    return p;
}

// The best two of two pairs; ties keep the lower member. NaN is dealt with by the caller: any NaN in
// V shows in moments.max.
MERIT_HD static inline merit_advantage_partial
merit_advantage_merge_best(merit_advantage_partial into, double first, double second, int64_t at)
{
    const int takes = first > into.first || (first == into.first && at < into.first_at);
    const double loser = takes ? into.first : first;
    const double runner = takes ? second : into.second;
    into.second = loser > runner ? loser : runner;
    into.first = takes ? first : into.first;
    into.first_at = takes ? at : into.first_at;
    return into;
}

// a lies before b.
MERIT_HD static inline merit_advantage_partial
merit_advantage_partial_merge(merit_advantage_partial a, merit_advantage_partial b)
{
    merit_advantage_partial p = merit_advantage_merge_best(a, b.first, b.second, b.first_at);
    p.record = merit_advantage_record_merge(a.record, b.record);
    p.sum_w = m_add64(a.sum_w, b.sum_w);
    p.sum_wu = m_add64(a.sum_wu, b.sum_wu);
    return p;
}

// The tree over tiles, one tile at a time (see merit_tile_sum).
typedef struct merit_advantage_tiles {
    int64_t count;
    merit_advantage_partial level[MERIT_TILE_LEVELS];
} merit_advantage_tiles;

MERIT_HD static inline int merit_advantage_tiles_depth(const merit_advantage_tiles *t)
{
    int depth = 0;
    for (int64_t bits = t->count; bits != 0; bits &= bits - 1) {
        depth++;
    }
    return depth;
}

MERIT_HD static inline void merit_advantage_tiles_push(merit_advantage_tiles *t,
                                                       merit_advantage_partial p)
{
    int depth = merit_advantage_tiles_depth(t);
    for (int64_t bits = t->count; (bits & 1) != 0; bits >>= 1) {
        p = merit_advantage_partial_merge(t->level[--depth], p);
    }
    t->level[depth] = p;
    t->count++;
}

MERIT_HD static inline merit_advantage_partial
merit_advantage_tiles_finish(const merit_advantage_tiles *t)
{
    int depth = merit_advantage_tiles_depth(t);
    if (depth == 0) return merit_advantage_partial_empty();
    merit_advantage_partial p = t->level[--depth];
    while (depth > 0) {
        p = merit_advantage_partial_merge(t->level[--depth], p);
    }
    return p;
}

// Transforms --------------------------------------------------------------------------------------

// What a transform needs of the group, over V.
typedef struct merit_advantage_shape {
    int64_t count; // members of V
    double x_min; // NaN when V has one
    double x_max;
    double exp_sum; // SOFTMAX: canonical sum of exp((x - max) / temperature)
} merit_advantage_shape;

MERIT_HD static inline double merit_advantage_softmax_term(double x, double max, double temperature)
{
    return m_exp64(m_div64(m_sub64(x, max), temperature));
}

// Rank of a member from its comparisons with V: above = larger, equal = as large (itself excepted),
// earlier = as large and before it.
MERIT_HD static inline double merit_advantage_rank(int32_t ties, int64_t above, int64_t equal,
                                                   int64_t earlier, int64_t count)
{
    if (count <= 1) return 0.0;
    double k = (double)above;
    if (ties == MERIT_RANK_TIES_AVERAGE) k = m_add64(k, m_mul64(0.5, (double)equal));
    if (ties == MERIT_RANK_TIES_ORDINAL) k = m_add64(k, (double)earlier);
    return m_sub64(1.0, m_div64(k, (double)(count - 1)));
}

// log mean exp(all) - log mean exp(others), from the others' number and log-sum-exp:
// softplus(x - lse) - log((others + 1) / others).
MERIT_HD static inline double merit_advantage_loo_lme(double x, double others_lse, int64_t others)
{
    const double ratio = m_div64((double)(others + 1), (double)others);
    return m_sub64(m_softplus64(m_sub64(x, others_lse)), m_log64(ratio));
}

// Statistics of a group ---------------------------------------------------------------------------

// What every member of a group needs besides its own value.
typedef struct merit_advantage_rule {
    int64_t count; // |V| of the group
    double center_count; // members behind the center, at its level
    double scale_count; // and behind the scale
    double mean; // of the center: MEAN, LEAVE_ONE_OUT
    double group_mean; // unweighted mean of V: MEAN_ABS
    double runner_gap; // RUNNER_UP
    int64_t best; // RUNNER_UP
    double scale; // s, except LEAVE_ONE_OUT_STD of members of V
    merit_divisor64 divisor; // d of it
    merit_divisor64 others; // |V| - 1: LEAVE_ONE_OUT
    int32_t needs_stats; // transform, center or scale take statistics
    int32_t no_stats; // and there is nothing to take them of
    int32_t scale_missing; // count <= ddof
} merit_advantage_rule;

MERIT_HD static inline int merit_advantage_center_takes_stats(int32_t center)
{
    return center == MERIT_CENTER_MEAN || center == MERIT_CENTER_LEAVE_ONE_OUT ||
           center == MERIT_CENTER_RUNNER_UP;
}

MERIT_HD static inline double merit_advantage_std(double m2, double count, int32_t ddof)
{
    return m_sqrt64(m_div64(m2, m_sub64(count, (double)ddof)));
}

// The divisor d from the scale s.
MERIT_HD static inline double merit_advantage_divisor(int32_t eps_rule, double eps, double s)
{
    switch (eps_rule) {
    case MERIT_EPS_RULE_FLOOR: return m_max64(s, eps);
    case MERIT_EPS_RULE_ROOT: return m_sqrt64(m_add64(m_mul64(s, s), eps));
    case MERIT_EPS_RULE_ROOT_FLOOR: return m_sqrt64(m_max64(m_mul64(s, s), eps));
    default: return m_add64(s, eps);
    }
}

// Mean of V, weighted if there are weights. Equal values have that value as their mean.
MERIT_HD static inline double merit_advantage_mean(const merit_advantage_group_args *a,
                                                   const merit_advantage_partial *p)
{
    if (a->io.weights == NULL) return p->record.moments.mean;
    const double mean = m_div64(p->sum_wu, p->sum_w);
    const int equal =
        merit_moments_all_equal(p->record.moments.min, p->record.moments.max) && p->sum_w > 0.0;
    return equal ? p->record.moments.min : mean;
}

// The population of a level: the group's own, the batch's, or the caller's.
MERIT_HD static inline merit_advantage_record
merit_advantage_at_level(const merit_advantage_group_args *a, const merit_advantage_partial *p,
                         int32_t level, int32_t set)
{
    if (level == MERIT_LEVEL_GROUP) return p->record;
    if (level == MERIT_LEVEL_BATCH) return a->batch_records[set];
    merit_advantage_record given = merit_advantage_record_empty();
    given.moments = a->io.moments[set];
    return given;
}

// Everything but the scales that need the center first (RMS, MEAN_ABS): those come as their sums
// by merit_advantage_set_deviation_scale.
MERIT_HD static inline merit_advantage_rule
merit_advantage_rule_of(const merit_advantage_group_args *a, const merit_advantage_partial *p,
                        int32_t set)
{
    const merit_advantage_group_desc *const d = &a->d;
    const merit_advantage_record center = merit_advantage_at_level(a, p, d->center_level, set);
    const merit_advantage_record scale = merit_advantage_at_level(a, p, d->scale_level, set);
    const int center_stats = merit_advantage_center_takes_stats(d->center);
    const int scale_stats = d->scale != MERIT_SCALE_NONE;
    merit_advantage_rule r;
    r.count = (int64_t)p->record.moments.count;
    r.center_count = center.moments.count;
    r.scale_count = scale.moments.count;
    r.needs_stats = center_stats || scale_stats || d->transform != MERIT_TRANSFORM_NONE;
    r.no_stats = (center_stats && r.center_count == 0.0) || (scale_stats && r.scale_count == 0.0) ||
                 (d->transform != MERIT_TRANSFORM_NONE && r.count == 0);
    r.mean =
        d->center_level == MERIT_LEVEL_GROUP ? merit_advantage_mean(a, p) : center.moments.mean;
    r.group_mean = p->record.moments.mean;
    // Undefined until two members are known: the singleton rule speaks for one.
    r.runner_gap = m_is_nan64(p->record.moments.max) ? m_nan64() : m_sub64(p->first, p->second);
    r.best = p->first_at;
    const int squares = d->scale == MERIT_SCALE_STD || d->scale == MERIT_SCALE_RMS ||
                        d->scale == MERIT_SCALE_LEAVE_ONE_OUT_STD;
    r.scale_missing = squares && r.scale_count <= (double)d->ddof;
    r.scale = m_nan64();
    if (d->scale == MERIT_SCALE_STD || d->scale == MERIT_SCALE_LEAVE_ONE_OUT_STD) {
        r.scale = merit_advantage_std(scale.moments.m2, r.scale_count, d->ddof);
    } else if (d->scale == MERIT_SCALE_MEAN) {
        r.scale = scale.moments.mean;
    } else if (d->scale == MERIT_SCALE_NONZERO_SHARE) {
        r.scale = m_div64(m_max64(scale.nonzero, 1.0), r.scale_count);
        if (m_is_nan64(scale.moments.max)) r.scale = m_nan64();
    }
    if (r.scale_missing || r.scale_count == 0.0) r.scale = m_nan64();
    r.divisor = m_divisor64(merit_advantage_divisor(d->eps_rule, d->eps, r.scale));
    r.others = m_divisor64(m_sub64((double)r.count, 1.0));
    return r;
}

// RMS from the sum of c^2, MEAN_ABS from the sum of abs(u - mean).
MERIT_HD static inline void merit_advantage_set_deviation_scale(const merit_advantage_group_args *a,
                                                                double sum, merit_advantage_rule *r)
{
    const int rms = a->d.scale == MERIT_SCALE_RMS;
    const int no_center = merit_advantage_center_takes_stats(a->d.center) && r->center_count == 0.0;
    if (r->scale_missing || r->scale_count == 0.0 || (rms && no_center)) return;
    r->scale =
        rms ? merit_advantage_std(sum, r->scale_count, a->d.ddof) : m_div64(sum, r->scale_count);
    r->divisor = m_divisor64(merit_advantage_divisor(a->d.eps_rule, a->d.eps, r->scale));
}

MERIT_HD static inline int merit_advantage_needs_deviations(const merit_advantage_group_args *a)
{
    return a->d.scale == MERIT_SCALE_RMS || a->d.scale == MERIT_SCALE_MEAN_ABS;
}

#endif
