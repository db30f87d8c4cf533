// merit_verify: replays cases and compares the results. Exit status: 0 all hold, 1 something fell
// short, 2 a file (or an argument) cannot be used.
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "case_paths.h"
#include "verify_report.h"

enum { EXIT_SHORT = 1, EXIT_UNUSABLE = 2, KEY_RECORD = 256, KEY_JSON, KEY_LIST };
#define EXTRA_BYTES ((size_t)1 << 30)

typedef struct options {
    const char *backend, *record;
    bool json, list;
    char **arguments;
    int num_arguments;
} options;

static const struct argp_option option_table[] = {
    {"backend", 'b', "NAME", 0,
     "cpu (default: the widest that runs here), cuda, all, or one that --list names", 0},
    {"record", KEY_RECORD, "DIR", 0, "also write the cases with the computed outputs to DIR", 0},
    {"json", KEY_JSON, NULL, 0, "print one JSON object instead of a table", 0},
    {"list", KEY_LIST, NULL, 0,
     "run nothing: list the cases, or without cases the operations, presets and backends", 0},
    {0}};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    options *const o = state->input;
    switch (key) {
    case 'b': o->backend = argument; return 0;
    case KEY_RECORD: o->record = argument; return 0;
    case KEY_JSON: o->json = true; return 0;
    case KEY_LIST: o->list = true; return 0;
    case ARGP_KEY_ARGS:
        o->arguments = state->argv + state->next;
        o->num_arguments = state->argc - state->next;
        return 0;
    case ARGP_KEY_END:
        if (o->num_arguments == 0 && !o->list) argp_error(state, "no case given");
        if (o->list && o->record != NULL) argp_error(state, "--list records nothing");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    option_table,
    parse_option,
    "CASE|DIR...",
    "Replays recorded calls of merit's operations and compares the results.\v"
    "Exit status: 0 all hold, 1 something fell short, 2 a file could not be used.",
    NULL,
    NULL,
    NULL};

// One run of the program.
typedef struct session {
    options o;
    case_paths paths;
    case_backend backends[CASE_MAX_BACKENDS];
    int num_backends;
    json_t *rows, *errors;
    int held, failed, unusable;
} session;

static void complain(session *s, const char *path, const case_error *error)
{
    s->unusable++;
    fprintf(stderr, "merit_verify: %s%s%s\n", path, path[0] != '\0' ? ": " : "", error->text);
    json_array_append_new(s->errors, json_pack("{s:o, s:o}", "file", report_string(path), "error",
                                               report_string(error->text)));
}

// Listing -----------------------------------------------------------------------------------------

static json_t *names_of(const char *(*name)(int32_t))
{
    json_t *const list = json_array();
    for (int32_t i = 0; name != NULL && name(i) != NULL; i++) {
        json_array_append_new(list, json_string(name(i)));
    }
    return list;
}

static const char *backend_name(int32_t i)
{
    return case_backend_name(i);
}

static void print_names(const char *title, const json_t *names)
{
    printf("%s", title);
    for (size_t i = 0; i < json_array_size(names); i++) {
        printf("%s%s", i == 0 ? "" : ", ", json_string_value(json_array_get(names, i)));
    }
    printf("%s\n", json_array_size(names) == 0 ? "none" : "");
}

