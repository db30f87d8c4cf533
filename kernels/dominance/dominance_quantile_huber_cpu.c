// dominance_quantile_huber, CPU: a vector of levels against one target after the other, rows of few levels
// side by side; bound by arithmetic.
#include "../backend.h"
#include "../core/total_cpu.h"
#include "dominance_quantile_huber_rows_cpu.h"

// Rows --------------------------------------------------------------------------------------------

// At most WIDE32_WIDTH levels from `first` on: their losses into losses, their gradients to their places.
static void run_levels(const huber_args *args, const merit_huber_row *row, int64_t r, int first,
                       int count, double *losses)
{
    const float *const quantiles = args->io.quantiles + r * args->d.ld_quantiles + first;
    const float *const tau = merit_huber_tau_of(args, r) + first;
    const float *const targets = args->io.targets + r * args->d.ld_targets;
    float z[WIDE32_WIDTH] = {0.0f}, above[WIDE32_WIDTH] = {0.0f};
    memcpy(z, quantiles, (size_t)count * sizeof(float));
    memcpy(above, tau, (size_t)count * sizeof(float));
    huber_levels l = {.z = wide32_load_f32(z), .above = wide32_load_f32(above)};
    l.below = wide32_splat(1.0f) - l.above;
    l.kappa = wide32_splat(args->d.kappa);
    huber_lane sum;
    if (args->d.kappa == 0.0f) {
        huber_add_targets(&l, 1, 0, targets, row->count, &sum);
    } else {
        huber_add_targets(&l, 0, 0, targets, row->count, &sum);
    }
    float loss[WIDE32_WIDTH], slope[WIDE32_WIDTH];
    memcpy(loss, &sum.loss, sizeof loss);
    memcpy(slope, &sum.slope, sizeof slope);
    for (int i = 0; i < count; i++) {
        losses[i] = (double)loss[i];
    }
    if (args->io.grad_quantiles == NULL) return;
    float *const gradients = args->io.grad_quantiles + r * args->d.ld_quantiles + first;
    for (int i = 0; i < count; i++) {
        gradients[i] = merit_huber_gradient(row->slope, slope[i]);
    }
}

static double run_row(const huber_args *args, const merit_huber_row *row, int64_t r)
{
    const int levels = args->d.num_levels;
    merit_tile_sum sum;
    sum.count = 0;
    for (int start = 0; start < levels; start += MERIT_TILE) {
        const int length = levels - start < MERIT_TILE ? levels - start : MERIT_TILE;
        double losses[MERIT_TILE];
        for (int i = 0; i < length; i += WIDE32_WIDTH) {
            const int count = length - i < WIDE32_WIDTH ? length - i : WIDE32_WIDTH;
            run_levels(args, row, r, start + i, count, losses + i);
        }
        merit_tile_sum_push(&sum, merit_tile_sum64(losses, length));
    }
    return merit_tile_sum_finish(&sum);
}

// Whether a tau of row r is outside [0, 1]. *shared: of the one row of tau that all share, -1 not known.
static int has_bad_tau(const huber_args *args, int64_t r, int *shared)
{
    if (args->d.ld_tau == 0 && *shared >= 0) return *shared;
    const float *const tau = merit_huber_tau_of(args, r);
    int bad = 0;
    for (int i = 0; i < args->d.num_levels; i++) {
        bad |= merit_huber_tau_is_bad(tau[i]);
    }
    *shared = bad;
    return bad;
}

static void run_rows(void *state, int64_t begin, int64_t end)
{
    const huber_args *const args = state;
    const int levels = args->d.num_levels;
    const int aside = huber_goes_aside(args);
    int shared = -1;
    for (int64_t r = begin; r < end;) {
        merit_huber_row rows[WIDE32_WIDTH];
        int bad[WIDE32_WIDTH];
        const int count = aside && end - r >= WIDE32_WIDTH ? WIDE32_WIDTH : 1;
        int alike = count == WIDE32_WIDTH;
        for (int j = 0; j < count; j++) {
            rows[j] = merit_huber_row_of(args, r + j);
            bad[j] = rows[j].state == MERIT_HUBER_RUNS && has_bad_tau(args, r + j, &shared);
            if (bad[j]) rows[j].state = MERIT_HUBER_UNKNOWN;
            alike &= rows[j].state == MERIT_HUBER_RUNS && rows[j].count == rows[0].count;
        }
        double sums[WIDE32_WIDTH] = {0.0};
        if (alike) huber_run_aside(args, rows, r, sums);
        for (int j = 0; j < count; j++) {
            if (!alike && rows[j].state == MERIT_HUBER_RUNS) {
                sums[j] = run_row(args, &rows[j], r + j);
            } else if (rows[j].state != MERIT_HUBER_RUNS && args->io.grad_quantiles != NULL) {
                float *const gradients = args->io.grad_quantiles + (r + j) * args->d.ld_quantiles;
                for (int i = 0; i < levels; i++) {
                    gradients[i] = merit_huber_fill(rows[j].state);
                }
            }
            merit_huber_write_row(args, &rows[j], bad[j], r + j, sums[j]);
        }
        r += count;
    }
}

// Launcher ----------------------------------------------------------------------------------------

merit_dominance_quantile_huber_launcher MERIT_BACKEND_FN(dominance_quantile_huber);

int MERIT_BACKEND_FN(dominance_quantile_huber)(const merit_dominance_quantile_huber_args *args,
                                               const merit_launch *launch)
{
    huber_args a = *args;
    merit_parallel_ranges(launch->num_threads, a.d.num_rows, 1, run_rows, &a);
    if (a.needs_total) {
        merit_huber_write_total(&a, merit_total_fold(&a.total, launch->num_threads));
    }
    return 0;
}
