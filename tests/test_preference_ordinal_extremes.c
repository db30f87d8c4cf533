// preference_ordinal: values at the ends of their ranges, and bad pairs.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ordinal_random.h"

// Differences of 88.7 (where exp leaves binary32), 1e4, beyond binary32; few levels and many, with and
// without regions.
TK_TEST(preference_ordinal, finite_logits_never_give_nan)
{
    static const float sizes[] = {44.35f,  88.7f, 1e4f,    1e12f,  0x1p41f,
                                  0x1p51f, 1e30f, FLT_MAX, FLT_MIN};
    static const int levels[] = {2, 4, 9, 16, 17, 64};
    static const int32_t regions[] = {1, 1, 0, 0}; // upper, lower
    for (int j = 0; j < 9 * 6; j++) {
        const float s = sizes[j / 6];
        const int K = levels[j % 6];
        float a[64], b[64];
        for (int k = 0; k < K; k++) {
            a[k] = k % 4 == 0 ? s : k % 4 == 1 ? -s : k % 4 == 2 ? 0 : s / 2;
            b[k] = k % 4 == 0 ? -s : k % 4 == 1 ? s : k % 4 == 2 ? s / 3 : -s;
        }
        for (int t = 0; t < 9; t++) {
            static const char *const presets[] = {"oprm", "oprm.half_tie", "oprm.rgft"};
            ordinal_case c = ordinal_make(presets[t / 3], a, b, 1, K);
            c.d.temperature = t % 3 == 0 ? 1 : t % 3 == 1 ? FLT_MIN : FLT_MAX;
            if (t / 3 == 2) c.io.chosen_region = regions, c.io.rejected_region = regions + 2;
            ordinal_result r = ordinal_run(tk, &c);
            tk_case("%s, %d levels, %g, temperature %g", presets[t / 3], K, (double)s,
                    (double)c.d.temperature);
            TK_EXPECT(!isnan(r.loss) && r.loss >= 0, "loss %g", r.loss);
            for (int k = 0; k < K; k++) {
                TK_EXPECT(!isnan(r.grad_chosen[k]) && !isnan(r.grad_rejected[k]), "gradient %d", k);
            }
            TK_EXPECT(!isnan(r.win[0]) && !isnan(r.tie[0]), "win or tie");
            TK_EXPECT(!isnan(r.mean[0]) && !isnan(r.mean[1]), "means");
            ordinal_free(&r);
        }
    }
}

TK_TEST(preference_ordinal, a_scale_of_zero_over_zero_is_zero)
{
    static const float a[] = {1, 2, -3, 0}, b[4], zero;
    static const double nothing = 0;
    ordinal_case c = ordinal_make("oprm", a, b, 1, 4);
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_GIVEN;
    c.io.denominator = &nothing;
    c.io.grad_scale = &zero;
    ordinal_result r = ordinal_run(tk, &c);
    TK_EXPECT(isinf(r.loss), "loss %g", r.loss);
    tk_expect_close(r.grad_chosen, (double[4]){0}, 4, 0, 0);
    tk_expect_close(r.grad_rejected, (double[4]){0}, 4, 0, 0);
    ordinal_free(&r);
}

TK_TEST(preference_ordinal, levels_of_minus_infinity_have_probability_zero)
{
    const float a[] = {-INFINITY, 1, 0.5f, -INFINITY}, b[] = {0.25f, -INFINITY, 0, -1};
    ordinal_case c = ordinal_make("oprm.half_tie", a, b, 1, 4);
    ordinal_check(tk, &c);
    ordinal_result r = ordinal_run(tk, &c);
    TK_EXPECT(r.grad_chosen[0] == 0 && r.grad_chosen[3] == 0 && r.grad_rejected[1] == 0,
              "gradient");
    ordinal_free(&r);
    // certain: nothing is lost
    const float high[] = {-INFINITY, -INFINITY, 3, -INFINITY};
    const float low[] = {-INFINITY, 9, -INFINITY, -INFINITY};
    c = ordinal_make("oprm", high, low, 1, 4);
    r = ordinal_run(tk, &c);
    TK_EXPECT(r.loss == 0 && r.win[0] == 1 && r.mean[0] == 3 && r.mean[1] == 2, "%g", r.loss);
    ordinal_free(&r);
    c = ordinal_make("oprm", low, high, 1, 4);
    ordinal_check(tk, &c); // impossible: NaN, counted
}

