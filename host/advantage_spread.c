// merit_advantage_spread: checks and dispatch.
#include <math.h>

#include "../kernels/advantage/advantage_spread.h"
#include "check.h"

static const merit_advantage_spread_desc defaults = {
    .struct_size = sizeof(merit_advantage_spread_desc),
    .value_dtype = MERIT_DTYPE_F32,
    .out_dtype = MERIT_DTYPE_F32,
    .gain = 1.0f,
};

merit_status merit_advantage_spread_desc_init(merit_advantage_spread_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &defaults, sizeof defaults,
                             MERIT_SIZE_0_1(merit_advantage_spread_desc, gain));
}

// Checks ------------------------------------------------------------------------------------------

static merit_status read_desc(merit_context *ctx, merit_advantage_spread_desc *d,
                              const merit_advantage_spread_desc *desc)
{
    *d = defaults;
    MERIT_TRY(merit_read_struct(ctx, "desc", d, sizeof *d,
                                MERIT_SIZE_0_1(merit_advantage_spread_desc, gain), desc));
    MERIT_REQUIRE(ctx, d->num_tokens >= 0 && d->num_tokens <= INT64_MAX / 8,
                  "num_tokens is %lld, expected 0..2^60 - 1", (long long)d->num_tokens);
    MERIT_REQUIRE_RANGE(ctx, d, value_dtype, MERIT_DTYPE_F32, MERIT_DTYPE_F64);
    MERIT_REQUIRE(ctx, d->out_dtype == MERIT_DTYPE_F32 || d->out_dtype == MERIT_DTYPE_BF16,
                  "out_dtype is %d, expected F32 (%d) or BF16 (%d)", (int)d->out_dtype,
                  (int)MERIT_DTYPE_F32, (int)MERIT_DTYPE_BF16);
    MERIT_REQUIRE(ctx, !isnan(d->gain), "gain is NaN");
    return merit_check_groups(ctx, "segments", &d->segments, d->num_tokens);
}

static merit_status check_io(merit_context *ctx, const merit_advantage_spread_desc *d,
                             const merit_advantage_spread_io *io)
{
    MERIT_REQUIRE(ctx, io->out != NULL, "out is NULL");
    MERIT_REQUIRE(ctx, io->values != NULL || d->segments.num_groups == 0, "values is NULL");
    const size_t tokens = (size_t)d->num_tokens;
    const size_t segments = (size_t)d->segments.num_groups;
    const int in_place = (const void *)io->add == io->out && d->out_dtype == MERIT_DTYPE_F32;
    const merit_region regions[] = {
        {io->out, tokens * merit_dtype_bytes(d->out_dtype), "out", 1},
        {io->diagnostics, sizeof *io->diagnostics, "diagnostics", 1},
        {io->values, segments * merit_dtype_bytes(d->value_dtype), "values", 0},
        {io->mask, tokens, "mask", 0},
        {d->segments.offsets, (segments + 1) * sizeof *d->segments.offsets, "segments.offsets", 0},
        {d->segments.index, tokens * sizeof *d->segments.index, "segments.index", 0},
        // last: left out when out is written over it
        {io->add, tokens * sizeof *io->add, "add", 0},
    };
    const int count = (int)(sizeof regions / sizeof regions[0]);
    return merit_check_overlap(ctx, regions, in_place ? count - 1 : count);
}

// Calls -------------------------------------------------------------------------------------------

merit_status merit_advantage_spread_workspace(merit_context *ctx,
                                              const merit_advantage_spread_desc *desc,
                                              size_t *bytes)
{
    merit_advantage_spread_desc d;
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    MERIT_TRY(read_desc(ctx, &d, desc));
    *bytes = 0;
    return MERIT_STATUS_OK;
}

merit_status merit_advantage_spread(merit_context *ctx, const merit_advantage_spread_desc *desc,
                                    const merit_advantage_spread_io *io, void *workspace,
                                    size_t workspace_bytes, merit_stream stream)
{
    (void)workspace;
    (void)workspace_bytes;
    merit_advantage_spread_args args = {.io = {.struct_size = sizeof args.io}};
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_TRY(read_desc(ctx, &args.d, desc));
    MERIT_TRY(merit_read_struct(ctx, "io", &args.io, sizeof args.io,
                                MERIT_SIZE_0_1(merit_advantage_spread_io, diagnostics), io));
    if (args.d.num_tokens == 0) return MERIT_STATUS_OK;
    MERIT_TRY(check_io(ctx, &args.d, &args.io));
    if (args.d.segments.group_stride > 0) {
        args.reciprocal = UINT64_MAX / (uint64_t)args.d.segments.group_stride;
    }

    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->advantage_spread(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
