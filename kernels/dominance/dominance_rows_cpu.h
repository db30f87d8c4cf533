// Rows of one state and objective on the CPU: as they lie in memory where that can be, else widened,
// gathered or sorted into the slot of the thread.
#ifndef MERIT_DOMINANCE_ROWS_CPU_H
#define MERIT_DOMINANCE_ROWS_CPU_H

#include "../core/counters.h"
#include "dominance_scratch.h"
#include "dominance_sort_cpu.h"
#include "dominance_sums_cpu.h"

// A slot of the scratch and what it holds.
typedef struct dominance_slot {
    const merit_dominance_compare *c;
    float *columns, *rows, *sorted;
    double *sums; // [rows_per_slot]
    uint32_t *flags;
    uint64_t *words;
    int direct; // rows are read where they lie
    int64_t state;
    int objective;
    float *objective_sorted; // [A,N] of the objective
    const float *weights; // of the state
    int bad_weights; // one is negative or NaN
} dominance_slot;

static inline dominance_slot dominance_slot_of(const merit_dominance_compare *c,
                                               const merit_dominance_scratch *s, int64_t slot)
{
    const int64_t N = c->num_levels;
    dominance_slot r = {.c = c};
    r.columns = s->columns + slot * s->columns_per_slot;
    r.rows = s->rows + slot * N * MERIT_DOMINANCE_ROW_BUFFERS;
    r.sums = s->sums + slot * s->rows_per_slot;
    r.flags = s->flags + slot * s->rows_per_slot;
    if (c->sort_levels) {
        r.sorted = s->sorted + slot * s->rows_per_slot * N;
        r.objective_sorted = r.sorted;
        r.words = s->words + slot * 2 * N;
    }
    r.direct = c->dtype == MERIT_DTYPE_F32 && c->stride_level == 1 && !c->sort_levels;
    memset(r.rows, 0, (size_t)N * sizeof *r.rows); // the row of absent actions
    return r;
}

static inline void dominance_set_state(dominance_slot *s, int64_t state)
{
    const float *const weights = merit_dominance_weights_of(s->c, state);
    s->state = state;
    s->weights = weights;
    int bad = 0;
    for (int n = 0; weights != NULL && n < s->c->num_levels; n++) {
        bad |= !(weights[n] >= 0.0f);
    }
    s->bad_weights = bad;
}

static inline void dominance_gather(const merit_dominance_compare *c, int64_t at, float *row)
{
    const int levels = c->num_levels;
    const int64_t step = c->stride_level;
    if (c->dtype == MERIT_DTYPE_BF16 && step == 1) {
        const uint16_t *const q = (const uint16_t *)c->q + at;
        for (int n = 0; n < levels; n++) {
            row[n] = m_from_bf16(q[n]);
        }
    } else if (c->dtype == MERIT_DTYPE_F16 && step == 1) {
        const uint16_t *const q = (const uint16_t *)c->q + at;
        for (int n = 0; n < levels; n++) {
            row[n] = m_from_f16(q[n]);
        }
    } else {
        for (int n = 0; n < levels; n++) {
            row[n] = merit_dominance_load(c, at + n * step);
        }
    }
}

// Sorts the row of action a into the slot.
static inline void dominance_sort_row(dominance_slot *s, int a)
{
    const merit_dominance_compare *const c = s->c;
    const int levels = c->num_levels;
    const int64_t at = merit_dominance_row_at(c, s->state, s->objective, a);
    float *const row = s->objective_sorted + (int64_t)a * levels;
    for (int n = 0; n < levels; n++) {
        s->words[n] = merit_dominance_word(merit_dominance_load(c, at + n * c->stride_level), n);
    }
    dominance_sort_words(s->words, s->words + levels, levels);
    for (int n = 0; n < levels; n++) {
        row[n] = merit_dominance_word_level(s->words[n]);
    }
}

// The levels of action a, in `buffer` unless they can be read elsewhere.
static inline const float *dominance_row(const dominance_slot *s, int a, float *buffer)
{
    const merit_dominance_compare *const c = s->c;
    const int64_t at = merit_dominance_row_at(c, s->state, s->objective, a);
    if (s->direct) return (const float *)c->q + at;
    if (c->sort_levels) return s->objective_sorted + (int64_t)a * c->num_levels;
    dominance_gather(c, at, buffer);
    return buffer;
}

