#include "comparison.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "report.h"

bench_verdict bench_judge(bench_ratio ratio, double tolerance)
{
    const double limit = 1 + tolerance;
    if (ratio.low > limit) return BENCH_SLOWER;
    if (ratio.high < 1 / limit) return BENCH_FASTER;
    return ratio.low >= 1 / limit && ratio.high <= limit ? BENCH_SAME : BENCH_AMBIGUOUS;
}

const char *bench_verdict_name(bench_verdict verdict)
{
    static const char *const names[] = {"SAME", "FASTER", "SLOWER", "AMBIGUOUS"};
    return names[verdict];
}

static const char *text_of(const json_t *row, const char *key)
{
    const char *const text = json_string_value(json_object_get(row, key));
    return text != NULL ? text : "";
}

// NaN where there is no such number.
static double number_of(const json_t *object, const char *key)
{
    const json_t *const value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

// Whether every row that was measured has a median.
static bool has_times(const json_t *rows)
{
    size_t i;
    json_t *row;
    json_array_foreach((json_t *)rows, i, row)
    {
        if (strcmp(text_of(row, "status"), "ok") != 0) continue;
        if (!(number_of(json_object_get(row, "cold"), "median_s") > 0)) return false;
    }
    return true;
}

json_t *bench_load_report(const char *path, char problem[256])
{
    json_error_t error;
    json_t *const report = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (report == NULL) {
        snprintf(problem, 256, "%.120s: %.120s", path, error.text);
        return NULL;
    }
    const json_int_t schema = json_integer_value(json_object_get(report, "schema"));
    const json_t *const rows = json_object_get(report, "rows");
    if (strcmp(text_of(report, "tool"), "merit_bench") != 0 || !json_is_array(rows) ||
        !json_is_object(json_object_get(report, "environment"))) {
        snprintf(problem, 256, "%.200s is no report of merit_bench", path);
    } else if (schema != BENCH_JSON_SCHEMA) {
        snprintf(problem, 256, "%.160s has schema %lld, this program reads schema %d", path,
                 (long long)schema, BENCH_JSON_SCHEMA);
    } else if (!has_times(rows)) {
        snprintf(problem, 256, "%.180s: a row that is ok has no cold time", path);
    } else {
        return report;
    }
    json_decref(report);
    return NULL;
}

// Rows ----------------------------------------------------------------------------------------------

static bool is_same_row(const json_t *a, const json_t *b)
{
    static const char *const keys[] = {"op", "shape", "backend"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(text_of(a, keys[i]), text_of(b, keys[i])) != 0) return false;
    }
    return number_of(a, "threads") == number_of(b, "threads");
}

static const json_t *find_row(const json_t *report, const json_t *like)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(report, "rows"), i, row)
    {
        if (is_same_row(row, like) && strcmp(text_of(row, "status"), "ok") == 0) return row;
    }
    return NULL;
}

static bench_ratio ratio_of(const json_t *old, const json_t *row)
{
    const json_t *const before = json_object_get(old, "cold");
    const json_t *const now = json_object_get(row, "cold");
    return (bench_ratio){number_of(now, "median_s") / number_of(before, "median_s"),
                         number_of(now, "ci_low_s") / number_of(before, "ci_high_s"),
                         number_of(now, "ci_high_s") / number_of(before, "ci_low_s")};
}

// The median time of the peer over that of the other report's; NaN without.
static double peer_change(const json_t *old, const json_t *row)
{
    const json_t *const before = json_object_get(json_object_get(old, "peer"), "time");
    const json_t *const now = json_object_get(json_object_get(row, "peer"), "time");
    return number_of(now, "median_s") / number_of(before, "median_s");
}

static bench_verdict view(bench_ratio ratio, double change, double tolerance)
{
    return bench_judge((bench_ratio){ratio.value / change, ratio.low / change, ratio.high / change},
                       tolerance);
}

static bool is_disturbed(const json_t *row)
{
    return strcmp(text_of(json_object_get(row, "cold"), "ambiguous_reason"), bench_disturbed) == 0;
}

