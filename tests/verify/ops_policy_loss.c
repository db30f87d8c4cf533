// Cases of policy_loss, policy_value_loss and policy_count.
#include "ops.h"

static const field_value advantage_values[] = {{"sequence", MERIT_POLICY_ADVANTAGE_SEQUENCE},
                                               {"token", MERIT_POLICY_ADVANTAGE_TOKEN},
                                               {NULL, 0}};
static const field_value level_values[] = {{"none", MERIT_POLICY_LEVEL_NONE},
                                           {"token", MERIT_POLICY_LEVEL_TOKEN},
                                           {"sequence_mean", MERIT_POLICY_LEVEL_SEQUENCE_MEAN},
                                           {"sequence_sum", MERIT_POLICY_LEVEL_SEQUENCE_SUM},
                                           {NULL, 0}};
static const field_value ratio_gradient_values[] = {
    {"through", MERIT_POLICY_RATIO_GRADIENT_THROUGH},
    {"straight", MERIT_POLICY_RATIO_GRADIENT_STRAIGHT},
    {NULL, 0}};
static const field_value surrogate_values[] = {{"clip", MERIT_POLICY_SURROGATE_CLIP},
                                               {"detached", MERIT_POLICY_SURROGATE_DETACHED},
                                               {"gate", MERIT_POLICY_SURROGATE_GATE},
                                               {"geometric", MERIT_POLICY_SURROGATE_GEOMETRIC},
                                               {"quadratic", MERIT_POLICY_SURROGATE_QUADRATIC},
                                               {"reshape", MERIT_POLICY_SURROGATE_RESHAPE},
                                               {NULL, 0}};
static const field_value divergence_values[] = {{"none", MERIT_POLICY_DIVERGENCE_NONE},
                                                {"tv", MERIT_POLICY_DIVERGENCE_TV},
                                                {"kl", MERIT_POLICY_DIVERGENCE_KL},
                                                {NULL, 0}};
static const field_value anchor_values[] = {
    {"old", MERIT_POLICY_ANCHOR_OLD}, {"rollout", MERIT_POLICY_ANCHOR_ROLLOUT}, {NULL, 0}};
static const field_value kl_values[] = {{"k1", MERIT_POLICY_KL_K1},
                                        {"k2", MERIT_POLICY_KL_K2},
                                        {"k3", MERIT_POLICY_KL_K3},
                                        {"abs", MERIT_POLICY_KL_ABS},
                                        {NULL, 0}};
static const field_value kl_gradient_values[] = {{"own", MERIT_POLICY_KL_GRADIENT_OWN},
                                                 {"squared", MERIT_POLICY_KL_GRADIENT_SQUARED},
                                                 {NULL, 0}};
static const field_value kl_weight_values[] = {
    {"one", MERIT_POLICY_KL_WEIGHT_ONE}, {"ratio", MERIT_POLICY_KL_WEIGHT_RATIO}, {NULL, 0}};
static const field_value rule_values[] = {{"none", MERIT_POLICY_MISMATCH_RULE_NONE},
                                          {"truncate", MERIT_POLICY_MISMATCH_RULE_TRUNCATE},
                                          {"mask", MERIT_POLICY_MISMATCH_RULE_MASK},
                                          {NULL, 0}};
static const field_value numerator_values[] = {
    {"old", MERIT_POLICY_NUMERATOR_OLD}, {"current", MERIT_POLICY_NUMERATOR_CURRENT}, {NULL, 0}};
static const field_value source_values[] = {{"old_rollout", MERIT_POLICY_REJECT_SOURCE_OLD_ROLLOUT},
                                            {"current_old", MERIT_POLICY_REJECT_SOURCE_CURRENT_OLD},
                                            {NULL, 0}};
static const field_value when_values[] = {{"any", MERIT_POLICY_REJECT_WHEN_ANY},
                                          {"negative", MERIT_POLICY_REJECT_WHEN_NEGATIVE},
                                          {NULL, 0}};
static const field_value scope_values[] = {
    {"policy", MERIT_POLICY_SCOPE_POLICY}, {"all", MERIT_POLICY_SCOPE_ALL}, {NULL, 0}};
static const field_value aggregation_values[] = {{"token", MERIT_POLICY_AGGREGATION_TOKEN},
                                                 {"sequence", MERIT_POLICY_AGGREGATION_SEQUENCE},
                                                 {NULL, 0}};

// C: tiles of sequences.
static void derive_tiles(const void *desc, case_sizes sizes)
{
    (void)desc;
    sizes['C' - 'A'] = sizes['B' - 'A'] / 2048 + (sizes['B' - 'A'] % 2048 != 0);
}

#define IN(member, types, dims) \
    .name = #member, .offset = offsetof(io, member), .dtypes = (types), .shape = (dims)
