// Losses and counts over ranks that are threads, on every backend, against one process on the CPU: every
// operation that writes loss_tiles.
#include <string.h>

#include "ranks.h"

enum { MAX_ROWS = 5 * 2048, TOKENS = 3, ROUTES = 2, LEVELS = 3, MAX_SUMS = 2 };

static float a[MAX_ROWS * TOKENS], b[MAX_ROWS * TOKENS], c[MAX_ROWS * TOKENS];
static uint8_t mask[MAX_ROWS * TOKENS];
static int32_t routes[MAX_ROWS];
static const double ones[MAX_SUMS] = {1, 1};

static void fill(uint64_t seed)
{
    tk_random random = {seed};
    for (int i = 0; i < MAX_ROWS * TOKENS; i++) {
        a[i] = (float)tk_normal(&random);
        b[i] = a[i] + (float)tk_normal(&random) / 8;
        c[i] = (float)tk_normal(&random);
        mask[i] = !tk_chance(&random, 0.3);
        routes[i % MAX_ROWS] = (int32_t)tk_below(&random, ROUTES);
    }
}

// Operations ---------------------------------------------------------------------------------------

// Rows first .. first + count - 1: what one process writes for them, and their tiles.
typedef merit_status rows_call(rank *r, int64_t first, int64_t count, double *loss, double *tiles);

static const float *floats(rank *r, const float *from, int64_t first, int64_t count)
{
    return ranks_copy(r, from + first, (size_t)count * sizeof *from);
}

static merit_groups triples(int64_t count)
{
    return (merit_groups){.num_groups = count, .group_size = TOKENS};
}

static merit_status policy_loss(rank *r, int64_t first, int64_t count, double *loss, double *tiles)
{
    merit_policy_loss_desc d;
    merit_policy_loss_desc_init(&d, sizeof d);
    d.num_tokens = count * TOKENS;
    d.sequences = triples(count);
    d.denominator = 12345;
    merit_policy_loss_io io = {.struct_size = sizeof io, .loss = loss, .loss_tiles = tiles};
    io.logprob = floats(r, a, first * TOKENS, count * TOKENS);
    io.old = floats(r, b, first * TOKENS, count * TOKENS);
    io.advantages = floats(r, c, first, count);
    io.mask = ranks_copy(r, mask + first * TOKENS, (size_t)(count * TOKENS));
    merit_status status;
    RANKS_CALL(status, r, policy_loss, &d, &io);
    return status;
}

static merit_status value_loss(rank *r, int64_t first, int64_t count, double *loss, double *tiles)
{
    merit_policy_value_loss_desc d;
    merit_policy_value_loss_desc_init(&d, sizeof d);
    d.num_tokens = count * TOKENS;
    d.sequences = triples(count);
    d.denominator = 7;
    merit_policy_value_loss_io io = {.struct_size = sizeof io, .loss = loss, .loss_tiles = tiles};
    io.value = floats(r, a, first * TOKENS, count * TOKENS);
    io.old_value = floats(r, b, first * TOKENS, count * TOKENS);
    io.returns = floats(r, c, first * TOKENS, count * TOKENS);
    merit_status status;
    RANKS_CALL(status, r, policy_value_loss, &d, &io);
    return status;
}

static merit_status pair(rank *r, int64_t first, int64_t count, double *loss, double *tiles)
{
    merit_preference_pair_desc d;
    merit_preference_pair_desc_init(&d, sizeof d);
    d.num_pairs = count;
    d.num_routes = ROUTES;
    d.route_kind = MERIT_ROUTE_KIND_ARRAY;
    d.reduction = MERIT_PREFERENCE_REDUCTION_GIVEN;
    merit_preference_pair_io io = {
        .struct_size = sizeof io, .route_sum = loss, .loss_tiles = tiles};
    io.chosen = floats(r, a, first, count);
    io.rejected = floats(r, c, first, count);
    io.mask = ranks_copy(r, mask + first, (size_t)count);
    io.routes = ranks_copy(r, routes + first, (size_t)count * sizeof *routes);
    io.denominators = ranks_copy(r, ones, sizeof ones);
    merit_status status;
    RANKS_CALL(status, r, preference_pair, &d, &io);
    return status;
}

