// dominance_quantile_target: memory-bound, a fused multiply-add per sample.
#include <math.h>
#include <stdio.h>

#include "accuracy.h"
#include "bench_dominance.h"
#include "movers.h"
#include "operations.h"
#include "random.h"

enum { AXIS_PRESET, AXIS_STATES, AXIS_OBJECTIVES, AXIS_ACTIONS, AXIS_LEVELS };
enum { SHARED = 1, MIXTURE };
enum { LEVELS, REWARD, CHOICE, TARGET, COUNT }; // arrays

static const char *const presets[] = {"td.shared", "td.mixture"};
static const char *const labels[] = {"shared", "mixture"};
static const bench_axis axes[] = {{"preset", labels}, {"states", NULL}, {"objectives", NULL},
                                  {"actions", NULL},  {"levels", NULL}, {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{SHARED, MIXTURE}, {512}, {4}, {16}, {64}}, BENCH_QUICK},
    {{{SHARED}, {4096}, {4}, {16}, {200}}, BENCH_EACH_ISA},
    {{{0}}, 0},
};

// Actions whose samples a row takes. A mixture takes all, so that no part of its row is left alone.
static int64_t size_of_set(bench_point p)
{
    return p.v[AXIS_PRESET] == MIXTURE ? p.v[AXIS_ACTIONS] : 1;
}

static int64_t num_rows(bench_point p)
{
    return p.v[AXIS_STATES] * p.v[AXIS_OBJECTIVES];
}

static bench_work work(bench_point p)
{
    const double rows = (double)num_rows(p);
    const double samples = rows * (double)(size_of_set(p) * p.v[AXIS_LEVELS]);
    return (bench_work){.items = samples,
                        .bytes_read = 4 * (samples + rows + (double)p.v[AXIS_STATES]),
                        .bytes_written = 4 * samples};
}

static bool setup(bench_case *c)
{
    const int64_t rows = num_rows(c->point), states = c->point.v[AXIS_STATES];
    const int64_t actions = c->point.v[AXIS_ACTIONS], levels = c->point.v[AXIS_LEVELS];
    const bool mixture = c->point.v[AXIS_PRESET] == MIXTURE;
    void *memory;
    bench_add_input(c, (size_t)(rows * actions * levels) * sizeof(float), &memory);
    bench_levels state = {.seed = c->seed, .num_levels = levels, .levels = memory};
    bench_parallel(64, rows * actions, 1, bench_fill_levels, &state);
    bench_add_input(c, (size_t)rows * sizeof(float), &memory);
    for (int64_t r = 0; r < rows; r++) {
        ((float *)memory)[r] = bench_normal(c->seed + 1, (uint64_t)r);
    }
    bench_add_input(c, (size_t)states * sizeof(uint32_t), &memory);
    for (int64_t b = 0; b < states; b++) {
        const uint64_t word = bench_random(c->seed + 2, (uint64_t)b);
        const uint32_t set = (uint32_t)((1ull << actions) - 1);
        ((uint32_t *)memory)[b] = mixture ? set : (uint32_t)(word % (uint64_t)actions);
    }
    bench_add_output(c, (size_t)(rows * (mixture ? actions : 1) * levels) * sizeof(float));
    if (mixture) bench_add_output(c, (size_t)rows * sizeof(int32_t));
    snprintf(c->data, sizeof c->data, "generated");
    return true;
}

// Calls ---------------------------------------------------------------------------------------------

