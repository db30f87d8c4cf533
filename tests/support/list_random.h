// Random groups of given sizes, with every array that a mode of preference_list takes.
#ifndef MERIT_TESTS_LIST_RANDOM_H
#define MERIT_TESTS_LIST_RANDOM_H

#include "list_case.h"

typedef struct list_random {
    int64_t R, N;
    int64_t *offsets;
    int32_t *index, *ranks, *targets;
    float *scores, *weights, *labels, *group_weight;
    int8_t *signs;
    uint8_t *mask;
} list_random;

list_random list_random_make(const int64_t *sizes, int64_t N, uint64_t seed);
void list_random_free(list_random *l);

// A preset over all groups of l, with MEAN_VALID; tau 0.75 where the preset leaves it to the caller.
list_case list_random_case(const list_random *l, const char *preset);

// Every target array, of at most 64 groups and 256 items.
typedef struct list_targets {
    int32_t index[64], ranks[256];
    float weights[256], labels[256];
    int8_t signs[256];
} list_targets;

list_targets list_targets_make(uint64_t seed);

// Gives a case the arrays that its mode takes; tau 1 where the preset leaves it to the caller.
void list_targets_set(list_case *c, const list_targets *t);

// A preset of every mode.
enum { LIST_NUM_MODES = 8 };
extern const char *const list_modes[LIST_NUM_MODES];

#endif
