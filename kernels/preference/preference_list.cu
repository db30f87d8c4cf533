// preference_list, CUDA. Latency-bound by the passes over small groups; the bits do not depend on the
// schedule:
//
//   mixed  a block takes eight neighboring groups: each warp one of at most 256 items, then the whole block
//          the larger ones
//   split  groups beyond 16384 items (ALL_PAIRS: 1024; PLACKETT_LUCE: never, its running sums are one
//          chain): their items are spread over all blocks, in a second launch
//
// The last block to finish a tile of 2048 groups folds it, and the last of those folds the tiles. The
// divisor MEAN_VALID of gradients is counted by each block for itself up to 16384 groups, else by all
// blocks together before they begin.
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

MERIT_DEVICE bool counts_together(const ListArgs &a)
{
    return a.needs_count && a.d.groups.num_groups > MERIT_LIST_COUNTED_HERE;
}

// Valid groups of the call. Together: blocks take chunks of 256 groups until none is left, and go on when
// all those taken are counted.
MERIT_DEVICE_CALL int64_t count_valid(const ListArgs &a, const Team<kTeamBlockWide> &team)
{
    const int64_t groups = a.d.groups.num_groups;
    const int64_t chunks = (groups + kThreads - 1) / kThreads;
    const bool together = counts_together(a);
    uint64_t *const claims =
        reinterpret_cast<uint64_t *>(a.terms.tickets + MERIT_PREFERENCE_TICKET_COUNT_CLAIMS);
    int64_t mine = 0;
    uint32_t taken = 0;
    for (int64_t chunk = together ? block_claim(claims) : 0; chunk < chunks;
         chunk = together ? block_claim(claims) : chunk + 1) {
        const int64_t group = chunk * kThreads + team.rank;
        if (group < groups) mine += merit_list_counts(&a, group);
        taken++;
    }
    const int64_t valid = team_reduce(team, mine, [](int64_t x, int64_t y) { return x + y; });
    if (!together) return valid;
    unsigned long long *const all = reinterpret_cast<unsigned long long *>(valid_word(a));
    uint32_t *const done = &a.terms.tickets[MERIT_PREFERENCE_TICKET_COUNT_DONE];
    if (team.rank == 0) {
        atomicAdd(all, (unsigned long long)valid);
        __threadfence(); // the count, before the word that tells of it
        atomicAdd(done, taken);
    }
    block_wait(done, (uint32_t)chunks);
    const int64_t read = team.rank == 0 ? (int64_t)atomicAdd(all, 0ull) : 0;
    return team_reduce(team, read, [](int64_t x, int64_t y) { return x + y; });
}

// By the last block of a call that is done with them.
MERIT_DEVICE void clear_count(const ListArgs &a)
{
    uint32_t *const tickets = a.terms.tickets;
    tickets[MERIT_PREFERENCE_TICKET_VALID] = 0;
    tickets[MERIT_PREFERENCE_TICKET_VALID + 1] = 0;
    tickets[MERIT_PREFERENCE_TICKET_COUNT_CLAIMS] = 0;
    tickets[MERIT_PREFERENCE_TICKET_COUNT_CLAIMS + 1] = 0;
    tickets[MERIT_PREFERENCE_TICKET_COUNT_DONE] = 0;
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
    MERIT_SHARED(ListPlace, place, [1]);
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
    if (a.needs_count) valid = count_valid(a, b.team);
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
                if (list_for_split(a, n, place)) {
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
        // for the launch that follows, which clears it
        if (!counts_together(a) && blockIdx.x == 0 && threadIdx.x == 0) {
            *valid_word(a) = (uint64_t)valid;
        }
        return;
    }
    if (!counts_together(a)) return;
    if (block_is_last(&a.terms.tickets[MERIT_PREFERENCE_TICKET_BLOCKS_DONE], 1, gridDim.x) &&
        threadIdx.x == 0) {
        clear_count(a);
    }
}

// The split schedule. The last block to finish empties the list.
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
    w.scale = merit_list_scale(&a, (int64_t)*valid_word(a));
    run_split(&w);
    uint32_t *const tickets = a.terms.tickets;
    if (block_is_last(&tickets[MERIT_PREFERENCE_TICKET_SPLIT_DONE], 1, gridDim.x) &&
        threadIdx.x == 0) {
        tickets[MERIT_PREFERENCE_TICKET_SPLIT] = 0;
        tickets[MERIT_PREFERENCE_TICKET_SPLIT_TILES] = 0;
        tickets[MERIT_PREFERENCE_TICKET_SPLIT_TILES + 1] = 0;
        tickets[MERIT_PREFERENCE_TICKET_SPLIT_CLAIMS] = 0;
        tickets[MERIT_PREFERENCE_TICKET_SPLIT_CLAIMS + 1] = 0;
        clear_count(a);
    }
}

} // namespace

// Launchers ---------------------------------------------------------------------------------------

extern "C" int MERIT_BACKEND_FN(preference_list)(const merit_preference_list_args *args,
                                                 const merit_launch *launch)
{
    const ListArgs &a = *args;
    const int64_t groups = a.d.groups.num_groups;
    const int64_t limit = (int64_t)launch->num_sms * kBlocksPerSm;
    int code = 0;
    if (a.needs_fold) code = clear_far_tickets(a.terms, launch->stream);
    if (code != 0) return code;
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
    return MERIT_LAUNCH(preference_list_split_kernel, blocks, dim3(kThreads), 0, launch->stream, a);
}

extern "C" int MERIT_BACKEND_FN(preference_list_load)(const merit_launch *limits)
{
    (void)limits;
    cudaFuncAttributes attributes;
    int code = (int)cudaFuncGetAttributes(&attributes, preference_list_mixed_kernel);
    if (code == 0) code = (int)cudaFuncGetAttributes(&attributes, preference_list_split_kernel);
    if (code == 0) {
        code = (int)cudaFuncSetAttribute(preference_list_mixed_kernel,
                                         cudaFuncAttributeMaxDynamicSharedMemorySize,
                                         kArrays * MERIT_LIST_RESIDENT * (int)sizeof(double));
    }
    return code;
}
