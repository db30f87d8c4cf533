// dominance_quantile_huber, CPU: a vector of levels against one target after the other, bound by arithmetic.
#include "../backend.h"
#include "../core/total_cpu.h"
#include "../core/wide32_cpu.h"
#include "dominance_quantile_huber.h"

typedef merit_dominance_quantile_huber_args huber_args;

// Vectors -----------------------------------------------------------------------------------------

// u < 0 ? yes : no
WIDE_INLINE wide32_f where_negative(wide32_f u, wide32_f yes, wide32_f no)
{
    const wide32_f zero = {0.0f};
#if defined(__AVX512F__)
    const __mmask16 mask = _mm512_cmp_ps_mask((__m512)u, (__m512)zero, _CMP_LT_OQ);
    return (wide32_f)_mm512_mask_blend_ps(mask, (__m512)no, (__m512)yes);
#elif defined(__FMA__)
    const __m256 mask = _mm256_cmp_ps((__m256)u, (__m256)zero, _CMP_LT_OQ);
    return (wide32_f)_mm256_blendv_ps((__m256)no, (__m256)yes, mask);
#else
    const wide32_i mask = u < zero;
    return (wide32_f)((mask & (wide32_i)yes) | (~mask & (wide32_i)no));
#endif
}

// u >= 0 ? yes : no
WIDE_INLINE wide32_f where_known(wide32_f u, wide32_f yes, wide32_f no)
{
    const wide32_i mask = u >= (wide32_f){0.0f};
    return (wide32_f)((mask & (wide32_i)yes) | (~mask & (wide32_i)no));
}

// Into [-kappa, kappa]; NaN passes.
WIDE_INLINE wide32_f clip(wide32_f u, wide32_f kappa)
{
#if defined(__AVX512F__)
    return (wide32_f)_mm512_max_ps((__m512)-kappa, _mm512_min_ps((__m512)kappa, (__m512)u));
#elif defined(__FMA__)
    return (wide32_f)_mm256_max_ps((__m256)-kappa, _mm256_min_ps((__m256)kappa, (__m256)u));
#else
    const wide32_i above = kappa < u;
    const wide32_f low = (wide32_f)((above & (wide32_i)kappa) | (~above & (wide32_i)u));
    const wide32_i below = -kappa > low;
    return (wide32_f)((below & (wide32_i)-kappa) | (~below & (wide32_i)low));
#endif
}

typedef struct wide_lane {
    wide32_f loss, slope;
} wide_lane;

typedef struct wide_levels {
    wide32_f z, above, below, kappa;
} wide_levels;

// merit_huber_add of as many levels.
WIDE_INLINE void add(wide_lane *lane, int pinball, const wide_levels *l, float target)
{
    const wide32_f u = wide32_splat(target) - l->z;
    wide32_f slope;
    if (pinball) {
        slope = where_negative(u, -l->below, where_known(u, l->above, u));
        lane->loss = wide32_fma(slope, u, lane->loss);
    } else {
        const wide32_f c = clip(u, l->kappa);
        slope = where_negative(u, l->below, l->above) * c;
        lane->loss = wide32_fma(slope, wide32_fma(wide32_splat(-0.5f), c, u), lane->loss);
    }
    lane->slope = lane->slope + slope;
}

WIDE_INLINE void add_targets(const wide_levels *l, int pinball, const float *targets, int count,
                             wide_lane *sum)
{
    wide_lane lanes[MERIT_HUBER_LANES] = {{{0.0f}, {0.0f}}};
    int j = 0;
    for (; j + MERIT_HUBER_LANES <= count; j += MERIT_HUBER_LANES) {
        add(&lanes[0], pinball, l, targets[j]);
        add(&lanes[1], pinball, l, targets[j + 1]);
        add(&lanes[2], pinball, l, targets[j + 2]);
        add(&lanes[3], pinball, l, targets[j + 3]);
    }
    if (j < count) add(&lanes[0], pinball, l, targets[j]);
    if (j + 1 < count) add(&lanes[1], pinball, l, targets[j + 1]);
    if (j + 2 < count) add(&lanes[2], pinball, l, targets[j + 2]);
    sum->loss = (lanes[0].loss + lanes[1].loss) + (lanes[2].loss + lanes[3].loss);
    sum->slope = (lanes[0].slope + lanes[1].slope) + (lanes[2].slope + lanes[3].slope);
}

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
    wide_levels l = {.z = wide32_load_f32(z), .above = wide32_load_f32(above)};
    l.below = wide32_splat(1.0f) - l.above;
    l.kappa = wide32_splat(args->d.kappa);
    wide_lane sum;
    if (args->d.kappa == 0.0f) {
        add_targets(&l, 1, targets, row->count, &sum);
    } else {
        add_targets(&l, 0, targets, row->count, &sum);
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
        gradients[i] = merit_huber_gradient(row, slope[i]);
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

static void run_rows(void *state, int64_t begin, int64_t end)
{
    const huber_args *const args = state;
    const int levels = args->d.num_levels;
    int shared_is_bad = -1; // of the one row of tau that all share
    for (int64_t r = begin; r < end; r++) {
        merit_huber_row row = merit_huber_row_of(args, r);
        int bad = 0;
        if (row.state == MERIT_HUBER_RUNS && (args->d.ld_tau != 0 || shared_is_bad < 0)) {
            const float *const tau = merit_huber_tau_of(args, r);
            for (int i = 0; i < levels; i++) {
                bad |= merit_huber_tau_is_bad(tau[i]);
            }
            shared_is_bad = bad;
        } else if (row.state == MERIT_HUBER_RUNS) {
            bad = shared_is_bad;
        }
        if (bad) row.state = MERIT_HUBER_UNKNOWN;
        double sum = 0.0;
        if (row.state == MERIT_HUBER_RUNS) {
            sum = run_row(args, &row, r);
        } else if (args->io.grad_quantiles != NULL) {
            for (int i = 0; i < levels; i++) {
                args->io.grad_quantiles[r * args->d.ld_quantiles + i] = merit_huber_fill(row.state);
            }
        }
        merit_huber_write_row(args, &row, bad, r, sum);
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
