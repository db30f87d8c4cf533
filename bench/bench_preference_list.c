// preference_list: memory-bound for short groups, bound by exponentials (PLACKETT_LUCE: by a sort) for long
// ones, by pairs with ALL_PAIRS.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "accuracy.h"
#include "movers.h"
#include "operations.h"
#include "random.h"

enum { AXIS_PRESET, AXIS_GROUPS, AXIS_GROUP_SIZE };
enum { YOJO = 1, PLACKETT_LUCE, INSTRUCT_GPT, OP_GFN, REAL };
enum { SCORES, TARGETS, GRADIENTS, LOSS }; // arrays
enum { MAX_SIZE = 1024 };

static const char *const presets[] = {"yojo", "plackett_luce", "instruct_gpt", "op_gfn", "real"};
static const bench_axis axes[] = {
    {"preset", presets}, {"groups", NULL}, {"group_size", NULL}, {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{YOJO, PLACKETT_LUCE, INSTRUCT_GPT}, {8192}, {8}}, BENCH_QUICK},
    {{{OP_GFN, REAL}, {65536}, {8}}, 0},
    {{{YOJO}, {262144}, {8}}, BENCH_EACH_ISA},
    {{{YOJO}, {1048576}, {8}}, BENCH_FULL | BENCH_EACH_ISA},
    {{{PLACKETT_LUCE}, {1024}, {64}}, 0},
    {{{PLACKETT_LUCE}, {8192}, {64}}, BENCH_FULL},
    {{{0}}, 0},
};

static int64_t num_items(bench_point p)
{
    return p.v[AXIS_GROUPS] * p.v[AXIS_GROUP_SIZE];
}

static bench_work work(bench_point p)
{
    const double items = (double)num_items(p);
    const double targets = p.v[AXIS_PRESET] == YOJO   ? 4 * (double)p.v[AXIS_GROUPS]
                           : p.v[AXIS_PRESET] == REAL ? items
                                                      : 4 * items;
    return (bench_work){
        .items = items, .bytes_read = 4 * items + targets, .bytes_written = 4 * items};
}

// Inputs --------------------------------------------------------------------------------------------

// Scores of deviation 1. A target index, a permutation of ranks, one of four labels, a flag or a sign each.
static void fill_group(const bench_case *c, int64_t g, float *scores, void *targets)
{
    const int64_t n = c->point.v[AXIS_GROUP_SIZE];
    int32_t *const ranks = (int32_t *)targets + g * n;
    for (int64_t i = g * n; i < (g + 1) * n; i++) {
        scores[i] = bench_normal(c->seed, (uint64_t)i);
        if (c->point.v[AXIS_PRESET] == INSTRUCT_GPT) {
            ((float *)targets)[i] = (float)(bench_random(c->seed ^ 0x6c616265u, (uint64_t)i) % 4);
        }
        const int flag = i % n == 0 || bench_random(c->seed ^ 0x666c6167u, (uint64_t)i) % 2 != 0;
        if (c->point.v[AXIS_PRESET] == OP_GFN) ((float *)targets)[i] = (float)flag;
        if (c->point.v[AXIS_PRESET] == REAL) ((int8_t *)targets)[i] = (int8_t)(2 * flag - 1);
    }
    if (c->point.v[AXIS_PRESET] == YOJO) {
        ((int32_t *)targets)[g] =
            (int32_t)(bench_random(c->seed ^ 0x696e6465u, (uint64_t)g) % (uint64_t)n);
    }
    if (c->point.v[AXIS_PRESET] != PLACKETT_LUCE) return;
    for (int64_t i = 0; i < n; i++) // Fisher and Yates, inside out
        ranks[i] = (int32_t)i;
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t other = (int64_t)(bench_random(c->seed ^ 0x72616e6bu, (uint64_t)(g * n + i)) %
                                        (uint64_t)(i + 1));
        const int32_t kept = ranks[i];
        ranks[i] = ranks[other];
        ranks[other] = kept;
    }
}

static bool setup(bench_case *c)
{
    const size_t bytes = (size_t)num_items(c->point) * sizeof(float);
    const int64_t groups = c->point.v[AXIS_GROUPS];
    void *scores, *targets;
    bench_add_input(c, bytes, &scores);
    bench_add_input(c, c->point.v[AXIS_PRESET] == YOJO ? (size_t)groups * 4 : bytes, &targets);
    bench_add_output(c, bytes);
    bench_add_output(c, sizeof(double));
    for (int64_t g = 0; g < groups; g++)
        fill_group(c, g, scores, targets);
    snprintf(c->data, sizeof c->data, "generated");
    return true;
}

// Calls ---------------------------------------------------------------------------------------------

