// merit_score_forward: checks, workspace, dispatch.
#include "../kernels/score/score_args.h"
#include "../kernels/score/score_gather.h"

#include "blas.h"
#include "score_checks.h"

// What a product of a chunk of positions needs of the workspace.
typedef struct blas_plan {
    int used;
    int32_t dtype; // of both factors
    void *rows; // [chunk,H]
    float *products; // [chunk,K]
    int64_t *kinds; // [chunk]
    void *scratch; // [MERIT_BLAS_WORKSPACE]
} blas_plan;

// The rule of path: BLAS where it is asked for, or under AUTO, for more than 16 heads.
static int takes_blas(const merit_context *ctx, const merit_score_desc *d)
{
    if (ctx->blas == NULL || d->routed || d->shard != MERIT_SCORE_SHARD_NONE) return 0;
    return d->path == MERIT_SCORE_PATH_BLAS ||
           (d->path == MERIT_SCORE_PATH_AUTO && d->num_heads > 16);
}

static void lay_out_blas(const merit_score_desc *d, merit_layout *layout, blas_plan *plan)
{
    plan->used = 1;
    plan->dtype = d->weight_dtype;
    const int64_t chunk = MERIT_SCORE_CHUNK;
    plan->rows = merit_layout_take(layout, chunk * d->hidden_size, merit_dtype_bytes(plan->dtype));
    plan->products = merit_layout_take(layout, chunk * d->num_heads, sizeof *plan->products);
    plan->kinds = merit_layout_take(layout, chunk, sizeof *plan->kinds);
    plan->scratch = merit_layout_take(layout, MERIT_BLAS_WORKSPACE, 1);
}

// Chunk after chunk: gather, multiply, finish.
static merit_status run_blas(merit_context *ctx, const merit_score_forward_args *args,
                             const blas_plan *plan, merit_stream stream)
{
    const merit_score_desc *const d = &args->d;
    const merit_launch launch = merit_launch_on(ctx, stream);
    for (int64_t first = 0; first < args->find.num_positions; first += MERIT_SCORE_CHUNK) {
        const int64_t left = args->find.num_positions - first;
        const merit_score_gather_args gather = {.d = *d,
                                                .io = args->io,
                                                .find = args->find,
                                                .first = first,
                                                .counts_std =
                                                    first == 0 && args->io.post_std != NULL,
                                                .widens = plan->dtype != d->hidden_dtype,
                                                .rows = plan->rows,
                                                .kinds = plan->kinds};
        const merit_score_products_args products = {
            .d = *d,
            .io = args->io,
            .first = first,
            .count = left < MERIT_SCORE_CHUNK ? left : MERIT_SCORE_CHUNK,
            .products = plan->products,
            .kinds = plan->kinds};
        MERIT_TRY(merit_launch_status(ctx, ctx->backend->score_gather(&gather, &launch)));
        MERIT_TRY(merit_blas_product(ctx, ctx->blas, plan->dtype, MERIT_SCORE_CHUNK, d->num_heads,
                                     d->hidden_size, plan->rows, args->io.weight, d->weight_stride,
                                     plan->products, plan->scratch, stream));
        MERIT_TRY(merit_launch_status(ctx, ctx->backend->score_products(&products, &launch)));
    }
    return MERIT_STATUS_OK;
}

// Reads the descriptor and lays out the workspace; args->io is left to the caller.
static merit_status prepare(merit_context *ctx, const merit_score_desc *desc,
                            merit_score_forward_args *args, merit_layout *layout, blas_plan *plan)
{
    merit_score_desc d;
    MERIT_TRY(merit_score_read_desc(ctx, desc, &d, &args->find));
    args->d = d;
    const int64_t positions = args->find.num_positions;
    const int64_t tiles = score_num_tiles(d.hidden_size);
    const int partial = d.shard == MERIT_SCORE_SHARD_PARTIAL;
    if (positions == 0) return MERIT_STATUS_OK;
    if (takes_blas(ctx, &d)) {
        lay_out_blas(&args->d, layout, plan);
        return MERIT_STATUS_OK;
    }
    if (!ctx->backend->on_device) {
        args->packed =
            merit_layout_take(layout, (int64_t)d.num_heads * score_padded(d.hidden_size), 4);
        return MERIT_STATUS_OK;
    }
    const int few = positions <= ctx->launch.num_sms && positions <= MERIT_SCORE_SPREAD_POSITIONS;
    args->is_spread = partial || few;
    if (partial || !few) return MERIT_STATUS_OK;
    args->tickets = merit_layout_take(layout, MERIT_SCORE_SPREAD_POSITIONS, sizeof(uint32_t));
    args->tile_sums = merit_layout_take(layout, positions * tiles * score_num_columns(&d), 8);
    return MERIT_STATUS_OK;
}

