// score_regression: loss and gradients of attribute heads under labels with gaps.
#include <math.h>
#include <stdio.h>

#include "accuracy.h"
#include "movers.h"
#include "operations.h"
#include "random.h"

enum { AXIS_LINK, AXIS_ROWS, AXIS_HEADS };
enum { MSE = 1, BCE, HUBER };
enum { SCORES, LABELS, GRADIENTS, LOSS }; // arrays

static const char *const links[] = {"mse", "bce", "huber"};
static const bench_axis axes[] = {{"link", links}, {"rows", NULL}, {"heads", NULL}, {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{MSE}, {8192}, {5}}, BENCH_QUICK},
    {{{MSE}, {262144}, {5}}, BENCH_EACH_ISA},
    {{{BCE, HUBER}, {16384}, {19}}, 0},
    {{{BCE, HUBER}, {65536}, {19}}, BENCH_FULL},
    {{{0}}, 0},
};

static int64_t entries(const bench_point *p)
{
    return p->v[AXIS_ROWS] * p->v[AXIS_HEADS];
}

static bench_work work(bench_point p)
{
    return (bench_work){.items = (double)p.v[AXIS_ROWS],
                        .bytes_read = 8 * (double)entries(&p),
                        .bytes_written = 4 * (double)entries(&p)};
}

// One label in five is missing; targets of BCE lie in [0, 1].
static bool setup(bench_case *c)
{
    const int64_t count = entries(&c->point);
    void *memory;
    bench_add_input(c, (size_t)count * sizeof(float), &memory);
    float *const scores = memory;
    bench_add_input(c, (size_t)count * sizeof(float), &memory);
    float *const labels = memory;
    bench_add_output(c, (size_t)count * sizeof(float));
    bench_add_output(c, sizeof(double));
    for (int64_t i = 0; i < count; i++) {
        scores[i] = bench_normal(c->seed, (uint64_t)i);
        labels[i] = bench_random(c->seed + 1, (uint64_t)i) % 5 == 0
                        ? NAN
                        : (float)bench_uniform(c->seed + 2, (uint64_t)i);
    }
    snprintf(c->data, sizeof c->data, "generated, one label in five missing");
    return true;
}

// Calls ---------------------------------------------------------------------------------------------

typedef struct call {
    merit_score_regression_desc desc;
    merit_score_regression_io io;
} call;
_Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    const merit_status status = merit_score_regression_desc_init(&made->desc, sizeof made->desc);
    made->desc.num_rows = c->point.v[AXIS_ROWS];
    made->desc.num_heads = (int32_t)c->point.v[AXIS_HEADS];
    made->desc.link = (int32_t)c->point.v[AXIS_LINK] - 1;
    made->io = (merit_score_regression_io){.struct_size = sizeof made->io,
                                           .scores = buffers->array[SCORES],
                                           .labels = buffers->array[LABELS],
                                           .loss = buffers->array[LOSS],
                                           .grad_scores = buffers->array[GRADIENTS]};
    return status;
}

static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_score_regression_workspace(ctx, &((const call *)bound)->desc, bytes);
}

static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    const call *const made = (const call *)bound;
    return merit_score_regression(ctx, &made->desc, &made->io, scratch, scratch_bytes, stream);
}

// Reference and peer: two passes in double --------------------------------------------------------

// Loss of an entry; *slope: its derivative.
static double entry_loss(int64_t link, double s, double y, double *slope)
{
    const double e = s - y;
    switch (link) {
    case MSE: *slope = 2 * e; return e * e;
    case BCE: *slope = 1 / (1 + exp(-s)) - y; return log1p(exp(-fabs(s))) + fmax(s, 0) - y * s;
    default: *slope = fmax(-1, fmin(1, e)); return fabs(e) <= 1 ? e * e / 2 : fabs(e) - .5;
    }
}

static int64_t count_labels(const float *labels, int64_t count)
{
    int64_t valid = 0;
    for (int64_t i = 0; i < count; i++)
        valid += !isnan(labels[i]);
    return valid;
}

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const int64_t count = entries(&c->point), link = c->point.v[AXIS_LINK];
    const float *const scores = c->arrays[SCORES].host, *const labels = c->arrays[LABELS].host;
    const float *const gradients = results->array[GRADIENTS];
    const double loss = *(const double *)results->array[LOSS];
    const double valid = (double)count_labels(labels, count);
    double sum = 0;
    bool good = true;
    for (int64_t i = 0; i < count; i++) {
        const double s = (double)scores[i], y = (double)labels[i];
        double slope = 0, size = 0;
        if (!isnan(labels[i])) {
            sum += entry_loss(link, s, y, &slope);
            size = link == BCE ? 1 : 2 * (fabs(s) + fabs(y));
        }
        good &= bench_check_sum_f32(error, i, gradients[i], slope / valid, size / valid, 2);
    }
    if (!(fabs(loss - sum / valid) <= 4e-7 * sum / valid)) {
        if (error->text[0] == '\0') {
            snprintf(error->text, sizeof error->text, "loss is %.9g, expected %.9g", loss,
                     sum / valid);
        }
        good = false;
    }
    return good;
}

static void peer(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    (void)num_threads;
    const int64_t count = entries(&c->point), link = c->point.v[AXIS_LINK];
    const float *const scores = buffers->array[SCORES], *const labels = buffers->array[LABELS];
    float *const gradients = buffers->array[GRADIENTS];
    const double valid = (double)count_labels(labels, count);
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        double slope = 0;
        if (!isnan(labels[i]))
            sum += entry_loss(link, (double)scores[i], (double)labels[i], &slope);
        gradients[i] = (float)(slope / valid);
    }
    *(double *)buffers->array[LOSS] = sum / valid;
}

const bench_op bench_score_regression = {
    .name = "score_regression",
    .item = "row",
    .model =
        "scores and labels f32 [P,K] read once, gradients f32 [P,K] written; peer on one thread",
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
