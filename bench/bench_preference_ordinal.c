// preference_ordinal: bound by exponentials and logarithms on a CPU, by memory on a device.
#include <math.h>
#include <stdio.h>

#include "accuracy.h"
#include "movers.h"
#include "operations.h"
#include "random.h"

enum { AXIS_PRESET, AXIS_PAIRS, AXIS_LEVELS };
enum { OPRM = 1, HALF_TIE };
enum { CHOSEN, REJECTED, GRAD_CHOSEN, GRAD_REJECTED, LOSS }; // arrays
enum { MAX_LEVELS = 64 };

static const char *const presets[] = {"oprm", "oprm.half_tie"};
static const bench_axis axes[] = {
    {"preset", presets}, {"pairs", NULL}, {"levels", NULL}, {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{OPRM}, {8192}, {9}}, BENCH_QUICK},
    {{{OPRM}, {65536}, {9}}, BENCH_EACH_ISA},
    {{{OPRM}, {262144}, {9}}, BENCH_FULL | BENCH_EACH_ISA},
    {{{HALF_TIE}, {16384}, {10, 64}}, 0},
    {{{HALF_TIE}, {65536}, {10, 64}}, BENCH_FULL},
    {{{0}}, 0},
};

static bench_work work(bench_point p)
{
    const double pairs = (double)p.v[AXIS_PAIRS];
    const double bytes = 8 * pairs * (double)p.v[AXIS_LEVELS];
    return (bench_work){.items = pairs, .bytes_read = bytes, .bytes_written = bytes};
}

typedef struct generated {
    const bench_case *c;
    float *logits[2];
} generated;

static void generate(void *state, int64_t begin, int64_t end)
{
    const generated *const g = state;
    for (int64_t i = begin; i < end; i++) {
        for (int side = 0; side < 2; side++)
            g->logits[side][i] = 2 * bench_normal(g->c->seed + (uint64_t)side, (uint64_t)i);
    }
}

static bool setup(bench_case *c)
{
    const int64_t logits = c->point.v[AXIS_PAIRS] * c->point.v[AXIS_LEVELS];
    const size_t bytes = (size_t)logits * sizeof(float);
    generated state = {.c = c};
    void *memory;
    for (int side = 0; side < 2; side++) {
        bench_add_input(c, bytes, &memory);
        state.logits[side] = memory;
    }
    bench_add_output(c, bytes);
    bench_add_output(c, bytes);
    bench_add_output(c, sizeof(double));
    bench_parallel(64, logits, 1, generate, &state);
    snprintf(c->data, sizeof c->data, "generated");
    return true;
}

// Calls ---------------------------------------------------------------------------------------------

typedef struct call {
    merit_preference_ordinal_desc desc;
    merit_preference_ordinal_io io;
} call;
_Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    merit_status status = merit_preference_ordinal_desc_init(&made->desc, sizeof made->desc);
    if (status != MERIT_STATUS_OK) return status;
    status = merit_preference_ordinal_preset(presets[c->point.v[AXIS_PRESET] - 1], &made->desc);
    made->desc.num_pairs = c->point.v[AXIS_PAIRS];
    made->desc.num_levels = (int32_t)c->point.v[AXIS_LEVELS];
    made->io = (merit_preference_ordinal_io){
        .struct_size = sizeof made->io,
        .chosen_logits = buffers->array[CHOSEN],
        .rejected_logits = buffers->array[REJECTED],
        .grad_chosen_logits = buffers->array[GRAD_CHOSEN],
        .grad_rejected_logits = buffers->array[GRAD_REJECTED],
        .loss = buffers->array[LOSS],
    };
    return status;
}

static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_preference_ordinal_workspace(ctx, &((const call *)bound)->desc, bytes);
}

static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    const call *const made = (const call *)bound;
    return merit_preference_ordinal(ctx, &made->desc, &made->io, scratch, scratch_bytes, stream);
}

// Reference and peer: probabilities in double, prefix sums ------------------------------------------------

static void softmax(const float *a, int64_t levels, double *p)
{
    double max = a[0], sum = 0;
    for (int64_t k = 1; k < levels; k++)
        max = fmax(max, a[k]);
    for (int64_t k = 0; k < levels; k++)
        sum += p[k] = exp(a[k] - max);
    for (int64_t k = 0; k < levels; k++)
        p[k] /= sum;
}

typedef struct pair_result {
    double grad_chosen[MAX_LEVELS], grad_rejected[MAX_LEVELS];
    double p[MAX_LEVELS], r[MAX_LEVELS]; // probabilities; a gradient is one of these minus a share
} pair_result;

