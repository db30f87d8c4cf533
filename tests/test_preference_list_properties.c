// preference_list: properties of losses and gradients, and of parts of a call.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "list_random.h"

// The oracle's gradient is the slope of the oracle's loss.
TK_TEST(preference_list, the_oracle_agrees_with_its_finite_differences)
{
    if (!tk->is_first_run) return;
    float s[] = {0.5f, -0.25f, 1.5f, 0.75f, -1, 0.125f, 2};
    const list_targets t = list_targets_make(3);
    for (int k = 0; k < 2 * LIST_NUM_MODES; k++) {
        list_case c = list_one(list_modes[k % LIST_NUM_MODES], s, 7);
        list_targets_set(&c, &t);
        if (k >= LIST_NUM_MODES) {
            c.d.center = MERIT_LIST_CENTER_LEAVE_ONE_OUT;
            c.d.tau = 0.5f;
            c.d.smoothing = 0.25f;
            c.d.link = MERIT_LINK_EXPONENTIAL;
        }
        c.io.scores = s;
        list_oracle *const o = list_oracle_run(&c.d, &c.io);
        for (int i = 0; i < 7; i++) {
            const float kept = s[i], h = 0x1p-10f;
            double side[2];
            for (int j = 0; j < 2; j++) {
                s[i] = j == 0 ? kept - h : kept + h;
                list_oracle *const p = list_oracle_run(&c.d, &c.io);
                side[j] = p->loss;
                list_oracle_free(p);
            }
            s[i] = kept;
            const double slope = (side[1] - side[0]) / (2 * (double)h);
            tk_case("%s, item %d", list_modes[k % LIST_NUM_MODES], i);
            tk_expect_close(&slope, &o->grad[i], 1, 3e-4, 3e-5);
        }
        list_oracle_free(o);
    }
}

// Scores that are multiples of 2^-10, so that adding 3 is exact.
TK_TEST(preference_list, a_shift_changes_nothing_and_gradients_sum_to_zero)
{
    tk_random random = {9};
    float s[40], shifted[40];
    for (int i = 0; i < 40; i++) {
        s[i] = (float)tk_below(&random, 4096) / 1024;
        shifted[i] = s[i] + 3;
    }
    const list_targets t = list_targets_make(4);
    for (int k = 0; k < LIST_NUM_MODES; k++) {
        list_case c = list_one(list_modes[k], s, 40);
        list_targets_set(&c, &t);
        const int invariant = c.d.mode != MERIT_LIST_MODE_ANCHORED || c.d.center != 0 ||
                              c.d.anchored == MERIT_ANCHORED_PRODUCT;
        list_result a = list_run(tk, &c);
        c.scores = shifted;
        list_result b = list_run(tk, &c);
        double sum = 0, size = 0;
        for (int i = 0; i < 40; i++) {
            sum += a.grad[i];
            size += fabs(a.grad[i]);
        }
        tk_case("%s", list_modes[k]);
        if (invariant) {
            tk_expect_close(&b.loss, &a.loss, 1, 0, 4e-7);
            tk_expect_close(b.grad, a.grad, 40, 4e-7, 4e-7);
            TK_EXPECT(fabs(sum) <= size * 0x1p-20, "sum %g of %g", sum, size);
        } else {
            TK_EXPECT(fabs(b.loss - a.loss) > 0.1, "%g and %g", a.loss, b.loss);
        }
        list_free(&a), list_free(&b);
    }
}

TK_TEST(preference_list, the_top_stage_is_cross_entropy)
{
    const float s[] = {0.5f, -0.25f, 1.5f, 0.75f, -1};
    const int32_t ranks[] = {3, 0, 1, -1, 2}, index = 1;
    list_case a = list_one("plackett_luce", s, 5), b = list_one("yojo", s, 5);
    a.io.ranks = ranks, a.d.top_k = 1;
    b.io.target_index = &index;
    list_result x = list_run(tk, &a), y = list_run(tk, &b);
    tk_expect_close(&x.loss, &y.loss, 1, 1e-7, 0);
    tk_expect_close(x.grad, y.grad, 5, 1e-7, 0);
    list_free(&x), list_free(&y);
}

