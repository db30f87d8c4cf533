// Cases of policy_logprob.
#include "ops.h"

#define SIXTEEN_OR_F32 (CASE_F32 | CASE_BF16 | CASE_F16)
#define LABEL (CASE_I32 | CASE_I64)

static const field_value support_values[] = {{"all", MERIT_LOGPROB_SUPPORT_ALL},
                                             {"mask", MERIT_LOGPROB_SUPPORT_MASK},
                                             {"subset", MERIT_LOGPROB_SUPPORT_SUBSET},
                                             {NULL, 0}};
static const field_value normalize_values[] = {{"support", MERIT_LOGPROB_NORMALIZE_SUPPORT},
                                               {"full", MERIT_LOGPROB_NORMALIZE_FULL},
                                               {NULL, 0}};

static const field_value partials_values[] = {{"none", MERIT_LOGPROB_PARTIALS_NONE},
                                              {"shard", MERIT_LOGPROB_PARTIALS_SHARD},
                                              {"segment", MERIT_LOGPROB_PARTIALS_SEGMENT},
                                              {NULL, 0}};

// One descriptor for all three.
typedef merit_policy_logprob_desc merit_policy_logprob_forward_desc;
#define merit_policy_logprob_forward_desc_init merit_policy_logprob_desc_init
#define merit_policy_logprob_forward_preset merit_policy_logprob_preset

static const field logprob_fields[] = {
    FIELD_OF(merit_policy_logprob_desc, I64, num_tokens),
    FIELD_OF(merit_policy_logprob_desc, I64, vocab_size),
    FIELD_OF(merit_policy_logprob_desc, I64, ld_logits),
    FIELD_OF(merit_policy_logprob_desc, I64, ld_mask),
    FIELD_OF(merit_policy_logprob_desc, I64, ld_subset),
    FIELD_NAMED(merit_policy_logprob_desc, dtype_values, dtype),
    FIELD_NAMED(merit_policy_logprob_desc, dtype_values, target_dtype),
    FIELD_OF(merit_policy_logprob_desc, I32, subset_size),
    FIELD_OF(merit_policy_logprob_desc, F32, temperature),
    FIELD_OF(merit_policy_logprob_desc, F32, logit_scale),
    FIELD_OF(merit_policy_logprob_desc, F32, soft_cap),
    FIELD_NAMED(merit_policy_logprob_desc, support_values, support),
    FIELD_NAMED(merit_policy_logprob_desc, normalize_values, normalize),
    FIELD_OF(merit_policy_logprob_desc, I64, ignore_index),
    FIELD_OF(merit_policy_logprob_desc, I64, vocab_begin),
    FIELD_OF(merit_policy_logprob_desc, I64, vocab_total),
    FIELD_NAMED(merit_policy_logprob_desc, partials_values, partials),
    FIELD_OF(merit_policy_logprob_desc, I32, num_shards),
    {0}};
#define policy_logprob_forward_fields logprob_fields

static const case_size logprob_sizes[] = {
    {'T', FIELD_I64, "num_tokens", offsetof(merit_policy_logprob_desc, num_tokens)},
    {'V', FIELD_I64, "vocab_size", offsetof(merit_policy_logprob_desc, vocab_size)},
    {'S', FIELD_I32, "subset_size", offsetof(merit_policy_logprob_desc, subset_size)},
    {0}};
#define policy_logprob_forward_sizes logprob_sizes

// W: words of a mask; M, N: rows of the mask and of the subsets, 1 for all tokens or one each; Q: segments of a
// row, R: of all ranks in all rows; P: ranks.
static void derive_logprob(const void *desc, case_sizes sizes)
{
    const merit_policy_logprob_desc *const d = desc;
    const int64_t V = sizes['V' - 'A'];
    sizes['W' - 'A'] = V / 32 + (V % 32 != 0);
    sizes['M' - 'A'] = d->ld_mask == 0 ? 1 : sizes['T' - 'A'];
    sizes['N' - 'A'] = d->ld_subset == 0 ? 1 : sizes['T' - 'A'];
    sizes['Q' - 'A'] = V / 2048 + (V % 2048 != 0);
    sizes['P' - 'A'] = d->num_shards > 0 ? d->num_shards : 0;
    int64_t each;
    if (__builtin_mul_overflow(sizes['T' - 'A'], sizes['Q' - 'A'], &each) ||
        __builtin_mul_overflow(each, sizes['P' - 'A'], &sizes['R' - 'A'])) {
        sizes['R' - 'A'] = INT64_MAX / 4;
    }
}

static bool gives_shards(const void *desc)
{
    return ((const merit_policy_logprob_desc *)desc)->partials != MERIT_LOGPROB_PARTIALS_NONE;
}

static bool gives_segments(const void *desc)
{
    return ((const merit_policy_logprob_desc *)desc)->partials == MERIT_LOGPROB_PARTIALS_SEGMENT;
}

static bool gives_results(const void *desc)
{
    return !gives_shards(desc);
}

static bool gives_mass(const void *desc)
{
    const merit_policy_logprob_desc *const d = desc;
    return d->normalize == MERIT_LOGPROB_NORMALIZE_FULL;
}

#define IN(member, types, dims) \
    .name = #member, .offset = offsetof(io, member), .dtypes = (types), .shape = (dims)
#define OUT(member, types, dims) IN(member, types, dims), .output = true
#define LOGITS                                                  \
    .dtype_offset = offsetof(merit_policy_logprob_desc, dtype), \
    .strides = {offsetof(merit_policy_logprob_desc, ld_logits)}

