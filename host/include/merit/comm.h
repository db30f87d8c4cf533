// The communicator of the operations that cross ranks (comm_folds.h, comm_shards.h): the bits of one
// process, whatever the number of ranks.
#ifndef MERIT_COMM_H
#define MERIT_COMM_H

#include "context.h"
#include "status.h"
#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

// The communicator ---------------------------------------------------------------------------------

// Used by one thread at a time. All-gather is its only collective: partial results are gathered and
// folded on every rank in the order of one process, so no sum is left to the transport. All ranks make
// the same calls in the same order, and each call waits until every rank has answered: what comes
// after that, on a device, is on the stream when the call returns. One rank waits for nobody. A stream
// that is captured is UNSUPPORTED for more than one.
//
// A communicator whose all-gather failed is in error and stays so: the other ranks may hang in theirs.
// Every later call on it is COMM_ERROR with the sentence of the first.
typedef struct merit_comm merit_comm;

// An all-gather of the caller: `bytes` from `send` of every rank into `receive` [size * bytes], in
// rank order; whole 512-byte blocks that do not overlap. They are memory of the calling context: on a
// device `stream` is idle when the function is called, and may have the work still to do on return. 0:
// done or on the stream; any other number is reported as COMM_ERROR. There is no deadline: what a dead
// rank means to it is for the function to know.
typedef int (*merit_allgather)(void *user, const void *send, void *receive, size_t bytes,
                               merit_stream stream);

// One process, no transport. On failure *comm is NULL.
MERIT_API merit_status merit_comm_create_single(merit_comm **comm);

// Rank `rank` of `size` over an all-gather; `user` is passed through and must outlive *comm.
// Statuses: INVALID_ARGUMENT (NULL, size < 1 or over 2^20, rank outside 0 .. size - 1),
// OUT_OF_MEMORY. On failure *comm is NULL; merit_context_last_error(NULL) has the sentence.
MERIT_API merit_status merit_comm_create_custom(merit_allgather allgather, void *user, int32_t rank,
                                                int32_t size, merit_comm **comm);

typedef struct merit_comm_nccl_desc {
    size_t struct_size;
    double timeout; // seconds that a collective may take, > 0; default 600
} merit_comm_nccl_desc;

MERIT_API merit_status merit_comm_nccl_desc_init(merit_comm_nccl_desc *desc, size_t size);

// Over the caller's ncclComm_t, whose rank, size and device it takes; for contexts on that device.
// NCCL is the copy that this process has loaded; failing that libnccl.so.2 is opened. The environment
// variable MERIT_NCCL names a library to use instead. desc NULL: the defaults.
//
// While a collective runs its asynchronous errors are polled. One that fails is COMM_ERROR, one that is
// not done in time COMM_TIMEOUT, one that a failing stream ends CUDA_ERROR. Whenever merit_comm_state is
// not OK, the ncclComm_t has been given to ncclCommAbort, which frees it: the caller no longer uses or
// destroys it, nor reuses the workspace of the call before the stream is done. Otherwise the ncclComm_t
// stays the caller's, has to outlive *comm, and may be used between calls.
// The deadline holds from the start of the collective on. A blocking ncclComm_t that still has to
// connect waits for its peers inside NCCL, beyond it; one made with `blocking` 0 does not. Not between
// ncclGroupStart and ncclGroupEnd.
// Statuses: INVALID_ARGUMENT (NULL, timeout not > 0), UNSUPPORTED (no NCCL here, or one that lacks a
// function), OUT_OF_MEMORY, COMM_ERROR: the ncclComm_t does not say its rank. On failure *comm is NULL
// and the ncclComm_t is the caller's; merit_context_last_error(NULL) has the sentence.
MERIT_API merit_status merit_comm_create_nccl(void *nccl_comm, const merit_comm_nccl_desc *desc,
                                              merit_comm **comm);

// Has `release` called with the `user` of merit_comm_create_custom when comm is destroyed. For what
// makes communicators, such as libmerit_mpi (comm_mpi.h). INVALID_ARGUMENT: comm is NULL or not custom.
MERIT_API merit_status merit_comm_on_destroy(merit_comm *comm, void (*release)(void *user));

// NULL is accepted.
MERIT_API void merit_comm_destroy(merit_comm *comm);

MERIT_API int32_t merit_comm_rank(const merit_comm *comm); // -1 when comm is NULL
MERIT_API int32_t merit_comm_size(const merit_comm *comm); // 0 when comm is NULL

// OK, or what put comm in error; INVALID_ARGUMENT when comm is NULL.
MERIT_API merit_status merit_comm_state(const merit_comm *comm);

// Collectives started so far; 0 when comm is NULL. An operation call that is not rejected adds one.
MERIT_API uint64_t merit_comm_collectives(const merit_comm *comm);

#ifdef __cplusplus
}
#endif

#endif
