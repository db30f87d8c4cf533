// One state of dominance_subset on the CPU: its rows, and who beats whom among some of its actions.
#ifndef MERIT_DOMINANCE_STATE_CPU_H
#define MERIT_DOMINANCE_STATE_CPU_H

#include "dominance_lanes_cpu.h"
#include "dominance_means_cpu.h"
#include "dominance_subset.h"

typedef struct dominance_state {
    const merit_dominance_subset_args *args;
    dominance_slot s;
    uint32_t *relations; // [A, 2, DOM_WIDTH]
    uint32_t *matrix; // [A, words]
    int words;
    uint32_t valid[MERIT_DOMINANCE_MAX_WORDS];
    uint32_t flags; // MERIT_DOMINANCE_FLAG_ bits
    uint32_t made; // objectives whose resident columns are those of the state
} dominance_state;

// What a comparison of all pairs of a set finds.
typedef struct dominance_findings {
    uint32_t beaten[MERIT_DOMINANCE_MAX_WORDS]; // by the rule
    uint32_t beaten_under[MERIT_DOMINANCE_MAX_ACTIONS]; // per action: objectives
} dominance_findings;

static inline void dominance_set_objective(dominance_state *t, int m)
{
    const merit_dominance_compare *const c = &t->args->c;
    t->s.objective = m;
    if (c->sort_levels) {
        t->s.objective_sorted = t->s.sorted + (int64_t)m * c->num_actions * c->num_levels;
    }
}

// Where the columns of a block go, and whether they stay there.
static inline float *dominance_columns_place(const dominance_state *t, int block)
{
    const merit_dominance_compare *const c = &t->args->c;
    const int64_t blocks = (c->num_actions + DOM_WIDTH - 1) / DOM_WIDTH;
    const int64_t at = t->s.objective * blocks + block / DOM_WIDTH;
    return t->s.columns + (t->args->resident ? at * c->num_levels * DOM_WIDTH : 0);
}

// The columns of a block under the objective: kept once made, where they stay.
static inline const float *dominance_columns(dominance_state *t, int block)
{
    const int A = t->args->c.num_actions;
    if (!t->args->resident) {
        dominance_load_block(&t->s, block, t->valid, dominance_columns_place(t, block));
    } else if ((t->made >> t->s.objective & 1u) == 0) {
        for (int b = 0; b < A; b += DOM_WIDTH) {
            dominance_load_block(&t->s, b, t->valid, dominance_columns_place(t, b));
        }
        t->made |= 1u << t->s.objective;
    }
    return dominance_columns_place(t, block);
}

// Sums and flags of the rows of the objective, from their columns; the unsorted ones.
static inline uint64_t dominance_describe_columns(dominance_state *t, double *sums, uint32_t *flags)
{
    const int A = t->args->c.num_actions;
    uint64_t unsorted = 0;
    for (int block = 0; block < A; block += DOM_WIDTH) {
        double block_sums[DOM_WIDTH];
        uint32_t block_flags[DOM_WIDTH];
        const int count = A - block < DOM_WIDTH ? A - block : DOM_WIDTH;
        dominance_describe_block(&t->s, dominance_columns(t, block), block_sums, block_flags);
        for (int j = 0; j < count; j++) {
            sums[block + j] = t->s.bad_weights ? m_nan64() : block_sums[j];
            flags[block + j] = block_flags[j];
            unsorted += (block_flags[j] & MERIT_DOMINANCE_ROW_UNSORTED) != 0;
        }
    }
    return unsorted;
}

// The same from the rows themselves, for comparisons that may do without columns: rows may fall.
static inline void dominance_describe_rows(const dominance_state *t, double *sums, uint32_t *flags)
{
    for (int a = 0; a < t->args->c.num_actions; a++) {
        sums[a] = 0.0;
        flags[a] = 0;
        if (!merit_dominance_has(t->valid, a)) continue;
        dominance_describe_row(&t->s, dominance_row(&t->s, a, NULL), &sums[a], &flags[a]);
        if (t->s.bad_weights) sums[a] = m_nan64();
    }
}

