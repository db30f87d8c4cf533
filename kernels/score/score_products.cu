// score_products, CUDA. A thread per score.
#include "../backend.h"
#include "../core/launch.cuh"
#include "score_gather.h"

namespace
{

typedef merit_score_products_args Args;

constexpr int kThreads = 256;

// grid: any; block: kThreads.
MERIT_KERNEL(kThreads, 2) score_products_kernel(const MERIT_GRID_CONSTANT Args args)
{
    const int64_t heads = args.d.num_heads;
    for (int64_t n = (int64_t)blockIdx.x * kThreads + threadIdx.x; n < args.count * heads;
         n += (int64_t)gridDim.x * kThreads) {
        score_products_one(&args, n / heads, n % heads);
    }
}

} // namespace

extern "C" int MERIT_BACKEND_FN(score_products)(const merit_score_products_args *args,
                                                const merit_launch *launch)
{
    const int64_t blocks = (args->count * args->d.num_heads + kThreads - 1) / kThreads;
    const int64_t limit = (int64_t)launch->num_sms * 8;
    return MERIT_LAUNCH(score_products_kernel, dim3((unsigned)(blocks < limit ? blocks : limit)),
                        dim3(kThreads), 0, launch->stream, *args);
}

extern "C" int MERIT_BACKEND_FN(score_products_load)(const merit_launch *limits)
{
    (void)limits;
    cudaFuncAttributes attributes;
    return (int)cudaFuncGetAttributes(&attributes, score_products_kernel);
}
