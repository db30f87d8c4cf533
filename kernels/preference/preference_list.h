// preference_list: the formulas of one group, item by item.
#ifndef MERIT_PREFERENCE_LIST_H
#define MERIT_PREFERENCE_LIST_H

#include "../core/counters.h"
#include "../core/lanes.h"
#include "preference_list_input.h"

// Shape -------------------------------------------------------------------------------------------

// What a group holds: counts and ranges, which need no order.
typedef struct merit_list_shape {
    merit_list_content content;
    int64_t in_sets; // stages, or signed items
    int32_t saw;
    double s_min, s_max; // scores of members
    double key_min, key_max; // keys of members; PLACKETT_LUCE: of ranked ones
} merit_list_shape;

MERIT_HD static inline merit_list_shape merit_list_shape_empty(void)
{
    merit_list_shape s;
    s.content.members = 0;
    s.content.positives = 0;
    s.content.negatives = 0;
    s.content.differs = 0;
    s.in_sets = 0;
    s.saw = 0;
    s.s_min = m_inf64();
    s.s_max = -m_inf64();
    s.key_min = m_inf64();
    s.key_max = -m_inf64();
    return s;
}

MERIT_HD static inline void merit_list_shape_add(const merit_preference_list_args *a,
                                                 merit_list_shape *s, merit_list_item item)
{
    if (!(item.state & MERIT_LIST_MEMBER)) return;
    const int negative = (item.state & MERIT_LIST_NEGATIVE) != 0;
    s->content.members++;
    s->content.positives += merit_list_is_pick(a, item);
    s->content.negatives += negative;
    s->s_min = item.x < s->s_min ? item.x : s->s_min;
    s->s_max = item.x > s->s_max ? item.x : s->s_max;
    if (a->d.mode == MERIT_LIST_MODE_PLACKETT_LUCE) {
        s->in_sets += merit_list_is_stage(a, item.key);
        if (item.key < 0.0) return;
    } else {
        s->in_sets += (item.state & (MERIT_LIST_POSITIVE | MERIT_LIST_NEGATIVE)) != 0;
    }
    s->key_min = item.key < s->key_min ? item.key : s->key_min;
    s->key_max = item.key > s->key_max ? item.key : s->key_max;
}

// Group -------------------------------------------------------------------------------------------

// How a group takes part.
typedef enum merit_list_fate {
    MERIT_LIST_ABSENT = 0, // group_weight 0: valid, not read
    MERIT_LIST_EMPTY = 1, // not valid
    MERIT_LIST_NAN = 2,
    MERIT_LIST_PRESENT = 3
} merit_list_fate;

typedef struct merit_list_group {
    int64_t group;
    merit_list_span span;
    double weight;
    int64_t target;
    merit_list_shape shape;
    int32_t fate;
    int32_t settled; // items are x, no longer scores
    int32_t is_pair; // CROSS_ENTROPY over two members: the pair loss
    int64_t terms; // what inner MEAN divides by; 1 for SUM
    double mean; // of the scores
    double factor; // n / (n - 1), or 1
    double x_min, x_max;
    double sum_weight; // WEIGHTS
    double log_sum; // of exp(x - x_max)
    double sum_exp;
    double top_positive, sum_positive; // ANCHORED: of exp(-x - top) over the positive set
    double top_negative, sum_negative;
    double joint; // PRODUCT: s(A + B)
    double slope_mean; // of dx
    double best_positive, worst_positive, best_negative; // of x: metrics
    double loss;
} merit_list_group;

// x of a score.
MERIT_HD static inline double merit_list_x(const merit_preference_list_args *a,
                                           const merit_list_group *g, double s)
{
    double u = s;
    if (a->d.center != MERIT_LIST_CENTER_NONE) u = m_mul64(m_sub64(s, g->mean), g->factor);
    return a->d.tau == 1.0f ? u : m_div64(u, (double)a->d.tau);
}

