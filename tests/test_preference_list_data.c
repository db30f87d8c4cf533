// preference_list on public ratings and solutions (MERIT_DATA_DIR). Losses are compared within 1e-6 of
// themselves and fitted strengths within 1e-6: scores and gradients are binary32.
#include <math.h>
#include <stdlib.h>

#include "list_case.h"
#include "tk_data.h"

static void expect_near(const char *name, double actual, double expected, double atol, double rtol)
{
    TK_EXPECT(fabs(actual - expected) <= atol + rtol * fabs(expected),
              "%s is %.10f, expected %.10f", name, actual, expected);
}

// Dense groups of `size`, all outputs, reduction SUM.
static list_case dense(const char *preset, const float *scores, int64_t groups, int64_t size)
{
    list_case c = list_one(preset, scores, size);
    c.d.groups.num_groups = groups;
    c.d.num_items = groups * size;
    return c;
}

// Topical-Chat: six answers to each of 30 contexts, `overall` rated by people and predicted -----------

enum { CONTEXTS = 30, SYSTEMS = 6, ANSWERS = CONTEXTS * SYSTEMS };

typedef struct topical_chat {
    float human[ANSWERS], predicted[ANSWERS], best[ANSWERS];
} topical_chat;

static topical_chat read_topical_chat(void)
{
    enum { HEADS = 6, OVERALL = 5 };
    topical_chat t;
    tk_npy human = tk_npy_read("attributes/topicalchat_human.npy");
    tk_npy predicted = tk_npy_read("attributes/topicalchat_unieval.npy");
    cr_assert(human.count == ANSWERS * HEADS && predicted.count == human.count);
    for (int n = 0; n < CONTEXTS; n++) {
        float top = 0;
        for (int i = n * SYSTEMS; i < (n + 1) * SYSTEMS; i++) {
            t.human[i] = (float)human.values[i * HEADS + OVERALL];
            t.predicted[i] = (float)predicted.values[i * HEADS + OVERALL];
            top = fmaxf(top, t.human[i]);
        }
        for (int i = n * SYSTEMS; i < (n + 1) * SYSTEMS; i++) {
            t.best[i] = t.human[i] == top;
        }
    }
    tk_npy_free(&human), tk_npy_free(&predicted);
    return t;
}

TK_TEST(preference_list_data, all_pairs_of_topical_chat_answers)
{
    tk_require_data();
    const topical_chat t = read_topical_chat();
    json_t *const root = tk_json_read("attributes/expected.json");
    list_case c = dense("instruct_gpt", t.predicted, CONTEXTS, SYSTEMS);
    c.io.labels = t.human;
    c.d.inner = MERIT_LIST_INNER_SUM;
    list_result r = list_run(tk, &c);
    const merit_preference_list_metrics *const m = &r.metrics;
    const double pairs = (double)(m->concordant + m->discordant + m->tied);
    TK_EXPECT(pairs == 422 && pairs == tk_json_number(root, "topicalchat/pairwise/n_pairs"),
              "%g pairs", pairs);
    TK_EXPECT(m->concordant == 343, "%lld in order", (long long)m->concordant);
    expect_near("accuracy", (double)m->concordant / pairs,
                tk_json_number(root, "topicalchat/pairwise/accuracy"), 1e-12, 0);
    expect_near("sum over pairs", r.loss, 248.005619020831, 0, 1e-6);
    expect_near("mean over pairs", r.loss / pairs,
                tk_json_number(root, "topicalchat/pairwise/bt_loss_mean"), 0, 1e-6);
    list_free(&r);
    c.d.inner = MERIT_LIST_INNER_MEAN;
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_VALID;
    r = list_run(tk, &c);
    expect_near("mean over contexts", r.loss, 0.586602064965, 0, 1e-6);
    list_free(&r);
    list_check(tk, &c);
    json_decref(root);
}

