// dominance_pairwise: calls that are refused, with the argument and its value in the sentence.
#include <math.h>
#include <string.h>

#include "dominance_case.h"

typedef struct bad_call {
    merit_dominance_pairwise_desc d;
    merit_dominance_pairwise_io io;
    size_t missing; // bytes of workspace held back
} bad_call;

static float levels[64], results[64], weights[8];

static bad_call good_call(void)
{
    bad_call b;
    memset(&b, 0, sizeof b);
    merit_dominance_pairwise_desc_init(&b.d, sizeof b.d);
    b.d.num_states = 1, b.d.num_objectives = 2, b.d.num_actions = 3, b.d.num_levels = 4;
    b.io.struct_size = sizeof b.io;
    b.io.q = levels, b.io.qd = results;
    return b;
}

static merit_status call(tk_fixture *tk, const bad_call *b)
{
    size_t bytes = 0;
    const merit_status status = merit_dominance_pairwise_workspace(tk->ctx, &b->d, &bytes);
    if (status != MERIT_STATUS_OK) { // the call itself refuses, too
        TK_EXPECT(bytes == 0, "workspace of %zu bytes", bytes);
        return merit_dominance_pairwise(tk->ctx, &b->d, &b->io, NULL, 0, NULL);
    }
    void *const workspace = tk_workspace(tk, bytes);
    return merit_dominance_pairwise(tk->ctx, &b->d, &b->io, workspace, bytes - b->missing, NULL);
}

static void expect(tk_fixture *tk, const bad_call *b, merit_status status, const char *words)
{
    memset(results, 0x5a, sizeof results);
    tk_case("%s", words);
    tk_expect_rejected(tk->ctx, call(tk, b), status, words);
    tk_expect_rejected(tk->ctx, status, status, "merit_dominance_pairwise:");
    for (int i = 0; i < 64; i++) {
        uint32_t word;
        memcpy(&word, &results[i], 4);
        TK_EXPECT(word == 0x5a5a5a5a, "something was written");
    }
}

#define REJECTED(change, words)                               \
    do {                                                      \
        bad_call b = good_call();                             \
        change;                                               \
        expect(tk, &b, MERIT_STATUS_INVALID_ARGUMENT, words); \
    } while (0)
#define UNSUPPORTED(change, words)                       \
    do {                                                 \
        bad_call b = good_call();                        \
        change;                                          \
        expect(tk, &b, MERIT_STATUS_UNSUPPORTED, words); \
    } while (0)

TK_TEST(dominance_pairwise, bad_calls_are_refused)
{
    const int32_t zero_sign[] = {1, 0};
    const float below[] = {0, -1}, nan_delta[] = {NAN, 0}, one[] = {1, 0};
    REJECTED(b.io.q = NULL, "q is NULL");
    REJECTED(b.io.qd = NULL, "qd and gain are NULL");
    REJECTED(b.d.num_states = -1, "num_states|-1");
    REJECTED(b.d.num_objectives = 0, "num_objectives|0");
    REJECTED(b.d.num_objectives = 33, "num_objectives|33");
    REJECTED(b.d.num_actions = 0, "num_actions|0");
    REJECTED(b.d.num_actions = 1025, "num_actions|1025");
    REJECTED(b.d.num_levels = 0, "num_levels|0");
    REJECTED(b.d.num_levels = 65537, "num_levels|65537");
    REJECTED(b.d.dtype = MERIT_DTYPE_F64, "dtype|1");
    REJECTED(b.d.stride_level = -1, "stride_level|-1");
    REJECTED(b.d.stride_action = INT64_MAX / 2, "strides span");
    REJECTED(b.d.num_states = INT64_MAX / 4, "2^60");
    REJECTED(b.d.measure = 2, "measure|2");
    REJECTED(b.d.power = 3, "power|3");
    REJECTED(b.d.power = -1, "power|-1");
    REJECTED(b.d.ties = 2, "ties|2");
    REJECTED(b.d.integrate = 2, "integrate|2");
    REJECTED(b.d.sort_levels = -1, "sort_levels|-1");
    REJECTED(b.d.sign = zero_sign, "sign[1]|0");
    REJECTED(b.d.delta = below, "delta[1]|-1");
    REJECTED(b.d.delta = nan_delta, "delta[0]|nan");
    REJECTED(b.d.weights_stride_state = 4, "weights_stride_state|NULL");
    REJECTED((b.io.weights = weights, b.d.weights_stride_state = -1), "weights_stride_state|-1");
    REJECTED(b.io.gain = b.io.qd, "gain|overlaps|qd");
    REJECTED(b.io.qd = levels + 3, "overlaps");
    REJECTED((b.io.weights = results, b.d.weights_stride_state = 0), "overlaps|weights");
    UNSUPPORTED((b.d.measure = 1, b.io.weights = weights), "MANN_WHITNEY|weights");
    UNSUPPORTED((b.d.measure = 1, b.d.integrate = 1), "MANN_WHITNEY|integrate");
    UNSUPPORTED((b.d.measure = 1, b.d.delta = one), "MANN_WHITNEY|delta");
    UNSUPPORTED((b.d.sort_levels = 1, b.d.num_levels = 4097), "num_levels|4097|4096|sort_levels");
    bad_call b = good_call();
    b.d.sort_levels = 1, b.missing = 1; // sorted rows lie in the workspace on every backend
    expect(tk, &b, MERIT_STATUS_WORKSPACE_TOO_SMALL, "workspace");
    b.missing = 0;
    if (!tk->on_device) tk_expect_ok(tk->ctx, call(tk, &b)); // what they all change is a good call
}

TK_TEST(dominance_pairwise, presets_set_options_and_nothing_else)
{
    (void)tk;
    merit_dominance_pairwise_desc d;
    merit_dominance_pairwise_desc_init(&d, sizeof d);
    d.num_actions = 7, d.stride_level = 3, d.dtype = MERIT_DTYPE_F16, d.integrate = 1;
    TK_EXPECT(merit_dominance_pairwise_preset("qd.win_rate", &d) == MERIT_STATUS_OK, "preset");
    TK_EXPECT(d.power == 0 && d.ties == MERIT_DOMINANCE_TIES_HALF && !d.integrate, "options");
    TK_EXPECT(d.num_actions == 7 && d.stride_level == 3 && d.dtype == MERIT_DTYPE_F16, "sizes");
    TK_EXPECT(merit_dominance_pairwise_preset("none", &d) == MERIT_STATUS_NOT_FOUND, "unknown");
    TK_EXPECT(merit_dominance_pairwise_preset(NULL, &d) == MERIT_STATUS_INVALID_ARGUMENT, "NULL");
    TK_EXPECT(merit_dominance_pairwise_preset("aso", NULL) == MERIT_STATUS_INVALID_ARGUMENT,
              "NULL");
    int count = 0;
    for (const char *name; (name = merit_dominance_pairwise_preset_name(count)) != NULL; count++) {
        TK_EXPECT(merit_dominance_pairwise_preset(name, &d) == MERIT_STATUS_OK, "%s", name);
    }
    TK_EXPECT(count == 6 && merit_dominance_pairwise_preset_name(-1) == NULL, "%d presets", count);
}
