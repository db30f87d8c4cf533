// dominance_subset: calls that are refused, with the function, the argument and its value in the sentence.
#include <math.h>
#include <string.h>

#include "subset_case.h"

enum { B = 2, M = 3, A = 40, N = 4, WORDS = 2 };

typedef struct bad_call {
    merit_dominance_subset_desc d;
    merit_dominance_subset_io io;
    size_t missing; // bytes of workspace held back
} bad_call;

static struct {
    uint32_t subset[B * M * WORDS], final[B * WORDS], flags[B];
    int32_t action[B], greedy[B * M];
    merit_diagnostics diagnostics;
} out;

static float levels[B * M * A * N], weights[N];
static uint32_t words[B];

static bad_call good_call(void)
{
    bad_call b;
    memset(&b, 0, sizeof b);
    merit_dominance_subset_desc_init(&b.d, sizeof b.d);
    b.d.num_states = B, b.d.num_objectives = M, b.d.num_actions = A, b.d.num_levels = N;
    b.io.struct_size = sizeof b.io;
    b.io.q = levels;
    b.io.subset = out.subset, b.io.final = out.final, b.io.action = out.action;
    b.io.greedy = out.greedy, b.io.flags = out.flags, b.io.diagnostics = &out.diagnostics;
    return b;
}

static merit_status call(tk_fixture *tk, const bad_call *b)
{
    size_t bytes = 0;
    const merit_status status = merit_dominance_subset_workspace(tk->ctx, &b->d, &bytes);
    if (status != MERIT_STATUS_OK) { // the call itself refuses, too
        TK_EXPECT(bytes == 0, "workspace of %zu bytes", bytes);
        return merit_dominance_subset(tk->ctx, &b->d, &b->io, NULL, 0, NULL);
    }
    void *const workspace = tk_workspace(tk, bytes);
    return merit_dominance_subset(tk->ctx, &b->d, &b->io, workspace, bytes - b->missing, NULL);
}

static void expect(tk_fixture *tk, const bad_call *b, merit_status status, const char *text)
{
    memset(&out, TK_GUARD, sizeof out);
    tk_case("%s", text);
    tk_expect_rejected(tk->ctx, call(tk, b), status, text);
    tk_expect_rejected(tk->ctx, status, status, "merit_dominance_subset:");
    TK_EXPECT(tk_untouched(&out, sizeof out, 1), "something was written: %s", text);
}

