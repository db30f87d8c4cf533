// What the drivers of the policy losses share: sequences, the workspace of the fold, overlap.
#ifndef MERIT_POLICY_LAYOUT_H
#define MERIT_POLICY_LAYOUT_H

#include "../kernels/policy/policy_sequences.h"
#include "../kernels/policy/policy_terms.h"
#include "internal.h"

// Checks the sequences over num_tokens tokens and resolves their stride. A call without tokens keeps
// its sequences, which are then empty.
merit_status merit_policy_check_sequences(merit_context *ctx, const merit_groups *sequences,
                                          int64_t num_tokens, merit_policy_layout *out);

merit_status merit_policy_check_denominator(merit_context *ctx, double denominator,
                                            const double *array, int some);

// First in a workspace: the tickets lie at its start.
void merit_policy_lay_out_terms(merit_layout *layout, merit_policy_terms *terms, int64_t count,
                                int32_t num_sums);

#endif
