// dominance_pairwise: pairs worked by hand, the oracle over sizes and options, degenerate input.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dominance_by_hand.h"
#include "dominance_case.h"

// By hand (exact rationals) -----------------------------------------------------------------------

TK_TEST(dominance_pairwise, matches_pairs_worked_by_hand)
{
    for (int i = 0; i < DOMINANCE_BY_HAND; i++) {
        const int N = dominance_by_hand[i].N;
        float q[20];
        memcpy(q, dominance_by_hand[i].a, (size_t)N * sizeof *q);
        memcpy(q + N, dominance_by_hand[i].b, (size_t)N * sizeof *q);
        for (int preset = 0; preset < BY_HAND_PRESETS; preset++) {
            dominance_case c = dominance_make(by_hand_presets[preset], q, 1, 1, 2, N);
            dominance_result r = dominance_run(tk, &c);
            const double expected = (&dominance_by_hand[i].half)[preset];
            const double qd[4] = {r.qd[0], r.qd[1], r.qd[2], r.qd[3]};
            const double all[4] = {.5, (float)expected, (float)(1 - expected), .5};
            tk_case("%s %s", dominance_by_hand[i].name, by_hand_presets[preset]);
            tk_expect_close(qd, all, 4, 6e-8, 0); // rationals with a denominator of 3: one rounding
            dominance_check(tk, &c);
            dominance_free(&r);
        }
    }
}

TK_TEST(dominance_pairwise, gain_is_the_area_on_one_side)
{
    const float q[] = {0, 2, 4, 6, 1, 2, 3, 4}; // T2: P = 3/4, M = 1/4, W1 = 1
    dominance_case c = dominance_make("qd.area", q, 1, 1, 2, 4);
    dominance_result r = dominance_run(tk, &c);
    TK_EXPECT(r.gain[1] == 0.75f && r.gain[2] == 0.25f, "gain %g, %g", r.gain[1], r.gain[2]);
    TK_EXPECT(r.gain[0] == 0 && r.gain[3] == 0 && r.qd[0] == .5f && r.qd[3] == .5f, "diagonal");
    dominance_free(&r);
    c.d.power = 2; // 1/4 (0 + 0 + 1 + 4), 1/4
    r = dominance_run(tk, &c);
    TK_EXPECT(r.gain[1] == 1.25f && r.gain[2] == 0.25f, "gain %g, %g", r.gain[1], r.gain[2]);
    dominance_free(&r);
    c = dominance_make("mann_whitney", q, 1, 1, 2, 4); // 8 of 16 more, 2 equal
    r = dominance_run(tk, &c);
    TK_EXPECT(r.gain[1] == 8 / 16.0f && r.gain[2] == 6 / 16.0f, "%g, %g", r.gain[1], r.gain[2]);
    dominance_free(&r);
    c = dominance_make("second_order", q, 1, 1, 2, 4); // D = -1/4, -1/4, 0, 1/2
    r = dominance_run(tk, &c);
    TK_EXPECT(r.gain[1] == 0.125f && r.gain[2] == 0.125f, "%g, %g", r.gain[1], r.gain[2]);
    dominance_free(&r);
}

TK_TEST(dominance_pairwise, matches_the_shares_of_the_worked_state)
{
    // T8, objective 1: rows 1 and 3 cross, rows 0 and 3 have equal means
    const float q[] = {-2, -1, 0, 0, -1, -1, 0, 0, 0, 0, 0, 0, -3, 0, 0, 0};
    dominance_case c = dominance_make(NULL, q, 1, 1, 4, 4);
    dominance_result r = dominance_run(tk, &c);
    const double qd[3] = {r.qd[4 * 1 + 0], r.qd[4 * 1 + 3], r.qd[4 * 0 + 3]};
    const double expected[3] = {1, 2 / 3.0, .5};
    tk_expect_close(qd, expected, 3, 3e-8, 0);
    dominance_free(&r);
}

