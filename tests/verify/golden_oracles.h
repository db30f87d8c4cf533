// The second oracle of a golden case: the operation runs on the inputs of the case, and every output is
// held against the C oracle of the Criterion suites, within the bounds of those suites.
#ifndef MERIT_TESTS_GOLDEN_ORACLES_H
#define MERIT_TESTS_GOLDEN_ORACLES_H

#include "tk.h"

// desc and io as the case gives them, in host memory, before the call. NULL: compared; else why not.
typedef const char *golden_check(tk_fixture *tk, const void *desc, const void *io);

golden_check golden_preference_pair, golden_preference_list, golden_preference_ordinal;
golden_check golden_advantage_group;
golden_check golden_policy_loss;

#endif
