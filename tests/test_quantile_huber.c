// dominance_quantile_huber: numbers worked by hand, the oracle over shapes and options.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "huber_case.h"

static const float z01[] = {0, 1}, quarters[] = {.25f, .75f}, y[] = {.5f, 2};

static void expect_row(tk_fixture *tk, const huber_case *c, double loss, double g0, double g1)
{
    huber_result r = huber_run(tk, c);
    TK_EXPECT(r.loss == loss && r.loss_rows[0] == (float)loss && r.tiles[0] == loss,
              "loss is %g, %g, expected %g", r.loss, (double)r.loss_rows[0], loss);
    TK_EXPECT(r.gradients[0] == (float)g0 && r.gradients[1] == (float)g1,
              "gradients are %g, %g, expected %g, %g", (double)r.gradients[0],
              (double)r.gradients[1], g0, g1);
    huber_free(&r);
}

// T12: z = (0, 1), tau = (1/4, 3/4), y = (1/2, 2). Differences 1/2, 2 and -1/2, 1. With kappa 1:
// (1/4 (1/8 + 3/2) + (1/4 1/8 + 3/4 1/2)) / 2 = 0.40625.
TK_TEST(dominance_quantile_huber, matches_the_worked_example)
{
    static const struct {
        float kappa;
        int divide;
        double loss, g0, g1;
    } rows[] = {
        {1, 1, .40625, -.1875, -.3125}, {1, 0, .40625, -.1875, -.3125}, {.5f, 1, .5625, -.25, -.25},
        {.5f, 0, .28125, -.125, -.125}, {0, 1, .75, -.25, -.25},        {0, 0, .75, -.25, -.25},
    };
    for (int i = 0; i < (int)(sizeof rows / sizeof rows[0]); i++) {
        tk_case("kappa %g, divide %d", (double)rows[i].kappa, rows[i].divide);
        huber_case c = huber_make(NULL, 1, 2, 2);
        c.io.quantiles = z01, c.io.tau = quarters, c.io.targets = y;
        c.d.kappa = rows[i].kappa, c.d.divide_by_kappa = rows[i].divide;
        expect_row(tk, &c, rows[i].loss, rows[i].g0, rows[i].g1);
        c.d.level_reduction = MERIT_DOMINANCE_LEVELS_MEAN;
        expect_row(tk, &c, rows[i].loss / 2, rows[i].g0 / 2, rows[i].g1 / 2);
        c.in_place = 1;
        expect_row(tk, &c, rows[i].loss / 2, rows[i].g0 / 2, rows[i].g1 / 2);
        huber_check(tk, &c);
    }
}

// A target on the level: no loss, and the pinball slope is tau.
TK_TEST(dominance_quantile_huber, at_the_target_the_weight_is_tau)
{
    static const float at[] = {2, 2}, two[] = {2};
    huber_case c = huber_make("pinball", 1, 2, 1);
    c.io.quantiles = at, c.io.tau = quarters, c.io.targets = two;
    expect_row(tk, &c, 0, -.25, -.75);
    c.d.kappa = 1;
    expect_row(tk, &c, 0, 0, 0);
}

// kappa infinite: tau (y - z)^2 / 2 above, (1 - tau) (y - z)^2 / 2 below.
TK_TEST(dominance_quantile_huber, infinite_kappa_is_expectile_regression)
{
    huber_case c = huber_make("qr_dqn", 1, 2, 2);
    c.io.quantiles = z01, c.io.tau = quarters, c.io.targets = y;
    c.d.kappa = INFINITY;
    expect_row(tk, &c, (.25 * (.125 + 2) + .25 * .125 + .75 * .5) / 2, -.25 * 2.5 / 2,
               -(-.125 + .75) / 2);
}

