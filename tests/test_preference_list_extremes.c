// preference_list: values at the ends of their ranges.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "list_random.h"

static void expect_no_nan(const list_result *r, int64_t R)
{
    TK_EXPECT(!isnan(r->loss), "the loss is NaN");
    for (int64_t i = 0; i < R; i++) {
        TK_EXPECT(!isnan(r->grad[i]), "gradient %lld is NaN", (long long)i);
    }
}

TK_TEST(preference_list, finite_scores_never_give_nan)
{
    static const float sizes[] = {88.7f, 1e4f, 1e30f, FLT_MAX, FLT_MIN, 0x1p-149f};
    const list_targets t = list_targets_make(7);
    for (int k = 0; k < LIST_NUM_MODES; k++) {
        for (int j = 0; j < 6; j++) {
            const float s[] = {sizes[j],      -sizes[j], 0,         sizes[j] / 2,
                               -sizes[j] / 3, 1,         -sizes[j], sizes[j]};
            for (int center = 0; center < 3; center++) {
                list_case c = list_one(list_modes[k], s, 8);
                list_targets_set(&c, &t);
                c.d.center = center;
                list_result r = list_run(tk, &c);
                tk_case("%s, %g", list_modes[k], (double)sizes[j]);
                expect_no_nan(&r, 8);
                list_free(&r);
                c.d.tau = FLT_MIN;
                list_result q = list_run(tk, &c);
                expect_no_nan(&q, 8);
                list_free(&q);
            }
        }
    }
}

// ALL_PAIRS adds slopes of either sign for one item: none may be infinite before it is written.
TK_TEST(preference_list, finite_scores_never_give_nan_in_pairs_under_any_link)
{
    static const float sizes[] = {44.4f, 88.7f, 300, 1e4f, FLT_MAX};
    static const float margins[] = {0, 1e4f, -1e4f, FLT_MAX, -FLT_MAX};
    static const float labels[] = {3, 1, 2, 0, 5, 4, 2, 1};
    static const int32_t links[] = {MERIT_LINK_LOGISTIC, MERIT_LINK_HINGE, MERIT_LINK_EXPONENTIAL};
    for (int k = 0; k < 3 * 5 * 5; k++) {
        const float size = sizes[k / 3 % 5];
        const float s[] = {size, -size, 0, size / 2, -size / 3, 1, -size, size};
        list_case c = list_one("instruct_gpt", s, 8);
        c.io.labels = labels;
        c.d.link = links[k % 3];
        c.d.margin = margins[k / 15];
        for (int options = 0; options < 12; options++) {
            c.d.center = options % 3;
            c.d.inner = options / 3 % 2;
            c.d.tau = options < 6 ? 1 : 0x1p-100f;
            list_result r = list_run(tk, &c);
            tk_case("link %d, scores %g, margin %g, options %d", (int)c.d.link, (double)size,
                    (double)c.d.margin, options);
            expect_no_nan(&r, 8);
            TK_EXPECT(!isnan(r.metrics.sum_loss) && !isnan(r.group_loss[0]), "losses");
            list_free(&r);
        }
    }
}

// Item 1 should beat 2 and lose to 0, and does neither: the larger exponential is its slope.
TK_TEST(preference_list, the_larger_of_two_infinite_slopes_decides)
{
    static const float s[] = {-300, 0, 200}, labels[] = {2, 1, 0};
    static const float grad_scale = 0;
    list_case c = list_one("instruct_gpt", s, 3);
    c.io.labels = labels;
    c.d.link = MERIT_LINK_EXPONENTIAL;
    list_result r = list_run(tk, &c);
    const double slopes[] = {-INFINITY, INFINITY, INFINITY};
    tk_expect_close(r.grad, slopes, 3, 0, 0);
    TK_EXPECT(isinf(r.loss) && isinf(r.group_loss[0]), "loss %g", r.loss);
    TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_NONFINITE] == 1, "counted %llu",
              (unsigned long long)r.diagnostics.count[MERIT_COUNTER_NONFINITE]);
    list_free(&r);
    c.io.grad_scale = &grad_scale;
    r = list_run(tk, &c);
    tk_expect_close(r.grad, (double[3]){0}, 3, 0, 0);
    list_free(&r);
}

// Signed sets: the gradient of the positives together is less than 1 / tau.
TK_TEST(preference_list, the_pull_of_the_positives_is_bounded)
{
    static const float sizes[] = {0.5f, 88.7f, 1e4f, FLT_MAX};
    const list_targets t = list_targets_make(11);
    for (int j = 0; j < 4; j++) {
        float s[40];
        for (int i = 0; i < 40; i++) {
            s[i] = sizes[j] * ((float)(i % 7 - 3) / 3);
        }
        list_case c = list_one("real", s, 40);
        list_targets_set(&c, &t);
        list_result r = list_run(tk, &c);
        double pull = 0;
        for (int i = 0; i < 40; i++) {
            pull += t.signs[i] > 0 ? -r.grad[i] : 0;
        }
        tk_case("%g", (double)sizes[j]);
        TK_EXPECT(pull >= 0 && pull <= (1 + 1e-6) / (double)c.d.tau, "%g", pull);
        list_free(&r);
    }
}

