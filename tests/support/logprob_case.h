// Calls of policy_logprob on host arrays: run on the fixture's backend, read back, compared with the oracle.
#ifndef MERIT_TESTS_LOGPROB_CASE_H
#define MERIT_TESTS_LOGPROB_CASE_H

#include "logprob_oracle.h"
#include "tk.h"

// Which outputs a call asks for.
enum {
    LP_LOGPROB = 1,
    LP_LSE = 2,
    LP_ENTROPY = 4,
    LP_SUM_SQ = 8,
    LP_MASS = 16,
    LP_ARGMAX = 32,
    LP_STATE = 64,
    LP_DIAGNOSTICS = 128,
    LP_ALL = 255
};

typedef struct logprob_case {
    merit_policy_logprob_desc d;
    const float *logits; // [T,V]: numbers of dtype, stored by ld_logits
    const int64_t *targets; // [T] or NULL, stored by target_dtype
    const float *temperatures; // [T] or NULL
    const uint32_t *keep_mask;
    const int32_t *subset_ids;
    int outputs; // LP_ bits
} logprob_case;

// What came back, in host memory.
typedef struct logprob_result {
    merit_status status;
    float *logprob, *lse, *entropy, *sum_sq, *mass; // [T], NULL if not asked for
    int32_t *argmax;
    merit_policy_logprob_state *state;
    merit_diagnostics diagnostics;
} logprob_result;

// The defaults for T rows of V logits, all outputs but mass.
logprob_case logprob_make(const float *logits, const int64_t *targets, int64_t T, int64_t V);

logprob_result logprob_run(tk_fixture *tk, const logprob_case *c);
void logprob_free(logprob_result *r);

// Runs, expects OK, and in the first run of the body compares every output with the oracle, within the bounds
// that the header states.
void logprob_check(tk_fixture *tk, const logprob_case *c);

// Backward ----------------------------------------------------------------------------------------

// The gradient [T,V] as stored words, widened to 32 bits; forward runs first. Freed by the caller. Either of
// by_logprob and by_entropy may be NULL. in_place: over the logits.
uint32_t *logprob_run_backward(tk_fixture *tk, const logprob_case *c, const float *by_logprob,
                               const float *by_entropy, int in_place, merit_diagnostics *found);

// The same compared with the oracle within the bounds that the header states.
void logprob_check_backward(tk_fixture *tk, const logprob_case *c, const float *by_logprob,
                            const float *by_entropy, int in_place);

// Storage of logits -------------------------------------------------------------------------------

size_t logprob_element(int32_t dtype);

// x as a number of dtype: 16-bit types lose their low bits.
float logprob_rounded(float x, int32_t dtype);

// Rows in storage form with NaN between them; freed by the caller.
void *logprob_stored(const float *logits, int32_t dtype, int64_t T, int64_t V, int64_t ld);

double logprob_from_word(uint32_t word, int32_t dtype);

// [T,V] from storage, widened; freed by the caller.
double *logprob_widened(const void *stored, int32_t dtype, int64_t T, int64_t V, int64_t ld);

// Normal logits with deviation `spread`, numbers of dtype; freed by the caller.
float *logprob_random(int64_t count, double spread, int32_t dtype, uint64_t seed);

#endif
