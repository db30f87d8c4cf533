// policy_loss: the defaults and what each published loss changes of them. The comments say what the
// caller's denominator is by each convention.
#include "policy_loss_presets.h"

#include <math.h>

#include "presets.h"

// A row names only what differs, so it overrides the defaults that precede it.
#pragma GCC diagnostic ignored "-Woverride-init"

// clang-format off
#define DEFAULTS                                             \
    .struct_size = sizeof(merit_policy_loss_desc),           \
    .denominator = NAN,                                      \
    .advantage_level = MERIT_POLICY_ADVANTAGE_SEQUENCE,      \
    .ratio_level = MERIT_POLICY_LEVEL_TOKEN,                 \
    .ratio_gradient = MERIT_POLICY_RATIO_GRADIENT_THROUGH,   \
    .log_ratio_min = -INFINITY, .log_ratio_max = INFINITY,   \
    .surrogate = MERIT_POLICY_SURROGATE_CLIP,                \
    .surrogate_alt = MERIT_POLICY_SURROGATE_DETACHED,        \
    .ratio_low = 0.8f, .ratio_high = 1.2f,                   \
    .ratio_low_negative = NAN, .ratio_high_negative = NAN,   \
    .alt_low = 1.0f, .alt_high = 1.0f,                       \
    .gate_tau_positive = 1.0f, .gate_tau_negative = 1.05f,   \
    .quadratic = 0.1f, .reshape = 0.1f,                      \
    .divergence = MERIT_POLICY_DIVERGENCE_NONE,              \
    .divergence_low = 0.2f, .divergence_high = 0.2f,         \
    .divergence_anchor = MERIT_POLICY_ANCHOR_OLD,            \
    .kl = MERIT_POLICY_KL_K3,                                \
    .kl_input_clamp = INFINITY, .kl_output_clamp = INFINITY, \
    .mismatch_level = MERIT_POLICY_LEVEL_NONE,               \
    .mismatch_rule = MERIT_POLICY_MISMATCH_RULE_TRUNCATE,    \
    .mismatch_high = 2.0f,                                   \
    .reject_level = MERIT_POLICY_LEVEL_NONE,                 \
    .reject_high = INFINITY,                                 \
    .aggregation = MERIT_POLICY_AGGREGATION_TOKEN

// What several rows share.
#define SURROGATE(word) .surrogate = MERIT_POLICY_SURROGATE_##word
#define RATIO(low, high) .ratio_low = low, .ratio_high = high
#define LEVEL(word) .ratio_level = MERIT_POLICY_LEVEL_##word
#define BY_SEQUENCE .aggregation = MERIT_POLICY_AGGREGATION_SEQUENCE
#define LOG_20 .log_ratio_min = -20.0f, .log_ratio_max = 20.0f
#define KL_CLAMPS .kl_input_clamp = 20.0f, .kl_output_clamp = 10.0f
#define MISMATCH(level, rule, low, high)                     \
    .mismatch_level = MERIT_POLICY_LEVEL_##level,            \
    .mismatch_rule = MERIT_POLICY_MISMATCH_RULE_##rule,      \
    .mismatch_low = low, .mismatch_high = high
#define TRL MISMATCH(SEQUENCE_SUM, MASK, 0.0f, 3.0f)
#define DIVERGENCE(word) .divergence = MERIT_POLICY_DIVERGENCE_##word
#define CISPO SURROGATE(DETACHED), LOG_20
#define PRESET(preset, ...) {.name = preset, .options = {DEFAULTS, __VA_ARGS__}}

MERIT_PRESET_ROW(policy_loss);

