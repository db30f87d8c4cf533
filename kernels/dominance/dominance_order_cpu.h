// Who is beaten under one objective, with power 1, P - M from the means, all of it finite.
//
// An action is beaten by larger means alone. So actions take their turn from the largest mean down, each
// against those that nobody has beaten yet, until none is left.
#ifndef MERIT_DOMINANCE_ORDER_CPU_H
#define MERIT_DOMINANCE_ORDER_CPU_H

#include "dominance_state_cpu.h"

// A row meets this many one by one, more as columns; 1 to 16 measured alike (16 and 64 actions, Zen 4).
enum { DOMINANCE_FEW = 6 };

// Whether dominance_find_beaten may be asked: all means of the set can be ordered.
static inline int dominance_is_ordered(const dominance_state *t, const uint32_t *set, int m)
{
    const merit_dominance_compare *const c = &t->args->c;
    const int64_t first = (int64_t)m * c->num_actions;
    // columns that do not stay would be made for every row, and rows that do not lie in memory as well
    if (!t->args->resident && !dominance_has_rows(&t->s)) return 0;
    if (!c->by_means || t->s.bad_weights) return 0;
    for (int a = 0; a < c->num_actions; a++) {
        if (!merit_dominance_has(set, a)) continue;
        const double sum = t->s.sums[first + a];
        if (t->s.flags[first + a] != 0 || !(sum - sum == 0.0)) return 0;
    }
    return 1;
}

// The member with the largest mean, the lowest index of several.
static inline int dominance_largest(const dominance_state *t, const uint32_t *set, int m)
{
    const double *const sums = t->s.sums + (int64_t)m * t->args->c.num_actions;
    const int negative = merit_dominance_is_negative(&t->args->c, m);
    int best = -1;
    for (int w = 0; w < t->words; w++) {
        for (uint32_t bits = set[w]; bits != 0; bits &= bits - 1) {
            const int a = 32 * w + __builtin_ctz(bits);
            if (best < 0 || (negative ? sums[a] < sums[best] : sums[a] > sums[best])) best = a;
        }
    }
    return best;
}

// Whether a, of the larger mean or the same, beats b.
static inline int dominance_beats_by_rows(const dominance_state *t, int m, int a, int b)
{
    const merit_dominance_compare *const c = &t->args->c;
    const double *const sums = t->s.sums + (int64_t)m * c->num_actions;
    const int negative = merit_dominance_is_negative(c, m);
    const float *const x = dominance_row(&t->s, a, NULL), *const y = dominance_row(&t->s, b, NULL);
    const float *const high = negative ? y : x, *const low = negative ? x : y;
    const double violation =
        (double)(t->s.weights == NULL
                     ? dominance_violation_of(high, low, NULL, c->num_levels, 0)
                     : dominance_violation_of(high, low, t->s.weights, c->num_levels, 1));
    merit_dominance_pair p;
    p.difference = negative ? sums[b] - sums[a] : sums[a] - sums[b];
    p.gain = violation + p.difference;
    p.loss = violation;
    p.tie = 0.0;
    return merit_dominance_beats(c, (double)t->args->theta[m], (double)t->args->eta[m], p);
}

// Bits of the block's actions that a beats.
static inline uint32_t dominance_beats_columns(dominance_state *t, int a, int block)
{
    dom_i ahead, behind;
    const float *const columns = dominance_columns(t, block);
    const float *const row = dominance_row(&t->s, a, dominance_buffer(&t->s, DOM_WIDTH));
    dominance_decide(t, a, block, columns, row, &ahead, &behind);
    return dom_bits(ahead);
}

// Who of the set is beaten under the objective. Actions take their turn from the largest mean down, each
// against those that nobody has beaten yet, until none is left below: only a larger mean beats.
static inline void dominance_find_beaten(dominance_state *t, const uint32_t *set, int m,
                                         dominance_findings *f)
{
    const merit_dominance_compare *const c = &t->args->c;
    const uint32_t block_bits = (1u << (DOM_WIDTH - 1)) * 2 - 1;
    uint32_t turns[MERIT_DOMINANCE_MAX_WORDS], rest[MERIT_DOMINANCE_MAX_WORDS];
    int count = merit_dominance_size(set, t->words);
    memcpy(turns, set, (size_t)t->words * sizeof *turns);
    memcpy(rest, set, (size_t)t->words * sizeof *rest);
    dominance_set_objective(t, m);
    while (count > 0) {
        const int a = dominance_largest(t, turns, m);
        turns[a / 32] &= ~(1u << (a % 32));
        if (merit_dominance_has(rest, a)) count--;
        rest[a / 32] &= ~(1u << (a % 32));
        const int one_by_one =
            dominance_has_rows(&t->s) && (count <= DOMINANCE_FEW || !t->args->resident);
        for (int block = 0; block < c->num_actions; block += DOM_WIDTH) {
            uint32_t *const word = &rest[block / 32];
            uint32_t bits = *word >> (block % 32) & block_bits, beaten = 0;
            if (bits == 0) continue;
            if (one_by_one) {
                for (uint32_t left = bits; left != 0; left &= left - 1) {
                    const int j = __builtin_ctz(left);
                    beaten |= (uint32_t)dominance_beats_by_rows(t, m, a, block + j) << j;
                }
            } else {
                beaten = dominance_beats_columns(t, a, block) & bits;
            }
            count -= merit_dominance_count(beaten);
            *word &= ~(beaten << (block % 32));
            f->beaten[block / 32] |= beaten << (block % 32);
            for (; beaten != 0; beaten &= beaten - 1) {
                f->beaten_under[block + __builtin_ctz(beaten)] |= 1u << m;
            }
        }
    }
}

// What the class of `objectives` finds among the set.
static inline void dominance_settle(dominance_state *t, const uint32_t *set, uint32_t objectives,
                                    dominance_findings *f)
{
    int ordered = merit_dominance_rule_of(t->args, objectives) == MERIT_DOMINANCE_RULE_ANY;
    for (int m = 0; ordered && m < t->args->c.num_objectives; m++) {
        ordered = (objectives >> m & 1u) == 0 || dominance_is_ordered(t, set, m);
    }
    if (!ordered) {
        dominance_compare_set(t, set, objectives, 0, f);
        return;
    }
    dominance_clear_findings(t, f);
    for (int m = 0; m < t->args->c.num_objectives; m++) {
        if ((objectives >> m & 1u) != 0) dominance_find_beaten(t, set, m, f);
    }
}

#endif
