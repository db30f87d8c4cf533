// dominance_subset: what the relation is and is not, and what follows for the sets it leaves.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dominance_by_hand.h"
#include "subset_case.h"

static subset_case with(int power, float *theta)
{
    subset_case c = subset_make(NULL, NULL, 1, 1, 1, 1);
    c.d.power = power;
    c.d.theta = theta;
    return c;
}

// Rows of `N` levels by threes: multiples of 1/4, or one row and its neighbors: the same levels in another
// order, up to a step far below the spacing of their sums in binary32.
static void fill_triple(tk_random *random, float *q, int N)
{
    dominance_fill(random, q, 3, N, tk_chance(random, .5));
    if (tk_chance(random, .5)) return;
    for (int r = 1; r < 3; r++) {
        for (int n = 0; n < N; n++) {
            const float nudge = (float)(tk_below(random, 3) - 1) * 0x1p-18f;
            q[r * N + n] = q[(n + r) % N] + (tk_chance(random, .3) ? nudge : 0);
        }
    }
}

// Sums in binary64: exact for what fill_triple makes.
static double sum_of(const float *row, int N)
{
    double sum = 0;
    for (int n = 0; n < N; n++) {
        sum += row[n];
    }
    return sum;
}

// First order, written without the sums.
static int first_order(const float *a, const float *b, int N)
{
    int below = 0, above = 0;
    for (int n = 0; n < N; n++) {
        below |= a[n] < b[n];
        above |= a[n] > b[n];
    }
    return above && !below;
}

// The relation of the pairs worked by hand: ahead, and a share of at least theta, which may be just that.
TK_TEST(dominance_subset_properties, relations_of_pairs_worked_by_hand)
{
    for (int i = 0; i < DOMINANCE_BY_HAND * BY_HAND_PRESETS; i++) {
        const int at = i / BY_HAND_PRESETS, preset = i % BY_HAND_PRESETS;
        const int N = dominance_by_hand[at].N;
        const double share = (&dominance_by_hand[at].half)[preset];
        float q[20];
        memcpy(q, dominance_by_hand[at].a, (size_t)N * sizeof *q);
        memcpy(q + N, dominance_by_hand[at].b, (size_t)N * sizeof *q);
        merit_dominance_pairwise_desc d;
        merit_dominance_pairwise_desc_init(&d, sizeof d);
        merit_dominance_pairwise_preset(by_hand_presets[preset], &d);
        for (int step = 0; step <= 32; step++) {
            float theta = .5f + (float)step / 64;
            subset_case c = with(d.power, &theta);
            c.d.measure = d.measure, c.d.ties = d.ties, c.d.integrate = d.integrate;
            int8_t *const r = subset_relation(tk, &c, q, 1, N);
            const int expected =
                (share > .5 && share >= theta) - (share < .5 && 1 - share >= theta);
            TK_EXPECT(r[0] == expected, "%s %s, theta %g: %d", dominance_by_hand[at].name,
                      by_hand_presets[preset], (double)theta, r[0]);
            free(r);
            if (tk->kind == TK_SIMT) step += 7;
        }
    }
}

enum { LEVELS = 5 };

// Pairs (0,1), (1,2), (0,2) of triples, [triples,3,2,N].
static float *pairs_of(const float *triples, int64_t count)
{
    float *const q = malloc((size_t)count * 6 * LEVELS * sizeof *q);
    for (int64_t i = 0; i < 3 * count; i++) {
        const float *const t = triples + i / 3 * 3 * LEVELS;
        const int first = i % 3 == 1, second = i % 3 == 0 ? 1 : 2;
        memcpy(q + 2 * i * LEVELS, t + first * LEVELS, LEVELS * sizeof *q);
        memcpy(q + (2 * i + 1) * LEVELS, t + second * LEVELS, LEVELS * sizeof *q);
    }
    return q;
}

