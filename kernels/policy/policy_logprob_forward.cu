// policy_logprob_forward, CUDA. A warp owns a segment of 2048 logits at a time and waits for nobody before
// the end of its row, whose sums lie in shared memory; few rows, and very long ones, are spread over blocks,
// whose last arriver folds the row. Bound by the issue of 2^x and by memory, nearly alike.
#include "../backend.h"
#include "../core/team.cuh"
#include "policy_logprob_segment.cuh"

namespace
{

typedef merit_policy_logprob_forward_args Args;

constexpr int kThreads = 128; // of rows: few, so that registers for 20 warps of 96 remain
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kSplitThreads = kTeamBlock;
constexpr int kSplitWarps = kSplitThreads / kWarpSize;
constexpr int kSubsetThreads = 128;
constexpr unsigned kMostBlocks = 0x7fffffffu;

// Rows --------------------------------------------------------------------------------------------

// Tree over segments[0 .. count) by one warp, in `folds`, which holds half as many: neighbours first, what
// has no right sibling passes through.
MERIT_DEVICE_CALL merit_logprob_sums fold_segments(const merit_logprob_segment *segments,
                                                   merit_logprob_sums *folds, int count,
                                                   float factor, int lane)
{
    for (int i = lane; i < (count + 1) / 2; i += kWarpSize) {
        merit_logprob_sums s = merit_logprob_sums_of(&segments[2 * i], factor, 2 * i);
        if (2 * i + 1 < count) {
            const merit_logprob_sums right =
                merit_logprob_sums_of(&segments[2 * i + 1], factor, 2 * i + 1);
            s = merit_logprob_sums_merge(s, right);
        }
        folds[i] = s;
    }
    __syncwarp(kFullWarp); // the first level is there
    for (count = (count + 1) / 2; count > 1; count = (count + 1) / 2) {
        for (int first = 0; first < (count + 1) / 2; first += kWarpSize) {
            const int i = first + lane;
            const bool live = i < (count + 1) / 2;
            merit_logprob_sums merged = merit_logprob_sums_none();
            if (live) {
                merged = 2 * i + 1 < count
                             ? merit_logprob_sums_merge(folds[2 * i], folds[2 * i + 1])
                             : folds[2 * i];
            }
            __syncwarp(kFullWarp); // all of this round are read before one is overwritten
            if (live) folds[i] = merged;
            __syncwarp(kFullWarp); // and written before the next round reads
        }
    }
    const merit_logprob_sums sums = folds[0];
    __syncwarp(kFullWarp); // read, before the next fold writes
    return sums;
}

// The first v of the segment with the largest logit, by one warp.
MERIT_DEVICE_CALL int32_t find_max(const Args &args, const merit_logprob_row &row,
                                   const merit_logprob_sums &support, int lane)
{
    int32_t best = INT32_MAX;
    const int64_t start = (int64_t)support.tile * MERIT_TILE;
    for (int i = lane; i < MERIT_TILE; i += kWarpSize) {
        const float x = row_at(args, row, start + i, 1);
        if (x == support.max && best == INT32_MAX) best = (int32_t)(start + i);
    }
    return __reduce_min_sync(kFullWarp, best);
}

// Results from the sums over the vocabulary, by one warp.
MERIT_DEVICE_CALL void finish_row(const Args &args, const merit_logprob_row &row,
                                  const merit_logprob_sums &first, const merit_logprob_sums &second,
                                  int lane)
{
    merit_logprob_sums support = first;
    merit_logprob_sums all = args.sets == 2 ? second : first;
    const bool read = merit_logprob_row_is_read(&row);
    const bool subset = args.d.support == MERIT_LOGPROB_SUPPORT_SUBSET;
    int bad_id = 0;
    if (read && subset) { // the same in every thread
        support = merit_logprob_subset(&args, &row, &bad_id);
        if (args.d.normalize == MERIT_LOGPROB_NORMALIZE_SUPPORT) all = support;
    }
    int32_t argmax = -1;
    const bool has_max = read && !bad_id && !m_is_nan64(support.sum) && support.max > -m_inf32();
    if ((args.io.argmax != NULL || args.io.shards != NULL) && has_max) {
        argmax = subset ? merit_logprob_subset_argmax(&args, &row, support.max)
                        : find_max(args, row, support, lane);
    }
    if (lane != 0) return;
    if (args.io.shards != NULL) {
        merit_logprob_row_write_shard(&args, &row, &support, argmax);
        return;
    }
    merit_logprob_results r = merit_logprob_row_finish(&row, &support, &all, argmax,
                                                       merit_logprob_target_logit(&args, &row));
    if (bad_id) r = merit_logprob_results_all(m_nan32(), MERIT_COUNTER_BAD_LABEL);
    merit_logprob_row_write(&args, row.index, &r);
}

template <int kDtype, int kLevel, bool kShifted>
MERIT_DEVICE merit_logprob_segment segment_of_row(const Args &args, const merit_logprob_row &row,
                                                  const WarpRow &mine, int tile, int set)
{
    if (tile < args.plain_tiles) {
        return whole_segment<kDtype, kLevel, kShifted>(mine, tile);
    }
    return any_segment(args, row, tile, set, mine.lane);
}

// grid: any; block: kThreads. Rows of up to MERIT_LOGPROB_BLOCK_TILES segments.
template <int kDtype, int kLevel, bool kShifted>
MERIT_KERNEL(kThreads, kDtype == MERIT_DTYPE_F32 || kShifted ? 4 : 5)
policy_logprob_forward_row_kernel(const MERIT_GRID_CONSTANT Args args)
{
    MERIT_SHARED(merit_logprob_segment, partials, [MERIT_LOGPROB_BLOCK_TILES]);
    MERIT_SHARED(merit_logprob_sums, folds, [MERIT_LOGPROB_BLOCK_TILES / 2]);
    const int lane = threadIdx.x % kWarpSize;
    const int warp = threadIdx.x / kWarpSize;
    const int place = warp / args.share * (MERIT_LOGPROB_BLOCK_TILES / kWarps) * args.share;
    merit_logprob_segment *const mine = partials + place;
    for (int64_t first = (int64_t)blockIdx.x * args.at_once; first < args.d.num_tokens;
         first += (int64_t)gridDim.x * args.at_once) {
        const int64_t t = first + warp / args.share;
        const bool live = t < args.d.num_tokens;
        const merit_logprob_row row = merit_logprob_row_begin(&args, live ? t : first);
        const bool read = live && merit_logprob_row_is_read(&row);
        const WarpRow reader = warp_row<kDtype>(row, lane);
        for (int set = 0; read && set < args.sets; set++) {
            for (int tile = warp % args.share; tile < args.tiles; tile += args.share) {
                const merit_logprob_segment s =
                    segment_of_row<kDtype, kLevel, kShifted>(args, row, reader, tile, set);
                if (lane == 0) mine[set * args.tiles + tile] = s;
            }
        }
        __syncthreads(); // the sums of these rows are there
        if (live && warp % args.share == 0) {
            merit_logprob_sums sets[2] = {merit_logprob_sums_none(), merit_logprob_sums_none()};
            for (int set = 0; read && set < args.sets; set++) {
                sets[set] = fold_segments(mine + set * args.tiles, folds + place / 2, args.tiles,
                                          row.factor, lane);
            }
            finish_row(args, row, sets[0], sets[1], lane);
        }
        __syncthreads(); // and read, before those of the next rows are written
    }
}

// grid: any; block: kSplitThreads. Eight segments of a row per block. Takes every sum: it waits for memory.
template <int kDtype>
MERIT_KERNEL(kSplitThreads, 2)
policy_logprob_forward_split_kernel(const MERIT_GRID_CONSTANT Args args)
{
    const int lane = threadIdx.x % kWarpSize;
    const int warp = threadIdx.x / kWarpSize;
    const int segments = args.sets * args.tiles;
    const int parts = (segments + kSplitWarps - 1) / kSplitWarps;
    for (int64_t unit = blockIdx.x; unit < args.d.num_tokens * parts; unit += gridDim.x) {
        const int64_t t = unit / parts;
        const int i = (int)(unit % parts) * kSplitWarps + warp;
        merit_logprob_segment *const records = args.partials + t * segments;
        const merit_logprob_row row = merit_logprob_row_begin(&args, t);
        const bool read = merit_logprob_row_is_read(&row);
        const WarpRow reader = warp_row<kDtype>(row, lane);
        if (read && i < segments) {
            const int set = i >= args.tiles;
            const merit_logprob_segment s = segment_of_row<kDtype, MERIT_LOGPROB_SQUARES, true>(
                args, row, reader, i - set * args.tiles, set);
            if (lane == 0) records[i] = s;
        }
        if (!block_is_last(&args.tickets[t], 1, (uint32_t)parts)) continue;
        if (warp == 0) {
            merit_logprob_sums sets[2] = {merit_logprob_sums_none(), merit_logprob_sums_none()};
            merit_logprob_sums *const folds = args.folds + t * ((args.tiles + 1) / 2);
            for (int set = 0; read && set < args.sets; set++) {
                sets[set] =
                    fold_segments(records + set * args.tiles, folds, args.tiles, row.factor, lane);
            }
            finish_row(args, row, sets[0], sets[1], lane);
        }
    }
}

// grid: any; block: kSubsetThreads. A subset alone: a row per thread.
MERIT_KERNEL(kSubsetThreads)
policy_logprob_forward_subset_kernel(const MERIT_GRID_CONSTANT Args args)
{
    const int64_t step = (int64_t)gridDim.x * kSubsetThreads;
    for (int64_t t = (int64_t)blockIdx.x * kSubsetThreads + threadIdx.x; t < args.d.num_tokens;
         t += step) {
        const merit_logprob_row row = merit_logprob_row_begin(&args, t);
        merit_logprob_sums support = merit_logprob_sums_none();
        int bad_id = 0;
        int32_t argmax = -1;
        if (merit_logprob_row_is_read(&row)) {
            support = merit_logprob_subset(&args, &row, &bad_id);
            if (!bad_id && support.max > -m_inf32()) {
                argmax = merit_logprob_subset_argmax(&args, &row, support.max);
            }
        }
        merit_logprob_results r = merit_logprob_row_finish(&row, &support, &support, argmax,
                                                           merit_logprob_target_logit(&args, &row));
        if (bad_id) r = merit_logprob_results_all(m_nan32(), MERIT_COUNTER_BAD_LABEL);
        merit_logprob_row_write(&args, t, &r);
    }
}

// Launchers ---------------------------------------------------------------------------------------

typedef void forward_kernel(const Args);

template <int kDtype, bool kShifted>
forward_kernel *kernel_of_level(int level)
{
    switch (level) {
    case MERIT_LOGPROB_SUM:
        return policy_logprob_forward_row_kernel<kDtype, MERIT_LOGPROB_SUM, kShifted>;
    case MERIT_LOGPROB_MOMENT:
        return policy_logprob_forward_row_kernel<kDtype, MERIT_LOGPROB_MOMENT, kShifted>;
    default: return policy_logprob_forward_row_kernel<kDtype, MERIT_LOGPROB_SQUARES, kShifted>;
    }
}

enum Plan { kAligned, kShiftedRows, kSplit };

template <int kDtype>
forward_kernel *kernel_of_type(int level, Plan plan)
{
    if (plan == kSplit) return policy_logprob_forward_split_kernel<kDtype>;
    return plan == kAligned ? kernel_of_level<kDtype, false>(level)
                            : kernel_of_level<kDtype, true>(level);
}

forward_kernel *kernel_of(int32_t dtype, int level, Plan plan)
{
    switch (dtype) {
    case MERIT_DTYPE_BF16: return kernel_of_type<MERIT_DTYPE_BF16>(level, plan);
    case MERIT_DTYPE_F16: return kernel_of_type<MERIT_DTYPE_F16>(level, plan);
    default: return kernel_of_type<MERIT_DTYPE_F32>(level, plan);
    }
}

// Whether every row starts at a multiple of 16 bytes.
bool is_aligned(const Args &args)
{
    const int64_t bytes = args.d.dtype == MERIT_DTYPE_F32 ? 4 : 2;
    return reinterpret_cast<uintptr_t>(args.io.logits) % 16 == 0 &&
           (args.d.num_tokens == 1 || args.d.ld_logits * bytes % 16 == 0);
}

dim3 grid_of(int64_t blocks)
{
    return dim3(blocks < (int64_t)kMostBlocks ? (unsigned)blocks : kMostBlocks);
}

} // namespace

