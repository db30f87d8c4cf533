// merit_comm_score_gradients: gradients of heads whose positions are cut over ranks.
#include "../kernels/score/score_finish.h"

#include "comm_cut.h"
#include "score_checks.h"

static const merit_comm_score_gradients_desc defaults = {.struct_size = sizeof defaults};

merit_status merit_comm_score_gradients_desc_init(merit_comm_score_gradients_desc *desc,
                                                  size_t size)
{
    return merit_init_struct(__func__, desc, size, &defaults, sizeof defaults,
                             MERIT_SIZE_0_1(merit_comm_score_gradients_desc, accumulate));
}

// A message holds the tiles of grad_weight, then those of grad_bias.
typedef struct plan {
    merit_comm_score_gradients_desc c; // max_positions resolved
    merit_score_desc d;
    int64_t positions, tiles; // of this rank
    int64_t entries; // of a tile of grad_weight
    size_t bias; // offset
    size_t bytes; // of the payload
    unsigned char *messages;
} plan;

static merit_status prepare(merit_context *ctx, const merit_comm *comm,
                            const merit_comm_score_gradients_desc *desc, plan *p,
                            merit_layout *layout)
{
    merit_score_finder find;
    p->c = defaults;
    MERIT_TRY(merit_comm_check(ctx, comm));
    MERIT_TRY(merit_read_struct(ctx, "desc", &p->c, sizeof p->c,
                                MERIT_SIZE_0_1(merit_comm_score_gradients_desc, accumulate), desc));
    MERIT_REQUIRE(ctx, p->c.score != NULL, "score is NULL");
    MERIT_TRY(merit_score_read_desc(ctx, p->c.score, &p->d, &find));
    MERIT_REQUIRE(ctx, p->d.shard == MERIT_SCORE_SHARD_PARTIAL, "shard is NONE, expected PARTIAL");
    MERIT_REQUIRE_FLAG(ctx, &p->c, accumulate);
    MERIT_REQUIRE(ctx, p->c.max_positions >= 0, "max_positions is %lld, expected 0 or more",
                  (long long)p->c.max_positions);
    p->positions = find.num_positions;
    if (p->c.max_positions == 0) p->c.max_positions = p->positions;
    MERIT_REQUIRE(ctx, p->positions <= p->c.max_positions,
                  "there are %lld positions, expected at most max_positions, which is %lld",
                  (long long)p->positions, (long long)p->c.max_positions);
    p->tiles = (p->positions + MERIT_TILE - 1) / MERIT_TILE;
    p->entries = (int64_t)p->d.num_heads * p->d.hidden_size;
    const int64_t most = p->c.max_positions / MERIT_TILE + (p->c.max_positions % MERIT_TILE != 0);
    int64_t bytes;
    MERIT_REQUIRE(ctx,
                  !__builtin_mul_overflow(most, (p->entries + p->d.num_heads) * 8, &bytes) &&
                      bytes <= INT64_MAX / 2,
                  "max_positions, num_heads and hidden_size span more than 2^62 bytes");
    p->bytes = (size_t)bytes;
    p->bias = (size_t)(most * p->entries) * 8;
    p->messages = merit_comm_take_messages(layout, comm, p->bytes);
    return MERIT_STATUS_OK;
}

merit_status merit_comm_score_gradients_workspace(merit_context *ctx, const merit_comm *comm,
                                                  const merit_comm_score_gradients_desc *desc,
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
                                 const merit_comm_score_gradients_io *io)
{
    const int some = p->positions > 0;
    MERIT_REQUIRE(ctx, io->grad_weight != NULL || io->grad_bias != NULL,
                  "grad_weight and grad_bias are NULL");
    MERIT_REQUIRE(ctx, !some || io->grad_weight == NULL || io->weight_tiles != NULL,
                  "weight_tiles is NULL, but grad_weight needs it");
    MERIT_REQUIRE(ctx, !some || io->grad_bias == NULL || io->bias_tiles != NULL,
                  "bias_tiles is NULL, but grad_bias needs it");
    MERIT_REQUIRE(ctx, io->weight_tiles == NULL || io->grad_weight != NULL,
                  "weight_tiles is given, but grad_weight is NULL");
    MERIT_REQUIRE(ctx, io->bias_tiles == NULL || io->grad_bias != NULL,
                  "bias_tiles is given, but grad_bias is NULL");
    const size_t heads = (size_t)p->d.num_heads;
    const merit_region regions[] = {
        {io->grad_weight,
         merit_score_rows_bytes(p->d.num_heads, p->d.grad_weight_stride, p->d.hidden_size, 4),
         "grad_weight", 1},
        {io->grad_bias, heads * 4, "grad_bias", 1},
        {io->weight_tiles, (size_t)(p->tiles * p->entries) * 8, "weight_tiles", 0},
        {io->bias_tiles, (size_t)p->tiles * heads * 8, "bias_tiles", 0},
    };
    return merit_check_overlap(ctx, regions, (int)(sizeof regions / sizeof regions[0]));
}

