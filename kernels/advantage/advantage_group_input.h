// What advantage_group reads: members, where groups lie, rows in no group.
#ifndef MERIT_ADVANTAGE_GROUP_INPUT_H
#define MERIT_ADVANTAGE_GROUP_INPUT_H

#include "../core/load.h"
#include "advantage_group_args.h"

typedef struct merit_advantage_member {
    double x; // clipped reward; 0 when nothing was read
    int32_t in_mask; // gets an advantage
    int32_t in_v; // enters the statistics
    int32_t skipped; // invalid under a SKIP rule
    int32_t nans; // NaN elements read
    int32_t infs; // infinite elements read
} merit_advantage_member;

// Reads one row of one set.
MERIT_HD static inline merit_advantage_member
merit_advantage_load(const merit_advantage_group_args *a, int64_t row, int32_t set)
{
    merit_advantage_member m;
    m.x = 0.0;
    m.in_mask = a->io.mask == NULL || a->io.mask[row] != 0;
    m.in_v = a->io.stats_mask == NULL ? m.in_mask : a->io.stats_mask[row] != 0;
    m.skipped = 0;
    m.nans = 0;
    m.infs = 0;
    if (!(m.in_mask || m.in_v)) return m;

    const int combine = a->d.columns == MERIT_COLUMNS_COMBINE_FIRST;
    const int32_t begin = combine ? 0 : set;
    const int32_t end = combine ? a->d.num_columns : set + 1;
    const int weighted = combine && (a->io.column_weights != NULL || end > 1);
    int32_t valid = 0;
    double r = 0.0;
    for (int32_t k = begin; k < end; k++) {
        const double element =
            m_load_real(a->io.rewards, a->d.reward_dtype,
                        row * a->d.reward_row_stride + k * a->d.reward_column_stride);
        const int is_nan = m_is_nan64(element);
        const int is_inf = m_is_inf64(element);
        m.nans += is_nan;
        m.infs += is_inf;
        const int skip = (is_nan && a->d.invalid != MERIT_INVALID_PROPAGATE) ||
                         (is_inf && a->d.invalid == MERIT_INVALID_SKIP_NONFINITE);
        if (skip) continue;
        valid++;
        if (weighted) {
            const double w = a->io.column_weights == NULL ? 1.0 : (double)a->io.column_weights[k];
            r = m_fma64(w, element, r);
        } else {
            r = element;
        }
    }
    m.skipped = valid == 0;
    if (m.skipped) {
        m.in_v = 0;
        return m;
    }
    // Adding +0 makes -0 a +0: no later result depends on the sign of a zero.
    m.x = m_add64(m_clip64(r, (double)a->d.reward_low, (double)a->d.reward_high), 0.0);
    return m;
}

// 1 when every column of the row is skipped (NORMALIZE_FIRST).
MERIT_HD static inline int merit_advantage_row_skipped(const merit_advantage_group_args *a,
                                                       int64_t row)
{
    if (a->d.invalid == MERIT_INVALID_PROPAGATE) return 0;
    for (int32_t k = 0; k < a->num_sets; k++) {
        if (!merit_advantage_load(a, row, k).skipped) return 0;
    }
    return 1;
}

MERIT_HD static inline double merit_advantage_column_weight(const merit_advantage_group_args *a,
                                                            int32_t set)
{
    return a->io.column_weights == NULL ? 1.0 : (double)a->io.column_weights[set];
}

// Row of member i of a group that begins at `begin`; -1 when the index entry is out of range.
MERIT_HD static inline int64_t merit_advantage_row(const merit_advantage_group_args *a,
                                                   int64_t begin, int64_t i)
{
    if (a->d.groups.index == NULL) return begin + i;
    const int64_t row = a->d.groups.index[begin + i];
    return row >= 0 && row < a->d.num_rows ? row : -1;
}

typedef enum merit_advantage_refusal {
    MERIT_ADVANTAGE_FINE = 0,
    MERIT_ADVANTAGE_BAD_OFFSETS = 1,
    MERIT_ADVANTAGE_TOO_LARGE = 2,
    MERIT_ADVANTAGE_BAD_INDEX = 3
} merit_advantage_refusal;

