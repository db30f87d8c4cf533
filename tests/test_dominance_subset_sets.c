// dominance_subset: what moves the sets and what leaves them alone; ranges of sizes; stored forms.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "subset_case.h"

enum { M = 3, A = 9, N = 6, B = 8, ROWS = B * M * A };

static float thetas[M] = {.625f, .5f, .75f};

// Every option of the relation that has a set of its own.
static subset_case variant(int i, const float *q)
{
    static const int32_t diamond[M] = {0, 1, 1};
    subset_case c = subset_make(NULL, q, B, M, A, N);
    c.d.theta = thetas;
    c.d.power = i % 3;
    c.d.ties = i / 3 % 2;
    c.d.mode = i % 4 == 3;
    c.d.within_class = i / 2 % 2;
    c.d.rank = i % 2 ? diamond : NULL;
    c.d.on_empty = i % 3;
    if (i % 5 == 4) c.d.measure = MERIT_DOMINANCE_MEASURE_MANN_WHITNEY;
    if (i % 5 == 3) c.d.integrate = 1;
    return c;
}

enum { VARIANTS = 12 };

static void expect_equal_sets(const subset_result *x, const subset_result *y)
{
    tk_expect_bits(x->subset, y->subset, (int64_t)B * M * x->words, 4);
    tk_expect_bits(x->final, y->final, (int64_t)B * x->words, 4);
    tk_expect_bits(x->flags, y->flags, B, 4);
    tk_expect_bits(x->action, y->action, B, 4);
    tk_expect_bits(x->greedy, y->greedy, (int64_t)B * M, 4);
}

TK_TEST(dominance_subset_sets, shifts_and_powers_of_two_change_no_relation)
{
    static float q[ROWS * N], moved[ROWS * N];
    tk_random random = {31};
    dominance_fill(&random, q, ROWS, N, 1);
    for (int i = 0; i < ROWS * N; i++) {
        moved[i] = 0x1p-3f * (q[i] + 12.25f); // exact: multiples of 1/4 below 32
    }
    for (int i = 0; i < VARIANTS; i++) {
        const subset_case c = variant(i, q), d = variant(i, moved);
        tk_case("variant %d", i);
        subset_result x = subset_run(tk, &c), y = subset_run(tk, &d);
        expect_equal_sets(&x, &y);
        subset_free(&x), subset_free(&y);
    }
}

TK_TEST(dominance_subset_sets, permuted_actions_permute_the_sets)
{
    static const int place[A] = {4, 2, 7, 0, 8, 1, 3, 6, 5}; // action a becomes place[a]
    static float q[ROWS * N], permuted[ROWS * N];
    tk_random random = {32};
    dominance_fill(&random, q, ROWS, N, 1);
    for (int row = 0; row < ROWS; row++) {
        memcpy(permuted + (row / A * A + place[row % A]) * N, q + row * N, N * sizeof *q);
    }
    for (int i = 0; i < VARIANTS; i++) {
        const subset_case c = variant(i, q), d = variant(i, permuted);
        tk_case("variant %d", i);
        subset_result x = subset_run(tk, &c), y = subset_run(tk, &d);
        for (int s = 0; s < B * M + B; s++) {
            const uint32_t before = s < B * M ? x.subset[s] : x.final[s - B * M];
            const uint32_t after = s < B * M ? y.subset[s] : y.final[s - B * M];
            for (int a = 0; a < A; a++) {
                TK_EXPECT((before >> a & 1) == (after >> place[a] & 1), "set %d, action %d", s, a);
            }
        }
        tk_expect_bits(x.flags, y.flags, B, 4);
        subset_free(&x), subset_free(&y);
    }
}

