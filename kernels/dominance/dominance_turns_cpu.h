// The pairs of a block of rows among themselves, power 1, P - M from the means, finite rows: the block's
// columns against themselves turned by 1, 2, ... DOM_WIDTH / 2 places, which meets every pair once.
#ifndef MERIT_DOMINANCE_TURNS_CPU_H
#define MERIT_DOMINANCE_TURNS_CPU_H

#include "dominance_means_cpu.h"

#if defined(__AVX2__)
#define DOMINANCE_HAS_TURNS 1
#else
#define DOMINANCE_HAS_TURNS 0
#endif

#if DOMINANCE_HAS_TURNS

// Element j of the result: element place[j].
DOM_INLINE dom_f dom_pick(dom_f a, dom_i place)
{
#if defined(__AVX512F__)
    return (dom_f)_mm512_permutexvar_ps((__m512i)place, (__m512)a);
#else
    return (dom_f)_mm256_permutevar8x32_ps((__m256)a, (__m256i)place);
#endif
}

// j + k, modulo DOM_WIDTH
DOM_INLINE dom_i dominance_turned_places(int k)
{
    dom_i place;
    for (int j = 0; j < DOM_WIDTH; j++) {
        place[j] = j;
    }
    return (place + k) & (DOM_WIDTH - 1);
}

// dominance_violation of two turns at once.
DOM_INLINE void dominance_turn_violations(const float *columns, const float *weights, int levels,
                                          int weighted, const dom_i place[2], const dom_i turn[2],
                                          dom_f violation[2])
{
    dom_f x[4] = {{0.0f}}, y[4] = {{0.0f}};
    int n = 0;
#define DOMINANCE_STEP(lane)                                                     \
    {                                                                            \
        const dom_f level = dom_load(columns + (int64_t)(n + lane) * DOM_WIDTH); \
        const dom_f d = level - dom_pick(level, place[0]);                       \
        const dom_f e = level - dom_pick(level, place[1]);                       \
        const dom_f more = dom_above_zero((dom_f)((dom_i)d ^ turn[0]));          \
        const dom_f other = dom_above_zero((dom_f)((dom_i)e ^ turn[1]));         \
        const dom_f w = weighted ? dom_splat(weights[n + lane]) : level;         \
        x[lane] = weighted ? dom_fma(w, more, x[lane]) : x[lane] + more;         \
        y[lane] = weighted ? dom_fma(w, other, y[lane]) : y[lane] + other;       \
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
    violation[0] = (x[0] + x[1]) + (x[2] + x[3]);
    violation[1] = (y[0] + y[1]) + (y[2] + y[3]);
}

// Means of turn k: element j is row j over row j + k. twice: the sums of the block, twice. Returns the
// sign that the differences take.
DOM_INLINE dom_i dominance_turn_means(int negative, const double *twice, int k, dominance_means *r)
{
    const dom_d zero = {0.0};
    for (int half = 0; half < 2; half++) {
        const dom_d apart =
            dom_load64(twice + half * DOM_HALF) - dom_load64(twice + half * DOM_HALF + k);
        const dom_d difference = negative ? -apart : apart;
        dom_l earlier; // than the other row
        for (int j = 0; j < DOM_HALF; j++) {
            earlier[j] = half * DOM_HALF + j < DOM_WIDTH - k ? -1 : 0;
        }
        r->larger[half] = (difference > zero) | (earlier & (difference == zero));
        r->distance[half] = dom_select64(difference > zero, difference, -difference);
    }
    const dom_i larger = dom_narrow(r->larger[0], r->larger[1]);
    return (negative ? ~larger : larger) & ((dom_i){0} + INT32_MIN);
}

// Turns k and k + 1 of the block.
DOM_INLINE void dominance_compare_turns(const merit_dominance_compare *c, int m,
                                        const float *columns, const float *weights,
                                        const double twice[2 * DOM_WIDTH], int k,
                                        dominance_means r[2])
{
    const int negative = merit_dominance_is_negative(c, m);
    const dom_i place[2] = {dominance_turned_places(k), dominance_turned_places(k + 1)};
    const dom_i turn[2] = {dominance_turn_means(negative, twice, k, &r[0]),
                           dominance_turn_means(negative, twice, k + 1, &r[1])};
    dom_f violation[2];
    if (weights == NULL) {
        dominance_turn_violations(columns, NULL, c->num_levels, 0, place, turn, violation);
    } else {
        dominance_turn_violations(columns, weights, c->num_levels, 1, place, turn, violation);
    }
    r[0].violation = violation[0];
    r[1].violation = violation[1];
}

// turned[i], element j: row j - i over row j, modulo DOM_WIDTH. Makes turned[i] row i: element j over it.
// Element j moves down by j places, a power of two at a time.
DOM_INLINE void dominance_turns_to_rows(dom_f turned[DOM_WIDTH])
{
    dom_f before[DOM_WIDTH];
    for (int i = 0; i < DOM_WIDTH; i++) {
        before[i] = turned[(DOM_WIDTH - i) % DOM_WIDTH];
    }
    for (int step = 1; step < DOM_WIDTH; step *= 2) {
        dom_i moves;
        for (int j = 0; j < DOM_WIDTH; j++) {
            moves[j] = j & step ? -1 : 0;
        }
        for (int i = 0; i < DOM_WIDTH; i++) {
            const dom_i moved = (dom_i)before[(i + DOM_WIDTH - step) % DOM_WIDTH];
            turned[i] = (dom_f)((moves & moved) | (~moves & (dom_i)before[i]));
        }
        for (int i = 0; i < DOM_WIDTH; i++) {
            before[i] = turned[i];
        }
    }
}

#endif

#endif
