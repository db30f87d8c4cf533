// One call of merit_score_forward or merit_score_backward on host arrays: run on the fixture's backend,
// read back, compared with the oracle.
#ifndef MERIT_TESTS_SCORE_CASE_H
#define MERIT_TESTS_SCORE_CASE_H

#include "score_oracle.h"
#include "tk.h"

typedef struct score_case {
    merit_score_desc d;
    merit_score_forward_io io; // inputs but hidden and weight: host arrays
    const float *hidden; // [tokens,H] values that hidden_dtype holds
    const float *weight; // [K,H] values that weight_dtype holds
    // backward
    const float *grad_scores; // [P,C]
    const uint8_t *label_mask; // [P,C], NULL
    const float *old_weight, *old_bias; // [K,H], [K]: what accumulate adds to
    int outputs; // SB_ bits
} score_case;

enum { SB_HIDDEN = 1, SB_WEIGHT = 2, SB_BIAS = 4, SB_ALL = 7 };

typedef struct score_result {
    merit_status status;
    int64_t P, C;
    float *scores; // [P,C]
    double *tile_sums; // PARTIAL: [tiles,P,C]
    int64_t *positions; // [P]
    merit_diagnostics diagnostics;
} score_result;

// hidden [B,T,H] (T 0: packed, B tokens) with K heads and the rule, F32 throughout.
score_case score_make(const float *hidden, int64_t B, int64_t T, int32_t H, const float *weight,
                      int32_t K, int32_t positions);

int64_t score_case_positions(const merit_score_desc *d);
int64_t score_case_tokens(const merit_score_desc *d);
// hidden as the descriptor lays it out, *count elements; malloc'ed.
void *score_store_hidden(const score_case *c, int64_t *count);
// The inputs of c->io but hidden and weight, in the memory of the backend.
merit_score_forward_io score_upload_index(tk_fixture *tk, const score_case *c);

typedef struct score_gradients {
    int64_t rows; // of grad_hidden
    double *hidden; // [rows,H]
    float *weight, *bias; // [K,H], [K]
    double *weight_tiles, *bias_tiles; // PARTIAL
    merit_diagnostics diagnostics;
} score_gradients;

// merit_score_backward; expects OK.
score_gradients score_run_backward(tk_fixture *tk, const score_case *c);
void score_free_gradients(score_gradients *g);

// Runs, expects OK, and in the first run of the body compares all with the oracle.
void score_check_backward(tk_fixture *tk, const score_case *c);

score_result score_run(tk_fixture *tk, const score_case *c);
void score_free(score_result *r);

// Runs, expects OK, and in the first run of the body compares all with the oracle.
void score_check(tk_fixture *tk, const score_case *c);

// Runs, expects OK and these scores, exactly.
void score_expect(tk_fixture *tk, const score_case *c, const double *scores);

void score_expect_counters(const merit_diagnostics *actual, const double *expected);

// Values that F32, BF16 and F16 hold: multiples of 1/32 below 8.
float *score_random_values(tk_random *random, int64_t count);
double *score_widened(const float *values, int64_t count);

#endif
