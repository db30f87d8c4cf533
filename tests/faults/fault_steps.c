#include "fault_steps.h"

#include <stdlib.h>
#include <string.h>

// More than 16384 rows: what fits one block takes fewer launches.
enum {
    NUM_ROWS = 17000,
    LARGE_GROUP = 70000,
    GROUP_SIZE = 8,
    NUM_GROUPS = NUM_ROWS / GROUP_SIZE,
    FEW_GROUPS = 32,
    LIST_SIZE = 4
};
enum { WORKSPACE_BYTES = 8 << 20 };

static merit_status create(fault_world *w)
{
    return fault_create(&w->ctx);
}

merit_status fault_reset_workspace(fault_world *w)
{
    return merit_workspace_init(w->ctx, w->workspace, WORKSPACE_BYTES, NULL);
}

static merit_status group_advantages(fault_world *w, const merit_advantage_group_desc *desc)
{
    size_t bytes;
    const merit_status status = merit_advantage_group_workspace(w->ctx, desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    const merit_advantage_group_io io = {.struct_size = sizeof io,
                                         .rewards = w->rewards,
                                         .advantages = w->advantages,
                                         .batch_moments = desc->batch_record ? w->moments : NULL,
                                         .diagnostics = w->diagnostics};
    return merit_advantage_group(w->ctx, desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

static merit_advantage_group_desc uniform_groups(int64_t num_groups)
{
    merit_advantage_group_desc desc;
    merit_advantage_group_desc_init(&desc, sizeof desc);
    desc.num_rows = num_groups * GROUP_SIZE;
    desc.groups.num_groups = num_groups;
    desc.groups.group_size = GROUP_SIZE;
    return desc;
}

static merit_status group_uniform(fault_world *w)
{
    const merit_advantage_group_desc desc = uniform_groups(FEW_GROUPS);
    return group_advantages(w, &desc);
}

static merit_status group_batch(fault_world *w)
{
    merit_advantage_group_desc desc = uniform_groups(NUM_GROUPS);
    desc.scale_level = MERIT_LEVEL_BATCH;
    desc.batch_record = 1;
    return group_advantages(w, &desc);
}

static merit_status group_offsets(fault_world *w)
{
    merit_advantage_group_desc desc = uniform_groups(FEW_GROUPS);
    desc.groups.group_size = 0;
    desc.groups.offsets = w->offsets;
    return group_advantages(w, &desc);
}

static merit_status group_rank(fault_world *w)
{
    merit_advantage_group_desc desc = uniform_groups(FEW_GROUPS);
    desc.transform = MERIT_TRANSFORM_RANK;
    return group_advantages(w, &desc);
}

static merit_status index_groups(fault_world *w, int32_t kind, int64_t num_rows)
{
    merit_group_index_desc desc;
    merit_group_index_desc_init(&desc, sizeof desc);
    desc.kind = kind;
    desc.num_rows = num_rows;
    desc.num_groups = NUM_GROUPS;
    const merit_group_index_io io = {.struct_size = sizeof io,
                                     .ids = w->ids,
                                     .offsets = w->found_offsets,
                                     .index = w->found_index,
                                     .diagnostics = w->diagnostics};
    size_t bytes;
    const merit_status status = merit_group_index_workspace(w->ctx, &desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    return merit_group_index(w->ctx, &desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

static merit_status index_few(fault_world *w)
{
    return index_groups(w, MERIT_GROUP_KIND_DENSE, 64);
}

static merit_status index_dense(fault_world *w)
{
    return index_groups(w, MERIT_GROUP_KIND_DENSE, NUM_ROWS);
}

static merit_status index_runs(fault_world *w)
{
    return index_groups(w, MERIT_GROUP_KIND_RUNS, NUM_ROWS);
}

static merit_status index_labels(fault_world *w)
{
    return index_groups(w, MERIT_GROUP_KIND_LABELS, NUM_ROWS);
}

static merit_status spread(fault_world *w)
{
    merit_advantage_spread_desc desc;
    merit_advantage_spread_desc_init(&desc, sizeof desc);
    desc.segments.num_groups = NUM_GROUPS;
    desc.segments.offsets = w->offsets;
    desc.num_tokens = NUM_ROWS;
    const merit_advantage_spread_io io = {.struct_size = sizeof io,
                                          .values = w->rewards,
                                          .out = w->advantages,
                                          .diagnostics = w->diagnostics};
    return merit_advantage_spread(w->ctx, &desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

static merit_status group_large(fault_world *w)
{
    merit_advantage_group_desc desc = uniform_groups(1);
    desc.num_rows = LARGE_GROUP;
    desc.groups.group_size = LARGE_GROUP;
    return group_advantages(w, &desc);
}

static merit_status pairs(fault_world *w, int32_t reduction)
{
    merit_preference_pair_desc desc;
    merit_preference_pair_desc_init(&desc, sizeof desc);
    desc.num_pairs = NUM_ROWS;
    desc.reduction = reduction;
    const merit_preference_pair_io io = {.struct_size = sizeof io,
                                         .chosen = w->rewards,
                                         .rejected = w->rewards + NUM_ROWS,
                                         .loss = w->loss,
                                         .grad_chosen = w->advantages,
                                         .grad_rejected = w->advantages + NUM_ROWS,
                                         .diagnostics = w->diagnostics};
    size_t bytes;
    const merit_status status = merit_preference_pair_workspace(w->ctx, &desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    return merit_preference_pair(w->ctx, &desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

static merit_status pairs_alone(fault_world *w)
{
    return pairs(w, MERIT_PREFERENCE_REDUCTION_MEAN_VALID);
}

static merit_status pairs_counted(fault_world *w)
{
    return pairs(w, MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT);
}

static merit_status lists(fault_world *w, int64_t num_items)
{
    merit_preference_list_desc desc;
    merit_preference_list_desc_init(&desc, sizeof desc);
    desc.groups.num_groups = num_items / LIST_SIZE;
    desc.groups.group_size = LIST_SIZE;
    desc.num_items = num_items;
    const merit_preference_list_io io = {.struct_size = sizeof io,
                                         .scores = w->rewards,
                                         .target_index = w->best,
                                         .loss = w->loss,
                                         .grad_scores = w->advantages,
                                         .diagnostics = w->diagnostics};
    size_t bytes;
    const merit_status status = merit_preference_list_workspace(w->ctx, &desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    return merit_preference_list(w->ctx, &desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

static merit_status lists_few(fault_world *w)
{
    return lists(w, 64 * LIST_SIZE);
}

static merit_status lists_many(fault_world *w)
{
    return lists(w, LARGE_GROUP);
}

static merit_status lists_long(fault_world *w)
{
    merit_preference_list_desc desc;
    merit_preference_list_desc_init(&desc, sizeof desc);
    desc.groups.num_groups = 1;
    desc.groups.group_size = LARGE_GROUP;
    desc.num_items = LARGE_GROUP;
    desc.center = MERIT_LIST_CENTER_MEAN;
    const merit_preference_list_io io = {.struct_size = sizeof io,
                                         .scores = w->rewards,
                                         .target_index = w->best,
                                         .loss = w->loss,
                                         .grad_scores = w->advantages};
    size_t bytes;
    const merit_status status = merit_preference_list_workspace(w->ctx, &desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    return merit_preference_list(w->ctx, &desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

static merit_status levels(fault_world *w)
{
    merit_preference_ordinal_desc desc;
    merit_preference_ordinal_desc_init(&desc, sizeof desc);
    desc.num_pairs = 64;
    const merit_preference_ordinal_io io = {.struct_size = sizeof io,
                                            .chosen_logits = w->rewards,
                                            .rejected_logits = w->rewards + NUM_ROWS,
                                            .loss = w->loss,
                                            .grad_chosen_logits = w->advantages,
                                            .grad_rejected_logits = w->advantages + NUM_ROWS,
                                            .diagnostics = w->diagnostics};
    size_t bytes;
    const merit_status status = merit_preference_ordinal_workspace(w->ctx, &desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    return merit_preference_ordinal(w->ctx, &desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

static merit_status scores(fault_world *w, int64_t tokens)
{
    merit_score_desc desc;
    merit_score_desc_init(&desc, sizeof desc);
    desc.num_tokens = tokens;
    desc.hidden_size = 8;
    desc.hidden_dtype = MERIT_DTYPE_F32;
    desc.positions = MERIT_POSITIONS_ALL;
    const merit_score_forward_io io = {.struct_size = sizeof io,
                                       .hidden = w->rewards,
                                       .weight = w->rewards,
                                       .scores = w->advantages,
                                       .diagnostics = w->diagnostics};
    size_t bytes;
    const merit_status status = merit_score_forward_workspace(w->ctx, &desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    return merit_score_forward(w->ctx, &desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

static merit_status scores_few(fault_world *w)
{
    return scores(w, 2);
}

static merit_status scores_many(fault_world *w)
{
    return scores(w, LARGE_GROUP / 8);
}

static merit_status logprobs(fault_world *w, int64_t tokens, int64_t vocab)
{
    merit_policy_logprob_desc desc;
    merit_policy_logprob_desc_init(&desc, sizeof desc);
    desc.num_tokens = tokens;
    desc.vocab_size = vocab;
    desc.dtype = MERIT_DTYPE_F32;
    const merit_policy_logprob_forward_io io = {.struct_size = sizeof io,
                                                .logits = w->rewards,
                                                .targets = w->ids,
                                                .logprob = w->advantages,
                                                .diagnostics = w->diagnostics};
    size_t bytes;
    const merit_status status = merit_policy_logprob_forward_workspace(w->ctx, &desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    return merit_policy_logprob_forward(w->ctx, &desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

static merit_status logprobs_short(fault_world *w)
{
    return logprobs(w, 300, 64);
}

static merit_status logprobs_split(fault_world *w)
{
    return logprobs(w, 2, LARGE_GROUP / 2);
}

static merit_status logprob_shards(fault_world *w)
{
    merit_policy_logprob_desc desc;
    merit_policy_logprob_desc_init(&desc, sizeof desc);
    desc.num_tokens = 4;
    desc.vocab_size = 32;
    desc.vocab_total = 64;
    desc.num_shards = 2;
    desc.partials = MERIT_LOGPROB_PARTIALS_SHARD;
    const merit_policy_logprob_merge_io io = {
        .struct_size = sizeof io,
        .shards = (const merit_policy_logprob_shard *)w->found_offsets,
        .lse = w->advantages,
        .diagnostics = w->diagnostics};
    return merit_policy_logprob_merge(w->ctx, &desc, &io, NULL, 0, NULL);
}

static merit_status logprob_gradients(fault_world *w)
{
    merit_policy_logprob_desc desc;
    merit_policy_logprob_desc_init(&desc, sizeof desc);
    desc.num_tokens = 4;
    desc.vocab_size = 64;
    desc.dtype = MERIT_DTYPE_F32;
    const merit_policy_logprob_backward_io io = {.struct_size = sizeof io,
                                                 .logits = w->rewards,
                                                 .targets = w->ids,
                                                 .state =
                                                     (const merit_policy_logprob_state *)w->moments,
                                                 .grad_logprob = w->rewards + NUM_ROWS,
                                                 .grad_logits = w->advantages,
                                                 .diagnostics = w->diagnostics};
    return merit_policy_logprob_backward(w->ctx, &desc, &io, NULL, 0, NULL);
}

static merit_status score_gradients(fault_world *w, int32_t layout, int64_t tokens)
{
    merit_score_desc desc;
    merit_score_desc_init(&desc, sizeof desc);
    desc.num_tokens = tokens;
    desc.hidden_size = 2;
    desc.hidden_dtype = MERIT_DTYPE_F32;
    desc.positions = MERIT_POSITIONS_ALL;
    desc.grad_layout = layout;
    const merit_score_backward_io io = {.struct_size = sizeof io,
                                        .hidden = w->rewards,
                                        .weight = w->rewards,
                                        .grad_scores = w->rewards,
                                        .grad_hidden = w->advantages,
                                        .grad_weight = w->advantages + 2 * tokens,
                                        .diagnostics = w->diagnostics};
    size_t bytes;
    const merit_status status = merit_score_backward_workspace(w->ctx, &desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    return merit_score_backward(w->ctx, &desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

static merit_status score_rows(fault_world *w)
{
    return score_gradients(w, MERIT_GRAD_LAYOUT_ROWS, 3 * 2048);
}

static merit_status score_dense(fault_world *w)
{
    return score_gradients(w, MERIT_GRAD_LAYOUT_DENSE, 64);
}

static merit_status policy_losses(fault_world *w, int64_t sequences, int64_t length)
{
    merit_policy_loss_desc desc;
    merit_policy_loss_desc_init(&desc, sizeof desc);
    desc.num_tokens = sequences * length;
    desc.sequences.num_groups = sequences;
    desc.sequences.group_size = length;
    desc.denominator = 1;
    const merit_policy_loss_io io = {.struct_size = sizeof io,
                                     .logprob = w->rewards,
                                     .advantages = w->rewards,
                                     .loss = w->loss,
                                     .grad_logprob = w->advantages,
                                     .diagnostics = w->diagnostics};
    size_t bytes;
    const merit_status status = merit_policy_loss_workspace(w->ctx, &desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    return merit_policy_loss(w->ctx, &desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

static merit_status policy_short(fault_world *w)
{
    return policy_losses(w, 300, 5);
}

static merit_status policy_long(fault_world *w)
{
    return policy_losses(w, 2, 3000);
}

static merit_status policy_values(fault_world *w)
{
    merit_policy_value_loss_desc desc;
    merit_policy_value_loss_desc_init(&desc, sizeof desc);
    desc.num_tokens = 600;
    desc.sequences.num_groups = 6;
    desc.sequences.group_size = 100;
    desc.denominator = 600;
    const merit_policy_value_loss_io io = {.struct_size = sizeof io,
                                           .value = w->rewards,
                                           .old_value = w->rewards,
                                           .returns = w->rewards,
                                           .loss = w->loss,
                                           .grad_value = w->advantages,
                                           .diagnostics = w->diagnostics};
    size_t bytes;
    const merit_status status = merit_policy_value_loss_workspace(w->ctx, &desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    return merit_policy_value_loss(w->ctx, &desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

static merit_status policy_counts(fault_world *w)
{
    merit_policy_count_desc desc;
    merit_policy_count_desc_init(&desc, sizeof desc);
    desc.num_tokens = 600;
    desc.sequences.num_groups = 6;
    desc.sequences.group_size = 100;
    const merit_policy_count_io io = {.struct_size = sizeof io,
                                      .counts = (merit_policy_counts *)w->moments,
                                      .diagnostics = w->diagnostics};
    size_t bytes;
    const merit_status status = merit_policy_count_workspace(w->ctx, &desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    return merit_policy_count(w->ctx, &desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

static merit_status readout_forward(fault_world *w)
{
    merit_score_readout_desc desc;
    merit_score_readout_desc_init(&desc, sizeof desc);
    desc.num_rows = 8;
    const merit_score_readout_forward_io io = {.struct_size = sizeof io,
                                               .inputs = w->rewards,
                                               .direction = w->rewards,
                                               .reward = w->advantages};
    return merit_score_readout_forward(w->ctx, &desc, &io, NULL, 0, NULL);
}

static merit_status readout_backward(fault_world *w)
{
    merit_score_readout_desc desc;
    merit_score_readout_desc_init(&desc, sizeof desc);
    desc.num_rows = 8;
    const merit_score_readout_backward_io io = {.struct_size = sizeof io,
                                                .inputs = w->rewards,
                                                .direction = w->rewards,
                                                .grad_reward = w->rewards,
                                                .grad_inputs = w->advantages};
    return merit_score_readout_backward(w->ctx, &desc, &io, NULL, 0, NULL);
}

static merit_status regression(fault_world *w)
{
    merit_score_regression_desc desc;
    merit_score_regression_desc_init(&desc, sizeof desc);
    desc.num_rows = 5000;
    const merit_score_regression_io io = {.struct_size = sizeof io,
                                          .scores = w->rewards,
                                          .labels = w->rewards,
                                          .loss = w->loss,
                                          .grad_scores = w->advantages};
    return merit_score_regression(w->ctx, &desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

static merit_status finish(fault_world *w)
{
    merit_score_finish_desc desc;
    merit_score_finish_desc_init(&desc, sizeof desc);
    desc.num_positions = 8;
    const merit_score_finish_io io = {
        .struct_size = sizeof io, .tile_sums = (const double *)w->ids, .scores = w->advantages};
    return merit_score_finish(w->ctx, &desc, &io, NULL, 0, NULL);
}

static merit_status compare_returns(fault_world *w)
{
    merit_dominance_pairwise_desc desc;
    merit_dominance_pairwise_desc_init(&desc, sizeof desc);
    desc.num_states = 4;
    desc.num_actions = 5;
    desc.num_levels = 8;
    const merit_dominance_pairwise_io io = {.struct_size = sizeof io,
                                            .q = w->rewards,
                                            .qd = w->advantages,
                                            .gain = w->advantages + NUM_ROWS,
                                            .diagnostics = w->diagnostics};
    size_t bytes;
    const merit_status status = merit_dominance_pairwise_workspace(w->ctx, &desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    return merit_dominance_pairwise(w->ctx, &desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

static merit_status keep_unbeaten(fault_world *w)
{
    merit_dominance_subset_desc desc;
    merit_dominance_subset_desc_init(&desc, sizeof desc);
    desc.num_states = 4;
    desc.num_objectives = 2;
    desc.num_actions = 5;
    desc.num_levels = 8;
    const merit_dominance_subset_io io = {.struct_size = sizeof io,
                                          .q = w->rewards,
                                          .action = w->best,
                                          .diagnostics = w->diagnostics};
    size_t bytes;
    const merit_status status = merit_dominance_subset_workspace(w->ctx, &desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    return merit_dominance_subset(w->ctx, &desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

static merit_status quantile_losses(fault_world *w)
{
    merit_dominance_quantile_huber_desc desc;
    merit_dominance_quantile_huber_desc_init(&desc, sizeof desc);
    desc.num_rows = 8;
    desc.num_levels = 8;
    desc.num_targets = 8;
    const merit_dominance_quantile_huber_io io = {.struct_size = sizeof io,
                                                  .quantiles = w->rewards,
                                                  .tau = w->rewards,
                                                  .targets = w->rewards,
                                                  .loss = w->loss,
                                                  .grad_quantiles = w->advantages,
                                                  .diagnostics = w->diagnostics};
    size_t bytes;
    const merit_status status = merit_dominance_quantile_huber_workspace(w->ctx, &desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    return merit_dominance_quantile_huber(w->ctx, &desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

static merit_status quantile_targets(fault_world *w)
{
    merit_dominance_quantile_target_desc desc;
    merit_dominance_quantile_target_desc_init(&desc, sizeof desc);
    desc.num_states = 4;
    desc.num_objectives = 2;
    desc.num_actions = 5;
    desc.num_levels = 8;
    const merit_dominance_quantile_target_io io = {.struct_size = sizeof io,
                                                   .q_next = w->rewards,
                                                   .reward = w->rewards,
                                                   .action = w->best,
                                                   .target = w->advantages,
                                                   .diagnostics = w->diagnostics};
    return merit_dominance_quantile_target(w->ctx, &desc, &io, NULL, 0, NULL);
}

static merit_status sort_quantiles(fault_world *w)
{
    merit_dominance_quantile_sort_desc desc;
    merit_dominance_quantile_sort_desc_init(&desc, sizeof desc);
    desc.num_rows = 8;
    desc.num_levels = 8;
    const merit_dominance_quantile_sort_io io = {
        .struct_size = sizeof io, .values = w->rewards, .sorted = w->advantages};
    return merit_dominance_quantile_sort(w->ctx, &desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

const fault_step fault_steps[] = {
    {"merit_context_create", "a new context", create, 1},
    {"merit_workspace_init", "a workspace", fault_reset_workspace, 0},
    {"merit_advantage_group", "uniform groups", group_uniform, 0},
    {"merit_advantage_group", "batch statistics", group_batch, 0},
    {"merit_advantage_group", "offsets of unknown size", group_offsets, 0},
    {"merit_advantage_group", "ranks", group_rank, 0},
    {"merit_advantage_group", "a group of 70000", group_large, 0},
    {"merit_group_index", "few rows", index_few, 0},
    {"merit_group_index", "dense ids", index_dense, 0},
    {"merit_group_index", "runs", index_runs, 0},
    {"merit_group_index", "labels", index_labels, 0},
    {"merit_advantage_spread", "segments", spread, 0},
    {"merit_preference_pair", "pairs", pairs_alone, 0},
    {"merit_preference_pair", "pairs whose weights are summed first", pairs_counted, 0},
    {"merit_preference_list", "few lists", lists_few, 0},
    {"merit_preference_list", "many lists", lists_many, 0},
    {"merit_preference_list", "a long list", lists_long, 0},
    {"merit_preference_ordinal", "levels", levels, 0},
    {"merit_score_forward", "few positions", scores_few, 0},
    {"merit_score_forward", "many positions", scores_many, 0},
    {"merit_policy_logprob_forward", "short rows", logprobs_short, 0},
    {"merit_policy_logprob_forward", "rows over blocks", logprobs_split, 0},
    {"merit_policy_logprob_backward", "gradients", logprob_gradients, 0},
    {"merit_policy_loss", "short sequences", policy_short, 0},
    {"merit_policy_loss", "long sequences", policy_long, 0},
    {"merit_policy_value_loss", "values", policy_values, 0},
    {"merit_policy_count", "counts", policy_counts, 0},
    {"merit_score_backward", "rows", score_rows, 0},
    {"merit_score_backward", "dense rows", score_dense, 0},
    {"merit_policy_logprob_merge", "shards", logprob_shards, 0},
    {"merit_score_finish", "tile sums", finish, 0},
    {"merit_score_readout_forward", "directions", readout_forward, 0},
    {"merit_score_readout_backward", "directions", readout_backward, 0},
    {"merit_score_regression", "labels", regression, 0},
    {"merit_dominance_pairwise", "pairs of actions", compare_returns, 0},
    {"merit_dominance_subset", "actions of two objectives", keep_unbeaten, 0},
    {"merit_dominance_quantile_huber", "losses and gradients", quantile_losses, 0},
    {"merit_dominance_quantile_target", "targets", quantile_targets, 0},
    {"merit_dominance_quantile_sort", "short rows", sort_quantiles, 0},
};

const int fault_num_steps = (int)(sizeof fault_steps / sizeof fault_steps[0]);

// Memory ------------------------------------------------------------------------------------------

static void *take(size_t bytes)
{
    void *memory = NULL;
    if (posix_memalign(&memory, 256, bytes) != 0) abort();
    memset(memory, 0, bytes);
    return memory;
}

void fault_fill(fault_world *w)
{
    w->rewards = take(LARGE_GROUP * sizeof *w->rewards);
    w->advantages = take(LARGE_GROUP * sizeof *w->advantages);
    w->offsets = take((NUM_GROUPS + 1) * sizeof *w->offsets);
    w->ids = take(NUM_ROWS * sizeof *w->ids);
    w->found_offsets = take((NUM_ROWS + 1) * sizeof *w->found_offsets);
    w->found_index = take(NUM_ROWS * sizeof *w->found_index);
    w->best = take(LARGE_GROUP / LIST_SIZE * sizeof *w->best);
    w->loss = take(sizeof *w->loss);
    w->moments = take(sizeof *w->moments);
    w->diagnostics = take(sizeof *w->diagnostics);
    w->workspace = take(WORKSPACE_BYTES);
    for (int i = 0; i < NUM_ROWS; i++)
        w->rewards[i] = (float)(i % 7);
    for (int i = 0; i < NUM_ROWS; i++)
        w->ids[i] = (int64_t)i * 7919 % NUM_GROUPS;
    for (int n = 0; n <= NUM_GROUPS; n++)
        w->offsets[n] = (int64_t)n * GROUP_SIZE;
}

void fault_release(fault_world *w)
{
    free(w->rewards);
    free(w->advantages);
    free(w->offsets);
    free(w->ids);
    free(w->found_offsets);
    free(w->found_index);
    free(w->best);
    free(w->loss);
    free(w->moments);
    free(w->diagnostics);
    free(w->workspace);
}
