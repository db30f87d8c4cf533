// score_forward, CUDA. A warp owns some rows: lane t holds lanes 8 t .. 8 t + 7 of the canonical order,
// 16 bytes of bf16 per step, and the sums of several heads at once. Weights stand in shared memory as
// binary32, all of them where they fit, else tile by tile. Memory-bound for few heads.
//
// Few positions (spread): one warp per position, tile and set of heads, so that all multiprocessors
// read; the last warp of a position folds the tiles. PARTIAL is that without the fold.
#include "../backend.h"
#include "../core/reduce.cuh"
#include "score_find.cuh"
#include "score_head.h"
#include "score_load.cuh"

namespace
{

typedef merit_score_forward_args Args;

constexpr int kBlockThreads = 256;
constexpr int kWarps = kBlockThreads / kWarpSize;
constexpr int kBlocksPerSm = 2;
constexpr int kTurns = MERIT_TILE / MERIT_LANES;
constexpr int kResidentBytes = 98304; // least of the supported devices

MERIT_DEVICE merit_score_affine affine_of(const Args &args)
{
    merit_score_affine a;
    a.bias = args.io.bias;
    a.mean = args.io.post_mean;
    a.std = args.io.post_std;
    a.empty_value = args.d.empty_value;
    return a;
}

// The position of p, with a route that does not exist as MERIT_POSITION_BAD; a whole warp asks.
MERIT_DEVICE int64_t locate(const Args &args, int64_t p, bool counts)
{
    const int64_t position = find_position(args.find, p);
    const bool first = threadIdx.x % kWarpSize == 0 && counts;
    if (first) {
        score_count_position(args.io.diagnostics, position);
        if (args.io.found_positions != NULL) {
            args.io.found_positions[p] = score_public_position(position);
        }
    }
    if (position < 0 || !args.d.routed) return position;
    const int32_t route = args.io.route[p];
    if (route >= 0 && route < args.d.num_heads) return position;
    if (first) m_count(args.io.diagnostics, MERIT_COUNTER_BAD_ROUTE, 1);
    return MERIT_POSITION_BAD;
}

MERIT_DEVICE void count_bad_stds(const Args &args)
{
    if (args.io.post_std == NULL || blockIdx.x != 0) return;
    for (int k = threadIdx.x; k < args.d.num_heads; k += blockDim.x) {
        m_count(args.io.diagnostics, MERIT_COUNTER_BAD_STD, score_is_bad_std(args.io.post_std[k]));
    }
}

// The lane tree over a thread's eight lanes, then over the warp.
MERIT_DEVICE double fold_lanes(const float *lanes)
{
    const double low = m_add64(m_add64((double)lanes[0], (double)lanes[1]),
                               m_add64((double)lanes[2], (double)lanes[3]));
    const double high = m_add64(m_add64((double)lanes[4], (double)lanes[5]),
                                m_add64((double)lanes[6], (double)lanes[7]));
    return merit_warp_sum64<kWarpSize>(m_add64(low, high));
}

MERIT_DEVICE float weight_of(const Args &args, int64_t head, int64_t h)
{
    return h < args.d.hidden_size
               ? score_weight_at(&args.d, args.io.weight, head * args.d.weight_stride + h)
               : 0.0f;
}

// Positions per warp ------------------------------------------------------------------------------

// `count` heads from `head` on, elements [h, h + length) to shared memory, heads `stride` apart.
MERIT_DEVICE void stage_weights(const Args &args, int head, int count, int64_t h, int length,
                                int stride, float *shared)
{
    for (int i = threadIdx.x; i < count * length; i += kBlockThreads) {
        const int k = i / length;
        shared[k * stride + i - k * length] = weight_of(args, head + k, h + i - k * length);
    }
}

// Sums of one tile: kRows rows times kHeads heads, of which `heads` exist.
template <int kDtype, int kRows, int kHeads>
MERIT_DEVICE void dot_tile(const Args &args, const int64_t *starts, const float *weights,
                           int stride, int heads, int tile, float (*lanes)[kLanesOfThread])
{
    const int at = threadIdx.x % kWarpSize * kLanesOfThread;
    const int left = args.d.hidden_size - tile * MERIT_TILE;
#pragma unroll
    for (int i = 0; i < kRows * kHeads * kLanesOfThread; i++) {
        lanes[i / kLanesOfThread][i % kLanesOfThread] = 0.0f;
    }
#pragma unroll 1
    for (int turn = 0; turn < kTurns && turn * MERIT_LANES < left; turn++) {
        const int h = turn * MERIT_LANES + at;
        float hidden[kRows][kLanesOfThread];
#pragma unroll
        for (int r = 0; r < kRows; r++) {
            const int64_t tile_start = starts[r] + (int64_t)tile * MERIT_TILE;
            const int64_t end = starts[r] < 0 ? tile_start : tile_start + left; // absent: none
            load_eight<kDtype>(args.io.hidden, tile_start + h, end, args.has_vectors != 0,
                               hidden[r]);
        }
#pragma unroll
        for (int k = 0; k < kHeads; k++) {
            if (k >= heads) break;
            const float4 low = *reinterpret_cast<const float4 *>(weights + k * stride + h);
            const float4 high = *reinterpret_cast<const float4 *>(weights + k * stride + h + 4);
            const float w[kLanesOfThread] = {low.x,  low.y,  low.z,  low.w,
                                             high.x, high.y, high.z, high.w};
#pragma unroll
            for (int r = 0; r < kRows; r++) {
#pragma unroll
                for (int i = 0; i < kLanesOfThread; i++) {
                    float *const lane = &lanes[r * kHeads + k][i];
                    *lane = m_fma(hidden[r][i], w[i], *lane);
                }
            }
        }
    }
}

// grid: any; block: kBlockThreads; shared: weights of all heads, or of kHeads heads of a tile.
template <int kDtype, int kRows, int kHeads>
MERIT_KERNEL(kBlockThreads)
score_forward_rows_kernel(const MERIT_GRID_CONSTANT Args args)
{
    MERIT_DYN_SMEM(float, shared);
    const int lane = threadIdx.x % kWarpSize;
    const int warp = threadIdx.x / kWarpSize;
    const int tiles = score_num_tiles(args.d.hidden_size);
    const int padded = score_padded(args.d.hidden_size);
    const int heads = args.d.num_heads;
    const bool resident = (int64_t)heads * padded * (int64_t)sizeof(float) <= kResidentBytes;
    const merit_score_affine affine = affine_of(args);
    count_bad_stds(args);
    if (resident) stage_weights(args, 0, heads, 0, padded, padded, shared);
    __syncthreads(); // weights are there
    constexpr int kBlockRows = kWarps * kRows;
    for (int64_t first = (int64_t)blockIdx.x * kBlockRows; first < args.find.num_positions;
         first += (int64_t)gridDim.x * kBlockRows) {
        const int64_t p = first + warp * kRows;
        int64_t found[kRows];
        int64_t starts[kRows]; // -1: no row
#pragma unroll
        for (int r = 0; r < kRows; r++) {
            const bool live = p + r < args.find.num_positions;
            found[r] = live ? locate(args, p + r, true) : (int64_t)MERIT_POSITION_EMPTY;
            starts[r] = found[r] < 0
                            ? -1
                            : score_row_start(&args.find, found[r], args.d.hidden_row_stride,
                                              args.d.hidden_stride);
        }
        for (int head = 0; head < heads; head += kHeads) {
            const int count = heads - head < kHeads ? heads - head : kHeads;
            double mine[kRows * kHeads]; // of tile `lane`
#pragma unroll
            for (int i = 0; i < kRows * kHeads; i++) {
                mine[i] = 0.0;
            }
            for (int tile = 0; tile < tiles; tile++) {
                const float *weights = shared + (int64_t)head * padded + tile * MERIT_TILE;
                if (!resident) {
                    __syncthreads(); // the tile before is used up
                    stage_weights(args, head, count, (int64_t)tile * MERIT_TILE, MERIT_TILE,
                                  MERIT_TILE, shared);
                    __syncthreads(); // this one is there
                    weights = shared;
                }
                float lanes[kRows * kHeads][kLanesOfThread];
                dot_tile<kDtype, kRows, kHeads>(args, starts, weights,
                                                resident ? padded : MERIT_TILE, count, tile, lanes);
#pragma unroll
                for (int i = 0; i < kRows * kHeads; i++) {
                    const double sum = fold_lanes(lanes[i]);
                    if (lane == tile) mine[i] = sum;
                }
            }
#pragma unroll
            for (int i = 0; i < kRows * kHeads; i++) {
                const int r = i / kHeads;
                const int k = i % kHeads;
                const double sum = merit_warp_sum64<kWarpSize>(mine[i]); // the tree over tiles
                if (lane != i || k >= count || p + r >= args.find.num_positions) continue;
                static_cast<float *>(args.io.scores)[(p + r) * args.d.score_stride + head + k] =
                    found[r] < 0 ? score_absent_value(&affine, found[r])
                                 : score_finish_value(&affine, head + k, sum);
            }
        }
    }
}

// Tiles and heads spread --------------------------------------------------------------------------

constexpr int kSpreadHeads = 2;

// sums[k] of one tile of heads [head, head + heads) and the row at `start`, in every lane.
template <int kDtype>
MERIT_DEVICE void dot_heads(const Args &args, int64_t start, int tile, int head, int heads,
                            double *sums)
{
    const int lane = threadIdx.x % kWarpSize;
    float lanes[kSpreadHeads][kLanesOfThread];
#pragma unroll
    for (int i = 0; i < kSpreadHeads * kLanesOfThread; i++) {
        lanes[i / kLanesOfThread][i % kLanesOfThread] = 0.0f;
    }
    const int64_t begin = (int64_t)tile * MERIT_TILE;
    const int64_t left = args.d.hidden_size - begin;
    const int64_t length = left < (int64_t)MERIT_TILE ? left : (int64_t)MERIT_TILE;
    const bool vectors = args.has_vectors != 0;
#pragma unroll 1
    for (int64_t h = lane * kLanesOfThread; h < length; h += MERIT_LANES) {
        float hidden[kLanesOfThread];
        load_eight<kDtype>(args.io.hidden, start + begin + h, start + begin + length, vectors,
                           hidden);
#pragma unroll
        for (int k = 0; k < kSpreadHeads; k++) {
            if (k >= heads) break;
            float w[kLanesOfThread];
            const int64_t at = (head + k) * args.d.weight_stride + begin;
            if (args.d.weight_dtype == MERIT_DTYPE_F32) {
                load_eight<MERIT_DTYPE_F32>(args.io.weight, at + h, at + length, vectors, w);
            } else {
                load_eight<kDtype>(args.io.weight, at + h, at + length, vectors, w);
            }
#pragma unroll
            for (int i = 0; i < kLanesOfThread; i++) {
                lanes[k][i] = m_fma(hidden[i], w[i], lanes[k][i]);
            }
        }
    }
#pragma unroll
    for (int k = 0; k < kSpreadHeads; k++) {
        sums[k] = 0.0;
        if (k < heads) sums[k] = fold_lanes(lanes[k]);
    }
}

// One tile of up to kSpreadHeads columns of position p.
template <int kDtype>
MERIT_DEVICE void spread_item(const Args &args, int64_t p, int tile, int column, int columns)
{
    const int lane = threadIdx.x % kWarpSize;
    const int64_t position = locate(args, p, tile == 0 && column == 0);
    const bool partial = args.d.shard == MERIT_SCORE_SHARD_PARTIAL;
    double *const all = partial ? static_cast<double *>(args.io.scores) : args.tile_sums;
    double *const out =
        all + ((int64_t)tile * args.find.num_positions + p) * score_num_columns(&args.d) + column;
    if (position < 0) {
        if (lane < columns) out[lane] = score_absent_sum(position);
        return;
    }
    const int64_t start =
        score_row_start(&args.find, position, args.d.hidden_row_stride, args.d.hidden_stride);
    double sums[kSpreadHeads];
    dot_heads<kDtype>(args, start, tile, args.d.routed ? args.io.route[p] : column, columns, sums);
#pragma unroll
    for (int k = 0; k < kSpreadHeads; k++) {
        if (lane == k && k < columns) out[k] = m_canonical64(m_add64(sums[k], 0.0));
    }
}

// The last warp of position p: every column from its tiles.
MERIT_DEVICE_CALL void finish_position(const Args &args, int64_t p)
{
    const int lane = threadIdx.x % kWarpSize;
    const int tiles = score_num_tiles(args.d.hidden_size);
    const int columns = score_num_columns(&args.d);
    const merit_score_affine affine = affine_of(args);
    const int64_t position = locate(args, p, false);
    const int64_t tile_stride = args.find.num_positions * columns;
    for (int k = 0; k < columns; k++) {
        double mine = 0.0;
        if (lane < tiles) mine = args.tile_sums[lane * tile_stride + p * columns + k];
        const double sum = merit_warp_sum64<kWarpSize>(mine);
        if (lane != 0) continue;
        const int64_t head = args.d.routed && position >= 0 ? args.io.route[p] : k;
        static_cast<float *>(args.io.scores)[p * args.d.score_stride + k] =
            position < 0 ? score_absent_value(&affine, position)
                         : score_finish_value(&affine, head, sum);
    }
}

// grid: any; block: one warp.
template <int kDtype>
MERIT_KERNEL(kWarpSize)
score_forward_spread_kernel(const MERIT_GRID_CONSTANT Args args)
{
    const int lane = threadIdx.x;
    const int columns = score_num_columns(&args.d);
    const int sets = (columns + kSpreadHeads - 1) / kSpreadHeads;
    const int tiles = score_num_tiles(args.d.hidden_size);
    const int64_t items = args.find.num_positions * tiles * sets;
    count_bad_stds(args);
    for (int64_t item = blockIdx.x; item < items; item += gridDim.x) {
        const int64_t p = item / (tiles * sets);
        const int rest = (int)(item - p * (tiles * sets));
        const int head = rest / tiles * kSpreadHeads;
        const int left = columns - head;
        spread_item<kDtype>(args, p, rest % tiles, head, left < kSpreadHeads ? left : kSpreadHeads);
        if (args.d.shard == MERIT_SCORE_SHARD_PARTIAL) continue;
        __threadfence(); // the sums, before the ticket tells of them
        __syncwarp(kFullWarp);
        int is_last = 0;
        if (lane == 0) {
            const uint32_t total = (uint32_t)(tiles * sets);
            is_last = atomicAdd(&args.tickets[p], 1u) + 1 == total;
            if (is_last) atomicExch(&args.tickets[p], 0u);
        }
        is_last = __shfl_sync(kFullWarp, is_last, 0);
        if (is_last) {
            __threadfence(); // the others' sums, behind their tickets
            finish_position(args, p);
        }
    }
}

// One head per position ---------------------------------------------------------------------------

// grid: any; block: kBlockThreads.
template <int kDtype>
MERIT_KERNEL(kBlockThreads)
score_forward_routed_kernel(const MERIT_GRID_CONSTANT Args args)
{
    const int lane = threadIdx.x % kWarpSize;
    const int tiles = score_num_tiles(args.d.hidden_size);
    const merit_score_affine affine = affine_of(args);
    count_bad_stds(args);
    for (int64_t p = (int64_t)blockIdx.x * kWarps + threadIdx.x / kWarpSize;
         p < args.find.num_positions; p += (int64_t)gridDim.x * kWarps) {
        const int64_t position = locate(args, p, true);
        float score = score_absent_value(&affine, position);
        if (position >= 0) {
            const int head = args.io.route[p];
            const int64_t start = score_row_start(&args.find, position, args.d.hidden_row_stride,
                                                  args.d.hidden_stride);
            double mine = 0.0; // of tile `lane`
            for (int tile = 0; tile < tiles; tile++) {
                double sums[kSpreadHeads];
                dot_heads<kDtype>(args, start, tile, head, 1, sums);
                if (lane == tile) mine = sums[0];
            }
            score = score_finish_value(&affine, head, merit_warp_sum64<kWarpSize>(mine));
        }
        if (lane == 0) static_cast<float *>(args.io.scores)[p * args.d.score_stride] = score;
    }
}

// Launchers ---------------------------------------------------------------------------------------

template <int kRows, int kHeads>
int launch_rows(const Args &args, const merit_launch &launch)
{
    const int64_t per_block = kWarps * kRows;
    const int64_t blocks = (args.find.num_positions + per_block - 1) / per_block;
    const int64_t limit = (int64_t)launch.num_sms * kBlocksPerSm;
    const int64_t all = (int64_t)args.d.num_heads * score_padded(args.d.hidden_size);
    const int64_t staged =
        all * (int64_t)sizeof(float) <= kResidentBytes ? all : kHeads * MERIT_TILE;
    const dim3 grid((unsigned)(blocks < limit ? blocks : limit));
    const dim3 block(kBlockThreads);
    const size_t shared = (size_t)staged * sizeof(float);
    switch (args.d.hidden_dtype) {
    case MERIT_DTYPE_BF16:
        return MERIT_LAUNCH((score_forward_rows_kernel<MERIT_DTYPE_BF16, kRows, kHeads>), grid,
                            block, shared, launch.stream, args);
    case MERIT_DTYPE_F16:
        return MERIT_LAUNCH((score_forward_rows_kernel<MERIT_DTYPE_F16, kRows, kHeads>), grid,
                            block, shared, launch.stream, args);
    default:
        return MERIT_LAUNCH((score_forward_rows_kernel<MERIT_DTYPE_F32, kRows, kHeads>), grid,
                            block, shared, launch.stream, args);
    }
}

int launch_spread(const Args &args, const merit_launch &launch)
{
    const int sets = (score_num_columns(&args.d) + kSpreadHeads - 1) / kSpreadHeads;
    const int64_t items = args.find.num_positions * score_num_tiles(args.d.hidden_size) * sets;
    const int64_t limit = (int64_t)launch.num_sms * 32;
    const dim3 grid((unsigned)(items < limit ? items : limit));
    const dim3 block(kWarpSize);
    switch (args.d.hidden_dtype) {
    case MERIT_DTYPE_BF16:
        return MERIT_LAUNCH(score_forward_spread_kernel<MERIT_DTYPE_BF16>, grid, block, 0,
                            launch.stream, args);
    case MERIT_DTYPE_F16:
        return MERIT_LAUNCH(score_forward_spread_kernel<MERIT_DTYPE_F16>, grid, block, 0,
                            launch.stream, args);
    default:
        return MERIT_LAUNCH(score_forward_spread_kernel<MERIT_DTYPE_F32>, grid, block, 0,
                            launch.stream, args);
    }
}

int launch_routed(const Args &args, const merit_launch &launch)
{
    const int64_t blocks = (args.find.num_positions + kWarps - 1) / kWarps;
    const int64_t limit = (int64_t)launch.num_sms * 8;
    const dim3 grid((unsigned)(blocks < limit ? blocks : limit));
    const dim3 block(kBlockThreads);
    switch (args.d.hidden_dtype) {
    case MERIT_DTYPE_BF16:
        return MERIT_LAUNCH(score_forward_routed_kernel<MERIT_DTYPE_BF16>, grid, block, 0,
                            launch.stream, args);
    case MERIT_DTYPE_F16:
        return MERIT_LAUNCH(score_forward_routed_kernel<MERIT_DTYPE_F16>, grid, block, 0,
                            launch.stream, args);
    default:
        return MERIT_LAUNCH(score_forward_routed_kernel<MERIT_DTYPE_F32>, grid, block, 0,
                            launch.stream, args);
    }
}

template <typename Kernel>
int load_kernel(Kernel kernel, int shared)
{
    cudaFuncAttributes attributes;
    const int code = (int)cudaFuncGetAttributes(&attributes, kernel);
    if (code != 0 || shared == 0) return code;
    return (int)cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared);
}

