// What score_forward and score_backward reject: one row per documented mistake, nothing written.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "score_case.h"

enum { B = 2, T = 3, H = 4, K = 2, P = 2, WORKSPACE = 1 << 16 };

typedef struct call {
    merit_score_desc d;
    merit_score_forward_io io;
    merit_score_backward_io grad; // what both passes read comes from io
    void *workspace;
    size_t bytes;
} call;

typedef void spoil(call *c);

enum { FORWARD = 1, BACKWARD = 2, BOTH = 3 };

typedef struct rejection {
    spoil *spoil;
    int passes; // that reject it
    merit_status status;
    const char *words;
} rejection;

// Each SPOIL is one mistake.
#define SPOIL(name, ...)      \
    static void name(call *c) \
    {                         \
        __VA_ARGS__;          \
    }

SPOIL(negative_rows, c->d.num_rows = -1)
SPOIL(negative_row_tokens, c->d.row_tokens = -1)
SPOIL(negative_tokens, c->d.num_tokens = -1)
SPOIL(negative_positions, c->d.num_positions = -1)
SPOIL(no_positions_per_row, c->d.positions_per_row = 0)
SPOIL(negative_context, c->d.context_length = -1)
SPOIL(no_hidden_size, c->d.hidden_size = 0)
SPOIL(large_hidden_size, c->d.hidden_size = 65537)
SPOIL(no_heads, c->d.num_heads = 0)
SPOIL(many_heads, c->d.num_heads = 1025)
SPOIL(f64_hidden, c->d.hidden_dtype = MERIT_DTYPE_F64)
SPOIL(negative_hidden_dtype, c->d.hidden_dtype = -1)
SPOIL(other_weight_dtype, c->d.weight_dtype = MERIT_DTYPE_F16)
SPOIL(f32_index, c->d.index_dtype = MERIT_DTYPE_F32)
SPOIL(low_positions, c->d.positions = -1)
SPOIL(high_positions, c->d.positions = 7)
SPOIL(low_layout, c->d.position_layout = -1)
SPOIL(high_layout, c->d.position_layout = 3)
SPOIL(routed_2, c->d.routed = 2)
SPOIL(path_3, c->d.path = 3)
SPOIL(path_blas, c->d.path = MERIT_SCORE_PATH_BLAS)
SPOIL(shard_2, c->d.shard = 2)
SPOIL(accumulate_2, c->d.accumulate = 2)
SPOIL(layout_2, c->d.grad_layout = 2)
SPOIL(small_hidden_stride, c->d.hidden_stride = H - 1)
SPOIL(small_row_stride, c->d.hidden_row_stride = T * H - 1)
SPOIL(small_weight_stride, c->d.weight_stride = H - 1)
SPOIL(small_score_stride, c->d.score_stride = K - 1)
SPOIL(small_grad_score_stride, c->d.grad_score_stride = K - 1)
SPOIL(small_grad_hidden_stride, c->d.grad_hidden_stride = H - 1)
SPOIL(small_grad_weight_stride, c->d.grad_weight_stride = H - 1)
SPOIL(huge_rows, c->d.num_rows = INT64_MAX / 2)
SPOIL(huge_stride, c->d.hidden_stride = INT64_MAX / 4)
SPOIL(no_hidden, c->io.hidden = NULL)
SPOIL(no_weight, c->io.weight = NULL)
SPOIL(no_scores, c->io.scores = NULL)
SPOIL(no_lengths, c->io.lengths = NULL)
SPOIL(no_mask, c->d.positions = MERIT_POSITIONS_MASK; c->io.lengths = NULL)
SPOIL(unused_lengths, c->d.positions = MERIT_POSITIONS_ALL)
SPOIL(unused_route, c->io.route = c->io.lengths)
SPOIL(unused_mask, c->io.mask = (const uint8_t *)c->io.lengths)
SPOIL(unused_ids, c->io.ids = c->io.lengths)
SPOIL(unused_spans, c->io.cu_seqlens = c->io.lengths)
SPOIL(unused_positions, c->io.positions = c->io.lengths)
SPOIL(unused_offsets, c->io.position_offsets = (const int64_t *)c->io.lengths)
SPOIL(no_route, c->d.routed = 1; c->d.score_stride = 0)
SPOIL(no_ids, c->d.positions = MERIT_POSITIONS_LAST_NON_PAD; c->d.pad_id = 0; c->io.lengths = NULL)
SPOIL(no_pad_id, c->d.positions = MERIT_POSITIONS_LAST_NON_PAD; c->io.lengths = NULL)
SPOIL(no_first_pad_id, c->d.positions = MERIT_POSITIONS_BEFORE_FIRST_PAD; c->io.lengths = NULL)
SPOIL(long_context, c->d.positions = MERIT_POSITIONS_BEFORE_FIRST_PAD; c->d.pad_id = 0;
      c->d.context_length = T + 1)
