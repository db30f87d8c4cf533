// One table of launchers per backend: the only thing that host/ sees of the kernels, besides the
// argument struct of each operation.
//
// A backend is one word, given to every kernel source as MERIT_BACKEND: cpu_v2, cpu_v3, cpu_v4 (x86-64
// levels), cpu (any other machine), cuda, simt (the .cu files on the emulator of the tests). The
// launcher of an operation is merit_<backend>_<op>.
#ifndef MERIT_BACKEND_H
#define MERIT_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MERIT_PASTE3_(a, b, c) a##b##_##c
#define MERIT_PASTE3(a, b, c) MERIT_PASTE3_(a, b, c)
#define MERIT_BACKEND_FN(op) MERIT_PASTE3(merit_, MERIT_BACKEND, op)

struct CUstream_st;

// Where and how wide an operation runs. CPU: num_threads. Devices: the rest.
typedef struct merit_launch {
    struct CUstream_st *stream;
    int num_threads; // of one call
    int num_sms; // multiprocessors of the device
    int shared_bytes; // dynamic shared memory one block may ask for
} merit_launch;

// A launcher returns 0 or the native error code of its backend (CUDA: cudaError_t).
#define MERIT_OPERATION(op)                                                 \
    struct merit_##op##_args;                                               \
    typedef int merit_##op##_launcher(const struct merit_##op##_args *args, \
                                      const merit_launch *launch);
#include "backend_list.h"
#undef MERIT_OPERATION

typedef struct merit_backend {
    const char *name;
    int on_device; // arrays live in device memory

    // Devices: selects the device, loads every kernel, fills the limits. CPU: nothing to do.
    int (*open)(int device, merit_launch *limits);
    // Makes `device` current and tells which one was; leave undoes it.
    int (*enter)(int device, int *previous);
    int (*leave)(int previous);
    int (*zero)(void *memory, size_t bytes, struct CUstream_st *stream);
    // From and to the memory of the backend or host memory that stays until the copy is done; a copy from
    // host memory has read it on return. `rows` pieces of `bytes` each, at two strides.
    int (*copy)(void *to, const void *from, size_t bytes, struct CUstream_st *stream);
    int (*copy_rows)(void *to, size_t to_stride, const void *from, size_t from_stride, size_t bytes,
                     size_t rows, struct CUstream_st *stream);
    int (*finished)(struct CUstream_st *stream, int *is); // whether all work on the stream is done
    int (*capturing)(struct CUstream_st *stream, int *is);
    const char *(*error_text)(int code);

#define MERIT_OPERATION(op) merit_##op##_launcher *op;
#include "backend_list.h"
#undef MERIT_OPERATION
} merit_backend;

#ifdef __cplusplus
}
#endif

#endif
