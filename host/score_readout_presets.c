// score_readout: the defaults and what each published readout changes of them.
#include "score_readout_presets.h"

#include <math.h>

#include "presets.h"

// A row names only what differs, so it overrides the defaults that precede it.
#pragma GCC diagnostic ignored "-Woverride-init"

// clang-format off
#define DEFAULTS                                                                          \
    .struct_size = sizeof(merit_score_readout_desc), .num_columns = 1,                    \
    .input_dtype = MERIT_DTYPE_F32, .kind = MERIT_READOUT_LINEAR, .temperature = 1.0f,    \
    .scale = 1.0f, .num_attributes = 1, .alpha = 1.0f, .empty_value = NAN
#define PRESET(preset, word, ...) \
    {.name = preset, .options = {DEFAULTS, .kind = MERIT_READOUT_##word, __VA_ARGS__}}

MERIT_PRESET_ROW(score_readout);

static const merit_score_readout_row presets[] = {
    PRESET("dpa", LINEAR, .unit = 1), // io.direction per row: the user's
    PRESET("aligner.merge", LINEAR, .unit = 0), // io.direction: 1 / K each
    PRESET("wildbench", LINEAR, .unit = 0), // io.direction: given weights
    PRESET("cosine", LINEAR, .unit = 1), // inputs of length 1
    // io.transform: 1 on the diagonal, minus the penalties in the row of verbosity
    PRESET("armo", GATE, .temperature = 10.0f, .scale = NAN), // scale: the learned logit_scale
    PRESET("oprm", LEVELS, .unit = 0), // num_columns 9, io.level_index: digit tokens
    PRESET("genprm", LEVELS, .empty_value = 0.5f), // io.level_index (yes, no), io.level_values (1, 0)
    PRESET("prm.plus_minus", LEVELS, .unit = 0), // io.level_index (+, -), io.level_values (1, 0)
    PRESET("qrm", QUANTILE, .num_attributes = 5, .sort = 1),
};
// clang-format on

const merit_score_readout_desc merit_score_readout_defaults = {DEFAULTS};

merit_status merit_score_readout_desc_init(merit_score_readout_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &merit_score_readout_defaults, sizeof *desc,
                             MERIT_SIZE_0_1(merit_score_readout_desc, empty_value));
}

MERIT_PRESETS(score_readout, presets, kind, empty_value)
