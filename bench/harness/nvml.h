// Clocks and throttling of the CUDA device, from the driver's management library (NVML), which is opened
// at run time and may be missing.
#ifndef MERIT_BENCH_NVML_H
#define MERIT_BENCH_NVML_H

#include "bench.h"

typedef struct bench_clocks {
    bool known;
    unsigned sm_mhz;
    unsigned memory_mhz;
    unsigned temperature; // degrees Celsius
    double watts;
    unsigned long long
        throttle; // nvmlClocksThrottleReason bits, but those of idling and of set clocks
} bench_clocks;

// Of device 0, now. known is false without a driver.
bench_clocks bench_read_clocks(void);

// "power cap, thermal", or "" where nothing holds the clocks down.
void bench_throttle_text(const bench_clocks *clocks, char text[BENCH_TEXT]);

#endif
