// policy_logprob_forward: rows worked by hand, and the oracle over types, sizes and options.
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "logprob_case.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof(array)[0]))

static void expect_near(const char *what, double actual, double expected)
{
    TK_EXPECT(fabs(actual - expected) <= 2e-6, "%s is %.9g, expected %.9g", what, actual, expected);
}

// By hand -----------------------------------------------------------------------------------------

/* Four equal logits: every probability is 1/4. */
TK_TEST(policy_logprob, equal_logits_share_the_probability)
{
    const float x[] = {0, 0, 0, 0};
    const int64_t target[] = {1};
    logprob_case c = logprob_make(x, target, 1, 4);
    logprob_check(tk, &c);
    logprob_result r = logprob_run(tk, &c);
    expect_near("logprob", r.logprob[0], -1.386294361);
    expect_near("entropy", r.entropy[0], 1.386294361);
    TK_EXPECT(r.sum_sq[0] == 0.25f && r.argmax[0] == 0, "%g %d", r.sum_sq[0], (int)r.argmax[0]);
    logprob_free(&r);
}

/* Logits ln 1 .. ln 4: probabilities 0.1 .. 0.4. */
TK_TEST(policy_logprob, probabilities_are_the_ratios_of_exponentials)
{
    const float x[] = {0, 0.693147181f, 1.098612289f, 1.386294361f};
    const int64_t target[] = {3};
    logprob_case c = logprob_make(x, target, 1, 4);
    logprob_check(tk, &c);
    logprob_result r = logprob_run(tk, &c);
    expect_near("logprob", r.logprob[0], -0.916290732);
    expect_near("lse", r.lse[0], 2.302585093);
    expect_near("entropy", r.entropy[0], 1.279854226);
    expect_near("sum_sq", r.sum_sq[0], 0.30);
    TK_EXPECT(r.argmax[0] == 3, "%d", (int)r.argmax[0]);
    logprob_free(&r);
}

TK_TEST(policy_logprob, temperature_divides_and_the_cap_bends_logits)
{
    const float x[] = {0, 1, 2}, wide[] = {0, 2, -4};
    const int64_t two[] = {2}, one[] = {1};
    logprob_case c = logprob_make(x, two, 1, 3);
    c.d.temperature = 2;
    logprob_check(tk, &c);
    logprob_result r = logprob_run(tk, &c);
    expect_near("logprob", r.logprob[0], -0.680269671);
    expect_near("entropy", r.entropy[0], 1.020191337);
    logprob_free(&r);
    c = logprob_make(wide, one, 1, 3);
    c.d.soft_cap = 2;
    logprob_check(tk, &c);
    r = logprob_run(tk, &c);
    expect_near("logprob", r.logprob[0], -0.222921016);
    logprob_free(&r);
}

/* Logits 0 .. 3 without the third: the sum is 1 + e + e^3. */
TK_TEST(policy_logprob, a_mask_takes_logits_out)
{
    const float x[] = {0, 1, 2, 3, 0, 1, 2, 3};
    const int64_t targets[] = {3, 2};
    const uint32_t mask[] = {0xb};
    logprob_case c = logprob_make(x, targets, 2, 4);
    c.d.support = MERIT_LOGPROB_SUPPORT_MASK;
    c.keep_mask = mask;
    logprob_check(tk, &c);
    logprob_result r = logprob_run(tk, &c);
    expect_near("logprob", r.logprob[0], -0.169846020);
    expect_near("entropy", r.entropy[0], 0.524266617);
    TK_EXPECT(r.logprob[1] == -INFINITY, "%g", r.logprob[1]);
    logprob_free(&r);
    c.d.normalize = MERIT_LOGPROB_NORMALIZE_FULL;
    c.outputs = LP_ALL;
    logprob_check(tk, &c);
}

/* Two logits 2 and 1: logprob = log sigmoid(1). */
TK_TEST(policy_logprob, a_subset_is_a_softmax_of_its_own)
{
    const float x[] = {2, 1, 0, 0};
    const int64_t target[] = {0};
    const int32_t ids[] = {0, 1};
    logprob_case c = logprob_make(x, target, 1, 4);
    c.d.support = MERIT_LOGPROB_SUPPORT_SUBSET;
    c.d.subset_size = 2;
    c.subset_ids = ids;
    logprob_check(tk, &c);
    logprob_result r = logprob_run(tk, &c);
    expect_near("logprob", r.logprob[0], -0.313261688);
    logprob_free(&r);
    c.d.normalize = MERIT_LOGPROB_NORMALIZE_FULL;
    c.outputs = LP_ALL;
    logprob_check(tk, &c);
    r = logprob_run(tk, &c);
    expect_near("logprob", r.logprob[0], -0.493811709);
    expect_near("mass", r.mass[0], -0.180550022);
    logprob_free(&r);
}

