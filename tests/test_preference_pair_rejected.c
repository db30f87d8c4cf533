// preference_pair: calls that are refused, with what the error names, and outputs left alone.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "preference_case.h"

enum { N = 5 };

typedef struct arrays {
    merit_preference_pair_desc d;
    merit_preference_pair_io io;
    void *outputs[10];
    size_t sizes[10];
    void *workspace;
    size_t bytes;
} arrays;

static const float scores[2 * N] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};

static void *guarded(tk_fixture *tk, arrays *a, int i, size_t size)
{
    a->sizes[i] = size;
    return a->outputs[i] = tk_output(tk, (int64_t)size, 1);
}

// A call that would go well.
static arrays good_call(tk_fixture *tk)
{
    arrays a = {.io = {.struct_size = sizeof a.io}};
    cr_assert(merit_preference_pair_desc_init(&a.d, sizeof a.d) == MERIT_STATUS_OK);
    a.d.num_pairs = N;
    a.io.chosen = tk_input(tk, scores, N, 4);
    a.io.rejected = tk_input(tk, scores + N, N, 4);
    a.io.loss = guarded(tk, &a, 0, 8);
    a.io.route_sum = guarded(tk, &a, 1, 8);
    a.io.loss_tiles = guarded(tk, &a, 2, 8);
    a.io.pair_loss = guarded(tk, &a, 3, 4 * N);
    a.io.pair_probability = guarded(tk, &a, 4, 4 * N);
    a.io.grad_chosen = guarded(tk, &a, 5, 4 * N);
    a.io.grad_rejected = guarded(tk, &a, 6, 4 * N);
    a.io.metrics = guarded(tk, &a, 7, sizeof *a.io.metrics);
    a.io.diagnostics = guarded(tk, &a, 8, sizeof *a.io.diagnostics);
    cr_assert(merit_preference_pair_workspace(tk->ctx, &a.d, &a.bytes) == MERIT_STATUS_OK);
    a.workspace = tk_workspace(tk, a.bytes);
    return a;
}

static void expect_status(tk_fixture *tk, arrays *a, merit_status wanted, const char *words)
{
    unsigned char after[1024];
    const merit_status status =
        merit_preference_pair(tk->ctx, &a->d, &a->io, a->workspace, a->bytes, NULL);
    tk_case("%s", words);
    tk_expect_rejected(tk->ctx, status, wanted, "merit_preference_pair: ");
    tk_expect_rejected(tk->ctx, status, wanted, words);
    for (int i = 0; i < 9; i++) {
        tk_read(tk, a->outputs[i], after, (int64_t)a->sizes[i], 1);
        TK_EXPECT(tk_untouched(after, (int64_t)a->sizes[i], 1), "output %d was written", i);
    }
    tk_release(tk);
}

static void expect_invalid(tk_fixture *tk, arrays *a, const char *words)
{
    expect_status(tk, a, MERIT_STATUS_INVALID_ARGUMENT, words);
}

// The error names the option, its value and what is allowed, besides `words`.
static void expect_named(tk_fixture *tk, arrays *a, const char *field, double value,
                         const char *words)
{
    char sentence[128];
    snprintf(sentence, sizeof sentence, "%s is %g|expected|%s", field, value, words);
    expect_invalid(tk, a, fabs(value) >= 1e6 ? words : sentence);
}

