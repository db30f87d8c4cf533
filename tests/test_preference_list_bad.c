// preference_list: empty and bad groups.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "list_random.h"

static const uint32_t zeros[3];

// Six groups of three: fine, then one bad thing each, then fine. The oracle has the counters.
TK_TEST(preference_list, a_bad_group_is_nan_alone_and_counted)
{
    for (int what = 0; what < 9; what++) {
        for (int skip = 0; skip < 2; skip++) {
            for (int k = 0; k < LIST_NUM_MODES; k++) {
                float s[] = {1, 0, 0.5f, -1, 2, 0.25f, 1, 1.5f, 0};
                float weight[] = {1, 2, 0.5f};
                list_targets t = list_targets_make(9);
                for (int i = 0; i < 9; i += 3) {
                    t.signs[i] = 1, t.signs[i + 1] = -1;
                    t.ranks[i] = 0, t.ranks[i + 1] = 1;
                    t.weights[i] = 1, t.labels[i] = 7;
                }
                list_case c = list_one(list_modes[k], s, 3);
                list_targets_set(&c, &t);
                c.d.groups.num_groups = 3, c.d.num_items = 9;
                c.d.skip_invalid = skip;
                c.io.group_weight = weight;
                int64_t offsets[] = {0, 3, 6, 9};
                int32_t index[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
                switch (what) {
                case 0: s[4] = NAN; break;
                case 1: s[4] = INFINITY; break;
                case 2: s[3] = s[4] = s[5] = -INFINITY; break;
                case 3: t.index[1] = 3, t.weights[4] = -1, t.ranks[4] = -2, t.signs[4] = 2; break;
                case 4: t.weights[4] = NAN, t.labels[4] = NAN; break;
                case 5: weight[1] = -1; break;
                case 6: weight[1] = NAN; break;
                case 7:
                    c.d.groups = (merit_groups){.num_groups = 3, .offsets = offsets};
                    offsets[2] = 12;
                    break;
                default:
                    c.d.groups =
                        (merit_groups){.num_groups = 3, .offsets = offsets, .index = index};
                    index[5] = 9;
                    break;
                }
                tk_case("%s, case %d, skip %d", list_modes[k], what, skip);
                list_check(tk, &c);
            }
        }
    }
}

TK_TEST(preference_list, groups_without_content_are_not_valid)
{
    const float s[] = {1, 0, 0.5f, -1, 2, 0.25f};
    const float zero[6] = {0}, equal[] = {4, 4, 4, 4, 4, 4};
    const int32_t none[] = {-100, 1}, unranked[] = {-1, -1, -1, 0, 1, 2};
    const int8_t unsigned_[] = {0, 0, 0, 1, -1, 0}, one_sided[] = {1, 1, 0, 1, -1, 0};
    const float half[] = {0, 0, 0, 1, 0, 0};
    const char *const names[] = {"yojo", "op_gfn", "listmle", "instruct_gpt", "real", "real.bce"};
    for (int k = 0; k < 6; k++) {
        list_case c = list_one(names[k], s, 3);
        c.d.groups.num_groups = 2, c.d.num_items = 6;
        c.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_VALID;
        if (k == 0) c.io.target_index = none;
        if (k == 1) c.io.weights = half;
        if (k == 2) c.io.ranks = unranked;
        if (k == 3) c.io.labels = equal;
        if (k == 4) c.io.signs = one_sided;
        if (k == 5) c.io.signs = unsigned_;
        tk_case("%s", names[k]);
        list_result r = list_run(tk, &c);
        const int64_t valid = k == 3 ? 0 : 1;
        TK_EXPECT(r.metrics.groups == valid, "%lld groups", (long long)r.metrics.groups);
        TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_EMPTY_GROUP] == (uint64_t)(2 - valid), "empty");
        tk_expect_bits(r.grad_raw, zero, k == 3 ? 6 : 3, 4);
        TK_EXPECT(r.group_loss[0] == 0 && r.lse[0] == 0, "%g", r.group_loss[0]);
        TK_EXPECT(valid == 0 ? r.loss == 0 : r.loss > 0, "loss %g", r.loss);
        list_free(&r);
        list_check(tk, &c);
    }
}

TK_TEST(preference_list, weight_zero_is_absent_and_valid)
{
    const float s[] = {NAN, INFINITY, 3, 1, 0, 2}, weight[] = {0, 3};
    const int32_t index[] = {99, 1};
    list_case c = list_one("yojo", s, 3);
    c.d.groups.num_groups = 2, c.d.num_items = 6;
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_VALID;
    c.io.target_index = index;
    c.io.group_weight = weight;
    list_check(tk, &c);
    list_result r = list_run(tk, &c);
    TK_EXPECT(r.metrics.groups == 2 && r.metrics.sum_weight == 3, "%lld",
              (long long)r.metrics.groups);
    tk_expect_bits(r.grad_raw, zeros, 3, 4);
    list_free(&r);
}

