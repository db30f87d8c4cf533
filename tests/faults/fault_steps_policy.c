// The steps of kernels/policy.
#include "fault_steps.h"

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

const fault_step fault_policy_steps[] = {
    {"merit_policy_logprob_forward", "short rows", logprobs_short, 0},
    {"merit_policy_logprob_forward", "rows over blocks", logprobs_split, 0},
    {"merit_policy_logprob_backward", "gradients", logprob_gradients, 0},
    {"merit_policy_loss", "short sequences", policy_short, 0},
    {"merit_policy_loss", "long sequences", policy_long, 0},
    {"merit_policy_value_loss", "values", policy_values, 0},
    {"merit_policy_count", "counts", policy_counts, 0},
    {"merit_policy_logprob_merge", "shards", logprob_shards, 0},
    {0},
};
