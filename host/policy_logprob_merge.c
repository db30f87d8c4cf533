// merit_policy_logprob_merge: checks, dispatch.
#include "../kernels/core/lanes.h"
#include "../kernels/policy/policy_logprob_args.h"
#include "check.h"
#include "policy_logprob_checks.h"

static merit_status read_desc(merit_context *ctx, const merit_policy_logprob_desc *desc,
                              merit_policy_logprob_desc *d)
{
    MERIT_TRY(merit_logprob_read_desc(ctx, desc, d));
    MERIT_REQUIRE(ctx, d->partials != MERIT_LOGPROB_PARTIALS_NONE,
                  "partials is NONE, expected SHARD or SEGMENT");
    if (d->partials == MERIT_LOGPROB_PARTIALS_SHARD) return MERIT_STATUS_OK;
    const int64_t shards = (d->vocab_total + d->vocab_size - 1) / d->vocab_size;
    MERIT_REQUIRE(ctx, d->num_shards == shards,
                  "num_shards is %d, but %lld logits by %lld take %lld", (int)d->num_shards,
                  (long long)d->vocab_total, (long long)d->vocab_size, (long long)shards);
    MERIT_REQUIRE(ctx, d->num_shards == 1 || d->vocab_size % MERIT_TILE == 0,
                  "vocab_size is %lld, expected a multiple of %d with SEGMENT",
                  (long long)d->vocab_size, (int)MERIT_TILE);
    return MERIT_STATUS_OK;
}

merit_status merit_policy_logprob_merge_workspace(merit_context *ctx,
                                                  const merit_policy_logprob_desc *desc,
                                                  size_t *bytes)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    merit_policy_logprob_desc d;
    MERIT_TRY(merit_logprob_read_desc(ctx, desc, &d));
    *bytes = 0;
    return MERIT_STATUS_OK;
}

static merit_status check_overlap(merit_context *ctx, const merit_policy_logprob_merge_args *args)
{
    const merit_policy_logprob_desc *const d = &args->d;
    const merit_policy_logprob_merge_io *const io = &args->io;
    const size_t rows = (size_t)d->num_tokens;
    const size_t segments =
        rows * ((size_t)(d->num_shards - 1) * (size_t)args->tiles + (size_t)args->last_tiles);
    const merit_region regions[] = {
        {io->logprob, rows * sizeof *io->logprob, "logprob", 1},
        {io->lse, rows * sizeof *io->lse, "lse", 1},
        {io->entropy, rows * sizeof *io->entropy, "entropy", 1},
        {io->sum_sq, rows * sizeof *io->sum_sq, "sum_sq", 1},
        {io->argmax, rows * sizeof *io->argmax, "argmax", 1},
        {io->state, rows * sizeof *io->state, "state", 1},
        {io->diagnostics, sizeof *io->diagnostics, "diagnostics", 1},
        {io->shards, rows * (size_t)d->num_shards * sizeof *io->shards, "shards", 0},
        {io->segments, segments * sizeof *io->segments, "segments", 0},
        {io->targets, merit_logprob_targets_bytes(d), "targets", 0},
        {io->temperatures, rows * sizeof *io->temperatures, "temperatures", 0},
    };
    return merit_check_overlap(ctx, regions, (int)(sizeof regions / sizeof regions[0]));
}

merit_status merit_policy_logprob_merge(merit_context *ctx, const merit_policy_logprob_desc *desc,
                                        const merit_policy_logprob_merge_io *io, void *workspace,
                                        size_t workspace_bytes, merit_stream stream)
{
    (void)workspace, (void)workspace_bytes;
    MERIT_TRY(merit_begin(ctx, __func__));
    merit_policy_logprob_merge_args args = {.io = {.struct_size = sizeof args.io}};
    MERIT_TRY(merit_read_struct(ctx, "io", &args.io, sizeof args.io,
                                MERIT_SIZE_0_1(merit_policy_logprob_merge_io, diagnostics), io));
    const merit_policy_logprob_desc *const d = &args.d;
    MERIT_TRY(read_desc(ctx, desc, &args.d));
    if (d->num_tokens == 0) return MERIT_STATUS_OK;
    const int by_segment = d->partials == MERIT_LOGPROB_PARTIALS_SEGMENT;
    MERIT_REQUIRE(ctx, args.io.shards != NULL, "shards is NULL");
    MERIT_REQUIRE(ctx, !by_segment || args.io.segments != NULL,
                  "segments is NULL, but partials SEGMENT needs it");
    MERIT_REQUIRE(ctx, by_segment || args.io.segments == NULL,
                  "segments is given, but only partials SEGMENT takes it");
    MERIT_REQUIRE(ctx, args.io.logprob == NULL || args.io.targets != NULL,
                  "targets is NULL, but logprob is asked for");
    const int64_t last = d->vocab_total - (int64_t)(d->num_shards - 1) * d->vocab_size;
    args.tiles = (int32_t)((d->vocab_size + MERIT_TILE - 1) / MERIT_TILE);
    args.last_tiles = by_segment ? (int32_t)((last + MERIT_TILE - 1) / MERIT_TILE) : 0;
    args.shard_step = d->num_tokens * (int64_t)sizeof *args.io.shards;
    args.segment_step = d->num_tokens * args.tiles * (int64_t)sizeof *args.io.segments;
    MERIT_TRY(check_overlap(ctx, &args));

    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->policy_logprob_merge(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
