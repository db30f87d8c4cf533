// score_backward, CPU. Threads own ranges of positions for grad_hidden and ranges of columns for
// grad_weight: a lane of positions is summed over some hundred columns at once, so that rows are read in
// pieces of a page, and lanes fold as vectors of columns (score_columns_cpu.h).
#include "../backend.h"
#include "../core/lanes_cpu.h"
#include "../core/parallel.h"
#include "score_columns_cpu.h"
#include "score_find_cpu.h"
#include "score_head.h"

// Positions ---------------------------------------------------------------------------------------

static void resolve(void *state, int64_t begin, int64_t end)
{
    const merit_score_backward_args *const args = state;
    const int64_t columns = score_num_columns(&args->d);
    for (int64_t p = begin; p < end; p++) {
        const int64_t position = score_find(&args->find, p);
        const int bad_route = score_has_bad_route(args, p, position);
        score_count_position(args->io.diagnostics, position);
        m_count(args->io.diagnostics, MERIT_COUNTER_BAD_ROUTE, (uint64_t)bad_route);
        args->starts[p] = position < 0
                              ? score_public_position(position)
                              : score_row_start(&args->find, position, args->d.hidden_row_stride,
                                                args->d.hidden_stride);
        for (int64_t k = 0; k < columns; k++) {
            args->gradients[p * columns + k] = score_gradient(args, p, k, position, bad_route);
        }
    }
}

// Rows of hidden to the positions that own them, one after another.
static void find_owners(const merit_score_backward_args *args)
{
    const int64_t tokens = args->find.num_tokens;
    memset(args->owners, 0xff, (size_t)tokens * sizeof *args->owners);
    memset(args->owner_counts, 0, (size_t)tokens * sizeof *args->owner_counts);
    for (int64_t p = 0; p < args->find.num_positions; p++) {
        const int64_t token = score_find(&args->find, p);
        if (token < 0) continue;
        if (args->owner_counts[token] == 0) args->owners[token] = (uint64_t)p;
        m_count(args->io.diagnostics, MERIT_COUNTER_REPEATED_POSITION,
                args->owner_counts[token] > 0);
        args->owner_counts[token]++;
    }
}

// grad_hidden -------------------------------------------------------------------------------------

static void widen_heads(void *state, int64_t begin, int64_t end)
{
    const merit_score_backward_args *const args = state;
    const int64_t size = args->d.hidden_size;
    for (int64_t k = begin; k < end; k++) {
        for (int64_t h = 0; h < size; h++) {
            args->wide_weight[k * size + h] =
                score_weight_at(&args->d, args->io.weight, k * args->d.weight_stride + h);
        }
    }
}

static const float *head_of(const merit_score_backward_args *args, int64_t k)
{
    if (args->wide_weight != NULL) return args->wide_weight + k * args->d.hidden_size;
    return (const float *)args->io.weight + k * args->d.weight_stride;
}

// is_first: sums hold nothing yet.
static void add_scaled(float *restrict sums, const float *restrict x, float u, int count,
                       int is_first)
{
    if (is_first) {
        for (int i = 0; i < count; i++) {
            sums[i] = m_fma(u, x[i], 0.0f);
        }
    } else {
        for (int i = 0; i < count; i++) {
            sums[i] = m_fma(u, x[i], sums[i]);
        }
    }
}

static void store_row(const merit_score_backward_args *args, int64_t at, const float *values,
                      int count)
{
    if (args->d.hidden_dtype == MERIT_DTYPE_BF16) {
        uint16_t *const out = (uint16_t *)args->io.grad_hidden + at;
        for (int i = 0; i < count; i++) {
            out[i] = m_to_bf16(values[i]);
        }
        return;
    }
    for (int i = 0; i < count; i++) {
        score_store(args->io.grad_hidden, args->d.hidden_dtype, at + i, values[i]);
    }
}

