// merit_preference_list: checks, workspace, dispatch.
#include <math.h>

#include "../kernels/preference/preference_list_args.h"
#include "check.h"
#include "preference_layout.h"
#include "preference_list_presets.h"

// Options -----------------------------------------------------------------------------------------

static merit_status check_enums(merit_context *ctx, const merit_preference_list_desc *d)
{
    MERIT_REQUIRE(ctx,
                  d->score_dtype == MERIT_DTYPE_F32 || d->score_dtype == MERIT_DTYPE_BF16 ||
                      d->score_dtype == MERIT_DTYPE_F16,
                  "score_dtype is %d, expected F32 (%d), BF16 (%d) or F16 (%d)",
                  (int)d->score_dtype, (int)MERIT_DTYPE_F32, (int)MERIT_DTYPE_BF16,
                  (int)MERIT_DTYPE_F16);
    MERIT_REQUIRE_RANGE(ctx, d, mode, MERIT_LIST_MODE_CROSS_ENTROPY, MERIT_LIST_MODE_ANCHORED);
    MERIT_REQUIRE_RANGE(ctx, d, target, MERIT_LIST_TARGET_INDEX, MERIT_LIST_TARGET_WEIGHTS);
    MERIT_REQUIRE_RANGE(ctx, d, center, MERIT_LIST_CENTER_NONE, MERIT_LIST_CENTER_LEAVE_ONE_OUT);
    MERIT_REQUIRE(ctx,
                  d->link == MERIT_LINK_LOGISTIC || d->link == MERIT_LINK_HINGE ||
                      d->link == MERIT_LINK_EXPONENTIAL,
                  "link is %d, expected LOGISTIC (%d), HINGE (%d) or EXPONENTIAL (%d)",
                  (int)d->link, (int)MERIT_LINK_LOGISTIC, (int)MERIT_LINK_HINGE,
                  (int)MERIT_LINK_EXPONENTIAL);
    MERIT_REQUIRE_RANGE(ctx, d, anchored, MERIT_ANCHORED_SPLIT, MERIT_ANCHORED_POINTWISE);
    MERIT_REQUIRE_RANGE(ctx, d, inner, MERIT_LIST_INNER_SUM, MERIT_LIST_INNER_MEAN);
    MERIT_REQUIRE_FLAG(ctx, d, require_both);
    MERIT_REQUIRE_RANGE(ctx, d, reduction, MERIT_PREFERENCE_REDUCTION_SUM,
                        MERIT_PREFERENCE_REDUCTION_MEAN_GROUPS);
    MERIT_REQUIRE(ctx, d->reduction != MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT,
                  "reduction is MEAN_WEIGHT (%d), expected SUM, MEAN_VALID, GIVEN or MEAN_GROUPS",
                  (int)MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT);
    MERIT_REQUIRE_FLAG(ctx, d, skip_invalid);
    return MERIT_STATUS_OK;
}

static merit_status check_numbers(merit_context *ctx, const merit_preference_list_desc *d)
{
    MERIT_REQUIRE(ctx, d->tau > 0.0f && d->tau < INFINITY, "tau is %g, expected more than 0",
                  (double)d->tau);
    MERIT_REQUIRE(ctx, d->smoothing >= 0.0f && d->smoothing < 1.0f,
                  "smoothing is %g, expected 0 or more and less than 1", (double)d->smoothing);
    MERIT_REQUIRE(ctx, d->top_k >= 0, "top_k is %d, expected 0 or more", (int)d->top_k);
    MERIT_REQUIRE(ctx, isfinite(d->margin), "margin is %g, expected a finite number",
                  (double)d->margin);
    return MERIT_STATUS_OK;
}

