// advantage_group on rewards of public projects (MERIT_DATA_DIR) against independently computed
// results: entries within 1e-12 for F64 in and out, within 1e-6 for F32; sums within 1e-9 of
// themselves, weighted sums within 1e-7.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "advantage_case.h"
#include "tk_data.h"

// Groups of one size, member by member, K columns.
typedef struct data_set {
    const char *name;
    double *rewards; // [num_groups * size, K]
    int64_t num_groups, size;
    int32_t num_columns;
    float weights[4]; // of the columns, times `unit` so that they are exact
    double unit;
    int simt_skips;
} data_set;

static const struct {
    const char *key, *preset;
    int ddof, scale;
} conventions[] = {{"centred", "dr_grpo", 1, MERIT_SCALE_NONE},
                   {"grpo_ddof0", "grpo", 0, MERIT_SCALE_STD},
                   {"grpo_ddof1", "grpo", 1, MERIT_SCALE_STD},
                   {"rloo", "rloo", 1, MERIT_SCALE_NONE}};
enum { NUM_CONVENTIONS = 4 };

static double *numbers(int64_t n)
{
    double *const values = calloc((size_t)n + 1, sizeof *values);
    cr_assert(values != NULL);
    return values;
}

// The rewards of a data set as f32; freed by the caller.
static float *narrow(const data_set *s)
{
    const int64_t n = s->num_groups * s->size * s->num_columns;
    float *const values = calloc((size_t)n + 1, sizeof *values);
    cr_assert(values != NULL);
    for (int64_t i = 0; i < n; i++) {
        values[i] = (float)s->rewards[i];
    }
    return values;
}

static ag_case case_of(const data_set *s, const char *preset, const void *rewards, int32_t dtype)
{
    ag_case c = ag_uniform(preset, s->num_groups, s->size, rewards);
    c.d.reward_dtype = c.d.advantage_dtype = dtype;
    c.d.num_columns = s->num_columns;
    if (s->num_columns > 1) c.io.column_weights = s->weights;
    return c;
}

typedef struct sums {
    double abs, squares, max, min, weighted;
} sums;

static sums sums_of(const double *a, int64_t n)
{
    sums s = {.max = -INFINITY, .min = INFINITY};
    for (int64_t i = 0; i < n; i++) {
        s.abs += fabs(a[i]);
        s.squares += a[i] * a[i];
        s.max = fmax(s.max, a[i]);
        s.min = fmin(s.min, a[i]);
        s.weighted += a[i] * (double)(1 + i % 97);
    }
    return s;
}

// f64 in and out; f32 in and out against that. Returns the f64 advantages, divided by unit.
static ag_result run_both(tk_fixture *tk, const data_set *s, const ag_case *options, double unit)
{
    float *const singles = narrow(s);
    ag_case wide = *options, thin = *options;
    wide.io.rewards = s->rewards, thin.io.rewards = singles;
    wide.d.reward_dtype = wide.d.advantage_dtype = MERIT_DTYPE_F64;
    thin.d.reward_dtype = thin.d.advantage_dtype = MERIT_DTYPE_F32;
    ag_check(tk, &thin);
    ag_check(tk, &wide);
    ag_result a = ag_run(tk, &wide), b = ag_run(tk, &thin);
    for (int64_t i = 0; i < a.num_values; i++) {
        a.values[i] /= unit, b.values[i] /= unit;
    }
    tk_expect_close(b.values, a.values, a.num_values, 1e-6, 0);
    ag_free(&b);
    free(singles);
    return a;
}

static void compare_sums(json_t *expected, const double *values, int64_t n)
{
    const sums s = sums_of(values, n);
    const double actual[] = {s.abs, s.squares}, extremes[] = {s.max, s.min};
    const double wanted[] = {tk_json_number(expected, "sum_abs"),
                             tk_json_number(expected, "sum_sq")};
    const double limits[] = {tk_json_number(expected, "max"), tk_json_number(expected, "min")};
    const double weighted = tk_json_number(expected, "weighted");
    tk_expect_close(actual, wanted, 2, 0, 1e-9);
    tk_expect_close(extremes, limits, 2, 1e-12, 0);
    tk_expect_close(&s.weighted, &weighted, 1, 1e-7, 0);
}

