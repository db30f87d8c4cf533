// merit_score_readout_forward and merit_score_readout_backward: checks, dispatch.
#include <math.h>

#include "../kernels/score/score_readout_args.h"
#include "check.h"
#include "score_readout_presets.h"

// Options -----------------------------------------------------------------------------------------

static merit_status check_stride(merit_context *ctx, const merit_score_readout_desc *d,
                                 const char *name, int64_t *stride, int64_t least)
{
    if (*stride == 0) *stride = least;
    int64_t elements;
    MERIT_REQUIRE(ctx, *stride >= least, "%s is %lld, expected 0 or at least %lld", name,
                  (long long)*stride, (long long)least);
    const int overflows =
        __builtin_mul_overflow(d->num_rows, *stride, &elements) || elements > INT64_MAX / 16;
    MERIT_REQUIRE(ctx, !overflows, "num_rows and %s span more than 2^63 bytes", name);
    return MERIT_STATUS_OK;
}

static merit_status read_desc(merit_context *ctx, const merit_score_readout_desc *desc,
                              merit_score_readout_desc *d)
{
    *d = merit_score_readout_defaults;
    MERIT_TRY(merit_read_struct(ctx, "desc", d, sizeof *d,
                                MERIT_SIZE_0_1(merit_score_readout_desc, empty_value), desc));
    MERIT_REQUIRE(ctx, d->num_rows >= 0, "num_rows is %lld, expected 0 or more",
                  (long long)d->num_rows);
    MERIT_REQUIRE_RANGE(ctx, d, num_columns, 1, MERIT_READOUT_MAX_COLUMNS);
    MERIT_REQUIRE(ctx, d->num_logits >= 0, "num_logits is %d, expected 0 or more",
                  (int)d->num_logits);
    MERIT_REQUIRE(ctx,
                  d->input_dtype == MERIT_DTYPE_F32 || d->input_dtype == MERIT_DTYPE_BF16 ||
                      d->input_dtype == MERIT_DTYPE_F16,
                  "input_dtype is %d, expected F32 (%d), BF16 (%d) or F16 (%d)",
                  (int)d->input_dtype, (int)MERIT_DTYPE_F32, (int)MERIT_DTYPE_BF16,
                  (int)MERIT_DTYPE_F16);
    MERIT_REQUIRE_RANGE(ctx, d, kind, MERIT_READOUT_LINEAR, MERIT_READOUT_QUANTILE);
    MERIT_REQUIRE_FLAG(ctx, d, unit);
    MERIT_REQUIRE_FLAG(ctx, d, sort);
    MERIT_REQUIRE(ctx, d->temperature > 0.0f && d->temperature < INFINITY,
                  "temperature is %g, expected more than 0", (double)d->temperature);
    MERIT_REQUIRE(ctx, isfinite(d->scale), "scale is %g, expected a finite number",
                  (double)d->scale);
    MERIT_REQUIRE(ctx, d->alpha > 0.0f && d->alpha <= 1.0f,
                  "alpha is %g, expected more than 0, at most 1", (double)d->alpha);
    MERIT_REQUIRE(ctx, d->num_attributes >= 1, "num_attributes is %d, expected 1 or more",
                  (int)d->num_attributes);
    MERIT_REQUIRE(ctx, d->kind != MERIT_READOUT_QUANTILE || d->num_columns % d->num_attributes == 0,
                  "num_columns is %d, expected a multiple of num_attributes, which is %d",
                  (int)d->num_columns, (int)d->num_attributes);
    const int64_t size = d->num_columns;
    if (d->num_logits == 0) d->num_logits = d->num_columns;
    const int64_t width = d->kind == MERIT_READOUT_LEVELS ? d->num_logits : size;
    MERIT_TRY(check_stride(ctx, d, "input_stride", &d->input_stride, width));
    MERIT_TRY(check_stride(ctx, d, "gate_stride", &d->gate_stride, size));
    MERIT_TRY(check_stride(ctx, d, "grad_stride", &d->grad_stride, size));
    if (d->direction_stride == 0) return MERIT_STATUS_OK; // one for all rows
    return check_stride(ctx, d, "direction_stride", &d->direction_stride, size);
}

// Arrays ------------------------------------------------------------------------------------------

static merit_status check_kind(merit_context *ctx, const void *array, const char *name, int belongs)
{
    MERIT_REQUIRE(ctx, array == NULL || belongs, "%s is given, but kind is another", name);
    return MERIT_STATUS_OK;
}

