// Runs a case on a backend and holds the results against what it expects.
#ifndef MERIT_CASE_RUN_H
#define MERIT_CASE_RUN_H

#include "case_backend.h"
#include "case_file.h"

typedef enum case_verdict {
    CASE_HOLDS,
    CASE_FAILS,
    CASE_UNCOMPARED, // computed, but nothing is expected
    CASE_RECORDED // and written, by the caller
} case_verdict;

// One output: its comparison. "status": what the call returned, with the sentence of a failure.
typedef struct case_row {
    char output[64];
    st_dtype dtype;
    case_verdict verdict;
    bool compared; // `result` is filled
    compare_result result;
    char text[512]; // why it fails, when that is no comparison
} case_row;

enum { CASE_MAX_ROWS = 2 * CASE_MAX_ARRAYS + MERIT_NUM_COUNTERS + 1 };

typedef struct case_report {
    case_row rows[CASE_MAX_ROWS];
    int num_rows;
    merit_status status;
    void *actual[CASE_MAX_ARRAYS]; // computed outputs by slot: dense, in their own type
    uint64_t counters[MERIT_NUM_COUNTERS];
} case_report;

// False with a sentence when it could not be run or compared.
bool case_run(const case_file *c, const case_backend *backend, case_report *report,
              case_error *error);
void case_report_free(case_report *report);
bool case_report_holds(const case_report *report);

const char *case_verdict_name(case_verdict verdict); // "ok", "FAIL", "not compared", "recorded"

// The rules as a sentence: "abs 1e-06 + 0 * |expected|, 2 ulp".
void case_rule_text(const compare_rule *rule, char *text, size_t size);

// Writes the case with the computed outputs in place of the expected ones, to be met bit for bit.
bool case_record(const case_file *c, const case_report *report, const char *path,
                 case_error *error);

#endif
