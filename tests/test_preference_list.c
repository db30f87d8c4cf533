// preference_list: numbers worked by hand and the oracle over many shapes and options.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "list_case.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof((array)[0])))

// By hand -----------------------------------------------------------------------------------------

TK_TEST(preference_list, cross_entropy_by_hand)
{
    const float s[] = {1, 2, 0, 2};
    const int32_t first = 0, second = 1;
    const double g[] = {0.146962798510, -0.600513695350, 0.054064592189, 0.399486304650};
    list_case c = list_one("yojo", s, 4);
    c.io.target_index = &second;
    list_expect(tk, &c, 0.917575795589, g);
    const float two[] = {2, 0};
    const double g2[] = {-0.119202922022, 0.119202922022};
    c = list_one("yojo", two, 2);
    c.io.target_index = &first;
    list_expect(tk, &c, 0.126928011043, g2);
    const float rising[] = {0, 1, 2}, weights[] = {0, 1, 1};
    const double g3[] = {0.09003057317, -0.255271528945, 0.165240955775};
    c = list_one("op_gfn", rising, 3);
    c.io.weights = weights;
    list_expect(tk, &c, 0.907605964444, g3);
    const int32_t third = 2;
    const double g4[] = {0.056697239837, 0.211395137721, -0.268092377559};
    c = list_one("yojo", rising, 3);
    c.io.target_index = &third;
    c.d.smoothing = 0.1f;
    list_expect(tk, &c, 0.507605964444, g4);
    const double g5[] = {0.031752479953, 0.234620855652, -0.266373335605};
    c.d.smoothing = 0;
    c.d.tau = 0.5f;
    list_expect(tk, &c, 0.142931628500, g5);
}

TK_TEST(preference_list, plackett_luce_by_hand)
{
    const float s[] = {0.5f, -0.5f, 1};
    const int32_t ranks[] = {1, 2, 0};
    const double top[] = {0.331498960424, 0.121951652310, -0.453450612734};
    const double all[] = {0.062557539054, 0.390893073680, -0.453450612734};
    list_case c = list_one("plackett_luce", s, 3);
    c.io.ranks = ranks;
    c.d.top_k = 1;
    list_expect(tk, &c, 0.604130605337, top);
    c.d.top_k = 0;
    list_expect(tk, &c, 0.917392292855, all);
    const float equal[] = {3, 3, 3, 3};
    const int32_t order[] = {2, 0, 1, 3};
    c = list_one("listmle", equal, 4);
    c.io.ranks = order;
    list_expect(tk, &c, 3.17805383035, NULL);
    const float falling[] = {1, 0, -1};
    const int32_t tied[] = {0, 0, 1}, one[] = {0, -1, -1};
    const double g9[] = {0.330481911550, -0.510543057890, 0.180061146341};
    const double g10[] = {-0.334759044225, 0.244728471055, 0.090030573170};
    c = list_one("plackett_luce", falling, 3);
    c.io.ranks = tied;
    list_expect(tk, &c, 1.81521192889, g9);
    c.io.ranks = one;
    list_expect(tk, &c, 0.407605964444, g10);
}

TK_TEST(preference_list, all_pairs_by_hand)
{
    const float s[] = {1, 0, 0.5f, -1}, labels[] = {3, 1, 1, 2};
    const double sum[] = {-0.765685012190, 1, 1.195115144992, -1.429430132802};
    double mean[4];
    for (int i = 0; i < 4; i++) {
        mean[i] = sum[i] / 5;
    }
    list_case c = list_one("instruct_gpt", s, 4);
    c.io.labels = labels;
    list_expect(tk, &c, 0.785788329648, mean);
    c.d.inner = MERIT_LIST_INNER_SUM;
    list_expect(tk, &c, 3.92894164824, sum);
}

