// dominance_quantile_target, CPU: an action of a row at a time, memory-bound.
#include "../backend.h"
#include "../core/parallel.h"
#include "dominance_quantile_target.h"

typedef merit_dominance_quantile_target_args target_args;

// The targets of one action's samples, which begin at element `at`.
static void run_action(const target_args *args, const merit_target_row *row, int64_t at,
                       float *restrict out)
{
    const int levels = args->d.num_levels;
    const int64_t stride = args->d.stride_level;
    const float value = row->value, discount = row->discount;
    if (stride != 1) {
        for (int n = 0; n < levels; n++) {
            const double q = m_load_real(args->io.q_next, args->d.dtype, at + n * stride);
            out[n] = merit_target_of(value, discount, m_round32(q));
        }
    } else if (args->d.dtype == MERIT_DTYPE_BF16) {
        const uint16_t *const q = (const uint16_t *)args->io.q_next + at;
        for (int n = 0; n < levels; n++) {
            out[n] = merit_target_of(value, discount, m_from_bf16(q[n]));
        }
    } else if (args->d.dtype == MERIT_DTYPE_F16) {
        const uint16_t *const q = (const uint16_t *)args->io.q_next + at;
        for (int n = 0; n < levels; n++) {
            out[n] = merit_target_of(value, discount, m_from_f16(q[n]));
        }
    } else {
        const float *const q = (const float *)args->io.q_next + at;
        for (int n = 0; n < levels; n++) {
            out[n] = merit_target_of(value, discount, q[n]);
        }
    }
}

// Rows are looked up, and their samples asked for, a block ahead: an action's samples lie anywhere, and a
// hardware prefetcher finds each run of them too late.
enum { TARGET_BLOCK = 16, TARGET_BYTES = 1024 }; // rows; of a row, then hardware keeps up

static int look_up(const target_args *args, int64_t first, int64_t end, merit_target_row *rows)
{
    const int count = end - first < TARGET_BLOCK ? (int)(end - first) : TARGET_BLOCK;
    const int64_t bytes = args->d.dtype == MERIT_DTYPE_F32 ? 4 : 2;
    const int64_t length = bytes * args->d.num_levels;
    for (int i = 0; i < count; i++) {
        rows[i] = merit_target_row_of(args, first + i, 1);
        if (rows[i].is_filled || rows[i].set != NULL || args->d.stride_level != 1) continue;
        const char *const q = (const char *)args->io.q_next + bytes * rows[i].q;
        for (int64_t at = 0; at < length && at < TARGET_BYTES; at += 64) {
            __builtin_prefetch(q + at);
        }
    }
    return count;
}

static void run_row(const target_args *args, const merit_target_row *row, float *out)
{
    if (row->is_filled) {
        for (int n = 0; n < row->count; n++) {
            out[n] = row->value;
        }
        return;
    }
    if (row->set == NULL) {
        run_action(args, row, row->q, out);
        return;
    }
    const int words = merit_target_words(args);
    for (int w = 0; w < words; w++) {
        uint32_t actions = merit_target_actions(args, row->set, w);
        for (; actions != 0; actions &= actions - 1) {
            const int a = 32 * w + merit_target_lowest(actions);
            run_action(args, row, row->q + a * args->d.stride_action, out);
            out += args->d.num_levels;
        }
    }
}

static void run_rows(void *state, int64_t begin, int64_t end)
{
    const target_args *const args = state;
    merit_target_row rows[2][TARGET_BLOCK];
    int count = look_up(args, begin, end, rows[0]), turn = 0;
    for (int64_t r = begin; r < end; turn ^= 1) {
        const int next = look_up(args, r + count, end, rows[turn ^ 1]);
        for (int i = 0; i < count; i++) {
            run_row(args, &rows[turn][i], args->io.target + (r + i) * args->d.ld_target);
        }
        r += count;
        count = next;
    }
}

// Launcher ----------------------------------------------------------------------------------------

merit_dominance_quantile_target_launcher MERIT_BACKEND_FN(dominance_quantile_target);

int MERIT_BACKEND_FN(dominance_quantile_target)(const merit_dominance_quantile_target_args *args,
                                                const merit_launch *launch)
{
    target_args a = *args;
    const int64_t rows = a.d.num_states * a.d.num_objectives;
    merit_parallel_ranges(launch->num_threads, rows, 16, run_rows, &a);
    return 0;
}
