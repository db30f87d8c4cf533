// Cases of advantage_group.
#include "ops.h"

CASE_OP_CALLS(advantage_group)
CASE_OP_PRESETS(advantage_group)

static const field_value columns_values[] = {{"combine_first", MERIT_COLUMNS_COMBINE_FIRST},
                                             {"normalize_first", MERIT_COLUMNS_NORMALIZE_FIRST},
                                             {"separate", MERIT_COLUMNS_SEPARATE},
                                             {NULL, 0}};
static const field_value transform_values[] = {
    {"none", MERIT_TRANSFORM_NONE},
    {"rank", MERIT_TRANSFORM_RANK},
    {"softmax", MERIT_TRANSFORM_SOFTMAX},
    {"leave_one_out_lme", MERIT_TRANSFORM_LEAVE_ONE_OUT_LME},
    {NULL, 0}};
static const field_value rank_ties_values[] = {{"min", MERIT_RANK_TIES_MIN},
                                               {"average", MERIT_RANK_TIES_AVERAGE},
                                               {"ordinal", MERIT_RANK_TIES_ORDINAL},
                                               {NULL, 0}};
static const field_value center_values[] = {{"none", MERIT_CENTER_NONE},
                                            {"mean", MERIT_CENTER_MEAN},
                                            {"leave_one_out", MERIT_CENTER_LEAVE_ONE_OUT},
                                            {"runner_up", MERIT_CENTER_RUNNER_UP},
                                            {"baseline", MERIT_CENTER_BASELINE},
                                            {NULL, 0}};
static const field_value scale_values[] = {{"none", MERIT_SCALE_NONE},
                                           {"std", MERIT_SCALE_STD},
                                           {"leave_one_out_std", MERIT_SCALE_LEAVE_ONE_OUT_STD},
                                           {"rms", MERIT_SCALE_RMS},
                                           {"mean", MERIT_SCALE_MEAN},
                                           {"mean_abs", MERIT_SCALE_MEAN_ABS},
                                           {"nonzero_share", MERIT_SCALE_NONZERO_SHARE},
                                           {NULL, 0}};
static const field_value level_values[] = {{"group", MERIT_LEVEL_GROUP},
                                           {"batch", MERIT_LEVEL_BATCH},
                                           {"given", MERIT_LEVEL_GIVEN},
                                           {NULL, 0}};
static const field_value eps_rule_values[] = {{"add", MERIT_EPS_RULE_ADD},
                                              {"floor", MERIT_EPS_RULE_FLOOR},
                                              {"root", MERIT_EPS_RULE_ROOT},
                                              {"root_floor", MERIT_EPS_RULE_ROOT_FLOOR},
                                              {NULL, 0}};
static const field_value zero_rule_values[] = {{"divide", MERIT_ZERO_RULE_DIVIDE},
                                               {"unscaled", MERIT_ZERO_RULE_UNSCALED},
                                               {"zero", MERIT_ZERO_RULE_ZERO},
                                               {NULL, 0}};
static const field_value singleton_values[] = {{"zero", MERIT_SINGLETON_ZERO},
                                               {"raw", MERIT_SINGLETON_RAW},
                                               {"unit", MERIT_SINGLETON_UNIT},
                                               {"nan", MERIT_SINGLETON_NAN},
                                               {NULL, 0}};
static const field_value invalid_values[] = {{"propagate", MERIT_INVALID_PROPAGATE},
                                             {"skip_nan", MERIT_INVALID_SKIP_NAN},
                                             {"skip_nonfinite", MERIT_INVALID_SKIP_NONFINITE},
                                             {NULL, 0}};
static const field_value map_values[] = {{"identity", MERIT_MAP_IDENTITY},
                                         {"sign", MERIT_MAP_SIGN},
                                         {"unit", MERIT_MAP_UNIT},
                                         {NULL, 0}};

typedef merit_advantage_group_desc group_desc;
typedef merit_advantage_group_io group_io;

static const field advantage_group_fields[] = {
    {.name = "groups",
     .type = FIELD_OBJECT,
     .offset = offsetof(group_desc, groups),
     .inner = groups_fields,
     .element_bytes = sizeof(merit_groups)},
    FIELD_OF(group_desc, I64, num_rows),
    FIELD_OF(group_desc, I32, num_columns),
    FIELD_NAMED(group_desc, dtype_values, reward_dtype),
    FIELD_OF(group_desc, I64, reward_row_stride),
    FIELD_OF(group_desc, I64, reward_column_stride),
    FIELD_NAMED(group_desc, dtype_values, advantage_dtype),
    FIELD_NAMED(group_desc, dtype_values, baseline_dtype),
    FIELD_NAMED(group_desc, columns_values, columns),
    FIELD_NAMED(group_desc, transform_values, transform),
    FIELD_NAMED(group_desc, rank_ties_values, rank_ties),
    FIELD_OF(group_desc, F32, temperature),
    FIELD_NAMED(group_desc, center_values, center),
    FIELD_NAMED(group_desc, level_values, center_level),
    FIELD_NAMED(group_desc, scale_values, scale),
    FIELD_NAMED(group_desc, level_values, scale_level),
    FIELD_OF(group_desc, I32, ddof),
    FIELD_NAMED(group_desc, eps_rule_values, eps_rule),
    FIELD_OF(group_desc, F64, eps),
    FIELD_OF(group_desc, F64, zero_threshold),
    FIELD_NAMED(group_desc, zero_rule_values, zero_rule),
    FIELD_NAMED(group_desc, singleton_values, singleton),
    FIELD_NAMED(group_desc, invalid_values, invalid),
    FIELD_NAMED(group_desc, map_values, map),
    FIELD_OF(group_desc, F32, reward_low),
    FIELD_OF(group_desc, F32, reward_high),
    FIELD_OF(group_desc, F32, map_range),
    FIELD_OF(group_desc, F32, sign_tie),
    FIELD_OF(group_desc, F32, low),
    FIELD_OF(group_desc, F32, high),
    FIELD_OF(group_desc, F32, gain),
    FIELD_OF(group_desc, I32, expected_size),
    FIELD_OF(group_desc, BOOL, batch_record),
    {0}};

