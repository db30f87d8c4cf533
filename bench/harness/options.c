#include "options.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "environment.h"

enum {
    KEY_LIST = 256,
    KEY_OP,
    KEY_SHAPE,
    KEY_DTYPE,
    KEY_BACKEND,
    KEY_THREADS,
    KEY_QUICK,
    KEY_FULL,
    KEY_NO_ROOFS,
    KEY_COLD_ONLY,
    KEY_JSON,
    KEY_REPORT,
    KEY_MARKDOWN,
    KEY_COMPARE,
    KEY_TOLERANCE,
    KEY_DATA,
    KEY_PEERS,
    KEY_MIN_TIME,
    KEY_BUDGET,
    KEY_SEED
};

static const struct argp_option option_table[] = {
    {"list", KEY_LIST, NULL, 0,
     "List the operations, what they move, and their points with size and dtype; run nothing", 0},
    {"op", KEY_OP, "NAME", 0, "Only this operation", 0},
    {"shape", KEY_SHAPE, "FILTER", 0,
     "Only points whose name contains FILTER, or with these values: group_size=16,preset=grpo", 0},
    {"dtype", KEY_DTYPE, "NAME", 0, "Only points whose largest input has this type: bf16, f32, ...",
     0},
    {"backend", KEY_BACKEND, "LIST", 0,
     "cpu (the widest instruction set), cpu_v4, cpu_v3, cpu_v2, cuda, all, or several separated by "
     "commas; default cpu,cuda",
     0},
    {"threads", KEY_THREADS, "LIST", 0,
     "CPU threads; default one per core. Several separated by commas: a row each", 0},
    {"quick", KEY_QUICK, NULL, 0, "A few points, 25 seconds by --budget", 0},
    {"full", KEY_FULL, NULL, 0,
     "The whole matrix of shapes, as far as memory reaches, four times the sampling", 0},
    {"no-roofs", KEY_NO_ROOFS, NULL, 0, "Do not measure the roofs, nor shares of them", 0},
    {"cold-only", KEY_COLD_ONLY, NULL, 0,
     "Neither hot times nor the naive loop, and one check per row: what bench/ab needs", 0},
    {"json", KEY_JSON, "FILE", 0, "Write the report as JSON too (schema in bench/README.md)", 0},
    {"report", KEY_REPORT, "FILE", 0, "Write the report as one page of HTML too", 0},
    {"markdown", KEY_MARKDOWN, "FILE", 0, "Write the report as Markdown tables too", 0},
    {"compare", KEY_COMPARE, "OLD.json", 0,
     "Say of each row whether it is FASTER, SLOWER, the SAME or AMBIGUOUS against an earlier "
     "report",
     0},
    {"tolerance", KEY_TOLERANCE, "PERCENT", 0, "What --compare still calls the same; default 5", 0},
    {"data", KEY_DATA, "DIR", 0,
     "Folder of real data; default the environment variable MERIT_DATA_DIR", 0},
    {"peers", KEY_PEERS, "PYTHON", OPTION_ARG_OPTIONAL,
     "Time torch, and TRL, verl and Liger-Kernel where this Python has them, beside each row; "
     "default python3",
     0},
    {"min-time", KEY_MIN_TIME, "SECONDS", 0,
     "Sample every time for at least this long, at most eight times as long; default 0.05, full "
     "0.2",
     0},
    {"budget", KEY_BUDGET, "SECONDS", 0,
     "Where the run falls behind this, times end with their least sampling; default 60, quick 25, "
     "none with --full, --min-time, --peers, several backends or counts of threads",
     0},
    {"seed", KEY_SEED, "N", 0, "Seed of generated inputs; default 1", 0},
    {0},
};

static bool has_backend(const bench_backends *list, const char *name)
{
    for (int i = 0; i < list->count; i++) {
        if (strcmp(list->name[i], name) == 0) return true;
    }
    return false;
}

bool bench_asks_for(const bench_options *o, const char *backend, int num_threads)
{
    bool asks = o->num_threads == num_threads;
    for (int s = 0; s < o->num_sweep; s++)
        asks |= o->sweep[s] == num_threads;
    return asks && has_backend(&o->backends, backend);
}

static void add_backend(bench_backends *list, const char *name)
{
    if (has_backend(list, name)) return;
    snprintf(list->name[list->count++], sizeof list->name[0], "%s", name);
    list->num_cpu += strcmp(name, "cuda") != 0;
}

static void parse_backends(struct argp_state *state, bench_options *o)
{
    const bench_backends *const here = bench_available_backends();
    char text[BENCH_TEXT];
    snprintf(text, sizeof text, "%s", o->backend);
    char *rest = NULL;
    for (char *name = strtok_r(text, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        if (strcmp(name, "cpu") == 0) {
            add_backend(&o->backends, here->name[0]);
        } else if (strcmp(name, "all") == 0) {
            for (int i = 0; i < here->num_cpu; i++)
                add_backend(&o->backends, here->name[i]);
            add_backend(&o->backends, "cuda");
        } else if (strcmp(name, "cuda") == 0 || strcmp(name, "cpu_v2") == 0 ||
                   strcmp(name, "cpu_v3") == 0 || strcmp(name, "cpu_v4") == 0) {
            add_backend(&o->backends, name);
        } else {
            argp_error(state, "--backend: %s is none of cpu, cpu_v2, cpu_v3, cpu_v4, cuda, all",
                       name);
        }
    }
    if (o->backends.count == 0) argp_error(state, "--backend names no backend");
}

static long long parse_integer(struct argp_state *state, const char *option, const char *text,
                               long long low, long long high)
{
    char *end = NULL;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < low || value > high) {
        argp_error(state, "--%s is %s, expected an integer from %lld to %lld", option, text, low,
                   high);
    }
    return value;
}

