// dominance_subset on public returns (MERIT_DATA_DIR): who beats whom, how often an algorithm is beaten by
// none, and which survive a ranking of games.
#include <stdlib.h>
#include <string.h>

#include "dominance_data.h"
#include "subset_case.h"
#include "tk_data.h"

// The relation of every pair under power 1, [B,A,A]: states of two actions, which keep a alone where a
// beats b.
static uint8_t *relations(tk_fixture *tk, const dominance_data *s, float theta)
{
    const int A = s->A, pairs = A * (A - 1) / 2;
    const size_t row = (size_t)s->N;
    float *const q = malloc((size_t)(s->B * pairs) * 2 * row * sizeof *q);
    uint8_t *const beats = calloc((size_t)(s->B * A * A), 1);
    int64_t state = 0;
    for (int game = 0; game < s->B; game++) {
        for (int a = 0; a < A; a++) {
            for (int b = a + 1; b < A; b++, state++) {
                const float *const rows = s->rounded + (int64_t)game * A * s->N;
                memcpy(q + 2 * state * s->N, rows + (int64_t)a * s->N, row * sizeof *q);
                memcpy(q + (2 * state + 1) * s->N, rows + (int64_t)b * s->N, row * sizeof *q);
            }
        }
    }
    subset_case c = subset_make(NULL, q, state, 1, 2, s->N);
    c.d.theta = &theta;
    int8_t *const relation = subset_relation(tk, &c, q, state, s->N);
    state = 0;
    for (int game = 0; game < s->B; game++) {
        for (int a = 0; a < A; a++) {
            for (int b = a + 1; b < A; b++, state++) {
                beats[(game * A + a) * A + b] = relation[state] > 0;
                beats[(game * A + b) * A + a] = relation[state] < 0;
            }
        }
    }
    free(relation);
    free(q);
    return beats;
}

static int count(const dominance_data *s, const uint8_t *beats)
{
    int sum = 0;
    for (int i = 0; i < s->B * s->A * s->A; i++) {
        sum += beats[i];
    }
    return sum;
}

static void expect_games(const dominance_data *s, const uint8_t *beats, const int *expected)
{
    for (int pair = 0; pair < s->A * s->A; pair++) {
        int games = 0;
        for (int game = 0; game < s->B; game++) {
            games += beats[game * s->A * s->A + pair];
        }
        TK_EXPECT(games == expected[pair], "%d beats %d in %d games, not %d", pair / s->A,
                  pair % s->A, games, expected[pair]);
    }
}

// Games in which each algorithm is in ND.
static void expect_undominated(tk_fixture *tk, const dominance_data *s, float theta,
                               const int *expected)
{
    subset_case c = subset_make(NULL, s->rounded, s->B, 1, s->A, s->N);
    c.d.theta = &theta;
    tk_case("%s, theta %g", s->folder, theta);
    subset_result r = subset_run(tk, &c);
    for (int a = 0; a < s->A; a++) {
        int games = 0;
        for (int game = 0; game < s->B; game++) {
            games += r.final[game] >> a & 1;
        }
        TK_EXPECT(games == expected[a], "%d is kept in %d games, not %d", a, games, expected[a]);
    }
    subset_free(&r);
}

static int index_of(const char *game)
{
    char path[64];
    json_t *const root = tk_json_read("atari100k_runs/expected.json");
    for (int i = 0; i < 26; i++) {
        snprintf(path, sizeof path, "games/%d", i);
        if (strcmp(json_string_value(tk_json_at(root, path)), game) != 0) continue;
        json_decref(root);
        return i;
    }
    cr_assert(0, "no game %s", game);
    return -1;
}

// Three games as objectives, the first the most important.
static void expect_ranking(tk_fixture *tk, const dominance_data *s, const char *const games[3],
                           float theta, const uint32_t expected[3])
{
    float q[3 * 4 * 100];
    const float thetas[3] = {theta, theta, theta};
    for (int m = 0; m < 3; m++) {
        memcpy(q + m * 400, s->rounded + index_of(games[m]) * 400, 400 * sizeof *q);
    }
    subset_case c = subset_make(NULL, q, 1, 3, 4, 100);
    c.d.theta = thetas;
    subset_result r = subset_run(tk, &c);
    for (int m = 0; m < 3; m++) {
        TK_EXPECT(subset_of(&c, &r, 0, m) == expected[m], "%s leaves %x, not %x", games[m],
                  subset_of(&c, &r, 0, m), expected[m]);
    }
    TK_EXPECT(r.final[0] == expected[2], "final is %x", r.final[0]);
    subset_free(&r);
    subset_check(tk, &c);
}

TK_TEST(dominance_subset_data, atari_100k_runs)
{
    static const int three_quarters[] = {0, 13, 8, 4, 12, 0, 4, 3, 15, 19, 0, 8, 18, 19, 17, 0};
    static const int outright[] = {0, 6, 3, 3, 5, 0, 1, 1, 6, 13, 0, 1, 15, 14, 11, 0};
    static const int kept[3][4] = {{4, 1, 6, 15}, {6, 2, 7, 17}, {10, 7, 14, 23}};
    static const char *const sea[] = {"Seaquest", "Alien", "Amidar"};
    static const char *const hero[] = {"Hero", "Qbert", "Krull"};
    static const uint32_t sea_left[] = {0x9, 0x1, 0x1}, hero_left[] = {0xe, 0xc, 0x8};
    tk_require_data();
    dominance_data s = dominance_data_atari();
    uint8_t *const beats = relations(tk, &s, .75f), *const fsd = relations(tk, &s, 1);
    expect_games(&s, beats, three_quarters);
    expect_games(&s, fsd, outright);
    for (int i = 0; i < 3; i++) {
        expect_undominated(tk, &s, .5f + .25f * (float)i, kept[i]);
    }
    tk_case("rankings of games");
    expect_ranking(tk, &s, sea, .75f, sea_left);
    expect_ranking(tk, &s, hero, 1, hero_left);
    free(beats), free(fsd);
    dominance_data_free(&s);
}

TK_TEST(dominance_subset_data, dopamine_returns)
{
    static const int outright[] = {0,  17, 8,  3, 8,  2, 4,  0,  5,  0, 3, 1, 15, 22, 0,  3, 6,  2,
                                   21, 27, 22, 0, 14, 8, 13, 18, 15, 2, 0, 5, 22, 26, 22, 8, 14, 0};
    static const int kept[3][6] = {
        {3, 1, 1, 8, 6, 11}, {3, 1, 1, 10, 6, 15}, {5, 1, 5, 20, 13, 20}};
    tk_require_data();
    dominance_data s = dominance_data_dopamine();
    uint8_t *const beats = relations(tk, &s, .75f), *const fsd = relations(tk, &s, 1);
    TK_EXPECT(count(&s, beats) == 420, "%d relations", count(&s, beats));
    expect_games(&s, fsd, outright);
    for (int i = 0; i < 3; i++) {
        expect_undominated(tk, &s, .5f + .25f * (float)i, kept[i]);
    }
    free(beats), free(fsd);
    dominance_data_free(&s);
}

TK_TEST(dominance_subset_data, alpaca_eval_2)
{
    tk_require_data();
    dominance_data s = dominance_data_alpaca();
    uint8_t *const beats = relations(tk, &s, .75f), *const fsd = relations(tk, &s, 1);
    TK_EXPECT(count(&s, beats) == 395, "%d relations", count(&s, beats));
    TK_EXPECT(count(&s, fsd) == 181, "%d pairs of first order", count(&s, fsd));
    free(beats), free(fsd);
    dominance_data_free(&s);
}
