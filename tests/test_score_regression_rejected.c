// What score_regression and score_finish reject: one row per documented mistake, nothing written.
#include <math.h>

#include "tk.h"

enum { P = 2, K = 3, WORKSPACE = 1 << 14 };

typedef struct call {
    merit_score_regression_desc d;
    merit_score_regression_io io;
    void *workspace;
    size_t bytes;
} call;

typedef void spoil(call *c);

#define SPOIL(name, ...)      \
    static void name(call *c) \
    {                         \
        __VA_ARGS__;          \
    }

SPOIL(negative_rows, c->d.num_rows = -1)
SPOIL(no_heads, c->d.num_heads = 0)
SPOIL(many_heads, c->d.num_heads = 1025)
SPOIL(low_link, c->d.link = -1)
SPOIL(high_link, c->d.link = 3)
SPOIL(no_delta, c->d.huber_delta = 0)
SPOIL(nan_delta, c->d.huber_delta = NAN)
SPOIL(infinite_delta, c->d.huber_delta = INFINITY)
SPOIL(half_2, c->d.half = 2)
SPOIL(use_sentinel_2, c->d.use_sentinel = 2)
SPOIL(low_reduction, c->d.reduction = -1)
SPOIL(high_reduction, c->d.reduction = 5)
SPOIL(small_score_stride, c->d.score_stride = K - 1)
SPOIL(small_label_stride, c->d.label_stride = K - 1)
SPOIL(small_grad_stride, c->d.grad_stride = K - 1)
SPOIL(huge_rows, c->d.num_rows = INT64_MAX / 4)
SPOIL(no_scores, c->io.scores = NULL)
SPOIL(no_labels, c->io.labels = NULL)
SPOIL(no_denominators, c->d.reduction = MERIT_REGRESSION_GIVEN)
SPOIL(extra_denominators, c->io.denominators = c->io.loss)
SPOIL(gradient_on_labels, c->io.grad_scores = (float *)(uintptr_t)c->io.labels)
SPOIL(strided_in_place, c->io.grad_scores = (float *)(uintptr_t)c->io.scores;
      c->d.grad_stride = K + 1)
SPOIL(losses_on_loss, c->io.head_loss = c->io.loss)
SPOIL(small_desc, c->d.struct_size = 8)
SPOIL(small_io, c->io.struct_size = 8)
SPOIL(no_workspace, c->workspace = NULL)
SPOIL(small_workspace, c->bytes = 1)

#define INVALID(name, words)                       \
    {                                              \
        name, MERIT_STATUS_INVALID_ARGUMENT, words \
    }

static const struct rejection {
    spoil *spoil;
    merit_status status;
    const char *words;
} rejections[] = {
    INVALID(negative_rows, "num_rows|-1"),
    INVALID(no_heads, "num_heads|0|1..1024"),
    INVALID(many_heads, "num_heads|1025|1024"),
    INVALID(low_link, "link|-1|0..2"),
    INVALID(high_link, "link|3|0..2"),
    INVALID(no_delta, "huber_delta|0"),
    INVALID(nan_delta, "huber_delta|nan"),
    INVALID(infinite_delta, "huber_delta|inf"),
    INVALID(half_2, "half|2"),
    INVALID(use_sentinel_2, "use_sentinel|2"),
    INVALID(low_reduction, "reduction|-1|0..4"),
    INVALID(high_reduction, "reduction|5|0..4"),
    INVALID(small_score_stride, "score_stride|2|3"),
    INVALID(small_label_stride, "label_stride|2|3"),
    INVALID(small_grad_stride, "grad_stride|2|3"),
    INVALID(huge_rows, "num_rows|2^63"),
    INVALID(no_scores, "scores is NULL"),
    INVALID(no_labels, "labels is NULL"),
    INVALID(no_denominators, "denominators is NULL|GIVEN"),
    INVALID(extra_denominators, "denominators is given|GIVEN"),
    INVALID(gradient_on_labels, "grad_scores|overlaps|labels"),
    INVALID(strided_in_place, "grad_scores|overlaps|scores"),
    INVALID(losses_on_loss, "loss|overlaps|head_loss"),
    INVALID(small_desc, "desc->struct_size"),
    INVALID(small_io, "io->struct_size"),
    {no_workspace, MERIT_STATUS_WORKSPACE_TOO_SMALL, "workspace"},
    {small_workspace, MERIT_STATUS_WORKSPACE_TOO_SMALL, "workspace|1 bytes"},
};

