// merit_advantage_group: checks, workspace, dispatch.
#include <math.h>

#include "../kernels/advantage/advantage_group_args.h"
#include "advantage_presets.h"
#include "check.h"

enum { MAX_COLUMNS = 1024, MAX_SEPARATE_COLUMNS = 1 << 20 };

// Options -----------------------------------------------------------------------------------------

static merit_status check_enums(merit_context *ctx, const merit_advantage_group_desc *d)
{
    MERIT_REQUIRE_RANGE(ctx, d, reward_dtype, MERIT_DTYPE_F32, MERIT_DTYPE_F16);
    MERIT_REQUIRE_RANGE(ctx, d, advantage_dtype, MERIT_DTYPE_F32, MERIT_DTYPE_F64);
    MERIT_REQUIRE_RANGE(ctx, d, baseline_dtype, MERIT_DTYPE_F32, MERIT_DTYPE_F64);
    MERIT_REQUIRE_RANGE(ctx, d, columns, MERIT_COLUMNS_COMBINE_FIRST, MERIT_COLUMNS_SEPARATE);
    MERIT_REQUIRE_RANGE(ctx, d, transform, MERIT_TRANSFORM_NONE, MERIT_TRANSFORM_LEAVE_ONE_OUT_LME);
    MERIT_REQUIRE_RANGE(ctx, d, rank_ties, MERIT_RANK_TIES_MIN, MERIT_RANK_TIES_ORDINAL);
    MERIT_REQUIRE_RANGE(ctx, d, center, MERIT_CENTER_NONE, MERIT_CENTER_BASELINE);
    MERIT_REQUIRE_RANGE(ctx, d, center_level, MERIT_LEVEL_GROUP, MERIT_LEVEL_GIVEN);
    MERIT_REQUIRE_RANGE(ctx, d, scale, MERIT_SCALE_NONE, MERIT_SCALE_NONZERO_SHARE);
    MERIT_REQUIRE_RANGE(ctx, d, scale_level, MERIT_LEVEL_GROUP, MERIT_LEVEL_GIVEN);
    MERIT_REQUIRE_RANGE(ctx, d, ddof, 0, 1);
    MERIT_REQUIRE_RANGE(ctx, d, eps_rule, MERIT_EPS_RULE_ADD, MERIT_EPS_RULE_ROOT_FLOOR);
    MERIT_REQUIRE_RANGE(ctx, d, zero_rule, MERIT_ZERO_RULE_DIVIDE, MERIT_ZERO_RULE_ZERO);
    MERIT_REQUIRE_RANGE(ctx, d, singleton, MERIT_SINGLETON_ZERO, MERIT_SINGLETON_NAN);
    MERIT_REQUIRE_RANGE(ctx, d, invalid, MERIT_INVALID_PROPAGATE, MERIT_INVALID_SKIP_NONFINITE);
    MERIT_REQUIRE_RANGE(ctx, d, map, MERIT_MAP_IDENTITY, MERIT_MAP_UNIT);
    MERIT_REQUIRE_FLAG(ctx, d, batch_record);
    return MERIT_STATUS_OK;
}

static merit_status check_numbers(merit_context *ctx, const merit_advantage_group_desc *d)
{
    MERIT_REQUIRE(ctx, d->eps >= 0.0 && d->eps < INFINITY, "eps is %g, expected 0 or more", d->eps);
    MERIT_REQUIRE(ctx, d->zero_threshold >= 0.0, "zero_threshold is %g, expected 0 or more",
                  d->zero_threshold);
    MERIT_REQUIRE(ctx, d->temperature > 0.0f && d->temperature < INFINITY,
                  "temperature is %g, expected more than 0", (double)d->temperature);
    MERIT_REQUIRE(ctx, d->map_range > 0.0f && d->map_range < INFINITY,
                  "map_range is %g, expected more than 0", (double)d->map_range);
    MERIT_REQUIRE(ctx, d->reward_low <= d->reward_high,
                  "reward_low is %g, expected at most reward_high, which is %g",
                  (double)d->reward_low, (double)d->reward_high);
    MERIT_REQUIRE(ctx, d->low <= d->high, "low is %g, expected at most high, which is %g",
                  (double)d->low, (double)d->high);
    MERIT_REQUIRE(ctx, !isnan(d->gain), "gain is NaN");
    MERIT_REQUIRE(ctx, !isnan(d->sign_tie), "sign_tie is NaN");
    MERIT_REQUIRE(ctx, d->expected_size >= 0, "expected_size is %d, expected 0 or more",
                  (int)d->expected_size);
    return MERIT_STATUS_OK;
}

