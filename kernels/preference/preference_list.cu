// preference_list, CUDA. Latency-bound by the passes over small groups; the bits do not depend on the
// schedule:
//
//   mixed  a block takes eight neighboring groups: each warp one of at most 256 items, then the whole block
//          the larger ones
//   split  groups beyond 16384 items (ALL_PAIRS: 1024; PLACKETT_LUCE: never, its running sums are one
//          chain): their items are spread over all blocks, in two to four further launches
//
// The last block to finish a tile of 2048 groups folds it, and the last of those folds the tiles. The
// divisor MEAN_VALID of gradients is counted by each block for itself up to 16384 groups, else by a
// launch of its own.
#include "../backend.h"
#include "preference_list_split.cuh"

namespace
{

constexpr int kThreads = kTeamBlock;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kBlocksPerSm = 8; // of 256 threads: a full multiprocessor of 2048
constexpr int kArrays = 4; // of 8 bytes per item: keys, xs, slopes, losses

// Counting ----------------------------------------------------------------------------------------

MERIT_DEVICE uint64_t *valid_word(const ListArgs &a)
{
    return reinterpret_cast<uint64_t *>(a.terms.tickets + MERIT_PREFERENCE_TICKET_VALID);
}

// Valid groups among first, first + step, ...; the sum over the block.
MERIT_DEVICE_CALL int64_t count_valid(const ListArgs &a, const Team<kTeamBlockWide> &team,
                                      int64_t first, int64_t step)
{
    int64_t mine = 0;
    for (int64_t group = first; group < a.d.groups.num_groups; group += step) {
        mine += merit_list_counts(&a, group);
    }
    return team_reduce(team, mine, [](int64_t x, int64_t y) { return x + y; });
}

// grid: any; block: kThreads.
MERIT_KERNEL(kThreads) preference_list_count_kernel(const MERIT_GRID_CONSTANT ListArgs a)
{
    MERIT_SHARED(double, scratch, [kWarps]);
    Team<kTeamBlockWide> team;
    team.rank = threadIdx.x;
    team.width = kThreads;
    team.scratch = scratch;
    const int64_t valid = count_valid(a, team, (int64_t)blockIdx.x * kThreads + threadIdx.x,
                                      (int64_t)gridDim.x * kThreads);
    if (threadIdx.x == 0) {
        atomicAdd((unsigned long long *)valid_word(a), (unsigned long long)valid);
    }
}

// Groups ------------------------------------------------------------------------------------------

// Items of a group that a warp and a block keep in shared memory, for modes that compare them.
MERIT_HD static inline int warp_items(const ListArgs &a)
{
    return a.size_limit <= kWarpSize ? kWarpSize : MERIT_LANES;
}

MERIT_HD static inline int block_items(const ListArgs &a)
{
    return a.size_limit <= MERIT_LANES ? kWarps * warp_items(a) : MERIT_LIST_RESIDENT;
}

static inline bool compares_items(const ListArgs &a)
{
    return a.d.mode == MERIT_LIST_MODE_PLACKETT_LUCE || a.d.mode == MERIT_LIST_MODE_ALL_PAIRS;
}

// Arrays of `extent` items each in `shared`, this team's from `first` on.
template <TeamKind kKind>
MERIT_DEVICE void place_near(ListWork<kKind> &w, double *shared, int extent, int first)
{
    w.keys = reinterpret_cast<uint64_t *>(shared) + first;
    w.xs = shared + extent + first;
    w.slopes = shared + 2 * extent + first;
    w.losses = shared + 3 * extent + first;
}

MERIT_DEVICE void place_far(ListWork<kTeamBlockWide> &w, const ListArgs &a, int64_t begin)
{
    w.keys = a.keys + begin;
    w.xs = a.xs + begin;
    w.slopes = a.slopes + begin;
    w.losses = a.losses + begin;
}

// Rows in no group, and groups of a call without items.
MERIT_DEVICE_CALL void write_outside(const ListArgs &a)
{
    int64_t before;
    int64_t after;
    merit_list_outside(&a, &before, &after);
    const int64_t count = a.io.grad_scores == NULL ? 0 : before + (a.d.num_items - after);
    const int64_t first = (int64_t)blockIdx.x * kThreads + threadIdx.x;
    const int64_t step = (int64_t)gridDim.x * kThreads;
    for (int64_t n = first; n < count; n += step) {
        const int64_t row = merit_list_row(&a, 0, n < before ? n : after + (n - before));
        if (row >= 0) merit_list_store(&a, row, 0.0);
    }
    for (int64_t n = first; n < a.empty_groups; n += step) {
        if (a.io.group_loss != NULL) a.io.group_loss[n] = 0.0f;
        if (a.io.lse != NULL) a.io.lse[n] = 0.0f;
    }
    if (first == 0 && a.d.groups.num_groups == 0 && a.needs_fold) {
        const merit_preference_totals none = merit_preference_totals_zero();
        merit_list_write_totals(&a, &none);
    }
}

// grid: any; block: kThreads; dynamic shared memory: kArrays * block_items for modes that compare.
MERIT_KERNEL(kThreads, 1) preference_list_mixed_kernel(const MERIT_GRID_CONSTANT ListArgs a)
{
    MERIT_SHARED(double, scratch, [kWarps]);
    MERIT_SHARED(merit_tile_sum, stack, [1]);
    MERIT_SHARED(int, listed, [1]);
    MERIT_DYN_SMEM(double, values);
    const int64_t groups = a.d.groups.num_groups;
    const int warp = threadIdx.x / kWarpSize;
    const int extent = block_items(a);
    ListWork<kTeamBlockWide> b;
    b.team.rank = threadIdx.x;
    b.team.width = kThreads;
    b.team.scratch = scratch;
    b.stack = stack;
    b.a = &a;
    ListWork<kTeamWarp> w;
    w.team.rank = threadIdx.x % kWarpSize;
    w.team.width = kWarpSize;
    w.team.scratch = NULL;
    w.stack = NULL;
    w.a = &a;
    place_near(w, values, extent, warp * warp_items(a));
    int64_t valid = 0;
    if (a.counted) valid = (int64_t) * (volatile uint64_t *)valid_word(a);
    if (a.needs_count && !a.counted) valid = count_valid(a, b.team, threadIdx.x, kThreads);
    b.scale = merit_list_scale(&a, valid);
    w.scale = b.scale;
    for (int64_t first = (int64_t)blockIdx.x * kWarps; first < groups;
         first += (int64_t)gridDim.x * kWarps) {
        const int64_t group = first + warp;
        if (group < groups && merit_list_span_of(&a, group).size <= MERIT_LANES) {
            list_run_group(&w, group);
        }
        __syncthreads(); // the warps' arrays, before the block's take their place
        int64_t left = groups - first < kWarps ? groups - first : (int64_t)kWarps;
        for (int64_t n = first; n < first + kWarps && n < groups; n++) {
            const merit_list_span span = merit_list_span_of(&a, n);
            if (span.size <= MERIT_LANES) continue;
            if (a.split_groups != NULL && span.size > alone_items(a)) {
                if (threadIdx.x == 0) listed[0] = list_for_split(a, n);
                __syncthreads(); // the answer is there
                const bool is_listed = listed[0] != 0;
                __syncthreads(); // and read, before the next one
                if (is_listed) {
                    b.g.span = span;
                    list_write_gap(&b);
                    left--;
                    continue;
                }
            }
            if (a.xs != NULL && span.size > MERIT_LIST_RESIDENT) {
                place_far(b, a, span.begin);
            } else {
                place_near(b, values, extent, 0);
            }
            list_run_group(&b, n);
            __syncthreads(); // its arrays are read
        }
        if (a.needs_fold && left > 0 && finish_terms(a.terms, b.team, first, left) &&
            threadIdx.x == 0) {
            merit_list_write_totals(&a, &a.terms.tiles[0]);
        }
    }
    write_outside(a);
    if (a.split_groups != NULL) {
        // for the launches that follow; the last of them clears it
        if (blockIdx.x == 0 && threadIdx.x == 0) *valid_word(a) = (uint64_t)valid;
        return;
    }
    if (!a.counted) return;
    if (block_is_last(&a.terms.tickets[MERIT_PREFERENCE_TICKET_BLOCKS_DONE], 1, gridDim.x) &&
        threadIdx.x == 0) {
        *valid_word(a) = 0;
    }
}

// One phase of the split schedule. The last block of its last phase empties the list.
// grid: any; block: kThreads.
MERIT_KERNEL(kThreads, 1) preference_list_split_kernel(const MERIT_GRID_CONSTANT ListArgs a)
{
    MERIT_SHARED(double, scratch, [kWarps]);
    MERIT_SHARED(merit_tile_sum, stack, [1]);
    BlockWork w;
    w.team.rank = threadIdx.x;
    w.team.width = kThreads;
    w.team.scratch = scratch;
    w.stack = stack;
    w.a = &a;
    w.scale = merit_list_scale(&a, (int64_t) * (volatile uint64_t *)valid_word(a));
    run_split_phase(&w);
    if (a.phase != last_phase(a)) return;
    uint32_t *const tickets = a.terms.tickets;
    if (block_is_last(&tickets[MERIT_PREFERENCE_TICKET_SPLIT_DONE], 1, gridDim.x) &&
        threadIdx.x == 0) {
        tickets[MERIT_PREFERENCE_TICKET_SPLIT] = 0;
        tickets[MERIT_PREFERENCE_TICKET_SPLIT_TILES] = 0;
        tickets[MERIT_PREFERENCE_TICKET_SPLIT_TILES + 1] = 0;
        *valid_word(a) = 0;
    }
}

} // namespace