TK_TEST(preference_ordinal, masked_pairs_may_hold_anything)
{
    const float a[] = {1, 2, NAN, INFINITY, 0, 1}, b[] = {0, 1, NAN, 5, 1, 0};
    const float plain_a[] = {1, 2, 0, 0, 0, 1}, plain_b[] = {0, 1, 0, 0, 1, 0};
    const float weights[] = {1, NAN, 2}, plain_weights[] = {1, 0, 2};
    const int32_t region[] = {0, 1, 7, -9, 0, 1};
    const uint8_t mask[] = {1, 0, 255};
    ordinal_case c = ordinal_make("oprm.half_tie", a, b, 3, 2);
    ordinal_case d = ordinal_make("oprm.half_tie", plain_a, plain_b, 3, 2);
    c.d.reduction = d.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_VALID;
    c.io.mask = d.io.mask = mask;
    c.io.weights = weights, d.io.weights = plain_weights;
    c.io.chosen_region = c.io.rejected_region = region;
    ordinal_result x = ordinal_run(tk, &c), y = ordinal_run(tk, &d);
    tk_expect_bits(&x.loss, &y.loss, 1, 8);
    tk_expect_bits(x.chosen_words, y.chosen_words, 6, 4);
    tk_expect_bits(x.rejected_words, y.rejected_words, 6, 4);
    tk_expect_bits(&x.metrics, &y.metrics, 1, sizeof x.metrics);
    tk_expect_bits(&x.diagnostics, &y.diagnostics, 1, sizeof x.diagnostics);
    const uint32_t zeros[2] = {0, 0};
    tk_expect_bits(x.chosen_words + 2, zeros, 2, 4);
    ordinal_free(&x), ordinal_free(&y);
    // weight 0: absent, but valid
    const float none[] = {1, 0, 2};
    c.io.mask = NULL, c.io.weights = none;
    ordinal_check(tk, &c);
}

TK_TEST(preference_ordinal, a_bad_pair_is_nan_alone_and_counted)
{
    for (int what = 0; what < 10; what++) {
        for (int skip = 0; skip < 2; skip++) {
            float a[] = {0, 1, 2, 0.5f, 1, 0, 1, 0, 1}, b[] = {1, 0, 0, 1, 0, 2, 0.5f, 1, 1};
            float weights[] = {1, 2, 0.5f};
            int32_t upper[] = {1, 2, 1, 2, 0, 2}, lower[] = {0, 1, 0, 1, 0, 2};
            switch (what) {
            case 0: a[4] = NAN; break;
            case 1: b[5] = INFINITY; break;
            case 2: a[3] = a[4] = a[5] = -INFINITY; break;
            case 3: weights[1] = -1; break;
            case 4: weights[1] = NAN; break;
            case 5: weights[1] = INFINITY; break;
            case 6: upper[3] = 3; break;
            case 7: lower[2] = -1; break;
            case 8: upper[2] = 2, upper[3] = 1; break;
            default: upper[2] = upper[3] = 1, lower[2] = 1, lower[3] = 2; break; // nothing above
            }
            ordinal_case c = ordinal_make("oprm.rgft", a, b, 3, 3);
            c.d.skip_invalid = skip;
            c.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_VALID;
            c.io.weights = weights;
            c.io.chosen_region = upper, c.io.rejected_region = lower;
            tk_case("case %d, skip %d", what, skip);
            ordinal_check(tk, &c);
        }
    }
}

TK_TEST(preference_ordinal, a_zero_denominator_is_ieee_and_counted)
{
    const float a[] = {0, 1, 1, 0}, b[] = {1, 0, 0, 0}, weights[] = {1, 0};
    const double zero = 0;
    ordinal_case c = ordinal_make("oprm", a, b, 2, 2);
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_GIVEN;
    c.io.denominator = &zero;
    c.io.weights = weights;
    ordinal_result r = ordinal_run(tk, &c);
    TK_EXPECT(r.loss == INFINITY && r.grad_chosen[0] == INFINITY && r.grad_chosen[2] == 0, "%g",
              r.loss);
    TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_ZERO_DENOMINATOR] == 1, "counted");
    ordinal_free(&r);
    const float none[] = {0, 0};
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT;
    c.io.denominator = NULL, c.io.weights = none;
    ordinal_check(tk, &c);
}

TK_TEST(preference_ordinal, no_pairs_are_fine)
{
    ordinal_case c = ordinal_make("oprm", NULL, NULL, 0, 9);
    ordinal_result r = ordinal_run(tk, &c);
    TK_EXPECT(r.loss == 0 && r.metrics.pairs == 0 && r.metrics.sum_loss == 0, "%g", r.loss);
    ordinal_free(&r);
    const float a[] = {NAN, 1}, b[] = {1, 1};
    const uint8_t mask[] = {0};
    c = ordinal_make("oprm", a, b, 1, 2);
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_VALID;
    c.io.mask = mask;
    ordinal_check(tk, &c);
}
