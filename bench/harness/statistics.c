#include "statistics.h"

#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

// Linear interpolation between the two nearest order statistics.
static double quantile(const double *sorted, int64_t count, double q)
{
    const double position = q * (double)(count - 1);
    const int64_t below = (int64_t)position;
    if (below + 1 >= count) return sorted[count - 1];
    const double share = position - (double)below;
    return sorted[below] + share * (sorted[below + 1] - sorted[below]);
}

int64_t bench_median_rank(int64_t n)
{
    double tail = 0;
    int64_t k = 0;
    for (; k < n; k++) {
        const double log_choose =
            lgamma((double)n + 1) - lgamma((double)k + 1) - lgamma((double)(n - k) + 1);
        tail += exp(log_choose - (double)n * 0.69314718055994530942);
        if (tail > 0.025) break;
    }
    return k - 1;
}

bench_summary bench_summarize(double *samples, int64_t count)
{
    if (count == 0) return (bench_summary){.ci_low = -HUGE_VAL, .ci_high = HUGE_VAL};
    qsort(samples, (size_t)count, sizeof *samples, ascending);
    bench_summary s = {
        .count = count,
        .min = samples[0],
        .p5 = quantile(samples, count, 0.05),
        .p25 = quantile(samples, count, 0.25),
        .median = quantile(samples, count, 0.5),
        .p75 = quantile(samples, count, 0.75),
        .p95 = quantile(samples, count, 0.95),
        .ci_low = -HUGE_VAL,
        .ci_high = HUGE_VAL,
    };
    const int64_t k = bench_median_rank(count);
    if (k >= 0) {
        s.ci_low = samples[k];
        s.ci_high = samples[count - 1 - k];
    }
    return s;
}

double bench_relative_error(const bench_summary *summary)
{
    return (summary->ci_high - summary->ci_low) / 2 / summary->median;
}

double bench_spread(const bench_summary *summary)
{
    return (summary->p75 - summary->p25) / summary->median;
}
