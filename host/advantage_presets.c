// advantage_group: the defaults and what each published convention changes of them.
#include "advantage_presets.h"

#include <math.h>

#include "presets.h"

// A row names only what differs, so it overrides the defaults that precede it.
#pragma GCC diagnostic ignored "-Woverride-init"

// clang-format off
#define DEFAULTS                                        \
    .struct_size = sizeof(merit_advantage_group_desc),  \
    .num_columns = 1,                                   \
    .reward_dtype = MERIT_DTYPE_F32,                    \
    .reward_column_stride = 1,                          \
    .advantage_dtype = MERIT_DTYPE_F32,                 \
    .baseline_dtype = MERIT_DTYPE_F32,                  \
    .columns = MERIT_COLUMNS_COMBINE_FIRST,             \
    .transform = MERIT_TRANSFORM_NONE,                  \
    .rank_ties = MERIT_RANK_TIES_MIN,                   \
    .temperature = 1.0f,                                \
    .center = MERIT_CENTER_MEAN,                        \
    .center_level = MERIT_LEVEL_GROUP,                  \
    .scale = MERIT_SCALE_STD,                           \
    .scale_level = MERIT_LEVEL_GROUP,                   \
    .ddof = 1,                                          \
    .eps_rule = MERIT_EPS_RULE_ADD,                     \
    .eps = 1e-6,                                        \
    .zero_threshold = 0.0,                              \
    .zero_rule = MERIT_ZERO_RULE_DIVIDE,                \
    .singleton = MERIT_SINGLETON_ZERO,                  \
    .invalid = MERIT_INVALID_PROPAGATE,                 \
    .map = MERIT_MAP_IDENTITY,                          \
    .reward_low = -INFINITY, .reward_high = INFINITY,   \
    .map_range = 1.0f,                                  \
    .sign_tie = 0.0f,                                   \
    .low = -INFINITY, .high = INFINITY,                 \
    .gain = 1.0f,                                       \
    .expected_size = 0

// What several rows share.
#define COLUMNS(word) .columns = MERIT_COLUMNS_##word
#define TRANSFORM(word) .transform = MERIT_TRANSFORM_##word
#define CENTER(word) .center = MERIT_CENTER_##word
#define SCALE(word) .scale = MERIT_SCALE_##word
#define BATCH_SCALE(word) .scale = MERIT_SCALE_##word, .scale_level = MERIT_LEVEL_BATCH
#define ZERO_RULE(word) .zero_rule = MERIT_ZERO_RULE_##word
#define SINGLETON(word) .singleton = MERIT_SINGLETON_##word
#define INVALID(word) .invalid = MERIT_INVALID_##word
#define REWARD_CLIP(range) .reward_low = -(range), .reward_high = (range)
#define PRESET(preset, ...) {.name = preset, .options = {DEFAULTS, __VA_ARGS__}}

MERIT_PRESET_ROW(advantage_group);