static uint64_t fingerprint(const plan *p, const merit_comm_score_gradients_io *io)
{
    const int32_t words[] = {p->d.num_heads, p->d.hidden_size, io->grad_weight != NULL,
                             io->grad_bias != NULL};
    const uint64_t h = merit_comm_mix(0, words, sizeof words);
    return merit_comm_mix(h, &p->c.max_positions, sizeof p->c.max_positions);
}

// Rows of sums over the tiles of all ranks, in place: [rows,columns] of binary64 from `offset` of a payload.
static int fold(merit_context *ctx, const plan *p, int32_t ranks, const unsigned char *gathered,
                size_t offset, int64_t rows, int32_t columns, int64_t stride, float *out,
                merit_stream stream)
{
    const merit_score_finish_args args = {.d = {.struct_size = sizeof args.d,
                                                .num_tiles = p->tiles,
                                                .num_positions = rows,
                                                .num_heads = columns,
                                                .score_stride = stride},
                                          .io = {.struct_size = sizeof args.io,
                                                 .tile_sums = merit_comm_payload(gathered, offset),
                                                 .scores = out},
                                          .sizes = merit_comm_cut_sizes(ranks, gathered),
                                          .step = (int64_t)merit_comm_message_bytes(p->bytes),
                                          .num_ranks = ranks,
                                          .accumulate = p->c.accumulate};
    const merit_launch launch = merit_launch_on(ctx, stream);
    return ctx->backend->score_finish(&args, &launch);
}

static merit_status fold_both(merit_context *ctx, const plan *p,
                              const merit_comm_score_gradients_io *io, int32_t ranks,
                              const unsigned char *gathered, merit_stream stream)
{
    const int32_t heads = p->d.num_heads;
    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    int code = 0;
    if (io->grad_weight != NULL) {
        code = fold(ctx, p, ranks, gathered, 0, heads, p->d.hidden_size, p->d.grad_weight_stride,
                    io->grad_weight, stream);
    }
    if (code == 0 && io->grad_bias != NULL) {
        code = fold(ctx, p, ranks, gathered, p->bias, 1, heads, heads, io->grad_bias, stream);
    }
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}

merit_status merit_comm_score_gradients(merit_context *ctx, merit_comm *comm,
                                        const merit_comm_score_gradients_desc *desc,
                                        const merit_comm_score_gradients_io *io, void *workspace,
                                        size_t workspace_bytes, merit_stream stream)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    plan p;
    merit_comm_score_gradients_io a = {.struct_size = sizeof a};
    merit_layout layout = merit_layout_begin(workspace);
    MERIT_TRY(merit_read_struct(ctx, "io", &a, sizeof a,
                                MERIT_SIZE_0_1(merit_comm_score_gradients_io, grad_bias), io));
    MERIT_TRY(prepare(ctx, comm, desc, &p, &layout));
    MERIT_TRY(check_arrays(ctx, &p, &a));
    MERIT_TRY(merit_layout_check(ctx, &layout, workspace, workspace_bytes));

    const merit_comm_cut cut = {
        .axis = "the positions",
        .begin = -1,
        .size = p.positions,
        .total = -1,
        .unit = MERIT_TILE,
        .options = fingerprint(&p, &a),
        .option_names = "num_heads, hidden_size, max_positions and which arrays are given"};
    const merit_comm_part parts[] = {
        {a.weight_tiles, a.weight_tiles == NULL ? 0 : (size_t)(p.tiles * p.entries) * 8, 0},
        {a.bias_tiles, a.bias_tiles == NULL ? 0 : (size_t)(p.tiles * p.d.num_heads) * 8, p.bias},
    };
    const merit_comm_header header =
        merit_comm_cut_header(&cut, MERIT_COMM_SCORE_GRADIENTS, p.entries);
    const unsigned char *gathered = NULL;
    MERIT_TRY(
        merit_comm_gather(ctx, comm, header, parts, 2, p.bytes, p.messages, stream, &gathered));
    int64_t total = 0;
    MERIT_TRY(merit_comm_cut_check(ctx, comm, &cut, &total));
    if (total == 0) return MERIT_STATUS_OK;
    return fold_both(ctx, &p, &a, merit_comm_size(comm), gathered, stream);
}
