// Status codes of every merit function that can fail.
#ifndef MERIT_STATUS_H
#define MERIT_STATUS_H

#if defined(__GNUC__)
#define MERIT_API __attribute__((visibility("default")))
#else
#define MERIT_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum merit_status {
    MERIT_STATUS_OK = 0,
    MERIT_STATUS_INVALID_ARGUMENT = 1, // the caller's mistake: nothing written, nothing launched
    MERIT_STATUS_UNSUPPORTED = 2, // a limit of this build or device
    MERIT_STATUS_OUT_OF_MEMORY = 3, // creating a context only; operations never allocate
    MERIT_STATUS_WORKSPACE_TOO_SMALL = 4, // less than merit_<op>_workspace asked for
    MERIT_STATUS_NOT_FOUND = 5, // no preset of this name
    MERIT_STATUS_CUDA_ERROR = 6,
    MERIT_STATUS_BLAS_ERROR = 7,
    MERIT_STATUS_COMM_ERROR = 8,
    MERIT_STATUS_COMM_TIMEOUT = 9,
    MERIT_STATUS_INTERNAL_ERROR = 10 // a bug of merit
} merit_status;

// Name of a status, "MERIT_STATUS_OK" and so on; "unknown status" for any other number. Never NULL.
MERIT_API const char *merit_status_string(merit_status status);

#ifdef __cplusplus
}
#endif

#endif
