// advantage_group, CUDA: one group by one team of threads. The same passes as the CPU's: range of the
// rewards, transform, statistics, deviations, advantages. A group that fits its team stays in
// registers; a larger one (block team) is read again, tile by tile, from cache.
#ifndef MERIT_ADVANTAGE_GROUP_TEAM_CUH
#define MERIT_ADVANTAGE_GROUP_TEAM_CUH

#include "../core/team.cuh"
#include "advantage_group.h"

enum { kInMask = 1, kInV = 2, kSkipped = 4, kNoRow = 8, kAbsent = 16 };

// Shared memory of a block team: stacks of the tree over tiles.
struct AdvantageStacks {
    merit_advantage_tiles partials;
    merit_tile_sum sums;
};

template <TeamKind kKind>
struct AdvantageWork {
    static constexpr int kSlots = Team<kKind>::kSlots;
    Team<kKind> team;
    AdvantageStacks *stacks; // block team only
    int64_t group;
    merit_advantage_span span;
    int32_t set;
    merit_advantage_shape shape;
    int saw; // of this thread's members
    double x[kSlots];
    double u[kSlots];
    int state[kSlots];
};

template <TeamKind kKind>
MERIT_DEVICE int64_t work_tiles(const AdvantageWork<kKind> &w)
{
    return kKind == kTeamBlockWide ? (w.span.size + MERIT_TILE - 1) / MERIT_TILE : 1;
}

// The group is in the registers of the team after one reading.
template <TeamKind kKind>
MERIT_DEVICE bool work_resident(const AdvantageWork<kKind> &w)
{
    return kKind != kTeamBlockWide || w.span.size <= MERIT_TILE;
}

template <TeamKind kKind>
MERIT_DEVICE int64_t work_member(const AdvantageWork<kKind> &w, int64_t tile, int slot)
{
    return tile * MERIT_TILE + team_element(w.team, slot);
}

// Tiles -------------------------------------------------------------------------------------------

template <TeamKind kKind>
MERIT_DEVICE void work_read_tile(const merit_advantage_group_args &a, AdvantageWork<kKind> &w,
                                 int64_t tile, bool counting)
{
    int nans = 0;
    int infs = 0;
    int lost = 0;
#pragma unroll
    for (int slot = 0; slot < AdvantageWork<kKind>::kSlots; slot++) {
        const int64_t i = work_member(w, tile, slot);
        w.x[slot] = 0.0;
        w.state[slot] = kAbsent;
        if (i >= w.span.size) continue;
        const int64_t row = merit_advantage_row(&a, w.span.begin, i);
        if (row < 0) {
            w.state[slot] = kNoRow;
            lost++;
            continue;
        }
        const merit_advantage_member m = merit_advantage_load(&a, row, w.set);
        w.x[slot] = m.x;
        w.state[slot] =
            (m.in_mask ? kInMask : 0) | (m.in_v ? kInV : 0) | (m.skipped ? kSkipped : 0);
        nans += m.nans;
        infs += m.infs;
    }
    if (nans + infs > 0) w.saw |= MERIT_ADVANTAGE_SAW_NONFINITE;
    if (lost > 0) w.saw |= MERIT_ADVANTAGE_SAW_BAD_INDEX;
    if (!counting) return;
    m_count(a.io.diagnostics, MERIT_COUNTER_NAN_IN, (uint64_t)nans);
    m_count(a.io.diagnostics, MERIT_COUNTER_INF_IN, (uint64_t)infs);
    if (w.set == 0) m_count(a.io.diagnostics, MERIT_COUNTER_BAD_INDEX, (uint64_t)lost);
}

// Does member `i` of V count, when `left_out` does not?
template <TeamKind kKind>
MERIT_DEVICE bool work_counts(const AdvantageWork<kKind> &w, int64_t tile, int slot,
                              int64_t left_out)
{
    return (w.state[slot] & kInV) != 0 && work_member(w, tile, slot) != left_out;
}

// Passes ------------------------------------------------------------------------------------------

