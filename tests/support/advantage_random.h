// Random calls of merit_advantage_group: any layout, any options that go together, odd data.
#ifndef MERIT_TESTS_ADVANTAGE_RANDOM_H
#define MERIT_TESTS_ADVANTAGE_RANDOM_H

#include "advantage_case.h"

typedef struct ag_random {
    ag_case c;
    void *owned[24];
    int num_owned;
} ag_random;

// A case of at most about max_rows rows, all from the state of `random`.
ag_random ag_random_case(tk_random *random, int64_t max_rows);
void ag_random_free(ag_random *r);

// Layout of a case: groups of the given sizes, over all rows or through a random index. Sets
// groups, num_rows; offsets and index are owned by r.
void ag_random_offsets(ag_random *r, tk_random *random, const int64_t *sizes, int64_t num_groups,
                       int with_index);

// Rewards of R rows and K columns by the strides of r->c.d, in its dtype, from one of several
// kinds of data. nonfinite: share of NaN and infinities.
void ag_random_rewards(ag_random *r, tk_random *random, double nonfinite);

void *ag_random_own(ag_random *r, int64_t count, size_t size);

#endif
