// What sequences add to a loss and its statistics, and the fold: canonical sums over tiles of 2048
// sequences, then the tree over tiles. Counts and extremes need no order: they are added up in words that
// every call leaves at zero.
#ifndef MERIT_POLICY_TERMS_H
#define MERIT_POLICY_TERMS_H

#include "../core/lanes.h"

enum {
    MERIT_POLICY_SUM_LOSS = 0, // the sum that is the loss
    MERIT_POLICY_MAX_SUMS = 12,
    MERIT_POLICY_MAX_COUNTS = 14,
    MERIT_POLICY_MAX_EXTREMES = 4
};

// Ticket words at the start of a workspace.
enum {
    MERIT_POLICY_TICKET_TILES_DONE = 0,
    MERIT_POLICY_TICKET_BLOCKS_DONE = 1,
    MERIT_POLICY_TICKET_EXTREMES = 2, // words of merit_policy_low_word, _high_word
    MERIT_POLICY_TICKET_COUNTS = 8, // two words each
    MERIT_POLICY_TICKET_TILES = 64, // sequences done, per tile
    MERIT_POLICY_TICKET_WORDS = 256, // tiles beyond these have words elsewhere
    MERIT_POLICY_TICKET_NEAR = MERIT_POLICY_TICKET_WORDS - MERIT_POLICY_TICKET_TILES
};

typedef struct merit_policy_totals {
    double sums[MERIT_POLICY_MAX_SUMS];
} merit_policy_totals;

// Counts and extremes of a thread, or of a call.
typedef struct merit_policy_tally {
    uint64_t counts[MERIT_POLICY_MAX_COUNTS];
    uint32_t extremes[MERIT_POLICY_MAX_EXTREMES];
} merit_policy_tally;

typedef struct merit_policy_terms {
    int64_t count; // sequences
    int32_t num_sums; // that the call needs
    double *loss_tiles; // [tiles], NULL: an output
    // workspace
    double *sums; // [num_sums,count]
    merit_policy_totals *tiles; // [tiles]
    uint32_t *tickets; // [MERIT_POLICY_TICKET_WORDS]
    uint32_t *tile_tickets; // [tiles]: in tickets when they fit
} merit_policy_terms;

MERIT_HD static inline int64_t merit_policy_num_tiles(const merit_policy_terms *t)
{
    return (t->count + MERIT_TILE - 1) / MERIT_TILE;
}

MERIT_HD static inline merit_policy_totals merit_policy_totals_merge(merit_policy_totals a,
                                                                     merit_policy_totals b)
{
    for (int k = 0; k < MERIT_POLICY_MAX_SUMS; k++) {
        a.sums[k] = m_add64(a.sums[k], b.sums[k]);
    }
    return a;
}

// The minimum and maximum of values that are not negative, as words whose maximum is the result and
// whose neutral element is 0. The words of such values are in the order of the values; NaN is left out.
MERIT_HD static inline uint32_t merit_policy_low_word(float value)
{
    const uint32_t bits = m_bits32(value);
    return bits > 0x7f800000u ? 0 : 0x7f800000u - bits;
}

MERIT_HD static inline float merit_policy_low_of(uint32_t word)
{
    return m_from_bits32(0x7f800000u - word);
}

MERIT_HD static inline uint32_t merit_policy_high_word(float value)
{
    const uint32_t bits = m_bits32(value);
    return bits > 0x7f800000u ? 0 : bits + 1u;
}

MERIT_HD static inline float merit_policy_high_of(uint32_t word)
{
    return word == 0 ? -m_inf32() : m_from_bits32(word - 1u);
}

#endif
