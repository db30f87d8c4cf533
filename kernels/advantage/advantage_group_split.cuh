// advantage_group, CUDA: groups beyond 65536 members. Their tiles are spread over all blocks: one kernel
// makes the partials of the tiles, and the last block of a group folds them; a second one writes.
#ifndef MERIT_ADVANTAGE_GROUP_SPLIT_CUH
#define MERIT_ADVANTAGE_GROUP_SPLIT_CUH

#include "advantage_group_apply.cuh"
#include "advantage_group_batch.cuh"

namespace
{

constexpr int kBytesPerMember = 2 * (int)sizeof(double) + 1; // x, u, state
constexpr size_t kTileBytes = (size_t)MERIT_TILE * kBytesPerMember;

// A team's part of the shared rewards. capacity: members of one group that the block holds; all its
// warps together hold a tile.
template <TeamKind kKind>
MERIT_DEVICE void place_work(AdvantageWork<kKind> &w, double *values, int capacity, int first)
{
    w.capacity = kKind == kTeamWarp ? (int)kLanes : capacity;
    w.x = values + first;
    w.u = values + capacity + first;
    w.state = reinterpret_cast<uint8_t *>(values + 2 * capacity) + first;
}

// Listing -----------------------------------------------------------------------------------------

MERIT_DEVICE uint32_t listed_groups(const Args &a)
{
    const uint32_t listed = a.tickets[MERIT_ADVANTAGE_TICKET_SPLIT];
    const uint32_t room = (uint32_t)merit_advantage_split_room(a.d.num_rows);
    return listed < room ? listed : room;
}

MERIT_DEVICE bool may_split(const Args &a, const merit_advantage_span &span)
{
    return a.split_groups != NULL && span.refusal == MERIT_ADVANTAGE_FINE &&
           span.size > MERIT_ADVANTAGE_SPLIT_SIZE;
}

// By one thread: lists a group for the split schedule. The order of the list reaches no result. Only groups
// that overlap, because offsets decrease in between, can be more than the list holds: then false, and the
// block goes on with the group alone.
MERIT_DEVICE bool list_for_split(const Args &a, const merit_advantage_span &span, int64_t group)
{
    const int64_t tiles = (span.size + kTile - 1) / kTile;
    unsigned long long *const taken =
        reinterpret_cast<unsigned long long *>(a.tickets + MERIT_ADVANTAGE_TICKET_SPLIT_TILES);
    const int64_t first = (int64_t)atomicAdd(taken, (unsigned long long)tiles);
    if (first + tiles > merit_advantage_split_tile_room(a.d.num_rows)) return false;
    const uint32_t at = atomicAdd(&a.tickets[MERIT_ADVANTAGE_TICKET_SPLIT], 1u);
    if (at >= (uint32_t)merit_advantage_split_room(a.d.num_rows)) return false;
    a.split_groups[at].group = group;
    a.split_groups[at].first_tile = first;
    a.split_groups[at].tiles_done = 0;
    a.split_groups[at].saw = 0;
    return true;
}

// Whether an earlier launch has listed it.
MERIT_DEVICE bool is_listed(const Args &a, int64_t group)
{
    const uint32_t listed = listed_groups(a);
    for (uint32_t n = 0; n < listed; n++) {
        if (a.split_groups[n].group == group) return true;
    }
    return false;
}

// Phases ------------------------------------------------------------------------------------------

MERIT_DEVICE_CALL void fold_partials(merit_advantage_partial *partials, int64_t count)
{
    block_fold_records(partials, count, MergePartials());
}

// Block that takes tile 0 of list entry n: entries start at different blocks.
MERIT_DEVICE int64_t split_first_tile(uint32_t n)
{
    return ((int64_t)blockIdx.x + (int64_t)gridDim.x - (int64_t)(n * 32u % gridDim.x)) % gridDim.x;
}

MERIT_DEVICE void begin_split(const Args &a, AdvantageWork<kTeamBlockWide> &w, double *scratch,
                              double *values, const merit_advantage_split &entry)
{
    w.team.rank = threadIdx.x;
    w.team.width = kThreads;
    w.team.scratch = scratch;
    w.stacks = NULL;
    place_work(w, values, (int)kTile, 0);
    w.group = entry.group;
    w.span = merit_advantage_span_of(&a, entry.group);
    w.set = 0;
    w.saw = 0;
}

// Partials of all tiles of the listed groups; the last block of a group folds them.
// grid: any; block: kThreads; dynamic shared memory: one tile.
MERIT_KERNEL(kThreads, 1) advantage_group_split_kernel(const MERIT_GRID_CONSTANT Args a)
{
    MERIT_SHARED(double, scratch, [kWarps]);
    MERIT_DYN_SMEM(double, values);
    const uint32_t listed = listed_groups(a);
    AdvantageWork<kTeamBlockWide> w;
    for (uint32_t n = 0; n < listed; n++) {
        merit_advantage_split *const entry = &a.split_groups[n];
        begin_split(a, w, scratch, values, *entry);
        merit_advantage_partial *const partials = a.split_tiles + entry->first_tile;
        const int64_t tiles = work_tiles(w);
        for (int64_t tile = split_first_tile(n); tile < tiles; tile += gridDim.x) {
            w.saw = 0;
            work_read_tile(a, w, tile, true);
            work_transform_tile(a, w, tile);
            const merit_advantage_partial p = work_tile_partial(a, w, tile);
            const int saw = team_or_int(w.team, w.saw);
            if (threadIdx.x == 0) {
                partials[tile] = p;
                if (saw != 0) atomicOr(&entry->saw, saw);
            }
            if (!block_is_last(&entry->tiles_done, 1, (uint32_t)tiles)) continue;
            fold_partials(partials, tiles);
            const bool refused =
                (*(volatile int32_t *)&entry->saw & MERIT_ADVANTAGE_SAW_BAD_INDEX) != 0;
            if (threadIdx.x == 0) entry->partial = partials[0];
            if (!a.needs_batch) continue;
            if (threadIdx.x == 0) {
                a.group_records[w.group] =
                    refused ? merit_advantage_record_empty() : partials[0].record;
            }
            finish_records(a, w.group, 1);
        }
    }
}

// Advantages of the listed groups; the last block of a group writes its group_* outputs, the last
// block of the grid empties the list.
// grid: any; block: kThreads; dynamic shared memory: one tile.
MERIT_KERNEL(kThreads, 1) advantage_group_split_apply_kernel(const MERIT_GRID_CONSTANT Args a)
{
    MERIT_SHARED(double, scratch, [kWarps]);
    MERIT_DYN_SMEM(double, values);
    const uint32_t listed = listed_groups(a);
    AdvantageWork<kTeamBlockWide> w;
    for (uint32_t n = 0; n < listed; n++) {
        merit_advantage_split *const entry = &a.split_groups[n];
        begin_split(a, w, scratch, values, *entry);
        const merit_advantage_partial p = entry->partial;
        const merit_advantage_rule rule = merit_advantage_rule_of(&a, &p, 0);
        const bool refused =
            (*(volatile int32_t *)&entry->saw & MERIT_ADVANTAGE_SAW_BAD_INDEX) != 0;
        w.shape.count = rule.count; // no transform: x is u
        w.shape.x_min = p.record.moments.min;
        w.shape.x_max = p.record.moments.max;
        const bool keep = !merit_moments_all_equal(w.shape.x_min, w.shape.x_max);
        for (int64_t tile = split_first_tile(n); tile < work_tiles(w); tile += gridDim.x) {
            w.saw = 0;
            if (refused) {
                const int64_t begin = tile * kTile;
                for (int64_t i = begin + threadIdx.x; i < begin + kTile && i < w.span.size;
                     i += kThreads) {
                    const int64_t row = merit_advantage_row(&a, w.span.begin, i);
                    if (row >= 0) merit_advantage_write_nan(&a, row);
                }
            } else {
                work_apply_tile(a, w, rule, keep, tile, NULL);
            }
            const int saw = team_or_int(w.team, w.saw);
            if (threadIdx.x == 0 && saw != 0) atomicOr(&entry->saw, saw);
            if (!block_is_last(&entry->tiles_done, 1, (uint32_t)work_tiles(w))) continue;
            if (threadIdx.x != 0) continue;
            if (refused) {
                merit_advantage_write_refused(&a, w.group, MERIT_ADVANTAGE_BAD_INDEX);
            } else {
                merit_advantage_write_group(&a, w.group, 0, w.span.size, &w.shape, &p, &rule,
                                            *(volatile int32_t *)&entry->saw);
            }
        }
    }
    if (block_is_last(&a.tickets[MERIT_ADVANTAGE_TICKET_APPLY], 1, gridDim.x) && threadIdx.x == 0) {
        a.tickets[MERIT_ADVANTAGE_TICKET_SPLIT] = 0;
        a.tickets[MERIT_ADVANTAGE_TICKET_SPLIT_TILES] = 0;
        a.tickets[MERIT_ADVANTAGE_TICKET_SPLIT_TILES + 1] = 0;
    }
}

} // namespace

#endif