static merit_status list(rank *r, int64_t first, int64_t count, double *loss, double *tiles)
{
    merit_preference_list_desc d;
    merit_preference_list_desc_init(&d, sizeof d);
    d.groups = triples(count);
    d.num_items = count * TOKENS;
    d.mode = MERIT_LIST_MODE_ALL_PAIRS;
    d.reduction = MERIT_PREFERENCE_REDUCTION_SUM;
    merit_preference_list_io io = {.struct_size = sizeof io, .loss = loss, .loss_tiles = tiles};
    io.scores = floats(r, a, first * TOKENS, count * TOKENS);
    io.labels = floats(r, c, first * TOKENS, count * TOKENS);
    merit_status status;
    RANKS_CALL(status, r, preference_list, &d, &io);
    return status;
}

static merit_status ordinal(rank *r, int64_t first, int64_t count, double *loss, double *tiles)
{
    merit_preference_ordinal_desc d;
    merit_preference_ordinal_desc_init(&d, sizeof d);
    d.num_pairs = count;
    d.num_levels = LEVELS;
    d.reduction = MERIT_PREFERENCE_REDUCTION_SUM;
    merit_preference_ordinal_io io = {.struct_size = sizeof io, .loss = loss, .loss_tiles = tiles};
    io.chosen_logits = floats(r, a, first * LEVELS, count * LEVELS);
    io.rejected_logits = floats(r, c, first * LEVELS, count * LEVELS);
    merit_status status;
    RANKS_CALL(status, r, preference_ordinal, &d, &io);
    return status;
}

static merit_status huber(rank *r, int64_t first, int64_t count, double *loss, double *tiles)
{
    merit_dominance_quantile_huber_desc d;
    merit_dominance_quantile_huber_desc_init(&d, sizeof d);
    d.num_rows = count;
    d.num_levels = 2;
    d.num_targets = 3;
    d.denominator = 1; // tiles are sums before it
    merit_dominance_quantile_huber_io io = {
        .struct_size = sizeof io, .loss = loss, .loss_tiles = tiles};
    io.quantiles = floats(r, a, first * 2, count * 2);
    static const float tau[] = {0.25f, 0.75f};
    io.tau = ranks_copy(r, tau, sizeof tau);
    io.targets = floats(r, c, first * 3, count * 3);
    merit_status status;
    RANKS_CALL(status, r, dominance_quantile_huber, &d, &io);
    return status;
}

// One head: the loss is the sum of its tiles.
static merit_status regression(rank *r, int64_t first, int64_t count, double *loss, double *tiles)
{
    merit_score_regression_desc d;
    merit_score_regression_desc_init(&d, sizeof d);
    d.num_rows = count;
    d.reduction = MERIT_REGRESSION_SUM;
    merit_score_regression_io io = {.struct_size = sizeof io, .loss = loss, .loss_tiles = tiles};
    io.scores = floats(r, a, first, count);
    io.labels = floats(r, c, first, count);
    io.mask = ranks_copy(r, mask + first, (size_t)count);
    merit_status status;
    RANKS_CALL(status, r, score_regression, &d, &io);
    return status;
}

static const struct {
    const char *name;
    rows_call *call;
    int32_t num_sums;
} operations[] = {
    {"policy_loss", policy_loss, 1},     {"policy_value_loss", value_loss, 1},
    {"preference_pair", pair, ROUTES},   {"preference_list", list, 1},
    {"preference_ordinal", ordinal, 1},  {"quantile_huber", huber, 1},
    {"score_regression", regression, 1},
};
enum { OPERATIONS = sizeof operations / sizeof operations[0] };

