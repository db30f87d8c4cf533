// policy_logprob_backward: one read of the logits, one write of their gradient. Out of place here, where the same
// logits are read again and again; in place the traffic is the same.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "accuracy.h"
#include "bench_policy_logits.h"
#include "movers.h"
#include "operations.h"
#include "random.h"

enum { AXIS_GRADIENTS, AXIS_TOKENS, AXIS_VOCAB, AXIS_DTYPE };
enum { LOGPROB = 1, ENTROPY };
enum { LOGITS, TARGETS, STATE, BY_LOGPROB, BY_ENTROPY, ENTROPIES, GRAD }; // arrays

static const char *const gradients_of[] = {"logprob", "entropy"};
static const char *const dtypes[] = {"bf16", "f32"};
static const bench_axis axes[] = {{"gradients", gradients_of},
                                  {"tokens", NULL},
                                  {"vocab", NULL},
                                  {"dtype", dtypes},
                                  {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{LOGPROB, ENTROPY}, {16}, {32768}, {LOGITS_BF16}}, BENCH_QUICK},
    {{{LOGPROB}, {64}, {131072}, {LOGITS_BF16}}, BENCH_EACH_ISA},
    {{{LOGPROB}, {256}, {131072}, {LOGITS_BF16}}, BENCH_FULL | BENCH_EACH_ISA},
    {{{ENTROPY}, {256}, {131072}, {LOGITS_BF16}}, BENCH_FULL},
    {{{LOGPROB}, {64}, {131072}, {LOGITS_F32}}, 0},
    {{{LOGPROB}, {256}, {131072}, {LOGITS_F32}}, BENCH_FULL},
    {{{LOGPROB}, {1, 16, 64, 256}, {32000, 50257, 128256, 262144}, {LOGITS_BF16}}, BENCH_FULL},
    {{{LOGPROB}, {4096, 8192}, {32000, 128256, 151936}, {LOGITS_BF16}}, BENCH_FULL | BENCH_DEVICE},
    {{{0}}, 0},
};

static logits_shape shape_of(const bench_case *c)
{
    return (logits_shape){c->point.v[AXIS_TOKENS], c->point.v[AXIS_VOCAB],
                          (int)c->point.v[AXIS_DTYPE], LOGITS_NORMAL, c->seed};
}

static bench_work work(bench_point p)
{
    const double tokens = (double)p.v[AXIS_TOKENS];
    const double bytes = tokens * (double)p.v[AXIS_VOCAB] * (p.v[AXIS_DTYPE] == LOGITS_F32 ? 4 : 2);
    const double row = p.v[AXIS_GRADIENTS] == ENTROPY ? 28 : 20;
    return (bench_work){.items = tokens * (double)p.v[AXIS_VOCAB],
                        .bytes_read = bytes + row * tokens,
                        .bytes_written = bytes};
}

// Inputs: state and entropies are what forward finds, by the reference ------------------------------

typedef struct states {
    const logits_shape *s;
    const void *logits;
    merit_policy_logprob_state *state;
    float *entropy;
} states;

static void fill_states(void *state, int64_t begin, int64_t end)
{
    const states *const f = state;
    for (int64_t t = begin; t < end; t++) {
        double lse, entropy;
        logits_reference(f->s, f->logits, t, &lse, &entropy);
        const double bits = lse * 1.4426950408889634;
        f->state[t].exponent = (int32_t)floor(bits);
        f->state[t].inverse = (float)exp2(floor(bits) - bits);
        f->entropy[t] = (float)entropy;
    }
}

static bool setup(bench_case *c)
{
    const logits_shape s = shape_of(c);
    const size_t rows = (size_t)s.tokens;
    void *logits, *targets, *state, *by_logprob, *by_entropy, *entropy;
    bench_add_input(c, logits_bytes(&s), &logits);
    bench_add_input(c, rows * sizeof(int64_t), &targets);
    bench_add_input(c, rows * sizeof(merit_policy_logprob_state), &state);
    bench_add_input(c, rows * sizeof(float), &by_logprob);
    bench_add_input(c, rows * sizeof(float), &by_entropy);
    bench_add_input(c, rows * sizeof(float), &entropy);
    bench_add_output(c, logits_bytes(&s));
    logits_fill(&s, logits, targets);
    states fill = {&s, logits, state, entropy};
    bench_parallel(64, s.tokens, 1, fill_states, &fill);
    for (size_t t = 0; t < rows; t++) {
        ((float *)by_logprob)[t] = bench_normal(c->seed + 2, t);
        ((float *)by_entropy)[t] = bench_normal(c->seed + 3, t) / 16;
    }
    snprintf(c->data, sizeof c->data, "generated");
    return true;
}

// Calls -------------------------------------------------------------------------------------------

