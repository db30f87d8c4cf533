// The whole program over a list of operations.
#ifndef MERIT_BENCH_PROGRAM_H
#define MERIT_BENCH_PROGRAM_H

#include "bench.h"

// Returns the exit status: 0 when every point was right or skipped, 1 when one was wrong or the
// report could not be written. Bad usage ends the program with 2.
int bench_main(const bench_op *const *ops, int argc, char **argv);

#endif