static merit_status check_levels(merit_context *ctx, const merit_advantage_group_desc *d)
{
    MERIT_REQUIRE(ctx, d->center_level == MERIT_LEVEL_GROUP || d->center == MERIT_CENTER_MEAN,
                  "center_level is %d, expected GROUP (0): only center MEAN has other levels",
                  (int)d->center_level);
    const int scale_has_levels = d->scale == MERIT_SCALE_STD || d->scale == MERIT_SCALE_MEAN ||
                                 d->scale == MERIT_SCALE_NONZERO_SHARE;
    MERIT_REQUIRE(ctx, d->scale_level == MERIT_LEVEL_GROUP || scale_has_levels,
                  "scale_level is %d, expected GROUP (0): only scales STD, MEAN and NONZERO_SHARE "
                  "have other levels",
                  (int)d->scale_level);
    MERIT_REQUIRE(ctx, d->scale_level != MERIT_LEVEL_GIVEN || d->scale != MERIT_SCALE_NONZERO_SHARE,
                  "scale_level is GIVEN (2) with scale NONZERO_SHARE, expected GROUP or BATCH: "
                  "merit_moments does not carry it");
    return MERIT_STATUS_OK;
}

static int needs_pairs(const merit_advantage_group_desc *d)
{
    return d->transform == MERIT_TRANSFORM_RANK ||
           d->transform == MERIT_TRANSFORM_LEAVE_ONE_OUT_LME ||
           d->scale == MERIT_SCALE_LEAVE_ONE_OUT_STD;
}

static merit_status check_sizes(merit_context *ctx, merit_advantage_group_desc *d)
{
    const int32_t max_columns =
        d->columns == MERIT_COLUMNS_SEPARATE ? MAX_SEPARATE_COLUMNS : MAX_COLUMNS;
    MERIT_REQUIRE(ctx, d->num_rows >= 0, "num_rows is %lld, expected 0 or more",
                  (long long)d->num_rows);
    MERIT_REQUIRE_RANGE(ctx, d, num_columns, 1, max_columns);
    if (d->reward_row_stride == 0) d->reward_row_stride = d->num_columns;
    MERIT_REQUIRE(ctx, d->reward_row_stride > 0, "reward_row_stride is %lld, expected 0 or more",
                  (long long)d->reward_row_stride);
    MERIT_REQUIRE(ctx, d->reward_column_stride > 0 || d->num_columns == 1,
                  "reward_column_stride is %lld, expected 1 or more",
                  (long long)d->reward_column_stride);
    if (d->num_columns == 1) d->reward_column_stride = 1;
    int64_t rows;
    int64_t columns;
    int64_t elements;
    const int overflows =
        __builtin_mul_overflow(d->num_rows, d->reward_row_stride, &rows) ||
        __builtin_mul_overflow((int64_t)d->num_columns, d->reward_column_stride, &columns) ||
        __builtin_add_overflow(rows, columns, &elements) || elements > INT64_MAX / 8;
    MERIT_REQUIRE(ctx, !overflows, "num_rows and the strides span more than 2^63 bytes");
    return MERIT_STATUS_OK;
}

