// dominance_subset: device data that cannot be compared, few or no valid actions, picks, memory.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "subset_case.h"

enum { NAN_SEEN = MERIT_DOMINANCE_FLAG_NAN_SEEN, NO_VALID = MERIT_DOMINANCE_FLAG_NO_VALID_ACTION };

static void expect_state(const subset_result *r, int64_t b, uint32_t final, int action,
                         uint32_t flags)
{
    TK_EXPECT(r->final[b] == final, "final of %lld is %x, not %x", (long long)b, r->final[b],
              final);
    TK_EXPECT(r->action[b] == action, "action of %lld is %d, not %d", (long long)b, r->action[b],
              action);
    TK_EXPECT(r->flags[b] == flags, "flags of %lld are %u, not %u", (long long)b, r->flags[b],
              flags);
}

// Rows 0 < 1 < 2 < 3 < 4 under both objectives.
enum { A = 5, N = 3 };
static void fill_rising(float *q, int rows)
{
    for (int i = 0; i < rows * N; i++) {
        q[i] = (float)(i / N % A) + .25f * (float)(i % N);
    }
}

TK_TEST(dominance_subset_degenerate, invalid_actions_are_not_read_and_not_kept)
{
    enum { B = 4 };
    float q[B * 2 * A * N];
    const uint8_t valid[B * A] = {0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 255, 1, 0, 0, 1, 1, 1, 1, 1};
    fill_rising(q, B * 2 * A);
    for (int i = 0; i < B * 2 * A * N; i++) {
        if (!valid[i / N / A / 2 * A + i / N % A]) q[i] = NAN;
    }
    for (int mode = 0; mode < 2; mode++) {
        for (int pick = 1; pick < 5; pick++) {
            const uint32_t random[B] = {0, 0x80000000u, 0xffffffffu, 7};
            subset_case c = subset_make(NULL, q, B, 2, A, N);
            c.valid = valid;
            c.d.mode = mode, c.d.pick = pick;
            c.random = pick == MERIT_DOMINANCE_PICK_RANDOM ? random : NULL;
            tk_case("mode %d, pick %d", mode, pick);
            subset_result r = subset_run(tk, &c);
            expect_state(&r, 0, 0, -1, NO_VALID);
            expect_state(&r, 1, 2, 1, 0);
            expect_state(&r, 2, 4, 2, 0);
            expect_state(&r, 3, 16, 4, 0);
            TK_EXPECT(r.subset[0] == 0 && r.subset[1] == 0 && r.subset[2] == 2, "subsets");
            TK_EXPECT(r.greedy[0] == -1 && r.greedy[1] == -1 && r.greedy[2] == 1, "greedy");
            subset_free(&r);
        }
    }
    float many[70 * N];
    uint8_t last[70] = {0}; // valid bits in word 2 alone
    fill_rising(many, 70);
    last[65] = last[69] = 1; // rows 0 and 4 of the five
    subset_case c = subset_make(NULL, many, 1, 1, 70, N);
    c.valid = last;
    subset_result r = subset_run(tk, &c);
    TK_EXPECT(r.final[0] == 0 && r.final[1] == 0 && r.final[2] == 1u << 5 && r.action[0] == 69,
              "%x %x %x, action %d", r.final[0], r.final[1], r.final[2], r.action[0]);
    subset_free(&r);
}

TK_TEST(dominance_subset_degenerate, a_nan_action_neither_beats_nor_is_beaten)
{
    float q[2 * A * N];
    fill_rising(q, 2 * A);
    q[(A + 1) * N + 2] = NAN; // action 1, objective 1
    for (int drop = 0; drop < 2; drop++) {
        subset_case c = subset_make("subset.independent", q, 1, 2, A, N);
        c.d.drop_nan = drop;
        tk_case("drop_nan %d", drop);
        subset_result r = subset_run(tk, &c);
        // kept: 4 under both; 1 only under the second, which cannot compare it
        TK_EXPECT(subset_of(&c, &r, 0, 0) == 16, "S_0 %x", subset_of(&c, &r, 0, 0));
        TK_EXPECT(subset_of(&c, &r, 0, 1) == (drop ? 16u : 18u), "S_1 %x", subset_of(&c, &r, 0, 1));
        expect_state(&r, 0, 16, 4, NAN_SEEN);
        TK_EXPECT(r.greedy[1] == 4, "greedy skips NaN: %d", r.greedy[1]);
        subset_free(&r);
    }
    // alone with its kind: nothing can be compared, all stay, the lowest index is taken
    for (int i = 0; i < 2 * A * N; i++) {
        q[i] = i % N == 0 ? NAN : q[i];
    }
    for (int pick = 1; pick < 5; pick++) {
        if (pick == MERIT_DOMINANCE_PICK_RANDOM) continue;
        subset_case c = subset_make(NULL, q, 1, 2, A, N);
        c.d.pick = pick;
        tk_case("pick %d", pick);
        subset_result r = subset_run(tk, &c);
        expect_state(&r, 0, 31, 0, NAN_SEEN);
        subset_free(&r);
        c.d.drop_nan = 1;
        r = subset_run(tk, &c);
        expect_state(&r, 0, 0, -1, NAN_SEEN | NO_VALID);
        subset_free(&r);
    }
    // MEAN skips the NaN score of an action that stays
    fill_rising(q, 2 * A);
    q[4 * N] = q[(A + 4) * N] = NAN;
    subset_case c = subset_make(NULL, q, 1, 2, A, N);
    subset_result r = subset_run(tk, &c);
    expect_state(&r, 0, 8 | 16, 3, NAN_SEEN);
    subset_free(&r);
}

