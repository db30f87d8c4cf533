// merit_dominance_subset: checks, workspace, dispatch.
#include <math.h>

#include "../kernels/dominance/dominance_subset_args.h"
#include "dominance_checks.h"
#include "dominance_preorder.h"
#include "dominance_presets.h"

enum { RESIDENT_BYTES = 256 << 10 }; // columns that a CPU slot keeps: what its caches hold

// Options -----------------------------------------------------------------------------------------

static merit_dominance_pairwise_desc compared(const merit_dominance_subset_desc *d)
{
    return (merit_dominance_pairwise_desc){
        .struct_size = sizeof(merit_dominance_pairwise_desc),
        .num_states = d->num_states,
        .num_objectives = d->num_objectives,
        .num_actions = d->num_actions,
        .num_levels = d->num_levels,
        .dtype = d->dtype,
        .stride_state = d->stride_state,
        .stride_objective = d->stride_objective,
        .stride_action = d->stride_action,
        .stride_level = d->stride_level,
        .weights_stride_state = d->weights_stride_state,
        .measure = d->measure,
        .power = d->power,
        .ties = d->ties,
        .integrate = d->integrate,
        .sort_levels = d->sort_levels,
        .sign = d->sign,
        .delta = d->delta,
    };
}

static merit_status check_relation(merit_context *ctx, const merit_dominance_subset_desc *d,
                                   merit_dominance_subset_args *args)
{
    const int ranks = d->measure == MERIT_DOMINANCE_MEASURE_MANN_WHITNEY;
    for (int m = 0; m < d->num_objectives; m++) {
        const float theta = d->theta == NULL ? 0.75f : d->theta[m];
        const float eta = d->eta == NULL ? 0.0f : d->eta[m];
        MERIT_REQUIRE(ctx, theta >= 0.5f && theta <= 1.0f, "theta[%d] is %g, expected 0.5 to 1", m,
                      (double)theta);
        MERIT_REQUIRE(ctx, eta >= 0.0f, "eta[%d] is %g, expected 0 or more", m, (double)eta);
        MERIT_REQUIRE(ctx, !(ranks && eta > 0.0f),
                      "eta[%d] is %g, but measure MANN_WHITNEY takes none", m, (double)eta);
        args->theta[m] = theta;
        args->eta[m] = eta;
    }
    return MERIT_STATUS_OK;
}

static merit_status check_pick(merit_context *ctx, const merit_dominance_subset_desc *d,
                               merit_dominance_subset_args *args)
{
    for (int m = 0; m < d->num_objectives; m++) {
        const float weight = d->pick_weights != NULL ? d->pick_weights[m]
                                                     : (float)(args->lowest_objectives >> m & 1u);
        MERIT_REQUIRE(ctx, isfinite(weight), "pick_weights[%d] is %g, expected a finite number", m,
                      (double)weight);
        args->pick_weights[m] = weight;
    }
    return MERIT_STATUS_OK;
}

static merit_status check_options(merit_context *ctx, const merit_dominance_subset_desc *d,
                                  merit_dominance_subset_args *args)
{
    const merit_dominance_pairwise_desc pairwise = compared(d);
    MERIT_TRY(merit_dominance_read(ctx, &pairwise, &args->c));
    MERIT_REQUIRE_RANGE(ctx, d, mode, MERIT_DOMINANCE_MODE_CASCADE, MERIT_DOMINANCE_MODE_RULEBOOK);
    MERIT_REQUIRE_RANGE(ctx, d, within_class, MERIT_DOMINANCE_WITHIN_PARETO,
                        MERIT_DOMINANCE_WITHIN_MEET);
    MERIT_REQUIRE_RANGE(ctx, d, on_empty, MERIT_DOMINANCE_ON_EMPTY_KEEP,
                        MERIT_DOMINANCE_ON_EMPTY_TOP_CYCLE);
    MERIT_REQUIRE_RANGE(ctx, d, pick, MERIT_DOMINANCE_PICK_NONE, MERIT_DOMINANCE_PICK_FIRST);
    MERIT_REQUIRE_FLAG(ctx, d, drop_nan);
    args->mode = d->mode;
    args->within_class = d->within_class;
    args->on_empty = d->on_empty;
    args->pick = d->pick;
    args->drop_nan = d->drop_nan;
    MERIT_TRY(check_relation(ctx, d, args));
    MERIT_TRY(merit_dominance_read_preorder(ctx, d, args));
    return check_pick(ctx, d, args);
}

// Calls -------------------------------------------------------------------------------------------