static merit_status check_sizes(merit_context *ctx, const merit_preference_list_desc *d)
{
    MERIT_REQUIRE(ctx, d->num_items >= 0, "num_items is %lld, expected 0 or more",
                  (long long)d->num_items);
    MERIT_REQUIRE(ctx, d->score_stride >= 1, "score_stride is %lld, expected 1 or more",
                  (long long)d->score_stride);
    MERIT_REQUIRE(ctx, d->grad_stride >= 1, "grad_stride is %lld, expected 1 or more",
                  (long long)d->grad_stride);
    int64_t elements;
    const int overflows = __builtin_mul_overflow(d->num_items, d->score_stride, &elements) ||
                          elements > INT64_MAX / 8 ||
                          __builtin_mul_overflow(d->num_items, d->grad_stride, &elements) ||
                          elements > INT64_MAX / 8;
    MERIT_REQUIRE(ctx, !overflows, "num_items and the strides span more than 2^63 bytes");
    return MERIT_STATUS_OK;
}

// Largest group of a mode; 0: any.
static int64_t mode_limit(const merit_preference_list_desc *d)
{
    return d->mode == MERIT_LIST_MODE_PLACKETT_LUCE ? MERIT_LIST_RANKED_LIMIT
           : d->mode == MERIT_LIST_MODE_ALL_PAIRS   ? MERIT_LIST_PAIRS_LIMIT
                                                    : 0;
}

static merit_status check_options(merit_context *ctx, merit_preference_list_desc *d)
{
    MERIT_TRY(check_enums(ctx, d));
    MERIT_TRY(check_numbers(ctx, d));
    MERIT_TRY(check_sizes(ctx, d));
    MERIT_TRY(merit_check_groups(ctx, "groups", &d->groups, d->num_items));
    const int64_t limit = mode_limit(d);
    if (limit > 0 && d->groups.group_size > limit) {
        return merit_fail(ctx, MERIT_STATUS_UNSUPPORTED,
                          "groups.group_size is %lld, expected at most %lld with %s",
                          (long long)d->groups.group_size, (long long)limit,
                          d->mode == MERIT_LIST_MODE_ALL_PAIRS ? "ALL_PAIRS" : "PLACKETT_LUCE");
    }
    return MERIT_STATUS_OK;
}

// Arrays ------------------------------------------------------------------------------------------

// An array that belongs to one choice of options: there with it, absent without it.
static merit_status check_target(merit_context *ctx, int wanted, int needed, const void *array,
                                 const char *name, const char *choice)
{
    MERIT_REQUIRE(ctx, wanted || array == NULL, "%s is given, but only %s takes it", name, choice);
    MERIT_REQUIRE(ctx, !(wanted && needed) || array != NULL, "%s is NULL, but %s needs it", name,
                  choice);
    return MERIT_STATUS_OK;
}

static merit_status check_arrays(merit_context *ctx, const merit_preference_list_desc *d,
                                 const merit_preference_list_io *io)
{
    const int some = d->num_items > 0 && d->groups.num_groups > 0;
    const int cross_entropy = d->mode == MERIT_LIST_MODE_CROSS_ENTROPY;
    const int by_weight = d->target == MERIT_LIST_TARGET_WEIGHTS;
    MERIT_REQUIRE(ctx, io->scores != NULL || !some, "scores is NULL");
    MERIT_TRY(check_target(ctx, cross_entropy && !by_weight, some, io->target_index, "target_index",
                           "mode CROSS_ENTROPY with target INDEX"));
    MERIT_TRY(check_target(ctx, cross_entropy && by_weight, some, io->weights, "weights",
                           "mode CROSS_ENTROPY with target WEIGHTS"));
    MERIT_TRY(check_target(ctx, d->mode == MERIT_LIST_MODE_PLACKETT_LUCE, some, io->ranks, "ranks",
                           "mode PLACKETT_LUCE"));
    MERIT_TRY(check_target(ctx, d->mode == MERIT_LIST_MODE_ALL_PAIRS, some, io->labels, "labels",
                           "mode ALL_PAIRS"));
    MERIT_TRY(check_target(ctx, d->mode == MERIT_LIST_MODE_ANCHORED, some, io->signs, "signs",
                           "mode ANCHORED"));
    return check_target(ctx, d->reduction == MERIT_PREFERENCE_REDUCTION_GIVEN, some,
                        io->denominator, "denominator", "reduction GIVEN");
}

