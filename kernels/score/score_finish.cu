// score_finish, CUDA. A thread folds the tiles of one score: neighbors read neighbors.
#include "../backend.h"
#include "../core/launch.cuh"
#include "score_finish.h"

namespace
{

typedef merit_score_finish_args Args;

constexpr int kThreads = 256;
constexpr int kBlocksPerSm = 8;

// grid: any; block: kThreads.
MERIT_KERNEL(kThreads) score_finish_kernel(const MERIT_GRID_CONSTANT Args args)
{
    const int64_t first = (int64_t)blockIdx.x * kThreads + threadIdx.x;
    const int64_t step = (int64_t)gridDim.x * kThreads;
    for (int64_t k = first; args.io.post_std != NULL && k < args.d.num_heads; k += step) {
        score_finish_count_std(&args, k);
    }
    const int64_t entries = args.d.num_positions * score_finish_columns(&args);
    for (int64_t i = first; i < entries; i += step) {
        score_finish_one(&args, i);
    }
}

} // namespace

extern "C" int MERIT_BACKEND_FN(score_finish)(const merit_score_finish_args *args,
                                              const merit_launch *launch)
{
    const int64_t entries = args->d.num_positions * score_finish_columns(args);
    const int64_t blocks = (entries + kThreads - 1) / kThreads;
    const int64_t limit = (int64_t)launch->num_sms * kBlocksPerSm;
    return MERIT_LAUNCH(score_finish_kernel, dim3((unsigned)(blocks < limit ? blocks : limit)),
                        dim3(kThreads), 0, launch->stream, *args);
}

extern "C" int MERIT_BACKEND_FN(score_finish_load)(const merit_launch *limits)
{
    (void)limits;
    cudaFuncAttributes attributes;
    return (int)cudaFuncGetAttributes(&attributes, score_finish_kernel);
}
