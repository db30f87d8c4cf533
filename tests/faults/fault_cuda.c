// A CUDA runtime of two devices in place of libcudart: launches do nothing, device memory is host
// memory. The program is linked without libcudart, so a runtime call that is not here is a link error
// and none escapes.
#include <cuda_runtime_api.h>
#include <string.h>

#include "fault_runtime.h"

enum { NUM_DEVICES = 2 };

static uint64_t failing;
static uint64_t count;
static int failure;
static int current;

merit_status fault_create(merit_context **ctx)
{
    merit_context_desc desc;
    merit_context_desc_init(&desc, sizeof desc);
    desc.backend = MERIT_BACKEND_CUDA;
    return merit_context_create(&desc, ctx);
}

int fault_counts_allocations(void)
{
    return 1;
}

void fault_arm_calls(uint64_t k, int code)
{
    failing = k;
    failure = code;
    count = 0;
}

uint64_t fault_calls(void)
{
    return count;
}

int fault_num_devices(void)
{
    return NUM_DEVICES;
}

void fault_set_device(int device)
{
    current = device;
}

int fault_device(void)
{
    return current;
}

static cudaError_t outcome(void)
{
    return ++count == failing ? (cudaError_t)failure : cudaSuccess;
}

// Devices -----------------------------------------------------------------------------------------

cudaError_t cudaGetDeviceCount(int *devices)
{
    const cudaError_t code = outcome();
    if (code == cudaSuccess) *devices = NUM_DEVICES;
    return code;
}

cudaError_t cudaGetDevice(int *device)
{
    const cudaError_t code = outcome();
    if (code == cudaSuccess) *device = current;
    return code;
}

cudaError_t cudaSetDevice(int device)
{
    const cudaError_t code = outcome();
    if (code == cudaSuccess) current = device;
    return code;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device)
{
    (void)device;
    const cudaError_t code = outcome();
    if (code != cudaSuccess) return code;
    switch ((int)attribute) {
    case cudaDevAttrMultiProcessorCount: *value = 132; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = 227 * 1024; break;
    default: return cudaErrorInvalidValue;
    }
    return code;
}

// Memory ------------------------------------------------------------------------------------------

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream)
{
    (void)stream;
    const cudaError_t code = outcome();
    if (code == cudaSuccess) memset(memory, value, bytes);
    return code;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    (void)kind, (void)stream;
    const cudaError_t code = outcome();
    if (code == cudaSuccess) memcpy(to, from, bytes);
    return code;
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_stride, const void *from, size_t from_stride,
                              size_t bytes, size_t rows, enum cudaMemcpyKind kind,
                              cudaStream_t stream)
{
    (void)kind, (void)stream;
    const cudaError_t code = outcome();
    for (size_t i = 0; code == cudaSuccess && i < rows; i++) {
        memcpy((unsigned char *)to + i * to_stride, (const unsigned char *)from + i * from_stride,
               bytes);
    }
    return code;
}

// Streams -----------------------------------------------------------------------------------------

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    (void)stream;
    return outcome();
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status)
{
    (void)stream;
    *status = cudaStreamCaptureStatusNone;
    return outcome();
}

cudaError_t cudaPeekAtLastError(void)
{
    return cudaSuccess;
}

cudaError_t cudaGetLastError(void)
{
    return cudaSuccess;
}

// Kernels -----------------------------------------------------------------------------------------

cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *attributes, const void *kernel)
{
    (void)kernel;
    const cudaError_t code = outcome();
    if (code != cudaSuccess) return code;
    memset(attributes, 0, sizeof *attributes);
    attributes->maxThreadsPerBlock = 1024;
    attributes->numRegs = 32;
    return code;
}

cudaError_t cudaFuncSetAttribute(const void *kernel, enum cudaFuncAttribute attribute, int value)
{
    (void)kernel;
    (void)attribute;
    (void)value;
    return outcome();
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *kernel,
                                                          int threads, size_t shared_bytes)
{
    (void)kernel;
    (void)threads;
    (void)shared_bytes;
    const cudaError_t code = outcome();
    if (code == cudaSuccess) *blocks = 2;
    return code;
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t *config, const void *kernel,
                                void **parameters)
{
    (void)config;
    (void)kernel;
    (void)parameters;
    return outcome();
}

const char *cudaGetErrorString(cudaError_t code)
{
    return code == cudaErrorLaunchFailure ? "unspecified launch failure" : "another failure";
}

// What compiled .cu files call when a program starts or launches with <<<>>>: no part of the API.

void **__cudaRegisterFatBinary(void *binary);
void __cudaRegisterFatBinaryEnd(void **handle);
void __cudaUnregisterFatBinary(void **handle);
void __cudaRegisterFunction(void **handle, const char *host_function, char *device_function,
                            const char *name, int threads, void *tid, void *bid, void *block,
                            void *grid, int *warp);
char __cudaInitModule(void **handle);
unsigned __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared_bytes, void *stream);
cudaError_t __cudaGetKernel(void **kernel, const void *host_function);
cudaError_t __cudaLaunchKernel(void *kernel, dim3 grid, dim3 block, void **parameters,
                               size_t shared_bytes, cudaStream_t stream);

void **__cudaRegisterFatBinary(void *binary)
{
    static void *handle;
    handle = binary;
    return &handle;
}

void __cudaRegisterFatBinaryEnd(void **handle)
{
    (void)handle;
}

void __cudaUnregisterFatBinary(void **handle)
{
    (void)handle;
}

void __cudaRegisterFunction(void **handle, const char *host_function, char *device_function,
                            const char *name, int threads, void *tid, void *bid, void *block,
                            void *grid, int *warp)
{
    (void)handle, (void)host_function, (void)device_function, (void)name, (void)threads;
    (void)tid, (void)bid, (void)block, (void)grid, (void)warp;
}

char __cudaInitModule(void **handle)
{
    (void)handle;
    return 1;
}

unsigned __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared_bytes, void *stream)
{
    (void)grid, (void)block, (void)shared_bytes, (void)stream;
    return 1;
}

cudaError_t __cudaGetKernel(void **kernel, const void *host_function)
{
    (void)kernel, (void)host_function;
    return cudaErrorInvalidDeviceFunction;
}

cudaError_t __cudaLaunchKernel(void *kernel, dim3 grid, dim3 block, void **parameters,
                               size_t shared_bytes, cudaStream_t stream)
{
    (void)kernel, (void)grid, (void)block, (void)parameters, (void)shared_bytes, (void)stream;
    return cudaErrorInvalidDeviceFunction;
}
