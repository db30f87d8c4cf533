// Arguments of the launchers of score_forward and score_backward.
#ifndef MERIT_SCORE_ARGS_H
#define MERIT_SCORE_ARGS_H

#include <merit/score.h>

#include "../core/lanes.h"
#include "score_position.h"

enum {
    MERIT_SCORE_MAX_HIDDEN = 65536,
    MERIT_SCORE_MAX_HEADS = 1024,
    MERIT_SCORE_MAX_TILES = MERIT_SCORE_MAX_HIDDEN / MERIT_TILE,
    // Up to so many positions, and no more than multiprocessors, a device spreads the tiles of a row
    // over blocks. Their tickets, left at zero by every call, open the workspace.
    MERIT_SCORE_SPREAD_POSITIONS = 256
};

typedef struct merit_score_forward_args {
    merit_score_desc d; // strides resolved: no zeros
    merit_score_forward_io io;
    merit_score_finder find;
    int32_t is_spread; // one warp per position and tile
    int32_t has_vectors; // 16-byte loads of hidden and weight are aligned
    // workspace
    uint32_t *tickets; // [MERIT_SCORE_SPREAD_POSITIONS]
    double *tile_sums; // [tiles,P,K or 1], spread
    float *packed; // [K,H padded to 256], CPU: weights in the order of its loads
} merit_score_forward_args;

MERIT_HD static inline int score_num_tiles(int32_t hidden_size)
{
    return (hidden_size + MERIT_TILE - 1) / MERIT_TILE;
}

// Elements of one head in `packed`: whole turns of 256 lanes.
MERIT_HD static inline int32_t score_padded(int32_t hidden_size)
{
    return (hidden_size + MERIT_LANES - 1) / MERIT_LANES * MERIT_LANES;
}

// Scores of one position.
MERIT_HD static inline int32_t score_num_columns(const merit_score_desc *d)
{
    return d->routed ? 1 : d->num_heads;
}

#endif