// What is known before any item is read. PRESENT: read on.
MERIT_HD static inline void merit_list_begin(const merit_preference_list_args *a,
                                             merit_list_group *g, int64_t group)
{
    g->group = group;
    g->span = merit_list_span_of(a, group);
    g->weight = merit_list_weight(a, group);
    g->target = -1;
    g->shape = merit_list_shape_empty();
    g->settled = 0;
    g->is_pair = 0;
    g->terms = 1;
    g->slope_mean = 0.0;
    g->loss = 0.0;
    g->fate = MERIT_LIST_PRESENT;
    if (g->weight == 0.0) {
        g->fate = MERIT_LIST_ABSENT;
        return;
    }
    if (g->span.refusal != MERIT_LIST_FINE) {
        g->fate = MERIT_LIST_NAN;
        return;
    }
    if (merit_list_has_index(a)) {
        g->target = a->io.target_index[group];
        if (g->target < 0 || g->span.size == 0) {
            g->fate = MERIT_LIST_EMPTY;
        } else if (g->target >= g->span.size) {
            g->shape.saw = MERIT_LIST_SAW_BAD_TARGET;
            g->fate = MERIT_LIST_NAN;
        }
    }
}

// The fate that the shape decides, and what follows from it alone.
MERIT_HD static inline void merit_list_judge(const merit_preference_list_args *a,
                                             merit_list_group *g)
{
    merit_list_shape *const s = &g->shape;
    const int64_t members = s->content.members;
    s->content.differs =
        members > 1 && (s->key_max > s->key_min || (s->saw & MERIT_LIST_SAW_BAD_TARGET) != 0);
    if (!merit_list_is_valid(a, s->content)) {
        s->saw &= MERIT_LIST_SAW_SKIPPED | MERIT_LIST_SAW_BAD_INDEX;
        g->fate = MERIT_LIST_EMPTY;
        return;
    }
    if (!(s->s_max > -m_inf64())) s->saw |= MERIT_LIST_SAW_NONFINITE;
    if (!(g->weight >= 0.0 && g->weight < m_inf64()) || (s->saw & MERIT_LIST_SAW_POISON) != 0) {
        g->fate = MERIT_LIST_NAN;
        return;
    }
    g->is_pair = a->d.mode == MERIT_LIST_MODE_CROSS_ENTROPY && members == 2;
    if (a->d.inner == MERIT_LIST_INNER_MEAN && a->d.mode != MERIT_LIST_MODE_CROSS_ENTROPY) {
        g->terms = s->in_sets; // ALL_PAIRS: set when the pairs are counted
    }
    g->mean = 0.0;
    g->factor = 1.0;
    if (a->d.center == MERIT_LIST_CENTER_LEAVE_ONE_OUT) {
        g->factor = members == 1 ? 0.0 : m_div64((double)members, (double)(members - 1));
    }
}

// Terms -------------------------------------------------------------------------------------------

// Share of the target that an item with this weight (or that is the target) gets.
MERIT_HD static inline double merit_list_share(const merit_preference_list_args *a,
                                               const merit_list_group *g, double key, int is_target)
{
    const double q = a->d.target == MERIT_LIST_TARGET_WEIGHTS ? m_div64(key, g->sum_weight)
                     : is_target                              ? 1.0
                                                              : 0.0;
    if (a->d.smoothing == 0.0f) return q;
    const double e = (double)a->d.smoothing;
    return m_add64(m_mul64(m_sub64(1.0, e), q), m_div64(e, (double)g->shape.content.members));
}

typedef struct merit_list_shares {
    double own;
    double other; // of the other one of two members
} merit_list_shares;

MERIT_HD static inline merit_list_shares merit_list_shares_of(const merit_preference_list_args *a,
                                                              const merit_list_group *g,
                                                              merit_list_item item)
{
    const int is_target = (item.state & MERIT_LIST_TARGET) != 0;
    merit_list_shares q;
    q.own = merit_list_share(a, g, item.key, is_target);
    q.other = 0.0;
    if (g->is_pair) {
        const merit_list_shape *const s = &g->shape;
        const double key = item.key == s->key_max ? s->key_min : s->key_max;
        q.other = merit_list_share(a, g, key, !is_target);
    }
    return q;
}

// x - x' of the other one of two members.
MERIT_HD static inline double merit_list_pair_gap(const merit_list_group *g, double x)
{
    return m_sub64(x, x == g->x_max ? g->x_min : g->x_max);
}

MERIT_HD static inline double merit_list_exp(double x, double top)
{
    return (double)m_exp(m_round32(m_sub64(x, top)));
}

