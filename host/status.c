#include <stdio.h>
#include <string.h>

#include "internal.h"

const char *merit_status_string(merit_status status)
{
    switch (status) {
    case MERIT_STATUS_OK: return "MERIT_STATUS_OK";
    case MERIT_STATUS_INVALID_ARGUMENT: return "MERIT_STATUS_INVALID_ARGUMENT";
    case MERIT_STATUS_UNSUPPORTED: return "MERIT_STATUS_UNSUPPORTED";
    case MERIT_STATUS_OUT_OF_MEMORY: return "MERIT_STATUS_OUT_OF_MEMORY";
    case MERIT_STATUS_WORKSPACE_TOO_SMALL: return "MERIT_STATUS_WORKSPACE_TOO_SMALL";
    case MERIT_STATUS_NOT_FOUND: return "MERIT_STATUS_NOT_FOUND";
    case MERIT_STATUS_CUDA_ERROR: return "MERIT_STATUS_CUDA_ERROR";
    case MERIT_STATUS_BLAS_ERROR: return "MERIT_STATUS_BLAS_ERROR";
    case MERIT_STATUS_COMM_ERROR: return "MERIT_STATUS_COMM_ERROR";
    case MERIT_STATUS_COMM_TIMEOUT: return "MERIT_STATUS_COMM_TIMEOUT";
    case MERIT_STATUS_INTERNAL_ERROR: return "MERIT_STATUS_INTERNAL_ERROR";
    }
    return "unknown status";
}

static _Thread_local char thread_error[MERIT_ERROR_LENGTH];

static void write_error(char *out, const char *function, const char *format, va_list arguments)
{
    const int used = snprintf(out, MERIT_ERROR_LENGTH, "%s: ", function);
    if (used >= 0 && used < MERIT_ERROR_LENGTH) {
        vsnprintf(out + used, (size_t)(MERIT_ERROR_LENGTH - used), format, arguments);
    }
    merit_log(MERIT_LOG_ERROR, "%s", out);
}

merit_status merit_fail(merit_context *ctx, merit_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_error(ctx->error, ctx->function, format, arguments);
    va_end(arguments);
    return status;
}

merit_status merit_fail_in(const char *function, merit_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_error(thread_error, function, format, arguments);
    va_end(arguments);
    return status;
}

const char *merit_thread_last_error(void)
{
    return thread_error;
}

merit_status merit_launch_status(merit_context *ctx, int code)
{
    if (code == 0) return MERIT_STATUS_OK;
    return merit_fail(
        ctx, ctx->backend->on_device ? MERIT_STATUS_CUDA_ERROR : MERIT_STATUS_INTERNAL_ERROR,
        "%s (code %d of backend %s)", ctx->backend->error_text(code), code, ctx->backend->name);
}
