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

#endif
