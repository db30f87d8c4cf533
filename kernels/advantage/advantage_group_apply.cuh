// advantage_group, CUDA: from the rule of a group to the advantages of its members, and whole groups.
#ifndef MERIT_ADVANTAGE_GROUP_APPLY_CUH
#define MERIT_ADVANTAGE_GROUP_APPLY_CUH

#include "advantage_group_population.cuh"

// A member of a group and its value, for apply_member.
struct AdvantageMember {
    int64_t group;
    int64_t at; // in the group
    int64_t row;
    int32_t set;
    int state;
    double u;
    double own; // LEAVE_ONE_OUT_STD: its own scale
    double *sum; // NORMALIZE_FIRST: its running sum
};

// Writes the advantage of one member in one set; returns saw bits.
MERIT_DEVICE int apply_member(const merit_advantage_group_args &a, const merit_advantage_rule &rule,
                              bool keep, const AdvantageMember &m)
{
    int saw = 0;
    double value = 0.0;
    const int in_v = (m.state & kInV) != 0;
    const bool live = (m.state & kInMask) != 0 && !(m.state & kSkipped);
    if (live) {
        const double *const own = a.d.scale == MERIT_SCALE_LEAVE_ONE_OUT_STD ? &m.own : NULL;
        const double c = merit_advantage_centered(&a, &rule, m.u, in_v, m.at, m.row, m.group);
        value = merit_advantage_scaled(&a, &rule, m.u, c, in_v, own, &saw);
    }
    if (a.d.columns != MERIT_COLUMNS_NORMALIZE_FIRST) {
        const double result = live ? merit_advantage_finished(&a, value, m.row) : 0.0;
        merit_advantage_write(&a, m.row, m.set, result, live && keep);
        return saw;
    }
    double total = m.set == 0 ? 0.0 : *m.sum;
    if (live) total = m_fma64(merit_advantage_column_weight(&a, m.set), value, total);
    *m.sum = total;
    if (m.set < a.num_sets - 1) return saw;
    const bool finish = (m.state & kInMask) != 0 && !merit_advantage_row_skipped(&a, m.row);
    const double result = finish ? merit_advantage_finished(&a, total, m.row) : 0.0;
    merit_advantage_write(&a, m.row, 0, result, finish && keep);
    return saw;
}

MERIT_DEVICE_CALL int apply_member_call(const merit_advantage_group_args &a,
                                        const merit_advantage_rule &rule, bool keep,
                                        const AdvantageMember &m)
{
    return apply_member(a, rule, keep, m);
}

// Advantages of a tile. own_sum: where a sub-warp thread keeps its member's NORMALIZE_FIRST sum.
template <TeamKind kKind>
MERIT_DEVICE void work_apply_tile(const merit_advantage_group_args &a, AdvantageWork<kKind> &w,
                                  const merit_advantage_rule &rule, bool keep, int64_t tile,
                                  double *own_sum)
{
    work_visit_tile(a, w, tile);
#pragma unroll 1
    for (int slot = 0; slot < Team<kKind>::kSlots; slot++) {
        const int place = work_place(w, tile, slot);
        if (w.state[place] & kAbsent) continue;
        AdvantageMember m;
        m.group = w.group;
        m.at = work_member(w, tile, slot);
        m.row = merit_advantage_row(&a, w.span.begin, m.at);
        m.set = w.set;
        m.state = w.state[place];
        m.u = w.u[place];
        m.own = w.x[place]; // left there by work_own_scales
        m.sum = kKind == kTeamSubwarp ? own_sum : a.sums == NULL ? NULL : &a.sums[m.row];
        if (kKind == kTeamSubwarp) {
            w.saw |= apply_member(a, rule, keep, m);
        } else {
            w.saw |= apply_member_call(a, rule, keep, m);
        }
    }
}

// LEAVE_ONE_OUT_STD of a resident group: the scale of each member, over its reward, which is no longer
// needed once u is there.
template <TeamKind kKind>
MERIT_DEVICE void work_own_scales(const merit_advantage_group_args &a, AdvantageWork<kKind> &w)
{
    const int size = kKind == kTeamSubwarp ? (int)a.d.groups.group_size : (int)w.span.size;
    for (int i = 0; i < size; i++) {
        const double s = work_others_std(a, w, i);
        const int64_t tile = i / MERIT_TILE;
#pragma unroll 1
        for (int slot = 0; slot < Team<kKind>::kSlots; slot++) {
            if (work_member(w, tile, slot) == i) w.x[work_place(w, tile, slot)] = s;
        }
    }
}

template <TeamKind kKind>
MERIT_DEVICE void work_refuse(const merit_advantage_group_args &a, AdvantageWork<kKind> &w)
{
    const int threads = kKind == kTeamWarp ? kWarpSize : kTeamBlock;
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
    double own_sum = 0.0;
    bool any_unequal = false;
    for (w.set = 0; w.set < a.num_sets; w.set++) {
        const int64_t at = w.set * a.d.groups.num_groups + w.group; // of its record
        w.saw = 0;
        if (w.span.refusal == MERIT_ADVANTAGE_FINE) work_find_shape(a, w, !records_only);
        if (kKind != kTeamSubwarp && a.d.groups.index != NULL &&
            w.span.refusal == MERIT_ADVANTAGE_FINE) {
            const int saw = team_or_int(w.team, w.saw);
            if (saw & MERIT_ADVANTAGE_SAW_BAD_INDEX) w.span.refusal = MERIT_ADVANTAGE_BAD_INDEX;
        }
        if (kKind != kTeamSubwarp && w.span.refusal != MERIT_ADVANTAGE_FINE) {
            if (records_only && writes) a.group_records[at] = merit_advantage_record_empty();
            continue;
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
        if (a.d.scale == MERIT_SCALE_LEAVE_ONE_OUT_STD) work_own_scales(a, w);
        for (int64_t tile = 0; tile < work_tiles(w); tile++) {
            work_apply_tile(a, w, rule, keep, tile, &own_sum);
        }
        if (kKind != kTeamSubwarp) team_sync<kKind>(); // before the next set overwrites rewards
        const int saw = team_or_int(w.team, w.saw);
        if (writes) {
            merit_advantage_write_group(&a, w.group, w.set, w.span.size, &w.shape, &p, &rule, saw);
        }
    }
    if (kKind == kTeamSubwarp || records_only || w.span.refusal == MERIT_ADVANTAGE_FINE) return;
    work_refuse(a, w);
}

#endif
