// comm_score_gradients: gradients of heads over the positions of all ranks. Ranks are threads; the peer is the
// bare all-gather of the same bytes.
#include "accuracy.h"
#include "bench_comm_score.h"
#include "bench_ranks.h"
#include "operations.h"

enum { AXIS_HIDDEN = AXIS_RANKS + 1, AXIS_HEADS };
enum { WEIGHT_TILES, BIAS_TILES, GRAD_WEIGHT, GRAD_BIAS }; // arrays
enum { TILES = 2, POSITIONS = TILES * 2048 }; // of a rank

static const bench_axis axes[] = {{"ranks", NULL}, {"hidden", NULL}, {"heads", NULL}, {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{2}, {256}, {1}}, BENCH_QUICK},
    {{{2}, {4096}, {1}}, 0},
    {{{4, 8, 16}, {256, 8192}, {1, 8}}, BENCH_FULL},
    {{{0}}, 0},
};

static bench_work work(bench_point p)
{
    const double sums = (double)(p.v[AXIS_HEADS] * (p.v[AXIS_HIDDEN] + 1)); // of a tile
    return (bench_work){.items = POSITIONS * (double)p.v[AXIS_RANKS],
                        .bytes_read = 8 * TILES * sums * (double)p.v[AXIS_RANKS],
                        .bytes_written = 4 * sums};
}

// Calls ---------------------------------------------------------------------------------------------

typedef struct call {
    merit_comm_score_gradients_desc desc;
    merit_comm_score_gradients_io io;
    merit_score_desc part; // desc.score
} call;
BENCH_CALL_OF_RANK(comm_score_gradients)

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    merit_status status =
        bench_score_part(POSITIONS, c->point.v[AXIS_HIDDEN], c->point.v[AXIS_HEADS], &made->part);
    if (status == MERIT_STATUS_OK) {
        status = merit_comm_score_gradients_desc_init(&made->desc, sizeof made->desc);
    }
    made->desc.score = &made->part;
    made->io = (merit_comm_score_gradients_io){.struct_size = sizeof made->io,
                                               .weight_tiles = buffers->array[WEIGHT_TILES],
                                               .bias_tiles = buffers->array[BIAS_TILES],
                                               .grad_weight = buffers->array[GRAD_WEIGHT],
                                               .grad_bias = buffers->array[GRAD_BIAS]};
    return status;
}

static void fill(const bench_rank *rank)
{
    bench_fill_tiles(rank, WEIGHT_TILES);
    bench_fill_tiles(rank, BIAS_TILES);
}

static bool setup(bench_case *c)
{
    const size_t heads = (size_t)c->point.v[AXIS_HEADS];
    const size_t weights = heads * (size_t)c->point.v[AXIS_HIDDEN];
    bench_add_input(c, TILES * weights * sizeof(double), NULL);
    bench_add_input(c, TILES * heads * sizeof(double), NULL);
    bench_add_output(c, weights * sizeof(float));
    bench_add_output(c, heads * sizeof(float));
    return bench_start_ranks(c, fill);
}

// Reference: tiles one after the other --------------------------------------------------------------

static bool check_sums(const bench_case *c, int tiles, const float *actual, bench_error *error)
{
    const int64_t count = (int64_t)(c->arrays[tiles].bytes / sizeof(double)) / TILES;
    bool good = true;
    for (int64_t i = 0; i < count; i++) {
        const double expected = bench_sum_of_tiles(c, tiles, count, i);
        good &= bench_check_f32(error, i, actual[i], expected, 1, 1e-15);
    }
    return good;
}

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const bool weights = check_sums(c, WEIGHT_TILES, results->array[GRAD_WEIGHT], error);
    return check_sums(c, BIAS_TILES, results->array[GRAD_BIAS], error) && weights;
}

const bench_op bench_comm_score_gradients = {
    .name = "comm_score_gradients",
    .item = "position",
    .dtype = "f64",
    .model = "tile sums f64 [ranks,2,K,H] and [ranks,2,K] of ranks that are threads, one "
             "all-gather, gradients f32 of heads written; naive: the bare all-gather",
    BENCH_OP_OF_RANKS,
};
