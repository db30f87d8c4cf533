// dominance_quantile_sort: bound by the passes over the words of a row.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accuracy.h"
#include "movers.h"
#include "operations.h"
#include "random.h"

enum { AXIS_RESULTS, AXIS_ROWS, AXIS_LEVELS };
enum { ROWS = 1, FIVE };
enum { VALUES, SORTED }; // arrays
enum { MAX_LEVELS = 65536 };

static const char *const labels[] = {"rows", "five"};
static const double five[] = {.05, .25, .5, .75, .95};
static const bench_axis axes[] = {
    {"results", labels}, {"rows", NULL}, {"levels", NULL}, {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{ROWS}, {4096}, {32, 200}}, BENCH_QUICK},
    {{{ROWS}, {8192}, {200}}, BENCH_EACH_ISA},
    {{{ROWS}, {16384}, {200}}, BENCH_FULL | BENCH_EACH_ISA},
    {{{FIVE}, {512}, {4096}}, 0},
    {{{0}}, 0},
};

static int64_t num_results(bench_point p)
{
    return p.v[AXIS_RESULTS] == FIVE ? 5 : p.v[AXIS_LEVELS];
}

static bench_work work(bench_point p)
{
    const double rows = (double)p.v[AXIS_ROWS], values = rows * (double)p.v[AXIS_LEVELS];
    return (bench_work){.items = values,
                        .bytes_read = 4 * values,
                        .bytes_written = 4 * rows * (double)num_results(p)};
}

typedef struct generated {
    uint64_t seed;
    float *values;
} generated;

static void generate(void *state, int64_t begin, int64_t end)
{
    const generated *const g = state;
    for (int64_t i = begin; i < end; i++) {
        g->values[i] = bench_normal(g->seed, (uint64_t)i);
    }
}

static bool setup(bench_case *c)
{
    const int64_t rows = c->point.v[AXIS_ROWS], values = rows * c->point.v[AXIS_LEVELS];
    void *memory;
    bench_add_input(c, (size_t)values * sizeof(float), &memory);
    generated state = {.seed = c->seed, .values = memory};
    bench_parallel(64, values, 1, generate, &state);
    bench_add_output(c, (size_t)(rows * num_results(c->point)) * sizeof(float));
    snprintf(c->data, sizeof c->data, "generated");
    return true;
}

// Calls ---------------------------------------------------------------------------------------------

typedef struct call {
    merit_dominance_quantile_sort_desc desc;
    merit_dominance_quantile_sort_io io;
} call;
_Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    const merit_status status =
        merit_dominance_quantile_sort_desc_init(&made->desc, sizeof made->desc);
    made->desc.num_rows = c->point.v[AXIS_ROWS];
    made->desc.num_levels = (int32_t)c->point.v[AXIS_LEVELS];
    if (c->point.v[AXIS_RESULTS] == FIVE) made->desc.tau = five, made->desc.num_taus = 5;
    made->io = (merit_dominance_quantile_sort_io){.struct_size = sizeof made->io,
                                                  .values = buffers->array[VALUES],
                                                  .sorted = buffers->array[SORTED]};
    return status;
}

static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_dominance_quantile_sort_workspace(ctx, &((const call *)bound)->desc, bytes);
}

static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    const call *const made = (const call *)bound;
    return merit_dominance_quantile_sort(ctx, &made->desc, &made->io, scratch, scratch_bytes,
                                         stream);
}

// Reference and peer: qsort ---------------------------------------------------------------------------

static int ascending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void sort_row(const bench_case *c, const float *values, float *row, float *results)
{
    const int64_t levels = c->point.v[AXIS_LEVELS];
    memcpy(row, values, (size_t)levels * sizeof *row);
    qsort(row, (size_t)levels, sizeof *row, ascending);
    for (int64_t q = 0; q < num_results(c->point); q++) {
        int64_t place = q;
        if (c->point.v[AXIS_RESULTS] == FIVE) { // ceil(tau N) - 1
            for (place = 0; (double)(place + 1) < five[q] * (double)levels;)
                place++;
        }
        results[q] = row[place];
    }
}

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    static float row[MAX_LEVELS], expected[MAX_LEVELS];
    const int64_t levels = c->point.v[AXIS_LEVELS], count = num_results(c->point);
    bool good = true;
    for (int64_t r = 0; r < c->point.v[AXIS_ROWS]; r++) {
        sort_row(c, (const float *)c->arrays[VALUES].host + r * levels, row, expected);
        for (int64_t q = 0; q < count; q++) {
            const float actual = ((const float *)results->array[SORTED])[r * count + q];
            good &= bench_check_f32(error, r * count + q, actual, expected[q], 0, 0);
        }
    }
    return good;
}

typedef struct peer_state {
    const bench_case *c;
    const bench_buffers *buffers;
} peer_state;

static void peer_rows(void *state, int64_t begin, int64_t end)
{
    const peer_state *const s = state;
    const int64_t levels = s->c->point.v[AXIS_LEVELS];
    float row[MAX_LEVELS];
    for (int64_t r = begin; r < end; r++) {
        sort_row(s->c, (const float *)s->buffers->array[VALUES] + r * levels, row,
                 (float *)s->buffers->array[SORTED] + r * num_results(s->c->point));
    }
}

static void peer(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    peer_state state = {c, buffers};
    bench_parallel(num_threads, c->point.v[AXIS_ROWS], 16, peer_rows, &state);
}

const bench_op bench_dominance_quantile_sort = {
    .name = "dominance_quantile_sort",
    .item = "value",
    .model = "values f32 [R,N] read once, results f32 [R,N] or [R,5] written once",
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
