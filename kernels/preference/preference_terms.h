// The terms that pairs or groups add to a loss and its metrics, and their fold: canonical sums over
// tiles of 2048 terms, then the tree over tiles.
#ifndef MERIT_PREFERENCE_TERMS_H
#define MERIT_PREFERENCE_TERMS_H

#include "../core/lanes.h"

enum {
    MERIT_PREFERENCE_MAX_SUMS = 7,
    MERIT_PREFERENCE_MAX_COUNTS = 7, // bits of a term's flags
    MERIT_PREFERENCE_SUM_WEIGHTED = 0 // the sum that is the loss
};

// Ticket words at the start of a workspace; every call leaves them at zero.
enum {
    MERIT_PREFERENCE_TICKET_TILES_DONE = 0,
    MERIT_PREFERENCE_TICKET_BLOCKS_DONE = 1,
    MERIT_PREFERENCE_TICKET_VALID = 2, // two words: valid terms counted
    MERIT_PREFERENCE_TICKET_SPLIT = 4, // groups listed for the split schedule
    MERIT_PREFERENCE_TICKET_SPLIT_DONE = 5, // blocks that finished it
    MERIT_PREFERENCE_TICKET_SPLIT_TILES = 6, // two words: partials that the groups listed need
    MERIT_PREFERENCE_TICKET_SPLIT_CLAIMS = 8, // two words: units taken
    MERIT_PREFERENCE_TICKET_COUNT_CLAIMS = 10, // two words: chunks taken to be counted
    MERIT_PREFERENCE_TICKET_COUNT_DONE = 12, // chunks counted
    MERIT_PREFERENCE_TICKET_TILES = 16, // terms done, per tile
    MERIT_PREFERENCE_TICKET_WORDS = 256, // tiles beyond these have words elsewhere
    MERIT_PREFERENCE_TICKET_NEAR = MERIT_PREFERENCE_TICKET_WORDS - MERIT_PREFERENCE_TICKET_TILES
};

// Of a tile, and of all of them.
typedef struct merit_preference_totals {
    double sums[MERIT_PREFERENCE_MAX_SUMS];
    int64_t counts[MERIT_PREFERENCE_MAX_COUNTS];
} merit_preference_totals;

typedef struct merit_preference_terms {
    int64_t count;
    int32_t num_sums; // that the call needs
    double *loss_tiles; // [tiles], NULL: an output
    // workspace
    double *sums; // [num_sums,count]
    uint32_t *flags; // [count]
    merit_preference_totals *tiles; // [tiles]
    uint32_t *tickets; // [MERIT_PREFERENCE_TICKET_WORDS]
    uint32_t *tile_tickets; // [tiles]: in tickets when they fit
} merit_preference_terms;

MERIT_HD static inline int64_t merit_preference_num_tiles(const merit_preference_terms *t)
{
    return (t->count + MERIT_TILE - 1) / MERIT_TILE;
}

MERIT_HD static inline merit_preference_totals merit_preference_totals_zero(void)
{
    merit_preference_totals t;
    for (int k = 0; k < MERIT_PREFERENCE_MAX_SUMS; k++) {
        t.sums[k] = 0.0;
    }
    for (int k = 0; k < MERIT_PREFERENCE_MAX_COUNTS; k++) {
        t.counts[k] = 0;
    }
    return t;
}

MERIT_HD static inline merit_preference_totals
merit_preference_totals_merge(merit_preference_totals a, merit_preference_totals b)
{
    for (int k = 0; k < MERIT_PREFERENCE_MAX_SUMS; k++) {
        a.sums[k] = m_add64(a.sums[k], b.sums[k]);
    }
    for (int k = 0; k < MERIT_PREFERENCE_MAX_COUNTS; k++) {
        a.counts[k] += b.counts[k];
    }
    return a;
}

#endif
