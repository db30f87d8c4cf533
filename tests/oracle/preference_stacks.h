// The losses of training stacks that presets of preference_pair are named after, written out as those
// stacks do, in binary64.
#ifndef MERIT_TESTS_PREFERENCE_STACKS_H
#define MERIT_TESTS_PREFERENCE_STACKS_H

#include <stddef.h>

// One row of a batch: scores or log-probabilities of sequences, and what a data set says of them.
typedef struct ps_row {
    double chosen, rejected, ref_chosen, ref_rejected, chosen_length, rejected_length;
    double margin, weight, probability, signal;
    int label, outcome;
} ps_row;

// Which arrays of a batch a stack has.
enum {
    PS_REFERENCES = 1,
    PS_LENGTHS = 2,
    PS_MARGINS = 4,
    PS_WEIGHTS = 8,
    PS_LABELS = 16, // outcomes are their signs
    PS_SIZES_AS_MARGINS = 32,
    PS_SIZES_AS_WEIGHTS = 64,
    PS_OUTCOMES = 128,
    PS_PROBABILITIES = 256,
    PS_SIGNALS = 512,
    PS_HEADS = 1024,
    PS_BATCH = 2048, // divided by the caller's number
    PS_SORTED = 4096,
};

typedef struct ps_stack {
    const char *preset;
    double (*loss)(const ps_row *x);
    int uses;
    size_t offset; // of an option that the caller gives, 0: none
    double value;
    double beta; // 0: the preset's
} ps_stack;

enum { PS_NUM_STACKS = 35 };
extern const ps_stack ps_stacks[PS_NUM_STACKS];

#endif
