// preference_list, CUDA: one group by a warp (at most 256 items) or a block. Items are read again for
// each pass, from cache; only modes that compare items keep arrays, in shared memory up to 2048 items.
#ifndef MERIT_PREFERENCE_LIST_TEAM_CUH
#define MERIT_PREFERENCE_LIST_TEAM_CUH

#include "../core/team.cuh"
#include "preference_list.h"

namespace
{

typedef merit_preference_list_args ListArgs;

template <TeamKind kKind>
struct ListWork {
    Team<kKind> team;
    merit_tile_sum *stack; // block team: shared
    const ListArgs *a;
    merit_list_group g;
    double scale;
    uint64_t *keys;
    double *xs;
    double *slopes;
    double *losses;
};

#define LIST_FUNCTION         \
    template <TeamKind kKind> \
    MERIT_DEVICE_CALL
#define LIST_WORK ListWork<kKind>
#define LIST_EACH(w, i, n) for (int64_t i = (w)->team.rank; i < (n); i += (w)->team.width)

// Items -------------------------------------------------------------------------------------------

LIST_FUNCTION merit_list_item list_item(LIST_WORK *w, int64_t i, int *saw)
{
    const merit_list_group *const g = &w->g;
    merit_list_item item = merit_list_load(w->a, g->span.begin, i, g->target, saw);
    if (g->settled) item.x = merit_list_x(w->a, g, item.x);
    return item;
}

template <TeamKind kKind>
MERIT_DEVICE merit_list_item list_read(LIST_WORK *w, int64_t i, int *saw)
{
    return list_item(w, i, saw);
}

template <TeamKind kKind>
MERIT_DEVICE void list_settle(LIST_WORK *w)
{
    (void)w; // items are read anew
}

// Reductions --------------------------------------------------------------------------------------

template <TeamKind kKind>
MERIT_DEVICE void list_sync(LIST_WORK *w)
{
    (void)w;
    team_sync<kKind>();
}

template <TeamKind kKind>
MERIT_DEVICE int list_leads(LIST_WORK *w)
{
    return w->team.rank == 0;
}

// Canonical sum of term(i) over i in [0, count).
template <TeamKind kKind, typename Term>
MERIT_DEVICE double list_canonical(LIST_WORK *w, int64_t count, Term term)
{
    const Team<kKind> team = w->team;
    if (kKind == kTeamWarp) {
        if (count > kWarpSize) {
            return team_sum(team, [&](int slot) {
                const int64_t i = team_element(team, slot);
                return i < count ? term(i) : 0.0;
            });
        }
        // a lane per element: the same tree
        return merit_warp_sum64<kWarpSize>(team.rank < count ? term((int64_t)team.rank) : 0.0);
    }
    if (count > MERIT_TILE && team.rank == 0) w->stack->count = 0;
    double sum = 0.0;
    for (int64_t start = 0; start < count; start += MERIT_TILE) {
        sum = team_sum(team, [&](int slot) {
            const int64_t i = start + team_element(team, slot);
            return i < count ? term(i) : 0.0;
        });
        if (count > MERIT_TILE && team.rank == 0) merit_tile_sum_push(w->stack, sum);
    }
    if (count <= MERIT_TILE) return sum;
    __syncthreads(); // the stack is complete
    sum = merit_tile_sum_finish(w->stack);
    __syncthreads(); // and read, before the next sum starts it again
    return sum;
}

// The sum over one tile of the group.
MERIT_DEVICE_CALL double list_tile_sum(ListWork<kTeamBlockWide> *w, int64_t tile,
                                       merit_list_term_kind kind)
{
    const int64_t size = w->g.span.size;
    return team_sum(w->team, [&](int slot) {
        const int64_t i = tile * MERIT_TILE + team_element(w->team, slot);
        int saw = 0;
        return i < size ? merit_list_term(w->a, &w->g, kind, list_item(w, i, &saw)) : 0.0;
    });
}

LIST_FUNCTION double list_sum(LIST_WORK *w, merit_list_term_kind kind)
{
    return list_canonical(w, w->g.span.size, [&](int64_t i) {
        int saw = 0;
        return merit_list_term(w->a, &w->g, kind, list_item(w, i, &saw));
    });
}

LIST_FUNCTION double list_sum_of(LIST_WORK *w, const double *values, int64_t count)
{
    return list_canonical(w, count, [&](int64_t i) { return values[i]; });
}

LIST_FUNCTION int64_t list_total(LIST_WORK *w, int64_t mine)
{
    return team_reduce(w->team, mine, [](int64_t a, int64_t b) { return a + b; });
}

LIST_FUNCTION double list_top(LIST_WORK *w, double mine)
{
    return team_max(w->team, mine);
}

LIST_FUNCTION double list_bottom(LIST_WORK *w, double mine)
{
    return team_min(w->team, mine);
}

LIST_FUNCTION int list_or(LIST_WORK *w, int mine)
{
    return team_or_int(w->team, mine);
}

// Ranks and pairs ---------------------------------------------------------------------------------

// Bitonic, every exchange toward rising order: positions beyond the count need not exist.
LIST_FUNCTION void list_sort(LIST_WORK *w, int64_t count)
{
    uint64_t *const keys = w->keys;
    for (int64_t width = 2; width / 2 < count; width *= 2) {
        for (int64_t step = width - 1; step > 0; step = step == width - 1 ? width / 4 : step / 2) {
            LIST_EACH(w, i, count)
            {
                const int64_t j = i ^ step;
                if (j <= i || j >= count) continue;
                const uint64_t low = keys[i] < keys[j] ? keys[i] : keys[j];
                const uint64_t high = keys[i] < keys[j] ? keys[j] : keys[i];
                keys[i] = low;
                keys[j] = high;
            }
            list_sync(w); // all exchanges, before those of the next step
        }
    }
}

// One step of a scan by a warp: lanes that have a neighbor at `distance` take it in.
MERIT_DEVICE merit_list_running list_take(merit_list_running mine, int lane, int distance)
{
    merit_list_running other;
    const int from = lane + distance;
    const bool inside = from >= 0 && from < kWarpSize;
    other.max = __shfl_sync(kFullWarp, mine.max, inside ? from : lane);
    other.sum = __shfl_sync(kFullWarp, mine.sum, inside ? from : lane);
    return inside ? merit_list_running_merge(mine, other) : mine;
}

MERIT_DEVICE merit_list_running list_lane(merit_list_running mine, int from)
{
    merit_list_running other;
    other.max = __shfl_sync(kFullWarp, mine.max, from);
    other.sum = __shfl_sync(kFullWarp, mine.sum, from);
    return other;
}

// Running sums over `values` in chunks of 32, from the end or from the start; results to `out`. One
// warp does it: a chunk waits for the one before.
MERIT_DEVICE_CALL void list_run(const double *values, double *out, int64_t count, int lane,
                                bool back)
{
    merit_list_running carry = merit_list_running_of(-m_inf64());
    const int64_t chunks = (count + kWarpSize - 1) / kWarpSize;
    for (int64_t n = 0; n < chunks; n++) {
        const int64_t p = (back ? chunks - 1 - n : n) * kWarpSize + lane;
        merit_list_running mine = merit_list_running_of(p < count ? values[p] : -m_inf64());
#pragma unroll 1
        for (int distance = 1; distance < kWarpSize; distance *= 2) {
            mine = list_take(mine, lane, back ? distance : -distance);
        }
        mine = merit_list_running_merge(mine, carry);
        if (p < count) out[p] = merit_list_running_log(mine);
        carry = list_lane(mine, back ? 0 : kWarpSize - 1);
    }
}

template <TeamKind kKind>
MERIT_DEVICE void list_run_back(LIST_WORK *w, int64_t count)
{
    if (w->team.rank < kWarpSize) list_run(w->xs, w->slopes, count, w->team.rank, true);
}

template <TeamKind kKind>
MERIT_DEVICE void list_run_forth(LIST_WORK *w, int64_t count)
{
    if (w->team.rank < kWarpSize) list_run(w->losses, w->losses, count, w->team.rank, false);
}

LIST_FUNCTION void list_meet(LIST_WORK *w, int64_t first, int64_t count,
                             merit_list_gathered *counts)
{
    const int64_t size = w->g.span.size;
    LIST_EACH(w, n, count)
    {
        const int64_t i = first + n;
        merit_list_gathered mine = {0.0, 0.0, 0, 0, 0};
        const double x = w->xs[i];
        const double key = m_from_bits64(w->keys[i]);
#pragma unroll 1
        for (int64_t j = 0; j < size; j++) {
            const double other_key = m_from_bits64(w->keys[j]);
            if (key > other_key || key < other_key) {
                merit_list_meet(&w->a->link, (double)w->a->d.margin, &mine, x, key, w->xs[j],
                                other_key);
            }
        }
        w->losses[i] = mine.loss;
        w->slopes[i] = mine.slope;
        counts->concordant += mine.concordant;
        counts->discordant += mine.discordant;
        counts->tied += mine.tied;
    }
}

#include "preference_list_group.h"

} // namespace

#endif
