// The checks of a policy_loss call.
#ifndef MERIT_POLICY_LOSS_CHECKS_H
#define MERIT_POLICY_LOSS_CHECKS_H

#include "internal.h"

merit_status merit_policy_loss_check_options(merit_context *ctx, const merit_policy_loss_desc *d);
merit_status merit_policy_loss_check_arrays(merit_context *ctx, const merit_policy_loss_desc *d,
                                            const merit_policy_loss_io *io);
merit_status merit_policy_loss_check_overlap(merit_context *ctx, const merit_policy_loss_desc *d,
                                             const merit_policy_loss_io *io);

// Bounds of r for A >= 0 ([0]) and A < 0 ([1]).
void merit_policy_loss_bounds(const merit_policy_loss_desc *d, float low[2], float high[2]);

// Whether a call can read `rollout`, leaving statistics aside.
int merit_policy_loss_needs_rollout(const merit_policy_loss_desc *d);

#endif