TK_TEST(dominance_quantile_huber, presets_are_their_options)
{
    static const struct {
        const char *name;
        float kappa;
        int divide, reduction;
    } rows[] = {{"iqn", 1, 1, MERIT_DOMINANCE_LEVELS_SUM},
                {"qr_dqn", 1, 0, MERIT_DOMINANCE_LEVELS_SUM},
                {"tqc", 1, 1, MERIT_DOMINANCE_LEVELS_MEAN},
                {"pinball", 0, 1, MERIT_DOMINANCE_LEVELS_SUM}};
    (void)tk;
    for (int i = 0; i < 4; i++) {
        const char *const name = merit_dominance_quantile_huber_preset_name(i);
        TK_EXPECT(strcmp(name, rows[i].name) == 0, "preset %d is %s", i, name);
        huber_case c = huber_make(NULL, 7, 3, 2);
        c.d.ld_targets = 9, c.d.denominator = 5, c.d.kappa = 77;
        c.d.level_reduction = c.d.divide_by_kappa = 9;
        TK_EXPECT(merit_dominance_quantile_huber_preset(name, &c.d) == MERIT_STATUS_OK, "preset");
        TK_EXPECT(c.d.kappa == rows[i].kappa && c.d.divide_by_kappa == rows[i].divide &&
                      c.d.level_reduction == rows[i].reduction,
                  "options of %s", name);
        TK_EXPECT(c.d.num_rows == 7 && c.d.ld_targets == 9 && c.d.denominator == 5, "sizes");
    }
    merit_dominance_quantile_huber_desc d;
    TK_EXPECT(merit_dominance_quantile_huber_preset_name(4) == NULL, "a fifth preset");
    TK_EXPECT(merit_dominance_quantile_huber_desc_init(&d, sizeof d) == MERIT_STATUS_OK, "init");
    TK_EXPECT(isnan(d.denominator), "denominator is %g", d.denominator);
    TK_EXPECT(merit_dominance_quantile_huber_preset("none", &d) == MERIT_STATUS_NOT_FOUND, "none");
}

// Shapes and options -------------------------------------------------------------------------------

typedef struct arrays {
    float *quantiles, *tau, *targets, *weight;
    int32_t *count;
} arrays;

static float *reals(tk_random *random, int64_t n, double scale)
{
    float *const values = malloc(((size_t)n + 1) * sizeof(float));
    for (int64_t i = 0; i < n; i++) {
        values[i] = (float)(scale * tk_normal(random));
    }
    return values;
}

// Fills the inputs of c by its sizes and strides.
static arrays fill(huber_case *c, tk_random *random, int with_rows)
{
    merit_dominance_quantile_huber_desc *const d = &c->d;
    const int64_t R = d->num_rows;
    arrays a = {.count = malloc(((size_t)R + 1) * sizeof(int32_t))};
    a.quantiles = reals(random, R * (d->ld_quantiles == 0 ? d->num_levels : d->ld_quantiles), 1.5);
    a.targets = reals(random, R * (d->ld_targets == 0 ? d->num_targets : d->ld_targets), 1.5);
    a.weight = reals(random, R, 1);
    const int64_t taus = d->ld_tau == 0 ? d->num_levels : R * d->ld_tau;
    a.tau = malloc(((size_t)taus + 1) * sizeof(float));
    for (int64_t i = 0; i < taus; i++) {
        a.tau[i] = tk_chance(random, .1) ? (float)tk_below(random, 2) : (float)tk_uniform(random);
    }
    for (int64_t r = 0; r < R; r++) {
        a.count[r] = (int32_t)tk_below(random, d->num_targets + 1);
        if (tk_chance(random, .1)) a.weight[r] = 0;
    }
    c->io.quantiles = a.quantiles, c->io.tau = a.tau, c->io.targets = a.targets;
    c->io.weight = with_rows ? a.weight : NULL;
    c->io.target_count = with_rows ? a.count : NULL;
    return a;
}

static void release(arrays *a)
{
    free(a->quantiles), free(a->tau), free(a->targets), free(a->weight), free(a->count);
}