// Paths x > y > z of the relation of a triple, as (0,1), (1,2), (0,2); *open: those without x > z.
static int count_paths(const int8_t *r, int *open)
{
    const int beats[3][3] = {
        {0, r[0] > 0, r[2] > 0}, {r[0]<0, 0, r[1]> 0}, {r[2] < 0, r[1] < 0, 0}};
    int paths = 0;
    for (int x = 0; x < 3; x++) {
        for (int y = 0; y < 3; y++) {
            const int z = 3 - x - y;
            if (x == y || !beats[x][y] || !beats[y][z]) continue;
            paths++;
            *open += !beats[x][z];
        }
    }
    return paths;
}

// 10^5 triples over four thresholds; the emulator takes some of them.
TK_TEST(dominance_subset_properties, areas_are_transitive_and_always_leave_something)
{
    static float thetas[] = {.5f, .625f, .75f, 1};
    const int64_t count = tk->kind == TK_SIMT ? 200 : 25000;
    float *const triples = malloc((size_t)count * 3 * LEVELS * sizeof *triples);
    tk_random random = {21};
    int64_t paths = 0;
    for (int t = 0; t < 4; t++) {
        int open = 0;
        for (int64_t i = 0; i < count; i++) {
            fill_triple(&random, triples + i * 3 * LEVELS, LEVELS);
        }
        subset_case c = with(1, &thetas[t]);
        float *const pairs = pairs_of(triples, count);
        int8_t *const r = subset_relation(tk, &c, pairs, 3 * count, LEVELS);
        tk_case("theta %g", (double)thetas[t]);
        for (int64_t i = 0; i < count; i++) {
            paths += count_paths(r + 3 * i, &open);
        }
        TK_EXPECT(open == 0, "%d paths are open", open);
        c.q = triples;
        c.d.num_states = count, c.d.num_actions = 3, c.d.num_levels = LEVELS;
        subset_result kept = subset_run(tk, &c);
        for (int64_t i = 0; i < count; i++) {
            TK_EXPECT(kept.final[i] != 0 && kept.flags[i] == 0, "triple %lld keeps %x, flags %u",
                      (long long)i, kept.final[i], kept.flags[i]);
        }
        subset_free(&kept);
        free(pairs), free(r);
    }
    TK_EXPECT(paths > count, "only %lld paths", (long long)paths);
    free(triples);
}

// The others are not: paths that end open are found, and cycles.
TK_TEST(dominance_subset_properties, win_rates_and_squares_are_not_transitive)
{
    // T11: a over b over c, not a over c
    static const float wins[] = {-3, -2, 4, 4, -4, 1, 2, 3, -2, -1, 0, 2};
    static const float tails[] = {0, 0, 2, -2, 0, 3, -2, -2, 4};
    static float theta = .75f;
    for (int power = 0; power <= 2; power += 2) {
        const float *const q = power == 0 ? wins : tails;
        const int N = power == 0 ? 4 : 3;
        float pairs[3 * 2 * 4];
        for (int i = 0; i < 3; i++) {
            const int first = i == 1, second = i == 0 ? 1 : 2;
            memcpy(pairs + 2 * i * N, q + first * N, (size_t)N * sizeof *q);
            memcpy(pairs + (2 * i + 1) * N, q + second * N, (size_t)N * sizeof *q);
        }
        subset_case c = with(power, &theta);
        int8_t *const r = subset_relation(tk, &c, pairs, 3, N);
        TK_EXPECT(r[0] == 1 && r[1] == 1 && r[2] == 0, "power %d: %d %d %d", power, r[0], r[1],
                  r[2]);
        free(r);
    }
}

