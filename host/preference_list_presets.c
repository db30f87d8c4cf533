// preference_list: the defaults and what each published loss changes of them.
#include "preference_list_presets.h"

#include <math.h>

#include "presets.h"

// A row names only what differs, so it overrides the defaults that precede it.
#pragma GCC diagnostic ignored "-Woverride-init"

// clang-format off
#define DEFAULTS                                              \
    .struct_size = sizeof(merit_preference_list_desc),        \
    .score_stride = 1,                                        \
    .grad_stride = 1,                                         \
    .score_dtype = MERIT_DTYPE_F32,                           \
    .mode = MERIT_LIST_MODE_CROSS_ENTROPY,                    \
    .target = MERIT_LIST_TARGET_INDEX,                        \
    .tau = 1.0f,                                              \
    .center = MERIT_LIST_CENTER_NONE,                         \
    .smoothing = 0.0f,                                        \
    .top_k = 0,                                               \
    .link = MERIT_LINK_LOGISTIC,                              \
    .margin = 0.0f,                                           \
    .anchored = MERIT_ANCHORED_SPLIT,                         \
    .inner = MERIT_LIST_INNER_SUM,                            \
    .require_both = 0,                                        \
    .reduction = MERIT_PREFERENCE_REDUCTION_MEAN_VALID,       \
    .skip_invalid = 0

#define MODE(word) .mode = MERIT_LIST_MODE_##word
#define ANCHORED(word) MODE(ANCHORED), .anchored = MERIT_ANCHORED_##word
#define PRESET(preset, ...) {.name = preset, .options = {DEFAULTS, __VA_ARGS__}}
// REAL drops groups without both signs and averages over all groups.
#define REAL .tau = 0.5f, .require_both = 1, .reduction = MERIT_PREFERENCE_REDUCTION_MEAN_GROUPS

MERIT_PRESET_ROW(preference_list);

// NaN: the caller has to give the value.
static const merit_preference_list_row presets[] = {
    {.name = "yojo", .options = {DEFAULTS}},
    {.name = "prm_steps", .options = {DEFAULTS}}, // two classes of a step, -100 = unlabeled
    PRESET("op_gfn", .target = MERIT_LIST_TARGET_WEIGHTS), // weights: Pareto flags
    PRESET("plackett_luce", MODE(PLACKETT_LUCE)),
    PRESET("listmle", MODE(PLACKETT_LUCE)),
    PRESET("instruct_gpt", MODE(ALL_PAIRS), .inner = MERIT_LIST_INNER_MEAN),
    PRESET("real", ANCHORED(SPLIT), REAL),
    PRESET("real.product", ANCHORED(PRODUCT), REAL),
    PRESET("real.bce", ANCHORED(POINTWISE)), // signs: reward == maximum of its group
    PRESET("pacs", ANCHORED(POINTWISE), .center = MERIT_LIST_CENTER_LEAVE_ONE_OUT, .tau = NAN,
           .inner = MERIT_LIST_INNER_MEAN), // tau: 1 / beta
};
// clang-format on

const merit_preference_list_desc merit_preference_list_defaults = {DEFAULTS};

merit_status merit_preference_list_desc_init(merit_preference_list_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &merit_preference_list_defaults, sizeof *desc,
                             MERIT_SIZE_0_1(merit_preference_list_desc, skip_invalid));
}

MERIT_PRESETS(preference_list, presets, mode, skip_invalid)