TK_TEST(preference_list, anchored_sets_by_hand)
{
    const float s[] = {0.2f, -0.1f, 0.3f};
    const int8_t signs[] = {1, 1, -1};
    const double split[] = {-0.463612933482, -0.844757842203, 1.291312612452};
    const double product[] = {-0.549322341016, -1.000930565041, 1.550252906057};
    list_case c = list_one("real", s, 3);
    c.io.signs = signs;
    list_expect(tk, &c, 2.09934040102, split);
    c = list_one("real.product", s, 3);
    c.io.signs = signs;
    list_expect(tk, &c, 1.49221704823, product);
    const float two[] = {1, -1};
    const int8_t both[] = {1, -1};
    c = list_one("real", two, 2);
    c.d.tau = 1;
    c.io.signs = both;
    list_expect(tk, &c, 0.626523375036, NULL);
}

TK_TEST(preference_list, pointwise_by_hand)
{
    const float s[] = {1, 0, -1};
    const int8_t signs[] = {1, -1, -1};
    const double none[] = {-0.089647140457, 0.166666666667, 0.089647140457};
    const double mean[] = {-0.145202696012, 0.111111111111, 0.034091584901};
    const double loo[] = {-0.174546095237, 0.166666666667, 0.007879428570};
    list_case c = list_one("pacs", s, 3);
    c.io.signs = signs;
    c.d.tau = 1;
    list_expect(tk, &c, 0.365324578842, loo);
    c.d.center = MERIT_LIST_CENTER_MEAN;
    list_expect(tk, &c, 0.439890185199, mean);
    c.d.center = MERIT_LIST_CENTER_NONE;
    list_expect(tk, &c, 0.439890185199, none);
}

TK_TEST(preference_list, ties_count_against_the_positive)
{
    const float s[] = {1, 2, 2, 0};
    const int8_t signs[] = {-1, 1, -1, -1};
    list_case c = list_one("real.bce", s, 4);
    c.io.signs = signs;
    list_result r = list_run(tk, &c);
    TK_EXPECT(r.metrics.groups == 1 && r.metrics.ranked == 1, "one group");
    TK_EXPECT(r.metrics.one_to_many_strict == 0 && r.metrics.one_to_many_tie == 1, "a tie");
    TK_EXPECT(r.metrics.sum_reciprocal_rank == 0.5, "%g", r.metrics.sum_reciprocal_rank);
    list_free(&r);
}

// Against the oracle ------------------------------------------------------------------------------

typedef struct random_lists {
    int64_t R, N;
    int64_t *offsets;
    int32_t *index, *ranks, *targets;
    float *scores, *weights, *labels, *group_weight;
    int8_t *signs;
    uint8_t *mask;
} random_lists;

static random_lists make_lists(const int64_t *sizes, int64_t N, uint64_t seed)
{
    tk_random random = {seed};
    random_lists l = {.N = N};
    l.offsets = calloc((size_t)N + 1, sizeof *l.offsets);
    for (int64_t n = 0; n < N; n++) {
        l.offsets[n + 1] = l.offsets[n] + sizes[n];
    }
    l.R = l.offsets[N];
    const size_t R = (size_t)l.R + 1;
    l.index = calloc(R, sizeof *l.index), l.ranks = calloc(R, sizeof *l.ranks);
    l.targets = calloc((size_t)N + 1, sizeof *l.targets);
    l.scores = calloc(R, sizeof *l.scores), l.weights = calloc(R, sizeof *l.weights);
    l.labels = calloc(R, sizeof *l.labels), l.signs = calloc(R, sizeof *l.signs);
    l.group_weight = calloc((size_t)N + 1, sizeof *l.group_weight);
    l.mask = calloc(R, sizeof *l.mask);
    for (int64_t i = 0; i < l.R; i++) {
        l.scores[i] = (float)(tk_normal(&random) * 1.5);
        if (tk_chance(&random, 0.1)) l.scores[i] = 0.5f; // ties
        l.weights[i] = tk_chance(&random, 0.5) ? 0 : (float)tk_uniform(&random);
        l.labels[i] = (float)tk_below(&random, 5);
        l.ranks[i] = (int32_t)tk_below(&random, 40) - 1;
        l.signs[i] = (int8_t)(tk_below(&random, 3) - 1);
        l.mask[i] = tk_chance(&random, 0.85);
        l.index[i] = (int32_t)i;
    }
    for (int64_t i = l.R - 1; i > 0; i--) {
        const int64_t j = tk_below(&random, i + 1);
        const int32_t other = l.index[i];
        l.index[i] = l.index[j], l.index[j] = other;
    }
    for (int64_t n = 0; n < N; n++) {
        l.targets[n] = sizes[n] == 0 ? -1 : (int32_t)tk_below(&random, sizes[n]);
        l.group_weight[n] = (float)(0.25 + tk_uniform(&random));
    }
    return l;
}

