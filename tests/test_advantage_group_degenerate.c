// advantage_group on degenerate, bad and adversarial input: each row of the page's table, and what
// every preset makes of equal rewards and of a lone member.
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "advantage_case.h"

#define NUM(array) ((int64_t)(sizeof(array) / sizeof((array)[0])))

static uint64_t counted(const ag_result *r, int counter)
{
    return r->diagnostics.count[counter];
}

TK_TEST(advantage_group, nothing_to_do_is_ok_and_reads_no_pointer)
{
    for (int i = 0; i < 4; i++) {
        const int64_t offsets[1] = {0};
        ag_case c = ag_uniform(i < 2 ? "grpo" : "trl.batch", 0, i % 2 == 0 ? 8 : 0, NULL);
        if (i % 2 == 1) c.d.groups.offsets = offsets;
        merit_advantage_group_io io = {.struct_size = sizeof io};
        size_t bytes = 1;
        tk_expect_ok(tk->ctx, merit_advantage_group_workspace(tk->ctx, &c.d, &bytes));
        TK_EXPECT(bytes == 0, "an empty call wants %zu bytes", bytes);
        tk_expect_ok(tk->ctx, merit_advantage_group(tk->ctx, &c.d, &io, NULL, 0, NULL));
        c.d.num_rows = 16; // rows, but no groups
        ag_result r = ag_run(tk, &c);
        tk_expect_ok(tk->ctx, r.status);
        ag_expect_untouched(&c, &r);
        ag_free(&r);
    }
}

// First, between, last; the others keep the bits they have without them.
TK_TEST(advantage_group, empty_groups_get_an_empty_record)
{
    const float rewards[] = {1, 2, 6, 0, 1};
    const int64_t offsets[] = {0, 0, 3, 3, 3, 5, 5}, without[] = {0, 3, 5};
    for (int batch = 0; batch < 2; batch++) {
        ag_case c = ag_uniform(batch ? "trl.batch" : "grpo", 6, 0, rewards);
        c.d.num_rows = 5, c.d.groups.offsets = offsets, c.d.expected_size = 3;
        ag_case dense = c;
        dense.d.groups.num_groups = 2, dense.d.groups.offsets = without;
        if (!batch) ag_expect_same(tk, &c, &dense, NULL);
        ag_check(tk, &c);
        ag_result r = ag_run(tk, &c);
        for (int n = 0; n < 6; n++) {
            if (n == 1 || n == 4) continue;
            TK_EXPECT(r.group_count[n] == 0 && r.group_flags[n] == MERIT_GROUP_FLAG_EMPTY &&
                          isnan(r.group_mean[n]) && isnan(r.group_scale[n]) &&
                          isnan(r.group_min[n]) && isnan(r.group_max[n]),
                      "group %d: count %d, flags %d, mean %g, scale %g", n, r.group_count[n],
                      r.group_flags[n], r.group_mean[n], r.group_scale[n]);
        }
        TK_EXPECT(counted(&r, MERIT_COUNTER_INCOMPLETE_GROUP) == 1, "an empty group is incomplete");
        ag_free(&r);
    }
}

TK_TEST(advantage_group, members_without_statistics_are_nan_and_counted)
{
    const float rewards[] = {1, 2, 3, 4}, baseline[] = {1, 1, 1, 1};
    const uint8_t nobody[] = {0, 0, 0, 0};
    const double nans[] = {NAN, NAN, NAN, NAN}, raw[] = {1, 2, 3, 4},
                 over_baseline[] = {0, 1, 2, 3};
    static const char *const need[] = {"grpo", "rloo",   "dr_grpo",   "verl.passk", "arena_rl",
                                       "jepo", "tilted", "trl.batch", "nemo.grpo",  "areal.loo"};
    for (int p = 0; p < NUM(need); p++) {
        ag_case c = ag_uniform(need[p], 2, 2, rewards);
        c.io.stats_mask = nobody;
        c.d.temperature = 1;
        tk_case("%s", need[p]);
        ag_expect(tk, &c, nans, 0);
        ag_result r = ag_run(tk, &c);
        TK_EXPECT(counted(&r, MERIT_COUNTER_NO_STATISTICS) == 2, "counter");
        TK_EXPECT(r.group_flags[0] == MERIT_GROUP_FLAG_EMPTY && r.keep[0] == 0, "flags, keep");
        ag_free(&r);
    }
    ag_case c = ag_uniform("dr_grpo", 2, 2, rewards);
    c.io.stats_mask = nobody;
    c.d.center = MERIT_CENTER_NONE;
    ag_expect(tk, &c, raw, 0);
    c.d.center = MERIT_CENTER_BASELINE;
    c.io.baseline = baseline;
    ag_expect(tk, &c, over_baseline, 0);
}