// Runs ---------------------------------------------------------------------------------------------

typedef struct run {
    int operation;
    int64_t cuts[RANKS_MAX + 1];
    int64_t valid; // tokens of the batch
    double expected[MAX_SUMS];
} run;

static int64_t valid_rows(int64_t first, int64_t end)
{
    int64_t valid = 0;
    for (int64_t i = first; i < end; i++) {
        valid += mask[i];
    }
    return valid;
}

static void run_whole(rank *r, void *state)
{
    run *const all = state;
    double *const loss = ranks_room(r, sizeof all->expected);
    const merit_status status =
        operations[all->operation].call(r, 0, all->cuts[r->size], loss, NULL);
    ranks_expect(r, status, MERIT_STATUS_OK, NULL);
    ranks_read(r, loss, all->expected, (size_t)operations[all->operation].num_sums * sizeof *loss);
    all->valid = valid_rows(0, all->cuts[r->size]);
}

static void run_shard(rank *r, void *state)
{
    const run *const all = state;
    const int32_t K = operations[all->operation].num_sums;
    const int64_t first = all->cuts[r->rank], rows = all->cuts[r->rank + 1] - first;
    double *const tiles = ranks_room(r, (size_t)((rows + 2047) / 2048 * K) * sizeof *tiles);
    merit_status status = MERIT_STATUS_OK;
    if (rows > 0) status = operations[all->operation].call(r, first, rows, NULL, tiles);
    ranks_expect(r, status, MERIT_STATUS_OK, NULL);

    merit_comm_fold_sums_desc d;
    merit_comm_fold_sums_desc_init(&d, sizeof d);
    d.num_rows = rows;
    d.max_rows = MAX_ROWS;
    d.num_sums = K;
    d.num_counts = 2;
    const int64_t counts[2] = {valid_rows(first, first + rows), rows};
    int64_t total[2];
    double sums[MAX_SUMS];
    merit_comm_fold_sums_io io = {.struct_size = sizeof io, .tiles = tiles};
    io.total_counts = ranks_copy(r, counts, sizeof counts);
    io.counts = io.total_counts;
    io.sums = ranks_room(r, sizeof sums);
    RANKS_COMM_CALL(status, r, fold_sums, &d, &io);
    ranks_expect(r, status, MERIT_STATUS_OK, NULL);
    cr_expect(merit_comm_collectives(r->comm) == 1);
    ranks_read(r, io.sums, sums, (size_t)K * sizeof *sums);
    ranks_read(r, io.total_counts, total, sizeof total);
    cr_expect(memcmp(sums, all->expected, (size_t)K * sizeof *sums) == 0,
              "%s on rank %d of %d: %a, expected %a", operations[all->operation].name, r->rank,
              r->size, sums[0], all->expected[0]);
    cr_expect(total[0] == all->valid && total[1] == all->cuts[r->size]);
}

TK_TEST(comm_fold_sums, losses_of_every_cut_have_the_bits_of_one_process)
{
    const int simt = tk->kind != TK_CPU;
    static const int64_t sizes[] = {2049, 4100, 3, 2048 * 3, MAX_ROWS - 5};
    tk_random random = {11};
    int cuts = 0;
    for (int n = 0; n < (simt ? 2 : 5); n++) {
        fill((uint64_t)n);
        for (int operation = 0; operation < OPERATIONS; operation++) {
            run all = {.operation = operation, .cuts = {0, sizes[n]}};
            ranks_run(&(ranks){.size = 1}, run_whole, &all);
            for (int i = 0; i < (simt ? 1 : 4); i++) {
                const int size = 1 + (int)tk_below(&random, simt ? 3 : 6);
                ranks_split(&random, sizes[n], 2048, size, all.cuts);
                ranks_run(&(ranks){.tk = tk, .size = size}, run_shard, &all);
                cuts++;
            }
        }
    }
    TK_EXPECT(simt || cuts >= 100, "%d cuts", cuts);
}

