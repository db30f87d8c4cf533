// dominance_quantile_target as its definition reads, sample by sample.
#ifndef MERIT_TESTS_QUANTILE_TARGET_ORACLE_H
#define MERIT_TESTS_QUANTILE_TARGET_ORACLE_H

#include <merit/dominance_quantile.h>

typedef struct target_oracle {
    float *target; // [B M, room] dense; what is not written holds -77
    int32_t *count; // [B M]: samples of a row
    int64_t room;
    uint64_t bad_action;
} target_oracle;

// q: dense [B,M,A,N'], widened. The other arrays of io are host memory; desc as the caller gives it.
target_oracle *target_oracle_new(const merit_dominance_quantile_target_desc *desc,
                                 const merit_dominance_quantile_target_io *io, const float *q);
void target_oracle_free(target_oracle *o);

#endif