TK_TEST(dominance_quantile_huber, shapes_and_options_agree_with_the_oracle)
{
    static const int sizes[] = {1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 32, 33, 64, 65, 100, 256, 257};
    enum { NUM_SIZES = sizeof sizes / sizeof sizes[0] };
    static const float kappas[] = {1, 0, .3f, 2.5f};
    tk_random random = {12};
    const int rounds = tk->kind == TK_SIMT ? 24 : 120;
    for (int round = 0; round < rounds; round++) {
        huber_case c = huber_make(NULL, 1 + tk_below(&random, 40), sizes[round % NUM_SIZES],
                                  sizes[tk_below(&random, NUM_SIZES)]);
        if (c.d.num_levels > 64) c.d.num_rows = 1 + c.d.num_rows % 5;
        c.d.kappa = kappas[round % 4];
        c.d.divide_by_kappa = (int32_t)tk_below(&random, 2);
        c.d.level_reduction = (int32_t)tk_below(&random, 2);
        if (tk_chance(&random, .5)) c.d.ld_quantiles = c.d.num_levels + tk_below(&random, 5);
        if (tk_chance(&random, .5)) c.d.ld_targets = c.d.num_targets + tk_below(&random, 5);
        if (tk_chance(&random, .5)) c.d.ld_tau = c.d.num_levels + tk_below(&random, 5);
        if (tk_chance(&random, .5)) c.d.denominator = .125 + tk_uniform(&random);
        c.in_place = tk_chance(&random, .3);
        tk->shift = (int)tk_below(&random, 4);
        tk_case("round %d: %lld rows, %d levels, %d targets", round, (long long)c.d.num_rows,
                (int)c.d.num_levels, (int)c.d.num_targets);
        arrays a = fill(&c, &random, tk_chance(&random, .5));
        huber_check(tk, &c);
        release(&a);
    }
}

// Rows beyond a tile of levels, and targets beyond what a block holds at a time.
TK_TEST(dominance_quantile_huber, long_rows_agree_with_the_oracle)
{
    static const int shapes[][3] = {
        {2, 2100, 7}, {1, 4500, 3}, {1, 3, 4100}, {3, 300, 4097}, {9, 40, 1030}};
    tk_random random = {13};
    for (int k = 0; k < 5; k++) {
        const int smaller = tk->kind == TK_SIMT && k == 3;
        huber_case c = huber_make("tqc", shapes[k][0], smaller ? 260 : shapes[k][1], shapes[k][2]);
        if (smaller) c.d.num_rows = 1;
        tk_case("%d levels, %d targets", (int)c.d.num_levels, (int)c.d.num_targets);
        arrays a = fill(&c, &random, 0);
        huber_check(tk, &c);
        release(&a);
    }
}

// Rows beyond a tile; a given denominator, and parts of the batch that fold to the whole.
TK_TEST(dominance_quantile_huber, many_rows_agree_with_the_oracle_and_with_their_parts)
{
    enum { ROWS = 2 * 2048 + 77, CUT = 2048 };
    tk_random random = {14};
    huber_case c = huber_make("iqn", ROWS, 3, 5);
    arrays a = fill(&c, &random, 1);
    huber_check(tk, &c);
    huber_result whole = huber_run(tk, &c);
    c.d.denominator = ROWS;
    c.d.num_rows = CUT;
    huber_result first = huber_run(tk, &c);
    c.d.num_rows = ROWS - CUT;
    c.io.quantiles += CUT * 3, c.io.targets += CUT * 5, c.io.weight += CUT,
        c.io.target_count += CUT;
    huber_result second = huber_run(tk, &c);
    const double sum = (first.tiles[0] + second.tiles[0]) + second.tiles[1];
    TK_EXPECT(sum / ROWS == whole.loss, "%.17g, not %.17g", sum / ROWS, whole.loss);
    tk_expect_bits(first.gradients, whole.gradients, CUT * 3, 4);
    tk_expect_bits(second.gradients, whole.gradients + CUT * 3, (ROWS - CUT) * 3, 4);
    huber_free(&whole), huber_free(&first), huber_free(&second);
    release(&a);
}

TK_TEST(dominance_quantile_huber, launches_once)
{
    huber_case c = huber_make(NULL, 3, 40, 8);
    tk_random random = {15};
    arrays a = fill(&c, &random, 0);
    c.in_place = 1; // called once
    tk_launches(tk);
    huber_result r = huber_run(tk, &c);
    const int launches = tk_launches(tk);
    TK_EXPECT(launches == (tk->emulated ? 1 : -1), "%d launches", launches);
    huber_free(&r);
    release(&a);
}
