// dominance: the defaults and what each named preset changes of them.
#include "dominance_presets.h"

#include <math.h>

#include "presets.h"

// A row names only what differs, so it overrides the defaults that precede it.
#pragma GCC diagnostic ignored "-Woverride-init"

// Defines the three public functions of an operation from its rows. The options are all fields from
// `first` to `last`.
#define PRESET_FUNCTIONS(op, first, last, presets)                                           \
    merit_status merit_##op##_desc_init(merit_##op##_desc *desc, size_t size)                \
    {                                                                                        \
        return merit_init_struct(__func__, desc, size, &merit_##op##_defaults, sizeof *desc, \
                                 MERIT_SIZE_0_1(merit_##op##_desc, last));                   \
    }                                                                                        \
    MERIT_PRESETS(op, presets, first, last)

// The fields that pairwise and subset share.
#define COMPARE                                                                       \
    .num_objectives = 1, .num_actions = 1, .num_levels = 1, .dtype = MERIT_DTYPE_F32, \
    .measure = MERIT_DOMINANCE_MEASURE_QUANTILE, .power = 1, .ties = MERIT_DOMINANCE_TIES_EXCLUDE

// dominance_pairwise ------------------------------------------------------------------------------

#define PAIRWISE .struct_size = sizeof(merit_dominance_pairwise_desc), COMPARE

MERIT_PRESET_ROW(dominance_pairwise);

static const merit_dominance_pairwise_row pairwise_presets[] = {
    {.name = "qd.area", .options = {PAIRWISE}},
    {.name = "qd.win_rate", .options = {PAIRWISE, .power = 0, .ties = MERIT_DOMINANCE_TIES_HALF}},
    {.name = "qd.strict", .options = {PAIRWISE, .power = 0}},
    {.name = "aso", .options = {PAIRWISE, .power = 2}},
    {.name = "second_order", .options = {PAIRWISE, .integrate = 1}},
    {.name = "mann_whitney",
     .options = {PAIRWISE, .measure = MERIT_DOMINANCE_MEASURE_MANN_WHITNEY}},
};

const merit_dominance_pairwise_desc merit_dominance_pairwise_defaults = {PAIRWISE};

PRESET_FUNCTIONS(dominance_pairwise, measure, delta, pairwise_presets)

// dominance_subset --------------------------------------------------------------------------------

enum { MOST = 32 }; // objectives

static const int32_t equal_ranks[MOST];

#define HALVES 0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f
static const float half_thetas[MOST] = {HALVES, HALVES, HALVES, HALVES};

// The caller's to replace: rejected.
#define UNSET NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN
static const float unset_etas[MOST] = {UNSET, UNSET, UNSET, UNSET};

#define SUBSET                                                                           \
    .struct_size = sizeof(merit_dominance_subset_desc), COMPARE,                         \
    .mode = MERIT_DOMINANCE_MODE_CASCADE, .within_class = MERIT_DOMINANCE_WITHIN_PARETO, \
    .on_empty = MERIT_DOMINANCE_ON_EMPTY_KEEP, .pick = MERIT_DOMINANCE_PICK_MEAN

MERIT_PRESET_ROW(dominance_subset);

static const merit_dominance_subset_row subset_presets[] = {
    {.name = "subset.lexicographic", .options = {SUBSET}},
    {.name = "subset.pareto", .options = {SUBSET, .rank = equal_ranks}},
    {.name = "subset.independent",
     .options = {SUBSET, .rank = equal_ranks, .within_class = MERIT_DOMINANCE_WITHIN_MEET}},
    {.name = "subset.rulebook", .options = {SUBSET, .mode = MERIT_DOMINANCE_MODE_RULEBOOK}},
    {.name = "subset.slack", .options = {SUBSET, .theta = half_thetas, .eta = unset_etas}},
};

const merit_dominance_subset_desc merit_dominance_subset_defaults = {SUBSET};

PRESET_FUNCTIONS(dominance_subset, measure, drop_nan, subset_presets)

// dominance_quantile_huber ------------------------------------------------------------------------

#define HUBER                                                                                      \
    .struct_size = sizeof(merit_dominance_quantile_huber_desc), .num_levels = 1, .num_targets = 1, \
    .denominator = NAN, .kappa = 1.0f, .divide_by_kappa = 1,                                       \
    .level_reduction = MERIT_DOMINANCE_LEVELS_SUM

MERIT_PRESET_ROW(dominance_quantile_huber);

static const merit_dominance_quantile_huber_row huber_presets[] = {
    {.name = "iqn", .options = {HUBER}},
    {.name = "qr_dqn", .options = {HUBER, .divide_by_kappa = 0}},
    {.name = "tqc", .options = {HUBER, .level_reduction = MERIT_DOMINANCE_LEVELS_MEAN}},
    {.name = "pinball", .options = {HUBER, .kappa = 0.0f}},
};

const merit_dominance_quantile_huber_desc merit_dominance_quantile_huber_defaults = {HUBER};

PRESET_FUNCTIONS(dominance_quantile_huber, kappa, level_reduction, huber_presets)

// dominance_quantile_target -----------------------------------------------------------------------

#define TARGET                                                                        \
    .struct_size = sizeof(merit_dominance_quantile_target_desc), .num_objectives = 1, \
    .num_actions = 1, .num_levels = 1, .dtype = MERIT_DTYPE_F32

MERIT_PRESET_ROW(dominance_quantile_target);

static const merit_dominance_quantile_target_row target_presets[] = {
    {.name = "td.shared", .options = {TARGET, .mode = MERIT_DOMINANCE_TARGET_SHARED}},
    {.name = "td.restricted", .options = {TARGET, .mode = MERIT_DOMINANCE_TARGET_RESTRICTED}},
    {.name = "td.mixture", .options = {TARGET, .mode = MERIT_DOMINANCE_TARGET_MIXTURE}},
};

const merit_dominance_quantile_target_desc merit_dominance_quantile_target_defaults = {TARGET};

PRESET_FUNCTIONS(dominance_quantile_target, mode, gamma, target_presets)