#define OUT(member, types, dims) IN(member, types, dims), .output = true
#define SEQUENCES(d)                                                                 \
    {                                                                                \
        .name = "sequences", .type = FIELD_OBJECT, .offset = offsetof(d, sequences), \
        .inner = groups_fields, .element_bytes = sizeof(merit_groups)                \
    }
#define SEQUENCE_FIELD(d, member) (offsetof(d, sequences) + offsetof(merit_groups, member))
#define SEQUENCE_SIZES(d)                                                        \
    {'T', FIELD_I64, "num_tokens", offsetof(d, num_tokens)},                     \
        {'B', FIELD_I64, "sequences.num_groups", SEQUENCE_FIELD(d, num_groups)}, \
    {                                                                            \
        0                                                                        \
    }
#define SEQUENCE_OFFSETS(d)                                                               \
    {                                                                                     \
        .name = "sequences.offsets", .in_desc = true, .dtypes = CASE_I64, .shape = "B+1", \
        .offset = SEQUENCE_FIELD(d, offsets)                                              \
    }
#define SEQUENCE_GROUPS(d) .groups = {'B', 'T', offsetof(d, sequences), "sequences"}

// policy_loss -------------------------------------------------------------------------------------

CASE_OP_CALLS(policy_loss)
CASE_OP_PRESETS(policy_loss)

typedef merit_policy_loss_desc loss_desc;

static const field policy_loss_fields[] = {
    FIELD_OF(loss_desc, I64, num_tokens),
    SEQUENCES(loss_desc),
    FIELD_OF(loss_desc, F64, denominator),
    FIELD_NAMED(loss_desc, advantage_values, advantage_level),
    FIELD_NAMED(loss_desc, level_values, ratio_level),
    FIELD_NAMED(loss_desc, ratio_gradient_values, ratio_gradient),
    FIELD_OF(loss_desc, F32, log_ratio_min),
    FIELD_OF(loss_desc, F32, log_ratio_max),
    FIELD_NAMED(loss_desc, surrogate_values, surrogate),
    FIELD_NAMED(loss_desc, surrogate_values, surrogate_alt),
    FIELD_OF(loss_desc, F32, ratio_low),
    FIELD_OF(loss_desc, F32, ratio_high),
    FIELD_OF(loss_desc, F32, ratio_low_negative),
    FIELD_OF(loss_desc, F32, ratio_high_negative),
    FIELD_OF(loss_desc, F32, alt_low),
    FIELD_OF(loss_desc, F32, alt_high),
    FIELD_OF(loss_desc, F32, ratio_cap),
    FIELD_OF(loss_desc, F32, dual_clip),
    FIELD_OF(loss_desc, F32, gate_tau_positive),
    FIELD_OF(loss_desc, F32, gate_tau_negative),
    FIELD_OF(loss_desc, F32, quadratic),
    FIELD_OF(loss_desc, F32, reshape),
    FIELD_NAMED(loss_desc, divergence_values, divergence),
    FIELD_OF(loss_desc, F32, divergence_low),
    FIELD_OF(loss_desc, F32, divergence_high),
    FIELD_NAMED(loss_desc, anchor_values, divergence_anchor),
    FIELD_NAMED(loss_desc, kl_values, kl),
    FIELD_OF(loss_desc, F32, kl_coef),
    FIELD_NAMED(loss_desc, kl_gradient_values, kl_gradient),
    FIELD_NAMED(loss_desc, kl_weight_values, kl_weight),
    FIELD_OF(loss_desc, F32, kl_input_clamp),
    FIELD_OF(loss_desc, F32, kl_output_clamp),
    FIELD_NAMED(loss_desc, level_values, mismatch_level),
    FIELD_NAMED(loss_desc, rule_values, mismatch_rule),
    FIELD_OF(loss_desc, F32, mismatch_low),
    FIELD_OF(loss_desc, F32, mismatch_high),
    FIELD_NAMED(loss_desc, numerator_values, mismatch_numerator),
    FIELD_NAMED(loss_desc, level_values, reject_level),
    FIELD_OF(loss_desc, F32, reject_low),
    FIELD_OF(loss_desc, F32, reject_high),
    FIELD_NAMED(loss_desc, source_values, reject_source),
    FIELD_NAMED(loss_desc, when_values, reject_when),
    FIELD_NAMED(loss_desc, scope_values, correction_scope),
    FIELD_OF(loss_desc, F32, entropy_coef),
    FIELD_NAMED(loss_desc, aggregation_values, aggregation),
    {0}};

static const case_size policy_loss_sizes[] = {SEQUENCE_SIZES(loss_desc)};