TK_TEST(dominance_subset_sets, sets_shrink_along_a_chain_and_grow_with_theta)
{
    static float q[ROWS * N];
    tk_random random = {33};
    dominance_fill(&random, q, ROWS, N, 1);
    int shrank = 0, grew = 0;
    for (int power = 0; power < 3; power++) {
        uint32_t before[B] = {0};
        for (int t = 0; t < 5; t++) {
            const float theta = .5f + .125f * (float)t, equal[M] = {theta, theta, theta};
            subset_case c = subset_make(NULL, q, B, M, A, N);
            c.d.power = power, c.d.theta = equal;
            tk_case("power %d, theta %g", power, (double)theta);
            subset_result r = subset_run(tk, &c);
            for (int b = 0; b < B; b++) {
                const uint32_t s[M] = {subset_of(&c, &r, b, 0), subset_of(&c, &r, b, 1),
                                       subset_of(&c, &r, b, 2)};
                TK_EXPECT((s[1] & ~s[0]) == 0 && (s[2] & ~s[1]) == 0 && r.final[b] == s[2],
                          "%x, %x, %x, final %x", s[0], s[1], s[2], r.final[b]);
                shrank += s[1] != s[0] || s[2] != s[1];
                if ((r.flags[b] & MERIT_DOMINANCE_FLAG_CYCLE) != 0) continue;
                // ND of the first objective; an empty one (a cycle) was replaced
                TK_EXPECT((before[b] & ~s[0]) == 0, "state %d lost %x", b, before[b] & ~s[0]);
                grew += before[b] != s[0];
                before[b] = s[0];
            }
            subset_free(&r);
        }
    }
    TK_EXPECT(shrank > 10 && grew > 10, "%d shrank, %d grew", shrank, grew);
}

TK_TEST(dominance_subset_sets, one_level_leaves_the_largest_scalars)
{
    enum { STATES = 60, ACTIONS = 70 };
    const int states = tk->kind == TK_SIMT ? 6 : STATES;
    static float q[STATES * ACTIONS];
    tk_random random = {34};
    for (int i = 0; i < STATES * ACTIONS; i++) {
        q[i] = (float)tk_below(&random, 20);
    }
    for (int i = 0; i < 10; i++) {
        static const int32_t sign[] = {-1};
        subset_case c = subset_make(NULL, q, states, 1, ACTIONS, 1);
        c.d.power = i % 3;
        if (i >= 5) c.d.sign = sign;
        if (i % 5 == 3) c.d.measure = MERIT_DOMINANCE_MEASURE_MANN_WHITNEY;
        if (i % 5 == 4) c.d.integrate = 1;
        subset_result r = subset_run(tk, &c);
        for (int b = 0; b < states; b++) {
            const float *const x = q + b * ACTIONS;
            float best = x[0];
            for (int a = 1; a < ACTIONS; a++) {
                if (i < 5 ? x[a] > best : x[a] < best) best = x[a];
            }
            int first = -1;
            for (int a = ACTIONS - 1; a >= 0; a--) {
                const int kept = r.final[b * 3 + a / 32] >> (a % 32) & 1;
                TK_EXPECT(kept == (x[a] == best), "variant %d, state %d, action %d: %d", i, b, a,
                          kept);
                if (x[a] == best) first = a;
            }
            TK_EXPECT(r.action[b] == first && r.greedy[b] == first, "action %d, greedy %d, not %d",
                      r.action[b], r.greedy[b], first);
            TK_EXPECT(r.final[b * 3 + 2] >> (ACTIONS - 64) == 0, "bits beyond the last action");
        }
        subset_free(&r);
    }
}

TK_TEST(dominance_subset_sets, strided_and_16_bit_levels_give_the_sets_of_dense_ones)
{
    static const int64_t strides[][4] = {
        // state, objective, action, level
        {M * A, A, 1, ROWS}, // [N,B,M,A]
        {M * A * 11 + 5, A * 11 + 2, 11, 1},
        {2 * M * A * N, 2 * A * N, 2 * N, 2},
        {N, B * N, M * B * N, 0},
        {0, 0, 0, 0},
    };
    static const int32_t dtypes[] = {MERIT_DTYPE_F32, MERIT_DTYPE_BF16, MERIT_DTYPE_F16};
    static float q[ROWS * N];
    tk_random random = {35};
    dominance_fill(&random, q, ROWS, N, 0);
    subset_case c = subset_make(NULL, q, B, M, A, N);
    for (int sort = 0; sort < 2; sort++) {
        c.d.sort_levels = sort;
        c.d.stride_state = c.d.stride_objective = c.d.stride_action = c.d.stride_level = 0;
        c.d.dtype = MERIT_DTYPE_F32;
        subset_result dense = subset_run(tk, &c);
        for (int i = 0; i < 15; i++) {
            const int64_t *const s = strides[i / 3];
            if (tk->kind == TK_SIMT && i % 3 != i / 3 % 3) continue;
            c.d.dtype = dtypes[i % 3];
            c.d.stride_state = s[0], c.d.stride_objective = s[1];
            c.d.stride_action = s[2], c.d.stride_level = s[3];
            tk->shift = i % 2; // off the 16-byte boundary
            tk_case("sort %d, dtype %d, strides %d", sort, i % 3, i / 3);
            subset_result r = subset_run(tk, &c);
            expect_equal_sets(&r, &dense);
            subset_free(&r);
        }
        tk->shift = 0;
        subset_free(&dense);
    }
}

