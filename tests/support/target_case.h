// One call of merit_dominance_quantile_target on host arrays: run on the fixture's backend, read back,
// compared with the oracle.
#ifndef MERIT_TESTS_TARGET_CASE_H
#define MERIT_TESTS_TARGET_CASE_H

#include "dominance_case.h"
#include "quantile_target_oracle.h"

typedef struct target_case {
    merit_dominance_quantile_target_desc d;
    merit_dominance_quantile_target_io io; // inputs: host arrays, but q_next
    const float *q; // dense [B,M,A,N'], stored by dtype and strides
} target_case;

typedef struct target_result {
    float *target; // [B M, room] dense
    int32_t *count; // [B M], MIXTURE
    int64_t room;
    merit_diagnostics diagnostics;
} target_result;

// The defaults or a preset with these sizes.
target_case target_make(const char *preset, const float *q, int64_t B, int M, int A, int N);
target_result target_run(tk_fixture *tk, const target_case *c);
void target_free(target_result *r);

// Runs, expects OK, and in the first run compares every output with the oracle.
void target_check(tk_fixture *tk, const target_case *c);

#endif
