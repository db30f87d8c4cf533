// preference_list: properties, hostile values, empty and bad groups, rejected calls.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "list_case.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof((array)[0])))

// Sets the target arrays of a mode from these.
typedef struct targets {
    int32_t index[64], ranks[256];
    float weights[256], labels[256];
    int8_t signs[256];
} targets;

static targets make_targets(uint64_t seed)
{
    tk_random random = {seed};
    targets t;
    for (int i = 0; i < 256; i++) {
        t.ranks[i] = (int32_t)tk_below(&random, 9) - 1;
        t.weights[i] = (float)tk_below(&random, 3);
        t.labels[i] = (float)tk_below(&random, 4);
        t.signs[i] = (int8_t)(tk_below(&random, 3) - 1);
    }
    t.ranks[0] = 0, t.weights[0] = 1, t.signs[0] = 1, t.signs[1] = -1;
    t.labels[0] = 5;
    for (int i = 0; i < 64; i++) {
        t.index[i] = i % 2;
    }
    return t;
}

static void set_targets(list_case *c, const targets *t)
{
    const int weights = c->d.target == MERIT_LIST_TARGET_WEIGHTS;
    const int cross_entropy = c->d.mode == MERIT_LIST_MODE_CROSS_ENTROPY;
    c->io.target_index = cross_entropy && !weights ? t->index : NULL;
    c->io.weights = cross_entropy && weights ? t->weights : NULL;
    c->io.ranks = c->d.mode == MERIT_LIST_MODE_PLACKETT_LUCE ? t->ranks : NULL;
    c->io.labels = c->d.mode == MERIT_LIST_MODE_ALL_PAIRS ? t->labels : NULL;
    c->io.signs = c->d.mode == MERIT_LIST_MODE_ANCHORED ? t->signs : NULL;
    if (!(c->d.tau > 0)) c->d.tau = 1;
}

static const char *const presets[] = {"yojo",         "op_gfn", "plackett_luce", "instruct_gpt",
                                      "real.product", "real",   "real.bce",      "pacs"};
enum { NUM_PRESETS = sizeof presets / sizeof presets[0] };

static const uint32_t zeros[3];

// Properties --------------------------------------------------------------------------------------

