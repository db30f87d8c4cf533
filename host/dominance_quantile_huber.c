// merit_dominance_quantile_huber: checks, workspace, dispatch.
#include "../kernels/dominance/dominance_quantile_huber.h"

#include <math.h>

#include "check.h"
#include "dominance_presets.h"

enum { MOST = 65536 }; // levels, targets

// Options -----------------------------------------------------------------------------------------

// A stride between rows of `least` elements; 0 stands for that.
static merit_status check_rows(merit_context *ctx, int64_t rows, int64_t *stride, int32_t least,
                               const char *name)
{
    if (*stride == 0) *stride = least;
    MERIT_REQUIRE(ctx, *stride >= least, "%s is %lld, expected 0 or at least %d", name,
                  (long long)*stride, (int)least);
    int64_t elements;
    MERIT_REQUIRE(ctx,
                  !__builtin_mul_overflow(rows, *stride, &elements) && elements <= (int64_t)1 << 60,
                  "num_rows and %s span more than 2^60 elements", name);
    return MERIT_STATUS_OK;
}

static merit_status check_options(merit_context *ctx, merit_dominance_quantile_huber_desc *d)
{
    MERIT_REQUIRE(ctx, d->num_rows >= 0, "num_rows is %lld, expected 0 or more",
                  (long long)d->num_rows);
    MERIT_REQUIRE_RANGE(ctx, d, num_levels, 1, MOST);
    MERIT_REQUIRE_RANGE(ctx, d, num_targets, 1, MOST);
    MERIT_TRY(check_rows(ctx, d->num_rows, &d->ld_quantiles, d->num_levels, "ld_quantiles"));
    MERIT_TRY(check_rows(ctx, d->num_rows, &d->ld_targets, d->num_targets, "ld_targets"));
    if (d->ld_tau != 0) {
        MERIT_TRY(check_rows(ctx, d->num_rows, &d->ld_tau, d->num_levels, "ld_tau"));
    }
    if (isnan(d->denominator)) d->denominator = d->num_rows > 0 ? (double)d->num_rows : 1.0;
    MERIT_REQUIRE(ctx, d->denominator > 0.0 && d->denominator < INFINITY,
                  "denominator is %g, expected more than 0 and finite", d->denominator);
    MERIT_REQUIRE(ctx, d->kappa >= 0.0f, "kappa is %g, expected 0 or more", (double)d->kappa);
    MERIT_REQUIRE_FLAG(ctx, d, divide_by_kappa);
    MERIT_REQUIRE(ctx, d->kappa < INFINITY || !d->divide_by_kappa,
                  "kappa is %g, expected a finite number with divide_by_kappa", (double)d->kappa);
    MERIT_REQUIRE_RANGE(ctx, d, level_reduction, MERIT_DOMINANCE_LEVELS_SUM,
                        MERIT_DOMINANCE_LEVELS_MEAN);
    return MERIT_STATUS_OK;
}

// Arrays ------------------------------------------------------------------------------------------

static merit_status check_arrays(merit_context *ctx, const merit_dominance_quantile_huber_desc *d,
                                 const merit_dominance_quantile_huber_io *io)
{
    MERIT_REQUIRE(ctx,
                  io->loss_rows != NULL || io->loss != NULL || io->loss_tiles != NULL ||
                      io->grad_quantiles != NULL,
                  "every output is NULL, expected at least one");
    if (d->num_rows == 0) return MERIT_STATUS_OK;
    MERIT_REQUIRE(ctx, io->quantiles != NULL, "quantiles is NULL");
    MERIT_REQUIRE(ctx, io->tau != NULL, "tau is NULL");
    MERIT_REQUIRE(ctx, io->targets != NULL, "targets is NULL");
    return MERIT_STATUS_OK;
}

static size_t bytes_of(int64_t rows, int64_t stride, int32_t row)
{
    return rows == 0 ? 0 : (size_t)((rows - 1) * stride + row) * sizeof(float);
}

