// One call of merit_dominance_pairwise on host arrays: run on the fixture's backend, read back, compared
// with the oracle.
#ifndef MERIT_TESTS_DOMINANCE_CASE_H
#define MERIT_TESTS_DOMINANCE_CASE_H

#include "dominance_oracle.h"
#include "tk.h"

typedef struct dominance_case {
    merit_dominance_pairwise_desc d; // strides: those of the stored array
    const float *q; // dense [B,M,A,N], stored by dtype and strides
    const float *weights;
    int without_qd, without_gain;
} dominance_case;

typedef struct dominance_result {
    float *qd, *gain; // [B,M,A,A]; NULL if left out
    merit_diagnostics diagnostics;
} dominance_result;

// A preset (NULL: the defaults) over dense sizes.
dominance_case dominance_make(const char *preset, const float *q, int64_t B, int M, int A, int N);

dominance_result dominance_run(tk_fixture *tk, const dominance_case *c);
void dominance_free(dominance_result *r);

// Runs, expects OK, and in the first run of the body compares with the oracle.
void dominance_check(tk_fixture *tk, const dominance_case *c);

// Stored forms: `count` elements behind the base, 0xff between those of q.
void *dominance_store_q(const merit_dominance_pairwise_desc *d, const float *q, int64_t *count,
                        size_t *size);

// Rows for random tests: ascending levels, some ties, rounded to what every dtype holds.
void dominance_fill(tk_random *random, float *q, int64_t rows, int N, int sorted);

double *dominance_widen(const float *q, int64_t count);

#endif
