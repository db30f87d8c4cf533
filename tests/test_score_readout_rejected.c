// What the readouts reject: one row per documented mistake, nothing written.
#include <math.h>
#include <string.h>

#include "tk.h"

enum { P = 2, K = 4, FORWARD = 1, BACKWARD = 2, BOTH = 3 };

// A call of either pass. Arrays that both read are those of io.
typedef struct call {
    merit_score_readout_desc d;
    merit_score_readout_forward_io io;
    merit_score_readout_backward_io grad;
    float *outputs[11]; // all there are, whatever a spoiled io says
} call;

typedef void spoil(call *c);

#define SPOIL(name, ...)      \
    static void name(call *c) \
    {                         \
        __VA_ARGS__;          \
    }

SPOIL(negative_rows, c->d.num_rows = -1)
SPOIL(no_columns, c->d.num_columns = 0)
SPOIL(many_columns, c->d.num_columns = 1025)
SPOIL(negative_logits, c->d.num_logits = -1)
SPOIL(f64_inputs, c->d.input_dtype = MERIT_DTYPE_F64)
SPOIL(low_kind, c->d.kind = -1)
SPOIL(high_kind, c->d.kind = 4)
SPOIL(unit_2, c->d.unit = 2)
SPOIL(sort_2, c->d.sort = 2)
SPOIL(no_temperature, c->d.temperature = 0)
SPOIL(negative_temperature, c->d.temperature = -1)
SPOIL(nan_temperature, c->d.temperature = NAN)
SPOIL(infinite_temperature, c->d.temperature = INFINITY)
SPOIL(nan_scale, c->d.scale = NAN)
SPOIL(armo_scale, cr_assert(merit_score_readout_preset("armo", &c->d) == MERIT_STATUS_OK))
SPOIL(no_alpha, c->d.alpha = 0)
SPOIL(large_alpha, c->d.alpha = 1.5f)
SPOIL(nan_alpha, c->d.alpha = NAN)
SPOIL(no_attributes, c->d.num_attributes = 0)
SPOIL(odd_attributes, c->d.num_attributes = 3)
SPOIL(small_input_stride, c->d.input_stride = K - 1)
SPOIL(small_gate_stride, c->d.gate_stride = K - 1)
SPOIL(small_direction_stride, c->d.direction_stride = K - 1)
SPOIL(small_grad_stride, c->d.grad_stride = K - 1)
SPOIL(huge_rows, c->d.num_rows = INT64_MAX / 4)
SPOIL(more_logits, c->d.num_logits = K + 1)
SPOIL(no_inputs, c->io.inputs = NULL)
SPOIL(no_direction, c->io.direction = NULL)
SPOIL(no_gate, c->io.gate_logits = NULL)
SPOIL(extra_direction, c->io.direction = c->io.inputs)
SPOIL(extra_gate, c->io.gate_logits = c->io.inputs)
SPOIL(extra_transform, c->io.transform = c->io.inputs)
SPOIL(extra_index, c->io.level_index = c->io.inputs)
SPOIL(extra_values, c->io.level_values = c->io.inputs)
SPOIL(extra_weights, c->io.level_weights = c->io.inputs)
SPOIL(extra_reward, c->io.reward = c->outputs[0]; c->grad.grad_reward = c->io.inputs)
SPOIL(extra_gate_output, c->io.gate = c->outputs[1]; c->grad.grad_gate_logits = c->outputs[10])
SPOIL(extra_mean, c->io.mean = c->outputs[2]; c->grad.grad_mean = c->io.inputs)
SPOIL(extra_variance, c->io.variance = c->outputs[3]; c->grad.grad_variance = c->io.inputs)
SPOIL(extra_entropy, c->io.entropy = c->outputs[4]; c->grad.grad_entropy = c->io.inputs)
SPOIL(extra_prob, c->io.prob = c->outputs[5])
SPOIL(extra_cvar, c->io.cvar = c->outputs[6]; c->grad.grad_cvar = c->io.inputs)
SPOIL(extra_iqr, c->io.iqr = c->outputs[7]; c->grad.grad_iqr = c->io.inputs)
SPOIL(extra_grad_direction, c->grad.grad_direction = c->outputs[9])
SPOIL(reward_on_inputs, c->io.reward = (void *)(uintptr_t)c->io.inputs)
SPOIL(gradient_on_inputs, c->grad.grad_inputs = (void *)(uintptr_t)c->io.inputs)
SPOIL(gradient_on_gradient, c->grad.grad_direction = c->grad.grad_inputs)
SPOIL(small_desc, c->d.struct_size = 8)
SPOIL(small_io, c->io.struct_size = c->grad.struct_size = 8)

enum {
    LINEAR = MERIT_READOUT_LINEAR,
    GATE = MERIT_READOUT_GATE,
    LEVELS = MERIT_READOUT_LEVELS,
    QUANTILE = MERIT_READOUT_QUANTILE
};

