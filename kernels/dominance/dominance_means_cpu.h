// The default comparison for a vector of pairs: power 1, P - M from the means, finite rows. Only the
// violation of the larger mean is summed, which is one subtraction, maximum and addition per level.
#ifndef MERIT_DOMINANCE_MEANS_CPU_H
#define MERIT_DOMINANCE_MEANS_CPU_H

#include "dominance_pair.h"
#include "dominance_vector_cpu.h"

// a over each action of the block; the objective's sign is applied.
typedef struct dominance_means {
    dom_f violation; // of the larger mean
    dom_d distance[2]; // of the means, >= 0; by halves
    dom_l larger[2]; // a has the larger mean, or the same and the lower index
} dominance_means;

// sum of max(0, +-(row - column)): turn holds the sign bit where the sign is minus.
DOM_INLINE dom_f dominance_violation(const float *row, const float *columns, const float *weights,
                                     int levels, int weighted, dom_i turn)
{
    dom_f sum[4] = {{0.0f}};
    int n = 0;
#define DOMINANCE_STEP(lane)                                                                 \
    {                                                                                        \
        const dom_f d = row[n + lane] - dom_load(columns + (int64_t)(n + lane) * DOM_WIDTH); \
        const dom_f x = dom_above_zero((dom_f)((dom_i)d ^ turn));                            \
        sum[lane] =                                                                          \
            weighted ? dom_fma(dom_splat(weights[n + lane]), x, sum[lane]) : sum[lane] + x;  \
    }
    for (; n + 4 <= levels; n += 4) {
        DOMINANCE_STEP(0)
        DOMINANCE_STEP(1)
        DOMINANCE_STEP(2)
        DOMINANCE_STEP(3)
    }
    if (n < levels) DOMINANCE_STEP(0)
    if (n + 1 < levels) DOMINANCE_STEP(1)
    if (n + 2 < levels) DOMINANCE_STEP(2)
#undef DOMINANCE_STEP
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

// `place`: index of a minus that of the block's first action.
DOM_INLINE dominance_means dominance_compare_means(const merit_dominance_compare *c, int m,
                                                   const float *row, const float *columns,
                                                   const float *weights, double sum_a,
                                                   const double sums[DOM_WIDTH], int place)
{
    const dom_d zero = {0.0};
    const int negative = merit_dominance_is_negative(c, m);
    dominance_means r;
    for (int half = 0; half < 2; half++) {
        const dom_d apart = sum_a - dom_load64(sums + half * DOM_HALF);
        const dom_d difference = negative ? -apart : apart;
        r.larger[half] = difference > zero;
        r.distance[half] = dom_select64(r.larger[half], difference, -difference);
        if (place < (half + 1) * DOM_HALF - 1) { // equal means: the lower index
            dom_l later;
            for (int j = 0; j < DOM_HALF; j++) {
                later[j] = place < half * DOM_HALF + j ? -1 : 0;
            }
            r.larger[half] |= later & (difference == zero);
        }
    }
    // a larger: its violation is the sum of -d
    const dom_i larger = dom_narrow(r.larger[0], r.larger[1]);
    const dom_i turn = (negative ? ~larger : larger) & ((dom_i){0} + INT32_MIN);
    r.violation = weights == NULL
                      ? dominance_violation(row, columns, weights, c->num_levels, 0, turn)
                      : dominance_violation(row, columns, weights, c->num_levels, 1, turn);
    return r;
}

#endif
