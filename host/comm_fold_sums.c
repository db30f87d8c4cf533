// merit_comm_fold_sums: losses and denominators of a batch cut over ranks.
#include "../kernels/comm/comm_fold_sums.h"

#include "comm_folds_common.h"

static const merit_comm_fold_sums_desc defaults = {.struct_size = sizeof defaults, .num_sums = 1};

merit_status merit_comm_fold_sums_desc_init(merit_comm_fold_sums_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &defaults, sizeof *desc,
                             MERIT_SIZE_0_1(merit_comm_fold_sums_desc, num_counts));
}

// A message holds the counts, then the tiles.
typedef struct plan {
    merit_comm_fold_sums_desc d; // max_rows resolved
    size_t count_bytes;
    size_t tile_bytes; // of this rank
    size_t bytes; // of the payload
    unsigned char *messages;
} plan;

static merit_status prepare(merit_context *ctx, const merit_comm *comm,
                            const merit_comm_fold_sums_desc *desc, plan *p, merit_layout *layout)
{
    p->d = defaults;
    MERIT_TRY(merit_comm_check(ctx, comm));
    MERIT_TRY(merit_read_struct(ctx, "desc", &p->d, sizeof p->d,
                                MERIT_SIZE_0_1(merit_comm_fold_sums_desc, num_counts), desc));
    MERIT_REQUIRE_RANGE(ctx, &p->d, num_sums, 0, 1 << 20);
    MERIT_REQUIRE_RANGE(ctx, &p->d, num_counts, 0, 1 << 20);
    MERIT_REQUIRE(ctx, p->d.num_sums + p->d.num_counts > 0, "num_sums and num_counts are 0");
    if (p->d.num_sums == 0) p->d.num_rows = p->d.max_rows = 0;
    MERIT_TRY(merit_comm_check_rows(ctx, "rows", p->d.num_rows, &p->d.max_rows));
    const size_t row = (size_t)p->d.num_sums * sizeof(double);
    const size_t own = (size_t)((p->d.num_rows + MERIT_TILE - 1) / MERIT_TILE);
    const size_t most = (size_t)((p->d.max_rows + MERIT_TILE - 1) / MERIT_TILE);
    size_t tile_bytes;
    MERIT_REQUIRE(ctx, !__builtin_mul_overflow(most, row, &tile_bytes) && tile_bytes < SIZE_MAX / 4,
                  "max_rows and num_sums span more than 2^62 bytes");
    p->count_bytes = (size_t)p->d.num_counts * sizeof(int64_t);
    p->tile_bytes = own * row;
    p->bytes = p->count_bytes + tile_bytes;
    p->messages = merit_comm_take_messages(layout, comm, p->bytes);
    return MERIT_STATUS_OK;
}

merit_status merit_comm_fold_sums_workspace(merit_context *ctx, const merit_comm *comm,
                                            const merit_comm_fold_sums_desc *desc, size_t *bytes)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    plan p;
    merit_layout layout = merit_layout_begin(NULL);
    MERIT_TRY(prepare(ctx, comm, desc, &p, &layout));
    MERIT_REQUIRE(ctx, !layout.overflow, "the sizes need a workspace of more than 2^64 bytes");
    *bytes = layout.bytes;
    return MERIT_STATUS_OK;
}

static merit_status check_arrays(merit_context *ctx, const plan *p,
                                 const merit_comm_fold_sums_io *io)
{
    MERIT_REQUIRE(ctx, io->tiles != NULL || p->tile_bytes == 0, "tiles is NULL");
    MERIT_REQUIRE(ctx, io->sums != NULL || p->d.num_sums == 0, "sums is NULL");
    MERIT_REQUIRE(ctx, io->counts != NULL || p->d.num_counts == 0, "counts is NULL");
    MERIT_REQUIRE(ctx, io->total_counts != NULL || p->d.num_counts == 0, "total_counts is NULL");
    const merit_region regions[] = {
        {io->sums, (size_t)p->d.num_sums * sizeof(double), "sums", 1},
        {io->total_counts, p->count_bytes, "total_counts", 1},
        {io->tiles, p->tile_bytes, "tiles", 0},
        {io->counts == io->total_counts ? NULL : io->counts, p->count_bytes, "counts", 0},
    };
    return merit_check_overlap(ctx, regions, (int)(sizeof regions / sizeof regions[0]));
}

merit_status merit_comm_fold_sums(merit_context *ctx, merit_comm *comm,
                                  const merit_comm_fold_sums_desc *desc,
                                  const merit_comm_fold_sums_io *io, void *workspace,
                                  size_t workspace_bytes, merit_stream stream)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    plan p;
    merit_comm_fold_sums_io a = {.struct_size = sizeof a};
    merit_layout layout = merit_layout_begin(workspace);
    MERIT_TRY(prepare(ctx, comm, desc, &p, &layout));
    MERIT_TRY(merit_read_struct(ctx, "io", &a, sizeof a,
                                MERIT_SIZE_0_1(merit_comm_fold_sums_io, total_counts), io));
    MERIT_TRY(check_arrays(ctx, &p, &a));
    MERIT_TRY(merit_layout_check(ctx, &layout, workspace, workspace_bytes));

    const int64_t agree[] = {p.d.num_sums, p.d.num_counts, p.d.max_rows};
    const merit_comm_cut cut = merit_comm_row_cut("the rows", p.d.num_rows, MERIT_TILE, agree, 3,
                                                  "num_sums, num_counts and max_rows");
    const merit_comm_header header =
        merit_comm_cut_header(&cut, MERIT_COMM_FOLD_SUMS, p.d.num_sums + p.d.num_counts);
    const merit_comm_part parts[] = {{a.counts, p.count_bytes, 0},
                                     {a.tiles, p.tile_bytes, p.count_bytes}};
    const unsigned char *gathered = NULL;
    MERIT_TRY(
        merit_comm_gather(ctx, comm, header, parts, 2, p.bytes, p.messages, stream, &gathered));
    MERIT_TRY(merit_comm_cut_check(ctx, comm, &cut, NULL));
    const merit_comm_fold_sums_args args = {
        .parts = merit_comm_parts_in(comm, gathered, p.bytes, p.d.num_rows),
        .tiles = merit_comm_payload(gathered, p.count_bytes),
        .counts = merit_comm_payload(gathered, 0),
        .num_sums = p.d.num_sums,
        .num_counts = p.d.num_counts,
        .sums = a.sums,
        .total_counts = a.total_counts};
    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->comm_fold_sums(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
