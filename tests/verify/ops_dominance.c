// Cases of the dominance family.
#include "ops.h"

static const field_value measure_values[] = {{"quantile", MERIT_DOMINANCE_MEASURE_QUANTILE},
                                             {"mann_whitney", MERIT_DOMINANCE_MEASURE_MANN_WHITNEY},
                                             {NULL, 0}};
static const field_value ties_values[] = {
    {"exclude", MERIT_DOMINANCE_TIES_EXCLUDE}, {"half", MERIT_DOMINANCE_TIES_HALF}, {NULL, 0}};

enum { MAX_OBJECTIVES = 32 };

static const field int_element = {.name = "element", .type = FIELD_I32};
static const field byte_element = {.name = "element", .type = FIELD_U8};
static const field float_element = {.name = "element", .type = FIELD_F32};

// Host arrays of one value per objective.
#define LIST_OF(type_, member, element)                                                            \
    {                                                                                              \
        .name = #member, .type = FIELD_LIST, .offset = offsetof(type_, member), .inner = &element, \
        .element_bytes = 4, .length = MAX_OBJECTIVES                                               \
    }

#define SIXTEEN_OR_F32 (CASE_F32 | CASE_BF16 | CASE_F16)

// The fields of 1.2 of every descriptor that compares.
#define COMPARE_FIELDS(type_)                                                           \
    FIELD_OF(type_, I64, num_states), FIELD_OF(type_, I32, num_objectives),             \
        FIELD_OF(type_, I32, num_actions), FIELD_OF(type_, I32, num_levels),            \
        FIELD_NAMED(type_, dtype_values, dtype), FIELD_OF(type_, I64, stride_state),    \
        FIELD_OF(type_, I64, stride_objective), FIELD_OF(type_, I64, stride_action),    \
        FIELD_OF(type_, I64, stride_level), FIELD_OF(type_, I64, weights_stride_state), \
        FIELD_NAMED(type_, measure_values, measure), FIELD_OF(type_, I32, power),       \
        FIELD_NAMED(type_, ties_values, ties), FIELD_OF(type_, BOOL, integrate),        \
        FIELD_OF(type_, BOOL, sort_levels), LIST_OF(type_, sign, int_element),          \
        LIST_OF(type_, delta, float_element)

#define STATE_SIZES(type_)                                                   \
    {'B', FIELD_I64, "num_states", offsetof(type_, num_states)},             \
        {'M', FIELD_I32, "num_objectives", offsetof(type_, num_objectives)}, \
        {'A', FIELD_I32, "num_actions", offsetof(type_, num_actions)},       \
    {                                                                        \
        'N', FIELD_I32, "num_levels", offsetof(type_, num_levels)            \
    }

#define LEVELS(type_)                                                             \
    .dtype_offset = offsetof(type_, dtype),                                       \
    .strides = {offsetof(type_, stride_state), offsetof(type_, stride_objective), \
                offsetof(type_, stride_action), offsetof(type_, stride_level)}

// dominance_pairwise ------------------------------------------------------------------------------

CASE_OP_CALLS(dominance_pairwise)
CASE_OP_PRESETS(dominance_pairwise)

typedef merit_dominance_pairwise_desc pairwise_desc;
typedef merit_dominance_pairwise_io pairwise_io;

static const field dominance_pairwise_fields[] = {COMPARE_FIELDS(pairwise_desc), {0}};
static const case_size dominance_pairwise_sizes[] = {STATE_SIZES(pairwise_desc), {0}};

// W: rows of weights.
static void derive_pairwise(const void *desc, case_sizes sizes)
{
    const pairwise_desc *const d = desc;
    sizes['W' - 'A'] = d->weights_stride_state == 0 ? 1 : sizes['B' - 'A'];
}

#define IN(member, types, dims) \
    .name = #member, .offset = offsetof(pairwise_io, member), .dtypes = (types), .shape = (dims)
#define OUT(member, types, dims) IN(member, types, dims), .output = true

static const case_array dominance_pairwise_arrays[] = {
    {IN(q, SIXTEEN_OR_F32, "B M A N"), LEVELS(pairwise_desc)},
    {IN(weights, CASE_F32, "W? N"), .strides = {offsetof(pairwise_desc, weights_stride_state)}},
    {OUT(qd, CASE_F32, "B M A A")},
    {OUT(gain, CASE_F32, "B M A A")},
    {0}};

