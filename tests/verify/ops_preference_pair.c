// Cases of preference_pair.
#include "ops.h"

CASE_OP_CALLS(preference_pair)
CASE_OP_PRESETS(preference_pair)

static const field_value link_values[] = {
    {"logistic", MERIT_LINK_LOGISTIC}, {"hinge", MERIT_LINK_HINGE},
    {"squared", MERIT_LINK_SQUARED},   {"exponential", MERIT_LINK_EXPONENTIAL},
    {"sigmoid", MERIT_LINK_SIGMOID},   {"exo", MERIT_LINK_EXO},
    {"discopop", MERIT_LINK_DISCOPOP}, {NULL, 0}};
static const field_value beta_map_values[] = {{"constant", MERIT_BETA_MAP_CONSTANT},
                                              {"array", MERIT_BETA_MAP_ARRAY},
                                              {"margin_exp", MERIT_BETA_MAP_MARGIN_EXP},
                                              {NULL, 0}};
static const field_value opposite_values[] = {
    {"negate", MERIT_OPPOSITE_NEGATE}, {"swap", MERIT_OPPOSITE_SWAP}, {NULL, 0}};
static const field_value target_values[] = {{"chosen", MERIT_PAIR_TARGET_CHOSEN},
                                            {"outcome", MERIT_PAIR_TARGET_OUTCOME},
                                            {"probability", MERIT_PAIR_TARGET_PROBABILITY},
                                            {NULL, 0}};
static const field_value smoothing_values[] = {
    {"conservative", MERIT_SMOOTHING_CONSERVATIVE}, {"robust", MERIT_SMOOTHING_ROBUST}, {NULL, 0}};
static const field_value tie_values[] = {{"half", MERIT_TIE_MODEL_HALF},
                                         {"drop", MERIT_TIE_MODEL_DROP},
                                         {"rao_kupper", MERIT_TIE_MODEL_RAO_KUPPER},
                                         {"davidson", MERIT_TIE_MODEL_DAVIDSON},
                                         {NULL, 0}};
static const field_value route_values[] = {{"one", MERIT_ROUTE_KIND_ONE},
                                           {"array", MERIT_ROUTE_KIND_ARRAY},
                                           {"column", MERIT_ROUTE_KIND_COLUMN},
                                           {NULL, 0}};
static const field_value reduction_values[] = {
    {"sum", MERIT_PREFERENCE_REDUCTION_SUM},
    {"mean_valid", MERIT_PREFERENCE_REDUCTION_MEAN_VALID},
    {"mean_weight", MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT},
    {"given", MERIT_PREFERENCE_REDUCTION_GIVEN},
    {NULL, 0}};
static const field coefficient = {.type = FIELD_F32};

typedef merit_preference_pair_desc pair_desc;
typedef merit_preference_pair_io pair_io;

static const field preference_pair_fields[] = {
    FIELD_OF(pair_desc, I64, num_pairs),
    FIELD_OF(pair_desc, I64, chosen_stride),
    FIELD_OF(pair_desc, I64, rejected_stride),
    FIELD_OF(pair_desc, I64, ref_chosen_stride),
    FIELD_OF(pair_desc, I64, ref_rejected_stride),
    FIELD_OF(pair_desc, I64, grad_chosen_stride),
    FIELD_OF(pair_desc, I64, grad_rejected_stride),
    FIELD_NAMED(pair_desc, dtype_values, score_dtype),
    FIELD_NAMED(pair_desc, link_values, link),
    FIELD_OF(pair_desc, F32, link_param),
    FIELD_OF(pair_desc, F32, beta),
    FIELD_NAMED(pair_desc, beta_map_values, beta_map),
    FIELD_OF(pair_desc, F32, map_weight),
    FIELD_OF(pair_desc, F32, map_rate),
    FIELD_OF(pair_desc, F32, margin),
    FIELD_NAMED(pair_desc, opposite_values, opposite),
    FIELD_NAMED(pair_desc, target_values, target),
    FIELD_OF(pair_desc, F32, smoothing),
    FIELD_NAMED(pair_desc, smoothing_values, smoothing_kind),
    FIELD_NAMED(pair_desc, tie_values, tie_model),
    FIELD_OF(pair_desc, F32, log_tie),
    FIELD_OF(pair_desc, F32, pair_weight),
    FIELD_NAMED(pair_desc, link_values, unary_link),
    {.name = "unary",
     .type = FIELD_ARRAY,
     .offset = offsetof(pair_desc, unary),
     .inner = &coefficient,
     .element_bytes = sizeof(float),
     .length = 4},
    FIELD_OF(pair_desc, F32, unary_shift),
    FIELD_OF(pair_desc, F32, unary_margin),
    FIELD_OF(pair_desc, F32, center),
    FIELD_OF(pair_desc, I32, num_routes),
    FIELD_NAMED(pair_desc, route_values, route_kind),
    FIELD_NAMED(pair_desc, reduction_values, reduction),
    FIELD_OF(pair_desc, BOOL, skip_invalid),
    FIELD_OF(pair_desc, I32, calibration_bins),
    {0}};