static void list_build(const session *s)
{
    json_t *const operations = json_object(), *const backends = names_of(backend_name);
    for (int i = 0; case_op_at(i) != NULL; i++) {
        json_t *const presets = names_of(case_op_at(i)->preset_name);
        if (!s->o.json) {
            printf("%s\n", case_op_at(i)->name);
            print_names("    presets: ", presets);
        }
        json_object_set_new(operations, case_op_at(i)->name,
                            json_pack("{s:o}", "presets", presets));
    }
    if (!s->o.json) print_names("backends: ", backends);
    json_t *const all = json_pack("{s:o, s:o, s:s}", "operations", operations, "backends", backends,
                                  "build", merit_build_info());
    if (s->o.json) {
        json_dumpf(all, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(all);
}

static void list_case(session *s, const char *path, const case_file *c)
{
    if (s->o.json) {
        json_array_append_new(
            s->rows, json_pack("{s:o, s:s, s:s, s:o?, s:o?}", "case", report_string(path),
                               "operation", c->op->name, "status", case_status_name(c->status),
                               "preset", c->preset != NULL ? report_string(c->preset) : NULL,
                               "note", c->note != NULL ? report_string(c->note) : NULL));
        return;
    }
    printf("%-44s %-18s %-16s %s\n", path, c->op->name, c->preset != NULL ? c->preset : "-",
           c->note != NULL ? c->note : "");
}

// Running -----------------------------------------------------------------------------------------

static void record(session *s, const char *path, const case_file *c, const case_report *report)
{
    const char *const slash = strrchr(path, '/');
    char *target = NULL;
    case_error error;
    if (asprintf(&target, "%s/%s", s->o.record, slash != NULL ? slash + 1 : path) < 0) {
        case_fail(&error, "no memory to record");
        complain(s, path, &error);
        return;
    }
    if (!case_record(c, report, target, &error)) complain(s, target, &error);
    free(target);
}

static void run_on(session *s, const char *path, const case_file *c, const case_backend *backend)
{
    case_error error;
    case_report *const report = malloc(sizeof *report);
    if (report == NULL) {
        case_fail(&error, "no memory for a report");
        complain(s, path, &error);
        return;
    }
    if (case_run(c, backend, report, &error)) {
        if (s->o.json) {
            report_json(s->rows, path, c, backend, report);
        } else {
            report_table(path, c, backend, report);
        }
        ++*(case_report_holds(report) ? &s->held : &s->failed);
        if (s->o.record != NULL) record(s, path, c, report);
        case_report_free(report);
    } else {
        complain(s, path, &error);
    }
    free(report);
}

static void take_case(session *s, const char *path)
{
    case_error error;
    case_file *const c = malloc(sizeof *c);
    if (c == NULL) {
        case_fail(&error, "no memory for a case");
        complain(s, path, &error);
        return;
    }
    if (!case_read(c, path, EXTRA_BYTES, &error)) {
        complain(s, path, &error);
    } else if (s->o.list) {
        list_case(s, path, c);
        case_free(c);
    } else {
        for (int b = 0; b < s->num_backends; b++) {
            run_on(s, path, c, &s->backends[b]);
        }
        case_free(c);
    }
    free(c);
}

static void finish(const session *s)
{
    if (s->o.json) {
        json_t *const all = json_pack("{s:s, s:i, s:O, s:O, s:{s:i, s:i, s:i}}", "build",
                                      merit_build_info(), "numerics", (int)merit_numerics_version(),
                                      "rows", s->rows, "errors", s->errors, "summary", "held",
                                      s->held, "failed", s->failed, "unusable", s->unusable);
        json_dumpf(all, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(all);
    } else if (!s->o.list) {
        printf("%d held, %d fell short, %d could not be used\n", s->held, s->failed, s->unusable);
    }
}

// Set-up ------------------------------------------------------------------------------------------

static bool record_folder(const session *s, case_error *error)
{
    if (s->o.record == NULL) return true;
    if (s->num_backends != 1) {
        return case_fail(error, "--record needs one backend, %d were chosen", s->num_backends);
    }
    if (mkdir(s->o.record, 0777) != 0 && errno != EEXIST) {
        return case_fail(error, "%s cannot be made: %s", s->o.record, strerror(errno));
    }
    for (int i = 0; i < s->paths.count; i++) {
        for (int j = 0; j < i; j++) {
            const char *const a = strrchr(s->paths.paths[i], '/');
            const char *const b = strrchr(s->paths.paths[j], '/');
            if (strcmp(a != NULL ? a + 1 : s->paths.paths[i],
                       b != NULL ? b + 1 : s->paths.paths[j]) == 0) {
                return case_fail(error, "%s and %s would be recorded under one name",
                                 s->paths.paths[j], s->paths.paths[i]);
            }
        }
    }
    return true;
}

static bool open_backends(session *s, case_error *error)
{
    case_error skipped = {.text = ""};
    if (s->o.list) return true;
    if (!case_backends_open(s->o.backend, s->backends, &s->num_backends, &skipped, error)) {
        return false;
    }
    if (skipped.text[0] == '\0') return true;
    fprintf(stderr, "merit_verify: skipped %s\n", skipped.text);
    const char *const require = getenv("MERIT_REQUIRE_CUDA");
    if (require == NULL || strcmp(require, "1") != 0 || strstr(skipped.text, "cuda: ") == NULL) {
        return true;
    }
    return case_fail(error, "MERIT_REQUIRE_CUDA is 1, but cuda does not run here");
}

static int longest(const case_paths *list)
{
    size_t most = strlen("case");
    for (int i = 0; i < list->count; i++) {
        if (strlen(list->paths[i]) > most) most = strlen(list->paths[i]);
    }
    return most < 100 ? (int)most : 100;
}

int main(int argc, char **argv)
{
    session s = {.o = {.backend = "cpu"}, .rows = json_array(), .errors = json_array()};
    case_error error;
    argp_err_exit_status = EXIT_UNUSABLE;
    argp_parse(&parser, argc, argv, 0, NULL, &s.o);
    for (int i = 0; i < s.o.num_arguments; i++) {
        if (!case_paths_add(&s.paths, s.o.arguments[i], &error)) {
            complain(&s, s.o.arguments[i], &error);
        }
    }
    if (s.o.list && s.o.num_arguments == 0) {
        list_build(&s);
    } else if (!open_backends(&s, &error) || !record_folder(&s, &error)) {
        complain(&s, "", &error);
    } else {
        if (!s.o.list && !s.o.json) report_header(longest(&s.paths));
        for (int i = 0; i < s.paths.count; i++) {
            take_case(&s, s.paths.paths[i]);
        }
        finish(&s);
    }
    case_backends_close(s.backends, s.num_backends);
    case_paths_free(&s.paths);
    json_decref(s.rows);
    json_decref(s.errors);
    if (s.unusable > 0) return EXIT_UNUSABLE;
    return s.failed > 0 ? EXIT_SHORT : 0;
}