SPOIL(spans_of_sequences, c->d.positions = MERIT_POSITIONS_CU_SEQLENS)
SPOIL(packed_lengths, c->d.row_tokens = 0; c->d.num_tokens = B * T)
SPOIL(no_explicit, c->d.positions = MERIT_POSITIONS_EXPLICIT; c->d.num_positions = 1;
      c->io.lengths = NULL)
SPOIL(no_offsets, c->d.positions = MERIT_POSITIONS_EXPLICIT;
      c->d.position_layout = MERIT_POSITION_LAYOUT_RAGGED; c->d.num_positions = 1;
      c->io.positions = c->io.lengths; c->io.lengths = NULL)
SPOIL(no_spans, c->d.positions = MERIT_POSITIONS_CU_SEQLENS; c->d.row_tokens = 0;
      c->d.num_tokens = 1; c->io.lengths = NULL)
SPOIL(partial_bias, c->d.shard = MERIT_SCORE_SHARD_PARTIAL; c->io.bias = c->io.weight)
SPOIL(partial_mean, c->d.shard = MERIT_SCORE_SHARD_PARTIAL; c->io.post_mean = c->io.weight)
SPOIL(partial_std, c->d.shard = MERIT_SCORE_SHARD_PARTIAL; c->io.post_std = c->io.weight)
SPOIL(scores_on_hidden, c->io.scores = (void *)(uintptr_t)c->io.hidden)
SPOIL(scores_on_lengths, c->io.scores = (void *)(uintptr_t)c->io.lengths)
SPOIL(positions_on_scores, c->io.found_positions = c->io.scores)
SPOIL(no_grad_scores, c->grad.grad_scores = NULL)
SPOIL(partial_accumulate, c->d.shard = MERIT_SCORE_SHARD_PARTIAL; c->d.accumulate = 1)
SPOIL(small_dense_row_stride, c->d.grad_layout = MERIT_GRAD_LAYOUT_DENSE;
      c->d.grad_hidden_row_stride = T * H - 1)
SPOIL(gradient_on_hidden, c->grad.grad_hidden = (void *)(uintptr_t)c->io.hidden)
SPOIL(gradient_on_scores, c->grad.grad_bias = (void *)(uintptr_t)c->grad.grad_scores)
SPOIL(weight_on_hidden, c->grad.grad_weight = c->grad.grad_hidden)
SPOIL(labels_on_gradient, c->grad.label_mask = c->grad.grad_bias)
SPOIL(small_io, c->io.struct_size = c->grad.struct_size = 8)
SPOIL(small_desc, c->d.struct_size = 8)
SPOIL(no_workspace, c->workspace = NULL)
SPOIL(small_workspace, c->bytes = 1)

#define INVALID(name, passes, words)                       \
    {                                                      \
        name, passes, MERIT_STATUS_INVALID_ARGUMENT, words \
    }