// All four conventions of one object of expected.json.
static void compare(tk_fixture *tk, const data_set *s, json_t *expected)
{
    if (tk->kind == TK_SIMT && s->simt_skips) return;
    TK_EXPECT(tk_json_number(expected, "n_groups") == (double)s->num_groups &&
                  tk_json_number(expected, "G") == (double)s->size,
              "%s: %lld groups of %lld", s->name, (long long)s->num_groups, (long long)s->size);
    for (int i = 0; i < NUM_CONVENTIONS; i++) {
        json_t *const want = tk_json_at(expected, conventions[i].key);
        ag_case c = case_of(s, conventions[i].preset, s->rewards, MERIT_DTYPE_F64);
        c.d.ddof = conventions[i].ddof, c.d.eps = 0;
        tk_case("%s, %s", s->name, conventions[i].key);
        const double unit = conventions[i].scale == MERIT_SCALE_NONE ? s->unit : 1;
        ag_result r = run_both(tk, s, &c, unit);
        compare_sums(want, r.values, r.num_values);
        json_t *const first = tk_json_at(want, "first_groups");
        for (size_t n = 0; n < json_array_size(first); n++) {
            json_t *const group = json_array_get(first, n);
            for (size_t j = 0; j < json_array_size(group); j++) {
                const double entry = json_number_value(json_array_get(group, j));
                tk_expect_close(&r.values[(int64_t)n * s->size + (int64_t)j], &entry, 1, 1e-12, 0);
            }
        }
        double equal = 0;
        for (int64_t n = 0; n < r.num_records; n++) {
            equal += (r.group_flags[n] & MERIT_GROUP_FLAG_ALL_EQUAL) != 0;
        }
        TK_EXPECT(equal == tk_json_number(expected, "zero_variance_groups"), "%g all-equal groups",
                  equal);
        ag_free(&r);
    }
}

// The sum of absolute advantages of a case on a data set, to the printed eight decimals.
static void compare_sum(tk_fixture *tk, const data_set *s, ag_case *c, double expected)
{
    ag_result r = run_both(tk, s, c, 1);
    const double actual = sums_of(r.values, r.num_values).abs;
    tk_expect_close(&actual, &expected, 1, 6e-9, 1e-12);
    ag_free(&r);
}

TK_TEST(advantage_group, gsm8k_groups_match_independent_results)
{
    tk_require_data();
    tk_npy correct = tk_npy_read("gsm8k_groups/correct.npy");
    tk_npy chars = tk_npy_read("gsm8k_groups/solution_chars.npy");
    json_t *const expected = tk_json_read("gsm8k_groups/expected.json");
    const data_set s = {"gsm8k", correct.values, correct.dims[0], 4, 1, {1}, 1, 0};
    compare(tk, &s, expected);
    static const struct {
        const char *preset;
        double sum_abs;
    } rows[] = {
        {"trl.group", 1110.98241197}, {"oi.standard", 1283.09717223}, {"maxrl", 1540},
        {"trl.batch", 1206.80900281}, {"nemo.grpo", 1167.14003655},   {"opo", 593.09060345}};
    float *const lengths = calloc((size_t)chars.count, sizeof *lengths);
    cr_assert(lengths != NULL);
    for (int64_t i = 0; i < chars.count; i++) {
        lengths[i] = (float)chars.values[i];
    }
    for (int i = 0; i < 6; i++) {
        ag_case c = case_of(&s, rows[i].preset, s.rewards, MERIT_DTYPE_F64);
        if (i == 5) c.io.weights = lengths;
        tk_case("gsm8k, %s", rows[i].preset);
        compare_sum(tk, &s, &c, rows[i].sum_abs);
        if (i != 3) continue;
        ag_result r = ag_run(tk, &c);
        const double deviation = .48382081816;
        tk_expect_close(&r.group_scale[17], &deviation, 1, 6e-12, 0);
        ag_free(&r);
    }
    free(lengths);
    json_decref(expected);
    tk_npy_free(&correct), tk_npy_free(&chars);
}

