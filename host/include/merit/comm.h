// Statistics across ranks: the bits of one process, whatever the number of ranks.
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

// comm_fold_moments --------------------------------------------------------------------------------

typedef struct merit_comm_fold_moments_desc {
    size_t struct_size;
    int64_t num_groups; // groups of this rank, >= 0; default 0
    int32_t num_sets; // records of a rank, 1..2^20, the same on every rank; default 1
} merit_comm_fold_moments_desc;

typedef struct merit_comm_fold_moments_io {
    size_t struct_size;
    const merit_moments *local; // in   [num_sets] batch_moments of this rank
    merit_moments *moments; // out  [num_sets] of all ranks; may be local itself
} merit_comm_fold_moments_io;

MERIT_API merit_status merit_comm_fold_moments_desc_init(merit_comm_fold_moments_desc *desc,
                                                         size_t size);

MERIT_API merit_status merit_comm_fold_moments_workspace(merit_context *ctx, const merit_comm *comm,
                                                         const merit_comm_fold_moments_desc *desc,
                                                         size_t *bytes);

// Batch statistics over ranks. Each rank calls merit_advantage_group with batch_record 1 on its own
// groups, this with the batch_moments, then merit_advantage_group with GIVEN levels: the advantages
// have the bits of one process with BATCH levels on all groups in rank order.
// Shards: every rank holds the same number of groups, 2048 * 2^k of them; the last that holds any
// may hold fewer, those after it hold none. One rank alone holds any number. Anything else is
// INVALID_ARGUMENT on every rank, as are ranks that called with another operation or num_sets.
// Messages are whole 512-byte blocks, so ranks whose num_sets differ by a few still meet; further
// apart their messages differ in length, which the all-gather has to refuse. A rank rejected before
// the collective leaves the others waiting.
// CPU contexts only so far. One collective. Levels: all five. Statuses: INVALID_ARGUMENT,
// UNSUPPORTED (a CUDA context), WORKSPACE_TOO_SMALL, COMM_ERROR: the all-gather failed, now or in
// an earlier call; a communicator does not recover.
MERIT_API merit_status merit_comm_fold_moments(merit_context *ctx, merit_comm *comm,
                                               const merit_comm_fold_moments_desc *desc,
                                               const merit_comm_fold_moments_io *io,
                                               void *workspace, size_t workspace_bytes,
                                               merit_stream stream);

#ifdef __cplusplus
}
#endif

#endif
