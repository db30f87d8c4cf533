// comm_score: tile sums of hidden states cut over ranks to scores. Ranks are threads; the peer is the bare
// all-gather of the same bytes.
#include "bench_comm_score.h"
#include "accuracy.h"
#include "bench_ranks.h"
#include "operations.h"
#include "random.h"

enum { AXIS_POSITIONS = AXIS_RANKS + 1, AXIS_HEADS };
enum { TILE_SUMS, BIAS, SCORES }; // arrays
enum { TILES = 2, HIDDEN = TILES * 2048 }; // of a rank

static const bench_axis axes[] = {
    {"ranks", NULL}, {"positions", NULL}, {"heads", NULL}, {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{2}, {256}, {1}}, BENCH_QUICK},
    {{{2}, {4096}, {1}}, 0},
    {{{4, 8, 16}, {256, 8192}, {1, 8}}, BENCH_FULL},
    {{{0}}, 0},
};

// Of a tile.
static int64_t sums_of(const bench_point *p)
{
    return p->v[AXIS_POSITIONS] * p->v[AXIS_HEADS];
}

static bench_work work(bench_point p)
{
    const double sums = (double)sums_of(&p);
    return (bench_work){.items = (double)p.v[AXIS_POSITIONS],
                        .bytes_read = 8 * TILES * sums * (double)p.v[AXIS_RANKS],
                        .bytes_written = 4 * sums};
}

// Calls ---------------------------------------------------------------------------------------------

typedef struct call {
    merit_comm_score_desc desc;
    merit_comm_score_io io;
    merit_score_desc part; // desc.score
} call;
BENCH_CALL_OF_RANK(comm_score)

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    merit_status status =
        bench_score_part(c->point.v[AXIS_POSITIONS], HIDDEN, c->point.v[AXIS_HEADS], &made->part);
    if (status == MERIT_STATUS_OK) {
        status = merit_comm_score_desc_init(&made->desc, sizeof made->desc);
    }
    made->desc.score = &made->part;
    made->desc.hidden_begin = (int64_t)HIDDEN * merit_comm_rank(bench_comm());
    made->desc.hidden_total = HIDDEN * c->point.v[AXIS_RANKS];
    made->io = (merit_comm_score_io){.struct_size = sizeof made->io,
                                     .tile_sums = buffers->array[TILE_SUMS],
                                     .bias = buffers->array[BIAS],
                                     .scores = buffers->array[SCORES]};
    return status;
}

// The bias is the same on all ranks.
static void fill(const bench_rank *rank)
{
    float *const bias = rank->arrays.array[BIAS];
    bench_fill_tiles(rank, TILE_SUMS);
    for (int64_t k = 0; k < rank->c->point.v[AXIS_HEADS]; k++)
        bias[k] = bench_normal(rank->c->seed + 1, (uint64_t)k);
}

static bool setup(bench_case *c)
{
    const size_t sums = (size_t)sums_of(&c->point);
    bench_add_input(c, TILES * sums * sizeof(double), NULL);
    bench_add_input(c, (size_t)c->point.v[AXIS_HEADS] * sizeof(float), NULL);
    bench_add_output(c, sums * sizeof(float));
    return bench_start_ranks(c, fill);
}

// Reference: tiles one after the other --------------------------------------------------------------

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const float *const actual = results->array[SCORES];
    const float *const bias = bench_rank_input(0, BIAS);
    const int64_t sums = sums_of(&c->point);
    bool good = true;
    for (int64_t i = 0; i < sums; i++) {
        const double expected =
            bench_sum_of_tiles(c, TILE_SUMS, sums, i) + (double)bias[i % c->point.v[AXIS_HEADS]];
        good &= bench_check_f32(error, i, actual[i], expected, 1, 1e-15);
    }
    return good;
}

const bench_op bench_comm_score = {
    .name = "comm_score",
    .item = "position",
    .dtype = "f64",
    .model = "tile sums f64 [ranks,2,P,K] of ranks that are threads, one all-gather, scores f32 "
             "[P,K] written; naive: the bare all-gather",
    BENCH_OP_OF_RANKS,
};
