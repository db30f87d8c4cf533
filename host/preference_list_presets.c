// preference_list: the defaults and what each published loss changes of them.
#include "preference_list_presets.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "check.h"

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

typedef struct preset_row {
    const char *name;
    merit_preference_list_desc options;
} preset_row;

// NaN: the caller has to give the value.
static const preset_row presets[] = {
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

enum { NUM_PRESETS = sizeof presets / sizeof presets[0] };

const merit_preference_list_desc merit_preference_list_defaults = {DEFAULTS};

merit_status merit_preference_list_desc_init(merit_preference_list_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &merit_preference_list_defaults, sizeof *desc,
                             MERIT_SIZE_0_1(merit_preference_list_desc, skip_invalid));
}

merit_status merit_preference_list_preset(const char *name, merit_preference_list_desc *desc)
{
    // The options are all fields from mode to skip_invalid.
    const size_t begin = offsetof(merit_preference_list_desc, mode);
    const size_t end = MERIT_SIZE_0_1(merit_preference_list_desc, skip_invalid);
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

const char *merit_preference_list_preset_name(int32_t i)
{
    return i >= 0 && i < NUM_PRESETS ? presets[i].name : NULL;
}
