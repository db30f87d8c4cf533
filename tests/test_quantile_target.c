// dominance_quantile_target: numbers worked by hand, the oracle over shapes and options, bad actions.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "target_case.h"

static const float half[] = {.5f}, one[] = {1}, half_of_two[] = {.5f, .5f};

// r = 1, gamma = 1/2, Z = (2, 4): (2, 3); done: (1, 1) whatever Z is.
TK_TEST(dominance_quantile_target, matches_the_worked_example)
{
    static const float q[] = {7, 9, 2, 4}, nan[] = {NAN, NAN, NAN, NAN};
    static const int32_t second[] = {1};
    static const uint8_t done[] = {1};
    static const float expected[] = {2, 3}, ended[] = {1, 1};
    for (int mode = 0; mode < 2; mode++) {
        target_case c = target_make(mode == 0 ? "td.shared" : "td.restricted", q, 1, 1, 2, 2);
        c.d.gamma = half, c.io.reward = one;
        c.io.action = mode == 0 ? second : NULL, c.io.greedy = mode == 0 ? NULL : second;
        target_result r = target_run(tk, &c);
        tk_expect_bits(r.target, expected, 2, sizeof(float));
        target_free(&r);
        c.q = nan, c.io.done = done;
        r = target_run(tk, &c);
        tk_expect_bits(r.target, ended, 2, sizeof(float));
        target_free(&r);
    }
}

// MIXTURE of {0, 2}: 2 N' samples, action 0 then 2.
TK_TEST(dominance_quantile_target, mixtures_follow_the_rising_index)
{
    static const float q[] = {2, 4, 1e9f, -1e9f, 6, 8}, expected[] = {2, 3, 4, 5};
    static const uint32_t final[] = {5};
    target_case c = target_make("td.mixture", q, 1, 1, 3, 2);
    c.d.gamma = half, c.io.reward = one, c.io.final = final;
    target_result r = target_run(tk, &c);
    TK_EXPECT(r.count[0] == 4, "%d samples", r.count[0]);
    tk_expect_bits(r.target, expected, 4, sizeof(float));
    target_free(&r);
}

// Objectives take their own gamma, reward, discount and greedy action.
TK_TEST(dominance_quantile_target, objectives_keep_their_own)
{
    static const float q[] = {1, 2, 3, 4}, gamma[] = {0, 1}, reward[] = {10, 20};
    static const float discount[] = {.25f, .5f};
    static const int32_t greedy[] = {1, 0};
    target_case c = target_make("td.restricted", q, 1, 2, 2, 1);
    c.d.gamma = gamma, c.io.reward = reward, c.io.greedy = greedy;
    target_result r = target_run(tk, &c);
    TK_EXPECT(r.target[0] == 10 && r.target[1] == 23, "%g, %g", (double)r.target[0],
              (double)r.target[1]);
    target_free(&r);
    c.io.discount = discount;
    r = target_run(tk, &c);
    TK_EXPECT(r.target[0] == 10.5f && r.target[1] == 21.5f, "%g, %g", (double)r.target[0],
              (double)r.target[1]);
    target_free(&r);
}

TK_TEST(dominance_quantile_target, defaults_and_presets)
{
    (void)tk;
    static const float q[] = {100};
    static const int32_t first[] = {0};
    static const float zero[] = {0};
    target_case c = target_make(NULL, q, 1, 1, 1, 1);
    TK_EXPECT(c.d.mode == MERIT_DOMINANCE_TARGET_SHARED && c.d.gamma == NULL, "defaults");
    c.io.reward = zero, c.io.action = first;
    target_result r = target_run(tk, &c);
    TK_EXPECT(r.target[0] == 99, "gamma is not 0.99: %g", (double)r.target[0]);
    target_free(&r);
    for (int i = 0; i < 3; i++) {
        c.d.gamma = half, c.d.mode = 9;
        const char *const name = merit_dominance_quantile_target_preset_name(i);
        TK_EXPECT(merit_dominance_quantile_target_preset(name, &c.d) == MERIT_STATUS_OK, "preset");
        TK_EXPECT(c.d.mode == i && c.d.gamma == NULL && c.d.num_levels == 1, "%s", name);
    }
    TK_EXPECT(merit_dominance_quantile_target_preset_name(3) == NULL, "a fourth preset");
}

