// score_readout_backward: as the forward pass, and gradients of its inputs written.
#include <math.h>

#include "accuracy.h"
#include "bench_score_readout.h"
#include "movers.h"
#include "operations.h"
#include "random.h"

enum { UPSTREAM = READOUT_THIRD, GRAD_INPUTS, GRAD_SECOND }; // arrays

static bench_work work(bench_point p)
{
    const double rows = (double)p.v[READOUT_ROWS];
    const double inputs = (double)p.v[READOUT_COLUMNS] * (readout_has_second(&p) ? 2 : 1);
    return (bench_work){.items = rows,
                        .bytes_read = 4 * rows * (inputs + readout_attributes(&p)),
                        .bytes_written = 4 * rows * inputs};
}

static bool setup(bench_case *c)
{
    const int64_t rows = c->point.v[READOUT_ROWS];
    const int64_t count = rows * readout_attributes(&c->point);
    const size_t bytes = (size_t)(rows * c->point.v[READOUT_COLUMNS]) * sizeof(float);
    void *memory;
    readout_add_inputs(c);
    bench_add_input(c, (size_t)count * sizeof(float), &memory);
    float *const upstream = memory;
    for (int64_t i = 0; i < count; i++)
        upstream[i] = bench_normal(c->seed + 2, (uint64_t)i);
    bench_add_output(c, bytes);
    if (readout_has_second(&c->point)) bench_add_output(c, bytes);
    return true;
}

// Calls ---------------------------------------------------------------------------------------------

typedef struct call {
    merit_score_readout_desc desc;
    merit_score_readout_backward_io io;
} call;
_Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    const float *const upstream = buffers->array[UPSTREAM];
    made->io = (merit_score_readout_backward_io){.struct_size = sizeof made->io,
                                                 .inputs = buffers->array[READOUT_INPUTS],
                                                 .grad_inputs = buffers->array[GRAD_INPUTS]};
    switch (c->point.v[READOUT_PRESET]) {
    case READOUT_DPA:
        made->io.direction = buffers->array[READOUT_SECOND];
        made->io.grad_reward = upstream;
        made->io.grad_direction = buffers->array[GRAD_SECOND];
        break;
    case READOUT_ARMO:
        made->io.gate_logits = buffers->array[READOUT_SECOND];
        made->io.grad_reward = upstream;
        made->io.grad_gate_logits = buffers->array[GRAD_SECOND];
        break;
    case READOUT_OPRM:
        made->io.grad_mean = made->io.grad_variance = made->io.grad_entropy = upstream;
        break;
    default: made->io.grad_mean = made->io.grad_cvar = made->io.grad_iqr = upstream;
    }
    return readout_desc(&c->point, &made->desc);
}

static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_score_readout_backward_workspace(ctx, &((const call *)bound)->desc, bytes);
}

static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    const call *const made = (const call *)bound;
    return merit_score_readout_backward(ctx, &made->desc, &made->io, scratch, scratch_bytes,
                                        stream);
}

// Reference and peer: a row after the other in double -------------------------------------------------

// Exponentials take and give binary32: a share is off by some ulps for each unit of its logit.
static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const bench_point *const p = &c->point;
    const int64_t K = p->v[READOUT_COLUMNS], A = readout_attributes(p);
    const bool both = readout_has_second(p);
    const float *const x = c->arrays[READOUT_INPUTS].host;
    const float *const second = c->arrays[READOUT_SECOND].host;
    const float *const upstream = c->arrays[UPSTREAM].host;
    const float *const grad_inputs = results->array[GRAD_INPUTS];
    const float *const grad_second = both ? results->array[GRAD_SECOND] : NULL;
    readout_slopes s;
    bool good = true;
    for (int64_t i = 0; i < p->v[READOUT_ROWS]; i++) {
        readout_slopes_of_row(p, x + i * K, both ? second + i * K : NULL, upstream + i * A, &s);
        for (int64_t k = 0; k < K; k++) {
            const int64_t at = i * K + k;
            good &=
                bench_check_sum_f32(error, at, grad_inputs[at], s.inputs[k], s.input_size[k], 16);
            if (!both) continue;
            good &=
                bench_check_sum_f32(error, at, grad_second[at], s.second[k], s.second_size[k], 8);
        }
    }
    return good;
}

typedef struct peer_state {
    const bench_point *p;
    const bench_buffers *buffers;
} peer_state;

static void peer_rows(void *state, int64_t begin, int64_t end)
{
    const peer_state *const s = state;
    const int64_t K = s->p->v[READOUT_COLUMNS], A = readout_attributes(s->p);
    const bool both = readout_has_second(s->p);
    const float *const x = s->buffers->array[READOUT_INPUTS];
    const float *const second = s->buffers->array[READOUT_SECOND];
    const float *const upstream = s->buffers->array[UPSTREAM];
    float *const grad_inputs = s->buffers->array[GRAD_INPUTS];
    readout_slopes row;
    for (int64_t i = begin; i < end; i++) {
        readout_slopes_of_row(s->p, x + i * K, both ? second + i * K : NULL, upstream + i * A,
                              &row);
        for (int64_t k = 0; k < K; k++)
            grad_inputs[i * K + k] = (float)row.inputs[k];
        for (int64_t k = 0; both && k < K; k++)
            ((float *)s->buffers->array[GRAD_SECOND])[i * K + k] = (float)row.second[k];
    }
}

static void peer(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    peer_state state = {&c->point, buffers};
    bench_parallel(num_threads, c->point.v[READOUT_ROWS], 1, peer_rows, &state);
}

const bench_op bench_score_readout_backward = {
    .name = "score_readout_backward",
    .item = "row",
    .model = "what the forward pass reads and gradients of its outputs read; gradients f32 [P,K] "
             "of head "
             "outputs written, of directions or gate logits too",
    .axes = readout_axes,
    .sweeps = readout_sweeps,
    .work = work,
    .setup = setup,
    .bind = bind,
    .workspace = workspace,
    .run = run,
    .check = check,
    .peer = peer,
};
