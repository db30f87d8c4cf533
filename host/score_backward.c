// merit_score_backward: checks, workspace, dispatch.
#include "../kernels/score/score_backward.h"

#include "score_checks.h"

// How blocks share the tiles of positions: aligned sets of a power of two of tiles, each a whole part
// of the tree. One set where columns and heads alone bring blocks enough.
static void plan_chunks(const merit_context *ctx, merit_score_backward_args *args)
{
    const int64_t tiles = score_position_tiles(&args->find);
    const int64_t owners = ((int64_t)args->d.hidden_size / MERIT_SCORE_COLUMNS + 1) *
                           ((args->d.num_heads + MERIT_SCORE_HEADS - 1) / MERIT_SCORE_HEADS);
    const int64_t wanted = (int64_t)ctx->launch.num_sms * MERIT_SCORE_BLOCKS_PER_SM / owners;
    const int64_t most = wanted < MERIT_SCORE_MAX_CHUNKS ? wanted : MERIT_SCORE_MAX_CHUNKS;
    args->tiles_per_chunk = 1;
    if (args->d.shard == MERIT_SCORE_SHARD_NONE) {
        while (args->tiles_per_chunk * (most > 1 ? most : 1) < tiles) {
            args->tiles_per_chunk *= 2;
        }
    }
    args->num_chunks = (int32_t)((tiles + args->tiles_per_chunk - 1) / args->tiles_per_chunk);
}

static int levels_of(int64_t tiles)
{
    int levels = 1;
    while (tiles > 0) {
        levels++;
        tiles /= 2;
    }
    return levels;
}

// Reads the descriptor and lays out the workspace; args->io is left to the caller.
static merit_status prepare(merit_context *ctx, const merit_score_desc *desc,
                            merit_score_backward_args *args, merit_layout *layout)
{
    merit_score_desc d;
    MERIT_TRY(merit_score_read_desc(ctx, desc, &d, &args->find));
    const int partial = d.shard == MERIT_SCORE_SHARD_PARTIAL;
    MERIT_REQUIRE(ctx, !(partial && d.accumulate),
                  "accumulate is 1, but shard PARTIAL (1) adds to nothing");
    args->d = d;
    const int64_t positions = args->find.num_positions;
    const int64_t size = d.hidden_size;
    if (positions == 0) return MERIT_STATUS_OK;
    if (ctx->backend->on_device) plan_chunks(ctx, args);
    const int64_t owners = (size / MERIT_SCORE_COLUMNS + 1) *
                           ((d.num_heads + MERIT_SCORE_HEADS - 1) / MERIT_SCORE_HEADS);
    args->tickets = merit_layout_take(layout, args->num_chunks > 1 ? owners : 0, 4);
    args->starts = merit_layout_take(layout, positions, sizeof *args->starts);
    args->gradients = merit_layout_take(layout, positions * score_num_columns(&d), 4);
    const int64_t heads = d.num_heads;
    if (ctx->backend->on_device) {
        const int64_t chunks = args->num_chunks > 1 && !partial ? args->num_chunks : 0;
        args->chunk_sums = merit_layout_take(layout, chunks * heads * (size + 1), 8);
    } else {
        const int wide = d.weight_dtype != MERIT_DTYPE_F32;
        const int levels = partial ? 0 : levels_of(score_position_tiles(&args->find));
        args->chunk_sums = merit_layout_take(layout, levels * heads * size, 8);
        args->wide_weight = merit_layout_take(layout, wide ? heads * size : 0, 4);
    }
    if (d.grad_layout == MERIT_GRAD_LAYOUT_DENSE) {
        args->owners = merit_layout_take(layout, args->find.num_tokens, 8);
        args->owner_counts = merit_layout_take(layout, args->find.num_tokens, 4);
    }
    return MERIT_STATUS_OK;
}

static merit_status check_arrays(merit_context *ctx, merit_score_backward_args *args)
{
    const merit_score_desc *const d = &args->d;
    const merit_score_backward_io *const io = &args->io;
    const int some = args->find.num_positions > 0 && args->find.num_tokens > 0;
    MERIT_REQUIRE(ctx, io->grad_scores != NULL || args->find.num_positions == 0,
                  "grad_scores is NULL");
    MERIT_REQUIRE(ctx, !some || io->grad_weight == NULL || io->hidden != NULL,
                  "hidden is NULL, but grad_weight needs it");
    MERIT_REQUIRE(ctx, !some || io->grad_hidden == NULL || io->weight != NULL,
                  "weight is NULL, but grad_hidden needs it");
    const merit_score_index_arrays arrays = MERIT_SCORE_INDEX_ARRAYS(io);
    return merit_score_check_index_arrays(ctx, d, &arrays, &args->find);
}

