// Arguments of the launchers of preference_pair.
//
// Everything that is summed over pairs is a *cell*: per route and tile of 2048 pairs one binary64 in
// the workspace. The last block (or the calling thread) folds the tiles of each.
#ifndef MERIT_PREFERENCE_PAIR_ARGS_H
#define MERIT_PREFERENCE_PAIR_ARGS_H

#include <merit/preference.h>

enum {
    MERIT_PREFERENCE_CELL_LOSS = 0, // w L
    MERIT_PREFERENCE_CELL_WEIGHT, // w of every valid pair: the denominator of MEAN_WEIGHT
    MERIT_PREFERENCE_CELL_TIE, // w dL / dlog_tie
    // of the metrics
    MERIT_PREFERENCE_CELL_WEIGHT_SEEN, // w of the pairs that are not invalid
    MERIT_PREFERENCE_CELL_LOSS_ALONE, // L
    MERIT_PREFERENCE_CELL_DIFFERENCE,
    MERIT_PREFERENCE_CELL_DIFFERENCE_SQUARED,
    MERIT_PREFERENCE_CELL_CHOSEN,
    MERIT_PREFERENCE_CELL_REJECTED,
    MERIT_PREFERENCE_CELL_MIN, // minimum and maximum instead of sums
    MERIT_PREFERENCE_CELL_MAX,
    // Counts of a tile are below 2^12: four to a cell, exactly.
    MERIT_PREFERENCE_CELL_COUNTS, // pairs, zero_weight, decided, correct_strict
    MERIT_PREFERENCE_CELL_MORE_COUNTS, // tied, label_ties, invalid
    MERIT_PREFERENCE_CELLS
};

// A call counts its denominators, or computes, or does one after the other (in one block).
enum { MERIT_PREFERENCE_PASS_COUNT = 0, MERIT_PREFERENCE_PASS_MAIN = 1 };

enum {
    MERIT_PREFERENCE_MAX_ROUTES = 32,
    MERIT_PREFERENCE_MAX_BINS = 64,
    MERIT_PREFERENCE_ONE_BLOCK_PAIRS = 16384, // so many are counted by the block that computes
    MERIT_PREFERENCE_BLOCKS_PER_SM = 8, // at most
    MERIT_PREFERENCE_TICKET_WORDS = 64 // left at zero by every call
};

// A bin on the way: confidences are multiples of 2^-24 up to 1, hits multiples of 1/2.
typedef struct merit_preference_bin_count {
    uint64_t count;
    uint64_t confidence; // in units of 2^-24
    uint64_t hits; // in halves
} merit_preference_bin_count;

typedef struct merit_preference_pair_args {
    merit_preference_pair_desc d;
    merit_preference_pair_io io;
    int64_t num_tiles;
    int32_t is_plain; // see preference_pair.h
    int32_t valid_is_known; // every pair is valid, and its route a function of its index
    int32_t needs_count; // gradients need a denominator that has to be counted
    // set by the launchers: which of the two passes a run makes
    int32_t first_pass;
    int32_t last_pass;
    int32_t num_columns; // sums that a block of a device holds per thread
    // workspace
    uint32_t *tickets; // [MERIT_PREFERENCE_TICKET_WORDS]
    double *counted; // [K] denominators of a counting pass
    double *cells; // [MERIT_PREFERENCE_CELLS,K,num_tiles]
    merit_preference_bin_count *bins; // [blocks,K,calibration_bins]; CPU: [K,calibration_bins]
} merit_preference_pair_args;

#endif
