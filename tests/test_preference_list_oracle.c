// preference_list against the oracle, over many shapes and options.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "list_random.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof((array)[0])))

TK_TEST(preference_list, every_mode_agrees_with_the_oracle_over_ragged_sizes)
{
    const int64_t sizes[] = {3, 0, 1, 2, 31, 32, 33, 64, 100, 255, 256, 257, 5, 4, 2, 300, 7, 1, 8};
    list_random l = list_random_make(sizes, COUNT(sizes), 11);
    for (size_t k = 0; k < LIST_NUM_MODES; k++) {
        for (int variant = 0; variant < 4; variant++) {
            tk_case("%s, variant %d", list_modes[k], variant);
            list_case c = list_random_case(&l, list_modes[k]);
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
    list_random_free(&l);
}

TK_TEST(preference_list, groups_of_several_tiles_agree_with_the_oracle)
{
    const int64_t large[] = {1025, 2048, 2049, 5, 4100};
    for (size_t k = 0; k < LIST_NUM_MODES; k++) {
        const int pairs = strcmp(list_modes[k], "instruct_gpt") == 0;
        list_random l = list_random_make(large, pairs ? 3 : COUNT(large), 12 + k);
        tk_case("%s", list_modes[k]);
        list_case c = list_random_case(&l, list_modes[k]);
        c.d.center = k % 2 == 0 ? MERIT_LIST_CENTER_MEAN : c.d.center;
        c.io.mask = l.mask;
        list_check(tk, &c);
        list_random_free(&l);
    }
}

TK_TEST(preference_list, a_group_beyond_65536_agrees_with_the_oracle)
{
    const int64_t sizes[] = {4, tk->kind == TK_SIMT ? 20001 : 70001, 3};
    const char *const modes[] = {"yojo", "op_gfn", "real"};
    list_random l = list_random_make(sizes, 3, 5);
    for (int k = 0; k < 3; k++) {
        tk_case("%s", modes[k]);
        list_case c = list_random_case(&l, modes[k]);
        list_check(tk, &c);
    }
    list_random_free(&l);
}

// A stage each: 65536 of them is the limit.
TK_TEST(preference_list, a_long_ranking_agrees_with_the_oracle)
{
    const int64_t sizes[] = {2, tk->kind == TK_SIMT ? 3000 : 65536};
    list_random l = list_random_make(sizes, 2, 6);
    list_case c = list_random_case(&l, "plackett_luce");
    list_check(tk, &c);
    list_random_free(&l);
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
        list_random l = list_random_make(sizes, N, 77 + (uint64_t)k);
        tk_case("%lld groups", (long long)N);
        list_case c = list_random_case(&l, k % 2 == 0 ? "yojo" : "instruct_gpt");
        c.io.group_weight = l.group_weight;
        list_check(tk, &c);
        list_random_free(&l);
        free(sizes);
    }
}

// MEAN_VALID with gradients: each block counts up to 16384 groups, all together more, in the same launch.
TK_TEST(preference_list, many_groups_are_counted_in_the_one_launch)
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
        TK_EXPECT(launches == -1 || launches == 1, "%d launches", launches);
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
    list_random l = list_random_make(sizes, COUNT(sizes), 21);
    for (int k = 0; k < 6; k++) {
        list_case c = list_random_case(&l, k < 3 ? "yojo" : "plackett_luce");
        c.d.score_dtype = dtypes[k % 3];
        c.d.score_stride = 1 + k % 3;
        c.d.grad_stride = 3 - k % 3;
        list_check(tk, &c);
    }
    list_random_free(&l);
}
