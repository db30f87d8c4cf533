// dominance_subset: the worked example, the oracle over options, degenerate input.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "subset_case.h"

// T8: collision, off-road, progress; four actions, four levels.
static const float t8[3][4][4] = {{{-1, 0, 0, 0}, {-1, 0, 0, 0}, {-4, -1, 0, 0}, {-1, 0, 0, 0}},
                                  {{-2, -1, 0, 0}, {-1, -1, 0, 0}, {0, 0, 0, 0}, {-3, 0, 0, 0}},
                                  {{9, 9, 9, 9}, {1, 2, 3, 4}, {9, 9, 9, 9}, {2, 3, 4, 6}}};

static const float halves[] = {.5f, .5f, .5f}, ones[] = {1, 1, 1}, sixty[] = {.6f, .6f, .6f};

static void expect_t8(tk_fixture *tk, const char *name, const subset_case *c, uint32_t s0,
                      uint32_t s1, uint32_t s2, uint32_t final, uint32_t flags)
{
    tk_case("%s", name);
    subset_result r = subset_run(tk, c);
    TK_EXPECT(subset_of(c, &r, 0, 0) == s0, "S_0 is %x", subset_of(c, &r, 0, 0));
    TK_EXPECT(subset_of(c, &r, 0, 1) == s1, "S_1 is %x", subset_of(c, &r, 0, 1));
    TK_EXPECT(subset_of(c, &r, 0, 2) == s2, "S_2 is %x", subset_of(c, &r, 0, 2));
    TK_EXPECT(r.final[0] == final, "final is %x", r.final[0]);
    TK_EXPECT(r.flags[0] == flags, "flags are %u", r.flags[0]);
    subset_free(&r);
    const int64_t compared = subset_check(tk, c);
    TK_EXPECT(!tk->is_first_run || compared == 1, "the oracle calls it near");
}

TK_TEST(dominance_subset, matches_the_worked_example)
{
    static const int32_t reversed[] = {2, 1, 0}, first_above[] = {0, 1, 1};
    subset_case c = subset_make(NULL, &t8[0][0][0], 1, 3, 4, 4);
    expect_t8(tk, "chain, 3/4", &c, 0xb, 0xa, 0x8, 0x8, 0);
    c.d.theta = halves;
    expect_t8(tk, "chain, 1/2", &c, 0xb, 0x2, 0x2, 0x2, 0);
    c.d.theta = sixty;
    expect_t8(tk, "chain, 3/5", &c, 0xb, 0x2, 0x2, 0x2, 0);
    c.d.theta = ones;
    expect_t8(tk, "chain, 1", &c, 0xb, 0xa, 0x8, 0x8, 0);
    c.d.theta = NULL, c.d.power = 0;
    expect_t8(tk, "chain, p = 0", &c, 0xb, 0xa, 0x8, 0x8, 0);
    c.d.power = 2;
    expect_t8(tk, "chain, p = 2", &c, 0xb, 0x2, 0x2, 0x2, 0);
    c.d.power = 1, c.d.rank = reversed;
    expect_t8(tk, "reversed", &c, 0x4, 0x4, 0x5, 0x4, 0);
    c.d.rank = first_above;
    expect_t8(tk, "0 above both, PARETO", &c, 0xb, 0x1, 0x1, 0x1, 0);
    c.d.within_class = MERIT_DOMINANCE_WITHIN_MEET;
    expect_t8(tk, "0 above both, MEET", &c, 0xb, 0xa, 0x1, 0xb, MERIT_DOMINANCE_FLAG_FALLBACK);
    c = subset_make("subset.pareto", &t8[0][0][0], 1, 3, 4, 4);
    expect_t8(tk, "all equal, PARETO", &c, 0x5, 0x5, 0x5, 0x5, 0);
    c = subset_make("subset.independent", &t8[0][0][0], 1, 3, 4, 4);
    expect_t8(tk, "all equal, MEET", &c, 0xb, 0x4, 0x5, 0xf, MERIT_DOMINANCE_FLAG_FALLBACK);
    c = subset_make("subset.rulebook", &t8[0][0][0], 1, 3, 4, 4);
    expect_t8(tk, "rulebook", &c, 0xf, 0xf, 0xf, 0xf,
              MERIT_DOMINANCE_FLAG_FALLBACK | MERIT_DOMINANCE_FLAG_CYCLE);
}