// One wrong option in a good call.
#define REFUSE(field_of_desc, bad, words)                              \
    do {                                                               \
        arrays call = good_call(tk);                                   \
        call.d.field_of_desc = (bad);                                  \
        expect_named(tk, &call, #field_of_desc, (double)(bad), words); \
    } while (0)

TK_TEST(preference_pair, unknown_enum_values_are_refused)
{
    static const int32_t odd[] = {-1, 99, INT32_MAX, INT32_MIN};
    for (int i = 0; i < 4; i++) {
        REFUSE(score_dtype, odd[i], "score_dtype");
        REFUSE(link, odd[i], "link");
        REFUSE(beta_map, odd[i], "beta_map");
        REFUSE(opposite, odd[i], "opposite");
        REFUSE(target, odd[i], "target");
        REFUSE(smoothing_kind, odd[i], "smoothing_kind");
        REFUSE(tie_model, odd[i], "tie_model");
        REFUSE(unary_link, odd[i], "unary_link");
        REFUSE(route_kind, odd[i], "route_kind");
        REFUSE(reduction, odd[i], "reduction");
        REFUSE(skip_invalid, odd[i], "skip_invalid");
    }
    REFUSE(score_dtype, MERIT_DTYPE_F64, "score_dtype");
    REFUSE(reduction, MERIT_PREFERENCE_REDUCTION_MEAN_GROUPS, "reduction");
}

TK_TEST(preference_pair, numbers_outside_their_range_are_refused)
{
    static const float not_positive[] = {0, -1, NAN, INFINITY},
                       negative[] = {-1e-9f, NAN, INFINITY};
    static const float not_finite[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 4; i++) {
        REFUSE(beta, not_positive[i], "beta");
    }
    for (int i = 0; i < 3; i++) {
        REFUSE(map_weight, negative[i], "map_weight");
        REFUSE(map_rate, negative[i], "map_rate");
        REFUSE(pair_weight, negative[i], "pair_weight");
        REFUSE(unary[0], negative[i], "unary[0]");
        REFUSE(unary[3], negative[i], "unary[3]");
        REFUSE(center, negative[i], "center");
        REFUSE(margin, not_finite[i], "margin");
        REFUSE(unary_shift, not_finite[i], "unary_shift");
        REFUSE(unary_margin, not_finite[i], "unary_margin");
        REFUSE(smoothing, negative[i], "smoothing");
    }
    REFUSE(smoothing, 0.5f, "smoothing|0.5");
    REFUSE(num_pairs, -1, "num_pairs|-1");
    REFUSE(num_routes, 0, "num_routes");
    REFUSE(num_routes, 33, "num_routes|33");
    REFUSE(num_routes, 2, "num_routes|route_kind");
    REFUSE(calibration_bins, -1, "calibration_bins");
    REFUSE(calibration_bins, 65, "calibration_bins|65");
    for (int64_t stride = -1; stride <= 0; stride++) {
        REFUSE(chosen_stride, stride, "chosen_stride");
        REFUSE(rejected_stride, stride, "rejected_stride");
        REFUSE(ref_chosen_stride, stride, "ref_chosen_stride");
        REFUSE(ref_rejected_stride, stride, "ref_rejected_stride");
        REFUSE(grad_chosen_stride, stride, "grad_chosen_stride");
        REFUSE(grad_rejected_stride, stride, "grad_rejected_stride");
    }
    REFUSE(chosen_stride, INT64_MAX / 2, "chosen_stride");
    REFUSE(num_pairs, INT64_MAX, "bytes");
}

TK_TEST(preference_pair, links_and_tie_models_ask_for_their_parameters)
{
    static const float not_e[] = {0, 0.5f, -0.1f, NAN}, not_t[] = {0, -1, NAN, INFINITY};
    static const float not_eta[] = {0, -1, NAN, INFINITY};
    for (int i = 0; i < 4; i++) {
        arrays a = good_call(tk);
        a.d.link = MERIT_LINK_EXO, a.d.link_param = not_e[i];
        expect_invalid(tk, &a, "link_param");
        a = good_call(tk);
        a.d.link = MERIT_LINK_DISCOPOP, a.d.link_param = not_t[i];
        expect_invalid(tk, &a, "link_param");
        a = good_call(tk);
        const int8_t outcomes[N] = {0};
        a.d.target = MERIT_PAIR_TARGET_OUTCOME;
        a.io.outcomes = tk_input(tk, outcomes, N, 1);
        a.d.tie_model = MERIT_TIE_MODEL_RAO_KUPPER, a.d.log_tie = not_eta[i];
        expect_invalid(tk, &a, "log_tie");
    }
    for (int k = 0; k < 5; k++) {
        const int8_t outcomes[N] = {0};
        const float p[N] = {0};
        arrays a = good_call(tk);
        a.d.target = MERIT_PAIR_TARGET_OUTCOME;
        a.d.tie_model = k % 2 == 0 ? MERIT_TIE_MODEL_RAO_KUPPER : MERIT_TIE_MODEL_DAVIDSON;
        a.d.log_tie = 1;
        if (k < 3) a.io.outcomes = tk_input(tk, outcomes, N, 1);
        if (k == 0) a.d.link = MERIT_LINK_HINGE;
        if (k == 1) a.d.smoothing = 0.1f;
        if (k == 2) a.d.tie_model = MERIT_TIE_MODEL_DAVIDSON, a.d.log_tie = NAN;
        if (k == 3) a.d.target = MERIT_PAIR_TARGET_CHOSEN;
        if (k == 4)
            a.d.target = MERIT_PAIR_TARGET_PROBABILITY, a.io.probabilities = tk_input(tk, p, N, 4);
        expect_invalid(tk, &a, k == 2 ? "log_tie" : k == 1 ? "tie_model|smoothing" : "tie_model");
    }
    arrays a = good_call(tk);
    a.d.tie_model = MERIT_TIE_MODEL_DROP;
    expect_invalid(tk, &a, "tie_model|target");
}

TK_TEST(preference_pair, arrays_that_an_option_needs_are_demanded)
{
    for (int k = 0; k < 11; k++) {
        static const char *const words[] = {
            "chosen", "rejected",     "betas",        "beta_signal",   "outcomes", "probabilities",
            "routes", "denominators", "ref_rejected", "chosen_length", "NULL"};
        arrays a = good_call(tk);
        const int32_t lengths[N] = {1, 1, 1, 1, 1};
        switch (k) {
        case 0: a.io.chosen = NULL; break;
        case 1: a.io.rejected = NULL; break;
        case 2: a.d.beta_map = MERIT_BETA_MAP_ARRAY; break;
        case 3: a.d.beta_map = MERIT_BETA_MAP_MARGIN_EXP; break;
        case 4: a.d.target = MERIT_PAIR_TARGET_OUTCOME; break;
        case 5: a.d.target = MERIT_PAIR_TARGET_PROBABILITY; break;
        case 6: a.d.route_kind = MERIT_ROUTE_KIND_ARRAY; break;
        case 7: a.d.reduction = MERIT_PREFERENCE_REDUCTION_GIVEN; break;
        case 8: a.io.ref_chosen = a.io.chosen; break;
        case 9: a.io.rejected_length = tk_input(tk, lengths, N, 4); break;
        default: // both sides missing, though none is needed
            a.d.pair_weight = 0;
            a.io.chosen = a.io.rejected = NULL, a.io.grad_chosen = a.io.grad_rejected = NULL;
        }
        expect_invalid(tk, &a, words[k]);
    }
    // A side that is missing has no coefficient, references, lengths or gradient.
    for (int k = 0; k < 6; k++) {
        arrays a = good_call(tk);
        a.d.pair_weight = 0, a.d.unary[0] = 1;
        a.io.rejected = NULL, a.io.grad_rejected = NULL;
        if (k == 0) a.d.pair_weight = 1;
        if (k == 1) a.d.center = 0.01f;
        if (k == 2) a.d.unary[2] = 1;
        if (k == 3) a.d.unary[3] = 1;
        if (k == 4) a.io.grad_rejected = a.outputs[6];
        if (k == 5) a.io.ref_chosen = a.io.ref_rejected = a.io.chosen;
        expect_invalid(tk, &a, "rejected");
    }
}

TK_TEST(preference_pair, arrays_that_no_option_uses_are_refused)
{
    static const char *const words[] = {
        "betas",        "beta_signal", "outcomes",        "probabilities", "routes",
        "denominators", "log_tie_dev", "unary_shift_dev", "grad_tie",      "calibration"};
    const float floats[N] = {0};
    const double doubles[N] = {1, 1, 1, 1, 1};
    const int32_t words32[N] = {0};
    const int8_t bytes[N] = {0};
    for (int k = 0; k < 10; k++) {
        arrays a = good_call(tk);
        if (k == 0) a.io.betas = tk_input(tk, floats, N, 4);
        if (k == 1) a.io.beta_signal = tk_input(tk, floats, N, 4);
        if (k == 2) a.io.outcomes = tk_input(tk, bytes, N, 1);
        if (k == 3) a.io.probabilities = tk_input(tk, floats, N, 4);
        if (k == 4) a.io.routes = tk_input(tk, words32, N, 4);
        if (k == 5) a.io.denominators = tk_input(tk, doubles, N, 8);
        if (k == 6) a.io.log_tie_dev = tk_input(tk, floats, 1, 4);
        if (k == 7) a.io.unary_shift_dev = tk_input(tk, floats, 1, 4);
        if (k == 8) a.io.grad_tie = tk_output(tk, 1, 8);
        if (k == 9) a.io.calibration = tk_output(tk, 1, sizeof(merit_preference_bin));
        expect_invalid(tk, &a, words[k]);
    }
}

TK_TEST(preference_pair, overlapping_outputs_are_refused)
{
    for (int k = 0; k < 9; k++) {
        arrays a = good_call(tk);
        float *const block = a.outputs[5]; // of grad_chosen
        if (k == 0) a.io.grad_rejected = block;
        if (k == 1) a.io.grad_rejected = block + 1;
        if (k == 2) a.io.pair_loss = block;
        if (k == 3) a.io.loss = a.io.route_sum;
        if (k == 4) a.io.chosen = block + 1; // not the start of its own scores
        if (k == 5) a.io.rejected = block; // scores of the other side
        if (k == 6) a.io.weights = block;
        if (k == 7)
            a.io.chosen = block, a.d.chosen_stride = 1, a.d.grad_chosen_stride = 2,
            a.d.num_pairs = 3;
        if (k == 8) a.io.margins = a.io.pair_probability;
        expect_invalid(tk, &a, "overlap");
    }
}

TK_TEST(preference_pair, contexts_descriptors_and_workspaces_are_checked)
{
    arrays a = good_call(tk);
    a.bytes -= 1;
    expect_status(tk, &a, MERIT_STATUS_WORKSPACE_TOO_SMALL, "workspace");
    a = good_call(tk);
    a.workspace = NULL;
    expect_status(tk, &a, MERIT_STATUS_WORKSPACE_TOO_SMALL, "workspace");
    a = good_call(tk);
    a.workspace = (char *)a.workspace + 8;
    expect_invalid(tk, &a, "workspace");
    a = good_call(tk);
    a.d.struct_size = 8;
    expect_invalid(tk, &a, "struct_size");
    a = good_call(tk);
    a.io.struct_size = 0;
    expect_invalid(tk, &a, "struct_size");
    a = good_call(tk);
    size_t bytes = 0;
    TK_EXPECT(merit_preference_pair(NULL, &a.d, &a.io, a.workspace, a.bytes, NULL) ==
                  MERIT_STATUS_INVALID_ARGUMENT,
              "without a context");
    tk_expect_rejected(tk->ctx,
                       merit_preference_pair(tk->ctx, NULL, &a.io, a.workspace, a.bytes, NULL),
                       MERIT_STATUS_INVALID_ARGUMENT, "desc");
    tk_expect_rejected(tk->ctx,
                       merit_preference_pair(tk->ctx, &a.d, NULL, a.workspace, a.bytes, NULL),
                       MERIT_STATUS_INVALID_ARGUMENT, "io");
    tk_expect_rejected(tk->ctx, merit_preference_pair_workspace(tk->ctx, &a.d, NULL),
                       MERIT_STATUS_INVALID_ARGUMENT, "bytes");
    tk_expect_rejected(tk->ctx, merit_preference_pair_workspace(tk->ctx, NULL, &bytes),
                       MERIT_STATUS_INVALID_ARGUMENT, "desc");
    tk_release(tk);
}
