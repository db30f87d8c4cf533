// preference_list and preference_ordinal. Small groups are bound by the exponentials and the passes over
// them, not by memory.
#include <math.h>
#include <stdio.h>

#include "accuracy.h"
#include "movers.h"
#include "operations.h"
#include "random.h"

// preference_list ---------------------------------------------------------------------------------

enum { AXIS_PRESET, AXIS_GROUPS, AXIS_SIZE };
enum { YOJO = 1, PLACKETT_LUCE, INSTRUCT_GPT };
enum { SCORES, TARGETS, GRADIENT, LOSS }; // arrays
enum { MAX_SIZE = 64 };

static const char *const presets[] = {"yojo", "plackett_luce", "instruct_gpt"};
static const bench_axis list_axes[] = {
    {"preset", presets}, {"groups", NULL}, {"group_size", NULL}, {NULL, NULL}};

static const bench_sweep list_sweeps[] = {
    {{{YOJO, PLACKETT_LUCE, INSTRUCT_GPT}, {1024, 65536}, {8}}, BENCH_QUICK},
    {{{YOJO, PLACKETT_LUCE, INSTRUCT_GPT}, {16384}, {64}}, 0},
    {{{0}}, 0},
};

static int64_t num_items(const bench_case *c)
{
    return c->point.v[AXIS_GROUPS] * c->point.v[AXIS_SIZE];
}

static bool has_index(const bench_case *c)
{
    return c->point.v[AXIS_PRESET] == YOJO;
}

static bench_work list_work(bench_point p)
{
    const double groups = (double)p.v[AXIS_GROUPS];
    const double items = groups * (double)p.v[AXIS_SIZE];
    const double targets = p.v[AXIS_PRESET] == YOJO ? 4 * groups : 4 * items;
    return (bench_work){
        .items = items, .bytes_read = 4 * items + targets, .bytes_written = 4 * items};
}

// Scores of deviation 1. Targets: the first item; a ranking; labels 0 to 4.
typedef struct list_inputs {
    const bench_case *c;
    float *scores;
    void *targets;
} list_inputs;

static void generate_lists(void *state, int64_t begin, int64_t end)
{
    const list_inputs *const g = state;
    const int64_t size = g->c->point.v[AXIS_SIZE];
    for (int64_t i = begin; i < end; i++) {
        g->scores[i] = bench_normal(g->c->seed, (uint64_t)i);
        if (g->c->point.v[AXIS_PRESET] == PLACKETT_LUCE) {
            ((int32_t *)g->targets)[i] = (int32_t)((i % size * 5 + i / size) % size);
        } else if (g->c->point.v[AXIS_PRESET] == INSTRUCT_GPT) {
            ((float *)g->targets)[i] = (float)(i * 7 % 5);
        } else if (i % size == 0) {
            ((int32_t *)g->targets)[i / size] = 0;
        }
    }
}

static bool list_setup(bench_case *c)
{
    const size_t items = (size_t)num_items(c) * sizeof(float);
    list_inputs state = {.c = c};
    void *memory;
    bench_add_input(c, items, &memory);
    state.scores = memory;
    bench_add_input(c, has_index(c) ? (size_t)c->point.v[AXIS_GROUPS] * 4 : items, &memory);
    state.targets = memory;
    bench_add_output(c, items);
    bench_add_output(c, sizeof(double));
    bench_parallel(64, num_items(c), 1, generate_lists, &state);
    snprintf(c->data, sizeof c->data, "generated");
    return true;
}

typedef struct list_call {
    merit_preference_list_desc desc;
    merit_preference_list_io io;
} list_call;
_Static_assert(sizeof(list_call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status list_bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    list_call *const made = (list_call *)bound;
    merit_status status = merit_preference_list_desc_init(&made->desc, sizeof made->desc);
    if (status != MERIT_STATUS_OK) return status;
    status = merit_preference_list_preset(presets[c->point.v[AXIS_PRESET] - 1], &made->desc);
    made->desc.groups.num_groups = c->point.v[AXIS_GROUPS];
    made->desc.groups.group_size = c->point.v[AXIS_SIZE];
    made->desc.num_items = num_items(c);
    made->desc.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_GROUPS;
    made->io = (merit_preference_list_io){
        .struct_size = sizeof made->io,
        .scores = buffers->array[SCORES],
        .grad_scores = buffers->array[GRADIENT],
        .loss = buffers->array[LOSS],
    };
    switch (c->point.v[AXIS_PRESET]) {
    case PLACKETT_LUCE: made->io.ranks = buffers->array[TARGETS]; break;
    case INSTRUCT_GPT: made->io.labels = buffers->array[TARGETS]; break;
    default: made->io.target_index = buffers->array[TARGETS]; break;
    }
    return status;
}

static merit_status list_workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_preference_list_workspace(ctx, &((const list_call *)bound)->desc, bytes);
}

