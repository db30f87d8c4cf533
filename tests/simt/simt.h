// CUDA's vocabulary for host C++17: force-included (-include simt.h) before each .cu file, so that the
// project's own kernels run on the CPU, every CUDA thread as a fiber. See simt_executor.h for how.
//
// Left out on purpose, so that a kernel which uses it does not compile here: float atomics,
// __activemask, __nanosleep, warp operations without a mask, <<<>>>, textures, inline PTX.
#ifndef MERIT_SIMT_H
#define MERIT_SIMT_H

#ifndef MERIT_SIMT
#define MERIT_SIMT
#endif

#include "simt_runtime.h"
#include "simt_vector.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)

// Where a thread stands -----------------------------------------------------------------------------

struct simt_thread {
    uint3 index;
};

struct simt_shape {
    uint3 block_index;
    dim3 block;
    dim3 grid;
};

extern simt_thread *simt_current;
extern simt_shape simt_running;

#define threadIdx (simt_current->index)
#define blockIdx (simt_running.block_index)
#define blockDim (simt_running.block)
#define gridDim (simt_running.grid)
constexpr int warpSize = 32;

// The line of the caller, as last parameters.
#define SIMT_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

// Kernels and shared memory -------------------------------------------------------------------------

void *simt_shared_variable(const void *key, const char *name, size_t bytes, size_t alignment);
void *simt_dynamic_memory();
int simt_launch(void (*call)(const void *kernel, const void *args), const void *kernel,
                const void *args, const char *name, dim3 grid, dim3 block, size_t smem);

#define MERIT_KERNEL(...) static void
#define MERIT_DEVICE static inline
#define MERIT_DEVICE_CALL static inline
#define MERIT_GRID_CONSTANT
#define MERIT_LOOK_AGAIN() simt_look_again()

// A reference to an array of known extent: UndefinedBehaviorSanitizer checks its indices.
#define MERIT_SHARED(type, name, extent)                                            \
    typedef type simt_type_##name extent;                                           \
    static const char simt_key_##name = 0;                                          \
    simt_type_##name &name = *static_cast<simt_type_##name *>(simt_shared_variable( \
        &simt_key_##name, #name, sizeof(simt_type_##name), alignof(simt_type_##name)))

#define MERIT_DYN_SMEM(type, name) type *const name = static_cast<type *>(simt_dynamic_memory())

template <typename Args>
static inline int simt_launch_kernel(void (*kernel)(const Args), const char *name, dim3 grid,
                                     dim3 block, size_t smem, cudaStream_t stream, const Args &args)
{
    (void)stream;
    const auto call = [](const void *function, const void *copied) {
        const auto typed = reinterpret_cast<void (*)(const Args)>(const_cast<void *>(function));
        typed(*static_cast<const Args *>(copied));
    };
    return simt_launch(call, reinterpret_cast<const void *>(kernel), &args, name, grid, block,
                       smem);
}

#define MERIT_LAUNCH(kernel, grid, block, smem, stream, args) \
    simt_launch_kernel(kernel, #kernel, grid, block, smem, stream, args)

#include "simt_device.h"

#endif
