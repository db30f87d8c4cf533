// policy_loss, CUDA. One launch: a block takes one sequence, or eight neighboring ones when they are
// short, each by a warp of its own if it has at most 32 tokens. A sequence is swept once, or two to three
// times where its tokens share a ratio, which then come from cache: memory-bound from about a hundred
// thousand tokens on, launch-bound below. The last block to finish a tile of 2048 sequences folds it, and
// the last block of all folds the tiles.
#include "../backend.h"
#include "policy_loss_plain.cuh"

namespace
{

constexpr int kThreads = kTeamBlock;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kBlocksPerSm = 8; // of 256 threads: a full multiprocessor of 2048

MERIT_HD static inline bool needs_fold(const PolicyArgs &a)
{
    return a.io.loss != NULL || a.io.loss_tiles != NULL || a.io.stats != NULL;
}

MERIT_DEVICE void write_outside(const PolicyArgs &a)
{
    if (!policy_has_outputs(a)) return;
    const merit_policy_outside o = merit_policy_outside_of(&a.layout);
    const int64_t count = o.before + (a.layout.num_tokens - o.after);
    const int64_t step = (int64_t)gridDim.x * kThreads;
    for (int64_t n = (int64_t)blockIdx.x * kThreads + threadIdx.x; n < count; n += step) {
        policy_fill_token(a, n < o.before ? n : o.after + (n - o.before), 0.0f);
    }
}

// The results of the call, by the last block.
MERIT_DEVICE_CALL void write_results(const PolicyArgs &a)
{
    const merit_policy_terms &t = a.terms;
    if (t.count > 0) block_fold_records(t.tiles, merit_policy_num_tiles(&t), MergePolicyTotals());
    if (threadIdx.x != 0) return;
    merit_policy_tally tally;
    take_policy_tally(t, &tally);
    merit_policy_totals totals;
    for (int k = 0; k < MERIT_POLICY_MAX_SUMS; k++) {
        totals.sums[k] = t.count > 0 ? t.tiles[0].sums[k] : 0.0;
    }
    merit_policy_write_totals(&a, totals.sums, &tally);
}

// kPerBlock neighboring sequences at a time. grid: any; block: kThreads.
template <bool kStats, int kPerBlock>
MERIT_DEVICE void run_policy_loss(const PolicyArgs &a, double *scratch, double *totals,
                                  merit_tile_sum *stacks)
{
    const int64_t sequences = a.terms.count;
    const int warp = threadIdx.x / kWarpSize;
    PolicyTally tally;
    for (int k = 0; k < MERIT_POLICY_COUNTS; k++) {
        tally.counts[k] = 0;
    }
    for (int k = 0; k < MERIT_POLICY_MAX_EXTREMES; k++) {
        tally.extremes[k] = 0;
    }
    PolicyWork<kTeamBlockWide> b;
    b.team.rank = threadIdx.x;
    b.team.width = kThreads;
    b.team.scratch = scratch;
    b.a = &a;
    b.stacks = stacks;
    b.totals = totals;
    PolicyWork<kTeamSubwarp> w;
    w.team.rank = threadIdx.x % kWarpSize;
    w.team.width = kWarpSize;
    w.team.scratch = NULL;
    w.a = &a;
    w.stacks = NULL;
    w.totals = totals + warp * MERIT_POLICY_CELLS;
    for (int64_t first = (int64_t)blockIdx.x * kPerBlock; first < sequences;
         first += (int64_t)gridDim.x * kPerBlock) {
        if (kPerBlock > 1) {
            const int64_t n = first + warp;
            if (n < sequences && merit_policy_span_of(&a.layout, n).size <= kWarpSize) {
                policy_run_sequence<kTeamSubwarp, kStats>(&w, n, &tally);
            }
            __syncthreads(); // the warps' totals are read
        }
        int64_t amount = 0;
        for (int64_t n = first; n < first + kPerBlock && n < sequences; n++) {
            amount++;
            if (kPerBlock > 1 && merit_policy_span_of(&a.layout, n).size <= kWarpSize) continue;
            policy_run_sequence<kTeamBlockWide, kStats>(&b, n, &tally);
            __syncthreads(); // its totals are read
        }
        if (needs_fold(a)) finish_policy_sequences(a.terms, b.team, first, amount);
    }
    write_outside(a);
    if (!needs_fold(a)) return;
    if (kStats && sequences > 0) {
        add_policy_tally(a.terms, tally.counts, MERIT_POLICY_COUNTS, tally.extremes);
    }
    if (sequences == 0) {
        if (blockIdx.x == 0) write_results(a);
        return;
    }
    if (block_is_last(&a.terms.tickets[MERIT_POLICY_TICKET_BLOCKS_DONE], 1, gridDim.x)) {
        write_results(a);
    }
}

#define POLICY_KERNEL(name, stats, per_block)                              \
    MERIT_KERNEL(kThreads, 1) name(const MERIT_GRID_CONSTANT PolicyArgs a) \
    {                                                                      \
        MERIT_SHARED(double, scratch, [kWarps]);                           \
        MERIT_SHARED(double, totals, [kWarps * MERIT_POLICY_CELLS]);       \
        MERIT_SHARED(merit_tile_sum, stacks, [MERIT_POLICY_CELLS]);        \
        run_policy_loss<stats, per_block>(a, scratch, totals, stacks);     \
    }

POLICY_KERNEL(policy_loss_short_kernel, false, kWarps)
POLICY_KERNEL(policy_loss_long_kernel, false, 1)
POLICY_KERNEL(policy_loss_short_stats_kernel, true, kWarps)
POLICY_KERNEL(policy_loss_long_stats_kernel, true, 1)

// Plain -------------------------------------------------------------------------------------------

template <bool kKl>
MERIT_DEVICE void run_plain(const PolicyArgs &whole, double *scratch, double *totals,
                            merit_tile_sum *stacks)
{
    const PolicyArgs a = policy_plain_args(whole, kKl);
    PolicyWork<kTeamBlockWide> w;
    w.team.rank = threadIdx.x;
    w.team.width = kThreads;
    w.team.scratch = scratch;
    w.a = &whole;
    w.stacks = stacks;
    w.totals = totals;
    for (int64_t n = blockIdx.x; n < a.terms.count; n += gridDim.x) {
        policy_plain_sequence(a, &w, n);
        if (needs_fold(a)) finish_policy_sequences(whole.terms, w.team, n, 1);
    }
    write_outside(whole);
    if (!needs_fold(a)) return;
    if (block_is_last(&a.terms.tickets[MERIT_POLICY_TICKET_BLOCKS_DONE], 1, gridDim.x)) {
        write_results(whole);
    }
}

// grid: any, but for no sequence; block: kThreads.
MERIT_KERNEL(kThreads) policy_loss_plain_kernel(const MERIT_GRID_CONSTANT PolicyArgs a)
{
    MERIT_SHARED(double, scratch, [kWarps]);
    MERIT_SHARED(double, totals, [MERIT_POLICY_LOSS_CELLS]);
    MERIT_SHARED(merit_tile_sum, stacks, [MERIT_POLICY_LOSS_CELLS]);
    run_plain<false>(a, scratch, totals, stacks);
}

MERIT_KERNEL(kThreads) policy_loss_plain_kl_kernel(const MERIT_GRID_CONSTANT PolicyArgs a)
{
    MERIT_SHARED(double, scratch, [kWarps]);
    MERIT_SHARED(double, totals, [MERIT_POLICY_LOSS_CELLS]);
    MERIT_SHARED(merit_tile_sum, stacks, [MERIT_POLICY_LOSS_CELLS]);
    run_plain<true>(a, scratch, totals, stacks);
}

} // namespace

