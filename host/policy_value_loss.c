// merit_policy_value_loss: options, checks, workspace, dispatch.
#include "../kernels/policy/policy_value_loss.h"

#include <math.h>

#include "check.h"
#include "policy_layout.h"
#include "presets.h"

// A row names only what differs, so it overrides the defaults that precede it.
#pragma GCC diagnostic ignored "-Woverride-init"

// Options -----------------------------------------------------------------------------------------

#define DEFAULTS                                                                           \
    .struct_size = sizeof(merit_policy_value_loss_desc), .denominator = NAN, .clip = 0.2f, \
    .scale = 0.5f, .aggregation = MERIT_POLICY_AGGREGATION_TOKEN

MERIT_PRESET_ROW(policy_value_loss);

static const merit_policy_value_loss_row presets[] = {
    {.name = "ppo", .options = {DEFAULTS}}, // TRL, verl, OpenRLHF; global tokens
    {.name = "unclipped", .options = {DEFAULTS, .clip = 0.0f}},
    {.name = "slime", .options = {DEFAULTS, .scale = 1.0f}},
    {.name = "areal", .options = {DEFAULTS, .huber_delta = 10.0f, .scale = 1.0f}},
};

static const merit_policy_value_loss_desc defaults = {DEFAULTS};

merit_status merit_policy_value_loss_desc_init(merit_policy_value_loss_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &defaults, sizeof *desc,
                             MERIT_SIZE_0_1(merit_policy_value_loss_desc, aggregation));
}

MERIT_PRESETS(policy_value_loss, presets, clip, aggregation)

// Checks ------------------------------------------------------------------------------------------

static merit_status check_options(merit_context *ctx, const merit_policy_value_loss_desc *d)
{
    MERIT_REQUIRE(ctx, d->clip >= 0.0f, "clip is %g, expected 0 or more", (double)d->clip);
    MERIT_REQUIRE(ctx, d->huber_delta >= 0.0f && d->huber_delta < INFINITY,
                  "huber_delta is %g, expected 0 or more and finite", (double)d->huber_delta);
    MERIT_REQUIRE(ctx, d->scale > 0.0f && d->scale < INFINITY,
                  "scale is %g, expected more than 0 and finite", (double)d->scale);
    MERIT_REQUIRE_RANGE(ctx, d, aggregation, MERIT_POLICY_AGGREGATION_TOKEN,
                        MERIT_POLICY_AGGREGATION_SEQUENCE);
    return MERIT_STATUS_OK;
}

static merit_status check_arrays(merit_context *ctx, const merit_policy_value_loss_desc *d,
                                 const merit_policy_value_loss_io *io)
{
    const int some = d->num_tokens > 0 && d->sequences.num_groups > 0;
    MERIT_TRY(merit_policy_check_denominator(ctx, d->denominator, io->denominator, some));
    if (!some) return MERIT_STATUS_OK;
    MERIT_REQUIRE(ctx, io->value != NULL, "value is NULL");
    MERIT_REQUIRE(ctx, io->returns != NULL, "returns is NULL");
    MERIT_REQUIRE(ctx, io->old_value != NULL || d->clip == 0.0f,
                  "old_value is NULL, but clip is %g", (double)d->clip);
    return MERIT_STATUS_OK;
}

static merit_status check_overlap(merit_context *ctx, const merit_policy_value_loss_desc *d,
                                  const merit_policy_value_loss_io *io)
{
    const size_t tokens = (size_t)d->num_tokens * sizeof(float);
    const size_t sequences = (size_t)d->sequences.num_groups;
    const merit_region regions[] = {
        {io->loss, sizeof *io->loss, "loss", 1},
        {io->loss_tiles, (sequences + 2047) / 2048 * sizeof *io->loss_tiles, "loss_tiles", 1},
        {io->grad_value, tokens, "grad_value", 1},
        {io->stats, sizeof *io->stats, "stats", 1},
        {io->diagnostics, sizeof *io->diagnostics, "diagnostics", 1},
        {io->value, tokens, "value", 0},
        // the gradient may lie exactly on one of these
        {io->old_value, io->old_value == io->grad_value ? 0 : tokens, "old_value", 0},
        {io->returns, io->returns == io->grad_value ? 0 : tokens, "returns", 0},
        {io->mask, (size_t)d->num_tokens, "mask", 0},
        {io->denominator, sizeof *io->denominator, "denominator", 0},
        {d->sequences.offsets, (sequences + 1) * sizeof *d->sequences.offsets, "sequences.offsets",
         0},
    };
    return merit_check_overlap(ctx, regions, (int)(sizeof regions / sizeof regions[0]));
}

// Calls -------------------------------------------------------------------------------------------

// Reads the descriptor and lays out the workspace; the rest of args is left to the caller.
static merit_status prepare(merit_context *ctx, const merit_policy_value_loss_desc *desc,
                            merit_policy_value_loss_args *args, merit_layout *layout)
{
    merit_policy_value_loss_desc *const d = &args->d;
    *d = defaults;
    MERIT_TRY(merit_read_struct(ctx, "desc", d, sizeof *d,
                                MERIT_SIZE_0_1(merit_policy_value_loss_desc, aggregation), desc));
    MERIT_TRY(merit_policy_check_sequences(ctx, &d->sequences, d->num_tokens, &args->layout));
    MERIT_TRY(check_options(ctx, d));
    merit_policy_lay_out_terms(layout, &args->terms, d->sequences.num_groups,
                               MERIT_POLICY_VALUE_SUMS);
    return MERIT_STATUS_OK;
}

merit_status merit_policy_value_loss_workspace(merit_context *ctx,
                                               const merit_policy_value_loss_desc *desc,
                                               size_t *bytes)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    merit_policy_value_loss_args args = {.layout = {.num_tokens = 0}};
    merit_layout layout = merit_layout_begin(NULL);
    MERIT_TRY(prepare(ctx, desc, &args, &layout));
    MERIT_REQUIRE(ctx, !layout.overflow, "the sizes need a workspace of more than 2^64 bytes");
    *bytes = layout.bytes;
    return MERIT_STATUS_OK;
}

merit_status merit_policy_value_loss(merit_context *ctx, const merit_policy_value_loss_desc *desc,
                                     const merit_policy_value_loss_io *io, void *workspace,
                                     size_t workspace_bytes, merit_stream stream)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    merit_policy_value_loss_args args = {.layout = {.num_tokens = 0}};
    merit_layout layout = merit_layout_begin(workspace);
    args.io = (merit_policy_value_loss_io){.struct_size = sizeof args.io};
    MERIT_TRY(merit_read_struct(ctx, "io", &args.io, sizeof args.io,
                                MERIT_SIZE_0_1(merit_policy_value_loss_io, diagnostics), io));
    MERIT_TRY(prepare(ctx, desc, &args, &layout));
    MERIT_TRY(check_arrays(ctx, &args.d, &args.io));
    MERIT_TRY(check_overlap(ctx, &args.d, &args.io));
    MERIT_TRY(merit_layout_check(ctx, &layout, workspace, workspace_bytes));
    args.terms.num_sums = args.io.stats != NULL ? MERIT_POLICY_VALUE_SUMS : 1;
    args.terms.loss_tiles = args.io.loss_tiles;

    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->policy_value_loss(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
