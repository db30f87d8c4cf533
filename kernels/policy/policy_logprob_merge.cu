// policy_logprob_merge, CUDA. A thread per row: a few records each, nothing beside the forward pass.
#include "../backend.h"
#include "../core/launch.cuh"
#include "policy_logprob_merge.h"

namespace
{

typedef merit_policy_logprob_merge_args Args;

constexpr int kThreads = 64;
constexpr int64_t kMostBlocks = 65536;

// grid: any; block: kThreads.
MERIT_KERNEL(kThreads) policy_logprob_merge_kernel(const MERIT_GRID_CONSTANT Args args)
{
    const merit_policy_logprob_forward_args whole = merit_logprob_merge_whole(&args);
    const int64_t step = (int64_t)gridDim.x * kThreads;
    for (int64_t t = (int64_t)blockIdx.x * kThreads + threadIdx.x; t < args.d.num_tokens;
         t += step) {
        merit_logprob_merge_row(&args, &whole, t);
    }
}

} // namespace

extern "C" int MERIT_BACKEND_FN(policy_logprob_merge)(const merit_policy_logprob_merge_args *args,
                                                      const merit_launch *launch)
{
    const int64_t blocks = (args->d.num_tokens + kThreads - 1) / kThreads;
    return MERIT_LAUNCH(policy_logprob_merge_kernel,
                        dim3((unsigned)(blocks < kMostBlocks ? blocks : kMostBlocks)),
                        dim3(kThreads), 0, launch->stream, *args);
}

extern "C" int MERIT_BACKEND_FN(policy_logprob_merge_load)(const merit_launch *limits)
{
    (void)limits;
    cudaFuncAttributes attributes;
    return (int)cudaFuncGetAttributes(&attributes, policy_logprob_merge_kernel);
}