static merit_status check_inputs(merit_context *ctx, const merit_score_readout_desc *d,
                                 const merit_score_readout_forward_io *io)
{
    const int some = d->num_rows > 0;
    const int linear = d->kind == MERIT_READOUT_LINEAR;
    const int gate = d->kind == MERIT_READOUT_GATE;
    const int levels = d->kind == MERIT_READOUT_LEVELS;
    MERIT_REQUIRE(ctx, !some || io->inputs != NULL, "inputs is NULL");
    MERIT_REQUIRE(ctx, !some || !linear || io->direction != NULL,
                  "direction is NULL, but LINEAR (0) needs it");
    MERIT_REQUIRE(ctx, !some || !gate || io->gate_logits != NULL,
                  "gate_logits is NULL, but GATE (1) needs it");
    MERIT_TRY(check_kind(ctx, io->direction, "direction", linear));
    MERIT_TRY(check_kind(ctx, io->gate_logits, "gate_logits", gate));
    MERIT_TRY(check_kind(ctx, io->transform, "transform", gate));
    MERIT_TRY(check_kind(ctx, io->level_index, "level_index", levels));
    MERIT_TRY(check_kind(ctx, io->level_values, "level_values", levels));
    MERIT_TRY(
        check_kind(ctx, io->level_weights, "level_weights", d->kind == MERIT_READOUT_QUANTILE));
    MERIT_REQUIRE(ctx, io->level_index != NULL || d->num_logits == d->num_columns,
                  "num_logits is %d, but level_index is NULL: expected num_columns, which is %d",
                  (int)d->num_logits, (int)d->num_columns);
    return MERIT_STATUS_OK;
}

static merit_status check_outputs(merit_context *ctx, const merit_score_readout_desc *d,
                                  const merit_score_readout_forward_io *io)
{
    const int mixed = d->kind == MERIT_READOUT_LINEAR || d->kind == MERIT_READOUT_GATE;
    const int levels = d->kind == MERIT_READOUT_LEVELS;
    const int quantile = d->kind == MERIT_READOUT_QUANTILE;
    MERIT_TRY(check_kind(ctx, io->reward, "reward", mixed));
    MERIT_TRY(check_kind(ctx, io->gate, "gate", d->kind == MERIT_READOUT_GATE));
    MERIT_TRY(check_kind(ctx, io->mean, "mean", levels || quantile));
    MERIT_TRY(check_kind(ctx, io->variance, "variance", levels));
    MERIT_TRY(check_kind(ctx, io->entropy, "entropy", levels));
    MERIT_TRY(check_kind(ctx, io->prob, "prob", levels));
    MERIT_TRY(check_kind(ctx, io->cvar, "cvar", quantile));
    return check_kind(ctx, io->iqr, "iqr", quantile);
}

static merit_status check_gradients(merit_context *ctx, const merit_score_readout_desc *d,
                                    const merit_score_readout_backward_io *io)
{
    const int mixed = d->kind == MERIT_READOUT_LINEAR || d->kind == MERIT_READOUT_GATE;
    const int levels = d->kind == MERIT_READOUT_LEVELS;
    const int quantile = d->kind == MERIT_READOUT_QUANTILE;
    MERIT_TRY(check_kind(ctx, io->grad_reward, "grad_reward", mixed));
    MERIT_TRY(check_kind(ctx, io->grad_mean, "grad_mean", levels || quantile));
    MERIT_TRY(check_kind(ctx, io->grad_variance, "grad_variance", levels));
    MERIT_TRY(check_kind(ctx, io->grad_entropy, "grad_entropy", levels));
    MERIT_TRY(check_kind(ctx, io->grad_cvar, "grad_cvar", quantile));
    MERIT_TRY(check_kind(ctx, io->grad_iqr, "grad_iqr", quantile));
    MERIT_TRY(
        check_kind(ctx, io->grad_direction, "grad_direction", d->kind == MERIT_READOUT_LINEAR));
    return check_kind(ctx, io->grad_gate_logits, "grad_gate_logits", d->kind == MERIT_READOUT_GATE);
}

static size_t rows_bytes(int64_t rows, int64_t stride, int64_t columns, size_t element)
{
    return rows == 0 ? 0 : (size_t)((rows - 1) * stride + columns) * element;
}

