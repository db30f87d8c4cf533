// score_backward: gradients of rows (bf16) and of heads from all tokens; memory-bound for few heads.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "accuracy.h"
#include "movers.h"
#include "operations.h"
#include "random.h"

enum { AXIS_TOKENS, AXIS_HIDDEN, AXIS_HEADS };
enum { HIDDEN, WEIGHT, GRADIENTS, GRAD_HIDDEN, GRAD_WEIGHT }; // arrays

static const bench_axis axes[] = {
    {"tokens", NULL}, {"hidden", NULL}, {"heads", NULL}, {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{1024}, {1024}, {1}}, BENCH_QUICK},
    {{{4096}, {2048}, {1}}, BENCH_EACH_ISA},
    {{{4096}, {2048}, {4}}, BENCH_FULL},
    {{{0}}, 0},
};

static bench_work work(bench_point p)
{
    const double tokens = (double)p.v[AXIS_TOKENS];
    const double size = (double)p.v[AXIS_HIDDEN];
    const double heads = (double)p.v[AXIS_HEADS];
    return (bench_work){.items = tokens,
                        .bytes_read = 2 * tokens * size + 4 * heads * (size + tokens),
                        .bytes_written = 2 * tokens * size + 4 * heads * size};
}

static float widened(uint16_t word)
{
    const uint32_t bits = (uint32_t)word << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint16_t nearest(double value)
{
    const float single = (float)value;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static bool setup(bench_case *c)
{
    const int64_t tokens = c->point.v[AXIS_TOKENS];
    const int64_t size = c->point.v[AXIS_HIDDEN];
    const int64_t heads = c->point.v[AXIS_HEADS];
    void *memory;
    bench_add_input(c, (size_t)(tokens * size) * sizeof(uint16_t), &memory);
    uint16_t *const hidden = memory;
    bench_add_input(c, (size_t)(heads * size) * sizeof(float), &memory);
    float *const weight = memory;
    bench_add_input(c, (size_t)(tokens * heads) * sizeof(float), &memory);
    float *const gradients = memory;
    bench_add_output(c, (size_t)(tokens * size) * sizeof(uint16_t));
    bench_add_output(c, (size_t)(heads * size) * sizeof(float));
    for (int64_t i = 0; i < tokens * size; i++)
        hidden[i] = nearest(bench_normal(c->seed, (uint64_t)i));
    for (int64_t i = 0; i < heads * size; i++)
        weight[i] = bench_normal(c->seed + 1, (uint64_t)i) / 64;
    for (int64_t i = 0; i < tokens * heads; i++)
        gradients[i] = bench_normal(c->seed + 2, (uint64_t)i) / 1024;
    snprintf(c->data, sizeof c->data, "generated");
    return true;
}

// Calls -------------------------------------------------------------------------------------------

typedef struct call {
    merit_score_desc desc;
    merit_score_backward_io io;
} call;
_Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    const merit_status status = merit_score_desc_init(&made->desc, sizeof made->desc);
    made->desc.num_tokens = c->point.v[AXIS_TOKENS];
    made->desc.hidden_size = (int32_t)c->point.v[AXIS_HIDDEN];
    made->desc.num_heads = (int32_t)c->point.v[AXIS_HEADS];
    made->desc.positions = MERIT_POSITIONS_ALL;
    made->io = (merit_score_backward_io){.struct_size = sizeof made->io,
                                         .hidden = buffers->array[HIDDEN],
                                         .weight = buffers->array[WEIGHT],
                                         .grad_scores = buffers->array[GRADIENTS],
                                         .grad_hidden = buffers->array[GRAD_HIDDEN],
                                         .grad_weight = buffers->array[GRAD_WEIGHT]};
    return status;
}

static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_score_backward_workspace(ctx, &((const call *)bound)->desc, bytes);
}

static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    const call *const made = (const call *)bound;
    return merit_score_backward(ctx, &made->desc, &made->io, scratch, scratch_bytes, stream);
}

// Reference in double -----------------------------------------------------------------------------

// Sums that may cancel, rounded once more to bf16: its ulps, of the sum of absolute terms.
static bool check_bf16(bench_error *error, int64_t i, float actual, double sum, double total)
{
    bench_error own = {0};
    const double limit = 0x1p-8 * fabs(sum) + 0x1p-21 * total;
    const bool good = bench_check_f32(&own, i, actual, sum, 0, limit);
    error->max_ulp = fmax(error->max_ulp, own.max_abs / (0x1p16 * bench_ulp32(total)));
    error->max_abs = fmax(error->max_abs, own.max_abs);
    if (!good && error->text[0] == '\0') memcpy(error->text, own.text, sizeof own.text);
    return good;
}

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const int64_t tokens = c->point.v[AXIS_TOKENS];
    const int64_t size = c->point.v[AXIS_HIDDEN];
    const int64_t heads = c->point.v[AXIS_HEADS];
    const uint16_t *const hidden = c->arrays[HIDDEN].host;
    const float *const weight = c->arrays[WEIGHT].host;
    const float *const gradients = c->arrays[GRADIENTS].host;
    const uint16_t *const grad_hidden = results->array[GRAD_HIDDEN];
    const float *const grad_weight = results->array[GRAD_WEIGHT];
    bool good = true;
    for (int64_t i = 0; i < tokens * size; i++) {
        double sum = 0, total = 0;
        for (int64_t k = 0; k < heads; k++) {
            const double term =
                (double)gradients[i / size * heads + k] * (double)weight[k * size + i % size];
            sum += term;
            total += fabs(term);
        }
        good &= check_bf16(error, i, widened(grad_hidden[i]), sum, total);
    }
    for (int64_t i = 0; i < heads * size; i++) {
        double sum = 0, total = 0;
        for (int64_t p = 0; p < tokens; p++) {
            const double term = (double)gradients[p * heads + i / size] *
                                (double)widened(hidden[p * size + i % size]);
            sum += term;
            total += fabs(term);
        }
        good &= bench_check_sum_f32(error, i, grad_weight[i], sum, total, 5);
    }
    return good;
}

// Peer: plain loops, one after the other ----------------------------------------------------------

static void peer(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    (void)num_threads;
    const int64_t tokens = c->point.v[AXIS_TOKENS];
    const int64_t size = c->point.v[AXIS_HIDDEN];
    const int64_t heads = c->point.v[AXIS_HEADS];
    const uint16_t *const hidden = buffers->array[HIDDEN];
    const float *const weight = buffers->array[WEIGHT];
    const float *const gradients = buffers->array[GRADIENTS];
    uint16_t *const grad_hidden = buffers->array[GRAD_HIDDEN];
    float *const grad_weight = buffers->array[GRAD_WEIGHT];
    memset(grad_weight, 0, (size_t)(heads * size) * sizeof *grad_weight);
    for (int64_t p = 0; p < tokens; p++) {
        for (int64_t h = 0; h < size; h++) {
            float sum = 0;
            for (int64_t k = 0; k < heads; k++) {
                sum += gradients[p * heads + k] * weight[k * size + h];
                grad_weight[k * size + h] +=
                    gradients[p * heads + k] * widened(hidden[p * size + h]);
            }
            grad_hidden[p * size + h] = nearest((double)sum);
        }
    }
}

const bench_op bench_score_backward = {
    .name = "score_backward",
    .item = "position",
    .dtype = "bf16",
    .model =
        "hidden bf16 [P,H], weights and gradients f32 read; gradients of rows bf16 [P,H] and of "
        "heads f32 [K,H] written",
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
