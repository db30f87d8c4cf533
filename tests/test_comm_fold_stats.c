// Statistics and metrics over ranks that are threads, on every backend, against one process on the CPU.
#include <math.h>
#include <string.h>

#include "ranks.h"

enum { MAX_ROWS = 4 * 2048, TOKENS = 2, ROUTES = 2, BINS = 3, MAX_BYTES = 1024 };

static float a[MAX_ROWS * TOKENS], b[MAX_ROWS * TOKENS], c[MAX_ROWS * TOKENS];
static uint8_t mask[MAX_ROWS * TOKENS];
static int32_t routes[MAX_ROWS];
static const double ones[ROUTES] = {1, 1};

static void fill(uint64_t seed)
{
    tk_random random = {seed};
    for (int i = 0; i < MAX_ROWS * TOKENS; i++) {
        a[i] = (float)tk_normal(&random);
        b[i] = a[i] + (float)tk_normal(&random) / 4;
        c[i] = (float)tk_normal(&random);
        mask[i] = !tk_chance(&random, 0.3);
        routes[i % MAX_ROWS] = (int32_t)tk_below(&random, ROUTES);
    }
}

// Operations ---------------------------------------------------------------------------------------

// Rows first .. first + count - 1 and their records.
typedef merit_status rows_call(rank *r, int64_t first, int64_t count, void *records);

static const float *floats(rank *r, const float *from, int64_t first, int64_t count)
{
    return ranks_copy(r, from + first, (size_t)count * sizeof *from);
}

static merit_groups pairs_of(int64_t count)
{
    return (merit_groups){.num_groups = count, .group_size = TOKENS};
}

static merit_status policy(rank *r, int64_t first, int64_t count, void *records)
{
    merit_policy_loss_desc d;
    merit_policy_loss_desc_init(&d, sizeof d);
    d.num_tokens = count * TOKENS;
    d.sequences = pairs_of(count);
    d.denominator = 12345;
    d.kl_coef = 0.1f;
    d.mismatch_level = MERIT_POLICY_LEVEL_TOKEN;
    merit_policy_loss_io io = {.struct_size = sizeof io, .stats = records};
    io.logprob = floats(r, a, first * TOKENS, count * TOKENS);
    io.old = io.ref = floats(r, b, first * TOKENS, count * TOKENS);
    io.rollout = floats(r, c, first * TOKENS, count * TOKENS);
    io.advantages = floats(r, c, first, count);
    io.mask = ranks_copy(r, mask + first * TOKENS, (size_t)(count * TOKENS));
    merit_status status;
    RANKS_CALL(status, r, policy_loss, &d, &io);
    return status;
}

static merit_status value(rank *r, int64_t first, int64_t count, void *records)
{
    merit_policy_value_loss_desc d;
    merit_policy_value_loss_desc_init(&d, sizeof d);
    d.num_tokens = count * TOKENS;
    d.sequences = pairs_of(count);
    d.denominator = 7;
    merit_policy_value_loss_io io = {.struct_size = sizeof io, .stats = records};
    io.value = floats(r, a, first * TOKENS, count * TOKENS);
    io.old_value = floats(r, b, first * TOKENS, count * TOKENS);
    io.returns = floats(r, c, first * TOKENS, count * TOKENS);
    merit_status status;
    RANKS_CALL(status, r, policy_value_loss, &d, &io);
    return status;
}

static merit_status pair_records(rank *r, int64_t first, int64_t count, merit_preference_metrics *m,
                                 merit_preference_bin *bins)
{
    merit_preference_pair_desc d;
    merit_preference_pair_desc_init(&d, sizeof d);
    d.num_pairs = count;
    d.num_routes = ROUTES;
    d.route_kind = MERIT_ROUTE_KIND_ARRAY;
    d.reduction = MERIT_PREFERENCE_REDUCTION_GIVEN;
    d.calibration_bins = bins != NULL ? BINS : 0;
    merit_preference_pair_io io = {.struct_size = sizeof io, .metrics = m, .calibration = bins};
    io.chosen = floats(r, a, first, count);
    io.rejected = floats(r, c, first, count);
    io.mask = ranks_copy(r, mask + first, (size_t)count);
    io.routes = ranks_copy(r, routes + first, (size_t)count * sizeof *routes);
    io.denominators = ranks_copy(r, ones, sizeof ones);
    merit_status status;
    RANKS_CALL(status, r, preference_pair, &d, &io);
    return status;
}

