// A binary64 term per row, and their canonical sum: over tiles of 2048 rows, then the tree over tiles.
// total.cuh folds by blocks, total_cpu.h as C loops.
#ifndef MERIT_CORE_TOTAL_H
#define MERIT_CORE_TOTAL_H

#include "lanes.h"

// Ticket words at the start of a workspace; every call leaves them at zero.
enum {
    MERIT_TOTAL_TICKET_TILES_DONE = 0,
    MERIT_TOTAL_TICKET_TILES = 16, // rows done, per tile
    MERIT_TOTAL_TICKET_WORDS = 256, // tiles beyond these have words elsewhere
    MERIT_TOTAL_TICKET_NEAR = MERIT_TOTAL_TICKET_WORDS - MERIT_TOTAL_TICKET_TILES
};

typedef struct merit_total {
    int64_t count; // rows
    double *tile_sums; // [tiles], NULL: an output
    // workspace
    double *terms; // [count]
    double *tiles; // [tiles]: the fold takes place in it
    uint32_t *tickets; // [MERIT_TOTAL_TICKET_WORDS]
    uint32_t *tile_tickets; // [tiles]: in tickets when they fit
} merit_total;

MERIT_HD static inline int64_t merit_total_num_tiles(const merit_total *t)
{
    return (t->count + MERIT_TILE - 1) / MERIT_TILE;
}

MERIT_HD static inline int merit_total_tile_rows(const merit_total *t, int64_t tile)
{
    const int64_t left = t->count - tile * MERIT_TILE;
    return (int)(left < (int64_t)MERIT_TILE ? left : (int64_t)MERIT_TILE);
}

#endif
