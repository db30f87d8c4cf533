// Cases of score_forward and score_backward.
#include "ops.h"

// hidden is [tokens, H], tokens = num_rows * row_tokens or num_tokens; scores is [P, columns].

#define SIXTEEN_OR_F32 (CASE_F32 | CASE_BF16 | CASE_F16)
#define INDEX (CASE_I32 | CASE_I64)

static const field_value positions_values[] = {
    {"all", MERIT_POSITIONS_ALL},
    {"lengths", MERIT_POSITIONS_LENGTHS},
    {"mask", MERIT_POSITIONS_MASK},
    {"cu_seqlens", MERIT_POSITIONS_CU_SEQLENS},
    {"last_non_pad", MERIT_POSITIONS_LAST_NON_PAD},
    {"before_first_pad", MERIT_POSITIONS_BEFORE_FIRST_PAD},
    {"explicit", MERIT_POSITIONS_EXPLICIT},
    {NULL, 0}};
static const field_value layout_values[] = {{"flat", MERIT_POSITION_LAYOUT_FLAT},
                                            {"per_row", MERIT_POSITION_LAYOUT_PER_ROW},
                                            {"ragged", MERIT_POSITION_LAYOUT_RAGGED},
                                            {NULL, 0}};
static const field_value path_values[] = {{"exact", MERIT_SCORE_PATH_EXACT},
                                          {"blas", MERIT_SCORE_PATH_BLAS},
                                          {"auto", MERIT_SCORE_PATH_AUTO},
                                          {NULL, 0}};
static const field_value shard_values[] = {
    {"none", MERIT_SCORE_SHARD_NONE}, {"partial", MERIT_SCORE_SHARD_PARTIAL}, {NULL, 0}};
static const field_value grad_layout_values[] = {
    {"dense", MERIT_GRAD_LAYOUT_DENSE}, {"rows", MERIT_GRAD_LAYOUT_ROWS}, {NULL, 0}};

// One descriptor for both directions.
typedef merit_score_desc merit_score_forward_desc;
typedef merit_score_desc merit_score_backward_desc;
#define merit_score_forward_desc_init merit_score_desc_init
#define merit_score_forward_preset merit_score_preset

static const field score_fields[] = {FIELD_OF(merit_score_desc, I64, num_rows),
                                     FIELD_OF(merit_score_desc, I64, row_tokens),
                                     FIELD_OF(merit_score_desc, I64, num_tokens),
                                     FIELD_OF(merit_score_desc, I64, num_positions),
                                     FIELD_OF(merit_score_desc, I32, positions_per_row),
                                     FIELD_OF(merit_score_desc, I32, context_length),
                                     FIELD_OF(merit_score_desc, I64, pad_id),
                                     FIELD_OF(merit_score_desc, I32, hidden_size),
                                     FIELD_OF(merit_score_desc, I32, num_heads),
                                     FIELD_NAMED(merit_score_desc, dtype_values, hidden_dtype),
                                     FIELD_NAMED(merit_score_desc, dtype_values, weight_dtype),
                                     FIELD_NAMED(merit_score_desc, dtype_values, index_dtype),
                                     FIELD_OF(merit_score_desc, I64, hidden_row_stride),
                                     FIELD_OF(merit_score_desc, I64, hidden_stride),
                                     FIELD_OF(merit_score_desc, I64, weight_stride),
                                     FIELD_OF(merit_score_desc, I64, score_stride),
                                     FIELD_OF(merit_score_desc, I64, grad_score_stride),
                                     FIELD_OF(merit_score_desc, I64, grad_hidden_row_stride),
                                     FIELD_OF(merit_score_desc, I64, grad_hidden_stride),
                                     FIELD_OF(merit_score_desc, I64, grad_weight_stride),
                                     FIELD_NAMED(merit_score_desc, positions_values, positions),
                                     FIELD_NAMED(merit_score_desc, layout_values, position_layout),
                                     FIELD_OF(merit_score_desc, BOOL, routed),
                                     FIELD_OF(merit_score_desc, F32, empty_value),
                                     FIELD_NAMED(merit_score_desc, path_values, path),
                                     FIELD_NAMED(merit_score_desc, shard_values, shard),
                                     FIELD_OF(merit_score_desc, BOOL, accumulate),
                                     FIELD_NAMED(merit_score_desc, grad_layout_values, grad_layout),
                                     {0}};
#define score_forward_fields score_fields
#define score_backward_fields score_fields
#define merit_score_backward_desc_init merit_score_desc_init
#define merit_score_backward_preset merit_score_preset

static const case_size score_sizes[] = {
    {'B', FIELD_I64, "num_rows", offsetof(merit_score_desc, num_rows)},
    {'H', FIELD_I32, "hidden_size", offsetof(merit_score_desc, hidden_size)},
    {'K', FIELD_I32, "num_heads", offsetof(merit_score_desc, num_heads)},
    {0}};
#define score_forward_sizes score_sizes
#define score_backward_sizes score_sizes

