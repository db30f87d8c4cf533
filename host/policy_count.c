// merit_policy_count: checks, workspace, dispatch.
#include "../kernels/policy/policy_count.h"

#include "check.h"
#include "policy_layout.h"

static const merit_policy_count_desc defaults = {.struct_size = sizeof(merit_policy_count_desc)};

merit_status merit_policy_count_desc_init(merit_policy_count_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &defaults, sizeof *desc,
                             MERIT_SIZE_0_1(merit_policy_count_desc, sequences));
}

// Reads the descriptor and lays out the workspace; io is left to the caller.
static merit_status prepare(merit_context *ctx, const merit_policy_count_desc *desc,
                            merit_policy_count_args *args, merit_layout *layout)
{
    merit_policy_count_desc *const d = &args->d;
    *d = defaults;
    MERIT_TRY(merit_read_struct(ctx, "desc", d, sizeof *d,
                                MERIT_SIZE_0_1(merit_policy_count_desc, sequences), desc));
    MERIT_TRY(merit_policy_check_sequences(ctx, &d->sequences, d->num_tokens, &args->layout));
    args->num_sequences = d->sequences.num_groups;
    args->tickets =
        merit_layout_take(layout, MERIT_POLICY_COUNT_TICKET_WORDS, sizeof *args->tickets);
    return MERIT_STATUS_OK;
}

merit_status merit_policy_count_workspace(merit_context *ctx, const merit_policy_count_desc *desc,
                                          size_t *bytes)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    merit_policy_count_args args = {.num_sequences = 0};
    merit_layout layout = merit_layout_begin(NULL);
    MERIT_TRY(prepare(ctx, desc, &args, &layout));
    *bytes = layout.bytes;
    return MERIT_STATUS_OK;
}

merit_status merit_policy_count(merit_context *ctx, const merit_policy_count_desc *desc,
                                const merit_policy_count_io *io, void *workspace,
                                size_t workspace_bytes, merit_stream stream)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    merit_policy_count_args args = {.num_sequences = 0};
    merit_layout layout = merit_layout_begin(workspace);
    args.io = (merit_policy_count_io){.struct_size = sizeof args.io};
    MERIT_TRY(merit_read_struct(ctx, "io", &args.io, sizeof args.io,
                                MERIT_SIZE_0_1(merit_policy_count_io, diagnostics), io));
    MERIT_TRY(prepare(ctx, desc, &args, &layout));
    MERIT_REQUIRE(ctx, args.io.counts != NULL, "counts is NULL");
    const size_t sequences = (size_t)args.num_sequences;
    const merit_region regions[] = {
        {args.io.counts, sizeof *args.io.counts, "counts", 1},
        {args.io.diagnostics, sizeof *args.io.diagnostics, "diagnostics", 1},
        {args.io.mask, (size_t)args.d.num_tokens, "mask", 0},
        {args.d.sequences.offsets, (sequences + 1) * sizeof *args.d.sequences.offsets,
         "sequences.offsets", 0},
    };
    MERIT_TRY(merit_check_overlap(ctx, regions, (int)(sizeof regions / sizeof regions[0])));
    MERIT_TRY(merit_layout_check(ctx, &layout, workspace, workspace_bytes));

    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->policy_count(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