static const struct rejection {
    spoil *spoil;
    int32_t kind; // of the call it spoils
    int passes;
    const char *words;
} rejections[] = {
    {negative_rows, LINEAR, BOTH, "num_rows|-1"},
    {no_columns, LINEAR, BOTH, "num_columns|0|1..1024"},
    {many_columns, LINEAR, BOTH, "num_columns|1025|1024"},
    {negative_logits, LINEAR, BOTH, "num_logits|-1"},
    {f64_inputs, LINEAR, BOTH, "input_dtype|F32"},
    {low_kind, LINEAR, BOTH, "kind|-1|0..3"},
    {high_kind, LINEAR, BOTH, "kind|4|0..3"},
    {unit_2, LINEAR, BOTH, "unit|2"},
    {sort_2, LINEAR, BOTH, "sort|2"},
    {no_temperature, GATE, BOTH, "temperature|0"},
    {negative_temperature, LEVELS, BOTH, "temperature|-1"},
    {nan_temperature, LEVELS, BOTH, "temperature|nan"},
    {infinite_temperature, LEVELS, BOTH, "temperature|inf"},
    {nan_scale, GATE, BOTH, "scale|nan"},
    {armo_scale, GATE, BOTH, "scale|nan"},
    {no_alpha, QUANTILE, BOTH, "alpha|0"},
    {large_alpha, QUANTILE, BOTH, "alpha|1.5|1"},
    {nan_alpha, QUANTILE, BOTH, "alpha|nan"},
    {no_attributes, QUANTILE, BOTH, "num_attributes|0"},
    {odd_attributes, QUANTILE, BOTH, "num_columns|4|num_attributes|3"},
    {small_input_stride, LINEAR, BOTH, "input_stride|3|4"},
    {small_gate_stride, GATE, BOTH, "gate_stride|3|4"},
    {small_direction_stride, LINEAR, BOTH, "direction_stride|3|4"},
    {small_grad_stride, LINEAR, BOTH, "grad_stride|3|4"},
    {huge_rows, LINEAR, BOTH, "num_rows|2^63"},
    {more_logits, LEVELS, BOTH, "num_logits|5|level_index is NULL|4"},
    {more_logits, LINEAR, BOTH, "num_logits|5|level_index is NULL|4"},
    {no_inputs, QUANTILE, BOTH, "inputs is NULL"},
    {no_direction, LINEAR, BOTH, "direction is NULL"},
    {no_gate, GATE, BOTH, "gate_logits is NULL"},
    {extra_direction, GATE, BOTH, "direction is given"},
    {extra_gate, LINEAR, BOTH, "gate_logits is given"},
    {extra_transform, LEVELS, BOTH, "transform is given"},
    {extra_index, QUANTILE, BOTH, "level_index is given"},
    {extra_values, QUANTILE, BOTH, "level_values is given"},
    {extra_weights, LEVELS, BOTH, "level_weights is given"},
    {extra_reward, LEVELS, BOTH, "reward is given"},
    {extra_gate_output, LINEAR, BOTH, "gate|is given"},
    {extra_mean, GATE, BOTH, "mean is given"},
    {extra_variance, QUANTILE, BOTH, "variance is given"},
    {extra_entropy, LINEAR, BOTH, "entropy is given"},
    {extra_prob, QUANTILE, FORWARD, "prob is given"},
    {extra_cvar, LEVELS, BOTH, "cvar is given"},
    {extra_iqr, GATE, BOTH, "iqr is given"},
    {extra_grad_direction, LEVELS, BACKWARD, "grad_direction is given"},
    {reward_on_inputs, LINEAR, FORWARD, "reward|overlaps|inputs"},
    {gradient_on_inputs, LINEAR, BACKWARD, "grad_inputs|overlaps|inputs"},
    {gradient_on_gradient, LINEAR, BACKWARD, "grad_direction|overlaps|grad_inputs"},
    {small_desc, LINEAR, BOTH, "desc->struct_size"},
    {small_io, LINEAR, BOTH, "io->struct_size"},
};

// All outputs of the kind.
static call good_call(tk_fixture *tk, int32_t kind)
{
    static const float values[P * K] = {1, 2, 3, 4, 5, 6, 7, 8};
    call c = {.io = {.struct_size = sizeof c.io}, .grad = {.struct_size = sizeof c.grad}};
    cr_assert(merit_score_readout_desc_init(&c.d, sizeof c.d) == MERIT_STATUS_OK);
    c.d.num_rows = P, c.d.num_columns = K, c.d.kind = kind;
    for (int i = 0; i < 11; i++) {
        c.outputs[i] = tk_output(tk, P * K, 4);
    }
    const float *const input = tk_input(tk, values, P * K, 4);
    const float *const gradient = tk_input(tk, values, P, 4);
    const int linear = kind == LINEAR, gate = kind == GATE, levels = kind == LEVELS;
    const int quantile = kind == QUANTILE;
    c.io.inputs = input;
    c.io.direction = linear ? tk_input(tk, values, K, 4) : NULL;
    c.io.gate_logits = gate ? tk_input(tk, values, P * K, 4) : NULL;
    c.io.reward = linear || gate ? c.outputs[0] : NULL;
    c.io.gate = gate ? c.outputs[1] : NULL;
    c.io.mean = levels || quantile ? c.outputs[2] : NULL;
    c.io.variance = levels ? c.outputs[3] : NULL;
    c.io.entropy = levels ? c.outputs[4] : NULL;
    c.io.prob = levels ? c.outputs[5] : NULL;
    c.io.cvar = quantile ? c.outputs[6] : NULL;
    c.io.iqr = quantile ? c.outputs[7] : NULL;
    c.grad.grad_reward = linear || gate ? gradient : NULL;
    c.grad.grad_mean = levels || quantile ? gradient : NULL;
    c.grad.grad_inputs = c.outputs[8];
    c.grad.grad_direction = linear ? c.outputs[9] : NULL;
    c.grad.grad_gate_logits = gate ? c.outputs[10] : NULL;
    return c;
}

