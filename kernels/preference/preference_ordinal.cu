// preference_ordinal, CUDA. A block takes neighboring pairs: their logits come to shared memory in
// coalesced reads, each thread works on a pair of its own, level by level, and the gradients go back the
// same way. Memory-bound for few levels of binary32 logits, bound by the exponentials beyond.
//
// The last block to finish a tile of 2048 pairs folds its losses, and the last of those folds the
// tiles. The divisor of a mean over masked, skipped or weighted pairs is summed by each block for
// itself up to 16384 pairs, else by all blocks together before they begin.
#include "../backend.h"
#include "preference_ordinal.h"
#include "preference_terms.cuh"

namespace
{

typedef merit_preference_ordinal_args Args;

constexpr int kThreads = kTeamBlock;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kBlocksPerSm = 4;
constexpr int kSharedRows = 3; // per pair: chosen, rejected, spare
constexpr int kFewLevels = 16;

// Pairs of a block at a time: what fits in 99 KB, the least that a supported device has.
MERIT_HD static inline int pairs_at_once(int levels)
{
    return levels <= kFewLevels ? 256 : 128;
}

// Words of a row in shared memory: odd, so that rows start in different banks.
MERIT_HD static inline int row_words(int levels)
{
    return levels | 1;
}

static inline size_t shared_bytes(int levels)
{
    return (size_t)kSharedRows * (size_t)pairs_at_once(levels) * (size_t)row_words(levels) *
           sizeof(uint32_t);
}

// Rows --------------------------------------------------------------------------------------------

// Rows [first, first + count) of logits, widened.
MERIT_DEVICE_CALL void read_rows(const void *logits, int32_t dtype, int64_t first, int64_t stride,
                                 int count, int levels, uint32_t *words)
{
    const int row = row_words(levels);
    for (int n = threadIdx.x; n < count * levels; n += kThreads) {
        const int pair = n / levels;
        const int k = n - pair * levels;
        const double x = m_load_real(logits, dtype, (first + pair) * stride + k);
        words[pair * row + k] = m_bits32(m_round32(x));
    }
}

MERIT_DEVICE_CALL void write_rows(void *grad, int32_t dtype, int64_t first, int64_t stride,
                                  int count, int levels, const uint32_t *words)
{
    const int row = row_words(levels);
    for (int n = threadIdx.x; n < count * levels; n += kThreads) {
        const int pair = n / levels;
        const int k = n - pair * levels;
        const int64_t at = (first + pair) * stride + k;
        const uint32_t word = words[pair * row + k];
        if (dtype == MERIT_DTYPE_F32) {
            static_cast<uint32_t *>(grad)[at] = word;
        } else {
            static_cast<uint16_t *>(grad)[at] = (uint16_t)word;
        }
    }
}

// One pair by one thread.
MERIT_DEVICE_CALL void run_pair(const Args &args, uint32_t *a, uint32_t *b, uint32_t *spare,
                                int64_t i, double scale)
{
    merit_ordinal_pair p;
    p.a = a;
    p.b = b;
    p.spare = spare;
    if (merit_ordinal_begin(&args, &p, i)) merit_ordinal_evaluate(&args, &p);
    merit_ordinal_write(&args, &p);
    if (args.io.grad_chosen_logits != NULL || args.io.grad_rejected_logits != NULL) {
        merit_ordinal_gradients(&args, &p, scale);
    }
}

// Divisor -----------------------------------------------------------------------------------------

MERIT_DEVICE_CALL double sum_tile(const Args &args, const Team<kTeamBlockWide> &team, int64_t tile)
{
    return team_sum(team, [&](int slot) {
        const int64_t i = tile * MERIT_TILE + team_element(team, slot);
        return i < args.d.num_pairs ? merit_ordinal_divisor_term(&args, i) : 0.0;
    });
}

struct AddTiles {
    MERIT_HD double operator()(double a, double b) const
    {
        return m_add64(a, b);
    }
};

MERIT_DEVICE bool sums_together(const Args &args)
{
    return args.needs_divisor && args.d.num_pairs > MERIT_ORDINAL_SUMMED_HERE;
}

// By all blocks: they take tiles until none is left, the last to be done folds them, and they go on.
MERIT_DEVICE_CALL double sum_together(const Args &args, const Team<kTeamBlockWide> &team)
{
    uint32_t *const tickets = args.terms.tickets;
    uint64_t *const claims =
        reinterpret_cast<uint64_t *>(tickets + MERIT_PREFERENCE_TICKET_COUNT_CLAIMS);
    const int64_t tiles = merit_preference_num_tiles(&args.terms);
    for (int64_t tile = block_claim(claims); tile < tiles; tile = block_claim(claims)) {
        const double sum = sum_tile(args, team, tile);
        if (threadIdx.x == 0) args.divisor_tiles[tile] = sum;
        if (!block_is_last(&tickets[MERIT_PREFERENCE_TICKET_VALID], 1, (uint32_t)tiles)) continue;
        block_fold_records(args.divisor_tiles, tiles, AddTiles());
        if (threadIdx.x == 0) block_tell(&tickets[MERIT_PREFERENCE_TICKET_COUNT_DONE], 1u);
    }
    block_wait(&tickets[MERIT_PREFERENCE_TICKET_COUNT_DONE], 1u);
    return args.divisor_tiles[0];
}

// By one block for itself.
MERIT_DEVICE_CALL double sum_here(const Args &args, const Team<kTeamBlockWide> &team,
                                  merit_tile_sum *stack)
{
    const int64_t tiles = merit_preference_num_tiles(&args.terms);
    if (threadIdx.x == 0) stack->count = 0;
    for (int64_t tile = 0; tile < tiles; tile++) {
        const double sum = sum_tile(args, team, tile);
        if (threadIdx.x == 0) merit_tile_sum_push(stack, sum);
    }
    __syncthreads(); // the stack is complete
    return merit_tile_sum_finish(stack);
}

// Pairs -------------------------------------------------------------------------------------------

// grid: any; block: kThreads; dynamic shared memory: shared_bytes.
MERIT_KERNEL(kThreads, 1) preference_ordinal_kernel(const MERIT_GRID_CONSTANT Args args)
{
    MERIT_SHARED(double, scratch, [kWarps]);
    MERIT_SHARED(merit_tile_sum, stack, [1]);
    MERIT_DYN_SMEM(uint32_t, words);
    Team<kTeamBlockWide> team;
    team.rank = threadIdx.x;
    team.width = kThreads;
    team.scratch = scratch;
    const int levels = args.d.num_levels;
    const int row = row_words(levels);
    const int capacity = pairs_at_once(levels);
    uint32_t *const chosen = words;
    uint32_t *const rejected = words + capacity * row;
    uint32_t *const spare = words + 2 * capacity * row;
    double divisor = (double)args.d.num_pairs;
    if (args.needs_divisor) {
        divisor = sums_together(args) ? sum_together(args, team) : sum_here(args, team, stack);
    }
    const double scale = merit_ordinal_scale(&args, divisor);
    const merit_preference_ordinal_desc &d = args.d;
    for (int64_t first = (int64_t)blockIdx.x * capacity; first < d.num_pairs;
         first += (int64_t)gridDim.x * capacity) {
        const int64_t left = d.num_pairs - first;
        const int count = (int)(left < capacity ? left : capacity);
        read_rows(args.io.chosen_logits, d.logit_dtype, first, d.chosen_stride, count, levels,
                  chosen);
        read_rows(args.io.rejected_logits, d.logit_dtype, first, d.rejected_stride, count, levels,
                  rejected);
        __syncthreads(); // the logits are there
        if ((int)threadIdx.x < count) {
            const int at = (int)threadIdx.x * row;
            run_pair(args, chosen + at, rejected + at, spare + at, first + threadIdx.x, scale);
        }
        __syncthreads(); // the gradients are there
        if (args.io.grad_chosen_logits != NULL) {
            write_rows(args.io.grad_chosen_logits, d.logit_dtype, first, d.grad_chosen_stride,
                       count, levels, chosen);
        }
        if (args.io.grad_rejected_logits != NULL) {
            write_rows(args.io.grad_rejected_logits, d.logit_dtype, first, d.grad_rejected_stride,
                       count, levels, spare);
        }
        __syncthreads(); // and written, before the next pairs take their place
        if (args.needs_fold && finish_terms(args.terms, team, first, count) && threadIdx.x == 0) {
            merit_ordinal_write_totals(&args, &args.terms.tiles[0]);
        }
    }
    if (d.num_pairs == 0 && args.needs_fold && blockIdx.x == 0 && threadIdx.x == 0) {
        const merit_preference_totals none = merit_preference_totals_zero();
        merit_ordinal_write_totals(&args, &none);
    }
    if (!sums_together(args)) return;
    uint32_t *const tickets = args.terms.tickets;
    if (block_is_last(&tickets[MERIT_PREFERENCE_TICKET_BLOCKS_DONE], 1, gridDim.x) &&
        threadIdx.x == 0) {
        tickets[MERIT_PREFERENCE_TICKET_COUNT_CLAIMS] = 0;
        tickets[MERIT_PREFERENCE_TICKET_COUNT_CLAIMS + 1] = 0;
        tickets[MERIT_PREFERENCE_TICKET_COUNT_DONE] = 0;
    }
}

} // namespace

