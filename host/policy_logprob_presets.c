// policy_logprob: the defaults and what each named use changes of them.
#include "policy_logprob_presets.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "check.h"

// A row names only what differs, so it overrides the defaults that precede it.
#pragma GCC diagnostic ignored "-Woverride-init"

#define DEFAULTS                                                                                  \
    .struct_size = sizeof(merit_policy_logprob_desc), .vocab_size = 1, .dtype = MERIT_DTYPE_BF16, \
    .target_dtype = MERIT_DTYPE_I64, .temperature = 1.0f, .logit_scale = 1.0f, .soft_cap = 0.0f,  \
    .support = MERIT_LOGPROB_SUPPORT_ALL, .normalize = MERIT_LOGPROB_NORMALIZE_SUPPORT,           \
    .ignore_index = -100, .num_shards = 1

typedef struct preset_row {
    const char *name;
    merit_policy_logprob_desc options;
} preset_row;

static const preset_row presets[] = {
    {.name = "logprob.default", .options = {DEFAULTS}},
    // the model's own: required of the caller
    {.name = "logprob.trl",
     .options = {DEFAULTS, .temperature = NAN, .logit_scale = NAN, .soft_cap = NAN}},
    {.name = "logprob.genprm", .options = {DEFAULTS, .support = MERIT_LOGPROB_SUPPORT_SUBSET}},
};

enum { NUM_PRESETS = sizeof presets / sizeof presets[0] };

const merit_policy_logprob_desc merit_policy_logprob_defaults = {DEFAULTS};

merit_status merit_policy_logprob_desc_init(merit_policy_logprob_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &merit_policy_logprob_defaults, sizeof *desc,
                             MERIT_SIZE_0_1(merit_policy_logprob_desc, num_shards));
}

merit_status merit_policy_logprob_preset(const char *name, merit_policy_logprob_desc *desc)
{
    // The options are all fields from temperature to ignore_index.
    const size_t begin = offsetof(merit_policy_logprob_desc, temperature);
    const size_t end = MERIT_SIZE_0_1(merit_policy_logprob_desc, ignore_index);
    if (name == NULL) {
        return merit_fail_in(__func__, MERIT_STATUS_INVALID_ARGUMENT, "name is NULL");
    }
    if (desc == NULL) {
        return merit_fail_in(__func__, MERIT_STATUS_INVALID_ARGUMENT, "desc is NULL");
    }
    if (desc->struct_size < end) {
        return merit_fail_in(__func__, MERIT_STATUS_INVALID_ARGUMENT,
                             "desc->struct_size is %zu, expected at least %zu", desc->struct_size,
                             end);
    }
    for (int i = 0; i < NUM_PRESETS; i++) {
        if (strcmp(presets[i].name, name) == 0) {
            merit_copy_fields(desc, &presets[i].options, begin, end);
            return MERIT_STATUS_OK;
        }
    }
    return merit_fail_in(__func__, MERIT_STATUS_NOT_FOUND, "there is no preset named \"%s\"", name);
}

const char *merit_policy_logprob_preset_name(int32_t i)
{
    return i >= 0 && i < NUM_PRESETS ? presets[i].name : NULL;
}
