// The emulated device behind the CUDA runtime API.
#include "simt_executor.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <stdlib.h>
#include <string.h>

static int multiprocessors_from_environment()
{
    const char *const text = getenv("MERIT_SIMT_SMS");
    const int count = text == nullptr ? 3 : atoi(text); // no power of two: grids must not need one
    return count > 0 ? count : 1;
}

static std::atomic<int> num_multiprocessors{multiprocessors_from_environment()};
static std::atomic<int> num_devices{1};
static thread_local int current_device;
static thread_local int last_error;

extern "C" void simt_set_multiprocessors(int count)
{
    num_multiprocessors = count;
}

extern "C" void simt_set_devices(int count)
{
    num_devices = count;
}

// Faults ------------------------------------------------------------------------------------------

static std::atomic<uint64_t> calls{0}, faulty_call{0};
static std::atomic<int> fault_code{0};

extern "C" void simt_set_fault(uint64_t k, int code)
{
    calls = 0;
    fault_code = code;
    faulty_call = k;
}

extern "C" uint64_t simt_call_count(void)
{
    return calls;
}

int simt_injected_fault()
{
    return ++calls == faulty_call ? fault_code.load() : 0;
}

int simt_remember_error(int code)
{
    if (code != cudaSuccess) last_error = code;
    return code;
}

static cudaError_t finish(int code)
{
    return static_cast<cudaError_t>(simt_remember_error(code));
}

// A call that fails, if at all, by injection.
static cudaError_t plain_call()
{
    return finish(simt_injected_fault());
}

// Devices -----------------------------------------------------------------------------------------

cudaError_t cudaGetDeviceCount(int *count)
{
    const int fault = simt_injected_fault();
    if (fault != 0) return finish(fault); // *count stays as it was, as in the true runtime
    if (num_devices == 0) return finish(cudaErrorNoDevice);
    *count = num_devices;
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device)
{
    const int fault = simt_injected_fault();
    if (fault != 0) return finish(fault);
    if (num_devices == 0) return finish(cudaErrorNoDevice);
    *device = current_device;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    const int fault = simt_injected_fault();
    if (fault != 0) return finish(fault);
    if (device < 0 || device >= num_devices) return finish(cudaErrorInvalidDevice);
    current_device = device;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device)
{
    const int fault = simt_injected_fault();
    if (fault != 0) return finish(fault);
    if (device < 0 || device >= num_devices) return finish(cudaErrorInvalidDevice);
    switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
    case cudaDevAttrMaxBlockDimX:
    case cudaDevAttrMaxBlockDimY: *value = 1024; break;
    case cudaDevAttrMaxBlockDimZ: *value = 64; break;
    case cudaDevAttrMaxGridDimX: *value = 0x7fffffff; break;
    case cudaDevAttrMaxGridDimY:
    case cudaDevAttrMaxGridDimZ: *value = 65535; break;
    case cudaDevAttrMaxSharedMemoryPerBlock: *value = SIMT_SHARED_DEFAULT; break;
    case cudaDevAttrWarpSize: *value = SIMT_LANES; break;
    case cudaDevAttrMultiProcessorCount: *value = num_multiprocessors; break;
    case cudaDevAttrL2CacheSize: *value = 50 << 20; break;
    case cudaDevAttrMaxThreadsPerMultiProcessor: *value = 2048; break;
    case cudaDevAttrComputeCapabilityMajor: *value = 9; break;
    case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = SIMT_SHARED_PER_SM; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = SIMT_SHARED_LIMIT; break;
    case cudaDevAttrMaxBlocksPerMultiprocessor: *value = 32; break;
    case cudaDevAttrReservedSharedMemoryPerBlock: *value = SIMT_SHARED_RESERVED; break;
    default: return finish(cudaErrorInvalidValue);
    }
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize()
{
    return plain_call();
}

cudaError_t cudaStreamSynchronize(cudaStream_t)
{
    return plain_call();
}

static std::atomic<int (*)(void *)> pending_on{nullptr};
static std::atomic<int> streams_capture{0};

extern "C" void simt_set_pending(int (*pending)(void *stream))
{
    pending_on = pending;
}

extern "C" void simt_set_capturing(int capturing)
{
    streams_capture = capturing;
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    const int fault = simt_injected_fault();
    if (fault != 0) return finish(fault);
    int (*const pending)(void *) = pending_on;
    return pending != nullptr && pending(stream) ? finish(cudaErrorNotReady) : cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t, cudaStreamCaptureStatus *status)
{
    const int fault = simt_injected_fault();
    if (fault != 0) return finish(fault);
    *status = streams_capture ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
    return cudaSuccess;
}

// Memory ------------------------------------------------------------------------------------------

extern "C" void *simt_malloc(size_t bytes)
{
    void *memory = nullptr;
    // One byte for nothing: malloc(0) may be NULL. 256: the alignment of cudaMalloc.
    if (posix_memalign(&memory, 256, std::max<size_t>(bytes, 1)) != 0) return nullptr;
    memset(memory, 0xff, bytes);
    return memory;
}

extern "C" void simt_free(void *memory)
{
    free(memory);
}

cudaError_t cudaMalloc(void **memory, size_t bytes)
{
    const int fault = simt_injected_fault();
    if (fault != 0) return finish(fault);
    void *const made = simt_malloc(bytes);
    if (made == nullptr) return finish(cudaErrorMemoryAllocation);
    *memory = made;
    return cudaSuccess;
}