// Launchers ---------------------------------------------------------------------------------------

extern "C" int MERIT_BACKEND_FN(preference_ordinal)(const merit_preference_ordinal_args *args,
                                                    const merit_launch *launch)
{
    const Args &a = *args;
    const int64_t limit = (int64_t)launch->num_sms * kBlocksPerSm;
    int code = 0;
    if (a.needs_fold) code = clear_far_tickets(a.terms, launch->stream);
    if (code != 0) return code;
    const int capacity = pairs_at_once(a.d.num_levels);
    const int64_t chunks = a.d.num_pairs > 0 ? (a.d.num_pairs + capacity - 1) / capacity : 1;
    return MERIT_LAUNCH(preference_ordinal_kernel,
                        dim3((unsigned)(chunks < limit ? chunks : limit)), dim3(kThreads),
                        shared_bytes(a.d.num_levels), launch->stream, a);
}

extern "C" int MERIT_BACKEND_FN(preference_ordinal_load)(const merit_launch *limits)
{
    (void)limits;
    cudaFuncAttributes attributes;
    int code = (int)cudaFuncGetAttributes(&attributes, preference_ordinal_kernel);
    if (code == 0) {
        code = (int)cudaFuncSetAttribute(preference_ordinal_kernel,
                                         cudaFuncAttributeMaxDynamicSharedMemorySize,
                                         (int)shared_bytes(MERIT_ORDINAL_MAX_LEVELS));
    }
    return code;
}
