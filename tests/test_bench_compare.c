// merit_bench --compare: verdicts from two reports, and a run that is interrupted.
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "comparison.h"
#include "sampler.h"
#include "scratch.h"

Test(bench_compare, a_verdict_needs_the_whole_interval)
{
    const struct {
        bench_ratio ratio;
        bench_verdict verdict;
    } cases[] = {
        {{1.00, 0.99, 1.01}, BENCH_SAME},      {{1.10, 1.08, 1.12}, BENCH_SLOWER},
        {{1.10, 1.04, 1.12}, BENCH_AMBIGUOUS}, {{0.90, 0.89, 0.91}, BENCH_FASTER},
        {{0.90, 0.85, 0.96}, BENCH_AMBIGUOUS}, {{1.04, 1.03, 1.05}, BENCH_SAME},
        {{1.00, 0.90, 1.10}, BENCH_AMBIGUOUS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_expect(bench_judge(cases[i].ratio, 0.05) == cases[i].verdict, "case %zu", i);
    }
}

// A report of one row with a median, half of its interval's width, a roof and a peer's median.
static json_t *report(double median, double half, double roof, double peer)
{
    json_t *const made =
        json_pack("{s:i, s:s, s:{s:s, s:s}, s:[{s:s, s:s, s:s, s:i, s:s, s:f, s:{s:f, s:f, s:f}, "
                  "s:{s:{s:f}}}]}",
                  "schema", 1, "tool", "merit_bench", "environment", "date", "then", "build",
                  "that", "rows", "op", "o", "shape", "s", "backend", "cpu", "threads", 1, "status",
                  "ok", "roof_bytes_per_s", roof, "cold", "median_s", median, "ci_low_s",
                  median - half, "ci_high_s", median + half, "peer", "time", "median_s", peer);
    cr_assert(made != NULL);
    return made;
}

static void expect_verdict(json_t *old, json_t *now, const char *verdict)
{
    const bench_verdicts verdicts = bench_compare_reports(old, now, 0.05);
    json_t *const compare =
        json_object_get(json_array_get(json_object_get(now, "rows"), 0), "compare");
    cr_assert(compare != NULL);
    const char *const got = json_string_value(json_object_get(compare, "verdict"));
    cr_expect(strcmp(got, verdict) == 0, "%s instead of %s: %s", got, verdict,
              json_string_value(json_object_get(compare, "reason")));
    cr_expect(verdicts.unmatched == 0);
    json_decref(old);
    json_decref(now);
}

Test(bench_compare, rows_are_judged_against_the_machine)
{
    expect_verdict(report(1, .005, 50, 4), report(1.01, .005, 50, 4), "SAME");
    expect_verdict(report(1, .005, 50, 4), report(1.10, .005, 50, 4), "SLOWER");
    expect_verdict(report(1, .005, 50, 4), report(0.90, .005, 50, 4), "FASTER");
    // The roof and the peer went the same way: the machine, not the code.
    expect_verdict(report(1, .005, 50, 4), report(1.25, .005, 40, 5), "AMBIGUOUS");
    expect_verdict(report(1, .2, 50, 4), report(1.10, .2, 50, 4), "AMBIGUOUS");
}

// The median of threads that wait for a core is the scheduler's, however narrow its interval.
Test(bench_compare, a_time_without_its_cores_has_no_verdict)
{
    json_t *const old = report(1, .005, 50, 4);
    json_t *const row = json_array_get(json_object_get(old, "rows"), 0);
    json_object_set_new(json_object_get(row, "cold"), "ambiguous_reason",
                        json_string(bench_disturbed));
    expect_verdict(json_incref(old), report(0.5, .005, 50, 4), "AMBIGUOUS");
    expect_verdict(report(0.5, .005, 50, 4), old, "AMBIGUOUS");
}

Test(bench_compare, a_row_without_a_counterpart_is_counted)
{
    json_t *const old = report(1, .005, 50, 4);
    json_t *const now = report(1, .005, 50, 4);
    json_object_set_new(json_array_get(json_object_get(now, "rows"), 0), "shape", json_string("t"));
    const bench_verdicts verdicts = bench_compare_reports(old, now, 0.05);
    cr_expect(verdicts.unmatched == 1 && verdicts.count[BENCH_SAME] == 0);
    json_decref(old);
    json_decref(now);
}

// Reports that are none are refused with a sentence before anything is measured.
Test(bench_compare, what_is_no_report_is_refused)
{
    const struct {
        const char *text, *words;
    } cases[] = {
        {"", "expected near end of file"},
        {"[1]", "is no report of merit_bench"},
        {"{\"schema\": 1, \"tool\": 5, \"rows\": []}", "is no report of merit_bench"},
        {"{\"schema\": 1, \"tool\": \"merit_bench\", \"rows\": []}", "is no report of merit_bench"},
        {"{\"schema\": 2, \"tool\": \"merit_bench\", \"environment\": {}, \"rows\": []}",
         "has schema 2, this program reads schema 1"},
        {"{\"schema\": 1, \"tool\": \"merit_bench\", \"environment\": {}, \"rows\": "
         "[{\"status\": \"ok\", \"cold\": null}]}",
         "has no cold time"},
    };
    char path[SCRATCH_PATH], problem[256];
    scratch_path(path);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        FILE *const file = fopen(path, "w");
        cr_assert(file != NULL && fputs(cases[i].text, file) >= 0 && fclose(file) == 0);
        cr_expect(bench_load_report(path, problem) == NULL);
        cr_expect(strstr(problem, cases[i].words) != NULL, "%s: %s", cases[i].text, problem);
    }
    remove(path);
}

static int count_rows(const char *path)
{
    json_t *const report = json_load_file(path, 0, NULL);
    cr_assert(report != NULL, "no report");
    cr_expect(json_is_true(json_object_get(report, "interrupted")));
    const int rows = (int)json_array_size(json_object_get(report, "rows"));
    json_decref(report);
    return rows;
}

// All points take minutes; a signal behind the first rows ends the run with those in the report.
Test(bench_compare, an_interrupted_run_reports_what_was_measured, .timeout = 120)
{
    char path[SCRATCH_PATH];
    scratch_path(path);
    int ends[2];
    cr_assert(pipe(ends) == 0);
    const pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        execl(MERIT_BENCH_PROGRAM, MERIT_BENCH_PROGRAM, "--no-roofs", "--threads", "1", "--op",
              "advantage_group", "--min-time", "0.3", "--json", path, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *const lines = fdopen(ends[0], "r");
    char line[512];
    int status;
    while (fgets(line, sizeof line, lines) != NULL) {
        if (strstr(line, " cpu_v") != NULL) { // the first row
            kill(child, SIGINT);
            break;
        }
    }
    while (fgets(line, sizeof line, lines) != NULL) {
    }
    fclose(lines);
    cr_assert(waitpid(child, &status, 0) == child);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 130);
    cr_expect(count_rows(path) >= 1);
    remove(path);
}