TK_TEST(dominance_subset_degenerate, unsorted_levels_and_bad_weights_compare_nothing)
{
    float q[2 * A * N], weights[2 * N] = {1, 1, 1, 1, -1, 1};
    fill_rising(q, 2 * A);
    q[4 * N] = 9; // row 4 of state 0 falls
    for (int i = 0; i < 4; i++) {
        subset_case c = subset_make(NULL, q, 2, 1, A, N);
        if (i % 2 == 0) c.d.integrate = 1;
        if (i % 2 == 1) c.d.measure = MERIT_DOMINANCE_MEASURE_MANN_WHITNEY;
        c.d.sort_levels = i / 2;
        tk_case("variant %d", i);
        subset_result r = subset_run(tk, &c);
        expect_state(&r, 0, i < 2 ? 8 | 16 : 16, 4, i < 2 ? NAN_SEEN : 0);
        expect_state(&r, 1, 16, 4, 0);
        TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_UNSORTED] == (i < 2), "counter %llu",
                  (unsigned long long)r.diagnostics.count[MERIT_COUNTER_UNSORTED]);
        subset_free(&r);
        subset_check(tk, &c);
    }
    fill_rising(q, 2 * A);
    for (int i = 0; i < 2; i++) {
        weights[N + 1] = i ? NAN : -1;
        subset_case c = subset_make(NULL, q, 2, 1, A, N);
        c.weights = weights, c.d.weights_stride_state = N;
        subset_result r = subset_run(tk, &c);
        expect_state(&r, 0, 16, 4, 0);
        expect_state(&r, 1, 31, 0, NAN_SEEN);
        TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_BAD_WEIGHT] == 1, "counter");
        subset_free(&r);
    }
    weights[N + 1] = INFINITY; // no weight is bad, but no mean is finite: nothing can be ordered
    for (int power = 0; power < 3; power++) {
        subset_case c = subset_make(NULL, q, 2, 1, A, N);
        c.weights = weights, c.d.weights_stride_state = N, c.d.power = power;
        subset_result r = subset_run(tk, &c);
        TK_EXPECT(r.final[0] == 16 && r.final[1] == 31 && r.flags[1] == 0, "power %d keeps %x, %u",
                  power, r.final[1], r.flags[1]);
        subset_free(&r);
    }
    memset(weights, 0, sizeof weights); // nothing counts: nothing is beaten
    subset_case c = subset_make(NULL, q, 2, 1, A, N);
    c.weights = weights, c.d.weights_stride_state = N;
    subset_result r = subset_run(tk, &c);
    expect_state(&r, 0, 31, 0, 0);
    subset_free(&r);
}

TK_TEST(dominance_subset_degenerate, extreme_levels_follow_the_table)
{
    // the largest floats: their difference is infinite, no relation for areas and squares
    static const float far[] = {FLT_MAX, -FLT_MAX, 0};
    static const float tiny[] = {0x1p-149f, 0.0f, -0.0f}, same[] = {7, 7, 7};
    static const float endless[] = {INFINITY, 1, -INFINITY};
    for (int power = 0; power < 3; power++) {
        tk_case("power %d", power);
        subset_case c = subset_make(NULL, far, 1, 1, 3, 1);
        c.d.power = power;
        subset_result r = subset_run(tk, &c);
        // p = 2: even FLT_MAX against 0 has an infinite square
        expect_state(&r, 0, power == 2 ? 7 : 1, 0, 0);
        subset_free(&r);
        c.q = tiny;
        r = subset_run(tk, &c);
        // p = 2: the square of the smallest float is 0 in binary32
        expect_state(&r, 0, power == 2 ? 7 : 1, 0, 0);
        subset_free(&r);
        c.q = same;
        r = subset_run(tk, &c);
        expect_state(&r, 0, 7, 0, 0);
        subset_free(&r);
        c.q = endless;
        r = subset_run(tk, &c);
        expect_state(&r, 0, power == 0 ? 1 : 7, 0, 0); // infinities are no numbers for p >= 1
        subset_free(&r);
        subset_check(tk, &c);
    }
}