TK_TEST(dominance_subset, cycles_fall_back)
{
    static const float t9[] = {2, 11, 20, 1, 10, 22, 0, 12, 21};
    for (int on_empty = 0; on_empty < 3; on_empty++) {
        subset_case c = subset_make(NULL, t9, 1, 1, 3, 3);
        c.d.power = 0, c.d.theta = halves, c.d.on_empty = on_empty;
        subset_result r = subset_run(tk, &c);
        TK_EXPECT(r.final[0] == 7 && r.flags[0] == 17, "%x, flags %u", r.final[0], r.flags[0]);
        subset_free(&r);
        c.d.power = 1; // equal means: nothing beats anything
        r = subset_run(tk, &c);
        TK_EXPECT(r.final[0] == 7 && r.flags[0] == 0, "%x, flags %u", r.final[0], r.flags[0]);
        subset_free(&r);
    }
}

TK_TEST(dominance_subset, agrees_with_the_oracle_over_options)
{
    enum { MOST = 3 * 4 * 40 * 9 };
    static float q[MOST];
    static uint8_t valid[3 * 40];
    static float weights[3 * 9];
    tk_random random = {11};
    int64_t compared = 0, states = 0;
    for (int round = 0; round < 90; round++) {
        const int B = 3, M = 1 + (int)tk_below(&random, 4), N = 1 + (int)tk_below(&random, 9);
        const int A = round % 6 == 5 ? 40 : 1 + (int)tk_below(&random, 12);
        const int sorted = tk_chance(&random, .7);
        dominance_fill(&random, q, B * M * A, N, sorted);
        if (tk_chance(&random, .2)) q[tk_below(&random, B * M * A * N)] = NAN;
        for (int i = 0; i < B * A; i++)
            valid[i] = tk_chance(&random, .8);
        if (tk_chance(&random, .2)) memset(valid, 0, (size_t)A);
        static float theta[4], eta[4];
        static int32_t rank[4], sign[4];
        static uint8_t above[16];
        static uint32_t words[3];
        for (int m = 0; m < M; m++) {
            theta[m] = (float[]){.5f, .75f, 1, .625f}[tk_below(&random, 4)];
            eta[m] = tk_chance(&random, .3) ? .5f : 0;
            rank[m] = (int32_t)tk_below(&random, 3);
            sign[m] = tk_chance(&random, .3) ? -1 : 1;
        }
        memset(above, 0, sizeof above); // 0 above 1 and 2, which are above 3: a diamond
        for (int m = 0; m < M; m++) {
            for (int k = m + 1; k < M; k++)
                above[m * M + k] = m == 0 || k == 3;
        }
        for (int b = 0; b < B; b++)
            words[b] = (uint32_t)tk_bits(&random);
        subset_case c = subset_make(NULL, q, B, M, A, N);
        c.d.power = (int)tk_below(&random, 3);
        c.d.ties = (int)tk_below(&random, 2);
        c.d.theta = theta, c.d.sign = sign;
        if (tk_chance(&random, .3)) c.d.eta = eta;
        if (tk_chance(&random, .4))
            c.d.rank = rank;
        else if (tk_chance(&random, .5))
            c.d.above = above;
        c.d.mode = tk_chance(&random, .3);
        c.d.within_class = (int)tk_below(&random, 2);
        c.d.on_empty = (int)tk_below(&random, 3);
        c.d.pick = (int)tk_below(&random, 5);
        c.d.drop_nan = tk_chance(&random, .5);
        c.d.sort_levels = !sorted;
        if (tk_chance(&random, .7)) c.valid = valid;
        for (int i = 0; i < B * N; i++)
            weights[i] = (float)tk_below(&random, 5) / 8;
        if (tk_chance(&random, .4)) c.weights = weights;
        if (c.weights != NULL && tk_chance(&random, .5)) c.d.weights_stride_state = N;
        if (c.d.pick == MERIT_DOMINANCE_PICK_RANDOM) c.random = words;
        tk_case("round %d", round);
        compared += subset_check(tk, &c);
        states += B;
    }
    TK_EXPECT(!tk->is_first_run || compared > states / 2, "%lld of %lld states compared",
              (long long)compared, (long long)states);
}

TK_TEST(dominance_subset, one_launch_does_it_all)
{
    subset_case c = subset_make(NULL, &t8[0][0][0], 1, 3, 4, 4);
    tk_launches(tk);
    subset_result r = subset_run(tk, &c);
    const int launches = tk_launches(tk);
    TK_EXPECT(launches == (tk->emulated ? 1 : -1), "%d launches", launches);
    subset_free(&r);
}