static merit_status pair(rank *r, int64_t first, int64_t count, void *records)
{
    return pair_records(r, first, count, records, NULL);
}

static merit_status bins(rank *r, int64_t first, int64_t count, void *records)
{
    return pair_records(r, first, count, NULL, records);
}

static merit_status list(rank *r, int64_t first, int64_t count, void *records)
{
    merit_preference_list_desc d;
    merit_preference_list_desc_init(&d, sizeof d);
    d.groups = pairs_of(count);
    d.num_items = count * TOKENS;
    d.mode = MERIT_LIST_MODE_ALL_PAIRS;
    d.reduction = MERIT_PREFERENCE_REDUCTION_SUM;
    merit_preference_list_io io = {.struct_size = sizeof io, .metrics = records};
    io.scores = floats(r, a, first * TOKENS, count * TOKENS);
    io.labels = floats(r, c, first * TOKENS, count * TOKENS);
    merit_status status;
    RANKS_CALL(status, r, preference_list, &d, &io);
    return status;
}

static merit_status ordinal(rank *r, int64_t first, int64_t count, void *records)
{
    merit_preference_ordinal_desc d;
    merit_preference_ordinal_desc_init(&d, sizeof d);
    d.num_pairs = count;
    d.num_levels = TOKENS;
    d.reduction = MERIT_PREFERENCE_REDUCTION_SUM;
    merit_preference_ordinal_io io = {.struct_size = sizeof io, .metrics = records};
    io.chosen_logits = floats(r, a, first * TOKENS, count * TOKENS);
    io.rejected_logits = floats(r, c, first * TOKENS, count * TOKENS);
    merit_status status;
    RANKS_CALL(status, r, preference_ordinal, &d, &io);
    return status;
}

typedef struct kind {
    const char *name;
    rows_call *call;
    int32_t num_records;
    size_t bytes; // of a record
    const char *fields; // n counts, s sums, l minimum, h maximum; L, H of binary32
} kind;

