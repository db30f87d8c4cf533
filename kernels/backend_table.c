// The table of one backend; compiled once per backend.
#include "backend.h"

#define MERIT_STRING_(word) #word
#define MERIT_STRING(word) MERIT_STRING_(word)

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

#define MERIT_OPERATION(op) extern merit_##op##_launcher MERIT_BACKEND_FN(op);
#include "backend_list.h"
#undef MERIT_OPERATION

#ifdef MERIT_BACKEND_ON_DEVICE
// Touches the kernels of each operation once, so that none is loaded during a stream capture.
#define MERIT_OPERATION(op) int MERIT_BACKEND_FN(op##_load)(const merit_launch *limits);
#include "backend_list.h"
#undef MERIT_OPERATION

static int open_device(int device, merit_launch *limits)
{
    int code = MERIT_BACKEND_FN(device_open)(device, limits);
#define MERIT_OPERATION(op) \
    if (code == 0) code = MERIT_BACKEND_FN(op##_load)(limits);
#include "backend_list.h"
#undef MERIT_OPERATION
    return code;
}
#else
static int open_device(int device, merit_launch *limits)
{
    return MERIT_BACKEND_FN(device_open)(device, limits);
}
#endif

#define MERIT_TABLE MERIT_PASTE3(merit_, backend, MERIT_BACKEND)

extern const merit_backend MERIT_TABLE;
const merit_backend MERIT_TABLE = {
    .name = MERIT_STRING(MERIT_BACKEND),
#ifdef MERIT_BACKEND_ON_DEVICE
    .on_device = 1,
#endif
    .open = open_device,
    .enter = MERIT_BACKEND_FN(device_enter),
    .leave = MERIT_BACKEND_FN(device_leave),
    .zero = MERIT_BACKEND_FN(device_zero),
    .copy = MERIT_BACKEND_FN(device_copy),
    .copy_rows = MERIT_BACKEND_FN(device_copy_rows),
    .finished = MERIT_BACKEND_FN(device_finished),
    .capturing = MERIT_BACKEND_FN(device_capturing),
    .error_text = MERIT_BACKEND_FN(device_error_text),
#define MERIT_OPERATION(op) .op = MERIT_BACKEND_FN(op),
#include "backend_list.h"
#undef MERIT_OPERATION
};
