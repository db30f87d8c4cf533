// merit_score_regression: presets, checks, workspace, dispatch.
#include "../kernels/score/score_regression.h"

#include <math.h>

#include "check.h"
#include "presets.h"

// A row names only what differs, so it overrides the defaults that precede it.
#pragma GCC diagnostic ignored "-Woverride-init"

// clang-format off
#define DEFAULTS                                                                   \
    .struct_size = sizeof(merit_score_regression_desc), .num_heads = 1,            \
    .link = MERIT_REGRESSION_MSE, .huber_delta = 1.0f, .sentinel = -100.0f,        \
    .reduction = MERIT_REGRESSION_MEAN_VALID
#define PRESET(preset, ...) {.name = preset, .options = {DEFAULTS, __VA_ARGS__}}

MERIT_PRESET_ROW(score_regression);

static const merit_score_regression_row presets[] = {
    PRESET("aligner.regression", .use_sentinel = 1),
    PRESET("dpa.regression", .use_sentinel = 0),
    PRESET("armo.regression", .reduction = MERIT_REGRESSION_MEAN_HEAD),
    PRESET("unimod", .link = MERIT_REGRESSION_BCE, .reduction = MERIT_REGRESSION_MEAN_HEAD),
    PRESET("prm.mse", .use_sentinel = 0),
};
// clang-format on

static const merit_score_regression_desc defaults = {DEFAULTS};

merit_status merit_score_regression_desc_init(merit_score_regression_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &defaults, sizeof *desc,
                             MERIT_SIZE_0_1(merit_score_regression_desc, reduction));
}

MERIT_PRESETS(score_regression, presets, link, reduction)

// Checks ------------------------------------------------------------------------------------------

static merit_status check_stride(merit_context *ctx, const merit_score_regression_desc *d,
                                 const char *name, int64_t *stride)
{
    if (*stride == 0) *stride = d->num_heads;
    int64_t elements;
    MERIT_REQUIRE(ctx, *stride >= d->num_heads,
                  "%s is %lld, expected 0 or at least num_heads, which is %d", name,
                  (long long)*stride, (int)d->num_heads);
    const int overflows =
        __builtin_mul_overflow(d->num_rows, *stride, &elements) || elements > INT64_MAX / 16;
    MERIT_REQUIRE(ctx, !overflows, "num_rows and %s span more than 2^63 bytes", name);
    return MERIT_STATUS_OK;
}

static merit_status prepare(merit_context *ctx, const merit_score_regression_desc *desc,
                            merit_score_regression_args *args, merit_layout *layout)
{
    merit_score_regression_desc d = defaults;
    MERIT_TRY(merit_read_struct(ctx, "desc", &d, sizeof d,
                                MERIT_SIZE_0_1(merit_score_regression_desc, reduction), desc));
    MERIT_REQUIRE(ctx, d.num_rows >= 0, "num_rows is %lld, expected 0 or more",
                  (long long)d.num_rows);
    MERIT_REQUIRE_RANGE(ctx, &d, num_heads, 1, MERIT_REGRESSION_MAX_HEADS);
    MERIT_TRY(check_stride(ctx, &d, "score_stride", &d.score_stride));
    MERIT_TRY(check_stride(ctx, &d, "label_stride", &d.label_stride));
    MERIT_TRY(check_stride(ctx, &d, "grad_stride", &d.grad_stride));
    MERIT_REQUIRE_RANGE(ctx, &d, link, MERIT_REGRESSION_MSE, MERIT_REGRESSION_HUBER);
    MERIT_REQUIRE(ctx, d.huber_delta > 0.0f && d.huber_delta < INFINITY,
                  "huber_delta is %g, expected more than 0", (double)d.huber_delta);
    MERIT_REQUIRE_FLAG(ctx, &d, half);
    MERIT_REQUIRE_FLAG(ctx, &d, use_sentinel);
    MERIT_REQUIRE_RANGE(ctx, &d, reduction, MERIT_REGRESSION_SUM, MERIT_REGRESSION_GIVEN);
    args->d = d;
    args->counts_first =
        d.reduction != MERIT_REGRESSION_SUM && d.reduction != MERIT_REGRESSION_GIVEN;
    args->num_tiles = d.num_rows / MERIT_TILE + (d.num_rows % MERIT_TILE != 0);
    args->tickets = merit_layout_take(layout, MERIT_REGRESSION_TICKETS, sizeof *args->tickets);
    args->counts = merit_layout_take(layout, d.num_heads + 1, sizeof *args->counts);
    args->sums = merit_layout_take(layout, args->num_tiles * d.num_heads, 2 * sizeof *args->sums);
    return MERIT_STATUS_OK;
}