// Probabilities of all orders of four items.
TK_TEST(preference_list, probabilities_of_all_orders_sum_to_one)
{
    const float s[] = {0.5f, -0.25f, 1.5f, 0.75f};
    double sum = 0;
    for (int code = 0; code < 256; code++) {
        const int32_t ranks[] = {code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6 & 3};
        int seen = 0;
        for (int i = 0; i < 4; i++) {
            seen |= 1 << ranks[i];
        }
        if (seen != 15) continue;
        list_case c = list_one("plackett_luce", s, 4);
        c.io.ranks = ranks;
        list_result r = list_run(tk, &c);
        sum += exp(-r.loss);
        list_free(&r);
    }
    TK_EXPECT(fabs(sum - 1) < 1e-12, "sum %.17g", sum);
}

TK_TEST(preference_list, two_items_are_a_pair_in_both_modes)
{
    tk_random random = {31};
    for (int k = 0; k < 20; k++) {
        const float s[] = {(float)tk_normal(&random) * 3, (float)tk_normal(&random) * 3};
        const float labels[] = {2, 1};
        const int32_t index = 0;
        list_case a = list_one("yojo", s, 2), b = list_one("instruct_gpt", s, 2);
        a.io.target_index = &index;
        b.io.labels = labels;
        list_result x = list_run(tk, &a), y = list_run(tk, &b);
        tk_expect_bits(&x.loss, &y.loss, 1, sizeof x.loss);
        tk_expect_bits(x.grad_raw, y.grad_raw, 2, sizeof(float));
        TK_EXPECT(x.grad[0] == -x.grad[1], "%g and %g", x.grad[0], x.grad[1]);
        list_free(&x), list_free(&y);
    }
}

// Groups in another order, with an empty one between, give each group the same bits.
TK_TEST(preference_list, order_and_neighbors_of_groups_do_not_matter)
{
    tk_random random = {41};
    float s[90], turned[90];
    list_targets t = list_targets_make(5), u = t;
    for (int i = 0; i < 90; i++) {
        s[i] = (float)tk_normal(&random);
    }
    const int64_t first[] = {0, 50, 90, 90}, second[] = {0, 40, 40, 90};
    for (int i = 0; i < 90; i++) {
        const int from = i < 40 ? 50 + i : i - 40;
        turned[i] = s[from];
        u.ranks[i] = t.ranks[from], u.weights[i] = t.weights[from];
        u.labels[i] = t.labels[from], u.signs[i] = t.signs[from];
    }
    u.index[0] = t.index[1], u.index[2] = t.index[0];
    t.index[2] = u.index[1] = -1;
    for (int k = 0; k < LIST_NUM_MODES; k++) {
        list_case a = list_one(list_modes[k], s, 1), b = list_one(list_modes[k], turned, 1);
        list_targets_set(&a, &t), list_targets_set(&b, &u);
        a.d.groups = (merit_groups){.num_groups = 3, .offsets = first};
        b.d.groups = (merit_groups){.num_groups = 3, .offsets = second};
        a.d.num_items = b.d.num_items = 90;
        list_result x = list_run(tk, &a), y = list_run(tk, &b);
        tk_case("%s", list_modes[k]);
        tk_expect_bits(x.grad_raw, (char *)y.grad_raw + 160, 50, 4);
        tk_expect_bits((char *)x.grad_raw + 200, y.grad_raw, 40, 4);
        tk_expect_bits(&x.group_loss[0], &y.group_loss[2], 1, 8);
        tk_expect_bits(&x.lse[1], &y.lse[0], 1, 8);
        list_free(&x), list_free(&y);
    }
}