// Whether dominance_row needs no buffer.
static inline int dominance_has_rows(const dominance_slot *s)
{
    return s->direct || s->c->sort_levels;
}

static inline float *dominance_buffer(const dominance_slot *s, int i)
{
    return s->rows + (int64_t)(i + 1) * s->c->num_levels;
}

// Makes the columns of actions [first, first + DOM_WIDTH); an action that is not `present` (NULL: all
// are) is not read and counts as a row of zeros.
static inline void dominance_load_block(const dominance_slot *s, int first, const uint32_t *present,
                                        float *columns)
{
    const float *rows[DOM_WIDTH];
    for (int j = 0; j < DOM_WIDTH; j++) {
        const int a = first + j;
        const int here =
            a < s->c->num_actions && (present == NULL || (present[a / 32] >> (a % 32) & 1u) != 0);
        rows[j] = here ? dominance_row(s, a, dominance_buffer(s, j)) : s->rows;
    }
    dom_columns(rows, s->c->num_levels, columns);
}

DOM_INLINE void dominance_sum_block(const float *columns, const float *weights, int levels,
                                    int weighted, double sums[DOM_WIDTH])
{
    dom_d low[4] = {{0.0}};
    dom_d high[4] = {{0.0}};
#define DOMINANCE_STEP(lane, n)                                         \
    {                                                                   \
        const dom_f level = dom_load(columns + (int64_t)(n)*DOM_WIDTH); \
        const dom_d below = dom_widen(level, 0);                        \
        const dom_d above = dom_widen(level, 1);                        \
        const double w = weighted ? (double)weights[n] : 1.0;           \
        low[lane] += weighted ? w * below : below;                      \
        high[lane] += weighted ? w * above : above;                     \
    }
    int n = 0;
    for (; n + 4 <= levels; n += 4) {
        DOMINANCE_STEP(0, n)
        DOMINANCE_STEP(1, n + 1)
        DOMINANCE_STEP(2, n + 2)
        DOMINANCE_STEP(3, n + 3)
    }
    if (n < levels) DOMINANCE_STEP(0, n)
    if (n + 1 < levels) DOMINANCE_STEP(1, n + 1)
    if (n + 2 < levels) DOMINANCE_STEP(2, n + 2)
#undef DOMINANCE_STEP
    dom_store64(sums, (low[0] + low[1]) + (low[2] + low[3]));
    dom_store64(sums + DOM_HALF, (high[0] + high[1]) + (high[2] + high[3]));
}

// Elements whose levels fall somewhere, for comparisons that need rising rows.
static inline dom_i dominance_find_falls(const merit_dominance_compare *c, const float *columns)
{
    dom_i falls = {0};
    dom_f before = dom_load(columns);
    for (int n = 1; c->expects_order && n < c->num_levels; n++) {
        const dom_f level = dom_load(columns + (int64_t)n * DOM_WIDTH);
        falls |= level < before;
        before = level;
    }
    return falls;
}

// Sums and flags of the rows of a block. Levels are looked at one by one only where a sum is no number:
// finite levels and weights of binary32 have finite sums in binary64.
static inline void dominance_describe_block(const dominance_slot *s, const float *columns,
                                            double sums[DOM_WIDTH], uint32_t flags[DOM_WIDTH])
{
    const int levels = s->c->num_levels;
    if (s->weights == NULL) {
        dominance_sum_block(columns, NULL, levels, 0, sums);
    } else {
        dominance_sum_block(columns, s->weights, levels, 1, sums);
    }
    const dom_i falls = dominance_find_falls(s->c, columns);
    for (int j = 0; j < DOM_WIDTH; j++) {
        const int odd = !(sums[j] - sums[j] == 0.0); // a NaN or an infinity among the levels
        flags[j] = falls[j] ? MERIT_DOMINANCE_ROW_UNSORTED : 0;
        for (int n = 0; odd && n < levels; n++) {
            const float level = columns[(int64_t)n * DOM_WIDTH + j];
            flags[j] |= merit_dominance_level_flags(s->c, level, level);
        }
    }
}

#endif