static call good_call(tk_fixture *tk)
{
    static const float scores[P * K] = {1, 2, .5f, 0, -1, 3};
    static const float labels[P * K] = {0, NAN, 1, NAN, 1, 1};
    call c = {.workspace = tk_workspace(tk, WORKSPACE), .bytes = WORKSPACE};
    cr_assert(merit_score_regression_desc_init(&c.d, sizeof c.d) == MERIT_STATUS_OK);
    c.d.num_rows = P, c.d.num_heads = K;
    c.io = (merit_score_regression_io){.struct_size = sizeof c.io,
                                       .scores = tk_input(tk, scores, P * K, 4),
                                       .labels = tk_input(tk, labels, P * K, 4),
                                       .loss = tk_output(tk, 1, 8),
                                       .head_loss = tk_output(tk, K, 8),
                                       .head_count = tk_output(tk, K, 8),
                                       .grad_scores = tk_output(tk, P * K, 4),
                                       .grad_norm_sq = tk_output(tk, K, 8)};
    return c;
}

static merit_status run(tk_fixture *tk, const call *c)
{
    return merit_score_regression(tk->ctx, &c->d, &c->io, c->workspace, c->bytes, NULL);
}

static void expect_untouched(tk_fixture *tk, const void *block, int64_t count, size_t size,
                             const char *name)
{
    unsigned char after[256];
    tk_read(tk, block, after, count, size);
    TK_EXPECT(tk_untouched(after, count, size), "%s was written", name);
}

TK_TEST(score_regression_rejected, each_mistake_is_named_and_writes_nothing)
{
    for (size_t i = 0; i < sizeof rejections / sizeof rejections[0]; i++) {
        const struct rejection *const row = &rejections[i];
        tk_case("%s", row->words);
        call c = good_call(tk);
        const merit_score_regression_io good = c.io;
        row->spoil(&c);
        const merit_status status = run(tk, &c);
        tk_expect_rejected(tk->ctx, status, row->status, row->words);
        tk_expect_rejected(tk->ctx, status, row->status, "merit_score_regression");
        expect_untouched(tk, good.loss, 1, 8, "loss");
        expect_untouched(tk, good.head_loss, K, 8, "head_loss");
        expect_untouched(tk, good.head_count, K, 8, "head_count");
        expect_untouched(tk, good.grad_scores, P * K, 4, "grad_scores");
        expect_untouched(tk, good.grad_norm_sq, K, 8, "grad_norm_sq");
        tk_release(tk);
    }
    const call c = good_call(tk);
    tk_expect_ok(tk->ctx, run(tk, &c));
    const merit_status invalid = MERIT_STATUS_INVALID_ARGUMENT;
    tk_expect_rejected(tk->ctx,
                       merit_score_regression(tk->ctx, NULL, &c.io, c.workspace, c.bytes, NULL),
                       invalid, "desc is NULL");
    tk_expect_rejected(tk->ctx,
                       merit_score_regression(tk->ctx, &c.d, NULL, c.workspace, c.bytes, NULL),
                       invalid, "io is NULL");
    tk_expect_rejected(tk->ctx, merit_score_regression_workspace(tk->ctx, &c.d, NULL), invalid,
                       "bytes is NULL");
    TK_EXPECT(merit_score_regression(NULL, &c.d, &c.io, c.workspace, c.bytes, NULL) == invalid,
              "ctx is NULL");
    tk_release(tk);
}

// score_finish ------------------------------------------------------------------------------------

typedef struct finish_call {
    merit_score_finish_desc d;
    merit_score_finish_io io;
} finish_call;

static finish_call good_finish(tk_fixture *tk)
{
    static const double tiles[2 * P * K] = {1};
    finish_call c;
    cr_assert(merit_score_finish_desc_init(&c.d, sizeof c.d) == MERIT_STATUS_OK);
    c.d.num_tiles = 2, c.d.num_positions = P, c.d.num_heads = K;
    c.io = (merit_score_finish_io){.struct_size = sizeof c.io,
                                   .tile_sums = tk_input(tk, tiles, 2 * P * K, 8),
                                   .scores = tk_output(tk, P * K, 4)};
    return c;
}