TK_TEST(dominance_subset_properties, three_win_rates_cycle_up_to_two_thirds)
{
    static const float t9[] = {2, 11, 20, 1, 10, 22, 0, 12, 21};
    const float third = nextafterf(2 / 3.0f, 0); // 2/3 itself rounds up in binary32
    float theta;
    for (int power = 0; power < 3; power++) {
        for (int i = 0; i < 3; i++) {
            theta = i == 0 ? .5f : i == 1 ? third : 2 / 3.0f;
            subset_case c = subset_make(NULL, t9, 1, 1, 3, 3);
            c.d.power = power, c.d.theta = &theta;
            const int cycles = power != 1 && i < 2;
            for (int on_empty = 0; on_empty < 3; on_empty++) {
                c.d.on_empty = on_empty;
                tk_case("power %d, theta %.9g, on_empty %d", power, (double)theta, on_empty);
                subset_result r = subset_run(tk, &c);
                TK_EXPECT(r.final[0] == 7, "keeps %x", r.final[0]);
                TK_EXPECT(r.flags[0] == (cycles ? 17u : 0u), "flags %u", r.flags[0]);
                subset_free(&r);
            }
        }
    }
}

// A actions, each ahead of the next by 1 at every level but one: shares of (A - 1) / A all around, the
// other way around by squares.
TK_TEST(dominance_subset_properties, cycles_end_where_theta_exceeds_one_less_one_share)
{
    for (int A = 4; A <= 8; A += 4) { // shares that binary32 holds
        float q[8 * 8] = {0}, theta = (float)(A - 1) / (float)A;
        for (int a = 1; a < A; a++) {
            for (int n = 0; n < A; n++) {
                q[a * A + n] = q[(a - 1) * A + n] - (n == a - 1 ? (float)(1 - A) : 1.0f);
            }
        }
        for (int power = 0; power < 3; power++) {
            for (int above = 0; above < 2; above++) {
                subset_case c = subset_make(NULL, q, 1, 1, A, A);
                c.d.power = power;
                if (above) theta = nextafterf(theta, 1);
                c.d.theta = &theta;
                const int cycles = power != 1 && !above;
                tk_case("%d actions, power %d, theta %.9g", A, power, (double)theta);
                subset_result r = subset_run(tk, &c);
                TK_EXPECT(r.flags[0] == (cycles ? 17u : 0u), "flags %u", r.flags[0]);
                TK_EXPECT(r.final[0] == (1u << A) - 1, "keeps %x", r.final[0]);
                subset_free(&r);
                theta = (float)(A - 1) / (float)A;
            }
        }
    }
}

TK_TEST(dominance_subset_properties, above_that_no_set_is_empty)
{
    enum { STATES = 1000, N = 7, MOST = 6 };
    const int states = tk->kind == TK_SIMT ? 60 : STATES;
    static float q[STATES * MOST * N];
    tk_random random = {22};
    for (int A = 2; A <= MOST; A++) {
        dominance_fill(&random, q, states * A, N, 0);
        float theta = nextafterf((float)(1 - 1.0 / A), 1);
        for (int power = 0; power < 3; power++) {
            subset_case c = subset_make(NULL, q, states, 1, A, N);
            c.d.power = power, c.d.theta = &theta;
            subset_result r = subset_run(tk, &c);
            for (int b = 0; b < states; b++) {
                TK_EXPECT(r.flags[b] == 0 && r.final[b] != 0, "%d actions, power %d: flags %u", A,
                          power, r.flags[b]);
            }
            subset_free(&r);
        }
    }
}

