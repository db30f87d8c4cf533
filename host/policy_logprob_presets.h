// The options of policy_logprob as data: the defaults and the named presets.
#ifndef MERIT_POLICY_LOGPROB_PRESETS_H
#define MERIT_POLICY_LOGPROB_PRESETS_H

#include <merit/policy.h>

// What merit_policy_logprob_desc_init writes; struct_size is that of this library.
extern const merit_policy_logprob_desc merit_policy_logprob_defaults;

#endif