typedef struct call {
    merit_policy_logprob_desc desc;
    merit_policy_logprob_backward_io io;
} call;
_Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    const merit_status status = merit_policy_logprob_desc_init(&made->desc, sizeof made->desc);
    made->desc.num_tokens = c->point.v[AXIS_TOKENS];
    made->desc.vocab_size = c->point.v[AXIS_VOCAB];
    made->desc.dtype = c->point.v[AXIS_DTYPE] == LOGITS_F32 ? MERIT_DTYPE_F32 : MERIT_DTYPE_BF16;
    made->io = (merit_policy_logprob_backward_io){.struct_size = sizeof made->io,
                                                  .logits = buffers->array[LOGITS],
                                                  .targets = buffers->array[TARGETS],
                                                  .state = buffers->array[STATE],
                                                  .grad_logprob = buffers->array[BY_LOGPROB],
                                                  .grad_logits = buffers->array[GRAD]};
    if (c->point.v[AXIS_GRADIENTS] == ENTROPY) {
        made->io.grad_entropy = buffers->array[BY_ENTROPY];
        made->io.entropy = buffers->array[ENTROPIES];
    }
    return status;
}

static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_policy_logprob_backward_workspace(ctx, &((const call *)bound)->desc, bytes);
}

static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    const call *const made = (const call *)bound;
    return merit_policy_logprob_backward(ctx, &made->desc, &made->io, scratch, scratch_bytes,
                                         stream);
}

// Reference and peer ------------------------------------------------------------------------------

// Error in steps of the output type. bf16: one rounding of what binary32 is off by little.
static bool check_one(bench_error *error, int is_f32, int64_t i, float actual, double expected,
                      double slack)
{
    const double step = bench_ulp32(expected) * (is_f32 ? 1 : 65536);
    const double difference = fabs(actual - expected);
    if (difference / step > error->max_ulp) error->max_ulp = difference / step;
    if (difference > error->max_abs) error->max_abs = difference;
    if (difference <= (is_f32 ? 3 : 0.51) * step + slack)
        return true; // three roundings of binary32
    if (error->text[0] == '\0') {
        snprintf(error->text, sizeof error->text, "element %lld is %.9g, expected %.9g",
                 (long long)i, (double)actual, expected);
    }
    return false;
}

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const logits_shape s = shape_of(c);
    const void *const logits = c->arrays[LOGITS].host;
    const int64_t *const targets = c->arrays[TARGETS].host;
    const float *const by_logprob = c->arrays[BY_LOGPROB].host;
    const float *const by_entropy = c->arrays[BY_ENTROPY].host;
    const int entropic = c->point.v[AXIS_GRADIENTS] == ENTROPY;
    bool good = true;
    for (int64_t t = 0; t < s.tokens; t++) {
        double lse, entropy;
        logits_reference(&s, logits, t, &lse, &entropy);
        for (int64_t v = 0; v < s.vocab; v++) {
            const int64_t i = t * s.vocab + v;
            const double log_pi = logits_at(&s, logits, i) - lse, pi = exp(log_pi);
            double g = by_logprob[t] * ((v == targets[t]) - pi);
            double slack = 2e-6 * pi * fabs(by_logprob[t]);
            if (entropic) {
                g -= by_entropy[t] * pi * (log_pi + entropy);
                slack += 2e-6 * pi * (entropy + 1 - log_pi) * fabs(by_entropy[t]);
            }
            good &= check_one(error, s.dtype == LOGITS_F32, i,
                              logits_at(&s, results->array[GRAD], i), g, slack);
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
    const peer_state *const p = state;
    const logits_shape s = shape_of(p->c);
    void *const *const array = p->buffers->array;
    const merit_policy_logprob_state *const states_of = array[STATE];
    const float *const by_logprob = array[BY_LOGPROB], *const by_entropy = array[BY_ENTROPY];
    const float *const entropy = array[ENTROPIES];
    const int64_t *const targets = array[TARGETS];
    const int entropic = p->c->point.v[AXIS_GRADIENTS] == ENTROPY;
    for (int64_t t = begin; t < end; t++) {
        const float lse = (float)states_of[t].exponent * 0.693147181f - logf(states_of[t].inverse);
        for (int64_t v = 0; v < s.vocab; v++) {
            const int64_t i = t * s.vocab + v;
            const float log_pi = logits_at(&s, array[LOGITS], i) - lse, pi = expf(log_pi);
            float g = by_logprob[t] * ((float)(v == targets[t]) - pi);
            if (entropic) g -= by_entropy[t] * pi * (log_pi + entropy[t]);
            uint32_t bits;
            memcpy(&bits, &g, sizeof bits);
            if (s.dtype == LOGITS_F32) {
                ((float *)array[GRAD])[i] = g;
            } else {
                ((uint16_t *)array[GRAD])[i] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
            }
        }
    }
}

static void peer(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    peer_state state = {c, buffers};
    bench_parallel(num_threads, c->point.v[AXIS_TOKENS], 1, peer_rows, &state);
}

const bench_op bench_policy_logprob_backward = {
    .name = "policy_logprob_backward",
    .item = "logit",
    .model = "logits [T,V] to gradients [T,V] of the same type, 20 bytes per row besides; 2 bytes "
             "read and 2 written per bf16 logit",
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