static const rejection rejections[] = {
    INVALID(negative_rows, BOTH, "num_rows|-1"),
    INVALID(negative_row_tokens, BOTH, "row_tokens|-1"),
    INVALID(negative_tokens, BOTH, "num_tokens|-1"),
    INVALID(negative_positions, BOTH, "num_positions|-1"),
    INVALID(no_positions_per_row, BOTH, "positions_per_row|0"),
    INVALID(negative_context, BOTH, "context_length|-1"),
    INVALID(no_hidden_size, BOTH, "hidden_size|0|65536"),
    INVALID(large_hidden_size, BOTH, "hidden_size|65537"),
    INVALID(no_heads, BOTH, "num_heads|0"),
    INVALID(many_heads, BOTH, "num_heads|1025|1024"),
    INVALID(f64_hidden, BOTH, "hidden_dtype"),
    INVALID(negative_hidden_dtype, BOTH, "hidden_dtype|-1"),
    INVALID(other_weight_dtype, BOTH, "weight_dtype"),
    INVALID(f32_index, BOTH, "index_dtype"),
    INVALID(low_positions, BOTH, "positions|-1"),
    INVALID(high_positions, BOTH, "positions|7"),
    INVALID(low_layout, BOTH, "position_layout|-1"),
    INVALID(high_layout, BOTH, "position_layout|3"),
    INVALID(routed_2, BOTH, "routed|2"),
    INVALID(path_3, BOTH, "path|3"),
    {path_blas, FORWARD, MERIT_STATUS_UNSUPPORTED, "path|cuBLAS"},
    INVALID(shard_2, BOTH, "shard|2"),
    INVALID(accumulate_2, BOTH, "accumulate|2"),
    INVALID(layout_2, BOTH, "grad_layout|2"),
    INVALID(small_hidden_stride, BOTH, "hidden_stride|3|4"),
    INVALID(small_row_stride, BOTH, "hidden_row_stride|11|12"),
    INVALID(small_weight_stride, BOTH, "weight_stride|3"),
    INVALID(small_score_stride, BOTH, "score_stride|1|2"),
    INVALID(small_grad_score_stride, BOTH, "grad_score_stride|1"),
    INVALID(small_grad_hidden_stride, BOTH, "grad_hidden_stride|3"),
    INVALID(small_grad_weight_stride, BOTH, "grad_weight_stride|3"),
    INVALID(huge_rows, BOTH, "2^63"),
    INVALID(huge_stride, BOTH, "hidden_stride|2^63"),
    INVALID(no_hidden, BOTH, "hidden is NULL"),
    INVALID(no_weight, BOTH, "weight is NULL"),
    INVALID(no_scores, FORWARD, "scores is NULL"),
    INVALID(no_lengths, BOTH, "lengths is NULL"),
    INVALID(no_mask, BOTH, "mask is NULL"),
    INVALID(unused_lengths, BOTH, "lengths is given"),
    INVALID(unused_route, BOTH, "route is given"),
    INVALID(unused_mask, BOTH, "mask is given"),
    INVALID(unused_ids, BOTH, "ids is given"),
    INVALID(unused_spans, BOTH, "cu_seqlens is given"),
    INVALID(unused_positions, BOTH, "positions is given"),
    INVALID(unused_offsets, BOTH, "position_offsets is given"),
    INVALID(no_route, BOTH, "route is NULL"),
    INVALID(no_ids, BOTH, "ids is NULL"),
    INVALID(no_pad_id, BOTH, "pad_id|-1"),
    INVALID(no_first_pad_id, BOTH, "pad_id|-1"),
    INVALID(long_context, BOTH, "context_length|4|3"),
    INVALID(spans_of_sequences, BOTH, "row_tokens|CU_SEQLENS"),
    INVALID(packed_lengths, BOTH, "row_tokens is 0"),
    INVALID(no_explicit, BOTH, "positions is NULL"),
    INVALID(no_offsets, BOTH, "position_offsets is NULL"),
    INVALID(no_spans, BOTH, "cu_seqlens is NULL"),
    INVALID(partial_bias, FORWARD, "bias|PARTIAL"),
    INVALID(partial_mean, FORWARD, "post_mean|PARTIAL"),
    INVALID(partial_std, FORWARD, "post_std|PARTIAL"),
    INVALID(scores_on_hidden, FORWARD, "scores|overlaps|hidden"),
    INVALID(scores_on_lengths, FORWARD, "scores|overlaps|lengths"),
    INVALID(positions_on_scores, FORWARD, "found_positions|overlaps|scores"),
    INVALID(no_grad_scores, BACKWARD, "grad_scores is NULL"),
    INVALID(partial_accumulate, BACKWARD, "accumulate is 1|PARTIAL"),
    INVALID(small_dense_row_stride, BACKWARD, "grad_hidden_row_stride|11|12"),
    INVALID(gradient_on_hidden, BACKWARD, "grad_hidden|overlaps|hidden"),
    INVALID(gradient_on_scores, BACKWARD, "grad_bias|overlaps|grad_scores"),
    INVALID(weight_on_hidden, BACKWARD, "grad_weight|overlaps|grad_hidden"),
    INVALID(labels_on_gradient, BACKWARD, "grad_bias|overlaps|label_mask"),
    INVALID(small_io, BOTH, "io->struct_size"),
    INVALID(small_desc, BOTH, "desc->struct_size"),
    {no_workspace, BOTH, MERIT_STATUS_WORKSPACE_TOO_SMALL, "workspace"},
    {small_workspace, BOTH, MERIT_STATUS_WORKSPACE_TOO_SMALL, "workspace|1 bytes"},
};

