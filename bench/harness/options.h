// The command line of merit_bench.
#ifndef MERIT_BENCH_OPTIONS_H
#define MERIT_BENCH_OPTIONS_H

#include "variants.h"

typedef struct bench_options {
    const bench_op *const *ops; // all there are
    const char *op; // NULL: every operation
    const char *shape; // NULL: every point
    const char *backend; // as given
    bench_backends backends; // asked for, whether they run here or not
    int num_threads;
    bool list;
    bool quick;
    const char *json; // file to write, NULL: none
    const char *data_dir;
    double min_time; // seconds of samples per time
    uint64_t seed;
} bench_options;

// Ends the program with status 2 and a sentence when the command line is wrong.
bench_options bench_parse_options(const bench_op *const *ops, int argc, char **argv);

#endif
