#include "../kernels/advantage/group_index.h"

#include "check.h"

static const merit_group_index_desc defaults = {
    .struct_size = sizeof(merit_group_index_desc),
    .kind = MERIT_GROUP_KIND_DENSE,
    .id_dtype = MERIT_DTYPE_I64,
};

merit_status merit_group_index_desc_init(merit_group_index_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &defaults, sizeof defaults,
                             MERIT_SIZE_0_1(merit_group_index_desc, id_dtype));
}

// Checks ------------------------------------------------------------------------------------------

static merit_status read_desc(merit_context *ctx, merit_group_index_desc *d,
                              const merit_group_index_desc *desc)
{
    *d = defaults;
    MERIT_TRY(merit_read_struct(ctx, "desc", d, sizeof *d,
                                MERIT_SIZE_0_1(merit_group_index_desc, id_dtype), desc));
    MERIT_REQUIRE_RANGE(ctx, d, kind, MERIT_GROUP_KIND_DENSE, MERIT_GROUP_KIND_LABELS);
    MERIT_REQUIRE_RANGE(ctx, d, id_dtype, MERIT_DTYPE_I32, MERIT_DTYPE_I64);
    MERIT_REQUIRE(ctx, d->num_rows >= 0 && d->num_rows <= INT32_MAX,
                  "num_rows is %lld, expected 0..2^31 - 1", (long long)d->num_rows);
    if (d->kind != MERIT_GROUP_KIND_DENSE) d->num_groups = 0;
    MERIT_REQUIRE(ctx, d->num_groups >= 0 && d->num_groups <= INT32_MAX,
                  "num_groups is %lld, expected 0..2^31 - 1", (long long)d->num_groups);
    return MERIT_STATUS_OK;
}

static merit_status check_io(merit_context *ctx, const merit_group_index_desc *d,
                             const merit_group_index_io *io)
{
    MERIT_REQUIRE(ctx, io->ids != NULL || d->num_rows == 0, "ids is NULL");
    MERIT_REQUIRE(ctx, io->offsets != NULL, "offsets is NULL");
    MERIT_REQUIRE(ctx, io->index != NULL || d->num_rows == 0, "index is NULL");

    const int dense = d->kind == MERIT_GROUP_KIND_DENSE;
    const size_t num_rows = (size_t)d->num_rows;
    const size_t num_offsets = (dense ? (size_t)d->num_groups : num_rows) + 1;
    const merit_region regions[] = {
        {io->ids, num_rows * merit_dtype_bytes(d->id_dtype), "ids", 0},
        {io->offsets, num_offsets * sizeof *io->offsets, "offsets", 1},
        {io->index, num_rows * sizeof *io->index, "index", 1},
        {io->group_of, num_rows * sizeof *io->group_of, "group_of", 1},
        {io->num_groups, sizeof *io->num_groups, "num_groups", 1},
        {io->max_size, sizeof *io->max_size, "max_size", 1},
        {io->diagnostics, sizeof *io->diagnostics, "diagnostics", 1},
    };
    return merit_check_overlap(ctx, regions, (int)(sizeof regions / sizeof regions[0]));
}

// Workspace ---------------------------------------------------------------------------------------

static int32_t max_passes(const merit_group_index_desc *d)
{
    const int32_t bits = d->kind == MERIT_GROUP_KIND_DENSE
                             ? merit_group_index_bit_length((uint64_t)d->num_groups)
                             : (int32_t)(8 * merit_dtype_bytes(d->id_dtype));
    return bits == 0 ? 1 : (bits + 7) / 8;
}

static merit_layout lay_out(merit_group_index_args *args, const merit_group_index_desc *d,
                            void *workspace)
{
    merit_layout layout = merit_layout_begin(workspace);
    const int sorts = d->kind != MERIT_GROUP_KIND_RUNS;
    args->d = *d;
    args->num_tiles = (d->num_rows + MERIT_GROUP_INDEX_TILE - 1) / MERIT_GROUP_INDEX_TILE;
    args->max_passes = sorts ? max_passes(d) : 0;
    const int64_t again = args->max_passes > 1 ? d->num_rows : 0;
    const int64_t digits = sorts ? MERIT_GROUP_INDEX_DIGITS : 0;
    args->keys[0] = merit_layout_take(&layout, sorts ? d->num_rows : 0, sizeof(uint64_t));
    args->keys[1] = merit_layout_take(&layout, again, sizeof(uint64_t));
    args->rows = merit_layout_take(&layout, again, sizeof(int32_t));
    args->counts = merit_layout_take(&layout, digits * args->num_tiles, sizeof(uint32_t));
    args->totals = merit_layout_take(&layout, digits, sizeof(uint32_t));
    args->words = merit_layout_take(&layout, 2 * args->num_tiles, sizeof(uint64_t));
    args->state = merit_layout_take(&layout, 1, sizeof *args->state);
    return layout;
}

merit_status merit_group_index_workspace(merit_context *ctx, const merit_group_index_desc *desc,
                                         size_t *bytes)
{
    merit_group_index_desc d;
    merit_group_index_args args = {0};
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    MERIT_TRY(read_desc(ctx, &d, desc));
    *bytes = lay_out(&args, &d, NULL).bytes;
    return MERIT_STATUS_OK;
}

// Call --------------------------------------------------------------------------------------------

merit_status merit_group_index(merit_context *ctx, const merit_group_index_desc *desc,
                               const merit_group_index_io *io, void *workspace,
                               size_t workspace_bytes, merit_stream stream)
{
    merit_group_index_desc d;
    merit_group_index_args args = {0};
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_TRY(read_desc(ctx, &d, desc));
    MERIT_TRY(merit_read_struct(ctx, "io", &args.io, sizeof args.io,
                                MERIT_SIZE_0_1(merit_group_index_io, diagnostics), io));
    MERIT_TRY(check_io(ctx, &d, &args.io));
    const merit_layout layout = lay_out(&args, &d, workspace);
    MERIT_TRY(merit_layout_check(ctx, &layout, workspace, workspace_bytes));

    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->group_index(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