static size_t strided_bytes(const merit_preference_list_desc *d, int64_t stride)
{
    if (d->num_items == 0) return 0;
    return (size_t)((d->num_items - 1) * stride + 1) * merit_dtype_bytes(d->score_dtype);
}

static merit_status check_overlap(merit_context *ctx, const merit_preference_list_desc *d,
                                  const merit_preference_list_io *io)
{
    const size_t items = (size_t)d->num_items;
    const size_t groups = (size_t)d->groups.num_groups;
    const int in_place =
        (const void *)io->grad_scores == io->scores && d->grad_stride == d->score_stride;
    const merit_region regions[] = {
        {io->loss, sizeof *io->loss, "loss", 1},
        {io->loss_tiles, (groups + 2047) / 2048 * sizeof *io->loss_tiles, "loss_tiles", 1},
        {io->group_loss, groups * sizeof *io->group_loss, "group_loss", 1},
        {io->grad_scores, strided_bytes(d, d->grad_stride), "grad_scores", 1},
        {io->lse, groups * sizeof *io->lse, "lse", 1},
        {io->metrics, sizeof *io->metrics, "metrics", 1},
        {io->diagnostics, sizeof *io->diagnostics, "diagnostics", 1},
        {io->target_index, groups * sizeof *io->target_index, "target_index", 0},
        {io->weights, items * sizeof *io->weights, "weights", 0},
        {io->ranks, items * sizeof *io->ranks, "ranks", 0},
        {io->labels, items * sizeof *io->labels, "labels", 0},
        {io->signs, items, "signs", 0},
        {io->mask, items, "mask", 0},
        {io->group_weight, groups * sizeof *io->group_weight, "group_weight", 0},
        {io->denominator, sizeof *io->denominator, "denominator", 0},
        {io->grad_scale, sizeof *io->grad_scale, "grad_scale", 0},
        {d->groups.offsets, (groups + 1) * sizeof *d->groups.offsets, "groups.offsets", 0},
        {d->groups.index, items * sizeof *d->groups.index, "groups.index", 0},
        // last: left out when grad_scores are written over them
        {io->scores, strided_bytes(d, d->score_stride), "scores", 0},
    };
    const int count = (int)(sizeof regions / sizeof regions[0]);
    return merit_check_overlap(ctx, regions, in_place ? count - 1 : count);
}

// Calls -------------------------------------------------------------------------------------------

// Room for the groups that one block does not take alone. More than R / alone of them would overlap.
static void lay_out_split(merit_layout *layout, merit_preference_list_args *args, int64_t alone)
{
    const int64_t items = args->d.num_items;
    args->split_capacity = items / alone + 1;
    args->split_tile_capacity = items / 2048 + args->split_capacity + 1;
    args->split_groups =
        merit_layout_take(layout, args->split_capacity, sizeof *args->split_groups);
    args->split_tiles =
        merit_layout_take(layout, args->split_tile_capacity, sizeof *args->split_tiles);
    args->split_owners =
        merit_layout_take(layout, args->split_tile_capacity, sizeof *args->split_owners);
}

