// policy_logprob_forward: one read of the logits, bound by the arithmetic of 2^x on a CPU, by that and by memory
// alike on a device.
#include <math.h>
#include <stdio.h>

#include "accuracy.h"
#include "bench_policy_logits.h"
#include "movers.h"
#include "operations.h"

enum { AXIS_RESULTS, AXIS_TOKENS, AXIS_VOCAB, AXIS_DTYPE, AXIS_LOGITS };
enum { LOGPROB = 1, ENTROPY };
enum { LOGITS, TARGETS, OUT_LOGPROB, OUT_ENTROPY }; // arrays

static const char *const results_of[] = {"logprob", "entropy"};
static const char *const dtypes[] = {"bf16", "f32", "f16"};
static const char *const kinds[] = {"normal", "peaked", "flat"};
static const bench_axis axes[] = {{"results", results_of}, {"tokens", NULL},  {"vocab", NULL},
                                  {"dtype", dtypes},       {"logits", kinds}, {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{LOGPROB, ENTROPY}, {16}, {32768}, {LOGITS_BF16}, {LOGITS_NORMAL}}, BENCH_QUICK},
    {{{LOGPROB}, {128}, {131072}, {LOGITS_BF16}, {LOGITS_NORMAL}}, BENCH_EACH_ISA},
    {{{LOGPROB}, {512}, {131072}, {LOGITS_BF16}, {LOGITS_NORMAL}}, BENCH_FULL | BENCH_EACH_ISA},
    {{{ENTROPY}, {512}, {131072}, {LOGITS_BF16}, {LOGITS_NORMAL}}, BENCH_FULL},
    {{{LOGPROB}, {64}, {151936}, {LOGITS_F32}, {LOGITS_NORMAL}}, 0},
    {{{LOGPROB}, {256}, {151936}, {LOGITS_F32}, {LOGITS_NORMAL}}, BENCH_FULL},
    {{{LOGPROB}, {256}, {50257}, {LOGITS_BF16}, {LOGITS_NORMAL}}, 0}, // rows at odd addresses
    {{{LOGPROB}, {1}, {131072}, {LOGITS_BF16}, {LOGITS_NORMAL}}, 0},
    {{{LOGPROB},
      {1, 16, 64, 256, 1024},
      {32000, 65536, 128256, 200064, 262144},
      {LOGITS_BF16},
      {LOGITS_NORMAL}},
     BENCH_FULL},
    {{{LOGPROB}, {1, 256, 1024}, {32768, 50257, 151936}, {LOGITS_BF16}, {LOGITS_NORMAL}},
     BENCH_FULL},
    {{{LOGPROB}, {256}, {32000, 50257, 128256}, {LOGITS_F16}, {LOGITS_NORMAL}}, BENCH_FULL},
    {{{LOGPROB},
      {4096, 8192, 16384},
      {32000, 50257, 128256, 151936},
      {LOGITS_BF16},
      {LOGITS_NORMAL}},
     BENCH_FULL | BENCH_DEVICE},
    {{{ENTROPY}, {8192}, {128256, 151936, 262144}, {LOGITS_BF16}, {LOGITS_NORMAL}},
     BENCH_FULL | BENCH_DEVICE},
    {{{ENTROPY}, {256}, {32000, 50257, 128256, 262144}, {LOGITS_BF16, LOGITS_F32}, {LOGITS_NORMAL}},
     BENCH_FULL},
    {{{LOGPROB}, {256}, {128256}, {LOGITS_BF16}, {LOGITS_PEAKED, LOGITS_FLAT}}, BENCH_FULL},
    {{{ENTROPY}, {256}, {128256}, {LOGITS_BF16}, {LOGITS_FLAT}}, BENCH_FULL},
    {{{0}}, 0},
};

static logits_shape shape_of(const bench_case *c)
{
    return (logits_shape){c->point.v[AXIS_TOKENS], c->point.v[AXIS_VOCAB],
                          (int)c->point.v[AXIS_DTYPE], (int)c->point.v[AXIS_LOGITS], c->seed};
}

