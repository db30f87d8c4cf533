// One call of merit_preference_list on host arrays: run on the fixture's backend, read back, compared
// with the oracle.
#ifndef MERIT_TESTS_LIST_CASE_H
#define MERIT_TESTS_LIST_CASE_H

#include "preference_list_oracle.h"
#include "tk.h"

// Which outputs a call asks for.
enum {
    PL_LOSS = 1,
    PL_GRAD = 2,
    PL_GROUP_LOSS = 4,
    PL_LSE = 8,
    PL_METRICS = 16,
    PL_TILES = 32,
    PL_DIAGNOSTICS = 64,
    PL_ALL = 127
};

typedef struct list_case {
    merit_preference_list_desc d; // offsets and index: host arrays
    merit_preference_list_io io; // inputs: host arrays; scores: [R] f32, stored by dtype and stride
    const float *scores;
    int outputs; // PL_ bits
    int in_place; // the gradient is written over the scores
} list_case;

// What came back, in host memory.
typedef struct list_result {
    merit_status status;
    double loss;
    double *tiles, *grad, *group_loss, *lse; // widened
    void *grad_raw; // [R] elements of score_dtype, without gaps
    merit_preference_list_metrics metrics;
    merit_diagnostics diagnostics;
} list_result;

// A preset (NULL: the defaults) with reduction SUM over one dense group of n.
list_case list_one(const char *preset, const float *scores, int64_t n);

list_result list_run_on(tk_fixture *tk, merit_context *ctx, const list_case *c);
list_result list_run(tk_fixture *tk, const list_case *c);
void list_free(list_result *r);

// Runs, expects OK, and in the first run of the body compares every output with the oracle.
void list_check(tk_fixture *tk, const list_case *c);

// Loss and gradient of a case against numbers worked by hand; grad NULL: only the loss.
#define list_expect(tk, c, loss, grad) list_expect_at(__FILE__, __LINE__, tk, c, loss, grad)
void list_expect_at(const char *file, int line, tk_fixture *tk, const list_case *c, double loss,
                    const double *grad);

#endif