extern "C" int
MERIT_BACKEND_FN(policy_logprob_forward)(const merit_policy_logprob_forward_args *args,
                                         const merit_launch *launch)
{
    const int64_t rows = args->d.num_tokens;
    const int segments = args->sets * args->tiles;
    if (segments == 0) {
        return MERIT_LAUNCH(policy_logprob_forward_subset_kernel,
                            grid_of((rows + kSubsetThreads - 1) / kSubsetThreads),
                            dim3(kSubsetThreads), 0, launch->stream, *args);
    }
    const Plan plan = args->split ? kSplit : is_aligned(*args) ? kAligned : kShiftedRows;
    forward_kernel *const kernel = kernel_of(args->d.dtype, args->level, plan);
    if (!args->split) {
        Args a = *args;
        a.share = segments == 1 ? 1 : segments == 2 ? 2 : kWarps;
        a.at_once = kWarps / a.share;
        return MERIT_LAUNCH(kernel, grid_of((rows + a.at_once - 1) / a.at_once), dim3(kThreads), 0,
                            launch->stream, a);
    }
    if (rows > MERIT_LOGPROB_TICKET_WORDS) {
        const int code =
            (int)cudaMemsetAsync(args->tickets, 0, (size_t)rows * sizeof(uint32_t), launch->stream);
        if (code != 0) return code;
    }
    const int parts = (segments + kSplitWarps - 1) / kSplitWarps;
    return MERIT_LAUNCH(kernel, grid_of(rows * parts), dim3(kSplitThreads), 0, launch->stream,
                        *args);
}

extern "C" int MERIT_BACKEND_FN(policy_logprob_forward_load)(const merit_launch *limits)
{
    (void)limits;
    const int32_t types[] = {MERIT_DTYPE_F32, MERIT_DTYPE_F16, MERIT_DTYPE_BF16};
    cudaFuncAttributes attributes;
    int code = (int)cudaFuncGetAttributes(&attributes, policy_logprob_forward_subset_kernel);
    for (int i = 0; i < 3; i++) {
        for (int level = 0; level <= MERIT_LOGPROB_SQUARES; level++) {
            for (int plan = kAligned; plan <= kSplit && code == 0; plan++) {
                code =
                    (int)cudaFuncGetAttributes(&attributes, kernel_of(types[i], level, (Plan)plan));
            }
        }
    }
    return code;
}