// Shapes and options -------------------------------------------------------------------------------

TK_TEST(dominance_quantile_target, shapes_and_options_agree_with_the_oracle)
{
    static const int levels[] = {1, 2, 3, 4, 5, 8, 31, 32, 33, 64, 128, 200};
    static const int actions[] = {1, 2, 5, 31, 32, 33, 70};
    enum { MOST = 6 * 3 * 70 * 200, ROWS = 6 * 3 };
    static float q[MOST];
    float reward[ROWS], discount[ROWS], gamma[3];
    int32_t action[ROWS];
    uint32_t final[6 * 3];
    uint8_t done[6];
    tk_random random = {21};
    const int rounds = tk->kind == TK_SIMT ? 36 : 150;
    for (int round = 0; round < rounds; round++) {
        const int A = actions[tk_below(&random, 7)], N = levels[round % 12];
        const int B = 1 + (int)tk_below(&random, 6), M = 1 + (int)tk_below(&random, 3);
        target_case c =
            target_make(merit_dominance_quantile_target_preset_name(round % 3), q, B, M, A, N);
        dominance_fill(&random, q, (int64_t)B * M * A, N, 1);
        for (int m = 0; m < M; m++) {
            gamma[m] = (float)tk_uniform(&random);
        }
        for (int r = 0; r < B * M; r++) {
            reward[r] = (float)tk_normal(&random), discount[r] = (float)tk_uniform(&random);
            action[r] = (int32_t)tk_below(&random, A);
            if (tk_chance(&random, .05)) action[r] = tk_chance(&random, .5) ? -1 : A;
        }
        const int words = (A + 31) / 32;
        for (int i = 0; i < B * words; i++) {
            const uint32_t all = A % 32 != 0 && i % words == words - 1 ? (1u << A % 32) - 1 : ~0u;
            final[i] = (uint32_t)(tk_bits(&random) & tk_bits(&random)) & all;
            if (tk_chance(&random, .1)) final[i] = 0;
            if (tk_chance(&random, .05)) final[i] = ~0u;
        }
        for (int b = 0; b < B; b++) {
            done[b] = tk_chance(&random, .2) ? (uint8_t)(1 + tk_below(&random, 255)) : 0;
        }
        c.io.reward = reward;
        c.io.action = c.d.mode == MERIT_DOMINANCE_TARGET_SHARED ? action : NULL;
        c.io.greedy = c.d.mode == MERIT_DOMINANCE_TARGET_RESTRICTED ? action : NULL;
        c.io.final = c.d.mode == MERIT_DOMINANCE_TARGET_MIXTURE ? final : NULL;
        if (tk_chance(&random, .5)) c.io.done = done;
        if (tk_chance(&random, .5)) c.io.discount = discount;
        if (tk_chance(&random, .5)) c.d.gamma = gamma;
        c.d.dtype =
            (const int32_t[]){MERIT_DTYPE_F32, MERIT_DTYPE_BF16, MERIT_DTYPE_F16}[round / 3 % 3];
        const int layout = (int)tk_below(&random, 4);
        if (layout == 1) { // a tensor per action: [N',A,B,M]
            c.d.stride_objective = 1, c.d.stride_state = M;
            c.d.stride_action = (int64_t)B * M, c.d.stride_level = (int64_t)A * B * M;
        }
        if (layout == 2) c.d.stride_action = N + tk_below(&random, 5);
        if (layout == 2)
            c.d.stride_objective = A * c.d.stride_action,
            c.d.stride_state = M * c.d.stride_objective;
        if (tk_chance(&random, .4)) {
            c.d.ld_target = (c.io.final != NULL ? A : 1) * (int64_t)N + tk_below(&random, 6);
        }
        tk->shift = tk_chance(&random, .5) ? 0 : 1;
        tk_case("round %d: %d states, %d objectives, %d actions, %d levels", round, B, M, A, N);
        target_check(tk, &c);
    }
}

