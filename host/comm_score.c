// merit_comm_score: tile sums of hidden states cut over ranks, gathered and finished.
#include "../kernels/score/score_finish.h"

#include "comm_cut.h"
#include "score_checks.h"

static const merit_comm_score_desc defaults = {.struct_size = sizeof defaults};

merit_status merit_comm_score_desc_init(merit_comm_score_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &defaults, sizeof defaults,
                             MERIT_SIZE_0_1(merit_comm_score_desc, max_hidden_size));
}

typedef struct plan {
    merit_comm_score_desc c; // max_hidden_size resolved
    merit_score_desc d;
    int64_t positions;
    int64_t entries; // of a tile
    size_t own_bytes; // of this rank's tiles
    size_t bytes; // of the payload: as many as the largest part has
    unsigned char *messages;
} plan;

static merit_status check_part(merit_context *ctx, const merit_comm *comm, plan *p)
{
    merit_comm_score_desc *const c = &p->c;
    MERIT_REQUIRE(ctx, c->hidden_total >= 1 && c->hidden_total <= INT32_MAX,
                  "hidden_total is %lld, expected 1..%d", (long long)c->hidden_total,
                  (int)INT32_MAX);
    MERIT_REQUIRE(ctx, c->hidden_begin >= 0 && c->hidden_begin % MERIT_TILE == 0,
                  "hidden_begin is %lld, expected a multiple of %d", (long long)c->hidden_begin,
                  (int)MERIT_TILE);
    MERIT_REQUIRE(
        ctx,
        p->d.hidden_size <= c->hidden_total &&
            c->hidden_begin <= c->hidden_total - p->d.hidden_size,
        "hidden_begin is %lld, expected %d elements from there within hidden_total, which is %lld",
        (long long)c->hidden_begin, (int)p->d.hidden_size, (long long)c->hidden_total);
    MERIT_REQUIRE(ctx, c->max_hidden_size >= 0 && c->max_hidden_size <= MERIT_SCORE_MAX_HIDDEN,
                  "max_hidden_size is %lld, expected 0..%d", (long long)c->max_hidden_size,
                  (int)MERIT_SCORE_MAX_HIDDEN);
    if (c->max_hidden_size == 0) {
        c->max_hidden_size = merit_comm_largest_part(c->hidden_total, merit_comm_size(comm));
    }
    MERIT_REQUIRE(ctx, p->d.hidden_size <= c->max_hidden_size,
                  "hidden_size is %d, expected at most max_hidden_size, which is %lld",
                  (int)p->d.hidden_size, (long long)c->max_hidden_size);
    return MERIT_STATUS_OK;
}

static merit_status prepare(merit_context *ctx, const merit_comm *comm,
                            const merit_comm_score_desc *desc, plan *p, merit_layout *layout)
{
    merit_score_finder find;
    p->c = defaults;
    MERIT_TRY(merit_comm_check(ctx, comm));
    MERIT_TRY(merit_read_struct(ctx, "desc", &p->c, sizeof p->c,
                                MERIT_SIZE_0_1(merit_comm_score_desc, max_hidden_size), desc));
    MERIT_REQUIRE(ctx, p->c.score != NULL, "score is NULL");
    MERIT_TRY(merit_score_read_desc(ctx, p->c.score, &p->d, &find));
    MERIT_REQUIRE(ctx, p->d.shard == MERIT_SCORE_SHARD_PARTIAL, "shard is NONE, expected PARTIAL");
    MERIT_TRY(check_part(ctx, comm, p));
    p->positions = find.num_positions;
    p->entries = p->positions * score_num_columns(&p->d);
    const int64_t most = (p->c.max_hidden_size + MERIT_TILE - 1) / MERIT_TILE;
    int64_t bytes;
    MERIT_REQUIRE(ctx,
                  !__builtin_mul_overflow(p->entries, most * 8, &bytes) && bytes <= INT64_MAX / 2,
                  "positions, num_heads and max_hidden_size span more than 2^62 bytes");
    p->bytes = (size_t)bytes;
    p->own_bytes = (size_t)(p->entries * score_num_tiles(p->d.hidden_size)) * 8;
    p->messages = merit_comm_take_messages(layout, comm, p->bytes);
    return MERIT_STATUS_OK;
}

merit_status merit_comm_score_workspace(merit_context *ctx, const merit_comm *comm,
                                        const merit_comm_score_desc *desc, size_t *bytes)
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

