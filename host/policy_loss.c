// merit_policy_loss: checks, workspace, dispatch.
#include "../kernels/policy/policy_loss_args.h"
#include "check.h"
#include "policy_layout.h"
#include "policy_loss_checks.h"
#include "policy_loss_presets.h"

// Reads the descriptor and lays out the workspace; the rest of args is left to the caller.
static merit_status prepare(merit_context *ctx, const merit_policy_loss_desc *desc,
                            merit_policy_loss_args *args, merit_layout *layout)
{
    merit_policy_loss_desc *const d = &args->d;
    *d = merit_policy_loss_defaults;
    MERIT_TRY(merit_read_struct(ctx, "desc", d, sizeof *d,
                                MERIT_SIZE_0_1(merit_policy_loss_desc, aggregation), desc));
    MERIT_TRY(merit_policy_check_sequences(ctx, &d->sequences, d->num_tokens, &args->layout));
    MERIT_TRY(merit_policy_loss_check_options(ctx, d));
    merit_policy_lay_out_terms(layout, &args->terms, d->sequences.num_groups,
                               MERIT_POLICY_LOSS_SUMS);
    return MERIT_STATUS_OK;
}

// CLIP with a ratio per token, at most K3 of the reference; loss and gradient alone.
static int is_plain(const merit_policy_loss_args *args)
{
    const merit_policy_loss_desc *const d = &args->d;
    const merit_policy_loss_io *const io = &args->io;
    const int clips = d->surrogate == MERIT_POLICY_SURROGATE_CLIP &&
                      d->ratio_level == MERIT_POLICY_LEVEL_TOKEN &&
                      d->advantage_level == MERIT_POLICY_ADVANTAGE_SEQUENCE;
    const int corrects = d->mismatch_level != MERIT_POLICY_LEVEL_NONE ||
                         d->reject_level != MERIT_POLICY_LEVEL_NONE ||
                         d->divergence != MERIT_POLICY_DIVERGENCE_NONE;
    const int k3 = d->kl == MERIT_POLICY_KL_K3 && d->kl_gradient == MERIT_POLICY_KL_GRADIENT_OWN &&
                   d->kl_weight == MERIT_POLICY_KL_WEIGHT_ONE;
    const int more = io->token_weight != NULL || io->token_mode != NULL ||
                     io->grad_entropy != NULL || io->token_loss != NULL || io->stats != NULL;
    return clips && !corrects && (k3 || d->kl_coef == 0.0f) && d->entropy_coef == 0.0f && !more;
}

// What the options ask of the sweeps.
static void plan(merit_policy_loss_args *args)
{
    const merit_policy_loss_desc *const d = &args->d;
    const merit_policy_loss_io *const io = &args->io;
    const int by_sequence = d->ratio_level != MERIT_POLICY_LEVEL_TOKEN;
    const int mismatch = d->mismatch_level >= MERIT_POLICY_LEVEL_SEQUENCE_MEAN;
    const int reject = d->reject_level >= MERIT_POLICY_LEVEL_SEQUENCE_MEAN;
    const int through = by_sequence && d->ratio_gradient == MERIT_POLICY_RATIO_GRADIENT_THROUGH;
    merit_policy_loss_bounds(d, args->low, args->high);
    args->is_geometric = d->surrogate == MERIT_POLICY_SURROGATE_GEOMETRIC;
    args->reads_old = io->old != NULL;
    args->reads_rollout =
        io->rollout != NULL && (io->stats != NULL || merit_policy_loss_needs_rollout(d));
    args->reads_entropy = io->entropy != NULL && (io->stats != NULL || d->entropy_coef != 0.0f);
    args->needs_sequence = by_sequence || mismatch || reject || args->is_geometric ||
                           d->aggregation == MERIT_POLICY_AGGREGATION_SEQUENCE;
    args->goes_through = through || args->is_geometric;
    args->is_plain = is_plain(args);
    args->terms.num_sums = io->stats != NULL ? MERIT_POLICY_LOSS_SUMS : 1;
    args->terms.loss_tiles = io->loss_tiles;
}

merit_status merit_policy_loss_workspace(merit_context *ctx, const merit_policy_loss_desc *desc,
                                         size_t *bytes)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    merit_policy_loss_args args = {.is_plain = 0};
    merit_layout layout = merit_layout_begin(NULL);
    MERIT_TRY(prepare(ctx, desc, &args, &layout));
    MERIT_REQUIRE(ctx, !layout.overflow, "the sizes need a workspace of more than 2^64 bytes");
    *bytes = layout.bytes;
    return MERIT_STATUS_OK;
}

merit_status merit_policy_loss(merit_context *ctx, const merit_policy_loss_desc *desc,
                               const merit_policy_loss_io *io, void *workspace,
                               size_t workspace_bytes, merit_stream stream)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    merit_policy_loss_args args = {.is_plain = 0};
    merit_layout layout = merit_layout_begin(workspace);
    args.io = (merit_policy_loss_io){.struct_size = sizeof args.io};
    MERIT_TRY(merit_read_struct(ctx, "io", &args.io, sizeof args.io,
                                MERIT_SIZE_0_1(merit_policy_loss_io, diagnostics), io));
    MERIT_TRY(prepare(ctx, desc, &args, &layout));
    const int some = args.d.num_tokens > 0 && args.d.sequences.num_groups > 0;
    MERIT_TRY(merit_policy_check_denominator(ctx, args.d.denominator, args.io.denominator, some));
    MERIT_TRY(merit_policy_loss_check_arrays(ctx, &args.d, &args.io));
    MERIT_TRY(merit_policy_loss_check_overlap(ctx, &args.d, &args.io));
    MERIT_TRY(merit_layout_check(ctx, &layout, workspace, workspace_bytes));
    plan(&args);

    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->policy_loss(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
