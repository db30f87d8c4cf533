// advantage_spread: bound by writing the tokens.
#include <stdio.h>
#include <string.h>

#include "accuracy.h"
#include "movers.h"
#include "operations.h"
#include "random.h"

enum { AXIS_SEQUENCES, AXIS_TOKENS };
enum { VALUES, MASK, OUT }; // arrays

static const bench_axis axes[] = {{"sequences", NULL}, {"tokens", NULL}, {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{512}, {1024}}, BENCH_QUICK},
    {{{4096}, {2048}}, 0},
    {{{0}}, 0},
};

static int64_t num_tokens(bench_point p)
{
    return p.v[AXIS_SEQUENCES] * p.v[AXIS_TOKENS];
}

static bench_work work(bench_point p)
{
    const double tokens = (double)num_tokens(p);
    return (bench_work){
        .items = tokens,
        .bytes_read = tokens + 4 * (double)p.v[AXIS_SEQUENCES],
        .bytes_written = 4 * tokens,
    };
}

// Responses of any length up to the row: the mask is 1 up to it.
static bool setup(bench_case *c)
{
    const int64_t sequences = c->point.v[AXIS_SEQUENCES];
    const int64_t tokens = c->point.v[AXIS_TOKENS];
    void *values_memory, *mask_memory;
    bench_add_input(c, (size_t)sequences * sizeof(float), &values_memory);
    bench_add_input(c, (size_t)num_tokens(c->point), &mask_memory);
    bench_add_output(c, (size_t)num_tokens(c->point) * sizeof(float));
    float *const values = values_memory;
    uint8_t *const mask = mask_memory;
    for (int64_t b = 0; b < sequences; b++) {
        values[b] = bench_normal(c->seed, (uint64_t)b);
        const uint64_t draw = bench_random(c->seed + 1, (uint64_t)b);
        memset(mask + b * tokens, 1, (size_t)(draw % (uint64_t)tokens + 1));
    }
    snprintf(c->data, sizeof c->data, "generated");
    return true;
}

typedef struct call {
    merit_advantage_spread_desc desc;
    merit_advantage_spread_io io;
} call;
_Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    const merit_status status = merit_advantage_spread_desc_init(&made->desc, sizeof made->desc);
    made->desc.num_tokens = num_tokens(c->point);
    made->desc.segments.num_groups = c->point.v[AXIS_SEQUENCES];
    made->desc.segments.group_size = c->point.v[AXIS_TOKENS];
    made->io = (merit_advantage_spread_io){
        .struct_size = sizeof made->io,
        .values = buffers->array[VALUES],
        .mask = buffers->array[MASK],
        .out = buffers->array[OUT],
    };
    return status;
}

static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_advantage_spread_workspace(ctx, &((const call *)bound)->desc, bytes);
}

static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    const call *const made = (const call *)bound;
    return merit_advantage_spread(ctx, &made->desc, &made->io, scratch, scratch_bytes, stream);
}

// Gain 1 and nothing added: the value itself, or 0.
static bool check(const bench_case *c, const bench_buffers *outputs, bench_error *error)
{
    const float *const values = c->arrays[VALUES].host;
    const uint8_t *const mask = c->arrays[MASK].host;
    const float *const actual = outputs->array[OUT];
    bool good = true;
    for (int64_t t = 0; t < num_tokens(c->point); t++) {
        const double expected = mask[t] ? (double)values[t / c->point.v[AXIS_TOKENS]] : 0;
        good &= bench_check_f32(error, t, actual[t], expected, 0, 0);
    }
    return good;
}

typedef struct peer_state {
    const float *values;
    const uint8_t *mask;
    float *out;
    int64_t tokens;
} peer_state;

static void peer_sequences(void *state, int64_t begin, int64_t end)
{
    const peer_state *const s = state;
    for (int64_t b = begin; b < end; b++) {
        for (int64_t t = b * s->tokens; t < (b + 1) * s->tokens; t++) {
            s->out[t] = s->mask[t] ? s->values[b] : 0.0f;
        }
    }
}

static void peer(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    peer_state state = {buffers->array[VALUES], buffers->array[MASK], buffers->array[OUT],
                        c->point.v[AXIS_TOKENS]};
    bench_parallel(num_threads, c->point.v[AXIS_SEQUENCES], 1, peer_sequences, &state);
}

const bench_op bench_advantage_spread = {
    .name = "advantage_spread",
    .item = "token",
    .model = "values f32 [B] and mask u8 [T] to f32 [T]; 1 byte read and 4 written per token, "
             "4 read per sequence",
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
