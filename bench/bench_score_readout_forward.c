// score_readout_forward: memory-bound for directions, bound by exponentials and sorting otherwise.
#include <math.h>

#include "accuracy.h"
#include "bench_score_readout.h"
#include "movers.h"
#include "operations.h"

enum { OUT = READOUT_THIRD }; // reward or mean; then gate, or prob, variance, entropy, or cvar, iqr

// Floats that a row gets in output n; 0: there is none.
static int64_t width_of(const bench_point *p, int n)
{
    const int64_t K = p->v[READOUT_COLUMNS];
    switch (p->v[READOUT_PRESET]) {
    case READOUT_DPA: return n == 0;
    case READOUT_ARMO: return n == 0 ? 1 : n == 1 ? K : 0;
    case READOUT_OPRM: return n == 1 ? K : n < 4;
    default: return n < 3 ? READOUT_ATTRIBUTES : 0;
    }
}

static bench_work work(bench_point p)
{
    const double rows = (double)p.v[READOUT_ROWS];
    const double inputs = (double)p.v[READOUT_COLUMNS] * (readout_has_second(&p) ? 2 : 1);
    double outputs = 0;
    for (int n = 0; n < 4; n++)
        outputs += (double)width_of(&p, n);
    return (bench_work){
        .items = rows, .bytes_read = 4 * rows * inputs, .bytes_written = 4 * rows * outputs};
}

static bool setup(bench_case *c)
{
    readout_add_inputs(c);
    for (int n = 0; n < 4; n++) {
        const int64_t width = width_of(&c->point, n);
        if (width > 0) {
            bench_add_output(c, (size_t)(c->point.v[READOUT_ROWS] * width) * sizeof(float));
        }
    }
    return true;
}

// Calls ---------------------------------------------------------------------------------------------

typedef struct call {
    merit_score_readout_desc desc;
    merit_score_readout_forward_io io;
} call;
_Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    void *const *const out = buffers->array + OUT;
    made->io = (merit_score_readout_forward_io){.struct_size = sizeof made->io,
                                                .inputs = buffers->array[READOUT_INPUTS]};
    switch (c->point.v[READOUT_PRESET]) {
    case READOUT_DPA:
        made->io.direction = buffers->array[READOUT_SECOND];
        made->io.reward = out[0];
        break;
    case READOUT_ARMO:
        made->io.gate_logits = buffers->array[READOUT_SECOND];
        made->io.reward = out[0];
        made->io.gate = out[1];
        break;
    case READOUT_OPRM:
        made->io.mean = out[0];
        made->io.prob = out[1];
        made->io.variance = out[2];
        made->io.entropy = out[3];
        break;
    default:
        made->io.mean = out[0];
        made->io.cvar = out[1];
        made->io.iqr = out[2];
    }
    return readout_desc(&c->point, &made->desc);
}

static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_score_readout_forward_workspace(ctx, &((const call *)bound)->desc, bytes);
}

static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    const call *const made = (const call *)bound;
    return merit_score_readout_forward(ctx, &made->desc, &made->io, scratch, scratch_bytes, stream);
}

// Reference and peer: a row after the other in double -------------------------------------------------

// Exponentials take and give binary32: a share is off by some ulps for each unit of its logit.
static bool check_row(const bench_point *p, void *const *out, int64_t i, const readout_row *row,
                      bench_error *error)
{
    const int64_t K = p->v[READOUT_COLUMNS];
    const float *const first = out[0], *const second = out[1], *const third = out[2];
    bool good = true;
    switch (p->v[READOUT_PRESET]) {
    case READOUT_DPA: return bench_check_sum_f32(error, i, first[i], row->reward, row->size, 1);
    case READOUT_ARMO:
        good = bench_check_sum_f32(error, i, first[i], row->reward, row->size, 4);
        for (int64_t k = 0; k < K; k++)
            good &= bench_check_f32(error, i * K + k, second[i * K + k], row->share[k], 8, 0);
        return good;
    case READOUT_OPRM:
        good =
            bench_check_f32(error, i, first[i], row->mean[0], 4, 0) &
            bench_check_sum_f32(error, i, third[i], row->variance, row->mean[0] * row->mean[0], 4) &
            bench_check_sum_f32(error, i, ((const float *)out[3])[i], row->entropy, 1, 4);
        for (int64_t k = 0; k < K; k++)
            good &= bench_check_f32(error, i * K + k, second[i * K + k], row->share[k], 16, 0);
        return good;
    default:
        for (int a = 0; a < READOUT_ATTRIBUTES; a++) {
            const int64_t at = i * READOUT_ATTRIBUTES + a;
            good &= bench_check_sum_f32(error, at, first[at], row->mean[a], 1, 1);
            good &= bench_check_sum_f32(error, at, second[at], row->cvar[a], 1, 1);
            good &= bench_check_f32(error, at, third[at], row->iqr[a], 1, 0);
        }
        return good;
    }
}

static void store_row(const bench_point *p, void *const *out, int64_t i, const readout_row *row)
{
    const int64_t K = p->v[READOUT_COLUMNS];
    float *const first = out[0], *const second = out[1], *const third = out[2];
    switch (p->v[READOUT_PRESET]) {
    case READOUT_DPA: first[i] = (float)row->reward; break;
    case READOUT_ARMO:
    case READOUT_OPRM:
        first[i] = (float)(p->v[READOUT_PRESET] == READOUT_ARMO ? row->reward : row->mean[0]);
        for (int64_t k = 0; k < K; k++)
            second[i * K + k] = (float)row->share[k];
        if (p->v[READOUT_PRESET] == READOUT_ARMO) break;
        third[i] = (float)row->variance;
        ((float *)out[3])[i] = (float)row->entropy;
        break;
    default:
        for (int a = 0; a < READOUT_ATTRIBUTES; a++) {
            first[i * READOUT_ATTRIBUTES + a] = (float)row->mean[a];
            second[i * READOUT_ATTRIBUTES + a] = (float)row->cvar[a];
            third[i * READOUT_ATTRIBUTES + a] = (float)row->iqr[a];
        }
    }
}

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const bench_point *const p = &c->point;
    const int64_t K = p->v[READOUT_COLUMNS];
    const float *const x = c->arrays[READOUT_INPUTS].host;
    const float *const second = c->arrays[READOUT_SECOND].host;
    readout_row row;
    bool good = true;
    for (int64_t i = 0; i < p->v[READOUT_ROWS]; i++) {
        readout_of_row(p, x + i * K, readout_has_second(p) ? second + i * K : NULL, &row);
        good &= check_row(p, results->array + OUT, i, &row, error);
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
    const int64_t K = s->p->v[READOUT_COLUMNS];
    const float *const x = s->buffers->array[READOUT_INPUTS];
    const float *const second = s->buffers->array[READOUT_SECOND];
    readout_row row;
    for (int64_t i = begin; i < end; i++) {
        readout_of_row(s->p, x + i * K, readout_has_second(s->p) ? second + i * K : NULL, &row);
        store_row(s->p, s->buffers->array + OUT, i, &row);
    }
}

static void peer(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    peer_state state = {&c->point, buffers};
    bench_parallel(num_threads, c->point.v[READOUT_ROWS], 1, peer_rows, &state);
}

const bench_op bench_score_readout_forward = {
    .name = "score_readout_forward",
    .item = "row",
    .model =
        "head outputs f32 [P,K] read, directions or gate logits too; rewards or moments written, "
        "shares f32 [P,K] too",
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