// Micro-batches with the denominator of the whole batch: the same gradients, losses that add up.
TK_TEST(preference_list, parts_with_a_given_denominator_make_the_whole)
{
    enum { N = 2049 + 60, SIZE = 3, CUT = 2048 };
    static float s[N * SIZE];
    static int32_t index[N];
    tk_random random = {51};
    for (int i = 0; i < N * SIZE; i++) {
        s[i] = (float)tk_normal(&random);
    }
    for (int n = 0; n < N; n++) {
        index[n] = (int32_t)tk_below(&random, 4) - 1;
    }
    const double denominator = 1234.5;
    list_case whole = list_one("yojo", s, SIZE);
    whole.d.reduction = MERIT_PREFERENCE_REDUCTION_GIVEN;
    whole.io.denominator = &denominator;
    whole.io.target_index = index;
    list_case head = whole, tail = whole;
    whole.d.groups.num_groups = N, whole.d.num_items = N * SIZE;
    head.d.groups.num_groups = CUT, head.d.num_items = CUT * SIZE;
    tail.d.groups.num_groups = N - CUT, tail.d.num_items = (N - CUT) * SIZE;
    tail.scores = s + CUT * SIZE, tail.io.target_index = index + CUT;
    list_result a = list_run(tk, &whole), b = list_run(tk, &head), c = list_run(tk, &tail);
    tk_expect_bits(a.grad_raw, b.grad_raw, CUT * SIZE, 4);
    tk_expect_bits((char *)a.grad_raw + 4 * CUT * SIZE, c.grad_raw, (N - CUT) * SIZE, 4);
    tk_expect_bits(&a.tiles[0], &b.tiles[0], 1, 8);
    tk_expect_bits(&a.tiles[1], &c.tiles[0], 1, 8);
    const double sum = b.loss + c.loss;
    tk_expect_close(&sum, &a.loss, 1, 0, 1e-15);
    list_free(&a), list_free(&b), list_free(&c);
}

// A call that asks for one output gets the bits of the call that asks for all.
TK_TEST(preference_list, each_output_is_the_same_alone)
{
    const float s[] = {1, 0, 0.5f, -1, 2, 0.25f};
    const list_targets t = list_targets_make(6);
    for (int k = 0; k < LIST_NUM_MODES; k++) {
        list_case c = list_one(list_modes[k], s, 3);
        list_targets_set(&c, &t);
        c.d.groups.num_groups = 2, c.d.num_items = 6;
        c.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_VALID;
        list_result all = list_run(tk, &c);
        for (int bit = 1; bit < PL_ALL; bit *= 2) {
            c.outputs = bit;
            list_result one = list_run(tk, &c);
            if (bit == PL_LOSS) tk_expect_bits(&one.loss, &all.loss, 1, 8);
            if (bit == PL_GRAD) tk_expect_bits(one.grad_raw, all.grad_raw, 6, 4);
            if (bit == PL_GROUP_LOSS) tk_expect_bits(one.group_loss, all.group_loss, 2, 8);
            if (bit == PL_LSE) tk_expect_bits(one.lse, all.lse, 2, 8);
            if (bit == PL_TILES) tk_expect_bits(one.tiles, all.tiles, 1, 8);
            if (bit == PL_METRICS)
                tk_expect_bits(&one.metrics, &all.metrics, 1, sizeof all.metrics);
            list_free(&one);
        }
        list_free(&all);
    }
}

TK_TEST(preference_list, grad_scale_scales_gradients_alone)
{
    const float s[] = {1, 0, 2}, two = -2;
    const int32_t index = 0;
    list_case c = list_one("yojo", s, 3);
    c.io.target_index = &index;
    list_result a = list_run(tk, &c);
    c.io.grad_scale = &two;
    list_result b = list_run(tk, &c);
    tk_expect_bits(&a.loss, &b.loss, 1, 8);
    for (int i = 0; i < 3; i++) {
        TK_EXPECT(b.grad[i] == -2 * a.grad[i], "%g and %g", a.grad[i], b.grad[i]);
    }
    list_free(&a), list_free(&b);
}