cudaError_t cudaFree(void *memory)
{
    const int fault = simt_injected_fault();
    if (fault == 0) simt_free(memory);
    return finish(fault);
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t)
{
    const int fault = simt_injected_fault();
    if (fault != 0) return finish(fault);
    if (memory == nullptr && bytes > 0) return finish(cudaErrorInvalidValue);
    if (bytes > 0) memset(memory, value, bytes);
    return cudaSuccess;
}

cudaError_t cudaMemset(void *memory, int value, size_t bytes)
{
    return cudaMemsetAsync(memory, value, bytes, nullptr);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind, cudaStream_t)
{
    const int fault = simt_injected_fault();
    if (fault != 0) return finish(fault);
    if ((to == nullptr || from == nullptr) && bytes > 0) return finish(cudaErrorInvalidValue);
    if (bytes > 0) memmove(to, from, bytes);
    return cudaSuccess;
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_stride, const void *from, size_t from_stride,
                              size_t bytes, size_t rows, cudaMemcpyKind, cudaStream_t)
{
    const int fault = simt_injected_fault();
    if (fault != 0) return finish(fault);
    if (to == nullptr || from == nullptr || to_stride < bytes || from_stride < bytes) {
        return finish(cudaErrorInvalidValue);
    }
    for (size_t i = 0; i < rows; i++) {
        memmove(static_cast<unsigned char *>(to) + i * to_stride,
                static_cast<const unsigned char *>(from) + i * from_stride, bytes);
    }
    return cudaSuccess;
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind)
{
    return cudaMemcpyAsync(to, from, bytes, kind, nullptr);
}

// Kernels -----------------------------------------------------------------------------------------

struct kernel_record {
    size_t static_bytes = 0;
    size_t dynamic_limit = SIMT_SHARED_DEFAULT;
};

static std::mutex kernels_mutex;

static kernel_record &record_of(const void *kernel)
{
    static std::map<const void *, kernel_record> records;
    return records[kernel];
}

size_t simt_dynamic_limit(const void *kernel)
{
    const std::lock_guard<std::mutex> lock(kernels_mutex);
    const kernel_record &record = record_of(kernel);
    // Without opting in, static and dynamic memory share 48 KiB.
    const size_t shared = record.dynamic_limit > SIMT_SHARED_DEFAULT ? 0 : record.static_bytes;
    return record.dynamic_limit - std::min(shared, record.dynamic_limit);
}

void simt_note_static_shared(const void *kernel, size_t bytes)
{
    const std::lock_guard<std::mutex> lock(kernels_mutex);
    kernel_record &record = record_of(kernel);
    record.static_bytes = std::max(record.static_bytes, bytes);
}

cudaError_t cudaFuncSetAttribute(const void *kernel, cudaFuncAttribute attribute, int value)
{
    const int fault = simt_injected_fault();
    if (fault != 0) return finish(fault);
    if (kernel == nullptr) return finish(cudaErrorInvalidDeviceFunction);
    if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout) return cudaSuccess;
    const std::lock_guard<std::mutex> lock(kernels_mutex);
    kernel_record &record = record_of(kernel);
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 ||
        record.static_bytes + (size_t)value > SIMT_SHARED_LIMIT) {
        return finish(cudaErrorInvalidValue);
    }
    record.dynamic_limit = (size_t)value;
    return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, const void *kernel)
{
    const int fault = simt_injected_fault();
    if (fault != 0) return finish(fault);
    if (kernel == nullptr) return finish(cudaErrorInvalidDeviceFunction);
    const std::lock_guard<std::mutex> lock(kernels_mutex);
    const kernel_record &record = record_of(kernel);
    *attributes = {};
    attributes->sharedSizeBytes = record.static_bytes;
    attributes->maxThreadsPerBlock = SIMT_MAX_THREADS;
    attributes->numRegs = 32;
    attributes->ptxVersion = attributes->binaryVersion = 90;
    attributes->maxDynamicSharedSizeBytes = (int)record.dynamic_limit;
    return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *kernel,
                                                          int threads, size_t dynamic_bytes)
{
    const int fault = simt_injected_fault();
    if (fault != 0) return finish(fault);
    if (kernel == nullptr) return finish(cudaErrorInvalidDeviceFunction);
    if (threads < 1 || threads > SIMT_MAX_THREADS) return finish(cudaErrorInvalidValue);
    const std::lock_guard<std::mutex> lock(kernels_mutex);
    const size_t bytes =
        record_of(kernel).static_bytes + dynamic_bytes + (size_t)SIMT_SHARED_RESERVED;
    *blocks = std::min({32, 2048 / threads, (int)(SIMT_SHARED_PER_SM / bytes)});
    return cudaSuccess;
}

// Errors ------------------------------------------------------------------------------------------

cudaError_t cudaPeekAtLastError()
{
    return static_cast<cudaError_t>(last_error);
}

cudaError_t cudaGetLastError()
{
    const cudaError_t code = cudaPeekAtLastError();
    last_error = cudaSuccess;
    return code;
}

static const struct {
    int code;
    const char *name, *text;
} errors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration",
     "invalid configuration argument"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress",
     "an illegal memory access was encountered"},
    {cudaErrorLaunchOutOfResources, "cudaErrorLaunchOutOfResources",
     "too many resources requested for launch"},
    {cudaErrorMisalignedAddress, "cudaErrorMisalignedAddress", "misaligned address"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

const char *cudaGetErrorName(cudaError_t code)
{
    for (const auto &error : errors) {
        if (error.code == code) return error.name;
    }
    return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t code)
{
    for (const auto &error : errors) {
        if (error.code == code) return error.text;
    }
    return "unrecognized error code";
}
