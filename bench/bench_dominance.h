// Inputs that the benches of the dominance family share.
#ifndef MERIT_BENCH_DOMINANCE_H
#define MERIT_BENCH_DOMINANCE_H

#include <stdint.h>

typedef struct bench_levels {
    uint64_t seed;
    int64_t num_levels;
    float *levels;
} bench_levels;

// Rows [begin, end) of `state`, a bench_levels: rising levels around means of deviation 1.
void bench_fill_levels(void *state, int64_t begin, int64_t end);

#endif
