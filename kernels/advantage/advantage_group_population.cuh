// advantage_group, CUDA: the statistics of a group by a team, from the transformed rewards.
#ifndef MERIT_ADVANTAGE_GROUP_POPULATION_CUH
#define MERIT_ADVANTAGE_GROUP_POPULATION_CUH

#include "advantage_group_team.cuh"

template <TeamKind kKind>
MERIT_DEVICE merit_moments work_tile_moments(AdvantageWork<kKind> &w, int64_t tile,
                                             int64_t left_out)
{
    int count = 0;
    double min = m_inf64();
    double max = -m_inf64();
    const auto counts = [&](int slot) {
        return (w.state[work_place(w, tile, slot)] & kInV) != 0 &&
               work_member(w, tile, slot) != left_out;
    };
#pragma unroll 1
    for (int slot = 0; slot < Team<kKind>::kSlots; slot++) {
        if (!counts(slot)) continue;
        const double u = w.u[work_place(w, tile, slot)];
        count++;
        min = m_min64(min, u);
        max = m_max64(max, u);
    }
    merit_moments r;
    r.count = (double)team_sum_int(w.team, count);
    r.min = team_min(w.team, min);
    r.max = team_max(w.team, max);
    const bool equal = merit_moments_all_equal(r.min, r.max);
    const double sum = team_sum(
        w.team, [&](int slot) { return counts(slot) ? w.u[work_place(w, tile, slot)] : 0.0; });
    r.mean = equal ? r.min : m_div64(sum, r.count);
    const double m2 = team_sum(w.team, [&](int slot) {
        const double deviation = m_sub64(w.u[work_place(w, tile, slot)], r.mean);
        return counts(slot) ? m_mul64(deviation, deviation) : 0.0;
    });
    r.m2 = equal ? 0.0 : m2;
    return r.count == 0.0 ? merit_moments_empty() : r;
}

// The best two of a tile, for RUNNER_UP.
template <TeamKind kKind>
MERIT_DEVICE void work_tile_best(AdvantageWork<kKind> &w, int64_t tile, merit_advantage_partial *p)
{
    merit_advantage_partial mine = merit_advantage_partial_empty();
#pragma unroll 1
    for (int slot = 0; slot < Team<kKind>::kSlots; slot++) {
        const int place = work_place(w, tile, slot);
        if (!(w.state[place] & kInV)) continue;
        mine = merit_advantage_merge_best(mine, w.u[place], -m_inf64(), team_element(w.team, slot));
    }
    const int none = MERIT_TILE;
    p->first = team_max(w.team, mine.first);
    const int at = mine.first == p->first && mine.first_at < none ? (int)mine.first_at : none;
    const int best = team_min_int(w.team, at);
    p->second = team_max(w.team, best == mine.first_at ? mine.second : mine.first);
    p->first_at = best < none ? tile * MERIT_TILE + best : INT64_MAX;
}

template <TeamKind kKind>
MERIT_DEVICE merit_advantage_partial work_tile_partial(const merit_advantage_group_args &a,
                                                       AdvantageWork<kKind> &w, int64_t tile)
{
    merit_advantage_partial p = merit_advantage_partial_empty();
    p.record.moments = work_tile_moments(w, tile, -1);
    if (a.d.scale == MERIT_SCALE_NONZERO_SHARE) {
        int nonzero = 0;
#pragma unroll 1
        for (int slot = 0; slot < Team<kKind>::kSlots; slot++) {
            const int place = work_place(w, tile, slot);
            nonzero += (w.state[place] & kInV) != 0 && w.u[place] != 0.0;
        }
        p.record.nonzero = (double)team_sum_int(w.team, nonzero);
    }
    if (a.d.center == MERIT_CENTER_RUNNER_UP) work_tile_best(w, tile, &p);
    if (a.io.weights != NULL) {
        const auto weight = [&](int slot) {
            if (!(w.state[work_place(w, tile, slot)] & kInV)) return 0.0;
            return (double)
                a.io.weights[merit_advantage_row(&a, w.span.begin, work_member(w, tile, slot))];
        };
        p.sum_w = team_sum(w.team, weight);
        p.sum_wu = team_sum(w.team, [&](int slot) {
            const int place = work_place(w, tile, slot);
            return w.state[place] & kInV ? m_mul64(weight(slot), w.u[place]) : 0.0;
        });
    }
    return p;
}

MERIT_DEVICE_CALL void push_partial(AdvantageStacks *stacks, const merit_advantage_partial &p)
{
    merit_advantage_tiles_push(&stacks->partials, p);
}

// Leaves the partial of the group at the bottom of the stack.
MERIT_DEVICE_CALL void finish_partials(AdvantageStacks *stacks)
{
    stacks->partials.level[0] = merit_advantage_tiles_finish(&stacks->partials);
}

template <TeamKind kKind>
MERIT_DEVICE merit_advantage_partial work_find_partial(const merit_advantage_group_args &a,
                                                       AdvantageWork<kKind> &w)
{
    if (work_resident(w)) {
        if (a.needs_pairs) team_sync<kKind>(); // every thread looks at the others' rewards
        if (a.d.transform == MERIT_TRANSFORM_LEAVE_ONE_OUT_LME) work_loo_lme(a, w);
        for (int64_t tile = 0; tile < work_tiles(w); tile++) {
            work_transform_tile(a, w, tile);
        }
    }
    if (kKind != kTeamBlockWide) return work_tile_partial(a, w, 0);
    if (w.team.rank == 0) w.stacks->partials.count = 0;
    for (int64_t tile = 0; tile < work_tiles(w); tile++) {
        work_visit_tile(a, w, tile);
        const merit_advantage_partial p = work_tile_partial(a, w, tile);
        if (w.team.rank == 0) push_partial(w.stacks, p);
    }
    if (w.team.rank == 0) finish_partials(w.stacks);
    __syncthreads(); // thread 0's fold
    const merit_advantage_partial p = w.stacks->partials.level[0];
    __syncthreads(); // read by all before the stack is used again
    return p;
}

template <TeamKind kKind>
MERIT_DEVICE void work_find_deviation_scale(const merit_advantage_group_args &a,
                                            AdvantageWork<kKind> &w, merit_advantage_rule *rule)
{
    const double sum = work_sum(
        w, [&](int64_t tile) { work_visit_tile(a, w, tile); },
        [&](int place, int64_t member) {
            const int64_t row = merit_advantage_row(&a, w.span.begin, member);
            return merit_advantage_deviation(&a, rule, w.u[place], member, row, w.group);
        });
    merit_advantage_set_deviation_scale(&a, sum, rule);
}

// Deviation of the members of V other than i, of a resident group.
template <TeamKind kKind>
MERIT_DEVICE double work_others_std(const merit_advantage_group_args &a, AdvantageWork<kKind> &w,
                                    int64_t i)
{
    merit_moments r = merit_moments_empty();
    for (int64_t tile = 0; tile < work_tiles(w); tile++) {
        r = merit_moments_merge(r, work_tile_moments(w, tile, i));
    }
    return r.count < 2.0 ? 0.0 : merit_advantage_std(r.m2, r.count, a.d.ddof);
}

#endif
