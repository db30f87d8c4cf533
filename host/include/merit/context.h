// The context: which backend computes, on which device, with how many threads.
#ifndef MERIT_CONTEXT_H
#define MERIT_CONTEXT_H

#include "status.h"
#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct merit_context merit_context;

typedef enum merit_backend_kind {
    MERIT_BACKEND_AUTO = 0, // CUDA when a usable device is there, else CPU
    MERIT_BACKEND_CPU = 1,
    MERIT_BACKEND_CUDA = 2
} merit_backend_kind;

typedef enum merit_math {
    MERIT_MATH_EXACT = 0, // every level of the numerics contract
    MERIT_MATH_FAST = 1 // may give up isa_invariant and cpu_gpu_equal for speed
} merit_math;

// On a CPU a call takes up to 512 KiB of the stack of each of its threads, the caller's among them.
typedef struct merit_context_desc {
    size_t struct_size;
    int32_t backend; // merit_backend_kind; default MERIT_BACKEND_AUTO
    int32_t device; // CUDA device ordinal >= 0; default 0
    int32_t num_threads; // CPU threads of one call, 1..1024; 0 = as many as OpenMP would use
    int32_t math; // merit_math; default MERIT_MATH_EXACT
    int32_t load_blas; // 1: open cuBLAS now, for products of matrices on a device; default 0
} merit_context_desc;

// Fills *desc with the defaults. size is sizeof *desc as the caller compiled it.
// INVALID_ARGUMENT when desc is NULL or size is not one of a known version.
MERIT_API merit_status merit_context_desc_init(merit_context_desc *desc, size_t size);

// Creates a context; desc NULL means the defaults. All kernels are loaded here, so that an
// operation can be captured in a CUDA graph as the very first call. A context is used by one thread
// at a time; there may be any number of contexts on a device. On failure *ctx is NULL.
// The CPU backend picks the widest instruction set of the machine; the environment variable
// MERIT_CPU_ISA (v2, v3 or v4) sets a lower one. Results are the same bits.
// Statuses: INVALID_ARGUMENT, UNSUPPORTED (CUDA asked for and not in this build), CUDA_ERROR (no usable
// driver or device), OUT_OF_MEMORY, BLAS_ERROR.
MERIT_API merit_status merit_context_create(const merit_context_desc *desc, merit_context **ctx);

// NULL is accepted.
MERIT_API void merit_context_destroy(merit_context *ctx);

// One sentence on the last call on this context that failed: function, argument, value, limit.
// Empty when none has. Valid until the next call on the context. With ctx NULL: the last failed
// merit_context_create or ..._preset of the calling thread.
MERIT_API const char *merit_context_last_error(const merit_context *ctx);

// "cpu_v4", "cpu_v3", "cpu_v2", "cpu" or "cuda".
MERIT_API const char *merit_context_backend(const merit_context *ctx);

// Zeroes a workspace before its first use, on the stream. One call per allocation is enough:
// operations leave their ticket words at zero, but for a call that fails with CUDA_ERROR: then zero
// it again. `workspace` may be NULL when bytes is 0.
MERIT_API merit_status merit_workspace_init(merit_context *ctx, void *workspace,
                                            size_t workspace_bytes, merit_stream stream);

// major * 10000 + minor * 100 + patch of the library that is loaded.
MERIT_API int32_t merit_version(void);

// Changes when the bits of any result change.
MERIT_API int32_t merit_numerics_version(void);

// One line: version, revision, compiler, backends built in.
MERIT_API const char *merit_build_info(void);

#ifdef __cplusplus
}
#endif

#endif
