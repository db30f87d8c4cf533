// policy_loss: memory-bound on a device, bound by exponentials on a CPU.
#include <math.h>
#include <stdio.h>

#include "accuracy.h"
#include "movers.h"
#include "operations.h"
#include "random.h"

enum { AXIS_PRESET, AXIS_OUTPUTS, AXIS_SEQUENCES, AXIS_LENGTH, AXIS_KEPT };
enum { PPO = 1, GRPO, GSPO };
enum { GRADIENT = 1, STATS };
enum { MOST = 1, ALL, HALF, TENTH };
enum { LOGPROB, OLD, REF, ADVANTAGES, MASK, GRADIENTS, LOSS, STATISTICS }; // arrays

static const char *const presets[] = {"ppo", "grpo", "gspo"};
static const char *const outputs[] = {"gradient", "stats"};
static const char *const shares[] = {"7/8", "1", "1/2", "1/10"}; // of tokens under the mask
static const bench_axis axes[] = {{"preset", presets}, {"outputs", outputs}, {"sequences", NULL},
                                  {"length", NULL},    {"kept", shares},     {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{PPO, GRPO, GSPO}, {GRADIENT, STATS}, {64}, {1024}, {MOST}}, BENCH_QUICK},
    {{{PPO, GRPO}, {GRADIENT}, {1024}, {1024}, {MOST}}, BENCH_EACH_ISA},
    {{{PPO}, {GRADIENT}, {4096}, {1024}, {MOST}}, 0},
    {{{PPO}, {GRADIENT}, {8192}, {2048}, {MOST}}, BENCH_FULL},
    {{{GRPO, GSPO}, {GRADIENT}, {8192}, {2048}, {MOST}}, BENCH_FULL},
    {{{PPO, GRPO, GSPO}, {STATS}, {8192}, {2048}, {MOST}}, BENCH_FULL},
    {{{PPO, GRPO, GSPO}, {GRADIENT}, {8, 256}, {128, 1024}, {MOST}}, BENCH_FULL},
    {{{GRPO, GSPO}, {GRADIENT}, {4096}, {128, 1024}, {MOST}}, BENCH_FULL},
    {{{PPO}, {GRADIENT}, {4096}, {128}, {MOST}}, BENCH_FULL},
    {{{PPO, GRPO}, {GRADIENT}, {1024}, {1024}, {ALL, HALF, TENTH}}, BENCH_FULL},
    {{{0}}, 0},
};

static int64_t num_tokens(bench_point p)
{
    return p.v[AXIS_SEQUENCES] * p.v[AXIS_LENGTH];
}

static bench_work work(bench_point p)
{
    const double tokens = (double)num_tokens(p);
    const double inputs = p.v[AXIS_PRESET] == GRPO ? 13 : 9; // logprob, old, ref; mask
    return (bench_work){
        .items = tokens, .bytes_read = inputs * tokens, .bytes_written = 4 * tokens};
}

// Log-ratios of deviation 0.1.
static bool setup(bench_case *c)
{
    const int64_t tokens = num_tokens(c->point);
    const int64_t sequences = c->point.v[AXIS_SEQUENCES];
    const size_t bytes = (size_t)tokens * sizeof(float);
    void *arrays[5];
    bench_add_input(c, bytes, &arrays[LOGPROB]);
    bench_add_input(c, bytes, &arrays[OLD]);
    bench_add_input(c, c->point.v[AXIS_PRESET] == GRPO ? bytes : sizeof(float), &arrays[REF]);
    bench_add_input(c, (size_t)sequences * sizeof(float), &arrays[ADVANTAGES]);
    bench_add_input(c, (size_t)tokens, &arrays[MASK]);
    bench_add_output(c, bytes);
    bench_add_output(c, sizeof(double));
    if (c->point.v[AXIS_OUTPUTS] == STATS) bench_add_output(c, sizeof(merit_policy_stats));
    static const double kept[] = {[MOST] = 0.875, [ALL] = 1, [HALF] = 0.5, [TENTH] = 0.1};
    const double share = kept[c->point.v[AXIS_KEPT]];
    float *const lp = arrays[LOGPROB], *const old = arrays[OLD], *const ref = arrays[REF];
    for (int64_t t = 0; t < tokens; t++) {
        lp[t] = -fabsf(bench_normal(c->seed, (uint64_t)t));
        old[t] = lp[t] + 0.1f * bench_normal(c->seed ^ 0x6f6c6471u, (uint64_t)t);
        if (c->point.v[AXIS_PRESET] == GRPO) {
            ref[t] = lp[t] + 0.1f * bench_normal(c->seed ^ 0x72656671u, (uint64_t)t);
        }
        ((uint8_t *)arrays[MASK])[t] = bench_uniform(c->seed ^ 0x6d61736bu, (uint64_t)t) < share;
    }
    for (int64_t i = 0; i < sequences; i++) {
        ((float *)arrays[ADVANTAGES])[i] = bench_normal(c->seed ^ 0x61647671u, (uint64_t)i);
    }
    snprintf(c->data, sizeof c->data, "generated");
    return true;
}

