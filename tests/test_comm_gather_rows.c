// Groups cut by ranks: rewards, ids and masks of all ranks in one array each, presets on the whole batch,
// every rank its own rows. Ranks are threads, on every backend; one process on the CPU is the reference.
#include <stdlib.h>
#include <string.h>

#include "ranks.h"

enum { MAX_ROWS = 400, COLUMNS = 2 };

static float rewards[MAX_ROWS * COLUMNS], expected[MAX_ROWS], actual[MAX_ROWS];
static int64_t ids[MAX_ROWS];
static uint8_t mask[MAX_ROWS];

// Groups of any size, their members anywhere.
static void fill(tk_random *random, int64_t rows)
{
    for (int64_t i = 0; i < rows; i++) {
        ids[i] = 1000 - 7 * tk_below(random, 1 + rows / 5);
        mask[i] = !tk_chance(random, 0.1);
        for (int k = 0; k < COLUMNS; k++) {
            rewards[i * COLUMNS + k] =
                tk_chance(random, 0.3) ? (float)tk_below(random, 2) : (float)tk_normal(random);
        }
    }
}

typedef struct run {
    const char *preset;
    int64_t rows;
    int64_t cuts[RANKS_MAX + 1];
    int64_t max_total;
} run;

// Advantages [R] of a whole batch in the backend's memory.
static float *advantages(rank *r, const char *preset, int64_t rows, const float *x,
                         const int64_t *group_ids, const uint8_t *keep)
{
    merit_group_index_desc g;
    merit_group_index_desc_init(&g, sizeof g);
    g.num_rows = rows;
    g.kind = MERIT_GROUP_KIND_LABELS;
    merit_group_index_io index = {.struct_size = sizeof index, .ids = group_ids};
    index.offsets = ranks_room(r, (size_t)(rows + 1) * sizeof *index.offsets);
    index.index = ranks_room(r, (size_t)rows * sizeof *index.index);
    merit_status status;
    RANKS_CALL(status, r, group_index, &g, &index);
    ranks_expect(r, status, MERIT_STATUS_OK, NULL);

    merit_advantage_group_desc d;
    merit_advantage_group_desc_init(&d, sizeof d);
    cr_expect(merit_advantage_group_preset(preset, &d) == MERIT_STATUS_OK, "%s", preset);
    d.groups.num_groups = rows;
    d.groups.offsets = index.offsets;
    d.groups.index = index.index;
    d.num_rows = rows;
    d.num_columns = d.columns == MERIT_COLUMNS_NORMALIZE_FIRST ? COLUMNS : 1;
    d.reward_row_stride = COLUMNS;
    merit_advantage_group_io io = {.struct_size = sizeof io, .rewards = x, .mask = keep};
    float *const out = ranks_room(r, (size_t)rows * sizeof *out);
    io.advantages = out;
    RANKS_CALL(status, r, advantage_group, &d, &io);
    ranks_expect(r, status, MERIT_STATUS_OK, NULL);
    return out;
}

static void run_whole(rank *r, void *state)
{
    const run *const all = state;
    const size_t rows = (size_t)all->rows;
    const float *const out =
        advantages(r, all->preset, all->rows, ranks_copy(r, rewards, rows * COLUMNS * 4),
                   ranks_copy(r, ids, rows * 8), ranks_copy(r, mask, rows));
    ranks_read(r, out, expected, rows * sizeof *expected);
}

static merit_comm_gather_rows_desc desc_of(const run *all, const rank *r)
{
    merit_comm_gather_rows_desc d;
    merit_comm_gather_rows_desc_init(&d, sizeof d);
    d.num_rows = all->cuts[r->rank + 1] - all->cuts[r->rank];
    for (int i = 0; i < r->size; i++) {
        const int64_t rows = all->cuts[i + 1] - all->cuts[i];
        d.max_rows = rows > d.max_rows ? rows : d.max_rows;
    }
    d.max_total = all->max_total;
    d.num_arrays = 3;
    d.row_bytes[0] = COLUMNS * 4;
    d.row_bytes[1] = 8;
    d.row_bytes[2] = 1;
    return d;
}

