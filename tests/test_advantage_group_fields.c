// advantage_group: every field of the descriptor and every array of the io matters. Each row sets a
// case up and changes one thing; the results before and after must each be the oracle's, and differ.
#include <math.h>
#include <string.h>

#include "advantage_case.h"

enum { GROUPS = 4, SIZE = 5, ROWS = GROUPS * SIZE, K = 2 };

// Ties, an all-equal group, a nonzero mean; two columns when num_columns is 2.
static const float rewards[ROWS * K] = {
    1, 0, 0, 0, 1, .5f, 2,   3, -1, 3, .7f, .7f, .7f,  .7f, .7f, .1f, -.1f, .2f, 4, .2f,
    0, 9, 1, 0, 2, .5f, .5f, 1, 3,  8, -2,  0,   .25f, 1,   1,   1,   0,    .3f, 6, 7};
static const float doubled[ROWS] = {2,   0,   0,   0,   1,   .5f, 2,    3,   -1, 3,
                                    .7f, .7f, .7f, .7f, .7f, .1f, -.1f, .2f, 4,  .2f};
static const float with_nan[ROWS] = {1,   NAN, 0,   0,   1,   .5f, 2,    INFINITY, -1, 3,
                                     .7f, .7f, .7f, .7f, .7f, .1f, -.1f, .2f,      4,  .2f};
static const uint8_t most[ROWS] = {1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1};
static const uint8_t few[ROWS] = {1, 0, 0, 1, 0, 0, 1, 1, 0, 1, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0};
static const float lengths[ROWS] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2};
static const float weights[K] = {.5f, 2};
static const double baseline64[ROWS] = {.5, .1, .2, .3, .4, .5, .6, .7, .8, .9,
                                        1,  .1, .2, .3, .4, .5, .6, .7, .8, .9};
static const int64_t halves[] = {0, 3, 9, 13, 20}, others[] = {0, 4, 9, 13, 20};
static const int32_t reversed[ROWS] = {19, 18, 17, 16, 15, 14, 13, 12, 11, 10,
                                       9,  8,  7,  6,  5,  4,  3,  2,  1,  0};
static const int32_t thirds[ROWS] = {0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1};
static const merit_moments elsewhere[K] = {{10, 1, 5, 0, 5}, {20, 2, 50, 0, 9}};
static const merit_moments nearby[K] = {{10, .5, 3, 0, 5}, {20, 2, 40, 0, 9}};
static const float nearly_equal[ROWS] = {1, 1.0000001f, 1, 1, 1, 1, 0, 1, 0, 1};
static const double doubles[ROWS] = {1.00000000001, 0, .3, 0, 1, 2, 3, 5, 4, 4, 4, 4};
static const uint16_t halfwords[ROWS] = {0x3c00, 0x4000, 0x3800, 0x4200, 0x3f80,
                                         0x4040, 0xbf80, 0x3c00, 0x3e00, 0x4100};

