// The score family on public attribute ratings (MERIT_DATA_DIR): heads fitted to human ratings by its
// gradients, rewards of known means, regressions that can be counted exactly.
#include <math.h>
#include <stdlib.h>

#include "advantage_case.h"
#include "readout_case.h"
#include "score_case.h"
#include "tk_data.h"

static float *narrow(const double *values, int64_t count)
{
    float *const to = calloc((size_t)count + 1, sizeof *to);
    for (int64_t i = 0; i < count; i++) {
        to[i] = (float)values[i];
    }
    return to;
}

// Regression --------------------------------------------------------------------------------------

typedef struct regression {
    double loss, head_loss[2], norm[2];
    int64_t count[2];
    float *grad; // [P,K]
} regression;

static regression regress(tk_fixture *tk, const merit_score_regression_desc *d, const float *scores,
                          const float *labels, const uint8_t *mask)
{
    const int64_t entries = d->num_rows * d->num_heads, K = d->num_heads;
    regression r = {.grad = calloc((size_t)entries, sizeof *r.grad)};
    const merit_score_regression_io io = {.struct_size = sizeof io,
                                          .scores = tk_input(tk, scores, entries, 4),
                                          .labels = tk_input(tk, labels, entries, 4),
                                          .mask = tk_input(tk, mask, entries, 1),
                                          .loss = tk_output(tk, 1, 8),
                                          .head_loss = tk_output(tk, K, 8),
                                          .head_count = tk_output(tk, K, 8),
                                          .grad_scores = tk_output(tk, entries, 4),
                                          .grad_norm_sq = tk_output(tk, K, 8)};
    size_t bytes = 0;
    tk_expect_ok(tk->ctx, merit_score_regression_workspace(tk->ctx, d, &bytes));
    void *const workspace = tk_workspace(tk, bytes);
    tk_expect_ok(tk->ctx, merit_score_regression(tk->ctx, d, &io, workspace, bytes, NULL));
    tk_read(tk, io.loss, &r.loss, 1, 8);
    tk_read(tk, io.head_loss, r.head_loss, K, 8);
    tk_read(tk, io.head_count, r.count, K, 8);
    tk_read(tk, io.grad_scores, r.grad, entries, 4);
    tk_read(tk, io.grad_norm_sq, r.norm, K, 8);
    tk_release(tk);
    return r;
}

// Five predicted attributes of a turn and its human rating "overall".
enum { TURNS = 180, RATINGS = 6, H = 5, UNKNOWNS = H + 1 };

typedef struct fit {
    float features[TURNS * H], ratings[TURNS];
    double unknowns[UNKNOWNS]; // weights, bias
    double squares;
    double slopes[UNKNOWNS]; // of the sum of squares
} fit;

// score_forward, score_regression, score_backward at the unknowns, which round to binary32.
static void evaluate(tk_fixture *tk, fit *f)
{
    float *const weight = narrow(f->unknowns, H);
    const float bias = (float)f->unknowns[H];
    for (int i = 0; i < UNKNOWNS; i++) {
        f->unknowns[i] = (float)f->unknowns[i];
    }
    score_case c = score_make(f->features, TURNS, 0, H, weight, 1, MERIT_POSITIONS_ALL);
    c.io.bias = &bias;
    score_result scores = score_run(tk, &c);
    merit_score_regression_desc d;
    cr_assert(merit_score_regression_desc_init(&d, sizeof d) == MERIT_STATUS_OK);
    d.num_rows = TURNS;
    d.reduction = MERIT_REGRESSION_SUM;
    regression r = regress(tk, &d, scores.scores, f->ratings, NULL);
    f->squares = r.loss;
    c.io.bias = NULL;
    c.grad_scores = r.grad;
    c.outputs = SB_WEIGHT | SB_BIAS;
    score_gradients g = score_run_backward(tk, &c);
    for (int i = 0; i < H; i++) {
        f->slopes[i] = g.weight[i];
    }
    f->slopes[H] = g.bias[0];
    score_free_gradients(&g);
    score_free(&scores);
    free(r.grad), free(weight);
}

static double feature(const fit *f, int turn, int i)
{
    return i < H ? (double)f->features[turn * H + i] : 1;
}

// unknowns -= (2 X^T X)^-1 slopes, by elimination.
static void newton_step(fit *f)
{
    double m[UNKNOWNS][UNKNOWNS + 1];
    for (int i = 0; i < UNKNOWNS; i++) {
        m[i][UNKNOWNS] = f->slopes[i];
        for (int j = 0; j < UNKNOWNS; j++) {
            m[i][j] = 0;
            for (int t = 0; t < TURNS; t++) {
                m[i][j] += 2 * feature(f, t, i) * feature(f, t, j);
            }
        }
    }
    for (int i = 0; i < UNKNOWNS; i++) { // the matrix is positive: no pivots
        for (int n = 0; n < UNKNOWNS; n++) {
            const double factor = m[n][i] / m[i][i];
            for (int j = i; n != i && j <= UNKNOWNS; j++) {
                m[n][j] -= factor * m[i][j];
            }
        }
    }
    for (int i = 0; i < UNKNOWNS; i++) {
        f->unknowns[i] -= m[i][UNKNOWNS] / m[i][i];
    }
}

