// Cases of the operations of quantile critics.
#include "ops.h"

// dominance_quantile_huber ------------------------------------------------------------------------

CASE_OP_CALLS(dominance_quantile_huber)
CASE_OP_PRESETS(dominance_quantile_huber)

static const field_value level_values[] = {
    {"sum", MERIT_DOMINANCE_LEVELS_SUM}, {"mean", MERIT_DOMINANCE_LEVELS_MEAN}, {NULL, 0}};

typedef merit_dominance_quantile_huber_desc huber_desc;
typedef merit_dominance_quantile_huber_io huber_io;

static const field dominance_quantile_huber_fields[] = {
    FIELD_OF(huber_desc, I64, num_rows),
    FIELD_OF(huber_desc, I32, num_levels),
    FIELD_OF(huber_desc, I32, num_targets),
    FIELD_OF(huber_desc, I64, ld_quantiles),
    FIELD_OF(huber_desc, I64, ld_targets),
    FIELD_OF(huber_desc, I64, ld_tau),
    FIELD_OF(huber_desc, F64, denominator),
    FIELD_OF(huber_desc, F32, kappa),
    FIELD_OF(huber_desc, BOOL, divide_by_kappa),
    FIELD_NAMED(huber_desc, level_values, level_reduction),
    {0}};

static const case_size dominance_quantile_huber_sizes[] = {
    {'R', FIELD_I64, "num_rows", offsetof(huber_desc, num_rows)},
    {'N', FIELD_I32, "num_levels", offsetof(huber_desc, num_levels)},
    {'M', FIELD_I32, "num_targets", offsetof(huber_desc, num_targets)},
    {0}};

// W: rows of tau; T: tiles of 2048 rows.
static void derive_huber(const void *desc, case_sizes sizes)
{
    const huber_desc *const d = desc;
    const int64_t rows = sizes['R' - 'A'];
    sizes['W' - 'A'] = d->ld_tau == 0 ? 1 : rows;
    sizes['T' - 'A'] = rows / 2048 + (rows % 2048 != 0);
}

#define IN(member, types, dims) \
    .name = #member, .offset = offsetof(huber_io, member), .dtypes = (types), .shape = (dims)
#define OUT(member, types, dims) IN(member, types, dims), .output = true

static const case_array dominance_quantile_huber_arrays[] = {
    {IN(quantiles, CASE_F32, "R N"), .strides = {offsetof(huber_desc, ld_quantiles)}},
    {IN(tau, CASE_F32, "W? N"), .strides = {offsetof(huber_desc, ld_tau)}},
    {IN(targets, CASE_F32, "R M"), .strides = {offsetof(huber_desc, ld_targets)}},
    {IN(target_count, CASE_I32, "R")},
    {IN(weight, CASE_F32, "R")},
    {OUT(loss_rows, CASE_F32, "R")},
    {OUT(loss, CASE_F64, "1")},
    {OUT(loss_tiles, CASE_F64, "T")},
    {OUT(grad_quantiles, CASE_F32, "R N"), .strides = {offsetof(huber_desc, ld_quantiles)}},
    {0}};

#undef IN
#undef OUT

const case_op case_dominance_quantile_huber = {
    CASE_OP_COMMON(dominance_quantile_huber),
    .derive = derive_huber,
    .preset = dominance_quantile_huber_preset,
    .preset_name = merit_dominance_quantile_huber_preset_name,
};

// dominance_quantile_target -----------------------------------------------------------------------

CASE_OP_CALLS(dominance_quantile_target)
CASE_OP_PRESETS(dominance_quantile_target)

static const field_value target_values[] = {{"shared", MERIT_DOMINANCE_TARGET_SHARED},
                                            {"restricted", MERIT_DOMINANCE_TARGET_RESTRICTED},
                                            {"mixture", MERIT_DOMINANCE_TARGET_MIXTURE},
                                            {NULL, 0}};

typedef merit_dominance_quantile_target_desc target_desc;
typedef merit_dominance_quantile_target_io target_io;

static const field gamma_element = {.name = "element", .type = FIELD_F32};

static const field dominance_quantile_target_fields[] = {
    FIELD_OF(target_desc, I64, num_states),
    FIELD_OF(target_desc, I32, num_objectives),
    FIELD_OF(target_desc, I32, num_actions),
    FIELD_OF(target_desc, I32, num_levels),
    FIELD_NAMED(target_desc, dtype_values, dtype),
    FIELD_OF(target_desc, I64, stride_state),
    FIELD_OF(target_desc, I64, stride_objective),
    FIELD_OF(target_desc, I64, stride_action),
    FIELD_OF(target_desc, I64, stride_level),
    FIELD_OF(target_desc, I64, ld_target),
    FIELD_NAMED(target_desc, target_values, mode),
    {.name = "gamma",
     .type = FIELD_LIST,
     .offset = offsetof(target_desc, gamma),
     .inner = &gamma_element,
     .element_bytes = 4,
     .length = 32},
    {0}};

