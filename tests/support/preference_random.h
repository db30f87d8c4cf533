// Random calls of merit_preference_pair: any options that go together, odd data.
#ifndef MERIT_TESTS_PREFERENCE_RANDOM_H
#define MERIT_TESTS_PREFERENCE_RANDOM_H

#include "preference_case.h"

typedef struct pc_random {
    pc_case c;
    void *owned[32];
    int num_owned;
} pc_random;

// A case of num_pairs pairs with random options. broken: share of pairs with a NaN, a bad target
// and so on.
pc_random pc_random_case(tk_random *random, int64_t num_pairs, double broken);
void pc_random_free(pc_random *r);

// Scores of the case's dtype and strides for what r->c.d says.
void pc_random_scores(pc_random *r, tk_random *random, double scale, double broken);

void *pc_random_own(pc_random *r, int64_t count, size_t size);
float *pc_random_floats(pc_random *r, tk_random *random, int64_t count, double low, double high);

#endif
