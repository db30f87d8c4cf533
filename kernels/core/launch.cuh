// The device vocabulary of every .cu file: kernels, device functions, shared memory, launches.
//
// The same files are also compiled as host C++ by the emulator of the tests, which is force-included,
// defines MERIT_SIMT and brings its own versions of everything in this file. So kernels use
// shared memory and launches only through these macros, and warp operations only with explicit masks.
#ifndef MERIT_CORE_LAUNCH_CUH
#define MERIT_CORE_LAUNCH_CUH

#include "portable.h"

#ifndef MERIT_SIMT

#include <cuda_runtime.h>

// MERIT_KERNEL(threads) name(const args_type args) { ... }
#define MERIT_KERNEL(...) static __global__ void __launch_bounds__(__VA_ARGS__)
#define MERIT_DEVICE static __device__ __forceinline__

// A device function that stays one: for code that several call sites share.
#define MERIT_DEVICE_CALL static __device__ __noinline__

// On a kernel's argument struct: its address may be taken without a copy into local memory.
#define MERIT_GRID_CONSTANT __grid_constant__

// Where a thread looks again for what another block is about to write. The emulator, whose blocks run to
// their end one after another, fails the launch here: no block may need one that has not started.
#define MERIT_LOOK_AGAIN() __nanosleep(100)

// MERIT_SHARED(double, partial, [8]);
#define MERIT_SHARED(type, name, extent) __shared__ type name extent

// MERIT_DYN_SMEM(float, values);   float *values: the dynamic shared memory of the launch
#define MERIT_DYN_SMEM(type, name)                                      \
    extern __shared__ __align__(16) unsigned char merit_dynamic_smem[]; \
    type *const name = reinterpret_cast<type *>(merit_dynamic_smem)

// Launches `kernel(args)`; returns the CUDA error code, 0 on success.
template <typename Args>
static int merit_launch_kernel(void (*kernel)(const Args), dim3 grid, dim3 block, size_t smem,
                               cudaStream_t stream, const Args &args)
{
    Args copy = args;
    void *parameters[] = {&copy};
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = smem;
    config.stream = stream;
    return (int)cudaLaunchKernelExC(&config, reinterpret_cast<const void *>(kernel), parameters);
}

// MERIT_LAUNCH(kernel, grid, block, dynamic shared bytes, stream, args) -> CUDA error code
#define MERIT_LAUNCH(kernel, grid, block, smem, stream, args) \
    merit_launch_kernel(kernel, grid, block, smem, stream, args)

#endif // MERIT_SIMT

constexpr unsigned kFullWarp = 0xffffffffu;
constexpr int kWarpSize = 32;

#endif
