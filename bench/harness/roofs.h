// Roofs: how fast this machine moves memory, measured in the process that measures the operations.
#ifndef MERIT_BENCH_ROOFS_H
#define MERIT_BENCH_ROOFS_H

#include "sampler.h"

typedef struct bench_roof {
    double bytes_per_second; // read + written; 0 = not measured
    const char *method; // the fastest loop
    double ordinary; // the fastest without streaming stores
} bench_roof;

typedef struct bench_roofs {
    const bench_device *device;
    int num_threads;
    size_t bytes; // of each array
    bench_roof roof[BENCH_NUM_TRAFFIC];
} bench_roofs;

// Arrays of several times the last-level cache, in the kind of memory the operations get.
void bench_measure_roofs(const bench_device *device, int num_threads, double min_time,
                         bench_roofs *roofs);

// The traffic whose roof fits a bytes model: copy, unless nine tenths go one way.
bench_traffic bench_matched_traffic(const bench_work *work);

const char *bench_traffic_name(bench_traffic traffic);

#endif
