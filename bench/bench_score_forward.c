// score_forward: memory-bound for few heads; its gain is what it does not read.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accuracy.h"
#include "movers.h"
#include "operations.h"
#include "random.h"

enum { AXIS_POSITIONS, AXIS_ROWS, AXIS_TOKENS, AXIS_HIDDEN, AXIS_HEADS, AXIS_DTYPE };
enum { ALL = 1, LAST };
enum { BF16 = 1, F32 };
enum { HIDDEN, WEIGHT, LENGTHS, SCORES }; // arrays

static const char *const positions[] = {"all", "last"};
static const char *const dtypes[] = {"bf16", "f32"};
static const bench_axis axes[] = {{"positions", positions}, {"sequences", NULL}, {"tokens", NULL},
                                  {"hidden", NULL},         {"heads", NULL},     {"dtype", dtypes}};

static const bench_sweep sweeps[] = {
    {{{LAST}, {16}, {512}, {1024}, {1}, {BF16}}, BENCH_QUICK},
    {{{ALL}, {4}, {512}, {1024}, {1, 4}, {BF16}}, BENCH_QUICK},
    {{{LAST}, {64}, {2048}, {4096}, {1}, {BF16}}, BENCH_FULL},
    {{{ALL}, {8}, {1024}, {4096}, {1, 4}, {BF16}}, BENCH_EACH_ISA},
    {{{ALL}, {8}, {1024}, {4096}, {4}, {F32}}, 0},
    {{{ALL}, {8}, {1024}, {4096}, {1, 2, 16}, {F32}}, BENCH_FULL},
    {{{ALL}, {4}, {1024}, {1024, 2048, 5120, 8192}, {1, 2, 4, 8, 16, 32}, {BF16}}, BENCH_FULL},
    {{{ALL}, {4}, {1024}, {1024, 4096, 8192}, {12, 64}, {BF16}}, BENCH_FULL},
    {{{ALL}, {4}, {1024}, {7168, 16384}, {1, 8, 64}, {BF16}}, BENCH_FULL},
    {{{LAST}, {16}, {2048}, {1024, 4096}, {1, 8, 64}, {BF16, F32}}, BENCH_FULL},
    {{{0}}, 0},
};

static int64_t tokens_of(const bench_point *p)
{
    return p->v[AXIS_ROWS] * p->v[AXIS_TOKENS];
}

static int64_t positions_of(const bench_point *p)
{
    return p->v[AXIS_POSITIONS] == ALL ? tokens_of(p) : p->v[AXIS_ROWS];
}

static double element(const bench_point *p)
{
    return p->v[AXIS_DTYPE] == F32 ? 4 : 2;
}

static bench_work work(bench_point p)
{
    const double items = (double)positions_of(&p);
    const double hidden = (double)p.v[AXIS_HIDDEN];
    const double heads = (double)p.v[AXIS_HEADS];
    const double lengths = p.v[AXIS_POSITIONS] == ALL ? 0 : 4 * items;
    return (bench_work){.items = items,
                        .bytes_read = element(&p) * items * hidden + 4 * heads * hidden + lengths,
                        .bytes_written = 4 * items * heads};
}

// The tokens that are not scored are there too.
static double memory(bench_point p)
{
    const double hidden = element(&p) * (double)(tokens_of(&p) * p.v[AXIS_HIDDEN]);
    return hidden + work(p).bytes_read + work(p).bytes_written;
}

// Inputs ------------------------------------------------------------------------------------------

typedef struct generated {
    const bench_case *c;
    void *hidden;
} generated;

static void generate_row(void *state, int64_t begin, int64_t end)
{
    const generated *const g = state;
    const int64_t size = g->c->point.v[AXIS_HIDDEN];
    const int is_f32 = g->c->point.v[AXIS_DTYPE] == F32;
    for (int64_t i = begin * size; i < end * size; i++) {
        const float value = bench_normal(g->c->seed, (uint64_t)i);
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        if (is_f32) {
            ((float *)g->hidden)[i] = value;
        } else {
            ((uint16_t *)g->hidden)[i] = (uint16_t)(bits >> 16);
        }
    }
}