// Reads every valid action once: sums and flags of all rows.
static inline void dominance_describe_state(dominance_state *t)
{
    const merit_dominance_compare *const c = &t->args->c;
    const int A = c->num_actions;
    const int by_rows = c->by_means && dominance_has_rows(&t->s);
    uint64_t unsorted = 0;
    t->made = 0;
    for (int m = 0; m < c->num_objectives; m++) {
        dominance_set_objective(t, m);
        double *const sums = t->s.sums + (int64_t)m * A;
        uint32_t *const flags = t->s.flags + (int64_t)m * A;
        for (int a = 0; c->sort_levels && a < A; a++) {
            if (merit_dominance_has(t->valid, a)) dominance_sort_row(&t->s, a);
        }
        if (by_rows) {
            dominance_describe_rows(t, sums, flags);
        } else {
            unsorted += dominance_describe_columns(t, sums, flags);
        }
    }
    m_count(c->diagnostics, MERIT_COUNTER_UNSORTED, unsorted);
}

// Pair (a, block + j) under the objective, from its sums.
static inline merit_dominance_pair
dominance_pair_of(const dominance_state *t, const dominance_sums *sums, int a, int block, int j)
{
    const merit_dominance_compare *const c = &t->args->c;
    const int b = block + j;
    const int64_t row = (int64_t)t->s.objective * c->num_actions;
    const uint32_t flags = t->s.flags[row + a] | t->s.flags[row + b];
    const int unknown =
        t->s.bad_weights || sums->undefined[j] || (flags & MERIT_DOMINANCE_ROW_UNKNOWN) != 0;
    return merit_dominance_make(c, t->s.objective, sums->more[j], sums->less[j], sums->tie[j],
                                t->s.sums[row + a], t->s.sums[row + b], a < b, unknown);
}

// Flags of row a and of the block together.
static inline uint32_t dominance_seen(const dominance_state *t, int a, int block)
{
    const int A = t->args->c.num_actions;
    const uint32_t *const flags = t->s.flags + (int64_t)t->s.objective * A;
    uint32_t seen = flags[a];
    for (int j = 0; j < DOM_WIDTH && block + j < A; j++) {
        seen |= flags[block + j];
    }
    return seen;
}

// Elements whose pair is decided from the means: all ones where a beats (ahead) or is beaten (behind).
DOM_INLINE void dominance_decide_means(const merit_dominance_subset_args *args, int m,
                                       const dominance_means *means, dom_i *ahead, dom_i *behind)
{
    const dom_d zero = {0.0};
    const double theta = (double)args->theta[m];
    const double eta = (double)args->eta[m];
    dom_l won[2], lost[2];
    for (int half = 0; half < 2; half++) {
        const dom_d loss = dom_widen(means->violation, half);
        const dom_d distance = means->distance[half];
        const dom_d gain = loss + distance;
        dom_l clear = (distance > zero) & (gain < dom_splat64(m_inf64()));
        if (eta > 0.0) clear &= distance > dom_splat64(eta * args->c.unit);
        if (theta == 1.0) {
            clear &= loss == zero;
        } else {
            clear &= (1.0 - theta) * gain >= theta * loss;
        }
        won[half] = clear & means->larger[half];
        lost[half] = clear & ~means->larger[half];
    }
    *ahead = dom_narrow(won[0], won[1]);
    *behind = dom_narrow(lost[0], lost[1]);
}

// merit_dominance_beats for half of a vector of pairs that are all defined.
DOM_INLINE dom_l dominance_beats_half(const merit_dominance_compare *c, double theta, double eta,
                                      dom_d gain, dom_d loss, dom_d tie)
{
    const dom_d zero = {0.0};
    const dom_d ahead = gain - loss;
    dom_l beats = (ahead > zero) & (gain < dom_splat64(m_inf64()));
    if (eta > 0.0) beats &= ahead > dom_splat64(eta * c->unit);
    if (merit_dominance_halves_ties(c))
        return beats & (gain + 0.5 * tie >= theta * ((gain + loss) + tie));
    if (theta == 1.0) return beats & (loss == zero);
    return beats & ((1.0 - theta) * gain >= theta * loss);
}