template <TeamKind kKind>
MERIT_DEVICE void work_find_shape(const merit_advantage_group_args &a, AdvantageWork<kKind> &w,
                                  bool counting)
{
    int count = 0;
    double min = m_inf64();
    double max = -m_inf64();
    for (int64_t tile = 0; tile < work_tiles(w); tile++) {
        work_read_tile(a, w, tile, counting);
#pragma unroll
        for (int slot = 0; slot < AdvantageWork<kKind>::kSlots; slot++) {
            if (!(w.state[slot] & kInV)) continue;
            count++;
            min = m_min64(min, w.x[slot]);
            max = m_max64(max, w.x[slot]);
        }
    }
    w.shape.count = team_sum_int(w.team, count);
    w.shape.x_min = team_min(w.team, min);
    w.shape.x_max = team_max(w.team, max);
    w.shape.exp_sum = 0.0;
}

// The tree over tiles of sums that every thread has; all threads get the result.
template <TeamKind kKind>
MERIT_DEVICE void work_begin_sum(AdvantageWork<kKind> &w)
{
    if (kKind == kTeamBlockWide && w.team.rank == 0) w.stacks->sums.count = 0;
}

template <TeamKind kKind>
MERIT_DEVICE void work_push_sum(AdvantageWork<kKind> &w, double sum)
{
    if (kKind == kTeamBlockWide && w.team.rank == 0) merit_tile_sum_push(&w.stacks->sums, sum);
}

template <TeamKind kKind>
MERIT_DEVICE double work_finish_sum(AdvantageWork<kKind> &w, double last)
{
    if (kKind != kTeamBlockWide) return last;
    __syncthreads(); // the pushes of thread 0
    const double sum = merit_tile_sum_finish(&w.stacks->sums);
    __syncthreads(); // read by all before the next sum begins
    return sum;
}

template <TeamKind kKind>
MERIT_DEVICE void work_find_exp_sum(const merit_advantage_group_args &a, AdvantageWork<kKind> &w)
{
    double sum = 0.0;
    work_begin_sum(w);
    for (int64_t tile = 0; tile < work_tiles(w); tile++) {
        if (!work_resident(w)) work_read_tile(a, w, tile, false);
        double terms[AdvantageWork<kKind>::kSlots];
#pragma unroll
        for (int slot = 0; slot < AdvantageWork<kKind>::kSlots; slot++) {
            const double e =
                merit_advantage_softmax_term(w.x[slot], w.shape.x_max, (double)a.d.temperature);
            terms[slot] = w.state[slot] & kInV ? e : 0.0;
        }
        sum = team_sum(w.team, terms);
        work_push_sum(w, sum);
    }
    w.shape.exp_sum = work_finish_sum(w, sum);
}

// Comparisons of member i (reward x) with V.
template <TeamKind kKind>
MERIT_DEVICE double work_rank_of(const merit_advantage_group_args &a, AdvantageWork<kKind> &w,
                                 int64_t i, double x)
{
    int above = 0;
    int equal = 0;
    int earlier = 0;
    for (int64_t tile = 0; tile < work_tiles(w); tile++) {
        if (!work_resident(w)) work_read_tile(a, w, tile, false);
#pragma unroll
        for (int slot = 0; slot < AdvantageWork<kKind>::kSlots; slot++) {
            if (!work_counts(w, tile, slot, i)) continue;
            above += w.x[slot] > x;
            equal += w.x[slot] == x;
            earlier += w.x[slot] == x && work_member(w, tile, slot) < i;
        }
    }
    above = team_sum_int(w.team, above);
    equal = team_sum_int(w.team, equal);
    earlier = team_sum_int(w.team, earlier);
    return merit_advantage_rank(a.d.rank_ties, above, equal, earlier, w.shape.count);
}

