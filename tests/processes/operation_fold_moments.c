// Batch statistics: advantages of every shard with the folded moments, against one process with BATCH
// levels.
#include <stdlib.h>
#include <string.h>

#include "world_operations.h"

enum { GROUP = 3 };

static void advantages(world *w, int64_t groups, int32_t level, const float *rewards, float *out,
                       const merit_moments *given, merit_moments *batch)
{
    merit_advantage_group_desc d;
    merit_advantage_group_desc_init(&d, sizeof d);
    d.groups.num_groups = groups;
    d.groups.group_size = GROUP;
    d.num_rows = groups * GROUP;
    d.center_level = level;
    d.scale_level = level;
    d.batch_record = batch != NULL;
    merit_advantage_group_io io = {.struct_size = sizeof io};
    io.rewards = rewards;
    io.advantages = out;
    io.moments = given;
    io.batch_moments = batch;
    size_t bytes = 0;
    if (!world_expect_ok(w, merit_advantage_group_workspace(w->ctx, &d, &bytes))) return;
    void *const workspace = world_workspace(w, bytes);
    world_expect_ok(w, merit_advantage_group(w->ctx, &d, &io, workspace, bytes, NULL));
}

static merit_status fold(world *w, int64_t groups, merit_moments *moments)
{
    merit_comm_fold_moments_desc d;
    merit_comm_fold_moments_desc_init(&d, sizeof d);
    d.num_groups = groups;
    const merit_comm_fold_moments_io io = {.struct_size = sizeof io, moments, moments};
    size_t bytes = 0;
    const merit_status status = merit_comm_fold_moments_workspace(w->ctx, w->comm, &d, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    void *const workspace = world_workspace(w, bytes);
    return merit_comm_fold_moments(w->ctx, w->comm, &d, &io, workspace, bytes, NULL);
}

// Shards of 2048 * 2^k groups; the batch fills `full` of them and a part of one more, at most as many as
// there are ranks, so the last ranks may have none.
void operation_fold_moments(world *w, int variant)
{
    const int64_t shard = (int64_t)2048 << variant % 3;
    const int64_t full = (variant / 3 * 2 + 1) % (w->size + 1);
    const int64_t part = full == w->size ? 0 : (shard * (variant + 1) / 17 + 1);
    const int64_t groups = full * shard + part;
    float *const rewards = malloc((size_t)(groups * GROUP + 1) * sizeof *rewards);
    float *const expected = malloc((size_t)(groups * GROUP + 1) * sizeof *expected);
    float *const actual = malloc((size_t)(shard * GROUP) * sizeof *actual);
    if (rewards == NULL || expected == NULL || actual == NULL) abort();
    uint32_t state = 17 + (uint32_t)variant;
    for (int64_t i = 0; i < groups * GROUP; i++) {
        rewards[i] = (float)world_random(&state) / 1048576.0f - 3.0f;
    }

    merit_moments one, several;
    merit_moments *const moments = world_room(w, sizeof *moments);
    const float *const all = world_copy(w, rewards, (size_t)(groups * GROUP) * sizeof *rewards);
    float *const out = world_room(w, (size_t)(groups * GROUP) * sizeof *out);
    advantages(w, groups, MERIT_LEVEL_BATCH, all, out, NULL, moments);
    world_read(w, &one, moments, sizeof one);
    world_read(w, expected, out, (size_t)(groups * GROUP) * sizeof *expected);

    const int64_t first = shard * w->rank < groups ? shard * w->rank : groups;
    const int64_t own = groups - first < shard ? groups - first : shard;
    const float *const mine = all + first * GROUP;
    advantages(w, own, MERIT_LEVEL_GROUP, mine, out, NULL, moments);
    if (world_expect_ok(w, fold(w, own, moments))) {
        world_read(w, &several, moments, sizeof several);
        world_expect_bits(w, "moments", &several, &one, sizeof one);
        advantages(w, own, MERIT_LEVEL_GIVEN, mine, out, moments, NULL);
        world_read(w, actual, out, (size_t)(own * GROUP) * sizeof *actual);
        world_expect_bits(w, "advantages", actual, expected + first * GROUP,
                          (size_t)(own * GROUP) * sizeof *actual);
    }
    free(rewards);
    free(expected);
    free(actual);
}
