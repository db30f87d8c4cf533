// What a run prints, and the same as JSON.
#ifndef MERIT_BENCH_REPORT_H
#define MERIT_BENCH_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "environment.h"
#include "runner.h"

// Table on standard output ------------------------------------------------------------------------------

void bench_print_environment(const bench_environment *environment, const bench_options *options,
                             const char *command);
void bench_print_roofs(const bench_roofs *roofs, const char *when);

// The names of the columns and what they mean.
void bench_print_legend(void);
void bench_print_op(const bench_op *op); // heading of its rows
void bench_print_row(const bench_row *row);

// JSON; the schema is in bench/README.md -----------------------------------------------------------------

enum { BENCH_JSON_SCHEMA = 1 };

json_t *bench_json_environment(const bench_environment *environment, const bench_options *options,
                               const char *command);
json_t *bench_json_roofs(const bench_roofs *roofs, const char *when);
json_t *bench_json_axes(const bench_point *point);

// Of those that have rows.
json_t *bench_json_operations(const bench_op *const *ops, const json_t *rows);
json_t *bench_json_row(const bench_row *row);

// The report as a page that needs nothing else, and as Markdown tables. False when the file cannot be
// written.
bool bench_write_html(FILE *file, const json_t *report);
bool bench_write_markdown(FILE *file, const json_t *report);

#endif
