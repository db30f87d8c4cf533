// score_regression, CUDA. A block owns a tile of 2048 rows, head after head; the last block folds the
// tiles. Divisors that depend on the labels are counted by a launch before.
#include "../backend.h"
#include "../core/team.cuh"
#include "score_regression.h"

namespace
{

typedef merit_score_regression_args Args;

constexpr int kThreads = kTeamBlock;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kBlocksPerSm = 8;

MERIT_DEVICE void add_count(uint64_t *count, uint64_t amount)
{
    if (amount > 0) atomicAdd((unsigned long long *)count, (unsigned long long)amount);
}

// Counts rows [first, end), one per thread at a time.
MERIT_DEVICE void count_rows(const Args &args, int64_t first, int64_t end, int64_t step)
{
    for (int64_t p = first + threadIdx.x; p < end; p += step) {
        uint64_t seen = 0;
        for (int32_t k = 0; k < args.d.num_heads; k++) {
            const uint64_t valid = (uint64_t)regression_is_valid(&args, p, k);
            add_count(&args.counts[k], valid);
            seen |= valid;
        }
        add_count(&args.counts[args.d.num_heads], seen);
    }
}

// grid: any; block: kThreads. Two blocks at least: for more of them ptxas would spill.
MERIT_KERNEL(kThreads, 2) score_regression_count_kernel(const MERIT_GRID_CONSTANT Args args)
{
    count_rows(args, (int64_t)blockIdx.x * kThreads, args.d.num_rows,
               (int64_t)gridDim.x * kThreads);
}

// grid: any; block: kThreads.
MERIT_KERNEL(kThreads) score_regression_kernel(const MERIT_GRID_CONSTANT Args args)
{
    MERIT_SHARED(double, scratch, [kWarps]);
    Team<kTeamBlockWide> team;
    team.rank = threadIdx.x;
    team.width = kThreads;
    team.scratch = scratch;
    for (int64_t tile = blockIdx.x; tile < args.num_tiles; tile += gridDim.x) {
        const int64_t first = tile * MERIT_TILE;
        const int64_t stop = first + MERIT_TILE;
        const int64_t end = stop < args.d.num_rows ? stop : args.d.num_rows;
        if (!args.counts_first) count_rows(args, first, end, kThreads);
        for (int32_t k = 0; k < args.d.num_heads; k++) {
            const double scale = regression_scale(&args, k);
            double loss = 0.0;
            double square = 0.0;
            for (int slot = 0; slot < 8; slot++) {
                const int64_t p = first + team_element(team, slot);
                if (p >= end) break;
                const merit_regression_entry e = regression_visit(&args, p, k, scale);
                const double squared = m_mul64(e.slope, e.slope);
                loss = slot == 0 ? e.loss : m_add64(loss, e.loss);
                square = slot == 0 ? squared : m_add64(square, squared);
            }
            const auto add = [](double a, double b) { return m_add64(a, b); };
            const double losses = team_reduce(team, loss, add);
            const double squares = team_reduce(team, square, add);
            if (threadIdx.x != 0) continue;
            args.sums[(tile * args.d.num_heads + k) * 2] = losses;
            args.sums[(tile * args.d.num_heads + k) * 2 + 1] = squares;
        }
    }
    if (block_is_last(&args.tickets[0], 1, gridDim.x) && threadIdx.x == 0) {
        regression_finish(&args);
    }
}

} // namespace

extern "C" int MERIT_BACKEND_FN(score_regression)(const merit_score_regression_args *args,
                                                  const merit_launch *launch)
{
    const int64_t limit = (int64_t)launch->num_sms * kBlocksPerSm;
    const size_t bytes = ((size_t)args->d.num_heads + 1) * sizeof *args->counts;
    int code = (int)cudaMemsetAsync(args->counts, 0, bytes, launch->stream);
    if (code != 0) return code;
    if (args->counts_first && args->d.num_rows > 0) {
        const int64_t blocks = (args->d.num_rows + kThreads - 1) / kThreads;
        code = MERIT_LAUNCH(score_regression_count_kernel,
                            dim3((unsigned)(blocks < limit ? blocks : limit)), dim3(kThreads), 0,
                            launch->stream, *args);
        if (code != 0) return code;
    }
    const int64_t tiles = args->num_tiles > 0 ? args->num_tiles : 1;
    return MERIT_LAUNCH(score_regression_kernel, dim3((unsigned)(tiles < limit ? tiles : limit)),
                        dim3(kThreads), 0, launch->stream, *args);
}

extern "C" int MERIT_BACKEND_FN(score_regression_load)(const merit_launch *limits)
{
    (void)limits;
    cudaFuncAttributes attributes;
    int code = (int)cudaFuncGetAttributes(&attributes, score_regression_count_kernel);
    if (code == 0) code = (int)cudaFuncGetAttributes(&attributes, score_regression_kernel);
    return code;
}
