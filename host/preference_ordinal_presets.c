// preference_ordinal: the defaults and what each published loss changes of them.
#include "preference_ordinal_presets.h"

#include <stddef.h>
#include <string.h>

#include "check.h"

// A row names only what differs, so it overrides the defaults that precede it.
#pragma GCC diagnostic ignored "-Woverride-init"

#define DEFAULTS                                                                                 \
    .struct_size = sizeof(merit_preference_ordinal_desc), .num_levels = 9,                       \
    .logit_dtype = MERIT_DTYPE_F32, .temperature = 1.0f, .tie_share = 0.0f, .first_value = 1.0f, \
    .value_step = 1.0f, .reduction = MERIT_PREFERENCE_REDUCTION_MEAN_VALID, .skip_invalid = 0

typedef struct preset_row {
    const char *name;
    merit_preference_ordinal_desc options;
} preset_row;

static const preset_row presets[] = {
    {.name = "oprm", .options = {DEFAULTS}},
    {.name = "oprm.half_tie", .options = {DEFAULTS, .tie_share = 0.5f}},
    {.name = "oprm.rgft", .options = {DEFAULTS}}, // regions given
};

enum { NUM_PRESETS = sizeof presets / sizeof presets[0] };

const merit_preference_ordinal_desc merit_preference_ordinal_defaults = {DEFAULTS};

merit_status merit_preference_ordinal_desc_init(merit_preference_ordinal_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &merit_preference_ordinal_defaults, sizeof *desc,
                             MERIT_SIZE_0_1(merit_preference_ordinal_desc, skip_invalid));
}

merit_status merit_preference_ordinal_preset(const char *name, merit_preference_ordinal_desc *desc)
{
    // The options are all fields from temperature to skip_invalid.
    const size_t begin = offsetof(merit_preference_ordinal_desc, temperature);
    const size_t end = MERIT_SIZE_0_1(merit_preference_ordinal_desc, skip_invalid);
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

const char *merit_preference_ordinal_preset_name(int32_t i)
{
    return i >= 0 && i < NUM_PRESETS ? presets[i].name : NULL;
}
