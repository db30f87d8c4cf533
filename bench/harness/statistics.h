// Order statistics of a set of samples.
#ifndef MERIT_BENCH_STATISTICS_H
#define MERIT_BENCH_STATISTICS_H

#include <stdint.h>

typedef struct bench_summary {
    int64_t count;
    double min;
    double p5;
    double p25;
    double median;
    double p75;
    double p95;
    double ci_low, ci_high; // 95 % confidence interval of the median; infinite below 6 samples
} bench_summary;

// Sorts the samples and summarizes them.
bench_summary bench_summarize(double *samples, int64_t count);

// Rank k such that the interval from the (k+1)-th smallest to the (k+1)-th largest of n independent
// samples holds the median of their distribution with probability at least 0.95, whatever the
// distribution is: the largest k with P(Binomial(n, 1/2) <= k) <= 0.025; -1 when there is none.
int64_t bench_median_rank(int64_t n);

// Half the width of the confidence interval over the median: 0.01 is 1 %.
double bench_relative_error(const bench_summary *summary);

// Interquartile range over the median.
double bench_spread(const bench_summary *summary);

#endif
