// The operations that the programs of this folder let fail, on one set of arrays.
#ifndef MERIT_FAULT_STEPS_H
#define MERIT_FAULT_STEPS_H

#include "fault_runtime.h"

typedef struct fault_world {
    merit_context *ctx;
    float *rewards; // one of the largest group
    float *advantages; // as many
    int64_t *ids; // [R]
    int64_t *offsets; // [N+1]
    int64_t *found_offsets; // [R+1], as many offsets as runs could be
    int32_t *found_index; // [R]
    int32_t *best; // one per list
    double *loss; // [1]
    merit_moments *moments; // [1]
    merit_diagnostics *diagnostics;
    void *workspace;
} fault_world;

typedef struct fault_step {
    const char *function; // its sentences begin with this
    const char *what;
    merit_status (*call)(fault_world *w);
    int creates; // it makes the context
} fault_step;

extern const fault_step fault_steps[];
extern const int fault_num_steps;

void fault_fill(fault_world *w);
void fault_release(fault_world *w);

// Zeroes the workspace: a failed call leaves its tickets as they were.
merit_status fault_reset_workspace(fault_world *w);

#endif