// S: sets of statistics. T: tiles of 2048 groups. P: advantages of a row. J: rows of add.
static const case_size advantage_group_sizes[] = {
    {'R', FIELD_I64, "num_rows", offsetof(group_desc, num_rows)},
    {'K', FIELD_I32, "num_columns", offsetof(group_desc, num_columns)},
    {'N', FIELD_I64, "groups.num_groups",
     offsetof(group_desc, groups) + offsetof(merit_groups, num_groups)},
    {'J', FIELD_I64, NULL, offsetof(group_io, num_add)},
    {0}};

static void derive_group_sizes(const void *desc, case_sizes sizes)
{
    const group_desc *const d = desc;
    const int64_t k = sizes['K' - 'A'];
    sizes['S' - 'A'] = d->columns == MERIT_COLUMNS_COMBINE_FIRST ? 1 : k;
    sizes['T' - 'A'] = (d->groups.num_groups + 2047) / 2048;
    sizes['P' - 'A'] = d->columns == MERIT_COLUMNS_SEPARATE ? k : 1;
}

static bool takes_batch_moments(const void *desc)
{
    const group_desc *const d = desc;
    return d->batch_record || d->center_level == MERIT_LEVEL_BATCH ||
           d->scale_level == MERIT_LEVEL_BATCH;
}

#define IN(member, types, dims) \
    .name = #member, .offset = offsetof(group_io, member), .dtypes = (types), .shape = (dims)
#define OUT(member, types, dims) IN(member, types, dims), .output = true

static const case_array advantage_group_arrays[] = {
    {.name = "groups.offsets",
     .in_desc = true,
     .dtypes = CASE_I64,
     .shape = "N+1",
     .offset = offsetof(group_desc, groups) + offsetof(merit_groups, offsets)},
    {.name = "groups.index",
     .in_desc = true,
     .dtypes = CASE_I32,
     .shape = "R",
     .offset = offsetof(group_desc, groups) + offsetof(merit_groups, index)},
    {IN(rewards, CASE_F32 | CASE_F64 | CASE_BF16 | CASE_F16, "R K?"),
     .dtype_offset = offsetof(group_desc, reward_dtype),
     .strides = {offsetof(group_desc, reward_row_stride),
                 offsetof(group_desc, reward_column_stride)}},
    {IN(column_weights, CASE_F32, "K")},
    {IN(mask, CASE_U8, "R")},
    {IN(stats_mask, CASE_U8, "R")},
    {IN(weights, CASE_F32, "R")},
    {IN(baseline, CASE_F32 | CASE_F64, "R"), .dtype_offset = offsetof(group_desc, baseline_dtype)},
    {IN(baseline_per_group, CASE_F32 | CASE_F64, "N"),
     .dtype_offset = offsetof(group_desc, baseline_dtype)},
    {IN(moments, CASE_F64, "S? 5")},
    {IN(add, CASE_F32, "J")},
    {IN(add_index, CASE_I32, "R")},
    {OUT(advantages, CASE_F32 | CASE_F64, "R P?"),
     .dtype_offset = offsetof(group_desc, advantage_dtype)},
    {OUT(keep, CASE_U8, "R P?")},
    {OUT(group_count, CASE_I32, "N S?")},
    {OUT(group_mean, CASE_F64, "N S?")},
    {OUT(group_scale, CASE_F64, "N S?")},
    {OUT(group_min, CASE_F64, "N S?")},
    {OUT(group_max, CASE_F64, "N S?")},
    {OUT(group_flags, CASE_U8, "N S?")},
    {OUT(batch_moments, CASE_F64, "S? 5"), .allowed = takes_batch_moments},
    {OUT(group_moments, CASE_F64, "N S? 5"), .allowed = takes_batch_moments},
    {OUT(tile_moments, CASE_F64, "T S? 5"), .allowed = takes_batch_moments},
    {0}};

#undef IN
#undef OUT

const case_op case_advantage_group = {
    CASE_OP_COMMON(advantage_group),
    .groups = {'N', 'R', offsetof(group_desc, groups), "groups"},
    .derive = derive_group_sizes,
    .preset = advantage_group_preset,
    .preset_name = merit_advantage_group_preset_name,
};
