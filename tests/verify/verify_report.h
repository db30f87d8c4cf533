// What merit_verify prints: a table for people, one JSON object for programs.
#ifndef MERIT_VERIFY_REPORT_H
#define MERIT_VERIFY_REPORT_H

#include <stdio.h>

#include "case_run.h"

// Before all else, in every process: the width of the column of cases.
void report_width(int width);
void report_header(FILE *out);
void report_table(FILE *out, const char *path, const case_file *c, const case_backend *backend,
                  const case_report *report);

// One object per row, appended to the array `rows`.
void report_json(json_t *rows, const char *path, const case_file *c, const case_backend *backend,
                 const case_report *report);

// A JSON string of any bytes: what is not UTF-8 is replaced.
json_t *report_string(const char *text);

#endif