static merit_status check_options(merit_context *ctx, merit_advantage_group_desc *d)
{
    MERIT_TRY(check_enums(ctx, d));
    MERIT_TRY(check_numbers(ctx, d));
    MERIT_TRY(check_levels(ctx, d));
    MERIT_TRY(check_sizes(ctx, d));
    MERIT_TRY(merit_check_groups(ctx, "groups", &d->groups, d->num_rows));
    if (needs_pairs(d)) {
        MERIT_REQUIRE(ctx, d->groups.group_size <= MERIT_ADVANTAGE_PAIRS_LIMIT,
                      "groups.group_size is %lld, expected at most %d with RANK, "
                      "LEAVE_ONE_OUT_LME or LEAVE_ONE_OUT_STD",
                      (long long)d->groups.group_size, MERIT_ADVANTAGE_PAIRS_LIMIT);
    }
    return MERIT_STATUS_OK;
}

// Arrays ------------------------------------------------------------------------------------------

static int takes_given(const merit_advantage_group_desc *d)
{
    return d->center_level == MERIT_LEVEL_GIVEN || d->scale_level == MERIT_LEVEL_GIVEN;
}

static int needs_batch(const merit_advantage_group_desc *d)
{
    return d->batch_record || d->center_level == MERIT_LEVEL_BATCH ||
           d->scale_level == MERIT_LEVEL_BATCH;
}

static merit_status check_arrays(merit_context *ctx, const merit_advantage_group_desc *d,
                                 const merit_advantage_group_io *io)
{
    MERIT_REQUIRE(ctx, io->rewards != NULL, "rewards is NULL");
    MERIT_REQUIRE(ctx,
                  io->advantages != NULL || io->keep != NULL || io->group_count != NULL ||
                      io->group_mean != NULL || io->group_scale != NULL || io->group_min != NULL ||
                      io->group_max != NULL || io->group_flags != NULL ||
                      io->batch_moments != NULL || io->group_moments != NULL ||
                      io->tile_moments != NULL,
                  "advantages is NULL and so is every other output");
    const char *const record = io->batch_moments != NULL   ? "batch_moments"
                               : io->group_moments != NULL ? "group_moments"
                               : io->tile_moments != NULL  ? "tile_moments"
                                                           : NULL;
    MERIT_REQUIRE(ctx, record == NULL || needs_batch(d),
                  "%s is given, expected batch_record 1 or a BATCH level with it", record);
    MERIT_REQUIRE(ctx, !takes_given(d) || io->moments != NULL,
                  "moments is NULL, but a level is GIVEN");
    const int has_baseline = io->baseline != NULL || io->baseline_per_group != NULL;
    MERIT_REQUIRE(ctx, d->center != MERIT_CENTER_BASELINE || has_baseline,
                  "baseline and baseline_per_group are NULL, but center is BASELINE");
    MERIT_REQUIRE(ctx, io->baseline == NULL || io->baseline_per_group == NULL,
                  "baseline and baseline_per_group are both given, expected one");
    MERIT_REQUIRE(ctx,
                  io->weights == NULL ||
                      (d->center == MERIT_CENTER_MEAN && d->center_level == MERIT_LEVEL_GROUP),
                  "weights is given, but center is %d at level %d, expected MEAN (1) at GROUP (0)",
                  (int)d->center, (int)d->center_level);
    MERIT_REQUIRE(ctx, io->column_weights == NULL || d->columns != MERIT_COLUMNS_SEPARATE,
                  "column_weights is given, but columns is SEPARATE");
    MERIT_REQUIRE(ctx, io->add != NULL || io->add_index == NULL, "add_index is given without add");
    MERIT_REQUIRE(ctx, io->num_add >= 0, "num_add is %lld, expected 0 or more",
                  (long long)io->num_add);
    MERIT_REQUIRE(ctx,
                  io->add == NULL || io->add_index != NULL || io->num_add == 0 ||
                      io->num_add >= d->num_rows,
                  "num_add is %lld, expected num_rows (%lld) or more without add_index",
                  (long long)io->num_add, (long long)d->num_rows);
    return MERIT_STATUS_OK;
}

// Bytes of an [R,K] strided array.
static size_t reward_bytes(const merit_advantage_group_desc *d)
{
    return (size_t)((d->num_rows - 1) * d->reward_row_stride +
                    (d->num_columns - 1) * d->reward_column_stride + 1) *
           merit_dtype_bytes(d->reward_dtype);
}