static double parse_seconds(struct argp_state *state, const char *option, const char *text)
{
    char *end = NULL;
    const double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value > 0 && value <= 3600)) {
        argp_error(state, "--%s is %s, expected seconds above 0, at most 3600", option, text);
    }
    return value;
}

static double parse_percent(struct argp_state *state, const char *text)
{
    char *end = NULL;
    const double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value > 0 && value <= 100)) {
        argp_error(state, "--tolerance is %s, expected percent above 0, at most 100", text);
    }
    return value;
}

static void parse_threads(struct argp_state *state, const char *argument, bench_options *o)
{
    char text[BENCH_TEXT];
    char *rest = text;
    int count = 0;
    snprintf(text, sizeof text, "%s", argument);
    for (char *one; (one = strsep(&rest, ",")) != NULL; count++) {
        const int threads = (int)parse_integer(state, "threads", one, 1, 1024);
        bool known = count > 0 && o->num_threads == threads;
        for (int i = 0; i < count - 1 && i < BENCH_MAX_SWEEP; i++)
            known |= o->sweep[i] == threads;
        if (known) argp_error(state, "--threads names %d twice", threads);
        if (count > BENCH_MAX_SWEEP) {
            argp_error(state, "--threads has more than %d counts", BENCH_MAX_SWEEP + 1);
        }
        if (count == 0) {
            o->num_threads = threads;
        } else {
            o->sweep[count - 1] = threads;
        }
    }
    o->num_sweep = count - 1;
}

static bool is_op(const bench_options *o, const char *name)
{
    for (int i = 0; o->ops[i] != NULL; i++) {
        if (strcmp(o->ops[i]->name, name) == 0) return true;
    }
    return false;
}

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

// What only all options together tell.
static void check_options(struct argp_state *state, const bench_options *o)
{
    const char *const files[] = {o->json, o->html, o->markdown};
    if (o->quick && o->full) argp_error(state, "--quick and --full exclude each other");
    if (o->data_dir != NULL && !is_folder(o->data_dir)) {
        argp_error(state, "%s: %s is no folder", o->data_given ? "--data" : "MERIT_DATA_DIR",
                   o->data_dir);
    }
    for (int i = 1; i < 3; i++) {
        for (int j = 0; j < i; j++) {
            if (files[i] == NULL || files[j] == NULL || strcmp(files[i], files[j]) != 0) continue;
            argp_error(state, "--json, --report and --markdown need files of their own, two are %s",
                       files[i]);
        }
    }
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    bench_options *const o = state->input;
    switch (key) {
    case KEY_LIST: o->list = true; break;
    case KEY_OP:
        if (!is_op(o, argument)) {
            argp_error(state, "--op: there is no operation %s, see --list", argument);
        }
        o->op = argument;
        break;
    case KEY_SHAPE: o->shape = argument; break;
    case KEY_DTYPE: o->dtype = argument; break;
    case KEY_BACKEND: o->backend = argument; break;
    case KEY_THREADS: parse_threads(state, argument, o); break;
    case KEY_QUICK: o->quick = true; break;
    case KEY_FULL: o->full = true; break;
    case KEY_NO_ROOFS: o->no_roofs = true; break;
    case KEY_COLD_ONLY: o->cold_only = true; break;
    case KEY_JSON: o->json = argument; break;
    case KEY_REPORT: o->html = argument; break;
    case KEY_MARKDOWN: o->markdown = argument; break;
    case KEY_COMPARE: o->compare = argument; break;
    case KEY_TOLERANCE: o->tolerance = 1e-2 * parse_percent(state, argument); break;
    case KEY_DATA:
        o->data_dir = argument;
        o->data_given = true;
        break;
    case KEY_PEERS: o->peers = argument != NULL ? argument : "python3"; break;
    case KEY_MIN_TIME: o->min_time = parse_seconds(state, "min-time", argument); break;
    case KEY_BUDGET: o->budget = parse_seconds(state, "budget", argument); break;
    case KEY_SEED: o->seed = (uint64_t)parse_integer(state, "seed", argument, 0, INT64_MAX); break;
    case ARGP_KEY_ARG: argp_error(state, "unexpected argument %s", argument); break;
    case ARGP_KEY_END:
        parse_backends(state, o);
        check_options(state, o);
        break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

// A run that is asked for more than the usual rows takes its time.
static void set_times(bench_options *o)
{
    const bool usual = !o->full && o->min_time == 0 && o->peers == NULL && o->num_sweep == 0 &&
                       strcmp(o->backend, "cpu,cuda") == 0;
    if (o->budget == 0 && usual) o->budget = o->quick ? 25 : 60;
    if (o->min_time == 0) o->min_time = o->full ? 0.2 : 0.05;
}

bench_options bench_parse_options(const bench_op *const *ops, int argc, char **argv)
{
    static const struct argp parser = {
        .options = option_table,
        .parser = parse_option,
        .doc =
            "Checks merit's operations and times them next to the machine's own memory bandwidth."
            "\vExit status: 0 all points right, 1 a wrong result or a failure, 2 bad usage, 3 a "
            "row is "
            "SLOWER than in the report compared with, 130 interrupted.",
    };
    bench_options o = {
        .ops = ops,
        .backend = "cpu,cuda",
        .num_threads = bench_num_cores(),
        .data_dir = getenv("MERIT_DATA_DIR"),
        .seed = 1,
        .tolerance = 0.05,
    };
    if (o.data_dir != NULL && o.data_dir[0] == '\0') o.data_dir = NULL;
    argp_err_exit_status = 2;
    argp_parse(&parser, argc, argv, 0, NULL, &o);
    set_times(&o);
    return o;
}
