// The steps of operations across ranks, on one rank. Several: tests/nccl.
#include "fault_steps.h"

static merit_status vocabulary(fault_world *w)
{
    enum { ROWS = 8, SEGMENTS = 2 };
    merit_policy_logprob_shard shards[ROWS]; // of logits that are all 0
    merit_policy_logprob_segment segments[ROWS * SEGMENTS];
    for (int i = 0; i < ROWS; i++)
        shards[i] = (merit_policy_logprob_shard){.sum = 4096, .squares = 4096};
    for (int i = 0; i < ROWS * SEGMENTS; i++)
        segments[i] = (merit_policy_logprob_segment){.sum = 2048, .squares = 2048};
    merit_policy_logprob_desc part;
    merit_policy_logprob_desc_init(&part, sizeof part);
    part.num_tokens = ROWS;
    part.vocab_size = 4096;
    part.partials = MERIT_LOGPROB_PARTIALS_SEGMENT;
    merit_comm_policy_logprob_desc desc;
    merit_comm_policy_logprob_desc_init(&desc, sizeof desc);
    desc.logprob = &part;
    const merit_comm_policy_logprob_io io = {.struct_size = sizeof io,
                                             .shards = shards,
                                             .segments = segments,
                                             .lse = w->advantages,
                                             .diagnostics = w->diagnostics};
    size_t bytes;
    const merit_status status = merit_comm_policy_logprob_workspace(w->ctx, w->comm, &desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    return merit_comm_policy_logprob(w->ctx, w->comm, &desc, &io, w->workspace, WORKSPACE_BYTES,
                                     NULL);
}

static merit_score_desc heads(int64_t tokens)
{
    merit_score_desc d;
    merit_score_desc_init(&d, sizeof d);
    d.num_tokens = tokens;
    d.hidden_size = 8;
    d.num_heads = 2;
    d.positions = MERIT_POSITIONS_ALL;
    d.shard = MERIT_SCORE_SHARD_PARTIAL;
    return d;
}

static merit_status columns(fault_world *w)
{
    const merit_score_desc part = heads(16);
    merit_comm_score_desc desc;
    merit_comm_score_desc_init(&desc, sizeof desc);
    desc.score = &part;
    desc.hidden_total = part.hidden_size;
    const merit_comm_score_io io = {.struct_size = sizeof io,
                                    .tile_sums = (const double *)(const void *)w->ids,
                                    .scores = w->advantages,
                                    .diagnostics = w->diagnostics};
    size_t bytes;
    const merit_status status = merit_comm_score_workspace(w->ctx, w->comm, &desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    return merit_comm_score(w->ctx, w->comm, &desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

static merit_status positions(fault_world *w)
{
    const merit_score_desc part = heads(3 * 2048);
    merit_comm_score_gradients_desc desc;
    merit_comm_score_gradients_desc_init(&desc, sizeof desc);
    desc.score = &part;
    const merit_comm_score_gradients_io io = {.struct_size = sizeof io,
                                              .weight_tiles = (const double *)(const void *)w->ids,
                                              .bias_tiles =
                                                  (const double *)(const void *)w->offsets,
                                              .grad_weight = w->advantages,
                                              .grad_bias = w->advantages + NUM_ROWS};
    size_t bytes;
    const merit_status status =
        merit_comm_score_gradients_workspace(w->ctx, w->comm, &desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    return merit_comm_score_gradients(w->ctx, w->comm, &desc, &io, w->workspace, WORKSPACE_BYTES,
                                      NULL);
}

static merit_status batch_moments(fault_world *w)
{
    merit_comm_fold_moments_desc desc;
    merit_comm_fold_moments_desc_init(&desc, sizeof desc);
    desc.num_groups = 3 * 2048;
    const merit_comm_fold_moments_io io = {.struct_size = sizeof io,
                                           .records = (const merit_moments *)(const void *)w->ids,
                                           .moments = w->moments};
    size_t bytes;
    const merit_status status = merit_comm_fold_moments_workspace(w->ctx, w->comm, &desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    return merit_comm_fold_moments(w->ctx, w->comm, &desc, &io, w->workspace, WORKSPACE_BYTES,
                                   NULL);
}

static merit_status losses(fault_world *w)
{
    merit_comm_fold_sums_desc desc;
    merit_comm_fold_sums_desc_init(&desc, sizeof desc);
    desc.num_rows = 3 * 2048;
    desc.num_counts = 2;
    const merit_comm_fold_sums_io io = {.struct_size = sizeof io,
                                        .tiles = (const double *)(const void *)w->ids,
                                        .counts = w->offsets,
                                        .sums = w->loss,
                                        .total_counts = w->found_offsets};
    size_t bytes;
    const merit_status status = merit_comm_fold_sums_workspace(w->ctx, w->comm, &desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    return merit_comm_fold_sums(w->ctx, w->comm, &desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

static merit_status statistics(fault_world *w)
{
    merit_comm_fold_stats_desc desc;
    merit_comm_fold_stats_desc_init(&desc, sizeof desc);
    desc.num_rows = 8;
    const merit_comm_fold_stats_io io = {
        .struct_size = sizeof io, .records = w->offsets, .totals = w->found_offsets};
    size_t bytes;
    const merit_status status = merit_comm_fold_stats_workspace(w->ctx, w->comm, &desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    return merit_comm_fold_stats(w->ctx, w->comm, &desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

static merit_status rows(fault_world *w)
{
    merit_comm_gather_rows_desc desc;
    merit_comm_gather_rows_desc_init(&desc, sizeof desc);
    desc.num_rows = 64;
    const merit_comm_gather_rows_io io = {
        .struct_size = sizeof io, .local = {w->rewards}, .gathered = {w->advantages}};
    size_t bytes;
    const merit_status status = merit_comm_gather_rows_workspace(w->ctx, w->comm, &desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    return merit_comm_gather_rows(w->ctx, w->comm, &desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

const fault_step fault_comm_steps[] = {
    {"merit_comm_fold_moments", "batch statistics", batch_moments, 0},
    {"merit_comm_fold_sums", "losses and counts", losses, 0},
    {"merit_comm_fold_stats", "statistics", statistics, 0},
    {"merit_comm_gather_rows", "rows", rows, 0},
    {"merit_comm_policy_logprob", "a vocabulary", vocabulary, 0},
    {"merit_comm_score", "columns", columns, 0},
    {"merit_comm_score_gradients", "positions", positions, 0},
    {0},
};