// 10 samples per model and question of which c are right: the first c entries.
TK_TEST(advantage_group, lcb_groups_match_independent_results)
{
    tk_require_data();
    tk_npy right = tk_npy_read("lcb_groups/testgen_correct10.npy"); // [models, questions]
    json_t *const expected = tk_json_read("lcb_groups/expected.json");
    const int64_t models = right.dims[0], questions = right.dims[1];
    data_set s = {"testgen", numbers(right.count * 10), right.count, 10, 1, {1}, 1, 1};
    for (int64_t i = 0; i < right.count * 10; i++) {
        s.rewards[i] = (double)(i % 10) < right.values[i / 10];
    }
    compare(tk, &s, tk_json_at(expected, "testgen"));
    free(s.rewards);

    data_set across = {"across models", numbers(right.count), questions, models, 1, {1}, 1, 1};
    for (int64_t i = 0; i < right.count; i++) {
        across.rewards[i] = right.values[i % models * questions + i / models] / 10;
    }
    compare(tk, &across, tk_json_at(expected, "crossmodel"));
    free(across.rewards);

    tk_npy direct = tk_npy_read("lcb_groups/execution_direct_percent.npy"); // [models, cases]
    tk_npy cot = tk_npy_read("lcb_groups/execution_cot_percent.npy");
    const int64_t cases = direct.dims[1];
    data_set two = {
        "two heads", numbers(2 * direct.count), cases, direct.dims[0], 2, {.5f, .5f}, 1, 1};
    for (int64_t i = 0; i < direct.count; i++) {
        const int64_t from = i % two.size * cases + i / two.size;
        two.rewards[2 * i] = direct.values[from] / 100,
                        two.rewards[2 * i + 1] = cot.values[from] / 100;
    }
    json_t *const execution = tk_json_at(expected, "execution_two_head");
    compare(tk, &two, tk_json_at(execution, "advantages_groups_are_cases_weights_0.5_0.5"));
    two.weights[0] = .25f, two.weights[1] = .75f;
    compare(tk, &two, tk_json_at(execution, "advantages_groups_are_cases_weights_0.25_0.75"));
    free(two.rewards);
    json_decref(expected);
    tk_npy_free(&right), tk_npy_free(&direct), tk_npy_free(&cot);
}

// What c right answers of ten are worth, right and wrong, for each convention.
TK_TEST(advantage_group, ten_samples_give_the_closed_table)
{
    tk_require_data();
    json_t *const expected = tk_json_read("lcb_groups/expected.json");
    double rewards[110];
    for (int i = 0; i < 110; i++) {
        rewards[i] = i % 10 < i / 10;
    }
    const data_set s = {"ten", rewards, 11, 10, 1, {1}, 1, 0};
    for (int v = 0; v < NUM_CONVENTIONS; v++) {
        ag_case c = case_of(&s, conventions[v].preset, rewards, MERIT_DTYPE_F64);
        c.d.ddof = conventions[v].ddof, c.d.eps = 0;
        ag_result r = run_both(tk, &s, &c, 1);
        for (int i = 0; i < 110; i++) {
            char path[96];
            snprintf(path, sizeof path, "advantage_by_number_correct_G10/%d/%s/%s", i / 10,
                     conventions[v].key, rewards[i] > 0 ? "correct" : "wrong");
            const double entry = tk_json_number(expected, path);
            tk_expect_close(&r.values[i], &entry, 1, 1e-12, 0);
        }
        ag_free(&r);
    }
    json_decref(expected);
}

// Scores of 0 are missing: their groups are left out.
static data_set complete_groups(const char *name, const tk_npy *scores, int64_t size,
                                int32_t columns)
{
    data_set s = {name, numbers(scores->count), 0, size, columns, {1}, 1, 0};
    const int64_t width = size * columns;
    for (int64_t n = 0; n < scores->dims[0]; n++) {
        int missing = 0;
        for (int64_t i = 0; i < width; i++) {
            s.rewards[s.num_groups * width + i] = scores->values[n * width + i];
            missing |= scores->values[n * width + i] == 0;
        }
        s.num_groups += !missing;
    }
    return s;
}

TK_TEST(advantage_group, wildbench_scores_match_independent_results)
{
    tk_require_data();
    tk_npy heads = tk_npy_read("wildbench_scores/heads.npy"); // [prompts, 6 models, 3 judges]
    tk_npy single = tk_npy_read("wildbench_scores/single.npy"); // [prompts, 12 models]
    json_t *const expected = tk_json_read("wildbench_scores/expected.json");
    data_set three = complete_groups("heads", &heads, 6, 3);
    static const float weights[] = {5, 3, 2}; // times 10: .3 and .2 are no binary fractions
    for (int k = 0; k < 3; k++) {
        three.weights[k] = weights[k];
    }
    three.unit = 10;
    compare(tk, &three, tk_json_at(expected, "advantages_heads_weights_0.5_0.3_0.2"));
    three.weights[0] = 1, three.weights[1] = three.weights[2] = 0, three.unit = 1;
    compare(tk, &three, tk_json_at(expected, "advantages_heads_weights_1_0_0"));
    data_set one = complete_groups("single", &single, 12, 1);
    compare(tk, &one, tk_json_at(expected, "advantages_single"));
    free(three.rewards), free(one.rewards);
    json_decref(expected);
    tk_npy_free(&heads), tk_npy_free(&single);
}

