// Memory traffic on a CUDA device: 16 bytes per thread and step, which no operation can beat.
#include <cuda_runtime.h>
#include <stdint.h>

namespace
{
constexpr int kBlockThreads = 512;
constexpr int kBlocksPerSm = 4; // 2048 threads fill an SM
enum { kRead, kWrite, kCopy, k2R1W }; // bench_traffic

__device__ unsigned found; // keeps what the reading kernel saw

__global__ void __launch_bounds__(kBlockThreads) read_kernel(const uint4 *from, int64_t n)
{
    const int64_t step = (int64_t)gridDim.x * kBlockThreads;
    unsigned bits = 0;
#pragma unroll 4
    for (int64_t i = (int64_t)blockIdx.x * kBlockThreads + threadIdx.x; i < n; i += step) {
        const uint4 v = from[i];
        bits |= v.x | v.y | v.z | v.w;
    }
    if (bits == 0x9e3779b9u) found = bits; // arrays hold zeros: never stored, never known
}

__global__ void __launch_bounds__(kBlockThreads) write_kernel(uint4 *to, int64_t n)
{
    const int64_t step = (int64_t)gridDim.x * kBlockThreads;
#pragma unroll 4
    for (int64_t i = (int64_t)blockIdx.x * kBlockThreads + threadIdx.x; i < n; i += step) {
        to[i] = make_uint4(0, 0, 0, 0);
    }
}

__global__ void __launch_bounds__(kBlockThreads)
    copy_kernel(uint4 *__restrict__ to, const uint4 *__restrict__ from, int64_t n)
{
    const int64_t step = (int64_t)gridDim.x * kBlockThreads;
#pragma unroll 4
    for (int64_t i = (int64_t)blockIdx.x * kBlockThreads + threadIdx.x; i < n; i += step) {
        to[i] = from[i];
    }
}

__global__ void __launch_bounds__(kBlockThreads)
    merge_kernel(uint4 *__restrict__ to, const uint4 *__restrict__ from,
                 const uint4 *__restrict__ also, int64_t n)
{
    const int64_t step = (int64_t)gridDim.x * kBlockThreads;
#pragma unroll 4
    for (int64_t i = (int64_t)blockIdx.x * kBlockThreads + threadIdx.x; i < n; i += step) {
        const uint4 a = from[i];
        const uint4 b = also[i];
        to[i] = make_uint4(a.x | b.x, a.y | b.y, a.z | b.z, a.w | b.w);
    }
}

__global__ void empty_kernel()
{
}
} // namespace

extern "C" int bench_cuda_empty(cudaStream_t stream)
{
    return (int)cudaLaunchKernel(reinterpret_cast<const void *>(empty_kernel), dim3(1), dim3(32),
                                 nullptr, 0, stream);
}

// traffic is a bench_traffic, bytes a multiple of 16; returns the CUDA error code.
extern "C" int bench_cuda_move(int traffic, void *to, const void *from, size_t bytes,
                               cudaStream_t stream)
{
    int sms = 0;
    const cudaError_t code = cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, 0);
    if (code != cudaSuccess) return (int)code;
    int64_t n = (int64_t)(bytes / sizeof(uint4));
    const dim3 grid((unsigned)(sms * kBlocksPerSm)), block(kBlockThreads);
    const uint4 *source = static_cast<const uint4 *>(from);
    uint4 *target = static_cast<uint4 *>(to);
    void *read_arguments[] = {&source, &n};
    void *write_arguments[] = {&target, &n};
    void *copy_arguments[] = {&target, &source, &n};
    int64_t half = n / 2;
    const uint4 *also = source + half;
    void *merge_arguments[] = {&target, &source, &also, &half};
    switch (traffic) {
    case kRead:
        return (int)cudaLaunchKernel(reinterpret_cast<const void *>(read_kernel), grid, block,
                                     read_arguments, 0, stream);
    case kWrite:
        return (int)cudaLaunchKernel(reinterpret_cast<const void *>(write_kernel), grid, block,
                                     write_arguments, 0, stream);
    case k2R1W:
        return (int)cudaLaunchKernel(reinterpret_cast<const void *>(merge_kernel), grid, block,
                                     merge_arguments, 0, stream);
    default:
        return (int)cudaLaunchKernel(reinterpret_cast<const void *>(copy_kernel), grid, block,
                                     copy_arguments, 0, stream);
    }
}
