// score_backward, CUDA. Gradients of hidden states are written by a block per row: bound by memory for
// few heads. Gradients of heads: a block owns 32 columns of up to four heads, its eight warps 32 lanes
// of positions each, which fold in registers; the tree over lanes ends in shared memory, that over
// tiles too, and sets of tiles are shared out among blocks where columns alone are too few.
#include "../backend.h"
#include "score_backward.h"
#include "score_find.cuh"
#include "score_head.h"
#include "score_load.cuh"

namespace
{

typedef merit_score_backward_args Args;

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kBlocksPerSm = 8;
constexpr int kHeads = MERIT_SCORE_HEADS;
constexpr int kTurns = MERIT_TILE / MERIT_LANES;
constexpr int kLanesOfWarp = MERIT_LANES / kWarps;
constexpr int kLaneLevels = 5; // 32 lanes of a warp

// Positions ---------------------------------------------------------------------------------------

MERIT_DEVICE void count_bad_stds(const Args &args)
{
    if (args.io.post_std == NULL || blockIdx.x != 0) return;
    for (int k = threadIdx.x; k < args.d.num_heads; k += blockDim.x) {
        m_count(args.io.diagnostics, MERIT_COUNTER_BAD_STD, score_is_bad_std(args.io.post_std[k]));
    }
}

// Resolves position p by one warp.
MERIT_DEVICE_CALL void resolve(const Args &args, int64_t p)
{
    const int lane = threadIdx.x % kWarpSize;
    const int64_t position = find_position(args.find, p);
    const int bad_route = score_has_bad_route(&args, p, position);
    const int64_t columns = score_num_columns(&args.d);
    if (lane == 0) {
        score_count_position(args.io.diagnostics, position);
        m_count(args.io.diagnostics, MERIT_COUNTER_BAD_ROUTE, (uint64_t)bad_route);
        args.starts[p] = position < 0
                             ? score_public_position(position)
                             : score_row_start(&args.find, position, args.d.hidden_row_stride,
                                               args.d.hidden_stride);
        if (args.owners != NULL && position >= 0) {
            atomicMin((unsigned long long *)&args.owners[position], (unsigned long long)p);
            if (atomicAdd(&args.owner_counts[position], 1u) > 0) {
                m_count(args.io.diagnostics, MERIT_COUNTER_REPEATED_POSITION, 1);
            }
        }
    }
    for (int64_t k = lane; k < columns; k += kWarpSize) {
        args.gradients[p * columns + k] = score_gradient(&args, p, k, position, bad_route);
    }
}

// grid: any; block: kThreads.
MERIT_KERNEL(kThreads) score_backward_resolve_kernel(const MERIT_GRID_CONSTANT Args args)
{
    count_bad_stds(args);
    for (int64_t p = (int64_t)blockIdx.x * kWarps + threadIdx.x / kWarpSize;
         p < args.find.num_positions; p += (int64_t)gridDim.x * kWarps) {
        resolve(args, p);
    }
}

// grad_hidden -------------------------------------------------------------------------------------

// The row of position p, to element `at` of grad_hidden on, by a whole block. lost: NaN.
MERIT_DEVICE_CALL void write_row(const Args &args, int64_t p, int64_t at, bool lost)
{
    const int64_t columns = score_num_columns(&args.d);
    const float *const u = args.gradients + p * columns;
    const int64_t route = args.d.routed && args.starts[p] >= 0 ? args.io.route[p] : 0;
    const bool no_head = args.starts[p] < 0 || route < 0 || route >= args.d.num_heads;
    for (int h = threadIdx.x; h < args.d.hidden_size; h += kThreads) {
        float sum = 0.0f;
        bool is_lost = lost;
        for (int64_t k = 0; k < columns; k++) {
            if (score_is_absent(u[k])) continue;
            if (no_head) {
                is_lost = true;
                break;
            }
            const int64_t head = args.d.routed ? route : k;
            const float w =
                score_weight_at(&args.d, args.io.weight, head * args.d.weight_stride + h);
            sum = m_fma(u[k], w, sum);
        }
        score_store(args.io.grad_hidden, args.d.hidden_dtype, at + h, is_lost ? m_nan32() : sum);
    }
}

// ROWS. grid: any; block: kThreads.
MERIT_KERNEL(kThreads) score_backward_rows_kernel(const MERIT_GRID_CONSTANT Args args)
{
    count_bad_stds(args);
    for (int64_t p = blockIdx.x; p < args.find.num_positions; p += gridDim.x) {
        if (threadIdx.x < kWarpSize) resolve(args, p);
        __syncthreads(); // the gradients of this position are there
        write_row(args, p, p * args.d.grad_hidden_stride, false);
    }
}

// DENSE, after resolve. grid: any; block: kThreads.
MERIT_KERNEL(kThreads) score_backward_dense_kernel(const MERIT_GRID_CONSTANT Args args)
{
    for (int64_t token = blockIdx.x; token < args.find.num_tokens; token += gridDim.x) {
        const int64_t at = score_grad_row_start(&args, token);
        const uint32_t count = args.owner_counts[token];
        if (count > 0) {
            write_row(args, (int64_t)args.owners[token], at, count > 1);
            continue;
        }
        for (int h = threadIdx.x; h < args.d.hidden_size; h += kThreads) {
            score_store(args.io.grad_hidden, args.d.hidden_dtype, at + h, 0.0f);
        }
    }
}

// Sums over positions -----------------------------------------------------------------------------

// Column H is grad_bias: a hidden value of 1.
template <int kDtype>
MERIT_DEVICE float column_value(const Args &args, int64_t start, int64_t column)
{
    if (start < 0 || column > args.d.hidden_size) return 0.0f; // u is NaN; no such column
    if (column == args.d.hidden_size) return 1.0f;
    if (args.io.grad_weight == NULL) return 0.0f; // hidden need not be there
    return load_element<kDtype>(args.io.hidden, start + column);
}

// sums[k]: lane `lane` of tile `tile` for one column of heads head .. head + kHeads - 1.
template <int kDtype>
MERIT_DEVICE void sum_lane(const Args &args, int64_t tile, int lane, int64_t column, int64_t head,
                           int heads, float *sums)
{
    float values[kTurns];
    const int64_t first = tile * MERIT_TILE + lane;
#pragma unroll
    for (int turn = 0; turn < kTurns; turn++) { // loads ahead of the chain of additions
        const int64_t p = first + turn * MERIT_LANES;
        values[turn] = 0.0f;
        if (p < args.find.num_positions) {
            const int64_t start = args.starts[p];
            values[turn] = column_value<kDtype>(args, start, column);
        }
    }
#pragma unroll
    for (int k = 0; k < kHeads; k++) {
        sums[k] = 0.0f;
        if (k >= heads) continue;
#pragma unroll
        for (int turn = 0; turn < kTurns; turn++) {
            const int64_t p = first + turn * MERIT_LANES;
            if (p >= args.find.num_positions) break;
            const float u = score_gradient_of_head(&args, p, head + k);
            if (!score_is_absent(u)) sums[k] = m_fma(u, values[turn], sums[k]);
        }
    }
}

// The tree over the 32 lanes of this warp: like the digits of a binary counter, in registers.
template <int kDtype>
MERIT_DEVICE void sum_warp_lanes(const Args &args, int64_t tile, int64_t column, int64_t head,
                                 int heads, double *sums)
{
    const int first = threadIdx.x / kWarpSize * kLanesOfWarp;
    double level[kLaneLevels][kHeads];
#pragma unroll
    for (int i = 0; i < kLaneLevels * kHeads; i++) {
        level[i / kHeads][i % kHeads] = 0.0;
    }
#pragma unroll 1
    for (int lane = 0; lane < kLanesOfWarp; lane++) {
        float mine[kHeads];
        sum_lane<kDtype>(args, tile, first + lane, column, head, heads, mine);
#pragma unroll
        for (int k = 0; k < kHeads; k++) {
            double value = (double)mine[k];
            bool carried = true;
#pragma unroll
            for (int depth = 0; depth < kLaneLevels; depth++) {
                const bool full = (lane >> depth & 1) != 0;
                const double both = m_add64(level[depth][k], value);
                if (carried && !full) level[depth][k] = value;
                if (carried && full) value = both;
                carried = carried && full;
            }
            sums[k] = value; // the last lane carries through
        }
    }
}

struct ColumnShare {
    double warps[kWarps][kHeads][kWarpSize];
    double level[MERIT_SCORE_STACK_LEVELS][kHeads][kWarpSize];
};

MERIT_DEVICE bool wants_column(const Args &args, int64_t column)
{
    if (column < args.d.hidden_size) return args.io.grad_weight != NULL;
    return column == args.d.hidden_size && args.io.grad_bias != NULL;
}

MERIT_DEVICE void write_sum(const Args &args, int64_t head, int64_t column, double sum)
{
    float *const out = column < args.d.hidden_size ? static_cast<float *>(args.io.grad_weight) +
                                                         head * args.d.grad_weight_stride + column
                                                   : static_cast<float *>(args.io.grad_bias) + head;
    *out = score_sum_value(&args, sum, args.d.accumulate ? *out : 0.0f);
}

MERIT_DEVICE void write_tile_sum(const Args &args, int64_t tile, int64_t head, int64_t column,
                                 double sum)
{
    const int64_t row = tile * args.d.num_heads + head;
    double *const out =
        column < args.d.hidden_size
            ? static_cast<double *>(args.io.grad_weight) + row * args.d.hidden_size + column
            : static_cast<double *>(args.io.grad_bias) + row;
    *out = m_canonical64(m_add64(sum, 0.0));
}

// Tiles [begin, end) of a set, to `sum` of threads that hold a head and a column (the first kHeads
// warps). The tree over tiles is a binary counter in shared memory.
template <int kDtype>
MERIT_DEVICE double sum_tiles(const Args &args, ColumnShare &share, int64_t begin, int64_t end,
                              int64_t column, int64_t head, int heads)
{
    const int lane = threadIdx.x % kWarpSize;
    const int warp = threadIdx.x / kWarpSize;
    const bool holds = warp < heads && wants_column(args, column);
    int depth = 0;
    double total = 0.0;
    for (int64_t tile = begin; tile < end; tile++) {
        double sums[kHeads];
        sum_warp_lanes<kDtype>(args, tile, column, head, heads, sums);
#pragma unroll
        for (int k = 0; k < kHeads; k++) {
            share.warps[warp][k][lane] = sums[k];
        }
        __syncthreads(); // all lanes are there
        if (holds) {
            double w[kWarps];
            for (int i = 0; i < kWarps; i++) {
                w[i] = share.warps[i][warp][lane];
            }
            const double low = m_add64(m_add64(w[0], w[1]), m_add64(w[2], w[3]));
            const double high = m_add64(m_add64(w[4], w[5]), m_add64(w[6], w[7]));
            double sum = m_add64(low, high);
            if (args.d.shard == MERIT_SCORE_SHARD_PARTIAL) {
                write_tile_sum(args, tile, head + warp, column, sum);
            } else {
                int64_t bits = tile - begin;
                const bool last = tile + 1 == end;
                for (; depth > 0 && ((bits & 1) != 0 || last); bits >>= 1) {
                    sum = m_add64(share.level[--depth][warp][lane], sum);
                }
                share.level[depth++][warp][lane] = sum;
                total = sum;
            }
        }
        __syncthreads(); // and read, before the next tile's come
    }
    return total;
}

// grid: any; block: kThreads. An item is a set of tiles, 32 columns, kHeads heads.
template <int kDtype>
MERIT_KERNEL(kThreads)
score_backward_heads_kernel(const MERIT_GRID_CONSTANT Args args)
{
    MERIT_SHARED(ColumnShare, share, [1]);
    MERIT_SHARED(int, is_last, [1]);
    const int lane = threadIdx.x % kWarpSize;
    const int warp = threadIdx.x / kWarpSize;
    const int64_t column_sets = (args.d.hidden_size + kWarpSize) / kWarpSize; // with column H
    const int64_t head_sets = (args.d.num_heads + kHeads - 1) / kHeads;
    const int64_t tiles = score_position_tiles(&args.find);
    const int64_t owners = column_sets * head_sets;
    const int64_t plane = (int64_t)args.d.num_heads * (args.d.hidden_size + 1);
    for (int64_t item = blockIdx.x; item < owners * args.num_chunks; item += gridDim.x) {
        const int64_t chunk = item / owners;
        const int64_t owner = item - chunk * owners;
        const int64_t column = owner / head_sets * kWarpSize + lane;
        const int64_t head = owner % head_sets * kHeads;
        const int64_t left = args.d.num_heads - head;
        const int heads = left < kHeads ? (int)left : kHeads;
        const bool holds = warp < heads && wants_column(args, column);
        const int64_t begin = chunk * args.tiles_per_chunk;
        const int64_t stop = begin + args.tiles_per_chunk;
        const double sum = sum_tiles<kDtype>(args, share[0], begin, stop < tiles ? stop : tiles,
                                             column, head, heads);
        if (args.d.shard == MERIT_SCORE_SHARD_PARTIAL) continue;
        if (args.num_chunks == 1) {
            if (holds) write_sum(args, head + warp, column, sum);
            continue;
        }
        const int64_t place = (head + warp) * (args.d.hidden_size + 1) + column;
        if (holds) args.chunk_sums[chunk * plane + place] = sum;
        __threadfence(); // the sums, before the ticket tells of them
        __syncthreads();
        if (threadIdx.x == 0) {
            is_last[0] = atomicAdd(&args.tickets[owner], 1u) + 1 == (uint32_t)args.num_chunks;
            if (is_last[0]) atomicExch(&args.tickets[owner], 0u);
        }
        __syncthreads();
        const bool last = is_last[0] != 0;
        __syncthreads(); // read before the next item writes it
        if (!last) continue;
        __threadfence(); // the others' sums, behind their tickets
        if (!holds) continue;
        merit_tile_sum fold;
        fold.count = 0;
        for (int c = 0; c < args.num_chunks; c++) {
            merit_tile_sum_push(&fold, args.chunk_sums[c * plane + place]);
        }
        write_sum(args, head + warp, column, merit_tile_sum_finish(&fold));
    }
}

// Launchers ---------------------------------------------------------------------------------------

int64_t at_most(int64_t count, int64_t limit)
{
    return count < limit ? count : limit;
}

int launch_hidden(const Args &args, const merit_launch &launch)
{
    const int64_t limit = (int64_t)launch.num_sms * kBlocksPerSm;
    const dim3 block(kThreads);
    const int64_t positions = args.find.num_positions;
    const dim3 warps((unsigned)at_most((positions + kWarps - 1) / kWarps, limit));
    if (args.io.grad_hidden == NULL) {
        return MERIT_LAUNCH(score_backward_resolve_kernel, warps, block, 0, launch.stream, args);
    }
    if (args.d.grad_layout == MERIT_GRAD_LAYOUT_ROWS) {
        return MERIT_LAUNCH(score_backward_rows_kernel, dim3((unsigned)at_most(positions, limit)),
                            block, 0, launch.stream, args);
    }
    const int64_t tokens = args.find.num_tokens;
    if (tokens == 0) {
        return MERIT_LAUNCH(score_backward_resolve_kernel, warps, block, 0, launch.stream, args);
    }
    int code = (int)cudaMemsetAsync(args.owners, 0xff, (size_t)tokens * sizeof *args.owners,
                                    launch.stream);
    if (code != 0) return code;
    code = (int)cudaMemsetAsync(args.owner_counts, 0, (size_t)tokens * sizeof *args.owner_counts,
                                launch.stream);
    if (code != 0) return code;
    code = MERIT_LAUNCH(score_backward_resolve_kernel, warps, block, 0, launch.stream, args);
    if (code != 0) return code;
    return MERIT_LAUNCH(score_backward_dense_kernel, dim3((unsigned)at_most(tokens, limit)), block,
                        0, launch.stream, args);
}

int launch_heads(const Args &args, const merit_launch &launch)
{
    const int64_t column_sets = (args.d.hidden_size + kWarpSize) / kWarpSize;
    const int64_t head_sets = (args.d.num_heads + kHeads - 1) / kHeads;
    const int64_t owners = column_sets * head_sets;
    if (args.num_chunks > 1) {
        const int code =
            (int)cudaMemsetAsync(args.tickets, 0, (size_t)owners * sizeof(uint32_t), launch.stream);
        if (code != 0) return code;
    }
    const dim3 grid((unsigned)at_most(owners * args.num_chunks, (int64_t)launch.num_sms * 16));
    const dim3 block(kThreads);
    switch (args.d.hidden_dtype) {
    case MERIT_DTYPE_BF16:
        return MERIT_LAUNCH(score_backward_heads_kernel<MERIT_DTYPE_BF16>, grid, block, 0,
                            launch.stream, args);
    case MERIT_DTYPE_F16:
        return MERIT_LAUNCH(score_backward_heads_kernel<MERIT_DTYPE_F16>, grid, block, 0,
                            launch.stream, args);
    default:
        return MERIT_LAUNCH(score_backward_heads_kernel<MERIT_DTYPE_F32>, grid, block, 0,
                            launch.stream, args);
    }
}

template <typename Kernel>
int load_kernel(Kernel kernel)
{
    cudaFuncAttributes attributes;
    return (int)cudaFuncGetAttributes(&attributes, kernel);
}

} // namespace

extern "C" int MERIT_BACKEND_FN(score_backward)(const merit_score_backward_args *args,
                                                const merit_launch *launch)
{
    const int code = launch_hidden(*args, *launch);
    if (code != 0 || (args->io.grad_weight == NULL && args->io.grad_bias == NULL)) return code;
    return launch_heads(*args, *launch);
}

extern "C" int MERIT_BACKEND_FN(score_backward_load)(const merit_launch *limits)
{
    (void)limits;
    int code = load_kernel(score_backward_resolve_kernel);
    if (code == 0) code = load_kernel(score_backward_rows_kernel);
    if (code == 0) code = load_kernel(score_backward_dense_kernel);
    if (code == 0) code = load_kernel(score_backward_heads_kernel<MERIT_DTYPE_F32>);
    if (code == 0) code = load_kernel(score_backward_heads_kernel<MERIT_DTYPE_BF16>);
    if (code == 0) code = load_kernel(score_backward_heads_kernel<MERIT_DTYPE_F16>);
    return code;
}
