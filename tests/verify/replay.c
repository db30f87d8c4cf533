#include "replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "jobs.h"
#include "verify_report.h"

void replay_complain(replay *r, const char *path, const char *sentence)
{
    r->unusable++;
    fprintf(stderr, "merit_verify: %s%s%s\n", path, path[0] != '\0' ? ": " : "", sentence);
    json_array_append_new(r->errors, json_pack("{s:o, s:o}", "file", report_string(path), "error",
                                               report_string(sentence)));
}

// Start -------------------------------------------------------------------------------------------

static bool make_record_folder(const replay *r, case_error *error)
{
    if (r->record == NULL) return true;
    if (r->num_backends != 1) {
        return case_fail(error, "--record needs one backend, %d were chosen", r->num_backends);
    }
    if (mkdir(r->record, 0777) != 0 && errno != EEXIST) {
        return case_fail(error, "%s cannot be made: %s", r->record, strerror(errno));
    }
    for (int i = 0; i < r->paths.count; i++) {
        for (int j = 0; j < i; j++) {
            if (strcmp(r->paths.at[i].name, r->paths.at[j].name) == 0) {
                return case_fail(error, "%s and %s would be recorded under one name",
                                 r->paths.at[j].path, r->paths.at[i].path);
            }
        }
    }
    return true;
}

static bool start(void *context, int first, case_error *error)
{
    replay *const r = context;
    case_error skipped = {.text = ""};
    if (!case_backends_open(r->backend, r->backends, &r->num_backends, &skipped, error)) {
        return false;
    }
    if (skipped.text[0] != '\0' && first == 0) { // each process skips the same
        fprintf(stderr, "merit_verify: skipped %s\n", skipped.text);
    }
    const char *const require = getenv("MERIT_REQUIRE_CUDA");
    if (require != NULL && strcmp(require, "1") == 0 && strstr(skipped.text, "cuda: ") != NULL) {
        return case_fail(error, "MERIT_REQUIRE_CUDA is 1, but cuda does not run here");
    }
    return make_record_folder(r, error);
}

// One case ----------------------------------------------------------------------------------------

// What came of a case: the text of its table, or its rows of JSON.
typedef struct outcome {
    FILE *table;
    json_t *rows, *errors;
    int held, failed;
} outcome;

static void add_error(outcome *to, const char *path, const case_error *error)
{
    json_array_append_new(to->errors, json_pack("{s:o, s:o}", "file", report_string(path), "error",
                                                report_string(error->text)));
}

// Makes the folders above a file.
static bool make_folders(const char *path, case_error *error)
{
    char *const copy = strdup(path);
    if (copy == NULL) return case_fail(error, "no memory to record");
    bool good = true;
    for (char *slash = strchr(copy + 1, '/'); good && slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        good = mkdir(copy, 0777) == 0 || errno == EEXIST ||
               case_fail(error, "%s cannot be made: %s", copy, strerror(errno));
        *slash = '/';
    }
    free(copy);
    return good;
}

static void record(const replay *r, const case_path *at, const case_file *c,
                   const case_report *report, outcome *to)
{
    char *target = NULL;
    case_error error;
    if (asprintf(&target, "%s/%s", r->record, at->name) < 0) {
        case_fail(&error, "no memory to record");
        add_error(to, at->path, &error);
        return;
    }
    if (!make_folders(target, &error) || !case_record(c, report, target, &error)) {
        add_error(to, target, &error);
    }
    free(target);
}

static void run_on(const replay *r, const case_path *at, const case_file *c,
                   const case_backend *backend, outcome *to)
{
    case_error error;
    case_report *const report = malloc(sizeof *report);
    if (report == NULL) {
        case_fail(&error, "no memory for a report");
        add_error(to, at->path, &error);
        return;
    }
    if (case_run(c, backend, report, &error)) {
        for (int i = 0; i < report->num_rows && r->record != NULL; i++) {
            case_verdict *const verdict = &report->rows[i].verdict;
            if (*verdict == CASE_UNCOMPARED) *verdict = CASE_RECORDED;
        }
        if (r->json) {
            report_json(to->rows, at->path, c, backend, report);
        } else {
            report_table(to->table, at->path, c, backend, report);
        }
        ++*(case_report_holds(report) ? &to->held : &to->failed);
        if (r->record != NULL) record(r, at, c, report, to);
        case_report_free(report);
    } else {
        add_error(to, at->path, &error);
    }
    free(report);
}

static void run_case(const replay *r, const case_path *at, outcome *to)
{
    case_error error;
    case_file *const c = malloc(sizeof *c);
    if (c == NULL) {
        case_fail(&error, "no memory for a case");
        add_error(to, at->path, &error);
    } else if (!case_read(c, at->path, REPLAY_EXTRA_BYTES, &error)) {
        add_error(to, at->path, &error);
    } else {
        for (int b = 0; b < r->num_backends; b++) {
            run_on(r, at, c, &r->backends[b], to);
        }
        case_free(c);
    }
    free(c);
}

// A task: the outcome of case i as a line of JSON.
static char *work(void *context, int i)
{
    const replay *const r = context;
    char *table = NULL;
    size_t size = 0;
    outcome to = {
        .table = open_memstream(&table, &size), .rows = json_array(), .errors = json_array()};
    if (to.table == NULL) return NULL;
    run_case(r, &r->paths.at[i], &to);
    fclose(to.table);
    json_t *const all =
        json_pack("{s:o, s:o, s:o, s:i, s:i}", "table", report_string(table), "rows", to.rows,
                  "errors", to.errors, "held", to.held, "failed", to.failed);
    char *const line = json_dumps(all, JSON_COMPACT);
    json_decref(all);
    free(table);
    return line;
}

static void take(void *context, int i, const char *result, const char *end)
{
    replay *const r = context;
    if (i == 0 && !r->json) report_header(stdout);
    json_t *const all = result != NULL ? json_loads(result, 0, NULL) : NULL;
    if (all == NULL) {
        replay_complain(r, r->paths.at[i].path, end);
        return;
    }
    size_t n;
    json_t *error;
    fputs(json_string_value(json_object_get(all, "table")), stdout);
    json_array_extend(r->rows, json_object_get(all, "rows"));
    json_array_foreach(json_object_get(all, "errors"), n, error)
    {
        replay_complain(r, json_string_value(json_object_get(error, "file")),
                        json_string_value(json_object_get(error, "error")));
    }
    r->held += (int)json_integer_value(json_object_get(all, "held"));
    r->failed += (int)json_integer_value(json_object_get(all, "failed"));
    json_decref(all);
}

static int longest(const case_paths *list)
{
    size_t most = strlen("case");
    for (int i = 0; i < list->count; i++) {
        if (strlen(list->at[i].path) > most) most = strlen(list->at[i].path);
    }
    return most < 100 ? (int)most : 100;
}

bool replay_run(replay *r, case_error *error)
{
    const int most = r->paths.count < r->jobs ? r->paths.count : r->jobs;
    const job_plan plan = {.count = r->paths.count,
                           .processes = most > 1 ? most : 1,
                           .start = start,
                           .work = work,
                           .take = take};
    report_width(longest(&r->paths));
    const bool good = jobs_run(&plan, r, error);
    case_backends_close(r->backends, r->num_backends);
    return good;
}
