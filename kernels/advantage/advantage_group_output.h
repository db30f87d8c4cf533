// From a member and the rule of its group to its advantage, and the writing of every output.
#ifndef MERIT_ADVANTAGE_GROUP_OUTPUT_H
#define MERIT_ADVANTAGE_GROUP_OUTPUT_H

#include "../core/counters.h"
#include "../core/load.h"
#include "advantage_group_input.h"
#include "advantage_group_statistics.h"

// One member -------------------------------------------------------------------------------------

// The only member of the population behind its center.
MERIT_HD static inline int merit_advantage_lacks_center(const merit_advantage_group_args *a,
                                                        const merit_advantage_rule *r, int in_v)
{
    return in_v && merit_advantage_center_takes_stats(a->d.center) && r->center_count == 1.0;
}

// The only member of the statistics its center or transform needs.
MERIT_HD static inline int merit_advantage_is_alone(const merit_advantage_group_args *a,
                                                    const merit_advantage_rule *r, int in_v)
{
    const int lme = a->d.transform == MERIT_TRANSFORM_LEAVE_ONE_OUT_LME && r->count == 1;
    return merit_advantage_lacks_center(a, r, in_v) || (in_v && lme);
}

// c = u - center. Member `i` of the group, at `row`.
MERIT_HD static inline double merit_advantage_centered(const merit_advantage_group_args *a,
                                                       const merit_advantage_rule *r, double u,
                                                       int in_v, int64_t i, int64_t row,
                                                       int64_t group)
{
    if (merit_advantage_lacks_center(a, r, in_v)) {
        return u; // UNIT: an undefined center counts as 0
    }
    switch (a->d.center) {
    case MERIT_CENTER_MEAN: return m_sub64(u, r->mean);
    case MERIT_CENTER_LEAVE_ONE_OUT: {
        const double c = m_sub64(u, r->mean);
        return in_v ? m_quotient64(m_mul64(c, (double)r->count), r->others) : c;
    }
    case MERIT_CENTER_RUNNER_UP:
        return m_is_nan64(r->runner_gap) ? r->runner_gap : i == r->best ? r->runner_gap : 0.0;
    case MERIT_CENTER_BASELINE: {
        const void *const array =
            a->io.baseline != NULL ? a->io.baseline : a->io.baseline_per_group;
        const double b =
            m_load_real(array, a->d.baseline_dtype, a->io.baseline != NULL ? row : group);
        return m_sub64(u, b);
    }
    default: return u;
    }
}

// Term of RMS or MEAN_ABS for a member of V.
MERIT_HD static inline double merit_advantage_deviation(const merit_advantage_group_args *a,
                                                        const merit_advantage_rule *r, double u,
                                                        int64_t i, int64_t row, int64_t group)
{
    if (a->d.scale == MERIT_SCALE_MEAN_ABS) return m_abs64(m_sub64(u, r->group_mean));
    const double c = merit_advantage_centered(a, r, u, 1, i, row, group);
    return m_mul64(c, c);
}

// What happened to a member; or-ed over a group.
enum {
    MERIT_ADVANTAGE_SAW_ZERO_RULE = 1,
    MERIT_ADVANTAGE_SAW_SINGLETON_NAN = 2,
    MERIT_ADVANTAGE_SAW_NO_STATS = 4,
    MERIT_ADVANTAGE_SAW_MEMBER = 8, // in mask
    MERIT_ADVANTAGE_SAW_NONFINITE = 16,
    MERIT_ADVANTAGE_SAW_BAD_INDEX = 32
};

