// merit_comm_gather_rows: arrays of a batch cut over ranks, whole on every rank.
#include "comm_folds_common.h"

static const merit_comm_gather_rows_desc defaults = {
    .struct_size = sizeof defaults,
    .num_arrays = 1,
    .row_bytes = {4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4}};

merit_status merit_comm_gather_rows_desc_init(merit_comm_gather_rows_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &defaults, sizeof *desc,
                             MERIT_SIZE_0_1(merit_comm_gather_rows_desc, row_bytes));
}

// A message holds one array after the other, each with room for max_rows.
typedef struct plan {
    merit_comm_gather_rows_desc d; // max_rows and max_total resolved
    size_t offsets[MERIT_COMM_MAX_ARRAYS];
    size_t bytes; // of the payload
    unsigned char *messages;
} plan;

static merit_status prepare(merit_context *ctx, const merit_comm *comm,
                            const merit_comm_gather_rows_desc *desc, plan *p, merit_layout *layout)
{
    p->d = defaults;
    MERIT_TRY(merit_comm_check(ctx, comm));
    MERIT_TRY(merit_read_struct(ctx, "desc", &p->d, sizeof p->d,
                                MERIT_SIZE_0_1(merit_comm_gather_rows_desc, row_bytes), desc));
    MERIT_REQUIRE_RANGE(ctx, &p->d, num_arrays, 1, MERIT_COMM_MAX_ARRAYS);
    MERIT_TRY(merit_comm_check_rows(ctx, "rows", p->d.num_rows, &p->d.max_rows));
    int64_t room;
    const int64_t ranks = merit_comm_size(comm);
    MERIT_REQUIRE(ctx, !__builtin_mul_overflow(p->d.max_rows, ranks, &room),
                  "max_rows of all ranks are more than 2^63");
    MERIT_REQUIRE(ctx, p->d.max_total >= 0, "max_total is %lld, expected 0 or more",
                  (long long)p->d.max_total);
    if (p->d.max_total == 0) p->d.max_total = room;
    p->bytes = 0;
    for (int32_t i = 0; i < p->d.num_arrays; i++) {
        MERIT_REQUIRE(ctx, p->d.row_bytes[i] > 0, "row_bytes[%d] is %d, expected 1 or more", (int)i,
                      (int)p->d.row_bytes[i]);
        size_t bytes;
        size_t all;
        const size_t row = (size_t)p->d.row_bytes[i];
        const int overflows = __builtin_mul_overflow((size_t)p->d.max_rows, row, &bytes) ||
                              __builtin_mul_overflow((size_t)p->d.max_total, row, &all) ||
                              bytes > SIZE_MAX / 64 || all > SIZE_MAX / 64;
        MERIT_REQUIRE(ctx, !overflows, "max_rows or max_total times row_bytes[%d] is over 2^58",
                      (int)i);
        p->offsets[i] = p->bytes;
        p->bytes += (bytes + 15) / 16 * 16; // every array starts as its elements need it
    }
    p->messages = merit_comm_take_messages(layout, comm, p->bytes);
    return MERIT_STATUS_OK;
}

