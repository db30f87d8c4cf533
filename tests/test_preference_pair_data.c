// preference_pair on public battles and preferences (MERIT_DATA_DIR): strengths fitted by Newton steps
// on its gradients against published coefficients and independent fits, within 1e-6 (scores and
// gradients are binary32); losses within 1e-6 of themselves.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "preference_fit.h"
#include "tk_data.h"

enum { MAX_ROWS = 9000 };

// Lines of a file below MERIT_DATA_DIR, without their ends; freed as one block.
typedef struct text {
    char *bytes, **lines;
    int count;
} text;

static text read_text(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("MERIT_DATA_DIR"), name);
    FILE *const file = fopen(path, "rb");
    cr_assert(file != NULL, "cannot open %s", path);
    text t = {.bytes = calloc(1 << 20, 1), .lines = calloc(MAX_ROWS, sizeof *t.lines)};
    cr_assert(t.bytes != NULL && t.lines != NULL);
    const size_t length = fread(t.bytes, 1, (1 << 20) - 1, file);
    cr_assert(length > 0 && length < (1 << 20) - 1, "%s", path);
    fclose(file);
    for (char *line = strtok(t.bytes, "\r\n"); line != NULL; line = strtok(NULL, "\r\n")) {
        cr_assert(t.count < MAX_ROWS, "%s is too long", path);
        t.lines[t.count++] = line;
    }
    return t;
}

static void free_text(text *t)
{
    free(t->bytes), free(t->lines);
}

// player1,player2,win1,win2. A half of a win on both sides is a tie.
static pf_battles read_wins(const char *name, int num_players, int has_home)
{
    text t = read_text(name);
    pf_battles b = pf_create(num_players, 3 * (int64_t)t.count);
    for (int i = 1; i < t.count; i++) {
        int first, second;
        double win1, win2;
        cr_assert(sscanf(t.lines[i], "%d,%d,%lf,%lf", &first, &second, &win1, &win2) == 4, "%s: %s",
                  name, t.lines[i]);
        const double ties = win1 != floor(win1);
        pf_add(&b, first, second, 1, floor(win1));
        pf_add(&b, first, second, -1, floor(win2));
        pf_add(&b, first, second, 0, ties);
    }
    free_text(&t);
    if (!has_home) return b;
    b.home = calloc((size_t)b.num_battles, sizeof *b.home);
    cr_assert(b.home != NULL);
    for (int64_t i = 0; i < b.num_battles; i++) {
        b.home[i] = 1;
    }
    return b;
}

static void expect_near(const char *name, double actual, double expected, double atol, double rtol)
{
    TK_EXPECT(fabs(actual - expected) <= atol + rtol * fabs(expected),
              "%s is %.10f, expected %.10f", name, actual, expected);
}

// Strengths by name against the numbers of an object, shifted by `mean` of the expected ones.
static void expect_strengths(const pf_fit *fit, json_t *expected, const text *names, double atol)
{
    double shift = 0;
    for (int k = 0; k < names->count; k++) {
        shift += fit->strength[k] / names->count;
    }
    cr_assert((int)json_object_size(expected) == names->count);
    for (int k = 0; k < names->count; k++) {
        json_t *const number = json_object_get(expected, names->lines[k]);
        cr_assert(json_is_number(number), "no strength of %s", names->lines[k]);
        expect_near(names->lines[k], fit->strength[k] - shift, json_number_value(number), atol, 0);
    }
}

// The classics ------------------------------------------------------------------------------------

TK_TEST(preference_data, citations_of_four_journals)
{
    enum { BIOMETRIKA, COMM_STATIST, JASA, JRSS_B };
    static const double start[4], first_gradient[] = {-406, 850.5, -192, -252.5};
    double gradient[4];
    tk_require_data();
    pf_battles b = read_wins("bt_classics/citations.csv", 4, 0);
    const double loss = pf_gradient(tk, &b, start, gradient);
    tk_expect_close(gradient, first_gradient, 4, 0, 0); // halves: exact
    expect_near("loss at equal strengths", loss, 2583.359541947, 0, 1e-7);
    const pf_fit fit = pf_run(tk, &b, BIOMETRIKA, MERIT_TIE_MODEL_HALF);
    expect_near("Comm Statist", fit.strength[COMM_STATIST], -2.9490724968, 1e-6, 0);
    expect_near("JASA", fit.strength[JASA], -0.4795697698, 1e-6, 0);
    expect_near("JRSS-B", fit.strength[JRSS_B], 0.2689540558, 1e-6, 0);
    expect_near("loss", fit.loss, 1622.889808828, 0, 1e-6);
    // As published, to their digits.
    expect_near("Comm Statist", fit.strength[COMM_STATIST], -2.9491, 5e-5, 0);
    expect_near("JASA", fit.strength[JASA], -0.4796, 5e-5, 0);
    expect_near("JRSS-B", fit.strength[JRSS_B], 0.2690, 5e-5, 0);
    pf_free(&b);
}