#undef IN
#undef OUT

const case_op case_dominance_pairwise = {
    CASE_OP_COMMON(dominance_pairwise),
    .derive = derive_pairwise,
    .preset = dominance_pairwise_preset,
    .preset_name = merit_dominance_pairwise_preset_name,
};

// dominance_subset --------------------------------------------------------------------------------

CASE_OP_CALLS(dominance_subset)
CASE_OP_PRESETS(dominance_subset)

static const field_value mode_values[] = {{"cascade", MERIT_DOMINANCE_MODE_CASCADE},
                                          {"rulebook", MERIT_DOMINANCE_MODE_RULEBOOK},
                                          {NULL, 0}};
static const field_value within_values[] = {
    {"pareto", MERIT_DOMINANCE_WITHIN_PARETO}, {"meet", MERIT_DOMINANCE_WITHIN_MEET}, {NULL, 0}};
static const field_value on_empty_values[] = {{"keep", MERIT_DOMINANCE_ON_EMPTY_KEEP},
                                              {"maximin", MERIT_DOMINANCE_ON_EMPTY_MAXIMIN},
                                              {"top_cycle", MERIT_DOMINANCE_ON_EMPTY_TOP_CYCLE},
                                              {NULL, 0}};
static const field_value pick_values[] = {
    {"none", MERIT_DOMINANCE_PICK_NONE},       {"mean", MERIT_DOMINANCE_PICK_MEAN},
    {"maximin", MERIT_DOMINANCE_PICK_MAXIMIN}, {"random", MERIT_DOMINANCE_PICK_RANDOM},
    {"first", MERIT_DOMINANCE_PICK_FIRST},     {NULL, 0}};

typedef merit_dominance_subset_desc subset_desc;
typedef merit_dominance_subset_io subset_io;

static const field dominance_subset_fields[] = {
    COMPARE_FIELDS(subset_desc),
    LIST_OF(subset_desc, theta, float_element),
    LIST_OF(subset_desc, eta, float_element),
    FIELD_NAMED(subset_desc, mode_values, mode),
    FIELD_NAMED(subset_desc, within_values, within_class),
    LIST_OF(subset_desc, rank, int_element),
    {.name = "above",
     .type = FIELD_LIST,
     .offset = offsetof(subset_desc, above),
     .inner = &byte_element,
     .element_bytes = 1,
     .length = MAX_OBJECTIVES * MAX_OBJECTIVES},
    FIELD_NAMED(subset_desc, on_empty_values, on_empty),
    FIELD_NAMED(subset_desc, pick_values, pick),
    LIST_OF(subset_desc, pick_weights, float_element),
    FIELD_OF(subset_desc, BOOL, drop_nan),
    {0}};
static const case_size dominance_subset_sizes[] = {STATE_SIZES(subset_desc), {0}};

// W: rows of weights; V: words of a set.
static void derive_subset(const void *desc, case_sizes sizes)
{
    const subset_desc *const d = desc;
    sizes['W' - 'A'] = d->weights_stride_state == 0 ? 1 : sizes['B' - 'A'];
    sizes['V' - 'A'] = sizes['A' - 'A'] / 32 + (sizes['A' - 'A'] % 32 != 0);
}

#define IN(member, types, dims) \
    .name = #member, .offset = offsetof(subset_io, member), .dtypes = (types), .shape = (dims)
#define OUT(member, types, dims) IN(member, types, dims), .output = true

// Words of bits are I32.
static const case_array dominance_subset_arrays[] = {
    {IN(q, SIXTEEN_OR_F32, "B M A N"), LEVELS(subset_desc)},
    {IN(weights, CASE_F32, "W? N"), .strides = {offsetof(subset_desc, weights_stride_state)}},
    {IN(valid, CASE_U8, "B A")},
    {IN(random, CASE_I32, "B")},
    {OUT(subset, CASE_I32, "B M V")},
    {OUT(final, CASE_I32, "B V")},
    {OUT(action, CASE_I32, "B")},
    {OUT(greedy, CASE_I32, "B M")},
    {OUT(flags, CASE_I32, "B")},
    {0}};

#undef IN
#undef OUT

const case_op case_dominance_subset = {
    CASE_OP_COMMON(dominance_subset),
    .derive = derive_subset,
    .preset = dominance_subset_preset,
    .preset_name = merit_dominance_subset_preset_name,
};
