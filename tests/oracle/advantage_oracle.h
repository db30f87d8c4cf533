// advantage_group as the page defines it, in long double with plain loops, for checking results.
#ifndef MERIT_TESTS_ADVANTAGE_ORACLE_H
#define MERIT_TESTS_ADVANTAGE_ORACLE_H

#include <merit/merit.h>

// Expected outputs, all widened to binary64. A limit is how far a correct result may be off; an
// infinite one marks a result that rounding alone decides (a sign at 0, s next to its threshold).
typedef struct advantage_oracle {
    int64_t num_values; // R, or R * K with SEPARATE
    int64_t num_records; // N, or N * K
    int64_t num_sets; // 1 or K
    double *advantages, *limits; // [num_values]
    double *keep; // [num_values]
    unsigned char *written; // [num_values] 0: the call leaves this element alone
    double *group_count, *group_flags; // [num_records]
    double *unsure_flags; // [num_records] bits that rounding alone decides
    double *group_mean, *group_scale, *group_min, *group_max; // [num_records]
    double *mean_limits, *scale_limits, *range_limits; // [num_records]
    double *batch, *batch_limits; // [num_sets][5]: count, mean, m2, min, max
    double *group_moments, *group_moments_limits; // [num_records][5]
    double *tile_moments, *tile_moments_limits; // [num_tiles, num_sets][5]: of 2048 groups
    int64_t num_tiles;
    double counters[MERIT_NUM_COUNTERS];
    int is_empty; // R = 0 or N = 0: nothing is written
    int64_t undecided; // elements with an infinite limit
} advantage_oracle;

// io and desc hold host arrays. The outputs of io are not touched.
advantage_oracle *advantage_oracle_run(const merit_advantage_group_desc *desc,
                                       const merit_advantage_group_io *io);
void advantage_oracle_free(advantage_oracle *oracle);

#endif
