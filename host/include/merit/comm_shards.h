// Arrays cut over ranks: vocabularies, hidden states, batches. One collective each, the bits of one rank.
#ifndef MERIT_COMM_SHARDS_H
#define MERIT_COMM_SHARDS_H

#include "comm.h"
#include "policy.h"
#include "score.h"

#ifdef __cplusplus
extern "C" {
#endif

// In all of these, ranks hold parts of an axis in rank order, each part but the first starting where that
// of the rank before ends, at a multiple of 2048 where bits are those of one rank. Parts may differ in
// size; messages have one length, so that every rank is told the largest part. Ranks that disagree are
// INVALID_ARGUMENT on every rank as long as their messages have one length; where they differ, the
// all-gather has to refuse. A rank that is rejected before the collective leaves the others waiting.

// comm_policy_logprob ------------------------------------------------------------------------------

typedef struct merit_comm_policy_logprob_desc {
    size_t struct_size;
    const merit_policy_logprob_desc
        *logprob; // of forward and backward on this rank; num_shards is not read
    int64_t
        max_vocab_size; // SEGMENT: the largest vocab_size of any rank; 0 = ceil(vocab_total / ranks) up to a
    // multiple of 2048; default 0
} merit_comm_policy_logprob_desc;

typedef struct merit_comm_policy_logprob_io {
    size_t struct_size;
    const merit_policy_logprob_shard *shards; // in   [T] of forward on this rank
    const merit_policy_logprob_segment *segments; // in   [T, ceil(V/2048)] of forward: SEGMENT
    const void *targets; // in   [T] target_dtype, NULL: no logprob; the same on all ranks
    const float *temperatures; // in   [T] > 0, NULL = temperature; the same on all ranks
    float *logprob; // out  [T], NULL
    float *lse; // out  [T], NULL
    float *entropy; // out  [T], NULL
    float *sum_sq; // out  [T], NULL
    int32_t *argmax; // out  [T], NULL: global
    merit_policy_logprob_state *state; // out  [T], NULL: for backward on this rank
    merit_diagnostics *diagnostics; // in/out, NULL
} merit_comm_policy_logprob_io;

MERIT_API merit_status merit_comm_policy_logprob_desc_init(merit_comm_policy_logprob_desc *desc,
                                                           size_t size);
MERIT_API merit_status
merit_comm_policy_logprob_workspace(merit_context *ctx, const merit_comm *comm,
                                    const merit_comm_policy_logprob_desc *desc, size_t *bytes);

// Log-probabilities of rows whose vocabulary is cut over ranks: gathers what policy_logprob_forward with
// partials left on each and does the work of policy_logprob_merge, so that every rank has the results of
// the whole vocabulary. policy_logprob_backward with the merged state and the rank's own descriptor then
// writes the rank's columns of the gradient.
//
// SEGMENT: parts start at multiples of 2048; results and gradients have the bits of one rank, whatever
// the number of ranks and the cut. SHARD: any cut, which shows in the last places; smaller messages (40
// bytes per row, against 16 per row and 2048 logits of the largest part more).
// Counters as in forward, on every rank. Levels: run_to_run, batch_invariant, launch_invariant,
// isa_invariant, cpu_gpu_equal. One collective, one launch.
// Statuses: INVALID_ARGUMENT (as policy_logprob_merge; vocab_size over max_vocab_size; ranks whose rows,
// vocab_total, options or sets of arrays differ, or whose parts are not the whole in rank order),
// WORKSPACE_TOO_SMALL, those of the communicator, CUDA_ERROR.
MERIT_API merit_status merit_comm_policy_logprob(merit_context *ctx, merit_comm *comm,
                                                 const merit_comm_policy_logprob_desc *desc,
                                                 const merit_comm_policy_logprob_io *io,
                                                 void *workspace, size_t workspace_bytes,
                                                 merit_stream stream);

// comm_score ---------------------------------------------------------------------------------------

typedef struct merit_comm_score_desc {
    size_t struct_size;
    const merit_score_desc *score; // of score_forward on this rank, shard PARTIAL
    int64_t hidden_begin; // of this rank's hidden_size elements, a multiple of 2048; default 0
    int64_t hidden_total; // of all ranks, 1..2^31 - 1; default 0 = missing
    int64_t
        max_hidden_size; // the largest hidden_size of any rank; 0 = ceil(hidden_total / ranks) up to a
    // multiple of 2048; default 0
} merit_comm_score_desc;

typedef struct merit_comm_score_io {
    size_t struct_size;
    const double *tile_sums; // in   [ceil(H/2048),P,K] of score_forward on this rank; routed: [.,P]
    const int64_t
        *found_positions; // in   [P], NULL = all have a token: as score_forward wrote them
    // the same on all ranks
    const float *bias; // in   [K], NULL = 0
    const float *post_mean; // in   [K], NULL = 0
    const float *post_std; // in   [K], NULL = 1
    const int32_t *route; // in   [P]: routed
    float *scores; // out  [P,K], score_stride; routed: [P]
    merit_diagnostics *diagnostics; // in/out, NULL
} merit_comm_score_io;

MERIT_API merit_status merit_comm_score_desc_init(merit_comm_score_desc *desc, size_t size);
MERIT_API merit_status merit_comm_score_workspace(merit_context *ctx, const merit_comm *comm,
                                                  const merit_comm_score_desc *desc, size_t *bytes);

// Scores of hidden states whose columns are cut over ranks: gathers the tile sums that score_forward
// with PARTIAL left on each and does the work of score_finish. Every rank has the scores of one rank, bit
// for bit, whatever the number of ranks and the cut. score_backward needs no collective: each rank calls
// it on its own columns of hidden and weight, with the same grad_scores.
// Counts BAD_STD and BAD_ROUTE, on every rank. Levels: all five. One collective, one launch.
// Statuses: INVALID_ARGUMENT (as score_finish; shard not PARTIAL, hidden_begin not a multiple of 2048,
// hidden_size over max_hidden_size; ranks whose positions, heads, hidden_total or sets of arrays differ, or
// whose parts are not the whole in rank order), WORKSPACE_TOO_SMALL, those of the communicator, CUDA_ERROR.
MERIT_API merit_status merit_comm_score(merit_context *ctx, merit_comm *comm,
                                        const merit_comm_score_desc *desc,
                                        const merit_comm_score_io *io, void *workspace,
                                        size_t workspace_bytes, merit_stream stream);

// comm_score_gradients -----------------------------------------------------------------------------

typedef struct merit_comm_score_gradients_desc {
    size_t struct_size;
    const merit_score_desc *score; // of score_backward on this rank, shard PARTIAL
    int64_t max_positions; // the most positions of any rank; 0 = all have as many; default 0
    int32_t accumulate; // 1: adds to grad_weight and grad_bias; default 0
} merit_comm_score_gradients_desc;

typedef struct merit_comm_score_gradients_io {
    size_t struct_size;
    const double
        *weight_tiles; // in   [ceil(P/2048),K,H]: grad_weight of score_backward on this rank
    const double *bias_tiles; // in   [ceil(P/2048),K]: its grad_bias; NULL with grad_bias NULL
    float *grad_weight; // out  [K,H], grad_weight_stride, NULL with weight_tiles NULL
    float *grad_bias; // out  [K], NULL
} merit_comm_score_gradients_io;

MERIT_API merit_status merit_comm_score_gradients_desc_init(merit_comm_score_gradients_desc *desc,
                                                            size_t size);
MERIT_API merit_status
merit_comm_score_gradients_workspace(merit_context *ctx, const merit_comm *comm,
                                     const merit_comm_score_gradients_desc *desc, size_t *bytes);

// Gradients of heads whose positions are cut over ranks (data parallel training): gathers the tile sums
// that score_backward with PARTIAL left on each and folds them by the tree over tiles. Every rank has
// grad_weight and grad_bias of one rank with all positions in rank order, bit for bit.
// A rank holds a multiple of 2048 positions; the last that holds any may hold any number, those after it
// none. Without positions at all, nothing is written. With accumulate, sums are added in binary64.
// Levels: all five. One collective, a launch for each of the two.
// Statuses: INVALID_ARGUMENT (NULL where an array is needed, shard not PARTIAL, more positions than
// max_positions, overlap; ranks whose heads, hidden_size or sets of arrays differ, or that hold another
// number of positions than said), WORKSPACE_TOO_SMALL, those of the communicator, CUDA_ERROR.
MERIT_API merit_status merit_comm_score_gradients(merit_context *ctx, merit_comm *comm,
                                                  const merit_comm_score_gradients_desc *desc,
                                                  const merit_comm_score_gradients_io *io,
                                                  void *workspace, size_t workspace_bytes,
                                                  merit_stream stream);

#ifdef __cplusplus
}
#endif

#endif
