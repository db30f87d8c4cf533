// One call of merit_dominance_quantile_sort on host arrays: run on the fixture's backend, read back,
// compared with the oracle.
#ifndef MERIT_TESTS_SORT_CASE_H
#define MERIT_TESTS_SORT_CASE_H

#include "quantile_sort_oracle.h"
#include "tk.h"

typedef struct sort_case {
    merit_dominance_quantile_sort_desc d;
    const float *values; // as d lays them out
    int in_place, without_sorted, without_index;
} sort_case;

typedef struct sort_result {
    float *sorted; // [R,K] dense, K = N or Q
    int32_t *index; // [R,K]
    int results; // K
} sort_result;

sort_case sort_make(const float *values, int64_t rows, int levels);
sort_result sort_run(tk_fixture *tk, const sort_case *c);
void sort_free(sort_result *r);

// Runs, expects OK, and in the first run compares every output with the oracle, bit for bit.
void sort_check(tk_fixture *tk, const sort_case *c);

#endif
