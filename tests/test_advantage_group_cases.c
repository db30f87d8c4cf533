// advantage_group: groups worked by hand. eps is 0 and rewards are f32 unless a case says otherwise.
#include <math.h>
#include <string.h>

#include "advantage_case.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof((array)[0])))

// One group of all rewards.
static ag_case one_group(const char *preset, const float *rewards, int64_t n)
{
    ag_case c = ag_uniform(preset, 1, n, rewards);
    c.d.eps = 0;
    return c;
}

// 0,0,1,1 has mean 1/2 and population deviation 1/2.
TK_TEST(advantage_group, halves_of_zeros_and_ones_become_minus_one_and_one)
{
    const float rewards[] = {0, 0, 1, 1};
    const double expected[] = {-1, -1, 1, 1};
    ag_case c = one_group(NULL, rewards, 4);
    c.d.ddof = 0;
    ag_expect(tk, &c, expected, 0);
}

// Deviation sqrt(1/3): 0.5 / (0.57735027 + eps).
TK_TEST(advantage_group, eps_is_added_to_the_deviation)
{
    const float rewards[] = {1, 0, 0, 1};
    static const struct {
        double eps, a;
    } rows[] = {{0, 0.8660254}, {1e-6, 0.8660239}, {1e-4, 0.8658754}};
    for (int i = 0; i < 3; i++) {
        const double a = rows[i].a, expected[] = {a, -a, -a, a};
        ag_case c = one_group(NULL, rewards, 4);
        c.d.eps = rows[i].eps;
        ag_expect(tk, &c, expected, 1e-7);
    }
}

TK_TEST(advantage_group, leave_one_out_subtracts_the_mean_of_the_others)
{
    const float coins[] = {1, 0, 0, 1}, mixed[] = {1, 2, 3, 6};
    const double of_coins[] = {0.6666667, -0.6666667, -0.6666667, 0.6666667};
    const double of_mixed[] = {-2.6666667, -1.3333333, 0, 4};
    ag_case c = one_group("rloo", coins, 4), d = one_group("rloo", mixed, 4);
    ag_expect(tk, &c, of_coins, 1e-6);
    ag_expect(tk, &d, of_mixed, 1e-6);
}

// Deviations -2,-1,0,3: m2 = 14, so s = sqrt(14/3) or sqrt(14/4).
TK_TEST(advantage_group, ddof_chooses_the_sample_or_the_population_deviation)
{
    const float rewards[] = {1, 2, 3, 6};
    const double sample[] = {-0.9258201, -0.4629100, 0, 1.3887301};
    const double population[] = {-1.0690450, -0.5345225, 0, 1.6035675};
    ag_case c = one_group(NULL, rewards, 4);
    ag_expect(tk, &c, sample, 1e-6);
    c.d.ddof = 0;
    ag_expect(tk, &c, population, 1e-6);
}

TK_TEST(advantage_group, one_right_answer_of_four)
{
    const float rewards[] = {0, 0, 0, 1};
    const double centered[] = {-.25, -.25, -.25, .75}, scaled[] = {-.5, -.5, -.5, 1.5};
    ag_case c = one_group("dr_grpo", rewards, 4);
    ag_expect(tk, &c, centered, 0);
    ag_case d = one_group(NULL, rewards, 4);
    ag_expect(tk, &d, scaled, 0);
}

