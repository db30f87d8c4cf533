// Batch statistics: advantages of every shard with the folded moments, against one process with BATCH
// levels. Shards are cut at multiples of 2048 groups (one record for each) or anywhere (one per group).
#include <stdlib.h>
#include <string.h>

#include "world_operations.h"

enum { GROUP = 3 };

static void advantages(world *w, int64_t groups, int32_t level, const float *rewards, float *out,
                       merit_advantage_group_io io)
{
    merit_advantage_group_desc d;
    merit_advantage_group_desc_init(&d, sizeof d);
    d.groups.num_groups = groups;
    d.groups.group_size = GROUP;
    d.num_rows = groups * GROUP;
    d.center_level = level;
    d.scale_level = level;
    d.batch_record = 1;
    io.struct_size = sizeof io;
    io.rewards = rewards;
    io.advantages = out;
    size_t bytes = 0;
    if (!world_expect_ok(w, merit_advantage_group_workspace(w->ctx, &d, &bytes))) return;
    void *const workspace = world_workspace(w, bytes);
    world_expect_ok(w, merit_advantage_group(w->ctx, &d, &io, workspace, bytes, NULL));
}

static merit_status fold(world *w, const merit_comm_fold_moments_desc *d,
                         const merit_moments *records, merit_moments *moments)
{
    const merit_comm_fold_moments_io io = {.struct_size = sizeof io, records, moments};
    size_t bytes = 0;
    const merit_status status = merit_comm_fold_moments_workspace(w->ctx, w->comm, d, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    void *const workspace = world_workspace(w, bytes);
    return merit_comm_fold_moments(w->ctx, w->comm, d, &io, workspace, bytes, NULL);
}

void operation_fold_moments(world *w, int variant)
{
    const int64_t unit = variant % 2 == 0 ? 2048 : 1;
    const int64_t groups = w->emulated ? 2100 + 61 * variant : 2048 * (1 + variant) + 61 * variant;
    uint32_t state = 17 + (uint32_t)variant;
    float *const rewards = malloc((size_t)(groups * GROUP) * sizeof *rewards);
    float *const expected = malloc((size_t)(groups * GROUP) * sizeof *expected);
    if (rewards == NULL || expected == NULL) abort();
    for (int64_t i = 0; i < groups * GROUP; i++) {
        rewards[i] = (float)world_random(&state) / 1048576.0f - 3.0f;
    }
    int64_t first, own;
    const int64_t most = world_part(w, &state, groups, unit, &first, &own);

    merit_moments one, several;
    merit_moments *const moments = world_room(w, sizeof *moments);
    const float *const all = world_copy(w, rewards, (size_t)(groups * GROUP) * sizeof *rewards);
    float *const out = world_room(w, (size_t)(groups * GROUP) * sizeof *out);
    advantages(w, groups, MERIT_LEVEL_BATCH, all, out,
               (merit_advantage_group_io){.batch_moments = moments});
    world_read(w, &one, moments, sizeof one);
    world_read(w, expected, out, (size_t)(groups * GROUP) * sizeof *expected);

    merit_comm_fold_moments_desc d;
    merit_comm_fold_moments_desc_init(&d, sizeof d);
    d.num_groups = own;
    d.groups_per_record = (int32_t)unit;
    d.max_groups = most;
    merit_moments *const records = world_room(w, (size_t)((own + unit - 1) / unit) * sizeof one);
    const merit_advantage_group_io local = {.group_moments = unit == 1 ? records : NULL,
                                            .tile_moments = unit == 1 ? NULL : records};
    const float *const mine = all + first * GROUP;
    advantages(w, own, MERIT_LEVEL_GROUP, mine, out, local);
    if (world_expect_ok(w, fold(w, &d, records, moments))) {
        world_read(w, &several, moments, sizeof several);
        world_expect_bits(w, "moments", &several, &one, sizeof one);
        advantages(w, own, MERIT_LEVEL_GIVEN, mine, out,
                   (merit_advantage_group_io){.moments = moments});
        world_read(w, rewards, out, (size_t)(own * GROUP) * sizeof *rewards);
        world_expect_bits(w, "advantages", rewards, expected + first * GROUP,
                          (size_t)(own * GROUP) * sizeof *rewards);
    }
    free(rewards);
    free(expected);
}
