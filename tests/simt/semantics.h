// Kernels that use every operation of the emulator once; test_simt.cpp knows what they must give.
#ifndef MERIT_SIMT_SEMANTICS_H
#define MERIT_SIMT_SEMANTICS_H

#include <stddef.h>

enum { SEMANTICS_THREADS = 64, SEMANTICS_SLOTS = 40 };

struct semantics_args {
    double *out; // [SEMANTICS_SLOTS, SEMANTICS_THREADS], or as the kernel says
    unsigned *words; // [64]
    int *order; // [blocks * threads]: who comes when
    int count;
};

// Each returns the code of its launch.
int semantics_shuffles(const semantics_args &args);
int semantics_votes(const semantics_args &args);
int semantics_reductions(const semantics_args &args);
int semantics_barriers(const semantics_args &args);
int semantics_atomics(const semantics_args &args);
int semantics_bits(const semantics_args &args);
int semantics_shape(const semantics_args &args); // grid (3,2,2), block (8,4,2)
int semantics_fresh_shared(const semantics_args &args, int blocks);
int semantics_deadlock(const semantics_args &args);
int semantics_waiting(const semantics_args &args); // grid 3: for the thread number args.count
int semantics_order(const semantics_args &args, int blocks, int threads);
int semantics_shape_limits(unsigned x, unsigned y, unsigned z, unsigned threads, size_t smem);
int semantics_opt_in(int bytes); // dynamic shared memory of the kernel that the line above launches

#endif
