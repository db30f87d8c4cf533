// score_finish: binary64 tile sums of shards to scores; memory-bound.
#include <stdio.h>

#include "accuracy.h"
#include "movers.h"
#include "operations.h"
#include "random.h"

enum { AXIS_TILES, AXIS_POSITIONS, AXIS_HEADS };
enum { TILE_SUMS, BIAS, SCORES }; // arrays

static const bench_axis axes[] = {
    {"tiles", NULL}, {"positions", NULL}, {"heads", NULL}, {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{2}, {16384}, {1}}, BENCH_QUICK},
    {{{4}, {524288}, {1}}, BENCH_EACH_ISA},
    {{{4}, {65536}, {8}}, 0},
    {{{0}}, 0},
};

static double sums_of(const bench_point *p)
{
    return (double)(p->v[AXIS_POSITIONS] * p->v[AXIS_HEADS]);
}

static bench_work work(bench_point p)
{
    return (bench_work){.items = (double)p.v[AXIS_POSITIONS],
                        .bytes_read = 8 * sums_of(&p) * (double)p.v[AXIS_TILES],
                        .bytes_written = 4 * sums_of(&p)};
}

static bool setup(bench_case *c)
{
    const int64_t heads = c->point.v[AXIS_HEADS];
    const int64_t count = c->point.v[AXIS_TILES] * c->point.v[AXIS_POSITIONS] * heads;
    void *memory;
    bench_add_input(c, (size_t)count * sizeof(double), &memory);
    double *const sums = memory;
    bench_add_input(c, (size_t)heads * sizeof(float), &memory);
    float *const bias = memory;
    bench_add_output(c, (size_t)sums_of(&c->point) * sizeof(float));
    for (int64_t i = 0; i < count; i++)
        sums[i] = 2 * bench_uniform(c->seed, (uint64_t)i) - 1;
    for (int64_t k = 0; k < heads; k++)
        bias[k] = bench_normal(c->seed + 1, (uint64_t)k);
    snprintf(c->data, sizeof c->data, "generated");
    return true;
}

// Calls ---------------------------------------------------------------------------------------------

typedef struct call {
    merit_score_finish_desc desc;
    merit_score_finish_io io;
} call;
_Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    const merit_status status = merit_score_finish_desc_init(&made->desc, sizeof made->desc);
    made->desc.num_tiles = c->point.v[AXIS_TILES];
    made->desc.num_positions = c->point.v[AXIS_POSITIONS];
    made->desc.num_heads = (int32_t)c->point.v[AXIS_HEADS];
    made->io = (merit_score_finish_io){.struct_size = sizeof made->io,
                                       .tile_sums = buffers->array[TILE_SUMS],
                                       .bias = buffers->array[BIAS],
                                       .scores = buffers->array[SCORES]};
    return status;
}

static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_score_finish_workspace(ctx, &((const call *)bound)->desc, bytes);
}

static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    const call *const made = (const call *)bound;
    return merit_score_finish(ctx, &made->desc, &made->io, scratch, scratch_bytes, stream);
}

// Reference and peer: tiles one after the other ---------------------------------------------------

static double score_of(const bench_point *p, const double *sums, const float *bias, int64_t i)
{
    const int64_t count = p->v[AXIS_POSITIONS] * p->v[AXIS_HEADS];
    double sum = (double)bias[i % p->v[AXIS_HEADS]];
    for (int64_t tile = 0; tile < p->v[AXIS_TILES]; tile++)
        sum += sums[tile * count + i];
    return sum;
}

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const float *const actual = results->array[SCORES];
    bool good = true;
    for (int64_t i = 0; i < (int64_t)sums_of(&c->point); i++) {
        const double expected =
            score_of(&c->point, c->arrays[TILE_SUMS].host, c->arrays[BIAS].host, i);
        good &= bench_check_f32(error, i, actual[i], expected, 1, 1e-15);
    }
    return good;
}

typedef struct peer_state {
    const bench_point *p;
    const bench_buffers *buffers;
} peer_state;

static void peer_sums(void *state, int64_t begin, int64_t end)
{
    const peer_state *const s = state;
    float *const scores = s->buffers->array[SCORES];
    for (int64_t i = begin; i < end; i++) {
        scores[i] = (float)score_of(s->p, s->buffers->array[TILE_SUMS], s->buffers->array[BIAS], i);
    }
}

static void peer(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    peer_state state = {&c->point, buffers};
    bench_parallel(num_threads, (int64_t)sums_of(&c->point), 1, peer_sums, &state);
}

const bench_op bench_score_finish = {
    .name = "score_finish",
    .item = "position",
    .dtype = "f64",
    .model = "tile sums f64 [tiles,P,K] read, scores f32 [P,K] written",
    .axes = axes,
    .sweeps = sweeps,
    .work = work,
    .setup = setup,
    .bind = bind,
    .workspace = workspace,
    .run = run,
    .check = check,
    .peer = peer,
};
