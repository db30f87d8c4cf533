// preference_pair: the defaults and what each published loss changes of them.
#include <math.h>
#include <stddef.h>

#include "preference_presets.h"
#include "presets.h"

// A row names only what differs, so it overrides the defaults that precede it.
#pragma GCC diagnostic ignored "-Woverride-init"

// clang-format off
#define DEFAULTS                                             \
    .struct_size = sizeof(merit_preference_pair_desc),       \
    .chosen_stride = 1, .rejected_stride = 1,                \
    .ref_chosen_stride = 1, .ref_rejected_stride = 1,        \
    .grad_chosen_stride = 1, .grad_rejected_stride = 1,      \
    .score_dtype = MERIT_DTYPE_F32,                          \
    .link = MERIT_LINK_LOGISTIC,                             \
    .beta = 1.0f,                                            \
    .beta_map = MERIT_BETA_MAP_CONSTANT,                     \
    .opposite = MERIT_OPPOSITE_NEGATE,                       \
    .target = MERIT_PAIR_TARGET_CHOSEN,                      \
    .smoothing_kind = MERIT_SMOOTHING_CONSERVATIVE,          \
    .tie_model = MERIT_TIE_MODEL_HALF,                       \
    .pair_weight = 1.0f,                                     \
    .unary_link = MERIT_LINK_LOGISTIC,                       \
    .num_routes = 1,                                         \
    .route_kind = MERIT_ROUTE_KIND_ONE,                      \
    .reduction = MERIT_PREFERENCE_REDUCTION_MEAN_VALID

// What several rows share.
#define LINK(word) .link = MERIT_LINK_##word
#define TARGET(word) .target = MERIT_PAIR_TARGET_##word
#define SWAP .opposite = MERIT_OPPOSITE_SWAP
#define ROBUST .smoothing_kind = MERIT_SMOOTHING_ROBUST
#define GIVEN .reduction = MERIT_PREFERENCE_REDUCTION_GIVEN
#define UNARY(word, ...) .unary_link = MERIT_LINK_##word, .unary = {__VA_ARGS__}
#define ALONE .pair_weight = 0.0f
#define DPO .beta = 0.1f
#define PRESET(preset, ...) {.name = preset, .options = {DEFAULTS, __VA_ARGS__}}

MERIT_PRESET_ROW(preference_pair);

// NaN: the caller has to give the value.
static const merit_preference_pair_row presets[] = {
    // Bradley-Terry reward models. io.margins are used where they are given.
    {.name = "bt", .options = {DEFAULTS}},
    {.name = "trl.reward", .options = {DEFAULTS}},
    {.name = "openrlhf.sigmoid", .options = {DEFAULTS}},
    {.name = "openrlhf.logexp", .options = {DEFAULTS}},
    {.name = "areal.rw", .options = {DEFAULTS}},
    {.name = "rlhflow.bt", .options = {DEFAULTS}},
    PRESET("oni.soft", TARGET(PROBABILITY)), // a tie is 1/2
    PRESET("trl.reward_centered", .center = 0.01f),
    PRESET("nemo.bt", .beta = NAN, GIVEN), // io.denominators: valid pairs of the global batch
    // io.outcomes: sign of the label (0 counts as a loss there: -1); io.margins, io.weights: its size
    PRESET("helpsteer2.regular", TARGET(OUTCOME)),
    PRESET("helpsteer2.margin", TARGET(OUTCOME), SWAP),
    PRESET("helpsteer2.scaled", TARGET(OUTCOME)),
    // Ties as a third outcome: io.outcomes; log_tie is fitted along with the scores
    PRESET("rao_kupper", TARGET(OUTCOME), .tie_model = MERIT_TIE_MODEL_RAO_KUPPER, .log_tie = NAN),
    PRESET("davidson", TARGET(OUTCOME), .tie_model = MERIT_TIE_MODEL_DAVIDSON, .log_tie = NAN),

    // Direct preference optimization: scores are log-probabilities of sequences.
    PRESET("dpo", DPO),
    PRESET("cdpo", DPO, .smoothing = NAN),
    PRESET("rdpo", DPO, .smoothing = NAN, ROBUST),
    PRESET("dpo_norm", DPO), // io.chosen_length, io.rejected_length
    PRESET("mm_dpo", DPO, .beta_map = MERIT_BETA_MAP_MARGIN_EXP, .map_weight = 0.5f, .map_rate = 0.5f),
    PRESET("wpo", DPO), // io.weights
    PRESET("aot", DPO), // both score arrays sorted
    PRESET("mah_dpo", DPO, .route_kind = MERIT_ROUTE_KIND_ARRAY), // io.alpha: 1 / num_routes
    PRESET("ipo", LINK(SQUARED), .margin = NAN, SWAP), // margin: 1 / (2 beta of IPO)
    PRESET("slic", LINK(HINGE), .beta = NAN),
    PRESET("simpo", .beta = 2.0f, .margin = NAN), // margin: gamma
    PRESET("exo", LINK(EXO), .link_param = NAN),
    PRESET("discopop", LINK(DISCOPOP), .link_param = 0.05f),

    // Losses of each side alone.
    PRESET("nca", ALONE, UNARY(LOGISTIC, 1.0f, 0.5f, 0.0f, 0.5f)),
    PRESET("bco", ALONE, UNARY(LOGISTIC, 1.0f, 0.0f, 0.0f, 1.0f), .unary_shift = NAN), // running mean
    PRESET("sppo_hard", ALONE, UNARY(SQUARED, 1.0f, 0.0f, 0.0f, 1.0f),
           .unary_margin = NAN), // 1 / (2 beta of SPPO)
    PRESET("apo_zero", ALONE, UNARY(SIGMOID, 1.0f, 0.0f, 0.0f, 1.0f)),
    PRESET("apo_down", LINK(SIGMOID), UNARY(SIGMOID, 0.0f, 1.0f, 0.0f, 0.0f)),
    PRESET("kto", ALONE, UNARY(SIGMOID, 1.0f, 0.0f, 0.0f, 1.0f),
           .unary_shift = NAN), // beta max(kl, 0)
    PRESET("discriminator", ALONE, UNARY(LOGISTIC, 1.0f, 0.0f, 0.0f, 1.0f)),
    PRESET("discriminator_hinge", ALONE, UNARY(HINGE, 1.0f, 0.0f, 0.0f, 1.0f)),
};
// clang-format on

const merit_preference_pair_desc merit_preference_pair_defaults = {DEFAULTS};

merit_status merit_preference_pair_desc_init(merit_preference_pair_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &merit_preference_pair_defaults, sizeof *desc,
                             MERIT_SIZE_0_1(merit_preference_pair_desc, calibration_bins));
}

// num_routes is a size.
MERIT_PRESETS_KEEPING(preference_pair, presets, link, calibration_bins, num_routes, route_kind)
