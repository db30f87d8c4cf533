// preference_list, CPU: sixteen short groups side by side, by loops that the compiler turns into vectors.
// For uniform groups of 2 to 32 scores without masks, in every mode but ALL_PAIRS. Groups with an infinite
// or NaN score, without content, with ranks that are not 0, 1, ... in some order, or with a weight that is
// not positive go through the general path.
#ifndef MERIT_PREFERENCE_LIST_BLOCK_CPU_H
#define MERIT_PREFERENCE_LIST_BLOCK_CPU_H

#include "preference_list_block_modes_cpu.h"

// Whether the options of a call suit blocks.
static int list_block_suits(const merit_preference_list_args *a)
{
    const merit_preference_list_desc *const d = &a->d;
    const merit_groups *const g = &d->groups;
    const int layout = g->group_size >= 2 && g->group_size <= LIST_BLOCK_SIZE &&
                       g->group_stride == g->group_size && g->index == NULL && a->io.mask == NULL;
    return layout && d->mode != MERIT_LIST_MODE_ALL_PAIRS && d->top_k == 0;
}

// Reading -------------------------------------------------------------------------------------------

// Each returns whether what the mode wants of group l suits; kind: what the metrics call positive.

BLOCK_INLINE int block_read_ranks(const int32_t *ranks, int size, int l, list_block *b)
{
    uint32_t seen = 0;
    for (int i = 0; i < size; i++) {
        const int good = ranks[i] >= 0 && ranks[i] < size;
        b->place[i][l] = good ? ranks[i] : 0;
        b->kind[i][l] = ranks[i] == 0 ? 1.0 : -1.0;
        seen |= (uint32_t)good << (ranks[i] & 31);
    }
    return seen == 0xffffffffu >> (32 - size);
}

BLOCK_INLINE int block_read_target(int32_t target, int size, int l, list_block *b)
{
    for (int i = 0; i < size; i++) {
        b->kind[i][l] = i == target ? 1.0 : -1.0;
        b->q[i][l] = i == target ? 1.0 : 0.0;
    }
    return target >= 0 && target < size;
}

BLOCK_INLINE int block_read_weights(const float *weights, int size, int l, list_block *b)
{
    int good = 1;
    int some = 0;
    for (int i = 0; i < size; i++) {
        b->kind[i][l] = weights[i] > 0.0f ? 1.0 : -1.0;
        b->q[i][l] = (double)weights[i];
        good &= weights[i] >= 0.0f && weights[i] < m_inf32();
        some |= weights[i] > 0.0f;
    }
    return good && some;
}

BLOCK_INLINE int block_read_signs(const merit_preference_list_desc *d, const int8_t *signs, int l,
                                  list_block *b)
{
    const int both = d->require_both || d->anchored == MERIT_ANCHORED_PRODUCT;
    int positives = 0;
    int negatives = 0;
    int good = 1;
    for (int i = 0; i < (int)d->groups.group_size; i++) {
        b->kind[i][l] = (double)signs[i];
        positives += signs[i] > 0;
        negatives += signs[i] < 0;
        good &= signs[i] >= -1 && signs[i] <= 1;
    }
    if (d->inner == MERIT_LIST_INNER_MEAN) b->terms[l] = (double)(positives + negatives);
    return good && (both ? positives > 0 && negatives > 0 : positives + negatives > 0);
}

BLOCK_INLINE int block_read_mode(const merit_preference_list_args *a, int size, int64_t group,
                                 int l, list_block *b)
{
    const int64_t row = group * size;
    b->terms[l] = 1.0;
    switch (a->d.mode) {
    case MERIT_LIST_MODE_PLACKETT_LUCE:
        if (a->d.inner == MERIT_LIST_INNER_MEAN) b->terms[l] = (double)size;
        return block_read_ranks(a->io.ranks + row, size, l, b);
    case MERIT_LIST_MODE_ANCHORED: return block_read_signs(&a->d, a->io.signs + row, l, b);
    default:
        if (a->d.target == MERIT_LIST_TARGET_WEIGHTS) {
            return block_read_weights(a->io.weights + row, size, l, b);
        }
        return block_read_target(a->io.target_index[group], size, l, b);
    }
}

