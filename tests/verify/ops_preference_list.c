// Cases of preference_list and preference_ordinal.
#include "ops.h"

static const field_value reduction_values[] = {
    {"sum", MERIT_PREFERENCE_REDUCTION_SUM},
    {"mean_valid", MERIT_PREFERENCE_REDUCTION_MEAN_VALID},
    {"mean_weight", MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT},
    {"given", MERIT_PREFERENCE_REDUCTION_GIVEN},
    {"mean_groups", MERIT_PREFERENCE_REDUCTION_MEAN_GROUPS},
    {NULL, 0}};

// T: tiles of N.
static void derive_tiles(const void *desc, case_sizes sizes)
{
    (void)desc;
    sizes['T' - 'A'] = sizes['N' - 'A'] / 2048 + (sizes['N' - 'A'] % 2048 != 0);
}

// Structs of eight-byte words: binary64 members are the integers of their bits.
_Static_assert(sizeof(merit_preference_list_metrics) == 8 * 13, "shape of metrics");
_Static_assert(sizeof(merit_preference_ordinal_metrics) == 8 * 8, "shape of metrics");

#define SIXTEEN_OR_F32 (CASE_F32 | CASE_BF16 | CASE_F16)

// preference_list ---------------------------------------------------------------------------------

CASE_OP_CALLS(preference_list)
CASE_OP_PRESETS(preference_list)

static const field_value mode_values[] = {{"cross_entropy", MERIT_LIST_MODE_CROSS_ENTROPY},
                                          {"plackett_luce", MERIT_LIST_MODE_PLACKETT_LUCE},
                                          {"all_pairs", MERIT_LIST_MODE_ALL_PAIRS},
                                          {"anchored", MERIT_LIST_MODE_ANCHORED},
                                          {NULL, 0}};
static const field_value target_values[] = {
    {"index", MERIT_LIST_TARGET_INDEX}, {"weights", MERIT_LIST_TARGET_WEIGHTS}, {NULL, 0}};
static const field_value center_values[] = {{"none", MERIT_LIST_CENTER_NONE},
                                            {"mean", MERIT_LIST_CENTER_MEAN},
                                            {"leave_one_out", MERIT_LIST_CENTER_LEAVE_ONE_OUT},
                                            {NULL, 0}};
static const field_value link_values[] = {{"logistic", MERIT_LINK_LOGISTIC},
                                          {"hinge", MERIT_LINK_HINGE},
                                          {"exponential", MERIT_LINK_EXPONENTIAL},
                                          {NULL, 0}};
static const field_value anchored_values[] = {{"split", MERIT_ANCHORED_SPLIT},
                                              {"product", MERIT_ANCHORED_PRODUCT},
                                              {"pointwise", MERIT_ANCHORED_POINTWISE},
                                              {NULL, 0}};
static const field_value inner_values[] = {
    {"sum", MERIT_LIST_INNER_SUM}, {"mean", MERIT_LIST_INNER_MEAN}, {NULL, 0}};

typedef merit_preference_list_desc list_desc;
typedef merit_preference_list_io list_io;

static const field preference_list_fields[] = {{.name = "groups",
                                                .type = FIELD_OBJECT,
                                                .offset = offsetof(list_desc, groups),
                                                .inner = groups_fields,
                                                .element_bytes = sizeof(merit_groups)},
                                               FIELD_OF(list_desc, I64, num_items),
                                               FIELD_OF(list_desc, I64, score_stride),
                                               FIELD_OF(list_desc, I64, grad_stride),
                                               FIELD_NAMED(list_desc, dtype_values, score_dtype),
                                               FIELD_NAMED(list_desc, mode_values, mode),
                                               FIELD_NAMED(list_desc, target_values, target),
                                               FIELD_OF(list_desc, F32, tau),
                                               FIELD_NAMED(list_desc, center_values, center),
                                               FIELD_OF(list_desc, F32, smoothing),
                                               FIELD_OF(list_desc, I32, top_k),
                                               FIELD_NAMED(list_desc, link_values, link),
                                               FIELD_OF(list_desc, F32, margin),
                                               FIELD_NAMED(list_desc, anchored_values, anchored),
                                               FIELD_NAMED(list_desc, inner_values, inner),
                                               FIELD_OF(list_desc, BOOL, require_both),
                                               FIELD_NAMED(list_desc, reduction_values, reduction),
                                               FIELD_OF(list_desc, BOOL, skip_invalid),
                                               {0}};

static const case_size preference_list_sizes[] = {
    {'R', FIELD_I64, "num_items", offsetof(list_desc, num_items)},
    {'N', FIELD_I64, "groups.num_groups",
     offsetof(list_desc, groups) + offsetof(merit_groups, num_groups)},
    {0}};

#define IN(member, types, dims) \
    .name = #member, .offset = offsetof(list_io, member), .dtypes = (types), .shape = (dims)
#define OUT(member, types, dims) IN(member, types, dims), .output = true
#define SCORES .dtype_offset = offsetof(list_desc, score_dtype)

