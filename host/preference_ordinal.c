// merit_preference_ordinal: checks, workspace, dispatch.
#include <math.h>

#include "../kernels/preference/preference_ordinal_args.h"
#include "check.h"
#include "preference_layout.h"
#include "preference_ordinal_presets.h"

// Options -----------------------------------------------------------------------------------------

static merit_status check_row(merit_context *ctx, const merit_preference_ordinal_desc *d,
                              int64_t *stride, const char *name)
{
    if (*stride == 0) *stride = d->num_levels;
    int64_t elements;
    MERIT_REQUIRE(ctx, *stride >= d->num_levels,
                  "%s is %lld, expected 0 or at least num_levels, which is %d", name,
                  (long long)*stride, (int)d->num_levels);
    const int overflows =
        __builtin_mul_overflow(d->num_pairs, *stride, &elements) || elements > INT64_MAX / 8;
    MERIT_REQUIRE(ctx, !overflows, "num_pairs and %s span more than 2^63 bytes", name);
    return MERIT_STATUS_OK;
}

static merit_status check_options(merit_context *ctx, merit_preference_ordinal_desc *d)
{
    MERIT_REQUIRE(ctx, d->num_pairs >= 0, "num_pairs is %lld, expected 0 or more",
                  (long long)d->num_pairs);
    MERIT_REQUIRE_RANGE(ctx, d, num_levels, 2, MERIT_ORDINAL_MAX_LEVELS);
    MERIT_REQUIRE(ctx,
                  d->logit_dtype == MERIT_DTYPE_F32 || d->logit_dtype == MERIT_DTYPE_BF16 ||
                      d->logit_dtype == MERIT_DTYPE_F16,
                  "logit_dtype is %d, expected F32 (%d), BF16 (%d) or F16 (%d)",
                  (int)d->logit_dtype, (int)MERIT_DTYPE_F32, (int)MERIT_DTYPE_BF16,
                  (int)MERIT_DTYPE_F16);
    MERIT_TRY(check_row(ctx, d, &d->chosen_stride, "chosen_stride"));
    MERIT_TRY(check_row(ctx, d, &d->rejected_stride, "rejected_stride"));
    MERIT_TRY(check_row(ctx, d, &d->grad_chosen_stride, "grad_chosen_stride"));
    MERIT_TRY(check_row(ctx, d, &d->grad_rejected_stride, "grad_rejected_stride"));
    MERIT_REQUIRE(ctx, d->temperature > 0.0f && d->temperature < INFINITY,
                  "temperature is %g, expected more than 0", (double)d->temperature);
    MERIT_REQUIRE(ctx, d->tie_share >= 0.0f && d->tie_share <= 1.0f,
                  "tie_share is %g, expected 0 to 1", (double)d->tie_share);
    MERIT_REQUIRE(ctx, isfinite(d->first_value), "first_value is %g, expected a finite number",
                  (double)d->first_value);
    MERIT_REQUIRE(ctx, d->value_step > 0.0f && d->value_step < INFINITY,
                  "value_step is %g, expected more than 0", (double)d->value_step);
    MERIT_REQUIRE_RANGE(ctx, d, reduction, MERIT_PREFERENCE_REDUCTION_SUM,
                        MERIT_PREFERENCE_REDUCTION_GIVEN);
    MERIT_REQUIRE_FLAG(ctx, d, skip_invalid);
    return MERIT_STATUS_OK;
}

// Arrays ------------------------------------------------------------------------------------------

static merit_status check_arrays(merit_context *ctx, const merit_preference_ordinal_desc *d,
                                 const merit_preference_ordinal_io *io)
{
    const int some = d->num_pairs > 0;
    const int given = d->reduction == MERIT_PREFERENCE_REDUCTION_GIVEN;
    MERIT_REQUIRE(ctx, io->chosen_logits != NULL || !some, "chosen_logits is NULL");
    MERIT_REQUIRE(ctx, io->rejected_logits != NULL || !some, "rejected_logits is NULL");
    MERIT_REQUIRE(ctx, (io->chosen_region == NULL) == (io->rejected_region == NULL),
                  "%s is NULL, but %s is given: expected both or neither",
                  io->chosen_region == NULL ? "chosen_region" : "rejected_region",
                  io->chosen_region == NULL ? "rejected_region" : "chosen_region");
    MERIT_REQUIRE(ctx, given || io->denominator == NULL,
                  "denominator is given, but only reduction GIVEN takes it");
    MERIT_REQUIRE(ctx, !(given && some) || io->denominator != NULL,
                  "denominator is NULL, but reduction GIVEN needs it");
    return MERIT_STATUS_OK;
}

static size_t row_bytes(const merit_preference_ordinal_desc *d, int64_t stride)
{
    if (d->num_pairs == 0) return 0;
    return (size_t)((d->num_pairs - 1) * stride + d->num_levels) *
           merit_dtype_bytes(d->logit_dtype);
}