TK_TEST(dominance_pairwise, weights_on_the_lower_half_turn_the_order)
{
    const float q[] = {0, 2, 4, 6, 1, 2, 3, 4}; // T2w: 1/2 (0 - 1) is all that is left
    const float weights[] = {.5f, .5f, 0, 0};
    for (int power = 0; power < 3; power++) {
        dominance_case c = dominance_make(NULL, q, 1, 1, 2, 4);
        c.weights = weights;
        c.d.power = power;
        dominance_result r = dominance_run(tk, &c);
        TK_EXPECT(r.qd[1] == 0 && r.qd[2] == 1, "power %d: %g, %g", power, r.qd[1], r.qd[2]);
        TK_EXPECT(r.gain[1] == 0 && r.gain[2] == .5f, "power %d: gain %g", power, r.gain[2]);
        dominance_free(&r);
    }
}

TK_TEST(dominance_pairwise, a_dead_zone_swallows_small_differences)
{
    // T10: delta 1, every pair of the cycle wins outright
    const float q[] = {2, 9, 19, 0, 10, 20, 1, 8, 21};
    const float delta[] = {1};
    for (int power = 0; power < 2; power++) {
        dominance_case c = dominance_make(NULL, q, 1, 1, 3, 3);
        c.d.power = power;
        c.d.delta = delta;
        dominance_result r = dominance_run(tk, &c);
        const double cycle[3] = {r.qd[1], r.qd[5], r.qd[6]}; // (a,b), (b,c), (c,a)
        const double ones[3] = {1, 1, 1};
        tk_expect_close(cycle, ones, 3, 0, 0);
        dominance_free(&r);
        dominance_check(tk, &c);
    }
    dominance_case plain = dominance_make(NULL, q, 1, 1, 3, 3);
    dominance_result r = dominance_run(tk, &plain);
    for (int i = 0; i < 9; i++) {
        TK_EXPECT(r.qd[i] == .5f, "equal means: qd %g", r.qd[i]);
    }
    dominance_free(&r);
}

TK_TEST(dominance_pairwise, win_rates_can_cycle)
{
    const float q[] = {2, 11, 20, 1, 10, 22, 0, 12, 21}; // T9
    static const double expected[] = {2 / 3.0, 1 / 2.0, 1 / 3.0}; // power 0, 1, 2
    for (int power = 0; power < 3; power++) {
        dominance_case c = dominance_make(NULL, q, 1, 1, 3, 3);
        c.d.power = power;
        dominance_result r = dominance_run(tk, &c);
        const double cycle[3] = {r.qd[1], r.qd[5], r.qd[6]};
        const double all[3] = {expected[power], expected[power], expected[power]};
        tk_expect_close(cycle, all, 3, 6e-8, 0);
        dominance_free(&r);
    }
    const float wins[] = {-3, -2, 4, 4, -4, 1, 2, 3, -2, -1, 0, 2}; // T11: 3/4, 3/4, 1/2
    dominance_case c = dominance_make("qd.strict", wins, 1, 1, 3, 4);
    dominance_result r = dominance_run(tk, &c);
    TK_EXPECT(r.qd[1] == .75f && r.qd[5] == .75f && r.qd[2] == .5f, "%g %g %g", r.qd[1], r.qd[5],
              r.qd[2]);
    dominance_free(&r);
    const float tails[] = {0, 0, 2, -2, 0, 3, -2, -2, 4}; // T11, power 2: 4/5, 4/5, 2/3
    c = dominance_make("aso", tails, 1, 1, 3, 3);
    r = dominance_run(tk, &c);
    const double qd[3] = {r.qd[1], r.qd[5], r.qd[2]}, all[3] = {.8, .8, 2 / 3.0};
    tk_expect_close(qd, all, 3, 6e-8, 0);
    dominance_free(&r);
}

// Oracle ------------------------------------------------------------------------------------------

static const char *const every_preset[] = {"qd.area", "qd.win_rate",  "qd.strict",
                                           "aso",     "second_order", "mann_whitney"};

TK_TEST(dominance_pairwise, agrees_with_the_oracle_over_sizes)
{
    static const int sizes[][4] = {{1, 1, 1, 1},  {3, 2, 2, 3},   {5, 1, 7, 31},  {2, 3, 8, 4},
                                   {40, 1, 9, 5}, {3, 2, 16, 64}, {2, 1, 17, 33}, {1, 2, 31, 7},
                                   {2, 1, 32, 8}, {1, 1, 33, 37}, {1, 1, 70, 65}};
    tk_random random = {1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const int *const s = sizes[i];
        const int64_t rows = (int64_t)s[0] * s[1] * s[2];
        float *const q = malloc((size_t)(rows * s[3]) * sizeof *q);
        dominance_fill(&random, q, rows, s[3], 1);
        for (int preset = 0; preset < 6; preset++) {
            tk_case("%s, %d x %d x %d x %d", every_preset[preset], s[0], s[1], s[2], s[3]);
            dominance_case c = dominance_make(every_preset[preset], q, s[0], s[1], s[2], s[3]);
            dominance_check(tk, &c);
        }
        free(q);
    }
}