TK_TEST(advantage_group, summeval_attributes_match_independent_results)
{
    tk_require_data();
    tk_npy human = tk_npy_read("attributes/summeval_human.npy"); // [50, 16, 4]
    json_t *const root = tk_json_read("attributes/expected.json");
    json_t *const expected = tk_json_at(root, "summeval");
    data_set s = {"summeval", human.values, 50, 16, 4, {.25f, .25f, .25f, .25f}, 1, 0};
    compare(tk, &s, tk_json_at(expected, "advantages_weights_0.25_0.25_0.25_0.25"));

    ag_case c = case_of(&s, "grpo", human.values, MERIT_DTYPE_F64);
    c.d.columns = MERIT_COLUMNS_NORMALIZE_FIRST, c.d.ddof = 0, c.d.eps = 0;
    tk_case("summeval, each head normalized");
    ag_result r = run_both(tk, &s, &c, 1);
    const sums total = sums_of(r.values, r.num_values);
    json_t *const each = tk_json_at(expected, "per_head_normalised_then_mean_ddof0");
    const double actual[] = {total.abs, total.squares};
    const double wanted[] = {tk_json_number(each, "sum_abs"), tk_json_number(each, "sum_sq")};
    tk_expect_close(actual, wanted, 2, 0, 1e-9);
    json_t *const first = tk_json_at(each, "first_group");
    for (size_t i = 0; i < json_array_size(first); i++) {
        const double entry = json_number_value(json_array_get(first, i));
        tk_expect_close(&r.values[i], &entry, 1, 1e-12, 0);
    }
    ag_free(&r);

    static const float tenths[] = {4, 3, 1, 2};
    for (int k = 0; k < 4; k++) {
        s.weights[k] = tenths[k];
    }
    s.unit = 10;
    compare(tk, &s, tk_json_at(expected, "advantages_weights_0.4_0.3_0.1_0.2"));
    json_decref(root);
    tk_npy_free(&human);
}

// Instructions with a NaN are left out. The same groups through an index over the stored [models,
// instructions] rows give the same bits.
TK_TEST(advantage_group, alpaca_eval_preferences_match_independent_results)
{
    tk_require_data();
    tk_npy pref = tk_npy_read("alpaca_eval2/pref.npy"); // [models, instructions]
    json_t *const expected = tk_json_read("alpaca_eval2/expected.json");
    const int64_t models = pref.dims[0], instructions = pref.dims[1];
    data_set s = {"alpaca", numbers(pref.count), 0, models, 1, {1}, 1, 1};
    int32_t *const index = calloc((size_t)pref.count, sizeof *index);
    int64_t *const offsets = calloc((size_t)instructions + 1, sizeof *offsets);
    cr_assert(index != NULL && offsets != NULL);
    int64_t last = pref.count;
    for (int64_t n = 0; n < instructions; n++) {
        int missing = 0;
        for (int64_t m = 0; m < models; m++) {
            missing |= isnan(pref.values[m * instructions + n]) != 0;
        }
        for (int64_t m = 0; m < models; m++) {
            const int64_t at = missing ? --last : s.num_groups * models + m;
            index[at] = (int32_t)(m * instructions + n);
            if (!missing) s.rewards[at] = pref.values[m * instructions + n];
        }
        s.num_groups += !missing;
        offsets[s.num_groups] = s.num_groups * models;
    }
    compare(tk, &s, tk_json_at(expected, "advantages_groups_are_instructions"));

    ag_case dense = case_of(&s, "grpo", s.rewards, MERIT_DTYPE_F64);
    ag_case stored = dense;
    stored.d.groups =
        (merit_groups){.num_groups = s.num_groups, .offsets = offsets, .index = index};
    stored.d.num_rows = pref.count;
    stored.io.rewards = pref.values;
    ag_expect_same(tk, &stored, &dense, index);
    free(s.rewards), free(index), free(offsets);
    json_decref(expected);
    tk_npy_free(&pref);
}