static bench_work work(bench_point p)
{
    const double tokens = (double)p.v[AXIS_TOKENS];
    const double logits = tokens * (double)p.v[AXIS_VOCAB];
    return (bench_work){.items = logits,
                        .bytes_read = logits * (p.v[AXIS_DTYPE] == LOGITS_F32 ? 4 : 2) + 8 * tokens,
                        .bytes_written = (p.v[AXIS_RESULTS] == ENTROPY ? 8 : 4) * tokens};
}

static bool setup(bench_case *c)
{
    const logits_shape s = shape_of(c);
    void *logits, *targets;
    bench_add_input(c, logits_bytes(&s), &logits);
    bench_add_input(c, (size_t)s.tokens * sizeof(int64_t), &targets);
    bench_add_output(c, (size_t)s.tokens * sizeof(float));
    if (c->point.v[AXIS_RESULTS] == ENTROPY) bench_add_output(c, (size_t)s.tokens * sizeof(float));
    logits_fill(&s, logits, targets);
    snprintf(c->data, sizeof c->data, "generated");
    return true;
}

// Calls -------------------------------------------------------------------------------------------

typedef struct call {
    merit_policy_logprob_desc desc;
    merit_policy_logprob_forward_io io;
} call;
_Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    const merit_status status = merit_policy_logprob_desc_init(&made->desc, sizeof made->desc);
    made->desc.num_tokens = c->point.v[AXIS_TOKENS];
    made->desc.vocab_size = c->point.v[AXIS_VOCAB];
    static const merit_dtype types[] = {[LOGITS_BF16] = MERIT_DTYPE_BF16,
                                        [LOGITS_F32] = MERIT_DTYPE_F32,
                                        [LOGITS_F16] = MERIT_DTYPE_F16};
    made->desc.dtype = types[c->point.v[AXIS_DTYPE]];
    made->io = (merit_policy_logprob_forward_io){.struct_size = sizeof made->io,
                                                 .logits = buffers->array[LOGITS],
                                                 .targets = buffers->array[TARGETS],
                                                 .logprob = buffers->array[OUT_LOGPROB]};
    if (c->point.v[AXIS_RESULTS] == ENTROPY) made->io.entropy = buffers->array[OUT_ENTROPY];
    return status;
}

static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_policy_logprob_forward_workspace(ctx, &((const call *)bound)->desc, bytes);
}

static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    const call *const made = (const call *)bound;
    return merit_policy_logprob_forward(ctx, &made->desc, &made->io, scratch, scratch_bytes,
                                        stream);
}

// Reference and peer ------------------------------------------------------------------------------

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const logits_shape s = shape_of(c);
    return logits_check(
        &s, c->arrays[LOGITS].host, c->arrays[TARGETS].host, results->array[OUT_LOGPROB],
        c->point.v[AXIS_RESULTS] == ENTROPY ? results->array[OUT_ENTROPY] : NULL, error);
}

typedef struct peer_state {
    const bench_case *c;
    const bench_buffers *buffers;
} peer_state;

static void peer_rows(void *state, int64_t begin, int64_t end)
{
    const peer_state *const p = state;
    const logits_shape s = shape_of(p->c);
    const void *const logits = p->buffers->array[LOGITS];
    const int64_t *const targets = p->buffers->array[TARGETS];
    float *const logprob = p->buffers->array[OUT_LOGPROB];
    float *const entropy =
        p->c->point.v[AXIS_RESULTS] == ENTROPY ? p->buffers->array[OUT_ENTROPY] : NULL;
    for (int64_t t = begin; t < end; t++) {
        float lse;
        logits_naive(&s, logits, t, &lse, entropy == NULL ? NULL : &entropy[t]);
        logprob[t] = logits_at(&s, logits, t * s.vocab + targets[t]) - lse;
    }
}

static void peer(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    peer_state state = {c, buffers};
    bench_parallel(num_threads, c->point.v[AXIS_TOKENS], 1, peer_rows, &state);
}

const bench_op bench_policy_logprob_forward = {
    .name = "policy_logprob_forward",
    .item = "logit",
    .model = "logits [T,V] once, targets i64 [T] to log-probs f32 [T] (and entropies); 2 bytes "
             "read per bf16 logit",
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
