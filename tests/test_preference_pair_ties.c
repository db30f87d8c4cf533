// preference_pair: the tie models of Rao and Kupper and of Davidson, outcomes worked by hand.
#include <math.h>

#include "preference_case.h"

// Loss, gradients wrt z, and derivative wrt log_tie of one outcome at scores (z, 0).
static void expect_tie(tk_fixture *tk, int32_t model, float log_tie, float z, int8_t outcome,
                       double loss, double by_z, double by_tie)
{
    const float rejected = 0;
    pc_case c = pc_scores(NULL, 1, &z, &rejected);
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_SUM;
    c.d.target = MERIT_PAIR_TARGET_OUTCOME;
    c.d.tie_model = model;
    c.d.log_tie = log_tie;
    c.io.outcomes = &outcome;
    tk_case("tie model %d, log_tie %g, z %g, outcome %d", model, (double)log_tie, (double)z,
            outcome);
    const double chosen = by_z, rejected_slope = -by_z;
    pc_expect(tk, &c, loss, &chosen, &rejected_slope);
    pc_result r = pc_run(tk, &c);
    tk_expect_close(&r.grad_tie, &by_tie, 1, 1e-7, 4e-7);
    pc_free(&r);
}

static double probability(tk_fixture *tk, int32_t model, float log_tie, float z)
{
    const float rejected = 0;
    const int8_t outcome = 1;
    pc_case c = pc_scores(NULL, 1, &z, &rejected);
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_SUM;
    c.d.target = MERIT_PAIR_TARGET_OUTCOME;
    c.d.tie_model = model;
    c.d.log_tie = log_tie;
    c.io.outcomes = &outcome;
    pc_result r = pc_run(tk, &c);
    const double p = r.probability[0];
    pc_free(&r);
    return p;
}

#define LOG_2 0.69314718055994530942f

TK_TEST(preference_pair, rao_kupper_splits_equal_scores_into_thirds)
{
    const double third = 1.09861228867;
    expect_tie(tk, MERIT_TIE_MODEL_RAO_KUPPER, LOG_2, 0, 1, third, -2. / 3, 2. / 3);
    expect_tie(tk, MERIT_TIE_MODEL_RAO_KUPPER, LOG_2, 0, -1, third, 2. / 3, 2. / 3);
    expect_tie(tk, MERIT_TIE_MODEL_RAO_KUPPER, LOG_2, 0, 0, third, 0, -4. / 3);
}

TK_TEST(preference_pair, rao_kupper_at_a_difference_of_one)
{
    expect_tie(tk, MERIT_TIE_MODEL_RAO_KUPPER, LOG_2, 1, 1, 0.551444713932, -0.423883115234,
               0.423883115234);
    expect_tie(tk, MERIT_TIE_MODEL_RAO_KUPPER, LOG_2, 1, 0, 1.31482722932, 0.420754481269,
               -1.39814595493);
    expect_tie(tk, MERIT_TIE_MODEL_RAO_KUPPER, LOG_2, 1, -1, -log(0.155362403497),
               1 - 0.155362403497, 1 - 0.155362403497);
    const double p = probability(tk, MERIT_TIE_MODEL_RAO_KUPPER, LOG_2, 1),
                 expected = 0.576116884766;
    tk_expect_close(&p, &expected, 1, 1e-7, 4e-7);
}

TK_TEST(preference_pair, davidson_at_twice_log_2)
{
    expect_tie(tk, MERIT_TIE_MODEL_DAVIDSON, 0, 2 * LOG_2, 1, 0.559615787935, -2. / 7, 2. / 7);
    expect_tie(tk, MERIT_TIE_MODEL_DAVIDSON, 0, 2 * LOG_2, 0, 1.25276296850, 3. / 14, -5. / 7);
    expect_tie(tk, MERIT_TIE_MODEL_DAVIDSON, 0, 2 * LOG_2, -1, log(7), 5. / 7, 2. / 7);
    const double p = probability(tk, MERIT_TIE_MODEL_DAVIDSON, 0, 2 * LOG_2), expected = 4. / 7;
    tk_expect_close(&p, &expected, 1, 1e-7, 4e-7);
}

TK_TEST(preference_pair, davidson_at_a_difference_of_one)
{
    const double P_c = 0.506480391056, P_r = 0.186323723226, P_t = 0.307195885718;
    expect_tie(tk, MERIT_TIE_MODEL_DAVIDSON, 0, 1, 1, 0.680269670642, -0.339921666085, P_t);
    expect_tie(tk, MERIT_TIE_MODEL_DAVIDSON, 0, 1, 0, 1.18026967064, 0.160078333915, P_t - 1);
    expect_tie(tk, MERIT_TIE_MODEL_DAVIDSON, 0, 1, -1, -log(P_r), P_c + P_t / 2, P_t);
    const double p = probability(tk, MERIT_TIE_MODEL_DAVIDSON, 0, 1);
    tk_expect_close(&p, &P_c, 1, 1e-7, 4e-7);
}