static merit_status check_arrays(merit_context *ctx, const plan *p, const merit_comm_score_io *io)
{
    const merit_score_desc *const d = &p->d;
    const int some = p->positions > 0;
    MERIT_REQUIRE(ctx, !some || io->tile_sums != NULL, "tile_sums is NULL");
    MERIT_REQUIRE(ctx, !some || io->scores != NULL, "scores is NULL");
    MERIT_REQUIRE(ctx, io->route == NULL || d->routed, "route is given, but routed is 0");
    MERIT_REQUIRE(ctx, !some || io->route != NULL || !d->routed, "route is NULL, but routed is 1");
    const size_t heads = (size_t)d->num_heads * 4;
    const size_t rows = (size_t)p->positions;
    const merit_region regions[] = {
        {io->scores, merit_score_rows_bytes(p->positions, d->score_stride, score_num_columns(d), 4),
         "scores", 1},
        {io->diagnostics, sizeof *io->diagnostics, "diagnostics", 1},
        {io->tile_sums, p->own_bytes, "tile_sums", 0},
        {io->found_positions, rows * 8, "found_positions", 0},
        {io->bias, heads, "bias", 0},
        {io->post_mean, heads, "post_mean", 0},
        {io->post_std, heads, "post_std", 0},
        {io->route, rows * 4, "route", 0},
    };
    return merit_check_overlap(ctx, regions, (int)(sizeof regions / sizeof regions[0]));
}

static uint64_t fingerprint(const plan *p, const merit_comm_score_io *io)
{
    const int32_t words[] = {p->d.num_heads,       p->d.routed,
                             io->bias != NULL,     io->post_mean != NULL,
                             io->post_std != NULL, io->found_positions != NULL};
    const uint64_t h = merit_comm_mix(0, words, sizeof words);
    return merit_comm_mix(h, &p->c.max_hidden_size, sizeof p->c.max_hidden_size);
}

// The gathered messages, in place.
static merit_status finish(merit_context *ctx, const plan *p, const merit_comm_score_io *io,
                           int32_t ranks, const unsigned char *gathered, merit_stream stream)
{
    const merit_score_finish_args args = {.d = {.struct_size = sizeof args.d,
                                                .num_tiles = score_num_tiles(p->d.hidden_size),
                                                .num_positions = p->positions,
                                                .num_heads = p->d.num_heads,
                                                .routed = p->d.routed,
                                                .score_stride = p->d.score_stride,
                                                .empty_value = p->d.empty_value},
                                          .io = {.struct_size = sizeof args.io,
                                                 .tile_sums = merit_comm_payload(gathered, 0),
                                                 .found_positions = io->found_positions,
                                                 .bias = io->bias,
                                                 .post_mean = io->post_mean,
                                                 .post_std = io->post_std,
                                                 .route = io->route,
                                                 .scores = io->scores,
                                                 .diagnostics = io->diagnostics},
                                          .sizes = merit_comm_cut_sizes(ranks, gathered),
                                          .step = (int64_t)merit_comm_message_bytes(p->bytes),
                                          .num_ranks = ranks};
    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->score_finish(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}

merit_status merit_comm_score(merit_context *ctx, merit_comm *comm,
                              const merit_comm_score_desc *desc, const merit_comm_score_io *io,
                              void *workspace, size_t workspace_bytes, merit_stream stream)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    plan p;
    merit_comm_score_io a = {.struct_size = sizeof a};
    merit_layout layout = merit_layout_begin(workspace);
    MERIT_TRY(merit_read_struct(ctx, "io", &a, sizeof a,
                                MERIT_SIZE_0_1(merit_comm_score_io, diagnostics), io));
    MERIT_TRY(prepare(ctx, comm, desc, &p, &layout));
    MERIT_TRY(check_arrays(ctx, &p, &a));
    MERIT_TRY(merit_layout_check(ctx, &layout, workspace, workspace_bytes));

    const merit_comm_cut cut = {
        .axis = "hidden",
        .begin = p.c.hidden_begin,
        .size = p.d.hidden_size,
        .total = p.c.hidden_total,
        .unit = MERIT_TILE,
        .options = fingerprint(&p, &a),
        .option_names = "num_heads, routed, max_hidden_size and which arrays are given"};
    const merit_comm_part part = {a.tile_sums, p.own_bytes, 0};
    const merit_comm_header header = merit_comm_cut_header(&cut, MERIT_COMM_SCORE, p.positions);
    const unsigned char *gathered = NULL;
    MERIT_TRY(
        merit_comm_gather(ctx, comm, header, &part, 1, p.bytes, p.messages, stream, &gathered));
    MERIT_TRY(merit_comm_cut_check(ctx, comm, &cut, NULL));
    if (p.positions == 0) return MERIT_STATUS_OK;
    return finish(ctx, &p, &a, merit_comm_size(comm), gathered, stream);
}