// One-pass variances make up to 0.99 of rounding noise here.
TK_TEST(advantage_group, equal_rewards_give_plus_zero_under_every_scale)
{
    static const float values[] = {0.1f, 0.7f, 0.95f, 3.3f, 100.7f};
    static const int sizes[] = {6, 7, 8, 12, 16, 64};
    static const float zeros[64];
    float rewards[64];
    for (int v = 0; v < 5; v++) {
        for (int i = 0; i < 64; i++) {
            rewards[i] = values[v];
        }
        for (int s = 0; s < 6; s++) {
            for (int scale = MERIT_SCALE_NONE; scale <= MERIT_SCALE_NONZERO_SHARE; scale++) {
                ag_case c = one_group(NULL, rewards, sizes[s]);
                c.d.eps = 1e-9;
                c.d.scale = scale;
                tk_case("value %g, n %d, scale %d", values[v], sizes[s], scale);
                ag_result r = ag_run(tk, &c);
                tk_expect_ok(tk->ctx, r.status);
                tk_expect_bits(r.advantages, zeros, sizes[s], sizeof(float));
                TK_EXPECT(r.group_flags[0] & MERIT_GROUP_FLAG_ALL_EQUAL, "not flagged");
                TK_EXPECT(r.keep[0] == 0, "kept");
                ag_free(&r);
            }
        }
    }
}

// 0,.75,.75,.75: the others of the zero are equal, so it stays unscaled; the others of a .75 have
// deviation sqrt(3)/4 and the center leaves .25.
TK_TEST(advantage_group, nemo_scales_by_the_deviation_of_the_others)
{
    const float first[] = {0, .75f, .75f, .75f}, second[] = {0, 1, 2, 4};
    const double of_first[] = {-.75, .5773503, .5773503, .5773503};
    const double of_second[] = {-1.5275252, -.5, .1601282, 3};
    ag_case c = one_group("nemo.grpo", first, 4), d = one_group("nemo.grpo", second, 4);
    ag_expect(tk, &c, of_first, 1e-6);
    ag_expect(tk, &d, of_second, 1e-6);
}

TK_TEST(advantage_group, an_outlier_among_equals_is_not_divided_by_rounding_noise)
{
    const float first[] = {0, .95f, .95f, .95f, .95f, .95f, .95f, .95f}, second[] = {1, 3};
    double of_first[8] = {-.95};
    const double of_second[] = {-2, 2};
    for (int i = 1; i < 8; i++) {
        of_first[i] = .3779634;
    }
    ag_case c = ag_uniform("nemo.grpo", 1, 8, first), d = ag_uniform("nemo.grpo", 1, 2, second);
    ag_expect(tk, &c, of_first, 1e-6);
    ag_expect(tk, &d, of_second, 1e-6);
}

// The two f32 numbers differ by 1.0014e-5: half of it over (0.70711 of it + 1e-6).
TK_TEST(advantage_group, nearly_equal_rewards_keep_their_digits)
{
    const float rewards[] = {1.00000f, 1.00001f};
    const double expected[] = {-.6196008, .6196008};
    ag_case c = ag_uniform("verl.grpo", 1, 2, rewards);
    ag_expect(tk, &c, expected, 1e-6);
}

TK_TEST(advantage_group, singleton_rules)
{
    const float reward[] = {.75f};
    static const double expected[] = {0, .75, .74999925, NAN};
    for (int rule = MERIT_SINGLETON_ZERO; rule <= MERIT_SINGLETON_NAN; rule++) {
        ag_case c = ag_uniform(NULL, 1, 1, reward);
        c.d.singleton = rule;
        tk_case("singleton %d", rule);
        ag_expect(tk, &c, &expected[rule], 1e-7);
    }
}

// 1,0,1 without the NaN: mean 2/3, sample deviation sqrt(1/3). A lone valid member is a singleton.
TK_TEST(advantage_group, trl_skips_nan)
{
    const float rewards[] = {1, NAN, 0, 1, NAN, NAN, 2, NAN};
    const double expected[] = {.5773503, 0, -1.1547005, .5773503, 0, 0, 0, 0};
    ag_case c = ag_uniform("trl.group", 2, 4, rewards);
    c.d.eps = 0;
    ag_expect(tk, &c, expected, 1e-6);
}

