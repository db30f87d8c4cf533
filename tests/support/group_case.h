// Running group_index in a test and comparing with the oracle.
#ifndef MERIT_TESTS_GROUP_CASE_H
#define MERIT_TESTS_GROUP_CASE_H

#include "group_oracle.h"
#include "tk.h"

// Outputs that may be absent.
enum { GI_GROUP_OF = 1, GI_NUM_GROUPS = 2, GI_MAX_SIZE = 4, GI_DIAGNOSTICS = 8, GI_ALL = 15 };

typedef struct gi_case {
    merit_group_index_desc d;
    const int64_t *ids; // [R]; given to the call as id_dtype
    int outputs;
} gi_case;

// id_dtype I64, all outputs.
gi_case gi_make(int32_t kind, const int64_t *ids, int64_t num_rows, int64_t num_groups);

typedef struct gi_result {
    int64_t num_offsets;
    int64_t *offsets;
    int32_t *index, *group_of;
    int64_t num_groups;
    int32_t max_size;
    merit_diagnostics diagnostics;
    merit_status status;
} gi_result;

gi_result gi_run_on(tk_fixture *tk, merit_context *ctx, const gi_case *c);
void gi_free(gi_result *r);

// Runs the case and compares every output that is there with the oracle.
void gi_expect_oracle(tk_fixture *tk, merit_context *ctx, const gi_case *c);

#endif
