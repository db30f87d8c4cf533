// Golden cases of score_forward and score_backward against their C oracle.
#include <stdlib.h>

#include "golden_oracles.h"
#include "score_case.h"

static int64_t or_dense(int64_t stride, int64_t dense)
{
    return stride != 0 ? stride : dense;
}

// hidden [tokens,H] and weight [K,H]; to be freed.
static score_case case_of(const merit_score_desc *d, const void *hidden, const void *weight)
{
    const int64_t H = d->hidden_size, tokens = score_case_tokens(d);
    const int64_t T = d->row_tokens > 0 ? d->row_tokens : tokens;
    const int64_t stride = or_dense(d->hidden_stride, H);
    const int64_t rows = tokens == 0 ? 0 : tokens / T;
    return (score_case){
        .d = *d,
        .hidden = golden_floats(
            hidden, d->hidden_dtype, (const int64_t[4]){1, rows, T, H},
            (const int64_t[4]){0, or_dense(d->hidden_row_stride, T * stride), stride, 1}),
        .weight =
            golden_rows(weight, d->weight_dtype, d->num_heads, or_dense(d->weight_stride, H), H)};
}

static void free_inputs(score_case *c)
{
    free((void *)(uintptr_t)c->hidden), free((void *)(uintptr_t)c->weight);
}

const char *golden_score_forward(tk_fixture *tk, const void *desc, const void *io)
{
    const merit_score_desc *const d = desc;
    const merit_score_forward_io *const in = io;
    if (d->shard == MERIT_SCORE_SHARD_PARTIAL) return "the oracle has no sums of one shard";
    score_case c = case_of(d, in->hidden, in->weight);
    c.io = *in;
    score_check(tk, &c);
    free_inputs(&c);
    return NULL;
}

const char *golden_score_backward(tk_fixture *tk, const void *desc, const void *io)
{
    const merit_score_desc *const d = desc;
    const merit_score_backward_io *const in = io;
    if (d->shard == MERIT_SCORE_SHARD_PARTIAL) return "the oracle has no sums of one shard";
    const int64_t H = d->hidden_size, K = d->num_heads, C = d->routed ? 1 : K;
    score_case c = case_of(d, in->hidden, in->weight);
    c.io = (merit_score_forward_io){.struct_size = sizeof c.io,
                                    .post_std = in->post_std,
                                    .route = in->route,
                                    .lengths = in->lengths,
                                    .mask = in->mask,
                                    .cu_seqlens = in->cu_seqlens,
                                    .ids = in->ids,
                                    .positions = in->positions,
                                    .position_offsets = in->position_offsets};
    float *const scores = golden_rows(in->grad_scores, MERIT_DTYPE_F32, score_case_positions(d),
                                      or_dense(d->grad_score_stride, C), C);
    float *const weight = golden_rows(d->accumulate ? in->grad_weight : NULL, MERIT_DTYPE_F32, K,
                                      or_dense(d->grad_weight_stride, H), H);
    c.grad_scores = scores, c.label_mask = in->label_mask;
    c.old_weight = weight, c.old_bias = d->accumulate ? in->grad_bias : NULL;
    c.outputs = (in->grad_hidden ? SB_HIDDEN : 0) | (in->grad_weight ? SB_WEIGHT : 0) |
                (in->grad_bias ? SB_BIAS : 0);
    score_check_backward(tk, &c);
    free(scores), free(weight);
    free_inputs(&c);
    return NULL;
}
