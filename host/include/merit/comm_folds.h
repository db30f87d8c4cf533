// Statistics across ranks: the bits of one process, whatever the number of ranks.
#ifndef MERIT_COMM_FOLDS_H
#define MERIT_COMM_FOLDS_H

#include "comm.h"

#ifdef __cplusplus
extern "C" {
#endif

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
