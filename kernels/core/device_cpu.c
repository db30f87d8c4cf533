// What a context asks of a device, on the CPU: nearly nothing.
#include <string.h>

#include "../backend.h"

int MERIT_BACKEND_FN(device_open)(int device, merit_launch *limits);
int MERIT_BACKEND_FN(device_enter)(int device, int *previous);
int MERIT_BACKEND_FN(device_leave)(int previous);
int MERIT_BACKEND_FN(device_zero)(void *memory, size_t bytes, struct CUstream_st *stream);
const char *MERIT_BACKEND_FN(device_error_text)(int code);

int MERIT_BACKEND_FN(device_open)(int device, merit_launch *limits)
{
    (void)device;
    (void)limits;
    return 0;
}

int MERIT_BACKEND_FN(device_enter)(int device, int *previous)
{
    *previous = device;
    return 0;
}

int MERIT_BACKEND_FN(device_leave)(int previous)
{
    (void)previous;
    return 0;
}

int MERIT_BACKEND_FN(device_zero)(void *memory, size_t bytes, struct CUstream_st *stream)
{
    (void)stream;
    if (bytes > 0) memset(memory, 0, bytes);
    return 0;
}

const char *MERIT_BACKEND_FN(device_error_text)(int code)
{
    return code == 0 ? "no error" : "internal error of the CPU backend";
}