// advantages on top of rewards, element on element.
static int in_place(const merit_advantage_group_args *args, const merit_advantage_group_io *io)
{
    const merit_advantage_group_desc *const d = &args->d;
    const int separate = d->columns == MERIT_COLUMNS_SEPARATE;
    return (const void *)io->advantages == io->rewards && d->reward_dtype == d->advantage_dtype &&
           (separate || d->num_columns == 1) && d->reward_row_stride == d->num_columns &&
           d->reward_column_stride == 1 && d->groups.index == NULL;
}

static merit_status check_overlap(merit_context *ctx, const merit_advantage_group_args *args,
                                  const merit_advantage_group_io *io)
{
    const merit_advantage_group_desc *const d = &args->d;
    const size_t rows = (size_t)d->num_rows;
    const size_t groups = (size_t)d->groups.num_groups;
    const size_t sets = (size_t)args->num_sets;
    const size_t widths = d->columns == MERIT_COLUMNS_SEPARATE ? (size_t)d->num_columns : 1;
    const size_t adds = io->add_index == NULL ? rows : (size_t)io->num_add;
    const size_t baseline = merit_dtype_bytes(d->baseline_dtype);
    const merit_region regions[] = {
        {io->advantages, rows * widths * merit_dtype_bytes(d->advantage_dtype), "advantages", 1},
        {io->keep, rows * widths, "keep", 1},
        {io->group_count, groups * sets * 4, "group_count", 1},
        {io->group_mean, groups * sets * 8, "group_mean", 1},
        {io->group_scale, groups * sets * 8, "group_scale", 1},
        {io->group_min, groups * sets * 8, "group_min", 1},
        {io->group_max, groups * sets * 8, "group_max", 1},
        {io->group_flags, groups * sets, "group_flags", 1},
        {io->batch_moments, sets * sizeof(merit_moments), "batch_moments", 1},
        {io->group_moments, groups * sets * sizeof(merit_moments), "group_moments", 1},
        {io->tile_moments, (groups + 2047) / 2048 * sets * sizeof(merit_moments), "tile_moments",
         1},
        {io->diagnostics, sizeof(merit_diagnostics), "diagnostics", 1},
        {io->mask, rows, "mask", 0},
        {io->stats_mask, rows, "stats_mask", 0},
        {io->weights, rows * 4, "weights", 0},
        {io->column_weights, (size_t)d->num_columns * 4, "column_weights", 0},
        {io->baseline, rows * baseline, "baseline", 0},
        {io->baseline_per_group, groups * baseline, "baseline_per_group", 0},
        {io->moments, sets * sizeof(merit_moments), "moments", 0},
        {io->add, adds * 4, "add", 0},
        {io->add_index, rows * 4, "add_index", 0},
        {d->groups.offsets, d->groups.offsets == NULL ? 0 : (groups + 1) * 8, "groups.offsets", 0},
        {d->groups.index, rows * 4, "groups.index", 0},
        // last: left out when advantages are written over them
        {io->rewards, reward_bytes(d), "rewards", 0},
    };
    const int count = (int)(sizeof regions / sizeof regions[0]);
    return merit_check_overlap(ctx, regions, in_place(args, io) ? count - 1 : count);
}

// Calls -------------------------------------------------------------------------------------------