// X(what, what the row needs, the change). c is the case.
#define FIELDS(X)                                                                           \
    X(num_groups, , c->d.groups.num_groups = 3)                                             \
    X(group_size, , c->d.groups.group_size = 4; c->d.groups.num_groups = 5)                 \
    X(group_stride, c->d.groups.num_groups = 3, c->d.groups.group_stride = 6)               \
    X(offsets, ragged(c), c->d.groups.offsets = others)                                     \
    X(index, ragged(c), c->d.groups.index = reversed)                                       \
    X(max_size, ragged(c), c->d.groups.max_size = 5)                                        \
    X(num_rows, c->d.groups.num_groups = 3; c->d.num_rows = 15, c->d.num_rows = 17)         \
    X(num_columns, , c->d.num_columns = 2)                                                  \
    X(reward_dtype, c->io.rewards = halfwords;                                              \
      c->d.reward_dtype = MERIT_DTYPE_F16, c->d.reward_dtype = MERIT_DTYPE_BF16)            \
    X(reward_dtype_f64, c->io.rewards = doubles, c->d.reward_dtype = MERIT_DTYPE_F64)       \
    X(reward_row_stride, , c->d.reward_row_stride = 2)                                      \
    X(reward_column_stride, c->d.num_columns = 2; c->d.reward_row_stride = 1;               \
      c->d.reward_column_stride = 20, c->d.reward_column_stride = 19)                       \
    X(advantage_dtype, c->d.advantage_dtype = MERIT_DTYPE_F64,                              \
      c->d.advantage_dtype = MERIT_DTYPE_F32)                                               \
    X(baseline_dtype, c->d.center = MERIT_CENTER_BASELINE; c->io.baseline = baseline64;     \
      c->d.baseline_dtype = MERIT_DTYPE_F64, c->d.baseline_dtype = MERIT_DTYPE_F32)         \
    X(columns, c->d.num_columns = 2, c->d.columns = MERIT_COLUMNS_NORMALIZE_FIRST)          \
    X(columns_separate, c->d.num_columns = 2, c->d.columns = MERIT_COLUMNS_SEPARATE)        \
    X(transform_rank, , c->d.transform = MERIT_TRANSFORM_RANK)                              \
    X(transform_softmax, , c->d.transform = MERIT_TRANSFORM_SOFTMAX)                        \
    X(transform_lme, , c->d.transform = MERIT_TRANSFORM_LEAVE_ONE_OUT_LME)                  \
    X(rank_ties_average, c->d.transform = MERIT_TRANSFORM_RANK,                             \
      c->d.rank_ties = MERIT_RANK_TIES_AVERAGE)                                             \
    X(rank_ties_ordinal, c->d.transform = MERIT_TRANSFORM_RANK,                             \
      c->d.rank_ties = MERIT_RANK_TIES_ORDINAL)                                             \
    X(temperature, c->d.transform = MERIT_TRANSFORM_SOFTMAX, c->d.temperature = 2)          \
    X(center_none, , c->d.center = MERIT_CENTER_NONE)                                       \
    X(center_loo, , c->d.center = MERIT_CENTER_LEAVE_ONE_OUT)                               \
    X(center_runner_up, , c->d.center = MERIT_CENTER_RUNNER_UP)                             \
    X(center_baseline, c->io.baseline = lengths, c->d.center = MERIT_CENTER_BASELINE)       \
    X(center_level, , c->d.center_level = MERIT_LEVEL_BATCH)                                \
    X(center_level_given, c->io.moments = elsewhere, c->d.center_level = MERIT_LEVEL_GIVEN) \
    X(scale_none, , c->d.scale = MERIT_SCALE_NONE)                                          \
    X(scale_loo, , c->d.scale = MERIT_SCALE_LEAVE_ONE_OUT_STD)                              \
    X(scale_rms, c->d.center = MERIT_CENTER_LEAVE_ONE_OUT, c->d.scale = MERIT_SCALE_RMS)    \
    X(scale_mean, , c->d.scale = MERIT_SCALE_MEAN)                                          \
    X(scale_mean_abs, , c->d.scale = MERIT_SCALE_MEAN_ABS)                                  \
    X(scale_nonzero, , c->d.scale = MERIT_SCALE_NONZERO_SHARE)                              \
    X(scale_level, , c->d.scale_level = MERIT_LEVEL_BATCH)                                  \
    X(scale_level_given, c->io.moments = elsewhere, c->d.scale_level = MERIT_LEVEL_GIVEN)   \
    X(ddof, , c->d.ddof = 0)                                                                \
    X(eps_rule_floor, c->d.eps = 1, c->d.eps_rule = MERIT_EPS_RULE_FLOOR)                   \
    X(eps_rule_root, c->d.eps = 1, c->d.eps_rule = MERIT_EPS_RULE_ROOT)                     \
    X(eps_rule_root_floor, c->d.eps = 4;                                                    \
      c->d.eps_rule = MERIT_EPS_RULE_FLOOR, c->d.eps_rule = MERIT_EPS_RULE_ROOT_FLOOR)      \
    X(eps, , c->d.eps = .1)                                                                 \
    X(zero_threshold, c->io.rewards = nearly_equal;                                         \
      c->d.zero_rule = MERIT_ZERO_RULE_ZERO, c->d.zero_threshold = 1e-3)                    \
    X(zero_rule_zero, c->io.rewards = nearly_equal;                                         \
      c->d.zero_threshold = 1e-3, c->d.zero_rule = MERIT_ZERO_RULE_ZERO)                    \
    X(zero_rule_unscaled, c->io.rewards = nearly_equal;                                     \
      c->d.zero_threshold = 1e-3, c->d.zero_rule = MERIT_ZERO_RULE_UNSCALED)                \
    X(singleton_raw, singles(c), c->d.singleton = MERIT_SINGLETON_RAW)                      \
    X(singleton_unit, singles(c); c->d.eps = .5;                                            \
      c->d.singleton = MERIT_SINGLETON_RAW, c->d.singleton = MERIT_SINGLETON_UNIT)          \
    X(singleton_nan, singles(c), c->d.singleton = MERIT_SINGLETON_NAN)                      \
    X(invalid_nan, c->io.rewards = with_nan, c->d.invalid = MERIT_INVALID_SKIP_NAN)         \
    X(invalid_nonfinite, c->io.rewards = with_nan;                                          \
      c->d.invalid = MERIT_INVALID_SKIP_NAN, c->d.invalid = MERIT_INVALID_SKIP_NONFINITE)   \
    X(map_sign, , c->d.map = MERIT_MAP_SIGN)                                                \
    X(map_unit, , c->d.map = MERIT_MAP_UNIT)                                                \
    X(reward_low, , c->d.reward_low = 0)                                                    \
    X(reward_high, , c->d.reward_high = 2)                                                  \
    X(map_range, c->d.map = MERIT_MAP_UNIT, c->d.map_range = 3)                             \
    X(sign_tie, c->d.map = MERIT_MAP_SIGN, c->d.sign_tie = .5f)                             \
    X(low, , c->d.low = -.25f)                                                              \
    X(high, , c->d.high = .25f)                                                             \
    X(gain, , c->d.gain = -2)                                                               \
    X(expected_size, , c->d.expected_size = 6)                                              \
    X(batch_record, , c->d.batch_record = 1)                                                \
    X(rewards, , c->io.rewards = doubled)                                                   \
    X(column_weights, c->d.num_columns = 2, c->io.column_weights = weights)                 \
    X(column_weights_after, c->d.num_columns = 2;                                           \
      c->d.columns = MERIT_COLUMNS_NORMALIZE_FIRST, c->io.column_weights = weights)         \
    X(mask, , c->io.mask = most)                                                            \
    X(stats_mask, , c->io.stats_mask = few)                                                 \
    X(stats_mask_of_mask, c->io.mask = most, c->io.stats_mask = few)                        \
    X(weights, , c->io.weights = lengths)                                                   \
    X(baseline, c->d.center = MERIT_CENTER_BASELINE;                                        \
      c->io.baseline = lengths, c->io.baseline = doubled)                                   \
    X(baseline_per_group, c->d.center = MERIT_CENTER_BASELINE;                              \
      c->io.baseline = lengths, c->io.baseline = NULL; c->io.baseline_per_group = lengths)  \
    X(moments, c->d.scale_level = MERIT_LEVEL_GIVEN;                                        \
      c->io.moments = elsewhere, c->io.moments = nearby)                                    \
    X(add, , c->io.add = lengths)                                                           \
    X(add_index, c->io.add = lengths, c->io.add_index = thirds)                             \
    X(num_add, c->io.add = lengths; c->io.add_index = thirds; c->io.num_add = 3, c->io.num_add = 2)

