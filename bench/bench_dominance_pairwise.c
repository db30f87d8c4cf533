// dominance_pairwise: memory-bound on a device for few actions, bound by a subtraction, a minimum, a
// maximum and two additions per pair and level otherwise.
#include <math.h>
#include <stdio.h>

#include "accuracy.h"
#include "bench_dominance.h"
#include "movers.h"
#include "operations.h"
#include "random.h"

enum { AXIS_PRESET, AXIS_STATES, AXIS_OBJECTIVES, AXIS_ACTIONS, AXIS_LEVELS, AXIS_PEER };
enum { AREA = 1, WIN_RATE, ASO };
enum { LOOP = 1, ARRAYS };
enum { LEVELS, QD }; // arrays

static const char *const presets[] = {"qd.area", "qd.win_rate", "aso"};
// The naive peer: one loop over pairs and levels, or whole arrays as array code makes them.
static const char *const peers[] = {"loop", "arrays"};
static const bench_axis axes[] = {{"preset", presets}, {"states", NULL}, {"objectives", NULL},
                                  {"actions", NULL},   {"levels", NULL}, {"peer", peers},
                                  {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{AREA, WIN_RATE, ASO}, {256}, {4}, {16}, {64}, {LOOP}}, BENCH_QUICK},
    {{{AREA}, {1024}, {4}, {16}, {64}, {LOOP}}, BENCH_EACH_ISA},
    {{{AREA}, {4096}, {4}, {16}, {64}, {LOOP}}, BENCH_FULL | BENCH_EACH_ISA},
    {{{AREA}, {1024}, {4}, {16}, {64}, {ARRAYS}}, 0},
    {{{AREA}, {4096}, {4}, {16}, {64}, {ARRAYS}}, BENCH_FULL},
    {{{AREA}, {64}, {1}, {128}, {200}, {LOOP}}, 0},
    {{{AREA}, {256}, {1, 8}, {2, 4, 8, 16, 18, 32, 64}, {8, 32, 51, 200}, {LOOP}}, BENCH_FULL},
    {{{AREA}, {256}, {2, 4}, {16}, {51}, {LOOP}}, BENCH_FULL},
    {{{0}}, 0},
};

static int64_t num_rows(bench_point p)
{
    return p.v[AXIS_STATES] * p.v[AXIS_OBJECTIVES] * p.v[AXIS_ACTIONS];
}

static bench_work work(bench_point p)
{
    const double rows = (double)num_rows(p), actions = (double)p.v[AXIS_ACTIONS];
    return (bench_work){.items = rows * actions * (double)p.v[AXIS_LEVELS],
                        .bytes_read = 4 * rows * (double)p.v[AXIS_LEVELS],
                        .bytes_written = 4 * rows * actions};
}

// Rising levels around a mean of the row's own.
void bench_fill_levels(void *state, int64_t begin, int64_t end)
{
    const bench_levels *const l = state;
    for (int64_t row = begin; row < end; row++) {
        double level = bench_normal(l->seed, (uint64_t)row) - 1;
        for (int64_t n = 0; n < l->num_levels; n++) {
            const uint64_t word =
                bench_random(l->seed ^ 0x6c657665u, (uint64_t)(row * l->num_levels + n));
            level += (double)(word >> 40) * 0x1p-23 / (double)l->num_levels;
            l->levels[row * l->num_levels + n] = (float)level;
        }
    }
}

static bool setup(bench_case *c)
{
    const int64_t rows = num_rows(c->point), levels = c->point.v[AXIS_LEVELS];
    void *memory;
    bench_add_input(c, (size_t)(rows * levels) * sizeof(float), &memory);
    bench_levels state = {.seed = c->seed, .num_levels = levels, .levels = memory};
    bench_add_output(c, (size_t)(rows * c->point.v[AXIS_ACTIONS]) * sizeof(float));
    bench_parallel(64, rows, 1, bench_fill_levels, &state);
    snprintf(c->data, sizeof c->data, "generated");
    return true;
}

// Calls ---------------------------------------------------------------------------------------------

