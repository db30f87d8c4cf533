// The workspace of the fold of a preference loss over its terms.
#ifndef MERIT_PREFERENCE_LAYOUT_H
#define MERIT_PREFERENCE_LAYOUT_H

#include "../kernels/preference/preference_terms.h"
#include "internal.h"

// First in a workspace: the tickets lie at its start. num_sums: the most that a call may need.
void merit_preference_layout(merit_layout *layout, merit_preference_terms *terms, int64_t count,
                             int32_t num_sums);

#endif