// A: advantages, one per sequence or token.
static void derive_policy_loss(const void *desc, case_sizes sizes)
{
    const loss_desc *const d = desc;
    derive_tiles(desc, sizes);
    sizes['A' - 'A'] =
        d->advantage_level == MERIT_POLICY_ADVANTAGE_TOKEN ? sizes['T' - 'A'] : sizes['B' - 'A'];
}

#define io merit_policy_loss_io

// Structs of eight-byte words: binary64 members are the integers of their bits, and a pair of binary32
// members is one integer.
enum { STATS_WORDS = 27 };
_Static_assert(sizeof(merit_policy_stats) == 8 * STATS_WORDS, "shape of stats");

static const case_array policy_loss_arrays[] = {SEQUENCE_OFFSETS(loss_desc),
                                                {IN(logprob, CASE_F32, "T")},
                                                {IN(old, CASE_F32, "T")},
                                                {IN(ref, CASE_F32, "T")},
                                                {IN(rollout, CASE_F32, "T")},
                                                {IN(entropy, CASE_F32, "T")},
                                                {IN(token_weight, CASE_F32, "T")},
                                                {IN(advantages, CASE_F32, "A")},
                                                {IN(mask, CASE_U8, "T")},
                                                {IN(token_mode, CASE_U8, "T")},
                                                {IN(sequence_weight, CASE_F32, "B")},
                                                {IN(denominator, CASE_F64, "1")},
                                                {OUT(loss, CASE_F64, "1")},
                                                {OUT(loss_tiles, CASE_F64, "C")},
                                                {OUT(grad_logprob, CASE_F32, "T")},
                                                {OUT(grad_entropy, CASE_F32, "T")},
                                                {OUT(token_loss, CASE_F32, "T")},
                                                {OUT(stats, CASE_I64, "27")},
                                                {0}};

#undef io

const case_op case_policy_loss = {
    CASE_OP_COMMON(policy_loss),
    SEQUENCE_GROUPS(loss_desc),
    .derive = derive_policy_loss,
    .preset = policy_loss_preset,
    .preset_name = merit_policy_loss_preset_name,
};

// policy_value_loss -------------------------------------------------------------------------------

CASE_OP_CALLS(policy_value_loss)
CASE_OP_PRESETS(policy_value_loss)

typedef merit_policy_value_loss_desc value_desc;

static const field policy_value_loss_fields[] = {
    FIELD_OF(value_desc, I64, num_tokens),
    SEQUENCES(value_desc),
    FIELD_OF(value_desc, F64, denominator),
    FIELD_OF(value_desc, F32, clip),
    FIELD_OF(value_desc, F32, huber_delta),
    FIELD_OF(value_desc, F32, scale),
    FIELD_NAMED(value_desc, aggregation_values, aggregation),
    {0}};

static const case_size policy_value_loss_sizes[] = {SEQUENCE_SIZES(value_desc)};

#define io merit_policy_value_loss_io

enum { VALUE_STATS_WORDS = 6 };
_Static_assert(sizeof(merit_policy_value_stats) == 8 * VALUE_STATS_WORDS, "shape of stats");

static const case_array policy_value_loss_arrays[] = {SEQUENCE_OFFSETS(value_desc),
                                                      {IN(value, CASE_F32, "T")},
                                                      {IN(old_value, CASE_F32, "T")},
                                                      {IN(returns, CASE_F32, "T")},
                                                      {IN(mask, CASE_U8, "T")},
                                                      {IN(denominator, CASE_F64, "1")},
                                                      {OUT(loss, CASE_F64, "1")},
                                                      {OUT(loss_tiles, CASE_F64, "C")},
                                                      {OUT(grad_value, CASE_F32, "T")},
                                                      {OUT(stats, CASE_I64, "6")},
                                                      {0}};

#undef io

const case_op case_policy_value_loss = {
    CASE_OP_COMMON(policy_value_loss),
    SEQUENCE_GROUPS(value_desc),
    .derive = derive_tiles,
    .preset = policy_value_loss_preset,
    .preset_name = merit_policy_value_loss_preset_name,
};

// policy_count ------------------------------------------------------------------------------------

CASE_OP_CALLS(policy_count)

typedef merit_policy_count_desc count_desc;

static const field policy_count_fields[] = {
    FIELD_OF(count_desc, I64, num_tokens), SEQUENCES(count_desc), {0}};

static const case_size policy_count_sizes[] = {SEQUENCE_SIZES(count_desc)};

#define io merit_policy_count_io

static const case_array policy_count_arrays[] = {SEQUENCE_OFFSETS(count_desc),
                                                 {IN(mask, CASE_U8, "T")},
                                                 {OUT(counts, CASE_I64, "2"), .always = true},
                                                 {0}};

#undef io

const case_op case_policy_count = {CASE_OP_COMMON(policy_count), SEQUENCE_GROUPS(count_desc)};

#undef IN
#undef OUT
