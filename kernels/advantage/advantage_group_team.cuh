// advantage_group, CUDA: one group by one team of threads. The same passes as the CPU's: range of the
// rewards, transform, statistics, deviations, advantages. A group that fits its team is read once; a
// larger one (block team) is read again from cache, tile by tile, for each pass.
//
// Everything a thread keeps of its members lies in slots of its own, so only a look at another
// member's reward needs team_sync. What several passes share is a call, not a copy: inlined everywhere
// the passes would take ten times the code and spill.
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
    Team<kKind> team;
    AdvantageStacks *stacks; // block team
    int capacity; // members that fit: the group is resident up to here
    double *x; // by team_place
    double *u;
    uint8_t *state;
    int64_t group;
    merit_advantage_span span;
    int32_t set;
    merit_advantage_shape shape;
    int saw; // of this thread's members
};

// Tiles of the group; a resident one of two tiles has them side by side.
template <TeamKind kKind>
MERIT_DEVICE int64_t work_tiles(const AdvantageWork<kKind> &w)
{
    return kKind == kTeamBlockWide ? (w.span.size + MERIT_TILE - 1) / MERIT_TILE : 1;
}

template <TeamKind kKind>
MERIT_DEVICE bool work_resident(const AdvantageWork<kKind> &w)
{
    return kKind != kTeamBlockWide || w.span.size <= w.capacity;
}

template <TeamKind kKind>
MERIT_DEVICE int64_t work_member(const AdvantageWork<kKind> &w, int64_t tile, int slot)
{
    return tile * MERIT_TILE + team_element(w.team, slot);
}

template <TeamKind kKind>
MERIT_DEVICE int work_place(const AdvantageWork<kKind> &w, int64_t tile, int slot)
{
    const bool beside = kKind == kTeamBlockWide && work_resident(w);
    return (beside ? (int)tile * MERIT_TILE : 0) + team_place(w.team, slot);
}

// Reading -----------------------------------------------------------------------------------------

// Member `at` of a group, or absent.
MERIT_DEVICE int read_member(const merit_advantage_group_args &a, const merit_advantage_span &span,
                             int64_t at, int32_t set, double *x, int *nans, int *infs)
{
    *x = 0.0;
    if (at >= span.size) return kAbsent;
    const int64_t row = merit_advantage_row(&a, span.begin, at);
    if (row < 0) return kNoRow;
    const merit_advantage_member m = merit_advantage_load(&a, row, set);
    *x = m.x;
    *nans += m.nans;
    *infs += m.infs;
    return (m.in_mask ? kInMask : 0) | (m.in_v ? kInV : 0) | (m.skipped ? kSkipped : 0);
}

// What a thread's members of a tile showed: saw bits, and counters if `counting`.
MERIT_DEVICE int tell_members(const merit_advantage_group_args &a, int32_t set, int nans, int infs,
                              int lost, bool counting)
{
    if (counting) {
        m_count(a.io.diagnostics, MERIT_COUNTER_NAN_IN, (uint64_t)nans);
        m_count(a.io.diagnostics, MERIT_COUNTER_INF_IN, (uint64_t)infs);
        if (set == 0) m_count(a.io.diagnostics, MERIT_COUNTER_BAD_INDEX, (uint64_t)lost);
    }
    return (nans + infs > 0 ? MERIT_ADVANTAGE_SAW_NONFINITE : 0) |
           (lost > 0 ? MERIT_ADVANTAGE_SAW_BAD_INDEX : 0);
}

// Eight members: first, first + step, ... to x[0], x[stride], ... Returns saw bits.
MERIT_DEVICE_CALL int read_eight(const merit_advantage_group_args &a,
                                 const merit_advantage_span &span, int64_t first, int step,
                                 int stride, int32_t set, bool counting, double *x, uint8_t *state)
{
    int nans = 0;
    int infs = 0;
    int lost = 0;
#pragma unroll 1
    for (int slot = 0; slot < 8; slot++) {
        const int s =
            read_member(a, span, first + slot * step, set, &x[slot * stride], &nans, &infs);
        state[slot * stride] = (uint8_t)s;
        lost += s == kNoRow;
    }
    return tell_members(a, set, nans, infs, lost, counting);
}