// NaN: the caller has to give the value.
static const merit_advantage_group_row presets[] = {
    {.name = "grpo", .options = {DEFAULTS}},

    // The mean is taken away, nothing is divided.
    PRESET("dr_grpo", SCALE(NONE)),
    PRESET("prime", SCALE(NONE)),
    PRESET("oi.centered", SCALE(NONE)),
    PRESET("verpo", SCALE(NONE)),
    PRESET("harmo", SCALE(NONE)),
    PRESET("critique_grpo", SCALE(NONE)),
    PRESET("orlhf.dr_grpo", SCALE(NONE), SINGLETON(NAN)),
    PRESET("orlhf.reinforce_baseline", SCALE(NONE), SINGLETON(NAN)),
    PRESET("nemo.rf_pp", SCALE(NONE)),
    PRESET("verl.dr_grpo", SCALE(NONE), SINGLETON(RAW)),
    PRESET("verl.rf_pp_baseline", SCALE(NONE), SINGLETON(RAW)),

    // The mean of the other members is taken away.
    PRESET("rloo", CENTER(LEAVE_ONE_OUT), SCALE(NONE)),
    PRESET("verl.rloo_vectorized", CENTER(LEAVE_ONE_OUT), SCALE(NONE)),
    PRESET("skyrl.rloo", CENTER(LEAVE_ONE_OUT), SCALE(NONE)),
    PRESET("verl.rloo", CENTER(LEAVE_ONE_OUT), SCALE(NONE), SINGLETON(RAW)),
    PRESET("orlhf.rloo", CENTER(LEAVE_ONE_OUT), SCALE(NONE), SINGLETON(NAN)),

    // TRL and Swift. Their *.gdpo continue with a whitening over samples.
    PRESET("trl.group", .eps = 1e-4, INVALID(SKIP_NAN)),
    PRESET("trl.batch", BATCH_SCALE(STD), .eps = 1e-4, INVALID(SKIP_NAN)),
    PRESET("trl.none", SCALE(NONE), INVALID(SKIP_NAN)),
    PRESET("trl.rloo", CENTER(LEAVE_ONE_OUT), SCALE(NONE), INVALID(SKIP_NAN)),
    PRESET("trl.gdpo", COLUMNS(NORMALIZE_FIRST), .eps = 1e-4, INVALID(SKIP_NAN)),
    PRESET("swift.grpo", .eps = 1e-4, INVALID(SKIP_NAN)),
    PRESET("swift.rloo", CENTER(LEAVE_ONE_OUT), .eps = 1e-4, INVALID(SKIP_NAN)),
    PRESET("swift.gdpo", COLUMNS(NORMALIZE_FIRST), .eps = 1e-8, INVALID(SKIP_NAN)),

    // verl and SkyRL.
    PRESET("verl.grpo", SINGLETON(UNIT)),
    PRESET("verl.grpo_vectorized", SINGLETON(UNIT)),
    PRESET("skyrl.grpo", SINGLETON(UNIT)),
    PRESET("verl.gdpo", COLUMNS(NORMALIZE_FIRST), SINGLETON(UNIT)),
    PRESET("verl.passk", CENTER(RUNNER_UP), SINGLETON(NAN)),

    // OPO: io.weights are the lengths. GPG: gain is one over its f_norm.
    PRESET("verl.opo", SCALE(NONE), SINGLETON(RAW)),
    PRESET("opo", SCALE(NONE), SINGLETON(RAW)),
    PRESET("verl.gpg", BATCH_SCALE(NONZERO_SHARE), .eps = 0.0, SINGLETON(UNIT)),
    PRESET("gpg", BATCH_SCALE(NONZERO_SHARE), .eps = 0.0, SINGLETON(UNIT)),

    // Other stacks.
    PRESET("orlhf.group_norm", .eps = 1e-9, SINGLETON(NAN)),
    PRESET("nemo.grpo", CENTER(LEAVE_ONE_OUT), SCALE(LEAVE_ONE_OUT_STD), ZERO_RULE(UNSCALED)),
    PRESET("nemo.grpo_all", ZERO_RULE(UNSCALED)),
    PRESET("nemo.gdpo", COLUMNS(NORMALIZE_FIRST), CENTER(LEAVE_ONE_OUT), SCALE(LEAVE_ONE_OUT_STD),
           ZERO_RULE(UNSCALED)),
    PRESET("slime", SINGLETON(ZERO)),
    PRESET("roll", SINGLETON(NAN)),
    PRESET("roll.agentic", ZERO_RULE(ZERO), .zero_threshold = 1e-6),
    PRESET("areal", .eps = 1e-5, REWARD_CLIP(20.0f)),
    PRESET("areal.loo", CENTER(LEAVE_ONE_OUT), SCALE(RMS), .eps = 1e-5, SINGLETON(UNIT),
           REWARD_CLIP(20.0f)),
    PRESET("oi.standard", .ddof = 0, .eps = 1e-8),
    PRESET("rlk", .ddof = 0, .eps_rule = MERIT_EPS_RULE_FLOOR),

    // Papers. rltf and brpo: io.stats_mask picks the first turns, the reference member.
    PRESET("maxrl", SCALE(MEAN), .eps = 0.0, ZERO_RULE(ZERO)),
    PRESET("skyrl.maxrl", SCALE(MEAN), SINGLETON(RAW)),
    PRESET("remax", CENTER(BASELINE), SCALE(NONE)),
    PRESET("rltf", SCALE(NONE)),
    PRESET("brpo", SCALE(NONE), .map = MERIT_MAP_SIGN, .sign_tie = -1.0f),
    PRESET("arena_rl", TRANSFORM(RANK)),
    PRESET("rational_rewards", .ddof = 0, .eps = 1e-4, .map = MERIT_MAP_UNIT, .map_range = NAN),
    PRESET("par.grpo", .eps = 1e-8),
    PRESET("jepo", TRANSFORM(LEAVE_ONE_OUT_LME), CENTER(NONE), SCALE(NONE)),
    PRESET("tilted", TRANSFORM(SOFTMAX), CENTER(NONE), SCALE(NONE), .temperature = NAN),
};
// clang-format on

const merit_advantage_group_desc merit_advantage_group_defaults = {DEFAULTS};

merit_status merit_advantage_group_desc_init(merit_advantage_group_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &merit_advantage_group_defaults, sizeof *desc,
                             MERIT_SIZE_0_1(merit_advantage_group_desc, batch_record));
}

MERIT_PRESETS(advantage_group, presets, columns, expected_size)
