// What a context asks of a device: its limits, making it current, zeroing memory, error texts.
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

extern "C" const char *MERIT_BACKEND_FN(device_error_text)(int code)
{
    return cudaGetErrorString((cudaError_t)code);
}