TK_TEST(preference_list_data, the_best_topical_chat_answers_by_cross_entropy)
{
    tk_require_data();
    const topical_chat t = read_topical_chat();
    list_case c = dense("op_gfn", t.predicted, CONTEXTS, SYSTEMS);
    c.io.weights = t.best;
    list_result r = list_run(tk, &c);
    expect_near("sum", r.loss, 45.448938650097, 0, 1e-6);
    list_free(&r);
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_VALID;
    r = list_run(tk, &c);
    expect_near("mean", r.loss, 1.514964621670, 0, 1e-6);
    list_free(&r);
    list_check(tk, &c);
    static const float equal[ANSWERS];
    c.scores = equal;
    r = list_run(tk, &c);
    expect_near("mean at equal scores", r.loss, 1.791759469228055, 0, 1e-6); // log 6
    list_free(&r);
}

// The order of the ratings as a ranking: what is stated is the oracle's.
TK_TEST(preference_list_data, rankings_of_topical_chat_answers)
{
    tk_require_data();
    const topical_chat t = read_topical_chat();
    int32_t ranks[ANSWERS];
    for (int n = 0; n < CONTEXTS; n++) {
        for (int i = n * SYSTEMS; i < (n + 1) * SYSTEMS; i++) {
            ranks[i] = 0;
            for (int j = n * SYSTEMS; j < (n + 1) * SYSTEMS; j++) {
                ranks[i] += t.human[j] > t.human[i];
            }
        }
    }
    list_case c = dense("plackett_luce", t.predicted, CONTEXTS, SYSTEMS);
    c.io.ranks = ranks;
    list_check(tk, &c);
    c.d.top_k = 1; // ties of the best share a stage
    c.d.center = MERIT_LIST_CENTER_MEAN;
    list_check(tk, &c);
}

// WildBench: scores of six models by three judges, 506 prompts without a missing score -------------

TK_TEST(preference_list_data, all_pairs_of_one_wildbench_judge_by_another)
{
    enum { PROMPTS = 512, MODELS = 6, JUDGES = 3, ITEMS = PROMPTS * MODELS };
    static float scores[ITEMS], labels[ITEMS];
    static uint8_t mask[ITEMS];
    tk_require_data();
    json_t *const root = tk_json_read("wildbench_scores/expected.json");
    tk_npy heads = tk_npy_read("wildbench_scores/heads.npy");
    cr_assert(heads.count == ITEMS * JUDGES);
    for (int n = 0; n < PROMPTS; n++) {
        uint8_t complete = 1;
        for (int k = n * MODELS * JUDGES; k < (n + 1) * MODELS * JUDGES; k++) {
            complete &= heads.values[k] != 0;
        }
        for (int i = n * MODELS; i < (n + 1) * MODELS; i++) {
            scores[i] = (float)heads.values[i * JUDGES];
            labels[i] = (float)heads.values[i * JUDGES + 2];
            mask[i] = complete;
        }
    }
    list_case c = dense("instruct_gpt", scores, PROMPTS, MODELS);
    c.io.labels = labels, c.io.mask = mask;
    c.d.inner = MERIT_LIST_INNER_SUM;
    list_result r = list_run(tk, &c);
    const merit_preference_list_metrics *const m = &r.metrics;
    const long long pairs = (long long)(m->concordant + m->discordant + m->tied);
    TK_EXPECT(pairs == 5377, "%lld pairs", pairs);
    TK_EXPECT((double)m->groups <= tk_json_number(root, "complete_groups_heads"), "%lld groups",
              (long long)m->groups);
    expect_near("loss", r.loss, 1868.552452475, 0, 1e-6);
    list_free(&r);
    list_check(tk, &c);
    tk_npy_free(&heads);
    json_decref(root);
}

// GSM8K: four solvers of 660 problems, right or wrong ---------------------------------------------

enum { PROBLEMS = 660, SOLVERS = 4, SOLUTIONS = PROBLEMS * SOLVERS };

static void read_correct(float *correct)
{
    tk_npy file = tk_npy_read("gsm8k_groups/correct.npy");
    cr_assert(file.count == SOLUTIONS);
    for (int i = 0; i < SOLUTIONS; i++) {
        correct[i] = (float)file.values[i];
    }
    tk_npy_free(&file);
}

