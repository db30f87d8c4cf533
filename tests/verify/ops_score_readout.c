// Cases of score_finish, score_readout_forward, score_readout_backward and score_regression.
#include "ops.h"

#define SIXTEEN_OR_F32 (CASE_F32 | CASE_BF16 | CASE_F16)
#define IN(member, types, dims) \
    .name = #member, .offset = offsetof(io, member), .dtypes = (types), .shape = (dims)
#define OUT(member, types, dims) IN(member, types, dims), .output = true

// score_finish ------------------------------------------------------------------------------------

CASE_OP_CALLS(score_finish)

typedef merit_score_finish_desc finish_desc;
#define io merit_score_finish_io

static const field score_finish_fields[] = {FIELD_OF(finish_desc, I64, num_tiles),
                                            FIELD_OF(finish_desc, I64, num_positions),
                                            FIELD_OF(finish_desc, I32, num_heads),
                                            FIELD_OF(finish_desc, BOOL, routed),
                                            FIELD_OF(finish_desc, I64, score_stride),
                                            FIELD_OF(finish_desc, F32, empty_value),
                                            {0}};
static const case_size score_finish_sizes[] = {
    {'T', FIELD_I64, "num_tiles", offsetof(finish_desc, num_tiles)},
    {'P', FIELD_I64, "num_positions", offsetof(finish_desc, num_positions)},
    {'K', FIELD_I32, "num_heads", offsetof(finish_desc, num_heads)},
    {0}};

// C: columns of scores.
static void derive_columns(const void *desc, case_sizes sizes)
{
    const finish_desc *const d = desc;
    sizes['C' - 'A'] = d->routed ? 1 : d->num_heads;
}

static const case_array score_finish_arrays[] = {{IN(tile_sums, CASE_F64, "T P C")},
                                                 {IN(found_positions, CASE_I64, "P")},
                                                 {IN(bias, CASE_F32, "K")},
                                                 {IN(post_mean, CASE_F32, "K")},
                                                 {IN(post_std, CASE_F32, "K")},
                                                 {IN(route, CASE_I32, "P")},
                                                 {OUT(scores, CASE_F32, "P C?"),
                                                  .strides = {offsetof(finish_desc, score_stride)},
                                                  .always = true},
                                                 {0}};

#undef io

const case_op case_score_finish = {CASE_OP_COMMON(score_finish), .derive = derive_columns};

// score_readout -----------------------------------------------------------------------------------

// One descriptor for both directions.
typedef merit_score_readout_desc readout_desc;
typedef merit_score_readout_desc merit_score_readout_forward_desc;
typedef merit_score_readout_desc merit_score_readout_backward_desc;
#define merit_score_readout_forward_desc_init merit_score_readout_desc_init
#define merit_score_readout_backward_desc_init merit_score_readout_desc_init
#define merit_score_readout_forward_preset merit_score_readout_preset
#define merit_score_readout_backward_preset merit_score_readout_preset

CASE_OP_CALLS(score_readout_forward)
CASE_OP_PRESETS(score_readout_forward)
CASE_OP_CALLS(score_readout_backward)
CASE_OP_PRESETS(score_readout_backward)

static const field_value kind_values[] = {{"linear", MERIT_READOUT_LINEAR},
                                          {"gate", MERIT_READOUT_GATE},
                                          {"levels", MERIT_READOUT_LEVELS},
                                          {"quantile", MERIT_READOUT_QUANTILE},
                                          {NULL, 0}};
static const field readout_fields[] = {FIELD_OF(readout_desc, I64, num_rows),
                                       FIELD_OF(readout_desc, I32, num_columns),
                                       FIELD_OF(readout_desc, I32, num_logits),
                                       FIELD_NAMED(readout_desc, dtype_values, input_dtype),
                                       FIELD_OF(readout_desc, I64, input_stride),
                                       FIELD_OF(readout_desc, I64, gate_stride),
                                       FIELD_OF(readout_desc, I64, direction_stride),
                                       FIELD_OF(readout_desc, I64, grad_stride),
                                       FIELD_NAMED(readout_desc, kind_values, kind),
                                       FIELD_OF(readout_desc, BOOL, unit),
                                       FIELD_OF(readout_desc, F32, temperature),
                                       FIELD_OF(readout_desc, F32, scale),
                                       FIELD_OF(readout_desc, I32, num_attributes),
                                       FIELD_OF(readout_desc, F32, alpha),
                                       FIELD_OF(readout_desc, BOOL, sort),
                                       FIELD_OF(readout_desc, F32, empty_value),
                                       {0}};