// First-turn mean 1/4 judges the second turns.
TK_TEST(advantage_group, rltf_judges_second_turns_by_first_turns)
{
    const float rewards[] = {0, 0, 1, 0, 1, 1, 1, 0};
    const uint8_t first[] = {1, 1, 1, 1, 0, 0, 0, 0}, second[] = {0, 0, 0, 0, 1, 1, 1, 1};
    const double expected[] = {0, 0, 0, 0, .75, .75, .75, -.25};
    ag_case c = one_group("rltf", rewards, 8);
    c.io.stats_mask = first;
    c.io.mask = second;
    ag_expect(tk, &c, expected, 0);
}

TK_TEST(advantage_group, brpo_compares_with_the_reference_member)
{
    const float rewards[] = {.5f, .9f, .2f, .5f, .5f, .6f};
    const uint8_t reference[] = {1, 0, 0, 1, 0, 0}, others[] = {0, 1, 1, 0, 1, 1};
    const double expected[] = {0, 1, -1, 0, -1, 1}; // a tie loses
    ag_case c = ag_uniform("brpo", 2, 3, rewards);
    c.io.stats_mask = reference;
    c.io.mask = others;
    ag_expect(tk, &c, expected, 0);
}

// Weighted mean (1 + 0 + 0 + 2) / 8.
TK_TEST(advantage_group, opo_weighs_the_mean_by_length)
{
    const float rewards[] = {1, 0, 0, 1}, lengths[] = {1, 2, 3, 2};
    const double expected[] = {.625, -.375, -.375, .625};
    ag_case c = one_group("opo", rewards, 4);
    c.io.weights = lengths;
    ag_expect(tk, &c, expected, 0);
}

// Over the mean: 1/2 and 1/4. A mean of -1/4 is under the threshold.
TK_TEST(advantage_group, maxrl_divides_by_the_mean)
{
    const float rewards[] = {1, 0, 0, 1, 0, 0, 0, 1, -1, 0, 0, 0};
    const double expected[] = {1, -1, -1, 1, -1, -1, -1, 3, 0, 0, 0, 0};
    ag_case c = ag_uniform("maxrl", 3, 4, rewards);
    ag_expect(tk, &c, expected, 0);
}

// (3 - 2) / sqrt(5/3); tied bests gain nothing.
TK_TEST(advantage_group, passk_pays_only_the_best)
{
    const float rewards[] = {1, 3, 2, 0, 3, 3, 0, 0};
    const double expected[] = {0, .7745967, 0, 0, 0, 0, 0, 0};
    ag_case c = ag_uniform("verl.passk", 2, 4, rewards);
    c.d.eps = 0;
    ag_expect(tk, &c, expected, 1e-6);
}

// Share of nonzero rewards in the batch 3/6: +-.5 over .5.
TK_TEST(advantage_group, gpg_divides_by_the_nonzero_share_of_the_batch)
{
    const float rewards[] = {1, 0, 1, 0, 1, 0};
    const double expected[] = {1, -1, 1, -1, 1, -1};
    ag_case c = ag_uniform("gpg", 3, 2, rewards);
    ag_expect(tk, &c, expected, 0);
}

// Ranks k = 0..7: ((G-1)/2 - k) / sqrt(G (G+1) / 12).
TK_TEST(advantage_group, arena_ranks_have_a_closed_form)
{
    const float rewards[] = {8, 7, 6, 5, 4, 3, 2, 1};
    double expected[8];
    for (int k = 0; k < 8; k++) {
        expected[k] = (3.5 - k) / sqrt(6);
    }
    ag_case c = one_group("arena_rl", rewards, 8);
    ag_expect(tk, &c, expected, 1e-6);
}

TK_TEST(advantage_group, rank_ties)
{
    const float rewards[] = {3, 1, 1, 0};
    static const double expected[3][4] = {{.9933993, .1986799, .1986799, -1.3907590},
                                          {1.2247449, 0, 0, -1.2247449},
                                          {1.1618950, .3872983, -.3872983, -1.1618950}};
    for (int ties = 0; ties < 3; ties++) {
        ag_case c = one_group("arena_rl", rewards, 4);
        c.d.rank_ties = ties;
        tk_case("ties %d", ties);
        ag_expect(tk, &c, expected[ties], 1e-6);
    }
}