TK_TEST(advantage_group, a_nan_takes_its_group_and_no_other)
{
    const float rewards[] = {1, NAN, 0, 1, 1, 0, INFINITY, 1, 0, 1, 1, 0};
    const double scaled[] = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, -1, 1, 1, -1};
    const double centered[] = {NAN, NAN,       NAN, NAN, -INFINITY, -INFINITY,
                               NAN, -INFINITY, -.5, .5,  .5,        -.5};
    ag_case c = ag_uniform("grpo", 3, 4, rewards);
    c.d.ddof = 0, c.d.eps = 0;
    ag_expect(tk, &c, scaled, 0);
    ag_result r = ag_run(tk, &c);
    TK_EXPECT(counted(&r, MERIT_COUNTER_NAN_IN) == 1 && counted(&r, MERIT_COUNTER_INF_IN) == 1,
              "counters");
    TK_EXPECT(r.group_flags[0] == MERIT_GROUP_FLAG_NONFINITE &&
                  r.group_flags[1] == MERIT_GROUP_FLAG_NONFINITE && r.group_flags[2] == 0,
              "flags %d %d %d", r.group_flags[0], r.group_flags[1], r.group_flags[2]);
    ag_free(&r);
    c.d.scale = MERIT_SCALE_NONE;
    ag_expect(tk, &c, centered, 0);
}

TK_TEST(advantage_group, a_nan_in_the_batch_takes_every_group_unless_skipped)
{
    const float rewards[] = {1, NAN, 0, 1, 0, 1, 1, 0};
    const double nans[] = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    ag_case c = ag_uniform("trl.batch", 2, 4, rewards);
    c.d.invalid = MERIT_INVALID_PROPAGATE;
    ag_expect(tk, &c, nans, 0);
    c.d.invalid = MERIT_INVALID_SKIP_NAN;
    ag_check(tk, &c);
    ag_result r = ag_run(tk, &c);
    TK_EXPECT(r.values[1] == 0 && !signbit(r.values[1]) && r.keep[1] == 0 && !isnan(r.values[0]),
              "skipped: %g", r.values[1]);
    TK_EXPECT(r.batch->count == 7, "count %g", r.batch->count);
    ag_free(&r);
}

TK_TEST(advantage_group, rows_in_no_group_are_nan_and_counted)
{
    const float rewards[] = {9, 1, 0, 9, 9};
    const int64_t offsets[] = {1, 3};
    const int32_t index[] = {4, 2, 1, 0, 3};
    const double straight[] = {NAN, .5, -.5, NAN, NAN}, indexed[] = {NAN, .5, -.5, NAN, NAN};
    ag_case c = ag_uniform("dr_grpo", 1, 0, rewards);
    c.d.num_rows = 5, c.d.groups.offsets = offsets;
    ag_expect(tk, &c, straight, 0);
    c.d.groups.index = index;
    ag_expect(tk, &c, indexed, 0);
    ag_result r = ag_run(tk, &c);
    TK_EXPECT(counted(&r, MERIT_COUNTER_UNGROUPED) == 3 && r.keep[0] == 0, "counter");
    ag_free(&r);
    ag_case uniform = ag_uniform("dr_grpo", 2, 2, rewards);
    const double last[] = {4, -4, -4.5, 4.5, NAN};
    uniform.d.num_rows = 5;
    ag_expect(tk, &uniform, last, 0);
}