// Denominators: policy_count on any cut between sequences, then counts alone.
static void run_counts(rank *r, void *state)
{
    const run *const all = state;
    const int64_t first = all->cuts[r->rank], rows = all->cuts[r->rank + 1] - first;
    merit_policy_count_desc c0;
    merit_policy_count_desc_init(&c0, sizeof c0);
    c0.num_tokens = rows * TOKENS;
    c0.sequences = triples(rows);
    merit_policy_count_io from = {.struct_size = sizeof from};
    from.mask = ranks_copy(r, mask + first * TOKENS, (size_t)(rows * TOKENS));
    from.counts = ranks_room(r, sizeof *from.counts);
    merit_status status;
    RANKS_CALL(status, r, policy_count, &c0, &from);
    ranks_expect(r, status, MERIT_STATUS_OK, NULL);

    merit_comm_fold_sums_desc d;
    merit_comm_fold_sums_desc_init(&d, sizeof d);
    d.num_rows = rows + 1; // not read
    d.num_sums = 0;
    d.num_counts = 2;
    merit_comm_fold_sums_io io = {.struct_size = sizeof io};
    io.counts = (const int64_t *)(const void *)from.counts;
    io.total_counts = (int64_t *)(void *)from.counts;
    RANKS_COMM_CALL(status, r, fold_sums, &d, &io);
    ranks_expect(r, status, MERIT_STATUS_OK, NULL);
    merit_policy_counts total;
    ranks_read(r, from.counts, &total, sizeof total);
    int64_t tokens = 0, nonempty = 0;
    for (int64_t n = 0; n < all->cuts[r->size]; n++) {
        const int64_t valid = valid_rows(n * TOKENS, (n + 1) * TOKENS);
        tokens += valid;
        nonempty += valid > 0;
    }
    cr_expect(total.tokens == tokens && total.nonempty_sequences == nonempty);
}

TK_TEST(comm_fold_sums, counts_add_over_any_cut)
{
    tk_random random = {3};
    fill(9);
    for (int size = 1; size <= 5; size++) {
        run all;
        ranks_split(&random, 301, 1, size, all.cuts);
        ranks_run(&(ranks){.tk = tk, .size = size}, run_counts, &all);
    }
}

// Wrong use ----------------------------------------------------------------------------------------

typedef struct wrong {
    merit_comm_fold_sums_desc d[3];
    const char *word;
} wrong;

static void run_wrong(rank *r, void *state)
{
    const wrong *const w = state;
    double sums[4];
    int64_t counts[4] = {0};
    const merit_comm_fold_sums_io io = {sizeof io, ranks_room(r, MAX_ROWS),
                                        ranks_copy(r, counts, sizeof counts),
                                        ranks_room(r, sizeof sums), ranks_room(r, sizeof counts)};
    merit_status status;
    RANKS_COMM_CALL(status, r, fold_sums, &w->d[r->rank], &io);
    ranks_expect(r, status, MERIT_STATUS_INVALID_ARGUMENT, w->word);
    ranks_read(r, io.sums, sums, sizeof sums);
    cr_expect(tk_untouched(sums, 4, sizeof *sums), "sums are written");
    cr_expect(merit_comm_collectives(r->comm) == 1);
}

