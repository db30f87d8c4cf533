// dominance_subset: bound by the comparisons of what each class is left with; memory-bound on a device.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "accuracy.h"
#include "bench_dominance.h"
#include "movers.h"
#include "operations.h"

enum { AXIS_PRESET, AXIS_STATES, AXIS_OBJECTIVES, AXIS_ACTIONS, AXIS_LEVELS };
enum { LEXICOGRAPHIC = 1, PARETO };
enum { LEVELS, SUBSET, FINAL, ACTION, FLAGS }; // arrays
enum { MOST = 64 }; // actions, as bits of a word

static const char *const presets[] = {"subset.lexicographic", "subset.pareto"};
static const char *const labels[] = {"lexicographic", "pareto"};
static const bench_axis axes[] = {{"preset", labels}, {"states", NULL}, {"objectives", NULL},
                                  {"actions", NULL},  {"levels", NULL}, {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{LEXICOGRAPHIC, PARETO}, {256}, {4}, {16}, {64}}, BENCH_QUICK},
    {{{LEXICOGRAPHIC}, {4096}, {4}, {16}, {64}}, BENCH_EACH_ISA},
    {{{LEXICOGRAPHIC}, {256}, {2}, {64}, {64}}, 0},
    {{{0}}, 0},
};

static int64_t num_words(bench_point p)
{
    return (p.v[AXIS_ACTIONS] + 31) / 32;
}

static bench_work work(bench_point p)
{
    const double states = (double)p.v[AXIS_STATES], objectives = (double)p.v[AXIS_OBJECTIVES];
    const double row = (double)(p.v[AXIS_ACTIONS] * p.v[AXIS_LEVELS]);
    return (bench_work){.items = states,
                        .bytes_read = 4 * states * objectives * row,
                        .bytes_written =
                            4 * states * ((objectives + 1) * (double)num_words(p) + 2)};
}

static bool setup(bench_case *c)
{
    const int64_t states = c->point.v[AXIS_STATES], objectives = c->point.v[AXIS_OBJECTIVES];
    const int64_t rows = states * objectives * c->point.v[AXIS_ACTIONS];
    const int64_t levels = c->point.v[AXIS_LEVELS], words = num_words(c->point);
    void *memory;
    bench_add_input(c, (size_t)(rows * levels) * sizeof(float), &memory);
    bench_levels state = {.seed = c->seed, .num_levels = levels, .levels = memory};
    bench_add_output(c, (size_t)(states * objectives * words) * sizeof(uint32_t));
    bench_add_output(c, (size_t)(states * words) * sizeof(uint32_t));
    bench_add_output(c, (size_t)states * sizeof(int32_t));
    bench_add_output(c, (size_t)states * sizeof(uint32_t));
    bench_parallel(64, rows, 1, bench_fill_levels, &state);
    snprintf(c->data, sizeof c->data, "generated");
    return true;
}

// Calls ---------------------------------------------------------------------------------------------

typedef struct call {
    merit_dominance_subset_desc desc;
    merit_dominance_subset_io io;
} call;
_Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    merit_status status = merit_dominance_subset_desc_init(&made->desc, sizeof made->desc);
    if (status != MERIT_STATUS_OK) return status;
    status = merit_dominance_subset_preset(presets[c->point.v[AXIS_PRESET] - 1], &made->desc);
    made->desc.num_states = c->point.v[AXIS_STATES];
    made->desc.num_objectives = (int32_t)c->point.v[AXIS_OBJECTIVES];
    made->desc.num_actions = (int32_t)c->point.v[AXIS_ACTIONS];
    made->desc.num_levels = (int32_t)c->point.v[AXIS_LEVELS];
    made->io = (merit_dominance_subset_io){.struct_size = sizeof made->io,
                                           .q = buffers->array[LEVELS],
                                           .subset = buffers->array[SUBSET],
                                           .final = buffers->array[FINAL],
                                           .action = buffers->array[ACTION],
                                           .flags = buffers->array[FLAGS]};
    return status;
}

static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_dominance_subset_workspace(ctx, &((const call *)bound)->desc, bytes);
}

static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    const call *const made = (const call *)bound;
    return merit_dominance_subset(ctx, &made->desc, &made->io, scratch, scratch_bytes, stream);
}

// Peer and reference: sets as words, every pair anew -------------------------------------------------

typedef struct sets {
    uint64_t subset[MOST], final; // by objective; actions as bits
    int action;
    bool near; // a decision hangs on rounding
} sets;

typedef struct problem {
    const float *levels; // of the state
    int64_t M, A, N;
    bool pareto;
    bool look_for_near;
} problem;

// a beats b: share of the area at least 3/4.
static bool beats(const problem *p, int64_t m, int64_t a, int64_t b, sets *s)
{
    const float *const x = p->levels + (m * p->A + a) * p->N;
    const float *const y = p->levels + (m * p->A + b) * p->N;
    double more = 0, less = 0;
    for (int64_t n = 0; n < p->N; n++) {
        const double d = (double)x[n] - y[n];
        more += d > 0 ? d : 0;
        less += d < 0 ? -d : 0;
    }
    const double edge = more / 4 - 3 * less / 4;
    if (p->look_for_near) {
        s->near |= fabs(edge) < 1e-5 * (more + less) || fabs(more - less) < 1e-12 * (more + less);
    }
    return more > less && edge >= 0;
}