static const case_size dominance_quantile_target_sizes[] = {
    {'B', FIELD_I64, "num_states", offsetof(target_desc, num_states)},
    {'M', FIELD_I32, "num_objectives", offsetof(target_desc, num_objectives)},
    {'A', FIELD_I32, "num_actions", offsetof(target_desc, num_actions)},
    {'N', FIELD_I32, "num_levels", offsetof(target_desc, num_levels)},
    {0}};

// R: rows; K: samples that a row has room for; V: words of a set.
static void derive_target(const void *desc, case_sizes sizes)
{
    const target_desc *const d = desc;
    const int64_t actions = sizes['A' - 'A'];
    const int mixture = d->mode == MERIT_DOMINANCE_TARGET_MIXTURE;
    sizes['R' - 'A'] = sizes['B' - 'A'] * sizes['M' - 'A'];
    sizes['K' - 'A'] = (mixture ? actions : 1) * sizes['N' - 'A'];
    sizes['V' - 'A'] = actions / 32 + (actions % 32 != 0);
}

static bool is_mixture(const void *desc)
{
    return ((const target_desc *)desc)->mode == MERIT_DOMINANCE_TARGET_MIXTURE;
}

#define IN(member, types, dims) \
    .name = #member, .offset = offsetof(target_io, member), .dtypes = (types), .shape = (dims)
#define OUT(member, types, dims) IN(member, types, dims), .output = true

static const case_array dominance_quantile_target_arrays[] = {
    {IN(q_next, CASE_F32 | CASE_BF16 | CASE_F16, "B M A N"),
     .dtype_offset = offsetof(target_desc, dtype),
     .strides = {offsetof(target_desc, stride_state), offsetof(target_desc, stride_objective),
                 offsetof(target_desc, stride_action), offsetof(target_desc, stride_level)}},
    {IN(reward, CASE_F32, "B M")},
    {IN(done, CASE_U8, "B")},
    {IN(discount, CASE_F32, "B M")},
    {IN(action, CASE_I32, "B")},
    {IN(greedy, CASE_I32, "B M")},
    {IN(final, CASE_I32, "B V")},
    {OUT(target, CASE_F32, "R K"), .always = true, .strides = {offsetof(target_desc, ld_target)}},
    {OUT(target_count, CASE_I32, "R"), .allowed = is_mixture},
    {0}};

#undef IN
#undef OUT

const case_op case_dominance_quantile_target = {
    CASE_OP_COMMON(dominance_quantile_target),
    .derive = derive_target,
    .preset = dominance_quantile_target_preset,
    .preset_name = merit_dominance_quantile_target_preset_name,
};

// dominance_quantile_sort -------------------------------------------------------------------------

CASE_OP_CALLS(dominance_quantile_sort)

typedef merit_dominance_quantile_sort_desc sort_desc;
typedef merit_dominance_quantile_sort_io sort_io;

static const field tau_element = {.name = "element", .type = FIELD_F64};

static const field dominance_quantile_sort_fields[] = {
    FIELD_OF(sort_desc, I64, num_rows),
    FIELD_OF(sort_desc, I32, num_levels),
    FIELD_OF(sort_desc, I32, num_taus),
    FIELD_OF(sort_desc, I64, ld_values),
    FIELD_OF(sort_desc, I64, ld_sorted),
    {.name = "tau",
     .type = FIELD_LIST,
     .offset = offsetof(sort_desc, tau),
     .inner = &tau_element,
     .element_bytes = 8,
     .count_offset = offsetof(sort_desc, num_taus)},
    {0}};

static const case_size dominance_quantile_sort_sizes[] = {
    {'R', FIELD_I64, "num_rows", offsetof(sort_desc, num_rows)},
    {'N', FIELD_I32, "num_levels", offsetof(sort_desc, num_levels)},
    {0}};

// K: results of a row.
static void derive_sort(const void *desc, case_sizes sizes)
{
    const sort_desc *const d = desc;
    sizes['K' - 'A'] = d->num_taus > 0 ? d->num_taus : sizes['N' - 'A'];
}

#define IN(member, types, dims) \
    .name = #member, .offset = offsetof(sort_io, member), .dtypes = (types), .shape = (dims)
#define OUT(member, types, dims) IN(member, types, dims), .output = true

static const case_array dominance_quantile_sort_arrays[] = {
    {IN(values, CASE_F32, "R N"), .strides = {offsetof(sort_desc, ld_values)}},
    {OUT(sorted, CASE_F32, "R K"), .strides = {offsetof(sort_desc, ld_sorted)}},
    {OUT(index, CASE_I32, "R K")},
    {0}};

#undef IN
#undef OUT

const case_op case_dominance_quantile_sort = {
    CASE_OP_COMMON(dominance_quantile_sort),
    .derive = derive_sort,
};
