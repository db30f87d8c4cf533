// dominance_subset: sets of actions as words of bits, the relation of a class, choosing an action.
#ifndef MERIT_DOMINANCE_SUBSET_H
#define MERIT_DOMINANCE_SUBSET_H

#include "dominance_pair.h"
#include "dominance_subset_args.h"

// What makes one action beat another, given the objectives under which it does (`ahead`) and under
// which it is beaten (`behind`).
typedef enum merit_dominance_rule {
    MERIT_DOMINANCE_RULE_ANY, // one objective, or MEET: beaten anywhere
    MERIT_DOMINANCE_RULE_PARETO, // and ahead nowhere
    MERIT_DOMINANCE_RULE_RULEBOOK // every defeat is excused by a win strictly above
} merit_dominance_rule;

MERIT_HD static inline merit_dominance_rule
merit_dominance_rule_of(const merit_dominance_subset_args *args, uint32_t objectives)
{
    if (args->mode == MERIT_DOMINANCE_MODE_RULEBOOK) return MERIT_DOMINANCE_RULE_RULEBOOK;
    const int several = (objectives & (objectives - 1)) != 0;
    return several && args->within_class == MERIT_DOMINANCE_WITHIN_PARETO
               ? MERIT_DOMINANCE_RULE_PARETO
               : MERIT_DOMINANCE_RULE_ANY;
}

MERIT_HD static inline int merit_dominance_beats_by(const merit_dominance_subset_args *args,
                                                    merit_dominance_rule rule, uint32_t ahead,
                                                    uint32_t behind)
{
    if (ahead == 0) return 0;
    if (rule == MERIT_DOMINANCE_RULE_ANY) return 1;
    if (rule == MERIT_DOMINANCE_RULE_PARETO) return behind == 0;
    for (int m = 0; behind >> m != 0; m++) {
        if ((behind >> m & 1u) != 0 && (args->strictly_above[m] & ahead) == 0) return 0;
        if (m == MERIT_DOMINANCE_MAX_OBJECTIVES - 1) break; // a shift by 32 is none
    }
    return 1;
}

// Sets --------------------------------------------------------------------------------------------

MERIT_HD static inline int merit_dominance_words(int actions)
{
    return (actions + 31) / 32;
}

MERIT_HD static inline int merit_dominance_has(const uint32_t *set, int a)
{
    return (int)(set[a / 32] >> (a % 32) & 1u);
}

MERIT_HD static inline int merit_dominance_is_empty(const uint32_t *set, int words)
{
    uint32_t all = 0;
    for (int w = 0; w < words; w++) {
        all |= set[w];
    }
    return all == 0;
}

MERIT_HD static inline int merit_dominance_count(uint32_t word)
{
    word = word - (word >> 1 & 0x55555555u);
    word = (word & 0x33333333u) + (word >> 2 & 0x33333333u);
    word = (word + (word >> 4)) & 0x0f0f0f0fu;
    return (int)(word * 0x01010101u >> 24);
}

MERIT_HD static inline int merit_dominance_size(const uint32_t *set, int words)
{
    int size = 0;
    for (int w = 0; w < words; w++) {
        size += merit_dominance_count(set[w]);
    }
    return size;
}

// Member number k in rising order, -1 beyond the last.
MERIT_HD static inline int merit_dominance_member(const uint32_t *set, int words, int k)
{
    for (int w = 0; w < words; w++) {
        const int here = merit_dominance_count(set[w]);
        if (k >= here) {
            k -= here;
            continue;
        }
        for (int bit = 0; bit < 32; bit++) {
            if ((set[w] >> bit & 1u) != 0 && k-- == 0) return 32 * w + bit;
        }
    }
    return -1;
}

// The intersection of the sets of the classes in `which`, one that would empty it being left out, into
// `out`; of none: start. sets: [classes, words]. Returns 1 if one was left out.
MERIT_HD static inline int merit_dominance_walk(const uint32_t *sets, uint32_t which, int words,
                                                const uint32_t *start, uint32_t *out)
{
    int skipped = 0;
    for (int w = 0; w < words; w++) {
        out[w] = start[w];
    }
    for (int k = 0; k < MERIT_DOMINANCE_MAX_OBJECTIVES; k++) {
        if ((which >> k & 1u) == 0) continue;
        const uint32_t *const set = sets + k * words;
        uint32_t common = 0;
        for (int w = 0; w < words; w++) {
            common |= out[w] & set[w];
        }
        if (common == 0) {
            skipped |= !merit_dominance_is_empty(out, words);
            continue;
        }
        for (int w = 0; w < words; w++) {
            out[w] &= set[w];
        }
    }
    return skipped;
}

// Choosing ----------------------------------------------------------------------------------------

// The best of some actions by score, the lowest index among equals; index -1: none yet.
typedef struct merit_dominance_choice {
    double score;
    int32_t index;
} merit_dominance_choice;

MERIT_HD static inline merit_dominance_choice merit_dominance_better(merit_dominance_choice x,
                                                                     merit_dominance_choice y)
{
    if (y.index < 0) return x;
    if (x.index < 0) return y;
    if (y.score > x.score || (y.score == x.score && y.index < x.index)) return y;
    return x;
}

// A candidate; a NaN score is none.
MERIT_HD static inline merit_dominance_choice merit_dominance_candidate(double score, int a)
{
    merit_dominance_choice r;
    r.score = score;
    r.index = m_is_nan64(score) ? -1 : a;
    return r;
}

MERIT_HD static inline double merit_dominance_signed_sum(const merit_dominance_compare *c, int m,
                                                         double sum)
{
    return merit_dominance_is_negative(c, m) ? -sum : sum;
}

// The score of MEAN. sums: [M,A] of the state.
MERIT_HD static inline double merit_dominance_score(const merit_dominance_subset_args *args,
                                                    const double *sums, int a)
{
    double score = 0.0;
    for (int m = 0; m < args->c.num_objectives; m++) {
        const double weight = (double)args->pick_weights[m];
        const double sum = sums[(int64_t)m * args->c.num_actions + a];
        if (weight == 0.0) continue; // not even NaN counts
        score = m_add64(score, m_mul64(weight, merit_dominance_signed_sum(&args->c, m, sum)));
    }
    return score;
}

// The bits of the least QD of an action over the others, as they start and as a score: an action that
// can be compared with none of at least one has none.
enum { MERIT_DOMINANCE_NOTHING_YET = 0x7f800000 };

MERIT_HD static inline double merit_dominance_least_score(uint32_t bits, int alone)
{
    const double least = (double)m_from_bits32(bits);
    return bits == MERIT_DOMINANCE_NOTHING_YET && !alone ? m_nan64() : least;
}

#endif