// Something that every mode takes, for a group that is not done here.
BLOCK_INLINE void block_read_nothing(int size, int l, list_block *b)
{
    b->terms[l] = 1.0;
    for (int i = 0; i < size; i++) {
        b->place[i][l] = i;
        b->kind[i][l] = i == 0 ? 1.0 : -1.0;
        b->q[i][l] = 1.0;
        b->x[i][l] = 0.0;
    }
}

BLOCK_INLINE void block_read(const merit_preference_list_args *a, int32_t dtype, int size,
                             int64_t first, list_block *b)
{
    const double inf = m_inf64();
    for (int l = 0; l < LIST_BLOCK; l++) {
        const double weight = merit_list_weight(a, first + l);
        const int wanted = weight > 0.0 && weight < inf;
        b->weight[l] = weight;
        b->fits[l] = wanted && block_read_mode(a, size, first + l, l, b);
        if (!b->fits[l]) block_read_nothing(size, l, b);
        for (int i = 0; i < size && b->fits[l]; i++) {
            const int64_t row = (first + l) * size + i;
            const double s = m_load_real(a->io.scores, dtype, row * a->d.score_stride);
            b->x[i][l] = m_add64(s, 0.0);
        }
    }
    for (int i = 0; i < size; i++) {
        for (int l = 0; l < LIST_BLOCK; l++) {
            b->fits[l] &= (b->x[i][l] < inf) & (b->x[i][l] > -inf);
        }
    }
}

// n / (n - 1), or 1.
BLOCK_INLINE double block_factor(const merit_preference_list_args *a, int size)
{
    if (a->d.center != MERIT_LIST_CENTER_LEAVE_ONE_OUT) return 1.0;
    return m_div64((double)size, (double)(size - 1));
}

// From scores to x = u / tau.
BLOCK_INLINE void block_settle(const merit_preference_list_args *a, int size, list_block *b)
{
    if (a->d.center != MERIT_LIST_CENTER_NONE) {
        const double factor = block_factor(a, size);
        block_sum_of(size, b->x, b->sum, b->mean);
        for (int l = 0; l < LIST_BLOCK; l++) {
            b->mean[l] = m_div64(b->mean[l], (double)size);
        }
        for (int i = 0; i < size; i++) {
            for (int l = 0; l < LIST_BLOCK; l++) {
                b->x[i][l] = m_mul64(m_sub64(b->x[i][l], b->mean[l]), factor);
            }
        }
    }
    for (int i = 0; i < size && a->d.tau != 1.0f; i++) {
        for (int l = 0; l < LIST_BLOCK; l++) {
            b->x[i][l] = m_div64(b->x[i][l], (double)a->d.tau);
        }
    }
}

// Rank p of group l in row p.
BLOCK_INLINE void block_order(int size, list_block *b)
{
    memcpy(b->sum, b->x, (size_t)size * sizeof *b->x);
    for (int i = 0; i < size; i++) {
        for (int l = 0; l < LIST_BLOCK; l++) {
            b->x[b->place[i][l]][l] = b->sum[i][l];
        }
    }
}

// list_find_extremes and list_count_above, by item.
BLOCK_INLINE void block_find_extremes(int size, list_block *b)
{
    for (int l = 0; l < LIST_BLOCK; l++) {
        b->best_positive[l] = -m_inf64();
        b->worst_positive[l] = m_inf64();
        b->best_negative[l] = -m_inf64();
        b->above[l] = 0.0;
    }
    for (int i = 0; i < size; i++) {
        for (int l = 0; l < LIST_BLOCK; l++) {
            const double up = b->kind[i][l] > 0.0 ? b->x[i][l] : -m_inf64();
            const double low = b->kind[i][l] > 0.0 ? b->x[i][l] : m_inf64();
            const double down = b->kind[i][l] < 0.0 ? b->x[i][l] : -m_inf64();
            b->best_positive[l] = up > b->best_positive[l] ? up : b->best_positive[l];
            b->worst_positive[l] = low < b->worst_positive[l] ? low : b->worst_positive[l];
            b->best_negative[l] = down > b->best_negative[l] ? down : b->best_negative[l];
        }
    }
    for (int i = 0; i < size; i++) {
        for (int l = 0; l < LIST_BLOCK; l++) {
            const int above = (b->kind[i][l] < 0.0) & (b->x[i][l] >= b->best_positive[l]);
            b->above[l] = m_add64(b->above[l], above ? 1.0 : 0.0);
        }
    }
}

