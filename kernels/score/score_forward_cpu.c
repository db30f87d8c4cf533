// score_forward, CPU. Threads own ranges of positions; a few rows share each load of the weights, which
// are packed into the workspace first. Memory-bound for up to about four heads.
#include "../backend.h"
#include "../core/parallel.h"
#include "score_dot_cpu.h"
#include "score_find_cpu.h"
#include "score_head.h"

enum { POSITIONS_AT_ONCE = 48, POSITIONS_IN_CACHE = 24 }; // multiples of rows at once

// Weights -----------------------------------------------------------------------------------------

static void pack_heads(void *state, int64_t begin, int64_t end)
{
    const merit_score_forward_args *const args = state;
    const int64_t padded = score_padded(args->d.hidden_size);
    for (int64_t k = begin; k < end; k++) {
        score_pack_head(&args->d, args->io.weight, k, args->packed + k * padded);
    }
}

// Rows --------------------------------------------------------------------------------------------

// A position with a token.
typedef struct found_row {
    int64_t p;
    const unsigned char *hidden;
} found_row;

static merit_score_affine affine_of(const merit_score_forward_args *args)
{
    return (merit_score_affine){.bias = args->io.bias,
                                .mean = args->io.post_mean,
                                .std = args->io.post_std,
                                .empty_value = args->d.empty_value};
}

// Columns [first, first + count) of one position from sums[count][tiles].
static void write_sums(const merit_score_forward_args *args, int64_t p, int first, int count,
                       double (*sums)[MERIT_SCORE_MAX_TILES])
{
    const int tiles = score_num_tiles(args->d.hidden_size);
    const int64_t columns = score_num_columns(&args->d);
    const merit_score_affine affine = affine_of(args);
    for (int k = 0; k < count; k++) {
        if (args->d.shard == MERIT_SCORE_SHARD_PARTIAL) {
            double *const out = args->io.scores;
            for (int tile = 0; tile < tiles; tile++) {
                out[(tile * args->find.num_positions + p) * columns + first + k] =
                    m_canonical64(m_add64(sums[k][tile], 0.0));
            }
            continue;
        }
        const int64_t head = args->d.routed ? args->io.route[p] : first + k;
        ((float *)args->io.scores)[p * args->d.score_stride + first + k] =
            score_finish_value(&affine, head, score_fold_tiles(sums[k], tiles));
    }
}

static void write_absent(const merit_score_forward_args *args, int64_t p, int64_t position)
{
    const int64_t columns = score_num_columns(&args->d);
    const merit_score_affine affine = affine_of(args);
    if (args->d.shard == MERIT_SCORE_SHARD_PARTIAL) {
        double *const out = args->io.scores;
        for (int tile = 0; tile < score_num_tiles(args->d.hidden_size); tile++) {
            for (int64_t k = 0; k < columns; k++) {
                out[(tile * args->find.num_positions + p) * columns + k] =
                    score_absent_sum(position);
            }
        }
        return;
    }
    for (int64_t k = 0; k < columns; k++) {
        ((float *)args->io.scores)[p * args->d.score_stride + k] =
            score_absent_value(&affine, position);
    }
}

// The last tile of a row whose end is no whole turn of lanes, zeros behind it.
static const unsigned char *padded_tile(const merit_score_forward_args *args,
                                        const unsigned char *tile, int length,
                                        unsigned char *memory)
{
    const size_t bytes = args->d.hidden_dtype == MERIT_DTYPE_F32 ? 4 : 2;
    memset(memory, 0, (size_t)score_padded(length) * bytes);
    memcpy(memory, tile, (size_t)length * bytes);
    return memory;
}

