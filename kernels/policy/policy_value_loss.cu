// policy_value_loss, CUDA. One launch: a block takes one sequence, or eight neighboring ones when they are
// short, each by a warp of its own if it has at most 32 tokens; memory-bound from about a hundred thousand
// tokens on. Folded like policy_loss.
#include "../backend.h"
#include "policy_terms.cuh"
#include "policy_value_loss.h"

namespace
{

constexpr int kThreads = kTeamBlock;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kBlocksPerSm = 8; // of 256 threads: a full multiprocessor of 2048

typedef merit_policy_value_loss_args ValueArgs;

MERIT_HD static inline bool needs_fold(const ValueArgs &a)
{
    return a.io.loss != NULL || a.io.loss_tiles != NULL || a.io.stats != NULL;
}

template <TeamKind kKind>
struct ValueWork {
    Team<kKind> team;
    merit_tile_sum *stacks; // block team: shared, [MERIT_POLICY_VALUE_SUMS]
    double *totals; // shared, likewise; of the team
    uint32_t counts[MERIT_POLICY_VALUE_COUNTS]; // of the thread, over all of its tokens
};

template <TeamKind kKind>
MERIT_DEVICE void value_sync(void)
{
    if (kKind == kTeamSubwarp) {
        __syncwarp(kFullWarp);
    } else {
        __syncthreads();
    }
}

template <TeamKind kKind>
MERIT_DEVICE void value_fill(const ValueArgs &a, const Team<kKind> &team, int64_t begin,
                             int64_t count, float value)
{
    if (a.io.grad_value == NULL) return;
    for (int64_t i = team.rank; i < count; i += team.width) {
        a.io.grad_value[begin + i] = value;
    }
}

// The sums over a sequence into the totals, the gradients to their places.
template <TeamKind kKind>
MERIT_DEVICE void value_sweep(const ValueArgs &a, ValueWork<kKind> *w,
                              const merit_policy_span &span, const merit_policy_value_scale &s)
{
    const bool is_long = kKind == kTeamBlockWide && span.size > MERIT_TILE;
    const int rank = w->team.rank;
    if (is_long && rank < MERIT_POLICY_VALUE_SUMS) w->stacks[rank].count = 0;
    if (is_long) __syncthreads(); // the stacks are empty
    for (int64_t start = 0; start < span.size; start += MERIT_TILE) {
        double acc[MERIT_POLICY_VALUE_SUMS] = {0.0, 0.0, 0.0, 0.0, 0.0};
#pragma unroll 1
        for (int slot = 0; slot < Team<kKind>::kSlots; slot++) {
            const int64_t at = start + team_element(w->team, slot);
            if (at >= span.size) break;
            const int64_t i = span.begin + at;
            float gradient = 0.0f;
            if (a.io.mask == NULL || a.io.mask[i] != 0) {
                const float v = a.io.value[i];
                const float R = a.io.returns[i];
                const float old = a.d.clip > 0.0f ? a.io.old_value[i] : 0.0f;
                const merit_policy_value_token t = merit_policy_value_token_of(
                    a.d.clip, a.d.huber_delta, a.d.huber_delta > 0.0f, v, old, R);
                const double more[MERIT_POLICY_VALUE_SUMS] = {
                    (double)t.loss, (double)v, m_mul64((double)t.error, (double)t.error), (double)R,
                    m_mul64((double)R, (double)R)};
#pragma unroll
                for (int k = 0; k < MERIT_POLICY_VALUE_SUMS; k++) {
                    acc[k] = m_add64(acc[k], more[k]);
                }
                w->counts[MERIT_POLICY_VALUE_COUNT_TOKENS]++;
                w->counts[MERIT_POLICY_VALUE_COUNT_CLIPPED] += (uint32_t)t.clipped;
                gradient = merit_policy_value_gradient(&s, t.slope);
            }
            if (a.io.grad_value != NULL) a.io.grad_value[i] = gradient;
        }
#pragma unroll
        for (int k = 0; k < MERIT_POLICY_VALUE_SUMS; k++) {
            if (k >= a.terms.num_sums) break;
            const double sum =
                team_reduce(w->team, acc[k], [](double x, double y) { return m_add64(x, y); });
            if (rank != 0) continue;
            if (is_long) {
                merit_tile_sum_push(&w->stacks[k], sum);
            } else {
                w->totals[k] = sum;
            }
        }
    }
    if (!is_long) return;
    __syncthreads(); // the stacks are complete
    if (rank == 0) {
        for (int k = 0; k < a.terms.num_sums; k++) {
            w->totals[k] = merit_tile_sum_finish(&w->stacks[k]);
        }
    }
}

template <TeamKind kKind>
MERIT_DEVICE_CALL void value_run_sequence(const ValueArgs &a, ValueWork<kKind> *w, int64_t n)
{
    const merit_policy_span span = merit_policy_span_of(&a.layout, n);
    const bool is_fine = span.refusal == MERIT_POLICY_FINE;
    int64_t valid = is_fine ? span.size : 0;
    if (valid > 0 && merit_policy_value_counts_first(&a) && a.io.mask != NULL) {
        int64_t mine = 0;
        for (int64_t i = w->team.rank; i < span.size; i += w->team.width) {
            mine += a.io.mask[span.begin + i] != 0;
        }
        valid = team_reduce(w->team, mine, [](int64_t x, int64_t y) { return x + y; });
    }
    const merit_policy_value_scale s = merit_policy_value_scale_of(&a, valid);
    if (w->team.rank == 0) {
        for (int k = 0; k < MERIT_POLICY_VALUE_SUMS; k++) {
            w->totals[k] = 0.0;
        }
        if (!is_fine) merit_policy_tell(&span, a.io.diagnostics);
    }
    value_fill(a, w->team, span.begin + span.size, span.gap, 0.0f);
    if (s.valid == 0) {
        value_fill(a, w->team, span.begin, span.size, is_fine ? 0.0f : m_nan32());
    } else {
        value_sweep(a, w, span, s);
    }
    if (w->team.rank == 0) merit_policy_value_write_terms(&a, &s, n, w->totals);
    value_sync<kKind>(); // the totals and stacks are read
}

// The results of the call, by the last block.
MERIT_DEVICE_CALL void value_write_results(const ValueArgs &a)
{
    const merit_policy_terms &t = a.terms;
    if (t.count > 0) block_fold_records(t.tiles, merit_policy_num_tiles(&t), MergePolicyTotals());
    if (threadIdx.x != 0) return;
    merit_policy_tally tally;
    if (t.count > 0) take_policy_tally(t, &tally);
    if (t.count == 0) {
        for (int k = 0; k < MERIT_POLICY_MAX_COUNTS; k++) {
            tally.counts[k] = 0;
        }
    }
    merit_policy_totals totals;
    for (int k = 0; k < MERIT_POLICY_MAX_SUMS; k++) {
        totals.sums[k] = t.count > 0 ? t.tiles[0].sums[k] : 0.0;
    }
    merit_policy_value_write_totals(&a, totals.sums, &tally);
}

MERIT_DEVICE void value_write_outside(const ValueArgs &a)
{
    if (a.io.grad_value == NULL) return;
    const merit_policy_outside o = merit_policy_outside_of(&a.layout);
    const int64_t count = o.before + (a.layout.num_tokens - o.after);
    const int64_t step = (int64_t)gridDim.x * kThreads;
    for (int64_t n = (int64_t)blockIdx.x * kThreads + threadIdx.x; n < count; n += step) {
        a.io.grad_value[n < o.before ? n : o.after + (n - o.before)] = 0.0f;
    }
}

// kPerBlock neighboring sequences at a time. grid: any; block: kThreads.
template <int kPerBlock>
MERIT_DEVICE void run_policy_value_loss(const ValueArgs &a, double *scratch, double *totals,
                                        merit_tile_sum *stacks)
{
    const int64_t sequences = a.terms.count;
    const int warp = threadIdx.x / kWarpSize;
    ValueWork<kTeamBlockWide> b;
    b.team.rank = threadIdx.x;
    b.team.width = kThreads;
    b.team.scratch = scratch;
    b.stacks = stacks;
    b.totals = totals;
    ValueWork<kTeamSubwarp> w;
    w.team.rank = threadIdx.x % kWarpSize;
    w.team.width = kWarpSize;
    w.team.scratch = NULL;
    w.stacks = NULL;
    w.totals = totals + warp * MERIT_POLICY_VALUE_SUMS;
    for (int k = 0; k < MERIT_POLICY_VALUE_COUNTS; k++) {
        b.counts[k] = 0;
        w.counts[k] = 0;
    }
    for (int64_t first = (int64_t)blockIdx.x * kPerBlock; first < sequences;
         first += (int64_t)gridDim.x * kPerBlock) {
        if (kPerBlock > 1) {
            const int64_t n = first + warp;
            if (n < sequences && merit_policy_span_of(&a.layout, n).size <= kWarpSize) {
                value_run_sequence(a, &w, n);
            }
            __syncthreads(); // the warps' totals are read
        }
        int64_t amount = 0;
        for (int64_t n = first; n < first + kPerBlock && n < sequences; n++) {
            amount++;
            if (kPerBlock > 1 && merit_policy_span_of(&a.layout, n).size <= kWarpSize) continue;
            value_run_sequence(a, &b, n);
        }
        if (needs_fold(a)) finish_policy_sequences(a.terms, b.team, first, amount);
    }
    value_write_outside(a);
    if (!needs_fold(a)) return;
    if (sequences == 0) {
        if (blockIdx.x == 0) value_write_results(a);
        return;
    }
    if (a.io.stats != NULL) {
        for (int k = 0; k < MERIT_POLICY_VALUE_COUNTS; k++) {
            b.counts[k] += w.counts[k];
        }
        const uint32_t extremes[MERIT_POLICY_MAX_EXTREMES] = {0, 0, 0, 0};
        add_policy_tally(a.terms, b.counts, MERIT_POLICY_VALUE_COUNTS, extremes);
    }
    if (block_is_last(&a.terms.tickets[MERIT_POLICY_TICKET_BLOCKS_DONE], 1, gridDim.x)) {
        value_write_results(a);
    }
}

#define VALUE_KERNEL(name, per_block)                                     \
    MERIT_KERNEL(kThreads, 1) name(const MERIT_GRID_CONSTANT ValueArgs a) \
    {                                                                     \
        MERIT_SHARED(double, scratch, [kWarps]);                          \
        MERIT_SHARED(double, totals, [kWarps * MERIT_POLICY_VALUE_SUMS]); \
        MERIT_SHARED(merit_tile_sum, stacks, [MERIT_POLICY_VALUE_SUMS]);  \
        run_policy_value_loss<per_block>(a, scratch, totals, stacks);     \
    }

VALUE_KERNEL(policy_value_loss_short_kernel, kWarps)
VALUE_KERNEL(policy_value_loss_long_kernel, 1)

} // namespace

// Launchers ---------------------------------------------------------------------------------------

extern "C" int MERIT_BACKEND_FN(policy_value_loss)(const merit_policy_value_loss_args *args,
                                                   const merit_launch *launch)
{
    const ValueArgs &a = *args;
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
    if (is_short) {
        return MERIT_LAUNCH(policy_value_loss_short_kernel, blocks, dim3(kThreads), 0,
                            launch->stream, a);
    }
    return MERIT_LAUNCH(policy_value_loss_long_kernel, blocks, dim3(kThreads), 0, launch->stream,
                        a);
}

extern "C" int MERIT_BACKEND_FN(policy_value_loss_load)(const merit_launch *limits)
{
    (void)limits;
    cudaFuncAttributes attributes;
    const int code = (int)cudaFuncGetAttributes(&attributes, policy_value_loss_short_kernel);
    if (code != 0) return code;
    return (int)cudaFuncGetAttributes(&attributes, policy_value_loss_long_kernel);
}
