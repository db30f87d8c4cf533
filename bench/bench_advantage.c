// advantage_group: memory-bound from about 100 000 rewards on, bound by the call below.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accuracy.h"
#include "movers.h"
#include "operations.h"
#include "random.h"
#include "real_data.h"

enum { AXIS_LAYOUT, AXIS_GROUPS, AXIS_GROUP_SIZE, AXIS_PRESET };
enum { UNIFORM = 1, ZIPF, GSM8K, LCB, WILDBENCH };
enum { GRPO = 1, RLOO, NEMO_GRPO };
enum { REWARDS, ADVANTAGES, OFFSETS }; // arrays; OFFSETS of the Zipf layout only

static const char *const layouts[] = {"uniform", "zipf", "gsm8k", "lcb", "wildbench"};
static const char *const presets[] = {"grpo", "rloo", "nemo.grpo"};
static const bench_axis axes[] = {
    {"layout", layouts}, {"groups", NULL}, {"group_size", NULL}, {"preset", presets}, {NULL, NULL}};

// Zipf: group_size is the largest one. The real points have the sizes of their files.
static const bench_sweep sweeps[] = {
    {{{GSM8K}, {660}, {4}, {GRPO}}, BENCH_QUICK},
    {{{LCB}, {8398}, {10}, {GRPO}}, 0},
    {{{WILDBENCH}, {512}, {12}, {GRPO}}, 0},
    {{{UNIFORM}, {4096}, {8}, {GRPO}}, BENCH_QUICK},
    {{{UNIFORM}, {65536}, {16}, {GRPO, RLOO, NEMO_GRPO}}, BENCH_QUICK},
    {{{UNIFORM}, {1048576}, {16}, {GRPO}}, BENCH_EACH_ISA},
    {{{UNIFORM}, {4194304}, {16}, {GRPO}}, BENCH_FULL | BENCH_EACH_ISA},
    {{{ZIPF}, {8192}, {1024}, {GRPO}}, BENCH_QUICK},
    {{{UNIFORM}, {1}, {16777216}, {GRPO}}, 0},
    {{{UNIFORM}, {1024, 32768, 1048576}, {4, 8, 32, 64}, {GRPO, RLOO}}, BENCH_FULL},
    {{{UNIFORM}, {16, 1024, 1048576}, {2, 5, 16}, {GRPO}}, BENCH_FULL},
    {{{UNIFORM}, {1, 64, 4096, 65536}, {1000}, {GRPO}}, BENCH_FULL},
    {{{ZIPF}, {64}, {1024}, {GRPO}}, BENCH_FULL},
    {{{0}}, 0},
};

// Groups --------------------------------------------------------------------------------------------

// Size of group n of num_groups when sizes follow a Zipf law with exponent 1, 1 ... largest: the
// quantile at (n + 1/2) / num_groups, so the total does not depend on a seed.
static void zipf_sizes(int64_t num_groups, int64_t largest, int64_t *sizes)
{
    double norm = 0;
    for (int64_t k = 1; k <= largest; k++)
        norm += 1 / (double)k;
    int64_t size = 1;
    double below = 0; // probability of sizes under `size`
    for (int64_t n = 0; n < num_groups; n++) {
        const double q = ((double)n + 0.5) / (double)num_groups * norm;
        while (size < largest && below + 1 / (double)size <= q) {
            below += 1 / (double)size;
            size++;
        }
        sizes[n] = size;
    }
}

static int64_t num_rows(bench_point p)
{
    if (p.v[AXIS_LAYOUT] != ZIPF) return p.v[AXIS_GROUPS] * p.v[AXIS_GROUP_SIZE];
    int64_t *const sizes = malloc((size_t)p.v[AXIS_GROUPS] * sizeof *sizes);
    int64_t rows = 0;
    if (sizes == NULL) return 0;
    zipf_sizes(p.v[AXIS_GROUPS], p.v[AXIS_GROUP_SIZE], sizes);
    for (int64_t n = 0; n < p.v[AXIS_GROUPS]; n++)
        rows += sizes[n];
    free(sizes);
    return rows;
}

