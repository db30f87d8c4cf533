// Batch statistics over ranks: threads as ranks.
#include <criterion/criterion.h>
#include <merit/merit.h>
#include <stdlib.h>
#include <string.h>

#include "ranks.h"

enum { MAX_RANKS = 8, GROUP = 2, MAX_GROUPS = 9 * 2048 };

// One rank -----------------------------------------------------------------------------------------

typedef struct rank_run {
    int claimed_size, claimed_rank; // what it tells merit
    int64_t first, groups; // of the batch
    int32_t sets;
    const float *rewards;
    float *advantages;
    merit_moments folded;
    merit_status status;
    uint64_t collectives;
    char error[512];
} rank_run;

static merit_status advantages(merit_context *ctx, int64_t groups, int32_t level,
                               const float *rewards, float *out, const merit_moments *given,
                               merit_moments *batch)
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
    merit_status status = merit_advantage_group_workspace(ctx, &d, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    void *const workspace = aligned_alloc(256, bytes + 256 - bytes % 256);
    merit_workspace_init(ctx, workspace, bytes, NULL);
    status = merit_advantage_group(ctx, &d, &io, workspace, bytes, NULL);
    free(workspace);
    return status;
}

static merit_status fold(merit_context *ctx, merit_comm *comm, int64_t groups, int32_t sets,
                         merit_moments *moments)
{
    merit_comm_fold_moments_desc d;
    merit_comm_fold_moments_desc_init(&d, sizeof d);
    d.num_groups = groups;
    d.num_sets = sets;
    const merit_comm_fold_moments_io io = {sizeof io, moments, moments};
    size_t bytes = 0;
    merit_status status = merit_comm_fold_moments_workspace(ctx, comm, &d, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    void *const workspace = aligned_alloc(256, bytes + 256 - bytes % 256);
    status = merit_comm_fold_moments(ctx, comm, &d, &io, workspace, bytes, NULL);
    free(workspace);
    return status;
}

static void run_rank(rank *self, void *state)
{
    rank_run *const r = (rank_run *)state + self->rank;
    merit_context *const ctx = self->ctx;
    merit_comm *comm = NULL;
    merit_moments moments[2];
    memset(moments, 0, sizeof moments);
    float *const scratch = malloc(((size_t)r->groups * GROUP + 1) * sizeof *scratch);
    r->status =
        merit_comm_create_custom(ranks_gather, self->seat, r->claimed_rank, r->claimed_size, &comm);
    if (r->status == MERIT_STATUS_OK) {
        r->status = advantages(ctx, r->groups, MERIT_LEVEL_GROUP, r->rewards + r->first * GROUP,
                               scratch, NULL, moments);
    }
    if (r->status == MERIT_STATUS_OK) r->status = fold(ctx, comm, r->groups, r->sets, moments);
    r->folded = moments[0];
    if (r->status == MERIT_STATUS_OK) {
        r->status = advantages(ctx, r->groups, MERIT_LEVEL_GIVEN, r->rewards + r->first * GROUP,
                               r->advantages + r->first * GROUP, moments, NULL);
    }
    strncpy(r->error, merit_context_last_error(ctx), sizeof r->error - 1);
    r->collectives = merit_comm_collectives(comm);
    if (r->status == MERIT_STATUS_COMM_ERROR) { // and it stays so, without another collective
        cr_expect(fold(ctx, comm, r->groups, r->sets, moments) == MERIT_STATUS_COMM_ERROR);
        cr_expect(strstr(merit_context_last_error(ctx), "in error") != NULL);
        cr_expect(merit_comm_collectives(comm) == 1);
    }
    merit_comm_destroy(comm);
    free(scratch);
}

static void run_ranks(int code, rank_run *runs, int size)
{
    ranks_run(&(ranks){.size = size, .code = code}, run_rank, runs);
}

static merit_context *cpu_context(void)
{
    merit_context_desc d;
    cr_assert(merit_context_desc_init(&d, sizeof d) == MERIT_STATUS_OK);
    d.backend = MERIT_BACKEND_CPU;
    d.num_threads = 1;
    merit_context *ctx = NULL;
    cr_assert(merit_context_create(&d, &ctx) == MERIT_STATUS_OK);
    return ctx;
}

static float rewards[MAX_GROUPS * GROUP], expected[MAX_GROUPS * GROUP], actual[MAX_GROUPS * GROUP];

static void fill_rewards(void)
{
    uint32_t state = 12345;
    for (int i = 0; i < MAX_GROUPS * GROUP; i++) {
        state = state * 1664525u + 1013904223u;
        rewards[i] = (float)(state >> 8) / 1048576.0f - 3.0f;
    }
}

static void set_up(rank_run *runs, int size, int64_t shard, int64_t groups)
{
    for (int i = 0; i < size; i++) {
        const int64_t first = shard * i < groups ? shard * i : groups;
        const int64_t left = groups - first;
        runs[i] = (rank_run){.claimed_size = size,
                             .claimed_rank = i,
                             .first = first,
                             .groups = left < shard ? left : shard,
                             .sets = 1,
                             .rewards = rewards,
                             .advantages = actual};
    }
}

// Tests --------------------------------------------------------------------------------------------

Test(comm, every_aligned_sharding_has_the_bits_of_one_process)
{
    static const int64_t sizes[] = {0,    1,    5,    2047,  2048,  2049,  4095,  4096,
                                    4097, 6144, 8192, 10001, 12288, 14336, 16384, 18432};
    fill_rewards();
    merit_context *const ctx = cpu_context();
    int shardings = 0;
    for (size_t n = 0; n < sizeof sizes / sizeof sizes[0]; n++) {
        const int64_t groups = sizes[n];
        memset(expected, 0, sizeof expected);
        merit_moments batch;
        cr_assert(advantages(ctx, groups, MERIT_LEVEL_BATCH, rewards, expected, NULL, &batch) ==
                  MERIT_STATUS_OK);
        for (int64_t shard = 2048; shard <= 32768; shard *= 2) {
            for (int size = 1; size <= MAX_RANKS; size += size < 4 ? 1 : 2) {
                if (shard * size < groups) continue;
                rank_run runs[MAX_RANKS];
                set_up(runs, size, shard, groups);
                memset(actual, 0, sizeof actual);
                run_ranks(0, runs, size);
                for (int i = 0; i < size; i++) {
                    cr_expect(runs[i].status == MERIT_STATUS_OK, "%s", runs[i].error);
                    cr_expect(runs[i].collectives == 1);
                    const merit_moments *const m = &runs[i].folded;
                    // No groups: the operation leaves batch_moments alone, the fold is empty.
                    const int same = groups == 0 ? m->count == 0.0 && m->mean != m->mean
                                                 : memcmp(m, &batch, sizeof batch) == 0;
                    cr_expect(same, "moments on rank %d", i);
                }
                cr_expect(memcmp(actual, expected, sizeof actual) == 0,
                          "%lld groups in shards of %lld on %d ranks", (long long)groups,
                          (long long)shard, size);
                shardings++;
            }
        }
    }
    merit_context_destroy(ctx);
    cr_expect(shardings >= 100, "%d shardings", shardings);
}

// All ranks get `status` and a sentence with `word`.
static void expect_all(const rank_run *runs, int size, merit_status status, const char *word)
{
    for (int i = 0; i < size; i++) {
        cr_expect(runs[i].status == status, "rank %d: %s", i, merit_status_string(runs[i].status));
        cr_expect(strstr(runs[i].error, word) != NULL, "rank %d: %s", i, runs[i].error);
    }
}

Test(comm, unaligned_shards_are_refused_on_every_rank)
{
    fill_rewards();
    static const int64_t shards[][3] = {{2047, 2047, 1}, {6144, 6144, 1}, {2048, 4096, 1},
                                        {2048, 0, 1},    {0, 2048, 1},    {4096, 2048, 9}};
    for (size_t n = 0; n < sizeof shards / sizeof shards[0]; n++) {
        rank_run runs[3];
        set_up(runs, 3, 2048, 0);
        for (int i = 0; i < 3; i++) {
            runs[i].groups = shards[n][i];
        }
        run_ranks(0, runs, 3);
        expect_all(runs, 3, MERIT_STATUS_INVALID_ARGUMENT, "groups, expected");
    }
}

Test(comm, ranks_that_disagree_are_found_out)
{
    fill_rewards();
    rank_run runs[2];
    set_up(runs, 2, 2048, 4096);
    runs[1].sets = 2;
    run_ranks(0, runs, 2);
    expect_all(runs, 2, MERIT_STATUS_INVALID_ARGUMENT, "records, this rank");
    set_up(runs, 2, 2048, 4096);
    runs[1].claimed_rank = 0;
    run_ranks(0, runs, 2);
    expect_all(runs, 2, MERIT_STATUS_INVALID_ARGUMENT, "stands in the place of");
}

Test(comm, a_failed_all_gather_is_reported_and_stays)
{
    fill_rewards();
    rank_run runs[2];
    set_up(runs, 2, 2048, 4096);
    run_ranks(7, runs, 2);
    expect_all(runs, 2, MERIT_STATUS_COMM_ERROR, "returned 7");
}

// An all-gather for another number of ranks than the communicator's, or of something else.
static int gather_nothing(void *user, const void *send, void *receive, size_t bytes,
                          merit_stream stream)
{
    (void)stream;
    unsigned char *const out = receive;
    memcpy(out, send, bytes);
    memset(out + bytes, 0, bytes);
    if (user != NULL) { // rank 1 of three, not of two
        memcpy(out + bytes, send, bytes);
        const int32_t places[2] = {1, 3};
        memcpy(out + bytes + 16, places, sizeof places);
    }
    return 0;
}

Test(comm, foreign_messages_are_found_out)
{
    merit_context *const ctx = cpu_context();
    int three = 3;
    for (int i = 0; i < 2; i++) {
        merit_comm *comm = NULL;
        merit_moments m = {.count = 0.0};
        cr_assert(merit_comm_create_custom(gather_nothing, i == 0 ? NULL : &three, 0, 2, &comm) ==
                  MERIT_STATUS_OK);
        tk_expect_rejected(ctx, fold(ctx, comm, 0, 1, &m), MERIT_STATUS_INVALID_ARGUMENT,
                           i == 0 ? "rank 1|not one of merit" : "says 3 ranks|this rank 2");
        merit_comm_destroy(comm);
    }
    merit_context_destroy(ctx);
}

Test(comm, wrong_use_is_rejected)
{
    merit_context *const ctx = cpu_context();
    merit_comm *comm = (merit_comm *)&rewards;
    cr_expect(merit_comm_create_custom(NULL, NULL, 0, 1, &comm) == MERIT_STATUS_INVALID_ARGUMENT);
    cr_expect(comm == NULL);
    static const int32_t bad[][2] = {{-1, 2}, {2, 2}, {0, 0}, {0, (1 << 20) + 1}};
    for (int i = 0; i < 4; i++) {
        cr_expect(merit_comm_create_custom(ranks_gather, NULL, bad[i][0], bad[i][1], &comm) ==
                  MERIT_STATUS_INVALID_ARGUMENT);
        cr_expect(strstr(merit_context_last_error(NULL), ", expected ") != NULL);
    }
    cr_expect(merit_comm_create_custom(ranks_gather, NULL, 0, 1, NULL) ==
              MERIT_STATUS_INVALID_ARGUMENT);
    cr_expect(merit_comm_create_single(NULL) == MERIT_STATUS_INVALID_ARGUMENT);
    cr_expect(merit_comm_rank(NULL) == -1 && merit_comm_size(NULL) == 0);
    cr_expect(merit_comm_collectives(NULL) == 0);
    merit_comm_destroy(NULL);

    merit_moments m = {.count = 0.0};
    tk_expect_rejected(ctx, fold(ctx, NULL, 1, 1, &m), MERIT_STATUS_INVALID_ARGUMENT,
                       "comm is NULL");
    cr_assert(merit_comm_create_single(&comm) == MERIT_STATUS_OK);
    cr_expect(merit_comm_rank(comm) == 0 && merit_comm_size(comm) == 1);
    tk_expect_rejected(ctx, fold(ctx, comm, -1, 1, &m), MERIT_STATUS_INVALID_ARGUMENT,
                       "num_groups");
    tk_expect_rejected(ctx, fold(ctx, comm, 1, 0, &m), MERIT_STATUS_INVALID_ARGUMENT, "num_sets");
    tk_expect_rejected(ctx, fold(ctx, comm, 1, 1, NULL), MERIT_STATUS_INVALID_ARGUMENT, "local");
    merit_comm_fold_moments_desc d;
    merit_comm_fold_moments_desc_init(&d, sizeof d);
    const merit_comm_fold_moments_io io = {sizeof io, &m, &m};
    tk_expect_rejected(ctx, merit_comm_fold_moments(ctx, comm, &d, &io, NULL, 0, NULL),
                       MERIT_STATUS_WORKSPACE_TOO_SMALL, "workspace");
    cr_expect(merit_comm_collectives(comm) == 0, "a rejected call starts no collective");
    merit_comm_destroy(comm);
    merit_context_destroy(ctx);
}
