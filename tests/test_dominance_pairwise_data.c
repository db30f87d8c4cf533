// dominance_pairwise on public returns (MERIT_DATA_DIR): the binary64 oracle against the published arrays,
// the library against the same arrays as far as levels in binary32 allow.
#include <math.h>
#include <stdlib.h>

#include "dominance_case.h"
#include "dominance_data.h"
#include "tk_data.h"

static dominance_case data_case(const char *preset, const dominance_data *s)
{
    return dominance_make(preset, s->rounded, s->B, 1, s->A, s->N);
}

// Binary64 --------------------------------------------------------------------------------------------

typedef double measure(const dominance_oracle *o, dominance_oracle_pair p);

static double first_order(const dominance_oracle *o, dominance_oracle_pair p)
{
    int near;
    return dominance_oracle_beats(o, p, 1, 0, &near);
}

static double wins(const dominance_oracle *o, dominance_oracle_pair p)
{
    (void)o;
    return p.gain;
}

static double distance(const dominance_oracle *o, dominance_oracle_pair p)
{
    (void)o;
    return p.gain + p.loss;
}

static double violation(const dominance_oracle *o, dominance_oracle_pair p)
{
    return p.gain + p.loss == 0 ? 0 : 1 - dominance_oracle_qd(o, p);
}

enum { FSD, WINS, DISTANCE, VIOLATION, POI, NUM_ARRAYS };

// What each expected array is, and its diagonal.
static const struct {
    const char *name, *preset;
    measure *value;
    double same;
} arrays[NUM_ARRAYS] = {{"fsd", "qd.area", first_order, 0},
                        {"frac_gt", "qd.strict", wins, 0},
                        {"w1", "qd.area", distance, 0},
                        {"violation", "aso", violation, 0},
                        {"poi", "mann_whitney", dominance_oracle_qd, .5}};

static void expect_oracle(const dominance_data *s, int i)
{
    double *const expected = dominance_data_expected(s, arrays[i].name);
    const dominance_case c = data_case(arrays[i].preset, s);
    dominance_oracle *const o = dominance_oracle_new(&c.d, s->levels, NULL);
    for (int row = 0; row < s->B * s->A; row++) {
        double *const actual = calloc((size_t)s->A, sizeof *actual);
        const int a = row % s->A;
        for (int b = 0; b < s->A; b++) {
            actual[b] = a == b
                            ? arrays[i].same
                            : arrays[i].value(o, dominance_oracle_compare(o, row / s->A, 0, a, b));
        }
        tk_case("%s of %s, row %d", arrays[i].name, s->folder, row);
        tk_expect_close(actual, expected + row * s->A, s->A, 1e-15, 1e-12);
        free(actual);
    }
    dominance_oracle_free(o);
    free(expected);
}

// Binary32 --------------------------------------------------------------------------------------------

static double value_of(int i, const dominance_result *r, int64_t game, int A, int a, int b)
{
    const int64_t at = (game * A + a) * A + b, turned = (game * A + b) * A + a;
    const double gain = r->gain[at], loss = r->gain[turned];
    if (a == b) return arrays[i].same;
    switch (i) {
    case FSD: return gain > loss && loss == 0;
    case WINS: return gain;
    case DISTANCE: return gain + loss;
    case VIOLATION: return gain + loss == 0 ? 0 : 1 - (double)r->qd[at];
    default: return r->qd[at];
    }
}

// An array of the library, [B,A,A]; every pair is compared with the oracle on the rounded levels as well,
// but every sample with every sample only of the small set.
static double *values_of(tk_fixture *tk, const dominance_data *s, int i)
{
    const int count = s->B * s->A * s->A;
    const dominance_case c = data_case(arrays[i].preset, s);
    double *const values = calloc((size_t)count, sizeof *values);
    tk_case("%s of %s", arrays[i].name, s->folder);
    dominance_result r = dominance_run(tk, &c);
    for (int at = 0; at < count; at++) {
        values[at] = value_of(i, &r, at / s->A / s->A, s->A, at / s->A % s->A, at % s->A);
    }
    dominance_free(&r);
    if (i != POI || s->N <= 100) dominance_check(tk, &c);
    return values;
}

