// dominance_pairwise: what holds for all pairs, what moves results and what leaves them alone, sizes.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dominance_case.h"

static const char *const presets[] = {"qd.area", "qd.win_rate",  "qd.strict",
                                      "aso",     "second_order", "mann_whitney"};
enum { PRESETS = 6 };

static void fill_reals(tk_random *random, float *q, int64_t rows, int N)
{
    for (int64_t r = 0; r < rows; r++) {
        double level = 3 * tk_normal(random);
        for (int n = 0; n < N; n++) {
            level += tk_uniform(random);
            q[r * N + n] = (float)level;
        }
    }
}

TK_TEST(dominance_pairwise_properties, shares_of_both_ways_add_up_to_one)
{
    enum { B = 6, A = 19, N = 37, PAIRS = B * A * A };
    static float q[B * A * N];
    tk_random random = {41};
    fill_reals(&random, q, B * A, N);
    for (int i = 0; i < PRESETS; i++) {
        const dominance_case c = dominance_make(presets[i], q, B, 1, A, N);
        dominance_result r = dominance_run(tk, &c);
        tk_case("%s", presets[i]);
        for (int at = 0; at < PAIRS; at++) {
            const int a = at / A % A, b = at % A;
            const int turned = (at / A / A * A + b) * A + a;
            const double sum = (double)r.qd[at] + r.qd[turned];
            TK_EXPECT(fabs(sum - 1) <= 0x1p-24, "QD of %d, %d add up to %.9g", a, b, sum);
            TK_EXPECT(r.qd[at] >= 0 && r.qd[at] <= 1 && r.gain[at] >= 0, "QD %g, gain %g",
                      (double)r.qd[at], (double)r.gain[at]);
            // one way is ahead, or neither
            const int by_gain = (r.gain[at] > r.gain[turned]) - (r.gain[at] < r.gain[turned]);
            const int by_share = (r.qd[at] > .5f) - (r.qd[at] < .5f);
            TK_EXPECT(by_gain == 0 || by_gain == by_share, "gain %g, %g, QD %g", (double)r.gain[at],
                      (double)r.gain[turned], (double)r.qd[at]);
        }
        dominance_free(&r);
    }
}

// Levels as multiples of 1/4: shifts and powers of two are exact.
TK_TEST(dominance_pairwise_properties, shifts_scales_and_order_of_actions)
{
    enum { B = 3, A = 7, N = 8, PAIRS = B * A * A };
    static const int place[A] = {3, 0, 6, 2, 5, 1, 4};
    float q[B * A * N], moved[B * A * N], permuted[B * A * N];
    tk_random random = {42};
    dominance_fill(&random, q, B * A, N, 1);
    for (int i = 0; i < B * A * N; i++) {
        moved[i] = 8 * (q[i] - 5.5f);
        permuted[(i / N / A * A + place[i / N % A]) * N + i % N] = q[i];
    }
    for (int i = 0; i < PRESETS; i++) {
        const dominance_case c = dominance_make(presets[i], q, B, 1, A, N);
        const dominance_case d = dominance_make(presets[i], moved, B, 1, A, N);
        const dominance_case e = dominance_make(presets[i], permuted, B, 1, A, N);
        dominance_result x = dominance_run(tk, &c), y = dominance_run(tk, &d);
        dominance_result z = dominance_run(tk, &e);
        tk_case("%s", presets[i]);
        tk_expect_bits(y.qd, x.qd, PAIRS, 4);
        const float scale = i == 0 || i == 4 ? 8 : i == 3 ? 64 : 1; // of a sum of |d|^p
        for (int at = 0; at < PAIRS; at++) {
            const int game = at / A / A, a = at / A % A, b = at % A;
            const int to = (game * A + place[a]) * A + place[b];
            TK_EXPECT(y.gain[at] == scale * x.gain[at], "gain %g, %g", (double)y.gain[at],
                      (double)x.gain[at]);
            tk_expect_bits(&z.qd[to], &x.qd[at], 1, 4);
            tk_expect_bits(&z.gain[to], &x.gain[at], 1, 4);
        }
        dominance_free(&x), dominance_free(&y), dominance_free(&z);
    }
}

TK_TEST(dominance_pairwise_properties, permuted_levels_change_no_count)
{
    enum { B = 2, A = 6, N = 11, PAIRS = B * A * A };
    float q[B * A * N], permuted[B * A * N], weights[N], permuted_weights[N];
    tk_random random = {43};
    dominance_fill(&random, q, B * A, N, 0);
    for (int n = 0; n < N; n++) {
        weights[n] = (float)tk_below(&random, 8) / 32;
    }
    for (int i = 0; i < B * A * N; i++) {
        const int to = (i % N * 4 + 3) % N; // 4 and 11 have no common factor
        permuted[i / N * N + to] = q[i];
        permuted_weights[to] = weights[i % N];
    }
    for (int ties = 0; ties < 2; ties++) {
        for (int weighted = 0; weighted < 2; weighted++) {
            dominance_case c = dominance_make(ties ? "qd.win_rate" : "qd.strict", q, B, 1, A, N);
            c.weights = weighted ? weights : NULL;
            dominance_case d = c;
            d.q = permuted;
            d.weights = weighted ? permuted_weights : NULL;
            dominance_result x = dominance_run(tk, &c), y = dominance_run(tk, &d);
            tk_case("ties %d, weighted %d", ties, weighted);
            tk_expect_bits(y.qd, x.qd, PAIRS, 4);
            tk_expect_bits(y.gain, x.gain, PAIRS, 4);
            dominance_free(&x), dominance_free(&y);
        }
    }
}