static void free_lists(random_lists *l)
{
    free(l->offsets), free(l->index), free(l->ranks), free(l->targets);
    free(l->scores), free(l->weights), free(l->labels), free(l->signs);
    free(l->group_weight), free(l->mask);
}

static list_case case_of(const random_lists *l, const char *preset)
{
    list_case c = list_one(preset, l->scores, 1);
    c.d.groups.num_groups = l->N;
    c.d.groups.group_size = 0;
    c.d.groups.offsets = l->offsets;
    c.d.num_items = l->R;
    if (!(c.d.tau > 0)) c.d.tau = 0.75f;
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_VALID;
    const int weights = c.d.target == MERIT_LIST_TARGET_WEIGHTS;
    if (c.d.mode == MERIT_LIST_MODE_CROSS_ENTROPY) {
        c.io.weights = weights ? l->weights : NULL;
        c.io.target_index = weights ? NULL : l->targets;
    }
    if (c.d.mode == MERIT_LIST_MODE_PLACKETT_LUCE) c.io.ranks = l->ranks;
    if (c.d.mode == MERIT_LIST_MODE_ALL_PAIRS) c.io.labels = l->labels;
    if (c.d.mode == MERIT_LIST_MODE_ANCHORED) c.io.signs = l->signs;
    return c;
}

static const char *const presets[] = {"yojo",         "op_gfn", "plackett_luce", "instruct_gpt",
                                      "real.product", "real",   "real.bce",      "pacs"};

TK_TEST(preference_list, every_mode_agrees_with_the_oracle_over_ragged_sizes)
{
    const int64_t sizes[] = {3, 0, 1, 2, 31, 32, 33, 64, 100, 255, 256, 257, 5, 4, 2, 300, 7, 1, 8};
    random_lists l = make_lists(sizes, COUNT(sizes), 11);
    for (size_t k = 0; k < sizeof presets / sizeof presets[0]; k++) {
        for (int variant = 0; variant < 4; variant++) {
            tk_case("%s, variant %d", presets[k], variant);
            list_case c = case_of(&l, presets[k]);
            if (variant == 1) c.io.mask = l.mask;
            if (variant == 2) {
                c.d.groups.index = l.index;
                c.io.group_weight = l.group_weight;
                c.d.inner = 1 - c.d.inner;
                c.d.tau = 1.25f;
                c.d.smoothing = 0.125f;
                c.d.top_k = 7;
            }
            if (variant == 3) {
                c.in_place = 1;
                c.io.mask = l.mask;
                c.d.center = MERIT_LIST_CENTER_MEAN;
                c.d.margin = 0.25f;
                c.d.link = MERIT_LINK_HINGE;
                c.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_GROUPS;
            }
            list_check(tk, &c);
        }
    }
    free_lists(&l);
}

TK_TEST(preference_list, groups_of_several_tiles_agree_with_the_oracle)
{
    const int64_t large[] = {1025, 2048, 2049, 5, 4100};
    for (size_t k = 0; k < sizeof presets / sizeof presets[0]; k++) {
        const int pairs = strcmp(presets[k], "instruct_gpt") == 0;
        random_lists l = make_lists(large, pairs ? 3 : COUNT(large), 12 + k);
        tk_case("%s", presets[k]);
        list_case c = case_of(&l, presets[k]);
        c.d.center = k % 2 == 0 ? MERIT_LIST_CENTER_MEAN : c.d.center;
        c.io.mask = l.mask;
        list_check(tk, &c);
        free_lists(&l);
    }
}

