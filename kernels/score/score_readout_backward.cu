// score_readout_backward, CUDA. A thread works on a row of its own.
#include "../backend.h"
#include "score_readout.cuh"

namespace
{

typedef merit_score_readout_backward_args Args;

constexpr int kThreads = 128;
constexpr int kBlocksPerSm = 8;

// grid: any; block: kThreads. Two blocks at least: for more of them ptxas would spill.
MERIT_KERNEL(kThreads, 2) score_readout_backward_kernel(const MERIT_GRID_CONSTANT Args args)
{
    for (int64_t p = (int64_t)blockIdx.x * kThreads + threadIdx.x; p < args.a.d.num_rows;
         p += (int64_t)gridDim.x * kThreads) {
        run_row(args.a, p);
    }
}

} // namespace

extern "C" int
MERIT_BACKEND_FN(score_readout_backward)(const merit_score_readout_backward_args *args,
                                         const merit_launch *launch)
{
    const int64_t blocks = (args->a.d.num_rows + kThreads - 1) / kThreads;
    const int64_t limit = (int64_t)launch->num_sms * kBlocksPerSm;
    return MERIT_LAUNCH(score_readout_backward_kernel,
                        dim3((unsigned)(blocks < limit ? blocks : limit)), dim3(kThreads), 0,
                        launch->stream, *args);
}

extern "C" int MERIT_BACKEND_FN(score_readout_backward_load)(const merit_launch *limits)
{
    (void)limits;
    cudaFuncAttributes attributes;
    return (int)cudaFuncGetAttributes(&attributes, score_readout_backward_kernel);
}
