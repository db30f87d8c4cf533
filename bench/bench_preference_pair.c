// preference_pair: memory-bound on a device from a few hundred thousand pairs on; a CPU thread computes for
// about as long as its memory takes.
#include <math.h>
#include <stdio.h>

#include "accuracy.h"
#include "movers.h"
#include "operations.h"
#include "random.h"

enum { AXIS_PRESET, AXIS_PAIRS, AXIS_OUTPUTS };
enum { BT = 1, DPO };
enum { GRADIENTS = 1, METRICS };
enum { CHOSEN, REJECTED, GRAD_CHOSEN, GRAD_REJECTED, LOSS, FURTHER }; // arrays

static const char *const presets[] = {"bt", "dpo"};
static const char *const outputs[] = {"gradients", "metrics"};
static const bench_axis axes[] = {
    {"preset", presets}, {"pairs", NULL}, {"outputs", outputs}, {NULL, NULL}};

// metrics: the gradients too.
static const bench_sweep sweeps[] = {
    {{{BT}, {1024, 65536}, {GRADIENTS}}, BENCH_QUICK},
    {{{BT}, {4194304}, {GRADIENTS}}, BENCH_EACH_ISA},
    {{{BT}, {16777216}, {GRADIENTS}}, BENCH_FULL | BENCH_EACH_ISA},
    {{{BT}, {1048576}, {METRICS}}, 0},
    {{{DPO}, {65536, 1048576}, {GRADIENTS}}, BENCH_QUICK},
    {{{BT, DPO}, {64, 4096, 262144}, {GRADIENTS}}, BENCH_FULL},
    {{{DPO}, {4194304}, {GRADIENTS}}, BENCH_FULL},
    {{{0}}, 0},
};

static bench_work work(bench_point p)
{
    const double pairs = (double)p.v[AXIS_PAIRS];
    const double references = p.v[AXIS_PRESET] == DPO ? 8 * pairs : 0;
    return (bench_work){
        .items = pairs, .bytes_read = 8 * pairs + references, .bytes_written = 8 * pairs};
}

// Inputs --------------------------------------------------------------------------------------------

// bt: rewards of deviation 1. dpo: log-probabilities around -200, references within 10 of them.
typedef struct generated {
    const bench_case *c;
    float *scores[2]; // chosen, rejected
    float *references[2]; // NULL without
} generated;

static void generate(void *state, int64_t begin, int64_t end)
{
    const generated *const g = state;
    for (int64_t i = begin; i < end; i++) {
        for (int side = 0; side < 2; side++) {
            const float score = bench_normal(g->c->seed + (uint64_t)side, (uint64_t)i);
            g->scores[side][i] = score;
            if (g->references[side] == NULL) continue;
            const float logprob = -200.0f + 50.0f * score;
            const float shift = bench_normal(g->c->seed + 2 + (uint64_t)side, (uint64_t)i);
            g->scores[side][i] = logprob;
            g->references[side][i] = logprob + 5.0f * shift;
        }
    }
}

static bool setup(bench_case *c)
{
    const size_t bytes = (size_t)c->point.v[AXIS_PAIRS] * sizeof(float);
    generated state = {.c = c};
    void *memory;
    for (int side = 0; side < 2; side++) {
        bench_add_input(c, bytes, &memory);
        state.scores[side] = memory;
    }
    bench_add_output(c, bytes);
    bench_add_output(c, bytes);
    bench_add_output(c, sizeof(double));
    for (int side = 0; side < 2 && c->point.v[AXIS_PRESET] == DPO; side++) {
        bench_add_input(c, bytes, &memory);
        state.references[side] = memory;
    }
    if (c->point.v[AXIS_OUTPUTS] == METRICS) {
        bench_add_output(c, sizeof(merit_preference_metrics));
    }
    bench_parallel(64, c->point.v[AXIS_PAIRS], 1, generate, &state);
    snprintf(c->data, sizeof c->data, "generated");
    return true;
}

// Calls ---------------------------------------------------------------------------------------------

typedef struct call {
    merit_preference_pair_desc desc;
    merit_preference_pair_io io;
} call;
_Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    merit_status status = merit_preference_pair_desc_init(&made->desc, sizeof made->desc);
    if (status != MERIT_STATUS_OK) return status;
    status = merit_preference_pair_preset(presets[c->point.v[AXIS_PRESET] - 1], &made->desc);
    made->desc.num_pairs = c->point.v[AXIS_PAIRS];
    made->io = (merit_preference_pair_io){
        .struct_size = sizeof made->io,
        .chosen = buffers->array[CHOSEN],
        .rejected = buffers->array[REJECTED],
        .grad_chosen = buffers->array[GRAD_CHOSEN],
        .grad_rejected = buffers->array[GRAD_REJECTED],
        .loss = buffers->array[LOSS],
    };
    if (c->point.v[AXIS_PRESET] == DPO) {
        made->io.ref_chosen = buffers->array[FURTHER];
        made->io.ref_rejected = buffers->array[FURTHER + 1];
    }
    if (c->point.v[AXIS_OUTPUTS] == METRICS) made->io.metrics = buffers->array[FURTHER];
    return status;
}

static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_preference_pair_workspace(ctx, &((const call *)bound)->desc, bytes);
}