TK_TEST(preference_data, baseball_with_and_without_the_home_effect)
{
    // Baltimore, Boston, Cleveland, Detroit, Milwaukee, New York, Toronto
    static const double plain[] = {
        0, 1.1076977054, 0.6838527692, 1.4364084318, 1.5813558767, 1.2476178451, 1.2944851239};
    static const double at_home[] = {0,         1.1438027, 0.7046945, 1.4753572,
                                     1.6195550, 1.2813404, 1.3271104};
    tk_require_data();
    pf_battles b = read_wins("bt_classics/baseball.csv", 7, 0);
    pf_fit fit = pf_run(tk, &b, 0, MERIT_TIE_MODEL_HALF);
    tk_expect_close(fit.strength, plain, 7, 1e-6, 0);
    expect_near("loss", fit.loss, 172.248175995, 0, 1e-6);
    pf_free(&b);
    b = read_wins("bt_classics/baseball.csv", 7, 1);
    fit = pf_run(tk, &b, 0, MERIT_TIE_MODEL_HALF);
    tk_expect_close(fit.strength, at_home, 7, 1e-6, 0);
    expect_near("home effect", fit.home, 0.3022607, 1e-6, 0);
    expect_near("loss with the home effect", fit.loss, 169.542871452, 0, 1e-6);
    pf_free(&b);
}

TK_TEST(preference_data, springall_with_half_wins)
{
    tk_require_data();
    json_t *const root = tk_json_read("bt_classics/expected.json");
    pf_battles b = read_wins("bt_classics/springall.csv", 9, 0);
    const pf_fit fit = pf_run(tk, &b, 0, MERIT_TIE_MODEL_HALF);
    for (int k = 0; k < 9; k++) {
        char path[64];
        snprintf(path, sizeof path, "springall/relative_to_1/%d", k + 1);
        expect_near(path, fit.strength[k], tk_json_number(root, path), 1e-6, 0);
    }
    expect_near("loss", fit.loss, 456.670277759, 0, 1e-6);
    pf_free(&b);
    json_decref(root);
}

// i,j,r,win_i,win_j,tie.
static pf_battles read_pudding(void)
{
    text t = read_text("bt_classics/pudding.csv");
    pf_battles b = pf_create(6, 3 * (int64_t)t.count);
    for (int i = 1; i < t.count; i++) {
        int first, second, all, win1, win2, ties;
        cr_assert(sscanf(t.lines[i], "%d,%d,%d,%d,%d,%d", &first, &second, &all, &win1, &win2,
                         &ties) == 6,
                  "%s", t.lines[i]);
        cr_assert(win1 + win2 + ties == all, "%s", t.lines[i]);
        pf_add(&b, first, second, 1, win1);
        pf_add(&b, first, second, -1, win2);
        pf_add(&b, first, second, 0, ties);
    }
    free_text(&t);
    return b;
}

TK_TEST(preference_data, pudding_under_the_three_models_of_ties)
{
    static const double davidson[] = {
        0, 0.2202419002, 0.1529777048, 0.1751449086, 0.1338652270, 0.3771348958};
    static const double published[] = {0, 0.2202447, 0.1529644, 0.1752864, 0.133855, 0.3771362};
    static const double rao_kupper[] = {0, 0.1737181, 0.1200492, 0.1398787, 0.1049691, 0.2980093};
    static const double half[] = {-0.12850923909977274,  0.031799580355395055,
                                  -0.01716581338376959,  -0.001028901832730237,
                                  -0.031078855701883484, 0.145983229662761};
    tk_require_data();
    pf_battles b = read_pudding();
    pf_fit fit = pf_run(tk, &b, 0, MERIT_TIE_MODEL_DAVIDSON);
    tk_expect_close(fit.strength, davidson, 6, 1e-6, 0);
    expect_near("log_tie", fit.log_tie, -0.2919270862, 1e-6, 0);
    expect_near("loss", fit.loss, 809.7095100903, 0, 1e-6);
    tk_expect_close(fit.strength, published, 6, 2e-4, 0); // stopped after seven iterations
    expect_near("log_tie", fit.log_tie, -0.291938, 2e-4, 0);

    fit = pf_run(tk, &b, 0, MERIT_TIE_MODEL_RAO_KUPPER);
    tk_expect_close(fit.strength, rao_kupper, 6, 1e-6, 0);
    expect_near("eta", fit.log_tie, 0.5587338, 1e-6, 0);
    expect_near("loss", fit.loss, 809.6971334886, 0, 1e-6);

    fit = pf_run(tk, &b, 0, MERIT_TIE_MODEL_HALF);
    for (int k = 5; k >= 0; k--) {
        fit.strength[k] += half[0]; // mean 0
    }
    tk_expect_close(fit.strength, half, 6, 1e-6, 0);
    expect_near("loss", fit.loss, 514.9086559702, 0, 1e-6);
    pf_free(&b);
}