#define score_readout_forward_fields readout_fields
#define score_readout_backward_fields readout_fields

static const case_size readout_sizes[] = {
    {'P', FIELD_I64, "num_rows", offsetof(readout_desc, num_rows)},
    {'K', FIELD_I32, "num_columns", offsetof(readout_desc, num_columns)},
    {0}};
#define score_readout_forward_sizes readout_sizes
#define score_readout_backward_sizes readout_sizes

// W: columns of inputs, A: attributes, N: levels of each, Q: directions.
static void derive_readout(const void *desc, case_sizes sizes)
{
    const readout_desc *const d = desc;
    const int quantile = d->kind == MERIT_READOUT_QUANTILE;
    const int64_t attributes = quantile && d->num_attributes > 0 ? d->num_attributes : 1;
    const int wide = d->kind == MERIT_READOUT_LEVELS && d->num_logits > 0;
    sizes['W' - 'A'] = wide ? d->num_logits : d->num_columns;
    sizes['A' - 'A'] = attributes;
    sizes['N' - 'A'] = d->num_columns / attributes;
    sizes['Q' - 'A'] = d->direction_stride > 0 ? d->num_rows : 1;
}

#define DTYPE .dtype_offset = offsetof(readout_desc, input_dtype)
#define STRIDE(field) .strides = {offsetof(readout_desc, field)}

// What both directions read.
#define READOUT_INPUTS                                                        \
    {IN(inputs, SIXTEEN_OR_F32, "P W"), DTYPE, STRIDE(input_stride)},         \
        {IN(direction, CASE_F32, "Q? K"), STRIDE(direction_stride)},          \
        {IN(gate_logits, SIXTEEN_OR_F32, "P K"), DTYPE, STRIDE(gate_stride)}, \
        {IN(transform, CASE_F32, "K K")}, {IN(level_index, CASE_I32, "K")},   \
        {IN(level_values, CASE_F32, "K")},                                    \
    {                                                                         \
        IN(level_weights, CASE_F32, "N")                                      \
    }

// Which outputs a kind has.
static bool is_linear(const void *desc)
{
    return ((const readout_desc *)desc)->kind == MERIT_READOUT_LINEAR;
}

static bool is_gate(const void *desc)
{
    return ((const readout_desc *)desc)->kind == MERIT_READOUT_GATE;
}

static bool is_levels(const void *desc)
{
    return ((const readout_desc *)desc)->kind == MERIT_READOUT_LEVELS;
}

static bool is_quantile(const void *desc)
{
    return ((const readout_desc *)desc)->kind == MERIT_READOUT_QUANTILE;
}

static bool is_mixed(const void *desc)
{
    return is_linear(desc) || is_gate(desc);
}

static bool has_mean(const void *desc)
{
    return is_levels(desc) || is_quantile(desc);
}

#define io merit_score_readout_forward_io

static const case_array score_readout_forward_arrays[] = {
    READOUT_INPUTS,
    {OUT(reward, CASE_F32, "P"), .allowed = is_mixed},
    {OUT(gate, CASE_F32, "P K"), .allowed = is_gate},
    {OUT(mean, CASE_F32, "P A?"), .allowed = has_mean},
    {OUT(variance, CASE_F32, "P"), .allowed = is_levels},
    {OUT(entropy, CASE_F32, "P"), .allowed = is_levels},
    {OUT(prob, CASE_F32, "P K"), .allowed = is_levels},
    {OUT(cvar, CASE_F32, "P A?"), .allowed = is_quantile},
    {OUT(iqr, CASE_F32, "P A?"), .allowed = is_quantile},
    {0}};

#undef io
#define io merit_score_readout_backward_io