// Reads the descriptor and lays out the workspace; the rest of args is left to the caller.
static merit_status prepare(merit_context *ctx, const merit_preference_list_desc *desc,
                            merit_preference_list_args *args, merit_layout *layout)
{
    merit_preference_list_desc d = merit_preference_list_defaults;
    MERIT_TRY(merit_read_struct(ctx, "desc", &d, sizeof d,
                                MERIT_SIZE_0_1(merit_preference_list_desc, skip_invalid), desc));
    MERIT_TRY(check_options(ctx, &d));
    const int64_t items = d.num_items;
    const int64_t bound = d.groups.group_size > 0 ? d.groups.group_size
                          : d.groups.max_size > 0 ? d.groups.max_size
                                                  : items;
    const int64_t limit = mode_limit(&d);
    args->size_limit = limit > 0 && limit < bound ? limit : bound;
    if (items == 0) {
        args->empty_groups = d.groups.num_groups;
        d.groups.num_groups = 0;
    }
    args->d = d;
    const int64_t groups = d.groups.num_groups;
    if (groups == 0) return MERIT_STATUS_OK;
    merit_preference_layout(layout, &args->terms, groups, MERIT_LIST_NUM_SUMS);
    const int by_pairs = d.mode == MERIT_LIST_MODE_ALL_PAIRS;
    const int64_t alone = by_pairs ? MERIT_LIST_PAIRS_ALONE : MERIT_LIST_ALONE;
    // Without a word on sizes a call is one launch: a block takes each group, however long it is.
    const int says_size = d.groups.group_size > 0 || d.groups.max_size > 0;
    const int can_split =
        d.mode != MERIT_LIST_MODE_PLACKETT_LUCE && says_size && args->size_limit > alone;
    if (can_split) lay_out_split(layout, args, alone);
    if (limit > 0 && args->size_limit > (by_pairs ? alone : MERIT_LIST_RESIDENT)) {
        args->keys = merit_layout_take(layout, items, sizeof(uint64_t));
        args->xs = merit_layout_take(layout, items, sizeof(double));
        args->slopes = merit_layout_take(layout, items, sizeof(double));
        args->losses = merit_layout_take(layout, items, sizeof(double));
    }
    return MERIT_STATUS_OK;
}

merit_status merit_preference_list_workspace(merit_context *ctx,
                                             const merit_preference_list_desc *desc, size_t *bytes)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    merit_preference_list_args args = {.size_limit = 0};
    merit_layout layout = merit_layout_begin(NULL);
    MERIT_TRY(prepare(ctx, desc, &args, &layout));
    MERIT_REQUIRE(ctx, !layout.overflow, "the sizes need a workspace of more than 2^64 bytes");
    *bytes = layout.bytes;
    return MERIT_STATUS_OK;
}

merit_status merit_preference_list(merit_context *ctx, const merit_preference_list_desc *desc,
                                   const merit_preference_list_io *io, void *workspace,
                                   size_t workspace_bytes, merit_stream stream)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    merit_preference_list_io a = {.struct_size = sizeof a};
    MERIT_TRY(merit_read_struct(ctx, "io", &a, sizeof a,
                                MERIT_SIZE_0_1(merit_preference_list_io, diagnostics), io));
    merit_preference_list_args args = {.size_limit = 0};
    merit_layout layout = merit_layout_begin(workspace);
    MERIT_TRY(prepare(ctx, desc, &args, &layout));
    MERIT_TRY(check_arrays(ctx, &args.d, &a));
    MERIT_TRY(check_overlap(ctx, &args.d, &a));
    MERIT_TRY(merit_layout_check(ctx, &layout, workspace, workspace_bytes));
    args.io = a;
    args.link = merit_preference_link_of(args.d.link, 0.0f);
    args.needs_count =
        a.grad_scores != NULL && args.d.reduction == MERIT_PREFERENCE_REDUCTION_MEAN_VALID;
    args.needs_fold = a.loss != NULL || a.loss_tiles != NULL || a.metrics != NULL ||
                      (args.d.reduction == MERIT_PREFERENCE_REDUCTION_GIVEN &&
                       a.grad_scores != NULL && a.diagnostics != NULL);
    args.terms.num_sums = a.metrics != NULL ? MERIT_LIST_NUM_SUMS : 1;
    args.terms.loss_tiles = a.loss_tiles;

    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->preference_list(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
