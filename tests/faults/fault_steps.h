// The operations that the programs of this folder let fail, on one set of arrays.
#ifndef MERIT_FAULT_STEPS_H
#define MERIT_FAULT_STEPS_H

#include "fault_runtime.h"

// More than 16384 rows: what fits one block takes fewer launches.
enum {
    NUM_ROWS = 17000,
    LARGE_GROUP = 70000,
    GROUP_SIZE = 8,
    NUM_GROUPS = NUM_ROWS / GROUP_SIZE,
    FEW_GROUPS = 32,
    LIST_SIZE = 4,
    WORKSPACE_BYTES = 8 << 20
};

typedef struct fault_world {
    merit_context *ctx;
    merit_comm *comm; // of one rank
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

// Each ends with one that calls nothing.
extern const fault_step fault_advantage_steps[];
extern const fault_step fault_preference_steps[];
extern const fault_step fault_score_steps[];
extern const fault_step fault_policy_steps[];
extern const fault_step fault_dominance_steps[];
extern const fault_step fault_comm_steps[];

// Step i of all, the first one creates a context; NULL past the last.
const fault_step *fault_step_at(int i);

void fault_fill(fault_world *w);
void fault_release(fault_world *w);

// Zeroes the workspace: a failed call leaves its tickets as they were.
merit_status fault_reset_workspace(fault_world *w);

#endif