TK_TEST(dominance_pairwise, agrees_with_the_oracle_over_options)
{
    enum { B = 3, M = 3, A = 10, N = 21, STRIDE = 25 };
    float q[B * M * A * N], weights[B * STRIDE];
    tk_random random = {2};
    for (int round = 0; round < 40; round++) {
        const int sorted = tk_chance(&random, .5);
        dominance_fill(&random, q, B * M * A, N, sorted);
        for (int i = 0; i < B * STRIDE; i++) {
            weights[i] = tk_chance(&random, .2) ? 0 : (float)tk_uniform(&random);
        }
        const int32_t sign[M] = {tk_chance(&random, .5) ? 1 : -1, -1, 1};
        const float delta[M] = {tk_chance(&random, .5) ? 0 : .5f, 1.25f, 0};
        dominance_case c = dominance_make(NULL, q, B, M, A, N);
        c.d.power = (int)tk_below(&random, 3);
        c.d.ties = (int)tk_below(&random, 2);
        c.d.integrate = tk_chance(&random, .3);
        c.d.sort_levels = !sorted && (c.d.integrate || tk_chance(&random, .5));
        if (tk_chance(&random, .6)) c.d.sign = sign;
        if (tk_chance(&random, .5)) c.d.delta = delta;
        if (tk_chance(&random, .5)) c.weights = weights;
        if (c.weights != NULL && tk_chance(&random, .5)) c.d.weights_stride_state = STRIDE;
        if (tk_chance(&random, .2)) {
            c.d.measure = MERIT_DOMINANCE_MEASURE_MANN_WHITNEY;
            c.d.integrate = 0, c.d.delta = NULL, c.weights = NULL, c.d.weights_stride_state = 0;
            c.d.sort_levels = !sorted;
        }
        tk_case("round %d", round);
        dominance_check(tk, &c);
    }
}

TK_TEST(dominance_pairwise, many_levels_and_many_actions)
{
    tk_random random = {3};
    float *const q = malloc(400000 * sizeof *q);
    dominance_fill(&random, q, 3, 4097, 1);
    for (int preset = 0; preset < 6; preset++) {
        dominance_case c = dominance_make(every_preset[preset], q, 1, 1, 3, 4097);
        dominance_check(tk, &c);
    }
    dominance_fill(&random, q, 2, 4096, 0);
    dominance_case sorting = dominance_make("mann_whitney", q, 1, 1, 2, 4096);
    sorting.d.sort_levels = 1;
    dominance_check(tk, &sorting);
    dominance_fill(&random, q, 1024, 3, 1);
    dominance_case wide = dominance_make(NULL, q, 1, 1, tk->kind == TK_SIMT ? 200 : 1024, 3);
    dominance_check(tk, &wide);
    free(q);
}

TK_TEST(dominance_pairwise, strided_and_16_bit_levels_have_the_bits_of_dense_ones)
{
    enum { B = 4, M = 2, A = 5, N = 13, LEVELS = B * M * A * N };
    float q[LEVELS];
    tk_random random = {4};
    dominance_fill(&random, q, B * M * A, N, 1);
    dominance_case c = dominance_make("aso", q, B, M, A, N);
    dominance_result dense = dominance_run(tk, &c);
    static const int64_t strides[][4] = {
        // state, objective, action, level
        {M * A, A, 1, B * M * A}, // [N,B,M,A]
        {300, 150, 15, 1},
        {2 * LEVELS, 2 * A * N, 2 * N, 2},
        {N, B * N, M * B * N, 0},
    };
    static const int32_t dtypes[] = {MERIT_DTYPE_F32, MERIT_DTYPE_BF16, MERIT_DTYPE_F16};
    for (int shift = 0; shift < 2; shift++) {
        tk->shift = shift;
        for (int dtype = 0; dtype < 3; dtype++) {
            for (int i = 0; i < 5; i++) {
                c.d.dtype = dtypes[dtype];
                c.d.stride_state = i < 4 ? strides[i][0] : 0;
                c.d.stride_objective = i < 4 ? strides[i][1] : 0;
                c.d.stride_action = i < 4 ? strides[i][2] : 0;
                c.d.stride_level = i < 4 ? strides[i][3] : 0;
                dominance_result r = dominance_run(tk, &c);
                tk_case("dtype %d, strides %d", dtype, i);
                tk_expect_bits(r.qd, dense.qd, B * M * A * A, sizeof *r.qd);
                tk_expect_bits(r.gain, dense.gain, B * M * A * A, sizeof *r.gain);
                dominance_free(&r);
            }
        }
    }
    tk->shift = 0;
    dominance_free(&dense);
}

