// dominance_quantile_huber, CUDA. A thread owns a level; the levels of a row are neighboring threads, up to
// the whole block of 256, and short rows share a block. Targets come to shared memory by chunks and are
// read as broadcasts of four: one per lane of the sums. Bound by arithmetic, about ten operations per
// pair; an array of pairs exists nowhere.
#include "../backend.h"
#include "../core/total.cuh"
#include "dominance_quantile_huber.h"

namespace
{

typedef merit_dominance_quantile_huber_args Args;

constexpr int kThreads = kTeamBlock;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kBlocksPerSm = 4; // of 256 threads with 64 registers
constexpr int kSharedTargets = 4096; // floats of a block
constexpr int kLanes = MERIT_HUBER_LANES;

// Threads of a row: a power of two.
MERIT_HD static inline int row_width(int levels)
{
    int width = 1;
    while (width < levels && width < kThreads) {
        width *= 2;
    }
    return width;
}

// Floats of a row in shared memory: an odd number of quads, so that the quads that a warp reads of
// different rows lie in different banks.
MERIT_HD static inline int row_floats(int rows, int targets)
{
    const int most = (kSharedTargets / rows - kLanes) / (2 * kLanes) * (2 * kLanes) + kLanes;
    const int needed = (targets + kLanes - 1) / kLanes * kLanes;
    const int odd = needed % (2 * kLanes) == 0 ? needed + kLanes : needed;
    return odd < most ? odd : most;
}

// The rows that a block works on, as one of its threads sees them.
struct Work {
    int64_t first; // row
    int rows; // at a time
    int width; // threads of a row
    int mine, rank; // row of this thread, and its place in it
    int pitch; // floats of a row in shared memory
    float *targets; // shared, [rows,pitch]
    double *scratch; // shared, [kWarps]
};

// One value per thread to one per row, neighbors first; every thread of the row gets it.
template <typename Value, typename Combine>
MERIT_DEVICE Value row_reduce(const Work &w, Value value, Combine combine)
{
    for (int distance = 1; distance < w.width && distance < kWarpSize; distance *= 2) {
        value = combine(value, __shfl_xor_sync(kFullWarp, value, distance));
    }
    if (w.width <= kWarpSize) return value;
    Value *const warps = reinterpret_cast<Value *>(w.scratch);
    const int warp = threadIdx.x / kWarpSize;
    const int first = w.mine * w.width / kWarpSize;
    if (threadIdx.x % kWarpSize == 0) warps[warp] = value;
    __syncthreads(); // the values of the warps are there
    const int number = w.width / kWarpSize;
    value = combine(warps[first], warps[first + 1]);
    if (number >= 4) value = combine(value, combine(warps[first + 2], warps[first + 3]));
    if (number >= 8) {
        const Value low = combine(warps[first + 4], warps[first + 5]);
        value = combine(value, combine(low, combine(warps[first + 6], warps[first + 7])));
    }
    __syncthreads(); // and read, before the next reduction writes its own
    return value;
}

// Targets of the thread's row from `start` on, at most a pitch of them, by the threads of the row.
MERIT_DEVICE void load_targets(const Args &args, const Work &w, int32_t count, int start)
{
    const int left = count - start;
    const int length = left < w.pitch ? left : w.pitch;
    const float *const from = args.io.targets + (w.first + w.mine) * args.d.ld_targets + start;
    __syncthreads(); // the targets before these are used
    for (int j = w.rank; j < length; j += w.width) {
        w.targets[w.mine * w.pitch + j] = from[j];
    }
    __syncthreads(); // these are there
}

// The thread's level against `count` targets, the first of them on lane 0.
template <bool kPinball>
MERIT_DEVICE void add_targets(merit_huber_lane *lanes, const float *targets, int count, float kappa,
                              float z, float above, float below)
{
    int j = 0;
    for (; j + kLanes <= count; j += kLanes) {
        const float4 y = *reinterpret_cast<const float4 *>(targets + j);
        merit_huber_add(&lanes[0], kPinball, kappa, above, below, m_sub(y.x, z));
        merit_huber_add(&lanes[1], kPinball, kappa, above, below, m_sub(y.y, z));
        merit_huber_add(&lanes[2], kPinball, kappa, above, below, m_sub(y.z, z));
        merit_huber_add(&lanes[3], kPinball, kappa, above, below, m_sub(y.w, z));
    }
#pragma unroll
    for (int k = 0; k < kLanes - 1; k++) {
        if (j + k >= count) break;
        merit_huber_add(&lanes[k], kPinball, kappa, above, below, m_sub(targets[j + k], z));
    }
}

// The sum over the levels of the thread's row; gradients go to their places. Every thread of the block
// calls it, whatever the state of its row.
template <bool kPinball>
MERIT_DEVICE double run_levels(const Args &args, const Work &w, const merit_huber_row &row,
                               merit_tile_sum *stack)
{
    const int levels = args.d.num_levels;
    const int targets = args.d.num_targets;
    const bool at_once = targets <= w.pitch;
    const int64_t r = w.first + w.mine;
    const bool live = r < args.d.num_rows;
    const float *const tau = merit_huber_tau_of(&args, live ? r : 0);
    const int64_t place = r * args.d.ld_quantiles;
    const bool many = levels > MERIT_TILE; // then the row has the block
    double sum = 0.0;
    if (many && threadIdx.x == 0) stack->count = 0;
    for (int base = 0; base < levels; base += w.width) {
        const int i = base + w.rank;
        const bool runs = live && i < levels && row.state == MERIT_HUBER_RUNS;
        const float z = runs ? args.io.quantiles[place + i] : 0.0f;
        const float above = runs ? tau[i] : 0.0f;
        const float below = m_sub(1.0f, above);
        merit_huber_lane lanes[kLanes] = {{0.0f, 0.0f}, {0.0f, 0.0f}, {0.0f, 0.0f}, {0.0f, 0.0f}};
        for (int start = 0; start < targets; start += w.pitch) {
            if (!at_once || base == 0) load_targets(args, w, row.count, start);
            const int left = row.count - start;
            if (runs && left > 0) {
                add_targets<kPinball>(lanes, w.targets + w.mine * w.pitch,
                                      left < w.pitch ? left : w.pitch, args.d.kappa, z, above,
                                      below);
            }
        }
        const float loss =
            merit_huber_fold(lanes[0].loss, lanes[1].loss, lanes[2].loss, lanes[3].loss);
        const float slope =
            merit_huber_fold(lanes[0].slope, lanes[1].slope, lanes[2].slope, lanes[3].slope);
        if (live && i < levels && args.io.grad_quantiles != NULL) {
            args.io.grad_quantiles[place + i] = row.state == MERIT_HUBER_RUNS
                                                    ? merit_huber_gradient(row.slope, slope)
                                                    : merit_huber_fill(row.state);
        }
        sum = m_add64(sum, (double)loss);
        const bool ends_tile = many && (base + kThreads) % MERIT_TILE == 0;
        if (!ends_tile && base + w.width < levels) continue;
        sum = row_reduce(w, sum, [](double a, double b) { return m_add64(a, b); });
        if (!many) return sum;
        if (threadIdx.x == 0) merit_tile_sum_push(stack, sum);
        sum = 0.0;
    }
    return threadIdx.x == 0 ? merit_tile_sum_finish(stack) : 0.0;
}

template <bool kPinball>
MERIT_DEVICE void run_rows(const Args &args, Work &w, const Team<kTeamBlockWide> &team,
                           merit_tile_sum *stack)
{
    const int64_t r = w.first + w.mine;
    merit_huber_row row;
    row.state = MERIT_HUBER_ZERO;
    row.count = 0;
    int bad = 0;
    if (r < args.d.num_rows) {
        row = merit_huber_row_of(&args, r);
        if (row.state == MERIT_HUBER_RUNS) {
            const float *const tau = merit_huber_tau_of(&args, r);
            for (int i = w.rank; i < args.d.num_levels; i += w.width) {
                bad |= merit_huber_tau_is_bad(tau[i]);
            }
        }
    }
    bad = row_reduce(w, bad, [](int a, int b) { return a | b; });
    if (bad) {
        row.state = MERIT_HUBER_UNKNOWN;
        row.count = 0;
    }
    const double sum = run_levels<kPinball>(args, w, row, stack);
    if (w.rank == 0 && r < args.d.num_rows) merit_huber_write_row(&args, &row, bad, r, sum);
    if (!args.needs_total) return;
    const int64_t left = args.d.num_rows - w.first;
    const int amount = (int)(left < w.rows ? left : w.rows);
    if (finish_total_rows(args.total, team, w.first, amount) && threadIdx.x == 0) {
        merit_huber_write_total(&args, args.total.tiles[0]);
    }
}

template <bool kPinball>
MERIT_DEVICE void run_block(const Args &args, float *targets, double *scratch,
                            merit_tile_sum *stack)
{
    Team<kTeamBlockWide> team;
    team.rank = threadIdx.x;
    team.width = kThreads;
    team.scratch = scratch;
    Work w;
    w.width = row_width(args.d.num_levels);
    w.rows = kThreads / w.width;
    w.mine = threadIdx.x / w.width;
    w.rank = threadIdx.x % w.width;
    w.pitch = row_floats(w.rows, args.d.num_targets);
    w.targets = targets;
    w.scratch = scratch;
    for (w.first = (int64_t)blockIdx.x * w.rows; w.first < args.d.num_rows;
         w.first += (int64_t)gridDim.x * w.rows) {
        run_rows<kPinball>(args, w, team, stack);
    }
    if (args.d.num_rows == 0 && blockIdx.x == 0 && threadIdx.x == 0) {
        merit_huber_write_total(&args, 0.0);
    }
}

// grid: any; block: kThreads.
#define HUBER_KERNEL(name, pinball)                                  \
    MERIT_KERNEL(kThreads) name(const MERIT_GRID_CONSTANT Args args) \
    {                                                                \
        MERIT_SHARED(float4, targets, [kSharedTargets / kLanes]);    \
        MERIT_SHARED(double, scratch, [kWarps]);                     \
        MERIT_SHARED(merit_tile_sum, stack, [1]);                    \
        run_block<pinball>(args, &targets[0].x, scratch, stack);     \
    }

HUBER_KERNEL(dominance_quantile_huber_kernel, false)
HUBER_KERNEL(dominance_quantile_huber_pinball_kernel, true)

} // namespace