static bench_work work(bench_point p)
{
    const double rows = (double)num_rows(p);
    const double offsets = p.v[AXIS_LAYOUT] == ZIPF ? 8.0 * (double)(p.v[AXIS_GROUPS] + 1) : 0;
    return (bench_work){.items = rows, .bytes_read = 4 * rows + offsets, .bytes_written = 4 * rows};
}

// Rows [begin, end) of group n, from host arrays.
static void group_range(const bench_case *c, int64_t n, int64_t *begin, int64_t *end)
{
    if (c->point.v[AXIS_LAYOUT] == ZIPF) {
        const int64_t *const offsets = c->arrays[OFFSETS].host;
        *begin = offsets[n];
        *end = offsets[n + 1];
    } else {
        *begin = n * c->point.v[AXIS_GROUP_SIZE];
        *end = *begin + c->point.v[AXIS_GROUP_SIZE];
    }
}

// Inputs --------------------------------------------------------------------------------------------

// Scores of a reward model: a level per group and noise per response; every 16th group is all equal.
typedef struct generated {
    const bench_case *c;
    float *rewards;
} generated;

static void generate(void *state, int64_t begin, int64_t end)
{
    const generated *const g = state;
    for (int64_t n = begin; n < end; n++) {
        int64_t first, last;
        group_range(g->c, n, &first, &last);
        const float level = bench_normal(g->c->seed ^ 0x6c6576656cu, (uint64_t)n);
        const float scale = n % 16 == 15 ? 0.0f : 0.5f;
        for (int64_t i = first; i < last; i++) {
            g->rewards[i] = level + scale * bench_normal(g->c->seed, (uint64_t)i);
        }
    }
}

// 0/1 for each answer: rows of four.
static void fill_gsm8k(const bench_bytes *file, float *rewards)
{
    for (int64_t i = 0; i < file->rows * file->columns; i++)
        rewards[i] = (float)file->values[i];
}

// The file counts the right ones among ten samples; their order does not matter.
static void fill_lcb(const bench_bytes *file, float *rewards)
{
    for (int64_t n = 0; n < file->rows * file->columns; n++) {
        for (int k = 0; k < 10; k++)
            rewards[10 * n + k] = k < file->values[n] ? 1.0f : 0.0f;
    }
}

static bool setup_real(bench_case *c, float *rewards)
{
    static const char *const files[] = {"gsm8k_groups/correct.npy",
                                        "lcb_groups/testgen_correct10.npy",
                                        "wildbench_scores/single.npy"};
    const int64_t layout = c->point.v[AXIS_LAYOUT];
    const char *const file = files[layout - GSM8K];
    bench_bytes bytes;
    if (c->data_dir == NULL) {
        snprintf(c->reason, sizeof c->reason, "no data folder (--data DIR or MERIT_DATA_DIR)");
        return false;
    }
    if (!bench_read_bytes(c->data_dir, file, &bytes, c->reason)) return false;
    const int64_t values = layout == LCB ? c->point.v[AXIS_GROUPS]
                                         : c->point.v[AXIS_GROUPS] * c->point.v[AXIS_GROUP_SIZE];
    const bool fits = bytes.rows * bytes.columns == values;
    if (fits && layout == LCB) {
        fill_lcb(&bytes, rewards);
    } else if (fits) {
        fill_gsm8k(&bytes, rewards);
    } else {
        snprintf(c->reason, sizeof c->reason, "%.60s has other sizes than this point", file);
    }
    free(bytes.values);
    snprintf(c->data, sizeof c->data, "real (%.*s, %lld x %lld)", (int)strcspn(file, "/"), file,
             (long long)c->point.v[AXIS_GROUPS], (long long)c->point.v[AXIS_GROUP_SIZE]);
    return fits;
}

