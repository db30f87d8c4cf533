// One call of merit_advantage_group on host arrays: run on the fixture's backend, read back,
// compared with the oracle.
#ifndef MERIT_TESTS_ADVANTAGE_CASE_H
#define MERIT_TESTS_ADVANTAGE_CASE_H

#include "advantage_oracle.h"
#include "tk.h"

// Which outputs a call asks for.
enum {
    AG_ADVANTAGES = 1,
    AG_KEEP = 2,
    AG_COUNT = 4,
    AG_MEAN = 8,
    AG_SCALE = 16,
    AG_MIN = 32,
    AG_MAX = 64,
    AG_FLAGS = 128,
    AG_BATCH = 256, // batch_, group_ and tile_moments: only with batch_record or a BATCH level
    AG_DIAGNOSTICS = 512,
    AG_ALL = 1023
};

typedef struct ag_case {
    merit_advantage_group_desc d; // groups.offsets and groups.index: host arrays
    merit_advantage_group_io io; // inputs: host arrays; outputs: set by the run
    int outputs; // AG_ bits
    int in_place; // advantages are the rewards
    int64_t reward_count; // elements of the rewards array; 0: as far as the strides reach
    const merit_advantage_group_desc *sized_by; // arrays have the sizes of this one; NULL: of d
    int no_query; // the workspace has workspace_bytes, whatever the call wants
    size_t workspace_bytes;
    int repeats; // further calls with the same workspace, which is not initialized again
} ag_case;

// What came back, in host memory. An array is NULL when it was not asked for.
typedef struct ag_result {
    merit_status status;
    int64_t num_values, num_records, num_sets;
    int64_t num_tiles; // records of 2048 groups
    void *advantages; // [num_values] advantage_dtype
    double *values; // [num_values] widened
    uint8_t *keep; // [num_values]
    int32_t *group_count; // [num_records]
    double *group_mean, *group_scale, *group_min, *group_max; // [num_records]
    uint8_t *group_flags; // [num_records]
    merit_moments *batch, *groups, *tiles; // [num_sets], [num_records], [num_tiles]
    merit_diagnostics diagnostics;
} ag_result;

// A preset (NULL: the defaults) on dense uniform groups of f32 rewards, one column.
ag_case ag_uniform(const char *preset, int64_t num_groups, int64_t group_size,
                   const float *rewards);

// Runs the case on ctx with a workspace of exactly the size asked for.
ag_result ag_run_on(tk_fixture *tk, merit_context *ctx, const ag_case *c);
ag_result ag_run(tk_fixture *tk, const ag_case *c);
void ag_free(ag_result *result);

// Runs, expects OK, and in the first run of the body compares every output with the oracle.
void ag_check(tk_fixture *tk, const ag_case *c);

// Every output still holds the guard pattern, every counter 0.
#define ag_expect_untouched(c, result) ag_expect_untouched_at(__FILE__, __LINE__, c, result)
void ag_expect_untouched_at(const char *file, int line, const ag_case *c, const ag_result *result);

// The comparison of ag_check.
void ag_expect_oracle(const ag_case *c, const ag_result *result);

// The advantages of a case: expects them within atol of `expected`.
#define ag_expect(tk, c, expected, atol) ag_expect_at(__FILE__, __LINE__, tk, c, expected, atol)
void ag_expect_at(const char *file, int line, tk_fixture *tk, const ag_case *c,
                  const double *expected, double atol);

// Two cases whose advantages must be the same bits; `order` NULL or: row i of the second is row
// order[i] of the first.
#define ag_expect_same(tk, a, b, order) ag_expect_same_at(__FILE__, __LINE__, tk, a, b, order)
void ag_expect_same_at(const char *file, int line, tk_fixture *tk, const ag_case *a,
                       const ag_case *b, const int32_t *order);

// The options of a case as one line.
const char *ag_describe(const ag_case *c);

size_t ag_dtype_bytes(int32_t dtype);
int64_t ag_reward_count(const ag_case *c);

#endif
