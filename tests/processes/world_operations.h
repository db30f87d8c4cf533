// The operations of the table in world_operations.c, one file each.
#ifndef MERIT_TESTS_WORLD_OPERATIONS_H
#define MERIT_TESTS_WORLD_OPERATIONS_H

#include "world.h"

void operation_gather(world *w, int variant);
void operation_fold_moments(world *w, int variant);
void operation_fold_sums(world *w, int variant);
void operation_fold_stats(world *w, int variant);
void operation_gather_rows(world *w, int variant);
void operation_policy_logprob(world *w, int variant);
void operation_score(world *w, int variant);
void operation_score_gradients(world *w, int variant);

#endif