template <int kDtype>
int load_dtype(void)
{
    int code = load_kernel(score_forward_rows_kernel<kDtype, 4, 1>, kResidentBytes);
    if (code == 0) code = load_kernel(score_forward_rows_kernel<kDtype, 2, 4>, kResidentBytes);
    if (code == 0) code = load_kernel(score_forward_spread_kernel<kDtype>, 0);
    if (code == 0) code = load_kernel(score_forward_routed_kernel<kDtype>, 0);
    return code;
}

} // namespace

extern "C" int MERIT_BACKEND_FN(score_forward)(const merit_score_forward_args *args,
                                               const merit_launch *launch)
{
    if (args->is_spread) return launch_spread(*args, *launch);
    if (args->d.routed) return launch_routed(*args, *launch);
    return args->d.num_heads == 1 ? launch_rows<4, 1>(*args, *launch)
                                  : launch_rows<2, 4>(*args, *launch);
}

extern "C" int MERIT_BACKEND_FN(score_forward_load)(const merit_launch *limits)
{
    (void)limits;
    int code = load_dtype<MERIT_DTYPE_F32>();
    if (code == 0) code = load_dtype<MERIT_DTYPE_BF16>();
    if (code == 0) code = load_dtype<MERIT_DTYPE_F16>();
    return code;
}
