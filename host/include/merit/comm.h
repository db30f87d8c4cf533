// The communicator of the operations that cross ranks (comm_folds.h): the bits of one process, whatever
// the number of ranks.
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
// folded on every rank in the order of one process, so no sum is left to the transport.
typedef struct merit_comm merit_comm;

// An all-gather of the caller: `bytes` from `send` of every rank into `receive` [size * bytes], in
// rank order. The two do not overlap. 0: done; any other number is reported as COMM_ERROR.
typedef int (*merit_allgather)(void *user, const void *send, void *receive, size_t bytes,
                               merit_stream stream);

// One process, no transport. On failure *comm is NULL.
MERIT_API merit_status merit_comm_create_single(merit_comm **comm);

// Rank `rank` of `size` over an all-gather; `user` is passed through and must outlive *comm.
// Statuses: INVALID_ARGUMENT (NULL, size < 1 or over 2^20, rank outside 0 .. size - 1),
// OUT_OF_MEMORY. On failure *comm is NULL; merit_context_last_error(NULL) has the sentence.
MERIT_API merit_status merit_comm_create_custom(merit_allgather allgather, void *user, int32_t rank,
                                                int32_t size, merit_comm **comm);

// NULL is accepted.
MERIT_API void merit_comm_destroy(merit_comm *comm);

MERIT_API int32_t merit_comm_rank(const merit_comm *comm); // -1 when comm is NULL
MERIT_API int32_t merit_comm_size(const merit_comm *comm); // 0 when comm is NULL

// Collectives started so far; 0 when comm is NULL. An operation call that is not rejected adds one.
MERIT_API uint64_t merit_comm_collectives(const merit_comm *comm);

#ifdef __cplusplus
}
#endif

#endif
