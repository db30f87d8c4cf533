// What the benches of comm_score and comm_score_gradients share: the scores of a rank that leaves tile sums.
#ifndef MERIT_BENCH_COMM_SCORE_H
#define MERIT_BENCH_COMM_SCORE_H

#include <merit/merit.h>

static inline merit_status bench_score_part(int64_t positions, int64_t hidden, int64_t heads,
                                            merit_score_desc *part)
{
    const merit_status status = merit_score_desc_init(part, sizeof *part);
    part->num_tokens = positions;
    part->hidden_size = (int32_t)hidden;
    part->num_heads = (int32_t)heads;
    part->positions = MERIT_POSITIONS_ALL;
    part->shard = MERIT_SCORE_SHARD_PARTIAL;
    return status;
}

#endif
