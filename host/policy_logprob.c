// merit_policy_logprob_forward: checks, workspace, dispatch.
#include "../kernels/core/lanes.h"
#include "../kernels/policy/policy_logprob_args.h"
#include "check.h"
#include "policy_logprob_checks.h"

// Sums that forward takes over the vocabulary: K, and every v besides where they differ.
static int32_t number_of_sets(const merit_policy_logprob_desc *d)
{
    const int full = d->normalize == MERIT_LOGPROB_NORMALIZE_FULL;
    if (d->support == MERIT_LOGPROB_SUPPORT_SUBSET) return full ? 1 : 0;
    return d->support == MERIT_LOGPROB_SUPPORT_MASK && full ? 2 : 1;
}

// Reads the descriptor and lays out the workspace; the rest of args is left to the caller.
static merit_status prepare(merit_context *ctx, const merit_policy_logprob_desc *desc,
                            merit_policy_logprob_forward_args *args, merit_layout *layout)
{
    merit_policy_logprob_desc *const d = &args->d;
    MERIT_TRY(merit_logprob_read_desc(ctx, desc, d));
    args->sets = number_of_sets(d);
    args->tiles = (int32_t)((d->vocab_size + MERIT_TILE - 1) / MERIT_TILE);
    const int plain =
        d->soft_cap == 0.0f && d->logit_scale > 0.0f && d->support != MERIT_LOGPROB_SUPPORT_MASK;
    args->plain_tiles = plain ? (int32_t)(d->vocab_size / MERIT_TILE) : 0;
    args->split = args->sets > 0 && args->tiles > 1 &&
                  (d->num_tokens <= MERIT_LOGPROB_SPLIT_ROWS ||
                   args->sets * args->tiles > MERIT_LOGPROB_BLOCK_TILES);
    if (d->partials == MERIT_LOGPROB_PARTIALS_SEGMENT) args->split = 1;
    if (d->num_tokens == 0 || !args->split) return MERIT_STATUS_OK;
    args->tickets = merit_layout_take(layout, MERIT_LOGPROB_TICKET_WORDS, sizeof *args->tickets);
    if (d->num_tokens > MERIT_LOGPROB_TICKET_WORDS) {
        args->tickets = merit_layout_take(layout, d->num_tokens, sizeof *args->tickets);
    }
    int64_t partials;
    int64_t folds;
    if (__builtin_mul_overflow(d->num_tokens, (int64_t)args->sets * args->tiles, &partials) ||
        __builtin_mul_overflow(d->num_tokens, ((int64_t)args->tiles + 1) / 2, &folds)) {
        layout->overflow = 1;
        return MERIT_STATUS_OK;
    }
    args->partials = merit_layout_take(layout, partials, sizeof *args->partials);
    args->folds = merit_layout_take(layout, folds, sizeof *args->folds);
    return MERIT_STATUS_OK;
}

merit_status merit_policy_logprob_forward_workspace(merit_context *ctx,
                                                    const merit_policy_logprob_desc *desc,
                                                    size_t *bytes)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    merit_policy_logprob_forward_args args = {.tiles = 0};
    merit_layout layout = merit_layout_begin(NULL);
    MERIT_TRY(prepare(ctx, desc, &args, &layout));
    MERIT_REQUIRE(ctx, !layout.overflow, "the sizes need a workspace of more than 2^64 bytes");
    *bytes = layout.bytes;
    return MERIT_STATUS_OK;
}