// Calls ---------------------------------------------------------------------------------------------

typedef struct call {
    merit_policy_loss_desc desc;
    merit_policy_loss_io io;
} call;
_Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    merit_status status = merit_policy_loss_desc_init(&made->desc, sizeof made->desc);
    if (status != MERIT_STATUS_OK) return status;
    status = merit_policy_loss_preset(presets[c->point.v[AXIS_PRESET] - 1], &made->desc);
    const int64_t sequences = c->point.v[AXIS_SEQUENCES];
    made->desc.num_tokens = num_tokens(c->point);
    made->desc.sequences.num_groups = sequences;
    made->desc.sequences.group_size = c->point.v[AXIS_LENGTH];
    made->desc.denominator =
        (double)(c->point.v[AXIS_PRESET] == PPO ? num_tokens(c->point) : sequences);
    made->io = (merit_policy_loss_io){.struct_size = sizeof made->io,
                                      .logprob = buffers->array[LOGPROB],
                                      .old = buffers->array[OLD],
                                      .advantages = buffers->array[ADVANTAGES],
                                      .mask = buffers->array[MASK],
                                      .grad_logprob = buffers->array[GRADIENTS],
                                      .loss = buffers->array[LOSS]};
    if (c->point.v[AXIS_PRESET] == GRPO) made->io.ref = buffers->array[REF];
    if (c->point.v[AXIS_OUTPUTS] == STATS) made->io.stats = buffers->array[STATISTICS];
    return status;
}

static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_policy_loss_workspace(ctx, &((const call *)bound)->desc, bytes);
}

static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    const call *const made = (const call *)bound;
    return merit_policy_loss(ctx, &made->desc, &made->io, scratch, scratch_bytes, stream);
}

// Reference and peer: the textbook formula, token by token, in double -----------------------------------

typedef struct exact_gradient {
    double value, largest; // of its terms
} exact_gradient;

// What stats has of a token, as one would write it.
static void add_statistics(merit_policy_stats *s, double A, double lp, double old, double r,
                           double low, double high, double kl)
{
    const double d = lp - old;
    s->tokens++;
    s->clipped_low += A < 0 && r < low;
    s->clipped_high += A > 0 && r > high;
    s->sum_ratio += r;
    s->sum_ratio_squared += r * r;
    s->sum_k1 -= d;
    s->sum_k3 += exp(d) - 1 - d;
    s->sum_kl_ref += kl;
    s->ratio_min = fminf(s->ratio_min, (float)r);
    s->ratio_max = fmaxf(s->ratio_max, (float)r);
}