static void run_shard(rank *r, void *state)
{
    const run *const all = state;
    const merit_comm_gather_rows_desc d = desc_of(all, r);
    const int64_t first = all->cuts[r->rank];
    const size_t own = (size_t)d.num_rows, total = (size_t)all->rows;
    merit_comm_rows rows;
    merit_comm_gather_rows_io io = {.struct_size = sizeof io, .rows = &rows};
    io.local[0] = ranks_copy(r, rewards + first * COLUMNS, own * COLUMNS * 4);
    io.local[1] = ranks_copy(r, ids + first, own * 8);
    io.local[2] = ranks_copy(r, mask + first, own);
    for (int i = 0; i < 3; i++) {
        io.gathered[i] = ranks_room(r, (size_t)d.max_total * (size_t)d.row_bytes[i]);
    }
    merit_status status;
    RANKS_COMM_CALL(status, r, gather_rows, &d, &io);
    ranks_expect(r, status, MERIT_STATUS_OK, NULL);
    if (status != MERIT_STATUS_OK) return;
    cr_expect(merit_comm_collectives(r->comm) == 1);
    cr_expect(rows.first == first && rows.count == d.num_rows && rows.total == all->rows);
    uint8_t masks[MAX_ROWS + 9];
    ranks_read(r, io.gathered[2], masks, (size_t)d.max_total);
    cr_expect(memcmp(masks, mask, total) == 0, "masks on rank %d of %d", r->rank, r->size);
    cr_expect(tk_untouched(masks + total, d.max_total - all->rows, 1), "rows behind the last");

    const float *const out =
        advantages(r, all->preset, rows.total, io.gathered[0], io.gathered[1], io.gathered[2]);
    ranks_read(r, out + rows.first, actual + first, own * sizeof *actual);
}

TK_TEST(comm_gather_rows, presets_on_groups_cut_anywhere_have_the_bits_of_one_process)
{
    static const char *const presets[] = {"grpo",      "arena_rl", "trl.batch", "verl.rloo",
                                          "trl.group", "trl.gdpo", "opo",       "dr_grpo"};
    const int simt = tk->kind != TK_CPU;
    tk_random random = {77};
    int cuts = 0;
    for (size_t n = 0; n < sizeof presets / sizeof presets[0]; n++) {
        merit_advantage_group_desc known;
        merit_advantage_group_desc_init(&known, sizeof known);
        if (merit_advantage_group_preset(presets[n], &known) != MERIT_STATUS_OK) {
            tk_fail(__FILE__, __LINE__, "no preset %s", presets[n]);
            continue;
        }
        run all = {.preset = presets[n], .rows = 1 + tk_below(&random, simt ? 60 : MAX_ROWS)};
        all.max_total = all.rows + 9;
        fill(&random, all.rows);
        ranks_run(&(ranks){.size = 1}, run_whole, &all);
        for (int i = 0; i < (simt ? 2 : 14); i++) {
            const int size = 1 + (int)tk_below(&random, simt ? 4 : 8);
            ranks_split(&random, all.rows, 1, size, all.cuts);
            memset(actual, 0, sizeof actual);
            ranks_run(&(ranks){.tk = tk, .size = size}, run_shard, &all);
            TK_EXPECT(memcmp(actual, expected, (size_t)all.rows * sizeof *actual) == 0,
                      "%s: %lld rows on %d ranks", presets[n], (long long)all.rows, size);
            cuts++;
        }
    }
    TK_EXPECT(simt || cuts >= 100, "%d cuts", cuts);
}

// Wrong use ----------------------------------------------------------------------------------------

typedef struct wrong {
    int64_t rows, max_rows, max_total;
    int32_t row_bytes;
    int32_t num_arrays; // of rank 1, as the row_bytes; the rest is everybody's
    const char *word;
} wrong;

static void run_wrong(rank *r, void *state)
{
    const wrong *const w = state;
    merit_comm_gather_rows_desc d;
    merit_comm_gather_rows_desc_init(&d, sizeof d);
    d.num_rows = w->rows;
    d.max_rows = r->rank == 1 ? w->max_rows : 3;
    d.max_total = w->max_total;
    if (r->rank == 1) d.row_bytes[0] = w->row_bytes;
    if (r->rank == 1) d.num_arrays = w->num_arrays;
    merit_comm_rows rows;
    memset(&rows, TK_GUARD, sizeof rows);
    merit_comm_gather_rows_io io = {.struct_size = sizeof io, .rows = &rows};
    for (int i = 0; i < 2; i++) {
        io.local[i] = ranks_room(r, 64);
        io.gathered[i] = ranks_room(r, 64);
    }
    merit_status status;
    RANKS_COMM_CALL(status, r, gather_rows, &d, &io);
    ranks_expect(r, status, MERIT_STATUS_INVALID_ARGUMENT, w->word);
    unsigned char out[64];
    ranks_read(r, io.gathered[0], out, sizeof out);
    cr_expect(tk_untouched(out, sizeof out, 1) && tk_untouched(&rows, 1, sizeof rows));
    cr_expect(merit_comm_collectives(r->comm) == 1);
}

