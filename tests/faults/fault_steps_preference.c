// The steps of kernels/preference.
#include "fault_steps.h"

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

const fault_step fault_preference_steps[] = {
    {"merit_preference_pair", "pairs", pairs_alone, 0},
    {"merit_preference_pair", "pairs whose weights are summed first", pairs_counted, 0},
    {"merit_preference_list", "few lists", lists_few, 0},
    {"merit_preference_list", "many lists", lists_many, 0},
    {"merit_preference_list", "a long list", lists_long, 0},
    {"merit_preference_ordinal", "levels", levels, 0},
    {0},
};
