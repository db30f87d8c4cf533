// Cases of the helpers of groups: group_index, advantage_spread.
#include "ops.h"

// group_index -------------------------------------------------------------------------------------

CASE_OP_CALLS(group_index)

static const field_value kind_values[] = {{"dense", MERIT_GROUP_KIND_DENSE},
                                          {"runs", MERIT_GROUP_KIND_RUNS},
                                          {"labels", MERIT_GROUP_KIND_LABELS},
                                          {NULL, 0}};

typedef merit_group_index_desc index_desc;
typedef merit_group_index_io index_io;

static const field group_index_fields[] = {FIELD_OF(index_desc, I64, num_rows),
                                           FIELD_OF(index_desc, I64, num_groups),
                                           FIELD_NAMED(index_desc, kind_values, kind),
                                           FIELD_NAMED(index_desc, dtype_values, id_dtype),
                                           {0}};

// M: the last entry of offsets.
static const case_size group_index_sizes[] = {
    {'R', FIELD_I64, "num_rows", offsetof(index_desc, num_rows)},
    {'N', FIELD_I64, "num_groups", offsetof(index_desc, num_groups)},
    {0}};

static void derive_index_sizes(const void *desc, case_sizes sizes)
{
    const index_desc *const d = desc;
    sizes['M' - 'A'] = sizes[(d->kind == MERIT_GROUP_KIND_DENSE ? 'N' : 'R') - 'A'];
}

#define IN(member, types, dims) \
    .name = #member, .offset = offsetof(index_io, member), .dtypes = (types), .shape = (dims)
#define OUT(member, types, dims) IN(member, types, dims), .output = true

static const case_array group_index_arrays[] = {
    {IN(ids, CASE_I32 | CASE_I64, "R"), .dtype_offset = offsetof(index_desc, id_dtype)},
    {OUT(offsets, CASE_I64, "M+1"), .always = true},
    {OUT(index, CASE_I32, "R"), .always = true},
    {OUT(group_of, CASE_I32, "R")},
    {OUT(num_groups, CASE_I64, "1")},
    {OUT(max_size, CASE_I32, "1")},
    {0}};

#undef IN
#undef OUT

const case_op case_group_index = {
    CASE_OP_COMMON(group_index),
    .derive = derive_index_sizes,
};

// advantage_spread --------------------------------------------------------------------------------

CASE_OP_CALLS(advantage_spread)

typedef merit_advantage_spread_desc spread_desc;
typedef merit_advantage_spread_io spread_io;

static const field advantage_spread_fields[] = {{.name = "segments",
                                                 .type = FIELD_OBJECT,
                                                 .offset = offsetof(spread_desc, segments),
                                                 .inner = groups_fields,
                                                 .element_bytes = sizeof(merit_groups)},
                                                FIELD_OF(spread_desc, I64, num_tokens),
                                                FIELD_NAMED(spread_desc, dtype_values, value_dtype),
                                                FIELD_NAMED(spread_desc, dtype_values, out_dtype),
                                                FIELD_OF(spread_desc, F32, gain),
                                                {0}};

static const case_size advantage_spread_sizes[] = {
    {'T', FIELD_I64, "num_tokens", offsetof(spread_desc, num_tokens)},
    {'N', FIELD_I64, "segments.num_groups",
     offsetof(spread_desc, segments) + offsetof(merit_groups, num_groups)},
    {0}};

#define IN(member, types, dims) \
    .name = #member, .offset = offsetof(spread_io, member), .dtypes = (types), .shape = (dims)
#define OUT(member, types, dims) IN(member, types, dims), .output = true

static const case_array advantage_spread_arrays[] = {
    {.name = "segments.offsets",
     .in_desc = true,
     .dtypes = CASE_I64,
     .shape = "N+1",
     .offset = offsetof(spread_desc, segments) + offsetof(merit_groups, offsets)},
    {.name = "segments.index",
     .in_desc = true,
     .dtypes = CASE_I32,
     .shape = "T",
     .offset = offsetof(spread_desc, segments) + offsetof(merit_groups, index)},
    {IN(values, CASE_F32 | CASE_F64, "N"), .dtype_offset = offsetof(spread_desc, value_dtype)},
    {IN(mask, CASE_U8, "T")},
    {IN(add, CASE_F32, "T")},
    {OUT(out, CASE_F32 | CASE_BF16, "T"), .dtype_offset = offsetof(spread_desc, out_dtype),
     .always = true},
    {0}};

#undef IN
#undef OUT

const case_op case_advantage_spread = {
    CASE_OP_COMMON(advantage_spread),
    .groups = {'N', 'T', offsetof(spread_desc, segments), "segments"},
};
