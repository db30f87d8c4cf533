// policy_logprob_forward: degenerate rows and properties.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "logprob_case.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof(array)[0]))

// Degenerate rows ---------------------------------------------------------------------------------

TK_TEST(policy_logprob_rules, a_bad_row_is_nan_alone_and_counted)
{
    enum { V = 2300 };
    static const int32_t types[] = {MERIT_DTYPE_BF16, MERIT_DTYPE_F16, MERIT_DTYPE_F32};
    static const float bad[] = {NAN, -NAN, INFINITY};
    for (int j = 0; j < 3; j++) {
        for (int k = 0; k < 3; k++) {
            for (int where = 0; where < 3; where++) {
                float *const x = logprob_random(3 * V, 2, types[j], 31);
                x[V + (where == 0 ? 0 : where == 1 ? 2047 : 2299)] = bad[k];
                const int64_t targets[] = {5, 6, 2200};
                logprob_case c = logprob_make(x, targets, 3, V);
                c.d.dtype = types[j];
                tk_case("type %d bad %d where %d", (int)types[j], k, where);
                logprob_check(tk, &c);
                free(x);
            }
        }
    }
}

TK_TEST(policy_logprob_rules, the_range_of_the_exponent_is_checked)
{
    static const float top[] = {2.9e6f, 2.91e6f, -2.9e6f, -2.91e6f, FLT_MAX, -FLT_MAX, 1e30f, 0};
    for (int i = 0; i < 8; i++) {
        const float x[] = {top[i], -FLT_MAX, -INFINITY};
        const int64_t targets[] = {0};
        logprob_case c = logprob_make(x, targets, 1, 3);
        tk_case("%g", (double)top[i]);
        logprob_check(tk, &c);
        logprob_result r = logprob_run(tk, &c);
        const int inside = fabs((double)top[i]) < 2.905e6;
        TK_EXPECT(inside ? r.logprob[0] == 0 : isnan(r.logprob[0]), "%g", r.logprob[0]);
        TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_LOGIT_RANGE] == (uint64_t)!inside, "counted");
        logprob_free(&r);
    }
    // a weight at the far end of a segment, and zeros of both signs
    const float x[] = {0.0f, -0.0f, -86.64f, -86.65f, -200, 1e-40f, -1e-40f};
    const int64_t targets[] = {2};
    logprob_case c = logprob_make(x, targets, 1, COUNT(x));
    logprob_check(tk, &c);
}

TK_TEST(policy_logprob_rules, labels_are_never_read_out_of_bounds)
{
    const float x[] = {1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, NAN, 0, 0};
    const int64_t targets[] = {-1,        3, (int64_t)1 << 31, -((int64_t)1 << 31),
                               INT64_MAX, 0, INT64_MIN,        -100};
    logprob_case c = logprob_make(x, targets, 8, 3);
    logprob_check(tk, &c);
    logprob_result r = logprob_run(tk, &c);
    TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_BAD_LABEL] == 6, "six bad labels");
    TK_EXPECT(r.logprob[7] == 0 && r.entropy[7] == 0 && r.argmax[7] == -1, "ignored, though NaN");
    logprob_free(&r);
    c.d.ignore_index = INT64_MIN;
    logprob_check(tk, &c);
    const int32_t narrow = -100;
    c.d.ignore_index = narrow;
    c.d.target_dtype = MERIT_DTYPE_I32;
    const int64_t fitting[] = {-1, 3, 2, 0, INT32_MAX, INT32_MIN, 1, -100};
    c.targets = fitting;
    logprob_check(tk, &c);
}

TK_TEST(policy_logprob_rules, bad_temperatures_and_ids_make_their_row_nan)
{
    const float x[] = {1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3};
    const int64_t targets[] = {0, 1, 2, 0, 1};
    const float temperatures[] = {0, -1, NAN, INFINITY, 2};
    logprob_case c = logprob_make(x, targets, 5, 3);
    c.temperatures = temperatures;
    logprob_check(tk, &c);
    const int32_t ids[] = {0, 3, 1, 0, -1, 2, 1, 1, 0, INT32_MAX};
    c.temperatures = NULL;
    c.subset_ids = ids;
    c.d.support = MERIT_LOGPROB_SUPPORT_SUBSET;
    c.d.subset_size = c.d.ld_subset = 2;
    for (int full = 0; full < 2; full++) {
        c.d.normalize = full;
        logprob_check(tk, &c);
    }
}