static bench_verdict compare_rows(const json_t *old, const json_t *row, bench_ratio ratio,
                                  double tolerance, const char **reason)
{
    const double roof = number_of(old, "roof_bytes_per_s") / number_of(row, "roof_bytes_per_s");
    const double changes[] = {1, roof, peer_change(old, row)};
    const bench_verdict time = bench_judge(ratio, tolerance);
    bool agree = true;
    bool moved = false;
    bool same = false;
    *reason = "";
    if (is_disturbed(old) || is_disturbed(row)) {
        *reason = bench_disturbed;
        return BENCH_AMBIGUOUS;
    }
    if (!isfinite(ratio.low) || !isfinite(ratio.high)) {
        *reason = "too few samples for an interval";
        return BENCH_AMBIGUOUS;
    }
    for (int i = 0; i < 3; i++) {
        if (!isfinite(changes[i])) continue;
        const bench_verdict verdict = view(ratio, changes[i], tolerance);
        agree &= verdict == time;
        moved |= verdict == BENCH_FASTER || verdict == BENCH_SLOWER;
        same |= verdict == BENCH_SAME;
    }
    if (agree && time != BENCH_AMBIGUOUS) return time;
    if (same && !moved) return BENCH_SAME;
    *reason = agree ? "the intervals are wider than the tolerance"
                    : "the machine itself ran at another speed";
    return BENCH_AMBIGUOUS;
}

// Few samples have no interval.
static json_t *limit_json(double limit)
{
    return isfinite(limit) ? json_real(limit) : json_null();
}

bench_verdicts bench_compare_reports(const json_t *old, json_t *report, double tolerance)
{
    bench_verdicts verdicts = {{0}, 0};
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(report, "rows"), i, row)
    {
        if (strcmp(text_of(row, "status"), "ok") != 0) continue;
        const json_t *const before = find_row(old, row);
        if (before == NULL) {
            verdicts.unmatched++;
            continue;
        }
        const char *reason;
        const bench_ratio ratio = ratio_of(before, row);
        const bench_verdict verdict = compare_rows(before, row, ratio, tolerance, &reason);
        verdicts.count[verdict]++;
        json_t *const compare =
            json_pack("{s:f, s:f, s:o, s:o, s:s, s:s}", "old_median_s",
                      number_of(json_object_get(before, "cold"), "median_s"), "ratio", ratio.value,
                      "low", limit_json(ratio.low), "high", limit_json(ratio.high), "verdict",
                      bench_verdict_name(verdict), "reason", reason);
        if (compare == NULL || json_object_set_new(row, "compare", compare) != 0) {
            bench_die("no memory for the comparison");
        }
    }
    return verdicts;
}

// What makes a comparison one of machines rather than of builds.
static void print_changes(const json_t *before, const json_t *now)
{
    static const char *const keys[] = {"cpu", "cores", "memory", "system", "device"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const json_t *const a = json_object_get(before, keys[i]),
                            *b = json_object_get(now, keys[i]);
        if (a == NULL || json_equal(a, b)) continue;
        char *const was = json_dumps(a, JSON_ENCODE_ANY), *is = json_dumps(b, JSON_ENCODE_ANY);
        printf("  not the same machine: %s was %s, is %s\n", keys[i], was != NULL ? was : "",
               is != NULL ? is : "");
        free(was);
        free(is);
    }
}

void bench_print_comparison(const json_t *old, const json_t *report, const bench_verdicts *verdicts,
                            double tolerance)
{
    const json_t *const before = json_object_get(old, "environment");
    printf("\ncompared with the report of %s, %s; tolerance %.3g %%\n", text_of(before, "date"),
           text_of(before, "build"), 100 * tolerance);
    print_changes(before, json_object_get(report, "environment"));
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(report, "rows"), i, row)
    {
        const json_t *const compare = json_object_get(row, "compare");
        if (compare == NULL) continue;
        const double low = number_of(compare, "low"), high = number_of(compare, "high");
        printf("  %-24s %-32s %-7s %3.0f  %+6.1f %%", text_of(row, "op"), text_of(row, "shape"),
               text_of(row, "backend"), number_of(row, "threads"),
               100 * (number_of(compare, "ratio") - 1));
        if (!isnan(low)) printf(" (%+.1f .. %+.1f)", 100 * (low - 1), 100 * (high - 1));
        printf("  %s%s%s\n", text_of(compare, "verdict"),
               text_of(compare, "reason")[0] != '\0' ? ": " : "", text_of(compare, "reason"));
    }
    printf("%d FASTER, %d SLOWER, %d SAME, %d AMBIGUOUS, %d new without a counterpart\n",
           verdicts->count[BENCH_FASTER], verdicts->count[BENCH_SLOWER],
           verdicts->count[BENCH_SAME], verdicts->count[BENCH_AMBIGUOUS], verdicts->unmatched);
}