// Group 1 ends beyond the rows, group 2 starts there; a decreasing pair; a bad index entry.
TK_TEST(advantage_group, bad_offsets_and_indices_are_nan_and_counted)
{
    const float rewards[] = {1, 0, 3, 4, 5, 6};
    const int64_t beyond[] = {0, 2, 100, 6}, decreasing[] = {0, 2, -3, -3}, fine[] = {0, 2, 6};
    const int32_t index[] = {0, 1, 2, 6, 4, 5}, negative[] = {0, 1, 2, INT32_MIN, 4, 5};
    const double expected[] = {.5, -.5, NAN, NAN, NAN, NAN};
    ag_case c = ag_uniform("dr_grpo", 3, 0, rewards);
    c.d.num_rows = 6, c.d.groups.offsets = beyond;
    ag_expect(tk, &c, expected, 0);
    ag_result r = ag_run(tk, &c);
    TK_EXPECT(counted(&r, MERIT_COUNTER_BAD_OFFSETS) == 2, "counter");
    TK_EXPECT(isnan(r.group_mean[1]) && r.group_count[1] == 0 && r.group_flags[1] == 0, "record");
    ag_free(&r);
    c.d.groups.offsets = decreasing;
    r = ag_run(tk, &c);
    TK_EXPECT(counted(&r, MERIT_COUNTER_BAD_OFFSETS) == 2, "counter");
    TK_EXPECT(r.values[0] == .5 && r.values[1] == -.5, "the good group");
    ag_free(&r);
    for (int i = 0; i < 2; i++) {
        ag_case bad = ag_uniform("dr_grpo", 2, 0, rewards);
        bad.d.num_rows = 6, bad.d.groups.offsets = fine;
        bad.d.groups.index = i == 0 ? index : negative;
        ag_check(tk, &bad); // row 3 is nobody's
        r = ag_run(tk, &bad);
        TK_EXPECT(counted(&r, MERIT_COUNTER_BAD_INDEX) == 1 && isnan(r.values[4]), "counter");
        ag_free(&r);
    }
}

TK_TEST(advantage_group, an_add_index_out_of_range_is_nan_and_counted)
{
    const float rewards[] = {1, 0, 1, 0}, add[] = {10, 20};
    const int32_t index[] = {0, 2, -1, 1};
    const double expected[] = {10.5, NAN, NAN, 19.5};
    ag_case c = ag_uniform("dr_grpo", 1, 4, rewards);
    c.io.add = add, c.io.num_add = 2, c.io.add_index = index;
    ag_expect(tk, &c, expected, 0);
    ag_result r = ag_run(tk, &c);
    TK_EXPECT(counted(&r, MERIT_COUNTER_BAD_INDEX) == 2 && r.keep[1] == 0, "counter");
    ag_free(&r);
}

TK_TEST(advantage_group, a_row_listed_twice_counts_twice)
{
    const float rewards[] = {1, 4};
    const int64_t offsets[] = {0, 3};
    const int32_t index[] = {0, 0, 1};
    ag_case c = ag_uniform("dr_grpo", 1, 0, rewards);
    c.d.num_rows = 3, c.d.groups.offsets = offsets, c.d.groups.index = index;
    const float three[] = {1, 4, 99};
    c.io.rewards = three;
    ag_result r = ag_run(tk, &c);
    tk_expect_ok(tk->ctx, r.status);
    TK_EXPECT(r.group_count[0] == 3 && r.group_mean[0] == 2 && r.values[0] == -1 &&
                  r.values[1] == 2,
              "count %d, mean %g", r.group_count[0], r.group_mean[0]);
    ag_free(&r);
}

// 4097 members: too many to compare all pairs; or more than max_size.
TK_TEST(advantage_group, groups_that_are_too_large_are_nan_and_counted)
{
    static float rewards[4099];
    static const char *const pairs[] = {"nemo.grpo", "arena_rl", "jepo"};
    const int64_t offsets[] = {0, 4097, 4099}, small[] = {0, 5, 7};
    for (int p = 0; p < 4; p++) {
        ag_case c = ag_uniform(p < 3 ? pairs[p] : "grpo", 2, 0, rewards);
        const int first = p < 3 ? 4097 : 5;
        rewards[first] = 0, rewards[first + 1] = 1;
        c.d.num_rows = first + 2;
        c.d.groups.offsets = p < 3 ? offsets : small;
        c.d.groups.max_size = p < 3 ? 0 : 4;
        tk_case("row %d", p);
        ag_check(tk, &c);
        ag_result r = ag_run(tk, &c);
        TK_EXPECT(counted(&r, MERIT_COUNTER_GROUP_TOO_LARGE) == 1, "counter");
        TK_EXPECT(isnan(r.values[0]) && isnan(r.values[first - 1]) && r.values[first + 1] != 0,
                  "values %g %g", r.values[0], r.values[first + 1]);
        ag_free(&r);
        rewards[first] = rewards[first + 1] = 0;
    }
}