// Elements that differ from the expected array by more than the error of binary32: rounded scores tie.
// Elements of W1 are compared relative to themselves.
static void expect_array(const dominance_data *s, int i, const double *values, int differing)
{
    const int count = s->B * s->A * s->A;
    double *const expected = dominance_data_expected(s, arrays[i].name);
    int different = 0;
    for (int at = 0; at < count; at++) {
        const double limit = i == DISTANCE ? 4e-7 * expected[at] : 4e-7;
        different += !(fabs(values[at] - expected[at]) <= limit);
    }
    TK_EXPECT(different == differing, "%d elements differ, expected %d", different, differing);
    free(expected);
}

// Sums over games and pairs, or the mean of one pair over games.
static double total(const dominance_data *s, const double *values)
{
    double sum = 0;
    for (int i = 0; i < s->B * s->A * s->A; i++) {
        sum += values[i];
    }
    return sum;
}

static double mean(const dominance_data *s, const double *values, int a, int b)
{
    double sum = 0;
    for (int game = 0; game < s->B; game++) {
        sum += values[(game * s->A + a) * s->A + b];
    }
    return sum / s->B;
}

static void expect_number(double actual, double expected, double atol)
{
    tk_expect_close(&actual, &expected, 1, atol, 0);
}

static void expect_counts(const dominance_data *s, const double *fsd, const int *expected)
{
    for (int pair = 0; pair < s->A * s->A; pair++) {
        const int a = pair / s->A, b = pair % s->A;
        const double games = s->B * mean(s, fsd, a, b);
        TK_EXPECT(fabs(games - expected[pair]) < 1e-9, "%d dominates %d in %g games, not %d", a, b,
                  games, expected[pair]);
    }
}

enum { SIMPLE, CURL, DRQ, IRIS };

TK_TEST(dominance_pairwise_data, atari_100k_runs)
{
    // scores that differ in their last binary64 digits tie in binary32: one more CURL over DrQ
    static const int fsd[] = {0, 6, 3, 3, 5, 0, 1, 1, 6, 13, 0, 1, 15, 14, 11, 0};
    static const int differing[] = {1, 4, 0, 0, 38};
    static const double area[] = {.5, .5152864924, .3546085869, .2402155116};
    tk_require_data();
    dominance_data s = dominance_data_atari();
    double *v[NUM_ARRAYS];
    for (int i = 0; i < NUM_ARRAYS; i++) {
        if (tk->is_first_run) expect_oracle(&s, i);
        v[i] = values_of(tk, &s, i);
        expect_array(&s, i, v[i], differing[i]);
    }
    tk_case("means over games");
    expect_counts(&s, v[FSD], fsd);
    expect_number(mean(&s, v[POI], SIMPLE, CURL), .4993076923, 1e-8);
    expect_number(mean(&s, v[POI], CURL, DRQ), .2838403846, 1e-8);
    expect_number(mean(&s, v[POI], CURL, IRIS), .2221153846, 1e-8);
    expect_number(mean(&s, v[DISTANCE], SIMPLE, IRIS), .7649064518, 1e-8);
    expect_number(mean(&s, v[VIOLATION], SIMPLE, CURL), .4755862867, 1e-8);
    const dominance_case c = data_case("qd.area", &s);
    dominance_result r = dominance_run(tk, &c);
    for (int b = 0; b < s.A; b++) {
        double sum = 0;
        for (int game = 0; game < s.B; game++) {
            sum += r.qd[game * s.A * s.A + b];
        }
        expect_number(sum / s.B, area[b], 2e-8);
    }
    dominance_free(&r);
    for (int i = 0; i < NUM_ARRAYS; i++) {
        free(v[i]);
    }
    dominance_data_free(&s);
}

