// Arguments of the launchers of dominance_subset.
#ifndef MERIT_DOMINANCE_SUBSET_ARGS_H
#define MERIT_DOMINANCE_SUBSET_ARGS_H

#include "dominance_scratch.h"

enum { MERIT_DOMINANCE_MAX_WORDS = MERIT_DOMINANCE_MAX_ACTIONS / 32 };

// Objectives of equal importance. Classes are numbered by their lowest objective.
typedef struct merit_dominance_class {
    uint32_t objectives; // bits
    uint32_t above; // classes directly above, bits
} merit_dominance_class;

typedef struct merit_dominance_subset_args {
    merit_dominance_compare c;
    merit_dominance_subset_io io;
    float theta[MERIT_DOMINANCE_MAX_OBJECTIVES];
    float eta[MERIT_DOMINANCE_MAX_OBJECTIVES];
    float pick_weights[MERIT_DOMINANCE_MAX_OBJECTIVES];
    uint32_t strictly_above[MERIT_DOMINANCE_MAX_OBJECTIVES]; // objectives, bits: RULEBOOK
    merit_dominance_class classes[MERIT_DOMINANCE_MAX_OBJECTIVES];
    uint8_t order[MERIT_DOMINANCE_MAX_OBJECTIVES]; // classes, those above first
    int32_t num_classes;
    uint32_t last; // classes with nothing below, bits
    uint32_t lowest_objectives; // of the class that comes last in the order of the preorder
    int32_t mode, within_class, on_empty, pick, drop_nan;
    int32_t wants_means; // sums of rows are read again: greedy or pick MEAN
    int32_t resident; // CPU: a slot holds the columns of all blocks and objectives
    merit_dominance_scratch scratch;
    // per slot: CPU thread or CUDA group
    uint32_t *relations; // CPU: [slots, A, 2, 16] objectives under which a pair beats
    uint32_t
        *matrix; // [slots, A, ceil(A/32)], with TOP_CYCLE: who beats whom, then who reaches whom
} merit_dominance_subset_args;

// CUDA: edge of the tiles, and groups (slots) that a launch has at most.
MERIT_HD static inline int merit_dominance_subset_edge(const merit_dominance_compare *c)
{
    return c->sort_levels || c->num_actions > 16 ? 32 : 16;
}

// Groups of a block of 256 threads, edge^2 / 4 each.
MERIT_HD static inline int merit_dominance_subset_block(const merit_dominance_compare *c)
{
    const int edge = merit_dominance_subset_edge(c);
    return 1024 / (edge * edge);
}

MERIT_HD static inline int64_t merit_dominance_subset_groups(const merit_dominance_compare *c,
                                                             int num_sms)
{
    const int64_t blocks = (int64_t)num_sms * (c->num_actions > 32 ? 2 : 4);
    return blocks * merit_dominance_subset_block(c);
}

#endif
