// score_gather, CUDA. A warp per position copies its row.
#include "../backend.h"
#include "score_find.cuh"
#include "score_gather.h"

namespace
{

typedef merit_score_gather_args Args;

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;

// grid: covers the chunk; block: kThreads.
MERIT_KERNEL(kThreads, 2) score_gather_kernel(const MERIT_GRID_CONSTANT Args args)
{
    const int lane = threadIdx.x % kWarpSize;
    const int64_t i = (int64_t)blockIdx.x * kWarps + threadIdx.x / kWarpSize;
    for (int k = threadIdx.x; args.counts_std && blockIdx.x == 0 && k < args.d.num_heads;
         k += kThreads) {
        m_count(args.io.diagnostics, MERIT_COUNTER_BAD_STD, score_is_bad_std(args.io.post_std[k]));
    }
    const int64_t p = args.first + i;
    const bool exists = p < args.find.num_positions; // the same in every lane of the warp
    int64_t position = MERIT_POSITION_MASKED;
    if (exists) position = find_position(args.find, p);
    if (lane == 0) {
        if (exists) score_gather_report(&args, p, position);
        args.kinds[i] = position;
    }
    const int64_t start = score_gather_start(&args, position);
    for (int64_t h = lane; h < args.d.hidden_size; h += kWarpSize) {
        score_gather_element(&args, i, start, h);
    }
}

} // namespace

extern "C" int MERIT_BACKEND_FN(score_gather)(const merit_score_gather_args *args,
                                              const merit_launch *launch)
{
    return MERIT_LAUNCH(score_gather_kernel, dim3(MERIT_SCORE_CHUNK / kWarps), dim3(kThreads), 0,
                        launch->stream, *args);
}

extern "C" int MERIT_BACKEND_FN(score_gather_load)(const merit_launch *limits)
{
    (void)limits;
    cudaFuncAttributes attributes;
    return (int)cudaFuncGetAttributes(&attributes, score_gather_kernel);
}
