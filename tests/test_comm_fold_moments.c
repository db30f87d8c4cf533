// Batch statistics over ranks that are threads, on every backend, against one process on the CPU.
#include <stdlib.h>
#include <string.h>

#include "ranks.h"

enum { GROUP = 2, SETS = 2, MAX_GROUPS = 9 * 2048 };

static float rewards[MAX_GROUPS * GROUP * SETS];
static uint8_t mask[MAX_GROUPS * GROUP];
static float expected[MAX_GROUPS * GROUP * SETS], actual[MAX_GROUPS * GROUP * SETS];
static merit_moments batch[SETS];

// Some groups have no member that counts.
static void fill(uint64_t seed)
{
    tk_random random = {seed};
    for (int i = 0; i < MAX_GROUPS * GROUP; i++) {
        mask[i] = !tk_chance(&random, 0.4);
        for (int k = 0; k < SETS; k++) {
            rewards[i * SETS + k] = (float)(tk_normal(&random) * (1 + 1000 * k));
        }
    }
}

// Groups first .. first + count - 1. Outputs of the backend's memory may be NULL.
static void advantages(rank *r, int64_t first, int64_t count, int32_t level,
                       merit_advantage_group_io io, float *out)
{
    const size_t rows = (size_t)(count * GROUP);
    merit_advantage_group_desc d;
    merit_advantage_group_desc_init(&d, sizeof d);
    d.groups.num_groups = count;
    d.groups.group_size = GROUP;
    d.num_rows = count * GROUP;
    d.num_columns = SETS;
    d.columns = MERIT_COLUMNS_SEPARATE;
    d.center_level = d.scale_level = level;
    d.batch_record = 1;
    io.struct_size = sizeof io;
    io.rewards = ranks_copy(r, rewards + first * GROUP * SETS, rows * SETS * sizeof(float));
    io.mask = ranks_copy(r, mask + first * GROUP, rows);
    float *const block = ranks_room(r, rows * SETS * sizeof(float));
    io.advantages = block;
    merit_status status;
    RANKS_CALL(status, r, advantage_group, &d, &io);
    ranks_expect(r, status, MERIT_STATUS_OK, NULL);
    if (out != NULL) {
        ranks_read(r, block, out + first * GROUP * SETS, rows * SETS * sizeof(float));
    }
}

typedef struct run {
    int64_t cuts[RANKS_MAX + 1]; // rank i has groups cuts[i] .. cuts[i + 1] - 1
    int32_t unit;
} run;

static void run_whole(rank *r, void *state)
{
    const int64_t groups = *(const int64_t *)state;
    merit_moments *const moments = ranks_room(r, sizeof batch);
    advantages(r, 0, groups, MERIT_LEVEL_BATCH,
               (merit_advantage_group_io){.batch_moments = moments}, expected);
    ranks_read(r, moments, batch, sizeof batch);
}

static merit_comm_fold_moments_desc desc_of(const run *all, const rank *r)
{
    merit_comm_fold_moments_desc d;
    merit_comm_fold_moments_desc_init(&d, sizeof d);
    d.num_groups = all->cuts[r->rank + 1] - all->cuts[r->rank];
    d.num_sets = SETS;
    d.groups_per_record = all->unit;
    for (int i = 0; i < r->size; i++) {
        const int64_t groups = all->cuts[i + 1] - all->cuts[i];
        d.max_groups = groups > d.max_groups ? groups : d.max_groups;
    }
    return d;
}

static void run_shard(rank *r, void *state)
{
    const run *const all = state;
    const merit_comm_fold_moments_desc d = desc_of(all, r);
    const int64_t first = all->cuts[r->rank];
    const size_t count = (size_t)((d.num_groups + d.groups_per_record - 1) / d.groups_per_record);
    merit_moments *const records = ranks_room(r, count * sizeof batch);
    merit_moments *const moments = ranks_room(r, sizeof batch);
    merit_advantage_group_io local = {.group_moments = d.groups_per_record == 1 ? records : NULL};
    if (d.groups_per_record != 1) local.tile_moments = records;
    advantages(r, first, d.num_groups, MERIT_LEVEL_GROUP, local, NULL);

    const merit_comm_fold_moments_io io = {sizeof io, records, moments};
    merit_status status;
    RANKS_COMM_CALL(status, r, fold_moments, &d, &io);
    ranks_expect(r, status, MERIT_STATUS_OK, NULL);
    cr_expect(merit_comm_collectives(r->comm) == 1);
    merit_moments folded[SETS];
    ranks_read(r, moments, folded, sizeof folded);
    cr_expect(memcmp(folded, batch, sizeof batch) == 0, "moments on rank %d of %d", r->rank,
              r->size);
    advantages(r, first, d.num_groups, MERIT_LEVEL_GIVEN,
               (merit_advantage_group_io){.moments = moments}, actual);
}

