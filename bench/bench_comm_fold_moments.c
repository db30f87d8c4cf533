// comm_fold_moments: the records of all ranks, gathered and folded. What it costs beside the all-gather, on
// ranks that are threads: the peer is the bare all-gather of the same bytes.
#include <math.h>

#include "accuracy.h"
#include "bench_ranks.h"
#include "operations.h"
#include "random.h"

enum { AXIS_RECORDS = AXIS_RANKS + 1 };
enum { LOCAL, MOMENTS }; // arrays
enum { GROUPS = 2048 }; // of a rank

static const bench_axis axes[] = {{"ranks", NULL}, {"records", NULL}, {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{2}, {1}}, BENCH_QUICK},
    {{{2}, {64}}, 0},
    {{{4, 8, 16}, {1, 64}}, BENCH_FULL},
    {{{0}}, 0},
};

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
BENCH_CALL_OF_RANK(comm_fold_moments)

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    const merit_status status = merit_comm_fold_moments_desc_init(&made->desc, sizeof made->desc);
    made->desc.num_groups = GROUPS;
    made->desc.num_sets = (int32_t)c->point.v[AXIS_RECORDS];
    made->io = (merit_comm_fold_moments_io){sizeof made->io, buffers->array[LOCAL],
                                            buffers->array[MOMENTS]};
    return status;
}

static void fill(const bench_rank *rank)
{
    merit_moments *const local = rank->arrays.array[LOCAL];
    for (int64_t i = 0; i < rank->c->point.v[AXIS_RECORDS]; i++)
        local[i] = record_of(rank->c->seed, rank->rank, i);
}

static bool setup(bench_case *c)
{
    const size_t bytes = (size_t)c->point.v[AXIS_RECORDS] * sizeof(merit_moments);
    bench_add_input(c, bytes, NULL);
    bench_add_output(c, bytes);
    return bench_start_ranks(c, fill);
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

const bench_op bench_comm_fold_moments = {
    .name = "comm_fold_moments",
    .item = "record",
    .dtype = "record",
    .model =
        "records of 40 bytes [ranks,S] of ranks that are threads, one all-gather; naive: the bare "
        "all-gather",
    BENCH_OP_OF_RANKS,
};