static bool setup(bench_case *c)
{
    const int64_t groups = c->point.v[AXIS_GROUPS];
    const int64_t rows = num_rows(c->point);
    void *rewards, *memory;
    bench_add_input(c, (size_t)rows * sizeof(float), &rewards);
    bench_add_output(c, (size_t)rows * sizeof(float));
    if (c->point.v[AXIS_LAYOUT] == ZIPF) {
        bench_add_input(c, (size_t)(groups + 1) * sizeof(int64_t), &memory);
        int64_t *const offsets = memory;
        zipf_sizes(groups, c->point.v[AXIS_GROUP_SIZE], offsets + 1);
        for (int64_t n = groups - 1; n > 0; n--) { // Fisher and Yates: sizes in no order
            const int64_t other = (int64_t)(bench_random(c->seed, (uint64_t)n) % (uint64_t)(n + 1));
            const int64_t kept = offsets[1 + n];
            offsets[1 + n] = offsets[1 + other];
            offsets[1 + other] = kept;
        }
        for (int64_t n = 0; n < groups; n++)
            offsets[n + 1] += offsets[n];
    }
    if (c->point.v[AXIS_LAYOUT] >= GSM8K) return setup_real(c, rewards);
    generated state = {c, rewards};
    bench_parallel(64, groups, 1, generate, &state);
    snprintf(c->data, sizeof c->data, "generated");
    return true;
}

// Calls ---------------------------------------------------------------------------------------------

typedef struct call {
    merit_advantage_group_desc desc;
    merit_advantage_group_io io;
} call;
_Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    merit_advantage_group_desc *const d = &made->desc;
    merit_status status = merit_advantage_group_desc_init(d, sizeof *d);
    if (status != MERIT_STATUS_OK) return status;
    status = merit_advantage_group_preset(presets[c->point.v[AXIS_PRESET] - 1], d);
    d->num_rows = num_rows(c->point);
    d->groups.num_groups = c->point.v[AXIS_GROUPS];
    if (c->point.v[AXIS_LAYOUT] == ZIPF) {
        d->groups.offsets = buffers->array[OFFSETS];
        d->groups.max_size = c->point.v[AXIS_GROUP_SIZE];
    } else {
        d->groups.group_size = c->point.v[AXIS_GROUP_SIZE];
    }
    made->io = (merit_advantage_group_io){
        .struct_size = sizeof made->io,
        .rewards = buffers->array[REWARDS],
        .advantages = buffers->array[ADVANTAGES],
    };
    return status;
}

static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_advantage_group_workspace(ctx, &((const call *)bound)->desc, bytes);
}

static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    const call *const made = (const call *)bound;
    return merit_advantage_group(ctx, &made->desc, &made->io, scratch, scratch_bytes, stream);
}

// Reference: textbook two-pass formulas, extended precision where the compiler has it ------------------

// Sample deviation of n rewards without number `skip` (n: none); 0 for fewer than two.
static long double deviation(const float *r, int64_t n, int64_t skip)
{
    const int64_t members = skip < n ? n - 1 : n;
    long double sum = 0, squares = 0;
    if (members < 2) return 0;
    for (int64_t i = 0; i < n; i++)
        sum += i == skip ? 0 : r[i];
    const long double mean = sum / members;
    for (int64_t i = 0; i < n; i++)
        squares += i == skip ? 0 : (r[i] - mean) * (r[i] - mean);
    return sqrtl(squares / (members - 1));
}