// All ranks equal, all items unranked, no finite score; sizes around those of warps and their blocks.
TK_TEST(preference_list, odd_lists_of_odd_sizes_agree_with_the_oracle)
{
    static const int64_t sizes[] = {1, 31, 32, 33, 1024, 1025};
    for (int j = 0; j < 6 * 4; j++) {
        list_random l = list_random_make(&sizes[j % 6], 1, 71);
        for (int64_t i = 0; i < l.R; i++) {
            if (j / 6 == 0) l.ranks[i] = 3;
            if (j / 6 == 1) l.ranks[i] = -1;
            if (j / 6 == 2) l.scores[i] = -INFINITY;
            if (j / 6 == 3) l.scores[i] = i % 2 == 0 ? 1e4f : -1e4f;
        }
        for (int k = 0; k < LIST_NUM_MODES; k += j / 6 < 2 ? 2 : 1) {
            const list_case c = list_random_case(&l, list_modes[k]);
            tk_case("size %lld, kind %d, %s", (long long)sizes[j % 6], j / 6, list_modes[k]);
            if (tk->kind != TK_SIMT || sizes[j % 6] < 1000 || k % 3 == 0) list_check(tk, &c);
        }
        list_random_free(&l);
    }
}

TK_TEST(preference_list, a_scale_of_zero_over_zero_is_zero)
{
    static const float s[] = {1, 2, -3, 0}, zero;
    static const double nothing = 0;
    const list_targets t = list_targets_make(7);
    for (int k = 0; k < LIST_NUM_MODES; k++) {
        list_case c = list_one(list_modes[k], s, 4);
        list_targets_set(&c, &t);
        c.d.reduction = MERIT_PREFERENCE_REDUCTION_GIVEN;
        c.io.denominator = &nothing;
        c.io.grad_scale = &zero;
        list_result r = list_run(tk, &c);
        tk_case("%s", list_modes[k]);
        TK_EXPECT(isinf(r.loss), "loss %g", r.loss);
        tk_expect_close(r.grad, (double[4]){0}, 4, 0, 0);
        list_free(&r);
    }
}

// Gaps of 1e4 in rank order: each stage is decided, forwards and backwards.
TK_TEST(preference_list, wide_gaps_stay_exact_in_rank_order)
{
    enum { N = 70 };
    float s[N];
    int32_t ranks[N];
    for (int i = 0; i < N; i++) {
        s[i] = -1e4f * (float)i;
        ranks[i] = i;
    }
    list_case c = list_one("plackett_luce", s, N);
    c.io.ranks = ranks;
    list_expect(tk, &c, 0, (double[N]){0});
    double grad[N];
    double loss = 0;
    for (int i = 0; i < N; i++) {
        ranks[i] = N - 1 - i;
        loss += i < N - 1 ? 1e4 * (N - 1 - i) : 0;
        grad[i] = i == 0 ? N - 1 : -1;
    }
    list_expect(tk, &c, loss, grad);
}

TK_TEST(preference_list, minus_infinity_is_a_member_of_probability_zero)
{
    const float s[] = {1, -INFINITY, 2}, without[] = {1, 2};
    const int32_t index = 0, ranks[] = {0, -1, 1}, fewer[] = {0, 1};
    list_case a = list_one("yojo", s, 3), b = list_one("yojo", without, 2);
    a.io.target_index = b.io.target_index = &index;
    for (int k = 0; k < 2; k++) {
        list_result x = list_run(tk, &a), y = list_run(tk, &b);
        const double grad[] = {x.grad[0], x.grad[2]};
        tk_expect_close(&x.loss, &y.loss, 1, 1e-7, 0);
        tk_expect_close(grad, y.grad, 2, 1e-7, 0);
        TK_EXPECT(x.grad[1] == 0, "%g", x.grad[1]);
        TK_EXPECT(x.diagnostics.count[MERIT_COUNTER_NONFINITE] == 0, "counted");
        list_free(&x), list_free(&y);
        a = list_one("listmle", s, 3), b = list_one("listmle", without, 2);
        a.io.ranks = ranks, b.io.ranks = fewer;
    }
}

TK_TEST(preference_list, masked_items_may_hold_anything)
{
    const float s[] = {1, NAN, 0.5f, INFINITY, 2, 0}, plain[] = {1, 0, 0.5f, 0, 2, 0};
    const uint8_t mask[] = {1, 0, 255, 0, 1, 1};
    list_targets t = list_targets_make(8), u = t;
    t.weights[1] = NAN, t.labels[1] = NAN, t.ranks[1] = -7, t.signs[1] = 9;
    u.weights[1] = 0, u.labels[1] = 0, u.ranks[1] = 0, u.signs[1] = 0;
    t.index[0] = u.index[0] = 4;
    for (int k = 0; k < LIST_NUM_MODES; k++) {
        list_case a = list_one(list_modes[k], s, 6), b = list_one(list_modes[k], plain, 6);
        list_targets_set(&a, &t), list_targets_set(&b, &u);
        a.io.mask = b.io.mask = mask;
        list_result x = list_run(tk, &a), y = list_run(tk, &b);
        tk_case("%s", list_modes[k]);
        tk_expect_bits(&x.loss, &y.loss, 1, 8);
        tk_expect_bits(x.grad_raw, y.grad_raw, 6, 4);
        tk_expect_bits(&x.diagnostics, &y.diagnostics, 1, sizeof x.diagnostics);
        const uint32_t zero = 0;
        tk_expect_bits((char *)x.grad_raw + 4, &zero, 1, 4);
        list_free(&x), list_free(&y);
    }
}
