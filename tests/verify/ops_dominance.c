// Cases of the dominance family.
#include "ops.h"

static const field_value measure_values[] = {{"quantile", MERIT_DOMINANCE_MEASURE_QUANTILE},
                                             {"mann_whitney", MERIT_DOMINANCE_MEASURE_MANN_WHITNEY},
                                             {NULL, 0}};
static const field_value ties_values[] = {
    {"exclude", MERIT_DOMINANCE_TIES_EXCLUDE}, {"half", MERIT_DOMINANCE_TIES_HALF}, {NULL, 0}};

enum { MAX_OBJECTIVES = 32 };

static const field int_element = {.name = "element", .type = FIELD_I32};
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