static void ragged(ag_case *c)
{
    c->d.groups = (merit_groups){.num_groups = GROUPS, .offsets = halves};
}

static void singles(ag_case *c)
{
    c->d.groups.num_groups = ROWS, c->d.groups.group_size = 1;
}

typedef struct field_row {
    const char *name;
    void (*prepare)(ag_case *c);
    void (*change)(ag_case *c);
} field_row;

#define FUNCTIONS(what, needs, change)     \
    static void prepare_##what(ag_case *c) \
    {                                      \
        (void)c;                           \
        needs;                             \
    }                                      \
    static void change_##what(ag_case *c)  \
    {                                      \
        change;                            \
    }
FIELDS(FUNCTIONS)

#define ROW(what, needs, change) {#what, prepare_##what, change_##what},
static const field_row rows[] = {FIELDS(ROW)};

static int differ(const void *a, const void *b, int64_t count_a, int64_t count_b, size_t size)
{
    if (a == NULL || b == NULL) return a != b;
    return count_a != count_b || memcmp(a, b, (size_t)count_a * size) != 0;
}

// Advantages by more than rounding, or a record or counter at all.
static int results_differ(const ag_result *a, const ag_result *b)
{
    int moved = a->num_values != b->num_values;
    for (int64_t i = 0; i < a->num_values && !moved; i++) {
        moved = isnan(a->values[i]) != isnan(b->values[i]) ||
                fabs(a->values[i] - b->values[i]) > 1e-5 * fabs(a->values[i]);
    }
    return moved || differ(a->keep, b->keep, a->num_values, b->num_values, 1) ||
           differ(a->group_flags, b->group_flags, a->num_records, b->num_records, 1) ||
           differ(a->batch, b->batch, a->num_sets, b->num_sets, sizeof(merit_moments)) ||
           memcmp(&a->diagnostics, &b->diagnostics, sizeof a->diagnostics) != 0;
}

TK_TEST(advantage_group, every_field_changes_a_result)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ag_case before = ag_uniform("grpo", GROUPS, SIZE, rewards);
        before.d.scale = MERIT_SCALE_STD;
        rows[i].prepare(&before);
        ag_case after = before;
        rows[i].change(&after);
        tk_case("%s", rows[i].name);
        ag_check(tk, &before);
        ag_check(tk, &after);
        ag_result a = ag_run(tk, &before), b = ag_run(tk, &after);
        // The type of the result shows in its bytes alone.
        const int is_type = before.d.advantage_dtype != after.d.advantage_dtype;
        const int differs = is_type ? a.values[0] != b.values[0] : results_differ(&a, &b);
        TK_EXPECT(differs, "%s makes no difference", rows[i].name);
        ag_free(&a), ag_free(&b);
    }
}

// A field added to the structs without a row above changes their size.
TK_TEST(advantage_group, every_field_has_a_row)
{
    (void)tk;
    cr_expect_eq(sizeof(merit_advantage_group_desc), 208);
    cr_expect_eq(sizeof(merit_advantage_group_io), 192);
}
