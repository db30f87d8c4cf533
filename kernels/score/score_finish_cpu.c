// score_finish, CPU. The tiles of many scores fold side by side: the tree is the same for all.
#include "../backend.h"
#include "../core/parallel.h"
#include "score_finish.h"

enum { BLOCK = 256 };

// Complete subtrees of the scores of a block, like the digits of a binary counter of tiles.
typedef struct tree {
    int depth;
    double level[MERIT_TILE_LEVELS][BLOCK];
} tree;

static void add_level(tree *t, int count)
{
    double *restrict const left = t->level[t->depth - 2];
    const double *restrict const right = t->level[t->depth - 1];
    for (int i = 0; i < count; i++) {
        left[i] = m_add64(left[i], right[i]);
    }
    t->depth--;
}

// Scores [first, first + count).
static void finish_block(const merit_score_finish_args *args, tree *t, int64_t first, int count)
{
    const int64_t columns = score_finish_columns(args);
    const int64_t entries = args->d.num_positions * columns;
    t->depth = 0;
    int64_t number = 0; // of the tile among those of all ranks
    for (int32_t rank = 0; rank < args->num_ranks; rank++) {
        const int64_t tiles = score_finish_tiles(args, rank);
        const double *const part = score_finish_part(args, rank);
        for (int64_t tile = 0; tile < tiles; tile++, number++) {
            memcpy(t->level[t->depth++], part + tile * entries + first,
                   (size_t)count * sizeof(double));
            for (int64_t bits = number; (bits & 1) != 0; bits >>= 1) {
                add_level(t, count);
            }
        }
    }
    while (t->depth > 1) {
        add_level(t, count);
    }
    int64_t p = first / columns, column = first % columns;
    for (int i = 0; i < count; i++) {
        score_finish_entry(args, p, column, t->level[0][i]);
        if (++column == columns) p++, column = 0;
    }
}

static void finish_range(void *state, int64_t begin, int64_t end)
{
    tree t;
    for (int64_t i = begin; i < end; i += BLOCK) {
        finish_block(state, &t, i, end - i < BLOCK ? (int)(end - i) : BLOCK);
    }
}

merit_score_finish_launcher MERIT_BACKEND_FN(score_finish);

int MERIT_BACKEND_FN(score_finish)(const merit_score_finish_args *args, const merit_launch *launch)
{
    for (int64_t k = 0; args->io.post_std != NULL && k < args->d.num_heads; k++) {
        score_finish_count_std(args, k);
    }
    merit_parallel_ranges(launch->num_threads, args->d.num_positions * score_finish_columns(args),
                          64, finish_range, (void *)args);
    return 0;
}
