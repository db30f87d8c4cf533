// preference_ordinal as the page defines it: O(K^2) sums in long double over log probabilities.
#ifndef MERIT_TESTS_PREFERENCE_ORDINAL_ORACLE_H
#define MERIT_TESTS_PREFERENCE_ORDINAL_ORACLE_H

#include <merit/merit.h>

typedef struct ordinal_oracle {
    double loss;
    double *pair_loss, *win, *tie; // [N]
    double *mean; // [N,2]
    double *grad_chosen, *grad_rejected; // [N,K]
    merit_preference_ordinal_metrics metrics;
    double counters[MERIT_NUM_COUNTERS];
} ordinal_oracle;

// chosen, rejected: [N,K] as stored, widened. io holds host arrays; its logits are not looked at.
ordinal_oracle *ordinal_oracle_run(const merit_preference_ordinal_desc *desc,
                                   const merit_preference_ordinal_io *io, const double *chosen,
                                   const double *rejected);
void ordinal_oracle_free(ordinal_oracle *oracle);

#endif