static const case_size preference_pair_sizes[] = {
    {'N', FIELD_I64, "num_pairs", offsetof(pair_desc, num_pairs)},
    {'K', FIELD_I32, "num_routes", offsetof(pair_desc, num_routes)},
    {'B', FIELD_I32, "calibration_bins", offsetof(pair_desc, calibration_bins)},
    {0}};

// T: tiles.
static void derive_pair_sizes(const void *desc, case_sizes sizes)
{
    (void)desc;
    sizes['T' - 'A'] = sizes['N' - 'A'] / 2048 + (sizes['N' - 'A'] % 2048 != 0);
}

static bool models_ties(const void *desc)
{
    const pair_desc *const d = desc;
    return d->tie_model == MERIT_TIE_MODEL_RAO_KUPPER || d->tie_model == MERIT_TIE_MODEL_DAVIDSON;
}

static bool has_bins(const void *desc)
{
    return ((const pair_desc *)desc)->calibration_bins > 0;
}

// Whether the loss looks at a side; a case of one side alone has no gradient of the other.
static bool uses_chosen(const void *desc)
{
    const pair_desc *const d = desc;
    return d->pair_weight != 0 || d->center != 0 || d->unary[0] != 0 || d->unary[1] != 0;
}

static bool uses_rejected(const void *desc)
{
    const pair_desc *const d = desc;
    return d->pair_weight != 0 || d->center != 0 || d->unary[2] != 0 || d->unary[3] != 0;
}

#define IN(member, types, dims) \
    .name = #member, .offset = offsetof(pair_io, member), .dtypes = (types), .shape = (dims)
#define OUT(member, types, dims) IN(member, types, dims), .output = true
#define SCORES .dtype_offset = offsetof(pair_desc, score_dtype)
#define STRIDE(member) .strides = {offsetof(pair_desc, member)}

// Structs of eight-byte words: binary64 members are the integers of their bits.
enum { METRICS_WORDS = 15, BIN_WORDS = 3 };
_Static_assert(sizeof(merit_preference_metrics) == 8 * METRICS_WORDS, "shape of metrics");
_Static_assert(sizeof(merit_preference_bin) == 8 * BIN_WORDS, "shape of calibration");

static const case_array preference_pair_arrays[] = {
    {IN(chosen, CASE_F32 | CASE_BF16 | CASE_F16, "N"), SCORES, STRIDE(chosen_stride)},
    {IN(rejected, CASE_F32 | CASE_BF16 | CASE_F16, "N"), SCORES, STRIDE(rejected_stride)},
    {IN(ref_chosen, CASE_F32, "N"), STRIDE(ref_chosen_stride)},
    {IN(ref_rejected, CASE_F32, "N"), STRIDE(ref_rejected_stride)},
    {IN(chosen_length, CASE_I32, "N")},
    {IN(rejected_length, CASE_I32, "N")},
    {IN(margins, CASE_F32, "N")},
    {IN(weights, CASE_F32, "N")},
    {IN(betas, CASE_F32, "N")},
    {IN(beta_signal, CASE_F32, "N")},
    {IN(outcomes, CASE_I8, "N")},
    {IN(probabilities, CASE_F32, "N")},
    {IN(routes, CASE_I32, "N")},
    {IN(alpha, CASE_F32, "K")},
    {IN(mask, CASE_U8, "N")},
    {IN(denominators, CASE_F64, "K")},
    {IN(log_tie_dev, CASE_F32, "1")},
    {IN(unary_shift_dev, CASE_F32, "1")},
    {IN(grad_scale, CASE_F32, "1")},
    {OUT(loss, CASE_F64, "1")},
    {OUT(route_sum, CASE_F64, "K")},
    {OUT(loss_tiles, CASE_F64, "T K?")},
    {OUT(pair_loss, CASE_F32, "N")},
    {OUT(pair_probability, CASE_F32, "N")},
    {OUT(grad_chosen, CASE_F32 | CASE_BF16 | CASE_F16, "N"), SCORES, STRIDE(grad_chosen_stride),
     .allowed = uses_chosen},
    {OUT(grad_rejected, CASE_F32 | CASE_BF16 | CASE_F16, "N"), SCORES, STRIDE(grad_rejected_stride),
     .allowed = uses_rejected},
    {OUT(grad_tie, CASE_F64, "1"), .allowed = models_ties},
    {OUT(metrics, CASE_I64, "K? 15")},
    {OUT(calibration, CASE_I64, "K? B 3"), .allowed = has_bins},
    {0}};

#undef IN
#undef OUT

const case_op case_preference_pair = {
    CASE_OP_COMMON(preference_pair),
    .derive = derive_pair_sizes,
    .preset = preference_pair_preset,
    .preset_name = merit_preference_pair_preset_name,
};