// Log-sum-exp over V without member i.
template <TeamKind kKind>
MERIT_DEVICE double work_others_lse(const merit_advantage_group_args &a, AdvantageWork<kKind> &w,
                                    int64_t i)
{
    double max = -m_inf64();
    for (int64_t tile = 0; tile < work_tiles(w); tile++) {
        if (!work_resident(w)) work_read_tile(a, w, tile, false);
#pragma unroll
        for (int slot = 0; slot < AdvantageWork<kKind>::kSlots; slot++) {
            if (work_counts(w, tile, slot, i)) max = m_max64(max, w.x[slot]);
        }
    }
    max = team_max(w.team, max);
    double sum = 0.0;
    work_begin_sum(w);
    for (int64_t tile = 0; tile < work_tiles(w); tile++) {
        if (!work_resident(w)) work_read_tile(a, w, tile, false);
        double terms[AdvantageWork<kKind>::kSlots];
#pragma unroll
        for (int slot = 0; slot < AdvantageWork<kKind>::kSlots; slot++) {
            const double e = m_exp64(m_sub64(w.x[slot], max));
            terms[slot] = work_counts(w, tile, slot, i) ? e : 0.0;
        }
        sum = team_sum(w.team, terms);
        work_push_sum(w, sum);
    }
    return m_add64(max, m_log64(work_finish_sum(w, sum)));
}

// u of the tile whose x is in the registers. The transforms that compare all pairs take the members
// one after the other, the whole team for each; the thread that owns the member keeps the result.
template <TeamKind kKind>
MERIT_DEVICE void work_transform_tile(const merit_advantage_group_args &a, AdvantageWork<kKind> &w,
                                      int64_t tile)
{
    const int transform = a.d.transform;
    const bool nan = m_is_nan64(w.shape.x_max);
    const bool equal = merit_moments_all_equal(w.shape.x_min, w.shape.x_max);
    if (transform == MERIT_TRANSFORM_RANK || transform == MERIT_TRANSFORM_LEAVE_ONE_OUT_LME) {
        const int64_t begin = tile * MERIT_TILE;
        const int64_t end = w.span.size < begin + MERIT_TILE ? w.span.size : begin + MERIT_TILE;
        for (int64_t i = begin; i < end; i++) {
            const int64_t row = merit_advantage_row(&a, w.span.begin, i);
            merit_advantage_member m;
            m.x = 0.0;
            m.in_v = 0;
            if (row >= 0) m = merit_advantage_load(&a, row, w.set);
            double value;
            if (transform == MERIT_TRANSFORM_RANK) {
                value = work_rank_of(a, w, i, m.x);
            } else {
                const int64_t others = w.shape.count - (m.in_v ? 1 : 0);
                const double lse = work_others_lse(a, w, i);
                const bool zero = equal && m.in_v;
                value = others == 0 ? m.x : zero ? 0.0 : merit_advantage_loo_lme(m.x, lse, others);
            }
#pragma unroll
            for (int slot = 0; slot < AdvantageWork<kKind>::kSlots; slot++) {
                if (work_member(w, tile, slot) == i) w.u[slot] = nan ? m_nan64() : value;
            }
        }
        if (!work_resident(w)) work_read_tile(a, w, tile, false);
    }
#pragma unroll
    for (int slot = 0; slot < AdvantageWork<kKind>::kSlots; slot++) {
        const bool live = (w.state[slot] & (kInMask | kInV)) && !(w.state[slot] & kSkipped);
        if (transform == MERIT_TRANSFORM_NONE || !live) {
            w.u[slot] = w.x[slot];
        } else if (transform == MERIT_TRANSFORM_SOFTMAX) {
            const double e =
                merit_advantage_softmax_term(w.x[slot], w.shape.x_max, (double)a.d.temperature);
            w.u[slot] = nan ? m_nan64() : m_div64(e, w.shape.exp_sum);
        }
    }
}

// x and u of a tile.
template <TeamKind kKind>
MERIT_DEVICE void work_visit_tile(const merit_advantage_group_args &a, AdvantageWork<kKind> &w,
                                  int64_t tile)
{
    if (work_resident(w)) return;
    work_read_tile(a, w, tile, false);
    work_transform_tile(a, w, tile);
}

