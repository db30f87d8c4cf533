// merit_policy_logprob_backward: checks, dispatch.
#include "../kernels/policy/policy_logprob_args.h"
#include "check.h"
#include "policy_logprob_checks.h"

merit_status merit_policy_logprob_backward_workspace(merit_context *ctx,
                                                     const merit_policy_logprob_desc *desc,
                                                     size_t *bytes)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    merit_policy_logprob_desc d;
    MERIT_TRY(merit_logprob_read_desc(ctx, desc, &d));
    *bytes = 0;
    return MERIT_STATUS_OK;
}

static merit_status check_arrays(merit_context *ctx, const merit_policy_logprob_desc *d,
                                 const merit_policy_logprob_backward_io *io)
{
    const int full = d->normalize == MERIT_LOGPROB_NORMALIZE_FULL;
    if (d->num_tokens == 0) return MERIT_STATUS_OK;
    MERIT_REQUIRE(ctx, io->logits != NULL, "logits is NULL");
    MERIT_REQUIRE(ctx, io->grad_logits != NULL, "grad_logits is NULL");
    MERIT_REQUIRE(ctx, io->state != NULL, "state is NULL");
    MERIT_REQUIRE(ctx, io->grad_logprob != NULL || io->grad_entropy != NULL,
                  "grad_logprob and grad_entropy are NULL, expected at least one");
    MERIT_REQUIRE(ctx, io->grad_logprob == NULL || io->targets != NULL,
                  "targets is NULL, but grad_logprob is given");
    MERIT_REQUIRE(ctx, io->grad_entropy == NULL || io->entropy != NULL,
                  "entropy is NULL, but grad_entropy is given");
    MERIT_REQUIRE(ctx, io->grad_entropy == NULL || !full || io->mass != NULL,
                  "mass is NULL, but grad_entropy is given under normalize FULL");
    return merit_logprob_check_support(ctx, d, io->keep_mask, io->subset_ids);
}

static merit_status check_overlap(merit_context *ctx, const merit_policy_logprob_desc *d,
                                  const merit_policy_logprob_backward_io *io)
{
    const size_t rows = (size_t)d->num_tokens;
    const int in_place = io->grad_logits == io->logits;
    const merit_region regions[] = {
        {io->grad_logits, merit_logprob_logits_bytes(d), "grad_logits", 1},
        {io->diagnostics, sizeof *io->diagnostics, "diagnostics", 1},
        {in_place ? NULL : io->logits, merit_logprob_logits_bytes(d), "logits", 0},
        {io->targets, merit_logprob_targets_bytes(d), "targets", 0},
        {io->temperatures, rows * sizeof *io->temperatures, "temperatures", 0},
        {io->keep_mask, merit_logprob_mask_bytes(d), "keep_mask", 0},
        {io->subset_ids, merit_logprob_subset_bytes(d), "subset_ids", 0},
        {io->state, rows * sizeof *io->state, "state", 0},
        {io->grad_logprob, rows * sizeof *io->grad_logprob, "grad_logprob", 0},
        {io->grad_entropy, rows * sizeof *io->grad_entropy, "grad_entropy", 0},
        {io->entropy, rows * sizeof *io->entropy, "entropy", 0},
        {io->mass, rows * sizeof *io->mass, "mass", 0},
    };
    return merit_check_overlap(ctx, regions, (int)(sizeof regions / sizeof regions[0]));
}

merit_status merit_policy_logprob_backward(merit_context *ctx,
                                           const merit_policy_logprob_desc *desc,
                                           const merit_policy_logprob_backward_io *io,
                                           void *workspace, size_t workspace_bytes,
                                           merit_stream stream)
{
    (void)workspace, (void)workspace_bytes;
    MERIT_TRY(merit_begin(ctx, __func__));
    merit_policy_logprob_backward_args args = {.io = {.struct_size = sizeof args.io}};
    MERIT_TRY(merit_read_struct(ctx, "io", &args.io, sizeof args.io,
                                MERIT_SIZE_0_1(merit_policy_logprob_backward_io, diagnostics), io));
    const merit_policy_logprob_desc *const d = &args.d;
    MERIT_TRY(merit_logprob_read_desc(ctx, desc, &args.d));
    MERIT_TRY(check_arrays(ctx, d, &args.io));
    MERIT_TRY(check_overlap(ctx, d, &args.io));
    if (d->num_tokens == 0) return MERIT_STATUS_OK;
    args.plain = d->soft_cap == 0.0f && d->logit_scale > 0.0f &&
                 d->support == MERIT_LOGPROB_SUPPORT_ALL &&
                 d->normalize == MERIT_LOGPROB_NORMALIZE_SUPPORT;
    args.listed = d->support == MERIT_LOGPROB_SUPPORT_SUBSET &&
                  d->normalize == MERIT_LOGPROB_NORMALIZE_SUPPORT;

    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->policy_logprob_backward(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
