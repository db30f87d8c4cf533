// preference_list: numbers worked by hand.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "list_case.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof((array)[0])))

// By hand -----------------------------------------------------------------------------------------

TK_TEST(preference_list, cross_entropy_by_hand)
{
    const float s[] = {1, 2, 0, 2};
    const int32_t first = 0, second = 1;
    const double g[] = {0.146962798510, -0.600513695350, 0.054064592189, 0.399486304650};
    list_case c = list_one("yojo", s, 4);
    c.io.target_index = &second;
    list_expect(tk, &c, 0.917575795589, g);
    const float two[] = {2, 0};
    const double g2[] = {-0.119202922022, 0.119202922022};
    c = list_one("yojo", two, 2);
    c.io.target_index = &first;
    list_expect(tk, &c, 0.126928011043, g2);
    const float rising[] = {0, 1, 2}, weights[] = {0, 1, 1};
    const double g3[] = {0.09003057317, -0.255271528945, 0.165240955775};
    c = list_one("op_gfn", rising, 3);
    c.io.weights = weights;
    list_expect(tk, &c, 0.907605964444, g3);
    const int32_t third = 2;
    const double g4[] = {0.056697239837, 0.211395137721, -0.268092377559};
    c = list_one("yojo", rising, 3);
    c.io.target_index = &third;
    c.d.smoothing = 0.1f;
    list_expect(tk, &c, 0.507605964444, g4);
    const double g5[] = {0.031752479953, 0.234620855652, -0.266373335605};
    c.d.smoothing = 0;
    c.d.tau = 0.5f;
    list_expect(tk, &c, 0.142931628500, g5);
}

TK_TEST(preference_list, plackett_luce_by_hand)
{
    const float s[] = {0.5f, -0.5f, 1};
    const int32_t ranks[] = {1, 2, 0};
    const double top[] = {0.331498960424, 0.121951652310, -0.453450612734};
    const double all[] = {0.062557539054, 0.390893073680, -0.453450612734};
    list_case c = list_one("plackett_luce", s, 3);
    c.io.ranks = ranks;
    c.d.top_k = 1;
    list_expect(tk, &c, 0.604130605337, top);
    c.d.top_k = 0;
    list_expect(tk, &c, 0.917392292855, all);
    const float equal[] = {3, 3, 3, 3};
    const int32_t order[] = {2, 0, 1, 3};
    c = list_one("listmle", equal, 4);
    c.io.ranks = order;
    list_expect(tk, &c, 3.17805383035, NULL);
    const float falling[] = {1, 0, -1};
    const int32_t tied[] = {0, 0, 1}, one[] = {0, -1, -1};
    const double g9[] = {0.330481911550, -0.510543057890, 0.180061146341};
    const double g10[] = {-0.334759044225, 0.244728471055, 0.090030573170};
    c = list_one("plackett_luce", falling, 3);
    c.io.ranks = tied;
    list_expect(tk, &c, 1.81521192889, g9);
    c.io.ranks = one;
    list_expect(tk, &c, 0.407605964444, g10);
}

TK_TEST(preference_list, all_pairs_by_hand)
{
    const float s[] = {1, 0, 0.5f, -1}, labels[] = {3, 1, 1, 2};
    const double sum[] = {-0.765685012190, 1, 1.195115144992, -1.429430132802};
    double mean[4];
    for (int i = 0; i < 4; i++) {
        mean[i] = sum[i] / 5;
    }
    list_case c = list_one("instruct_gpt", s, 4);
    c.io.labels = labels;
    list_expect(tk, &c, 0.785788329648, mean);
    c.d.inner = MERIT_LIST_INNER_SUM;
    list_expect(tk, &c, 3.92894164824, sum);
}

TK_TEST(preference_list, anchored_sets_by_hand)
{
    const float s[] = {0.2f, -0.1f, 0.3f};
    const int8_t signs[] = {1, 1, -1};
    const double split[] = {-0.463612933482, -0.844757842203, 1.291312612452};
    const double product[] = {-0.549322341016, -1.000930565041, 1.550252906057};
    list_case c = list_one("real", s, 3);
    c.io.signs = signs;
    list_expect(tk, &c, 2.09934040102, split);
    c = list_one("real.product", s, 3);
    c.io.signs = signs;
    list_expect(tk, &c, 1.49221704823, product);
    const float two[] = {1, -1};
    const int8_t both[] = {1, -1};
    c = list_one("real", two, 2);
    c.d.tau = 1;
    c.io.signs = both;
    list_expect(tk, &c, 0.626523375036, NULL);
}

TK_TEST(preference_list, pointwise_by_hand)
{
    const float s[] = {1, 0, -1};
    const int8_t signs[] = {1, -1, -1};
    const double none[] = {-0.089647140457, 0.166666666667, 0.089647140457};
    const double mean[] = {-0.145202696012, 0.111111111111, 0.034091584901};
    const double loo[] = {-0.174546095237, 0.166666666667, 0.007879428570};
    list_case c = list_one("pacs", s, 3);
    c.io.signs = signs;
    c.d.tau = 1;
    list_expect(tk, &c, 0.365324578842, loo);
    c.d.center = MERIT_LIST_CENTER_MEAN;
    list_expect(tk, &c, 0.439890185199, mean);
    c.d.center = MERIT_LIST_CENTER_NONE;
    list_expect(tk, &c, 0.439890185199, none);
}

TK_TEST(preference_list, ties_count_against_the_positive)
{
    const float s[] = {1, 2, 2, 0};
    const int8_t signs[] = {-1, 1, -1, -1};
    list_case c = list_one("real.bce", s, 4);
    c.io.signs = signs;
    list_result r = list_run(tk, &c);
    TK_EXPECT(r.metrics.groups == 1 && r.metrics.ranked == 1, "one group");
    TK_EXPECT(r.metrics.one_to_many_strict == 0 && r.metrics.one_to_many_tie == 1, "a tie");
    TK_EXPECT(r.metrics.sum_reciprocal_rank == 0.5, "%g", r.metrics.sum_reciprocal_rank);
    list_free(&r);
}