static merit_status run(tk_fixture *tk, const call *c, int pass)
{
    if (pass == FORWARD) return merit_score_readout_forward(tk->ctx, &c->d, &c->io, NULL, 0, NULL);
    merit_score_readout_backward_io io = c->grad;
    io.inputs = c->io.inputs;
    io.direction = c->io.direction;
    io.gate_logits = c->io.gate_logits;
    io.transform = c->io.transform;
    io.level_index = c->io.level_index;
    io.level_values = c->io.level_values;
    io.level_weights = c->io.level_weights;
    return merit_score_readout_backward(tk->ctx, &c->d, &io, NULL, 0, NULL);
}

TK_TEST(score_readout_rejected, each_mistake_is_named_and_writes_nothing)
{
    for (size_t i = 0; i < sizeof rejections / sizeof rejections[0]; i++) {
        const struct rejection *const row = &rejections[i];
        for (int pass = FORWARD; pass <= BACKWARD; pass++) {
            if ((row->passes & pass) == 0) continue;
            tk_case("%s, pass %d", row->words, pass);
            call c = good_call(tk, row->kind);
            float *outputs[11];
            memcpy(outputs, c.outputs, sizeof outputs);
            row->spoil(&c);
            const merit_status status = run(tk, &c, pass);
            tk_expect_rejected(tk->ctx, status, MERIT_STATUS_INVALID_ARGUMENT, row->words);
            tk_expect_rejected(tk->ctx, status, MERIT_STATUS_INVALID_ARGUMENT,
                               pass == FORWARD ? "merit_score_readout_forward"
                                               : "merit_score_readout_backward");
            for (int n = 0; n < 11; n++) {
                float after[P * K];
                tk_read(tk, outputs[n], after, P * K, 4);
                TK_EXPECT(tk_untouched(after, P * K, 4), "output %d was written", n);
            }
            tk_release(tk);
        }
    }
}

TK_TEST(score_readout_rejected, calls_without_a_mistake_are_taken)
{
    for (int32_t kind = LINEAR; kind <= QUANTILE; kind++) {
        call c = good_call(tk, kind);
        tk_expect_ok(tk->ctx, run(tk, &c, FORWARD));
        tk_expect_ok(tk->ctx, run(tk, &c, BACKWARD));
        c.d.num_rows = 0; // arrays may be missing
        c.io.inputs = c.io.direction = c.io.gate_logits = NULL;
        tk_expect_ok(tk->ctx, run(tk, &c, FORWARD));
        tk_expect_ok(tk->ctx, run(tk, &c, BACKWARD));
        tk_release(tk);
    }
    const call c = good_call(tk, LINEAR);
    const merit_status invalid = MERIT_STATUS_INVALID_ARGUMENT;
    tk_expect_rejected(tk->ctx, merit_score_readout_forward(tk->ctx, NULL, &c.io, NULL, 0, NULL),
                       invalid, "desc is NULL");
    tk_expect_rejected(tk->ctx, merit_score_readout_forward(tk->ctx, &c.d, NULL, NULL, 0, NULL),
                       invalid, "io is NULL");
    tk_expect_rejected(tk->ctx, merit_score_readout_backward(tk->ctx, NULL, &c.grad, NULL, 0, NULL),
                       invalid, "desc is NULL");
    tk_expect_rejected(tk->ctx, merit_score_readout_backward(tk->ctx, &c.d, NULL, NULL, 0, NULL),
                       invalid, "io is NULL");
    tk_expect_rejected(tk->ctx, merit_score_readout_forward_workspace(tk->ctx, &c.d, NULL), invalid,
                       "bytes is NULL");
    tk_expect_rejected(tk->ctx, merit_score_readout_backward_workspace(tk->ctx, &c.d, NULL),
                       invalid, "bytes is NULL");
    TK_EXPECT(merit_score_readout_forward(NULL, &c.d, &c.io, NULL, 0, NULL) == invalid, "ctx");
    TK_EXPECT(merit_score_readout_backward(NULL, &c.d, &c.grad, NULL, 0, NULL) == invalid, "ctx");
    tk_release(tk);
}