TK_TEST(dominance_pairwise_data, dopamine_returns)
{
    static const int fsd[] = {0,  17, 8,  3, 8,  2, 4,  0,  5,  0, 3, 1, 15, 22, 0,  3, 6,  2,
                              21, 27, 22, 0, 14, 8, 13, 18, 15, 2, 0, 5, 22, 26, 22, 8, 14, 0};
    static const int differing[] = {0, 0, 0, 0, 8}; // one sample of 500 x 500 each
    tk_require_data();
    dominance_data s = dominance_data_dopamine();
    double *v[NUM_ARRAYS];
    for (int i = 0; i < NUM_ARRAYS; i++) {
        if (tk->is_first_run) expect_oracle(&s, i);
        v[i] = values_of(tk, &s, i);
        expect_array(&s, i, v[i], differing[i]);
    }
    tk_case("sums");
    expect_counts(&s, v[FSD], fsd);
    expect_number(total(&s, v[DISTANCE]), 15116381.160293, 0.15); // P rounded to binary32: 1e-8
    expect_number(total(&s, v[VIOLATION]), 450, 1e-6); // 30 games x 15 pairs x 1
    for (int i = 0; i < NUM_ARRAYS; i++) {
        free(v[i]);
    }
    dominance_data_free(&s);
}

TK_TEST(dominance_pairwise_data, alpaca_eval_2)
{
    tk_require_data();
    dominance_data s = dominance_data_alpaca();
    if (tk->is_first_run) {
        expect_oracle(&s, FSD);
        expect_oracle(&s, POI);
    }
    double *const firsts = values_of(tk, &s, FSD);
    double *const wins = values_of(tk, &s, WINS);
    double *const distances = values_of(tk, &s, DISTANCE);
    double *const poi = values_of(tk, &s, POI);
    double *const expected = dominance_data_expected(&s, "poi");
    expect_array(&s, FSD, firsts, 2); // 181 pairs after rounding, 179 before
    tk_case("sums");
    expect_number(total(&s, firsts), 181, 0);
    expect_number(total(&s, wins), 405.1309226933, 2e-6); // 841 values rounded to binary32
    expect_number(total(&s, distances), 139.6730988921, 5e-7);
    // ties that rounding made: up to a dozen of 802 x 802 pairs of samples
    tk_expect_close(poi, expected, (int64_t)s.A * s.A, 2e-5, 0);
    free(firsts), free(wins), free(distances), free(poi), free(expected);
    dominance_data_free(&s);
}

// The totals of the rounded levels without the rounding of results.
Test(dominance_pairwise_data, totals_of_the_rounded_levels)
{
    static const struct {
        dominance_data (*read)(void);
        int array;
        double binary64, binary32;
    } totals[] = {{dominance_data_dopamine, DISTANCE, 15116381.153831, 15116381.160293},
                  {dominance_data_alpaca, DISTANCE, 139.6730989624, 139.6730988921},
                  {dominance_data_alpaca, WINS, 405.1770573566, 405.1309226933}};
    tk_require_data();
    for (int i = 0; i < 3; i++) {
        dominance_data s = totals[i].read();
        const int array = totals[i].array;
        const dominance_case c = data_case(arrays[array].preset, &s);
        double *const rounded = dominance_widen(s.rounded, (int64_t)s.B * s.A * s.N);
        for (int round = 0; round < 2; round++) {
            dominance_oracle *const o =
                dominance_oracle_new(&c.d, round ? rounded : s.levels, NULL);
            double sum = 0;
            for (int at = 0; at < s.B * s.A * s.A; at++) {
                const int a = at / s.A % s.A, b = at % s.A;
                if (a == b) continue;
                sum += arrays[array].value(o, dominance_oracle_compare(o, at / s.A / s.A, 0, a, b));
            }
            const double expected = round ? totals[i].binary32 : totals[i].binary64;
            tk_case("%s of %s, rounded %d", arrays[array].name, s.folder, round);
            expect_number(sum, expected, 1e-12 * expected + 6e-7 * (i == 0) + 6e-11);
            dominance_oracle_free(o);
        }
        free(rounded);
        dominance_data_free(&s);
    }
}
