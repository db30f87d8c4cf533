// policy_value_loss in long double, from its textbook formula.
#ifndef MERIT_TESTS_POLICY_VALUE_ORACLE_H
#define MERIT_TESTS_POLICY_VALUE_ORACLE_H

#include <merit/policy_loss.h>

typedef struct policy_value_oracle {
    long double loss;
    long double loss_size; // sum of absolute terms
    long double *grad; // [T]
    int *valid; // [T] 1, 0, -1 in a refused sequence
    long long tokens, clipped, refused;
    long double sum_value, sum_squared_error, sum_return, sum_return_squared;
} policy_value_oracle;

policy_value_oracle *policy_value_oracle_run(const merit_policy_value_loss_desc *d,
                                             const merit_policy_value_loss_io *io);
void policy_value_oracle_free(policy_value_oracle *o);

#endif