// Writes the gradients of sequence i and returns its loss.
static double one_sequence(const bench_case *c, void *const *arrays, int64_t i, float *gradients,
                           exact_gradient *exact, merit_policy_stats *stats)
{
    const int64_t preset = c->point.v[AXIS_PRESET], n = c->point.v[AXIS_LENGTH];
    const float *const lp = (const float *)arrays[LOGPROB] + i * n;
    const float *const old = (const float *)arrays[OLD] + i * n;
    const float *const ref = (const float *)arrays[REF] + (preset == GRPO ? i * n : 0);
    const uint8_t *const mask = (const uint8_t *)arrays[MASK] + i * n;
    const double A = ((const float *)arrays[ADVANTAGES])[i];
    const double low = preset == GSPO ? (double)(1.0f - 3e-4f) : (double)0.8f;
    const double high = preset == GSPO ? (double)(1.0f + 4e-4f) : (double)1.2f;
    double valid = 0, sum = 0, loss = 0;
    for (int64_t t = 0; t < n; t++) {
        valid += mask[t] != 0;
        if (preset == GSPO && mask[t]) sum += (double)lp[t] - old[t];
    }
    const double D =
        preset == PPO ? (double)num_tokens(c->point) : (double)c->point.v[AXIS_SEQUENCES] * valid;
    const double shared = valid > 0 ? exp(sum / valid) : 1;
    for (int64_t t = 0; t < n; t++) {
        double g = 0, pull = 0, kl = 0;
        if (mask[t]) {
            const double r = preset == GSPO ? shared : exp((double)lp[t] - old[t]);
            const double clipped = r < low ? low : r > high ? high : r;
            const double first = -A * r, second = -A * clipped;
            loss += first >= second ? first : second;
            g = first >= second ? -A * r : 0;
            if (preset == GRPO) {
                const double d = (double)ref[t] - lp[t];
                kl = exp(d) - d - 1;
                loss += 0.04 * kl;
                pull = -0.04 * (exp(d) - 1);
            }
            if (stats != NULL) add_statistics(stats, A, lp[t], old[t], r, low, high, kl);
        }
        if (gradients != NULL) gradients[t] = (float)((g + pull) / D);
        if (exact != NULL) {
            exact[t] = (exact_gradient){(g + pull) / D, fmax(fabs(g), fabs(pull)) / D};
        }
    }
    return valid > 0 ? loss / D : 0;
}

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    enum { LONGEST = 4096, MAX_ULP = 8 };
    const int64_t n = c->point.v[AXIS_LENGTH], sequences = c->point.v[AXIS_SEQUENCES];
    const float *const gradients = results->array[GRADIENTS];
    void *arrays[5];
    exact_gradient exact[LONGEST];
    double sum = 0;
    bool good = n <= LONGEST;
    for (int k = 0; k < 5; k++)
        arrays[k] = c->arrays[k].host;
    for (int64_t i = 0; i < sequences && good; i++) {
        sum += one_sequence(c, arrays, i, NULL, exact, NULL);
        // a log-ratio at a bound may round to the other side: such a gradient is left out
        for (int64_t t = 0; t < n; t++) {
            const int64_t at = i * n + t;
            const double r =
                exp((double)((float *)arrays[LOGPROB])[at] - (double)((float *)arrays[OLD])[at]);
            if (fabs(r - 0.8) < 1e-6 || fabs(r - 1.2) < 1e-6) continue;
            good &= bench_check_sum_f32(error, at, gradients[at], exact[t].value, exact[t].largest,
                                        MAX_ULP);
        }
    }
    const double loss = *(const double *)results->array[LOSS];
    if (!(fabs(loss - sum) <= 1e-6 * (1 + fabs(sum)))) {
        if (error->text[0] == '\0') {
            snprintf(error->text, sizeof error->text, "loss is %.9g, expected %.9g", loss, sum);
        }
        good = false;
    }
    return good;
}

typedef struct peer_state {
    const bench_case *c;
    const bench_buffers *buffers;
} peer_state;

static void peer_sequences(void *state, int64_t begin, int64_t end)
{
    const peer_state *const p = state;
    const bool has_stats = p->c->point.v[AXIS_OUTPUTS] == STATS;
    float *const gradients = p->buffers->array[GRADIENTS];
    merit_policy_stats stats = {.ratio_min = INFINITY, .ratio_max = -INFINITY};
    double loss = 0;
    for (int64_t i = begin; i < end; i++) {
        loss += one_sequence(p->c, p->buffers->array, i, gradients + i * p->c->point.v[AXIS_LENGTH],
                             NULL, has_stats ? &stats : NULL);
    }
    if (begin != 0) return;
    *(double *)p->buffers->array[LOSS] = loss;
    if (has_stats) *(merit_policy_stats *)p->buffers->array[STATISTICS] = stats;
}

static void peer(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    peer_state state = {c, buffers};
    bench_parallel(num_threads, c->point.v[AXIS_SEQUENCES], 1, peer_sequences, &state);
}

const bench_op bench_policy_loss = {
    .name = "policy_loss",
    .item = "token",
    .model =
        "logprob, old (grpo: ref) f32 [T], mask u8 [T] to gradient f32 [T], loss f64: 9 (13) bytes "
        "read and 4 written per token; stats adds 216 bytes",
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