// Launchers ---------------------------------------------------------------------------------------

extern "C" int
MERIT_BACKEND_FN(dominance_quantile_huber)(const merit_dominance_quantile_huber_args *args,
                                           const merit_launch *launch)
{
    const Args &a = *args;
    int code = 0;
    if (a.needs_total) code = clear_far_total_tickets(a.total, launch->stream);
    if (code != 0) return code;
    const int rows = kThreads / row_width(a.d.num_levels);
    const int64_t chunks = a.d.num_rows > 0 ? (a.d.num_rows + rows - 1) / rows : 1;
    const int64_t limit = (int64_t)launch->num_sms * kBlocksPerSm;
    const dim3 blocks((unsigned)(chunks < limit ? chunks : limit));
    if (a.d.kappa == 0.0f) {
        return MERIT_LAUNCH(dominance_quantile_huber_pinball_kernel, blocks, dim3(kThreads), 0,
                            launch->stream, a);
    }
    return MERIT_LAUNCH(dominance_quantile_huber_kernel, blocks, dim3(kThreads), 0, launch->stream,
                        a);
}

extern "C" int MERIT_BACKEND_FN(dominance_quantile_huber_load)(const merit_launch *limits)
{
    (void)limits;
    cudaFuncAttributes attributes;
    const int code = (int)cudaFuncGetAttributes(&attributes, dominance_quantile_huber_kernel);
    if (code != 0) return code;
    return (int)cudaFuncGetAttributes(&attributes, dominance_quantile_huber_pinball_kernel);
}
