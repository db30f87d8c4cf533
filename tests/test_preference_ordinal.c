// preference_ordinal: numbers worked by hand.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ordinal_random.h"

// p = (.2, .3, .5), r = (.5, .3, .2) as logs.
static void hand_logits(float *a, float *b)
{
    const double p[] = {0.2, 0.3, 0.5};
    for (int k = 0; k < 3; k++) {
        a[k] = (float)log(p[k]);
        b[k] = (float)log(p[2 - k]);
    }
}

static void expect_hand(tk_fixture *tk, const ordinal_case *c, double loss, const double *chosen,
                        const double *rejected)
{
    ordinal_result r = ordinal_run(tk, c);
    tk_expect_close(&r.loss, &loss, 1, 1e-7, 4e-7);
    if (chosen != NULL) {
        tk_expect_close(r.grad_chosen, chosen, c->d.num_levels, 1e-7, 4e-7);
        tk_expect_close(r.grad_rejected, rejected, c->d.num_levels, 1e-7, 4e-7);
    }
    ordinal_free(&r);
}

TK_TEST(preference_ordinal, three_levels_by_hand)
{
    float a[3], b[3];
    hand_logits(a, b);
    const double a1[] = {0.2, 0.0272727272727, -0.227272727273};
    const double b1[] = {-0.227272727273, 0.0272727272727, 0.2};
    const double a2[] = {0.128057553957, 0.019424460432, -0.147482014388};
    const double b2[] = {-0.147482014388, 0.019424460432, 0.128057553957};
    ordinal_case c = ordinal_make("oprm", a, b, 1, 3);
    expect_hand(tk, &c, 0.597837000756, a1, b1);
    c = ordinal_make("oprm.half_tie", a, b, 1, 3);
    expect_hand(tk, &c, 0.363843433417, a2, b2);
}

TK_TEST(preference_ordinal, regions_by_hand)
{
    float a[3], b[3];
    hand_logits(a, b);
    const int32_t upper[] = {1, 2}, lower[] = {0, 1}, top[] = {2, 2};
    const double a1[] = {0.2, 0.0272727272727, -0.227272727273};
    const double b1[] = {-0.227272727273, 0.0272727272727, 0.2};
    const double a4[] = {0.2, 0.3, -0.5}, b4[] = {-0.125, -0.075, 0.2}, b5[] = {0.5, -0.7, 0.2};
    ordinal_case c = ordinal_make("oprm.rgft", a, b, 1, 3);
    c.io.chosen_region = upper, c.io.rejected_region = lower;
    expect_hand(tk, &c, 0.597837000756, a1, b1);
    c.io.chosen_region = top;
    expect_hand(tk, &c, 0.916290731874, a4, b4);
    c.io.chosen_region = c.io.rejected_region = upper;
    expect_hand(tk, &c, 1.89711998489, a4, b5);
}

TK_TEST(preference_ordinal, uniform_levels_by_hand)
{
    const float zero[9] = {0};
    const double third[] = {1.0 / 3, 0, -1.0 / 3}, back[] = {-1.0 / 3, 0, 1.0 / 3};
    ordinal_case c = ordinal_make("oprm", zero, zero, 1, 3);
    expect_hand(tk, &c, 1.09861228867, third, back);
    c = ordinal_make("oprm", zero, zero, 1, 9);
    expect_hand(tk, &c, 0.810930216216, NULL, NULL);
    c.d.tie_share = 0.5f;
    expect_hand(tk, &c, 0.693147180560, NULL, NULL);
}

TK_TEST(preference_ordinal, two_levels_by_hand)
{
    const float a[] = {0, 2}, b[] = {0, 0};
    const double ga[] = {0.119202922022, -0.119202922022}, gb[] = {-0.5, 0.5};
    ordinal_case c = ordinal_make("oprm", a, b, 1, 2);
    expect_hand(tk, &c, 0.820075191603, ga, gb);
}

TK_TEST(preference_ordinal, probabilities_that_underflow_by_hand)
{
    const float a[] = {0, -200, -200}, b[] = {-200, -200, 0};
    const double ga[] = {1, -1.0 / 3, -2.0 / 3}, gb[] = {-2.0 / 3, -1.0 / 3, 1};
    ordinal_case c = ordinal_make("oprm", a, b, 1, 3);
    expect_hand(tk, &c, 398.901387711, ga, gb);
    // the same gap, fifty times: sums of any sizes
    const float wide_a[] = {0, -1e4f, -1e4f}, wide_b[] = {-1e4f, -1e4f, 0};
    c = ordinal_make("oprm", wide_a, wide_b, 1, 3);
    expect_hand(tk, &c, 2e4 - log(3), ga, gb);
}

TK_TEST(preference_ordinal, means_and_orders_by_hand)
{
    float a[3], b[3];
    hand_logits(a, b);
    ordinal_case c = ordinal_make("oprm", a, b, 1, 3);
    ordinal_result r = ordinal_run(tk, &c);
    const double mean[] = {2.3, 1.7}, win = 0.55, tie = 0.29;
    tk_expect_close(r.mean, mean, 2, 0, 4e-7);
    tk_expect_close(r.win, &win, 1, 0, 4e-7);
    tk_expect_close(r.tie, &tie, 1, 0, 4e-7);
    TK_EXPECT(r.metrics.correct_strict == 1 && r.metrics.pairs == 1, "correct");
    ordinal_free(&r);
    c.d.first_value = -1, c.d.value_step = 0.5f;
    const double moved[] = {-0.35, -0.65};
    r = ordinal_run(tk, &c);
    tk_expect_close(r.mean, moved, 2, 0, 4e-7);
    ordinal_free(&r);
}
