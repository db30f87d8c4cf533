// policy_logprob as the page defines it, by MPFR: exponentials and logarithms to 160 bits, the derivative
// formulas written out.
#ifndef MERIT_TESTS_LOGPROB_ORACLE_H
#define MERIT_TESTS_LOGPROB_ORACLE_H

#include <merit/merit.h>

typedef struct logprob_oracle {
    // [T]; NaN where the page says so
    double *logprob, *lse, *entropy, *sum_sq, *mass;
    int32_t *argmax;
    double *spread; // [T] largest z minus z of the target; 0 without one
    double *grad; // [T,V], after logprob_oracle_gradient
    double *log_pi; // likewise
    double counters[MERIT_NUM_COUNTERS];
} logprob_oracle;

// logits [T,V] without gaps; targets [T] or NULL; the other arrays as in the call.
typedef struct logprob_inputs {
    const double *logits;
    const int64_t *targets;
    const float *temperatures;
    const uint32_t *keep_mask;
    const int32_t *subset_ids;
} logprob_inputs;

logprob_oracle *logprob_oracle_run(const merit_policy_logprob_desc *d, const logprob_inputs *in);
// Fills o->grad: the derivative of sum_t by_logprob[t] logprob[t] + by_entropy[t] entropy[t]; either may be NULL.
void logprob_oracle_gradient(const merit_policy_logprob_desc *d, const logprob_inputs *in,
                             logprob_oracle *o, const float *by_logprob, const float *by_entropy);

void logprob_oracle_free(logprob_oracle *o);

#endif
