#include <stdlib.h>
#include <string.h>

#include "../kernels/core/parallel.h"
#include "blas.h"
#include "check.h"

static const merit_context_desc default_desc = {.struct_size = sizeof(merit_context_desc)};

merit_status merit_context_desc_init(merit_context_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &default_desc, sizeof default_desc,
                             sizeof default_desc);
}

static merit_status check_desc(merit_context *ctx, const merit_context_desc *d)
{
    MERIT_REQUIRE_RANGE(ctx, d, backend, MERIT_BACKEND_AUTO, MERIT_BACKEND_CUDA);
    MERIT_REQUIRE_RANGE(ctx, d, num_threads, 0, 1024);
    MERIT_REQUIRE_RANGE(ctx, d, math, MERIT_MATH_EXACT, MERIT_MATH_FAST);
    MERIT_REQUIRE_FLAG(ctx, d, load_blas);
    MERIT_REQUIRE(ctx, d->device >= 0, "device is %d, expected 0 or more", (int)d->device);
    return MERIT_STATUS_OK;
}

// Opens ctx->backend on a device; the caller's device stays current.
static merit_status open_backend(merit_context *ctx)
{
    int previous = ctx->device;
    if (!ctx->backend->on_device) {
        return merit_launch_status(ctx, ctx->backend->open(ctx->device, &ctx->launch));
    }
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const int code = ctx->backend->open(ctx->device, &ctx->launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}

static merit_status open_on(const merit_backend *fixed, const merit_context_desc *desc,
                            merit_context *ctx)
{
    merit_context_desc d = default_desc;
    if (desc != NULL) {
        MERIT_TRY(merit_read_struct(ctx, "desc", &d, sizeof d, sizeof default_desc, desc));
    }
    MERIT_TRY(check_desc(ctx, &d));
    ctx->device = d.device;
    ctx->math = d.math;
    ctx->wants_blas = d.load_blas;
    ctx->launch.num_threads = d.num_threads > 0 ? d.num_threads : merit_parallel_default_threads();

    const merit_backend *const cuda = merit_backend_by_name("cuda");
    if (fixed == NULL && d.backend == MERIT_BACKEND_CUDA && cuda == NULL) {
        return merit_fail(ctx, MERIT_STATUS_UNSUPPORTED,
                          "backend is CUDA, but this library was built without it");
    }
    if (fixed == NULL && d.backend != MERIT_BACKEND_CPU && cuda != NULL) {
        ctx->backend = cuda;
        const merit_status status = open_backend(ctx);
        if (status == MERIT_STATUS_OK) return status;
        if (d.backend == MERIT_BACKEND_CUDA) return status;
        ctx->error[0] = '\0'; // AUTO: no usable device is no error
    }
    ctx->backend = fixed != NULL ? fixed : merit_backend_best_cpu(getenv("MERIT_CPU_ISA"));
    return open_backend(ctx);
}

static merit_status create(const merit_backend *fixed, const merit_context_desc *desc,
                           merit_context *ctx)
{
    MERIT_TRY(open_on(fixed, desc, ctx));
    if (!ctx->wants_blas || !ctx->backend->on_device) return MERIT_STATUS_OK;
    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    return merit_leave_device(ctx, previous, merit_blas_open(ctx, &ctx->blas));
}

merit_status merit_context_create_on(const merit_backend *backend, const merit_context_desc *desc,
                                     merit_context **ctx)
{
    static const char function[] = "merit_context_create";
    if (ctx == NULL) return merit_fail_in(function, MERIT_STATUS_INVALID_ARGUMENT, "ctx is NULL");
    *ctx = NULL;
    merit_context *const made = calloc(1, sizeof *made);
    if (made == NULL) {
        return merit_fail_in(function, MERIT_STATUS_OUT_OF_MEMORY,
                             "no memory for a context (%zu bytes)", sizeof *made);
    }
    made->function = function;
    const merit_status status = create(backend, desc, made);
    if (status != MERIT_STATUS_OK) {
        merit_fail_in(function, status, "%s", made->error + strlen(function) + 2);
        merit_context_destroy(made);
        return status;
    }
    merit_log(MERIT_LOG_INFO, "context on %s, device %d, %d threads: %s", made->backend->name,
              made->device, made->launch.num_threads, merit_build_info());
    *ctx = made;
    return MERIT_STATUS_OK;
}

merit_status merit_context_create(const merit_context_desc *desc, merit_context **ctx)
{
    return merit_context_create_on(NULL, desc, ctx);
}

void merit_context_destroy(merit_context *ctx)
{
    if (ctx != NULL) merit_blas_close(ctx->blas);
    free(ctx);
}

const char *merit_context_last_error(const merit_context *ctx)
{
    return ctx == NULL ? merit_thread_last_error() : ctx->error;
}

const char *merit_context_backend(const merit_context *ctx)
{
    return ctx == NULL ? "" : ctx->backend->name;
}

// Calls -------------------------------------------------------------------------------------------

merit_status merit_begin(merit_context *ctx, const char *function)
{
    if (ctx == NULL) return merit_fail_in(function, MERIT_STATUS_INVALID_ARGUMENT, "ctx is NULL");
    ctx->function = function;
    return MERIT_STATUS_OK;
}

merit_launch merit_launch_on(const merit_context *ctx, merit_stream stream)
{
    merit_launch launch = ctx->launch;
    launch.stream = stream;
    return launch;
}

merit_status merit_enter_device(merit_context *ctx, int *previous)
{
    return merit_launch_status(ctx, ctx->backend->enter(ctx->device, previous));
}

merit_status merit_leave_device(merit_context *ctx, int previous, merit_status status)
{
    const int code = ctx->backend->leave(previous);
    return status != MERIT_STATUS_OK ? status : merit_launch_status(ctx, code);
}