// M: tokens, P: positions, C: columns of scores, D: rows of grad_hidden.
static void derive_score(const void *desc, case_sizes sizes)
{
    const merit_score_desc *const d = desc;
    const int64_t most = INT64_MAX / 4;
    int64_t tokens = d->num_tokens;
    int64_t positions = d->num_rows;
    if (d->row_tokens > 0 && __builtin_mul_overflow(d->num_rows, d->row_tokens, &tokens)) {
        tokens = most;
    }
    if (d->positions == MERIT_POSITIONS_ALL) positions = tokens;
    if (d->positions == MERIT_POSITIONS_EXPLICIT) positions = d->num_positions;
    if (d->positions == MERIT_POSITIONS_EXPLICIT &&
        d->position_layout == MERIT_POSITION_LAYOUT_PER_ROW &&
        __builtin_mul_overflow(d->num_rows, (int64_t)d->positions_per_row, &positions)) {
        positions = most;
    }
    sizes['M' - 'A'] = tokens > 0 ? tokens : 0;
    sizes['P' - 'A'] = positions > 0 ? positions : 0;
    sizes['C' - 'A'] = d->routed ? 1 : d->num_heads;
    sizes['R' - 'A'] = sizes['C' - 'A']; // of grad_scores
    // S: rows of grad_weight and grad_bias; of binary64 tile sums, as pairs of words.
    sizes['S' - 'A'] = d->num_heads;
    if (d->shard == MERIT_SCORE_SHARD_PARTIAL) {
        sizes['S' - 'A'] *= 2 * (sizes['P' - 'A'] / 2048 + (sizes['P' - 'A'] % 2048 != 0));
    }
    if (d->shard == MERIT_SCORE_SHARD_PARTIAL) { // binary64 tile sums, as pairs of words
        sizes['C' - 'A'] *= 2 * (d->hidden_size / 2048 + (d->hidden_size % 2048 != 0));
    }
    sizes['D' - 'A'] =
        d->grad_layout == MERIT_GRAD_LAYOUT_DENSE ? sizes['M' - 'A'] : sizes['P' - 'A'];
}

#define IN(member, types, dims) \
    .name = #member, .offset = offsetof(io, member), .dtypes = (types), .shape = (dims)
#define OUT(member, types, dims) IN(member, types, dims), .output = true
#define DTYPE(field) .dtype_offset = offsetof(merit_score_desc, field)
#define STRIDE(field) .strides = {offsetof(merit_score_desc, field)}

// What the rules of positions read.
#define INDEX_ARRAYS                                                                    \
    {IN(route, CASE_I32, "P")}, {IN(lengths, CASE_I32, "B")}, {IN(mask, CASE_U8, "M")}, \
        {IN(cu_seqlens, INDEX, "B+1"), DTYPE(index_dtype)},                             \
        {IN(ids, INDEX, "M"), DTYPE(index_dtype)},                                      \
        {IN(positions, INDEX, "P"), DTYPE(index_dtype)},                                \
    {                                                                                   \
        IN(position_offsets, CASE_I64, "B+1")                                           \
    }

// score_forward -----------------------------------------------------------------------------------

CASE_OP_CALLS(score_forward)
CASE_OP_PRESETS(score_forward)

#define io merit_score_forward_io

static const case_array score_forward_arrays[] = {
    {IN(hidden, SIXTEEN_OR_F32, "M H"), DTYPE(hidden_dtype), STRIDE(hidden_stride)},
    {IN(weight, SIXTEEN_OR_F32, "K H"), DTYPE(weight_dtype), STRIDE(weight_stride)},
    {IN(bias, CASE_F32, "K")},
    {IN(post_mean, CASE_F32, "K")},
    {IN(post_std, CASE_F32, "K")},
    INDEX_ARRAYS,
    {OUT(scores, CASE_F32, "P C?"), STRIDE(score_stride), .always = true},
    {OUT(found_positions, CASE_I64, "P")},
    {0}};

#undef io

const case_op case_score_forward = {
    CASE_OP_COMMON(score_forward),
    .derive = derive_score,
    .preset = score_forward_preset,
    .preset_name = merit_score_preset_name,
};

// score_backward ----------------------------------------------------------------------------------

CASE_OP_CALLS(score_backward)
CASE_OP_PRESETS(score_backward)

#define io merit_score_backward_io

static const case_array score_backward_arrays[] = {
    {IN(hidden, SIXTEEN_OR_F32, "M H"), DTYPE(hidden_dtype), STRIDE(hidden_stride)},
    {IN(weight, SIXTEEN_OR_F32, "K H"), DTYPE(weight_dtype), STRIDE(weight_stride)},
    {IN(post_std, CASE_F32, "K")},
    INDEX_ARRAYS,
    {IN(grad_scores, CASE_F32, "P R?"), STRIDE(grad_score_stride)},
    {IN(label_mask, CASE_U8, "P R?")},
    {OUT(grad_hidden, SIXTEEN_OR_F32, "D H"), DTYPE(hidden_dtype), STRIDE(grad_hidden_stride)},
    {OUT(grad_weight, CASE_F32, "S H"), STRIDE(grad_weight_stride)},
    {OUT(grad_bias, CASE_F32, "S")},
    {0}};

#undef io

const case_op case_score_backward = {
    CASE_OP_COMMON(score_backward),
    .derive = derive_score,
    .preset = score_backward_preset,
    .preset_name = merit_score_preset_name,
};