static bool setup(bench_case *c)
{
    const bench_point *const p = &c->point;
    const int64_t rows = p->v[AXIS_ROWS];
    const int64_t size = p->v[AXIS_HIDDEN];
    const int64_t heads = p->v[AXIS_HEADS];
    const size_t hidden = (size_t)(tokens_of(p) * size) * (size_t)element(p);
    generated state = {.c = c};
    void *memory;
    bench_add_input(c, hidden, &state.hidden);
    bench_add_input(c, (size_t)(heads * size) * sizeof(float), &memory);
    float *const weight = memory;
    bench_add_input(c, (size_t)rows * sizeof(int32_t), &memory);
    int32_t *const lengths = memory;
    bench_add_output(c, (size_t)(positions_of(p) * heads) * sizeof(float));
    bench_parallel(64, tokens_of(p), 1, generate_row, &state);
    for (int64_t i = 0; i < heads * size; i++)
        weight[i] = bench_normal(c->seed + 1, (uint64_t)i) / 64;
    for (int64_t b = 0; b < rows; b++)
        lengths[b] =
            (int32_t)(1 + bench_random(c->seed + 2, (uint64_t)b) % (uint64_t)p->v[AXIS_TOKENS]);
    snprintf(c->data, sizeof c->data, "generated");
    return true;
}

// Calls -------------------------------------------------------------------------------------------

typedef struct call {
    merit_score_desc desc;
    merit_score_forward_io io;
} call;
_Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status bind_to(const bench_case *c, const bench_buffers *buffers, int64_t which,
                            call *made)
{
    const bench_point *const p = &c->point;
    const merit_status status = merit_score_desc_init(&made->desc, sizeof made->desc);
    made->desc.num_rows = p->v[AXIS_ROWS];
    made->desc.row_tokens = p->v[AXIS_TOKENS];
    made->desc.hidden_size = (int32_t)p->v[AXIS_HIDDEN];
    made->desc.num_heads = (int32_t)p->v[AXIS_HEADS];
    made->desc.hidden_dtype = p->v[AXIS_DTYPE] == F32 ? MERIT_DTYPE_F32 : MERIT_DTYPE_BF16;
    made->desc.positions = which == ALL ? MERIT_POSITIONS_ALL : MERIT_POSITIONS_LENGTHS;
    made->io = (merit_score_forward_io){.struct_size = sizeof made->io,
                                        .hidden = buffers->array[HIDDEN],
                                        .weight = buffers->array[WEIGHT],
                                        .lengths = which == ALL ? NULL : buffers->array[LENGTHS],
                                        .scores = buffers->array[SCORES]};
    return status;
}

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    return bind_to(c, buffers, c->point.v[AXIS_POSITIONS], (call *)bound);
}

static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_score_forward_workspace(ctx, &((const call *)bound)->desc, bytes);
}

static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    const call *const made = (const call *)bound;
    return merit_score_forward(ctx, &made->desc, &made->io, scratch, scratch_bytes, stream);
}

// Reference: sums in double -----------------------------------------------------------------------

static float value_at(const bench_case *c, const void *hidden, int64_t i)
{
    if (c->point.v[AXIS_DTYPE] == F32) return ((const float *)hidden)[i];
    const uint32_t bits = (uint32_t)((const uint16_t *)hidden)[i] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const int64_t size = c->point.v[AXIS_HIDDEN];
    const int64_t heads = c->point.v[AXIS_HEADS];
    const float *const weight = c->arrays[WEIGHT].host;
    const int32_t *const lengths = c->arrays[LENGTHS].host;
    const float *const actual = results->array[SCORES];
    bool good = true;
    for (int64_t p = 0; p < positions_of(&c->point); p++) {
        const int64_t row =
            c->point.v[AXIS_POSITIONS] == ALL ? p : p * c->point.v[AXIS_TOKENS] + lengths[p] - 1;
        for (int64_t k = 0; k < heads; k++) {
            double sum = 0, total = 0;
            for (int64_t h = 0; h < size; h++) {
                const double term = (double)value_at(c, c->arrays[HIDDEN].host, row * size + h) *
                                    (double)weight[k * size + h];
                sum += term;
                total += fabs(term);
            }
            const int64_t i = p * heads + k;
            good &= bench_check_sum_f32(error, i, actual[i], sum, total, 5);
        }
    }
    return good;
}