TK_TEST(dominance_subset_properties, a_dead_zone_makes_a_cycle_at_every_theta)
{
    static const float t10[] = {2, 9, 19, 0, 10, 20, 1, 8, 21}, one[] = {1}, none[] = {0};
    static float thetas[] = {.5f, .75f, 1};
    for (int i = 0; i < 12; i++) {
        subset_case c = subset_make(NULL, t10, 1, 1, 3, 3);
        c.d.power = i % 2;
        c.d.theta = &thetas[i / 2 % 3];
        c.d.delta = i < 6 ? one : none;
        const int cycles = i < 6 || (c.d.power == 0 && i / 2 % 3 == 0);
        subset_result r = subset_run(tk, &c);
        TK_EXPECT(r.flags[0] == (cycles ? 17u : 0u), "power %d, theta %g, delta %g: flags %u",
                  c.d.power, (double)*c.d.theta, (double)*c.d.delta, r.flags[0]);
        subset_free(&r);
    }
    // a margin as wide does not: row 3 is ahead of the others, P - M must exceed the margin
    static const float apart[] = {2, 9, 19, 0, 10, 20, 1, 8, 21, 4, 11, 21};
    static const struct {
        int power;
        float margin;
        uint32_t kept;
    } margins[] = {{1, 1.875f, 8}, {1, 2, 15}, // 2 ahead of each mean
                   {0, .875f, 12}, {0, 1, 15}, // at all levels, of row 2 at two of three
                   {2, 3.875f, 8}, {2, 4, 9}}; // squares 4, 6 and 17/3
    for (size_t i = 0; i < sizeof margins / sizeof margins[0]; i++) {
        subset_case c = subset_make(NULL, apart, 1, 1, 4, 3);
        c.d.theta = &thetas[1], c.d.power = margins[i].power, c.d.eta = &margins[i].margin;
        subset_result r = subset_run(tk, &c);
        TK_EXPECT(r.final[0] == margins[i].kept && r.flags[0] == 0, "margin %zu keeps %x", i,
                  r.final[0]);
        subset_free(&r);
    }
}

// The ends of theta: order of the means, first-order dominance.
TK_TEST(dominance_subset_properties, ends_of_theta_are_known_orders)
{
    enum { PAIRS = 3000 };
    const int64_t count = tk->kind == TK_SIMT ? 150 : PAIRS;
    static float q[PAIRS * 2 * LEVELS], half = .5f, one = 1;
    tk_random random = {23};
    int64_t dominated = 0;
    for (int64_t i = 0; i < count; i++) {
        float triple[3 * LEVELS];
        float *const a = q + 2 * i * LEVELS;
        fill_triple(&random, triple, LEVELS);
        memcpy(a, triple, 2 * LEVELS * sizeof *q);
        for (int n = 0; n < LEVELS && i % 3 == 0; n++) { // b below a, some levels equal
            a[LEVELS + n] = a[n] - (tk_chance(&random, .5) ? .25f : 0);
        }
    }
    subset_case by_means = with(1, &half);
    int8_t *const means = subset_relation(tk, &by_means, q, count, LEVELS);
    for (int64_t i = 0; i < count; i++) {
        const double a = sum_of(q + 2 * i * LEVELS, LEVELS);
        const double b = sum_of(q + (2 * i + 1) * LEVELS, LEVELS);
        TK_EXPECT(means[i] == (a > b) - (a < b), "means %g, %g: %d", a, b, means[i]);
    }
    for (int power = 0; power < 3; power++) {
        subset_case strict = with(power, &one);
        int8_t *const r = subset_relation(tk, &strict, q, count, LEVELS);
        for (int64_t i = 0; i < count; i++) {
            const float *const a = q + 2 * i * LEVELS, *const b = a + LEVELS;
            const int expected = first_order(a, b, LEVELS) - first_order(b, a, LEVELS);
            dominated += expected != 0;
            TK_EXPECT(r[i] == expected, "power %d, pair %lld: %d", power, (long long)i, r[i]);
        }
        free(r);
    }
    TK_EXPECT(dominated > count / 4 && dominated < 3 * count, "%lld dominated",
              (long long)dominated);
    free(means);
}

// A violation of one part in 2^40 counts at theta = 1, and not just below.
TK_TEST(dominance_subset_properties, theta_one_sees_the_smallest_violation)
{
    static const float q[] = {0, 0x1p20f, 0x1p-20f, 0};
    float theta = 1;
    for (int power = 0; power < 3; power++) {
        subset_case c = with(power, &theta);
        theta = 1;
        int8_t *r = subset_relation(tk, &c, q, 1, 2);
        TK_EXPECT(r[0] == 0, "power %d: %d", power, r[0]);
        free(r);
        theta = nextafterf(1, 0);
        r = subset_relation(tk, &c, q, 1, 2);
        TK_EXPECT(r[0] == (power != 0), "power %d below 1: %d", power, r[0]);
        free(r);
    }
}