static const case_array preference_list_arrays[] = {
    {.name = "groups.offsets",
     .in_desc = true,
     .dtypes = CASE_I64,
     .shape = "N+1",
     .offset = offsetof(list_desc, groups) + offsetof(merit_groups, offsets)},
    {.name = "groups.index",
     .in_desc = true,
     .dtypes = CASE_I32,
     .shape = "R",
     .offset = offsetof(list_desc, groups) + offsetof(merit_groups, index)},
    {IN(scores, SIXTEEN_OR_F32, "R"), SCORES, .strides = {offsetof(list_desc, score_stride)}},
    {IN(target_index, CASE_I32, "N")},
    {IN(weights, CASE_F32, "R")},
    {IN(ranks, CASE_I32, "R")},
    {IN(labels, CASE_F32, "R")},
    {IN(signs, CASE_I8, "R")},
    {IN(mask, CASE_U8, "R")},
    {IN(group_weight, CASE_F32, "N")},
    {IN(denominator, CASE_F64, "1")},
    {IN(grad_scale, CASE_F32, "1")},
    {OUT(loss, CASE_F64, "1")},
    {OUT(loss_tiles, CASE_F64, "T")},
    {OUT(group_loss, CASE_F32, "N")},
    {OUT(grad_scores, SIXTEEN_OR_F32, "R"), SCORES, .strides = {offsetof(list_desc, grad_stride)}},
    {OUT(lse, CASE_F32, "N")},
    {OUT(metrics, CASE_I64, "13")},
    {0}};

#undef IN
#undef OUT
#undef SCORES

const case_op case_preference_list = {
    CASE_OP_COMMON(preference_list),
    .groups = {'N', 'R', offsetof(list_desc, groups), "groups"},
    .derive = derive_tiles,
    .preset = preference_list_preset,
    .preset_name = merit_preference_list_preset_name,
};

// preference_ordinal ------------------------------------------------------------------------------

CASE_OP_CALLS(preference_ordinal)
CASE_OP_PRESETS(preference_ordinal)

typedef merit_preference_ordinal_desc ordinal_desc;
typedef merit_preference_ordinal_io ordinal_io;

static const field preference_ordinal_fields[] = {
    FIELD_OF(ordinal_desc, I64, num_pairs),
    FIELD_OF(ordinal_desc, I32, num_levels),
    FIELD_NAMED(ordinal_desc, dtype_values, logit_dtype),
    FIELD_OF(ordinal_desc, I64, chosen_stride),
    FIELD_OF(ordinal_desc, I64, rejected_stride),
    FIELD_OF(ordinal_desc, I64, grad_chosen_stride),
    FIELD_OF(ordinal_desc, I64, grad_rejected_stride),
    FIELD_OF(ordinal_desc, F32, temperature),
    FIELD_OF(ordinal_desc, F32, tie_share),
    FIELD_OF(ordinal_desc, F32, first_value),
    FIELD_OF(ordinal_desc, F32, value_step),
    FIELD_NAMED(ordinal_desc, reduction_values, reduction),
    FIELD_OF(ordinal_desc, BOOL, skip_invalid),
    {0}};

static const case_size preference_ordinal_sizes[] = {
    {'N', FIELD_I64, "num_pairs", offsetof(ordinal_desc, num_pairs)},
    {'K', FIELD_I32, "num_levels", offsetof(ordinal_desc, num_levels)},
    {0}};

#define IN(member, types, dims) \
    .name = #member, .offset = offsetof(ordinal_io, member), .dtypes = (types), .shape = (dims)
#define OUT(member, types, dims) IN(member, types, dims), .output = true
#define LOGITS(stride) \
    .dtype_offset = offsetof(ordinal_desc, logit_dtype), .strides = {offsetof(ordinal_desc, stride)}

static const case_array preference_ordinal_arrays[] = {
    {IN(chosen_logits, SIXTEEN_OR_F32, "N K"), LOGITS(chosen_stride)},
    {IN(rejected_logits, SIXTEEN_OR_F32, "N K"), LOGITS(rejected_stride)},
    {IN(chosen_region, CASE_I32, "N 2")},
    {IN(rejected_region, CASE_I32, "N 2")},
    {IN(weights, CASE_F32, "N")},
    {IN(mask, CASE_U8, "N")},
    {IN(denominator, CASE_F64, "1")},
    {IN(grad_scale, CASE_F32, "1")},
    {OUT(loss, CASE_F64, "1")},
    {OUT(loss_tiles, CASE_F64, "T")},
    {OUT(pair_loss, CASE_F32, "N")},
    {OUT(grad_chosen_logits, SIXTEEN_OR_F32, "N K"), LOGITS(grad_chosen_stride)},
    {OUT(grad_rejected_logits, SIXTEEN_OR_F32, "N K"), LOGITS(grad_rejected_stride)},
    {OUT(win, CASE_F32, "N")},
    {OUT(tie, CASE_F32, "N")},
    {OUT(mean, CASE_F32, "N 2")},
    {OUT(metrics, CASE_I64, "8")},
    {0}};

#undef IN
#undef OUT
#undef LOGITS

const case_op case_preference_ordinal = {
    CASE_OP_COMMON(preference_ordinal),
    .derive = derive_tiles,
    .preset = preference_ordinal_preset,
    .preset_name = merit_preference_ordinal_preset_name,
};