static size_t rows_bytes(const merit_score_regression_desc *d, int64_t stride)
{
    return d->num_rows == 0 ? 0 : (size_t)((d->num_rows - 1) * stride + d->num_heads) * 4;
}

static merit_status check_arrays(merit_context *ctx, const merit_score_regression_args *args)
{
    const merit_score_regression_desc *const d = &args->d;
    const merit_score_regression_io *const io = &args->io;
    const int some = d->num_rows > 0;
    const int given = d->reduction == MERIT_REGRESSION_GIVEN;
    MERIT_REQUIRE(ctx, !some || io->scores != NULL, "scores is NULL");
    MERIT_REQUIRE(ctx, !some || io->labels != NULL, "labels is NULL");
    MERIT_REQUIRE(ctx, given || io->denominators == NULL,
                  "denominators is given, but only reduction GIVEN (4) takes it");
    MERIT_REQUIRE(ctx, !given || io->denominators != NULL,
                  "denominators is NULL, but reduction GIVEN (4) needs it");
    const size_t heads = (size_t)d->num_heads;
    const int in_place = io->grad_scores == io->scores && d->grad_stride == d->score_stride;
    const merit_region regions[] = {
        {io->loss, sizeof *io->loss, "loss", 1},
        {io->head_loss, heads * 8, "head_loss", 1},
        {io->head_count, heads * 8, "head_count", 1},
        {io->grad_scores, rows_bytes(d, d->grad_stride), "grad_scores", 1},
        {io->grad_norm_sq, heads * 8, "grad_norm_sq", 1},
        {io->loss_tiles, (size_t)args->num_tiles * heads * 8, "loss_tiles", 1},
        {io->diagnostics, sizeof *io->diagnostics, "diagnostics", 1},
        // left out where the gradient is written over it
        {in_place ? NULL : io->scores, rows_bytes(d, d->score_stride), "scores", 0},
        {io->labels, rows_bytes(d, d->label_stride), "labels", 0},
        {io->mask, (size_t)d->num_rows * heads, "mask", 0},
        {io->row_weight, (size_t)d->num_rows * 4, "row_weight", 0},
        {io->alpha, heads * 4, "alpha", 0},
        {io->denominators, heads * 8, "denominators", 0},
    };
    return merit_check_overlap(ctx, regions, (int)(sizeof regions / sizeof regions[0]));
}

// Calls -------------------------------------------------------------------------------------------

merit_status merit_score_regression_workspace(merit_context *ctx,
                                              const merit_score_regression_desc *desc,
                                              size_t *bytes)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    merit_score_regression_args args = {.counts_first = 0};
    merit_layout layout = merit_layout_begin(NULL);
    MERIT_TRY(prepare(ctx, desc, &args, &layout));
    MERIT_REQUIRE(ctx, !layout.overflow, "the sizes need a workspace of more than 2^64 bytes");
    *bytes = layout.bytes;
    return MERIT_STATUS_OK;
}

merit_status merit_score_regression(merit_context *ctx, const merit_score_regression_desc *desc,
                                    const merit_score_regression_io *io, void *workspace,
                                    size_t workspace_bytes, merit_stream stream)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    merit_score_regression_args args = {.io = {.struct_size = sizeof args.io}};
    MERIT_TRY(merit_read_struct(ctx, "io", &args.io, sizeof args.io,
                                MERIT_SIZE_0_1(merit_score_regression_io, diagnostics), io));
    merit_layout layout = merit_layout_begin(workspace);
    MERIT_TRY(prepare(ctx, desc, &args, &layout));
    MERIT_TRY(check_arrays(ctx, &args));
    MERIT_TRY(merit_layout_check(ctx, &layout, workspace, workspace_bytes));

    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->score_regression(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
