// One call of merit_dominance_subset on host arrays: run on the fixture's backend, read back, compared
// with the oracle.
#ifndef MERIT_TESTS_SUBSET_CASE_H
#define MERIT_TESTS_SUBSET_CASE_H

#include "dominance_case.h"
#include "dominance_subset_oracle.h"

typedef struct subset_case {
    merit_dominance_subset_desc d;
    const float *q; // dense [B,M,A,N], stored by dtype and strides
    const float *weights;
    const uint8_t *valid;
    const uint32_t *random;
} subset_case;

// Words as the call writes them.
typedef struct subset_result {
    uint32_t *subset, *final, *flags;
    int32_t *action, *greedy;
    merit_diagnostics diagnostics;
    int words;
} subset_result;

subset_case subset_make(const char *preset, const float *q, int64_t B, int M, int A, int N);
subset_result subset_run(tk_fixture *tk, const subset_case *c);
void subset_free(subset_result *r);

// Runs, expects OK, and in the first run compares every output with the oracle; returns the states that
// could be compared (the others hang on rounding), 0 in later runs.
int64_t subset_check(tk_fixture *tk, const subset_case *c);

// The relation of pairs of rows [pairs,2,N] under the options of `options` (one objective): 1 the first
// beats the second, -1 the second the first, 0 neither. Fails where both do. Released by the caller.
int8_t *subset_relation(tk_fixture *tk, const subset_case *options, const float *q, int64_t pairs,
                        int N);

// The set of state b as a word, for at most 32 actions.
uint32_t subset_of(const subset_case *c, const subset_result *r, int64_t b, int m);

#endif
