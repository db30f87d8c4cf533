// What a context asks of a device, on the CPU: nearly nothing.
#include <string.h>

#include "../backend.h"

int MERIT_BACKEND_FN(device_open)(int device, merit_launch *limits);
int MERIT_BACKEND_FN(device_enter)(int device, int *previous);
int MERIT_BACKEND_FN(device_leave)(int previous);
int MERIT_BACKEND_FN(device_zero)(void *memory, size_t bytes, struct CUstream_st *stream);
int MERIT_BACKEND_FN(device_copy)(void *to, const void *from, size_t bytes,
                                  struct CUstream_st *stream);
int MERIT_BACKEND_FN(device_copy_rows)(void *to, size_t to_stride, const void *from,
                                       size_t from_stride, size_t bytes, size_t rows,
                                       struct CUstream_st *stream);
int MERIT_BACKEND_FN(device_finished)(struct CUstream_st *stream, int *is);
int MERIT_BACKEND_FN(device_capturing)(struct CUstream_st *stream, int *is);
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

int MERIT_BACKEND_FN(device_copy)(void *to, const void *from, size_t bytes,
                                  struct CUstream_st *stream)
{
    (void)stream;
    if (bytes > 0) memcpy(to, from, bytes);
    return 0;
}

int MERIT_BACKEND_FN(device_copy_rows)(void *to, size_t to_stride, const void *from,
                                       size_t from_stride, size_t bytes, size_t rows,
                                       struct CUstream_st *stream)
{
    (void)stream;
    for (size_t i = 0; i < rows; i++) {
        memcpy((unsigned char *)to + i * to_stride, (const unsigned char *)from + i * from_stride,
               bytes);
    }
    return 0;
}

int MERIT_BACKEND_FN(device_finished)(struct CUstream_st *stream, int *is)
{
    (void)stream;
    *is = 1;
    return 0;
}

int MERIT_BACKEND_FN(device_capturing)(struct CUstream_st *stream, int *is)
{
    (void)stream;
    *is = 0;
    return 0;
}

const char *MERIT_BACKEND_FN(device_error_text)(int code)
{
    return code == 0 ? "no error" : "internal error of the CPU backend";
}
