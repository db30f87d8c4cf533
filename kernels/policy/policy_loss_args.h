// Arguments of the launchers of policy_loss.
#ifndef MERIT_POLICY_LOSS_ARGS_H
#define MERIT_POLICY_LOSS_ARGS_H

#include <merit/policy_loss.h>

#include "policy_sequences.h"
#include "policy_terms.h"

// What a sequence adds up for the loss and the statistics; the order of merit_policy_terms.sums.
enum {
    MERIT_POLICY_LOSS_SUM_LOSS = MERIT_POLICY_SUM_LOSS,
    MERIT_POLICY_LOSS_SUM_POLICY,
    MERIT_POLICY_LOSS_SUM_KL,
    MERIT_POLICY_LOSS_SUM_ENTROPY,
    MERIT_POLICY_LOSS_SUM_RATIO,
    MERIT_POLICY_LOSS_SUM_RATIO_SQUARED,
    MERIT_POLICY_LOSS_SUM_K1,
    MERIT_POLICY_LOSS_SUM_K3,
    MERIT_POLICY_LOSS_SUM_KL_REF,
    MERIT_POLICY_LOSS_SUM_ENTROPY_SEEN,
    MERIT_POLICY_LOSS_SUM_MISMATCH,
    MERIT_POLICY_LOSS_SUM_GAP,
    MERIT_POLICY_LOSS_SUMS
};

// Sums over the tokens of a sequence in the main sweep.
enum {
    MERIT_POLICY_CELL_POLICY = 0, // c l
    MERIT_POLICY_CELL_KL, // k KL, times r if so weighted
    MERIT_POLICY_CELL_ENTROPY, // k H
    MERIT_POLICY_CELL_SLOPE, // what goes through the ratio of the sequence
    // of the statistics
    MERIT_POLICY_CELL_RATIO,
    MERIT_POLICY_CELL_RATIO_SQUARED,
    MERIT_POLICY_CELL_K1,
    MERIT_POLICY_CELL_K3,
    MERIT_POLICY_CELL_KL_REF,
    MERIT_POLICY_CELL_ENTROPY_SEEN,
    MERIT_POLICY_CELL_MISMATCH,
    MERIT_POLICY_CELL_GAP,
    MERIT_POLICY_CELLS,
    MERIT_POLICY_LOSS_CELLS = MERIT_POLICY_CELL_RATIO // without statistics
};

// Flags of a token, counted; then counts of sequences.
enum {
    MERIT_POLICY_COUNT_CLIPPED_LOW = 0,
    MERIT_POLICY_COUNT_CLIPPED_HIGH,
    MERIT_POLICY_COUNT_CAPPED,
    MERIT_POLICY_COUNT_DUAL_CLIPPED,
    MERIT_POLICY_COUNT_LOG_CLAMPED,
    MERIT_POLICY_COUNT_DIVERGENCE_MASKED,
    MERIT_POLICY_COUNT_TRUNCATED,
    MERIT_POLICY_COUNT_MASKED,
    MERIT_POLICY_COUNT_REJECTED,
    MERIT_POLICY_COUNT_NAN,
    MERIT_POLICY_TOKEN_COUNTS,
    MERIT_POLICY_COUNT_TOKENS = MERIT_POLICY_TOKEN_COUNTS,
    MERIT_POLICY_COUNT_NONEMPTY,
    MERIT_POLICY_COUNT_REJECTED_SEQUENCES,
    MERIT_POLICY_COUNTS
};

enum {
    MERIT_POLICY_EXTREME_RATIO_MIN = 0,
    MERIT_POLICY_EXTREME_RATIO_MAX,
    MERIT_POLICY_EXTREME_MISMATCH_MIN,
    MERIT_POLICY_EXTREME_MISMATCH_MAX
};

typedef struct merit_policy_loss_args {
    merit_policy_loss_desc d;
    merit_policy_loss_io io;
    merit_policy_layout layout;
    float low[2], high[2]; // bounds of r for A >= 0 and A < 0
    int32_t is_geometric; // the main surrogate is
    int32_t reads_old; // as given; else old is lp
    int32_t reads_rollout;
    int32_t reads_entropy;
    int32_t needs_sequence; // a sweep over the sequence comes before the main one
    int32_t goes_through; // gradients need a sum over the sequence: one more sweep
    int32_t is_plain; // see policy_loss_plain.cuh
    merit_policy_terms terms; // one per sequence
} merit_policy_loss_args;

#endif
