// The options of policy_loss as data: the defaults and the named presets.
#ifndef MERIT_POLICY_LOSS_PRESETS_H
#define MERIT_POLICY_LOSS_PRESETS_H

#include <merit/policy_loss.h>

// What merit_policy_loss_desc_init writes; struct_size is that of this library.
extern const merit_policy_loss_desc merit_policy_loss_defaults;

#endif
