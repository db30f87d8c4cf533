// preference_ordinal on the scores 1..10 that WildBench judges gave (MERIT_DATA_DIR): the chance that one
// model's score is higher, against exact counting.
#include <math.h>
#include <stdlib.h>

#include "ordinal_case.h"
#include "tk_data.h"

enum { MODELS = 6, JUDGES = 3, LEVELS = 10, RATERS = MODELS * JUDGES, PAIRS = RATERS * RATERS };

// Scores given, by model and judge, and one more of each level: no level is impossible.
static void count_scores(int64_t counts[RATERS][LEVELS])
{
    tk_npy heads = tk_npy_read("wildbench_scores/heads.npy");
    cr_assert(heads.count % RATERS == 0);
    for (int r = 0; r < RATERS; r++) {
        for (int k = 0; k < LEVELS; k++) {
            counts[r][k] = 1;
        }
    }
    for (int64_t i = 0; i < heads.count; i++) {
        const int score = (int)heads.values[i];
        cr_assert(score >= 0 && score <= LEVELS);
        if (score > 0) counts[i % RATERS][score - 1]++;
    }
    tk_npy_free(&heads);
}

typedef struct counted {
    double win, tie, mean_chosen, mean_rejected, loss;
} counted;

// Integers up to the one division.
static counted count_pair(const int64_t *a, const int64_t *b)
{
    int64_t above = 0, equal = 0, total_a = 0, total_b = 0, values_a = 0, values_b = 0;
    for (int i = 0; i < LEVELS; i++) {
        total_a += a[i], total_b += b[i];
        values_a += (i + 1) * a[i], values_b += (i + 1) * b[i];
        equal += a[i] * b[i];
        for (int j = 0; j < i; j++) {
            above += a[i] * b[j];
        }
    }
    const double all = (double)(total_a * total_b);
    return (counted){.win = (double)above / all,
                     .tie = (double)equal / all,
                     .mean_chosen = (double)values_a / (double)total_a,
                     .mean_rejected = (double)values_b / (double)total_b,
                     .loss = -log((double)above / all)};
}

// Logits are rounded logarithms: each share of a sum is off by up to 2^-24 of a logit (below 7), twice.
TK_TEST(preference_ordinal_data, wildbench_judges_by_exact_counting)
{
    static int64_t counts[RATERS][LEVELS];
    static float chosen[PAIRS * LEVELS], rejected[PAIRS * LEVELS];
    tk_require_data();
    count_scores(counts);
    for (int p = 0; p < PAIRS; p++) {
        for (int k = 0; k < LEVELS; k++) {
            chosen[p * LEVELS + k] = (float)log((double)counts[p / RATERS][k]);
            rejected[p * LEVELS + k] = (float)log((double)counts[p % RATERS][k]);
        }
    }
    ordinal_case c = ordinal_make("oprm", chosen, rejected, PAIRS, LEVELS);
    ordinal_result r = ordinal_run(tk, &c);
    double sum = 0;
    int64_t correct = 0, tied = 0;
    for (int p = 0; p < PAIRS; p++) {
        const counted e = count_pair(counts[p / RATERS], counts[p % RATERS]);
        tk_case("%d against %d", p / RATERS, p % RATERS);
        tk_expect_close(&r.win[p], &e.win, 1, 0, 1e-6);
        tk_expect_close(&r.tie[p], &e.tie, 1, 0, 1e-6);
        tk_expect_close(&r.mean[2 * p], &e.mean_chosen, 1, 0, 1e-6);
        tk_expect_close(&r.mean[2 * p + 1], &e.mean_rejected, 1, 0, 1e-6);
        tk_expect_close(&r.pair_loss[p], &e.loss, 1, 1e-6, 1e-6);
        sum += e.loss;
        correct += e.win > 1 - e.win - e.tie && p / RATERS != p % RATERS;
        tied += p / RATERS == p % RATERS;
    }
    tk_expect_close(&r.loss, &sum, 1, 0, 1e-6);
    TK_EXPECT(r.metrics.correct_strict == correct && r.metrics.tied == tied,
              "%lld right and %lld tied, expected %lld and %lld",
              (long long)r.metrics.correct_strict, (long long)r.metrics.tied, (long long)correct,
              (long long)tied);
    ordinal_free(&r);
    ordinal_check(tk, &c); // gradients
    c = ordinal_make("oprm.half_tie", chosen, rejected, PAIRS, LEVELS);
    ordinal_check(tk, &c);
}