static double spread(const float *values, int count)
{
    double mean = 0, sum = 0;
    for (int i = 0; i < count; i++) {
        mean += (double)values[i] / count;
    }
    for (int i = 0; i < count; i++) {
        sum += ((double)values[i] - mean) * ((double)values[i] - mean);
    }
    return sum;
}

TK_TEST(score_data, heads_fitted_to_ratings_of_conversations)
{
    tk_require_data();
    tk_npy predicted = tk_npy_read("attributes/topicalchat_unieval.npy");
    tk_npy human = tk_npy_read("attributes/topicalchat_human.npy");
    json_t *const expected = tk_json_read("attributes/expected.json");
    cr_assert(predicted.count == TURNS * RATINGS && human.count == TURNS * RATINGS);
    fit f = {.squares = 0};
    for (int t = 0; t < TURNS; t++) {
        for (int i = 0; i < H; i++) {
            f.features[t * H + i] = (float)predicted.values[t * RATINGS + i];
        }
        f.ratings[t] = (float)human.values[t * RATINGS + H];
    }
    evaluate(tk, &f);
    const double at_zero[UNKNOWNS] = {-985.568111810, -941.838299735, -1834.998621394,
                                      -937.948677767, -982.183287023, -1152.666666667};
    tk_expect_close(f.slopes, at_zero, UNKNOWNS, 0, 1e-6);
    for (int step = 0; step < 3; step++) { // the first finds it, the others undo roundings
        newton_step(&f);
        if (step < 2) evaluate(tk, &f);
    }
    const double found[UNKNOWNS] = {f.unknowns[0], f.unknowns[1], f.unknowns[2],
                                    f.unknowns[3], f.unknowns[4], f.unknowns[5]};
    // Weights 0 and 4 belong to columns that are nearly equal.
    const double limits[UNKNOWNS] = {2e-4, 1e-6, 1e-6, 1e-6, 2e-4, 1e-6};
    double weights[UNKNOWNS];
    for (int i = 0; i < UNKNOWNS; i++) {
        char path[80];
        snprintf(path, sizeof path, "topicalchat/least_squares_overall_from_5_heads_plus_1/%d", i);
        weights[i] = tk_json_number(expected, path);
    }
    tk_expect_within(found, weights, limits, UNKNOWNS);
    evaluate(tk, &f);
    const double r2 = 1 - f.squares / spread(f.ratings, TURNS), mean = f.squares / TURNS;
    const double known = tk_json_number(expected, "topicalchat/r2"), squares = 0.803283342601;
    tk_expect_close(&r2, &known, 1, 1e-6, 0);
    tk_expect_close(&mean, &squares, 1, 1e-6, 0);
    json_decref(expected);
    tk_npy_free(&predicted), tk_npy_free(&human);
}

// Two judges' scores 1..10 (0 = missing) against the first one's: integers throughout.
TK_TEST(score_data, judges_against_the_first_judge_are_counted_exactly)
{
    tk_require_data();
    tk_npy heads = tk_npy_read("wildbench_scores/heads.npy");
    const int64_t P = heads.count / 3;
    float *const scores = calloc((size_t)P * 2, sizeof *scores);
    float *const labels = calloc((size_t)P * 2, sizeof *labels);
    uint8_t *const mask = calloc((size_t)P * 2, 1);
    for (int64_t i = 0; i < 2 * P; i++) {
        scores[i] = (float)heads.values[i / 2 * 3];
        labels[i] = (float)heads.values[i / 2 * 3 + 1 + i % 2];
        mask[i] = scores[i] != 0;
    }
    merit_score_regression_desc d;
    cr_assert(merit_score_regression_desc_init(&d, sizeof d) == MERIT_STATUS_OK);
    d.num_rows = P, d.num_heads = 2;
    d.use_sentinel = 1, d.sentinel = 0;
    d.reduction = MERIT_REGRESSION_SUM;
    regression r = regress(tk, &d, scores, labels, mask);
    TK_EXPECT(r.count[0] == 3065 && r.count[1] == 3065, "%lld and %lld labels",
              (long long)r.count[0], (long long)r.count[1]);
    TK_EXPECT(r.loss == 4523 + 4553, "%g squares", r.loss);
    tk_expect_close(r.head_loss, ((double[]){4523.0 / 3065, 4553.0 / 3065}), 2, 0, 0);
    tk_expect_close(r.norm, ((double[]){4.0 * 4523, 4.0 * 4553}), 2, 0, 0);
    free(r.grad), free(scores), free(labels), free(mask);
    tk_npy_free(&heads);
}

