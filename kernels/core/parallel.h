// CPU parallelism: one range of items cut into one contiguous part per thread. The cut depends on
// nothing but the counts, and no result depends on the cut.
#ifndef MERIT_CORE_PARALLEL_H
#define MERIT_CORE_PARALLEL_H

#include <stdint.h>

typedef void merit_range_body(void *state, int64_t begin, int64_t end);

// Calls body(state, begin, end) so that [0, count) is covered once; parts are multiples of `grain`
// items (the last excepted). Every thread computes with round-to-nearest and without flush-to-zero,
// and has its own setting back afterwards. Returns when all parts are done.
void merit_parallel_ranges(int num_threads, int64_t count, int64_t grain, merit_range_body *body,
                           void *state);

// Threads OpenMP would use by default.
int merit_parallel_default_threads(void);

#endif
