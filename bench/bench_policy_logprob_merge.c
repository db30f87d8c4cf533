// policy_logprob_merge: a record of 40 bytes per row and rank. Beside forward it is nothing; on a device a launch.
#include <math.h>
#include <stdio.h>

#include "accuracy.h"
#include "movers.h"
#include "operations.h"
#include "random.h"

enum { AXIS_TOKENS, AXIS_RANKS };
enum { SHARDS, TARGETS, LOGPROB, ENTROPY }; // arrays
enum { VOCAB = 16384 }; // of a rank

static const bench_axis axes[] = {{"tokens", NULL}, {"ranks", NULL}, {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{8192}, {8}}, BENCH_QUICK},
    {{{65536}, {2, 8}}, 0},
    {{{0}}, 0},
};

static bench_work work(bench_point p)
{
    const double tokens = (double)p.v[AXIS_TOKENS];
    return (bench_work){.items = tokens,
                        .bytes_read = tokens * (40 * (double)p.v[AXIS_RANKS] + 8),
                        .bytes_written = 8 * tokens};
}

// Records as of logits of deviation 3, more or less: consistent with one another, of no logits.
static bool setup(bench_case *c)
{
    const int64_t tokens = c->point.v[AXIS_TOKENS], ranks = c->point.v[AXIS_RANKS];
    void *memory;
    bench_add_input(c, (size_t)(tokens * ranks) * sizeof(merit_policy_logprob_shard), &memory);
    merit_policy_logprob_shard *const shards = memory;
    bench_add_input(c, (size_t)tokens * sizeof(int64_t), &memory);
    int64_t *const targets = memory;
    bench_add_output(c, (size_t)tokens * sizeof(float));
    bench_add_output(c, (size_t)tokens * sizeof(float));
    for (int64_t t = 0; t < tokens; t++) {
        targets[t] = (int64_t)(bench_random(c->seed, (uint64_t)t) % (uint64_t)(VOCAB * ranks));
    }
    for (int64_t i = 0; i < tokens * ranks; i++) {
        const int64_t p = i / tokens, t = i % tokens;
        const double u = bench_uniform(c->seed + 1, (uint64_t)i);
        merit_policy_logprob_shard *const s = &shards[i];
        s->exponent = 15 + (int32_t)(bench_random(c->seed + 2, (uint64_t)i) % 4);
        s->sum = 20 + 60 * u;
        s->moment = -s->sum * (4 + u);
        s->squares = s->sum / 3;
        s->max = (float)s->exponent * 0.69f;
        s->argmax = (int32_t)(p * VOCAB + (int64_t)(u * VOCAB));
        s->target = targets[t] / VOCAB == p ? (float)(6 * u - 3) : -INFINITY;
    }
    snprintf(c->data, sizeof c->data, "generated");
    return true;
}

// Calls -------------------------------------------------------------------------------------------

typedef struct call {
    merit_policy_logprob_desc desc;
    merit_policy_logprob_merge_io io;
} call;
_Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    const merit_status status = merit_policy_logprob_desc_init(&made->desc, sizeof made->desc);
    made->desc.num_tokens = c->point.v[AXIS_TOKENS];
    made->desc.vocab_size = VOCAB;
    made->desc.vocab_total = VOCAB * c->point.v[AXIS_RANKS];
    made->desc.num_shards = (int32_t)c->point.v[AXIS_RANKS];
    made->desc.partials = MERIT_LOGPROB_PARTIALS_SHARD;
    made->io = (merit_policy_logprob_merge_io){.struct_size = sizeof made->io,
                                               .shards = buffers->array[SHARDS],
                                               .targets = buffers->array[TARGETS],
                                               .logprob = buffers->array[LOGPROB],
                                               .entropy = buffers->array[ENTROPY]};
    return status;
}

static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_policy_logprob_merge_workspace(ctx, &((const call *)bound)->desc, bytes);
}

static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    const call *const made = (const call *)bound;
    return merit_policy_logprob_merge(ctx, &made->desc, &made->io, scratch, scratch_bytes, stream);
}

// Reference and peer ------------------------------------------------------------------------------

// Everything under the largest exponent, in double.
static void one_row(const merit_policy_logprob_shard *shards, int64_t tokens, int64_t ranks,
                    int64_t t, double *logprob, double *entropy)
{
    int32_t top = shards[t].exponent;
    double sum = 0, moment = 0, target = -INFINITY;
    for (int64_t p = 1; p < ranks; p++)
        top = shards[p * tokens + t].exponent > top ? shards[p * tokens + t].exponent : top;
    for (int64_t p = 0; p < ranks; p++) {
        const merit_policy_logprob_shard *const s = &shards[p * tokens + t];
        const double scale = exp2(s->exponent - top);
        sum += scale * s->sum;
        moment += scale * (s->moment + s->sum * (s->exponent - top));
        target = fmax(target, s->target);
    }
    *logprob = fmin(0, target - (top + log2(sum)) * 0.6931471805599453);
    *entropy = fmax(0, (log2(sum) - moment / sum) * 0.6931471805599453);
}

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const float *const logprob = results->array[LOGPROB], *const entropy = results->array[ENTROPY];
    bool good = true;
    for (int64_t t = 0; t < c->point.v[AXIS_TOKENS]; t++) {
        double expected, spread;
        one_row(c->arrays[SHARDS].host, c->point.v[AXIS_TOKENS], c->point.v[AXIS_RANKS], t,
                &expected, &spread);
        good &= bench_check_f32(error, t, logprob[t], expected, 0.51, 6e-8 * 20);
        good &= bench_check_f32(error, t, entropy[t], spread, 0.51, 1e-12);
    }
    return good;
}

typedef struct peer_state {
    const bench_case *c;
    const bench_buffers *buffers;
} peer_state;

static void peer_rows(void *state, int64_t begin, int64_t end)
{
    const peer_state *const p = state;
    float *const logprob = p->buffers->array[LOGPROB], *const entropy = p->buffers->array[ENTROPY];
    for (int64_t t = begin; t < end; t++) {
        double a, b;
        one_row(p->buffers->array[SHARDS], p->c->point.v[AXIS_TOKENS], p->c->point.v[AXIS_RANKS], t,
                &a, &b);
        logprob[t] = (float)a, entropy[t] = (float)b;
    }
}

static void peer(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    peer_state state = {c, buffers};
    bench_parallel(num_threads, c->point.v[AXIS_TOKENS], 1, peer_rows, &state);
}

const bench_op bench_policy_logprob_merge = {
    .name = "policy_logprob_merge",
    .item = "row",
    .dtype = "record",
    .model = "records of 40 bytes [P,T], targets i64 [T] to log-probs and entropies f32 [T]",
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