// Launchers ---------------------------------------------------------------------------------------

extern "C" int MERIT_BACKEND_FN(preference_list)(const merit_preference_list_args *args,
                                                 const merit_launch *launch)
{
    ListArgs a = *args;
    const int64_t groups = a.d.groups.num_groups;
    const int64_t limit = (int64_t)launch->num_sms * kBlocksPerSm;
    int code = 0;
    if (a.needs_fold) code = clear_far_tickets(a.terms, launch->stream);
    if (code != 0) return code;
    a.counted = a.needs_count && groups > MERIT_LIST_COUNTED_HERE;
    if (a.counted) {
        const int64_t chunks = (groups + kThreads - 1) / kThreads;
        code = MERIT_LAUNCH(preference_list_count_kernel,
                            dim3((unsigned)(chunks < limit ? chunks : limit)), dim3(kThreads), 0,
                            launch->stream, a);
        if (code != 0) return code;
    }
    const int64_t chunks =
        groups > 0 ? (groups + kWarps - 1) / kWarps : a.d.num_items / kThreads + 1;
    const size_t shared =
        compares_items(a) ? (size_t)kArrays * (size_t)block_items(a) * sizeof(double) : 0;
    code = MERIT_LAUNCH(preference_list_mixed_kernel,
                        dim3((unsigned)(chunks < limit ? chunks : limit)), dim3(kThreads), shared,
                        launch->stream, a);
    if (code != 0 || a.split_groups == NULL) return code;
    const int64_t units = list_by_pairs(a) ? a.d.num_items / kThreads + 1 : a.split_tile_capacity;
    const dim3 blocks((unsigned)(units < limit ? units : limit));
    for (a.phase = MERIT_LIST_PHASE_SHAPE; a.phase <= last_phase(a) && code == 0; a.phase++) {
        code = MERIT_LAUNCH(preference_list_split_kernel, blocks, dim3(kThreads), 0, launch->stream,
                            a);
    }
    return code;
}

extern "C" int MERIT_BACKEND_FN(preference_list_load)(const merit_launch *limits)
{
    (void)limits;
    cudaFuncAttributes attributes;
    int code = (int)cudaFuncGetAttributes(&attributes, preference_list_count_kernel);
    if (code == 0) code = (int)cudaFuncGetAttributes(&attributes, preference_list_mixed_kernel);
    if (code == 0) code = (int)cudaFuncGetAttributes(&attributes, preference_list_split_kernel);
    if (code == 0) {
        code = (int)cudaFuncSetAttribute(preference_list_mixed_kernel,
                                         cudaFuncAttributeMaxDynamicSharedMemorySize,
                                         kArrays * MERIT_LIST_RESIDENT * (int)sizeof(double));
    }
    return code;
}