TK_TEST(policy_logprob, rows_with_one_finite_logit_are_certain)
{
    const float x[] = {5, -INFINITY, -INFINITY, 1.7f, -INFINITY, -INFINITY};
    const int64_t targets[] = {0, 1};
    logprob_case c = logprob_make(x, targets, 2, 3);
    logprob_check(tk, &c);
    logprob_result r = logprob_run(tk, &c);
    for (int t = 0; t < 2; t++) {
        TK_EXPECT(r.entropy[t] == 0 && r.sum_sq[t] == 1, "row %d", t);
    }
    TK_EXPECT(r.logprob[0] == 0 && !signbit(r.logprob[0]), "%g", r.logprob[0]);
    TK_EXPECT(r.logprob[1] == -INFINITY, "%g", r.logprob[1]);
    logprob_free(&r);
    const float alone[] = {-7.3f};
    const int64_t zero[] = {0};
    c = logprob_make(alone, zero, 1, 1);
    logprob_check(tk, &c);
    r = logprob_run(tk, &c);
    TK_EXPECT(r.logprob[0] == 0 && r.entropy[0] == 0 && r.sum_sq[0] == 1, "V = 1");
    logprob_free(&r);
}

TK_TEST(policy_logprob, large_logits_neither_overflow_nor_vanish)
{
    const float x[] = {10000, 9999, -10000, -9999, 10000, -10000};
    const int64_t targets[] = {1, 0, 0};
    logprob_case c = logprob_make(x, targets, 3, 2);
    logprob_check(tk, &c);
    logprob_result r = logprob_run(tk, &c);
    expect_near("logprob", r.logprob[0], -1.313261688);
    expect_near("entropy", r.entropy[0], 0.582203109);
    TK_EXPECT(r.logprob[2] == 0 && r.entropy[2] == 0, "%g", r.logprob[2]);
    logprob_free(&r);
}

TK_TEST(policy_logprob, whole_segments_of_minus_infinity_are_skipped)
{
    enum { V = 6144 };
    float *const x = malloc(3 * V * sizeof *x);
    const int64_t targets[] = {4095, 4095, 0};
    for (int i = 0; i < V; i++) {
        x[i] = i < 2048 || i >= 4096 ? -INFINITY : 0; // in front and behind
        x[V + i] = i < 4096 ? -FLT_MAX : i == 4100 ? 3 : -1; // the other way to mask
        x[2 * V + i] = -INFINITY;
    }
    logprob_case c = logprob_make(x, targets, 3, V);
    logprob_check(tk, &c);
    logprob_result r = logprob_run(tk, &c);
    expect_near("lse", r.lse[0], 7.624618986);
    TK_EXPECT(r.lse[2] == -INFINITY && isnan(r.logprob[2]) && isnan(r.entropy[2]), "all -inf");
    TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_EMPTY_SUPPORT] == 1, "counted");
    logprob_free(&r);
    free(x);
}

// Oracle ------------------------------------------------------------------------------------------

TK_TEST(policy_logprob, follows_the_oracle_over_types_and_sizes)
{
    static const int64_t sizes[] = {1,    2,    7,    8,    31,   255,  256,  257,
                                    1000, 2047, 2048, 2049, 4096, 4099, 6151, 16391};
    static const int32_t types[] = {MERIT_DTYPE_BF16, MERIT_DTYPE_F16, MERIT_DTYPE_F32};
    for (int64_t i = 0; i < COUNT(sizes); i++) {
        for (int j = 0; j < 3; j++) {
            const int64_t V = sizes[i], T = V < 300 ? 5 : 2;
            float *const x = logprob_random(T * V, 1 + (double)(i % 4) * 2, types[j], 10 * i + j);
            int64_t targets[5];
            for (int t = 0; t < 5; t++) {
                targets[t] = (V - 1) * t / 4;
            }
            logprob_case c = logprob_make(x, targets, T, V);
            c.d.dtype = types[j];
            c.d.target_dtype = j == 1 ? MERIT_DTYPE_I32 : MERIT_DTYPE_I64;
            tk_case("V %lld type %d", (long long)V, (int)types[j]);
            logprob_check(tk, &c);
            free(x);
        }
    }
}