static merit_status check_overlap(merit_context *ctx, const merit_score_backward_args *args)
{
    enum { OWN = 9 };
    const merit_score_desc *const d = &args->d;
    const merit_score_backward_io *const io = &args->io;
    const int64_t positions = args->find.num_positions;
    const int64_t columns = score_num_columns(d);
    const int64_t heads = d->num_heads;
    const int64_t size = d->hidden_size;
    const int partial = d->shard == MERIT_SCORE_SHARD_PARTIAL;
    const size_t tiles = (size_t)score_position_tiles(&args->find);
    const size_t element = merit_dtype_bytes(d->hidden_dtype);
    const size_t grad_weight = partial
                                   ? tiles * (size_t)(heads * size) * 8
                                   : merit_score_rows_bytes(heads, d->grad_weight_stride, size, 4);
    const size_t grad_hidden =
        d->grad_layout == MERIT_GRAD_LAYOUT_DENSE
            ? merit_score_hidden_bytes(d, &args->find, d->grad_hidden_row_stride,
                                       d->grad_hidden_stride)
            : merit_score_rows_bytes(positions, d->grad_hidden_stride, size, element);
    merit_region regions[OWN + MERIT_SCORE_INDEX_REGIONS] = {
        {io->grad_hidden, grad_hidden, "grad_hidden", 1},
        {io->grad_weight, grad_weight, "grad_weight", 1},
        {io->grad_bias, partial ? tiles * (size_t)heads * 8 : (size_t)heads * 4, "grad_bias", 1},
        {io->diagnostics, sizeof *io->diagnostics, "diagnostics", 1},
        merit_score_hidden_region(d, &args->find, io->hidden),
        merit_score_weight_region(d, io->weight),
        {io->post_std, (size_t)heads * 4, "post_std", 0},
        {io->grad_scores, merit_score_rows_bytes(positions, d->grad_score_stride, columns, 4),
         "grad_scores", 0},
        {io->label_mask, (size_t)(positions * columns), "label_mask", 0},
    };
    const merit_score_index_arrays arrays = MERIT_SCORE_INDEX_ARRAYS(io);
    merit_score_index_regions(d, &args->find, &arrays, regions + OWN);
    return merit_check_overlap(ctx, regions, OWN + MERIT_SCORE_INDEX_REGIONS);
}

merit_status merit_score_backward_workspace(merit_context *ctx, const merit_score_desc *desc,
                                            size_t *bytes)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    merit_score_backward_args args = {.num_chunks = 0};
    merit_layout layout = merit_layout_begin(NULL);
    MERIT_TRY(prepare(ctx, desc, &args, &layout));
    MERIT_REQUIRE(ctx, !layout.overflow, "the sizes need a workspace of more than 2^64 bytes");
    *bytes = layout.bytes;
    return MERIT_STATUS_OK;
}

merit_status merit_score_backward(merit_context *ctx, const merit_score_desc *desc,
                                  const merit_score_backward_io *io, void *workspace,
                                  size_t workspace_bytes, merit_stream stream)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    merit_score_backward_args args = {.io = {.struct_size = sizeof args.io}};
    MERIT_TRY(merit_read_struct(ctx, "io", &args.io, sizeof args.io,
                                MERIT_SIZE_0_1(merit_score_backward_io, diagnostics), io));
    merit_layout layout = merit_layout_begin(workspace);
    MERIT_TRY(prepare(ctx, desc, &args, &layout));
    MERIT_TRY(check_arrays(ctx, &args));
    MERIT_TRY(check_overlap(ctx, &args));
    MERIT_TRY(merit_layout_check(ctx, &layout, workspace, workspace_bytes));
    if (args.find.num_positions == 0) return MERIT_STATUS_OK;
    if (args.io.grad_hidden == NULL) args.owners = NULL;

    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->score_backward(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
