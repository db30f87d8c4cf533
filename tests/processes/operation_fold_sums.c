// Losses, counts and statistics of the policy loss: every shard's tiles and records, folded, against one
// process.
#include <stdlib.h>
#include <string.h>

#include "world_operations.h"

enum { TOKENS = 2 };

typedef struct batch {
    const float *logprob, *old, *advantages; // in the backend's memory
} batch;

static batch make_batch(world *w, int64_t sequences, uint32_t *state)
{
    const size_t tokens = (size_t)(sequences * TOKENS);
    float *const values = malloc(2 * tokens * sizeof *values);
    if (values == NULL) abort();
    for (size_t i = 0; i < 2 * tokens; i++) {
        values[i] = (float)world_random(state) / 16777216.0f - 0.5f;
    }
    const batch made = {world_copy(w, values, tokens * sizeof *values),
                        world_copy(w, values + tokens, tokens * sizeof *values),
                        world_copy(w, values + tokens / 2, tokens / TOKENS * sizeof *values)};
    free(values);
    return made;
}

static void policy_loss(world *w, const batch *b, int64_t first, int64_t sequences, double *loss,
                        double *tiles, merit_policy_stats *stats)
{
    merit_policy_loss_desc d;
    merit_policy_loss_desc_init(&d, sizeof d);
    d.num_tokens = sequences * TOKENS;
    d.sequences = (merit_groups){.num_groups = sequences, .group_size = TOKENS};
    d.denominator = 1000;
    const merit_policy_loss_io io = {.struct_size = sizeof io,
                                     .logprob = b->logprob + first * TOKENS,
                                     .old = b->old + first * TOKENS,
                                     .advantages = b->advantages + first,
                                     .loss = loss,
                                     .loss_tiles = tiles,
                                     .stats = stats};
    size_t bytes = 0;
    if (!world_expect_ok(w, merit_policy_loss_workspace(w->ctx, &d, &bytes))) return;
    void *const workspace = world_workspace(w, bytes);
    world_expect_ok(w, merit_policy_loss(w->ctx, &d, &io, workspace, bytes, NULL));
}

void operation_fold_sums(world *w, int variant)
{
    const int64_t sequences = (w->emulated ? 2100 : 6000) + 1031 * variant;
    uint32_t state = 5 + (uint32_t)variant;
    const batch b = make_batch(w, sequences, &state);
    int64_t first, own;
    merit_comm_fold_sums_desc d;
    merit_comm_fold_sums_desc_init(&d, sizeof d);
    d.max_rows = world_part(w, &state, sequences, 2048, &first, &own);
    d.num_rows = own;
    d.num_counts = 1;
    double *const loss = world_room(w, sizeof *loss), *const sum = world_room(w, sizeof *sum);
    double *const tiles = world_room(w, (size_t)((own + 2047) / 2048) * sizeof *tiles);
    policy_loss(w, &b, 0, sequences, loss, NULL, NULL);
    policy_loss(w, &b, first, own, NULL, tiles, NULL);
    int64_t *const count = world_copy(w, &own, sizeof own);
    const merit_comm_fold_sums_io io = {sizeof io, tiles, count, sum, count};
    size_t bytes = 0;
    world_expect_ok(w, merit_comm_fold_sums_workspace(w->ctx, w->comm, &d, &bytes));
    void *const workspace = world_workspace(w, bytes);
    if (!world_expect_ok(w, merit_comm_fold_sums(w->ctx, w->comm, &d, &io, workspace, bytes, NULL)))
        return;
    int64_t total = 0;
    world_read(w, &total, count, sizeof total);
    world_expect_same(w, "loss", sum, loss, sizeof *sum);
    world_expect(w, total == sequences, "%lld sequences", (long long)total);
}

// Shards of 2048 sequences, the last that has any fewer.
void operation_fold_stats(world *w, int variant)
{
    const int64_t room = 2048 * (int64_t)w->size, sequences = room - 77 - 500 * variant;
    uint32_t state = 50 + (uint32_t)variant;
    const batch b = make_batch(w, sequences, &state);
    const int64_t first = 2048 * (int64_t)w->rank;
    const int64_t own = sequences - first < 2048 ? sequences - first : 2048;
    merit_comm_fold_stats_desc d;
    merit_comm_fold_stats_desc_init(&d, sizeof d);
    d.num_rows = own;
    merit_policy_stats *const one = world_room(w, sizeof *one);
    merit_policy_stats *const stats = world_room(w, sizeof *stats);
    policy_loss(w, &b, 0, sequences, NULL, NULL, one);
    policy_loss(w, &b, first, own, NULL, NULL, stats);
    const merit_comm_fold_stats_io io = {sizeof io, stats, stats};
    size_t bytes = 0;
    world_expect_ok(w, merit_comm_fold_stats_workspace(w->ctx, w->comm, &d, &bytes));
    void *const workspace = world_workspace(w, bytes);
    if (world_expect_ok(w,
                        merit_comm_fold_stats(w->ctx, w->comm, &d, &io, workspace, bytes, NULL))) {
        world_expect_same(w, "statistics", stats, one, sizeof *stats);
    }
}