static bool check_group(const float *r, const float *actual, int64_t first, int64_t n,
                        int64_t preset, bench_error *error)
{
    long double sum = 0;
    float least = r[0], largest = r[0];
    for (int64_t i = 0; i < n; i++) {
        sum += r[i];
        least = fminf(least, r[i]);
        largest = fmaxf(largest, r[i]);
    }
    const long double mean = least == largest ? least : sum / n;
    const long double scale = preset == GRPO ? deviation(r, n, n) : 0;
    const double size = fmax(fabs((double)least), fabs((double)largest));
    bool good = true;
    for (int64_t i = 0; i < n; i++) {
        long double a = n > 1 && least < largest ? r[i] - mean : 0; // a single member gets 0
        double divisor = 1;
        if (preset == GRPO) divisor = (double)(scale + 1e-6L);
        if (preset != GRPO && n > 1) a *= (long double)n / (n - 1);
        if (preset == NEMO_GRPO) {
            const long double others = a != 0 ? deviation(r, n, i) : 0;
            if (others > 0) divisor = (double)(others + 1e-6L); // 0: the advantage stays unscaled
        }
        a /= divisor;
        // The header's bound, and the reference's own rounding.
        good &= bench_check_f32(error, first + i, actual[i], (double)a, 0.5101,
                                0x1p-49 * size / divisor);
    }
    return good;
}

static bool check(const bench_case *c, const bench_buffers *outputs, bench_error *error)
{
    const float *const rewards = c->arrays[REWARDS].host;
    const float *const actual = outputs->array[ADVANTAGES];
    bool good = true;
    for (int64_t n = 0; n < c->point.v[AXIS_GROUPS]; n++) {
        int64_t begin, end;
        group_range(c, n, &begin, &end);
        good &= check_group(rewards + begin, actual + begin, begin, end - begin,
                            c->point.v[AXIS_PRESET], error);
    }
    return good;
}

// Peer: what one writes in an afternoon, two passes in double ------------------------------------------

typedef struct peer_state {
    const bench_case *c;
    const float *rewards;
    float *advantages;
} peer_state;

static double mean_of(const float *r, int64_t n, int64_t skip)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        if (i != skip) sum += r[i];
    }
    return sum / (double)(skip < n ? n - 1 : n);
}

static double std_of(const float *r, int64_t n, int64_t skip, double mean)
{
    double squares = 0;
    for (int64_t i = 0; i < n; i++) {
        if (i != skip) squares += (r[i] - mean) * (r[i] - mean);
    }
    return sqrt(squares / (double)((skip < n ? n - 1 : n) - 1));
}

static void peer_groups(void *state, int64_t begin, int64_t end)
{
    const peer_state *const s = state;
    const int64_t preset = s->c->point.v[AXIS_PRESET];
    for (int64_t g = begin; g < end; g++) {
        int64_t first, last;
        group_range(s->c, g, &first, &last);
        const float *const r = s->rewards + first;
        float *const a = s->advantages + first;
        const int64_t n = last - first;
        const double mean = mean_of(r, n, n);
        if (preset == GRPO) {
            const double divisor = n > 1 ? std_of(r, n, n, mean) + 1e-6 : 1;
            for (int64_t i = 0; i < n; i++)
                a[i] = (float)((r[i] - mean) / divisor);
        } else if (preset == RLOO) {
            const double factor = n > 1 ? (double)n / (double)(n - 1) : 1;
            for (int64_t i = 0; i < n; i++)
                a[i] = (float)((r[i] - mean) * factor);
        } else {
            for (int64_t i = 0; i < n; i++) {
                const double others = mean_of(r, n, i);
                a[i] = (float)((r[i] - others) / (std_of(r, n, i, others) + 1e-6));
            }
        }
    }
}

static void peer(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    peer_state state = {c, buffers->array[REWARDS], buffers->array[ADVANTAGES]};
    bench_parallel(num_threads, c->point.v[AXIS_GROUPS], 1, peer_groups, &state);
}

const bench_op bench_advantage_group = {
    .name = "advantage_group",
    .item = "reward",
    .model = "rewards f32 [R] to advantages f32 [R]; 4 bytes read and 4 written per reward, "
             "8 read per offset",
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
