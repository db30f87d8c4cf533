// Types that several families share: data types, streams, groups, moments, diagnostics.
#ifndef MERIT_TYPES_H
#define MERIT_TYPES_H

#include <stddef.h>
#include <stdint.h>

// A CUDA stream: the same type as cudaStream_t, so no CUDA header is needed. NULL is the default
// stream on CUDA and the only value the CPU backend takes meaning from (it ignores streams).
typedef struct CUstream_st *merit_stream;

// Element types of arrays whose type is an option. BF16 and F16 are raw 16-bit words.
typedef enum merit_dtype {
    MERIT_DTYPE_F32 = 0,
    MERIT_DTYPE_F64 = 1,
    MERIT_DTYPE_BF16 = 2,
    MERIT_DTYPE_F16 = 3,
    MERIT_DTYPE_I32 = 4,
    MERIT_DTYPE_I64 = 5
} merit_dtype;

// Who belongs together: N groups (or sequences, or segments) over R rows.
//   uniform   group_size G > 0: group n holds rows n * stride ... n * stride + G - 1 with
//             stride = group_stride, or G when group_stride is 0 (dense)
//   offsets   group_size 0: group n holds positions offsets[n] ... offsets[n + 1] - 1. A position
//   is a
//             row, or index[position] is its row when index is given (see merit_group_index)
// offsets and index live in the memory of the context's backend. max_size bounds the largest group
// of an offsets layout; 0 = unknown, which selects a general schedule. A group larger than max_size
// is NaN and counted (MERIT_COUNTER_GROUP_TOO_LARGE).
typedef struct merit_groups {
    int64_t num_groups; // N >= 0
    int64_t group_size; // G > 0: uniform; 0: offsets
    int64_t group_stride; // rows from one uniform group to the next, >= G; 0 = G
    const int64_t *offsets; // [N+1], rising
    const int32_t *index; // [R], NULL = positions are rows
    int64_t max_size; // bound on a group of an offsets layout; 0 = unknown
} merit_groups;

// First two moments and range of a population. m2 = sum of (x - mean)^2. Five binary64 words.
typedef struct merit_moments {
    double count;
    double mean;
    double m2;
    double min;
    double max;
} merit_moments;

// What only the data can show, counted per call into merit_diagnostics.count[].
typedef enum merit_counter {
    MERIT_COUNTER_NAN_IN = 0, // NaN elements read
    MERIT_COUNTER_INF_IN = 1, // infinite elements read
    MERIT_COUNTER_SINGLETON = 2, // groups whose statistic is undefined, under a NAN rule
    MERIT_COUNTER_NO_STATISTICS = 3, // groups with members but nothing to take statistics of
    MERIT_COUNTER_UNGROUPED = 4, // rows in no group
    MERIT_COUNTER_BAD_OFFSETS = 5, // groups whose offsets decrease or leave the rows
    MERIT_COUNTER_BAD_INDEX = 6, // index entries outside the rows
    MERIT_COUNTER_GROUP_TOO_LARGE = 7, // groups above a limit of the operation or above max_size
    MERIT_COUNTER_INCOMPLETE_GROUP = 8, // groups whose size is not the expected one
    MERIT_COUNTER_BAD_ID = 9, // ids at or above num_groups
    MERIT_COUNTER_EMPTY_SEQUENCE = 10, // sequences without a valid step
    MERIT_COUNTER_EMPTY_STATISTICS = 11, // populations without a valid value
    MERIT_COUNTER_NONFINITE = 12, // pairs, groups or rows with a NaN or infinite input or result
    MERIT_COUNTER_BAD_TARGET = 13, // labels, outcomes, probabilities or indices outside their range
    MERIT_COUNTER_BAD_ROUTE = 14, // routes outside [0, K)
    MERIT_COUNTER_BAD_LENGTH = 15, // lengths that are not positive
    MERIT_COUNTER_BAD_WEIGHT = 16, // negative or NaN weights
    MERIT_COUNTER_BAD_TIE = 17, // ties under a threshold that is not positive
    MERIT_COUNTER_ZERO_DENOMINATOR = 18, // routes with valid pairs and a denominator of 0
    MERIT_COUNTER_BAD_REGION = 19, // level regions that are empty or admit no pair
    MERIT_COUNTER_BAD_RANK = 20, // ranks below -1
    MERIT_COUNTER_EMPTY_GROUP = 21, // groups without anything to take a loss of
    MERIT_COUNTER_UNSORTED = 22, // rows whose levels should rise and do not
    MERIT_COUNTER_BAD_COUNT = 23, // rows with a count of targets outside [0, N']
    MERIT_COUNTER_BAD_ACTION = 24, // rows without an action inside [0, A)
    MERIT_COUNTER_BAD_TAU = 25, // rows with a quantile level outside [0, 1]
    MERIT_COUNTER_EMPTY_ROW = 32, // sequences or rows without anything to score
    MERIT_COUNTER_BAD_POSITION = 33, // positions past the hidden states or their sequence
    MERIT_COUNTER_REPEATED_POSITION = 34, // positions after the first of the same token
    MERIT_COUNTER_BAD_STD = 35, // heads whose divisor is 0 or NaN
    MERIT_COUNTER_ZERO_DIRECTION = 36, // directions of length 0 that were to be normalized
    MERIT_COUNTER_CROSSING = 37, // rows of quantiles that are not ascending
    MERIT_COUNTER_BAD_LABEL = 40, // rows whose target or subset leaves the vocabulary
    MERIT_COUNTER_TARGET_OUTSIDE_SUPPORT = 41, // rows whose target has probability 0
    MERIT_COUNTER_EMPTY_SUPPORT = 42, // rows without a logit above -inf
    MERIT_COUNTER_LOGIT_RANGE = 43, // rows whose largest logit is beyond the range of the exponent
    MERIT_COUNTER_BAD_TEMPERATURE = 44 // rows whose temperature is not positive and finite
} merit_counter;

#define MERIT_NUM_COUNTERS 64

// In the memory of the context's backend; zeroed by the caller, incremented atomically by calls.
typedef struct merit_diagnostics {
    uint64_t count[MERIT_NUM_COUNTERS];
} merit_diagnostics;

#endif
