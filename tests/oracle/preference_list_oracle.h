// preference_list as the page defines it, in long double with plain loops, for checking results.
#ifndef MERIT_TESTS_PREFERENCE_LIST_ORACLE_H
#define MERIT_TESTS_PREFERENCE_LIST_ORACLE_H

#include <merit/merit.h>

typedef struct list_oracle {
    double loss;
    double *group_loss, *lse; // [N]
    double *grad; // [R]
    double *group_limit; // [N] error that a correct group loss may have
    double *grad_limit; // [R]
    double loss_limit;
    double *tiles; // [ceil(N/2048)]
    merit_preference_list_metrics metrics;
    double counters[MERIT_NUM_COUNTERS];
} list_oracle;

// io and desc hold host arrays. The outputs of io are not touched.
list_oracle *list_oracle_run(const merit_preference_list_desc *desc,
                             const merit_preference_list_io *io);
void list_oracle_free(list_oracle *oracle);

#endif
