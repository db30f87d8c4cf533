// merit_dominance_pairwise: checks, workspace, dispatch.
#include "../kernels/dominance/dominance_pairwise_args.h"
#include "dominance_checks.h"
#include "dominance_presets.h"

// Reads the descriptor and lays out the workspace; the arrays are left to the caller.
static merit_status prepare(merit_context *ctx, const merit_dominance_pairwise_desc *desc,
                            merit_dominance_pairwise_args *args, merit_layout *layout,
                            int64_t *span)
{
    merit_dominance_pairwise_desc d = merit_dominance_pairwise_defaults;
    MERIT_TRY(merit_read_struct(ctx, "desc", &d, sizeof d,
                                MERIT_SIZE_0_1(merit_dominance_pairwise_desc, delta), desc));
    merit_dominance_compare *const c = &args->c;
    MERIT_TRY(merit_dominance_read(ctx, &d, c));
    MERIT_TRY(merit_dominance_check_sizes(ctx, &d, span));
    const int64_t items = merit_dominance_product(c->num_states, c->num_objectives, 1);
    const int64_t pairs = (int64_t)c->num_actions * c->num_actions;
    MERIT_REQUIRE(ctx, items >= 0 && merit_dominance_product(items, pairs, 1) >= 0,
                  "the sizes need results of more than 2^60 elements");
    if (items == 0) return MERIT_STATUS_OK;
    const int on_device = ctx->backend->on_device;
    const int64_t parts =
        on_device ? merit_dominance_sorting_blocks(ctx->launch.num_sms) : ctx->launch.num_threads;
    args->scratch.num_slots = parts < items ? parts : items;
    args->scratch.rows_per_slot = c->num_actions;
    args->scratch.columns_per_slot = (int64_t)c->num_levels * MERIT_DOMINANCE_WIDEST;
    merit_dominance_layout(layout, c, on_device, 0, &args->scratch);
    return MERIT_STATUS_OK;
}

merit_status merit_dominance_pairwise_workspace(merit_context *ctx,
                                                const merit_dominance_pairwise_desc *desc,
                                                size_t *bytes)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    merit_dominance_pairwise_args args = {.qd = NULL};
    merit_layout layout = merit_layout_begin(NULL);
    int64_t span;
    MERIT_TRY(prepare(ctx, desc, &args, &layout, &span));
    MERIT_REQUIRE(ctx, !layout.overflow, "the sizes need a workspace of more than 2^64 bytes");
    *bytes = layout.bytes;
    return MERIT_STATUS_OK;
}

static merit_status check_arrays(merit_context *ctx, const merit_dominance_compare *c,
                                 const merit_dominance_pairwise_io *io, int64_t span)
{
    MERIT_REQUIRE(ctx, io->q != NULL, "q is NULL");
    MERIT_REQUIRE(ctx, io->qd != NULL || io->gain != NULL,
                  "qd and gain are NULL, expected at least one output");
    const size_t results = (size_t)c->num_states * (size_t)c->num_objectives *
                           (size_t)c->num_actions * (size_t)c->num_actions;
    const merit_region regions[] = {
        {io->qd, results * sizeof *io->qd, "qd", 1},
        {io->gain, results * sizeof *io->gain, "gain", 1},
        {io->diagnostics, sizeof *io->diagnostics, "diagnostics", 1},
        {io->q, (size_t)span * merit_dtype_bytes(c->dtype), "q", 0},
        {io->weights, (size_t)merit_dominance_weights_count(c) * sizeof *io->weights, "weights", 0},
    };
    return merit_check_overlap(ctx, regions, (int)(sizeof regions / sizeof regions[0]));
}

merit_status merit_dominance_pairwise(merit_context *ctx, const merit_dominance_pairwise_desc *desc,
                                      const merit_dominance_pairwise_io *io, void *workspace,
                                      size_t workspace_bytes, merit_stream stream)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    merit_dominance_pairwise_io a = {.struct_size = sizeof a};
    MERIT_TRY(merit_read_struct(ctx, "io", &a, sizeof a,
                                MERIT_SIZE_0_1(merit_dominance_pairwise_io, diagnostics), io));
    merit_dominance_pairwise_args args = {.qd = a.qd, .gain = a.gain};
    merit_layout layout = merit_layout_begin(workspace);
    int64_t span;
    MERIT_TRY(prepare(ctx, desc, &args, &layout, &span));
    MERIT_TRY(merit_dominance_check_weights(ctx, &args.c, a.weights));
    if (args.c.num_states == 0) return MERIT_STATUS_OK;
    MERIT_TRY(check_arrays(ctx, &args.c, &a, span));
    MERIT_TRY(merit_layout_check(ctx, &layout, workspace, workspace_bytes));
    merit_dominance_bind(&args.c, a.q, a.weights, a.diagnostics);

    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->dominance_pairwise(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