typedef struct call {
    merit_preference_list_desc desc;
    merit_preference_list_io io;
} call;
_Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    merit_status status = merit_preference_list_desc_init(&made->desc, sizeof made->desc);
    if (status != MERIT_STATUS_OK) return status;
    status = merit_preference_list_preset(presets[c->point.v[AXIS_PRESET] - 1], &made->desc);
    made->desc.num_items = num_items(c->point);
    made->desc.groups.num_groups = c->point.v[AXIS_GROUPS];
    made->desc.groups.group_size = c->point.v[AXIS_GROUP_SIZE];
    made->io = (merit_preference_list_io){
        .struct_size = sizeof made->io,
        .scores = buffers->array[SCORES],
        .grad_scores = buffers->array[GRADIENTS],
        .loss = buffers->array[LOSS],
    };
    if (c->point.v[AXIS_PRESET] == YOJO) made->io.target_index = buffers->array[TARGETS];
    if (c->point.v[AXIS_PRESET] == PLACKETT_LUCE) made->io.ranks = buffers->array[TARGETS];
    if (c->point.v[AXIS_PRESET] == INSTRUCT_GPT) made->io.labels = buffers->array[TARGETS];
    if (c->point.v[AXIS_PRESET] == OP_GFN) made->io.weights = buffers->array[TARGETS];
    if (c->point.v[AXIS_PRESET] == REAL) made->io.signs = buffers->array[TARGETS];
    return status;
}

static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_preference_list_workspace(ctx, &((const call *)bound)->desc, bytes);
}

static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    const call *const made = (const call *)bound;
    return merit_preference_list(ctx, &made->desc, &made->io, scratch, scratch_bytes, stream);
}

// Reference and peer: the textbook sums in double, which take n^2 where merit takes a scan --------------

static double sigmoid(double x)
{
    const double e = exp(-fabs(x));
    return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

static double softplus(double x)
{
    return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}

// Log-sum-exp of the scores of rank `from` or behind.
static double tail_lse(const float *s, const int32_t *ranks, int64_t n, int32_t from)
{
    double max = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        if (ranks == NULL || ranks[i] >= from) max = fmax(max, s[i]);
    }
    for (int64_t i = 0; i < n; i++) {
        if (ranks == NULL || ranks[i] >= from) sum += exp(s[i] - max);
    }
    return max + log(sum);
}

// lse(0, -x / tau of the positives) + lse(0, x / tau of the negatives), tau 1/2.
static double anchored(const float *s, const int8_t *signs, int64_t n, double *slope)
{
    double max[2] = {0, 0}, sum[2], loss = 0;
    bool has[2] = {false, false};
    for (int64_t i = 0; i < n; i++) {
        max[signs[i] > 0] = fmax(max[signs[i] > 0], -2.0 * signs[i] * s[i]);
        has[signs[i] > 0] = true;
    }
    if (!has[0] || !has[1]) return 0;
    for (int k = 0; k < 2; k++)
        sum[k] = exp(-max[k]);
    for (int64_t i = 0; i < n; i++)
        sum[signs[i] > 0] += slope[i] = exp(-2.0 * signs[i] * s[i] - max[signs[i] > 0]);
    for (int64_t i = 0; i < n; i++)
        slope[i] *= -2.0 * signs[i] / sum[signs[i] > 0];
    for (int k = 0; k < 2; k++)
        loss += max[k] + log(sum[k]);
    return loss;
}