TK_TEST(policy_logprob_rules, masked_logits_may_hold_anything)
{
    enum { V = 4200 };
    float *const x = logprob_random(V, 2, MERIT_DTYPE_F32, 8);
    float *const y = malloc(V * sizeof *y);
    uint32_t mask[(V + 31) / 32];
    memset(mask, 0x5a, sizeof mask);
    static const float junk[] = {NAN, INFINITY, -INFINITY, FLT_MAX};
    for (int v = 0; v < V; v++) {
        y[v] = mask[v / 32] >> (v % 32) & 1 ? x[v] : junk[v % 4];
    }
    const int64_t target[] = {1};
    logprob_case c = logprob_make(x, target, 1, V), d = logprob_make(y, target, 1, V);
    c.d.support = d.d.support = MERIT_LOGPROB_SUPPORT_MASK;
    c.keep_mask = d.keep_mask = mask;
    logprob_result a = logprob_run(tk, &c), b = logprob_run(tk, &d);
    TK_EXPECT(isfinite(a.logprob[0]), "%g", a.logprob[0]);
    tk_expect_bits(a.logprob, b.logprob, 1, 4);
    tk_expect_bits(a.entropy, b.entropy, 1, 4);
    tk_expect_bits(a.sum_sq, b.sum_sq, 1, 4);
    tk_expect_bits(a.argmax, b.argmax, 1, 4);
    logprob_free(&a), logprob_free(&b);
    memset(mask, 0, sizeof mask); // nothing kept
    for (int full = 0; full < 2; full++) {
        c.d.normalize = full;
        if (full) c.outputs = LP_ALL;
        logprob_check(tk, &c);
    }
    free(x), free(y);
}

// Properties --------------------------------------------------------------------------------------

TK_TEST(policy_logprob_rules, a_mask_of_ones_and_longer_masked_vocabularies_change_nothing)
{
    enum { V = 4500, CUT = 3000 };
    float *const x = logprob_random(V, 3, MERIT_DTYPE_BF16, 18);
    uint32_t ones[(V + 31) / 32], cut[(V + 31) / 32];
    memset(ones, 0xff, sizeof ones), memset(cut, 0, sizeof cut);
    for (int v = 0; v < CUT; v++) {
        cut[v / 32] |= 1u << v % 32;
    }
    const int64_t target[] = {77};
    logprob_case all = logprob_make(x, target, 1, V), part = logprob_make(x, target, 1, CUT);
    all.d.dtype = part.d.dtype = MERIT_DTYPE_BF16;
    logprob_result plain = logprob_run(tk, &all), shorter = logprob_run(tk, &part);
    all.d.support = MERIT_LOGPROB_SUPPORT_MASK;
    all.keep_mask = ones;
    logprob_result masked = logprob_run(tk, &all);
    tk_expect_bits(masked.logprob, plain.logprob, 1, 4);
    tk_expect_bits(masked.entropy, plain.entropy, 1, 4);
    tk_expect_bits(masked.sum_sq, plain.sum_sq, 1, 4);
    all.keep_mask = cut;
    logprob_result kept = logprob_run(tk, &all);
    tk_expect_bits(kept.logprob, shorter.logprob, 1, 4);
    tk_expect_bits(kept.entropy, shorter.entropy, 1, 4);
    tk_expect_bits(kept.state, shorter.state, 1, 8);
    logprob_free(&plain), logprob_free(&shorter), logprob_free(&masked), logprob_free(&kept);
    free(x);
}

