// preference_pair, CUDA. A block takes tiles of 2048 pairs, one lane of the canonical sum per thread;
// memory-bound from a few hundred thousand pairs on, launch-bound below. Each tile leaves its sums in
// the cells of the workspace, and the last block folds them (preference_pair_fold.cuh). Denominators
// that gradients need and that have to be counted take a launch of their own, or a pass of the one
// block when there are few pairs.
#include "../backend.h"
#include "../core/launch.cuh"
#include "preference_pair_fold.cuh"

namespace
{

constexpr size_t kColumnBytes =
    kThreads * sizeof(double); // a cell of a route, one value per thread
constexpr size_t kMaxColumnsBytes = 65536; // keeps two blocks on any device
constexpr size_t kStaticBytes = 2048; // more than the static shared memory of the kernel
constexpr int kPlainBlocksPerSm = 64; // a tile each, so that the last ones find every SM busy

// General -----------------------------------------------------------------------------------------

// What a block holds while it works.
struct PairBlock {
    const merit_preference_pair_shared *shared;
    const double *scales; // [K]
    double *columns; // [columns,kThreads]: sums of the threads, one column per cell and route
    merit_preference_bin_count *bins; // [K,calibration_bins]
    int num_columns; // that fit
    int pass;
    uint32_t cells;
};

MERIT_DEVICE int nth_cell(uint32_t cells, int n)
{
    for (; n > 0; n--) {
        cells &= cells - 1;
    }
    return __ffs((int)cells) - 1;
}

MERIT_DEVICE void count_diagnostics(merit_diagnostics *diagnostics, uint32_t counted)
{
    for (int bit = 0; counted != 0; bit++, counted >>= 1) {
        m_count(diagnostics, MERIT_COUNTER_NONFINITE + bit, counted & 1u);
    }
}

MERIT_DEVICE void add_to_bin(const Args &a, const PairBlock &b, const merit_preference_input *in,
                             double z)
{
    const merit_preference_bin_hit h = merit_preference_calibrate(&a.d, in, z);
    merit_preference_bin_count *const bin = &b.bins[in->route * a.d.calibration_bins + h.bin];
    atomicAdd((unsigned long long *)&bin->count, 1ull);
    atomicAdd((unsigned long long *)&bin->confidence, (unsigned long long)h.confidence);
    atomicAdd((unsigned long long *)&bin->hits, (unsigned long long)h.hits);
}

// Pair i: its terms into the columns first .. last - 1; its outputs on the last round over the tile,
// because gradients may lie on scores.
MERIT_DEVICE void run_pair(const Args &a, const PairBlock &b, int64_t i, int first, int last,
                           bool is_first_round, bool is_last_round)
{
    const merit_preference_input in = merit_preference_pair_read(&a, b.shared, i);
    merit_preference_result r;
    r.z = 0.0;
    r.loss = 0.0;
    r.grad_chosen = 0.0;
    r.grad_rejected = 0.0;
    r.grad_tie = 0.0;
    r.overflows = 0;
    if (b.pass == MERIT_PREFERENCE_PASS_MAIN) {
        if (in.state == MERIT_PREFERENCE_USABLE) r = merit_preference_pair_loss(&a, b.shared, &in);
        if (is_first_round) {
            uint32_t counted = in.counted;
            if (r.overflows) counted |= MERIT_PREFERENCE_COUNTED(NONFINITE);
            if (counted != 0) count_diagnostics(a.io.diagnostics, counted);
            if (a.io.calibration != NULL && in.state == MERIT_PREFERENCE_USABLE) {
                add_to_bin(a, b, &in, r.z);
            }
        }
        if (is_last_round) merit_preference_write(&a, b.shared, b.scales, &in, &r, i);
    }
    if (in.state == MERIT_PREFERENCE_ABSENT) return;
    int column = in.route;
    for (uint32_t left = b.cells; left != 0; left &= left - 1, column += a.d.num_routes) {
        if (column < first || column >= last) continue;
        const int cell = __ffs((int)left) - 1;
        double *const sum = &b.columns[(column - first) * kThreads + threadIdx.x];
        *sum = merit_preference_combine(cell, *sum,
                                        m_add64(merit_preference_term(&a.io, cell, &in, &r), 0.0));
    }
}

// Folds the 256 lanes of each column, one warp per column. Value j of a thread is lane 32 j + rank, so
// that the tree over ranks comes first.
MERIT_DEVICE void fold_columns(const Args &a, const PairBlock &b, int64_t tile, int first, int last)
{
    const int rank = threadIdx.x % kWarpSize;
    for (int column = first + threadIdx.x / kWarpSize; column < last; column += kWarps) {
        const int cell = nth_cell(b.cells, column / a.d.num_routes);
        const double *const lanes = &b.columns[(column - first) * kThreads + rank];
        double v[kWarps];
#pragma unroll
        for (int j = 0; j < kWarps; j++) {
            v[j] = lanes[j * kWarpSize];
#pragma unroll
            for (int distance = 1; distance < kWarpSize; distance *= 2) {
                v[j] = merit_preference_combine(cell, v[j],
                                                __shfl_xor_sync(kFullWarp, v[j], distance));
            }
        }
#pragma unroll
        for (int distance = 1; distance < kWarps; distance *= 2) {
#pragma unroll
            for (int j = 0; j < kWarps; j += 2 * distance) {
                v[j] = merit_preference_combine(cell, v[j], v[j + distance]);
            }
        }
        if (rank == 0) cells_of(a, cell, column % a.d.num_routes)[tile] = v[0];
    }
}

MERIT_DEVICE void run_tile(const Args &a, const PairBlock &b, int64_t tile)
{
    const int total = __popc(b.cells) * a.d.num_routes;
    int first = 0;
    do {
        const int last = first + b.num_columns < total ? first + b.num_columns : total;
        for (int column = first; column < last; column++) {
            const int cell = nth_cell(b.cells, column / a.d.num_routes);
            b.columns[(column - first) * kThreads + threadIdx.x] = merit_preference_neutral(cell);
        }
#pragma unroll 1
        for (int slot = 0; slot < kSlots; slot++) {
            const int64_t i = tile * kTile + slot * kThreads + threadIdx.x;
            if (i < a.d.num_pairs) run_pair(a, b, i, first, last, first == 0, last == total);
        }
        __syncthreads(); // the threads' columns are there
        fold_columns(a, b, tile, first, last);
        __syncthreads(); // and read, before the next round starts its own
        first = last;
    } while (first < total);
}

// grid: any; block: kThreads; dynamic shared memory: columns, then bins.
MERIT_KERNEL(kThreads) preference_pair_kernel(const MERIT_GRID_CONSTANT Args a)
{
    MERIT_SHARED(merit_preference_pair_shared, shared, [1]);
    MERIT_SHARED(double, scales, [MERIT_PREFERENCE_MAX_ROUTES]);
    MERIT_DYN_SMEM(double, columns);
    const int bins = a.io.calibration != NULL ? a.d.num_routes * a.d.calibration_bins : 0;
    PairBlock b;
    b.shared = shared;
    b.scales = scales;
    b.columns = columns;
    b.num_columns = a.num_columns;
    b.bins = reinterpret_cast<merit_preference_bin_count *>(columns + a.num_columns * kThreads);
    for (int n = threadIdx.x; n < bins; n += kThreads) {
        const merit_preference_bin_count none = {0, 0, 0};
        b.bins[n] = none;
    }
    if (threadIdx.x == 0) shared[0] = merit_preference_pair_shared_of(&a);
    __syncthreads(); // what all pairs share
    for (int pass = a.first_pass; pass <= a.last_pass; pass++) {
        b.pass = pass;
        b.cells = merit_preference_cells(&a, pass);
        if (pass == MERIT_PREFERENCE_PASS_MAIN && (int)threadIdx.x < a.d.num_routes &&
            merit_preference_pair_has_gradients(&a.io)) {
            scales[threadIdx.x] =
                merit_preference_scale(&a, shared[0].grad_scale, (int32_t)threadIdx.x);
        }
        __syncthreads(); // the scales, and the bins
        for (int64_t tile = blockIdx.x; tile < a.num_tiles; tile += gridDim.x) {
            run_tile(a, b, tile);
        }
        if (pass == MERIT_PREFERENCE_PASS_MAIN) {
            __syncthreads(); // all of the bins
            for (int n = threadIdx.x; n < bins; n += kThreads) {
                a.bins[(int64_t)blockIdx.x * bins + n] = b.bins[n];
            }
        }
        if (!block_is_last(&a.tickets[pass], 1, gridDim.x)) return;
        finish_pass(a, pass, b.cells, shared[0].grad_scale);
        __syncthreads(); // the denominators, before the same block uses them
    }
}

// Plain -------------------------------------------------------------------------------------------

// s(-z) times the scale, rounded once: a product with a binary32 is exact in binary64.
MERIT_DEVICE float plain_gradient(float slope, double scale, float narrow, bool is_narrow)
{
    const float gradient =
        is_narrow ? m_mul(narrow, slope) : m_round32(m_mul64(scale, (double)slope));
    return gradient;
}

// grid: any; block: kThreads. No __restrict__: gradients may lie on scores.
MERIT_KERNEL(kThreads) preference_pair_plain_kernel(const MERIT_GRID_CONSTANT Args a)
{
    MERIT_SHARED(double, scratch, [kWarps]);
    const float *const chosen = (const float *)a.io.chosen;
    const float *const rejected = (const float *)a.io.rejected;
    float *const grad_chosen = (float *)a.io.grad_chosen;
    float *const grad_rejected = (float *)a.io.grad_rejected;
    const uint32_t cells = merit_preference_cells(&a, MERIT_PREFERENCE_PASS_MAIN);
    const double grad_scale = a.io.grad_scale != NULL ? (double)*a.io.grad_scale : 1.0;
    const double scale = merit_preference_pair_has_gradients(&a.io)
                             ? merit_preference_scale(&a, grad_scale, 0)
                             : 1.0;
    const float narrow = m_round32(scale);
    const bool is_narrow = (double)narrow == scale;
    for (int64_t tile = blockIdx.x; tile < a.num_tiles; tile += gridDim.x) {
        const int64_t start = tile * kTile + threadIdx.x;
        float c[kSlots];
        float r[kSlots];
#pragma unroll
        for (int slot = 0; slot < kSlots; slot++) {
            const int64_t i = start + slot * kThreads;
            const bool live = i < a.d.num_pairs;
            c[slot] = live ? chosen[i] : 0.0f;
            r[slot] = live ? rejected[i] : 0.0f;
        }
        double sum = 0.0;
#pragma unroll
        for (int slot = 0; slot < kSlots; slot++) {
            const int64_t i = start + slot * kThreads;
            if (i >= a.d.num_pairs) continue;
            const float z = m_sub(c[slot], r[slot]);
            const merit_logistic l = m_logistic(-z);
            double loss =
                merit_preference_softplus_of(l, m_sub64((double)r[slot], (double)c[slot]));
            float gradient = l.sigmoid;
            // 0 times an infinite scale is 0
            if (gradient != 0.0f || m_is_finite64(scale)) {
                gradient = plain_gradient(gradient, scale, narrow, is_narrow);
            }
            gradient = m_canonical32(gradient);
            float opposite = m_canonical32(-gradient);
            if (!merit_preference_is_finite32(c[slot]) || !merit_preference_is_finite32(r[slot])) {
                loss = m_nan64();
                gradient = m_nan32();
                opposite = m_nan32();
                m_count(a.io.diagnostics, MERIT_COUNTER_NONFINITE, 1);
            }
            sum = m_add64(sum, loss);
            if (grad_chosen != NULL) grad_chosen[i] = opposite;
            if (grad_rejected != NULL) grad_rejected[i] = gradient;
        }
        if (cells == 0) continue; // gradients alone
        const double total = block_sum(sum, scratch);
        if (threadIdx.x == 0) cells_of(a, MERIT_PREFERENCE_CELL_LOSS, 0)[tile] = total;
    }
    if (!block_is_last(&a.tickets[MERIT_PREFERENCE_PASS_MAIN], 1, gridDim.x)) return;
    finish_plain(a, scratch);
}

// Launchers ---------------------------------------------------------------------------------------

size_t bins_bytes(const Args &a)
{
    if (a.io.calibration == NULL) return 0;
    return (size_t)(a.d.num_routes * a.d.calibration_bins) * sizeof(merit_preference_bin_count);
}

int launch_passes(const Args &a, const merit_launch *launch, int first_pass, int last_pass)
{
    Args args = a;
    args.first_pass = first_pass;
    args.last_pass = last_pass;
    int columns = 0;
    for (int pass = first_pass; pass <= last_pass; pass++) {
        const int cells = __builtin_popcount(merit_preference_cells(&a, pass)) * a.d.num_routes;
        if (cells > columns) columns = cells;
    }
    const size_t bins = bins_bytes(a);
    const size_t room = (size_t)launch->shared_bytes - kStaticBytes - bins;
    const size_t limit = (room < kMaxColumnsBytes ? room : kMaxColumnsBytes) / kColumnBytes;
    args.num_columns = columns < (int)limit ? columns : (int)limit;
    const int64_t per_sm = a.is_plain ? kPlainBlocksPerSm : MERIT_PREFERENCE_BLOCKS_PER_SM;
    const int64_t most = (int64_t)launch->num_sms * per_sm;
    const bool one = first_pass != last_pass || a.num_tiles == 0;
    const unsigned blocks = one ? 1u : (unsigned)(a.num_tiles < most ? a.num_tiles : most);
    if (a.is_plain) {
        return MERIT_LAUNCH(preference_pair_plain_kernel, dim3(blocks), dim3(kThreads), 0,
                            launch->stream, args);
    }
    return MERIT_LAUNCH(preference_pair_kernel, dim3(blocks), dim3(kThreads),
                        (size_t)args.num_columns * kColumnBytes + bins, launch->stream, args);
}

} // namespace

extern "C" int MERIT_BACKEND_FN(preference_pair)(const merit_preference_pair_args *args,
                                                 const merit_launch *launch)
{
    const int count = MERIT_PREFERENCE_PASS_COUNT;
    const int main = MERIT_PREFERENCE_PASS_MAIN;
    if (!args->needs_count) return launch_passes(*args, launch, main, main);
    if (args->d.num_pairs <= MERIT_PREFERENCE_ONE_BLOCK_PAIRS) {
        return launch_passes(*args, launch, count, main);
    }
    const int code = launch_passes(*args, launch, count, count);
    return code != 0 ? code : launch_passes(*args, launch, main, main);
}

extern "C" int MERIT_BACKEND_FN(preference_pair_load)(const merit_launch *limits)
{
    cudaFuncAttributes attributes;
    int code = (int)cudaFuncGetAttributes(&attributes, preference_pair_plain_kernel);
    if (code == 0) code = (int)cudaFuncGetAttributes(&attributes, preference_pair_kernel);
    if (code != 0) return code;
    return (int)cudaFuncSetAttribute(preference_pair_kernel,
                                     cudaFuncAttributeMaxDynamicSharedMemorySize,
                                     limits->shared_bytes - (int)kStaticBytes);
}