TK_TEST(preference_list, a_group_beyond_65536_agrees_with_the_oracle)
{
    const int64_t sizes[] = {4, tk->kind == TK_SIMT ? 20001 : 70001, 3};
    const char *const modes[] = {"yojo", "op_gfn", "real"};
    random_lists l = make_lists(sizes, 3, 5);
    for (int k = 0; k < 3; k++) {
        tk_case("%s", modes[k]);
        list_case c = case_of(&l, modes[k]);
        list_check(tk, &c);
    }
    free_lists(&l);
}

// A stage each: 65536 of them is the limit.
TK_TEST(preference_list, a_long_ranking_agrees_with_the_oracle)
{
    const int64_t sizes[] = {2, tk->kind == TK_SIMT ? 3000 : 65536};
    random_lists l = make_lists(sizes, 2, 6);
    list_case c = case_of(&l, "plackett_luce");
    list_check(tk, &c);
    free_lists(&l);
}

TK_TEST(preference_list, losses_of_many_groups_fold_in_tiles)
{
    const int64_t counts[] = {2047, 2048, 2049, tk->kind == TK_SIMT ? 4100 : 17001};
    for (int k = 0; k < 4; k++) {
        const int64_t N = counts[k];
        int64_t *const sizes = malloc((size_t)N * sizeof *sizes);
        for (int64_t n = 0; n < N; n++) {
            sizes[n] = n % 5;
        }
        random_lists l = make_lists(sizes, N, 77 + (uint64_t)k);
        tk_case("%lld groups", (long long)N);
        list_case c = case_of(&l, k % 2 == 0 ? "yojo" : "instruct_gpt");
        c.io.group_weight = l.group_weight;
        list_check(tk, &c);
        free_lists(&l);
        free(sizes);
    }
}

// MEAN_VALID with gradients: one launch up to 16384 groups, two above, the same bits of each group.
TK_TEST(preference_list, launches_are_as_documented)
{
    const int64_t counts[] = {16384, 16385};
    for (int k = 0; k < 2; k++) {
        const int64_t N = counts[k];
        float *const scores = calloc((size_t)N * 2, sizeof *scores);
        int32_t *const targets = calloc((size_t)N, sizeof *targets);
        list_case c = list_one("yojo", scores, 2);
        c.d.groups.num_groups = N;
        c.d.num_items = 2 * N;
        c.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_VALID;
        c.io.target_index = targets;
        targets[3] = -100;
        tk_launches(tk);
        list_result r = list_run(tk, &c);
        const int launches = tk_launches(tk);
        TK_EXPECT(launches == -1 || launches == 1 + k, "%d launches", launches);
        const double expected = -0.5 / (double)(N - 1);
        tk_expect_close(r.grad, &expected, 1, 0, 1e-7);
        list_free(&r);
        free(scores), free(targets);
    }
}

TK_TEST(preference_list, other_types_and_strides_agree_with_the_oracle)
{
    const int64_t sizes[] = {3, 40, 1, 7, 300};
    static const int32_t dtypes[] = {MERIT_DTYPE_BF16, MERIT_DTYPE_F16, MERIT_DTYPE_F32};
    random_lists l = make_lists(sizes, COUNT(sizes), 21);
    for (int k = 0; k < 6; k++) {
        list_case c = case_of(&l, k < 3 ? "yojo" : "plackett_luce");
        c.d.score_dtype = dtypes[k % 3];
        c.d.score_stride = 1 + k % 3;
        c.d.grad_stride = 3 - k % 3;
        list_check(tk, &c);
    }
    free_lists(&l);
}
