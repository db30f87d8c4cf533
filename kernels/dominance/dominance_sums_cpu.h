// The sums of one row against DOM_WIDTH rows: vectors over the rows, the levels in canonical order.
#ifndef MERIT_DOMINANCE_SUMS_CPU_H
#define MERIT_DOMINANCE_SUMS_CPU_H

#include "dominance_pair.h"
#include "dominance_vector_cpu.h"

// As if larger were better; all >= 0.
typedef struct dominance_sums {
    double more[DOM_WIDTH], less[DOM_WIDTH], tie[DOM_WIDTH];
    uint8_t undefined[DOM_WIDTH]; // inf - inf at a level
} dominance_sums;

DOM_INLINE void dominance_store(double to[DOM_WIDTH], dom_f a)
{
    dom_store64(to, dom_widen(a, 0));
    dom_store64(to + DOM_HALF, dom_widen(a, 1));
}

DOM_INLINE dom_f dominance_fold_vectors(const dom_f l[4])
{
    return (l[0] + l[1]) + (l[2] + l[3]);
}

// merit_dominance_add for a vector.
DOM_INLINE void dominance_add_vector(dom_f *more, dom_f *less, dom_f *tie,
                                     merit_dominance_kind kind, int weighted, int has_delta,
                                     float delta, float w, float qa, dom_f qb)
{
    const dom_f d = qa - qb;
    const dom_f above = has_delta ? d - delta : d;
    const dom_f below = has_delta ? d + delta : d;
    if (kind == MERIT_DOMINANCE_KIND_WINS) {
        const dom_i wins = d > dom_splat(delta);
        const dom_i losses = d < dom_splat(-delta);
        *more += dom_where(wins, dom_splat(w));
        *less -= dom_where(losses, dom_splat(w));
        if (weighted) *tie += dom_where(~(wins | losses), dom_splat(w));
        return;
    }
    const dom_f x = dom_above_zero(above);
    const dom_f y = dom_below_zero(below);
    if (kind == MERIT_DOMINANCE_KIND_AREA) {
        *more = weighted ? dom_fma(dom_splat(w), x, *more) : *more + x;
        *less = weighted ? dom_fma(dom_splat(w), y, *less) : *less + y;
    } else {
        *more = dom_fma(weighted ? w * x : x, x, *more);
        *less = dom_fma(weighted ? w * y : y, -y, *less);
    }
}

DOM_INLINE void dominance_quantile_sums(const float *row, const float *columns,
                                        const float *weights, int levels, merit_dominance_kind kind,
                                        int weighted, int has_delta, float delta, dominance_sums *s)
{
    dom_f more[4] = {{0.0f}}, less[4] = {{0.0f}}, tie[4] = {{0.0f}};
    int n = 0;
    for (; n + 4 <= levels; n += 4) {
        const float *const at = columns + (int64_t)n * DOM_WIDTH;
        dominance_add_vector(&more[0], &less[0], &tie[0], kind, weighted, has_delta, delta,
                             weighted ? weights[n] : 1.0f, row[n], dom_load(at));
        dominance_add_vector(&more[1], &less[1], &tie[1], kind, weighted, has_delta, delta,
                             weighted ? weights[n + 1] : 1.0f, row[n + 1],
                             dom_load(at + DOM_WIDTH));
        dominance_add_vector(&more[2], &less[2], &tie[2], kind, weighted, has_delta, delta,
                             weighted ? weights[n + 2] : 1.0f, row[n + 2],
                             dom_load(at + 2 * DOM_WIDTH));
        dominance_add_vector(&more[3], &less[3], &tie[3], kind, weighted, has_delta, delta,
                             weighted ? weights[n + 3] : 1.0f, row[n + 3],
                             dom_load(at + 3 * DOM_WIDTH));
    }
    for (int lane = 0; n < levels; n++, lane++) {
        dominance_add_vector(&more[lane], &less[lane], &tie[lane], kind, weighted, has_delta, delta,
                             weighted ? weights[n] : 1.0f, row[n],
                             dom_load(columns + (int64_t)n * DOM_WIDTH));
    }
    const dom_f zero = {0.0f};
    dominance_store(s->more, dominance_fold_vectors(more));
    dominance_store(s->less, zero - dominance_fold_vectors(less));
    if (kind == MERIT_DOMINANCE_KIND_WINS && !weighted) {
        for (int j = 0; j < DOM_WIDTH; j++) {
            s->tie[j] = (double)levels - s->more[j] - s->less[j];
        }
    } else {
        dominance_store(s->tie, dominance_fold_vectors(tie));
    }
    memset(s->undefined, 0, sizeof s->undefined);
}