static merit_status check_overlap(merit_context *ctx, const merit_score_readout_args *a)
{
    const merit_score_readout_desc *const d = &a->d;
    const merit_score_readout_forward_io *const io = &a->io;
    const merit_score_readout_backward_io *const g = &a->grad;
    const int64_t rows = d->num_rows;
    const int64_t size = d->num_columns;
    const size_t element = merit_dtype_bytes(d->input_dtype);
    const size_t each = (size_t)rows * 4;
    const int quantile = d->kind == MERIT_READOUT_QUANTILE;
    const size_t attributes = each * (size_t)(quantile ? d->num_attributes : 1);
    const size_t all = each * (size_t)size;
    const int64_t width = d->kind == MERIT_READOUT_LEVELS ? d->num_logits : size;
    const merit_region regions[] = {
        {io->reward, each, "reward", 1},
        {io->gate, all, "gate", 1},
        {io->mean, attributes, "mean", 1},
        {io->variance, each, "variance", 1},
        {io->entropy, each, "entropy", 1},
        {io->prob, all, "prob", 1},
        {io->cvar, attributes, "cvar", 1},
        {io->iqr, attributes, "iqr", 1},
        {io->diagnostics, sizeof *io->diagnostics, "diagnostics", 1},
        {g->grad_inputs, rows_bytes(rows, d->grad_stride, size, element), "grad_inputs", 1},
        {g->grad_direction, all, "grad_direction", 1},
        {g->grad_gate_logits, (size_t)(rows * size) * element, "grad_gate_logits", 1},
        {io->inputs, rows_bytes(rows, d->input_stride, width, element), "inputs", 0},
        {io->direction, rows_bytes(rows, d->direction_stride, size, 4), "direction", 0},
        {io->gate_logits, rows_bytes(rows, d->gate_stride, size, element), "gate_logits", 0},
        {io->transform, (size_t)(size * size) * 4, "transform", 0},
        {io->level_index, (size_t)size * 4, "level_index", 0},
        {io->level_values, (size_t)size * 4, "level_values", 0},
        {io->level_weights, (size_t)(size / (quantile ? d->num_attributes : 1)) * 4,
         "level_weights", 0},
        {g->grad_reward, each, "grad_reward", 0},
        {g->grad_mean, attributes, "grad_mean", 0},
        {g->grad_variance, each, "grad_variance", 0},
        {g->grad_entropy, each, "grad_entropy", 0},
        {g->grad_cvar, attributes, "grad_cvar", 0},
        {g->grad_iqr, attributes, "grad_iqr", 0},
    };
    return merit_check_overlap(ctx, regions, (int)(sizeof regions / sizeof regions[0]));
}

// Calls -------------------------------------------------------------------------------------------

static merit_status no_workspace(merit_context *ctx, const merit_score_readout_desc *desc,
                                 size_t *bytes)
{
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    merit_score_readout_desc d;
    MERIT_TRY(read_desc(ctx, desc, &d));
    *bytes = 0;
    return MERIT_STATUS_OK;
}

merit_status merit_score_readout_forward_workspace(merit_context *ctx,
                                                   const merit_score_readout_desc *desc,
                                                   size_t *bytes)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    return no_workspace(ctx, desc, bytes);
}

merit_status merit_score_readout_backward_workspace(merit_context *ctx,
                                                    const merit_score_readout_desc *desc,
                                                    size_t *bytes)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    return no_workspace(ctx, desc, bytes);
}

merit_status merit_score_readout_forward(merit_context *ctx, const merit_score_readout_desc *desc,
                                         const merit_score_readout_forward_io *io, void *workspace,
                                         size_t workspace_bytes, merit_stream stream)
{
    (void)workspace, (void)workspace_bytes; // none is needed
    MERIT_TRY(merit_begin(ctx, __func__));
    merit_score_readout_forward_args args = {.a = {.io = {.struct_size = sizeof args.a.io}}};
    MERIT_TRY(merit_read_struct(ctx, "io", &args.a.io, sizeof args.a.io,
                                MERIT_SIZE_0_1(merit_score_readout_forward_io, diagnostics), io));
    MERIT_TRY(read_desc(ctx, desc, &args.a.d));
    MERIT_TRY(check_inputs(ctx, &args.a.d, &args.a.io));
    MERIT_TRY(check_outputs(ctx, &args.a.d, &args.a.io));
    MERIT_TRY(check_overlap(ctx, &args.a));
    if (args.a.d.num_rows == 0) return MERIT_STATUS_OK;

    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->score_readout_forward(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}

merit_status merit_score_readout_backward(merit_context *ctx, const merit_score_readout_desc *desc,
                                          const merit_score_readout_backward_io *io,
                                          void *workspace, size_t workspace_bytes,
                                          merit_stream stream)
{
    (void)workspace, (void)workspace_bytes; // none is needed
    MERIT_TRY(merit_begin(ctx, __func__));
    merit_score_readout_backward_args args = {.a = {.grad = {.struct_size = sizeof args.a.grad}}};
    merit_score_readout_backward_io *const g = &args.a.grad;
    MERIT_TRY(merit_read_struct(ctx, "io", g, sizeof *g,
                                MERIT_SIZE_0_1(merit_score_readout_backward_io, diagnostics), io));
    args.a.io = (merit_score_readout_forward_io){.struct_size = sizeof args.a.io,
                                                 .inputs = g->inputs,
                                                 .direction = g->direction,
                                                 .gate_logits = g->gate_logits,
                                                 .transform = g->transform,
                                                 .level_index = g->level_index,
                                                 .level_values = g->level_values,
                                                 .level_weights = g->level_weights,
                                                 .diagnostics = g->diagnostics};
    MERIT_TRY(read_desc(ctx, desc, &args.a.d));
    MERIT_TRY(check_inputs(ctx, &args.a.d, &args.a.io));
    MERIT_TRY(check_gradients(ctx, &args.a.d, g));
    MERIT_TRY(check_overlap(ctx, &args.a));
    if (args.a.d.num_rows == 0) return MERIT_STATUS_OK;

    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->score_readout_backward(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