// Elements whose pair is decided from sums of both sides.
DOM_INLINE void dominance_decide_sums(const merit_dominance_subset_args *args, int m,
                                      const dominance_sums *sums, dom_i *ahead, dom_i *behind)
{
    const int negative = merit_dominance_is_negative(&args->c, m);
    const double theta = (double)args->theta[m], eta = (double)args->eta[m];
    dom_l won[2], lost[2];
    for (int half = 0; half < 2; half++) {
        const dom_d more = dom_load64(sums->more + half * DOM_HALF);
        const dom_d less = dom_load64(sums->less + half * DOM_HALF);
        const dom_d tie = dom_load64(sums->tie + half * DOM_HALF);
        const dom_d gain = negative ? less : more, loss = negative ? more : less;
        won[half] = dominance_beats_half(&args->c, theta, eta, gain, loss, tie);
        lost[half] = dominance_beats_half(&args->c, theta, eta, loss, gain, tie);
    }
    *ahead = dom_narrow(won[0], won[1]);
    *behind = dom_narrow(lost[0], lost[1]);
}

// a against the block under the objective: who beats whom.
static inline void dominance_decide(const dominance_state *t, int a, int block,
                                    const float *columns, const float *row, dom_i *ahead,
                                    dom_i *behind)
{
    const merit_dominance_compare *const c = &t->args->c;
    const int m = t->s.objective;
    const int64_t first = (int64_t)m * c->num_actions;
    const uint32_t seen = dominance_seen(t, a, block);
    if (c->by_means && seen == 0 && !t->s.bad_weights) {
        double sums[DOM_WIDTH] = {0.0};
        const int left = c->num_actions - block;
        memcpy(sums, t->s.sums + first + block,
               (size_t)(left < DOM_WIDTH ? left : DOM_WIDTH) * sizeof *sums);
        const dominance_means means = dominance_compare_means(
            c, m, row, columns, t->s.weights, t->s.sums[first + a], sums, a - block);
        dominance_decide_means(t->args, m, &means, ahead, behind);
        return;
    }
    dominance_sums sums;
    dominance_block_sums(c, m, row, columns, t->s.weights, (seen & MERIT_DOMINANCE_ROW_INF) != 0,
                         &sums);
    if (!c->by_means && seen == 0 && !t->s.bad_weights) {
        dominance_decide_sums(t->args, m, &sums, ahead, behind);
        return;
    }
    *ahead = *behind = (dom_i){0};
    for (int j = 0; j < DOM_WIDTH && block + j < c->num_actions; j++) {
        const merit_dominance_pair p = dominance_pair_of(t, &sums, a, block, j);
        const double theta = (double)t->args->theta[m], eta = (double)t->args->eta[m];
        const merit_dominance_pair turned = merit_dominance_turned(p);
        (*ahead)[j] = -merit_dominance_beats(c, theta, eta, p);
        (*behind)[j] = -merit_dominance_beats(c, theta, eta, turned);
    }
}

// Members of the set in the block, all ones where there is one.
static inline dom_i dominance_members(const uint32_t *set, int actions, int block)
{
    dom_i members = {0};
    for (int j = 0; j < DOM_WIDTH && block + j < actions; j++) {
        members[j] = -merit_dominance_has(set, block + j);
    }
    return members;
}

static inline int dominance_any(dom_i mask)
{
    int32_t all = 0;
    for (int j = 0; j < DOM_WIDTH; j++) {
        all |= mask[j];
    }
    return all != 0;
}

// Notes what the relations of a to the block's members say. with_matrix: who beats whom as bits.
static inline void dominance_note(dominance_state *t, merit_dominance_rule rule, int a, int block,
                                  dom_i members, int with_matrix, dominance_findings *f)
{
    const uint32_t *const ahead = t->relations + (int64_t)a * 2 * DOM_WIDTH;
    const uint32_t *const behind = ahead + DOM_WIDTH;
    for (int j = 0; j < DOM_WIDTH; j++) {
        const int b = block + j;
        if (!members[j] || b == a || (ahead[j] | behind[j]) == 0) continue;
        const int wins = merit_dominance_beats_by(t->args, rule, ahead[j], behind[j]);
        const int loses = merit_dominance_beats_by(t->args, rule, behind[j], ahead[j]);
        f->beaten_under[b] |= ahead[j];
        f->beaten_under[a] |= behind[j];
        if (wins) f->beaten[b / 32] |= 1u << (b % 32);
        if (loses) f->beaten[a / 32] |= 1u << (a % 32);
        if (with_matrix && wins) t->matrix[(int64_t)a * t->words + b / 32] |= 1u << (b % 32);
        if (with_matrix && loses) t->matrix[(int64_t)b * t->words + a / 32] |= 1u << (a % 32);
    }
}