// Language models ---------------------------------------------------------------------------------

TK_TEST(preference_data, llmfao_battles_give_the_golden_strengths)
{
    int counts[3] = {0};
    tk_require_data();
    json_t *const root = tk_json_read("llmfao_battles/expected.json");
    text names = read_text("llmfao_battles/models.txt"),
         rows = read_text("llmfao_battles/crowd.csv");
    pf_battles b = pf_create(names.count, rows.count);
    for (int i = 1; i < rows.count; i++) { // prompt,left,right,outcome,worker
        int prompt, left, right;
        double outcome;
        cr_assert(sscanf(rows.lines[i], "%d,%d,%d,%lf", &prompt, &left, &right, &outcome) == 4,
                  "%s", rows.lines[i]);
        const int result = outcome == 0.5 ? 0 : outcome == 1 ? 1 : -1;
        pf_add(&b, left, right, result, 1);
        counts[result + 1]++;
    }
    TK_EXPECT(names.count == 59 && counts[2] == 2911 && counts[0] == 2549 && counts[1] == 3471,
              "%d models, %d left, %d right, %d ties", names.count, counts[2], counts[0],
              counts[1]);
    const pf_fit fit = pf_run(tk, &b, 0, MERIT_TIE_MODEL_HALF);
    expect_strengths(&fit, tk_json_at(root, "crowd/bt/log_strength_mean0"), &names, 1e-6);
    expect_near("loss", fit.loss, 5743.381723883, 0, 1e-6);
    json_t *const golden = tk_json_at(root, "crowd/vs_evalica_golden_bt/golden_scores");
    double sum = 0;
    for (int k = 0; k < names.count; k++) {
        sum += exp(fit.strength[k]);
    }
    for (int k = 0; k < names.count; k++) {
        const double expected = json_number_value(json_object_get(golden, names.lines[k]));
        TK_EXPECT(expected > 0, "no golden score of %s", names.lines[k]);
        expect_near(names.lines[k], exp(fit.strength[k]) / sum, expected, 0, 1e-6);
    }
    pf_free(&b);
    free_text(&names), free_text(&rows);
    json_decref(root);
}

TK_TEST(preference_data, gsm8k_models_by_the_problems_that_one_solved)
{
    static const double expected[] = {-1.3342105381, 0.1945242074, -0.3526069176, 1.4922932484};
    tk_require_data();
    json_t *const root = tk_json_read("gsm8k_groups/expected.json");
    pf_battles b = pf_create(4, 16);
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 4; j++) {
            char path[64];
            snprintf(path, sizeof path, "wins_matrix/%d/%d", i, j);
            pf_add(&b, i, j, 1, tk_json_number(root, path));
        }
    }
    pf_fit fit = pf_run(tk, &b, 0, MERIT_TIE_MODEL_HALF);
    for (int k = 3; k >= 0; k--) {
        fit.strength[k] += expected[0];
    }
    tk_expect_close(fit.strength, expected, 4, 1e-6, 0);
    expect_near("loss", fit.loss, 525.650479273, 0, 1e-6);
    pf_free(&b);
    json_decref(root);
}

// Soft preferences of a judge over a baseline, whose score is 0: one strength per model.
typedef struct judged {
    float scores[805], zeros[805], preference[805];
    uint8_t mask[805];
    pc_case c;
} judged;

static pc_result judge(tk_fixture *tk, judged *j, double score)
{
    for (int i = 0; i < 805; i++) {
        j->scores[i] = (float)score;
    }
    pc_result r = pc_run(tk, &j->c);
    tk_expect_ok(tk->ctx, r.status);
    return r;
}

static double slope_of(const pc_result *r)
{
    double sum = 0;
    for (int64_t i = 0; i < r->num_pairs; i++) {
        sum += r->grad_chosen[i];
    }
    return sum;
}

// Win rate, wins and draws of a model in the leaderboard.
static void expect_leaderboard(const text *rows, const char *model, double win_rate,
                               const merit_preference_metrics *m)
{
    for (int i = 1; i < rows->count; i++) {
        const size_t length = strlen(model);
        double v[8];
        if (strncmp(rows->lines[i], model, length) != 0 || rows->lines[i][length] != ',') continue;
        cr_assert(sscanf(rows->lines[i] + length, ",%lf,%lf,%lf,%lf,%lf,%lf", &v[0], &v[1], &v[2],
                         &v[3], &v[4], &v[5]) == 6);
        expect_near("win_rate", win_rate, v[1], 2e-6, 0);
        TK_EXPECT((double)m->pairs == v[0] && (double)m->correct_strict == v[3] &&
                      (double)m->label_ties == v[5] &&
                      (double)(m->decided - m->correct_strict) == v[4],
                  "%lld judged, %lld wins, %lld draws", (long long)m->pairs,
                  (long long)m->correct_strict, (long long)m->label_ties);
        return;
    }
    TK_EXPECT(0, "%s is not in the leaderboard", model);
}