static const case_array score_readout_backward_arrays[] = {
    READOUT_INPUTS,
    {IN(grad_reward, CASE_F32, "P")},
    {IN(grad_mean, CASE_F32, "P A?")},
    {IN(grad_variance, CASE_F32, "P")},
    {IN(grad_entropy, CASE_F32, "P")},
    {IN(grad_cvar, CASE_F32, "P A?")},
    {IN(grad_iqr, CASE_F32, "P A?")},
    {OUT(grad_inputs, SIXTEEN_OR_F32, "P K"), DTYPE, STRIDE(grad_stride)},
    {OUT(grad_direction, CASE_F32, "P K"), .allowed = is_linear},
    {OUT(grad_gate_logits, SIXTEEN_OR_F32, "P K"), DTYPE, .allowed = is_gate},
    {0}};

#undef io

const case_op case_score_readout_forward = {
    CASE_OP_COMMON(score_readout_forward),
    .derive = derive_readout,
    .preset = score_readout_forward_preset,
    .preset_name = merit_score_readout_preset_name,
};
const case_op case_score_readout_backward = {
    CASE_OP_COMMON(score_readout_backward),
    .derive = derive_readout,
    .preset = score_readout_backward_preset,
    .preset_name = merit_score_readout_preset_name,
};

// score_regression --------------------------------------------------------------------------------

CASE_OP_CALLS(score_regression)
CASE_OP_PRESETS(score_regression)

typedef merit_score_regression_desc regression_desc;
#define io merit_score_regression_io

static const field_value link_values[] = {{"mse", MERIT_REGRESSION_MSE},
                                          {"bce", MERIT_REGRESSION_BCE},
                                          {"huber", MERIT_REGRESSION_HUBER},
                                          {NULL, 0}};
static const field_value reduction_values[] = {{"sum", MERIT_REGRESSION_SUM},
                                               {"mean_valid", MERIT_REGRESSION_MEAN_VALID},
                                               {"mean_head", MERIT_REGRESSION_MEAN_HEAD},
                                               {"mean_row", MERIT_REGRESSION_MEAN_ROW},
                                               {"given", MERIT_REGRESSION_GIVEN},
                                               {NULL, 0}};
static const field score_regression_fields[] = {
    FIELD_OF(regression_desc, I64, num_rows),
    FIELD_OF(regression_desc, I32, num_heads),
    FIELD_OF(regression_desc, I64, score_stride),
    FIELD_OF(regression_desc, I64, label_stride),
    FIELD_OF(regression_desc, I64, grad_stride),
    FIELD_NAMED(regression_desc, link_values, link),
    FIELD_OF(regression_desc, F32, huber_delta),
    FIELD_OF(regression_desc, BOOL, half),
    FIELD_OF(regression_desc, F32, sentinel),
    FIELD_OF(regression_desc, BOOL, use_sentinel),
    FIELD_NAMED(regression_desc, reduction_values, reduction),
    {0}};
static const case_size score_regression_sizes[] = {
    {'P', FIELD_I64, "num_rows", offsetof(regression_desc, num_rows)},
    {'K', FIELD_I32, "num_heads", offsetof(regression_desc, num_heads)},
    {0}};

static const case_array score_regression_arrays[] = {
    {IN(scores, CASE_F32, "P K"), .strides = {offsetof(regression_desc, score_stride)}},
    {IN(labels, CASE_F32, "P K"), .strides = {offsetof(regression_desc, label_stride)}},
    {IN(mask, CASE_U8, "P K")},
    {IN(row_weight, CASE_F32, "P")},
    {IN(alpha, CASE_F32, "K")},
    {IN(denominators, CASE_F64, "K")},
    {OUT(loss, CASE_F64, "1")},
    {OUT(head_loss, CASE_F64, "K")},
    {OUT(head_count, CASE_I64, "K")},
    {OUT(grad_scores, CASE_F32, "P K"), .strides = {offsetof(regression_desc, grad_stride)}},
    {OUT(grad_norm_sq, CASE_F64, "K")},
    {OUT(loss_tiles, CASE_F64, "T K")},
    {0}};

#undef io

static void derive_tiles(const void *desc, case_sizes sizes)
{
    sizes['T' - 'A'] = (((const regression_desc *)desc)->num_rows + 2047) / 2048;
}

const case_op case_score_regression = {
    CASE_OP_COMMON(score_regression),
    .derive = derive_tiles,
    .preset = score_regression_preset,
    .preset_name = merit_score_regression_preset_name,
};
