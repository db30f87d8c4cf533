// One population of the advantage oracle: a group and one reward column (or their combination).
#ifndef MERIT_TESTS_ADVANTAGE_ORACLE_GROUP_H
#define MERIT_TESTS_ADVANTAGE_ORACLE_GROUP_H

#include <merit/merit.h>

typedef long double real;

// Rounding of a handful of binary64 operations, relative.
#define ORACLE_ROUNDING 0x1p-50L

typedef struct oracle_member {
    int64_t row;
    int is_masked_in, is_counted, is_skipped; // counted: in V
    double x, weight, baseline;
    real u, u_error; // transformed, and how far rounding may move it
    real a, a_error; // before the map
} oracle_member;

typedef struct oracle_stats {
    real count, mean, m2, min, max; // over u of V
    real weighted_mean;
    real mean_abs; // mean of abs(u - mean)
    real nonzero; // #{u != 0}
    real unsure; // of those, how many rounding may make 0, and the reverse
    real size; // max abs(u): what the rounding of the mean is relative to
    real u_error; // largest
    real lowest_bit; // of all u: sums are exact in binary64 when count * size < 2^53 lowest_bit
    int x_all_equal; // x over V: min == max, finite
} oracle_stats;

typedef struct oracle_group {
    const merit_advantage_group_desc *desc;
    int has_weights;
    oracle_member *members;
    int64_t size; // positions
    oracle_stats stats;
    int64_t best; // RUNNER_UP: the arg-max of V
    real gap; // and what it is ahead by
    // Results of oracle_group_apply.
    real scale, scale_error;
    int used_zero_rule, used_nan_singleton, lacked_statistics;
    int unsure_zero_rule; // rounding decides whether s is under its threshold
} oracle_group;

// array[i] of a merit_dtype.
double oracle_element(const void *array, int32_t dtype, int64_t i);

// u of every member, and the statistics of V.
void oracle_group_transform(oracle_group *group);
void oracle_group_count(oracle_group *group);

// The record of several groups together.
oracle_stats oracle_batch(const oracle_group *groups, int64_t num_groups);

// a of every member. batch and given are the records of those levels.
void oracle_group_apply(oracle_group *group, const oracle_stats *batch, const oracle_stats *given);

#endif