// Launchers ---------------------------------------------------------------------------------------

extern "C" int MERIT_BACKEND_FN(policy_loss)(const merit_policy_loss_args *args,
                                             const merit_launch *launch)
{
    const PolicyArgs &a = *args;
    const int64_t sequences = a.terms.count;
    int code = 0;
    if (needs_fold(a)) code = clear_far_policy_tickets(a.terms, launch->stream);
    if (code != 0) return code;
    const bool is_short = sequences > 0 && a.layout.num_tokens / sequences <= kWarpSize;
    const int64_t chunks = sequences == 0 ? a.layout.num_tokens / kThreads + 1
                           : is_short     ? (sequences + kWarps - 1) / kWarps
                                          : sequences;
    const int64_t limit = (int64_t)launch->num_sms * kBlocksPerSm;
    const dim3 blocks((unsigned)(chunks < limit ? chunks : limit));
    const dim3 threads(kThreads);
    if (a.io.stats != NULL && is_short) {
        return MERIT_LAUNCH(policy_loss_short_stats_kernel, blocks, threads, 0, launch->stream, a);
    }
    if (a.io.stats != NULL) {
        return MERIT_LAUNCH(policy_loss_long_stats_kernel, blocks, threads, 0, launch->stream, a);
    }
    if (a.is_plain && !is_short && sequences > 0) {
        return a.d.kl_coef > 0.0f
                   ? MERIT_LAUNCH(policy_loss_plain_kl_kernel, blocks, threads, 0, launch->stream,
                                  a)
                   : MERIT_LAUNCH(policy_loss_plain_kernel, blocks, threads, 0, launch->stream, a);
    }
    if (is_short) {
        return MERIT_LAUNCH(policy_loss_short_kernel, blocks, threads, 0, launch->stream, a);
    }
    return MERIT_LAUNCH(policy_loss_long_kernel, blocks, threads, 0, launch->stream, a);
}

extern "C" int MERIT_BACKEND_FN(policy_loss_load)(const merit_launch *limits)
{
    (void)limits;
    cudaFuncAttributes attributes;
    int code = (int)cudaFuncGetAttributes(&attributes, policy_loss_short_kernel);
    if (code == 0) code = (int)cudaFuncGetAttributes(&attributes, policy_loss_plain_kernel);
    if (code == 0) code = (int)cudaFuncGetAttributes(&attributes, policy_loss_plain_kl_kernel);
    if (code == 0) code = (int)cudaFuncGetAttributes(&attributes, policy_loss_long_kernel);
    if (code == 0) code = (int)cudaFuncGetAttributes(&attributes, policy_loss_short_stats_kernel);
    if (code == 0) code = (int)cudaFuncGetAttributes(&attributes, policy_loss_long_stats_kernel);
    return code;
}
