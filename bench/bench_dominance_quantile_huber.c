// dominance_quantile_huber: bound by arithmetic, about ten operations per pair of a level and a target.
#include <math.h>
#include <stdio.h>

#include "accuracy.h"
#include "movers.h"
#include "operations.h"
#include "random.h"

enum { AXIS_PRESET, AXIS_ROWS, AXIS_LEVELS, AXIS_TARGETS };
enum { IQN = 1, PINBALL };
enum { QUANTILES, TAU, TARGETS, GRADIENTS, LOSS }; // arrays

static const char *const presets[] = {"iqn", "pinball"};
static const bench_axis axes[] = {
    {"preset", presets}, {"rows", NULL}, {"levels", NULL}, {"targets", NULL}, {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{IQN}, {1024}, {32}, {32}}, BENCH_QUICK},
    {{{IQN}, {512}, {200}, {200}}, BENCH_EACH_ISA},
    {{{IQN}, {1024}, {200}, {200}}, BENCH_FULL},
    {{{IQN}, {4096}, {200}, {200}}, BENCH_FULL},
    {{{PINBALL}, {4096}, {64}, {64}}, 0},
    {{{IQN}, {65536}, {8}, {8}}, 0},
    {{{0}}, 0},
};

static bench_work work(bench_point p)
{
    const double rows = (double)p.v[AXIS_ROWS], levels = (double)p.v[AXIS_LEVELS];
    const double targets = (double)p.v[AXIS_TARGETS];
    return (bench_work){.items = rows * levels * targets,
                        .bytes_read = 4 * (rows * (levels + targets) + levels),
                        .bytes_written = 4 * rows * levels + 8};
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
    const int64_t rows = c->point.v[AXIS_ROWS], levels = c->point.v[AXIS_LEVELS];
    const int64_t targets = c->point.v[AXIS_TARGETS];
    void *memory;
    bench_add_input(c, (size_t)(rows * levels) * sizeof(float), &memory);
    generated state = {.seed = c->seed, .values = memory};
    bench_parallel(64, rows * levels, 1, generate, &state);
    bench_add_input(c, (size_t)levels * sizeof(float), &memory);
    for (int64_t i = 0; i < levels; i++) {
        ((float *)memory)[i] = ((float)i + 0.5f) / (float)levels;
    }
    bench_add_input(c, (size_t)(rows * targets) * sizeof(float), &memory);
    state = (generated){.seed = c->seed + 1, .values = memory};
    bench_parallel(64, rows * targets, 1, generate, &state);
    bench_add_output(c, (size_t)(rows * levels) * sizeof(float));
    bench_add_output(c, sizeof(double));
    snprintf(c->data, sizeof c->data, "generated");
    return true;
}

// Calls ---------------------------------------------------------------------------------------------

typedef struct call {
    merit_dominance_quantile_huber_desc desc;
    merit_dominance_quantile_huber_io io;
} call;
_Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    merit_status status = merit_dominance_quantile_huber_desc_init(&made->desc, sizeof made->desc);
    if (status != MERIT_STATUS_OK) return status;
    status =
        merit_dominance_quantile_huber_preset(presets[c->point.v[AXIS_PRESET] - 1], &made->desc);
    made->desc.num_rows = c->point.v[AXIS_ROWS];
    made->desc.num_levels = (int32_t)c->point.v[AXIS_LEVELS];
    made->desc.num_targets = (int32_t)c->point.v[AXIS_TARGETS];
    made->io = (merit_dominance_quantile_huber_io){.struct_size = sizeof made->io,
                                                   .quantiles = buffers->array[QUANTILES],
                                                   .tau = buffers->array[TAU],
                                                   .targets = buffers->array[TARGETS],
                                                   .loss = buffers->array[LOSS],
                                                   .grad_quantiles = buffers->array[GRADIENTS]};
    return status;
}

static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_dominance_quantile_huber_workspace(ctx, &((const call *)bound)->desc, bytes);
}

static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    const call *const made = (const call *)bound;
    return merit_dominance_quantile_huber(ctx, &made->desc, &made->io, scratch, scratch_bytes,
                                          stream);
}

// Reference in double, peer in float: loops over [R,N,N'] ---------------------------------------------