static const kind kinds[] = {
    [MERIT_COMM_STATS_POLICY] = {"policy", policy, 1, sizeof(merit_policy_stats),
                                 "nnnnnnnnnnnnnnsssssssssssLHLH"},
    [MERIT_COMM_STATS_POLICY_VALUE] = {"value", value, 1, sizeof(merit_policy_value_stats),
                                       "nnssss"},
    [MERIT_COMM_STATS_PREFERENCE_PAIR] = {"pair", pair, ROUTES, sizeof(merit_preference_metrics),
                                          "nnnnnnnsssssslh"},
    [MERIT_COMM_STATS_PREFERENCE_BIN] = {"bin", bins, ROUTES *BINS, sizeof(merit_preference_bin),
                                         "nss"},
    [MERIT_COMM_STATS_PREFERENCE_LIST] = {"list", list, 1, sizeof(merit_preference_list_metrics),
                                          "nnnnnnnnnnsss"},
    [MERIT_COMM_STATS_PREFERENCE_ORDINAL] = {"ordinal", ordinal, 1,
                                             sizeof(merit_preference_ordinal_metrics), "nnnnnsss"},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

// Runs ---------------------------------------------------------------------------------------------

typedef struct run {
    int32_t kind;
    int is_exact; // sums too
    int64_t cuts[RANKS_MAX + 1];
    unsigned char expected[MAX_BYTES];
    unsigned char first[MAX_BYTES]; // what rank 0 has
} run;

static void run_whole(rank *r, void *state)
{
    run *const all = state;
    const kind *const k = &kinds[all->kind];
    void *const records = ranks_room(r, sizeof all->expected);
    ranks_expect(r, k->call(r, 0, all->cuts[r->size], records), MERIT_STATUS_OK, NULL);
    ranks_read(r, records, all->expected, k->bytes * (size_t)k->num_records);
}

// Sums within a few roundings; everything else, and they where they are exact, bit for bit.
static void compare(const rank *r, const run *all, const unsigned char *actual)
{
    const kind *const k = &kinds[all->kind];
    size_t at = 0;
    for (int32_t record = 0; record < k->num_records; record++) {
        for (const char *f = k->fields; *f != 0; f++) {
            const size_t size = *f == 'L' || *f == 'H' ? 4 : 8;
            double x, y;
            int same = memcmp(actual + at, all->expected + at, size) == 0;
            memcpy(&x, actual + at, sizeof x < size ? sizeof x : size);
            memcpy(&y, all->expected + at, sizeof y < size ? sizeof y : size);
            if (*f == 's' && !all->is_exact && !same) same = fabs(x - y) <= 1e-10 * (1 + fabs(y));
            cr_expect(same, "%s on rank %d of %d: field %d of record %d", k->name, r->rank, r->size,
                      (int)(f - k->fields), record);
            at += size;
        }
    }
    cr_expect(at == k->bytes * (size_t)k->num_records, "%s: the fields are %zu bytes", k->name, at);
}

static void run_shard(rank *r, void *state)
{
    const run *const all = state;
    const kind *const k = &kinds[all->kind];
    const int64_t first = all->cuts[r->rank], rows = all->cuts[r->rank + 1] - first;
    const size_t bytes = k->bytes * (size_t)k->num_records;
    void *const records = ranks_room(r, bytes);
    merit_status status = MERIT_STATUS_OK;
    if (rows > 0) status = k->call(r, first, rows, records);
    ranks_expect(r, status, MERIT_STATUS_OK, NULL);
    merit_comm_fold_stats_desc d;
    merit_comm_fold_stats_desc_init(&d, sizeof d);
    d.num_rows = rows;
    d.kind = all->kind;
    d.num_records = k->num_records;
    const merit_comm_fold_stats_io io = {sizeof io, records, records};
    RANKS_COMM_CALL(status, r, fold_stats, &d, &io);
    ranks_expect(r, status, MERIT_STATUS_OK, NULL);
    cr_expect(merit_comm_collectives(r->comm) == 1);
    unsigned char actual[MAX_BYTES];
    ranks_read(r, records, actual, bytes);
    compare(r, all, actual);
    if (r->rank == 0) memcpy(((run *)state)->first, actual, bytes);
}

TK_TEST(comm_fold_stats, equal_parts_have_the_bits_of_one_process)
{
    const int simt = tk->kind != TK_CPU;
    for (int32_t kind = 0; kind < KINDS; kind++) {
        const int64_t rows = simt ? 2048 + 77 : 3 * 2048 + 77;
        fill((uint64_t)kind + 1);
        run all = {.kind = kind, .is_exact = 1, .cuts = {0, rows}};
        ranks_run(&(ranks){.size = 1}, run_whole, &all);
        for (int64_t shard = 2048; shard <= (simt ? 2048 : 8192); shard *= 2) {
            const int size = (int)((rows + shard - 1) / shard) + 1; // the last has none
            for (int i = 0; i <= size; i++) {
                all.cuts[i] = shard * i < rows ? shard * i : rows;
            }
            ranks_run(&(ranks){.tk = tk, .size = size}, run_shard, &all);
        }
    }
}

TK_TEST(comm_fold_stats, counts_and_extremes_of_any_cut_are_exact_and_sums_close)
{
    tk_random random = {21};
    for (int32_t kind = 0; kind < KINDS; kind++) {
        fill((uint64_t)kind + 31);
        run all = {.kind = kind, .is_exact = kind == MERIT_COMM_STATS_PREFERENCE_BIN};
        all.cuts[1] = 700;
        ranks_run(&(ranks){.size = 1}, run_whole, &all);
        for (int size = 2; size <= 5; size++) {
            ranks_split(&random, 700, 1, size, all.cuts);
            ranks_run(&(ranks){.tk = tk, .size = size}, run_shard, &all);
            unsigned char read[MAX_BYTES]; // every backend has the bits of the first
            void *const block = tk_inout(tk, all.first, MAX_BYTES, 1);
            tk_read(tk, block, read, MAX_BYTES, 1);
            tk_release(tk);
        }
    }
}

static void run_empty(rank *r, void *state)
{
    (void)state;
    merit_comm_fold_stats_desc d;
    merit_comm_fold_stats_desc_init(&d, sizeof d);
    merit_policy_stats s;
    const merit_comm_fold_stats_io io = {sizeof io, NULL, ranks_room(r, sizeof s)};
    merit_status status;
    RANKS_COMM_CALL(status, r, fold_stats, &d, &io);
    ranks_expect(r, status, MERIT_STATUS_OK, NULL);
    ranks_read(r, io.totals, &s, sizeof s);
    cr_expect(s.tokens == 0 && s.policy_loss == 0 && s.ratio_min == INFINITY);
    cr_expect(s.ratio_max == -INFINITY);
}

TK_TEST(comm_fold_stats, no_rows_have_no_extremes)
{
    ranks_run(&(ranks){.tk = tk, .size = 3}, run_empty, NULL);
}

// Wrong use ----------------------------------------------------------------------------------------

static void run_disagreeing(rank *r, void *state)
{
    const int by_kind = *(const int *)state;
    merit_comm_fold_stats_desc d;
    merit_comm_fold_stats_desc_init(&d, sizeof d);
    d.kind =
        by_kind && r->rank == 1 ? MERIT_COMM_STATS_PREFERENCE_BIN : MERIT_COMM_STATS_POLICY_VALUE;
    d.num_records = !by_kind && r->rank == 1 ? 2 : 1;
    const merit_comm_fold_stats_io io = {sizeof io, NULL, ranks_room(r, 256)};
    merit_status status;
    RANKS_COMM_CALL(status, r, fold_stats, &d, &io);
    ranks_expect(r, status, MERIT_STATUS_INVALID_ARGUMENT,
                 by_kind ? "differs from this rank in one of kind and num_records"
                         : "records, this rank");
}

TK_TEST(comm_fold_stats, ranks_that_disagree_are_found_out)
{
    for (int by_kind = 0; by_kind < 2; by_kind++) {
        ranks_run(&(ranks){.tk = tk, .size = 2}, run_disagreeing, &by_kind);
    }
}

TK_TEST(comm_fold_stats, bad_calls_are_rejected_before_the_collective)
{
    merit_comm *comm = NULL;
    cr_assert(merit_comm_create_single(&comm) == MERIT_STATUS_OK);
    const merit_status invalid = MERIT_STATUS_INVALID_ARGUMENT;
    static merit_policy_stats memory[2];
    merit_comm_fold_stats_desc good, d;
    merit_comm_fold_stats_desc_init(&good, sizeof good);
    good.num_rows = 1;
    const merit_comm_fold_stats_io good_io = {sizeof good_io, &memory[0], &memory[1]};
    merit_comm_fold_stats_io io = good_io;
#define REJECT(words, change)                                                                 \
    d = good, io = good_io;                                                                   \
    change;                                                                                   \
    tk_expect_rejected(tk->ctx, merit_comm_fold_stats(tk->ctx, comm, &d, &io, NULL, 0, NULL), \
                       invalid, words)
    REJECT("num_rows is -1", d.num_rows = -1);
    REJECT("kind is -1, expected 0..5", d.kind = -1);
    REJECT("kind is 6, expected 0..5", d.kind = 6);
    REJECT("num_records is 0", d.num_records = 0);
    REJECT("num_records is 1048577", d.num_records = 1048577);
    REJECT("records is NULL", io.records = NULL);
    REJECT("totals is NULL", io.totals = NULL);
    REJECT("overlaps", io.records = (const char *)io.totals + 8);
#undef REJECT
    tk_expect_rejected(tk->ctx,
                       merit_comm_fold_stats(tk->ctx, comm, &good, &good_io, NULL, 0, NULL),
                       MERIT_STATUS_WORKSPACE_TOO_SMALL, "workspace has 0 bytes");
    tk_expect_rejected(tk->ctx,
                       merit_comm_fold_stats(tk->ctx, NULL, &good, &good_io, NULL, 0, NULL),
                       invalid, "comm is NULL");
    tk_expect_rejected(tk->ctx, merit_comm_fold_stats(tk->ctx, comm, NULL, &good_io, NULL, 0, NULL),
                       invalid, "desc is NULL");
    tk_expect_rejected(tk->ctx, merit_comm_fold_stats(tk->ctx, comm, &good, NULL, NULL, 0, NULL),
                       invalid, "io is NULL");
    tk_expect_rejected(tk->ctx, merit_comm_fold_stats_workspace(tk->ctx, comm, &good, NULL),
                       invalid, "bytes is NULL");
    TK_EXPECT(merit_comm_collectives(comm) == 0, "a rejected call starts no collective");
    merit_comm_destroy(comm);
}
