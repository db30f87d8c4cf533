// Device memory of the tests, through the CUDA runtime.
#include <cuda_runtime_api.h>

#include "tk_memory.h"

const char *tk_cuda_missing(void)
{
    int count = 0;
    const cudaError_t code = cudaGetDeviceCount(&count);
    if (code != cudaSuccess) return cudaGetErrorString(code);
    return count > 0 ? NULL : "no CUDA device";
}

void *tk_cuda_allocate(size_t bytes)
{
    void *block = NULL;
    return cudaMalloc(&block, bytes) == cudaSuccess ? block : NULL;
}

void tk_cuda_free(void *block)
{
    cudaFree(block);
}

int tk_cuda_copy_in(void *block, const void *host, size_t bytes)
{
    return (int)cudaMemcpy(block, host, bytes, cudaMemcpyHostToDevice);
}

// Waits for the default stream first, so errors of the kernels before show up here.
int tk_cuda_copy_out(void *host, const void *block, size_t bytes)
{
    const cudaError_t code = cudaDeviceSynchronize();
    if (code != cudaSuccess) return (int)code;
    return (int)cudaMemcpy(host, block, bytes, cudaMemcpyDeviceToHost);
}