// NaN: the caller has to give the value.
static const merit_policy_loss_row presets[] = {
    {.name = "ppo", .options = {DEFAULTS}}, // global tokens
    PRESET("grpo", .kl_coef = 0.04f, BY_SEQUENCE), // B
    PRESET("trl.grpo", TRL, BY_SEQUENCE), // B, empty rows included
    PRESET("trl.dapo", TRL), // global tokens
    PRESET("trl.bnpo", TRL), // tokens of this call
    PRESET("trl.dr_grpo", TRL), // B L_max
    {.name = "dr_grpo", .options = {DEFAULTS}}, // B L_max
    PRESET("dapo", .ratio_high = 1.28f), // global tokens
    PRESET("trl.delta", .ratio_cap = NAN), // global tokens
    PRESET("verl.vanilla", .dual_clip = 3.0f, LOG_20, KL_CLAMPS), // global tokens
    PRESET("openrlhf", LOG_20, .kl_output_clamp = 10.0f), // global tokens
    PRESET("nemo", KL_CLAMPS, .kl_weight = MERIT_POLICY_KL_WEIGHT_RATIO), // global tokens
    PRESET("liger", .kl_coef = 0.04f), // global tokens

    // Sequence-level ratios.
    PRESET("gspo", LEVEL(SEQUENCE_MEAN), RATIO(1.0f - 3e-4f, 1.0f + 4e-4f), BY_SEQUENCE), // B
    PRESET("gspo_token", LEVEL(SEQUENCE_MEAN), RATIO(1.0f - 3e-4f, 1.0f + 4e-4f), BY_SEQUENCE,
           .ratio_gradient = MERIT_POLICY_RATIO_GRADIENT_STRAIGHT,
           .log_ratio_max = 10.0f), // sequences that are not empty
    PRESET("verl.gspo", LEVEL(SEQUENCE_MEAN), RATIO(1.0f - 3e-4f, 1.0f + 4e-4f), BY_SEQUENCE,
           .ratio_gradient = MERIT_POLICY_RATIO_GRADIENT_STRAIGHT, .log_ratio_max = 10.0f),
    PRESET("gmpo", SURROGATE(GEOMETRIC), RATIO(0.670320046f, 1.49182470f), BY_SEQUENCE), // e^-+0.4; B
    PRESET("verl.gmpo", SURROGATE(GEOMETRIC), RATIO(0.818730753f, 1.22140276f), BY_SEQUENCE), // 0.2
    PRESET("rloo.trl", LEVEL(SEQUENCE_SUM), BY_SEQUENCE), // B; KL lives in the reward

    // Weights that no gradient goes through.
    PRESET("cispo.relative", CISPO), // global tokens
    PRESET("cispo.roll", CISPO, RATIO(0.9f, 1.1f)),
    PRESET("cispo.open_instruct", SURROGATE(DETACHED), RATIO(0.0f, 1.2f)),
    PRESET("cispo.absolute", SURROGATE(DETACHED), RATIO(0.0f, NAN)), // their epsilon_high is the bound
    PRESET("reinforce", SURROGATE(DETACHED), RATIO(1.0f, 1.0f)),
    PRESET("gpg", SURROGATE(DETACHED), RATIO(1.0f, 1.0f)),
    PRESET("rloo", SURROGATE(DETACHED), RATIO(1.0f, 1.0f)),
    PRESET("rltf", SURROGATE(DETACHED), RATIO(1.0f, 1.0f)), // A: the weight of the NLL
    PRESET("reinforce_pp", LOG_20, .kl_output_clamp = 10.0f), // KL in the reward
    PRESET("topr", SURROGATE(DETACHED), RATIO(1.0f, 1.0f), .ratio_low_negative = 0.0f,
           .ratio_high_negative = 1.0f),
    PRESET("dppo_tv", SURROGATE(DETACHED), RATIO(0.0f, 3.0f), LOG_20, DIVERGENCE(TV)),
    PRESET("dppo_kl", SURROGATE(DETACHED), RATIO(0.0f, 3.0f), LOG_20, DIVERGENCE(KL)),
    // io.old and io.ref: the rollout's
    PRESET("dppo.prime", SURROGATE(DETACHED), RATIO(0.0f, INFINITY), DIVERGENCE(TV),
           .divergence_anchor = MERIT_POLICY_ANCHOR_ROLLOUT, .kl = MERIT_POLICY_KL_K2,
           .kl_coef = 2e-3f),

    // Other surrogates.
    PRESET("sapo", SURROGATE(GATE), BY_SEQUENCE), // B
    PRESET("dro", SURROGATE(QUADRATIC)),
    PRESET("kimi", SURROGATE(QUADRATIC)),
    PRESET("critique_grpo", .surrogate_alt = MERIT_POLICY_SURROGATE_RESHAPE, BY_SEQUENCE), // B

    // Corrections on top of clipping.
    PRESET("offpolicy_mask", .reject_level = MERIT_POLICY_LEVEL_SEQUENCE_MEAN, .reject_low = NAN,
           .reject_source = MERIT_POLICY_REJECT_SOURCE_CURRENT_OLD,
           .reject_when = MERIT_POLICY_REJECT_WHEN_NEGATIVE), // reject_low: e^-delta
    PRESET("mismatch.tis", MISMATCH(TOKEN, TRUNCATE, 0.0f, 2.0f)),
    PRESET("mismatch.tis_sequence", MISMATCH(SEQUENCE_SUM, TRUNCATE, 0.0f, 2.0f)),
    PRESET("mismatch.icepop", MISMATCH(TOKEN, MASK, 0.5f, 5.0f)),
    PRESET("mismatch.seq_mask_tis", MISMATCH(TOKEN, TRUNCATE, 0.0f, 5.0f),
           .reject_level = MERIT_POLICY_LEVEL_SEQUENCE_MEAN, .reject_low = 0.5f,
           .reject_high = 5.0f),
};
// clang-format on

const merit_policy_loss_desc merit_policy_loss_defaults = {DEFAULTS};

merit_status merit_policy_loss_desc_init(merit_policy_loss_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &merit_policy_loss_defaults, sizeof *desc,
                             MERIT_SIZE_0_1(merit_policy_loss_desc, aggregation));
}

MERIT_PRESETS(policy_loss, presets, advantage_level, aggregation)