merit_status merit_comm_gather_rows_workspace(merit_context *ctx, const merit_comm *comm,
                                              const merit_comm_gather_rows_desc *desc,
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

static merit_status check_arrays(merit_context *ctx, const plan *p,
                                 const merit_comm_gather_rows_io *io)
{
    merit_region regions[2 * MERIT_COMM_MAX_ARRAYS];
    for (int32_t i = 0; i < p->d.num_arrays; i++) {
        const size_t row = (size_t)p->d.row_bytes[i];
        MERIT_REQUIRE(ctx, io->local[i] != NULL || p->d.num_rows == 0, "local[%d] is NULL", (int)i);
        MERIT_REQUIRE(ctx, io->gathered[i] != NULL || p->d.max_total == 0, "gathered[%d] is NULL",
                      (int)i);
        regions[2 * i] =
            (merit_region){io->gathered[i], (size_t)p->d.max_total * row, "gathered", 1};
        regions[2 * i + 1] = (merit_region){io->local[i], (size_t)p->d.num_rows * row, "local", 0};
    }
    return merit_check_overlap(ctx, regions, 2 * p->d.num_arrays);
}

// Array i out of all messages: one copy for neighbors with equally many rows.
static int copy_array(merit_context *ctx, const merit_comm *comm, const plan *p, int32_t i,
                      const unsigned char *gathered, void *out, merit_stream stream)
{
    const merit_comm_header *const headers = merit_comm_headers(comm);
    const int32_t ranks = merit_comm_size(comm);
    const size_t message = merit_comm_message_bytes(p->bytes);
    const unsigned char *const part = merit_comm_payload(gathered, p->offsets[i]);
    unsigned char *to = out;
    int32_t end;
    int code = 0;
    for (int32_t rank = 0; rank < ranks && code == 0; rank = end) {
        const size_t bytes = (size_t)headers[rank].extent * (size_t)p->d.row_bytes[i];
        for (end = rank + 1; end < ranks && headers[end].extent == headers[rank].extent; end++) {
        }
        const size_t neighbors = (size_t)(end - rank);
        if (bytes == 0) continue;
        code = ctx->backend->copy_rows(to, bytes, part + (size_t)rank * message, message, bytes,
                                       neighbors, stream);
        to += neighbors * bytes;
    }
    return code;
}

static merit_comm_rows rows_of(const merit_comm *comm, int64_t total)
{
    const merit_comm_header *const headers = merit_comm_headers(comm);
    const int32_t own = merit_comm_rank(comm);
    merit_comm_rows rows = {.count = headers[own].extent, .total = total};
    for (int32_t rank = 0; rank < own; rank++) {
        rows.first += headers[rank].extent;
    }
    return rows;
}

merit_status merit_comm_gather_rows(merit_context *ctx, merit_comm *comm,
                                    const merit_comm_gather_rows_desc *desc,
                                    const merit_comm_gather_rows_io *io, void *workspace,
                                    size_t workspace_bytes, merit_stream stream)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    plan p;
    merit_comm_gather_rows_io a = {.struct_size = sizeof a};
    merit_layout layout = merit_layout_begin(workspace);
    MERIT_TRY(prepare(ctx, comm, desc, &p, &layout));
    MERIT_TRY(merit_read_struct(ctx, "io", &a, sizeof a,
                                MERIT_SIZE_0_1(merit_comm_gather_rows_io, rows), io));
    MERIT_TRY(check_arrays(ctx, &p, &a));
    MERIT_TRY(merit_layout_check(ctx, &layout, workspace, workspace_bytes));

    int64_t agree[MERIT_COMM_MAX_ARRAYS + 2] = {p.d.max_rows, p.d.max_total};
    merit_comm_part parts[MERIT_COMM_MAX_ARRAYS];
    for (int32_t i = 0; i < p.d.num_arrays; i++) {
        agree[2 + i] = p.d.row_bytes[i];
        parts[i] = (merit_comm_part){a.local[i], (size_t)p.d.num_rows * (size_t)p.d.row_bytes[i],
                                     p.offsets[i]};
    }
    const merit_comm_cut cut =
        merit_comm_row_cut("the rows", p.d.num_rows, 1, agree, 2 + p.d.num_arrays,
                           "row_bytes, max_rows and max_total");
    const merit_comm_header header =
        merit_comm_cut_header(&cut, MERIT_COMM_GATHER_ROWS, p.d.num_arrays);
    const unsigned char *gathered = NULL;
    MERIT_TRY(merit_comm_gather(ctx, comm, header, parts, p.d.num_arrays, p.bytes, p.messages,
                                stream, &gathered));
    int64_t total = 0;
    MERIT_TRY(merit_comm_cut_check(ctx, comm, &cut, &total));
    MERIT_REQUIRE(ctx, total <= p.d.max_total,
                  "the ranks have %lld rows together, expected at most max_total, which is %lld",
                  (long long)total, (long long)p.d.max_total);
    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    int code = 0;
    for (int32_t i = 0; i < p.d.num_arrays && code == 0; i++) {
        code = copy_array(ctx, comm, &p, i, gathered, a.gathered[i], stream);
    }
    if (code == 0 && a.rows != NULL) *a.rows = rows_of(comm, total);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
