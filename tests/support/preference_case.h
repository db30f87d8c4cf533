// One call of merit_preference_pair on host arrays: run on the fixture's backend, read back,
// compared with the oracle.
#ifndef MERIT_TESTS_PREFERENCE_CASE_H
#define MERIT_TESTS_PREFERENCE_CASE_H

#include "preference_oracle.h"
#include "tk.h"

// Which outputs a call asks for. grad_tie and calibration only where the options take them, the
// gradients where their scores are there.
enum {
    PC_LOSS = 1,
    PC_ROUTE_SUM = 2,
    PC_TILES = 4,
    PC_PAIR_LOSS = 8,
    PC_PROBABILITY = 16,
    PC_GRAD_CHOSEN = 32,
    PC_GRAD_REJECTED = 64,
    PC_GRAD_TIE = 128,
    PC_METRICS = 256,
    PC_CALIBRATION = 512,
    PC_DIAGNOSTICS = 1024,
    PC_ALL = 2047,
    PC_GRADS = PC_GRAD_CHOSEN | PC_GRAD_REJECTED
};

typedef struct pc_case {
    merit_preference_pair_desc d;
    merit_preference_pair_io io; // inputs: host arrays; outputs: set by the run
    int outputs; // PC_ bits
    int in_place; // PC_GRAD_ bits: the gradient is written over its scores, with their stride
} pc_case;

// What came back, in host memory. An array is NULL when it was not asked for.
typedef struct pc_result {
    merit_status status;
    int64_t num_pairs, num_tiles;
    double loss, grad_tie;
    double *route_sum, *tiles; // [K], [T * K]
    float *pair_loss, *probability; // [N]
    void *chosen_array, *rejected_array; // gradients as they lie in memory
    double *grad_chosen, *grad_rejected; // [N] widened
    merit_preference_metrics *metrics; // [K]
    merit_preference_bin *bins; // [K * calibration_bins]
    merit_diagnostics diagnostics;
} pc_result;

// A preset (NULL: the defaults) on f32 scores.
pc_case pc_scores(const char *preset, int64_t num_pairs, const float *chosen,
                  const float *rejected);

// Runs the case on ctx with a workspace of exactly the size asked for.
pc_result pc_run_on(tk_fixture *tk, merit_context *ctx, const pc_case *c);
pc_result pc_run(tk_fixture *tk, const pc_case *c);
void pc_free(pc_result *result);

// Runs, expects OK, and in the first run of the body compares every output with the oracle.
void pc_check(tk_fixture *tk, const pc_case *c);
void pc_expect_oracle(const pc_case *c, const pc_result *result);

// The loss and the gradients of a case: expects them within 4e-7 of their size plus 1e-7, the
// rounding of binary32, and the oracle's opinion. NULL: not compared.
#define pc_expect(tk, c, loss, chosen, rejected) \
    pc_expect_at(__FILE__, __LINE__, tk, c, loss, chosen, rejected)
void pc_expect_at(const char *file, int line, tk_fixture *tk, const pc_case *c, double loss,
                  const double *chosen, const double *rejected);

// Two results whose outputs must be the same bits, the PC_ bits of `outputs` only.
#define pc_expect_same(a, b, c, outputs) pc_expect_same_at(__FILE__, __LINE__, a, b, c, outputs)
void pc_expect_same_at(const char *file, int line, const pc_result *a, const pc_result *b,
                       const pc_case *c, int outputs);

// The options of a case as one line.
const char *pc_describe(const pc_case *c);

size_t pc_dtype_bytes(int32_t dtype);
int64_t pc_extent(int64_t num_pairs, int64_t stride); // elements that a strided array spans

// Distance to the neighbor of a stored value: half of it is what storing costs.
long double pc_ulp(int32_t dtype, long double value);

#endif