TK_TEST(comm_fold_sums, ranks_that_disagree_or_cut_elsewhere_are_found_out)
{
    static const struct {
        int64_t rows[3];
        int32_t sums, counts; // of rank 1
        int64_t max;
        const char *word;
    } cases[] = {
        {{2048, 5, 1}, 1, 0, 4096, "expected a multiple of 2048"},
        {{1, 0, 2048}, 1, 0, 4096, "expected a multiple of 2048"},
        {{1, 0, 0}, 2, 0, 4096, "records, this rank"},
        {{1, 0, 0}, 0, 1, 4096, "num_sums, num_counts and max_rows"},
        {{1, 0, 0}, 1, 0, 2048, "num_sums, num_counts and max_rows"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wrong w = {.word = cases[i].word};
        for (int k = 0; k < 3; k++) {
            merit_comm_fold_sums_desc_init(&w.d[k], sizeof w.d[k]);
            w.d[k].num_rows = cases[i].rows[k];
            w.d[k].max_rows = 4096;
        }
        w.d[1].num_sums = cases[i].sums;
        w.d[1].num_counts = cases[i].counts;
        w.d[1].max_rows = cases[i].max;
        ranks_run(&(ranks){.tk = tk, .size = 3}, run_wrong, &w);
    }
}

TK_TEST(comm_fold_sums, bad_calls_are_rejected_before_the_collective)
{
    merit_comm *comm = NULL;
    cr_assert(merit_comm_create_single(&comm) == MERIT_STATUS_OK);
    const merit_status invalid = MERIT_STATUS_INVALID_ARGUMENT;
    static double memory[4];
    static int64_t counts[2];
    merit_comm_fold_sums_desc good, d;
    merit_comm_fold_sums_desc_init(&good, sizeof good);
    good.num_rows = 1;
    good.num_counts = 1;
    const merit_comm_fold_sums_io good_io = {sizeof good_io, &memory[0], &counts[0], &memory[1],
                                             &counts[1]};
    merit_comm_fold_sums_io io = good_io;
#define REJECT(words, change)                                                                \
    d = good, io = good_io;                                                                  \
    change;                                                                                  \
    tk_expect_rejected(tk->ctx, merit_comm_fold_sums(tk->ctx, comm, &d, &io, NULL, 0, NULL), \
                       invalid, words)
    REJECT("num_rows is -1", d.num_rows = -1);
    REJECT("max_rows is -1", d.max_rows = -1);
    REJECT("num_rows is 3|max_rows, which is 2", (d.num_rows = 3, d.max_rows = 2));
    REJECT("num_sums is -1", d.num_sums = -1);
    REJECT("num_sums is 1048577", d.num_sums = 1048577);
    REJECT("num_counts is -1", d.num_counts = -1);
    REJECT("num_counts is 1048577", d.num_counts = 1048577);
    REJECT("num_sums and num_counts are 0", d.num_sums = d.num_counts = 0);
    REJECT("more than 2^62 bytes", (d.num_sums = 1 << 20, d.max_rows = INT64_MAX / 4));
    REJECT("tiles is NULL", io.tiles = NULL);
    REJECT("sums is NULL", io.sums = NULL);
    REJECT("counts is NULL", io.counts = NULL);
    REJECT("total_counts is NULL", io.total_counts = NULL);
    REJECT("overlaps", io.tiles = io.sums);
    REJECT("overlaps", io.counts = (int64_t *)(void *)io.sums);
#undef REJECT
    tk_expect_rejected(tk->ctx, merit_comm_fold_sums(tk->ctx, comm, &good, &good_io, NULL, 0, NULL),
                       MERIT_STATUS_WORKSPACE_TOO_SMALL, "workspace has 0 bytes");
    tk_expect_rejected(tk->ctx, merit_comm_fold_sums(tk->ctx, NULL, &good, &good_io, NULL, 0, NULL),
                       invalid, "comm is NULL");
    tk_expect_rejected(tk->ctx, merit_comm_fold_sums(tk->ctx, comm, NULL, &good_io, NULL, 0, NULL),
                       invalid, "desc is NULL");
    tk_expect_rejected(tk->ctx, merit_comm_fold_sums(tk->ctx, comm, &good, NULL, NULL, 0, NULL),
                       invalid, "io is NULL");
    tk_expect_rejected(tk->ctx, merit_comm_fold_sums_workspace(tk->ctx, comm, &good, NULL), invalid,
                       "bytes is NULL");
    TK_EXPECT(merit_comm_collectives(comm) == 0, "a rejected call starts no collective");
    merit_comm_destroy(comm);
}