TK_TEST(advantage_group, groups_of_another_size_are_flagged_and_computed)
{
    const float rewards[] = {1, 0, 1, 0, 1, 0, 1};
    const int64_t offsets[] = {0, 4, 7};
    ag_case c = ag_uniform("dr_grpo", 2, 0, rewards);
    c.d.num_rows = 7, c.d.groups.offsets = offsets, c.d.expected_size = 4;
    ag_check(tk, &c);
    ag_result r = ag_run(tk, &c);
    TK_EXPECT(r.group_flags[0] == 0 && r.group_flags[1] == MERIT_GROUP_FLAG_INCOMPLETE &&
                  counted(&r, MERIT_COUNTER_INCOMPLETE_GROUP) == 1,
              "flags %d %d", r.group_flags[0], r.group_flags[1]);
    ag_free(&r);
}

// Adversarial values ------------------------------------------------------------------------------

TK_TEST(advantage_group, extreme_values_neither_overflow_nor_vanish)
{
    const float huge[] = {FLT_MAX, -FLT_MAX, FLT_MAX, -FLT_MAX}, tiny[] = {1e-45f, 0, 1e-45f, 0};
    const float outlier[] = {1e20f, .1f, .1f, .1f, .1f}, minus[] = {-0.f, 0.f, -0.f, -0.f};
    const double signs[] = {1, -1, 1, -1}, zeros[] = {0, 0, 0, 0};
    ag_case c = ag_uniform("oi.standard", 1, 4, huge);
    c.d.eps = 0;
    ag_expect(tk, &c, signs, 0);
    c.io.rewards = tiny;
    ag_expect(tk, &c, signs, 0);
    c.io.rewards = minus;
    ag_expect(tk, &c, zeros, 0);
    ag_result r = ag_run(tk, &c);
    TK_EXPECT(!signbit(r.values[0]) && r.group_flags[0] == MERIT_GROUP_FLAG_ALL_EQUAL, "-0");
    ag_free(&r);
    // The others of the outlier are equal: deviation exactly 0, so it stays as it is.
    ag_case d = ag_uniform("nemo.grpo", 1, 5, outlier);
    ag_check(tk, &d);
    r = ag_run(tk, &d);
    TK_EXPECT(r.values[0] == 1e20f, "the outlier is %g", r.values[0]);
    ag_free(&r);
}

TK_TEST(advantage_group, a_column_of_nan_is_left_out_when_skipped)
{
    const float rewards[] = {1, NAN, 0, NAN, 0, NAN, 1, NAN}; // [4,2]
    const double expected[] = {.8660254, -.8660254, -.8660254, .8660254};
    for (int mode = MERIT_COLUMNS_COMBINE_FIRST; mode <= MERIT_COLUMNS_SEPARATE; mode++) {
        ag_case c = ag_uniform("trl.gdpo", 1, 4, rewards);
        c.d.eps = 0, c.d.num_columns = 2, c.d.columns = mode;
        tk_case("columns %d", mode);
        ag_check(tk, &c);
        if (mode != MERIT_COLUMNS_SEPARATE) ag_expect(tk, &c, expected, 1e-7);
    }
}

// Presets -----------------------------------------------------------------------------------------

static void set_required(ag_case *c)
{
    static const float zeros[128];
    if (isnan(c->d.map_range)) c->d.map_range = 1;
    if (isnan(c->d.temperature)) c->d.temperature = 1;
    if (c->d.center == MERIT_CENTER_BASELINE) c->io.baseline_per_group = zeros;
}