// What a sum over the items of a group adds up.
typedef enum merit_list_term_kind {
    MERIT_LIST_TERM_SCORE,
    MERIT_LIST_TERM_WEIGHT,
    MERIT_LIST_TERM_EXP,
    MERIT_LIST_TERM_EXP_POSITIVE,
    MERIT_LIST_TERM_EXP_NEGATIVE,
    MERIT_LIST_TERM_LOSS, // CROSS_ENTROPY and POINTWISE
    MERIT_LIST_TERM_SLOPE
} merit_list_term_kind;

MERIT_HD static inline double merit_list_cross_entropy(const merit_preference_list_args *a,
                                                       const merit_list_group *g,
                                                       merit_list_item item)
{
    const double q = merit_list_shares_of(a, g, item).own;
    if (q == 0.0) return 0.0;
    if (g->is_pair) {
        return m_mul64(q, (double)m_logistic(m_round32(-merit_list_pair_gap(g, item.x))).softplus);
    }
    return m_mul64(q, m_add64(m_sub64(g->x_max, item.x), g->log_sum));
}

MERIT_HD static inline double merit_list_cross_entropy_slope(const merit_preference_list_args *a,
                                                             const merit_list_group *g,
                                                             merit_list_item item)
{
    const merit_list_shares q = merit_list_shares_of(a, g, item);
    if (!g->is_pair) {
        return m_sub64(m_div64(merit_list_exp(item.x, g->x_max), g->sum_exp), q.own);
    }
    // as preference_pair: own phi'(z) - other phi'(-z)
    const float z = m_round32(merit_list_pair_gap(g, item.x));
    const double win = q.own == 0.0 ? 0.0 : m_mul64(q.own, -(double)m_logistic(-z).sigmoid);
    const double loss = q.other == 0.0 ? 0.0 : m_mul64(q.other, -(double)m_logistic(z).sigmoid);
    return m_sub64(win, loss);
}

MERIT_HD static inline double merit_list_anchored_slope(const merit_preference_list_args *a,
                                                        const merit_list_group *g,
                                                        merit_list_item item)
{
    const int positive = (item.state & MERIT_LIST_POSITIVE) != 0;
    double size;
    if (a->d.anchored == MERIT_ANCHORED_POINTWISE) {
        size = (double)m_logistic(m_round32(positive ? -item.x : item.x)).sigmoid;
    } else {
        const double e = positive ? merit_list_exp(-item.x, g->top_positive)
                                  : merit_list_exp(item.x, g->top_negative);
        size = m_div64(e, positive ? g->sum_positive : g->sum_negative);
        if (a->d.anchored == MERIT_ANCHORED_PRODUCT) size = m_mul64(g->joint, size);
    }
    return positive ? m_sub64(0.0, size) : size;
}

// dx of an item of CROSS_ENTROPY or ANCHORED.
MERIT_HD static inline double merit_list_slope(const merit_preference_list_args *a,
                                               const merit_list_group *g, merit_list_item item)
{
    if (a->d.mode == MERIT_LIST_MODE_CROSS_ENTROPY) {
        return merit_list_cross_entropy_slope(a, g, item);
    }
    if (!(item.state & (MERIT_LIST_POSITIVE | MERIT_LIST_NEGATIVE))) return 0.0;
    const double slope = merit_list_anchored_slope(a, g, item);
    return g->terms == 1 ? slope : m_div64(slope, (double)g->terms);
}

MERIT_HD static inline double merit_list_term(const merit_preference_list_args *a,
                                              const merit_list_group *g, merit_list_term_kind kind,
                                              merit_list_item item)
{
    if (!(item.state & MERIT_LIST_MEMBER)) return 0.0;
    const int positive = (item.state & MERIT_LIST_POSITIVE) != 0;
    const int negative = (item.state & MERIT_LIST_NEGATIVE) != 0;
    switch (kind) {
    case MERIT_LIST_TERM_SCORE: return item.x;
    case MERIT_LIST_TERM_WEIGHT: return item.key;
    case MERIT_LIST_TERM_EXP: return merit_list_exp(item.x, g->x_max);
    case MERIT_LIST_TERM_EXP_POSITIVE:
        return positive ? merit_list_exp(-item.x, g->top_positive) : 0.0;
    case MERIT_LIST_TERM_EXP_NEGATIVE:
        return negative ? merit_list_exp(item.x, g->top_negative) : 0.0;
    case MERIT_LIST_TERM_LOSS:
        if (a->d.mode == MERIT_LIST_MODE_CROSS_ENTROPY) return merit_list_cross_entropy(a, g, item);
        if (!(positive || negative)) return 0.0;
        return (double)m_logistic(m_round32(positive ? -item.x : item.x)).softplus;
    default: return merit_list_slope(a, g, item);
    }
}

