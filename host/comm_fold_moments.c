// merit_comm_fold_moments: statistics of a batch cut over ranks.
#include "../kernels/comm/comm_fold_moments.h"

#include "comm_folds_common.h"

static const merit_comm_fold_moments_desc defaults = {
    .struct_size = sizeof defaults, .num_sets = 1, .groups_per_record = MERIT_TILE};

merit_status merit_comm_fold_moments_desc_init(merit_comm_fold_moments_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &defaults, sizeof *desc,
                             MERIT_SIZE_0_1(merit_comm_fold_moments_desc, max_groups));
}

typedef struct plan {
    merit_comm_fold_moments_desc d; // max_groups resolved
    size_t own_bytes; // of the records of this rank
    size_t bytes; // of the payload
    unsigned char *messages;
    merit_moments *tiles;
} plan;

static merit_status prepare(merit_context *ctx, const merit_comm *comm,
                            const merit_comm_fold_moments_desc *desc, plan *p, merit_layout *layout)
{
    p->d = defaults;
    MERIT_TRY(merit_comm_check(ctx, comm));
    MERIT_TRY(merit_read_struct(ctx, "desc", &p->d, sizeof p->d,
                                MERIT_SIZE_0_1(merit_comm_fold_moments_desc, max_groups), desc));
    MERIT_REQUIRE_RANGE(ctx, &p->d, num_sets, 1, 1 << 20);
    const int64_t unit = p->d.groups_per_record;
    MERIT_REQUIRE(ctx, unit == 1 || unit == MERIT_TILE,
                  "groups_per_record is %lld, expected 1 or %d", (long long)unit, (int)MERIT_TILE);
    MERIT_TRY(merit_comm_check_rows(ctx, "groups", p->d.num_groups, &p->d.max_groups));
    const size_t record = (size_t)p->d.num_sets * sizeof(merit_moments);
    const size_t own = (size_t)((p->d.num_groups + unit - 1) / unit);
    const size_t most = (size_t)((p->d.max_groups + unit - 1) / unit);
    MERIT_REQUIRE(ctx, !__builtin_mul_overflow(most, record, &p->bytes) && p->bytes < SIZE_MAX / 4,
                  "max_groups and num_sets span more than 2^62 bytes");
    p->own_bytes = own * record;
    const int64_t ranks = merit_comm_size(comm);
    int64_t tiles; // of all ranks at most, with a ragged end
    MERIT_REQUIRE(ctx, !__builtin_mul_overflow(p->d.max_groups / MERIT_TILE + 1, ranks, &tiles),
                  "max_groups of all ranks are more than 2^63");
    p->messages = merit_comm_take_messages(layout, comm, p->bytes);
    p->tiles = merit_layout_take(layout, tiles, record);
    return MERIT_STATUS_OK;
}

merit_status merit_comm_fold_moments_workspace(merit_context *ctx, const merit_comm *comm,
                                               const merit_comm_fold_moments_desc *desc,
                                               size_t *bytes)
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

merit_status merit_comm_fold_moments(merit_context *ctx, merit_comm *comm,
                                     const merit_comm_fold_moments_desc *desc,
                                     const merit_comm_fold_moments_io *io, void *workspace,
                                     size_t workspace_bytes, merit_stream stream)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    plan p;
    merit_comm_fold_moments_io a = {.struct_size = sizeof a};
    merit_layout layout = merit_layout_begin(workspace);
    MERIT_TRY(prepare(ctx, comm, desc, &p, &layout));
    MERIT_TRY(merit_read_struct(ctx, "io", &a, sizeof a,
                                MERIT_SIZE_0_1(merit_comm_fold_moments_io, moments), io));
    MERIT_REQUIRE(ctx, a.records != NULL || p.d.num_groups == 0, "records is NULL");
    MERIT_REQUIRE(ctx, a.moments != NULL, "moments is NULL");
    const merit_region regions[] = {
        {a.moments, (size_t)p.d.num_sets * sizeof *a.moments, "moments", 1},
        {a.records, p.own_bytes, "records", 0},
    };
    MERIT_TRY(merit_check_overlap(ctx, regions, 2));
    MERIT_TRY(merit_layout_check(ctx, &layout, workspace, workspace_bytes));

    const int64_t agree[] = {p.d.num_sets, p.d.groups_per_record, p.d.max_groups};
    const merit_comm_cut cut =
        merit_comm_row_cut("the groups", p.d.num_groups, p.d.groups_per_record, agree, 3,
                           "num_sets, groups_per_record and max_groups");
    const merit_comm_header header =
        merit_comm_cut_header(&cut, MERIT_COMM_FOLD_MOMENTS, p.d.num_sets);
    const unsigned char *gathered = NULL;
    const merit_comm_part part = {a.records, p.own_bytes, 0};
    MERIT_TRY(
        merit_comm_gather(ctx, comm, header, &part, 1, p.bytes, p.messages, stream, &gathered));
    int64_t total = 0;
    MERIT_TRY(merit_comm_cut_check(ctx, comm, &cut, &total));
    const merit_comm_fold_moments_args args = {
        .parts = merit_comm_parts_in(comm, gathered, p.bytes, p.d.num_groups),
        .records = merit_comm_payload(gathered, 0),
        .num_groups = total,
        .num_sets = p.d.num_sets,
        .groups_per_record = p.d.groups_per_record,
        .tiles = p.tiles,
        .moments = a.moments};
    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->comm_fold_moments(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