// The oracle's gradient is the slope of the oracle's loss.
TK_TEST(preference_list, the_oracle_agrees_with_its_finite_differences)
{
    if (!tk->is_first_run) return;
    float s[] = {0.5f, -0.25f, 1.5f, 0.75f, -1, 0.125f, 2};
    const targets t = make_targets(3);
    for (int k = 0; k < 2 * NUM_PRESETS; k++) {
        list_case c = list_one(presets[k % NUM_PRESETS], s, 7);
        set_targets(&c, &t);
        if (k >= NUM_PRESETS) {
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
            tk_case("%s, item %d", presets[k % NUM_PRESETS], i);
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
    const targets t = make_targets(4);
    for (int k = 0; k < NUM_PRESETS; k++) {
        list_case c = list_one(presets[k], s, 40);
        set_targets(&c, &t);
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
        tk_case("%s", presets[k]);
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
    targets t = make_targets(5), u = t;
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
    for (int k = 0; k < NUM_PRESETS; k++) {
        list_case a = list_one(presets[k], s, 1), b = list_one(presets[k], turned, 1);
        set_targets(&a, &t), set_targets(&b, &u);
        a.d.groups = (merit_groups){.num_groups = 3, .offsets = first};
        b.d.groups = (merit_groups){.num_groups = 3, .offsets = second};
        a.d.num_items = b.d.num_items = 90;
        list_result x = list_run(tk, &a), y = list_run(tk, &b);
        tk_case("%s", presets[k]);
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
    const targets t = make_targets(6);
    for (int k = 0; k < NUM_PRESETS; k++) {
        list_case c = list_one(presets[k], s, 3);
        set_targets(&c, &t);
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

// Hostile values ----------------------------------------------------------------------------------

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
    const targets t = make_targets(7);
    for (int k = 0; k < NUM_PRESETS; k++) {
        for (int j = 0; j < 6; j++) {
            const float s[] = {sizes[j],      -sizes[j], 0,         sizes[j] / 2,
                               -sizes[j] / 3, 1,         -sizes[j], sizes[j]};
            for (int center = 0; center < 3; center++) {
                list_case c = list_one(presets[k], s, 8);
                set_targets(&c, &t);
                c.d.center = center;
                list_result r = list_run(tk, &c);
                tk_case("%s, %g", presets[k], (double)sizes[j]);
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
    targets t = make_targets(8), u = t;
    t.weights[1] = NAN, t.labels[1] = NAN, t.ranks[1] = -7, t.signs[1] = 9;
    u.weights[1] = 0, u.labels[1] = 0, u.ranks[1] = 0, u.signs[1] = 0;
    t.index[0] = u.index[0] = 4;
    for (int k = 0; k < NUM_PRESETS; k++) {
        list_case a = list_one(presets[k], s, 6), b = list_one(presets[k], plain, 6);
        set_targets(&a, &t), set_targets(&b, &u);
        a.io.mask = b.io.mask = mask;
        list_result x = list_run(tk, &a), y = list_run(tk, &b);
        tk_case("%s", presets[k]);
        tk_expect_bits(&x.loss, &y.loss, 1, 8);
        tk_expect_bits(x.grad_raw, y.grad_raw, 6, 4);
        tk_expect_bits(&x.diagnostics, &y.diagnostics, 1, sizeof x.diagnostics);
        const uint32_t zero = 0;
        tk_expect_bits((char *)x.grad_raw + 4, &zero, 1, 4);
        list_free(&x), list_free(&y);
    }
}

// Bad input ---------------------------------------------------------------------------------------

// Six groups of three: fine, then one bad thing each, then fine. The oracle has the counters.
TK_TEST(preference_list, a_bad_group_is_nan_alone_and_counted)
{
    for (int what = 0; what < 9; what++) {
        for (int skip = 0; skip < 2; skip++) {
            for (int k = 0; k < NUM_PRESETS; k++) {
                float s[] = {1, 0, 0.5f, -1, 2, 0.25f, 1, 1.5f, 0};
                float weight[] = {1, 2, 0.5f};
                targets t = make_targets(9);
                for (int i = 0; i < 9; i += 3) {
                    t.signs[i] = 1, t.signs[i + 1] = -1;
                    t.ranks[i] = 0, t.ranks[i + 1] = 1;
                    t.weights[i] = 1, t.labels[i] = 7;
                }
                list_case c = list_one(presets[k], s, 3);
                set_targets(&c, &t);
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
                tk_case("%s, case %d, skip %d", presets[k], what, skip);
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

// Rejected calls ----------------------------------------------------------------------------------

typedef void spoil(list_case *c);

static void bad_dtype(list_case *c)
{
    c->d.score_dtype = MERIT_DTYPE_F64;
}
static void bad_mode(list_case *c)
{
    c->d.mode = 4;
}
static void bad_target(list_case *c)
{
    c->d.target = -1;
}
static void bad_tau(list_case *c)
{
    c->d.tau = 0;
}
static void nan_tau(list_case *c)
{
    c->d.tau = NAN;
}
static void bad_center(list_case *c)
{
    c->d.center = 3;
}
static void bad_smoothing(list_case *c)
{
    c->d.smoothing = 1;
}
static void bad_top_k(list_case *c)
{
    c->d.top_k = -1;
}
static void bad_link(list_case *c)
{
    c->d.link = MERIT_LINK_SQUARED;
}
static void bad_margin(list_case *c)
{
    c->d.margin = INFINITY;
}
static void bad_anchored(list_case *c)
{
    c->d.anchored = 3;
}
static void bad_inner(list_case *c)
{
    c->d.inner = 2;
}
static void bad_both(list_case *c)
{
    c->d.require_both = 2;
}
static void bad_reduction(list_case *c)
{
    c->d.reduction = 5;
}
static void by_weight(list_case *c)
{
    c->d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT;
}
static void bad_skip(list_case *c)
{
    c->d.skip_invalid = -1;
}
static void bad_items(list_case *c)
{
    c->d.num_items = -1;
}
static void few_items(list_case *c)
{
    c->d.num_items = 2;
}
static void bad_stride(list_case *c)
{
    c->d.score_stride = 0;
}
static void bad_grad_stride(list_case *c)
{
    c->d.grad_stride = 0;
}
static void bad_groups(list_case *c)
{
    c->d.groups.num_groups = -1;
}
static void no_scores(list_case *c)
{
    c->scores = NULL;
}
static void no_index(list_case *c)
{
    c->io.target_index = NULL;
}
static void given(list_case *c)
{
    c->d.reduction = MERIT_PREFERENCE_REDUCTION_GIVEN;
}
static const double one = 1;
static void not_given(list_case *c)
{
    c->io.denominator = &one;
}
static const float three[3] = {1, 1, 1};
static const int32_t ranks[3] = {0, 1, 2};
static const int8_t signs[3] = {1, 1, 1};
static void extra_weights(list_case *c)
{
    c->io.weights = three;
}
static void extra_labels(list_case *c)
{
    c->io.labels = three;
}
static void extra_ranks(list_case *c)
{
    c->io.ranks = ranks;
}
static void extra_signs(list_case *c)
{
    c->io.signs = signs;
}
static void no_weights(list_case *c)
{
    c->d.target = MERIT_LIST_TARGET_WEIGHTS, no_index(c);
}
static void no_ranks(list_case *c)
{
    c->d.mode = MERIT_LIST_MODE_PLACKETT_LUCE, no_index(c);
}
static void no_labels(list_case *c)
{
    c->d.mode = MERIT_LIST_MODE_ALL_PAIRS, no_index(c);
}
static void no_signs(list_case *c)
{
    c->d.mode = MERIT_LIST_MODE_ANCHORED, no_index(c);
}

static const struct rejected {
    spoil *spoil;
    const char *words;
} rejections[] = {
    {bad_dtype, "score_dtype is 1"},
    {bad_mode, "mode is 4|0..3"},
    {bad_target, "target is -1|0..1"},
    {bad_tau, "tau is 0"},
    {nan_tau, "tau is nan"},
    {bad_center, "center is 3"},
    {bad_smoothing, "smoothing is 1"},
    {bad_top_k, "top_k is -1"},
    {bad_link, "link is 2"},
    {bad_margin, "margin is inf"},
    {bad_anchored, "anchored is 3"},
    {bad_inner, "inner is 2"},
    {bad_both, "require_both is 2"},
    {bad_reduction, "reduction is 5"},
    {by_weight, "reduction is MEAN_WEIGHT"},
    {bad_skip, "skip_invalid is -1"},
    {bad_items, "num_items is -1"},
    {few_items, "groups|3|2 rows"},
    {bad_stride, "score_stride is 0"},
    {bad_grad_stride, "grad_stride is 0"},
    {bad_groups, "groups.num_groups is -1"},
    {no_scores, "scores is NULL"},
    {no_index, "target_index is NULL|INDEX"},
    {given, "denominator is NULL|GIVEN"},
    {not_given, "denominator is given|GIVEN"},
    {extra_weights, "weights is given|WEIGHTS"},
    {extra_labels, "labels is given|ALL_PAIRS"},
    {extra_ranks, "ranks is given|PLACKETT_LUCE"},
    {extra_signs, "signs is given|ANCHORED"},
    {no_weights, "weights is NULL|WEIGHTS"},
    {no_ranks, "ranks is NULL|PLACKETT_LUCE"},
    {no_labels, "labels is NULL|ALL_PAIRS"},
    {no_signs, "signs is NULL|ANCHORED"},
};

static list_case plain_case(void)
{
    static const float s[] = {1, 0, 2};
    static const int32_t index = 0;
    list_case c = list_one("yojo", s, 3);
    c.io.target_index = &index;
    return c;
}

TK_TEST(preference_list, rejected_calls_say_why_and_write_nothing)
{
    for (size_t k = 0; k < sizeof rejections / sizeof rejections[0]; k++) {
        list_case c = plain_case();
        rejections[k].spoil(&c);
        // as if the caller had three rows all the same
        const int64_t items = c.d.num_items;
        merit_preference_list_desc d = c.d;
        merit_preference_list_io io = c.io;
        io.scores = tk_input(tk, c.scores, 3, 4);
        io.grad_scores = tk_output(tk, 3, 4);
        io.loss = tk_output(tk, 1, 8);
        io.group_loss = tk_output(tk, 1, 4);
        io.metrics = tk_output(tk, 1, sizeof *io.metrics);
        io.target_index = tk_input(tk, io.target_index, 1, 4);
        d.num_items = items;
        void *const workspace = tk_workspace(tk, 1 << 16);
        const merit_status status =
            merit_preference_list(tk->ctx, &d, &io, workspace, 1 << 16, NULL);
        tk_case("rejection %zu", k);
        tk_expect_rejected(tk->ctx, status, MERIT_STATUS_INVALID_ARGUMENT, rejections[k].words);
        unsigned char bytes[sizeof(merit_preference_list_metrics)];
        tk_read(tk, io.grad_scores, bytes, 3, 4);
        TK_EXPECT(tk_untouched(bytes, 3, 4), "the gradient was written");
        tk_read(tk, io.loss, bytes, 1, 8);
        TK_EXPECT(tk_untouched(bytes, 1, 8), "the loss was written");
        tk_read(tk, io.metrics, bytes, 1, sizeof bytes);
        TK_EXPECT(tk_untouched(bytes, 1, sizeof bytes), "the metrics were written");
        tk_release(tk);
    }
}

TK_TEST(preference_list, limits_and_small_workspaces_are_rejected)
{
    list_case c = plain_case();
    c.d.groups.group_size = c.d.num_items = 65537;
    c.d.mode = MERIT_LIST_MODE_PLACKETT_LUCE;
    size_t bytes = 0;
    tk_expect_rejected(tk->ctx, merit_preference_list_workspace(tk->ctx, &c.d, &bytes),
                       MERIT_STATUS_UNSUPPORTED, "group_size is 65537|65536|PLACKETT_LUCE");
    c.d.mode = MERIT_LIST_MODE_ALL_PAIRS;
    c.d.groups.group_size = c.d.num_items = 8193;
    tk_expect_rejected(tk->ctx, merit_preference_list_workspace(tk->ctx, &c.d, &bytes),
                       MERIT_STATUS_UNSUPPORTED, "group_size is 8193|8192|ALL_PAIRS");
    c = plain_case();
    tk_expect_ok(tk->ctx, merit_preference_list_workspace(tk->ctx, &c.d, &bytes));
    merit_preference_list_io io = c.io;
    io.scores = tk_input(tk, c.scores, 3, 4);
    io.target_index = tk_input(tk, io.target_index, 1, 4);
    io.grad_scores = tk_output(tk, 3, 4);
    void *const workspace = tk_workspace(tk, bytes);
    tk_expect_rejected(tk->ctx,
                       merit_preference_list(tk->ctx, &c.d, &io, workspace, bytes - 1, NULL),
                       MERIT_STATUS_WORKSPACE_TOO_SMALL, "workspace has");
    io.loss = (double *)io.grad_scores;
    tk_expect_rejected(tk->ctx, merit_preference_list(tk->ctx, &c.d, &io, workspace, bytes, NULL),
                       MERIT_STATUS_INVALID_ARGUMENT, "overlaps|loss|grad_scores");
    tk_expect_rejected(tk->ctx, merit_preference_list_workspace(tk->ctx, &c.d, NULL),
                       MERIT_STATUS_INVALID_ARGUMENT, "bytes is NULL");
}

Test(preference_list, presets_leave_sizes_alone)
{
    merit_preference_list_desc d;
    cr_assert(merit_preference_list_desc_init(&d, sizeof d) == MERIT_STATUS_OK);
    int count = 0;
    while (merit_preference_list_preset_name(count) != NULL) {
        d.num_items = 17, d.score_stride = 3, d.score_dtype = MERIT_DTYPE_F16;
        cr_assert(merit_preference_list_preset(merit_preference_list_preset_name(count), &d) ==
                  MERIT_STATUS_OK);
        cr_assert(d.num_items == 17 && d.score_stride == 3 && d.score_dtype == MERIT_DTYPE_F16);
        count++;
    }
    cr_assert(count == 10, "%d presets", count);
    cr_assert(merit_preference_list_preset("nothing", &d) == MERIT_STATUS_NOT_FOUND);
    cr_assert(merit_preference_list_preset(NULL, &d) == MERIT_STATUS_INVALID_ARGUMENT);
    cr_assert(merit_preference_list_preset("yojo", NULL) == MERIT_STATUS_INVALID_ARGUMENT);
    cr_assert(merit_preference_list_preset("pacs", &d) == MERIT_STATUS_OK && isnan(d.tau));
    cr_assert(merit_preference_list_preset("real", &d) == MERIT_STATUS_OK && d.tau == 0.5f);
    cr_assert(d.require_both == 1 && d.reduction == MERIT_PREFERENCE_REDUCTION_MEAN_GROUPS);
}
