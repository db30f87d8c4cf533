// merit_comm_policy_logprob: records of a vocabulary cut over ranks, gathered and merged.
#include "../kernels/policy/policy_logprob_args.h"
#include "comm_cut.h"
#include "policy_logprob_checks.h"

static const merit_comm_policy_logprob_desc defaults = {.struct_size = sizeof defaults};

merit_status merit_comm_policy_logprob_desc_init(merit_comm_policy_logprob_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &defaults, sizeof defaults,
                             MERIT_SIZE_0_1(merit_comm_policy_logprob_desc, max_vocab_size));
}

// Where things stand in a message, behind its header. Segments first: they want 16-byte alignment.
typedef struct plan {
    merit_policy_logprob_desc d;
    size_t own_bytes; // of this rank's segments
    size_t shards; // offset
    size_t bytes; // of the payload
    int64_t largest;
    unsigned char *messages;
} plan;

static merit_status measure(merit_context *ctx, plan *p)
{
    const int64_t rows = p->d.num_tokens;
    int64_t own = 0, segments = 0, shards, bytes;
    int overflows = 0;
    if (p->d.partials == MERIT_LOGPROB_PARTIALS_SEGMENT) {
        const int64_t row = (int64_t)sizeof(merit_policy_logprob_segment);
        const int64_t tiles = (p->d.vocab_size + MERIT_TILE - 1) / MERIT_TILE;
        const int64_t most = (p->largest + MERIT_TILE - 1) / MERIT_TILE;
        overflows = __builtin_mul_overflow(rows, row * tiles, &own) ||
                    __builtin_mul_overflow(rows, row * most, &segments);
    }
    overflows |=
        __builtin_mul_overflow(rows, (int64_t)sizeof(merit_policy_logprob_shard), &shards) ||
        __builtin_add_overflow(segments, shards, &bytes) || bytes > INT64_MAX / 2;
    MERIT_REQUIRE(ctx, !overflows, "num_tokens and max_vocab_size span more than 2^62 bytes");
    p->own_bytes = (size_t)own;
    p->shards = (size_t)segments;
    p->bytes = (size_t)bytes;
    return MERIT_STATUS_OK;
}

static merit_status prepare(merit_context *ctx, const merit_comm *comm,
                            const merit_comm_policy_logprob_desc *desc, plan *p,
                            merit_layout *layout)
{
    merit_comm_policy_logprob_desc c = defaults;
    MERIT_TRY(merit_comm_check(ctx, comm));
    MERIT_TRY(merit_read_struct(ctx, "desc", &c, sizeof c,
                                MERIT_SIZE_0_1(merit_comm_policy_logprob_desc, max_vocab_size),
                                desc));
    MERIT_REQUIRE(ctx, c.logprob != NULL, "logprob is NULL");
    MERIT_TRY(merit_logprob_read_desc(ctx, c.logprob, &p->d));
    MERIT_REQUIRE(ctx, p->d.partials != MERIT_LOGPROB_PARTIALS_NONE,
                  "partials is NONE, expected SHARD or SEGMENT");
    const int32_t ranks = merit_comm_size(comm);
    MERIT_REQUIRE(ctx, c.max_vocab_size >= 0 && c.max_vocab_size <= MERIT_LOGPROB_MAX_VOCAB,
                  "max_vocab_size is %lld, expected 0..%d", (long long)c.max_vocab_size,
                  (int)MERIT_LOGPROB_MAX_VOCAB);
    p->largest = c.max_vocab_size;
    if (p->largest == 0) p->largest = merit_comm_largest_part(p->d.vocab_total, ranks);
    MERIT_REQUIRE(ctx,
                  p->d.partials == MERIT_LOGPROB_PARTIALS_SHARD || p->d.vocab_size <= p->largest,
                  "vocab_size is %lld, expected at most max_vocab_size, which is %lld",
                  (long long)p->d.vocab_size, (long long)p->largest);
    MERIT_TRY(measure(ctx, p));
    p->messages = merit_comm_take_messages(layout, comm, p->bytes);
    return MERIT_STATUS_OK;
}