template <TeamKind kKind>
MERIT_DEVICE void work_read_tile(const merit_advantage_group_args &a, AdvantageWork<kKind> &w,
                                 int64_t tile, bool counting)
{
    const int place = work_place(w, tile, 0);
    if (kKind == kTeamSubwarp) {
        int nans = 0;
        int infs = 0;
        const int s = read_member(a, w.span, w.team.rank, w.set, w.x, &nans, &infs);
        w.state[0] = (uint8_t)s;
        w.saw |= tell_members(a, w.set, nans, infs, s == kNoRow, counting);
        return;
    }
    const int step = kKind == kTeamWarp ? 1 : kTeamBlock;
    const int stride = kKind == kTeamWarp ? kWarpSize : kTeamBlock;
    w.saw |= read_eight(a, w.span, work_member(w, tile, 0), step, stride, w.set, counting,
                        w.x + place, w.state + place);
}

// A tile's members are read: at once for a resident group, else again.
template <TeamKind kKind>
MERIT_DEVICE void work_reread_tile(const merit_advantage_group_args &a, AdvantageWork<kKind> &w,
                                   int64_t tile)
{
    if (!work_resident(w)) work_read_tile(a, w, tile, false);
}

// Sums over all tiles -----------------------------------------------------------------------------

// Canonical sum of term(place, member) over the members of V that `select` admits.
template <TeamKind kKind, typename Visit, typename Term>
MERIT_DEVICE double work_sum(AdvantageWork<kKind> &w, Visit visit, Term term)
{
    double sum = 0.0;
    if (kKind == kTeamBlockWide && w.team.rank == 0) w.stacks->sums.count = 0;
    for (int64_t tile = 0; tile < work_tiles(w); tile++) {
        visit(tile);
        sum = team_sum(w.team, [&](int slot) {
            const int place = work_place(w, tile, slot);
            return w.state[place] & kInV ? term(place, work_member(w, tile, slot)) : 0.0;
        });
        if (kKind == kTeamBlockWide && w.team.rank == 0) {
            merit_tile_sum_push(&w.stacks->sums, sum);
        }
    }
    if (kKind != kTeamBlockWide) return sum;
    __syncthreads(); // the pushes of thread 0
    sum = merit_tile_sum_finish(&w.stacks->sums);
    __syncthreads(); // read by all before the next sum begins
    return sum;
}

// Range and transform -----------------------------------------------------------------------------

template <TeamKind kKind>
MERIT_DEVICE void work_find_shape(const merit_advantage_group_args &a, AdvantageWork<kKind> &w,
                                  bool counting)
{
    int count = 0;
    double min = m_inf64();
    double max = -m_inf64();
    for (int64_t tile = 0; tile < work_tiles(w); tile++) {
        work_read_tile(a, w, tile, counting);
#pragma unroll 1
        for (int slot = 0; slot < Team<kKind>::kSlots; slot++) {
            const int place = work_place(w, tile, slot);
            if (!(w.state[place] & kInV)) continue;
            count++;
            min = m_min64(min, w.x[place]);
            max = m_max64(max, w.x[place]);
        }
    }
    w.shape.count = team_sum_int(w.team, count);
    w.shape.x_min = team_min(w.team, min);
    w.shape.x_max = team_max(w.team, max);
    w.shape.exp_sum = 0.0;
    if (a.d.transform != MERIT_TRANSFORM_SOFTMAX) return;
    const double temperature = (double)a.d.temperature;
    w.shape.exp_sum = work_sum(
        w, [&](int64_t tile) { work_reread_tile(a, w, tile); },
        [&](int place, int64_t) {
            return merit_advantage_softmax_term(w.x[place], w.shape.x_max, temperature);
        });
}

// Reward and state of member i, to every thread of the team, of a resident group.
template <TeamKind kKind>
MERIT_DEVICE double work_look(const AdvantageWork<kKind> &w, int i, int *state)
{
    if (kKind == kTeamSubwarp) {
        const int lane = (threadIdx.x % kWarpSize) / w.team.width * w.team.width + i;
        *state = __shfl_sync(kFullWarp, (int)w.state[0], lane);
        return __shfl_sync(kFullWarp, w.x[0], lane);
    }
    const int place = team_place_of<kKind>(i);
    *state = w.state[place];
    return w.x[place];
}