TK_TEST(preference_list, rows_in_no_group_get_zero)
{
    const float s[] = {9, 1, 0, 9, 2, 1, 9, 9};
    const int64_t offsets[] = {1, 3, 3, 6};
    const int32_t index[] = {0, -1, 1};
    const uint32_t zero = 0;
    list_case c = list_one("yojo", s, 2);
    c.d.num_items = 8;
    c.d.groups = (merit_groups){.num_groups = 3, .offsets = offsets};
    c.io.target_index = index;
    list_result r = list_run(tk, &c);
    tk_expect_bits(r.grad_raw, &zero, 1, 4);
    tk_expect_bits((char *)r.grad_raw + 24, zeros, 2, 4);
    list_free(&r);
    c.d.groups = (merit_groups){.num_groups = 2, .group_size = 2, .group_stride = 3};
    r = list_run(tk, &c);
    tk_expect_bits((char *)r.grad_raw + 8, &zero, 1, 4);
    tk_expect_bits((char *)r.grad_raw + 20, zeros, 3, 4);
    list_free(&r);
}

TK_TEST(preference_list, groups_above_max_size_are_nan)
{
    const float s[] = {1, 2, 3, 4, 5};
    const int64_t offsets[] = {0, 2, 5};
    const int32_t index[] = {0, 0};
    list_case c = list_one("yojo", s, 2);
    c.d.num_items = 5;
    c.d.groups = (merit_groups){.num_groups = 2, .offsets = offsets, .max_size = 2};
    c.io.target_index = index;
    list_check(tk, &c);
}

TK_TEST(preference_list, groups_above_the_limit_of_the_mode_are_nan)
{
    const int64_t R = 8193;
    float *const s = calloc((size_t)R, sizeof *s), *const labels = calloc((size_t)R, sizeof *s);
    const int64_t offsets[] = {0, R};
    labels[0] = 1;
    list_case c = list_one("instruct_gpt", s, 2);
    c.d.num_items = R;
    c.d.groups = (merit_groups){.num_groups = 1, .offsets = offsets};
    c.io.labels = labels;
    list_result r = list_run(tk, &c);
    TK_EXPECT(isnan(r.loss) && isnan(r.grad[0]) && isnan(r.grad[R - 1]), "%g", r.loss);
    TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_GROUP_TOO_LARGE] == 1, "counted");
    list_free(&r);
    free(s), free(labels);
}

TK_TEST(preference_list, a_zero_denominator_is_ieee_and_counted)
{
    const float s[] = {1, 0, 2, 2}, weight[] = {1, 0};
    const int32_t index[] = {0, 0};
    const double zero = 0;
    list_case c = list_one("yojo", s, 2);
    c.d.groups.num_groups = 2, c.d.num_items = 4;
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_GIVEN;
    c.io.denominator = &zero;
    c.io.target_index = index;
    c.io.group_weight = weight;
    list_result r = list_run(tk, &c);
    TK_EXPECT(r.loss == INFINITY && r.grad[0] == -INFINITY && r.grad[2] == 0, "%g", r.loss);
    TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_ZERO_DENOMINATOR] == 1, "counted");
    list_free(&r);
    c.outputs = PL_GRAD | PL_DIAGNOSTICS;
    r = list_run(tk, &c);
    TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_ZERO_DENOMINATOR] == 1, "counted");
    list_free(&r);
}

TK_TEST(preference_list, nothing_at_all_is_fine)
{
    list_case c = list_one("yojo", NULL, 0);
    c.d.groups.num_groups = 0, c.d.num_items = 0;
    list_result r = list_run(tk, &c);
    TK_EXPECT(r.loss == 0 && r.metrics.groups == 0 && r.metrics.sum_loss == 0, "%g", r.loss);
    list_free(&r);
    c.d.groups.num_groups = 3;
    r = list_run(tk, &c);
    TK_EXPECT(r.loss == 0 && r.group_loss[2] == 0 && r.lse[0] == 0, "%g", r.loss);
    list_free(&r);
    const float s[] = {1, 2, 3};
    list_case rows = list_one("yojo", s, 3);
    rows.d.groups.num_groups = 0;
    r = list_run(tk, &rows);
    tk_expect_bits(r.grad_raw, zeros, 3, 4);
    list_free(&r);
}