TK_TEST(preference_data, alpaca_eval_win_rates_from_soft_preferences)
{
    tk_require_data();
    json_t *const root = tk_json_read("alpaca_eval2/expected.json");
    text names = read_text("alpaca_eval2/models.txt"),
         rows = read_text("alpaca_eval2/leaderboard.csv");
    tk_npy pref = tk_npy_read("alpaca_eval2/pref.npy");
    cr_assert(pref.count == 805 * (int64_t)names.count);
    judged *const j = calloc(1, sizeof *j);
    cr_assert(j != NULL);
    for (int k = 0; k < names.count; k++) {
        j->c = pc_scores("oni.soft", 805, j->scores, j->zeros);
        j->c.io.probabilities = j->preference, j->c.io.mask = j->mask;
        j->c.outputs = PC_LOSS | PC_GRAD_CHOSEN | PC_METRICS;
        for (int i = 0; i < 805; i++) {
            j->preference[i] = (float)pref.values[k * 805 + i]; // NaN where nothing was judged
            j->mask[i] = !isnan(pref.values[k * 805 + i]);
        }
        tk_case("%s", names.lines[k]);
        json_t *const logit = json_object_get(tk_json_at(root, "star_bt_logit"), names.lines[k]);
        json_t *const loss = json_object_get(tk_json_at(root, "star_soft_bce"), names.lines[k]);
        pc_result r = judge(tk, j, json_number_value(logit));
        expect_near("loss", r.loss, json_number_value(loss), 0, 1e-6);
        expect_near("slope at the expected strength", slope_of(&r), 0, 1e-6, 0);
        pc_free(&r);
        double score = 0; // and from nothing: p (1 - p) is the second derivative of the mean
        for (int step = 0; step < 12; step++) {
            const double p = 1 / (1 + exp(-(double)(float)score));
            r = judge(tk, j, score);
            score = (float)score - slope_of(&r) / (p * (1 - p));
            pc_free(&r);
        }
        expect_near("strength", score, json_number_value(logit), 1e-6, 0);
        r = judge(tk, j, 1); // all scores above the baseline: right where the preference is for it
        expect_leaderboard(&rows, names.lines[k], 100 / (1 + exp(-score)), r.metrics);
        pc_free(&r);
    }
    free(j);
    tk_npy_free(&pref);
    free_text(&names), free_text(&rows);
    json_decref(root);
}

// Pairs of answers to one context that humans do not rate alike.
TK_TEST(preference_data, topical_chat_pairs_of_predicted_scores)
{
    enum { CONTEXTS = 30, SYSTEMS = 6, HEADS = 6, OVERALL = 5, MAX_PAIRS = CONTEXTS * 15 };
    float chosen[MAX_PAIRS], rejected[MAX_PAIRS];
    int64_t count = 0;
    tk_require_data();
    tk_npy human = tk_npy_read("attributes/topicalchat_human.npy");
    tk_npy predicted = tk_npy_read("attributes/topicalchat_unieval.npy");
    cr_assert(human.count == CONTEXTS * SYSTEMS * HEADS && predicted.count == human.count);
    for (int n = 0; n < CONTEXTS; n++) {
        for (int i = 0; i < SYSTEMS; i++) {
            for (int k = 0; k < i; k++) {
                const int64_t a = (n * SYSTEMS + i) * HEADS + OVERALL,
                              b = (n * SYSTEMS + k) * HEADS + OVERALL;
                const double difference = human.values[a] - human.values[b];
                if (difference == 0) continue;
                chosen[count] = (float)predicted.values[difference > 0 ? a : b];
                rejected[count++] = (float)predicted.values[difference > 0 ? b : a];
            }
        }
    }
    const pc_case c = pc_scores("bt", count, chosen, rejected);
    pc_result r = pc_run(tk, &c);
    tk_expect_ok(tk->ctx, r.status);
    TK_EXPECT(count == 422 && r.metrics->decided == 422 && r.metrics->correct_strict == 343,
              "%lld of %lld pairs", (long long)r.metrics->correct_strict, (long long)count);
    expect_near("mean loss", r.loss, 0.587691040334, 0, 1e-6);
    expect_near("mean margin", r.metrics->sum_difference / 422, 0.256289396668, 0, 1e-6);
    if (tk->is_first_run) pc_expect_oracle(&c, &r);
    pc_free(&r);
    tk_npy_free(&human), tk_npy_free(&predicted);
}
