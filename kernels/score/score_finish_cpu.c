// score_finish, CPU. The tiles of many scores fold side by side: the tree is the same for all.
#include "../backend.h"
#include "../core/parallel.h"
#include "score_finish.h"

enum { BLOCK = 256, LINE = 64 /* bytes of the cache */ };

// Complete subtrees of the scores of a block, like the digits of a binary counter of tiles.
typedef struct tree {
    int64_t count; // tiles
    int depth;
    const double *left; // a tile that waits for its right neighbor, in place; NULL
    double level[MERIT_TILE_LEVELS][BLOCK];
} tree;

// plain: no score needs a look of its own. Every position was found, and its heads lie side by side.
typedef struct finish {
    const merit_score_finish_args *a;
    int plain;
    float bias[2 * BLOCK], mean[2 * BLOCK], std[2 * BLOCK]; // of column i modulo the columns
} finish;

static void add_arrays(double *sum, const double *left, const double *right, int count)
{
    for (int i = 0; i < count; i++) {
        sum[i] = m_add64(left[i], right[i]);
    }
}

static void add_level(tree *t, int count)
{
    double *const left = t->level[--t->depth - 1];
    add_arrays(left, left, t->level[t->depth], count);
}

static void push_tile(tree *t, const double *tile, int count)
{
    if (t->count++ % 2 == 0) {
        t->left = tile;
        return;
    }
    add_arrays(t->level[t->depth++], t->left, tile, count);
    t->left = NULL;
    for (int64_t bits = (t->count - 1) / 2; (bits & 1) != 0; bits >>= 1) {
        add_level(t, count);
    }
}

// The sums, in place.
static const double *fold_tree(tree *t, int count)
{
    if (t->depth == 0) {
        if (t->left != NULL) return t->left;
        memset(t->level[0], 0, sizeof t->level[0]);
    } else if (t->left != NULL) {
        double *const top = t->level[t->depth - 1];
        add_arrays(top, top, t->left, count);
    }
    while (t->depth > 1) {
        add_level(t, count);
    }
    return t->level[0];
}

static void prefetch(const double *next, int count)
{
    for (int i = 0; i < count; i += LINE / (int)sizeof *next) {
        __builtin_prefetch(next + i);
    }
}

// affine: parameters from the first column on.
static inline __attribute__((always_inline)) void finish_values(const merit_score_affine affine,
                                                                const double *restrict sums,
                                                                int count, float *restrict scores)
{
    for (int i = 0; i < count; i++) {
        scores[i] = score_finish_value(&affine, i, sums[i]);
    }
}

static __attribute__((noinline)) void finish_biased(const float *bias, const double *sums,
                                                    int count, float *scores)
{
    const merit_score_affine affine = {.bias = bias};
    finish_values(affine, sums, count, scores);
}

static __attribute__((noinline)) void finish_standardized(const float *bias, const float *mean,
                                                          const float *std, const double *sums,
                                                          int count, float *scores)
{
    const merit_score_affine affine = {.bias = bias, .mean = mean, .std = std};
    finish_values(affine, sums, count, scores);
}

// Scores [first, first + count) from their sums.
static void finish_scores(const finish *f, const double *sums, int64_t first, int count)
{
    const merit_score_finish_args *const a = f->a;
    const int64_t columns = score_finish_columns(a);
    int64_t p = first / columns, column = first % columns;
    if (f->plain) {
        float *const scores = a->io.scores + first;
        if (a->io.post_mean == NULL && a->io.post_std == NULL) {
            finish_biased(f->bias + column, sums, count, scores);
        } else {
            finish_standardized(f->bias + column, f->mean + column, f->std + column, sums, count,
                                scores);
        }
        return;
    }
    for (int i = 0; i < count; i++) {
        score_finish_entry(a, p, column, sums[i]);
        if (++column == columns) p++, column = 0;
    }
}

// next: how many scores follow in the range.
static void finish_block(const finish *f, tree *t, int64_t first, int count, int next)
{
    const merit_score_finish_args *const a = f->a;
    const int64_t entries = a->d.num_positions * score_finish_columns(a);
    t->count = t->depth = 0;
    t->left = NULL;
    for (int32_t rank = 0; rank < a->num_ranks; rank++) {
        const int64_t tiles = score_finish_tiles(a, rank);
        const double *const part = score_finish_part(a, rank) + first;
        for (int64_t tile = 0; tile < tiles; tile++) {
            prefetch(part + tile * entries + count, next);
            push_tile(t, part + tile * entries, count);
        }
    }
    finish_scores(f, fold_tree(t, count), first, count);
}

// What is not given becomes what changes nothing: + 0, - 0, / 1.
static void fill(float *to, const float *from, float none, int64_t columns)
{
    for (int i = 0, column = 0; i < 2 * BLOCK; i++) {
        to[i] = from != NULL ? from[column] : none;
        if (++column == columns) column = 0;
    }
}

static void finish_range(void *state, int64_t begin, int64_t end)
{
    const merit_score_finish_args *const a = state;
    const int64_t columns = score_finish_columns(a);
    finish f;
    tree t;
    f.a = a;
    f.plain = !a->d.routed && !a->accumulate && a->io.found_positions == NULL &&
              a->d.score_stride == columns && columns <= BLOCK;
    if (f.plain) {
        fill(f.bias, a->io.bias, 0.0f, columns);
        fill(f.mean, a->io.post_mean, 0.0f, columns);
        fill(f.std, a->io.post_std, 1.0f, columns);
    }
    for (int64_t i = begin; i < end; i += BLOCK) {
        const int64_t left = end - i;
        const int64_t after = left - BLOCK;
        finish_block(&f, &t, i, left < BLOCK ? (int)left : BLOCK,
                     after < 0       ? 0
                     : after < BLOCK ? (int)after
                                     : BLOCK);
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