// Loss and slopes of a group; largest, if given: the largest term of each slope.
static double one_group(int64_t preset, const float *s, const void *targets, int64_t g, int64_t n,
                        double *slope, double *largest)
{
    const int32_t *const ranks = (const int32_t *)targets + g * n;
    const float *const labels = (const float *)targets + g * n;
    double loss = 0;
    int64_t pairs = 0;
    for (int64_t i = 0; i < n; i++)
        slope[i] = 0;
    for (int64_t i = 0; i < n && largest != NULL; i++)
        largest[i] = preset == INSTRUCT_GPT || preset == REAL ? 0 : 1; // of a target or stage
    if (preset == YOJO) {
        const int32_t target = ((const int32_t *)targets)[g];
        const double lse = tail_lse(s, NULL, n, 0);
        for (int64_t i = 0; i < n; i++)
            slope[i] = exp(s[i] - lse) - (i == target);
        return lse - s[target];
    }
    if (preset == REAL) return anchored(s, (const int8_t *)targets + g * n, n, slope);
    if (preset == OP_GFN) {
        const double lse = tail_lse(s, NULL, n, 0);
        double total = 0;
        for (int64_t i = 0; i < n; i++)
            total += labels[i];
        for (int64_t i = 0; i < n; i++) {
            const double q = labels[i] / total;
            loss += q * (lse - s[i]);
            slope[i] = exp(s[i] - lse) - q;
        }
        return loss;
    }
    if (preset == PLACKETT_LUCE) {
        for (int64_t j = 0; j < n; j++) {
            const double lse = tail_lse(s, ranks, n, ranks[j]);
            loss += lse - s[j];
            slope[j] -= 1;
            for (int64_t i = 0; i < n; i++) {
                if (ranks[i] >= ranks[j]) slope[i] += exp(s[i] - lse);
            }
        }
        return loss;
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            if (labels[i] <= labels[j]) continue;
            const double z = (double)s[i] - s[j];
            const double size = sigmoid(-z);
            pairs++;
            loss += softplus(-z);
            slope[i] -= size;
            slope[j] += size;
            if (largest != NULL) largest[i] = fmax(largest[i], size);
            if (largest != NULL) largest[j] = fmax(largest[j], size);
        }
    }
    for (int64_t i = 0; i < n && pairs > 0; i++)
        slope[i] /= (double)pairs;
    for (int64_t i = 0; i < n && pairs > 0 && largest != NULL; i++)
        largest[i] /= (double)pairs;
    return pairs > 0 ? loss / (double)pairs : 0;
}

// Whether a group has a pair; the other presets' groups always have a loss.
static bool contributes(int64_t preset, const void *targets, int64_t g, int64_t n)
{
    if (preset != INSTRUCT_GPT) return true;
    const float *const labels = (const float *)targets + g * n;
    for (int64_t i = 1; i < n; i++) {
        if (labels[i] != labels[0]) return true;
    }
    return false;
}

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const int64_t n = c->point.v[AXIS_GROUP_SIZE];
    const int64_t groups = c->point.v[AXIS_GROUPS];
    const int64_t preset = c->point.v[AXIS_PRESET];
    const float *const scores = c->arrays[SCORES].host;
    const void *const targets = c->arrays[TARGETS].host;
    const float *const gradients = results->array[GRADIENTS];
    double slope[MAX_SIZE], largest[MAX_SIZE];
    double sum = 0;
    int64_t valid = 0;
    bool good = true;
    for (int64_t g = 0; g < groups; g++)
        valid += contributes(preset, targets, g, n);
    // A term has the error of one exponential (ALL_PAIRS: 2.4 ulp, of a sigmoid); slopes add up to n.
    // Differences of scores up to 15 are rounded before their exponential (REAL: the slope itself).
    const double limit = preset == INSTRUCT_GPT ? 2.5 * (double)n
                         : preset == REAL       ? 15
                                                : 1 + log((double)n);
    for (int64_t g = 0; g < groups; g++) {
        sum += one_group(preset, scores + g * n, targets, g, n, slope, largest);
        for (int64_t i = 0; i < n; i++) {
            good &=
                bench_check_sum_f32(error, g * n + i, gradients[g * n + i],
                                    slope[i] / (double)valid, largest[i] / (double)valid, limit);
        }
    }
    const double loss = *(const double *)results->array[LOSS];
    const double expected = sum / (double)valid;
    good &= bench_check_loss(error, loss, expected, 4e-7 * expected);
    return good;
}

typedef struct peer_state {
    const bench_case *c;
    const bench_buffers *buffers;
} peer_state;

static void peer_groups(void *state, int64_t begin, int64_t end)
{
    const peer_state *const p = state;
    const int64_t n = p->c->point.v[AXIS_GROUP_SIZE];
    const double share = 1 / (double)p->c->point.v[AXIS_GROUPS];
    const float *const scores = p->buffers->array[SCORES];
    float *const gradients = p->buffers->array[GRADIENTS];
    double slope[MAX_SIZE];
    double loss = 0;
    for (int64_t g = begin; g < end; g++) {
        loss += one_group(p->c->point.v[AXIS_PRESET], scores + g * n, p->buffers->array[TARGETS], g,
                          n, slope, NULL);
        for (int64_t i = 0; i < n; i++)
            gradients[g * n + i] = (float)(slope[i] * share);
    }
    if (begin == 0) *(double *)p->buffers->array[LOSS] = loss * share;
}

static void peer(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    peer_state state = {c, buffers};
    bench_parallel(num_threads, c->point.v[AXIS_GROUPS], 1, peer_groups, &state);
}

const bench_op bench_preference_list = {
    .name = "preference_list",
    .item = "score",
    .model =
        "scores f32 [R] to gradient f32 [R], loss f64; 4 bytes read and 4 written per score, 4 "
        "read per target, rank or label (1 per sign)",
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