TK_TEST(comm_fold_moments, every_cut_has_the_bits_of_one_process)
{
    static const int64_t sizes[] = {1, 2047, 2049, 5000, 8192, 12289, MAX_GROUPS};
    const int simt = tk->kind != TK_CPU;
    tk_random random = {5};
    int cuts = 0;
    for (size_t n = 0; n < (simt ? 4 : sizeof sizes / sizeof sizes[0]); n++) {
        int64_t groups = sizes[n];
        fill(n);
        ranks_run(&(ranks){.size = 1}, run_whole, &groups);
        for (int i = 0; i < (simt ? 2 : 24); i++) {
            run all = {.unit = i % 2 == 0 ? 1 : 2048};
            const int size = 1 + (int)tk_below(&random, simt ? 4 : 7);
            ranks_split(&random, groups, all.unit, size, all.cuts);
            memset(actual, 0, sizeof actual);
            ranks_run(&(ranks){.tk = tk, .size = size}, run_shard, &all);
            TK_EXPECT(memcmp(actual, expected, (size_t)(groups * GROUP * SETS) * sizeof(float)) ==
                          0,
                      "advantages of %lld groups, cut %d", (long long)groups, i);
            cuts++;
        }
    }
    TK_EXPECT(simt || cuts >= 100, "%d cuts", cuts);
}

static void run_empty(rank *r, void *state)
{
    (void)state;
    merit_comm_fold_moments_desc d;
    merit_comm_fold_moments_desc_init(&d, sizeof d);
    const merit_comm_fold_moments_io io = {sizeof io, NULL, ranks_room(r, sizeof batch[0])};
    merit_status status;
    RANKS_COMM_CALL(status, r, fold_moments, &d, &io);
    ranks_expect(r, status, MERIT_STATUS_OK, NULL);
    merit_moments m;
    ranks_read(r, io.moments, &m, sizeof m);
    cr_expect(m.count == 0 && m.m2 == 0 && m.mean != m.mean && m.min != m.min && m.max != m.max);
}

TK_TEST(comm_fold_moments, no_groups_have_no_mean)
{
    ranks_run(&(ranks){.tk = tk, .size = 2}, run_empty, NULL);
}

// Wrong use ----------------------------------------------------------------------------------------

typedef struct wrong {
    merit_comm_fold_moments_desc d[3]; // of each rank
    const char *word;
} wrong;

static void run_wrong(rank *r, void *state)
{
    const wrong *const w = state;
    const merit_comm_fold_moments_desc *const d = &w->d[r->rank];
    const size_t bytes = (size_t)d->num_groups * (size_t)d->num_sets * sizeof(merit_moments);
    const merit_comm_fold_moments_io io = {sizeof io, ranks_room(r, bytes),
                                           ranks_room(r, (size_t)d->num_sets * sizeof *io.moments)};
    merit_status status;
    RANKS_COMM_CALL(status, r, fold_moments, d, &io);
    ranks_expect(r, status, MERIT_STATUS_INVALID_ARGUMENT, w->word);
    unsigned char moments[2 * sizeof(merit_moments)];
    ranks_read(r, io.moments, moments, (size_t)d->num_sets * sizeof *io.moments);
    cr_expect(tk_untouched(moments, d->num_sets, sizeof *io.moments), "moments are written");
    cr_expect(merit_comm_collectives(r->comm) == 1);
}

static void expect_wrong(tk_fixture *tk, const char *word, int64_t a, int64_t b, int64_t c,
                         int32_t sets, int32_t unit, int64_t max)
{
    wrong w = {.word = word};
    const int64_t groups[] = {a, b, c};
    for (int i = 0; i < 3; i++) {
        merit_comm_fold_moments_desc_init(&w.d[i], sizeof w.d[i]);
        w.d[i].num_groups = groups[i];
        w.d[i].max_groups = 6144;
    }
    w.d[1].num_sets = sets;
    w.d[1].groups_per_record = unit;
    w.d[1].max_groups = max;
    ranks_run(&(ranks){.tk = tk, .size = 3}, run_wrong, &w);
}

TK_TEST(comm_fold_moments, cuts_off_a_tile_are_refused_on_every_rank)
{
    expect_wrong(tk, "expected a multiple of 2048", 2047, 2047, 1, 1, 2048, 6144);
    expect_wrong(tk, "expected a multiple of 2048", 2048, 1, 2048, 1, 2048, 6144);
    expect_wrong(tk, "expected a multiple of 2048", 1, 0, 2048, 1, 2048, 6144);
}

TK_TEST(comm_fold_moments, ranks_that_disagree_are_found_out)
{
    expect_wrong(tk, "records, this rank", 2048, 2048, 2048, 2, 2048, 6144);
    expect_wrong(tk, "differs from this rank in one of num_sets, groups_per_record and max_groups",
                 2048, 2048, 2048, 1, 2048, 2048);
}

