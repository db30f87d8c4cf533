// dominance_quantile_target: calls that are refused, with the argument and its value in the sentence.
#include <math.h>
#include <string.h>

#include "target_case.h"

typedef struct bad_call {
    merit_dominance_quantile_target_desc d;
    merit_dominance_quantile_target_io io;
} bad_call;

static float levels[64], reward[32], discount[32], target[64];
static int32_t action[32], greedy[32], count[32];
static uint32_t final[8];
static uint8_t done[8];

static bad_call good_call(const char *preset)
{
    bad_call b = {.d = target_make(preset, NULL, 2, 2, 3, 4).d, .io = {.struct_size = sizeof b.io}};
    b.io.q_next = levels, b.io.reward = reward, b.io.done = done, b.io.discount = discount;
    b.io.target = target;
    if (b.d.mode == MERIT_DOMINANCE_TARGET_SHARED) b.io.action = action;
    if (b.d.mode == MERIT_DOMINANCE_TARGET_RESTRICTED) b.io.greedy = greedy;
    if (b.d.mode == MERIT_DOMINANCE_TARGET_MIXTURE) b.io.final = final, b.io.target_count = count;
    return b;
}

static merit_status call(tk_fixture *tk, const bad_call *b)
{
    return merit_dominance_quantile_target(tk->ctx, &b->d, &b->io, NULL, 0, NULL);
}

static void expect(tk_fixture *tk, const bad_call *b, const char *words)
{
    memset(target, 0x5a, sizeof target);
    tk_case("%s", words);
    tk_expect_rejected(tk->ctx, call(tk, b), MERIT_STATUS_INVALID_ARGUMENT, words);
    tk_expect_rejected(tk->ctx, MERIT_STATUS_INVALID_ARGUMENT, MERIT_STATUS_INVALID_ARGUMENT,
                       "merit_dominance_quantile_target:");
    for (size_t i = 0; i < sizeof target; i++) {
        TK_EXPECT(((unsigned char *)target)[i] == 0x5a, "something was written");
    }
}

#define REJECTED(preset, change, words) \
    do {                                \
        bad_call b = good_call(preset); \
        change;                         \
        expect(tk, &b, words);          \
    } while (0)

TK_TEST(dominance_quantile_target, bad_calls_are_refused)
{
    static const float above[] = {.5f, 1.5f}, below[] = {-.5f, 1}, nan[] = {NAN, 1};
    REJECTED(NULL, b.d.num_states = -1, "num_states|-1");
    REJECTED(NULL, b.d.num_objectives = 33, "num_objectives|33");
    REJECTED(NULL, b.d.num_actions = 0, "num_actions|0");
    REJECTED(NULL, b.d.num_actions = 1025, "num_actions|1025");
    REJECTED(NULL, b.d.num_levels = 65537, "num_levels|65537");
    REJECTED(NULL, b.d.dtype = MERIT_DTYPE_F64, "dtype|1");
    REJECTED(NULL, b.d.stride_level = -1, "stride_level|-1");
    REJECTED(NULL, b.d.num_states = INT64_MAX / 4, "2^60");
    REJECTED(NULL, b.d.ld_target = 3, "ld_target|3|4");
    REJECTED("td.mixture", b.d.ld_target = 11, "ld_target|11|12");
    REJECTED(NULL, b.d.ld_target = INT64_MAX / 2, "ld_target|2^60");
    REJECTED(NULL, b.d.mode = 3, "mode|3|0..2");
    REJECTED(NULL, b.d.gamma = above, "gamma[1]|1.5");
    REJECTED(NULL, b.d.gamma = below, "gamma[0]|-0.5");
    REJECTED(NULL, b.d.gamma = nan, "gamma[0]|nan");
    REJECTED(NULL, b.io.q_next = NULL, "q_next is NULL");
    REJECTED(NULL, b.io.reward = NULL, "reward is NULL");
    REJECTED(NULL, b.io.target = NULL, "target is NULL");
    REJECTED(NULL, b.io.action = NULL, "action is NULL|SHARED");
    REJECTED("td.restricted", b.io.greedy = NULL, "greedy is NULL|RESTRICTED");
    REJECTED("td.mixture", b.io.final = NULL, "final is NULL|MIXTURE");
    REJECTED("td.mixture", b.io.target_count = NULL, "target_count is NULL|MIXTURE");
    REJECTED("td.mixture", b.io.action = action, "action is given|SHARED");
    REJECTED(NULL, b.io.greedy = greedy, "greedy is given|RESTRICTED");
    REJECTED(NULL, b.io.final = final, "final is given|MIXTURE");
    REJECTED(NULL, b.io.target_count = count, "target_count is given|MIXTURE");
    REJECTED(NULL, b.io.target = levels + 4, "target|overlaps|q_next");
    REJECTED(NULL, b.io.target = reward, "target|overlaps|reward");
    REJECTED(NULL, b.io.target = discount, "target|overlaps|discount");
    REJECTED(NULL, b.io.target = (float *)action, "target|overlaps|action");
    REJECTED("td.mixture", b.io.target_count = (int32_t *) final, "target_count|overlaps|final");
    REJECTED(NULL, b.d.struct_size = 8, "struct_size|8");
    REJECTED(NULL, b.io.struct_size = 8, "struct_size|8");
    for (int i = 0; i < 3 && !tk->on_device; i++) { // what they all change are good calls
        const bad_call b = good_call(merit_dominance_quantile_target_preset_name(i));
        tk_expect_ok(tk->ctx, call(tk, &b));
    }
    const bad_call b = good_call(NULL);
    tk_expect_rejected(tk->ctx, merit_dominance_quantile_target_workspace(tk->ctx, &b.d, NULL),
                       MERIT_STATUS_INVALID_ARGUMENT, "bytes is NULL");
}
