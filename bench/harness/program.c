#include "program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "comparison.h"
#include "interrupt.h"
#include "report.h"
#include "summary.h"

typedef struct totals {
    json_t *rows;
    int measured;
    int skipped;
    int wrong;
    int ambiguous;
} totals;

static void on_row(void *state, const bench_row *row)
{
    totals *const t = state;
    if (isatty(STDERR_FILENO)) fputs("\r\033[K", stderr); // the progress line
    bench_print_row(row);
    t->measured += row->status == BENCH_OK;
    t->skipped += row->status == BENCH_SKIPPED;
    t->wrong += row->status == BENCH_WRONG;
    t->ambiguous += row->status == BENCH_OK && row->cold.ambiguous;
    if (json_array_append_new(t->rows, bench_json_row(row)) != 0) {
        bench_die("no memory for the JSON report");
    }
}

// Points --------------------------------------------------------------------------------------------

static bool op_wanted(const bench_options *o, const bench_op *op)
{
    return o->op == NULL || strcmp(o->op, op->name) == 0;
}

static bool point_wanted(const bench_options *o, const bench_point *point)
{
    return (!o->quick || (point->flags & BENCH_QUICK)) &&
           (o->full || !(point->flags & BENCH_FULL)) && bench_point_matches(point, o->shape) &&
           (o->dtype == NULL || strcmp(o->dtype, bench_point_dtype(point)) == 0);
}

static int count_points(const bench_options *o)
{
    int count = 0;
    for (int i = 0; o->ops[i] != NULL; i++) {
        bench_point point;
        if (!op_wanted(o, o->ops[i])) continue;
        for (int p = 0; bench_point_at(o->ops[i], p, &point); p++)
            count += point_wanted(o, &point);
    }
    return count;
}

// Of the arrays of a point.
static double point_bytes(const bench_point *point)
{
    if (point->op->memory != NULL) return point->op->memory(*point);
    const bench_work work = point->op->work(*point);
    return work.bytes_read + work.bytes_written;
}

static void list_head(const bench_op *op)
{
    printf("%s: %s\n  axes:", op->name, op->model);
    for (int a = 0; a < BENCH_MAX_AXES && op->axes[a].name != NULL; a++) {
        printf(" %s", op->axes[a].name);
    }
    printf("\n");
}

static int list_points(const bench_options *o)
{
    for (int i = 0; o->ops[i] != NULL; i++) {
        const bench_op *const op = o->ops[i];
        if (!op_wanted(o, op)) continue;
        bench_point point;
        bool headed = false;
        for (int p = 0; bench_point_at(op, p, &point); p++) {
            char name[BENCH_TEXT];
            if (!point_wanted(o, &point)) continue;
            if (!headed) list_head(op);
            headed = true;
            bench_point_name(&point, name);
            printf("  %-40s %10.2f MiB  %-6s%s\n", name, point_bytes(&point) / 0x1p20,
                   bench_point_dtype(&point),
                   point.flags & BENCH_QUICK    ? " (quick)"
                   : point.flags & BENCH_DEVICE ? " (full, CUDA)"
                   : point.flags & BENCH_FULL   ? " (full)"
                                                : "");
        }
    }
    return 0;
}

static void run_points(bench_session *session, int num_points)
{
    const bench_options *const o = session->options;
    int done = 0;
    for (int i = 0; o->ops[i] != NULL; i++) {
        bench_point point;
        bool headed = false;
        if (!op_wanted(o, o->ops[i])) continue;
        for (int p = 0; bench_point_at(o->ops[i], p, &point); p++) {
            if (!point_wanted(o, &point) || bench_interrupted()) continue;
            if (!headed) bench_print_op(o->ops[i]);
            headed = true;
            if (isatty(STDERR_FILENO)) {
                char name[BENCH_TEXT];
                bench_point_name(&point, name);
                fprintf(stderr, "\r\033[K[%d/%d] %s %s", done + 1, num_points, o->ops[i]->name,
                        name);
            }
            const double due = o->budget * done / num_points;
            session->behind = o->budget > 0 && bench_now() - session->start > due;
            bench_run_point(session, &point);
            done++;
        }
    }
}

// Roofs ---------------------------------------------------------------------------------------------

static void measure(bench_session *session, const bench_device *device, int num_threads,
                    const char *when, json_t *json)
{
    const bench_roofs *const before = bench_roofs_of(session, device->name, num_threads);
    bench_roofs roofs;
    if (bench_interrupted()) return;
    bench_measure_roofs(device, num_threads, session->options->min_time / 2, &roofs);
    if (bench_interrupted()) return; // not all loops have run
    bench_print_roofs(&roofs, when);
    json_array_append_new(json, bench_json_roofs(&roofs, when));
    if (before == NULL) {
        session->roofs[session->num_roofs++] = roofs;
        return;
    }
    const double change =
        roofs.roof[BENCH_COPY].bytes_per_second / before->roof[BENCH_COPY].bytes_per_second - 1;
    printf("  copy moved by %+.1f %% since the start%s\n", 100 * change,
           change > 0.05 || change < -0.05 ? ": shares of the roof are that uncertain" : "");
}

// One thread always: some points are measured there.
static void measure_all(bench_session *session, const char *when, json_t *json)
{
    const bench_options *const o = session->options;
    char reason[BENCH_TEXT];
    if (o->no_roofs) return;
    if (o->backends.num_cpu > 0) {
        measure(session, bench_device_host(), 1, when, json);
        if (o->num_threads > 1) {
            measure(session, bench_device_host(), o->num_threads, when, json);
        }
        for (int s = 0; s < o->num_sweep; s++) {
            if (o->sweep[s] == 1) continue;
            measure(session, bench_device_host(), o->sweep[s], when, json);
        }
    }
    const bench_device *const cuda = bench_device_cuda(reason);
    if (cuda != NULL && o->backends.count > o->backends.num_cpu) {
        measure(session, cuda, 1, when, json);
    }
}