// Degenerate rows ----------------------------------------------------------------------------------

// Action -1 or A: NaN, counted per row, its own row alone. done looks at neither Z nor the action.
TK_TEST(dominance_quantile_target, bad_actions_are_nan_alone_unless_done)
{
    static const float q[] = {1, 2, 3, 4, 5, 6, 7, 8}; // [4,1,2,1]
    static const float reward[] = {1, 1, 1, 1};
    static const int32_t action[] = {-1, 2, 1, INT32_MIN};
    static const uint8_t done[] = {0, 0, 0, 7};
    const float expected[] = {NAN, NAN, 4, 1};
    target_case c = target_make(NULL, q, 4, 1, 2, 1);
    c.d.gamma = half, c.io.reward = reward, c.io.action = action, c.io.done = done;
    target_result r = target_run(tk, &c);
    tk_expect_bits(r.target, expected, 4, sizeof(float));
    TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_BAD_ACTION] == 2, "bad actions");
    target_free(&r);
}

// An empty set: no sample, or the reward when the episode ends. A bit beyond A: NaN.
TK_TEST(dominance_quantile_target, empty_and_wrong_sets)
{
    static const float q[] = {1, 2, 3, 4, 5, 6, 7, 8}; // [4,1,2,1]
    static const float reward[] = {1, -0.0f, 1, 1};
    static const uint32_t final[] = {0, 0, 5, 3};
    static const uint8_t done[] = {0, 1, 0, 1};
    target_case c = target_make("td.mixture", q, 4, 1, 2, 1);
    c.d.gamma = half, c.io.reward = reward, c.io.final = final, c.io.done = done;
    target_result r = target_run(tk, &c);
    const int32_t counts[] = {0, 1, 1, 2};
    const float two[] = {1, 1}, nan = NAN;
    tk_expect_bits(r.count, counts, 4, sizeof(int32_t));
    tk_expect_bits(r.target + 2, &reward[1], 1, sizeof(float)); // bit for bit
    tk_expect_bits(r.target + 4, &nan, 1, sizeof(float));
    tk_expect_bits(r.target + 6, two, 2, sizeof(float));
    TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_BAD_ACTION] == 1, "bad actions");
    target_free(&r);
}

TK_TEST(dominance_quantile_target, extreme_values_follow_ieee)
{
    const float q[] = {NAN, INFINITY, -INFINITY, FLT_MAX, -0.0f, 0x1p-149f};
    const float expected[] = {NAN, INFINITY, -INFINITY, FLT_MAX / 2, 0, 0};
    static const int32_t first[] = {0};
    static const float none[] = {-0.0f};
    target_case c = target_make(NULL, q, 1, 1, 1, 6);
    c.d.gamma = half, c.io.reward = none, c.io.action = first;
    target_result r = target_run(tk, &c);
    tk_expect_bits(r.target, expected, 6, sizeof(float));
    target_free(&r);
}

TK_TEST(dominance_quantile_target, one_launch_or_none)
{
    static const float q[] = {1, 2, 3, 4}, reward[] = {1, 2};
    static const int32_t action[] = {0, 0};
    for (int B = 0; B < 2; B++) {
        target_case c = target_make(NULL, q, B, 2, 1, 2);
        c.d.gamma = half_of_two, c.io.reward = reward, c.io.action = action;
        tk_launches(tk);
        target_result r = target_run(tk, &c);
        const int launches = tk_launches(tk);
        TK_EXPECT(launches == (tk->emulated ? B : -1), "%d launches", launches);
        target_free(&r);
    }
}

