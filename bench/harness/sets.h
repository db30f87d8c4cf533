// The arrays of a case in the memory of a device, as many times as a cold cache needs.
#ifndef MERIT_BENCH_SETS_H
#define MERIT_BENCH_SETS_H

#include "device.h"

typedef struct bench_sets {
    const bench_device *device;
    const bench_case *c;
    bench_buffers *buffers; // [count]
    bench_call *calls; // [count], bound
    int count;
    size_t bytes; // of one set
} bench_sets;

size_t bench_set_bytes(const bench_case *c);

// Makes sets of five caches in all, one at least. False with the reason when there is no memory or
// the arguments are rejected; then there is nothing to free.
bool bench_make_sets(const bench_case *c, const bench_device *device, bench_sets *sets,
                     char reason[BENCH_TEXT]);
void bench_free_sets(bench_sets *sets);

// Overwrites the outputs of a set with a byte.
void bench_poison_outputs(const bench_sets *sets, int set, int byte);

// Outputs of a set in host memory: made by new, filled by read. NULL arrays are inputs.
bool bench_new_outputs(const bench_case *c, bench_buffers *outputs);
void bench_read_outputs(const bench_sets *sets, int set, const bench_buffers *outputs);
void bench_free_outputs(const bench_case *c, bench_buffers *outputs);

#endif