#define REFUSED(status, change, text)                  \
    do {                                               \
        bad_call b = good_call();                      \
        change;                                        \
        expect(tk, &b, MERIT_STATUS_##status, (text)); \
    } while (0)
#define REJECTED(change, text) REFUSED(INVALID_ARGUMENT, change, text)
#define UNSUPPORTED(change, text) REFUSED(UNSUPPORTED, change, text)

TK_TEST(dominance_subset_rejected, sizes_and_options_of_the_comparison)
{
    const int32_t zero_sign[] = {1, 0, 1};
    const float below[] = {0, -1, 0}, nan_delta[] = {NAN, 0, 0}, one[] = {0, 0, 1};
    REJECTED(b.d.num_states = -1, "num_states|-1|0");
    REJECTED(b.d.num_objectives = 0, "num_objectives|0|1|32");
    REJECTED(b.d.num_objectives = 33, "num_objectives|33|32");
    REJECTED(b.d.num_actions = 0, "num_actions|0|1|1024");
    REJECTED(b.d.num_actions = 1025, "num_actions|1025|1024");
    REJECTED(b.d.num_levels = 0, "num_levels|0|1|65536");
    REJECTED(b.d.num_levels = 65537, "num_levels|65537|65536");
    REJECTED(b.d.dtype = MERIT_DTYPE_F64, "dtype|1");
    REJECTED(b.d.stride_objective = -3, "stride_objective|-3");
    REJECTED(b.d.stride_state = INT64_MAX / 2, "strides span|2^60");
    REJECTED(b.d.num_states = INT64_MAX / 4, "2^60");
    REJECTED(b.d.measure = -1, "measure|-1");
    REJECTED(b.d.power = 3, "power|3|2");
    REJECTED(b.d.ties = 2, "ties|2|1");
    REJECTED(b.d.integrate = 2, "integrate|2");
    REJECTED(b.d.sort_levels = -1, "sort_levels|-1");
    REJECTED(b.d.sign = zero_sign, "sign[1]|0|1 or -1");
    REJECTED(b.d.delta = below, "delta[1]|-1|0 or more");
    REJECTED(b.d.delta = nan_delta, "delta[0]|nan|0 or more");
    REJECTED(b.d.weights_stride_state = 4, "weights_stride_state|4|NULL");
    REJECTED((b.io.weights = weights, b.d.weights_stride_state = -1), "weights_stride_state|-1");
    UNSUPPORTED((b.d.measure = 1, b.io.weights = weights), "MANN_WHITNEY|weights");
    UNSUPPORTED((b.d.measure = 1, b.d.integrate = 1), "MANN_WHITNEY|integrate");
    UNSUPPORTED((b.d.measure = 1, b.d.delta = one), "MANN_WHITNEY|delta");
    UNSUPPORTED((b.d.sort_levels = 1, b.d.num_levels = 4097), "num_levels|4097|4096|sort_levels");
    UNSUPPORTED((b.d.measure = 1, b.d.sort_levels = 1, b.d.num_levels = 4097), "num_levels|4097");
}

TK_TEST(dominance_subset_rejected, relation_and_ranking)
{
    const float low[] = {.75f, .49999997f, 1}, high[] = {1.0000001f, 1, 1}, no[] = {1, 1, NAN};
    const float below[] = {0, 0, -1e-9f}, nan_eta[] = {NAN, 0, 0}, one[] = {0, 1, 0};
    const float endless[] = {1, INFINITY, 0};
    const int32_t rank[M] = {0, 1, 2};
    const uint8_t two[M * M] = {0, 2, 0}, itself[M * M] = {0, 0, 0, 0, 1};
    const uint8_t cycle[M * M] = {0, 1, 0, 1, 0, 0};
    const uint8_t long_cycle[M * M] = {0, 1, 0, 0, 0, 1, 1, 0, 0}; // 0, 1, 2, 0
    const uint8_t gap[M * M] = {0, 1, 0, 0, 0, 1}; // 0 above 1 above 2, but not 0 above 2
    REJECTED(b.d.theta = low, "theta[1]|0.5|1");
    REJECTED(b.d.theta = high, "theta[0]|0.5 to 1");
    REJECTED(b.d.theta = no, "theta[2]|nan|0.5 to 1");
    REJECTED(b.d.eta = below, "eta[2]|-1e-09|0 or more");
    REJECTED(b.d.eta = nan_eta, "eta[0]|nan|0 or more");
    REJECTED((b.d.measure = 1, b.d.eta = one), "eta[1]|1|MANN_WHITNEY");
    REJECTED(merit_dominance_subset_preset("subset.slack", &b.d), "eta[0]|nan"); // the caller's
    REJECTED(b.d.mode = 2, "mode|2|1");
    REJECTED(b.d.within_class = -1, "within_class|-1");
    REJECTED(b.d.on_empty = 3, "on_empty|3|2");
    REJECTED(b.d.pick = 5, "pick|5|4");
    REJECTED(b.d.drop_nan = 2, "drop_nan|2");
    REJECTED((b.d.rank = rank, b.d.above = gap), "rank and above");
    REJECTED(b.d.above = two, "above[0][1]|2|0 or 1");
    REJECTED(b.d.above = itself, "above[1][1]|1|itself");
    REJECTED(b.d.above = cycle, "above[0][1]|above[1][0]|cycle");
    REJECTED(b.d.above = long_cycle, "above is not transitive");
    REJECTED(b.d.above = gap, "above is not transitive|above[1][2]");
    REJECTED(b.d.pick_weights = endless, "pick_weights[1]|inf|finite");
}

TK_TEST(dominance_subset_rejected, arrays)
{
    REJECTED(b.io.q = NULL, "q is NULL");
    REJECTED((b.io.subset = NULL, b.io.final = NULL, b.io.action = NULL, b.io.greedy = NULL,
              b.io.flags = NULL),
             "every output is NULL");
    REJECTED(b.d.pick = MERIT_DOMINANCE_PICK_RANDOM, "random is NULL|RANDOM");
    REJECTED(b.io.random = words, "random|RANDOM");
    REJECTED(b.io.final = out.subset, "final|overlaps|subset");
    REJECTED(b.io.action = (int32_t *)out.flags, "action|overlaps|flags");
    REJECTED(b.io.greedy = out.action, "greedy|overlaps|action");
    REJECTED(b.io.flags = (uint32_t *)&out.diagnostics.count[63], "flags|overlaps|diagnostics");
    REJECTED(b.io.q = out.greedy, "overlaps|q");
    REJECTED(b.io.weights = (const float *)out.final, "overlaps|weights");
    REJECTED(b.io.valid = (const uint8_t *)out.action + 3, "overlaps|valid");
    REJECTED((b.d.pick = MERIT_DOMINANCE_PICK_RANDOM, b.io.random = out.flags), "overlaps|random");
    REFUSED(WORKSPACE_TOO_SMALL, b.missing = 1, "workspace");
    bad_call b = good_call();
    if (!tk->on_device) tk_expect_ok(tk->ctx, call(tk, &b)); // what they all change is a good call
}

// Nothing is launched and nothing is read before the last check.
TK_TEST(dominance_subset_rejected, no_state_needs_no_array)
{
    bad_call b = good_call();
    memset(&b.io, 0, sizeof b.io);
    b.io.struct_size = sizeof b.io;
    b.d.num_states = 0;
    tk_launches(tk);
    tk_expect_ok(tk->ctx, call(tk, &b));
    b.d.num_actions = 0;
    tk_expect_rejected(tk->ctx, call(tk, &b), MERIT_STATUS_INVALID_ARGUMENT, "num_actions|0");
    TK_EXPECT(tk_launches(tk) <= 0, "something was launched");
}

TK_TEST(dominance_subset_rejected, presets_set_options_and_nothing_else)
{
    merit_dominance_subset_desc d;
    (void)tk;
    merit_dominance_subset_desc_init(&d, sizeof d);
    d.num_actions = 7, d.stride_level = 3, d.dtype = MERIT_DTYPE_F16, d.power = 2;
    TK_EXPECT(merit_dominance_subset_preset("subset.rulebook", &d) == MERIT_STATUS_OK, "preset");
    TK_EXPECT(d.mode == MERIT_DOMINANCE_MODE_RULEBOOK && d.power == 1, "options");
    TK_EXPECT(d.num_actions == 7 && d.stride_level == 3 && d.dtype == MERIT_DTYPE_F16, "sizes");
    TK_EXPECT(merit_dominance_subset_preset("none", &d) == MERIT_STATUS_NOT_FOUND, "unknown");
    TK_EXPECT(merit_dominance_subset_preset(NULL, &d) == MERIT_STATUS_INVALID_ARGUMENT, "NULL");
    TK_EXPECT(merit_dominance_subset_preset("subset.slack", NULL) == MERIT_STATUS_INVALID_ARGUMENT,
              "NULL");
    int count = 0;
    for (const char *name; (name = merit_dominance_subset_preset_name(count)) != NULL; count++) {
        TK_EXPECT(merit_dominance_subset_preset(name, &d) == MERIT_STATUS_OK, "%s", name);
    }
    TK_EXPECT(count == 5 && merit_dominance_subset_preset_name(-1) == NULL, "%d presets", count);
}
