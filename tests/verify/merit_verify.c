// merit_verify: replays cases and compares the results. Exit status: 0 all hold, 1 something fell
// short, 2 a file (or an argument) cannot be used.
#include <argp.h>
#include <stdlib.h>
#include <unistd.h>

#include "replay.h"
#include "verify_report.h"

enum { EXIT_SHORT = 1, EXIT_UNUSABLE = 2, KEY_RECORD = 256, KEY_JSON, KEY_LIST, MAX_JOBS = 1024 };

// One run of the program.
typedef struct session {
    replay replay;
    bool list;
    char **arguments;
    int num_arguments;
} session;

static const struct argp_option option_table[] = {
    {"backend", 'b', "NAME", 0,
     "cpu (default: the widest that runs here), cuda, all, or one that --list names", 0},
    {"jobs", 'j', "N", 0,
     "replay in N processes at a time (default 1; 0: as many as processors); what is printed does "
     "not "
     "depend on it",
     0},
    {"record", KEY_RECORD, "DIR", 0,
     "also write the cases with the computed outputs to DIR, in the folders that they have below a "
     "DIR "
     "given",
     0},
    {"json", KEY_JSON, NULL, 0, "print one JSON object instead of a table", 0},
    {"list", KEY_LIST, NULL, 0,
     "run nothing: list the cases, or without cases the operations, presets and backends", 0},
    {0}};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    session *const s = state->input;
    char *end;
    switch (key) {
    case 'b': s->replay.backend = argument; return 0;
    case 'j': {
        const long jobs = strtol(argument, &end, 10);
        if (*end != '\0' || end == argument || jobs < 0 || jobs > MAX_JOBS) {
            argp_error(state, "--jobs is %s, expected 0 to %d", argument, MAX_JOBS);
        }
        s->replay.jobs = (int)(jobs > 0 ? jobs : sysconf(_SC_NPROCESSORS_ONLN));
        return 0;
    }
    case KEY_RECORD: s->replay.record = argument; return 0;
    case KEY_JSON: s->replay.json = true; return 0;
    case KEY_LIST: s->list = true; return 0;
    case ARGP_KEY_ARGS:
        s->arguments = state->argv + state->next;
        s->num_arguments = state->argc - state->next;
        return 0;
    case ARGP_KEY_END:
        if (s->num_arguments == 0 && !s->list) argp_error(state, "no case given");
        if (s->list && s->replay.record != NULL) argp_error(state, "--list records nothing");
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
        if (!s->replay.json) {
            printf("%s\n", case_op_at(i)->name);
            print_names("    presets: ", presets);
        }
        json_object_set_new(operations, case_op_at(i)->name,
                            json_pack("{s:o}", "presets", presets));
    }
    if (!s->replay.json) print_names("backends: ", backends);
    json_t *const all = json_pack("{s:o, s:o, s:s}", "operations", operations, "backends", backends,
                                  "build", merit_build_info());
    if (s->replay.json) {
        json_dumpf(all, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(all);
}

static void list_case(session *s, const char *path, const case_file *c)
{
    if (s->replay.json) {
        json_array_append_new(s->replay.rows,
                              json_pack("{s:o, s:s, s:s, s:o?, s:o?}", "case", report_string(path),
                                        "operation", c->op->name, "status",
                                        case_status_name(c->status), "preset",
                                        c->preset != NULL ? report_string(c->preset) : NULL, "note",
                                        c->note != NULL ? report_string(c->note) : NULL));
        return;
    }
    printf("%-44s %-18s %-16s %s\n", path, c->op->name, c->preset != NULL ? c->preset : "-",
           c->note != NULL ? c->note : "");
}

static void list_cases(session *s)
{
    case_error error;
    case_file *const c = malloc(sizeof *c);
    for (int i = 0; c != NULL && i < s->replay.paths.count; i++) {
        const char *const path = s->replay.paths.at[i].path;
        if (case_read(c, path, REPLAY_EXTRA_BYTES, &error)) {
            list_case(s, path, c);
            case_free(c);
        } else {
            replay_complain(&s->replay, path, error.text);
        }
    }
    if (c == NULL) replay_complain(&s->replay, "", "no memory for a case");
    free(c);
}

// Main --------------------------------------------------------------------------------------------

static void finish(const session *s)
{
    const replay *const r = &s->replay;
    if (r->json) {
        json_t *const all = json_pack("{s:s, s:i, s:O, s:O, s:{s:i, s:i, s:i}}", "build",
                                      merit_build_info(), "numerics", (int)merit_numerics_version(),
                                      "rows", r->rows, "errors", r->errors, "summary", "held",
                                      r->held, "failed", r->failed, "unusable", r->unusable);
        json_dumpf(all, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(all);
    } else if (!s->list) {
        printf("%d held, %d fell short, %d could not be used\n", r->held, r->failed, r->unusable);
    }
}

int main(int argc, char **argv)
{
    session s = {
        .replay = {.backend = "cpu", .jobs = 1, .rows = json_array(), .errors = json_array()}};
    replay *const r = &s.replay;
    case_error error;
    argp_err_exit_status = EXIT_UNUSABLE;
    argp_parse(&parser, argc, argv, 0, NULL, &s);
    for (int i = 0; i < s.num_arguments; i++) {
        if (!case_paths_add(&r->paths, s.arguments[i], &error)) {
            replay_complain(r, s.arguments[i], error.text);
        }
    }
    if (s.list && s.num_arguments == 0) {
        list_build(&s);
    } else if (s.list) {
        list_cases(&s);
        finish(&s);
    } else if (replay_run(r, &error)) {
        finish(&s);
    } else {
        replay_complain(r, "", error.text);
    }
    case_paths_free(&r->paths);
    json_decref(r->rows);
    json_decref(r->errors);
    if (r->unusable > 0) return EXIT_UNUSABLE;
    return r->failed > 0 ? EXIT_SHORT : 0;
}