// a_i of a member in mask that is not skipped, before map. own_scale: s of this member alone
// (LEAVE_ONE_OUT_STD), else NULL.
MERIT_HD static inline double merit_advantage_scaled(const merit_advantage_group_args *a,
                                                     const merit_advantage_rule *r, double u,
                                                     double c, int in_v, const double *own_scale,
                                                     int *saw)
{
    if (r->no_stats) {
        *saw |= MERIT_ADVANTAGE_SAW_NO_STATS;
        return m_nan64();
    }
    const int has_own = own_scale != NULL && in_v;
    const int scale_missing = r->scale_missing && !has_own;
    const int is_singleton = merit_advantage_is_alone(a, r, in_v) || scale_missing;
    int unit_scale = 0;
    if (is_singleton) {
        switch (a->d.singleton) {
        case MERIT_SINGLETON_ZERO: return 0.0;
        case MERIT_SINGLETON_RAW: return u;
        case MERIT_SINGLETON_NAN: *saw |= MERIT_ADVANTAGE_SAW_SINGLETON_NAN; return m_nan64();
        default: unit_scale = scale_missing; break;
        }
    }
    if (a->d.scale == MERIT_SCALE_NONE) return c;
    const double s = has_own ? *own_scale : unit_scale ? 1.0 : r->scale;
    if (m_is_nan64(s)) return m_nan64();
    const int is_zero = s <= a->d.zero_threshold;
    const int is_ruled = is_zero && a->d.zero_rule != MERIT_ZERO_RULE_DIVIDE;
    if (is_ruled && !is_singleton) *saw |= MERIT_ADVANTAGE_SAW_ZERO_RULE;
    if (c == 0.0) return 0.0;
    if (is_zero && a->d.zero_rule == MERIT_ZERO_RULE_UNSCALED) return c;
    if (is_zero && a->d.zero_rule == MERIT_ZERO_RULE_ZERO) return 0.0;
    if (has_own || unit_scale) {
        return m_div64(c, merit_advantage_divisor(a->d.eps_rule, a->d.eps, s));
    }
    return m_quotient64(c, r->divisor);
}

// map, clip, gain: everything after a_i but the added term.
MERIT_HD static inline double merit_advantage_mapped(const merit_advantage_group_desc *d, double v)
{
    if (d->map == MERIT_MAP_SIGN) {
        v = v > 0.0 ? 1.0 : v < 0.0 ? -1.0 : v == 0.0 ? (double)d->sign_tie : v;
    } else if (d->map == MERIT_MAP_UNIT) {
        const double range = m_mul64(2.0, (double)d->map_range);
        v = m_clip64(m_add64(m_div64(v, range), 0.5), 0.0, 1.0);
    }
    return m_mul64((double)d->gain, m_clip64(v, (double)d->low, (double)d->high));
}

// A of a row from a_i. Counts an add_index out of range.
MERIT_HD static inline double merit_advantage_finished(const merit_advantage_group_args *a,
                                                       double value, int64_t row)
{
    const double mapped = merit_advantage_mapped(&a->d, value);
    if (a->io.add == NULL) return mapped;
    const int64_t at = a->io.add_index == NULL ? row : a->io.add_index[row];
    if (at < 0 || at >= a->io.num_add) {
        m_count(a->io.diagnostics, MERIT_COUNTER_BAD_INDEX, 1);
        return m_nan64();
    }
    return m_add64(mapped, (double)a->io.add[at]);
}

// Writing -----------------------------------------------------------------------------------------

MERIT_HD static inline void merit_advantage_write(const merit_advantage_group_args *a, int64_t row,
                                                  int32_t set, double value, int keep)
{
    const int separate = a->d.columns == MERIT_COLUMNS_SEPARATE;
    const int64_t at = separate ? row * a->d.num_columns + set : row;
    if (a->d.advantage_dtype == MERIT_DTYPE_F64) {
        if (a->io.advantages != NULL) ((double *)a->io.advantages)[at] = m_canonical64(value);
    } else if (a->io.advantages != NULL) {
        ((float *)a->io.advantages)[at] = m_canonical32(m_round32(value));
    }
    if (a->io.keep != NULL) a->io.keep[at] = keep && !m_is_nan64(value);
}

