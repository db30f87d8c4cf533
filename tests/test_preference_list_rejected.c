// preference_list: rejected calls.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "list_random.h"

typedef void spoil(list_case *c);

static void bad_dtype(list_case *c)
{
    c->d.score_dtype = MERIT_DTYPE_F64;
}
static void bad_mode(list_case *c)
{
    c->d.mode = 4;
}
static void bad_target(list_case *c)
{
    c->d.target = -1;
}
static void bad_tau(list_case *c)
{
    c->d.tau = 0;
}
static void nan_tau(list_case *c)
{
    c->d.tau = NAN;
}
static void bad_center(list_case *c)
{
    c->d.center = 3;
}
static void bad_smoothing(list_case *c)
{
    c->d.smoothing = 1;
}
static void bad_top_k(list_case *c)
{
    c->d.top_k = -1;
}
static void bad_link(list_case *c)
{
    c->d.link = MERIT_LINK_SQUARED;
}
static void bad_margin(list_case *c)
{
    c->d.margin = INFINITY;
}
static void bad_anchored(list_case *c)
{
    c->d.anchored = 3;
}
static void bad_inner(list_case *c)
{
    c->d.inner = 2;
}
static void bad_both(list_case *c)
{
    c->d.require_both = 2;
}
static void bad_reduction(list_case *c)
{
    c->d.reduction = 5;
}
static void by_weight(list_case *c)
{
    c->d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT;
}
static void bad_skip(list_case *c)
{
    c->d.skip_invalid = -1;
}
static void bad_items(list_case *c)
{
    c->d.num_items = -1;
}
static void few_items(list_case *c)
{
    c->d.num_items = 2;
}
static void bad_stride(list_case *c)
{
    c->d.score_stride = 0;
}
static void bad_grad_stride(list_case *c)
{
    c->d.grad_stride = 0;
}
static void bad_groups(list_case *c)
{
    c->d.groups.num_groups = -1;
}
static void no_scores(list_case *c)
{
    c->scores = NULL;
}
static void no_index(list_case *c)
{
    c->io.target_index = NULL;
}
static void given(list_case *c)
{
    c->d.reduction = MERIT_PREFERENCE_REDUCTION_GIVEN;
}
static const double one = 1;
static void not_given(list_case *c)
{
    c->io.denominator = &one;
}
static const float three[3] = {1, 1, 1};
static const int32_t ranks[3] = {0, 1, 2};
static const int8_t signs[3] = {1, 1, 1};
static void extra_weights(list_case *c)
{
    c->io.weights = three;
}
static void extra_labels(list_case *c)
{
    c->io.labels = three;
}
static void extra_ranks(list_case *c)
{
    c->io.ranks = ranks;
}
static void extra_signs(list_case *c)
{
    c->io.signs = signs;
}
static void no_weights(list_case *c)
{
    c->d.target = MERIT_LIST_TARGET_WEIGHTS, no_index(c);
}
static void no_ranks(list_case *c)
{
    c->d.mode = MERIT_LIST_MODE_PLACKETT_LUCE, no_index(c);
}
static void no_labels(list_case *c)
{
    c->d.mode = MERIT_LIST_MODE_ALL_PAIRS, no_index(c);
}
static void no_signs(list_case *c)
{
    c->d.mode = MERIT_LIST_MODE_ANCHORED, no_index(c);
}

static const struct rejected {
    spoil *spoil;
    const char *words;
} rejections[] = {
    {bad_dtype, "score_dtype is 1"},
    {bad_mode, "mode is 4|0..3"},
    {bad_target, "target is -1|0..1"},
    {bad_tau, "tau is 0"},
    {nan_tau, "tau is nan"},
    {bad_center, "center is 3"},
    {bad_smoothing, "smoothing is 1"},
    {bad_top_k, "top_k is -1"},
    {bad_link, "link is 2"},
    {bad_margin, "margin is inf"},
    {bad_anchored, "anchored is 3"},
    {bad_inner, "inner is 2"},
    {bad_both, "require_both is 2"},
    {bad_reduction, "reduction is 5"},
    {by_weight, "reduction is MEAN_WEIGHT"},
    {bad_skip, "skip_invalid is -1"},
    {bad_items, "num_items is -1"},
    {few_items, "groups|3|2 rows"},
    {bad_stride, "score_stride is 0"},
    {bad_grad_stride, "grad_stride is 0"},
    {bad_groups, "groups.num_groups is -1"},
    {no_scores, "scores is NULL"},
    {no_index, "target_index is NULL|INDEX"},
    {given, "denominator is NULL|GIVEN"},
    {not_given, "denominator is given|GIVEN"},
    {extra_weights, "weights is given|WEIGHTS"},
    {extra_labels, "labels is given|ALL_PAIRS"},
    {extra_ranks, "ranks is given|PLACKETT_LUCE"},
    {extra_signs, "signs is given|ANCHORED"},
    {no_weights, "weights is NULL|WEIGHTS"},
    {no_ranks, "ranks is NULL|PLACKETT_LUCE"},
    {no_labels, "labels is NULL|ALL_PAIRS"},
    {no_signs, "signs is NULL|ANCHORED"},
};

static list_case plain_case(void)
{
    static const float s[] = {1, 0, 2};
    static const int32_t index = 0;
    list_case c = list_one("yojo", s, 3);
    c.io.target_index = &index;
    return c;
}