TK_TEST(score_finish_rejected, each_mistake_is_named_and_writes_nothing)
{
    static const char *const words[] = {"num_tiles|0",
                                        "num_positions|-1",
                                        "num_heads|0",
                                        "num_heads|65537|65536",
                                        "routed|2",
                                        "score_stride|2|3",
                                        "2^63",
                                        "tile_sums is NULL",
                                        "scores is NULL",
                                        "route is NULL|routed",
                                        "route is given|routed",
                                        "scores|overlaps|tile_sums",
                                        "desc->struct_size",
                                        "io->struct_size"};
    const int count = (int)(sizeof words / sizeof words[0]);
    for (int i = 0; i < count; i++) {
        tk_case("%s", words[i]);
        finish_call c = good_finish(tk);
        const float *const scores = c.io.scores;
        switch (i) {
        case 0: c.d.num_tiles = 0; break;
        case 1: c.d.num_positions = -1; break;
        case 2: c.d.num_heads = 0; break;
        case 3: c.d.num_heads = 65537; break;
        case 4: c.d.routed = 2; break;
        case 5: c.d.score_stride = K - 1; break;
        case 6: c.d.num_tiles = INT64_MAX / 2; break;
        case 7: c.io.tile_sums = NULL; break;
        case 8: c.io.scores = NULL; break;
        case 9: c.d.routed = 1; break;
        case 10: c.io.route = (const int32_t *)c.io.tile_sums; break;
        case 11: c.io.scores = (float *)(uintptr_t)c.io.tile_sums; break;
        case 12: c.d.struct_size = 8; break;
        default: c.io.struct_size = 8; break;
        }
        const merit_status status = merit_score_finish(tk->ctx, &c.d, &c.io, NULL, 0, NULL);
        tk_expect_rejected(tk->ctx, status, MERIT_STATUS_INVALID_ARGUMENT, words[i]);
        tk_expect_rejected(tk->ctx, status, MERIT_STATUS_INVALID_ARGUMENT, "merit_score_finish");
        expect_untouched(tk, scores, P * K, 4, "scores");
        tk_release(tk);
    }
    finish_call c = good_finish(tk);
    const merit_status invalid = MERIT_STATUS_INVALID_ARGUMENT;
    tk_expect_ok(tk->ctx, merit_score_finish(tk->ctx, &c.d, &c.io, NULL, 0, NULL));
    tk_expect_rejected(tk->ctx, merit_score_finish(tk->ctx, NULL, &c.io, NULL, 0, NULL), invalid,
                       "desc is NULL");
    tk_expect_rejected(tk->ctx, merit_score_finish(tk->ctx, &c.d, NULL, NULL, 0, NULL), invalid,
                       "io is NULL");
    tk_expect_rejected(tk->ctx, merit_score_finish_workspace(tk->ctx, &c.d, NULL), invalid,
                       "bytes is NULL");
    TK_EXPECT(merit_score_finish(NULL, &c.d, &c.io, NULL, 0, NULL) == invalid, "ctx is NULL");
    // Stds of 0 and NaN follow IEEE, routes that do not exist are NaN: counted.
    static const float std[K] = {0, NAN, 2};
    static const int32_t route[P] = {-1, K};
    merit_diagnostics diagnostics = {0};
    c.io.post_std = tk_input(tk, std, K, 4);
    c.io.route = tk_input(tk, route, P, 4);
    c.io.diagnostics = tk_inout(tk, &diagnostics, 1, sizeof diagnostics);
    c.d.routed = 1;
    tk_expect_ok(tk->ctx, merit_score_finish(tk->ctx, &c.d, &c.io, NULL, 0, NULL));
    float scores[P];
    tk_read(tk, c.io.scores, scores, P, 4);
    tk_read(tk, c.io.diagnostics, &diagnostics, 1, sizeof diagnostics);
    TK_EXPECT(isnan(scores[0]) && isnan(scores[1]), "bad routes");
    TK_EXPECT(diagnostics.count[MERIT_COUNTER_BAD_ROUTE] == 2 &&
                  diagnostics.count[MERIT_COUNTER_BAD_STD] == 2,
              "counted");
    tk_release(tk);
}