static merit_status check_overlap(merit_context *ctx, const merit_preference_ordinal_desc *d,
                                  const merit_preference_ordinal_io *io)
{
    const size_t pairs = (size_t)d->num_pairs;
    const int chosen_in_place = (const void *)io->grad_chosen_logits == io->chosen_logits &&
                                d->grad_chosen_stride == d->chosen_stride;
    const int rejected_in_place = (const void *)io->grad_rejected_logits == io->rejected_logits &&
                                  d->grad_rejected_stride == d->rejected_stride;
    const merit_region regions[] = {
        {io->loss, sizeof *io->loss, "loss", 1},
        {io->loss_tiles, (pairs + 2047) / 2048 * sizeof *io->loss_tiles, "loss_tiles", 1},
        {io->pair_loss, pairs * sizeof *io->pair_loss, "pair_loss", 1},
        {io->grad_chosen_logits, row_bytes(d, d->grad_chosen_stride), "grad_chosen_logits", 1},
        {io->grad_rejected_logits, row_bytes(d, d->grad_rejected_stride), "grad_rejected_logits",
         1},
        {io->win, pairs * sizeof *io->win, "win", 1},
        {io->tie, pairs * sizeof *io->tie, "tie", 1},
        {io->mean, 2 * pairs * sizeof *io->mean, "mean", 1},
        {io->metrics, sizeof *io->metrics, "metrics", 1},
        {io->diagnostics, sizeof *io->diagnostics, "diagnostics", 1},
        {io->chosen_region, 2 * pairs * sizeof *io->chosen_region, "chosen_region", 0},
        {io->rejected_region, 2 * pairs * sizeof *io->rejected_region, "rejected_region", 0},
        {io->weights, pairs * sizeof *io->weights, "weights", 0},
        {io->mask, pairs, "mask", 0},
        {io->denominator, sizeof *io->denominator, "denominator", 0},
        {io->grad_scale, sizeof *io->grad_scale, "grad_scale", 0},
        // left out where a gradient is written over them
        {chosen_in_place ? NULL : io->chosen_logits, row_bytes(d, d->chosen_stride),
         "chosen_logits", 0},
        {rejected_in_place ? NULL : io->rejected_logits, row_bytes(d, d->rejected_stride),
         "rejected_logits", 0},
    };
    return merit_check_overlap(ctx, regions, (int)(sizeof regions / sizeof regions[0]));
}

// Calls -------------------------------------------------------------------------------------------

// Reads the descriptor and lays out the workspace; the rest of args is left to the caller.
static merit_status prepare(merit_context *ctx, const merit_preference_ordinal_desc *desc,
                            merit_preference_ordinal_args *args, merit_layout *layout)
{
    merit_preference_ordinal_desc d = merit_preference_ordinal_defaults;
    MERIT_TRY(merit_read_struct(ctx, "desc", &d, sizeof d,
                                MERIT_SIZE_0_1(merit_preference_ordinal_desc, skip_invalid), desc));
    MERIT_TRY(check_options(ctx, &d));
    args->d = d;
    if (d.num_pairs == 0) return MERIT_STATUS_OK;
    merit_preference_layout(layout, &args->terms, d.num_pairs, MERIT_ORDINAL_NUM_SUMS);
    const int64_t tiles = merit_preference_num_tiles(&args->terms);
    args->divisor_tiles = merit_layout_take(layout, tiles, sizeof *args->divisor_tiles);
    return MERIT_STATUS_OK;
}

merit_status merit_preference_ordinal_workspace(merit_context *ctx,
                                                const merit_preference_ordinal_desc *desc,
                                                size_t *bytes)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    merit_preference_ordinal_args args = {.needs_fold = 0};
    merit_layout layout = merit_layout_begin(NULL);
    MERIT_TRY(prepare(ctx, desc, &args, &layout));
    MERIT_REQUIRE(ctx, !layout.overflow, "the sizes need a workspace of more than 2^64 bytes");
    *bytes = layout.bytes;
    return MERIT_STATUS_OK;
}

// Whether gradients wait for a divisor that has to be summed.
static int needs_divisor(const merit_preference_ordinal_args *args)
{
    const merit_preference_ordinal_io *const io = &args->io;
    if (io->grad_chosen_logits == NULL && io->grad_rejected_logits == NULL) return 0;
    switch (args->d.reduction) {
    case MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT: return 1;
    case MERIT_PREFERENCE_REDUCTION_MEAN_VALID:
        return io->mask != NULL || args->d.skip_invalid; // else their number
    default: return 0;
    }
}

merit_status merit_preference_ordinal(merit_context *ctx, const merit_preference_ordinal_desc *desc,
                                      const merit_preference_ordinal_io *io, void *workspace,
                                      size_t workspace_bytes, merit_stream stream)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    merit_preference_ordinal_args args = {.io = {.struct_size = sizeof args.io}};
    MERIT_TRY(merit_read_struct(ctx, "io", &args.io, sizeof args.io,
                                MERIT_SIZE_0_1(merit_preference_ordinal_io, diagnostics), io));
    const merit_preference_ordinal_io *const a = &args.io;
    merit_layout layout = merit_layout_begin(workspace);
    MERIT_TRY(prepare(ctx, desc, &args, &layout));
    MERIT_TRY(check_arrays(ctx, &args.d, a));
    MERIT_TRY(check_overlap(ctx, &args.d, a));
    MERIT_TRY(merit_layout_check(ctx, &layout, workspace, workspace_bytes));
    const int gradients = a->grad_chosen_logits != NULL || a->grad_rejected_logits != NULL;
    const int by_weight = args.d.reduction == MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT;
    const int may_be_zero = by_weight || args.d.reduction == MERIT_PREFERENCE_REDUCTION_GIVEN;
    args.needs_divisor = needs_divisor(&args);
    args.needs_fold = a->loss != NULL || a->loss_tiles != NULL || a->metrics != NULL ||
                      (may_be_zero && gradients && a->diagnostics != NULL);
    args.needs_order = a->win != NULL || a->tie != NULL || a->metrics != NULL;
    args.needs_mean = a->mean != NULL || a->metrics != NULL;
    args.terms.num_sums = a->metrics != NULL ? MERIT_ORDINAL_NUM_SUMS
                          : by_weight        ? MERIT_ORDINAL_SUM_SHARE + 1
                                             : 1;
    args.terms.loss_tiles = a->loss_tiles;

    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->preference_ordinal(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