// With zero scores a problem gives log(1 + right) + log(1 + wrong) when it has both, else nothing.
TK_TEST(preference_list_data, right_and_wrong_solutions_against_an_anchor)
{
    static float correct[SOLUTIONS];
    static const float scores[SOLUTIONS];
    static int8_t signs[SOLUTIONS];
    tk_require_data();
    json_t *const root = tk_json_read("gsm8k_groups/expected.json");
    read_correct(correct);
    for (int i = 0; i < SOLUTIONS; i++) {
        signs[i] = correct[i] != 0 ? 1 : -1;
    }
    list_case c = dense("real", scores, PROBLEMS, SOLVERS);
    c.io.signs = signs;
    c.d.tau = 1;
    c.d.require_both = 1;
    list_result r = list_run(tk, &c);
    TK_EXPECT(r.metrics.groups == 354, "%lld problems", (long long)r.metrics.groups);
    TK_EXPECT((double)r.metrics.groups == PROBLEMS - tk_json_number(root, "zero_variance_groups"),
              "not those whose rewards differ");
    double sum = 0;
    for (int k = 1; k < SOLVERS; k++) {
        char path[64];
        snprintf(path, sizeof path, "groups_by_number_correct_0_to_4/%d", k);
        sum += tk_json_number(root, path) * (log(1.0 + k) + log(1.0 + SOLVERS - k));
    }
    expect_near("loss", r.loss, sum, 0, 1e-6);
    list_free(&r);
    list_check(tk, &c);
    json_decref(root);
}

// Loss and its gradient wrt the strengths of the solvers.
static double solver_loss(tk_fixture *tk, const float *correct, const double *strength,
                          double *gradient)
{
    static float scores[SOLUTIONS];
    for (int i = 0; i < SOLUTIONS; i++) {
        scores[i] = (float)strength[i % SOLVERS];
    }
    list_case c = dense("instruct_gpt", scores, PROBLEMS, SOLVERS);
    c.io.labels = correct;
    c.d.inner = MERIT_LIST_INNER_SUM;
    list_result r = list_run(tk, &c);
    for (int k = 0; k < SOLVERS; k++) {
        gradient[k] = 0;
    }
    for (int i = 0; i < SOLUTIONS; i++) {
        gradient[i % SOLVERS] += r.grad[i];
    }
    const double loss = r.loss;
    TK_EXPECT((double)(r.metrics.concordant + r.metrics.discordant + r.metrics.tied) == 1168,
              "not the pairs of solutions that differ");
    list_free(&r);
    return loss;
}

// Bradley-Terry over the pairs of solutions of which one is right, fitted by gradients alone: descent with
// one step size, the inverse of a curvature that no direction exceeds much.
TK_TEST(preference_list_data, strengths_of_solvers_from_gradients_of_lists)
{
    static float correct[SOLUTIONS];
    double strength[SOLVERS] = {0}, gradient[SOLVERS];
    tk_require_data();
    json_t *const root = tk_json_read("gsm8k_groups/expected.json");
    json_t *const expected = tk_json_at(root, "bt_on_discordant_pairs/log_strength_mean0");
    read_correct(correct);
    double loss = solver_loss(tk, correct, strength, gradient);
    expect_near("loss at equal strengths", loss, 1168 * 0.6931471805599453, 0, 1e-6);
    for (int step = 0; step < 60; step++) {
        loss = solver_loss(tk, correct, strength, gradient);
        for (int k = 0; k < SOLVERS; k++) {
            strength[k] -= gradient[k] / (1168 * 0.1);
        }
    }
    for (int k = 0; k < SOLVERS; k++) {
        char path[64];
        snprintf(path, sizeof path, "columns/%d", k);
        const char *const name = json_string_value(tk_json_at(root, path));
        expect_near(name, strength[k], json_number_value(json_object_get(expected, name)), 1e-6, 0);
    }
    expect_near("loss", loss, tk_json_number(root, "bt_on_discordant_pairs/neg_log_lik"), 0, 1e-6);
    json_decref(root);
}