// Results -------------------------------------------------------------------------------------------

// The records of the groups.
BLOCK_INLINE void block_record(const merit_preference_list_args *a, int64_t first,
                               const list_block *b)
{
    for (int l = 0; l < LIST_BLOCK; l++) {
        if (!b->fits[l]) continue;
        const merit_list_outcome outcome = {.above = (int64_t)b->above[l]};
        merit_list_group g = {.group = first + l,
                              .fate = MERIT_LIST_PRESENT,
                              .weight = b->weight[l],
                              .loss = m_div64(b->loss[l], b->terms[l])};
        if (a->io.metrics != NULL) {
            g.extremes.best_positive = b->best_positive[l];
            g.extremes.worst_positive = b->worst_positive[l];
            g.extremes.best_negative = b->best_negative[l];
            g.extremes.found = (b->best_positive[l] > -m_inf64() ? MERIT_LIST_POSITIVE : 0) |
                               (b->best_negative[l] > -m_inf64() ? MERIT_LIST_NEGATIVE : 0);
        }
        merit_list_record(a, &g, &outcome);
    }
}

// merit_list_finish of all items.
BLOCK_INLINE void block_write(const merit_preference_list_args *a, int32_t dtype, int size,
                              int64_t first, double scale, list_block *b)
{
    const int ranked = a->d.mode == MERIT_LIST_MODE_PLACKETT_LUCE;
    const int centers = a->d.center != MERIT_LIST_CENTER_NONE;
    const double factor = block_factor(a, size);
    list_row t;
    for (int l = 0; l < LIST_BLOCK; l++) {
        t[l] = m_mul64(scale, b->weight[l]);
    }
    for (int i = 0; i < size; i++) {
        for (int l = 0; l < LIST_BLOCK && a->d.inner == MERIT_LIST_INNER_MEAN; l++) {
            b->slope[i][l] = m_div64(b->slope[i][l], b->terms[l]);
        }
    }
    if (centers) block_sum_of(size, b->slope, b->sum, b->mean);
    for (int i = 0; i < size; i++) {
        for (int l = 0; l < LIST_BLOCK && centers; l++) {
            const double mean = m_div64(b->mean[l], (double)size);
            b->slope[i][l] = m_mul64(factor, m_sub64(b->slope[i][l], mean));
        }
        for (int l = 0; l < LIST_BLOCK && a->d.tau != 1.0f; l++) {
            b->slope[i][l] = m_div64(b->slope[i][l], (double)a->d.tau);
        }
        for (int l = 0; l < LIST_BLOCK; l++) {
            const double ds = b->slope[i][l];
            b->slope[i][l] = ds == 0.0 ? ds : m_mul64(t[l], ds);
        }
        preference_words(dtype, b->slope[i], b->word[i]);
    }
    for (int l = 0; l < LIST_BLOCK; l++) {
        const int64_t row = (first + l) * size;
        for (int i = 0; i < size && b->fits[l]; i++) {
            const int place = ranked ? b->place[i][l] : i;
            preference_store_word(dtype, a->io.grad_scores, (row + i) * a->d.grad_stride,
                                  b->word[place][l]);
        }
    }
}

// Groups [first, first + LIST_BLOCK), those that fit. scale: grad_scale / D.
BLOCK_INLINE void list_run_block(const merit_preference_list_args *a, int32_t dtype, int size,
                                 int64_t first, double scale, list_block *b)
{
    const int anchored = a->d.mode == MERIT_LIST_MODE_ANCHORED;
    block_read(a, dtype, size, first, b);
    block_settle(a, size, b);
    if (a->io.metrics != NULL || anchored) block_find_extremes(size, b);
    if (a->io.lse != NULL) block_lse(size, b, a->io.lse + first);
    if (a->d.mode == MERIT_LIST_MODE_PLACKETT_LUCE) {
        block_order(size, b);
        block_plackett_luce(a, size, b);
    } else if (!anchored) {
        block_cross_entropy(a, size, b);
    } else if (a->d.anchored == MERIT_ANCHORED_POINTWISE) {
        block_pointwise(size, b);
    } else {
        block_sets(size, a->d.anchored == MERIT_ANCHORED_SPLIT, b);
    }
    block_record(a, first, b);
    if (a->io.grad_scores != NULL) block_write(a, dtype, size, first, scale, b);
}

#endif