// policy_logprob_forward --------------------------------------------------------------------------

CASE_OP_CALLS(policy_logprob_forward)
CASE_OP_PRESETS(policy_logprob_forward)

#define io merit_policy_logprob_forward_io

_Static_assert(sizeof(merit_policy_logprob_state) == 8, "two words per row");
_Static_assert(sizeof(merit_policy_logprob_shard) == 40, "five words per row");
_Static_assert(sizeof(merit_policy_logprob_segment) == 16, "four numbers per segment");

static const case_array policy_logprob_forward_arrays[] = {
    {IN(logits, SIXTEEN_OR_F32, "T V"), LOGITS},
    {IN(targets, LABEL, "T"), .dtype_offset = offsetof(merit_policy_logprob_desc, target_dtype)},
    {IN(temperatures, CASE_F32, "T")},
    {IN(keep_mask, CASE_U32, "M W"), .strides = {offsetof(merit_policy_logprob_desc, ld_mask)}},
    {IN(subset_ids, CASE_I32, "N S"), .strides = {offsetof(merit_policy_logprob_desc, ld_subset)}},
    {OUT(logprob, CASE_F32, "T"), .allowed = gives_results},
    {OUT(lse, CASE_F32, "T"), .allowed = gives_results},
    {OUT(entropy, CASE_F32, "T"), .allowed = gives_results},
    {OUT(sum_sq, CASE_F32, "T"), .allowed = gives_results},
    {OUT(mass, CASE_F32, "T"), .allowed = gives_mass},
    {OUT(argmax, CASE_I32, "T"), .allowed = gives_results},
    {OUT(state, CASE_I32, "T 2"), .allowed = gives_results},
    {OUT(shards, CASE_I64, "T 5"), .allowed = gives_shards},
    {OUT(segments, CASE_F32, "T Q 4"), .allowed = gives_segments},
    {0}};

#undef io

const case_op case_policy_logprob_forward = {
    CASE_OP_COMMON(policy_logprob_forward),
    .derive = derive_logprob,
    .preset = policy_logprob_forward_preset,
    .preset_name = merit_policy_logprob_preset_name,
};

// policy_logprob_backward -------------------------------------------------------------------------

typedef merit_policy_logprob_desc merit_policy_logprob_backward_desc;
#define merit_policy_logprob_backward_desc_init merit_policy_logprob_desc_init
#define merit_policy_logprob_backward_preset merit_policy_logprob_preset
#define policy_logprob_backward_fields logprob_fields
#define policy_logprob_backward_sizes logprob_sizes

CASE_OP_CALLS(policy_logprob_backward)
CASE_OP_PRESETS(policy_logprob_backward)

#define io merit_policy_logprob_backward_io

static const case_array policy_logprob_backward_arrays[] = {
    {IN(logits, SIXTEEN_OR_F32, "T V"), LOGITS},
    {IN(targets, LABEL, "T"), .dtype_offset = offsetof(merit_policy_logprob_desc, target_dtype)},
    {IN(temperatures, CASE_F32, "T")},
    {IN(keep_mask, CASE_U32, "M W"), .strides = {offsetof(merit_policy_logprob_desc, ld_mask)}},
    {IN(subset_ids, CASE_I32, "N S"), .strides = {offsetof(merit_policy_logprob_desc, ld_subset)}},
    {IN(state, CASE_I32, "T 2")},
    {IN(grad_logprob, CASE_F32, "T")},
    {IN(grad_entropy, CASE_F32, "T")},
    {IN(entropy, CASE_F32, "T")},
    {IN(mass, CASE_F32, "T")},
    {OUT(grad_logits, SIXTEEN_OR_F32, "T V"), LOGITS, .always = true},
    {0}};

#undef io

const case_op case_policy_logprob_backward = {
    CASE_OP_COMMON(policy_logprob_backward),
    .derive = derive_logprob,
    .preset = policy_logprob_backward_preset,
    .preset_name = merit_policy_logprob_preset_name,
};

// policy_logprob_merge ----------------------------------------------------------------------------

typedef merit_policy_logprob_desc merit_policy_logprob_merge_desc;
#define merit_policy_logprob_merge_desc_init merit_policy_logprob_desc_init
#define merit_policy_logprob_merge_preset merit_policy_logprob_preset
#define policy_logprob_merge_fields logprob_fields
#define policy_logprob_merge_sizes logprob_sizes

CASE_OP_CALLS(policy_logprob_merge)
CASE_OP_PRESETS(policy_logprob_merge)

#define io merit_policy_logprob_merge_io

static const case_array policy_logprob_merge_arrays[] = {
    {IN(shards, CASE_I64, "P T 5")},
    {IN(segments, CASE_F32, "R 4")},
    {IN(targets, LABEL, "T"), .dtype_offset = offsetof(merit_policy_logprob_desc, target_dtype)},
    {IN(temperatures, CASE_F32, "T")},
    {OUT(logprob, CASE_F32, "T")},
    {OUT(lse, CASE_F32, "T")},
    {OUT(entropy, CASE_F32, "T")},
    {OUT(sum_sq, CASE_F32, "T")},
    {OUT(argmax, CASE_I32, "T")},
    {OUT(state, CASE_I32, "T 2")},
    {0}};

#undef io

const case_op case_policy_logprob_merge = {
    CASE_OP_COMMON(policy_logprob_merge),
    .derive = derive_logprob,
    .preset = policy_logprob_merge_preset,
    .preset_name = merit_policy_logprob_preset_name,
};

#undef IN
#undef OUT
#undef LOGITS
