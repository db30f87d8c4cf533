// advantage_group against the oracle: sizes around every schedule's limits, random options.
#include <math.h>
#include <stdlib.h>

#include "advantage_random.h"

// Random calls ------------------------------------------------------------------------------------

static void compare_random_calls(tk_fixture *tk, int first, int count, int64_t max_rows)
{
    for (int i = first; i < first + count; i++) {
        tk_random random = {.state = (uint64_t)i * 0x100000001b3u};
        ag_random r = ag_random_case(&random, max_rows);
        tk->shift = (int)tk_below(&random, 3);
        tk_case("random call %d of up to %lld rows: %s", i, (long long)max_rows, ag_describe(&r.c));
        ag_check(tk, &r.c);
        ag_random_free(&r);
    }
    tk->shift = 0;
}

TK_TEST(advantage_group, random_options_match_the_oracle)
{
    compare_random_calls(tk, 0, (tk->kind == TK_SIMT ? 1200 : 3000) / TK_RARER, 150);
}

TK_TEST(advantage_group, random_options_match_the_oracle_on_large_groups)
{
    compare_random_calls(tk, 100000, (tk->kind == TK_SIMT ? 40 : 150) / TK_RARER, 6000);
}

// Sizes -------------------------------------------------------------------------------------------

static const int64_t sizes[] = {1,   2,   3,   5,    8,    16,   31,   32,   33,
                                255, 256, 257, 1024, 2048, 2049, 4096, 4097, 70000};
enum { NUM_SIZES = sizeof sizes / sizeof sizes[0] };

typedef enum layout { UNIFORM, STRIDED, OFFSETS, INDEX } layout;

// A preset on groups of about `size`, then compared.
static void compare_sizes(tk_fixture *tk, const char *preset, int64_t size, layout shape)
{
    tk_random random = {.state = (uint64_t)size + 1000u * (unsigned)shape};
    ag_random r = {.c = ag_uniform(preset, 0, 0, NULL)};
    merit_advantage_group_desc *const d = &r.c.d;
    const int64_t groups = size > 300 ? 2 : 11;
    if (shape == UNIFORM || shape == STRIDED) {
        d->groups.num_groups = size > 4097 ? 1 : groups;
        d->groups.group_size = size;
        d->groups.group_stride = shape == STRIDED ? size + 3 : 0;
        d->num_rows = d->groups.num_groups * (size + (shape == STRIDED ? 3 : 0));
    } else {
        int64_t ragged[12];
        for (int64_t n = 0; n <= groups; n++) { // up to `size`, with empty ones
            ragged[n] = n == 1       ? size
                        : n % 4 == 0 ? 0
                                     : tk_below(&random, size < 300 ? size + 1 : 9);
        }
        ag_random_offsets(&r, &random, ragged, groups + 1, shape == INDEX);
        d->groups.max_size = tk_chance(&random, .5) ? size : 0;
    }
    if (isnan(d->map_range)) d->map_range = 2;
    if (isnan(d->temperature)) d->temperature = .5f;
    if (d->center == MERIT_CENTER_BASELINE) {
        r.c.io.baseline_per_group = ag_random_own(&r, d->groups.num_groups, sizeof(float));
    }
    ag_random_rewards(&r, &random, 0);
    tk_case("%s, size %lld, layout %d", preset, (long long)size, shape);
    ag_check(tk, &r.c);
    ag_random_free(&r);
}

// What a combination costs: every member against every other, some with an exponential each.
static int is_worth_it(tk_kind kind, const ag_case *c, int size_at, layout shape)
{
    const int64_t size = sizes[size_at];
    const int exponentials = c->d.transform == MERIT_TRANSFORM_LEAVE_ONE_OUT_LME;
    const int pairs = exponentials || c->d.transform == MERIT_TRANSFORM_RANK ||
                      c->d.scale == MERIT_SCALE_LEAVE_ONE_OUT_STD;
    if (pairs && size > 4096 && (shape == UNIFORM || shape == STRIDED)) return 0; // rejected
    if (pairs && size > 300 && size <= 4096 && shape != OFFSETS) return 0;
    if (exponentials && size > 1024 && size <= 4096) return 0;
    if (kind == TK_SIMT && exponentials && size > 33 && shape != OFFSETS) return 0;
    if (kind == TK_SIMT && pairs && size > 33 && (size_at + (int)shape) % 2 != 0) return 0;
    return kind != TK_SIMT || size <= 300 || (!pairs && (size_at + (int)shape) % 4 == 0);
}

