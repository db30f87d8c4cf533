// score_forward, CPU. Threads own ranges of positions; weights are packed into the workspace first, and
// a tile of them stays in the first-level cache for a batch of rows. Memory-bound for up to about four
// heads.
#include "../backend.h"
#include "../core/parallel.h"
#include "score_dot_cpu.h"
#include "score_find_cpu.h"
#include "score_head.h"

enum { BATCH = 24 }; // positions whose rows stay in the second-level cache between sets of heads

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
static void write_tile_sums(const merit_score_forward_args *args, int64_t p, int first, int count,
                            double (*sums)[MERIT_SCORE_MAX_TILES])
{
    const int tiles = score_num_tiles(args->d.hidden_size);
    const int64_t columns = score_num_columns(&args->d);
    double *const out = args->io.scores;
    for (int k = 0; k < count; k++) {
        for (int tile = 0; tile < tiles; tile++) {
            out[(tile * args->find.num_positions + p) * columns + first + k] =
                m_canonical64(m_add64(sums[k][tile], 0.0));
        }
    }
}

static void write_scores(const merit_score_forward_args *args, const merit_score_affine *affine,
                         int64_t p, int first, int count, double (*sums)[MERIT_SCORE_MAX_TILES])
{
    const int tiles = score_num_tiles(args->d.hidden_size);
    float *const out = (float *)args->io.scores + p * args->d.score_stride + first;
    for (int k = 0; k < count; k++) {
        const int64_t head = args->d.routed ? args->io.route[p] : first + k;
        out[k] = score_finish_value(affine, head, score_fold_tiles(sums[k], tiles));
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

// The row to fetch while row i of a batch of `count` is multiplied with `tile`, of `known` in all.
static const unsigned char *fetched(const merit_score_forward_args *args, const found_row *found,
                                    int count, int known, int i, int tile)
{
    const int tiles = score_num_tiles(args->d.hidden_size);
    for (; i >= count && tile + 1 < tiles; tile++) {
        i -= count;
    }
    if (i >= count) tile = 0; // of the next batch
    const int64_t element = args->d.hidden_dtype == MERIT_DTYPE_F32 ? 4 : 2;
    return found[i < known ? i : known - 1].hidden + tile * MERIT_TILE * element;
}

// Columns [first, first + heads) of a batch of positions; weights of the first at `packed`. Rows up to
// `known` will be scored next.
static void score_rows(const merit_score_forward_args *args, const found_row *found, int count,
                       int known, int first, int heads, const float *packed)
{
    const int32_t size = args->d.hidden_size;
    const int tiles = score_num_tiles(size);
    const int64_t tile_bytes = MERIT_TILE * (args->d.hidden_dtype == MERIT_DTYPE_F32 ? 4 : 2);
    const int ahead = score_rows_ahead(heads);
    double sums[BATCH * SCORE_HEADS][MERIT_SCORE_MAX_TILES];
    unsigned char ends[SCORE_ROWS][MERIT_TILE * sizeof(float)];
    score_block block;
    for (int tile = 0; tile < tiles; tile++) {
        const int left = size - tile * MERIT_TILE;
        const int length = left < MERIT_TILE ? left : MERIT_TILE;
        block.turns = (length + MERIT_LANES - 1) / MERIT_LANES;
        for (int k = 0; k < heads; k++) {
            block.heads[k] = packed + (int64_t)k * score_padded(size) + tile * MERIT_TILE;
        }
        for (int i = 0, rows; i < count; i += rows) {
            rows = i + score_rows_at_once(heads) <= count ? score_rows_at_once(heads) : 1;
            for (int r = 0; r < rows; r++) {
                const unsigned char *const row = found[i + r].hidden + tile * tile_bytes;
                block.next[r] = fetched(args, found, count, known, i + r + ahead, tile);
                block.rows[r] =
                    length % MERIT_LANES == 0 ? row : padded_tile(args, row, length, ends[r]);
            }
            score_dot(&block, args->d.hidden_dtype, rows, heads);
            for (int n = 0; n < rows * heads; n++) {
                sums[i * heads + n][tile] = block.sums[n];
            }
        }
    }
    const merit_score_affine affine = affine_of(args);
    for (int i = 0; i < count; i++) {
        if (args->d.shard == MERIT_SCORE_SHARD_PARTIAL) {
            write_tile_sums(args, found[i].p, first, heads, sums + i * heads);
        } else {
            write_scores(args, &affine, found[i].p, first, heads, sums + i * heads);
        }
    }
}

static void score_found(const merit_score_forward_args *args, const found_row *found, int count,
                        int known)
{
    const int64_t padded = score_padded(args->d.hidden_size);
    if (args->d.routed) {
        for (int i = 0; i < count; i++) {
            score_rows(args, found + i, 1, known - i, 0, 1,
                       args->packed + args->io.route[found[i].p] * padded);
        }
        return;
    }
    for (int first = 0; first < args->d.num_heads; first += SCORE_HEADS) {
        const int left = args->d.num_heads - first;
        score_rows(args, found, count, known, first, left < SCORE_HEADS ? left : SCORE_HEADS,
                   args->packed + first * padded);
    }
}

static void run_positions(void *state, int64_t begin, int64_t end)
{
    const merit_score_forward_args *const args = state;
    const int64_t bytes = args->d.hidden_dtype == MERIT_DTYPE_F32 ? 4 : 2;
    found_row found[BATCH + SCORE_AHEAD];
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
        if (count == BATCH + SCORE_AHEAD) {
            score_found(args, found, BATCH, count);
            memmove(found, found + BATCH, SCORE_AHEAD * sizeof *found);
            count = SCORE_AHEAD;
        }
    }
    for (int first = 0; first < count; first += BATCH) {
        const int left = count - first;
        score_found(args, found + first, left < BATCH ? left : BATCH, left);
    }
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
    merit_parallel_ranges(launch->num_threads, args->find.num_positions, 8, run_positions,
                          (void *)args);
    return 0;
}