static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    const call *const made = (const call *)bound;
    return merit_preference_pair(ctx, &made->desc, &made->io, scratch, scratch_bytes, stream);
}

// Reference: the textbook loss in double ------------------------------------------------------------------

typedef struct scores {
    const float *chosen, *rejected;
    const float *ref_chosen, *ref_rejected; // NULL without
    double beta;
} scores;

static scores scores_of(const bench_case *c, const bench_buffers *buffers)
{
    const bool dpo = c->point.v[AXIS_PRESET] == DPO;
    scores s = {.beta = dpo ? (double)0.1f : 1};
    for (int i = 0; i < c->num_arrays; i++) {
        const float *const array =
            buffers != NULL ? (const float *)buffers->array[i] : (const float *)c->arrays[i].host;
        if (i == CHOSEN) s.chosen = array;
        if (i == REJECTED) s.rejected = array;
        if (dpo && i == FURTHER) s.ref_chosen = array;
        if (dpo && i == FURTHER + 1) s.ref_rejected = array;
    }
    return s;
}

static double logit(const scores *s, int64_t i)
{
    double d = (double)s->chosen[i] - (double)s->rejected[i];
    if (s->ref_chosen != NULL) {
        d = ((double)s->chosen[i] - (double)s->ref_chosen[i]) -
            ((double)s->rejected[i] - (double)s->ref_rejected[i]);
    }
    return s->beta * d;
}

static bool check_metrics(const scores *s, int64_t pairs, const merit_preference_metrics *m,
                          bench_error *error)
{
    int64_t correct = 0, tied = 0;
    for (int64_t i = 0; i < pairs; i++) {
        const double z = logit(s, i);
        correct += z > 0;
        tied += z == 0;
    }
    bool good = bench_check_i64(error, "metrics.pairs", 0, m->pairs, pairs);
    good &= bench_check_i64(error, "metrics.decided", 0, m->decided, pairs);
    good &= bench_check_i64(error, "metrics.correct_strict", 0, m->correct_strict, correct);
    good &= bench_check_i64(error, "metrics.tied", 0, m->tied, tied);
    return good & bench_check_i64(error, "metrics.invalid", 0, m->invalid, 0);
}

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const scores s = scores_of(c, NULL);
    const int64_t pairs = c->point.v[AXIS_PAIRS];
    const float *const chosen = results->array[GRAD_CHOSEN];
    const float *const rejected = results->array[GRAD_REJECTED];
    double sum = 0;
    bool good = true;
    for (int64_t i = 0; i < pairs; i++) {
        const double z = logit(&s, i);
        const double t = exp(-fabs(z));
        const double gradient = s.beta * (z > 0 ? t : 1) / (1 + t) / (double)pairs;
        sum += (z > 0 ? 0 : -z) + log1p(t);
        good &= bench_check_f32(error, i, rejected[i], gradient, 4 + fabs(z), 0);
        good &= bench_check_f32(error, i, chosen[i], -gradient, 4 + fabs(z), 0);
    }
    // The rounding of each z and of each loss, and the reference's own sum.
    const double loss = *(const double *)results->array[LOSS];
    const double expected = sum / (double)pairs;
    good &= bench_check_loss(error, loss, expected, 2e-7 * expected);
    if (c->point.v[AXIS_OUTPUTS] == METRICS) {
        good &= check_metrics(&s, pairs, results->array[FURTHER], error);
    }
    return good;
}

// Peer: what one writes in an afternoon, in double -----------------------------------------------------

typedef struct peer_state {
    scores s;
    float *grad_chosen, *grad_rejected;
    double share; // of a pair in the mean
    double *loss; // of the first part: a loop in a hurry
    int64_t *correct;
} peer_state;

static void peer_pairs(void *state, int64_t begin, int64_t end)
{
    const peer_state *const p = state;
    double loss = 0;
    int64_t correct = 0;
    for (int64_t i = begin; i < end; i++) {
        const double z = logit(&p->s, i);
        const double t = exp(-fabs(z));
        const double gradient = p->s.beta * (z > 0 ? t : 1) / (1 + t) * p->share;
        loss += (z > 0 ? 0 : -z) + log1p(t);
        correct += z > 0;
        p->grad_chosen[i] = (float)-gradient;
        p->grad_rejected[i] = (float)gradient;
    }
    __atomic_fetch_add(p->correct, correct, __ATOMIC_RELAXED);
    if (begin == 0) *p->loss = loss * p->share;
}

static void peer(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    int64_t correct = 0;
    peer_state state = {
        .s = scores_of(c, buffers),
        .grad_chosen = buffers->array[GRAD_CHOSEN],
        .grad_rejected = buffers->array[GRAD_REJECTED],
        .loss = buffers->array[LOSS],
        .share = 1 / (double)c->point.v[AXIS_PAIRS],
        .correct = &correct,
    };
    bench_parallel(num_threads, c->point.v[AXIS_PAIRS], 1, peer_pairs, &state);
}

const bench_op bench_preference_pair = {
    .name = "preference_pair",
    .item = "pair",
    .model =
        "scores f32 [N] twice to gradients f32 [N] twice, loss f64; 8 bytes read (dpo: 16, with "
        "the references) and 8 written per pair",
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
