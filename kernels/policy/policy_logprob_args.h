// Arguments of the launchers of policy_logprob_forward and policy_logprob_backward.
#ifndef MERIT_POLICY_LOGPROB_ARGS_H
#define MERIT_POLICY_LOGPROB_ARGS_H

#include <merit/policy.h>

enum {
    MERIT_LOGPROB_MAX_VOCAB = 1 << 24,
    MERIT_LOGPROB_MAX_SUBSET = 64,
    // Up to so many rows, the segments of a row are spread over threads or blocks.
    MERIT_LOGPROB_SPLIT_ROWS = 256,
    // Segments of a row whose sums one block keeps in shared memory; longer rows are spread.
    MERIT_LOGPROB_BLOCK_TILES = 256,
    // Words at the start of the workspace that every call leaves at 0.
    MERIT_LOGPROB_TICKET_WORDS = 256
};

// What is summed besides the weights.
enum { MERIT_LOGPROB_SUM = 0, MERIT_LOGPROB_MOMENT = 1, MERIT_LOGPROB_SQUARES = 2 };

// Sums over a segment, weights relative to its reference exponent M, which follows from max:
//   sum e    moment e y    squares e^2,    e = 2^y, y = logit - M
// max -inf: no logit. sum 0: no weight at all; NaN: a logit is NaN or +inf.
typedef struct merit_logprob_segment {
    float max, sum, moment, squares;
} __attribute__((aligned(16))) merit_logprob_segment;

// The same over several segments.
typedef struct merit_logprob_sums {
    double sum;
    double moment;
    double squares;
    int32_t exponent; // M
    int32_t tile; // the first segment with the largest logit
    float max;
} merit_logprob_sums;

typedef struct merit_policy_logprob_forward_args {
    merit_policy_logprob_desc d; // strides resolved: ld_logits is not 0
    merit_policy_logprob_forward_io io;
    int32_t level; // MERIT_LOGPROB_SUM ...
    int32_t
        sets; // sums that are taken over the vocabulary: 0 (SUBSET alone), 1, or 2 (MASK and FULL)
    int32_t split; // segments of a row are spread
    int32_t share; // set by the launchers: warps of a block that work on one row
    int32_t at_once; // set by the launchers: rows of a block
    int32_t tiles; // segments of 2048 logits of a row
    int32_t plain_tiles; // of these, whole ones of logits that enter as they are
    // workspace, with split
    uint32_t *tickets; // [T], or the fixed words
    merit_logprob_segment *partials; // [T, sets, tiles]
    merit_logprob_sums *folds; // [T, ceil(tiles / 2)]: where a row is folded
} merit_policy_logprob_forward_args;

typedef struct merit_policy_logprob_merge_args {
    merit_policy_logprob_desc d; // vocab_total resolved
    merit_policy_logprob_merge_io io;
    int32_t tiles; // segments of every rank but the last
    int32_t last_tiles; // of that one
    int64_t shard_step, segment_step; // bytes from rank to rank
    const int64_t *sizes; // gathered messages: logits of rank 0, shard_step apart; NULL: see tiles
} merit_policy_logprob_merge_args;

typedef struct merit_policy_logprob_backward_args {
    merit_policy_logprob_desc d; // strides resolved: ld_logits is not 0
    merit_policy_logprob_backward_io io;
    int32_t plain; // logits enter as they are: no cap, logit_scale > 0, support ALL
    int32_t listed; // a subset, alone: zeros but for its ids
    int32_t parts; // set by the launchers: pieces that a row is cut into
} merit_policy_logprob_backward_args;

#endif