// Where a group lies. A refused group is NaN; its size is that of its known rows.
typedef struct merit_advantage_span {
    int64_t begin;
    int64_t size;
    int32_t refusal;
} merit_advantage_span;

MERIT_HD static inline merit_advantage_span
merit_advantage_span_of(const merit_advantage_group_args *a, int64_t group)
{
    const merit_groups *const g = &a->d.groups;
    merit_advantage_span s;
    s.refusal = MERIT_ADVANTAGE_FINE;
    if (g->group_size > 0) {
        s.begin = group * g->group_stride;
        s.size = g->group_size;
        return s;
    }
    const int64_t begin = g->offsets[group];
    const int64_t end = g->offsets[group + 1];
    s.begin = begin;
    s.size = end - begin;
    if (begin < 0 || end < begin || end > a->d.num_rows) {
        const int known = begin >= 0 && begin <= a->d.num_rows && end > a->d.num_rows;
        s.size = known ? a->d.num_rows - begin : 0;
        s.refusal = MERIT_ADVANTAGE_BAD_OFFSETS;
    } else if (s.size > a->size_bound || (a->needs_pairs && s.size > MERIT_ADVANTAGE_PAIRS_LIMIT)) {
        s.refusal = MERIT_ADVANTAGE_TOO_LARGE;
    }
    return s;
}

// Rows in no group, as positions: [0, before) and [after, R). Bad outer offsets claim nothing.
MERIT_HD static inline void merit_advantage_outside(const merit_advantage_group_args *a,
                                                    int64_t *before, int64_t *after)
{
    const merit_groups *const g = &a->d.groups;
    const int64_t rows = a->d.num_rows;
    if (g->group_size > 0) {
        const int64_t end = g->num_groups * g->group_stride;
        *before = 0;
        *after = end < rows ? end : rows;
        return;
    }
    const int64_t first = g->num_groups > 0 ? g->offsets[0] : 0;
    const int64_t last = g->num_groups > 0 ? g->offsets[g->num_groups] : 0;
    *before = first > 0 && first <= rows ? first : 0;
    *after = last >= 0 && last < rows ? last : rows;
    if (*after < *before) *after = *before;
}

// The options of the common case, for which both backends have paths of their own: one dense binary32
// reward column, the group's mean or leave-one-out mean, a scale that `scale` admits, and no other option.
MERIT_HD static inline int merit_advantage_has_plain_options(const merit_advantage_group_args *a,
                                                             int scale)
{
    const merit_advantage_group_desc *const d = &a->d;
    const merit_advantage_group_io *const io = &a->io;
    const int layout = d->num_columns == 1 && d->reward_row_stride == 1 &&
                       d->reward_dtype == MERIT_DTYPE_F32 && d->advantage_dtype == MERIT_DTYPE_F32;
    const int inputs = io->column_weights == NULL && io->mask == NULL && io->stats_mask == NULL &&
                       io->weights == NULL && io->add == NULL;
    const int center = d->center == MERIT_CENTER_NONE || d->center == MERIT_CENTER_MEAN ||
                       d->center == MERIT_CENTER_LEAVE_ONE_OUT;
    const int levels = d->center_level == MERIT_LEVEL_GROUP &&
                       d->scale_level == MERIT_LEVEL_GROUP && !a->needs_batch;
    const int rest = d->transform == MERIT_TRANSFORM_NONE && d->map == MERIT_MAP_IDENTITY &&
                     d->invalid == MERIT_INVALID_PROPAGATE && d->low == -INFINITY &&
                     d->high == INFINITY && d->gain == 1.0f;
    return layout && inputs && center && scale && levels && rest;
}

// The common case in uniform groups of 2 .. max_size.
MERIT_HD static inline int merit_advantage_is_plain(const merit_advantage_group_args *a,
                                                    int64_t max_size, int scale)
{
    return a->d.groups.group_size >= 2 && a->d.groups.group_size <= max_size &&
           merit_advantage_has_plain_options(a, scale);
}

#endif
