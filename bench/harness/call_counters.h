// Counts what merit's own code asks of the system: the program is linked with --wrap, so that
// allocations and kernel launches pass through here.
#ifndef MERIT_BENCH_CALL_COUNTERS_H
#define MERIT_BENCH_CALL_COUNTERS_H

#include <stdint.h>

typedef struct bench_counts {
    int64_t
        allocations; // malloc, calloc, realloc, aligned_alloc, posix_memalign, mmap, cudaMalloc*
    int64_t launches; // CUDA kernels
} bench_counts;

// Since the program started, of all threads.
bench_counts bench_count_calls(void);

#endif
