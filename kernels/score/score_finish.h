// score_finish: arguments and the formula of one score.
#ifndef MERIT_SCORE_FINISH_H
#define MERIT_SCORE_FINISH_H

#include "score_head.h"

typedef struct merit_score_finish_args {
    merit_score_finish_desc d; // strides resolved: no zeros
    merit_score_finish_io io;
} merit_score_finish_args;

MERIT_HD static inline int32_t score_finish_columns(const merit_score_finish_args *args)
{
    return args->d.routed ? 1 : args->d.num_heads;
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
    const float score = position >= 0 ? score_finish_value(&affine, head, sum)
                                      : score_absent_value(&affine, position);
    args->io.scores[p * args->d.score_stride + column] = score;
}

MERIT_HD static inline void score_finish_one(const merit_score_finish_args *args, int64_t i)
{
    const int64_t columns = score_finish_columns(args);
    const int64_t entries = args->d.num_positions * columns;
    const int64_t p = i / columns;
    merit_tile_sum sum;
    sum.count = 0;
    for (int64_t tile = 0; tile < args->d.num_tiles; tile++) {
        merit_tile_sum_push(&sum, args->io.tile_sums[tile * entries + i]);
    }
    score_finish_entry(args, p, i - p * columns, merit_tile_sum_finish(&sum));
}

MERIT_HD static inline void score_finish_count_std(const merit_score_finish_args *args, int64_t k)
{
    m_count(args->io.diagnostics, MERIT_COUNTER_BAD_STD, score_is_bad_std(args->io.post_std[k]));
}

#endif
