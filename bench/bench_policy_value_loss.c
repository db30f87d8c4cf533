// policy_value_loss: memory-bound.
#include <math.h>
#include <stdio.h>

#include "accuracy.h"
#include "movers.h"
#include "operations.h"
#include "random.h"

enum { AXIS_SEQUENCES, AXIS_LENGTH };
enum { VALUE, OLD_VALUE, RETURNS, MASK, GRADIENTS, LOSS }; // arrays

static const bench_axis axes[] = {{"sequences", NULL}, {"length", NULL}, {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{64}, {1024}}, BENCH_QUICK},
    {{{1024}, {1024}}, BENCH_EACH_ISA},
    {{{8192}, {2048}}, BENCH_FULL},
    {{{0}}, 0},
};

static int64_t num_tokens(bench_point p)
{
    return p.v[AXIS_SEQUENCES] * p.v[AXIS_LENGTH];
}

static bench_work work(bench_point p)
{
    const double tokens = (double)num_tokens(p);
    return (bench_work){.items = tokens, .bytes_read = 13 * tokens, .bytes_written = 4 * tokens};
}

static bool setup(bench_case *c)
{
    const int64_t tokens = num_tokens(c->point);
    const size_t bytes = (size_t)tokens * sizeof(float);
    void *arrays[4];
    bench_add_input(c, bytes, &arrays[VALUE]);
    bench_add_input(c, bytes, &arrays[OLD_VALUE]);
    bench_add_input(c, bytes, &arrays[RETURNS]);
    bench_add_input(c, (size_t)tokens, &arrays[MASK]);
    bench_add_output(c, bytes);
    bench_add_output(c, sizeof(double));
    for (int64_t t = 0; t < tokens; t++) {
        const float v = bench_normal(c->seed, (uint64_t)t);
        ((float *)arrays[VALUE])[t] = v;
        ((float *)arrays[OLD_VALUE])[t] =
            v + 0.2f * bench_normal(c->seed ^ 0x6f6c6476u, (uint64_t)t);
        ((float *)arrays[RETURNS])[t] = bench_normal(c->seed ^ 0x72657475u, (uint64_t)t);
        ((uint8_t *)arrays[MASK])[t] =
            bench_random(c->seed ^ 0x6d61736bu, (uint64_t)t) % 8 != 0 ? 1 : 0;
    }
    snprintf(c->data, sizeof c->data, "generated");
    return true;
}

typedef struct call {
    merit_policy_value_loss_desc desc;
    merit_policy_value_loss_io io;
} call;
_Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    const merit_status status = merit_policy_value_loss_desc_init(&made->desc, sizeof made->desc);
    made->desc.num_tokens = num_tokens(c->point);
    made->desc.sequences.num_groups = c->point.v[AXIS_SEQUENCES];
    made->desc.sequences.group_size = c->point.v[AXIS_LENGTH];
    made->desc.denominator = (double)num_tokens(c->point);
    made->io = (merit_policy_value_loss_io){.struct_size = sizeof made->io,
                                            .value = buffers->array[VALUE],
                                            .old_value = buffers->array[OLD_VALUE],
                                            .returns = buffers->array[RETURNS],
                                            .mask = buffers->array[MASK],
                                            .grad_value = buffers->array[GRADIENTS],
                                            .loss = buffers->array[LOSS]};
    return status;
}

static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_policy_value_loss_workspace(ctx, &((const call *)bound)->desc, bytes);
}

static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    const call *const made = (const call *)bound;
    return merit_policy_value_loss(ctx, &made->desc, &made->io, scratch, scratch_bytes, stream);
}

// Loss and slope of a token in double; *tie: the two branches differ by less than they round.
static double one_token(double v, double old, double R, double *slope, bool *tie)
{
    const double clip = (double)0.2f;
    const double near = v < old - clip ? old - clip : v > old + clip ? old + clip : v;
    const double first = (v - R) * (v - R), second = (near - R) * (near - R);
    *slope = first >= second ? v - R : 0;
    *tie = near != v && fabs(first - second) <= 1e-5 * (first + 1e-3);
    return 0.5 * (first >= second ? first : second);
}

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const int64_t tokens = num_tokens(c->point);
    const float *const v = c->arrays[VALUE].host, *const old = c->arrays[OLD_VALUE].host;
    const float *const R = c->arrays[RETURNS].host;
    const uint8_t *const mask = c->arrays[MASK].host;
    const float *const gradients = results->array[GRADIENTS];
    double sum = 0;
    bool good = true;
    for (int64_t t = 0; t < tokens; t++) {
        double slope = 0;
        bool tie = false;
        if (mask[t]) sum += one_token(v[t], old[t], R[t], &slope, &tie);
        if (tie) continue;
        const double D = (double)tokens;
        good &= bench_check_f32(error, t, gradients[t], slope / D, 4, 1e-7 / D);
    }
    const double loss = *(const double *)results->array[LOSS];
    const double expected = sum / (double)tokens;
    if (!(fabs(loss - expected) <= 1e-6 * expected)) {
        if (error->text[0] == '\0') {
            snprintf(error->text, sizeof error->text, "loss is %.9g, expected %.9g", loss,
                     expected);
        }
        good = false;
    }
    return good;
}

typedef struct peer_state {
    const bench_case *c;
    const bench_buffers *buffers;
} peer_state;

static void peer_tokens(void *state, int64_t begin, int64_t end)
{
    const peer_state *const p = state;
    void *const *const array = p->buffers->array;
    const float *const v = array[VALUE], *const old = array[OLD_VALUE], *const R = array[RETURNS];
    const uint8_t *const mask = array[MASK];
    const double share = 1 / (double)num_tokens(p->c->point);
    double loss = 0;
    for (int64_t t = begin; t < end; t++) {
        double slope = 0;
        bool tie;
        if (mask[t]) loss += one_token(v[t], old[t], R[t], &slope, &tie);
        ((float *)array[GRADIENTS])[t] = (float)(slope * share);
    }
    if (begin == 0) *(double *)array[LOSS] = loss * share;
}

static void peer(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    peer_state state = {c, buffers};
    bench_parallel(num_threads, num_tokens(c->point), 4096, peer_tokens, &state);
}

const bench_op bench_policy_value_loss = {
    .name = "policy_value_loss",
    .item = "token",
    .model = "value, old_value, returns f32 [T], mask u8 [T] to gradient f32 [T], loss f64: 13 "
             "bytes read "
             "and 4 written per token",
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
