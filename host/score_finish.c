// merit_score_finish: checks, dispatch.
#include "../kernels/score/score_finish.h"

#include <math.h>

#include "check.h"

enum { MAX_HEADS = 65536 };

static const merit_score_finish_desc defaults = {
    .struct_size = sizeof defaults, .num_tiles = 1, .num_heads = 1, .empty_value = NAN};

merit_status merit_score_finish_desc_init(merit_score_finish_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &defaults, sizeof defaults,
                             MERIT_SIZE_0_1(merit_score_finish_desc, empty_value));
}

static merit_status read_desc(merit_context *ctx, const merit_score_finish_desc *desc,
                              merit_score_finish_desc *d)
{
    *d = defaults;
    MERIT_TRY(merit_read_struct(ctx, "desc", d, sizeof *d,
                                MERIT_SIZE_0_1(merit_score_finish_desc, empty_value), desc));
    MERIT_REQUIRE(ctx, d->num_tiles >= 1, "num_tiles is %lld, expected 1 or more",
                  (long long)d->num_tiles);
    MERIT_REQUIRE(ctx, d->num_positions >= 0, "num_positions is %lld, expected 0 or more",
                  (long long)d->num_positions);
    MERIT_REQUIRE_RANGE(ctx, d, num_heads, 1, MAX_HEADS);
    MERIT_REQUIRE_FLAG(ctx, d, routed);
    const int64_t columns = d->routed ? 1 : d->num_heads;
    if (d->score_stride == 0) d->score_stride = columns;
    MERIT_REQUIRE(ctx, d->score_stride >= columns,
                  "score_stride is %lld, expected 0 or at least %lld", (long long)d->score_stride,
                  (long long)columns);
    int64_t count;
    const int overflows = __builtin_mul_overflow(d->num_positions, d->score_stride, &count) ||
                          __builtin_mul_overflow(count, d->num_tiles, &count) ||
                          count > INT64_MAX / 16;
    MERIT_REQUIRE(ctx, !overflows,
                  "num_tiles, num_positions and num_heads span more than 2^63 bytes");
    return MERIT_STATUS_OK;
}

merit_status merit_score_finish_workspace(merit_context *ctx, const merit_score_finish_desc *desc,
                                          size_t *bytes)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    merit_score_finish_desc d;
    MERIT_TRY(read_desc(ctx, desc, &d));
    *bytes = 0;
    return MERIT_STATUS_OK;
}

merit_status merit_score_finish(merit_context *ctx, const merit_score_finish_desc *desc,
                                const merit_score_finish_io *io, void *workspace,
                                size_t workspace_bytes, merit_stream stream)
{
    (void)workspace, (void)workspace_bytes; // none is needed
    MERIT_TRY(merit_begin(ctx, __func__));
    merit_score_finish_args args = {.io = {.struct_size = sizeof args.io}, .num_ranks = 1};
    MERIT_TRY(merit_read_struct(ctx, "io", &args.io, sizeof args.io,
                                MERIT_SIZE_0_1(merit_score_finish_io, diagnostics), io));
    MERIT_TRY(read_desc(ctx, desc, &args.d));
    const merit_score_finish_io *const a = &args.io;
    const int64_t positions = args.d.num_positions;
    const int64_t columns = score_finish_columns(&args);
    const size_t heads = (size_t)args.d.num_heads * 4;
    MERIT_REQUIRE(ctx, positions == 0 || a->tile_sums != NULL, "tile_sums is NULL");
    MERIT_REQUIRE(ctx, positions == 0 || a->scores != NULL, "scores is NULL");
    MERIT_REQUIRE(ctx, a->route == NULL || args.d.routed, "route is given, but routed is 0");
    MERIT_REQUIRE(ctx, positions == 0 || a->route != NULL || !args.d.routed,
                  "route is NULL, but routed is 1");
    const size_t scores =
        positions == 0 ? 0 : (size_t)((positions - 1) * args.d.score_stride + columns) * 4;
    const merit_region regions[] = {
        {a->scores, scores, "scores", 1},
        {a->diagnostics, sizeof *a->diagnostics, "diagnostics", 1},
        {a->tile_sums, (size_t)(args.d.num_tiles * positions * columns) * 8, "tile_sums", 0},
        {a->found_positions, (size_t)positions * 8, "found_positions", 0},
        {a->bias, heads, "bias", 0},
        {a->post_mean, heads, "post_mean", 0},
        {a->post_std, heads, "post_std", 0},
        {a->route, (size_t)positions * 4, "route", 0},
    };
    MERIT_TRY(merit_check_overlap(ctx, regions, (int)(sizeof regions / sizeof regions[0])));
    if (positions == 0) return MERIT_STATUS_OK;

    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->score_finish(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