// Reads the descriptor and lays out the workspace; the arrays are left to the caller.
static merit_status prepare(merit_context *ctx, const merit_dominance_subset_desc *desc,
                            merit_dominance_subset_args *args, merit_layout *layout, int64_t *span)
{
    merit_dominance_subset_desc d = merit_dominance_subset_defaults;
    MERIT_TRY(merit_read_struct(ctx, "desc", &d, sizeof d,
                                MERIT_SIZE_0_1(merit_dominance_subset_desc, drop_nan), desc));
    MERIT_TRY(check_options(ctx, &d, args));
    merit_dominance_pairwise_desc pairwise = compared(&d);
    MERIT_TRY(merit_dominance_check_sizes(ctx, &pairwise, span));
    const merit_dominance_compare *const c = &args->c;
    const int64_t A = c->num_actions, M = c->num_objectives, N = c->num_levels;
    MERIT_REQUIRE(ctx, merit_dominance_product(c->num_states, M, (A + 31) / 32) >= 0,
                  "the sizes need results of more than 2^60 elements");
    if (c->num_states == 0) return MERIT_STATUS_OK;
    const int on_device = ctx->backend->on_device;
    merit_dominance_scratch *const s = &args->scratch;
    const int64_t parts =
        on_device ? merit_dominance_subset_groups(c, ctx->launch.num_sms) : ctx->launch.num_threads;
    const int64_t all_columns = M * ((A + 15) / 16) * N * MERIT_DOMINANCE_WIDEST;
    args->resident = all_columns <= RESIDENT_BYTES / (int64_t)sizeof(float);
    // Device: whole blocks of groups.
    const int64_t groups = on_device ? merit_dominance_subset_block(c) : 1;
    const int64_t needed = (c->num_states - 1) / groups * groups + groups;
    s->num_slots = parts < needed ? parts : needed;
    s->rows_per_slot = M * A;
    s->columns_per_slot = args->resident ? all_columns : N * MERIT_DOMINANCE_WIDEST;
    merit_dominance_layout(layout, c, on_device, 1, s);
    if (!on_device) {
        args->relations = merit_layout_take(layout, s->num_slots * A * 2 * MERIT_DOMINANCE_WIDEST,
                                            sizeof *args->relations);
    }
    if (d.on_empty == MERIT_DOMINANCE_ON_EMPTY_TOP_CYCLE) {
        args->matrix =
            merit_layout_take(layout, s->num_slots * A * ((A + 31) / 32), sizeof *args->matrix);
    }
    return MERIT_STATUS_OK;
}

merit_status merit_dominance_subset_workspace(merit_context *ctx,
                                              const merit_dominance_subset_desc *desc,
                                              size_t *bytes)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    merit_dominance_subset_args args = {.num_classes = 0};
    merit_layout layout = merit_layout_begin(NULL);
    int64_t span;
    MERIT_TRY(prepare(ctx, desc, &args, &layout, &span));
    MERIT_REQUIRE(ctx, !layout.overflow, "the sizes need a workspace of more than 2^64 bytes");
    *bytes = layout.bytes;
    return MERIT_STATUS_OK;
}

static merit_status check_arrays(merit_context *ctx, const merit_dominance_subset_args *args,
                                 const merit_dominance_subset_io *io, int64_t span)
{
    const merit_dominance_compare *const c = &args->c;
    const int random = args->pick == MERIT_DOMINANCE_PICK_RANDOM;
    MERIT_REQUIRE(ctx, io->q != NULL, "q is NULL");
    MERIT_REQUIRE(ctx,
                  io->subset != NULL || io->final != NULL || io->action != NULL ||
                      io->greedy != NULL || io->flags != NULL,
                  "every output is NULL, expected at least one");
    MERIT_REQUIRE(ctx, !random || io->random != NULL, "random is NULL, but pick RANDOM needs it");
    MERIT_REQUIRE(ctx, random || io->random == NULL,
                  "random is given, but only pick RANDOM takes it");
    const size_t B = (size_t)c->num_states, M = (size_t)c->num_objectives;
    const size_t A = (size_t)c->num_actions, words = (A + 31) / 32;
    const merit_region regions[] = {
        {io->subset, B * M * words * sizeof *io->subset, "subset", 1},
        {io->final, B * words * sizeof *io->final, "final", 1},
        {io->action, B * sizeof *io->action, "action", 1},
        {io->greedy, B * M * sizeof *io->greedy, "greedy", 1},
        {io->flags, B * sizeof *io->flags, "flags", 1},
        {io->diagnostics, sizeof *io->diagnostics, "diagnostics", 1},
        {io->q, (size_t)span * merit_dtype_bytes(c->dtype), "q", 0},
        {io->weights, (size_t)merit_dominance_weights_count(c) * sizeof *io->weights, "weights", 0},
        {io->valid, B * A, "valid", 0},
        {io->random, B * sizeof *io->random, "random", 0},
    };
    return merit_check_overlap(ctx, regions, (int)(sizeof regions / sizeof regions[0]));
}

merit_status merit_dominance_subset(merit_context *ctx, const merit_dominance_subset_desc *desc,
                                    const merit_dominance_subset_io *io, void *workspace,
                                    size_t workspace_bytes, merit_stream stream)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    merit_dominance_subset_args args = {.io = {.struct_size = sizeof args.io}};
    MERIT_TRY(merit_read_struct(ctx, "io", &args.io, sizeof args.io,
                                MERIT_SIZE_0_1(merit_dominance_subset_io, diagnostics), io));
    const merit_dominance_subset_io *const a = &args.io;
    merit_layout layout = merit_layout_begin(workspace);
    int64_t span;
    MERIT_TRY(prepare(ctx, desc, &args, &layout, &span));
    MERIT_TRY(merit_dominance_check_weights(ctx, &args.c, a->weights));
    if (args.c.num_states == 0) return MERIT_STATUS_OK;
    MERIT_TRY(check_arrays(ctx, &args, a, span));
    MERIT_TRY(merit_layout_check(ctx, &layout, workspace, workspace_bytes));
    merit_dominance_bind(&args.c, a->q, a->weights, a->diagnostics);
    args.wants_means =
        a->greedy != NULL || (a->action != NULL && args.pick == MERIT_DOMINANCE_PICK_MEAN);

    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->dominance_subset(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