// A unit of 1 with the room of three records: messages as long as those of three tiles.
static void run_units(rank *r, void *state)
{
    const int64_t *const max_groups = state;
    merit_comm_fold_moments_desc d;
    merit_comm_fold_moments_desc_init(&d, sizeof d);
    d.groups_per_record = r->rank == 1 ? 1 : 2048;
    d.max_groups = max_groups[r->rank];
    const merit_comm_fold_moments_io io = {sizeof io, NULL, ranks_room(r, sizeof(merit_moments))};
    merit_status status;
    RANKS_COMM_CALL(status, r, fold_moments, &d, &io);
    ranks_expect(r, status, MERIT_STATUS_INVALID_ARGUMENT, "differs from this rank in one of");
}

// Far apart, messages differ in length: the all-gather has to tell.
static void run_lengths(rank *r, void *state)
{
    (void)state;
    merit_comm_fold_moments_desc d;
    merit_comm_fold_moments_desc_init(&d, sizeof d);
    d.max_groups = 2048 * (1 + 100 * r->rank);
    const merit_comm_fold_moments_io io = {sizeof io, NULL, ranks_room(r, sizeof(merit_moments))};
    merit_status status;
    RANKS_COMM_CALL(status, r, fold_moments, &d, &io);
    ranks_expect(r, status, MERIT_STATUS_COMM_ERROR, "returned 77");
    RANKS_COMM_CALL(status, r, fold_moments, &d, &io);
    ranks_expect(r, status, MERIT_STATUS_COMM_ERROR, "comm is in error");
}

TK_TEST(comm_fold_moments, units_and_lengths_that_differ_are_found_out)
{
    ranks_run(&(ranks){.tk = tk, .size = 2}, run_units, (int64_t[]){6144, 3});
    ranks_run(&(ranks){.tk = tk, .size = 2}, run_units, (int64_t[]){3, 3}); // one block either way
    ranks_run(&(ranks){.tk = tk, .size = 2}, run_lengths, NULL);
}

TK_TEST(comm_fold_moments, bad_calls_are_rejected_before_the_collective)
{
    merit_comm *comm = NULL;
    cr_assert(merit_comm_create_single(&comm) == MERIT_STATUS_OK);
    const merit_status invalid = MERIT_STATUS_INVALID_ARGUMENT;
    static merit_moments memory[2];
    merit_comm_fold_moments_desc good, d;
    merit_comm_fold_moments_desc_init(&good, sizeof good);
    good.num_groups = 1;
    const merit_comm_fold_moments_io good_io = {sizeof good_io, &memory[0], &memory[1]};
    merit_comm_fold_moments_io io = good_io;
    size_t bytes = 0;
#define REJECT(words, change)                                                                   \
    d = good, io = good_io;                                                                     \
    change;                                                                                     \
    tk_expect_rejected(tk->ctx, merit_comm_fold_moments(tk->ctx, comm, &d, &io, NULL, 0, NULL), \
                       invalid, words)
    REJECT("num_groups is -1", d.num_groups = -1);
    REJECT("max_groups is -1", d.max_groups = -1);
    REJECT("num_groups is 3|max_groups, which is 2", (d.num_groups = 3, d.max_groups = 2));
    REJECT("num_sets is 0", d.num_sets = 0);
    REJECT("num_sets is 1048577", d.num_sets = 1048577);
    REJECT("groups_per_record is 2, expected 1 or 2048", d.groups_per_record = 2);
    REJECT("more than 2^62 bytes",
           (d.num_sets = 1 << 20, d.max_groups = INT64_MAX / 4, d.groups_per_record = 1));
    REJECT("records is NULL", io.records = NULL);
    REJECT("moments is NULL", io.moments = NULL);
    REJECT("overlaps", io.records = io.moments);
#undef REJECT
    tk_expect_rejected(tk->ctx,
                       merit_comm_fold_moments(tk->ctx, comm, &good, &good_io, NULL, 0, NULL),
                       MERIT_STATUS_WORKSPACE_TOO_SMALL, "workspace has 0 bytes");
    tk_expect_rejected(tk->ctx,
                       merit_comm_fold_moments(tk->ctx, NULL, &good, &good_io, NULL, 0, NULL),
                       invalid, "comm is NULL");
    tk_expect_rejected(tk->ctx,
                       merit_comm_fold_moments(tk->ctx, comm, NULL, &good_io, NULL, 0, NULL),
                       invalid, "desc is NULL");
    tk_expect_rejected(tk->ctx, merit_comm_fold_moments(tk->ctx, comm, &good, NULL, NULL, 0, NULL),
                       invalid, "io is NULL");
    tk_expect_rejected(tk->ctx, merit_comm_fold_moments_workspace(tk->ctx, comm, &good, NULL),
                       invalid, "bytes is NULL");
    tk_expect_ok(tk->ctx, merit_comm_fold_moments_workspace(tk->ctx, comm, &good, &bytes));
    TK_EXPECT(merit_comm_fold_moments(NULL, comm, &good, &good_io, NULL, 0, NULL) == invalid,
              "ctx is NULL");
    TK_EXPECT(merit_comm_collectives(comm) == 0, "a rejected call starts no collective");
    merit_comm_destroy(comm);
}