// One class after the other, or all objectives as one.
static void solve(const problem *p, sets *s)
{
    uint64_t left = p->A == 64 ? ~(uint64_t)0 : ((uint64_t)1 << p->A) - 1;
    s->near = false;
    for (int64_t m = 0; m < (p->pareto ? 1 : p->M); m++) {
        uint64_t kept = left;
        for (int64_t a = 0; a < p->A; a++) {
            for (int64_t b = 0; b < p->A && (kept >> a & 1); b++) {
                bool wins = false, loses = false;
                if (a == b || !(left >> a & 1) || !(left >> b & 1)) continue;
                for (int64_t k = m; k < (p->pareto ? p->M : m + 1) && !loses; k++) {
                    wins |= beats(p, k, b, a, s);
                    loses = p->pareto && beats(p, k, a, b, s);
                }
                if (wins && !loses) kept &= ~((uint64_t)1 << a);
            }
        }
        if (kept == 0) kept = left; // a cycle
        for (int64_t k = m; k < (p->pareto ? p->M : m + 1); k++) {
            s->subset[k] = kept;
        }
        left = kept;
    }
    s->final = left;
    double best = -INFINITY;
    for (int64_t a = 0; a < p->A; a++) { // the mean under the last class
        double score = 0;
        if (!(left >> a & 1)) continue;
        for (int64_t m = p->pareto ? 0 : p->M - 1; m < p->M; m++) {
            for (int64_t n = 0; n < p->N; n++) {
                score += p->levels[(m * p->A + a) * p->N + n];
            }
        }
        if (p->look_for_near && fabs(score - best) < 1e-9 * fabs(score)) s->near = true;
        if (score > best) best = score, s->action = (int)a;
    }
}

static problem problem_of(const bench_case *c, const float *levels, int64_t state)
{
    const int64_t M = c->point.v[AXIS_OBJECTIVES], A = c->point.v[AXIS_ACTIONS];
    const int64_t N = c->point.v[AXIS_LEVELS];
    return (problem){.levels = levels + state * M * A * N,
                     .M = M,
                     .A = A,
                     .N = N,
                     .pareto = c->point.v[AXIS_PRESET] == PARETO};
}

static uint64_t word_of(const uint32_t *words, int64_t at, int64_t count)
{
    const uint64_t low = words[at * count];
    return count == 1 ? low : low | (uint64_t)words[at * count + 1] << 32;
}

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const int64_t W = num_words(c->point);
    const int32_t *const actions = results->array[ACTION];
    const uint32_t *const flags = results->array[FLAGS];
    int64_t compared = 0;
    for (int64_t b = 0; b < c->point.v[AXIS_STATES]; b++) {
        problem p = problem_of(c, c->arrays[LEVELS].host, b);
        sets s;
        p.look_for_near = true;
        solve(&p, &s);
        if (s.near) continue;
        compared++;
        bool good = word_of(results->array[FINAL], b, W) == s.final && actions[b] == s.action &&
                    flags[b] == 0; // areas do not cycle
        for (int64_t m = 0; m < p.M; m++) {
            good &= word_of(results->array[SUBSET], b * p.M + m, W) == s.subset[m];
        }
        if (good) continue;
        snprintf(error->text, sizeof error->text, "state %lld: action %d, expected %d",
                 (long long)b, actions[b], s.action);
        return false;
    }
    if (compared > c->point.v[AXIS_STATES] / 2) return true;
    snprintf(error->text, sizeof error->text, "%lld states are clear enough to compare",
             (long long)compared);
    return false;
}

typedef struct peer_state {
    const bench_case *c;
    const bench_buffers *buffers;
} peer_state;

static void peer_states(void *state, int64_t begin, int64_t end)
{
    const peer_state *const s = state;
    const int64_t W = num_words(s->c->point), M = s->c->point.v[AXIS_OBJECTIVES];
    uint32_t *const subset = s->buffers->array[SUBSET], *const final = s->buffers->array[FINAL];
    int32_t *const action = s->buffers->array[ACTION];
    uint32_t *const flags = s->buffers->array[FLAGS];
    for (int64_t b = begin; b < end; b++) {
        const problem p = problem_of(s->c, s->buffers->array[LEVELS], b);
        sets r = {.action = -1};
        solve(&p, &r);
        for (int64_t w = 0; w < W; w++) {
            final[b * W + w] = (uint32_t)(r.final >> 32 * w);
            for (int64_t m = 0; m < M; m++) {
                subset[(b * M + m) * W + w] = (uint32_t)(r.subset[m] >> 32 * w);
            }
        }
        action[b] = r.action;
        flags[b] = 0;
    }
}

static void peer(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    peer_state state = {c, buffers};
    bench_parallel(num_threads, c->point.v[AXIS_STATES], 1, peer_states, &state);
}

const bench_op bench_dominance_subset = {
    .name = "dominance_subset",
    .item = "state",
    .model = "levels f32 [B,M,A,N] to words of sets [B,M+1], actions and flags [B]; 4 M A N bytes "
             "read per state",
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