typedef struct call {
    merit_dominance_pairwise_desc desc;
    merit_dominance_pairwise_io io;
} call;
_Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    merit_status status = merit_dominance_pairwise_desc_init(&made->desc, sizeof made->desc);
    if (status != MERIT_STATUS_OK) return status;
    status = merit_dominance_pairwise_preset(presets[c->point.v[AXIS_PRESET] - 1], &made->desc);
    made->desc.num_states = c->point.v[AXIS_STATES];
    made->desc.num_objectives = (int32_t)c->point.v[AXIS_OBJECTIVES];
    made->desc.num_actions = (int32_t)c->point.v[AXIS_ACTIONS];
    made->desc.num_levels = (int32_t)c->point.v[AXIS_LEVELS];
    made->io = (merit_dominance_pairwise_io){
        .struct_size = sizeof made->io, .q = buffers->array[LEVELS], .qd = buffers->array[QD]};
    return status;
}

static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_dominance_pairwise_workspace(ctx, &((const call *)bound)->desc, bytes);
}

static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    const call *const made = (const call *)bound;
    return merit_dominance_pairwise(ctx, &made->desc, &made->io, scratch, scratch_bytes, stream);
}

// Reference in double, peer in float: loops over [B,M,A,A,N] ------------------------------------------

static double share(const float *a, const float *b, int64_t levels, int64_t preset)
{
    double more = 0, less = 0, tie = 0;
    for (int64_t n = 0; n < levels; n++) {
        const double d = (double)a[n] - b[n];
        const double size = preset == AREA ? fabs(d) : preset == ASO ? d * d : 1;
        more += d > 0 ? size : 0;
        less += d < 0 ? size : 0;
        tie += preset == WIN_RATE && d == 0 ? 0.5 : 0;
    }
    const double all = more + less + 2 * tie;
    return all == 0 ? 0.5 : (more + tie) / all;
}

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const int64_t rows = num_rows(c->point), A = c->point.v[AXIS_ACTIONS];
    const int64_t N = c->point.v[AXIS_LEVELS];
    const float *const levels = c->arrays[LEVELS].host;
    const float *const qd = results->array[QD];
    const double limit = ((double)N / 4 + 6) * 0x1p-24; // sums on four lanes
    bool good = true;
    for (int64_t row = 0; row < rows; row++) {
        const int64_t first = row / A * A;
        for (int64_t b = 0; b < A; b++) {
            const double expected =
                first + b == row
                    ? 0.5
                    : share(levels + row * N, levels + (first + b) * N, N, c->point.v[AXIS_PRESET]);
            good &= bench_check_f32(error, row * A + b, qd[row * A + b], expected, 1, limit);
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
    const int64_t A = s->c->point.v[AXIS_ACTIONS], N = s->c->point.v[AXIS_LEVELS];
    const int64_t preset = s->c->point.v[AXIS_PRESET];
    const float *const levels = s->buffers->array[LEVELS];
    float *const qd = s->buffers->array[QD];
    for (int64_t row = begin; row < end; row++) {
        const float *const a = levels + row * N;
        for (int64_t e = 0; e < A; e++) {
            const float *const b = levels + (row / A * A + e) * N;
            float more = 0, less = 0, tie = 0;
            for (int64_t n = 0; n < N; n++) {
                const float d = a[n] - b[n];
                const float size = preset == AREA ? fabsf(d) : preset == ASO ? d * d : 1;
                more += d > 0 ? size : 0;
                less += d < 0 ? size : 0;
                tie += preset == WIN_RATE && d == 0 ? 0.5f : 0;
            }
            const float all = more + less + 2 * tie;
            qd[row * A + e] = all == 0 ? 0.5f : (more + tie) / all;
        }
    }
}

static void peer(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    peer_state state = {c, buffers};
    if (c->point.v[AXIS_PEER] == ARRAYS) {
        const int64_t preset = c->point.v[AXIS_PRESET], A = c->point.v[AXIS_ACTIONS];
        bench_broadcast whole = {.levels = buffers->array[LEVELS],
                                 .qd = buffers->array[QD],
                                 .num_actions = A,
                                 .num_levels = c->point.v[AXIS_LEVELS],
                                 .power = preset == AREA  ? 1
                                          : preset == ASO ? 2
                                                          : 0};
        bench_parallel(num_threads, num_rows(c->point) / A, 1, bench_dominance_broadcast, &whole);
        return;
    }
    bench_parallel(num_threads, num_rows(c->point), c->point.v[AXIS_ACTIONS], peer_rows, &state);
}

const bench_op bench_dominance_pairwise = {
    .name = "dominance_pairwise",
    .item = "comparison of two levels",
    .model = "levels f32 [B,M,A,N] to qd f32 [B,M,A,A]; 4 N bytes read and 4 A written per row",
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