TK_TEST(dominance_subset_sets, agrees_with_the_oracle_at_the_edges_of_sizes)
{
    static const int sizes[][3] = {{1, 1, 1},  {1, 2, 3},  {1, 31, 4},    {2, 32, 5},
                                   {1, 33, 8}, {32, 3, 2}, {1, 16, 4097}, {1, 1024, 1}};
    tk_random random = {36};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const int m = sizes[i][0], n = sizes[i][2];
        const int a = tk->kind == TK_SIMT && sizes[i][1] > 200 ? 200 : sizes[i][1];
        const int states = i < 6 ? 3 : 1;
        const int64_t rows = (int64_t)states * m * a;
        float *const q = malloc((size_t)(rows * n) * sizeof *q);
        float equal[32];
        int32_t rank[32];
        dominance_fill(&random, q, rows, n, 1);
        for (int k = 0; k < 32; k++) {
            equal[k] = k % 2 ? .5f : nextafterf(1, 0);
            rank[k] = (int32_t)tk_below(&random, 6);
        }
        for (int power = 0; power < 3; power++) {
            subset_case c = subset_make(NULL, q, states, m, a, n);
            c.d.power = power, c.d.theta = equal, c.d.rank = rank;
            tk_case("%d x %d x %d, power %d", m, a, n, power);
            subset_check(tk, &c);
            if (n < 4097) continue;
            tk_case("%d x %d x %d, power %d, bf16", m, a, n, power);
            c.d.dtype = MERIT_DTYPE_BF16; // neither columns nor rows stay
            subset_check(tk, &c);
        }
        free(q);
    }
}

// Real numbers instead of multiples of 1/4: pairs that hang on rounding are left out, the others agree.
TK_TEST(dominance_subset_sets, agrees_with_the_oracle_on_random_reals)
{
    static float q[ROWS * N];
    tk_random random = {37};
    int64_t compared = 0;
    for (int i = 0; i < 2 * VARIANTS; i++) {
        for (int row = 0; row < ROWS; row++) {
            double level = tk_normal(&random);
            for (int n = 0; n < N; n++) {
                level += tk_uniform(&random);
                q[row * N + n] = (float)level;
            }
        }
        subset_case c = variant(i % VARIANTS, q);
        tk_case("round %d", i);
        compared += subset_check(tk, &c);
    }
    TK_EXPECT(!tk->is_first_run || compared > B * VARIANTS, "%lld compared", (long long)compared);
}

// A state between states of NaN, infinities and large numbers is what it is alone.
TK_TEST(dominance_subset_sets, a_state_does_not_depend_on_its_neighbors)
{
    static float q[ROWS * N], alone[M * A * N];
    enum { NEEDLE = 5 };
    tk_random random = {38};
    dominance_fill(&random, q, ROWS, N, 1);
    for (int i = 0; i < ROWS * N; i++) {
        if (i / (M * A * N) == NEEDLE) continue;
        q[i] = i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : -3e38f;
    }
    memcpy(alone, q + NEEDLE * M * A * N, sizeof alone);
    for (int i = 0; i < VARIANTS; i++) {
        const subset_case c = variant(i, q);
        subset_case d = variant(i, alone);
        d.d.num_states = 1;
        tk_case("variant %d", i);
        subset_result x = subset_run(tk, &c), y = subset_run(tk, &d);
        tk_expect_bits(x.subset + NEEDLE * M, y.subset, M, 4);
        tk_expect_bits(x.final + NEEDLE, y.final, 1, 4);
        tk_expect_bits(x.flags + NEEDLE, y.flags, 1, 4);
        tk_expect_bits(x.action + NEEDLE, y.action, 1, 4);
        tk_expect_bits(x.greedy + NEEDLE * M, y.greedy, M, 4);
        subset_free(&x), subset_free(&y);
    }
}