// Literal options, so that the compiler makes a loop for each.
#define DOMINANCE_SUMS_OF(kind, weighted, has_delta) \
    dominance_quantile_sums(row, columns, weights, levels, kind, weighted, has_delta, delta, s)

#define DOMINANCE_SUMS_OF_KIND(kind)      \
    if (weights == NULL && delta == 0.0f) \
        DOMINANCE_SUMS_OF(kind, 0, 0);    \
    else if (weights == NULL)             \
        DOMINANCE_SUMS_OF(kind, 0, 1);    \
    else if (delta == 0.0f)               \
        DOMINANCE_SUMS_OF(kind, 1, 0);    \
    else                                  \
        DOMINANCE_SUMS_OF(kind, 1, 1)

static inline void dominance_running_sums(const merit_dominance_compare *c, int m, const float *row,
                                          const float *columns, const float *weights,
                                          dominance_sums *s)
{
    const double delta = merit_dominance_running_delta(c, m);
    for (int j = 0; j < DOM_WIDTH; j++) {
        merit_dominance_running r = {0.0, 0.0, 0.0, 0.0};
        for (int n = 0; n < c->num_levels; n++) {
            merit_dominance_add_running(&r, c->power, delta,
                                        weights == NULL ? 1.0 : (double)weights[n], row[n],
                                        columns[(int64_t)n * DOM_WIDTH + j]);
        }
        s->more[j] = r.more;
        s->less[j] = r.less;
        s->tie[j] = r.tie;
        s->undefined[j] = (uint8_t)m_is_nan64(r.sum);
    }
}

// Both rows rise: a merge counts, for each level of a, the levels of b below and not above.
static inline void dominance_rank_sums(const merit_dominance_compare *c, const float *row,
                                       const float *columns, dominance_sums *s)
{
    const int levels = c->num_levels;
    for (int j = 0; j < DOM_WIDTH; j++) {
        int64_t more = 0;
        int64_t least = 0;
        int below = 0; // levels of b below that of a
        int upto = 0; // and not above
        for (int i = 0; i < levels; i++) {
            while (below < levels && columns[(int64_t)below * DOM_WIDTH + j] < row[i]) {
                below++;
            }
            upto = upto > below ? upto : below;
            while (upto < levels && columns[(int64_t)upto * DOM_WIDTH + j] <= row[i]) {
                upto++;
            }
            more += below;
            least += upto;
        }
        s->more[j] = (double)more;
        s->tie[j] = (double)(least - more);
        s->less[j] = (double)levels * (double)levels - (double)least;
    }
    memset(s->undefined, 0, sizeof s->undefined);
}

// Levels at which both rows hold the same infinity; for rows that hold any.
static inline void dominance_find_undefined(const merit_dominance_compare *c, const float *row,
                                            const float *columns, dominance_sums *s)
{
    for (int n = 0; n < c->num_levels; n++) {
        for (int j = 0; j < DOM_WIDTH; j++) {
            s->undefined[j] |=
                (uint8_t)m_is_nan32(m_sub(row[n], columns[(int64_t)n * DOM_WIDTH + j]));
        }
    }
}

// row against the columns of the block. has_inf: a row here or there holds an infinity.
static inline void dominance_block_sums(const merit_dominance_compare *c, int m, const float *row,
                                        const float *columns, const float *weights, int has_inf,
                                        dominance_sums *s)
{
    const int levels = c->num_levels;
    const float delta = c->delta[m];
    switch (merit_dominance_kind_of(c)) {
    case MERIT_DOMINANCE_KIND_RANKS: dominance_rank_sums(c, row, columns, s); return;
    case MERIT_DOMINANCE_KIND_RUNNING:
        dominance_running_sums(c, m, row, columns, weights, s);
        return;
    case MERIT_DOMINANCE_KIND_WINS: DOMINANCE_SUMS_OF_KIND(MERIT_DOMINANCE_KIND_WINS); return;
    case MERIT_DOMINANCE_KIND_AREA: DOMINANCE_SUMS_OF_KIND(MERIT_DOMINANCE_KIND_AREA); break;
    default: DOMINANCE_SUMS_OF_KIND(MERIT_DOMINANCE_KIND_SQUARE); break;
    }
    if (has_inf) dominance_find_undefined(c, row, columns, s);
}

#endif