// Rewards of known means --------------------------------------------------------------------------

// [rows,K] under one direction; their mean.
static double *rewards_of(tk_fixture *tk, const char *preset, const float *rows, int64_t count,
                          int32_t K, const float *direction, double *mean)
{
    readout_case c = readout_make(preset, 0, count, K, rows);
    c.direction = direction;
    readout_result r = readout_run(tk, &c);
    *mean = 0;
    for (int64_t i = 0; i < count; i++) {
        *mean += r.reward[i] / (double)count;
    }
    double *const rewards = r.reward;
    r.reward = NULL;
    readout_free(&r);
    return rewards;
}

TK_TEST(score_data, judges_weighted_over_complete_groups)
{
    enum { MODELS = 6, JUDGES = 3, GROUP = MODELS * JUDGES };
    const float direction[JUDGES] = {.5f, .3f, .2f};
    const double expected = 6.511989459816;
    tk_require_data();
    tk_npy heads = tk_npy_read("wildbench_scores/heads.npy");
    int64_t groups = 0;
    for (int64_t n = 0; n < heads.count / GROUP; n++) {
        int complete = 1;
        for (int i = 0; i < GROUP; i++) {
            complete &= heads.values[n * GROUP + i] != 0;
        }
        for (int i = 0; complete && i < GROUP; i++) {
            heads.values[groups * GROUP + i] = heads.values[n * GROUP + i];
        }
        groups += complete;
    }
    TK_EXPECT(groups == 506, "%lld complete groups", (long long)groups);
    float *const rows = narrow(heads.values, groups * GROUP);
    double mean;
    free(rewards_of(tk, "wildbench", rows, groups * MODELS, JUDGES, direction, &mean));
    tk_expect_close(&mean, &expected, 1, 1e-6, 0);
    free(rows);
    tk_npy_free(&heads);
}

// Attributes of summaries to rewards, rewards to advantages over the systems of a document.
TK_TEST(score_data, merged_attributes_of_summaries_give_known_advantages)
{
    enum { SYSTEMS = 16, K = 4 };
    static const struct {
        const char *key;
        float direction[K];
        double mean;
    } rows[] = {{"summeval/advantages_weights_0.25_0.25_0.25_0.25",
                 {.25f, .25f, .25f, .25f},
                 4.114791666667},
                {"summeval/advantages_weights_0.4_0.3_0.1_0.2", {.4f, .3f, .1f, .2f}, 3.975}};
    static const struct {
        const char *key, *preset;
    } conventions[] = {{"centred", "dr_grpo"}, {"rloo", "rloo"}};
    tk_require_data();
    tk_npy human = tk_npy_read("attributes/summeval_human.npy");
    json_t *const expected = tk_json_read("attributes/expected.json");
    const int64_t count = human.count / K;
    float *const heads = narrow(human.values, human.count);
    for (int i = 0; i < 2; i++) {
        tk_case("%s", rows[i].key);
        double mean;
        double *const rewards =
            rewards_of(tk, "aligner.merge", heads, count, K, rows[i].direction, &mean);
        tk_expect_close(&mean, &rows[i].mean, 1, 1e-6, 0);
        float *const singles = narrow(rewards, count);
        json_t *const known = tk_json_at(expected, rows[i].key);
        for (int n = 0; n < 2; n++) {
            const ag_case c = ag_uniform(conventions[n].preset, count / SYSTEMS, SYSTEMS, singles);
            ag_result a = ag_run(tk, &c);
            double sums[2] = {0, 0};
            for (int64_t j = 0; j < count; j++) {
                sums[0] += fabs(a.values[j]);
                sums[1] += a.values[j] * a.values[j];
            }
            json_t *const want = tk_json_at(known, conventions[n].key);
            const double wanted[2] = {tk_json_number(want, "sum_abs"),
                                      tk_json_number(want, "sum_sq")};
            tk_expect_close(sums, wanted, 2, 0, 1e-6);
            for (int j = 0; j < SYSTEMS; j++) {
                char path[40];
                snprintf(path, sizeof path, "first_groups/0/%d", j);
                const double entry = tk_json_number(want, path);
                tk_expect_close(&a.values[j], &entry, 1, 1e-6, 0);
            }
            ag_free(&a);
        }
        free(singles), free(rewards);
    }
    free(heads);
    json_decref(expected);
    tk_npy_free(&human);
}
