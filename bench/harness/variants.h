// Ways of running an operation: an instruction set or a device, and a number of threads.
#ifndef MERIT_BENCH_VARIANTS_H
#define MERIT_BENCH_VARIANTS_H

#include "device.h"

enum { BENCH_MAX_VARIANTS = 64, BENCH_MAX_BACKENDS = 8 };

typedef struct bench_variant {
    char backend[16]; // as merit_context_backend says
    int num_threads;
    const bench_device *device;
    merit_context *ctx;
} bench_variant;

typedef struct bench_backends {
    char name[BENCH_MAX_BACKENDS][16]; // widest CPU instruction set first, cuda last
    int count;
    int num_cpu;
} bench_backends;

// The backends that run here. The environment variable MERIT_CPU_ISA limits them, as for everybody.
const bench_backends *bench_available_backends(void);

// The variant with its context, made at the first use and kept to the end of the program. NULL: this
// backend does not run here.
const bench_variant *bench_variant_of(const char *backend, int num_threads);

#endif
