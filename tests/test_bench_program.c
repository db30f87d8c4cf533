// merit_bench as a program: its command line and its JSON schema.
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch.h"

// Exit status of the program; what it prints on both streams goes to `printed`.
static int run_program(const char *arguments, char *printed, size_t size)
{
    char command[1024];
    snprintf(command, sizeof command, "%s %s 2>&1", MERIT_BENCH_PROGRAM, arguments);
    FILE *const pipe = popen(command, "r");
    cr_assert(pipe != NULL);
    const size_t got = fread(printed, 1, size - 1, pipe);
    printed[got] = '\0';
    const int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(bench_run, list_names_operations_and_points)
{
    static char printed[1 << 16]; // all of it: a pipe closed early ends the program
    cr_expect(run_program("--list", printed, sizeof printed) == 0);
    cr_expect(strstr(printed, "advantage_group") != NULL);
    cr_expect(strstr(printed, "uniform 1048576x16 grpo") != NULL);
    cr_expect(strstr(printed, "uniform 4194304x16 grpo") == NULL, "one of --full");
}

Test(bench_run, dtype_filters_by_axis_or_operation)
{
    static char printed[1 << 16];
    cr_expect(run_program("--list --dtype bf16", printed, sizeof printed) == 0);
    cr_expect(strstr(printed, "all 8x1024x4096x1 bf16") != NULL, "an axis says so");
    cr_expect(strstr(printed, "score_backward:") != NULL, "the operation says so");
    cr_expect(strstr(printed, "advantage_group:") == NULL && strstr(printed, "x4 f32") == NULL);
    cr_expect(run_program("--list --dtype f32", printed, sizeof printed) == 0);
    cr_expect(strstr(printed, "advantage_group:") != NULL && strstr(printed, "x1 bf16") == NULL);
}

Test(bench_run, cold_only_takes_one_time)
{
    char path[SCRATCH_PATH], arguments[2 * SCRATCH_PATH], printed[16384];
    scratch_path(path);
    snprintf(arguments, sizeof arguments,
             "--cold-only --no-roofs --op advantage_group --shape 4096x8 --threads 1 --min-time "
             "0.001 --json %s",
             path);
    cr_assert(run_program(arguments, printed, sizeof printed) == 0, "%s", printed);
    json_t *const report = json_load_file(path, 0, NULL);
    json_t *const row = json_array_get(json_object_get(report, "rows"), 0);
    cr_expect(json_is_null(json_object_get(row, "hot")) &&
              json_is_null(json_object_get(row, "peer")));
    cr_expect(json_number_value(json_object_get(json_object_get(row, "cold"), "median_s")) > 0);
    cr_expect(json_number_value(json_object_get(row, "max_ulp")) >= 0, "it is still checked");
    json_decref(report);
    remove(path);
}

Test(bench_run, bad_usage_exits_2_with_a_sentence)
{
    const struct {
        const char *arguments, *words;
    } cases[] = {
        {"--op nothing", "there is no operation nothing"},
        {"--frobnicate", "unrecognized option"},
        {"--threads 0", "--threads is 0, expected an integer from 1 to 1024"},
        {"--threads two", "--threads is two"},
        {"--min-time -1", "--min-time is -1"},
        {"--budget 0", "--budget is 0"},
        {"--dtype f8", "no point matches"},
        {"--seed x", "--seed is x"},
        {"--backend gpu", "--backend: gpu is none of"},
        {"--shape nowhere", "no point matches"},
        {"--threads 1,x", "--threads is x"},
        {"--threads ,", "--threads is , expected"},
        {"--threads 1,2,1", "--threads names 1 twice"},
        {"--quick --full", "--quick and --full exclude each other"},
        {"--data /no/such", "--data: /no/such is no folder"},
        {"--list --shape nowhere", "no point matches"},
        {"--json x --markdown x", "need files of their own"},
        {"--threads 1,2,3,4,5,6,7,8,9", "--threads has more than 8 counts"},
        {"--tolerance 0", "--tolerance is 0"},
        {"--compare /no/such.json", "--compare: /no/such.json: unable to open"},
        {"--compare " MERIT_BENCH_PROGRAM, "--compare: "},
        {"--report /no/such/folder/x.html --quick", "--report: "},
        {"--json /no/such/folder/x.json --quick", "cannot be opened"},
        {"more", "unexpected argument more"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char printed[8192];
        const int status = run_program(cases[i].arguments, printed, sizeof printed);
        cr_expect(status == 2, "%s: exit status %d", cases[i].arguments, status);
        cr_expect(strstr(printed, cases[i].words) != NULL, "%s: %s", cases[i].arguments, printed);
    }
}

static void expect_fields(json_t *object, const char *const *fields)
{
    for (; *fields != NULL; fields++) {
        cr_expect(json_object_get(object, *fields) != NULL, "no field %s", *fields);
    }
}

Test(bench_run, json_report_has_its_schema)
{
    static const char *const environment[] = {
        "cpu",  "cores",   "caches", "system",   "device",           "build", "seed",
        "date", "command", "load",   "compiler", "numerics_version", NULL};
    static const char *const roof[] = {"when", "device", "threads", "array_bytes",
                                       "read", "write",  "copy",    NULL};
    static const char *const row[] = {"op",
                                      "shape",
                                      "axes",
                                      "backend",
                                      "threads",
                                      "status",
                                      "data",
                                      "items",
                                      "bytes_read",
                                      "bytes_written",
                                      "cold",
                                      "hot",
                                      "items_per_s",
                                      "bytes_per_s",
                                      "traffic",
                                      "roof_bytes_per_s",
                                      "share_of_roof",
                                      "max_ulp",
                                      "equal_bits",
                                      "allocations",
                                      "launches",
                                      "peer",
                                      NULL};
    static const char *const timing[] = {
        "median_s",         "ci_low_s",  "ci_high_s",        "min_s", "p95_s", "samples",
        "calls_per_sample", "ambiguous", "ambiguous_reason", NULL};
    char path[SCRATCH_PATH];
    char arguments[2 * SCRATCH_PATH], printed[16384];
    scratch_path(path);
    snprintf(arguments, sizeof arguments,
             "--quick --op advantage_group --shape 4096x8 --threads 1 --min-time 0.001 --json %s",
             path);
    cr_assert(run_program(arguments, printed, sizeof printed) == 0, "%s", printed);
    cr_expect(strstr(printed, "1 measured") != NULL, "%s", printed);
    cr_expect(strstr(printed, "roofs after") != NULL);

    json_error_t error;
    json_t *const report = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    cr_assert(report != NULL, "%s", error.text);
    cr_expect(json_integer_value(json_object_get(report, "schema")) == 1);
    expect_fields(json_object_get(report, "environment"), environment);
    json_t *const roofs = json_object_get(report, "roofs");
    cr_expect(json_array_size(roofs) == 2, "before and after");
    expect_fields(json_array_get(roofs, 0), roof);
    json_t *const rows = json_object_get(report, "rows");
    cr_assert(json_array_size(rows) == 1);
    json_t *const first = json_array_get(rows, 0);
    expect_fields(first, row);
    expect_fields(json_object_get(first, "cold"), timing);
    cr_expect(strcmp(json_string_value(json_object_get(first, "status")), "ok") == 0);
    cr_expect(json_real_value(json_object_get(json_object_get(first, "cold"), "median_s")) > 0);
    cr_expect(json_real_value(json_object_get(first, "share_of_roof")) > 0);
    cr_expect(json_integer_value(json_object_get(first, "allocations")) == 0);
    json_decref(report);

    snprintf(arguments, sizeof arguments, "python3 -m json.tool %s /dev/null", path);
    cr_expect(system(arguments) == 0, "Python does not read the report");
    remove(path);
}