TK_TEST(policy_logprob_rules, probabilities_of_all_targets_add_up)
{
    enum { V = 600 };
    float *const x = malloc(V * V * sizeof *x);
    int64_t targets[V];
    float *const row = logprob_random(V, 3, MERIT_DTYPE_BF16, 19);
    for (int t = 0; t < V; t++) {
        memcpy(x + t * V, row, V * sizeof *row);
        targets[t] = t;
    }
    logprob_case c = logprob_make(x, targets, V, V);
    c.d.dtype = MERIT_DTYPE_BF16;
    logprob_result r = logprob_run(tk, &c);
    double sum = 0, squares = 0;
    for (int t = 0; t < V; t++) {
        sum += exp(r.logprob[t]);
        squares += exp(2 * (double)r.logprob[t]);
    }
    TK_EXPECT(fabs(sum - 1) < 1e-6, "%.9g", sum);
    TK_EXPECT(fabs(squares - r.sum_sq[0]) < 2e-6 * squares, "%.9g", squares);
    logprob_free(&r);
    free(x), free(row);
}

TK_TEST(policy_logprob_rules, each_output_is_the_same_alone)
{
    enum { V = 5000, T = 3 };
    float *const x = logprob_random(T * V, 3, MERIT_DTYPE_BF16, 20);
    const int64_t targets[] = {0, 4096, 4999};
    logprob_case c = logprob_make(x, targets, T, V);
    c.d.dtype = MERIT_DTYPE_BF16;
    logprob_result all = logprob_run(tk, &c);
    for (int bit = 1; bit < LP_ALL; bit *= 2) {
        if (bit == LP_MASS) continue;
        c.outputs = bit;
        logprob_result one = logprob_run(tk, &c);
        if (one.logprob != NULL) tk_expect_bits(one.logprob, all.logprob, T, 4);
        if (one.lse != NULL) tk_expect_bits(one.lse, all.lse, T, 4);
        if (one.entropy != NULL) tk_expect_bits(one.entropy, all.entropy, T, 4);
        if (one.sum_sq != NULL) tk_expect_bits(one.sum_sq, all.sum_sq, T, 4);
        if (one.argmax != NULL) tk_expect_bits(one.argmax, all.argmax, T, 4);
        if (one.state != NULL) tk_expect_bits(one.state, all.state, T, 8);
        logprob_free(&one);
    }
    logprob_free(&all);
    free(x);
}

TK_TEST(policy_logprob_rules, a_shared_shift_moves_nothing_but_lse)
{
    enum { V = 3000 };
    float *const x = logprob_random(V, 2, MERIT_DTYPE_BF16, 21);
    const int64_t target[] = {1234};
    logprob_case c = logprob_make(x, target, 1, V);
    logprob_result a = logprob_run(tk, &c);
    for (int v = 0; v < V; v++) {
        x[v] += 64; // exact: the numbers have 8 bits
    }
    logprob_result b = logprob_run(tk, &c);
    TK_EXPECT(fabs(a.logprob[0] - b.logprob[0]) < 3.2e-6, "%.9g %.9g", a.logprob[0], b.logprob[0]);
    TK_EXPECT(fabs(b.lse[0] - a.lse[0] - 64) < 1e-5, "%.9g", b.lse[0]);
    TK_EXPECT(fabs(a.entropy[0] - b.entropy[0]) < 2e-5, "%.9g", b.entropy[0]);
    logprob_free(&a), logprob_free(&b);
    free(x);
}

TK_TEST(policy_logprob_rules, ties_go_to_the_lowest_index)
{
    enum { V = 4200 };
    float *const x = logprob_random(V, 1, MERIT_DTYPE_BF16, 22);
    const int64_t target[] = {0};
    static const int where[] = {0, 700, 2047, 2048, 4199};
    for (int64_t i = 0; i < COUNT(where); i++) {
        for (int v = 0; v < V; v++) {
            x[v] = v == where[i] || v == 4199 ? 9 : fminf(x[v], 8);
        }
        logprob_case c = logprob_make(x, target, 1, V);
        c.d.dtype = MERIT_DTYPE_BF16;
        logprob_result r = logprob_run(tk, &c);
        TK_EXPECT(r.argmax[0] == where[i], "%d, expected %d", (int)r.argmax[0], where[i]);
        logprob_free(&r);
    }
    free(x);
}