TK_TEST(preference_list, rejected_calls_say_why_and_write_nothing)
{
    for (size_t k = 0; k < sizeof rejections / sizeof rejections[0]; k++) {
        list_case c = plain_case();
        rejections[k].spoil(&c);
        // as if the caller had three rows all the same
        const int64_t items = c.d.num_items;
        merit_preference_list_desc d = c.d;
        merit_preference_list_io io = c.io;
        io.scores = tk_input(tk, c.scores, 3, 4);
        io.grad_scores = tk_output(tk, 3, 4);
        io.loss = tk_output(tk, 1, 8);
        io.group_loss = tk_output(tk, 1, 4);
        io.metrics = tk_output(tk, 1, sizeof *io.metrics);
        io.target_index = tk_input(tk, io.target_index, 1, 4);
        d.num_items = items;
        void *const workspace = tk_workspace(tk, 1 << 16);
        const merit_status status =
            merit_preference_list(tk->ctx, &d, &io, workspace, 1 << 16, NULL);
        tk_case("rejection %zu", k);
        tk_expect_rejected(tk->ctx, status, MERIT_STATUS_INVALID_ARGUMENT, rejections[k].words);
        tk_expect_rejected(tk->ctx, status, MERIT_STATUS_INVALID_ARGUMENT,
                           "merit_preference_list: ");
        unsigned char bytes[sizeof(merit_preference_list_metrics)];
        tk_read(tk, io.grad_scores, bytes, 3, 4);
        TK_EXPECT(tk_untouched(bytes, 3, 4), "the gradient was written");
        tk_read(tk, io.loss, bytes, 1, 8);
        TK_EXPECT(tk_untouched(bytes, 1, 8), "the loss was written");
        tk_read(tk, io.metrics, bytes, 1, sizeof bytes);
        TK_EXPECT(tk_untouched(bytes, 1, sizeof bytes), "the metrics were written");
        tk_release(tk);
    }
}

TK_TEST(preference_list, limits_and_small_workspaces_are_rejected)
{
    list_case c = plain_case();
    c.d.groups.group_size = c.d.num_items = 65537;
    c.d.mode = MERIT_LIST_MODE_PLACKETT_LUCE;
    size_t bytes = 0;
    tk_expect_rejected(tk->ctx, merit_preference_list_workspace(tk->ctx, &c.d, &bytes),
                       MERIT_STATUS_UNSUPPORTED, "group_size is 65537|65536|PLACKETT_LUCE");
    c.d.mode = MERIT_LIST_MODE_ALL_PAIRS;
    c.d.groups.group_size = c.d.num_items = 8193;
    tk_expect_rejected(tk->ctx, merit_preference_list_workspace(tk->ctx, &c.d, &bytes),
                       MERIT_STATUS_UNSUPPORTED, "group_size is 8193|8192|ALL_PAIRS");
    c = plain_case();
    tk_expect_ok(tk->ctx, merit_preference_list_workspace(tk->ctx, &c.d, &bytes));
    merit_preference_list_io io = c.io;
    io.scores = tk_input(tk, c.scores, 3, 4);
    io.target_index = tk_input(tk, io.target_index, 1, 4);
    io.grad_scores = tk_output(tk, 3, 4);
    void *const workspace = tk_workspace(tk, bytes);
    tk_expect_rejected(tk->ctx,
                       merit_preference_list(tk->ctx, &c.d, &io, workspace, bytes - 1, NULL),
                       MERIT_STATUS_WORKSPACE_TOO_SMALL, "workspace has");
    io.loss = (double *)io.grad_scores;
    tk_expect_rejected(tk->ctx, merit_preference_list(tk->ctx, &c.d, &io, workspace, bytes, NULL),
                       MERIT_STATUS_INVALID_ARGUMENT, "overlaps|loss|grad_scores");
    tk_expect_rejected(tk->ctx, merit_preference_list_workspace(tk->ctx, &c.d, NULL),
                       MERIT_STATUS_INVALID_ARGUMENT, "bytes is NULL");
}

Test(preference_list, presets_leave_sizes_alone)
{
    merit_preference_list_desc d;
    cr_assert(merit_preference_list_desc_init(&d, sizeof d) == MERIT_STATUS_OK);
    int count = 0;
    while (merit_preference_list_preset_name(count) != NULL) {
        d.num_items = 17, d.score_stride = 3, d.score_dtype = MERIT_DTYPE_F16;
        cr_assert(merit_preference_list_preset(merit_preference_list_preset_name(count), &d) ==
                  MERIT_STATUS_OK);
        cr_assert(d.num_items == 17 && d.score_stride == 3 && d.score_dtype == MERIT_DTYPE_F16);
        count++;
    }
    cr_assert(count == 10, "%d presets", count);
    cr_assert(merit_preference_list_preset("nothing", &d) == MERIT_STATUS_NOT_FOUND);
    cr_assert(merit_preference_list_preset(NULL, &d) == MERIT_STATUS_INVALID_ARGUMENT);
    cr_assert(merit_preference_list_preset("yojo", NULL) == MERIT_STATUS_INVALID_ARGUMENT);
    cr_assert(merit_preference_list_preset("pacs", &d) == MERIT_STATUS_OK && isnan(d.tau));
    cr_assert(merit_preference_list_preset("real", &d) == MERIT_STATUS_OK && d.tau == 0.5f);
    cr_assert(d.require_both == 1 && d.reduction == MERIT_PREFERENCE_REDUCTION_MEAN_GROUPS);
}
