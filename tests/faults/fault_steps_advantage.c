// The steps of kernels/advantage.
#include "fault_steps.h"

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

const fault_step fault_advantage_steps[] = {
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
    {0},
};