TK_TEST(policy_logprob, rows_at_any_address_give_the_same_bits)
{
    enum { V = 4100, T = 3 };
    static const int32_t types[] = {MERIT_DTYPE_BF16, MERIT_DTYPE_F16, MERIT_DTYPE_F32};
    const int64_t targets[T] = {0, 2047, 4099};
    for (int j = 0; j < 3; j++) {
        float *const x = logprob_random(T * V, 4, types[j], 77 + j);
        logprob_case c = logprob_make(x, targets, T, V);
        c.d.dtype = types[j];
        logprob_result first = logprob_run(tk, &c);
        for (int k = 1; k < 8; k++) {
            c.d.ld_logits = V + k;
            tk->shift = k;
            tk_case("type %d shift %d", (int)types[j], k);
            logprob_result r = logprob_run(tk, &c);
            tk_expect_bits(r.logprob, first.logprob, T, 4);
            tk_expect_bits(r.lse, first.lse, T, 4);
            tk_expect_bits(r.entropy, first.entropy, T, 4);
            tk_expect_bits(r.sum_sq, first.sum_sq, T, 4);
            tk_expect_bits(r.argmax, first.argmax, T, 4);
            tk_expect_bits(r.state, first.state, T, 8);
            logprob_free(&r);
        }
        tk->shift = 0;
        logprob_free(&first);
        free(x);
    }
}

TK_TEST(policy_logprob, many_rows_are_many_times_one_row)
{
    enum { V = 2100, T = 300 }; // more rows than are split
    float *const x = logprob_random(T * V, 3, MERIT_DTYPE_BF16, 5);
    int64_t *const targets = malloc(T * sizeof *targets);
    for (int t = 0; t < T; t++) {
        targets[t] = t == 7 ? -100 : (t * 977) % V;
    }
    logprob_case c = logprob_make(x, targets, T, V);
    c.d.dtype = MERIT_DTYPE_BF16;
    logprob_result all = logprob_run(tk, &c);
    for (int t = 0; t < T; t += 43) {
        logprob_case one = logprob_make(x + t * V, targets + t, 1, V);
        one.d.dtype = MERIT_DTYPE_BF16;
        logprob_result r = logprob_run(tk, &one);
        tk_expect_bits(r.logprob, all.logprob + t, 1, 4);
        tk_expect_bits(r.entropy, all.entropy + t, 1, 4);
        tk_expect_bits(r.sum_sq, all.sum_sq + t, 1, 4);
        tk_expect_bits(r.state, all.state + t, 1, 8);
        logprob_free(&r);
    }
    TK_EXPECT(all.logprob[7] == 0 && all.lse[7] == 0 && all.argmax[7] == -1, "the ignored row");
    logprob_free(&all);
    free(x), free(targets);
}

TK_TEST(policy_logprob, options_follow_the_oracle)
{
    enum { V = 4500, T = 4 };
    float *const x = logprob_random(T * V, 3, MERIT_DTYPE_F32, 91);
    const int64_t targets[T] = {17, 4499, 2048, 999};
    const float temperatures[T] = {0.7f, 1, 1.3f, 20};
    uint32_t mask[2 * T * 141];
    tk_random random = {3};
    for (int64_t i = 0; i < COUNT(mask); i++) {
        mask[i] = (uint32_t)tk_bits(&random) & (uint32_t)tk_bits(&random);
    }
    static const float scales[] = {1, -0.5f, 0, 3};
    for (int j = 0; j < 4; j++) {
        for (int k = 0; k < 8; k++) {
            logprob_case c = logprob_make(x, targets, T, V);
            c.d.logit_scale = scales[j];
            c.d.soft_cap = k & 1 ? 8 : 0;
            if (k & 2) c.temperatures = temperatures;
            if (k & 4) {
                c.d.support = MERIT_LOGPROB_SUPPORT_MASK;
                c.keep_mask = mask;
                c.d.ld_mask = j % 2 == 0 ? 0 : 150;
                c.d.normalize = j / 2 % 2;
            }
            if (c.d.normalize) c.outputs = LP_ALL;
            tk_case("scale %g options %d", (double)scales[j], k);
            logprob_check(tk, &c);
        }
    }
    free(x);
}

TK_TEST(policy_logprob, subsets_follow_the_oracle)
{
    enum { V = 2500, T = 4, S = 64 };
    float *const x = logprob_random(T * V, 2, MERIT_DTYPE_BF16, 92);
    const int64_t targets[T] = {3, 1, 2, 2499};
    int32_t ids[T * 70];
    tk_random random = {4};
    for (int64_t i = 0; i < COUNT(ids); i++) {
        ids[i] = (int32_t)tk_below(&random, V);
    }
    ids[5] = 3, ids[70 + 7] = 1;
    ids[140 + 1] = ids[140 + 2]; // twice
    for (int size = 1; size <= S; size += 21) {
        for (int k = 0; k < 4; k++) {
            logprob_case c = logprob_make(x, targets, T, V);
            c.d.dtype = MERIT_DTYPE_BF16;
            c.d.support = MERIT_LOGPROB_SUPPORT_SUBSET;
            c.d.subset_size = size;
            c.d.ld_subset = k & 1 ? 70 : 0;
            c.d.normalize = k / 2;
            c.d.temperature = 0.5f;
            if (c.d.normalize) c.outputs = LP_ALL;
            c.subset_ids = ids;
            tk_case("size %d options %d", size, k);
            logprob_check(tk, &c);
        }
    }
    free(x);
}
