// merit_preference_pair: workspace, dispatch.
#include "../kernels/preference/preference_pair.h"

#include "preference_pair_checks.h"
#include "preference_presets.h"

// Reads the descriptor and lays out the workspace; args->io is left to the caller.
static merit_status prepare(merit_context *ctx, const merit_preference_pair_desc *desc,
                            merit_preference_pair_args *args, merit_layout *layout)
{
    merit_preference_pair_desc d = merit_preference_pair_defaults;
    MERIT_TRY(merit_read_struct(ctx, "desc", &d, sizeof d,
                                MERIT_SIZE_0_1(merit_preference_pair_desc, calibration_bins),
                                desc));
    MERIT_TRY(merit_preference_pair_check_options(ctx, &d));
    const int64_t routes = d.num_routes;
    const int64_t blocks =
        ctx->backend->on_device ? (int64_t)ctx->launch.num_sms * MERIT_PREFERENCE_BLOCKS_PER_SM : 1;
    args->d = d;
    args->num_tiles = d.num_pairs / 2048 + (d.num_pairs % 2048 != 0);
    args->tickets = merit_layout_take(layout, MERIT_PREFERENCE_TICKET_WORDS, sizeof(uint32_t));
    args->counted = merit_layout_take(layout, routes, sizeof(double));
    args->cells = merit_layout_take(layout, args->num_tiles,
                                    (size_t)routes * MERIT_PREFERENCE_CELLS * sizeof(double));
    args->bins = merit_layout_take(layout, blocks * routes * d.calibration_bins,
                                   sizeof(merit_preference_bin_count));
    return MERIT_STATUS_OK;
}

// What follows from the arrays.
static void plan(merit_preference_pair_args *args)
{
    const merit_preference_pair_desc *const d = &args->d;
    const int drops =
        d->target == MERIT_PAIR_TARGET_OUTCOME && d->tie_model == MERIT_TIE_MODEL_DROP;
    args->valid_is_known = args->io.mask == NULL && !d->skip_invalid && !drops &&
                           d->route_kind != MERIT_ROUTE_KIND_ARRAY;
    const int counts =
        (d->reduction == MERIT_PREFERENCE_REDUCTION_MEAN_VALID && !args->valid_is_known) ||
        d->reduction == MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT;
    args->needs_count = counts && merit_preference_pair_has_gradients(&args->io);
    args->is_plain = merit_preference_pair_is_plain(args);
}

merit_status merit_preference_pair_workspace(merit_context *ctx,
                                             const merit_preference_pair_desc *desc, size_t *bytes)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    merit_preference_pair_args args = {.num_tiles = 0};
    merit_layout layout = merit_layout_begin(NULL);
    MERIT_TRY(prepare(ctx, desc, &args, &layout));
    MERIT_REQUIRE(ctx, !layout.overflow, "the sizes need a workspace of more than 2^64 bytes");
    *bytes = layout.bytes;
    return MERIT_STATUS_OK;
}

merit_status merit_preference_pair(merit_context *ctx, const merit_preference_pair_desc *desc,
                                   const merit_preference_pair_io *io, void *workspace,
                                   size_t workspace_bytes, merit_stream stream)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    merit_preference_pair_args args = {.io = {.struct_size = sizeof args.io}};
    MERIT_TRY(merit_read_struct(ctx, "io", &args.io, sizeof args.io,
                                MERIT_SIZE_0_1(merit_preference_pair_io, diagnostics), io));
    merit_layout layout = merit_layout_begin(workspace);
    MERIT_TRY(prepare(ctx, desc, &args, &layout));
    MERIT_TRY(merit_preference_pair_check_arrays(ctx, &args.d, &args.io));
    MERIT_TRY(merit_preference_pair_check_overlap(ctx, &args.d, &args.io));
    MERIT_TRY(merit_layout_check(ctx, &layout, workspace, workspace_bytes));
    plan(&args);

    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->preference_pair(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