// Degenerate --------------------------------------------------------------------------------------

TK_TEST(dominance_pairwise, a_nan_level_stays_in_its_row)
{
    enum { A = 5, N = 6 };
    float q[3 * A * N];
    tk_random random = {5};
    dominance_fill(&random, q, 3 * A, N, 1);
    for (int preset = 0; preset < 6; preset++) {
        dominance_case c = dominance_make(every_preset[preset], q, 3, 1, A, N);
        dominance_result clean = dominance_run(tk, &c);
        const float before = q[(A + 2) * N + 3]; // state 1, action 2
        q[(A + 2) * N + 3] = NAN;
        dominance_result r = dominance_run(tk, &c);
        dominance_check(tk, &c);
        q[(A + 2) * N + 3] = before;
        for (int i = 0; i < 3 * A * A; i++) {
            const int a = i / A % A, b = i % A, hit = i / (A * A) == 1 && (a == 2) != (b == 2);
            if (hit) {
                uint32_t bits[2];
                memcpy(bits, &r.qd[i], 4), memcpy(bits + 1, &r.gain[i], 4);
                TK_EXPECT(bits[0] == 0x7fc00000 && bits[1] == 0x7fc00000, "pair %d is no NaN", i);
            } else {
                tk_expect_bits(&r.qd[i], &clean.qd[i], 1, 4);
                tk_expect_bits(&r.gain[i], &clean.gain[i], 1, 4);
            }
        }
        dominance_free(&r), dominance_free(&clean);
    }
}

TK_TEST(dominance_pairwise, infinite_levels_follow_the_table)
{
    // a: +inf at the top; b: finite; c: +inf at the same place; d: -inf at the bottom
    const float q[] = {0, 1, INFINITY, 0, 2, 3, 1, 1, INFINITY, -INFINITY, 2, 4};
    for (int preset = 0; preset < 4; preset++) {
        dominance_case c = dominance_make(every_preset[preset], q, 1, 1, 4, 3);
        tk_case("%s", every_preset[preset]);
        dominance_check(tk, &c);
        if (every_preset[preset][3] != 'a') continue;
        dominance_result r = dominance_run(tk, &c);
        TK_EXPECT(isinf(r.gain[1]) && isnan(r.qd[1]) && r.qd[4] == 0, "inf against finite: %g %g",
                  r.qd[1], r.qd[4]);
        TK_EXPECT(isnan(r.gain[2]) && isnan(r.qd[2]), "inf - inf: %g %g", r.gain[2], r.qd[2]);
        dominance_free(&r);
    }
    dominance_case ranks = dominance_make("mann_whitney", q, 1, 1, 4, 3);
    dominance_check(tk, &ranks);
    const float far[] = {FLT_MAX, -FLT_MAX, 0x1p-149f, -0x1p-149f, 0.0f, -0.0f};
    dominance_case c = dominance_make(NULL, far, 1, 1, 6, 1);
    dominance_result r = dominance_run(tk, &c);
    TK_EXPECT(isinf(r.gain[1]) && r.qd[1] == 1 && r.qd[6] == 0, "overflow: %g %g", r.gain[1],
              r.qd[1]);
    TK_EXPECT(r.qd[2 * 6 + 3] == 1 && r.gain[2 * 6 + 3] == 0x1p-148f, "subnormal");
    TK_EXPECT(r.qd[4 * 6 + 5] == .5f && r.gain[4 * 6 + 5] == 0, "zeros of either sign");
    dominance_free(&r);
}

