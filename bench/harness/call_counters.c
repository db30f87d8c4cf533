#include "call_counters.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/types.h>

static atomic_llong allocations;
static atomic_llong launches;

bench_counts bench_count_calls(void)
{
    return (bench_counts){atomic_load(&allocations), atomic_load(&launches)};
}

// The linker sends every call of `name` to __wrap_name, and ours of __real_name to the library.

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __real_malloc(bytes);
}

void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __real_calloc(count, bytes);
}

void *__real_realloc(void *memory, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __real_realloc(memory, bytes);
}

void *__real_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __real_aligned_alloc(alignment, bytes);
}

int __real_posix_memalign(void **memory, size_t alignment, size_t bytes);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t bytes);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __real_posix_memalign(memory, alignment, bytes);
}

void *__real_mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset);
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset);
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset)
{
    atomic_fetch_add(&allocations, 1);
    return __real_mmap(address, bytes, protection, flags, file, offset);
}

#ifdef MERIT_HAVE_CUDA
#include <cuda_runtime_api.h>

cudaError_t __real_cudaMalloc(void **memory, size_t bytes);
cudaError_t __wrap_cudaMalloc(void **memory, size_t bytes);
cudaError_t __wrap_cudaMalloc(void **memory, size_t bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __real_cudaMalloc(memory, bytes);
}

cudaError_t __real_cudaMallocAsync(void **memory, size_t bytes, cudaStream_t stream);
cudaError_t __wrap_cudaMallocAsync(void **memory, size_t bytes, cudaStream_t stream);
cudaError_t __wrap_cudaMallocAsync(void **memory, size_t bytes, cudaStream_t stream)
{
    atomic_fetch_add(&allocations, 1);
    return __real_cudaMallocAsync(memory, bytes, stream);
}

cudaError_t __real_cudaLaunchKernelExC(const cudaLaunchConfig_t *config, const void *kernel,
                                       void **arguments);
cudaError_t __wrap_cudaLaunchKernelExC(const cudaLaunchConfig_t *config, const void *kernel,
                                       void **arguments);
cudaError_t __wrap_cudaLaunchKernelExC(const cudaLaunchConfig_t *config, const void *kernel,
                                       void **arguments)
{
    atomic_fetch_add(&launches, 1);
    return __real_cudaLaunchKernelExC(config, kernel, arguments);
}
#endif