static inline void dominance_clear_findings(const dominance_state *t, dominance_findings *f)
{
    memset(f->beaten, 0, (size_t)t->words * sizeof *f->beaten);
    memset(f->beaten_under, 0, (size_t)t->args->c.num_actions * sizeof *f->beaten_under);
}

// Compares all pairs of the set under the objectives.
static inline void dominance_compare_set(dominance_state *t, const uint32_t *set,
                                         uint32_t objectives, int with_matrix,
                                         dominance_findings *f)
{
    const merit_dominance_compare *const c = &t->args->c;
    const merit_dominance_rule rule = merit_dominance_rule_of(t->args, objectives);
    const int A = c->num_actions;
    dominance_clear_findings(t, f);
    if (with_matrix) memset(t->matrix, 0, (size_t)A * (size_t)t->words * sizeof *t->matrix);
    for (int block = 0; block < A; block += DOM_WIDTH) {
        const dom_i members = dominance_members(set, A, block);
        const int end = block + DOM_WIDTH < A ? block + DOM_WIDTH : A;
        if (!dominance_any(members)) continue;
        memset(t->relations, 0, (size_t)end * 2 * DOM_WIDTH * sizeof *t->relations);
        for (int m = 0; m < c->num_objectives; m++) {
            if ((objectives >> m & 1u) == 0) continue;
            dominance_set_objective(t, m);
            const float *const columns = dominance_columns(t, block);
            for (int a = 0; a < end; a++) {
                if (!merit_dominance_has(set, a)) continue;
                const float *const row =
                    dominance_row(&t->s, a, dominance_buffer(&t->s, DOM_WIDTH));
                uint32_t *const words = t->relations + (int64_t)a * 2 * DOM_WIDTH;
                dom_i ahead, behind, relation[2];
                dominance_decide(t, a, block, columns, row, &ahead, &behind);
                memcpy(relation, words, sizeof relation);
                const dom_i bit = (dom_i){0} + (int32_t)(1u << m);
                relation[0] |= ahead & bit;
                relation[1] |= behind & bit;
                memcpy(words, relation, sizeof relation);
            }
        }
        for (int a = 0; a < end; a++) {
            if (merit_dominance_has(set, a)) {
                dominance_note(t, rule, a, block, members, with_matrix, f);
            }
        }
    }
}

// least[a]: the bits of the least QD of a over the others of the set, under any of the objectives.
static inline void dominance_find_least(dominance_state *t, const uint32_t *set,
                                        uint32_t objectives, uint32_t *least)
{
    const merit_dominance_compare *const c = &t->args->c;
    const int A = c->num_actions;
    for (int a = 0; a < A; a++) {
        least[a] = MERIT_DOMINANCE_NOTHING_YET;
    }
    for (int m = 0; m < c->num_objectives; m++) {
        if ((objectives >> m & 1u) == 0) continue;
        dominance_set_objective(t, m);
        for (int block = 0; block < A; block += DOM_WIDTH) {
            const float *const columns = dominance_columns(t, block);
            for (int a = 0; a < A && a < block + DOM_WIDTH; a++) {
                if (!merit_dominance_has(set, a)) continue;
                const float *const row =
                    dominance_row(&t->s, a, dominance_buffer(&t->s, DOM_WIDTH));
                const int has_inf = (dominance_seen(t, a, block) & MERIT_DOMINANCE_ROW_INF) != 0;
                dominance_sums sums;
                dominance_block_sums(c, m, row, columns, t->s.weights, has_inf, &sums);
                for (int j = 0; j < DOM_WIDTH && block + j < A; j++) {
                    const int b = block + j;
                    if (b == a || !merit_dominance_has(set, b)) continue;
                    const merit_dominance_pair p = dominance_pair_of(t, &sums, a, block, j);
                    const float over = merit_dominance_qd(c, p);
                    const float under = merit_dominance_qd(c, merit_dominance_turned(p));
                    const uint32_t bits_a = m_bits32(over), bits_b = m_bits32(under);
                    if (!m_is_nan32(over) && bits_a < least[a]) least[a] = bits_a;
                    if (!m_is_nan32(under) && bits_b < least[b]) least[b] = bits_b;
                }
            }
        }
    }
}

#endif