// NaN and keep 0 for a row without a group, in every set.
MERIT_HD static inline void merit_advantage_write_nan(const merit_advantage_group_args *a,
                                                      int64_t row)
{
    const int32_t sets = a->d.columns == MERIT_COLUMNS_SEPARATE ? a->d.num_columns : 1;
    for (int32_t set = 0; set < sets; set++) {
        merit_advantage_write(a, row, set, m_nan64(), 0);
    }
}

// The group_* outputs of a group that was not refused. `saw` of all its members.
MERIT_HD static inline void merit_advantage_write_group(const merit_advantage_group_args *a,
                                                        int64_t group, int32_t set, int64_t size,
                                                        const merit_advantage_shape *shape,
                                                        const merit_advantage_partial *p,
                                                        const merit_advantage_rule *r, int saw)
{
    const merit_advantage_group_io *const io = &a->io;
    const int64_t at = group * a->num_sets + set;
    const int empty = r->count == 0;
    const double nan = m_nan64();
    if (io->group_count != NULL) io->group_count[at] = (int32_t)r->count;
    if (io->group_mean != NULL) {
        io->group_mean[at] = empty ? nan : m_canonical64(merit_advantage_mean(a, p));
    }
    if (io->group_scale != NULL) io->group_scale[at] = empty ? nan : m_canonical64(r->scale);
    if (io->group_min != NULL)
        io->group_min[at] = empty ? nan : m_canonical64(p->record.moments.min);
    if (io->group_max != NULL)
        io->group_max[at] = empty ? nan : m_canonical64(p->record.moments.max);
    const int incomplete = a->d.expected_size > 0 && size > 0 && size != a->d.expected_size;
    if (io->group_flags != NULL) {
        int flags = empty ? MERIT_GROUP_FLAG_EMPTY : 0;
        if (merit_moments_all_equal(shape->x_min, shape->x_max))
            flags |= MERIT_GROUP_FLAG_ALL_EQUAL;
        if (r->count == 1) flags |= MERIT_GROUP_FLAG_SINGLETON;
        if (saw & MERIT_ADVANTAGE_SAW_NONFINITE) flags |= MERIT_GROUP_FLAG_NONFINITE;
        if (saw & MERIT_ADVANTAGE_SAW_ZERO_RULE) flags |= MERIT_GROUP_FLAG_ZERO_RULE;
        if (incomplete) flags |= MERIT_GROUP_FLAG_INCOMPLETE;
        io->group_flags[at] = (uint8_t)flags;
    }
    m_count(io->diagnostics, MERIT_COUNTER_SINGLETON,
            (saw & MERIT_ADVANTAGE_SAW_SINGLETON_NAN) != 0);
    m_count(io->diagnostics, MERIT_COUNTER_NO_STATISTICS,
            (saw & MERIT_ADVANTAGE_SAW_NO_STATS) != 0);
    m_count(io->diagnostics, MERIT_COUNTER_INCOMPLETE_GROUP, incomplete && set == 0);
}

// The group_* outputs of a refused group.
MERIT_HD static inline void merit_advantage_write_refused(const merit_advantage_group_args *a,
                                                          int64_t group, int32_t refusal)
{
    const merit_advantage_group_io *const io = &a->io;
    for (int32_t set = 0; set < a->num_sets; set++) {
        const int64_t at = group * a->num_sets + set;
        if (io->group_count != NULL) io->group_count[at] = 0;
        if (io->group_mean != NULL) io->group_mean[at] = m_nan64();
        if (io->group_scale != NULL) io->group_scale[at] = m_nan64();
        if (io->group_min != NULL) io->group_min[at] = m_nan64();
        if (io->group_max != NULL) io->group_max[at] = m_nan64();
        if (io->group_flags != NULL) io->group_flags[at] = 0;
    }
    m_count(io->diagnostics, MERIT_COUNTER_BAD_OFFSETS, refusal == MERIT_ADVANTAGE_BAD_OFFSETS);
    m_count(io->diagnostics, MERIT_COUNTER_GROUP_TOO_LARGE, refusal == MERIT_ADVANTAGE_TOO_LARGE);
}

#endif