// Reads the descriptor and lays out the workspace; args->io is left to the caller.
static merit_status prepare(merit_context *ctx, const merit_advantage_group_desc *desc,
                            merit_advantage_group_args *args, merit_layout *layout)
{
    merit_advantage_group_desc d = merit_advantage_group_defaults;
    MERIT_TRY(merit_read_struct(ctx, "desc", &d, sizeof d,
                                MERIT_SIZE_0_1(merit_advantage_group_desc, batch_record), desc));
    MERIT_TRY(check_options(ctx, &d));
    const int64_t rows = d.num_rows;
    const int64_t groups = d.groups.num_groups;
    const int64_t tiles = (groups + 2047) / 2048;
    args->d = d;
    args->num_sets = d.columns == MERIT_COLUMNS_COMBINE_FIRST ? 1 : d.num_columns;
    args->needs_pairs = needs_pairs(&d);
    args->needs_batch = needs_batch(&d);
    args->size_bound = d.groups.group_size > 0 ? d.groups.group_size
                       : d.groups.max_size > 0 ? d.groups.max_size
                                               : rows;
    const int one_pass = (d.transform == MERIT_TRANSFORM_NONE) && d.scale != MERIT_SCALE_RMS &&
                         d.scale != MERIT_SCALE_MEAN_ABS && !args->needs_pairs;
    args->can_split = one_pass && args->num_sets == 1;
    const int may_split = args->can_split && args->size_bound > MERIT_ADVANTAGE_SPLIT_SIZE &&
                          rows > MERIT_ADVANTAGE_SPLIT_SIZE;
    // a device keeps the sums of a sub-warp's members in registers
    const int sums = d.columns == MERIT_COLUMNS_NORMALIZE_FIRST &&
                     !(d.groups.group_size > 0 && d.groups.group_size <= 32);
    if (rows == 0 || groups == 0) return MERIT_STATUS_OK;

    if (args->needs_batch || may_split) {
        args->tickets = merit_layout_take(layout, MERIT_ADVANTAGE_TICKET_WORDS, 4);
    }
    if (args->needs_batch) {
        const int near = tiles <= MERIT_ADVANTAGE_TICKET_NEAR;
        uint32_t *const far = merit_layout_take(layout, near ? 0 : tiles, 4);
        args->tile_tickets =
            !near || args->tickets == NULL ? far : args->tickets + MERIT_ADVANTAGE_TICKET_TILES;
        const size_t record = sizeof(merit_advantage_record);
        args->group_records = merit_layout_take(layout, args->num_sets * groups, record);
        args->tile_records = merit_layout_take(layout, args->num_sets * tiles, record);
        args->batch_records = merit_layout_take(layout, args->num_sets, record);
    }
    if (sums) args->sums = merit_layout_take(layout, rows, sizeof(double));
    if (may_split) {
        args->split_tiles = merit_layout_take(layout, merit_advantage_split_tile_room(rows),
                                              sizeof(merit_advantage_partial));
        args->split_groups = merit_layout_take(layout, merit_advantage_split_room(rows),
                                               sizeof(merit_advantage_split));
    }
    return MERIT_STATUS_OK;
}

merit_status merit_advantage_group_workspace(merit_context *ctx,
                                             const merit_advantage_group_desc *desc, size_t *bytes)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    merit_advantage_group_args args = {.num_sets = 1};
    merit_layout layout = merit_layout_begin(NULL);
    MERIT_TRY(prepare(ctx, desc, &args, &layout));
    MERIT_REQUIRE(ctx, !layout.overflow, "the sizes need a workspace of more than 2^64 bytes");
    *bytes = layout.bytes;
    return MERIT_STATUS_OK;
}

merit_status merit_advantage_group(merit_context *ctx, const merit_advantage_group_desc *desc,
                                   const merit_advantage_group_io *io, void *workspace,
                                   size_t workspace_bytes, merit_stream stream)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    merit_advantage_group_io a = {.struct_size = sizeof a};
    MERIT_TRY(merit_read_struct(ctx, "io", &a, sizeof a,
                                MERIT_SIZE_0_1(merit_advantage_group_io, diagnostics), io));
    merit_advantage_group_args args = {.num_sets = 1};
    merit_layout layout = merit_layout_begin(workspace);
    MERIT_TRY(prepare(ctx, desc, &args, &layout));
    if (args.d.num_rows == 0 || args.d.groups.num_groups == 0) return MERIT_STATUS_OK;
    MERIT_TRY(check_arrays(ctx, &args.d, &a));
    if (a.num_add == 0) a.num_add = args.d.num_rows;
    MERIT_TRY(check_overlap(ctx, &args, &a));
    MERIT_TRY(merit_layout_check(ctx, &layout, workspace, workspace_bytes));
    args.io = a;

    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->advantage_group(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
