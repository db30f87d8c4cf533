// Arguments of dominance_quantile_sort. dominance_sort.h has the order.
#ifndef MERIT_DOMINANCE_QUANTILE_SORT_H
#define MERIT_DOMINANCE_QUANTILE_SORT_H

#include <merit/dominance_quantile.h>

#include "dominance_sort.h"

enum {
    MERIT_SORT_MAX_TAUS = 1024, // their places travel with the launch
    MERIT_SORT_COLUMNS =
        1024, // levels of the rows that a CPU sorts side by side: within its caches
    MERIT_SORT_WIDEST = 16, // rows side by side
    MERIT_SORT_SHARED =
        4096 // elements that a block sorts at a time; longer rows lie in the workspace
};

typedef struct merit_dominance_quantile_sort_args {
    merit_dominance_quantile_sort_desc d; // strides resolved
    merit_dominance_quantile_sort_io io;
    int32_t num_results; // of a row: N, or Q
    int64_t num_slots;
    int64_t words_per_slot; // 2 N or 8 N on a CPU, N on a device
    uint64_t *words; // workspace: [slots, words_per_slot]; on a device for long rows
    uint16_t places[MERIT_SORT_MAX_TAUS]; // of the results among the sorted
} merit_dominance_quantile_sort_args;

// Which of the sorted elements result q is.
MERIT_HD static inline int merit_sort_place(const merit_dominance_quantile_sort_args *args, int q)
{
    return args->d.num_taus > 0 ? args->places[q] : q;
}

MERIT_HD static inline void merit_sort_write(const merit_dominance_quantile_sort_args *args,
                                             int64_t r, int q, uint64_t word)
{
    if (args->io.sorted != NULL) {
        args->io.sorted[r * args->d.ld_sorted + q] = merit_dominance_word_level(word);
    }
    if (args->io.index != NULL) {
        args->io.index[r * args->num_results + q] = merit_dominance_word_place(word);
    }
}

#endif