template <TeamKind kKind>
MERIT_DEVICE merit_moments work_tile_moments(AdvantageWork<kKind> &w, int64_t tile,
                                             int64_t left_out)
{
    constexpr int kSlots = AdvantageWork<kKind>::kSlots;
    double terms[kSlots];
    int count = 0;
    double min = m_inf64();
    double max = -m_inf64();
#pragma unroll
    for (int slot = 0; slot < kSlots; slot++) {
        const bool counts = work_counts(w, tile, slot, left_out);
        terms[slot] = counts ? w.u[slot] : 0.0;
        if (!counts) continue;
        count++;
        min = m_min64(min, w.u[slot]);
        max = m_max64(max, w.u[slot]);
    }
    merit_moments r;
    r.count = (double)team_sum_int(w.team, count);
    r.min = team_min(w.team, min);
    r.max = team_max(w.team, max);
    const bool equal = merit_moments_all_equal(r.min, r.max);
    const double mean = m_div64(team_sum(w.team, terms), r.count);
    r.mean = equal ? r.min : mean;
#pragma unroll
    for (int slot = 0; slot < kSlots; slot++) {
        const double deviation = m_sub64(w.u[slot], r.mean);
        terms[slot] = work_counts(w, tile, slot, left_out) ? m_mul64(deviation, deviation) : 0.0;
    }
    const double m2 = team_sum(w.team, terms);
    r.m2 = equal ? 0.0 : m2;
    return r.count == 0.0 ? merit_moments_empty() : r;
}

template <TeamKind kKind>
MERIT_DEVICE merit_advantage_partial work_tile_partial(const merit_advantage_group_args &a,
                                                       AdvantageWork<kKind> &w, int64_t tile)
{
    constexpr int kSlots = AdvantageWork<kKind>::kSlots;
    merit_advantage_partial p = merit_advantage_partial_empty();
    p.record.moments = work_tile_moments(w, tile, -1);
    if (a.d.scale == MERIT_SCALE_NONZERO_SHARE) {
        int nonzero = 0;
#pragma unroll
        for (int slot = 0; slot < kSlots; slot++) {
            nonzero += (w.state[slot] & kInV) && w.u[slot] != 0.0;
        }
        p.record.nonzero = (double)team_sum_int(w.team, nonzero);
    }
    if (a.d.center == MERIT_CENTER_RUNNER_UP) {
        merit_advantage_partial mine = merit_advantage_partial_empty();
        const int none = MERIT_TILE;
#pragma unroll
        for (int slot = 0; slot < kSlots; slot++) {
            if (!(w.state[slot] & kInV)) continue;
            mine =
                merit_advantage_merge_best(mine, w.u[slot], -m_inf64(), team_element(w.team, slot));
        }
        p.first = team_max(w.team, mine.first);
        const int at = mine.first == p.first && mine.first_at < none ? (int)mine.first_at : none;
        const int best = team_min_int(w.team, at);
        p.second = team_max(w.team, best == mine.first_at ? mine.second : mine.first);
        p.first_at = best < none ? tile * MERIT_TILE + best : INT64_MAX;
    }
    if (a.io.weights != NULL) {
        double weights[kSlots];
        double products[kSlots];
#pragma unroll
        for (int slot = 0; slot < kSlots; slot++) {
            weights[slot] = 0.0;
            products[slot] = 0.0;
            if (!(w.state[slot] & kInV)) continue;
            const int64_t row = merit_advantage_row(&a, w.span.begin, work_member(w, tile, slot));
            weights[slot] = (double)a.io.weights[row];
            products[slot] = m_mul64(weights[slot], w.u[slot]);
        }
        p.sum_w = team_sum(w.team, weights);
        p.sum_wu = team_sum(w.team, products);
    }
    return p;
}

template <TeamKind kKind>
MERIT_DEVICE merit_advantage_partial work_find_partial(const merit_advantage_group_args &a,
                                                       AdvantageWork<kKind> &w)
{
    if (a.d.transform == MERIT_TRANSFORM_SOFTMAX) work_find_exp_sum(a, w);
    if (work_resident(w)) {
        work_transform_tile(a, w, 0);
        return work_tile_partial(a, w, 0);
    }
    if (w.team.rank == 0) w.stacks->partials.count = 0;
    for (int64_t tile = 0; tile < work_tiles(w); tile++) {
        work_visit_tile(a, w, tile);
        const merit_advantage_partial p = work_tile_partial(a, w, tile);
        if (w.team.rank == 0) merit_advantage_tiles_push(&w.stacks->partials, p);
    }
    __syncthreads(); // the pushes of thread 0
    const merit_advantage_partial p = merit_advantage_tiles_finish(&w.stacks->partials);
    __syncthreads(); // read by all before the stack is used again
    return p;
}