typedef struct call {
    merit_dominance_quantile_target_desc desc;
    merit_dominance_quantile_target_io io;
} call;
_Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    const bool mixture = c->point.v[AXIS_PRESET] == MIXTURE;
    merit_status status = merit_dominance_quantile_target_desc_init(&made->desc, sizeof made->desc);
    if (status != MERIT_STATUS_OK) return status;
    status =
        merit_dominance_quantile_target_preset(presets[c->point.v[AXIS_PRESET] - 1], &made->desc);
    made->desc.num_states = c->point.v[AXIS_STATES];
    made->desc.num_objectives = (int32_t)c->point.v[AXIS_OBJECTIVES];
    made->desc.num_actions = (int32_t)c->point.v[AXIS_ACTIONS];
    made->desc.num_levels = (int32_t)c->point.v[AXIS_LEVELS];
    made->io = (merit_dominance_quantile_target_io){.struct_size = sizeof made->io,
                                                    .q_next = buffers->array[LEVELS],
                                                    .reward = buffers->array[REWARD],
                                                    .target = buffers->array[TARGET]};
    if (mixture) made->io.final = buffers->array[CHOICE];
    if (mixture) made->io.target_count = buffers->array[COUNT];
    if (!mixture) made->io.action = buffers->array[CHOICE];
    return status;
}

static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_dominance_quantile_target_workspace(ctx, &((const call *)bound)->desc, bytes);
}

static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    const call *const made = (const call *)bound;
    return merit_dominance_quantile_target(ctx, &made->desc, &made->io, scratch, scratch_bytes,
                                           stream);
}

// Reference in double, peer in float ------------------------------------------------------------------

// Whether action a is taken in the state of row r.
static bool takes(const bench_case *c, const uint32_t *choice, int64_t r, int64_t a)
{
    const uint32_t word = choice[r / c->point.v[AXIS_OBJECTIVES]];
    return c->point.v[AXIS_PRESET] == MIXTURE ? (word >> a & 1) != 0 : word == (uint32_t)a;
}

static int64_t room(bench_point p)
{
    return (p.v[AXIS_PRESET] == MIXTURE ? p.v[AXIS_ACTIONS] : 1) * p.v[AXIS_LEVELS];
}

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const int64_t actions = c->point.v[AXIS_ACTIONS], levels = c->point.v[AXIS_LEVELS];
    const float *const q = c->arrays[LEVELS].host, *const reward = c->arrays[REWARD].host;
    bool good = true;
    for (int64_t r = 0; r < num_rows(c->point); r++) {
        const float *row = (const float *)results->array[TARGET] + r * room(c->point);
        int64_t count = 0;
        for (int64_t a = 0; a < actions; a++) {
            if (!takes(c, c->arrays[CHOICE].host, r, a)) continue;
            for (int64_t n = 0; n < levels; n++, count++) {
                const double z = q[(r * actions + a) * levels + n];
                const double expected = reward[r] + (double)0.99f * z;
                good &= bench_check_f32(error, r * room(c->point) + count, row[count], expected,
                                        0.51, 0x1p-149);
            }
        }
        if (c->point.v[AXIS_PRESET] != MIXTURE) continue;
        good &= bench_check_i64(error, "target_count", r,
                                ((const int32_t *)results->array[COUNT])[r], count);
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
    const int64_t actions = s->c->point.v[AXIS_ACTIONS], levels = s->c->point.v[AXIS_LEVELS];
    const float *const reward = s->buffers->array[REWARD];
    for (int64_t r = begin; r < end; r++) {
        float *out = (float *)s->buffers->array[TARGET] + r * room(s->c->point);
        int64_t count = 0;
        for (int64_t a = 0; a < actions; a++) {
            if (!takes(s->c, s->buffers->array[CHOICE], r, a)) continue;
            const float *const z =
                (const float *)s->buffers->array[LEVELS] + (r * actions + a) * levels;
            for (int64_t n = 0; n < levels; n++) {
                out[count++] = reward[r] + 0.99f * z[n];
            }
        }
        if (s->c->point.v[AXIS_PRESET] == MIXTURE) {
            ((int32_t *)s->buffers->array[COUNT])[r] = (int32_t)count;
        }
    }
}

static void peer(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    peer_state state = {c, buffers};
    bench_parallel(num_threads, num_rows(c->point), 16, peer_rows, &state);
}

const bench_op bench_dominance_quantile_target = {
    .name = "dominance_quantile_target",
    .item = "sample",
    .model = "the samples of the chosen actions f32 read, as many targets f32 written",
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