static merit_status list_run(merit_context *ctx, const bench_call *bound, void *scratch,
                             size_t scratch_bytes, merit_stream stream)
{
    const list_call *const made = (const list_call *)bound;
    return merit_preference_list(ctx, &made->desc, &made->io, scratch, scratch_bytes, stream);
}

// The loss of a group in double; dx to grad.
static double textbook(int64_t preset, const float *x, const void *targets, int64_t n, double *grad)
{
    const int32_t *const ranks = targets;
    const float *const labels = targets;
    double loss = 0;
    int64_t pairs = 0;
    for (int64_t i = 0; i < n; i++) {
        grad[i] = 0;
    }
    for (int64_t j = 0; j < n; j++) {
        if (preset == YOJO && j != ranks[0]) continue;
        if (preset == INSTRUCT_GPT) {
            for (int64_t i = 0; i < n; i++) {
                if (!(labels[j] > labels[i])) continue;
                const double t = exp((double)x[i] - (double)x[j]);
                loss += log1p(t);
                grad[j] -= t / (1 + t), grad[i] += t / (1 + t);
                pairs++;
            }
            continue;
        }
        double sum = 0;
        for (int64_t i = 0; i < n; i++) {
            if (preset == YOJO || ranks[i] >= ranks[j]) sum += exp((double)x[i]);
        }
        for (int64_t i = 0; i < n; i++) {
            if (preset == YOJO || ranks[i] >= ranks[j]) grad[i] += exp((double)x[i]) / sum;
        }
        loss += log(sum) - (double)x[j];
        grad[j] -= 1;
    }
    for (int64_t i = 0; i < n && pairs > 1; i++) {
        grad[i] /= (double)pairs;
    }
    return pairs > 1 ? loss / (double)pairs : loss;
}

static bool check_loss(double loss, double expected, bench_error *error)
{
    if (fabs(loss - expected) <= 3e-7 * fabs(expected)) return true;
    if (error->text[0] == '\0') {
        snprintf(error->text, sizeof error->text, "loss is %.9g, expected %.9g", loss, expected);
    }
    return false;
}

static bool list_check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const int64_t groups = c->point.v[AXIS_GROUPS], size = c->point.v[AXIS_SIZE];
    const float *const scores = (const float *)c->arrays[SCORES].host;
    const char *const targets = (const char *)c->arrays[TARGETS].host;
    const float *const gradient = results->array[GRADIENT];
    const int64_t stride = has_index(c) ? 4 : 4 * size; // bytes
    double sum = 0;
    bool good = true;
    for (int64_t n = 0; n < groups; n++) {
        double grad[MAX_SIZE];
        sum +=
            textbook(c->point.v[AXIS_PRESET], scores + n * size, targets + n * stride, size, grad);
        for (int64_t i = 0; i < size; i++) {
            // stages, or pairs of an item, each within some units of 1
            const double slack = 0x1p-22 * (double)size / (double)groups;
            good &= bench_check_f32(error, n * size + i, gradient[n * size + i],
                                    grad[i] / (double)groups, 4, slack);
        }
    }
    return check_loss(*(const double *)results->array[LOSS], sum / (double)groups, error) & good;
}

const bench_op bench_preference_list = {
    .name = "preference_list",
    .item = "score",
    .model =
        "scores f32 [N,n] and the target array of the mode to gradients f32 [N,n], loss f64; 8 "
        "bytes read (yojo: 4 and 4 per group) and 4 written per score",
    .axes = list_axes,
    .sweeps = list_sweeps,
    .work = list_work,
    .setup = list_setup,
    .bind = list_bind,
    .workspace = list_workspace,
    .run = list_run,
    .check = list_check,
};

// preference_ordinal ------------------------------------------------------------------------------

enum { AXIS_PAIRS, AXIS_LEVELS };
enum { CHOSEN, REJECTED, GRAD_CHOSEN, GRAD_REJECTED, ORDINAL_LOSS };

static const bench_axis ordinal_axes[] = {{"pairs", NULL}, {"levels", NULL}, {NULL, NULL}};
static const bench_sweep ordinal_sweeps[] = {
    {{{1024, 65536}, {9}}, BENCH_QUICK},
    {{{65536}, {64}}, 0},
    {{{0}}, 0},
};

static bench_work ordinal_work(bench_point p)
{
    const double pairs = (double)p.v[AXIS_PAIRS];
    const double bytes = 8 * pairs * (double)p.v[AXIS_LEVELS];
    return (bench_work){.items = pairs, .bytes_read = bytes, .bytes_written = bytes};
}

typedef struct ordinal_inputs {
    uint64_t seed;
    float *logits;
} ordinal_inputs;

static void generate_logits(void *state, int64_t begin, int64_t end)
{
    const ordinal_inputs *const g = state;
    for (int64_t i = begin; i < end; i++) {
        g->logits[i] = 2 * bench_normal(g->seed, (uint64_t)i);
    }
}

