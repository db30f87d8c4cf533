// preference_ordinal: the defaults and what each published loss changes of them.
#include "preference_ordinal_presets.h"

#include "presets.h"

// A row names only what differs, so it overrides the defaults that precede it.
#pragma GCC diagnostic ignored "-Woverride-init"

#define DEFAULTS                                                                                 \
    .struct_size = sizeof(merit_preference_ordinal_desc), .num_levels = 9,                       \
    .logit_dtype = MERIT_DTYPE_F32, .temperature = 1.0f, .tie_share = 0.0f, .first_value = 1.0f, \
    .value_step = 1.0f, .reduction = MERIT_PREFERENCE_REDUCTION_MEAN_VALID, .skip_invalid = 0

MERIT_PRESET_ROW(preference_ordinal);

static const merit_preference_ordinal_row presets[] = {
    {.name = "oprm", .options = {DEFAULTS}},
    {.name = "oprm.half_tie", .options = {DEFAULTS, .tie_share = 0.5f}},
    {.name = "oprm.rgft", .options = {DEFAULTS}}, // regions given
};

const merit_preference_ordinal_desc merit_preference_ordinal_defaults = {DEFAULTS};

merit_status merit_preference_ordinal_desc_init(merit_preference_ordinal_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &merit_preference_ordinal_defaults, sizeof *desc,
                             MERIT_SIZE_0_1(merit_preference_ordinal_desc, skip_invalid));
}

MERIT_PRESETS(preference_ordinal, presets, temperature, skip_invalid)