// Loss of a pair and its gradients wrt both rows of logits.
static double one_pair(const float *chosen, const float *rejected, int64_t levels, double tie,
                       pair_result *result)
{
    double *const p = result->p, *const r = result->r;
    double *const grad_chosen = result->grad_chosen, *const grad_rejected = result->grad_rejected;
    double share = 0, below = 0, above = 0;
    softmax(chosen, levels, p);
    softmax(rejected, levels, r);
    for (int64_t k = 0; k < levels; k++) {
        grad_chosen[k] = p[k] * (below + tie * r[k]);
        share += grad_chosen[k];
        below += r[k];
    }
    for (int64_t k = levels - 1; k >= 0; k--) {
        grad_rejected[k] = r[k] * (above + tie * p[k]);
        above += p[k];
    }
    for (int64_t k = 0; k < levels; k++) {
        grad_chosen[k] = p[k] - grad_chosen[k] / share;
        grad_rejected[k] = r[k] - grad_rejected[k] / share;
    }
    return -log(share);
}

static double tie_share(const bench_case *c)
{
    return c->point.v[AXIS_PRESET] == HALF_TIE ? 0.5 : 0;
}

// gradient = probability - share of the loss: the larger of the two is the measure.
static bool check_gradient(bench_error *error, int64_t index, float actual, double gradient,
                           double probability, double pairs)
{
    const double largest = fmax(probability, fabs(gradient - probability));
    return bench_check_sum_f32(error, index, actual, gradient / pairs, largest / pairs, 2);
}

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const int64_t pairs = c->point.v[AXIS_PAIRS];
    const int64_t levels = c->point.v[AXIS_LEVELS];
    const float *const chosen = c->arrays[CHOSEN].host;
    const float *const rejected = c->arrays[REJECTED].host;
    const float *const actual_chosen = results->array[GRAD_CHOSEN];
    const float *const actual_rejected = results->array[GRAD_REJECTED];
    pair_result exact;
    double sum = 0;
    bool good = true;
    for (int64_t i = 0; i < pairs; i++) {
        const int64_t row = i * levels;
        sum += one_pair(chosen + row, rejected + row, levels, tie_share(c), &exact);
        for (int64_t k = 0; k < levels; k++) {
            good &= check_gradient(error, row + k, actual_chosen[row + k], exact.grad_chosen[k],
                                   exact.p[k], (double)pairs);
            good &= check_gradient(error, row + k, actual_rejected[row + k], exact.grad_rejected[k],
                                   exact.r[k], (double)pairs);
        }
    }
    const double loss = *(const double *)results->array[LOSS];
    const double expected = sum / (double)pairs;
    good &= bench_check_loss(error, loss, expected, 4e-7 * expected);
    return good;
}

typedef struct peer_state {
    const bench_case *c;
    const bench_buffers *buffers;
} peer_state;

static void peer_pairs(void *state, int64_t begin, int64_t end)
{
    const peer_state *const s = state;
    const int64_t levels = s->c->point.v[AXIS_LEVELS];
    const double share = 1 / (double)s->c->point.v[AXIS_PAIRS];
    const float *const chosen = s->buffers->array[CHOSEN];
    const float *const rejected = s->buffers->array[REJECTED];
    float *const grad_chosen = s->buffers->array[GRAD_CHOSEN];
    float *const grad_rejected = s->buffers->array[GRAD_REJECTED];
    pair_result result;
    double loss = 0;
    for (int64_t i = begin; i < end; i++) {
        const int64_t row = i * levels;
        loss += one_pair(chosen + row, rejected + row, levels, tie_share(s->c), &result);
        for (int64_t k = 0; k < levels; k++) {
            grad_chosen[row + k] = (float)(result.grad_chosen[k] * share);
            grad_rejected[row + k] = (float)(result.grad_rejected[k] * share);
        }
    }
    if (begin == 0) *(double *)s->buffers->array[LOSS] = loss * share;
}

static void peer(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    peer_state state = {c, buffers};
    bench_parallel(num_threads, c->point.v[AXIS_PAIRS], 1, peer_pairs, &state);
}

const bench_op bench_preference_ordinal = {
    .name = "preference_ordinal",
    .item = "pair",
    .model =
        "logits f32 [N,K] twice to gradients f32 [N,K] twice, loss f64; 8 K bytes read and 8 K "
        "written per pair",
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
