// One call of merit_preference_ordinal on host arrays: run on the fixture's backend, read back, compared
// with the oracle.
#ifndef MERIT_TESTS_ORDINAL_CASE_H
#define MERIT_TESTS_ORDINAL_CASE_H

#include "preference_ordinal_oracle.h"
#include "tk.h"

// Which outputs a call asks for.
enum {
    PO_LOSS = 1,
    PO_GRAD_CHOSEN = 2,
    PO_GRAD_REJECTED = 4,
    PO_PAIR_LOSS = 8,
    PO_WIN = 16,
    PO_TIE = 32,
    PO_MEAN = 64,
    PO_METRICS = 128,
    PO_TILES = 256,
    PO_DIAGNOSTICS = 512,
    PO_ALL = 1023
};

typedef struct ordinal_case {
    merit_preference_ordinal_desc d;
    merit_preference_ordinal_io io; // inputs: host arrays
    const float *chosen, *rejected; // [N,K], stored by dtype and stride
    int outputs; // PO_ bits
    int in_place; // gradients are written over the logits
} ordinal_case;

// What came back, in host memory, without gaps.
typedef struct ordinal_result {
    merit_status status;
    double loss;
    double *tiles, *pair_loss, *win, *tie, *mean;
    double *grad_chosen, *grad_rejected; // [N,K] widened
    float *chosen_words, *rejected_words; // [N,K] the bits, of F32
    merit_preference_ordinal_metrics metrics;
    merit_diagnostics diagnostics;
} ordinal_result;

// A preset (NULL: the defaults) with reduction SUM over N pairs of K levels.
ordinal_case ordinal_make(const char *preset, const float *chosen, const float *rejected, int64_t N,
                          int K);

ordinal_result ordinal_run(tk_fixture *tk, const ordinal_case *c);
void ordinal_free(ordinal_result *r);

// Runs, expects OK, and in the first run of the body compares every output with the oracle.
void ordinal_check(tk_fixture *tk, const ordinal_case *c);

#endif
