// What the host files share: the context, rejections, versioned structs, workspace layout, logging.
#ifndef MERIT_INTERNAL_H
#define MERIT_INTERNAL_H

#include <merit/merit.h>
#include <stdarg.h>

#include "../kernels/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { MERIT_ERROR_LENGTH = 512 };

struct merit_context {
    const merit_backend *backend;
    merit_launch launch; // threads or device limits; the stream is set per call
    int device;
    int math;
    int wants_blas;
    struct merit_blas *blas; // NULL: not loaded
    const char *function; // the call under way, for its error sentence
    char error[MERIT_ERROR_LENGTH];
};

// Backends ----------------------------------------------------------------------------------------

// The backends of this build, NULL past the last: the CPU ones narrow to wide, then "cuda".
const merit_backend *merit_backend_at(int i);
const merit_backend *merit_backend_by_name(const char *name); // NULL when absent
int merit_backend_runs_here(const merit_backend *backend); // the instruction set is there
const merit_backend *merit_backend_best_cpu(const char *isa_limit);

// As merit_context_create on a given table: how the tests reach a particular backend.
merit_status merit_context_create_on(const merit_backend *backend, const merit_context_desc *desc,
                                     merit_context **ctx);

// Errors ------------------------------------------------------------------------------------------

// Keeps "function: sentence" as the last error of ctx (of the thread when ctx is NULL), logs it and
// returns status.
merit_status merit_fail(merit_context *ctx, merit_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
merit_status merit_fail_in(const char *function, merit_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const char *merit_thread_last_error(void);

// A launcher's code as a status; the error text of the backend goes into the sentence.
merit_status merit_launch_status(merit_context *ctx, int code);

// Starts a call: from here sentences begin with `function`. INVALID_ARGUMENT when ctx is NULL.
merit_status merit_begin(merit_context *ctx, const char *function);

// The launch of this call: the limits of the context on the caller's stream.
merit_launch merit_launch_on(const merit_context *ctx, merit_stream stream);

// Makes the context's device current; end_device gives the caller's back and keeps the first error.
merit_status merit_enter_device(merit_context *ctx, int *previous);
merit_status merit_leave_device(merit_context *ctx, int previous, merit_status status);

// Versioned structs -------------------------------------------------------------------------------

// Copies a caller's struct over *out, which holds the defaults: fields beyond the caller's
// struct_size keep them; bytes beyond ours must be zero. `oldest` is the size in version 0.1.
merit_status merit_read_struct(merit_context *ctx, const char *name, void *out, size_t size,
                               size_t oldest, const void *in);

// Fills a caller's struct of `size` bytes from defaults of `ours` bytes and sets its struct_size.
merit_status merit_init_struct(const char *function, void *desc, size_t size, const void *defaults,
                               size_t ours, size_t oldest);

// Copies bytes [begin, end) of `from` over a caller's struct, as far as it reaches.
void merit_copy_fields(void *desc, const void *from, size_t begin, size_t end);

// Workspace ---------------------------------------------------------------------------------------

// Lays arrays into a workspace, each 256-byte aligned. Run once without memory to get the size.
typedef struct merit_layout {
    unsigned char *base; // NULL: only sizes
    size_t bytes;
    int overflow;
} merit_layout;

merit_layout merit_layout_begin(void *workspace);
void *merit_layout_take(merit_layout *layout, int64_t count, size_t element_bytes);
merit_status merit_layout_check(merit_context *ctx, const merit_layout *layout,
                                const void *workspace, size_t workspace_bytes);

// Logging: to stderr, only when MERIT_LOG_LEVEL asks for it ----------------------------------------

typedef enum merit_log_level {
    MERIT_LOG_OFF = 0,
    MERIT_LOG_ERROR = 1,
    MERIT_LOG_INFO = 2,
    MERIT_LOG_DEBUG = 3
} merit_log_level;

void merit_log(merit_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Sizes -------------------------------------------------------------------------------------------

size_t merit_dtype_bytes(int32_t dtype); // 0 for an unknown type

// Arrays ------------------------------------------------------------------------------------------

// An array of a call, for the overlap check. data NULL or bytes 0: absent.
typedef struct merit_region {
    const void *data;
    size_t bytes;
    const char *name;
    int written;
} merit_region;

// Rejects a written array that shares a byte with any other.
merit_status merit_check_overlap(merit_context *ctx, const merit_region *regions, int count);

// Checks a merit_groups over `rows` rows; a group_stride of 0 becomes group_size.
merit_status merit_check_groups(merit_context *ctx, const char *name, merit_groups *groups,
                                int64_t rows);

#ifdef __cplusplus
}
#endif

#endif
