// The command line of merit_bench.
#ifndef MERIT_BENCH_OPTIONS_H
#define MERIT_BENCH_OPTIONS_H

#include "variants.h"

enum { BENCH_MAX_SWEEP = 7 };

typedef struct bench_options {
    const bench_op *const *ops; // all there are
    const char *op; // NULL: every operation
    const char *shape; // NULL: every point
    const char *dtype; // NULL: every type of elements
    const char *backend; // as given
    bench_backends backends; // asked for, whether they run here or not
    int num_threads; // of the first of --threads
    int sweep[BENCH_MAX_SWEEP]; // the others: further rows of the CPU
    int num_sweep;
    bool list;
    bool quick;
    bool no_roofs;
    bool full; // also the points of BENCH_FULL
    bool cold_only; // no hot time, no naive loop, one check of each variant
    const char *json; // files to write, NULL: none
    const char *html;
    const char *markdown;
    const char *compare; // report of an earlier run, NULL: none
    double tolerance; // of the comparison: 0.05 is 5 %
    const char *data_dir;
    bool data_given; // by --data, not by the environment
    const char *peers; // a Python to run other libraries with, NULL: no peers
    double min_time; // seconds of samples per time
    double budget; // seconds of the run after which no time is sampled longer than that; 0: none
    uint64_t seed;
} bench_options;

// Whether there is a row anyway of a CPU backend with so many threads.
bool bench_asks_for(const bench_options *options, const char *backend, int num_threads);

// Ends the program with status 2 and a sentence when the command line is wrong.
bench_options bench_parse_options(const bench_op *const *ops, int argc, char **argv);

#endif