// Sums over the targets of a level: loss, and slope by the level's value. The largest of the slopes.
static double one_level(bool pinball, double tau, double z, const float *y, int64_t targets,
                        double *loss, double *slope)
{
    double largest = 0;
    for (int64_t j = 0; j < targets; j++) {
        const double u = y[j] - z, w = u < 0 ? 1 - tau : tau, size = fabs(u);
        *loss += w * (pinball ? size : size <= 1 ? u * u / 2 : size - 0.5);
        *slope -= w * (pinball || size > 1 ? (u < 0 ? -1 : 1) : u);
        largest = fmax(largest, w * (pinball || size > 1 ? 1 : size));
    }
    return largest;
}

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const int64_t rows = c->point.v[AXIS_ROWS], levels = c->point.v[AXIS_LEVELS];
    const int64_t targets = c->point.v[AXIS_TARGETS];
    const float *const z = c->arrays[QUANTILES].host, *const tau = c->arrays[TAU].host;
    const float *const y = c->arrays[TARGETS].host;
    const float *const actual = results->array[GRADIENTS];
    const double scale = 1 / ((double)rows * (double)targets);
    const double limit = (double)targets / 4 + 4; // sums on four lanes
    double sum = 0;
    bool good = true;
    for (int64_t i = 0; i < rows * levels; i++) {
        double slope = 0;
        const double largest = one_level(c->point.v[AXIS_PRESET] == PINBALL, tau[i % levels], z[i],
                                         y + i / levels * targets, targets, &sum, &slope);
        good &=
            bench_check_sum_f32(error, i, actual[i], slope * scale, largest / (double)rows, limit);
    }
    const double loss = *(const double *)results->array[LOSS];
    good &= bench_check_loss(error, loss, sum * scale, (limit + 4) * 0x1p-24 * sum * scale);
    return good;
}

typedef struct peer_state {
    const bench_case *c;
    const bench_buffers *buffers;
    double *sums;
} peer_state;

static void peer_rows(void *state, int64_t begin, int64_t end)
{
    const peer_state *const s = state;
    const int64_t levels = s->c->point.v[AXIS_LEVELS], targets = s->c->point.v[AXIS_TARGETS];
    const bool pinball = s->c->point.v[AXIS_PRESET] == PINBALL;
    const float *const tau = s->buffers->array[TAU];
    const float scale = 1.0f / ((float)s->c->point.v[AXIS_ROWS] * (float)targets);
    float *const gradients = s->buffers->array[GRADIENTS];
    double sum = 0;
    for (int64_t r = begin; r < end; r++) {
        const float *const y = (const float *)s->buffers->array[TARGETS] + r * targets;
        for (int64_t i = 0; i < levels; i++) {
            const float z = ((const float *)s->buffers->array[QUANTILES])[r * levels + i];
            float loss = 0, slope = 0;
            for (int64_t j = 0; j < targets; j++) {
                const float u = y[j] - z, w = u < 0 ? 1 - tau[i] : tau[i], size = fabsf(u);
                loss += w * (pinball ? size : size <= 1 ? u * u / 2 : size - 0.5f);
                slope -= w * (pinball || size > 1 ? (u < 0 ? -1.0f : 1.0f) : u);
            }
            gradients[r * levels + i] = slope * scale;
            sum += loss * scale;
        }
    }
    // one writer per part: the parts start at multiples of 64 rows
    s->sums[begin / 64] = sum;
}

static void peer(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    static double sums[1 << 12];
    peer_state state = {c, buffers, sums};
    const int64_t parts = (c->point.v[AXIS_ROWS] + 63) / 64;
    for (int64_t k = 0; k < parts; k++) {
        sums[k] = 0;
    }
    bench_parallel(num_threads, c->point.v[AXIS_ROWS], 64, peer_rows, &state);
    double loss = 0;
    for (int64_t k = 0; k < parts; k++) {
        loss += sums[k];
    }
    *(double *)buffers->array[LOSS] = loss;
}

const bench_op bench_dominance_quantile_huber = {
    .name = "dominance_quantile_huber",
    .item = "level against a target",
    .model = "quantiles f32 [R,N], targets f32 [R,N'] to gradients f32 [R,N] and a loss; tau once",
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