static merit_status check_overlap(merit_context *ctx, const merit_dominance_quantile_huber_desc *d,
                                  const merit_dominance_quantile_huber_io *io)
{
    const size_t rows = (size_t)d->num_rows;
    const size_t levels = bytes_of(d->num_rows, d->ld_quantiles, d->num_levels);
    const int in_place = io->grad_quantiles == io->quantiles;
    const merit_region regions[] = {
        {io->loss_rows, rows * sizeof *io->loss_rows, "loss_rows", 1},
        {io->loss, sizeof *io->loss, "loss", 1},
        {io->loss_tiles, (rows + 2047) / 2048 * sizeof *io->loss_tiles, "loss_tiles", 1},
        {io->grad_quantiles, levels, "grad_quantiles", 1},
        {io->diagnostics, sizeof *io->diagnostics, "diagnostics", 1},
        {in_place ? NULL : io->quantiles, levels, "quantiles", 0},
        {io->tau, bytes_of(d->ld_tau == 0 ? rows > 0 : d->num_rows, d->ld_tau, d->num_levels),
         "tau", 0},
        {io->targets, bytes_of(d->num_rows, d->ld_targets, d->num_targets), "targets", 0},
        {io->target_count, rows * sizeof *io->target_count, "target_count", 0},
        {io->weight, rows * sizeof *io->weight, "weight", 0},
    };
    return merit_check_overlap(ctx, regions, (int)(sizeof regions / sizeof regions[0]));
}

// Calls -------------------------------------------------------------------------------------------

static void lay_out_total(merit_layout *layout, merit_total *total, int64_t rows)
{
    total->count = rows;
    const int64_t tiles = merit_total_num_tiles(total);
    const int near = tiles <= MERIT_TOTAL_TICKET_NEAR;
    total->tickets =
        merit_layout_take(layout, rows > 0 ? MERIT_TOTAL_TICKET_WORDS : 0, sizeof *total->tickets);
    uint32_t *const far = merit_layout_take(layout, near ? 0 : tiles, sizeof *far);
    total->tile_tickets =
        !near || total->tickets == NULL ? far : total->tickets + MERIT_TOTAL_TICKET_TILES;
    total->terms = merit_layout_take(layout, rows, sizeof *total->terms);
    total->tiles = merit_layout_take(layout, tiles, sizeof *total->tiles);
}

// Reads the descriptor and lays out the workspace; the arrays are left to the caller.
static merit_status prepare(merit_context *ctx, const merit_dominance_quantile_huber_desc *desc,
                            merit_dominance_quantile_huber_args *args, merit_layout *layout)
{
    merit_dominance_quantile_huber_desc *const d = &args->d;
    *d = merit_dominance_quantile_huber_defaults;
    MERIT_TRY(merit_read_struct(
        ctx, "desc", d, sizeof *d,
        MERIT_SIZE_0_1(merit_dominance_quantile_huber_desc, level_reduction), desc));
    MERIT_TRY(check_options(ctx, d));
    args->row_divisor = d->divide_by_kappa && d->kappa > 0.0f ? (double)d->kappa : 1.0;
    if (d->level_reduction == MERIT_DOMINANCE_LEVELS_MEAN) args->row_divisor *= d->num_levels;
    lay_out_total(layout, &args->total, d->num_rows);
    return MERIT_STATUS_OK;
}

merit_status merit_dominance_quantile_huber_workspace(
    merit_context *ctx, const merit_dominance_quantile_huber_desc *desc, size_t *bytes)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    merit_dominance_quantile_huber_args args = {.needs_total = 0};
    merit_layout layout = merit_layout_begin(NULL);
    MERIT_TRY(prepare(ctx, desc, &args, &layout));
    MERIT_REQUIRE(ctx, !layout.overflow, "the sizes need a workspace of more than 2^64 bytes");
    *bytes = layout.bytes;
    return MERIT_STATUS_OK;
}

merit_status merit_dominance_quantile_huber(merit_context *ctx,
                                            const merit_dominance_quantile_huber_desc *desc,
                                            const merit_dominance_quantile_huber_io *io,
                                            void *workspace, size_t workspace_bytes,
                                            merit_stream stream)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    merit_dominance_quantile_huber_args args = {.io = {.struct_size = sizeof args.io}};
    MERIT_TRY(merit_read_struct(ctx, "io", &args.io, sizeof args.io,
                                MERIT_SIZE_0_1(merit_dominance_quantile_huber_io, diagnostics),
                                io));
    merit_layout layout = merit_layout_begin(workspace);
    MERIT_TRY(prepare(ctx, desc, &args, &layout));
    MERIT_TRY(check_arrays(ctx, &args.d, &args.io));
    MERIT_TRY(check_overlap(ctx, &args.d, &args.io));
    MERIT_TRY(merit_layout_check(ctx, &layout, workspace, workspace_bytes));
    args.total.tile_sums = args.io.loss_tiles;
    args.needs_total = args.io.loss != NULL || args.io.loss_tiles != NULL;
    if (args.d.num_rows == 0 && args.io.loss == NULL) return MERIT_STATUS_OK;

    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->dominance_quantile_huber(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