// A distribution over K values with chances of multiples of 1/16, as 16 quantiles and as its CDF: the
// area between two curves is the same either way.
TK_TEST(dominance_pairwise_properties, areas_of_cdfs_are_areas_of_quantiles)
{
    enum { A = 8, N = 16, K = 6, PAIRS = A * A };
    static const float support[K] = {-2, -1, 1, 1.5f, 4, 9}; // the last bin has no width
    static const int32_t sign[] = {-1};
    float quantiles[A * N], cdfs[A * K], widths[K] = {0};
    tk_random random = {44};
    for (int k = 0; k + 1 < K; k++) {
        widths[k] = support[k + 1] - support[k];
    }
    for (int a = 0; a < A; a++) {
        int counts[K] = {0};
        for (int n = 0; n < N; n++) {
            counts[tk_below(&random, K)]++;
        }
        for (int k = 0, n = 0; k < K; k++) {
            for (int i = 0; i < counts[k]; i++) {
                quantiles[a * N + n++] = support[k];
            }
            cdfs[a * K + k] = (float)n / N;
        }
    }
    const dominance_case c = dominance_make("qd.area", quantiles, 1, 1, A, N);
    dominance_case d = dominance_make("qd.area", cdfs, 1, 1, A, K);
    d.weights = widths;
    d.d.sign = sign;
    dominance_result x = dominance_run(tk, &c), y = dominance_run(tk, &d);
    tk_expect_bits(y.gain, x.gain, PAIRS, 4); // exact: multiples of 1/32
    tk_expect_bits(y.qd, x.qd, PAIRS, 4);
    dominance_free(&x), dominance_free(&y);
}

TK_TEST(dominance_pairwise_properties, a_state_does_not_depend_on_its_neighbors)
{
    enum { B = 9, M = 2, A = 5, N = 7, NEEDLE = 4, PAIRS = M * A * A };
    static float q[B * M * A * N], alone[M * A * N];
    tk_random random = {45};
    dominance_fill(&random, alone, M * A, N, 1);
    for (int i = 0; i < B * M * A * N; i++) {
        const int there = i - NEEDLE * M * A * N;
        q[i] = there >= 0 && there < M * A * N ? alone[there]
               : i % 2                         ? NAN
               : i % 4                         ? INFINITY
                                               : -3e38f;
    }
    for (int i = 0; i < PRESETS; i++) {
        const dominance_case c = dominance_make(presets[i], q, B, M, A, N);
        const dominance_case d = dominance_make(presets[i], alone, 1, M, A, N);
        dominance_result x = dominance_run(tk, &c), y = dominance_run(tk, &d);
        tk_case("%s", presets[i]);
        tk_expect_bits(x.qd + NEEDLE * PAIRS, y.qd, PAIRS, 4);
        tk_expect_bits(x.gain + NEEDLE * PAIRS, y.gain, PAIRS, 4);
        dominance_free(&x), dominance_free(&y);
    }
}

TK_TEST(dominance_pairwise_properties, agrees_with_the_oracle_at_the_edges_of_sizes)
{
    static const int sizes[][4] = {{2, 32, 3, 4}, {3, 2, 1, 5}, {1, 32, 33, 1}, {1, 1, 2, 65536}};
    tk_random random = {46};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const int *const s = sizes[i];
        const int64_t rows = (int64_t)s[0] * s[1] * s[2];
        const int N = tk->kind == TK_SIMT && s[3] > 9000 ? 9000 : s[3];
        float *const q = malloc((size_t)(rows * N) * sizeof *q);
        dominance_fill(&random, q, rows, N, 1);
        for (int preset = 0; preset < PRESETS; preset++) {
            // every sample with every sample takes the oracle too long
            if (N > 5000 && preset == 5) continue;
            dominance_case c = dominance_make(presets[preset], q, s[0], s[1], s[2], N);
            tk_case("%s, %d x %d x %d x %d", presets[preset], s[0], s[1], s[2], N);
            dominance_check(tk, &c);
        }
        free(q);
    }
}

