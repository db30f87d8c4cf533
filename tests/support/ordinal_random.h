// Random pairs of level logits, exact in 16 bits, with every array that preference_ordinal takes.
#ifndef MERIT_TESTS_ORDINAL_RANDOM_H
#define MERIT_TESTS_ORDINAL_RANDOM_H

#include "ordinal_case.h"

typedef struct ordinal_random {
    float *a, *b, *weights;
    int32_t *region_a, *region_b;
    uint8_t *mask;
} ordinal_random;

ordinal_random ordinal_random_make(int64_t N, int K, uint64_t seed);
void ordinal_random_free(ordinal_random *p);

#endif
