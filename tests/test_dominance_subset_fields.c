// dominance_subset: each option and each array has a say, as the oracle says.
#include <math.h>
#include <string.h>

#include "subset_case.h"

enum { B = 48, M = 3, A = 6, N = 7, ROWS = B * M * A };

static float q[ROWS * N];

static int same(const subset_result *x, const subset_result *y)
{
    return memcmp(x->subset, y->subset, sizeof(uint32_t) * B * M) == 0 &&
           memcmp(x->final, y->final, sizeof(uint32_t) * B) == 0 &&
           memcmp(x->flags, y->flags, sizeof(uint32_t) * B) == 0 &&
           memcmp(x->action, y->action, sizeof(int32_t) * B) == 0 &&
           memcmp(x->greedy, y->greedy, sizeof(int32_t) * B * M) == 0;
}

static void expect_change(tk_fixture *tk, const char *name, const subset_case *before,
                          const subset_case *after)
{
    tk_case("%s", name);
    subset_result x = subset_run(tk, before), y = subset_run(tk, after);
    TK_EXPECT(!same(&x, &y), "%s changes nothing", name);
    subset_free(&x), subset_free(&y);
    subset_check(tk, after);
}

#define CHANGE_IN(base, field, value)               \
    do {                                            \
        subset_case after = (base);                 \
        after.field = (value);                      \
        expect_change(tk, #field, &(base), &after); \
    } while (0)
#define CHANGE(field, value) CHANGE_IN(c, field, value)

static const float thetas[M] = {.75f, .5f, 1}, etas[M] = {2, 0, 0}, deltas[M] = {.5f, 0, 0};
static const int32_t signs[M] = {1, -1, 1}, ranks[M] = {2, 0, 0}, equal[M] = {0, 0, 0};
static const uint8_t above[M * M] = {0, 0, 1}; // 0 before 2, 1 beside both

static void fill(uint64_t seed)
{
    tk_random random = {seed};
    dominance_fill(&random, q, ROWS, N, 0);
}

TK_TEST(dominance_subset_fields, options_of_the_comparison)
{
    fill(51);
    subset_case c = subset_make(NULL, q, B, M, A, N);
    CHANGE(d.measure, MERIT_DOMINANCE_MEASURE_MANN_WHITNEY);
    CHANGE(d.power, 0);
    CHANGE(d.power, 2);
    CHANGE(d.integrate, 1);
    CHANGE(d.sort_levels, 1);
    CHANGE(d.sign, signs);
    CHANGE(d.delta, deltas);
    c.d.power = 0;
    CHANGE(d.ties, MERIT_DOMINANCE_TIES_HALF);
}

TK_TEST(dominance_subset_fields, options_of_the_relation_and_the_ranking)
{
    fill(52);
    subset_case c = subset_make(NULL, q, B, M, A, N);
    CHANGE(d.theta, thetas);
    CHANGE(d.eta, etas);
    CHANGE(d.mode, MERIT_DOMINANCE_MODE_RULEBOOK);
    CHANGE(d.rank, ranks);
    CHANGE(d.above, above);
    subset_case front = c;
    front.d.rank = equal;
    CHANGE_IN(front, d.within_class, MERIT_DOMINANCE_WITHIN_MEET);
    front.d.within_class = MERIT_DOMINANCE_WITHIN_MEET; // often empty
    CHANGE_IN(front, d.on_empty, MERIT_DOMINANCE_ON_EMPTY_MAXIMIN);
    CHANGE_IN(front, d.on_empty, MERIT_DOMINANCE_ON_EMPTY_TOP_CYCLE);
}

TK_TEST(dominance_subset_fields, picks_and_arrays)
{
    static const float pick_weights[M] = {1, -.5f, .25f};
    static float weights[B * N];
    static uint8_t valid[B * A];
    static uint32_t words[B], others[B];
    tk_random random = {53};
    fill(54);
    for (int i = 0; i < B * N; i++) {
        weights[i] = (float)tk_below(&random, 4) / 8;
    }
    for (int i = 0; i < B * A; i++) {
        valid[i] = tk_chance(&random, .7);
    }
    for (int b = 0; b < B; b++) {
        words[b] = (uint32_t)tk_bits(&random), others[b] = ~words[b];
    }
    subset_case c = subset_make("subset.pareto", q, B, M, A, N);
    CHANGE(d.pick, MERIT_DOMINANCE_PICK_NONE);
    CHANGE(d.pick, MERIT_DOMINANCE_PICK_MAXIMIN);
    CHANGE(d.pick, MERIT_DOMINANCE_PICK_FIRST);
    CHANGE(d.pick_weights, pick_weights);
    CHANGE(valid, valid);
    CHANGE(weights, weights);
    c.weights = weights;
    CHANGE(d.weights_stride_state, N);
    c.weights = NULL;
    subset_case drawn = c;
    drawn.d.pick = MERIT_DOMINANCE_PICK_RANDOM;
    drawn.random = words;
    expect_change(tk, "pick RANDOM", &c, &drawn);
    CHANGE_IN(drawn, random, others);
    q[3 * N] = NAN;
    CHANGE(d.drop_nan, 1);
}