// Running sums of exponentials --------------------------------------------------------------------

// sum e^max: a sum of exponentials that never overflows.
typedef struct merit_list_running {
    double max;
    double sum;
} merit_list_running;

MERIT_HD static inline merit_list_running merit_list_running_of(double x)
{
    merit_list_running r;
    r.max = x;
    r.sum = x > -m_inf64() ? 1.0 : 0.0;
    return r;
}

// Commutes.
MERIT_HD static inline merit_list_running merit_list_running_merge(merit_list_running a,
                                                                   merit_list_running b)
{
    const int first = a.max >= b.max;
    const merit_list_running large = first ? a : b;
    const merit_list_running small = first ? b : a;
    merit_list_running r = large;
    if (small.max > -m_inf64()) {
        r.sum = m_add64(large.sum, m_mul64(small.sum, m_exp64(m_sub64(small.max, large.max))));
    }
    return r;
}

MERIT_HD static inline double merit_list_running_log(merit_list_running r)
{
    return r.max > -m_inf64() ? m_add64(r.max, m_log64(r.sum)) : r.max;
}

// Ranks -------------------------------------------------------------------------------------------

// Sorts members by (rank, index), the unranked behind, items outside the set last.
MERIT_HD static inline uint64_t merit_list_key(merit_list_item item, int64_t i)
{
    uint64_t rank = 0xffffffffu;
    if (item.state & MERIT_LIST_MEMBER) {
        rank = item.key < 0.0 ? 0x80000000u : (uint64_t)(uint32_t)item.key;
    }
    return rank << 32 | (uint64_t)i;
}

MERIT_HD static inline int64_t merit_list_key_item(uint64_t key)
{
    return (int64_t)(key & 0xffffffffu);
}

MERIT_HD static inline int merit_list_key_is_stage(const merit_preference_list_args *a,
                                                   uint64_t key)
{
    const uint64_t rank = key >> 32;
    return rank < 0x80000000u && (a->d.top_k == 0 || rank < (uint64_t)a->d.top_k);
}