template <TeamKind kKind>
MERIT_DEVICE void work_find_deviation_scale(const merit_advantage_group_args &a,
                                            AdvantageWork<kKind> &w, merit_advantage_rule *rule)
{
    double sum = 0.0;
    work_begin_sum(w);
    for (int64_t tile = 0; tile < work_tiles(w); tile++) {
        work_visit_tile(a, w, tile);
        double terms[AdvantageWork<kKind>::kSlots];
#pragma unroll
        for (int slot = 0; slot < AdvantageWork<kKind>::kSlots; slot++) {
            terms[slot] = 0.0;
            if (!(w.state[slot] & kInV)) continue;
            const int64_t i = work_member(w, tile, slot);
            const int64_t row = merit_advantage_row(&a, w.span.begin, i);
            terms[slot] = merit_advantage_deviation(&a, rule, w.u[slot], i, row, w.group);
        }
        sum = team_sum(w.team, terms);
        work_push_sum(w, sum);
    }
    merit_advantage_set_deviation_scale(&a, work_finish_sum(w, sum), rule);
}

// Deviation of the members of V other than i.
template <TeamKind kKind>
MERIT_DEVICE double work_others_std(const merit_advantage_group_args &a, AdvantageWork<kKind> &w,
                                    int64_t i)
{
    merit_moments r = merit_moments_empty();
    for (int64_t tile = 0; tile < work_tiles(w); tile++) {
        work_visit_tile(a, w, tile);
        r = merit_moments_merge(r, work_tile_moments(w, tile, i));
    }
    return r.count < 2.0 ? 0.0 : merit_advantage_std(r.m2, r.count, a.d.ddof);
}

// Advantages --------------------------------------------------------------------------------------

// One member in one set. sum: its running NORMALIZE_FIRST sum.
template <TeamKind kKind>
MERIT_DEVICE void work_apply_member(const merit_advantage_group_args &a, AdvantageWork<kKind> &w,
                                    const merit_advantage_rule &rule, bool keep, int64_t i,
                                    int state, double u, double own, double *sum)
{
    const int64_t row = merit_advantage_row(&a, w.span.begin, i);
    const int in_v = (state & kInV) != 0;
    const bool live = (state & kInMask) && !(state & kSkipped);
    double value = 0.0;
    if (live) {
        const double *const own_scale = a.d.scale == MERIT_SCALE_LEAVE_ONE_OUT_STD ? &own : NULL;
        const double c = merit_advantage_centered(&a, &rule, u, in_v, i, row, w.group);
        value = merit_advantage_scaled(&a, &rule, u, c, in_v, own_scale, &w.saw);
    }
    if (a.d.columns != MERIT_COLUMNS_NORMALIZE_FIRST) {
        const double result = live ? merit_advantage_finished(&a, value, row) : 0.0;
        merit_advantage_write(&a, row, w.set, result, live && keep);
        return;
    }
    double *const total = a.sums != NULL ? &a.sums[row] : sum;
    if (w.set == 0) *total = 0.0;
    if (live) *total = m_fma64(merit_advantage_column_weight(&a, w.set), value, *total);
    if (w.set < a.num_sets - 1) return;
    const bool finish = (state & kInMask) && !merit_advantage_row_skipped(&a, row);
    const double result = finish ? merit_advantage_finished(&a, *total, row) : 0.0;
    merit_advantage_write(&a, row, 0, result, finish && keep);
}

