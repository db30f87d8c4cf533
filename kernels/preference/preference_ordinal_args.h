// Arguments of the launchers of preference_ordinal.
#ifndef MERIT_PREFERENCE_ORDINAL_ARGS_H
#define MERIT_PREFERENCE_ORDINAL_ARGS_H

#include <merit/preference.h>

#include "preference_terms.h"

enum {
    MERIT_ORDINAL_MAX_LEVELS = 64,
    // Up to here each block takes the divisor's sum for itself; above, all blocks do it together.
    MERIT_ORDINAL_SUMMED_HERE = 16384
};

// What a pair adds to the loss and the metrics.
enum {
    MERIT_ORDINAL_SUM_WEIGHTED = MERIT_PREFERENCE_SUM_WEIGHTED, // w times the loss
    MERIT_ORDINAL_SUM_SHARE = 1, // what it adds to MEAN_WEIGHT's divisor
    MERIT_ORDINAL_SUM_LOSS = 2,
    MERIT_ORDINAL_SUM_WEIGHT = 3,
    MERIT_ORDINAL_SUM_DIFFERENCE = 4,
    MERIT_ORDINAL_NUM_SUMS = 5
};

enum {
    MERIT_ORDINAL_COUNT_VALID = 0, // bits of a pair's flags
    MERIT_ORDINAL_COUNT_ZERO_WEIGHT = 1,
    MERIT_ORDINAL_COUNT_CORRECT = 2,
    MERIT_ORDINAL_COUNT_TIED = 3,
    MERIT_ORDINAL_COUNT_INVALID = 4
};

typedef struct merit_preference_ordinal_args {
    merit_preference_ordinal_desc d; // strides resolved: no zeros
    merit_preference_ordinal_io io;
    int32_t needs_divisor; // gradients under a mean whose divisor has to be summed first
    int32_t needs_fold; // loss, loss_tiles, metrics or the check of a GIVEN denominator
    int32_t needs_order; // win, tie or metrics: P(i > j), P(i = j), P(i < j) without regions
    int32_t needs_mean; // mean or metrics
    merit_preference_terms terms; // one per pair
    // workspace
    double *divisor_tiles; // [tiles of 2048 pairs]
} merit_preference_ordinal_args;

#endif