// log mean exp of all minus that of the others.
TK_TEST(advantage_group, jepo_takes_what_a_member_adds_to_the_log_mean)
{
    const float rewards[] = {-1, -2, -3, -1, -60, -60, -2, -2, -2};
    const double expected[] = {.6888792,  -.1247872, -.3111208, 57.9013877, -.4054651,
                               -.4054651, 0,         0,         0};
    ag_case c = ag_uniform("jepo", 3, 3, rewards);
    c.d.advantage_dtype = MERIT_DTYPE_F64;
    ag_expect(tk, &c, expected, 1e-6);
    ag_result r = ag_run(tk, &c);
    for (int i = 6; i < 9; i++) {
        TK_EXPECT(r.values[i] == 0 && !signbit(r.values[i]), "equal rewards: %g", r.values[i]);
    }
    ag_free(&r);
}

TK_TEST(advantage_group, tilted_is_a_softmax)
{
    const float rewards[] = {0, 1, 2};
    const double expected[] = {.0900306, .2447285, .6652410};
    ag_case c = one_group("tilted", rewards, 3);
    c.d.temperature = 1;
    ag_expect(tk, &c, expected, 1e-6);
}

TK_TEST(advantage_group, an_outlier_is_masked_or_clipped)
{
    const float rewards[] = {-100, 0, 0, 0, -1, -1, 0, -1};
    const uint8_t without[] = {0, 1, 1, 1, 1, 1, 1, 1}, all[] = {1, 1, 1, 1, 1, 1, 1, 1};
    // Of a reward of 0, of -1 and of -100.
    static const double rows[3][3] = {{.3656913, .3372881, -2.4746292},
                                      {.8017837, -1.0690450, -186.2810856},
                                      {.8400269, -.5040161, -1.8480591}};
    for (int row = 0; row < 3; row++) {
        double expected[8];
        for (int i = 0; i < 8; i++) {
            expected[i] = rows[row][rewards[i] == 0 ? 0 : rewards[i] == -1 ? 1 : 2];
        }
        ag_case c = one_group(NULL, rewards, 8);
        c.d.advantage_dtype = MERIT_DTYPE_F64;
        if (row == 1) c.io.mask = all, c.io.stats_mask = without;
        if (row == 2) c.d.reward_low = -2;
        tk_case("row %d", row);
        ag_expect(tk, &c, expected, 1e-6);
    }
}

// About the centers of leave-one-out n/(n-1) cancels; mean of abs deviation 1.5.
TK_TEST(advantage_group, root_mean_square_and_mean_of_abs_deviations)
{
    const float rewards[] = {1, 2, 3, 6};
    const double root[] = {-0.9258201, -0.4629100, 0, 1.3887301};
    const double absolute[] = {-1.3333333, -.6666667, 0, 2};
    ag_case c = one_group("areal.loo", rewards, 4), d = one_group(NULL, rewards, 4);
    ag_expect(tk, &c, root, 1e-6);
    d.d.scale = MERIT_SCALE_MEAN_ABS;
    ag_expect(tk, &d, absolute, 1e-6);
}

// s = 1/2: max(.5, 1) = 1; sqrt(.25 + .75) = 1; sqrt(max(.25, 4)) = 2; .5 + .5 = 1.
TK_TEST(advantage_group, eps_rules)
{
    const float rewards[] = {0, 0, 1, 1};
    static const struct {
        int rule;
        double eps, a;
    } rows[] = {{MERIT_EPS_RULE_FLOOR, 1, .5},
                {MERIT_EPS_RULE_ROOT, .75, .5},
                {MERIT_EPS_RULE_ROOT_FLOOR, 4, .25},
                {MERIT_EPS_RULE_ADD, .5, .5}};
    for (int i = 0; i < 4; i++) {
        const double a = rows[i].a, expected[] = {-a, -a, a, a};
        ag_case c = one_group(NULL, rewards, 4);
        c.d.ddof = 0;
        c.d.eps_rule = rows[i].rule;
        c.d.eps = rows[i].eps;
        tk_case("rule %d", rows[i].rule);
        ag_expect(tk, &c, expected, 0);
    }
}

