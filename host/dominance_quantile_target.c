// merit_dominance_quantile_target: checks, dispatch.
#include "../kernels/dominance/dominance_quantile_target.h"

#include "dominance_checks.h"
#include "dominance_presets.h"

typedef merit_dominance_quantile_target_desc target_desc;
typedef merit_dominance_quantile_target_io target_io;

// Options -----------------------------------------------------------------------------------------

// Sizes and strides, checked as those of a comparison. span: elements of q_next, first to last.
static merit_status check_sizes(merit_context *ctx, target_desc *d, int64_t *span)
{
    merit_dominance_pairwise_desc compared = {.num_states = d->num_states,
                                              .num_objectives = d->num_objectives,
                                              .num_actions = d->num_actions,
                                              .num_levels = d->num_levels,
                                              .dtype = d->dtype,
                                              .stride_state = d->stride_state,
                                              .stride_objective = d->stride_objective,
                                              .stride_action = d->stride_action,
                                              .stride_level = d->stride_level};
    MERIT_TRY(merit_dominance_check_sizes(ctx, &compared, span));
    d->stride_state = compared.stride_state;
    d->stride_objective = compared.stride_objective;
    d->stride_action = compared.stride_action;
    d->stride_level = compared.stride_level;
    return MERIT_STATUS_OK;
}

static merit_status check_options(merit_context *ctx, target_desc *d, float *gamma)
{
    MERIT_REQUIRE_RANGE(ctx, d, mode, MERIT_DOMINANCE_TARGET_SHARED,
                        MERIT_DOMINANCE_TARGET_MIXTURE);
    const int64_t actions = d->mode == MERIT_DOMINANCE_TARGET_MIXTURE ? d->num_actions : 1;
    const int64_t least = actions * d->num_levels;
    if (d->ld_target == 0) d->ld_target = least;
    MERIT_REQUIRE(ctx, d->ld_target >= least, "ld_target is %lld, expected 0 or at least %lld",
                  (long long)d->ld_target, (long long)least);
    MERIT_REQUIRE(ctx, merit_dominance_product(d->num_states, d->num_objectives, d->ld_target) >= 0,
                  "num_states, num_objectives and ld_target span more than 2^60 elements");
    for (int m = 0; m < d->num_objectives; m++) {
        gamma[m] = d->gamma == NULL ? 0.99f : d->gamma[m];
        MERIT_REQUIRE(ctx, gamma[m] >= 0.0f && gamma[m] <= 1.0f, "gamma[%d] is %g, expected 0 to 1",
                      m, (double)gamma[m]);
    }
    return MERIT_STATUS_OK;
}

// Arrays ------------------------------------------------------------------------------------------

static merit_status check_mode_array(merit_context *ctx, const void *array, int is_mode,
                                     const char *name, const char *mode)
{
    MERIT_REQUIRE(ctx, !is_mode || array != NULL, "%s is NULL, but mode %s needs it", name, mode);
    MERIT_REQUIRE(ctx, is_mode || array == NULL, "%s is given, but only mode %s takes it", name,
                  mode);
    return MERIT_STATUS_OK;
}

static merit_status check_arrays(merit_context *ctx, const target_desc *d, const target_io *io,
                                 int64_t span)
{
    const int mixture = d->mode == MERIT_DOMINANCE_TARGET_MIXTURE;
    MERIT_REQUIRE(ctx, io->q_next != NULL, "q_next is NULL");
    MERIT_REQUIRE(ctx, io->reward != NULL, "reward is NULL");
    MERIT_REQUIRE(ctx, io->target != NULL, "target is NULL");
    MERIT_TRY(check_mode_array(ctx, io->action, d->mode == MERIT_DOMINANCE_TARGET_SHARED, "action",
                               "SHARED"));
    MERIT_TRY(check_mode_array(ctx, io->greedy, d->mode == MERIT_DOMINANCE_TARGET_RESTRICTED,
                               "greedy", "RESTRICTED"));
    MERIT_TRY(check_mode_array(ctx, io->final, mixture, "final", "MIXTURE"));
    MERIT_TRY(check_mode_array(ctx, io->target_count, mixture, "target_count", "MIXTURE"));
    const size_t B = (size_t)d->num_states, rows = B * (size_t)d->num_objectives;
    const size_t words = ((size_t)d->num_actions + 31) / 32;
    const size_t row = (size_t)d->num_levels * (mixture ? (size_t)d->num_actions : 1);
    const merit_region regions[] = {
        {io->target, ((rows - 1) * (size_t)d->ld_target + row) * sizeof *io->target, "target", 1},
        {io->target_count, rows * sizeof *io->target_count, "target_count", 1},
        {io->diagnostics, sizeof *io->diagnostics, "diagnostics", 1},
        {io->q_next, (size_t)span * merit_dtype_bytes(d->dtype), "q_next", 0},
        {io->reward, rows * sizeof *io->reward, "reward", 0},
        {io->done, B, "done", 0},
        {io->discount, rows * sizeof *io->discount, "discount", 0},
        {io->action, B * sizeof *io->action, "action", 0},
        {io->greedy, rows * sizeof *io->greedy, "greedy", 0},
        {io->final, B * words * sizeof *io->final, "final", 0},
    };
    return merit_check_overlap(ctx, regions, (int)(sizeof regions / sizeof regions[0]));
}

// Calls -------------------------------------------------------------------------------------------

static merit_status read(merit_context *ctx, const target_desc *desc,
                         merit_dominance_quantile_target_args *args, int64_t *span)
{
    args->d = merit_dominance_quantile_target_defaults;
    MERIT_TRY(merit_read_struct(ctx, "desc", &args->d, sizeof args->d,
                                MERIT_SIZE_0_1(target_desc, gamma), desc));
    MERIT_TRY(check_sizes(ctx, &args->d, span));
    MERIT_TRY(check_options(ctx, &args->d, args->gamma));
    args->d.gamma = NULL; // host memory
    return MERIT_STATUS_OK;
}

merit_status merit_dominance_quantile_target_workspace(merit_context *ctx, const target_desc *desc,
                                                       size_t *bytes)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    merit_dominance_quantile_target_args args;
    int64_t span;
    MERIT_TRY(read(ctx, desc, &args, &span));
    *bytes = 0;
    return MERIT_STATUS_OK;
}

merit_status merit_dominance_quantile_target(merit_context *ctx, const target_desc *desc,
                                             const target_io *io, void *workspace,
                                             size_t workspace_bytes, merit_stream stream)
{
    (void)workspace;
    (void)workspace_bytes;
    MERIT_TRY(merit_begin(ctx, __func__));
    merit_dominance_quantile_target_args args = {.io = {.struct_size = sizeof args.io}};
    MERIT_TRY(merit_read_struct(ctx, "io", &args.io, sizeof args.io,
                                MERIT_SIZE_0_1(target_io, diagnostics), io));
    int64_t span;
    MERIT_TRY(read(ctx, desc, &args, &span));
    if (args.d.num_states == 0) return MERIT_STATUS_OK;
    MERIT_TRY(check_arrays(ctx, &args.d, &args.io, span));

    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->dominance_quantile_target(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