static bool ordinal_setup(bench_case *c)
{
    const int64_t count = c->point.v[AXIS_PAIRS] * c->point.v[AXIS_LEVELS];
    for (int side = 0; side < 2; side++) {
        void *memory;
        bench_add_input(c, (size_t)count * sizeof(float), &memory);
        ordinal_inputs state = {.seed = c->seed + (uint64_t)side, .logits = memory};
        bench_parallel(64, count, 1, generate_logits, &state);
    }
    bench_add_output(c, (size_t)count * sizeof(float));
    bench_add_output(c, (size_t)count * sizeof(float));
    bench_add_output(c, sizeof(double));
    snprintf(c->data, sizeof c->data, "generated");
    return true;
}

typedef struct ordinal_call {
    merit_preference_ordinal_desc desc;
    merit_preference_ordinal_io io;
} ordinal_call;
_Static_assert(sizeof(ordinal_call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status ordinal_bind(const bench_case *c, const bench_buffers *buffers,
                                 bench_call *bound)
{
    ordinal_call *const made = (ordinal_call *)bound;
    const merit_status status = merit_preference_ordinal_desc_init(&made->desc, sizeof made->desc);
    made->desc.num_pairs = c->point.v[AXIS_PAIRS];
    made->desc.num_levels = (int32_t)c->point.v[AXIS_LEVELS];
    made->io = (merit_preference_ordinal_io){
        .struct_size = sizeof made->io,
        .chosen_logits = buffers->array[CHOSEN],
        .rejected_logits = buffers->array[REJECTED],
        .grad_chosen_logits = buffers->array[GRAD_CHOSEN],
        .grad_rejected_logits = buffers->array[GRAD_REJECTED],
        .loss = buffers->array[ORDINAL_LOSS],
    };
    return status;
}

static merit_status ordinal_workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_preference_ordinal_workspace(ctx, &((const ordinal_call *)bound)->desc, bytes);
}

static merit_status ordinal_run(merit_context *ctx, const bench_call *bound, void *scratch,
                                size_t scratch_bytes, merit_stream stream)
{
    const ordinal_call *const made = (const ordinal_call *)bound;
    return merit_preference_ordinal(ctx, &made->desc, &made->io, scratch, scratch_bytes, stream);
}

static void softmax(const float *logits, int64_t levels, double *p)
{
    double sum = 0;
    for (int64_t k = 0; k < levels; k++) {
        sum += p[k] = exp((double)logits[k]);
    }
    for (int64_t k = 0; k < levels; k++) {
        p[k] /= sum;
    }
}

static bool ordinal_check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const int64_t pairs = c->point.v[AXIS_PAIRS], levels = c->point.v[AXIS_LEVELS];
    const float *const chosen = (const float *)c->arrays[CHOSEN].host;
    const float *const rejected = (const float *)c->arrays[REJECTED].host;
    const float *const grad_chosen = results->array[GRAD_CHOSEN];
    const float *const grad_rejected = results->array[GRAD_REJECTED];
    double sum = 0;
    bool good = true;
    for (int64_t n = 0; n < pairs; n++) {
        double p[MAX_SIZE], r[MAX_SIZE], below[MAX_SIZE], above[MAX_SIZE];
        softmax(chosen + n * levels, levels, p);
        softmax(rejected + n * levels, levels, r);
        double share = 0, under = 0, over = 0;
        for (int64_t k = 0; k < levels; k++) {
            below[k] = under, under += r[k];
            share += p[k] * below[k];
        }
        for (int64_t k = levels - 1; k >= 0; k--) {
            above[k] = over, over += p[k];
        }
        sum -= log(share);
        for (int64_t k = 0; k < levels; k++) {
            const double slack = 0x1p-24 / (double)pairs;
            const double a = (p[k] - p[k] * below[k] / share) / (double)pairs;
            const double b = (r[k] - r[k] * above[k] / share) / (double)pairs;
            good &=
                bench_check_f32(error, n * levels + k, grad_chosen[n * levels + k], a, 2, slack);
            good &=
                bench_check_f32(error, n * levels + k, grad_rejected[n * levels + k], b, 2, slack);
        }
    }
    const double loss = *(const double *)results->array[ORDINAL_LOSS];
    return check_loss(loss, sum / (double)pairs, error) & good;
}

const bench_op bench_preference_ordinal = {
    .name = "preference_ordinal",
    .item = "pair",
    .model =
        "logits f32 [N,K] twice to gradients f32 [N,K] twice, loss f64; 8 K bytes read and 8 K "
        "written per pair",
    .axes = ordinal_axes,
    .sweeps = ordinal_sweeps,
    .work = ordinal_work,
    .setup = ordinal_setup,
    .bind = ordinal_bind,
    .workspace = ordinal_workspace,
    .run = ordinal_run,
    .check = ordinal_check,
};
