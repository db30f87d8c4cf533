// Roofs: how fast this machine moves memory, measured in the process that measures the operations.
#ifndef MERIT_BENCH_ROOFS_H
#define MERIT_BENCH_ROOFS_H

#include "sampler.h"

typedef struct bench_roof {
    double bytes_per_second; // read + written; 0 = not measured
    const char *method; // the fastest loop
    double ordinary; // the fastest without streaming stores
    bool disturbed; // other programs took the cores of that loop
} bench_roof;

typedef struct bench_roofs {
    const bench_device *device;
    int num_threads;
    size_t bytes; // of each array
    bench_roof roof[BENCH_NUM_TRAFFIC];
    double launch; // seconds of a launch (CUDA) or a parallel region (CPU) that does nothing
    bool disturbed; // one of them
} bench_roofs;

// Arrays of several times the last-level cache, in the kind of memory the operations get.
void bench_measure_roofs(const bench_device *device, int num_threads, double min_time,
                         bench_roofs *roofs);

// The traffic whose roof fits a bytes model: read or write when nine tenths of the bytes go that way,
// 2R1W from three fifths read on, else copy.
bench_traffic bench_matched_traffic(const bench_work *work);

const char *bench_traffic_name(bench_traffic traffic);

#endif
