// merit_dominance_quantile_sort: options, checks, workspace, dispatch.
#include "../kernels/dominance/dominance_quantile_sort.h"

#include <math.h>

#include "dominance_checks.h"

typedef merit_dominance_quantile_sort_desc sort_desc;
typedef merit_dominance_quantile_sort_io sort_io;

static const sort_desc defaults = {.struct_size = sizeof defaults, .num_levels = 1};

merit_status merit_dominance_quantile_sort_desc_init(sort_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &defaults, sizeof *desc,
                             MERIT_SIZE_0_1(sort_desc, tau));
}

// Options -----------------------------------------------------------------------------------------

static merit_status check_stride(merit_context *ctx, int64_t rows, int64_t *stride, int64_t least,
                                 const char *name)
{
    if (*stride == 0) *stride = least;
    MERIT_REQUIRE(ctx, *stride >= least, "%s is %lld, expected 0 or at least %lld", name,
                  (long long)*stride, (long long)least);
    MERIT_REQUIRE(ctx, merit_dominance_product(rows, *stride, 1) >= 0,
                  "num_rows and %s span more than 2^60 elements", name);
    return MERIT_STATUS_OK;
}

static merit_status check_taus(merit_context *ctx, const sort_desc *d, uint16_t *places)
{
    MERIT_REQUIRE(ctx, d->num_taus >= 0, "num_taus is %d, expected 0 or more", (int)d->num_taus);
    if (d->num_taus > MERIT_SORT_MAX_TAUS) {
        return merit_fail(ctx, MERIT_STATUS_UNSUPPORTED, "num_taus is %d, expected at most %d",
                          (int)d->num_taus, (int)MERIT_SORT_MAX_TAUS);
    }
    MERIT_REQUIRE(ctx, (d->tau != NULL) == (d->num_taus > 0), "tau is %s, but num_taus is %d",
                  d->tau == NULL ? "NULL" : "given", (int)d->num_taus);
    for (int q = 0; q < d->num_taus; q++) {
        MERIT_REQUIRE(ctx, d->tau[q] > 0.0 && d->tau[q] <= 1.0,
                      "tau[%d] is %g, expected above 0 and at most 1", q, d->tau[q]);
        MERIT_REQUIRE(ctx, q == 0 || d->tau[q] > d->tau[q - 1],
                      "tau[%d] is %g, expected more than tau[%d], which is %g", q, d->tau[q], q - 1,
                      d->tau[q - 1]);
        places[q] = (uint16_t)(ceil(d->tau[q] * d->num_levels) - 1.0);
    }
    return MERIT_STATUS_OK;
}

static merit_status prepare(merit_context *ctx, const sort_desc *desc,
                            merit_dominance_quantile_sort_args *args, merit_layout *layout)
{
    sort_desc *const d = &args->d;
    *d = defaults;
    MERIT_TRY(merit_read_struct(ctx, "desc", d, sizeof *d, MERIT_SIZE_0_1(sort_desc, tau), desc));
    MERIT_REQUIRE(ctx, d->num_rows >= 0, "num_rows is %lld, expected 0 or more",
                  (long long)d->num_rows);
    MERIT_REQUIRE_RANGE(ctx, d, num_levels, 1, 65536);
    MERIT_TRY(check_taus(ctx, d, args->places));
    d->tau = NULL; // host memory
    args->num_results = d->num_taus > 0 ? d->num_taus : d->num_levels;
    MERIT_TRY(check_stride(ctx, d->num_rows, &d->ld_values, d->num_levels, "ld_values"));
    MERIT_TRY(check_stride(ctx, d->num_rows, &d->ld_sorted, args->num_results, "ld_sorted"));
    if (d->num_rows == 0) return MERIT_STATUS_OK;
    const int on_device = ctx->backend->on_device;
    if (on_device && d->num_levels <= MERIT_SORT_SHARED) return MERIT_STATUS_OK;
    const int64_t slots = on_device ? ctx->launch.num_sms : ctx->launch.num_threads;
    args->num_slots = slots < d->num_rows ? slots : d->num_rows;
    const int64_t words = on_device                             ? 1
                          : d->num_levels <= MERIT_SORT_COLUMNS ? MERIT_SORT_WIDEST / 2
                                                                : 2;
    args->words_per_slot = words * d->num_levels;
    args->words =
        merit_layout_take(layout, args->num_slots * args->words_per_slot, sizeof *args->words);
    return MERIT_STATUS_OK;
}

// Arrays ------------------------------------------------------------------------------------------

static merit_status check_arrays(merit_context *ctx, const merit_dominance_quantile_sort_args *args)
{
    const sort_desc *const d = &args->d;
    const sort_io *const io = &args->io;
    MERIT_REQUIRE(ctx, io->values != NULL, "values is NULL");
    MERIT_REQUIRE(ctx, io->sorted != NULL || io->index != NULL, "sorted and index are NULL");
    const int in_place = io->sorted == io->values && d->ld_sorted == d->ld_values;
    const size_t before = (size_t)d->num_rows - 1, row = (size_t)args->num_results;
    const merit_region regions[] = {
        {io->sorted, (before * (size_t)d->ld_sorted + row) * sizeof *io->sorted, "sorted", 1},
        {io->index, (before + 1) * row * sizeof *io->index, "index", 1},
        {io->diagnostics, sizeof *io->diagnostics, "diagnostics", 1},
        {in_place ? NULL : io->values,
         (before * (size_t)d->ld_values + (size_t)d->num_levels) * sizeof *io->values, "values", 0},
    };
    MERIT_TRY(merit_check_overlap(ctx, regions, (int)(sizeof regions / sizeof regions[0])));
    if (!in_place) return MERIT_STATUS_OK;
    // the values reach further than the results of chosen levels
    const merit_region values[] = {
        {io->values, (before * (size_t)d->ld_values + (size_t)d->num_levels) * sizeof *io->values,
         "values", 1},
        {io->index, (before + 1) * row * sizeof *io->index, "index", 1},
        {io->diagnostics, sizeof *io->diagnostics, "diagnostics", 1},
    };
    return merit_check_overlap(ctx, values, (int)(sizeof values / sizeof values[0]));
}

// Calls -------------------------------------------------------------------------------------------

merit_status merit_dominance_quantile_sort_workspace(merit_context *ctx, const sort_desc *desc,
                                                     size_t *bytes)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    merit_dominance_quantile_sort_args args = {.num_slots = 0};
    merit_layout layout = merit_layout_begin(NULL);
    MERIT_TRY(prepare(ctx, desc, &args, &layout));
    MERIT_REQUIRE(ctx, !layout.overflow, "the sizes need a workspace of more than 2^64 bytes");
    *bytes = layout.bytes;
    return MERIT_STATUS_OK;
}

merit_status merit_dominance_quantile_sort(merit_context *ctx, const sort_desc *desc,
                                           const sort_io *io, void *workspace,
                                           size_t workspace_bytes, merit_stream stream)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    merit_dominance_quantile_sort_args args = {.io = {.struct_size = sizeof args.io}};
    MERIT_TRY(merit_read_struct(ctx, "io", &args.io, sizeof args.io,
                                MERIT_SIZE_0_1(sort_io, diagnostics), io));
    merit_layout layout = merit_layout_begin(workspace);
    MERIT_TRY(prepare(ctx, desc, &args, &layout));
    if (args.d.num_rows == 0) return MERIT_STATUS_OK;
    MERIT_TRY(check_arrays(ctx, &args));
    MERIT_TRY(merit_layout_check(ctx, &layout, workspace, workspace_bytes));

    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->dominance_quantile_sort(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
