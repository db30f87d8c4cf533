// One call of merit_score_readout_forward and one of ..._backward on host arrays of binary32.
#ifndef MERIT_TESTS_READOUT_CASE_H
#define MERIT_TESTS_READOUT_CASE_H

#include "score_readout_oracle.h"
#include "tk.h"

typedef struct readout_case {
    merit_score_readout_desc d;
    merit_score_readout_forward_io io; // inputs but the two below and direction: host arrays
    const float *inputs; // [P,K or V] values that input_dtype holds
    const float *gate_logits; // [P,K], NULL
    const float *direction; // [P,K], or [K] when direction_stride is 0
    const float *grad[6]; // of reward, mean, variance, entropy, cvar, iqr; NULL = 0
} readout_case;

typedef struct readout_result {
    double *reward, *gate, *mean, *variance, *entropy, *prob, *cvar, *iqr;
    double *grad_inputs, *grad_direction, *grad_gate;
    merit_diagnostics diagnostics; // of the forward pass
} readout_result;

readout_case readout_make(const char *preset, int32_t kind, int64_t P, int32_t K,
                          const float *inputs);
readout_result readout_run(tk_fixture *tk, const readout_case *c); // expects OK
void readout_free(readout_result *r);

#endif
