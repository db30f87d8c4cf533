// score_finish: arguments and the formula of one score.
#ifndef MERIT_SCORE_FINISH_H
#define MERIT_SCORE_FINISH_H

#include "../core/gathered.h"
#include "score_head.h"

typedef struct merit_score_finish_args {
    merit_score_finish_desc d; // strides resolved: no zeros
    merit_score_finish_io io;
    const int64_t *sizes; // of rank 0 in gathered messages; NULL: tile_sums has all tiles
    int64_t step; // bytes from rank to rank, of sizes and tile_sums
    int32_t num_ranks; // 1 without sizes
    int32_t accumulate; // 1: sums are added to what scores holds
} merit_score_finish_args;

MERIT_HD static inline int32_t score_finish_columns(const merit_score_finish_args *args)
{
    return args->d.routed ? 1 : args->d.num_heads;
}

MERIT_HD static inline int64_t score_finish_tiles(const merit_score_finish_args *args, int32_t rank)
{
    return args->sizes == NULL ? args->d.num_tiles
                               : merit_gathered_tiles(args->sizes, args->step, rank);
}

MERIT_HD static inline const double *score_finish_part(const merit_score_finish_args *args,
                                                       int32_t rank)
{
    return (const double *)merit_gathered_at(args->io.tile_sums, args->step, rank);
}

// A score from the sum of its tiles.
MERIT_HD static inline void score_finish_entry(const merit_score_finish_args *args, int64_t p,
                                               int64_t column, double sum)
{
    int64_t head = column;
    int64_t position = args->io.found_positions != NULL ? args->io.found_positions[p] : 0;
    merit_score_affine affine;
    affine.bias = args->io.bias;
    affine.mean = args->io.post_mean;
    affine.std = args->io.post_std;
    affine.empty_value = args->d.empty_value;
    if (args->d.routed && position >= 0) {
        head = args->io.route[p];
        if (head < 0 || head >= args->d.num_heads) {
            m_count(args->io.diagnostics, MERIT_COUNTER_BAD_ROUTE, 1);
            position = MERIT_POSITION_BAD;
        }
    }
    float *const out = &args->io.scores[p * args->d.score_stride + column];
    if (args->accumulate) sum = m_add64((double)*out, sum);
    *out = position >= 0 ? score_finish_value(&affine, head, sum)
                         : score_absent_value(&affine, position);
}

MERIT_HD static inline void score_finish_one(const merit_score_finish_args *args, int64_t i)
{
    const int64_t columns = score_finish_columns(args);
    const int64_t entries = args->d.num_positions * columns;
    const int64_t p = i / columns;
    merit_tile_sum sum;
    sum.count = 0;
    for (int32_t rank = 0; rank < args->num_ranks; rank++) {
        const int64_t tiles = score_finish_tiles(args, rank);
        const double *const part = score_finish_part(args, rank);
        for (int64_t tile = 0; tile < tiles; tile++) {
            merit_tile_sum_push(&sum, part[tile * entries + i]);
        }
    }
    score_finish_entry(args, p, i - p * columns, merit_tile_sum_finish(&sum));
}

MERIT_HD static inline void score_finish_count_std(const merit_score_finish_args *args, int64_t k)
{
    m_count(args->io.diagnostics, MERIT_COUNTER_BAD_STD, score_is_bad_std(args->io.post_std[k]));
}

#endif