// The row of position p, to element `at` of grad_hidden on. lost: NaN.
static void write_row(const merit_score_backward_args *args, int64_t p, int64_t at, int lost)
{
    const int32_t size = args->d.hidden_size;
    const int64_t columns = score_num_columns(&args->d);
    const float *const u = args->gradients + p * columns;
    for (int32_t first = 0; first < size; first += COLUMNS) {
        const int count = size - first < COLUMNS ? size - first : COLUMNS;
        float sums[COLUMNS];
        int seen = 0;
        for (int64_t k = 0; k < columns; k++) {
            if (score_is_absent(u[k])) continue;
            lost |= args->starts[p] < 0;
            const int64_t head = args->d.routed && !lost ? args->io.route[p] : k;
            if (head < 0 || head >= args->d.num_heads) {
                lost = 1; // a route that does not exist
                break;
            }
            add_scaled(sums, head_of(args, head) + first, u[k], count, seen == 0);
            seen = 1;
        }
        if (!seen) memset(sums, 0, sizeof sums);
        for (int i = 0; lost && i < count; i++) {
            sums[i] = m_nan32();
        }
        store_row(args, at + first, sums, count);
    }
}

static void write_positions(void *state, int64_t begin, int64_t end)
{
    const merit_score_backward_args *const args = state;
    for (int64_t p = begin; p < end; p++) {
        write_row(args, p, p * args->d.grad_hidden_stride, 0);
    }
}

static void write_tokens(void *state, int64_t begin, int64_t end)
{
    const merit_score_backward_args *const args = state;
    static const float zeros[COLUMNS];
    const int32_t size = args->d.hidden_size;
    for (int64_t token = begin; token < end; token++) {
        const int64_t at = score_grad_row_start(args, token);
        if (args->owner_counts[token] > 0) {
            write_row(args, (int64_t)args->owners[token], at, args->owner_counts[token] > 1);
            continue;
        }
        for (int32_t h = 0; h < size; h += COLUMNS) {
            store_row(args, at + h, zeros, size - h < COLUMNS ? size - h : COLUMNS);
        }
    }
}

// Sums over positions -----------------------------------------------------------------------------

static double *tile_level(const merit_score_backward_args *args, int level, int64_t head)
{
    return args->chunk_sums + (level * args->d.num_heads + head) * args->d.hidden_size;
}

// Writes a tile's sums (PARTIAL), or pushes them to the tree over tiles and writes the last result.
static void take_tile(const merit_score_backward_args *args, const column_sums *s, int64_t tile,
                      int *depth)
{
    const int64_t tiles = score_position_tiles(&args->find);
    const int32_t size = args->d.hidden_size;
    if (args->d.shard == MERIT_SCORE_SHARD_PARTIAL) {
        double *const out = args->io.grad_weight;
        for (int k = 0; k < s->heads; k++) {
            for (int i = 0; i < s->columns; i++) {
                out[(tile * args->d.num_heads + s->head + k) * size + s->column + i] =
                    m_canonical64(m_add64(s->level[0][k][i], 0.0));
            }
        }
        return;
    }
    for (int k = 0; k < s->heads; k++) {
        memcpy(tile_level(args, *depth, s->head + k) + s->column, s->level[0][k],
               (size_t)s->columns * sizeof(double));
    }
    ++*depth;
    for (int64_t bits = tile; *depth > 1 && ((bits & 1) != 0 || tile + 1 == tiles); bits >>= 1) {
        --*depth;
        for (int k = 0; k < s->heads; k++) {
            add_columns(tile_level(args, *depth - 1, s->head + k) + s->column,
                        tile_level(args, *depth, s->head + k) + s->column, s->columns);
        }
    }
    for (int k = 0; tile + 1 == tiles && k < s->heads; k++) {
        float *const out =
            (float *)args->io.grad_weight + (s->head + k) * args->d.grad_weight_stride + s->column;
        const double *const sums = tile_level(args, 0, s->head + k) + s->column;
        for (int i = 0; i < s->columns; i++) {
            out[i] = score_sum_value(args, sums[i], args->d.accumulate ? out[i] : 0.0f);
        }
    }
}

