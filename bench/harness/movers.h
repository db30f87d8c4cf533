// The loops that measure how fast memory can be read, written and copied.
#ifndef MERIT_BENCH_MOVERS_H
#define MERIT_BENCH_MOVERS_H

#include "device.h"

extern const bench_mover bench_host_movers[]; // end with a NULL name

// Runs body(state, begin, end) over [0, count) split evenly, at multiples of `grain`, over threads.
typedef void bench_range_body(void *state, int64_t begin, int64_t end);
void bench_parallel(int num_threads, int64_t count, int64_t grain, bench_range_body *body,
                    void *state);

// Seconds of an empty bench_parallel: what the threads cost.
double bench_host_launch(int num_threads);

#endif
