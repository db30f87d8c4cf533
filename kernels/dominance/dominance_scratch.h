// The workspace of dominance_pairwise and dominance_subset: one slot per CPU thread or CUDA block.
#ifndef MERIT_DOMINANCE_SCRATCH_H
#define MERIT_DOMINANCE_SCRATCH_H

#include "dominance_compare.h"

enum {
    MERIT_DOMINANCE_WIDEST = 16, // rows that a CPU backend compares at once
    MERIT_DOMINANCE_ROW_BUFFERS =
        MERIT_DOMINANCE_WIDEST + 2 // those, one against them, one of zeros
};

typedef struct merit_dominance_scratch {
    int64_t num_slots;
    int64_t rows_per_slot; // A, or M A
    int64_t columns_per_slot; // floats
    // CPU
    float *columns; // [slots, columns_per_slot]
    float *rows; // [slots, 18, N]
    uint32_t *flags; // [slots, rows_per_slot]
    uint64_t *words; // [slots, 2, N], with sort_levels
    // both
    double *sums; // [slots, rows_per_slot]: of the levels, or of weight times level
    float *sorted; // [slots, rows_per_slot, N], with sort_levels
} merit_dominance_scratch;

// Blocks that sort rows in a slot of their own.
MERIT_HD static inline int64_t merit_dominance_sorting_blocks(int num_sms)
{
    return 2 * (int64_t)num_sms;
}

#endif
