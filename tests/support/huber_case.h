// One call of merit_dominance_quantile_huber on host arrays: run on the fixture's backend, read back,
// compared with the oracle.
#ifndef MERIT_TESTS_HUBER_CASE_H
#define MERIT_TESTS_HUBER_CASE_H

#include "quantile_huber_oracle.h"
#include "tk.h"

typedef struct huber_case {
    merit_dominance_quantile_huber_desc d;
    merit_dominance_quantile_huber_io io; // inputs: host arrays as d lays them out
    int in_place;
} huber_case;

typedef struct huber_result {
    float *loss_rows; // [R]
    float *gradients; // [R,N] dense
    double *tiles; // [ceil(R / 2048)]
    double loss;
    merit_diagnostics diagnostics;
} huber_result;

// The defaults or a preset with these sizes.
huber_case huber_make(const char *preset, int64_t rows, int levels, int targets);
huber_result huber_run(tk_fixture *tk, const huber_case *c);
void huber_free(huber_result *r);

// Runs, expects OK, and in the first run compares every output with the oracle.
void huber_check(tk_fixture *tk, const huber_case *c);

#endif