template <TeamKind kKind>
MERIT_DEVICE void work_apply_tile(const merit_advantage_group_args &a, AdvantageWork<kKind> &w,
                                  const merit_advantage_rule &rule, bool keep, int64_t tile,
                                  double (&sums)[AdvantageWork<kKind>::kSlots])
{
    constexpr int kSlots = AdvantageWork<kKind>::kSlots;
    double own[kSlots];
#pragma unroll
    for (int slot = 0; slot < kSlots; slot++) {
        own[slot] = 0.0;
    }
    if (a.d.scale == MERIT_SCALE_LEAVE_ONE_OUT_STD) {
        const int64_t begin = tile * MERIT_TILE;
        const int64_t end = w.span.size < begin + MERIT_TILE ? w.span.size : begin + MERIT_TILE;
        for (int64_t i = begin; i < end; i++) {
            const double s = work_others_std(a, w, i);
#pragma unroll
            for (int slot = 0; slot < kSlots; slot++) {
                if (work_member(w, tile, slot) == i) own[slot] = s;
            }
        }
    }
    work_visit_tile(a, w, tile);
#pragma unroll
    for (int slot = 0; slot < kSlots; slot++) {
        const int64_t i = work_member(w, tile, slot);
        if (i >= w.span.size) continue;
        work_apply_member(a, w, rule, keep, i, w.state[slot], w.u[slot], own[slot], &sums[slot]);
    }
}

template <TeamKind kKind>
MERIT_DEVICE void work_refuse(const merit_advantage_group_args &a, AdvantageWork<kKind> &w,
                              int threads)
{
    for (int64_t i = w.team.rank; i < w.span.size; i += threads) {
        const int64_t row = merit_advantage_row(&a, w.span.begin, i);
        if (row >= 0) merit_advantage_write_nan(&a, row);
    }
    if (w.team.rank == 0) merit_advantage_write_refused(&a, w.group, w.span.refusal);
}

// A whole group. records_only: its statistics go to group_records and nothing else is written.
// Sub-warp teams are never refused, and a group beyond the last has no members.
template <TeamKind kKind>
MERIT_DEVICE void work_run_group(const merit_advantage_group_args &a, AdvantageWork<kKind> &w,
                                 bool records_only)
{
    const bool writes = w.group < a.d.groups.num_groups && w.team.rank == 0;
    double sums[AdvantageWork<kKind>::kSlots];
    bool any_unequal = false;
    for (w.set = 0; w.set < a.num_sets; w.set++) {
        const int64_t at = w.set * a.d.groups.num_groups + w.group; // of its record
        if (kKind != kTeamSubwarp && w.span.refusal != MERIT_ADVANTAGE_FINE) {
            if (records_only && writes) a.group_records[at] = merit_advantage_record_empty();
            continue;
        }
        w.saw = 0;
        work_find_shape(a, w, !records_only);
        if (kKind != kTeamSubwarp && a.d.groups.index != NULL) {
            const int saw = team_or_int(w.team, w.saw);
            if (saw & MERIT_ADVANTAGE_SAW_BAD_INDEX) {
                w.span.refusal = MERIT_ADVANTAGE_BAD_INDEX;
                if (records_only && writes) a.group_records[at] = merit_advantage_record_empty();
                continue;
            }
        }
        const merit_advantage_partial p = work_find_partial(a, w);
        if (records_only) {
            if (writes) a.group_records[at] = p.record;
            continue;
        }
        merit_advantage_rule rule = merit_advantage_rule_of(&a, &p, w.set);
        if (merit_advantage_needs_deviations(&a)) work_find_deviation_scale(a, w, &rule);
        const bool unequal = !merit_moments_all_equal(w.shape.x_min, w.shape.x_max);
        any_unequal = any_unequal || unequal;
        const bool keep = a.d.columns == MERIT_COLUMNS_NORMALIZE_FIRST ? any_unequal : unequal;
        for (int64_t tile = 0; tile < work_tiles(w); tile++) {
            work_apply_tile(a, w, rule, keep, tile, sums);
        }
        const int saw = team_or_int(w.team, w.saw);
        if (writes) {
            merit_advantage_write_group(&a, w.group, w.set, w.span.size, &w.shape, &p, &rule, saw);
        }
    }
    if (kKind == kTeamSubwarp || records_only || w.span.refusal == MERIT_ADVANTAGE_FINE) return;
    work_refuse(a, w, kKind == kTeamWarp ? kWarpSize : kTeamBlock);
}

#endif