static call good_call(tk_fixture *tk)
{
    static const float hidden[B * T * H] = {1};
    static const float weight[K * H] = {1};
    static const float gradients[P * K] = {1};
    static const int32_t lengths[B] = {3, 1};
    call c = {.bytes = WORKSPACE, .workspace = tk_workspace(tk, WORKSPACE)};
    cr_assert(merit_score_desc_init(&c.d, sizeof c.d) == MERIT_STATUS_OK);
    c.d.num_rows = B;
    c.d.row_tokens = T;
    c.d.hidden_size = H;
    c.d.num_heads = K;
    c.d.hidden_dtype = MERIT_DTYPE_F32;
    c.io = (merit_score_forward_io){.struct_size = sizeof c.io,
                                    .hidden = tk_input(tk, hidden, B * T * H, 4),
                                    .weight = tk_input(tk, weight, K * H, 4),
                                    .lengths = tk_input(tk, lengths, B, 4),
                                    .scores = tk_output(tk, P * K, 4)};
    c.grad = (merit_score_backward_io){.struct_size = sizeof c.grad,
                                       .grad_scores = tk_input(tk, gradients, P * K, 4),
                                       .grad_hidden = tk_output(tk, P * H, 4),
                                       .grad_weight = tk_output(tk, K * H, 4),
                                       .grad_bias = tk_output(tk, K, 4)};
    return c;
}

static merit_status forward(tk_fixture *tk, const call *c)
{
    return merit_score_forward(tk->ctx, &c->d, &c->io, c->workspace, c->bytes, NULL);
}

static merit_status backward(tk_fixture *tk, const call *c)
{
    merit_score_backward_io io = c->grad;
    io.hidden = c->io.hidden;
    io.weight = c->io.weight;
    io.post_std = c->io.post_std;
    io.route = c->io.route;
    io.lengths = c->io.lengths;
    io.mask = c->io.mask;
    io.cu_seqlens = c->io.cu_seqlens;
    io.ids = c->io.ids;
    io.positions = c->io.positions;
    io.position_offsets = c->io.position_offsets;
    return merit_score_backward(tk->ctx, &c->d, &io, c->workspace, c->bytes, NULL);
}

static void expect_untouched(tk_fixture *tk, const void *block, int64_t count, const char *name)
{
    unsigned char after[B * T * H * 4];
    tk_read(tk, block, after, count, 4);
    TK_EXPECT(tk_untouched(after, count, 4), "%s was written", name);
}