merit_status merit_comm_policy_logprob_workspace(merit_context *ctx, const merit_comm *comm,
                                                 const merit_comm_policy_logprob_desc *desc,
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

static merit_status check_arrays(merit_context *ctx, const merit_policy_logprob_desc *d,
                                 const merit_comm_policy_logprob_io *io)
{
    const int by_segment = d->partials == MERIT_LOGPROB_PARTIALS_SEGMENT;
    const int some = d->num_tokens > 0;
    MERIT_REQUIRE(ctx, !some || io->shards != NULL, "shards is NULL");
    MERIT_REQUIRE(ctx, !some || !by_segment || io->segments != NULL,
                  "segments is NULL, but partials SEGMENT needs it");
    MERIT_REQUIRE(ctx, by_segment || io->segments == NULL,
                  "segments is given, but only partials SEGMENT takes it");
    MERIT_REQUIRE(ctx, io->logprob == NULL || io->targets != NULL,
                  "targets is NULL, but logprob is asked for");
    return MERIT_STATUS_OK;
}

static merit_status check_overlap(merit_context *ctx, const plan *p,
                                  const merit_comm_policy_logprob_io *io)
{
    const size_t rows = (size_t)p->d.num_tokens;
    const merit_region regions[] = {
        {io->logprob, rows * sizeof *io->logprob, "logprob", 1},
        {io->lse, rows * sizeof *io->lse, "lse", 1},
        {io->entropy, rows * sizeof *io->entropy, "entropy", 1},
        {io->sum_sq, rows * sizeof *io->sum_sq, "sum_sq", 1},
        {io->argmax, rows * sizeof *io->argmax, "argmax", 1},
        {io->state, rows * sizeof *io->state, "state", 1},
        {io->diagnostics, sizeof *io->diagnostics, "diagnostics", 1},
        {io->shards, rows * sizeof *io->shards, "shards", 0},
        {io->segments, p->own_bytes, "segments", 0},
        {io->targets, merit_logprob_targets_bytes(&p->d), "targets", 0},
        {io->temperatures, rows * sizeof *io->temperatures, "temperatures", 0},
    };
    return merit_check_overlap(ctx, regions, (int)(sizeof regions / sizeof regions[0]));
}

// What the records of all ranks must have been made with.
static uint64_t fingerprint(const plan *p, const merit_comm_policy_logprob_io *io)
{
    const merit_policy_logprob_desc *const d = &p->d;
    const int32_t words[] = {d->partials, d->support, io->targets != NULL,
                             io->temperatures != NULL};
    const float numbers[] = {d->temperature, d->logit_scale, d->soft_cap};
    uint64_t h = merit_comm_mix(0, words, sizeof words);
    h = merit_comm_mix(h, numbers, sizeof numbers);
    h = merit_comm_mix(h, &d->ignore_index, sizeof d->ignore_index);
    return merit_comm_mix(h, &p->largest, sizeof p->largest);
}

// Of the gathered messages, in place.
static merit_status merge(merit_context *ctx, const plan *p, const merit_comm_policy_logprob_io *io,
                          int32_t ranks, const unsigned char *gathered, merit_stream stream)
{
    const int by_segment = p->d.partials == MERIT_LOGPROB_PARTIALS_SEGMENT;
    const unsigned char *const payload = merit_comm_payload(gathered, 0);
    const int64_t step = (int64_t)merit_comm_message_bytes(p->bytes);
    const int32_t tiles = (int32_t)((p->d.vocab_size + MERIT_TILE - 1) / MERIT_TILE);
    merit_policy_logprob_merge_args args = {
        .d = p->d,
        .io = {.struct_size = sizeof args.io,
               .shards = (const void *)(payload + p->shards),
               .segments = by_segment ? (const void *)payload : NULL,
               .targets = io->targets,
               .temperatures = io->temperatures,
               .logprob = io->logprob,
               .lse = io->lse,
               .entropy = io->entropy,
               .sum_sq = io->sum_sq,
               .argmax = io->argmax,
               .state = io->state,
               .diagnostics = io->diagnostics},
        .tiles = tiles,
        .last_tiles = tiles,
        .shard_step = step,
        .segment_step = step,
        .sizes = merit_comm_cut_sizes(ranks, gathered)};
    args.d.num_shards = ranks;
    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->policy_logprob_merge(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}

merit_status merit_comm_policy_logprob(merit_context *ctx, merit_comm *comm,
                                       const merit_comm_policy_logprob_desc *desc,
                                       const merit_comm_policy_logprob_io *io, void *workspace,
                                       size_t workspace_bytes, merit_stream stream)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    plan p;
    merit_comm_policy_logprob_io a = {.struct_size = sizeof a};
    merit_layout layout = merit_layout_begin(workspace);
    MERIT_TRY(merit_read_struct(ctx, "io", &a, sizeof a,
                                MERIT_SIZE_0_1(merit_comm_policy_logprob_io, diagnostics), io));
    MERIT_TRY(prepare(ctx, comm, desc, &p, &layout));
    MERIT_TRY(check_arrays(ctx, &p.d, &a));
    MERIT_TRY(check_overlap(ctx, &p, &a));
    MERIT_TRY(merit_layout_check(ctx, &layout, workspace, workspace_bytes));

    const int by_segment = p.d.partials == MERIT_LOGPROB_PARTIALS_SEGMENT;
    const merit_comm_cut cut = {
        .axis = "the vocabulary",
        .begin = p.d.vocab_begin,
        .size = p.d.vocab_size,
        .total = p.d.vocab_total,
        .unit = by_segment ? MERIT_TILE : 1,
        .options = fingerprint(&p, &a),
        .option_names = "partials, support, temperature, logit_scale, soft_cap, ignore_index, "
                        "max_vocab_size and which arrays are given"};
    const merit_comm_part parts[] = {
        {a.segments, p.own_bytes, 0},
        {a.shards, (size_t)p.d.num_tokens * sizeof *a.shards, p.shards},
    };
    const merit_comm_header header =
        merit_comm_cut_header(&cut, MERIT_COMM_POLICY_LOGPROB, p.d.num_tokens);
    const unsigned char *gathered = NULL;
    MERIT_TRY(
        merit_comm_gather(ctx, comm, header, parts, 2, p.bytes, p.messages, stream, &gathered));
    MERIT_TRY(merit_comm_cut_check(ctx, comm, &cut, NULL));
    if (p.d.num_tokens == 0) return MERIT_STATUS_OK;
    return merge(ctx, &p, &a, merit_comm_size(comm), gathered, stream);
}
