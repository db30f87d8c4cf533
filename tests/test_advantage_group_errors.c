// advantage_group: every call that its header rejects, with the sentence, and nothing written.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "advantage_case.h"

enum { GROUPS = 3, SIZE = 4, ROWS = GROUPS * SIZE };

static const float rewards[ROWS * 2] = {1, 0, 2, 3, 0, 0, 1, 1, 5, 4, 3, 2};
static const float ones[ROWS] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
static const int64_t offsets[GROUPS + 1] = {0, 4, 8, 12};
static const int32_t indices[ROWS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
static const merit_moments moments[1] = {{10, 1, 5, 0, 5}};

static ag_case valid_case(void)
{
    return ag_uniform("grpo", GROUPS, SIZE, rewards);
}

// Rejected by the call, every output untouched; when the descriptor alone is to blame, by the
// workspace query, too.
#define expect_rejected(tk, c, of_desc, words) \
    expect_rejected_at(__FILE__, __LINE__, tk, c, of_desc, words)

static void expect_rejected_at(const char *file, int line, tk_fixture *tk, const ag_case *c,
                               int of_desc, const char *words)
{
    const ag_case valid = valid_case();
    ag_case direct = *c;
    direct.no_query = 1;
    direct.sized_by = &valid.d;
    ag_result r = ag_run(tk, &direct);
    tk_expect_rejected_at(file, line, tk->ctx, r.status, MERIT_STATUS_INVALID_ARGUMENT, words);
    tk_expect_rejected_at(file, line, tk->ctx, r.status, MERIT_STATUS_INVALID_ARGUMENT,
                          "merit_advantage_group: ");
    ag_expect_untouched_at(file, line, &valid, &r);
    ag_free(&r);
    size_t bytes = 12345;
    const merit_status status = merit_advantage_group_workspace(tk->ctx, &c->d, &bytes);
    tk_expect_rejected_at(file, line, tk->ctx, status,
                          of_desc ? MERIT_STATUS_INVALID_ARGUMENT : MERIT_STATUS_OK,
                          of_desc ? words : NULL);
    if (of_desc) TK_EXPECT(bytes == 12345, "bytes was written");
}

// One value of one int32 field; all of them around its range.
static void expect_range(tk_fixture *tk, size_t offset, const char *name, int32_t low, int32_t high)
{
    const int32_t bad[] = {low - 1, high + 1, INT32_MIN, INT32_MAX};
    for (int i = 0; i < 4; i++) {
        char words[96];
        ag_case c = valid_case();
        memcpy((char *)&c.d + offset, &bad[i], sizeof bad[i]);
        snprintf(words, sizeof words, "%s is %d|%d..%d", name, bad[i], low, high);
        expect_rejected(tk, &c, 1, words);
    }
}

#define RANGE(field, low, high) \
    expect_range(tk, offsetof(merit_advantage_group_desc, field), #field, low, high)

TK_TEST(advantage_group, unknown_enum_values_are_rejected)
{
    RANGE(reward_dtype, 0, 3);
    RANGE(advantage_dtype, 0, 1);
    RANGE(baseline_dtype, 0, 1);
    RANGE(columns, 0, 2);
    RANGE(transform, 0, 3);
    RANGE(rank_ties, 0, 2);
    RANGE(center, 0, 4);
    RANGE(center_level, 0, 2);
    RANGE(scale, 0, 6);
    RANGE(scale_level, 0, 2);
    RANGE(ddof, 0, 1);
    RANGE(eps_rule, 0, 3);
    RANGE(zero_rule, 0, 2);
    RANGE(singleton, 0, 3);
    RANGE(invalid, 0, 2);
    RANGE(map, 0, 2);
    RANGE(batch_record, 0, 1);
    RANGE(num_columns, 1, 1024);
}

#define REJECT(of_desc, words, ...)              \
    do {                                         \
        ag_case c = valid_case();                \
        __VA_ARGS__;                             \
        tk_case("%s", #__VA_ARGS__);             \
        expect_rejected(tk, &c, of_desc, words); \
    } while (0)

TK_TEST(advantage_group, numbers_out_of_range_are_rejected)
{
    REJECT(1, "eps is -1", c.d.eps = -1);
    REJECT(1, "eps is |nan", c.d.eps = NAN);
    REJECT(1, "zero_threshold is -0.5", c.d.zero_threshold = -.5);
    REJECT(1, "zero_threshold is |nan", c.d.zero_threshold = NAN);
    REJECT(1, "temperature is 0", c.d.temperature = 0);
    REJECT(1, "temperature is -2", c.d.temperature = -2);
    REJECT(1, "temperature is |nan", c.d.temperature = NAN);
    REJECT(1, "map_range is 0", c.d.map_range = 0);
    REJECT(1, "map_range is |nan", c.d.map_range = NAN);
    REJECT(1, "low is 2|high|1", c.d.low = 2, c.d.high = 1);
    REJECT(1, "low is |nan", c.d.low = NAN);
    REJECT(1, "low|high|nan", c.d.high = NAN);
    REJECT(1, "reward_low is 2|reward_high|1", c.d.reward_low = 2, c.d.reward_high = 1);
    REJECT(1, "reward_low|nan", c.d.reward_low = NAN);
    REJECT(1, "gain is NaN", c.d.gain = NAN);
    REJECT(1, "sign_tie is NaN", c.d.sign_tie = NAN);
    REJECT(1, "expected_size is -1", c.d.expected_size = -1);
}

// Presets whose value only the caller knows.
TK_TEST(advantage_group, a_value_that_a_preset_leaves_open_is_demanded)
{
    ag_case unit = ag_uniform("rational_rewards", GROUPS, SIZE, rewards);
    ag_case soft = ag_uniform("tilted", GROUPS, SIZE, rewards);
    expect_rejected(tk, &unit, 1, "map_range");
    expect_rejected(tk, &soft, 1, "temperature");
}

TK_TEST(advantage_group, sizes_and_strides_out_of_range_are_rejected)
{
    const int64_t most = INT64_MAX;
    REJECT(1, "num_rows is -1", c.d.num_rows = -1);
    REJECT(1, "num_columns is 1025|1..1024", c.d.num_columns = 1025);
    REJECT(1, "num_columns is 1048577|1..1048576", c.d.columns = MERIT_COLUMNS_SEPARATE,
           c.d.num_columns = (1 << 20) + 1);
    REJECT(1, "reward_row_stride is -1", c.d.reward_row_stride = -1);
    REJECT(1, "reward_column_stride is 0", c.d.num_columns = 2, c.d.reward_column_stride = 0);
    REJECT(1, "num_rows|strides", c.d.reward_row_stride = most);
    REJECT(1, "groups.num_groups is -1", c.d.groups.num_groups = -1);
    REJECT(1, "groups.group_size is -4", c.d.groups.group_size = -4);
    REJECT(1, "groups.max_size is -1", c.d.groups.max_size = -1);
    REJECT(1, "groups.group_stride is 3|4", c.d.groups.group_stride = 3);
    REJECT(1, "groups has 4 groups of 4|12 rows", c.d.groups.num_groups = 4);
    REJECT(1, "groups has", c.d.groups.num_groups = most);
    REJECT(1, "groups.offsets is NULL", c.d.groups.group_size = 0);
    REJECT(1, "groups.offsets or index is given", c.d.groups.offsets = offsets);
    REJECT(1, "groups.offsets or index is given", c.d.groups.index = indices);
    for (int i = 0; i < 3; i++) {
        static const char *const pairs[] = {"nemo.grpo", "arena_rl", "jepo"};
        static float many[4097];
        ag_case c = ag_uniform(pairs[i], 1, 4097, many);
        expect_rejected(tk, &c, 1, "group_size is 4097|4096");
    }
}

TK_TEST(advantage_group, levels_that_a_center_or_scale_does_not_have_are_rejected)
{
    for (int level = MERIT_LEVEL_BATCH; level <= MERIT_LEVEL_GIVEN; level++) {
        for (int center = 0; center <= MERIT_CENTER_BASELINE; center++) {
            if (center == MERIT_CENTER_MEAN) continue;
            REJECT(1, "center_level", c.d.center = center, c.d.center_level = level,
                   c.io.moments = moments, c.io.baseline = ones);
        }
        for (int scale = 0; scale <= MERIT_SCALE_NONZERO_SHARE; scale++) {
            const int has = scale == MERIT_SCALE_STD || scale == MERIT_SCALE_MEAN ||
                            (scale == MERIT_SCALE_NONZERO_SHARE && level == MERIT_LEVEL_BATCH);
            if (has) continue;
            REJECT(1, "scale_level", c.d.scale = scale, c.d.scale_level = level,
                   c.io.moments = moments);
        }
    }
}

TK_TEST(advantage_group, arrays_that_are_missing_or_do_not_belong_are_rejected)
{
    static merit_moments io_moments;
    REJECT(0, "rewards is NULL", c.io.rewards = NULL);
    REJECT(0, "advantages is NULL", c.outputs = 0);
    REJECT(0, "moments is NULL", c.d.center_level = MERIT_LEVEL_GIVEN);
    REJECT(0, "moments is NULL", c.d.scale_level = MERIT_LEVEL_GIVEN);
    REJECT(0, "baseline|NULL|BASELINE", c.d.center = MERIT_CENTER_BASELINE);
    REJECT(0, "baseline and baseline_per_group are both given", c.d.center = MERIT_CENTER_BASELINE,
           c.io.baseline = ones, c.io.baseline_per_group = ones);
    for (int center = 0; center <= MERIT_CENTER_BASELINE; center++) {
        if (center == MERIT_CENTER_MEAN) continue;
        REJECT(0, "weights is given", c.d.center = center, c.io.baseline = ones,
               c.io.weights = ones);
    }
    REJECT(0, "weights is given", c.d.center_level = MERIT_LEVEL_GIVEN, c.io.moments = moments,
           c.io.weights = ones);
    REJECT(0, "column_weights is given|SEPARATE", c.d.columns = MERIT_COLUMNS_SEPARATE,
           c.io.column_weights = ones);
    REJECT(0, "add_index is given without add", c.io.add_index = indices);
    REJECT(0, "num_add is -1", c.io.num_add = -1);
    REJECT(0, "num_add is 11|12", c.io.num_add = 11, c.io.add = ones);
    static const char *const records[] = {"batch_moments", "group_moments", "tile_moments"};
    for (int i = 0; i < 3; i++) {
        ag_case c = valid_case();
        merit_advantage_group_io io = {.struct_size = sizeof io, .rewards = rewards};
        merit_moments *const out[] = {&io_moments, NULL, NULL};
        io.batch_moments = out[i % 3], io.group_moments = out[(i + 2) % 3];
        io.tile_moments = out[(i + 1) % 3];
        char words[64];
        snprintf(words, sizeof words, "%s is given|batch_record 1", records[i]);
        tk_expect_rejected(tk->ctx, merit_advantage_group(tk->ctx, &c.d, &io, NULL, 0, NULL),
                           MERIT_STATUS_INVALID_ARGUMENT, words);
    }
}

TK_TEST(advantage_group, a_workspace_that_is_too_small_is_rejected)
{
    ag_case c = ag_uniform("trl.batch", GROUPS, SIZE, rewards);
    size_t bytes = 0;
    tk_expect_ok(tk->ctx, merit_advantage_group_workspace(tk->ctx, &c.d, &bytes));
    TK_EXPECT(bytes > 0, "BATCH needs a workspace");
    c.no_query = 1;
    for (int i = 0; i < 3; i++) {
        char words[96];
        c.workspace_bytes = i == 0 ? 0 : i == 1 ? bytes - 1 : 1;
        snprintf(words, sizeof words, "workspace has %zu bytes|%zu", c.workspace_bytes, bytes);
        ag_result r = ag_run(tk, &c);
        tk_expect_rejected(tk->ctx, r.status, MERIT_STATUS_WORKSPACE_TOO_SMALL, words);
        ag_expect_untouched(&c, &r);
        ag_free(&r);
    }
    tk_expect_rejected(tk->ctx, merit_advantage_group_workspace(tk->ctx, &c.d, NULL),
                       MERIT_STATUS_INVALID_ARGUMENT, "bytes is NULL");
}

// Overlap and structs are looked at before any memory is, so host arrays do on every backend.
TK_TEST(advantage_group, overlapping_arrays_are_rejected)
{
    static double area[256], other[256];
    static const struct {
        size_t from, to; // fields of io
        const char *words;
    } rows[] = {
#define PAIR(a, b) \
    {offsetof(merit_advantage_group_io, a), offsetof(merit_advantage_group_io, b), #a "|" #b}
        PAIR(advantages, keep),           PAIR(advantages, group_mean),
        PAIR(keep, group_flags),          PAIR(group_mean, group_scale),
        PAIR(group_min, group_max),       PAIR(group_count, diagnostics),
        PAIR(advantages, mask),           PAIR(keep, stats_mask),
        PAIR(advantages, weights),        PAIR(advantages, add),
        PAIR(group_mean, rewards),        PAIR(advantages, diagnostics),
        PAIR(group_moments, tile_moments)};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ag_case c = valid_case();
        merit_advantage_group_io io = {.struct_size = sizeof io};
        io.rewards = rewards, io.advantages = other;
        c.d.batch_record = 1;
        double *const shared = area;
        memcpy((char *)&io + rows[i].from, &shared, sizeof shared);
        memcpy((char *)&io + rows[i].to, &shared, sizeof shared);
        tk_case("%s", rows[i].words);
        const merit_status status = merit_advantage_group(tk->ctx, &c.d, &io, NULL, 0, NULL);
        tk_expect_rejected(tk->ctx, status, MERIT_STATUS_INVALID_ARGUMENT, rows[i].words);
        tk_expect_rejected(tk->ctx, status, MERIT_STATUS_INVALID_ARGUMENT, "overlaps");
    }
    // Where advantages may be the rewards, and where not.
    static const char *const reasons[] = {"shifted", "f64 over f32", "an index", "a padded row",
                                          "two columns into one"};
    for (int reason = 0; reason < 5; reason++) {
        ag_case c = valid_case();
        merit_advantage_group_io io = {.struct_size = sizeof io};
        io.rewards = area;
        io.advantages = reason == 0 ? (void *)((float *)area + 1) : (void *)area;
        if (reason == 1) c.d.advantage_dtype = MERIT_DTYPE_F64;
        if (reason == 2) {
            c.d.groups = (merit_groups){.num_groups = 3, .offsets = offsets, .index = indices};
        }
        if (reason == 3) c.d.reward_row_stride = 2;
        if (reason == 4) c.d.num_columns = 2;
        tk_case("in place, but %s", reasons[reason]);
        const merit_status status = merit_advantage_group(tk->ctx, &c.d, &io, NULL, 0, NULL);
        tk_expect_rejected(tk->ctx, status, MERIT_STATUS_INVALID_ARGUMENT,
                           "advantages|overlaps|rewards");
    }
}

TK_TEST(advantage_group, structs_of_another_size_are_rejected_unless_compatible)
{
    struct {
        merit_advantage_group_desc d;
        char beyond[64];
    } larger;
    ag_case c = valid_case();
    merit_advantage_group_io io = {.struct_size = sizeof io};
    size_t bytes;
    memset(&larger, 0, sizeof larger);
    larger.d = c.d;
    larger.d.struct_size = sizeof larger;
    tk_expect_ok(tk->ctx, merit_advantage_group_workspace(tk->ctx, &larger.d, &bytes));
    larger.beyond[40] = 1;
    tk_expect_rejected(tk->ctx, merit_advantage_group_workspace(tk->ctx, &larger.d, &bytes),
                       MERIT_STATUS_INVALID_ARGUMENT, "desc|newer version");
    c.d.struct_size = 8;
    tk_expect_rejected(tk->ctx, merit_advantage_group_workspace(tk->ctx, &c.d, &bytes),
                       MERIT_STATUS_INVALID_ARGUMENT, "desc->struct_size is 8");
    c = valid_case();
    io.struct_size = 0;
    tk_expect_rejected(tk->ctx, merit_advantage_group(tk->ctx, &c.d, &io, NULL, 0, NULL),
                       MERIT_STATUS_INVALID_ARGUMENT, "io->struct_size is 0");
    tk_expect_rejected(tk->ctx, merit_advantage_group(tk->ctx, &c.d, NULL, NULL, 0, NULL),
                       MERIT_STATUS_INVALID_ARGUMENT, "io is NULL");
    io.struct_size = sizeof io;
    tk_expect_rejected(tk->ctx, merit_advantage_group(tk->ctx, NULL, &io, NULL, 0, NULL),
                       MERIT_STATUS_INVALID_ARGUMENT, "desc is NULL");
    TK_EXPECT(merit_advantage_group(NULL, &c.d, &io, NULL, 0, NULL) ==
                  MERIT_STATUS_INVALID_ARGUMENT,
              "no context");
    TK_EXPECT(merit_advantage_group_workspace(NULL, &c.d, &bytes) == MERIT_STATUS_INVALID_ARGUMENT,
              "no context");
}

// A rejected call leaves the context usable and its sentence in place until the next failure.
TK_TEST(advantage_group, a_rejected_call_does_no_harm_to_the_next)
{
    ag_case c = valid_case();
    c.d.ddof = 7;
    expect_rejected(tk, &c, 1, "ddof is 7");
    c = valid_case();
    ag_check(tk, &c);
}