static void expect_nothing_written(tk_fixture *tk, const call *good)
{
    expect_untouched(tk, good->io.scores, P * K, "scores");
    expect_untouched(tk, good->grad.grad_hidden, P * H, "grad_hidden");
    expect_untouched(tk, good->grad.grad_weight, K * H, "grad_weight");
    expect_untouched(tk, good->grad.grad_bias, K, "grad_bias");
}

TK_TEST(score_rejected, each_mistake_is_named_and_writes_nothing)
{
    for (size_t i = 0; i < sizeof rejections / sizeof rejections[0]; i++) {
        const rejection *const row = &rejections[i];
        for (int pass = FORWARD; pass <= BACKWARD; pass++) {
            if ((row->passes & pass) == 0) continue;
            tk_case("%s, pass %d", row->words, pass);
            call c = good_call(tk);
            const call good = c;
            row->spoil(&c);
            const merit_status status = pass == FORWARD ? forward(tk, &c) : backward(tk, &c);
            tk_expect_rejected(tk->ctx, status, row->status, row->words);
            tk_expect_rejected(tk->ctx, status, row->status,
                               pass == FORWARD ? "merit_score_forward" : "merit_score_backward");
            expect_nothing_written(tk, &good);
            tk_release(tk);
        }
    }
    const call c = good_call(tk);
    tk_expect_ok(tk->ctx, forward(tk, &c));
    tk_expect_ok(tk->ctx, backward(tk, &c));
    tk_release(tk);
}

TK_TEST(score_rejected, null_arguments_are_named)
{
    const call c = good_call(tk);
    TK_EXPECT(merit_score_forward(NULL, &c.d, &c.io, NULL, 0, NULL) ==
                      MERIT_STATUS_INVALID_ARGUMENT &&
                  merit_score_backward(NULL, &c.d, &c.grad, NULL, 0, NULL) ==
                      MERIT_STATUS_INVALID_ARGUMENT,
              "ctx NULL");
    const merit_status invalid = MERIT_STATUS_INVALID_ARGUMENT;
    tk_expect_rejected(tk->ctx, merit_score_forward(tk->ctx, NULL, &c.io, NULL, 0, NULL), invalid,
                       "desc is NULL");
    tk_expect_rejected(tk->ctx, merit_score_forward(tk->ctx, &c.d, NULL, NULL, 0, NULL), invalid,
                       "io is NULL");
    tk_expect_rejected(tk->ctx, merit_score_backward(tk->ctx, NULL, &c.grad, NULL, 0, NULL),
                       invalid, "desc is NULL");
    tk_expect_rejected(tk->ctx, merit_score_backward(tk->ctx, &c.d, NULL, NULL, 0, NULL), invalid,
                       "io is NULL");
    tk_expect_rejected(tk->ctx, merit_score_forward_workspace(tk->ctx, &c.d, NULL), invalid,
                       "bytes is NULL");
    tk_expect_rejected(tk->ctx, merit_score_backward_workspace(tk->ctx, &c.d, NULL), invalid,
                       "bytes is NULL");
    tk_release(tk);
}

// Sequences without positions: no gradient is written, not even the zeros of DENSE.
TK_TEST(score_rejected, no_positions_write_nothing)
{
    for (int32_t layout = MERIT_GRAD_LAYOUT_DENSE; layout <= MERIT_GRAD_LAYOUT_ROWS; layout++) {
        call c = good_call(tk);
        c.d.positions = MERIT_POSITIONS_EXPLICIT;
        c.d.grad_layout = layout;
        c.d.grad_hidden_row_stride = 0;
        c.io.lengths = NULL;
        c.grad.grad_hidden = tk_output(tk, B * T * H, 4);
        tk_expect_ok(tk->ctx, forward(tk, &c));
        tk_expect_ok(tk->ctx, backward(tk, &c));
        expect_nothing_written(tk, &c);
        expect_untouched(tk, c.grad.grad_hidden, B * T * H, "grad_hidden");
        tk_release(tk);
    }
}

// Presets -----------------------------------------------------------------------------------------

