// policy_logprob: the defaults and what each named use changes of them.
#include "policy_logprob_presets.h"

#include <math.h>

#include "presets.h"

// A row names only what differs, so it overrides the defaults that precede it.
#pragma GCC diagnostic ignored "-Woverride-init"

#define DEFAULTS                                                                                  \
    .struct_size = sizeof(merit_policy_logprob_desc), .vocab_size = 1, .dtype = MERIT_DTYPE_BF16, \
    .target_dtype = MERIT_DTYPE_I64, .temperature = 1.0f, .logit_scale = 1.0f, .soft_cap = 0.0f,  \
    .support = MERIT_LOGPROB_SUPPORT_ALL, .normalize = MERIT_LOGPROB_NORMALIZE_SUPPORT,           \
    .ignore_index = -100, .num_shards = 1

MERIT_PRESET_ROW(policy_logprob);

static const merit_policy_logprob_row presets[] = {
    {.name = "logprob.default", .options = {DEFAULTS}},
    // the model's own: required of the caller
    {.name = "logprob.trl",
     .options = {DEFAULTS, .temperature = NAN, .logit_scale = NAN, .soft_cap = NAN}},
    {.name = "logprob.genprm", .options = {DEFAULTS, .support = MERIT_LOGPROB_SUPPORT_SUBSET}},
};

const merit_policy_logprob_desc merit_policy_logprob_defaults = {DEFAULTS};

merit_status merit_policy_logprob_desc_init(merit_policy_logprob_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &merit_policy_logprob_defaults, sizeof *desc,
                             MERIT_SIZE_0_1(merit_policy_logprob_desc, num_shards));
}

MERIT_PRESETS(policy_logprob, presets, temperature, ignore_index)
