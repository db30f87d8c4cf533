// What both calls of policy_logprob check.
#ifndef MERIT_POLICY_LOGPROB_CHECKS_H
#define MERIT_POLICY_LOGPROB_CHECKS_H

#include <merit/policy.h>

#include "check.h"

// Reads and checks the descriptor; ld_logits of 0 becomes V.
merit_status merit_logprob_read_desc(merit_context *ctx, const merit_policy_logprob_desc *desc,
                                     merit_policy_logprob_desc *d);

// keep_mask and subset_ids against `support`.
merit_status merit_logprob_check_support(merit_context *ctx, const merit_policy_logprob_desc *d,
                                         const uint32_t *keep_mask, const int32_t *subset_ids);

size_t merit_logprob_logits_bytes(const merit_policy_logprob_desc *d);
size_t merit_logprob_targets_bytes(const merit_policy_logprob_desc *d);
size_t merit_logprob_mask_bytes(const merit_policy_logprob_desc *d);
size_t merit_logprob_subset_bytes(const merit_policy_logprob_desc *d);

#endif
