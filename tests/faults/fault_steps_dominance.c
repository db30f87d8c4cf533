// The steps of kernels/dominance.
#include "fault_steps.h"

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

const fault_step fault_dominance_steps[] = {
    {"merit_dominance_pairwise", "pairs of actions", compare_returns, 0},
    {"merit_dominance_subset", "actions of two objectives", keep_unbeaten, 0},
    {"merit_dominance_quantile_huber", "losses and gradients", quantile_losses, 0},
    {"merit_dominance_quantile_target", "targets", quantile_targets, 0},
    {"merit_dominance_quantile_sort", "short rows", sort_quantiles, 0},
    {0},
};