// First position in [0, count) whose rank is at least (above) that of `key`; count when none is.
MERIT_HD static inline int64_t merit_list_find_rank(const uint64_t *keys, int64_t count,
                                                    uint64_t key, int above)
{
    const uint64_t wanted = (key >> 32) + (uint64_t)above;
    int64_t low = 0;
    int64_t high = count;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (keys[middle] >> 32 < wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// Loss of a stage from the log-sum-exp of its risk set. A stage of -inf against nothing finite: 0.
MERIT_HD static inline double merit_list_stage_loss(double lse, double x)
{
    return lse > -m_inf64() ? m_sub64(lse, x) : 0.0;
}

// Pairs -------------------------------------------------------------------------------------------

// What an item of ALL_PAIRS gathers from the others, in rising order of theirs.
typedef struct merit_list_gathered {
    double loss; // of the pairs that it should win
    double slope;
    int32_t concordant; // of these, by their x
    int32_t discordant;
    int32_t tied;
} merit_list_gathered;

// Item (x, key) meets item (other_x, other_key). Pairs of equal keys, and NaN keys, add zeros.
MERIT_HD static inline void merit_list_meet(const merit_preference_link *link, double margin,
                                            merit_list_gathered *m, double x, double key,
                                            double other_x, double other_key)
{
    const int wins = key > other_key;
    const int loses = key < other_key;
    const double gap = wins ? m_sub64(x, other_x) : m_sub64(other_x, x);
    const merit_preference_value v = merit_preference_evaluate(link, m_sub64(gap, margin));
    m->loss = m_add64(m->loss, wins ? v.value : 0.0);
    m->slope = m_add64(m->slope, wins ? v.slope : loses ? -v.slope : 0.0);
    m->concordant += wins & (x > other_x);
    m->discordant += wins & (x < other_x);
    m->tied += wins & (x == other_x);
}

// Results -----------------------------------------------------------------------------------------

// Whether an item is what the metrics call positive.
MERIT_HD static inline int merit_list_is_positive(const merit_preference_list_args *a,
                                                  const merit_list_group *g, merit_list_item item)
{
    switch (a->d.mode) {
    case MERIT_LIST_MODE_PLACKETT_LUCE: return item.key == g->shape.key_min;
    case MERIT_LIST_MODE_ALL_PAIRS: return item.key == g->shape.key_max;
    case MERIT_LIST_MODE_ANCHORED: return (item.state & MERIT_LIST_POSITIVE) != 0;
    default:
        if (a->d.target == MERIT_LIST_TARGET_WEIGHTS) return item.key > 0.0;
        return (item.state & MERIT_LIST_TARGET) != 0;
    }
}

MERIT_HD static inline int merit_list_is_negative(const merit_preference_list_args *a,
                                                  const merit_list_group *g, merit_list_item item)
{
    if (a->d.mode == MERIT_LIST_MODE_ANCHORED) return (item.state & MERIT_LIST_NEGATIVE) != 0;
    return !merit_list_is_positive(a, g, item);
}

// (grad_scale / D); count: valid groups.
MERIT_HD static inline double merit_list_denominator(const merit_preference_list_args *a,
                                                     int64_t count)
{
    switch (a->d.reduction) {
    case MERIT_PREFERENCE_REDUCTION_SUM: return 1.0;
    case MERIT_PREFERENCE_REDUCTION_MEAN_GROUPS: return (double)a->d.groups.num_groups;
    case MERIT_PREFERENCE_REDUCTION_GIVEN: return a->io.denominator[0];
    default: return (double)count;
    }
}

MERIT_HD static inline double merit_list_scale(const merit_preference_list_args *a, int64_t count)
{
    const double upstream = a->io.grad_scale == NULL ? 1.0 : (double)a->io.grad_scale[0];
    return m_div64(upstream, merit_list_denominator(a, count));
}

MERIT_HD static inline void merit_list_store(const merit_preference_list_args *a, int64_t row,
                                             double value)
{
    const int64_t at = row * a->d.grad_stride;
    switch (a->d.score_dtype) {
    case MERIT_DTYPE_BF16: ((uint16_t *)a->io.grad_scores)[at] = m_to_bf16_64(value); break;
    case MERIT_DTYPE_F16: ((uint16_t *)a->io.grad_scores)[at] = m_to_f16_64(value); break;
    default: ((float *)a->io.grad_scores)[at] = m_canonical32(m_round32(value)); break;
    }
}

// The gradient of an item that has dx = slope; scale: grad_scale / D.
MERIT_HD static inline void merit_list_finish(const merit_preference_list_args *a,
                                              const merit_list_group *g, double scale, int64_t row,
                                              double slope)
{
    double ds = slope;
    if (a->d.center != MERIT_LIST_CENTER_NONE) {
        ds = m_mul64(g->factor, m_sub64(slope, g->slope_mean));
    }
    if (a->d.tau != 1.0f) ds = m_div64(ds, (double)a->d.tau);
    merit_list_store(a, row, ds == 0.0 ? ds : m_mul64(m_mul64(scale, g->weight), ds));
}

// Adds what a group has to say to the counters, once.
MERIT_HD static inline void merit_list_tell(const merit_preference_list_args *a,
                                            const merit_list_group *g)
{
    merit_diagnostics *const diagnostics = a->io.diagnostics;
    if (diagnostics == NULL) return;
    const int saw = g->shape.saw;
    const int lost_weight = g->fate == MERIT_LIST_NAN && !m_is_finite64(g->weight);
    const int bad_weight = g->fate == MERIT_LIST_NAN && !(g->weight >= 0.0);
    const int overflow = g->fate == MERIT_LIST_PRESENT && a->d.link == MERIT_LINK_EXPONENTIAL &&
                         a->d.mode == MERIT_LIST_MODE_ALL_PAIRS && !m_is_finite64(g->loss);
    const int lost = MERIT_LIST_SAW_NONFINITE | MERIT_LIST_SAW_SKIPPED;
    m_count(diagnostics, MERIT_COUNTER_NONFINITE, (saw & lost) != 0 || lost_weight || overflow);
    m_count(diagnostics, MERIT_COUNTER_BAD_WEIGHT,
            (saw & MERIT_LIST_SAW_BAD_WEIGHT) != 0 || bad_weight);
    m_count(diagnostics, MERIT_COUNTER_BAD_RANK, (saw & MERIT_LIST_SAW_BAD_RANK) != 0);
    m_count(diagnostics, MERIT_COUNTER_BAD_TARGET, (saw & MERIT_LIST_SAW_BAD_TARGET) != 0);
    m_count(diagnostics, MERIT_COUNTER_BAD_INDEX, (saw & MERIT_LIST_SAW_BAD_INDEX) != 0);
    m_count(diagnostics, MERIT_COUNTER_EMPTY_GROUP, g->fate == MERIT_LIST_EMPTY);
    if (g->fate != MERIT_LIST_NAN) return;
    m_count(diagnostics, MERIT_COUNTER_BAD_OFFSETS, g->span.refusal == MERIT_LIST_BAD_OFFSETS);
    m_count(diagnostics, MERIT_COUNTER_GROUP_TOO_LARGE, g->span.refusal == MERIT_LIST_TOO_LARGE);
}

// Ranks of the positives among all: flags of MERIT_LIST_COUNT_ and the reciprocal rank. behind:
// negatives at or above the best positive.
MERIT_HD static inline uint32_t merit_list_rank_flags(const merit_list_group *g)
{
    const uint32_t top1 = (uint32_t)(g->best_positive > g->best_negative);
    const uint32_t top1_tie = (uint32_t)(g->best_positive >= g->best_negative);
    const uint32_t many = (uint32_t)(g->worst_positive > g->best_negative);
    const uint32_t many_tie = (uint32_t)(g->worst_positive >= g->best_negative);
    return 1u << MERIT_LIST_COUNT_RANKED | top1 << MERIT_LIST_COUNT_TOP1_STRICT |
           top1_tie << MERIT_LIST_COUNT_TOP1_TIE | many << MERIT_LIST_COUNT_MANY_STRICT |
           many_tie << MERIT_LIST_COUNT_MANY_TIE;
}

// Totals ------------------------------------------------------------------------------------------

// loss, metrics and the check of the denominator, from the totals of all groups.
MERIT_HD static inline void merit_list_write_totals(const merit_preference_list_args *a,
                                                    const merit_preference_totals *t)
{
    const int64_t valid = t->counts[MERIT_LIST_COUNT_VALID];
    const double sum = t->sums[MERIT_LIST_SUM_WEIGHTED];
    const int asked = a->io.loss != NULL || a->io.grad_scores != NULL;
    if (valid > 0 && asked) {
        const double d = merit_list_denominator(a, valid);
        m_count(a->io.diagnostics, MERIT_COUNTER_ZERO_DENOMINATOR, d == 0.0);
        if (a->io.loss != NULL) *a->io.loss = sum == 0.0 ? 0.0 : m_canonical64(m_div64(sum, d));
    } else if (a->io.loss != NULL) {
        *a->io.loss = 0.0;
    }
    merit_preference_list_metrics *const m = a->io.metrics;
    if (m == NULL) return;
    m->groups = valid;
    m->ranked = t->counts[MERIT_LIST_COUNT_RANKED];
    m->invalid = t->counts[MERIT_LIST_COUNT_INVALID];
    m->top1_strict = t->counts[MERIT_LIST_COUNT_TOP1_STRICT];
    m->top1_tie = t->counts[MERIT_LIST_COUNT_TOP1_TIE];
    m->one_to_many_strict = t->counts[MERIT_LIST_COUNT_MANY_STRICT];
    m->one_to_many_tie = t->counts[MERIT_LIST_COUNT_MANY_TIE];
    m->concordant = (int64_t)t->sums[MERIT_LIST_SUM_CONCORDANT];
    m->discordant = (int64_t)t->sums[MERIT_LIST_SUM_DISCORDANT];
    m->tied = (int64_t)t->sums[MERIT_LIST_SUM_TIED];
    m->sum_reciprocal_rank = t->sums[MERIT_LIST_SUM_RECIPROCAL_RANK];
    m->sum_weight = t->sums[MERIT_LIST_SUM_WEIGHT];
    m->sum_loss = t->sums[MERIT_LIST_SUM_LOSS];
}

#endif