TK_TEST(dominance_pairwise, rows_that_should_rise_are_checked)
{
    const float q[] = {1, 2, 3, 2, 1, 3, 0, 0, 4}; // the second row falls
    for (int i = 0; i < 2; i++) {
        dominance_case c = dominance_make(i ? "second_order" : "mann_whitney", q, 1, 1, 3, 3);
        dominance_result r = dominance_run(tk, &c);
        TK_EXPECT(isnan(r.qd[1]) && isnan(r.gain[3]) && isnan(r.qd[5]) && !isnan(r.qd[2]), "rows");
        TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_UNSORTED] == 1, "counted");
        dominance_free(&r);
        dominance_check(tk, &c);
        c.d.sort_levels = 1;
        r = dominance_run(tk, &c);
        TK_EXPECT(!isnan(r.qd[1]) && r.qd[1] == .5f, "sorted, equal: %g", r.qd[1]);
        TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_UNSORTED] == 0, "not counted");
        dominance_free(&r);
    }
    dominance_case crossing = dominance_make(NULL, q, 1, 1, 3, 3); // levels may fall
    dominance_check(tk, &crossing);
}

TK_TEST(dominance_pairwise, bad_weights_make_their_states_nan)
{
    enum { B = 3, N = 4 };
    float q[B * 2 * 2 * N], weights[B * N];
    tk_random random = {6};
    dominance_fill(&random, q, B * 2 * 2, N, 1);
    for (int i = 0; i < B * N; i++)
        weights[i] = .25f;
    weights[N + 2] = -1;
    dominance_case c = dominance_make(NULL, q, B, 2, 2, N);
    c.weights = weights;
    c.d.weights_stride_state = N;
    dominance_result r = dominance_run(tk, &c);
    TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_BAD_WEIGHT] == 1, "one state");
    for (int i = 0; i < B * 2 * 4; i++) {
        const int off_diagonal = i % 4 == 1 || i % 4 == 2;
        TK_EXPECT((isnan(r.qd[i]) != 0) == (i / 8 == 1 && off_diagonal), "qd %d is %g", i, r.qd[i]);
    }
    dominance_free(&r);
    dominance_check(tk, &c);
    weights[N + 2] = NAN;
    dominance_check(tk, &c);
    c.d.weights_stride_state = 0; // one row for all
    weights[1] = NAN;
    r = dominance_run(tk, &c);
    TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_BAD_WEIGHT] == B, "every state");
    dominance_free(&r);
    memset(weights, 0, sizeof weights); // nothing is compared: 1/2
    for (int power = 0; power < 3; power++) {
        c.d.power = power;
        r = dominance_run(tk, &c);
        for (int i = 0; i < B * 2 * 4; i++)
            TK_EXPECT(r.qd[i] == .5f && r.gain[i] == 0, "qd %g", r.qd[i]);
        dominance_free(&r);
    }
}

TK_TEST(dominance_pairwise, either_output_may_be_left_out)
{
    float q[2 * 20 * 9];
    tk_random random = {7};
    dominance_fill(&random, q, 40, 9, 1);
    dominance_case c = dominance_make(NULL, q, 2, 1, 20, 9);
    dominance_result both = dominance_run(tk, &c);
    c.without_qd = 1;
    dominance_result gain = dominance_run(tk, &c);
    c.without_qd = 0, c.without_gain = 1;
    dominance_result qd = dominance_run(tk, &c);
    tk_expect_bits(gain.gain, both.gain, 800, 4);
    tk_expect_bits(qd.qd, both.qd, 800, 4);
    dominance_free(&both), dominance_free(&gain), dominance_free(&qd);
    c = dominance_make(NULL, q, 0, 1, 20, 9); // no states
    dominance_result none = dominance_run(tk, &c);
    dominance_free(&none);
}

TK_TEST(dominance_pairwise, one_launch_does_it_all)
{
    float q[3 * 40 * 9];
    tk_random random = {8};
    dominance_fill(&random, q, 120, 9, 0);
    for (int sort = 0; sort < 2; sort++) {
        dominance_case c = dominance_make(NULL, q, 3, 1, 40, 9);
        c.d.sort_levels = sort;
        tk_launches(tk);
        dominance_result r = dominance_run(tk, &c);
        const int launches = tk_launches(tk);
        TK_EXPECT(launches == (tk->emulated ? 1 : -1), "%d launches", launches);
        dominance_free(&r);
    }
}
