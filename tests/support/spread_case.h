// One call of merit_advantage_spread on host arrays: run on the fixture's backend and read back.
#ifndef MERIT_TESTS_SPREAD_CASE_H
#define MERIT_TESTS_SPREAD_CASE_H

#include "tk.h"

typedef struct spread_case {
    merit_advantage_spread_desc d;
    const void *values; // [N] value_dtype
    const uint8_t *mask;
    const float *add;
    int in_place; // out is add
} spread_case;

typedef struct spread_result {
    uint32_t *words; // [T], NULL when nothing was written to any
    unsigned char *raw;
    merit_diagnostics diagnostics;
    merit_status status;
} spread_result;

// F32, no mask, nothing added.
spread_case spread_make(const void *values, int64_t num_segments, int64_t num_tokens);

size_t spread_out_bytes(const spread_case *c); // of an element

spread_result spread_run(tk_fixture *tk, merit_context *ctx, const spread_case *c);
void spread_free(spread_result *r);

// Runs the case on the fixture's context and compares every element.
void spread_expect_words(tk_fixture *tk, const spread_case *c, const uint32_t *expected);
void spread_expect_floats(tk_fixture *tk, const spread_case *c, const float *expected);

// Runs the case and compares every element with the oracle.
void spread_expect_oracle(tk_fixture *tk, merit_context *ctx, const spread_case *c);

#endif