// u of one member by RANK, each thread for a member of its own.
template <TeamKind kKind>
MERIT_DEVICE double work_rank(const merit_advantage_group_args &a, const AdvantageWork<kKind> &w,
                              int64_t i, double x)
{
    int above = 0;
    int equal = 0;
    int earlier = 0;
    const int size = kKind == kTeamSubwarp ? (int)a.d.groups.group_size : (int)w.span.size;
    for (int j = 0; j < size; j++) {
        int state;
        const double other = work_look(w, j, &state);
        if (!(state & kInV) || j == i) continue;
        above += other > x;
        equal += other == x;
        earlier += other == x && j < i;
    }
    return merit_advantage_rank(a.d.rank_ties, above, equal, earlier, w.shape.count);
}

// Log-sum-exp over V without member i, by the whole team.
template <TeamKind kKind>
MERIT_DEVICE double work_others_lse(AdvantageWork<kKind> &w, int64_t i)
{
    double max = -m_inf64();
    for (int64_t tile = 0; tile < work_tiles(w); tile++) {
#pragma unroll 1
        for (int slot = 0; slot < Team<kKind>::kSlots; slot++) {
            const int place = work_place(w, tile, slot);
            const bool counts = (w.state[place] & kInV) && work_member(w, tile, slot) != i;
            if (counts) max = m_max64(max, w.x[place]);
        }
    }
    max = team_max(w.team, max);
    const double sum = work_sum(
        w, [](int64_t) {},
        [&](int place, int64_t member) {
            return member == i ? 0.0 : m_exp64(m_sub64(w.x[place], max));
        });
    return m_add64(max, m_log64(sum));
}

// LEAVE_ONE_OUT_LME of a resident group: the members one after the other, the whole team for each;
// the thread that owns the member keeps its u.
template <TeamKind kKind>
MERIT_DEVICE void work_loo_lme(const merit_advantage_group_args &a, AdvantageWork<kKind> &w)
{
    const int size = kKind == kTeamSubwarp ? (int)a.d.groups.group_size : (int)w.span.size;
    const bool equal = merit_moments_all_equal(w.shape.x_min, w.shape.x_max);
    for (int i = 0; i < size; i++) {
        int state;
        const double x = work_look(w, i, &state);
        const bool in_v = (state & kInV) != 0;
        const int64_t others = w.shape.count - (in_v ? 1 : 0);
        const double lse = work_others_lse(w, i);
        const double value = others == 0 ? x
                             : equal && x == w.shape.x_min
                                 ? 0.0
                                 : merit_advantage_loo_lme(x, lse, others);
        const int64_t tile = i / MERIT_TILE;
#pragma unroll 1
        for (int slot = 0; slot < Team<kKind>::kSlots; slot++) {
            if (work_member(w, tile, slot) == i) w.u[work_place(w, tile, slot)] = value;
        }
    }
}

// u of a tile whose x is there. RANK and LEAVE_ONE_OUT_LME: of a resident group.
template <TeamKind kKind>
MERIT_DEVICE void work_transform_tile(const merit_advantage_group_args &a, AdvantageWork<kKind> &w,
                                      int64_t tile)
{
    const int transform = a.d.transform;
    const double temperature = (double)a.d.temperature;
#pragma unroll 1
    for (int slot = 0; slot < Team<kKind>::kSlots; slot++) {
        const int place = work_place(w, tile, slot);
        const double x = w.x[place];
        const bool live = (w.state[place] & (kInMask | kInV)) != 0 && !(w.state[place] & kSkipped);
        double u = x;
        if (transform == MERIT_TRANSFORM_RANK) {
            u = work_rank(a, w, work_member(w, tile, slot), x);
        } else if (transform == MERIT_TRANSFORM_SOFTMAX) {
            u = m_div64(merit_advantage_softmax_term(x, w.shape.x_max, temperature),
                        w.shape.exp_sum);
        } else if (transform == MERIT_TRANSFORM_LEAVE_ONE_OUT_LME) {
            u = w.u[place];
        }
        const bool nan =
            transform != MERIT_TRANSFORM_NONE && (m_is_nan64(w.shape.x_max) || m_is_nan64(x));
        w.u[place] = !live ? x : nan ? m_nan64() : u;
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

#endif
