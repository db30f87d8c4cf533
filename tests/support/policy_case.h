// One call of merit_policy_loss on host arrays: run on the fixture's backend, read back, compared with
// the oracle.
#ifndef MERIT_TESTS_POLICY_CASE_H
#define MERIT_TESTS_POLICY_CASE_H

#include "policy_loss_oracle.h"
#include "tk.h"

// Which outputs a call asks for.
enum {
    PLC_LOSS = 1,
    PLC_TILES = 2,
    PLC_GRAD = 4,
    PLC_GRAD_ENTROPY = 8,
    PLC_TOKEN_LOSS = 16,
    PLC_STATS = 32,
    PLC_DIAGNOSTICS = 64,
    PLC_ALL = 127
};

typedef enum plc_place { PLC_APART, PLC_ON_OLD, PLC_ON_REF, PLC_ON_ROLLOUT } plc_place;

typedef struct policy_case {
    merit_policy_loss_desc d; // offsets: a host array
    merit_policy_loss_io io; // inputs: host arrays; outputs: set by the run
    int outputs; // PLC_ bits
    plc_place place; // where grad_logprob lies
} policy_case;

// What came back, in host memory. An array is NULL when it was not asked for.
typedef struct policy_result {
    merit_status status;
    int64_t num_tokens, num_tiles;
    double loss;
    double *tiles;
    float *grad, *grad_entropy, *token_loss;
    merit_policy_stats stats;
    merit_diagnostics diagnostics;
} policy_result;

// A preset (NULL: the defaults), D = 1, one sequence of n tokens.
policy_case plc_one(const char *preset, int64_t n, const float *logprob, const float *old,
                    const float *advantages);

policy_result plc_run_on(tk_fixture *tk, merit_context *ctx, const policy_case *c);
policy_result plc_run(tk_fixture *tk, const policy_case *c);
void plc_free(policy_result *r);

// Runs, expects OK, and in the first run of the body compares every output with the oracle.
void plc_check(tk_fixture *tk, const policy_case *c);
void plc_expect_oracle(const policy_case *c, const policy_result *r);

// The loss and the gradients against numbers worked by hand, within 2e-6 of their size; gradient NULL:
// not compared. And the oracle's opinion.
#define plc_expect(tk, c, loss, gradient) plc_expect_at(__FILE__, __LINE__, tk, c, loss, gradient)
void plc_expect_at(const char *file, int line, tk_fixture *tk, const policy_case *c, double loss,
                   const double *gradient);

// The options of a case as one line.
const char *plc_describe(const policy_case *c);

#endif
