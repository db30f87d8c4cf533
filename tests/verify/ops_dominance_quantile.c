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
