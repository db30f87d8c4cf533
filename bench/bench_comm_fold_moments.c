// comm_fold_moments: the records of all ranks, gathered and folded. What it costs beside the all-gather, on
// ranks that are threads: the peer is the bare all-gather of the same bytes.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "accuracy.h"
#include "bench_ranks.h"
#include "operations.h"
#include "random.h"

enum { AXIS_RANKS, AXIS_RECORDS };
enum { LOCAL, MOMENTS }; // arrays
enum { GROUPS = 2048 }; // of a rank

static const bench_axis axes[] = {{"ranks", NULL}, {"records", NULL}, {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{2}, {1}}, BENCH_QUICK},
    {{{2, 4}, {64}}, 0},
    {{{8, 16}, {1, 64}}, BENCH_FULL},
    {{{0}}, 0},
};

static bench_ranks *ranks; // of the point that is run

static bench_work work(bench_point p)
{
    const double records = (double)p.v[AXIS_RECORDS], size = (double)p.v[AXIS_RANKS];
    return (bench_work){.items = records * size,
                        .bytes_read = sizeof(merit_moments) * records * size,
                        .bytes_written = sizeof(merit_moments) * records};
}

// Record i of a rank: groups with a mean near 1/2, no two records alike.
static merit_moments record_of(uint64_t seed, int64_t rank, int64_t i)
{
    const uint64_t at = (uint64_t)(rank * 65536 + i);
    const double mean = bench_uniform(seed, at), spread = bench_uniform(seed + 1, at);
    return (merit_moments){.count = GROUPS,
                           .mean = mean,
                           .m2 = GROUPS * spread * spread,
                           .min = mean - 4 * spread,
                           .max = mean + 4 * spread};
}

// Calls ---------------------------------------------------------------------------------------------

typedef struct call {
    merit_comm_fold_moments_desc desc;
    merit_comm_fold_moments_io io;
} call;
_Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status make_call(int64_t records, const void *local, void *moments, call *made)
{
    const merit_status status = merit_comm_fold_moments_desc_init(&made->desc, sizeof made->desc);
    made->desc.num_groups = GROUPS;
    made->desc.num_sets = (int32_t)records;
    made->io = (merit_comm_fold_moments_io){sizeof made->io, local, moments};
    return status;
}

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    return make_call(c->point.v[AXIS_RECORDS], buffers->array[LOCAL], buffers->array[MOMENTS],
                     (call *)bound);
}

static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_comm_fold_moments_workspace(ctx, bench_comm_of(ranks),
                                             &((const call *)bound)->desc, bytes);
}

static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    const call *const made = (const call *)bound;
    return merit_comm_fold_moments(ctx, bench_comm_of(ranks), &made->desc, &made->io, scratch,
                                   scratch_bytes, stream);
}

// Ranks ---------------------------------------------------------------------------------------------

static merit_status call_as_rank(void *state, merit_context *ctx, merit_comm *comm)
{
    const bench_case *const c = state;
    const int64_t records = c->point.v[AXIS_RECORDS];
    merit_moments *const moments = calloc(2 * (size_t)records, sizeof *moments);
    call made;
    size_t bytes = 0;
    merit_status status = make_call(records, moments, moments + records, &made);
    if (status == MERIT_STATUS_OK) {
        status = merit_comm_fold_moments_workspace(ctx, comm, &made.desc, &bytes);
    }
    void *const scratch = aligned_alloc(256, bytes + 256 - bytes % 256);
    for (int64_t i = 0; i < records && moments != NULL; i++)
        moments[i] = record_of(c->seed, merit_comm_rank(comm), i);
    if (status == MERIT_STATUS_OK && moments != NULL && scratch != NULL) {
        status = merit_comm_fold_moments(ctx, comm, &made.desc, &made.io, scratch, bytes, NULL);
    }
    free(moments);
    free(scratch);
    return status;
}

static bool setup(bench_case *c)
{
    const int64_t records = c->point.v[AXIS_RECORDS];
    void *memory;
    bench_add_input(c, (size_t)records * sizeof(merit_moments), &memory);
    merit_moments *const local = memory;
    bench_add_output(c, (size_t)records * sizeof(merit_moments));
    for (int64_t i = 0; i < records; i++)
        local[i] = record_of(c->seed, 0, i);
    snprintf(c->data, sizeof c->data, "generated");
    ranks = bench_start_ranks((int)c->point.v[AXIS_RANKS], call_as_rank, c, c->reason);
    return ranks != NULL;
}

static void teardown(bench_case *c)
{
    (void)c;
    bench_stop_ranks(ranks);
    ranks = NULL;
}

// Reference: the textbook, two passes over the ranks -----------------------------------------------

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const merit_moments *const actual = results->array[MOMENTS];
    const int64_t size = c->point.v[AXIS_RANKS];
    bool good = true;
    for (int64_t i = 0; i < c->point.v[AXIS_RECORDS]; i++) {
        double sum = 0, m2 = 0, min = INFINITY, max = -INFINITY;
        for (int64_t rank = 0; rank < size; rank++) {
            const merit_moments m = record_of(c->seed, rank, i);
            sum += m.mean / (double)size; // all have as many groups
            min = fmin(min, m.min), max = fmax(max, m.max);
        }
        for (int64_t rank = 0; rank < size; rank++) {
            const merit_moments m = record_of(c->seed, rank, i);
            m2 += m.m2 + m.count * (m.mean - sum) * (m.mean - sum);
        }
        good &= bench_check_i64(error, "count", i, (int64_t)actual[i].count, GROUPS * size);
        good &= bench_check_loss(error, actual[i].mean, sum, 1e-15);
        good &= bench_check_loss(error, actual[i].m2, m2, 1e-14 * m2);
        good &= bench_check_loss(error, actual[i].min, min, 0);
        good &= bench_check_loss(error, actual[i].max, max, 0);
    }
    return good;
}

static void peer(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    (void)c, (void)buffers, (void)num_threads;
    bench_bare_allgather(ranks);
}

const bench_op bench_comm_fold_moments = {
    .name = "comm_fold_moments",
    .item = "record",
    .model =
        "records of 40 bytes [ranks,S] of ranks that are threads, one all-gather; naive: the bare "
        "all-gather",
    .axes = axes,
    .sweeps = sweeps,
    .cpu_only = true,
    .work = work,
    .setup = setup,
    .bind = bind,
    .workspace = workspace,
    .run = run,
    .check = check,
    .peer = peer,
    .teardown = teardown,
};
