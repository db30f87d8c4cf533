// What a report says about the machine and the build.
#ifndef MERIT_BENCH_ENVIRONMENT_H
#define MERIT_BENCH_ENVIRONMENT_H

#include "bench.h"

typedef struct bench_environment {
    char cpu[BENCH_TEXT];
    int cores; // this process may run on
    char caches[BENCH_TEXT]; // "L1d 48 KiB, L2 1 MiB, L3 32 MiB"
    char memory[BENCH_TEXT];
    char system[BENCH_TEXT]; // kernel and its version
    double load; // runnable processes of the last minute: other work on the machine
    char build[BENCH_TEXT]; // merit_build_info
    char compiler[BENCH_TEXT]; // of the bench itself
    char device[BENCH_TEXT]; // CUDA device, or why there is none
    char date[32]; // UTC, ISO 8601
} bench_environment;

void bench_read_environment(bench_environment *environment);

int bench_num_cores(void);
size_t bench_cache_bytes(void); // last-level cache of CPU 0
size_t bench_free_memory(void);
void bench_cpu_text(char text[BENCH_TEXT]);

// "31.2 MiB"
void bench_bytes_text(double bytes, char text[32]);

#endif