TK_TEST(advantage_group, equal_rewards_give_zero_under_every_preset_that_divides_by_a_deviation)
{
    const char *preset;
    float rewards[64];
    int tested = 0;
    for (int i = 0; i < 64; i++) {
        rewards[i] = i < 32 ? .1f : 3.3f;
    }
    for (int i = 0; (preset = merit_advantage_group_preset_name(i)) != NULL; i++) {
        for (int e = 0; e < 3; e++) {
            ag_case c = ag_uniform(preset, 4, 16, rewards);
            if (c.d.scale != MERIT_SCALE_STD && c.d.scale != MERIT_SCALE_RMS &&
                c.d.scale != MERIT_SCALE_LEAVE_ONE_OUT_STD)
                break;
            set_required(&c);
            c.d.map = MERIT_MAP_IDENTITY; // UNIT makes 1/2 of it
            c.d.eps = e == 0 ? 0 : e == 1 ? 1e-300 : 1e-6;
            ag_result r = ag_run(tk, &c);
            for (int j = 0; j < 64; j++) {
                TK_EXPECT(r.values[j] == 0 && !signbit(r.values[j]), "%s, eps %g: %g", preset,
                          c.d.eps, r.values[j]);
            }
            ag_free(&r);
            tested++;
        }
    }
    TK_EXPECT(tested >= 60, "only %d", tested);
}

// The singleton column of the presets: 0, r, r / (1 + eps) or NaN for a lone reward r.
TK_TEST(advantage_group, a_lone_member_gets_what_its_preset_says)
{
    static const struct {
        const char *presets, *rule;
    } rows[] = {
        {"grpo dr_grpo prime oi.centered verpo harmo critique_grpo rloo verl.rloo_vectorized "
         "skyrl.rloo trl.group trl.none trl.rloo trl.gdpo swift.grpo swift.rloo "
         "swift.gdpo nemo.grpo nemo.grpo_all nemo.gdpo nemo.rf_pp slime roll.agentic areal "
         "oi.standard rlk maxrl rltf arena_rl par.grpo jepo",
         "zero"},
        {"verl.dr_grpo verl.rf_pp_baseline verl.rloo verl.opo opo skyrl.maxrl", "raw"},
        {"verl.grpo verl.grpo_vectorized skyrl.grpo verl.gdpo areal.loo gpg verl.gpg", "unit"},
        {"orlhf.dr_grpo orlhf.reinforce_baseline verl.passk orlhf.group_norm orlhf.rloo roll",
         "nan"},
    };
    const float reward[] = {.75f};
    int tested = 0;
    for (int row = 0; row < NUM(rows); row++) {
        char list[600], *rest = NULL;
        snprintf(list, sizeof list, "%s", rows[row].presets);
        for (char *name = strtok_r(list, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
            ag_case c = ag_uniform(name, 1, 1, reward);
            const double expected = row == 0   ? 0
                                    : row == 1 ? .75
                                    : row == 2 ? .75 / (1 + c.d.eps)
                                               : NAN;
            tk_case("%s: %s", name, rows[row].rule);
            ag_expect(tk, &c, &expected, 1e-7);
            ag_result r = ag_run(tk, &c);
            TK_EXPECT(counted(&r, MERIT_COUNTER_SINGLETON) == (uint64_t)(row == 3), "counter");
            TK_EXPECT(r.group_flags[0] & MERIT_GROUP_FLAG_SINGLETON, "flag");
            ag_free(&r);
            tested++;
        }
    }
    // The rest have a rule that the row does not show: SIGN of 0, UNIT of 0, softmax of one.
    const double tie = -1, half = .5, whole = 1;
    ag_case brpo = ag_uniform("brpo", 1, 1, reward);
    ag_case unit = ag_uniform("rational_rewards", 1, 1, reward);
    ag_case soft = ag_uniform("tilted", 1, 1, reward);
    unit.d.map_range = soft.d.temperature = 1;
    ag_expect(tk, &brpo, &tie, 0);
    ag_expect(tk, &unit, &half, 0);
    ag_expect(tk, &soft, &whole, 0);
    int presets = 0;
    while (merit_advantage_group_preset_name(presets) != NULL) {
        presets++;
    }
    // Besides these three: trl.batch (its level has one member, too) and remax (no statistics).
    TK_EXPECT(tested + 5 == presets, "%d of %d presets", tested, presets);
}