// Every option and array has a say.
#define CHANGE(field, value)                                                        \
    do {                                                                            \
        dominance_case after = c;                                                   \
        after.field = (value);                                                      \
        dominance_result r = dominance_run(tk, &after);                             \
        TK_EXPECT(memcmp(r.qd, before.qd, sizeof(float) * M * A * A) != 0, #field); \
        dominance_free(&r);                                                         \
        dominance_check(tk, &after);                                                \
    } while (0)

TK_TEST(dominance_pairwise_properties, every_field_changes_some_answer)
{
    enum { M = 2, A = 6, N = 9 };
    static const int32_t sign[M] = {1, -1};
    static const float delta[M] = {0, .5f};
    float q[M * A * N], weights[N];
    tk_random random = {47};
    dominance_fill(&random, q, M * A, N, 0);
    for (int n = 0; n < N; n++) {
        weights[n] = n < 3 ? .25f : 0;
    }
    for (int power = 0; power < 3; power++) {
        dominance_case c = dominance_make(NULL, q, 1, M, A, N);
        c.d.power = power;
        dominance_result before = dominance_run(tk, &c);
        tk_case("power %d", power);
        CHANGE(d.power, (power + 1) % 3);
        CHANGE(d.measure, MERIT_DOMINANCE_MEASURE_MANN_WHITNEY);
        CHANGE(d.integrate, 1);
        CHANGE(d.sign, sign);
        CHANGE(d.delta, delta);
        CHANGE(weights, weights);
        if (power == 0) CHANGE(d.ties, MERIT_DOMINANCE_TIES_HALF);
        CHANGE(d.sort_levels, 1);
        dominance_free(&before);
    }
}

// Elements beyond 2^31 from the base: the pages between are reserved and never touched.
TK_TEST(dominance_pairwise_properties, reaches_levels_beyond_2_31)
{
    enum { B = 3, A = 2, N = 5 };
    if (tk->kind == TK_CUDA) cr_skip_test("the array is sparse in host memory only");
    const int64_t stride = ((int64_t)1 << 30) + 7, count = (B - 1) * stride + (A - 1) * 31 + N;
    const size_t bytes = (size_t)count * sizeof(float);
    float *const q = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (q == MAP_FAILED) cr_skip_test("no address space");
    for (int i = 0; i < B * A * N; i++) {
        // a is 1 ahead at b + 1 levels and 1 behind at the others
        const int b = i / N / A, n = i % N;
        q[b * stride + i / N % A * 31 + n] = i / N % A ? (n <= b ? 0 : 2) : 1;
    }
    merit_dominance_pairwise_desc d;
    merit_dominance_pairwise_desc_init(&d, sizeof d);
    d.num_states = B, d.num_actions = A, d.num_levels = N;
    d.stride_state = stride, d.stride_action = 31;
    float qd[B * A * A] = {0};
    const merit_dominance_pairwise_io io = {.struct_size = sizeof io, .q = q, .qd = qd};
    size_t needed = 0;
    tk_expect_ok(tk->ctx, merit_dominance_pairwise_workspace(tk->ctx, &d, &needed));
    void *const workspace = tk_workspace(tk, needed);
    tk_expect_ok(tk->ctx, merit_dominance_pairwise(tk->ctx, &d, &io, workspace, needed, NULL));
    for (int b = 0; b < B; b++) {
        const float expected = (float)(b + 1) / N;
        TK_EXPECT(qd[b * 4 + 1] == expected, "QD %g, not %g", (double)qd[b * 4 + 1],
                  (double)expected);
    }
    tk_release(tk);
    munmap(q, bytes);
}

// The workspace is the rows of a thread: it grows neither with the states nor with pairs times levels.
TK_TEST(dominance_pairwise_properties, workspace_holds_rows_not_pairs_of_rows)
{
    enum { A = 1024, N = 4096, THREADS = 3 };
    merit_context *const ctx = tk_context(tk, THREADS);
    for (int sort = 0; sort < 2; sort++) {
        size_t few = 0, many = 0;
        dominance_case c = dominance_make(NULL, NULL, 64, 4, A, N);
        c.d.sort_levels = sort;
        tk_expect_ok(ctx, merit_dominance_pairwise_workspace(ctx, &c.d, &few));
        c.d.num_states = 1 << 20;
        tk_expect_ok(ctx, merit_dominance_pairwise_workspace(ctx, &c.d, &many));
        if (!tk->on_device && !tk->emulated) {
            // per thread: columns of 16 rows, 18 rows, a sum and flags of every row; sorted rows
            const size_t rows = 16 + 18 + (size_t)(sort ? A + 4 : 0);
            const size_t limit = THREADS * (rows * N * sizeof(float) + A * (8 + 4)) + 4096;
            TK_EXPECT(few == many, "%zu bytes for 64 states, %zu for 2^20", few, many);
            TK_EXPECT(many <= limit, "%zu bytes, limit %zu", many, limit);
        } else if (!sort) {
            TK_EXPECT(many == 0, "%zu bytes", many);
        } else { // a state's rows per block
            TK_EXPECT(many < (size_t)A * A * N * sizeof(float), "%zu bytes", many);
        }
    }
    merit_context_destroy(ctx);
}
