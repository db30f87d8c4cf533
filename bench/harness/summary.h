// What the rows of an operation come to: geometric means and worst rows.
#ifndef MERIT_BENCH_SUMMARY_H
#define MERIT_BENCH_SUMMARY_H

#include <jansson.h>

// Of the rows of `op` in a report: an array with an object for the share of the roof, for the naive loop
// and for each other library that has a ratio; the fields are in bench/README.md.
json_t *bench_json_summary(const char *op, const json_t *rows);

// One line per operation and other library; `operations` as in a report.
void bench_print_summary(const json_t *operations);

#endif
