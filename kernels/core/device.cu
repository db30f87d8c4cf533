// What a context asks of a device: its limits, making it current, zeroing and copying memory, whether a
// stream is done, error texts.
#include "../backend.h"
#include "launch.cuh"

extern "C" int MERIT_BACKEND_FN(device_open)(int device, merit_launch *limits)
{
    int count = 0;
    int code = (int)cudaGetDeviceCount(&count);
    if (code != 0) return code;
    if (device >= count) return (int)cudaErrorInvalidDevice;
    code = (int)cudaSetDevice(device);
    if (code != 0) return code;
    code = (int)cudaDeviceGetAttribute(&limits->num_sms, cudaDevAttrMultiProcessorCount, device);
    if (code != 0) return code;
    return (int)cudaDeviceGetAttribute(&limits->shared_bytes,
                                       cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
}

extern "C" int MERIT_BACKEND_FN(device_enter)(int device, int *previous)
{
    const int code = (int)cudaGetDevice(previous);
    if (code != 0 || *previous == device) return code;
    return (int)cudaSetDevice(device);
}

extern "C" int MERIT_BACKEND_FN(device_leave)(int previous)
{
    int current = previous;
    const int asked = (int)cudaGetDevice(&current);
    if (asked == 0 && current == previous) return 0;
    const int set = (int)cudaSetDevice(previous); // tried even when asking failed
    return asked != 0 ? asked : set;
}

extern "C" int MERIT_BACKEND_FN(device_zero)(void *memory, size_t bytes, struct CUstream_st *stream)
{
    if (bytes == 0) return 0;
    return (int)cudaMemsetAsync(memory, 0, bytes, stream);
}

extern "C" int MERIT_BACKEND_FN(device_copy)(void *to, const void *from, size_t bytes,
                                             struct CUstream_st *stream)
{
    if (bytes == 0) return 0;
    return (int)cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream);
}

extern "C" int MERIT_BACKEND_FN(device_copy_rows)(void *to, size_t to_stride, const void *from,
                                                  size_t from_stride, size_t bytes, size_t rows,
                                                  struct CUstream_st *stream)
{
    if (bytes == 0 || rows == 0) return 0;
    return (int)cudaMemcpy2DAsync(to, to_stride, from, from_stride, bytes, rows, cudaMemcpyDefault,
                                  stream);
}

extern "C" int MERIT_BACKEND_FN(device_finished)(struct CUstream_st *stream, int *is)
{
    const cudaError_t code = cudaStreamQuery(stream);
    *is = code == cudaSuccess;
    if (code != cudaErrorNotReady) return (int)code;
    // An answer, not an error: it must not be left for the caller to find.
    if (cudaPeekAtLastError() == cudaErrorNotReady) (void)cudaGetLastError();
    return 0;
}

extern "C" int MERIT_BACKEND_FN(device_capturing)(struct CUstream_st *stream, int *is)
{
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    const cudaError_t code = cudaStreamIsCapturing(stream, &status);
    *is = status != cudaStreamCaptureStatusNone;
    return (int)code;
}

extern "C" const char *MERIT_BACKEND_FN(device_error_text)(int code)
{
    return cudaGetErrorString((cudaError_t)code);
}