// Peers -------------------------------------------------------------------------------------------

typedef struct peer_state {
    const bench_case *c;
    const bench_buffers *buffers;
} peer_state;

static void peer_tokens(void *state, int64_t begin, int64_t end)
{
    const peer_state *const s = state;
    const int64_t size = s->c->point.v[AXIS_HIDDEN];
    const int64_t heads = s->c->point.v[AXIS_HEADS];
    const float *const weight = s->buffers->array[WEIGHT];
    float *const scores = s->buffers->array[SCORES];
    for (int64_t row = begin; row < end; row++) {
        for (int64_t k = 0; k < heads; k++) {
            float sum = 0;
            for (int64_t h = 0; h < size; h++) {
                sum += value_at(s->c, s->buffers->array[HIDDEN], row * size + h) *
                       weight[k * size + h];
            }
            scores[row * heads + k] = sum;
        }
    }
}

// The head on every token by merit itself, then the rows that are wanted: what frameworks do.
static void project_then_gather(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    merit_context_desc desc;
    merit_context_desc_init(&desc, sizeof desc);
    desc.backend = MERIT_BACKEND_CPU;
    desc.num_threads = num_threads;
    merit_context *ctx = NULL;
    call every;
    size_t bytes = 0;
    const int64_t heads = c->point.v[AXIS_HEADS];
    const int32_t *const lengths = buffers->array[LENGTHS];
    float *const all = malloc((size_t)(tokens_of(&c->point) * heads) * sizeof *all);
    float *const scores = buffers->array[SCORES];
    if (all == NULL || merit_context_create(&desc, &ctx) != MERIT_STATUS_OK ||
        bind_to(c, buffers, ALL, &every) != MERIT_STATUS_OK ||
        merit_score_forward_workspace(ctx, &every.desc, &bytes) != MERIT_STATUS_OK) {
        free(all);
        merit_context_destroy(ctx);
        return; // the check of the peer's result says so
    }
    void *const scratch = aligned_alloc(256, bytes);
    every.io.scores = all;
    if (merit_score_forward(ctx, &every.desc, &every.io, scratch, bytes, NULL) == MERIT_STATUS_OK) {
        for (int64_t b = 0; b < c->point.v[AXIS_ROWS]; b++) {
            const int64_t row = b * c->point.v[AXIS_TOKENS] + lengths[b] - 1;
            memcpy(scores + b * heads, all + row * heads, (size_t)heads * sizeof *scores);
        }
    }
    free(scratch), free(all);
    merit_context_destroy(ctx);
}

static void peer(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    peer_state state = {c, buffers};
    if (c->point.v[AXIS_POSITIONS] == LAST) {
        project_then_gather(c, buffers, num_threads);
        return;
    }
    bench_parallel(num_threads, tokens_of(&c->point), 1, peer_tokens, &state);
}

const bench_op bench_score_forward = {
    .name = "score_forward",
    .item = "position",
    .model = "rows of hidden that are scored and weights f32 [K,H] read, scores f32 [P,K] written; "
             "peer: last projects every token with this library and gathers, all is a plain loop",
    .axes = axes,
    .sweeps = sweeps,
    .work = work,
    .memory = memory,
    .setup = setup,
    .bind = bind,
    .workspace = workspace,
    .run = run,
    .check = check,
    .peer = peer,
};