static void sum_columns(void *state, int64_t begin, int64_t end)
{
    const merit_score_backward_args *const args = state;
    const int64_t tiles = score_position_tiles(&args->find);
    column_sums s;
    s.a = args;
    for (s.column = (int32_t)begin; s.column < end; s.column += COLUMNS) {
        s.columns = end - s.column < COLUMNS ? (int)(end - s.column) : COLUMNS;
        for (s.head = 0; s.head < args->d.num_heads; s.head += HEADS) {
            const int64_t left = args->d.num_heads - s.head;
            s.heads = left < HEADS ? (int)left : HEADS;
            int depth = 0;
            for (int64_t tile = 0; tile < tiles; tile++) {
                sum_tile(&s, tile);
                take_tile(args, &s, tile, &depth);
            }
        }
    }
}

// grad_bias of heads.
static void sum_biases(void *state, int64_t begin, int64_t end)
{
    const merit_score_backward_args *const args = state;
    const int64_t positions = args->find.num_positions;
    for (int64_t k = begin; k < end; k++) {
        merit_tile_sum sums = {0};
        for (int64_t first = 0; first < positions; first += MERIT_TILE) {
            double folded[MERIT_LANES];
            float lanes[MERIT_LANES] = {0};
            for (int64_t p = first; p < first + MERIT_TILE && p < positions; p++) {
                const float u = score_gradient_of_head(args, p, k);
                float *const lane = &lanes[p % MERIT_LANES];
                *lane = score_is_absent(u) ? *lane : m_add(*lane, u);
            }
            for (int i = 0; i < MERIT_LANES; i++) {
                folded[i] = (double)lanes[i];
            }
            const double sum = merit_lanes_fold64(folded, MERIT_LANES);
            if (args->d.shard == MERIT_SCORE_SHARD_PARTIAL) {
                ((double *)args->io.grad_bias)[first / MERIT_TILE * args->d.num_heads + k] =
                    m_canonical64(m_add64(sum, 0.0));
            } else {
                merit_tile_sum_push(&sums, sum);
            }
        }
        if (args->d.shard == MERIT_SCORE_SHARD_PARTIAL) continue;
        float *const out = (float *)args->io.grad_bias + k;
        *out =
            score_sum_value(args, merit_tile_sum_finish(&sums), args->d.accumulate ? *out : 0.0f);
    }
}

// Launcher ----------------------------------------------------------------------------------------

merit_score_backward_launcher MERIT_BACKEND_FN(score_backward);

int MERIT_BACKEND_FN(score_backward)(const merit_score_backward_args *args,
                                     const merit_launch *launch)
{
    const int threads = launch->num_threads;
    void *const state = (void *)args;
    for (int32_t k = 0; args->io.post_std != NULL && k < args->d.num_heads; k++) {
        m_count(args->io.diagnostics, MERIT_COUNTER_BAD_STD,
                score_is_bad_std(args->io.post_std[k]));
    }
    merit_parallel_ranges(threads, args->find.num_positions, 16, resolve, state);
    if (args->io.grad_hidden != NULL) {
        if (args->wide_weight != NULL) {
            merit_parallel_ranges(threads, args->d.num_heads, 1, widen_heads, state);
        }
        if (args->d.grad_layout == MERIT_GRAD_LAYOUT_DENSE) {
            find_owners(args);
            merit_parallel_ranges(threads, args->find.num_tokens, 4, write_tokens, state);
        } else {
            merit_parallel_ranges(threads, args->find.num_positions, 4, write_positions, state);
        }
    }
    if (args->io.grad_weight != NULL) {
        merit_parallel_ranges(threads, args->d.hidden_size, 16, sum_columns, state);
    }
    if (args->io.grad_bias != NULL) {
        merit_parallel_ranges(threads, args->d.num_heads, 1, sum_biases, state);
    }
    return 0;
}
