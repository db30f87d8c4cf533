// score_regression, CPU. Threads own tiles of 2048 rows.
#include "../backend.h"
#include "../core/lanes_cpu.h"
#include "../core/parallel.h"
#include "score_regression.h"

static void count_rows(void *state, int64_t begin, int64_t end)
{
    const merit_score_regression_args *const a = state;
    const int32_t heads = a->d.num_heads;
    uint64_t counts[MERIT_REGRESSION_MAX_HEADS + 1] = {0};
    for (int64_t p = begin; p < end; p++) {
        int seen = 0;
        for (int32_t k = 0; k < heads; k++) {
            const int valid = regression_is_valid(a, p, k);
            counts[k] += (uint64_t)valid;
            seen |= valid;
        }
        counts[heads] += (uint64_t)seen;
    }
    for (int32_t k = 0; k <= heads; k++) {
        if (counts[k] > 0) __atomic_fetch_add(&a->counts[k], counts[k], __ATOMIC_RELAXED);
    }
}

static void run_tiles(void *state, int64_t begin, int64_t end)
{
    const merit_score_regression_args *const a = state;
    double losses[MERIT_TILE];
    double squares[MERIT_TILE];
    for (int64_t tile = begin; tile < end; tile++) {
        const int64_t first = tile * MERIT_TILE;
        const int64_t left = a->d.num_rows - first;
        const int length = (int)(left < MERIT_TILE ? left : MERIT_TILE);
        for (int32_t k = 0; k < a->d.num_heads; k++) {
            const double scale = regression_scale(a, k);
            for (int i = 0; i < length; i++) {
                const merit_regression_entry e = regression_visit(a, first + i, k, scale);
                losses[i] = e.loss;
                squares[i] = m_mul64(e.slope, e.slope);
            }
            double *const sums = a->sums + (tile * a->d.num_heads + k) * 2;
            sums[0] = merit_tile_sum64(losses, length);
            sums[1] = merit_tile_sum64(squares, length);
        }
    }
}

merit_score_regression_launcher MERIT_BACKEND_FN(score_regression);

int MERIT_BACKEND_FN(score_regression)(const merit_score_regression_args *args,
                                       const merit_launch *launch)
{
    void *const state = (void *)args;
    memset(args->counts, 0, ((size_t)args->d.num_heads + 1) * sizeof *args->counts);
    merit_parallel_ranges(launch->num_threads, args->d.num_rows, 256, count_rows, state);
    merit_parallel_ranges(launch->num_threads, args->num_tiles, 1, run_tiles, state);
    regression_finish(args);
    return 0;
}