// Without torch the rows stand alone; the report says why.
static void start_peers(bench_session *session)
{
    char reason[BENCH_TEXT] = "";
    if (session->options->peers == NULL) return;
    session->peers = bench_start_peers(session->options->peers, reason);
    if (session->peers == NULL) printf("peers     skipped: %s\n", reason);
}

// Program -------------------------------------------------------------------------------------------

static void join_command(int argc, char **argv, char *command, size_t size)
{
    size_t used = 0;
    command[0] = '\0';
    for (int i = 0; i < argc && used < size; i++) {
        used += (size_t)snprintf(command + used, size - used, "%s%s", i > 0 ? " " : "", argv[i]);
    }
}

static bool write_json(FILE *file, const json_t *report)
{
    return json_dumpf(report, file, JSON_INDENT(1)) == 0 && fputc('\n', file) != EOF;
}

// The files of --json, --report and --markdown.
typedef struct output {
    const char *option;
    const char *path;
    bool (*write)(FILE *file, const json_t *report);
    FILE *file;
} output;

enum { NUM_OUTPUTS = 3 };

// Opened before anything is measured. False with a sentence.
static bool open_outputs(const bench_options *o, output outputs[NUM_OUTPUTS])
{
    outputs[0] = (output){"json", o->json, write_json, NULL};
    outputs[1] = (output){"report", o->html, bench_write_html, NULL};
    outputs[2] = (output){"markdown", o->markdown, bench_write_markdown, NULL};
    for (int i = 0; i < NUM_OUTPUTS; i++) {
        if (outputs[i].path == NULL) continue;
        outputs[i].file = fopen(outputs[i].path, "w");
        if (outputs[i].file != NULL) continue;
        fprintf(stderr, "merit_bench: --%s: %s cannot be opened for writing\n", outputs[i].option,
                outputs[i].path);
        return false;
    }
    return true;
}

static bool write_outputs(output outputs[NUM_OUTPUTS], const json_t *report)
{
    bool good = true;
    for (int i = 0; i < NUM_OUTPUTS; i++) {
        if (outputs[i].file == NULL) continue;
        const bool written = outputs[i].write(outputs[i].file, report);
        if (fclose(outputs[i].file) == 0 && written) {
            printf("%s: %s\n", outputs[i].option, outputs[i].path);
            continue;
        }
        fprintf(stderr, "merit_bench: %s could not be written\n", outputs[i].path);
        good = false;
    }
    return good;
}

// Without a CUDA device the default "cpu,cuda" means cpu; the report's head says why.
static void drop_missing_cuda(bench_options *o)
{
    char reason[BENCH_TEXT];
    const bool by_default = strcmp(o->backend, "cpu,cuda") == 0;
    if (by_default && bench_device_cuda(reason) == NULL) o->backends.count = o->backends.num_cpu;
}

int bench_main(const bench_op *const *ops, int argc, char **argv)
{
    bench_options options = bench_parse_options(ops, argc, argv);
    const int num_points = count_points(&options);
    if (num_points == 0) {
        fprintf(stderr, "merit_bench: no point matches, see --list\n");
        return 2;
    }
    if (options.list) return list_points(&options);
    drop_missing_cuda(&options);
    char problem[256];
    json_t *old = NULL;
    if (options.compare != NULL && (old = bench_load_report(options.compare, problem)) == NULL) {
        fprintf(stderr, "merit_bench: --compare: %s\n", problem);
        return 2;
    }
    output outputs[NUM_OUTPUTS];
    if (!open_outputs(&options, outputs)) return 2;

    char command[1024];
    bench_environment environment;
    bench_read_environment(&environment);
    join_command(argc, argv, command, sizeof command);
    bench_print_environment(&environment, &options, command);

    static bench_session session;
    totals totals = {.rows = json_array()};
    json_t *const roofs = json_array();
    session = (bench_session){
        .options = &options, .start = bench_now(), .emit = on_row, .emit_state = &totals};
    bench_catch_interrupts();
    measure_all(&session, "before", roofs);
    start_peers(&session);
    bench_print_legend();
    run_points(&session, num_points);
    bench_stop_peers(session.peers);
    printf("\n");
    const bool interrupted = bench_interrupted();
    if (!interrupted) measure_all(&session, "after", roofs);
    json_t *const operations = bench_json_operations(ops, totals.rows);
    bench_print_summary(operations);
    printf("\n%d measured (%d ambiguous), %d wrong, %d skipped%s\n", totals.measured,
           totals.ambiguous, totals.wrong, totals.skipped,
           interrupted ? "; interrupted before the end" : "");

    json_t *const report =
        json_pack("{s:i, s:s, s:b, s:o, s:o, s:o, s:o}", "schema", BENCH_JSON_SCHEMA, "tool",
                  "merit_bench", "interrupted", interrupted, "environment",
                  bench_json_environment(&environment, &options, command), "roofs", roofs,
                  "operations", operations, "rows", totals.rows);
    if (report == NULL) bench_die("no memory for the report");
    bench_verdicts verdicts = {{0}, 0};
    if (old != NULL) {
        verdicts = bench_compare_reports(old, report, options.tolerance);
        bench_print_comparison(old, report, &verdicts, options.tolerance);
    }
    const bool written = write_outputs(outputs, report);
    json_decref(report);
    json_decref(old);
    if (totals.wrong > 0 || !written) return 1;
    if (interrupted) return 130;
    return verdicts.count[BENCH_SLOWER] > 0 ? 3 : 0;
}
