// comm_fold_sums, CUDA. A thread folds one total over all ranks: few of them, after an all-gather.
#include "../backend.h"
#include "../core/launch.cuh"
#include "comm_fold_sums.h"

namespace
{

typedef merit_comm_fold_sums_args Args;

constexpr int kThreads = 128;
constexpr int kBlocksPerSm = 8;

// grid: any; block: kThreads.
MERIT_KERNEL(kThreads) comm_fold_sums_kernel(const MERIT_GRID_CONSTANT Args args)
{
    const int64_t count = (int64_t)args.num_sums + args.num_counts;
    const int64_t step = (int64_t)gridDim.x * kThreads;
    for (int64_t i = (int64_t)blockIdx.x * kThreads + threadIdx.x; i < count; i += step) {
        merit_comm_fold_total(&args, i);
    }
}

} // namespace

extern "C" int MERIT_BACKEND_FN(comm_fold_sums)(const merit_comm_fold_sums_args *args,
                                                const merit_launch *launch)
{
    const int64_t count = (int64_t)args->num_sums + args->num_counts;
    const int64_t blocks = (count + kThreads - 1) / kThreads;
    const int64_t limit = (int64_t)launch->num_sms * kBlocksPerSm;
    return MERIT_LAUNCH(comm_fold_sums_kernel, dim3((unsigned)(blocks < limit ? blocks : limit)),
                        dim3(kThreads), 0, launch->stream, *args);
}

extern "C" int MERIT_BACKEND_FN(comm_fold_sums_load)(const merit_launch *limits)
{
    (void)limits;
    cudaFuncAttributes attributes;
    return (int)cudaFuncGetAttributes(&attributes, comm_fold_sums_kernel);
}