TK_TEST(comm_gather_rows, ranks_that_disagree_or_have_too_much_are_found_out)
{
    static const wrong cases[] = {
        {3, 3, 5, 4, 1, "the ranks have 6 rows together, expected at most max_total, which is 5"},
        {1, 3, 8, 2, 1, "row_bytes, max_rows and max_total"},
        {1, 2, 8, 4, 1, "row_bytes, max_rows and max_total"},
        {1, 3, 8, 4, 2, "records, this rank"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wrong w = cases[i];
        ranks_run(&(ranks){.tk = tk, .size = 2}, run_wrong, &w);
    }
}

TK_TEST(comm_gather_rows, bad_calls_are_rejected_before_the_collective)
{
    merit_comm *comm = NULL;
    cr_assert(merit_comm_create_single(&comm) == MERIT_STATUS_OK);
    const merit_status invalid = MERIT_STATUS_INVALID_ARGUMENT;
    static float memory[4];
    merit_comm_gather_rows_desc good, d;
    merit_comm_gather_rows_desc_init(&good, sizeof good);
    good.num_rows = 1;
    const merit_comm_gather_rows_io good_io = {
        .struct_size = sizeof good_io, .local = {&memory[0]}, .gathered = {&memory[1]}};
    merit_comm_gather_rows_io io = good_io;
#define REJECT(words, change)                                                                  \
    d = good, io = good_io;                                                                    \
    change;                                                                                    \
    tk_expect_rejected(tk->ctx, merit_comm_gather_rows(tk->ctx, comm, &d, &io, NULL, 0, NULL), \
                       invalid, words)
    REJECT("num_rows is -1", d.num_rows = -1);
    REJECT("max_rows is -1", d.max_rows = -1);
    REJECT("num_rows is 3|max_rows, which is 2", (d.num_rows = 3, d.max_rows = 2));
    REJECT("max_total is -1", d.max_total = -1);
    REJECT("num_arrays is 0, expected 1..16", d.num_arrays = 0);
    REJECT("num_arrays is 17, expected 1..16", d.num_arrays = 17);
    REJECT("row_bytes[0] is 0", d.row_bytes[0] = 0);
    REJECT("over 2^58", d.max_rows = INT64_MAX / 4);
    REJECT("over 2^58", d.max_total = INT64_MAX);
    REJECT("local[0] is NULL", io.local[0] = NULL);
    REJECT("gathered[0] is NULL", io.gathered[0] = NULL);
    REJECT("local[1] is NULL", d.num_arrays = 2);
    REJECT("overlaps", io.local[0] = io.gathered[0]);
#undef REJECT
    tk_expect_rejected(tk->ctx,
                       merit_comm_gather_rows(tk->ctx, comm, &good, &good_io, NULL, 0, NULL),
                       MERIT_STATUS_WORKSPACE_TOO_SMALL, "workspace has 0 bytes");
    tk_expect_rejected(tk->ctx,
                       merit_comm_gather_rows(tk->ctx, NULL, &good, &good_io, NULL, 0, NULL),
                       invalid, "comm is NULL");
    tk_expect_rejected(tk->ctx,
                       merit_comm_gather_rows(tk->ctx, comm, NULL, &good_io, NULL, 0, NULL),
                       invalid, "desc is NULL");
    tk_expect_rejected(tk->ctx, merit_comm_gather_rows(tk->ctx, comm, &good, NULL, NULL, 0, NULL),
                       invalid, "io is NULL");
    tk_expect_rejected(tk->ctx, merit_comm_gather_rows_workspace(tk->ctx, comm, &good, NULL),
                       invalid, "bytes is NULL");
    TK_EXPECT(merit_comm_collectives(comm) == 0, "a rejected call starts no collective");
    merit_comm_destroy(comm);
}