// Columns [first, first + heads) of `rows` positions; weights of the first at `packed`. next: the
// positions that come after these, as many.
static void score_rows(const merit_score_forward_args *args, const found_row *found,
                       const found_row *next, int rows, int first, int heads, const float *packed)
{
    const int32_t size = args->d.hidden_size;
    const int tiles = score_num_tiles(size);
    const int64_t tile_bytes = MERIT_TILE * (args->d.hidden_dtype == MERIT_DTYPE_F32 ? 4 : 2);
    double sums[SCORE_SUMS][MERIT_SCORE_MAX_TILES];
    unsigned char ends[SCORE_ROWS][MERIT_TILE * sizeof(float)];
    score_block block;
    for (int tile = 0; tile < tiles; tile++) {
        const int left = size - tile * MERIT_TILE;
        const int length = left < MERIT_TILE ? left : MERIT_TILE;
        block.turns = (length + MERIT_LANES - 1) / MERIT_LANES;
        for (int r = 0; r < rows; r++) {
            const unsigned char *const row = found[r].hidden + tile * tile_bytes;
            const unsigned char *const later =
                tile + 1 < tiles ? row + tile_bytes : next[r].hidden; // prefetched only
            block.next[r] = later;
            block.rows[r] =
                length % MERIT_LANES == 0 ? row : padded_tile(args, row, length, ends[r]);
        }
        for (int k = 0; k < heads; k++) {
            block.heads[k] = packed + (int64_t)k * score_padded(size) + tile * MERIT_TILE;
        }
        score_dot(&block, args->d.hidden_dtype, rows, heads);
        for (int i = 0; i < rows * heads; i++) {
            sums[i][tile] = block.sums[i];
        }
    }
    for (int r = 0; r < rows; r++) {
        write_sums(args, found[r].p, first, heads, sums + r * heads);
    }
}

static void score_found(const merit_score_forward_args *args, const found_row *found, int count)
{
    const int64_t padded = score_padded(args->d.hidden_size);
    if (args->d.routed) {
        for (int i = 0; i < count; i++) {
            score_rows(args, found + i, found + i + (i + 1 < count), 1, 0, 1,
                       args->packed + args->io.route[found[i].p] * padded);
        }
        return;
    }
    for (int first = 0; first < args->d.num_heads; first += SCORE_HEADS) {
        const int left = args->d.num_heads - first;
        const int heads = left < SCORE_HEADS ? left : SCORE_HEADS;
        const int step = score_rows_at_once(heads);
        int i = 0;
        for (; i + step <= count; i += step) {
            const found_row *const next = found + (i + 2 * step <= count ? i + step : 0);
            score_rows(args, found + i, next, step, first, heads, args->packed + first * padded);
        }
        for (; i < count; i++) {
            score_rows(args, found + i, found + i, 1, first, heads, args->packed + first * padded);
        }
    }
}

static void run_positions(void *state, int64_t begin, int64_t end)
{
    const merit_score_forward_args *const args = state;
    const int64_t bytes = args->d.hidden_dtype == MERIT_DTYPE_F32 ? 4 : 2;
    // Rows stay in the cache from one set of heads to the next.
    const int at_once = args->d.num_heads > SCORE_HEADS ? POSITIONS_IN_CACHE : POSITIONS_AT_ONCE;
    found_row found[POSITIONS_AT_ONCE];
    int count = 0;
    for (int64_t p = begin; p < end; p++) {
        const int64_t position = score_find(&args->find, p);
        int64_t kept = position;
        score_count_position(args->io.diagnostics, position);
        if (args->io.found_positions != NULL) {
            args->io.found_positions[p] = score_public_position(position);
        }
        if (position >= 0 && args->d.routed &&
            (args->io.route[p] < 0 || args->io.route[p] >= args->d.num_heads)) {
            m_count(args->io.diagnostics, MERIT_COUNTER_BAD_ROUTE, 1);
            kept = MERIT_POSITION_BAD;
        }
        if (kept < 0) {
            write_absent(args, p, kept);
            continue;
        }
        const int64_t start =
            score_row_start(&args->find, kept, args->d.hidden_row_stride, args->d.hidden_stride);
        found[count].p = p;
        found[count++].hidden = (const unsigned char *)args->io.hidden + start * bytes;
        if (count == at_once) {
            score_found(args, found, count);
            count = 0;
        }
    }
    score_found(args, found, count);
}

// Launcher ----------------------------------------------------------------------------------------

merit_score_forward_launcher MERIT_BACKEND_FN(score_forward);

int MERIT_BACKEND_FN(score_forward)(const merit_score_forward_args *args,
                                    const merit_launch *launch)
{
    for (int32_t k = 0; args->io.post_std != NULL && k < args->d.num_heads; k++) {
        m_count(args->io.diagnostics, MERIT_COUNTER_BAD_STD,
                score_is_bad_std(args->io.post_std[k]));
    }
    merit_parallel_ranges(launch->num_threads, args->d.num_heads, 1, pack_heads, (void *)args);
    merit_parallel_ranges(launch->num_threads, args->find.num_positions, SCORE_ROWS, run_positions,
                          (void *)args);
    return 0;
}