TK_TEST(advantage_group, rational_rewards_maps_into_the_unit_interval)
{
    const float rewards[] = {1, 2, 3, 6};
    const double expected[] = {.2327530, .3663765, .5, .9008704};
    ag_case c = ag_uniform("rational_rewards", 1, 4, rewards);
    c.d.map_range = 2;
    ag_expect(tk, &c, expected, 1e-6);
}

// Deviation 3.4e-7.
TK_TEST(advantage_group, roll_agentic_zeroes_small_deviations)
{
    const float rewards[] = {1, 1 + 0x1p-21f};
    const double expected[] = {0, 0};
    ag_case c = ag_uniform("roll.agentic", 1, 2, rewards);
    ag_expect(tk, &c, expected, 0);
}

TK_TEST(advantage_group, a_large_offset_changes_no_bit)
{
    const double high[] = {0x1p20, 0x1p20 + 1, 0x1p20 + 2, 0x1p20 + 3}, low[] = {0, 1, 2, 3};
    const double expected[] = {-1.1618950, -.3872983, .3872983, 1.1618950};
    ag_case c = one_group(NULL, NULL, 4);
    c.d.reward_dtype = c.d.advantage_dtype = MERIT_DTYPE_F64;
    c.io.rewards = high;
    ag_case d = c;
    d.io.rewards = low;
    ag_expect(tk, &c, expected, 1e-7);
    ag_expect_same(tk, &c, &d, NULL);
}

// Columns (1,0,0,1) and (0,0,10,10): each normalized to +-.8660254 first, or added to 1,0,10,11.
TK_TEST(advantage_group, columns_are_normalized_before_or_after_the_sum)
{
    const float rewards[] = {1, 0, 0, 0, 0, 10, 1, 10};
    const double normalized[] = {0, -1.7320508, 0, 1.7320508};
    const double combined[] = {-.7755547, -.9479002, .7755547, .9479002};
    ag_case c = one_group(NULL, rewards, 4);
    c.d.num_columns = 2;
    c.d.columns = MERIT_COLUMNS_NORMALIZE_FIRST;
    ag_expect(tk, &c, normalized, 1e-7);
    ag_result r = ag_run(tk, &c);
    TK_EXPECT(fabs(r.values[0]) <= 1e-15 && fabs(r.values[2]) <= 1e-15, "no zeros: %g %g",
              r.values[0], r.values[2]);
    ag_free(&r);
    c.d.columns = MERIT_COLUMNS_COMBINE_FIRST;
    ag_expect(tk, &c, combined, 1e-6);
}

// Trajectories .9, 0 give +-.45; turns add half their centered rewards: -1, 1 and 0 (alone).
TK_TEST(advantage_group, two_levels_add_up)
{
    const float trajectories[] = {.9f, 0}, turns[] = {1, 3, 2};
    const double outer[] = {.45, -.45}, inner[] = {-.05, .95, -.45};
    const int64_t offsets[] = {0, 2, 3};
    const int32_t trajectory_of[] = {0, 0, 1};
    ag_case first = one_group("verpo", trajectories, 2);
    ag_expect(tk, &first, outer, 1e-6);
    ag_result r = ag_run(tk, &first);
    ag_case second = ag_uniform("verpo", 2, 0, turns);
    second.d.groups.offsets = offsets;
    second.d.num_rows = 3;
    second.d.gain = .5f;
    second.io.add = r.advantages;
    second.io.num_add = 2;
    second.io.add_index = trajectory_of;
    ag_expect(tk, &second, inner, 1e-6);
    ag_free(&r);
}