TK_TEST(dominance_subset_degenerate, picks_take_what_they_say)
{
    // one level, two objectives that disagree: 0..3 are all of the Pareto front
    static const float q[] = {0, 1, 2, 3, 7, 6, 3, 1};
    static const float even[] = {1, 1}, first[] = {1, 0}, minus[] = {-1, 0};
    static const uint32_t words[] = {0x3fffffffu, 0x40000000u, 0xffffffffu};
    static const struct {
        int pick, action;
        const float *weights;
        const uint32_t *word;
    } picks[] = {{MERIT_DOMINANCE_PICK_NONE, -1, NULL, NULL},
                 {MERIT_DOMINANCE_PICK_MEAN, 0, even, NULL}, // 7, 7, 5, 4: the lowest index of two
                 {MERIT_DOMINANCE_PICK_MEAN, 3, first, NULL},
                 {MERIT_DOMINANCE_PICK_MEAN, 0, minus, NULL},
                 {MERIT_DOMINANCE_PICK_MEAN, 0, NULL, NULL}, // both are the last class
                 {MERIT_DOMINANCE_PICK_MAXIMIN, 0, NULL, NULL},
                 {MERIT_DOMINANCE_PICK_RANDOM, 0, NULL, &words[0]},
                 {MERIT_DOMINANCE_PICK_RANDOM, 1, NULL, &words[1]},
                 {MERIT_DOMINANCE_PICK_RANDOM, 3, NULL, &words[2]},
                 {MERIT_DOMINANCE_PICK_FIRST, 0, NULL, NULL}};
    for (size_t i = 0; i < sizeof picks / sizeof picks[0]; i++) {
        subset_case c = subset_make("subset.pareto", q, 1, 2, 4, 1);
        c.d.pick = picks[i].pick, c.d.pick_weights = picks[i].weights;
        c.random = picks[i].word;
        tk_case("pick %zu", i);
        subset_result r = subset_run(tk, &c);
        expect_state(&r, 0, 15, picks[i].action, 0);
        subset_free(&r);
    }
}

// Inside what the caller gave: outputs and workspace, whose size is that of the rows of a thread and grows
// neither with the states nor with pairs times levels.
TK_TEST(dominance_subset_degenerate, workspace_holds_rows_not_pairs_of_rows)
{
    enum { MOST = 1024, LEVELS = 4096, OBJECTIVES = 4, THREADS = 3 };
    merit_context *const ctx = tk_context(tk, THREADS);
    size_t few = 0, many = 0, first = 0;
    subset_case c = subset_make(NULL, NULL, 64, OBJECTIVES, MOST, LEVELS);
    tk_expect_ok(ctx, merit_dominance_subset_workspace(ctx, &c.d, &few));
    c.d.num_states = 1 << 30;
    tk_expect_ok(ctx, merit_dominance_subset_workspace(ctx, &c.d, &many));
    c.d.num_levels = 1;
    tk_expect_ok(ctx, merit_dominance_subset_workspace(ctx, &c.d, &first));
    if (!tk->on_device && !tk->emulated) {
        TK_EXPECT(few == many, "%zu bytes for 64 states, %zu for 2^30", few, many);
        // per thread and level: columns of 16 rows, 18 rows
        const size_t limit = (size_t)THREADS * LEVELS * (16 + 18) * sizeof(float) + 4096;
        TK_EXPECT(many - first <= limit, "%zu bytes grow with the levels, limit %zu", many - first,
                  limit);
        // per thread: sums, flags and relations to a block of 16, under 32 objectives or fewer
        const size_t rows = (size_t)THREADS * MOST * (OBJECTIVES * (8 + 4) + 32 * 4);
        TK_EXPECT(first <= rows + 65536, "%zu bytes, rows %zu", first, rows);
    } else { // as many blocks as the device runs at once
        const size_t pairs = (size_t)MOST * MOST * LEVELS * sizeof(float);
        TK_EXPECT(many < pairs, "%zu bytes, one state's pairs of levels %zu", many, pairs);
    }
    merit_context_destroy(ctx);
}
