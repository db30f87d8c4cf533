// dominance_subset of one state as its definition reads: sets as arrays of 0 and 1, the relation anew for
// every question.
#ifndef MERIT_TESTS_DOMINANCE_SUBSET_ORACLE_H
#define MERIT_TESTS_DOMINANCE_SUBSET_ORACLE_H

#include "dominance_oracle.h"

enum { SUBSET_MAX_ACTIONS = 1024, SUBSET_MAX_OBJECTIVES = 32 };

typedef struct subset_oracle {
    uint8_t subset[SUBSET_MAX_OBJECTIVES][SUBSET_MAX_ACTIONS];
    uint8_t final[SUBSET_MAX_ACTIONS];
    int action;
    int greedy[SUBSET_MAX_OBJECTIVES];
    unsigned flags;
    int near; // a decision hangs on rounding: compare nothing
} subset_oracle;

// State b. o: the comparison of all states; valid: [A] or NULL; random: the state's word.
void subset_oracle_run(const merit_dominance_subset_desc *d, const dominance_oracle *o, int64_t b,
                       const uint8_t *valid, uint32_t random, subset_oracle *r);

#endif
