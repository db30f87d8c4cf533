// Whether a run is faster than an earlier one.
#ifndef MERIT_BENCH_COMPARISON_H
#define MERIT_BENCH_COMPARISON_H

#include <jansson.h>

// A ratio of times new / old with the limits of its confidence.
typedef struct bench_ratio {
    double value;
    double low;
    double high;
} bench_ratio;

typedef enum bench_verdict {
    BENCH_SAME,
    BENCH_FASTER,
    BENCH_SLOWER,
    BENCH_AMBIGUOUS
} bench_verdict;

// SLOWER: low > 1 + tolerance. FASTER: high < 1 / (1 + tolerance). SAME: low and high within these.
// Else AMBIGUOUS.
bench_verdict bench_judge(bench_ratio ratio, double tolerance);

const char *bench_verdict_name(bench_verdict verdict);

// The report of an earlier run, each of its measured rows with a time; or NULL with a sentence in `problem`.
json_t *bench_load_report(const char *path, char problem[256]);

// Compares the rows of two reports: adds to each row of `report` that `old` has too (same operation,
// shape, backend and threads) an object "compare": {old_median_s, ratio, low, high, verdict, reason}.
// Returns how many rows got each verdict. A verdict needs agreement of up to three views, which a change
// of the machine's speed moves apart: the time, the time in units of the roof, and the time in units of
// the peer that was sampled in turns with it.
typedef struct bench_verdicts {
    int count[4]; // by bench_verdict
    int unmatched; // rows of `report` that `old` does not have
} bench_verdicts;

bench_verdicts bench_compare_reports(const json_t *old, json_t *report, double tolerance);

// The verdicts as a table on standard output.
void bench_print_comparison(const json_t *old, const json_t *report, const bench_verdicts *verdicts,
                            double tolerance);

#endif