// The chain of a training step: what subset keeps of the next state makes the targets, which make the
// loss. A state without a valid action has no target, no loss and no gradient.
TK_TEST(dominance_quantile_target, subset_targets_and_loss_fit_together)
{
    enum { B = 3, M = 2, A = 4, N = 4, ROWS = B * M };
    static const uint8_t valid[B * A] = {1, 1, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0};
    static const float tau[N] = {.125f, .375f, .625f, .875f};
    float q[ROWS * A * N], reward[ROWS], z[ROWS * N];
    tk_random random = {41};
    dominance_fill(&random, q, ROWS * A, N, 1);
    for (int i = 0; i < ROWS * N; i++) {
        reward[i % ROWS] = z[i] = (float)tk_normal(&random);
    }
    merit_dominance_subset_desc s;
    merit_dominance_quantile_target_desc t;
    merit_dominance_quantile_huber_desc h;
    merit_dominance_subset_desc_init(&s, sizeof s);
    merit_dominance_quantile_target_desc_init(&t, sizeof t);
    merit_dominance_quantile_huber_desc_init(&h, sizeof h);
    s.num_states = t.num_states = B, s.num_objectives = t.num_objectives = M;
    s.num_actions = t.num_actions = A, s.num_levels = t.num_levels = N;
    t.mode = MERIT_DOMINANCE_TARGET_MIXTURE;
    h.num_rows = ROWS, h.num_levels = N, h.num_targets = A * N;

    merit_dominance_subset_io si = {.struct_size = sizeof si};
    si.q = tk_input(tk, q, ROWS * A * N, sizeof(float)), si.valid = tk_input(tk, valid, B * A, 1);
    si.final = tk_output(tk, B, sizeof(uint32_t));
    merit_dominance_quantile_target_io ti = {.struct_size = sizeof ti};
    ti.q_next = si.q, ti.final = si.final;
    ti.reward = tk_input(tk, reward, ROWS, sizeof(float));
    ti.target = tk_output(tk, ROWS * A * N, sizeof(float));
    ti.target_count = tk_output(tk, ROWS, sizeof(int32_t));
    merit_dominance_quantile_huber_io hi = {.struct_size = sizeof hi};
    hi.quantiles = tk_input(tk, z, ROWS * N, sizeof(float)), hi.tau = tk_input(tk, tau, N, 4);
    hi.targets = ti.target, hi.target_count = ti.target_count;
    hi.loss_rows = tk_output(tk, ROWS, sizeof(float));
    hi.grad_quantiles = tk_output(tk, ROWS * N, sizeof(float));
    size_t first = 0, second = 0;
    tk_expect_ok(tk->ctx, merit_dominance_subset_workspace(tk->ctx, &s, &first));
    tk_expect_ok(tk->ctx, merit_dominance_quantile_huber_workspace(tk->ctx, &h, &second));
    tk_expect_ok(tk->ctx,
                 merit_dominance_subset(tk->ctx, &s, &si, tk_workspace(tk, first), first, NULL));
    tk_expect_ok(tk->ctx, merit_dominance_quantile_target(tk->ctx, &t, &ti, NULL, 0, NULL));
    tk_expect_ok(tk->ctx, merit_dominance_quantile_huber(tk->ctx, &h, &hi, tk_workspace(tk, second),
                                                         second, NULL));
    uint32_t final[B];
    int32_t count[ROWS];
    float loss[ROWS], gradients[ROWS * N];
    tk_read(tk, si.final, final, B, sizeof(uint32_t));
    tk_read(tk, ti.target_count, count, ROWS, sizeof(int32_t));
    tk_read(tk, hi.loss_rows, loss, ROWS, sizeof(float));
    tk_read(tk, hi.grad_quantiles, gradients, ROWS * N, sizeof(float));
    for (int r = 0; r < ROWS; r++) {
        TK_EXPECT(count[r] == N * __builtin_popcount(final[r / M]), "count %d", count[r]);
        TK_EXPECT((count[r] > 0) == (r / M < 2), "count %d of row %d", count[r], r);
        TK_EXPECT(r / M < 2 ? loss[r] > 0 : loss[r] == 0, "loss %g", (double)loss[r]);
        for (int i = 0; i < N; i++) {
            const float g = gradients[r * N + i];
            TK_EXPECT(r / M < 2 ? isfinite(g) : g == 0, "gradient %g", (double)g);
        }
    }
    tk_release(tk);
}
