// What group_index and advantage_spread should give, by brute force. Shares nothing with kernels/.
#ifndef MERIT_TESTS_GROUP_ORACLE_H
#define MERIT_TESTS_GROUP_ORACLE_H

#include <stdint.h>

typedef enum group_oracle_kind {
    GROUP_ORACLE_DENSE,
    GROUP_ORACLE_RUNS,
    GROUP_ORACLE_LABELS
} group_oracle_kind;

typedef struct group_oracle {
    int64_t num_offsets;
    int64_t *offsets; // [num_offsets]
    int32_t *index; // [R]
    int32_t *group_of; // [R]
    int64_t num_groups;
    int32_t max_size;
    uint64_t ungrouped, bad_ids;
} group_oracle;

// num_groups is N of DENSE.
group_oracle group_oracle_index(group_oracle_kind kind, const int64_t *ids, int64_t num_rows,
                                int64_t num_groups);
void group_oracle_free(group_oracle *o);

// Segments of an order-preserving or indexed layout over num_tokens tokens. size 0: offsets.
typedef struct spread_layout {
    int64_t num_segments, size, stride, max_size;
    const int64_t *offsets;
    const int32_t *index;
    int64_t num_tokens;
} spread_layout;

// The segment of each token: -1 none, -2 one above max_size, -3 not written: in a bad segment, or
// no position is the token's. Segments must not overlap.
void spread_oracle_segments(const spread_layout *layout, int32_t *segment_of);

// gain * value, plus add if has_add, as the bits of binary32 or
// of a bf16 word. NaN is canonical.
uint32_t spread_oracle_word(double gain, double value, int has_add, double add, int is_bf16);

#endif