Test(score_presets, name_their_rule_and_keep_sizes)
{
    static const struct {
        const char *name;
        int32_t positions, layout, routed;
    } expected[] = {
        {"hf.sequence_classification", MERIT_POSITIONS_LAST_NON_PAD, 0, 0},
        {"trl.reward", MERIT_POSITIONS_LAST_NON_PAD, 0, 0},
        {"nemo.bt", MERIT_POSITIONS_LAST_NON_PAD, 0, 0},
        {"skywork", MERIT_POSITIONS_LAST_NON_PAD, 0, 0},
        {"armo", MERIT_POSITIONS_LAST_NON_PAD, 0, 0},
        {"trl.get_reward", MERIT_POSITIONS_BEFORE_FIRST_PAD, 0, 0},
        {"open_instruct.get_reward", MERIT_POSITIONS_BEFORE_FIRST_PAD, 0, 0},
        {"openrlhf.reward", MERIT_POSITIONS_MASK, 0, 0},
        {"areal.reward", MERIT_POSITIONS_CU_SEQLENS, 0, 0},
        {"aligner.regression", MERIT_POSITIONS_LENGTHS, 0, 0},
        {"value_head", MERIT_POSITIONS_ALL, 0, 0},
        {"prm.steps", MERIT_POSITIONS_EXPLICIT, MERIT_POSITION_LAYOUT_RAGGED, 0},
        {"yojo", MERIT_POSITIONS_EXPLICIT, MERIT_POSITION_LAYOUT_PER_ROW, 0},
        {"mah", MERIT_POSITIONS_LENGTHS, 0, 1},
    };
    const int count = (int)(sizeof expected / sizeof expected[0]);
    for (int i = 0; i < count; i++) {
        merit_score_desc d;
        cr_assert(merit_score_desc_init(&d, sizeof d) == MERIT_STATUS_OK);
        d.num_rows = 5, d.row_tokens = 7, d.hidden_size = 9, d.num_heads = 3;
        d.pad_id = 4, d.context_length = 2, d.weight_stride = 11;
        d.hidden_dtype = MERIT_DTYPE_F16;
        d.routed = 1, d.path = MERIT_SCORE_PATH_AUTO, d.empty_value = 1;
        cr_assert(merit_score_preset(expected[i].name, &d) == MERIT_STATUS_OK);
        cr_expect(d.positions == expected[i].positions && d.position_layout == expected[i].layout &&
                      d.routed == expected[i].routed,
                  "%s", expected[i].name);
        cr_expect(d.path == MERIT_SCORE_PATH_EXACT && isnan(d.empty_value), "%s", expected[i].name);
        cr_expect(d.num_rows == 5 && d.row_tokens == 7 && d.hidden_size == 9 && d.num_heads == 3 &&
                      d.pad_id == 4 && d.context_length == 2 && d.weight_stride == 11 &&
                      d.hidden_dtype == MERIT_DTYPE_F16,
                  "%s keeps sizes", expected[i].name);
        int found = 0;
        for (int n = 0; merit_score_preset_name(n) != NULL; n++) {
            found += strcmp(merit_score_preset_name(n), expected[i].name) == 0;
        }
        cr_expect(found == 1, "%s is listed %d times", expected[i].name, found);
    }
    cr_expect(merit_score_preset_name(count) == NULL && merit_score_preset_name(-1) == NULL);
    merit_score_desc d;
    merit_score_desc_init(&d, sizeof d);
    cr_expect(merit_score_preset("none", &d) == MERIT_STATUS_NOT_FOUND);
    cr_expect(merit_score_preset(NULL, &d) == MERIT_STATUS_INVALID_ARGUMENT);
    cr_expect(merit_score_preset("mah", NULL) == MERIT_STATUS_INVALID_ARGUMENT);
    cr_expect(merit_score_desc_init(NULL, sizeof d) == MERIT_STATUS_INVALID_ARGUMENT);
    cr_expect(merit_score_desc_init(&d, 8) == MERIT_STATUS_INVALID_ARGUMENT);
}