static void compare_all_sizes(tk_fixture *tk, const char *const *presets)
{
    for (; *presets != NULL; presets++) {
        const ag_case c = ag_uniform(*presets, 0, 0, NULL);
        for (int i = 0; i < NUM_SIZES; i++) {
            for (layout shape = UNIFORM; shape <= INDEX; shape++) {
                if ((i + (int)shape) % TK_RARER == 0 && is_worth_it(tk->kind, &c, i, shape)) {
                    compare_sizes(tk, *presets, sizes[i], shape);
                }
            }
        }
    }
}

TK_TEST(advantage_group, group_sizes_around_every_limit_grpo)
{
    compare_all_sizes(tk, (const char *const[]){"grpo", "rloo", "areal.loo", NULL});
}

TK_TEST(advantage_group, group_sizes_around_every_limit_batch)
{
    compare_all_sizes(tk, (const char *const[]){"trl.batch", "gpg", NULL});
}

TK_TEST(advantage_group, group_sizes_around_every_limit_pairs)
{
    compare_all_sizes(tk, (const char *const[]){"nemo.grpo", "arena_rl", "jepo", NULL});
}

TK_TEST(advantage_group, group_sizes_around_every_limit_others)
{
    compare_all_sizes(tk, (const char *const[]){"verl.passk", "tilted", "maxrl", "remax", NULL});
}

// Every preset on small groups, ragged ones among them.
TK_TEST(advantage_group, every_preset_matches_the_oracle)
{
    const char *preset;
    for (int i = 0; (preset = merit_advantage_group_preset_name(i)) != NULL; i++) {
        compare_sizes(tk, preset, 7, UNIFORM);
        compare_sizes(tk, preset, 40, INDEX);
    }
}

// Above 65536 the group is spread over blocks: all that takes one more pass over it.
TK_TEST(advantage_group, a_group_of_seventy_thousand_under_other_scales_and_columns)
{
    static const int scales[] = {MERIT_SCALE_STD, MERIT_SCALE_RMS, MERIT_SCALE_MEAN_ABS};
    for (int i = 0; i < 3; i++) {
        tk_random random = {.state = 70 + (uint64_t)i};
        ag_random r = {.c = ag_uniform(NULL, 1, 70000, NULL)};
        r.c.d.scale = scales[i];
        r.c.d.num_columns = 2;
        r.c.d.columns = i;
        ag_random_rewards(&r, &random, 0);
        tk_case("scale %d, columns %d", scales[i], i);
        if (tk->kind != TK_SIMT || i == 0) ag_check(tk, &r.c);
        ag_random_free(&r);
    }
}

// Decreasing offsets can make more large groups than can lie side by side: every second one is sound, and
// overlaps the others. What of them the list of large groups has no room for, a block takes alone. No
// order is kept among groups that write one row.
TK_TEST(advantage_group, large_groups_that_overlap_are_each_what_they_are_alone)
{
    static const int64_t offsets[] = {0, 70000, 5000, 75000, 9000, 79000, 10000, 80000};
    enum { GROUPS = sizeof offsets / sizeof offsets[0] - 1 };
    for (int level = 0; level < 2; level++) {
        tk_random random = {.state = 90 + (uint64_t)level};
        ag_random r = {.c = ag_uniform(NULL, 1, 80000, NULL)};
        ag_random_rewards(&r, &random, 0);
        r.c.d.groups = (merit_groups){.num_groups = GROUPS, .offsets = offsets};
        r.c.d.scale_level = level == 0 ? MERIT_LEVEL_GROUP : MERIT_LEVEL_BATCH;
        r.c.outputs = AG_COUNT | AG_MEAN | AG_SCALE | AG_MIN | AG_MAX | AG_FLAGS | AG_DIAGNOSTICS;
        if (level == 1) r.c.outputs |= AG_BATCH;
        r.c.repeats = 1; // the first call leaves its tickets at 0
        tk_case("level %d", level);
        ag_result all = ag_run(tk, &r.c); // the same bits on every backend
        TK_EXPECT(all.diagnostics.count[MERIT_COUNTER_BAD_OFFSETS] == 2 * (GROUPS / 2), "%llu",
                  (unsigned long long)all.diagnostics.count[MERIT_COUNTER_BAD_OFFSETS]);
        for (int g = 0; g < GROUPS && level == 0; g += 2) {
            r.c.d.groups = (merit_groups){.num_groups = 1, .offsets = offsets + g};
            ag_result alone = ag_run(tk, &r.c);
            tk_expect_bits(all.group_count + g, alone.group_count, 1, 4);
            tk_expect_bits(all.group_mean + g, alone.group_mean, 1, 8);
            tk_expect_bits(all.group_scale + g, alone.group_scale, 1, 8);
            tk_expect_bits(all.group_min + g, alone.group_min, 1, 8);
            tk_expect_bits(all.group_max + g, alone.group_max, 1, 8);
            ag_free(&alone);
        }
        ag_free(&all);
        ag_random_free(&r);
    }
}
