// comm_fold_sums: loss tiles and counts of all ranks, gathered and folded in one message. Ranks are threads;
// the peer is the bare all-gather of the same bytes.
#include "accuracy.h"
#include "bench_ranks.h"
#include "operations.h"
#include "random.h"

enum { AXIS_TILES = AXIS_RANKS + 1, AXIS_SUMS };
enum { TILES, COUNTS, SUMS, TOTALS }; // arrays
enum { ROWS = 2048, NUM_COUNTS = 2 }; // rows of a tile

static const bench_axis axes[] = {{"ranks", NULL}, {"tiles", NULL}, {"sums", NULL}, {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{2}, {1}, {1}}, BENCH_QUICK},
    {{{2}, {16}, {4}}, 0},
    {{{4, 8, 16}, {1, 64}, {1, 64}}, BENCH_FULL},
    {{{0}}, 0},
};

static bench_work work(bench_point p)
{
    const double size = (double)p.v[AXIS_RANKS], tiles = (double)p.v[AXIS_TILES];
    const double sums = (double)p.v[AXIS_SUMS];
    return (bench_work){.items = tiles * size,
                        .bytes_read = 8 * (tiles * sums + NUM_COUNTS) * size,
                        .bytes_written = 8 * (sums + NUM_COUNTS)};
}

static int64_t count_of(uint64_t seed, int64_t rank, int64_t i)
{
    return (int64_t)(bench_random(seed + 1, (uint64_t)(rank * NUM_COUNTS + i)) >> 24);
}

// Calls ---------------------------------------------------------------------------------------------

typedef struct call {
    merit_comm_fold_sums_desc desc;
    merit_comm_fold_sums_io io;
} call;
BENCH_CALL_OF_RANK(comm_fold_sums)

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    const merit_status status = merit_comm_fold_sums_desc_init(&made->desc, sizeof made->desc);
    made->desc.num_rows = ROWS * c->point.v[AXIS_TILES];
    made->desc.num_sums = (int32_t)c->point.v[AXIS_SUMS];
    made->desc.num_counts = NUM_COUNTS;
    made->io =
        (merit_comm_fold_sums_io){sizeof made->io, buffers->array[TILES], buffers->array[COUNTS],
                                  buffers->array[SUMS], buffers->array[TOTALS]};
    return status;
}

static void fill(const bench_rank *rank)
{
    int64_t *const counts = rank->arrays.array[COUNTS];
    bench_fill_tiles(rank, TILES);
    for (int64_t i = 0; i < NUM_COUNTS; i++)
        counts[i] = count_of(rank->c->seed, rank->rank, i);
}

static bool setup(bench_case *c)
{
    const size_t row = (size_t)c->point.v[AXIS_SUMS] * sizeof(double);
    bench_add_input(c, (size_t)c->point.v[AXIS_TILES] * row, NULL);
    bench_add_input(c, NUM_COUNTS * sizeof(int64_t), NULL);
    bench_add_output(c, row);
    bench_add_output(c, NUM_COUNTS * sizeof(int64_t));
    return bench_start_ranks(c, fill);
}

// Reference: tiles and counts one after the other ---------------------------------------------------

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const double *const sums = results->array[SUMS];
    const int64_t *const totals = results->array[TOTALS];
    const int64_t size = c->point.v[AXIS_RANKS], num_sums = c->point.v[AXIS_SUMS];
    const double tiles = (double)(size * c->point.v[AXIS_TILES]); // none above 1
    bool good = true;
    for (int64_t k = 0; k < num_sums; k++) {
        const double expected = bench_sum_of_tiles(c, TILES, num_sums, k);
        good &= bench_check_loss(error, sums[k], expected, 1e-15 * tiles);
    }
    for (int64_t i = 0; i < NUM_COUNTS; i++) {
        int64_t expected = 0;
        for (int64_t rank = 0; rank < size; rank++)
            expected += count_of(c->seed, rank, i);
        good &= bench_check_i64(error, "total_counts", i, totals[i], expected);
    }
    return good;
}

const bench_op bench_comm_fold_sums = {
    .name = "comm_fold_sums",
    .item = "tile",
    .dtype = "f64",
    .model = "tiles f64 [ranks,tiles,K] and two counts i64 of ranks that are threads, one "
             "all-gather; naive: the bare all-gather",
    BENCH_OP_OF_RANKS,
};