static merit_status check_arrays(merit_context *ctx, merit_score_forward_args *args)
{
    const merit_score_desc *const d = &args->d;
    const merit_score_forward_io *const io = &args->io;
    const int some = args->find.num_positions > 0;
    const int partial = d->shard == MERIT_SCORE_SHARD_PARTIAL;
    MERIT_REQUIRE(ctx, !some || io->hidden != NULL || args->find.num_tokens == 0, "hidden is NULL");
    MERIT_REQUIRE(ctx, !some || io->weight != NULL, "weight is NULL");
    MERIT_REQUIRE(ctx, !some || io->scores != NULL, "scores is NULL");
    MERIT_REQUIRE(ctx, !partial || io->bias == NULL,
                  "bias is given, but shard PARTIAL (1) leaves it to score_finish");
    MERIT_REQUIRE(ctx, !partial || (io->post_mean == NULL && io->post_std == NULL),
                  "%s is given, but shard PARTIAL (1) leaves it to score_finish",
                  io->post_mean != NULL ? "post_mean" : "post_std");
    const merit_score_index_arrays arrays = MERIT_SCORE_INDEX_ARRAYS(io);
    return merit_score_check_index_arrays(ctx, d, &arrays, &args->find);
}

static merit_status check_overlap(merit_context *ctx, const merit_score_forward_args *args)
{
    enum { OWN = 8 };
    const merit_score_desc *const d = &args->d;
    const merit_score_forward_io *const io = &args->io;
    const int64_t positions = args->find.num_positions;
    const int64_t columns = score_num_columns(d);
    const size_t heads = (size_t)d->num_heads;
    const size_t scores = d->shard == MERIT_SCORE_SHARD_PARTIAL
                              ? (size_t)(positions * columns * score_num_tiles(d->hidden_size)) * 8
                              : merit_score_rows_bytes(positions, d->score_stride, columns, 4);
    merit_region regions[OWN + MERIT_SCORE_INDEX_REGIONS] = {
        {io->scores, scores, "scores", 1},
        {io->found_positions, (size_t)positions * 8, "found_positions", 1},
        {io->diagnostics, sizeof *io->diagnostics, "diagnostics", 1},
        merit_score_hidden_region(d, &args->find, io->hidden),
        merit_score_weight_region(d, io->weight),
        {io->bias, 4 * heads, "bias", 0},
        {io->post_mean, 4 * heads, "post_mean", 0},
        {io->post_std, 4 * heads, "post_std", 0},
    };
    const merit_score_index_arrays arrays = MERIT_SCORE_INDEX_ARRAYS(io);
    merit_score_index_regions(d, &args->find, &arrays, regions + OWN);
    return merit_check_overlap(ctx, regions, OWN + MERIT_SCORE_INDEX_REGIONS);
}

merit_status merit_score_forward_workspace(merit_context *ctx, const merit_score_desc *desc,
                                           size_t *bytes)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    merit_score_forward_args args = {.is_spread = 0};
    blas_plan plan = {.used = 0};
    merit_layout layout = merit_layout_begin(NULL);
    MERIT_TRY(prepare(ctx, desc, &args, &layout, &plan));
    MERIT_REQUIRE(ctx, !layout.overflow, "the sizes need a workspace of more than 2^64 bytes");
    if (plan.used) { // here, so that no call allocates
        MERIT_TRY(merit_blas_prepare(ctx, ctx->blas, plan.dtype, MERIT_SCORE_CHUNK,
                                     args.d.num_heads, args.d.hidden_size, args.d.weight_stride));
    }
    *bytes = layout.bytes;
    return MERIT_STATUS_OK;
}

merit_status merit_score_forward(merit_context *ctx, const merit_score_desc *desc,
                                 const merit_score_forward_io *io, void *workspace,
                                 size_t workspace_bytes, merit_stream stream)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    merit_score_forward_args args = {.io = {.struct_size = sizeof args.io}};
    blas_plan plan = {.used = 0};
    MERIT_TRY(merit_read_struct(ctx, "io", &args.io, sizeof args.io,
                                MERIT_SIZE_0_1(merit_score_forward_io, diagnostics), io));
    merit_layout layout = merit_layout_begin(workspace);
    MERIT_TRY(prepare(ctx, desc, &args, &layout, &plan));
    MERIT_TRY(check_arrays(ctx, &args));
    MERIT_TRY(check_overlap(ctx, &args));
    MERIT_TRY(merit_layout_check(ctx, &layout, workspace, workspace_bytes));
    if (args.d.path == MERIT_SCORE_PATH_BLAS) {
        const char *const why = ctx->blas == NULL ? "this context has no cuBLAS"
                                : args.d.routed   ? "routed is 1"
                                : args.d.shard == MERIT_SCORE_SHARD_PARTIAL ? "shard is PARTIAL (1)"
                                                                            : NULL;
        if (why != NULL) {
            return merit_fail(ctx, MERIT_STATUS_UNSUPPORTED, "path is BLAS (1), but %s", why);
        }
    }
    if (args.find.num_positions == 0) return MERIT_STATUS_OK;
    const merit_score_desc *const d = &args.d;
    args.has_vectors =
        merit_score_is_aligned(args.io.hidden, d->hidden_stride, d->hidden_dtype) &&
        (d->row_tokens == 0 ||
         merit_score_is_aligned(args.io.hidden, d->hidden_row_stride, d->hidden_dtype)) &&
        merit_score_is_aligned(args.io.weight, d->weight_stride, d->weight_dtype);

    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    if (plan.used) {
        return merit_leave_device(ctx, previous, run_blas(ctx, &args, &plan, stream));
    }
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->score_forward(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
