// What the benches of the dominance family share.
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

typedef struct bench_broadcast {
    const float *levels; // [items,A,N]
    float *qd; // [items,A,A]
    int64_t num_actions, num_levels;
    int power; // 0: ties count half
} bench_broadcast;

// Items [begin, end) of `state`, a bench_broadcast: the peer that materializes every intermediate array.
void bench_dominance_broadcast(void *state, int64_t begin, int64_t end);

#endif