static merit_status check_arrays(merit_context *ctx, const merit_policy_logprob_desc *d,
                                 const merit_policy_logprob_forward_io *io)
{
    if (d->num_tokens == 0) return MERIT_STATUS_OK;
    MERIT_REQUIRE(ctx, io->logits != NULL, "logits is NULL");
    MERIT_REQUIRE(ctx, io->logprob == NULL || io->targets != NULL,
                  "targets is NULL, but logprob is asked for");
    MERIT_REQUIRE(ctx, io->mass == NULL || d->normalize == MERIT_LOGPROB_NORMALIZE_FULL,
                  "mass is asked for, but only normalize FULL gives it");
    const int partial = d->partials != MERIT_LOGPROB_PARTIALS_NONE;
    const int by_segment = d->partials == MERIT_LOGPROB_PARTIALS_SEGMENT;
    const int results = io->logprob != NULL || io->lse != NULL || io->entropy != NULL ||
                        io->sum_sq != NULL || io->argmax != NULL || io->state != NULL;
    MERIT_REQUIRE(ctx, !(partial && results),
                  "results are asked for, but partials gives shards to merge");
    MERIT_REQUIRE(ctx, partial == (io->shards != NULL), "shards is %s, but partials is %d",
                  partial ? "NULL" : "given", (int)d->partials);
    MERIT_REQUIRE(ctx, by_segment == (io->segments != NULL), "segments is %s, but partials is %d",
                  by_segment ? "NULL" : "given", (int)d->partials);
    MERIT_REQUIRE(ctx, (uintptr_t)io->segments % 16 == 0, "segments is not 16-byte aligned (%p)",
                  (void *)io->segments);
    return merit_logprob_check_support(ctx, d, io->keep_mask, io->subset_ids);
}

static merit_status check_overlap(merit_context *ctx, const merit_policy_logprob_desc *d,
                                  const merit_policy_logprob_forward_io *io)
{
    const size_t rows = (size_t)d->num_tokens;
    const int64_t tiles = (d->vocab_size + MERIT_TILE - 1) / MERIT_TILE;
    const merit_region regions[] = {
        {io->logprob, rows * sizeof *io->logprob, "logprob", 1},
        {io->lse, rows * sizeof *io->lse, "lse", 1},
        {io->entropy, rows * sizeof *io->entropy, "entropy", 1},
        {io->sum_sq, rows * sizeof *io->sum_sq, "sum_sq", 1},
        {io->mass, rows * sizeof *io->mass, "mass", 1},
        {io->argmax, rows * sizeof *io->argmax, "argmax", 1},
        {io->state, rows * sizeof *io->state, "state", 1},
        {io->shards, rows * sizeof *io->shards, "shards", 1},
        {io->segments, rows * (size_t)tiles * sizeof *io->segments, "segments", 1},
        {io->diagnostics, sizeof *io->diagnostics, "diagnostics", 1},
        {io->logits, merit_logprob_logits_bytes(d), "logits", 0},
        {io->targets, merit_logprob_targets_bytes(d), "targets", 0},
        {io->temperatures, rows * sizeof *io->temperatures, "temperatures", 0},
        {io->keep_mask, merit_logprob_mask_bytes(d), "keep_mask", 0},
        {io->subset_ids, merit_logprob_subset_bytes(d), "subset_ids", 0},
    };
    return merit_check_overlap(ctx, regions, (int)(sizeof regions / sizeof regions[0]));
}

merit_status merit_policy_logprob_forward(merit_context *ctx, const merit_policy_logprob_desc *desc,
                                          const merit_policy_logprob_forward_io *io,
                                          void *workspace, size_t workspace_bytes,
                                          merit_stream stream)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    merit_policy_logprob_forward_args args = {.io = {.struct_size = sizeof args.io}};
    MERIT_TRY(merit_read_struct(ctx, "io", &args.io, sizeof args.io,
                                MERIT_SIZE_0_1(merit_policy_logprob_forward_io, segments), io));
    const merit_policy_logprob_forward_io *const a = &args.io;
    const merit_policy_logprob_desc *const d = &args.d;
    merit_layout layout = merit_layout_begin(workspace);
    MERIT_TRY(prepare(ctx, desc, &args, &layout));
    MERIT_TRY(check_arrays(ctx, d, a));
    MERIT_TRY(check_overlap(ctx, d, a));
    MERIT_TRY(merit_layout_check(ctx, &layout, workspace, workspace_bytes));
    if (d->num_tokens == 0) return MERIT_STATUS_OK;
    if (a->segments != NULL) args.partials = (merit_logprob_segment *)a->segments;
    args.level = a->shards != NULL    ? MERIT_LOGPROB_SQUARES
                 : a->sum_sq != NULL  ? MERIT_LOGPROB_SQUARES
                 : a->entropy != NULL ? MERIT_LOGPROB_MOMENT
                                      : MERIT_LOGPROB_SUM;

    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->policy_logprob_forward(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
