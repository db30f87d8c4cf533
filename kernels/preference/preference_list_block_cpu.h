// preference_list, CPU: sixteen short groups side by side, by loops that the compiler turns into vectors.
// For uniform groups of 2 to 32 scores of CROSS_ENTROPY with one target each or of PLACKETT_LUCE with all
// ranks once, without masks, centering and what only metrics need. Groups with an infinite or NaN
// score, other ranks, no label or a weight that is not positive go through the general path.
#ifndef MERIT_PREFERENCE_LIST_BLOCK_CPU_H
#define MERIT_PREFERENCE_LIST_BLOCK_CPU_H

#include "../core/quotient.h"
#include "preference_list.h"
#include "preference_words_cpu.h"

enum { LIST_BLOCK = PREFERENCE_WORDS, LIST_BLOCK_SIZE = 32 };

#define BLOCK_INLINE static inline __attribute__((always_inline))

typedef double list_row[LIST_BLOCK]; // a value of each group

typedef struct list_block {
    list_row x[LIST_BLOCK_SIZE]; // by item, or by rank
    list_row slope[LIST_BLOCK_SIZE];
    list_row max[LIST_BLOCK_SIZE]; // of running sums
    list_row sum[LIST_BLOCK_SIZE];
    uint32_t word[LIST_BLOCK_SIZE][LIST_BLOCK]; // gradients
    int32_t place[LIST_BLOCK_SIZE][LIST_BLOCK]; // of item i in x
    list_row loss, weight;
    int32_t target[LIST_BLOCK];
    int32_t fits[LIST_BLOCK]; // the group is done here
} list_block;

// Whether the options of a call suit blocks.
static int list_block_suits(const merit_preference_list_args *a)
{
    const merit_preference_list_desc *const d = &a->d;
    const merit_groups *const g = &d->groups;
    const int layout = g->group_size >= 2 && g->group_size <= LIST_BLOCK_SIZE &&
                       g->group_stride == g->group_size && g->index == NULL && a->io.mask == NULL;
    const int plain =
        d->center == MERIT_LIST_CENTER_NONE && a->io.metrics == NULL && a->io.lse == NULL;
    if (!layout || !plain) return 0;
    if (d->mode == MERIT_LIST_MODE_PLACKETT_LUCE) return d->top_k == 0;
    return d->mode == MERIT_LIST_MODE_CROSS_ENTROPY && d->target == MERIT_LIST_TARGET_INDEX &&
           d->smoothing == 0.0f;
}

// Reading -------------------------------------------------------------------------------------------

// Where the items of a group lie in x: by rank, which must be 0, 1, ... in some order. Returns whether
// they are.
BLOCK_INLINE int block_place(const int32_t *ranks, int size, int l, list_block *b)
{
    uint32_t seen = 0;
    for (int i = 0; i < size; i++) {
        const int good = ranks[i] >= 0 && ranks[i] < size;
        b->place[i][l] = good ? ranks[i] : 0;
        seen |= (uint32_t)good << (ranks[i] & 31);
    }
    return seen == 0xffffffffu >> (32 - size);
}

BLOCK_INLINE void block_read(const merit_preference_list_args *a, int32_t dtype, int size,
                             int64_t first, list_block *b)
{
    const int ranked = a->d.mode == MERIT_LIST_MODE_PLACKETT_LUCE;
    const double inf = m_inf64();
    for (int l = 0; l < LIST_BLOCK; l++) {
        const int64_t row = (first + l) * size;
        const double weight = merit_list_weight(a, first + l);
        int fits = weight > 0.0 && weight < inf;
        b->weight[l] = weight;
        if (ranked) {
            fits = fits && block_place(a->io.ranks + row, size, l, b);
        } else {
            b->target[l] = a->io.target_index[first + l];
            fits = fits && b->target[l] >= 0 && b->target[l] < size;
        }
        for (int i = 0; i < size; i++) {
            const int place = ranked && fits ? b->place[i][l] : i;
            double s = 0.0; // of a group that does not fit
            if (fits) s = m_load_real(a->io.scores, dtype, (row + i) * a->d.score_stride);
            b->x[place][l] = m_add64(s, 0.0);
        }
        b->fits[l] = fits;
    }
    for (int i = 0; i < size; i++) {
        for (int l = 0; l < LIST_BLOCK; l++) {
            b->fits[l] &= (b->x[i][l] < inf) & (b->x[i][l] > -inf);
        }
        for (int l = 0; l < LIST_BLOCK && a->d.tau != 1.0f; l++) {
            b->x[i][l] = m_div64(b->x[i][l], (double)a->d.tau);
        }
    }
}

// CROSS_ENTROPY -------------------------------------------------------------------------------------

// The canonical sum of rows. Destroys them.
BLOCK_INLINE void block_sum(int size, list_row *rows, double *sum)
{
    for (int count = size; count > 1; count = (count + 1) / 2) {
        for (int i = 0; i < count / 2; i++) {
            for (int l = 0; l < LIST_BLOCK; l++) {
                rows[i][l] = m_add64(rows[2 * i][l], rows[2 * i + 1][l]);
            }
        }
        for (int l = 0; l < LIST_BLOCK && count % 2 != 0; l++) {
            rows[count / 2][l] = m_add64(rows[count - 1][l], 0.0);
        }
    }
    for (int l = 0; l < LIST_BLOCK; l++) {
        sum[l] = rows[0][l];
    }
}

// Two members: the loss of a pair.
BLOCK_INLINE void block_pair(list_block *b)
{
    for (int l = 0; l < LIST_BLOCK; l++) {
        const int second = b->target[l] == 1;
        const double own = second ? b->x[1][l] : b->x[0][l];
        const double other = second ? b->x[0][l] : b->x[1][l];
        const double gap = m_sub64(own, other);
        const merit_logistic v = m_logistic(m_round32(-gap));
        const double size = (double)v.sigmoid;
        b->loss[l] = merit_preference_softplus_of(v, -gap);
        b->slope[0][l] = second ? size : -size;
        b->slope[1][l] = second ? -size : size;
    }
}

BLOCK_INLINE void block_cross_entropy(int size, list_block *b)
{
    list_row max, total, reciprocal, at_target;
    for (int l = 0; l < LIST_BLOCK; l++) {
        max[l] = b->x[0][l];
        at_target[l] = b->x[b->target[l] & (LIST_BLOCK_SIZE - 1)][l];
    }
    for (int i = 1; i < size; i++) {
        for (int l = 0; l < LIST_BLOCK; l++) {
            max[l] = b->x[i][l] > max[l] ? b->x[i][l] : max[l];
        }
    }
    for (int i = 0; i < size; i++) {
        float e[LIST_BLOCK];
        for (int l = 0; l < LIST_BLOCK; l++) {
            e[l] = m_round32(m_sub64(b->x[i][l], max[l]));
        }
        for (int l = 0; l < LIST_BLOCK; l++) {
            e[l] = m_exp(e[l]);
        }
        for (int l = 0; l < LIST_BLOCK; l++) {
            b->slope[i][l] = (double)e[l];
            b->sum[i][l] = (double)e[l];
        }
    }
    block_sum(size, b->sum, total);
    for (int l = 0; l < LIST_BLOCK; l++) {
        reciprocal[l] = m_div64(1.0, total[l]);
        b->loss[l] = m_add64(m_sub64(max[l], at_target[l]), m_log64(total[l]));
    }
    for (int i = 0; i < size; i++) {
        for (int l = 0; l < LIST_BLOCK; l++) {
            const merit_divisor64 divisor = {total[l], reciprocal[l], 1};
            const double p = m_quotient_unchecked64(b->slope[i][l], divisor);
            b->slope[i][l] = m_sub64(p, b->target[l] == i ? 1.0 : 0.0);
        }
    }
}

// PLACKETT_LUCE -------------------------------------------------------------------------------------

// merit_list_running_merge of finite maxima.
BLOCK_INLINE void block_merge(list_block *b, int to, int from)
{
    list_row gap, factor;
    for (int l = 0; l < LIST_BLOCK; l++) {
        gap[l] = -m_abs64(m_sub64(b->max[from][l], b->max[to][l]));
    }
    for (int l = 0; l < LIST_BLOCK; l++) {
        factor[l] = m_exp64(gap[l]);
    }
    for (int l = 0; l < LIST_BLOCK; l++) {
        const int stays = b->max[to][l] >= b->max[from][l];
        const double large = stays ? b->sum[to][l] : b->sum[from][l];
        const double small = stays ? b->sum[from][l] : b->sum[to][l];
        b->max[to][l] = stays ? b->max[to][l] : b->max[from][l];
        b->sum[to][l] = m_add64(large, m_mul64(small, factor[l]));
    }
}

BLOCK_INLINE void block_begin_running(int size, list_block *b, list_row *from, double sign)
{
    for (int p = 0; p < size; p++) {
        for (int l = 0; l < LIST_BLOCK; l++) {
            b->max[p][l] = m_mul64(sign, from[p][l]);
            b->sum[p][l] = 1.0;
        }
    }
}

// In place: log-sum-exp from the maxima and the sums.
BLOCK_INLINE void block_log(int size, list_block *b)
{
    for (int p = 0; p < size; p++) {
        for (int l = 0; l < LIST_BLOCK; l++) {
            b->max[p][l] = m_add64(b->max[p][l], m_log64(b->sum[p][l]));
        }
    }
}

// list_plackett_luce: the ranks are positions, each a stage of its own.
BLOCK_INLINE void block_plackett_luce(const merit_preference_list_args *a, int size, list_block *b)
{
    const double terms = a->d.inner == MERIT_LIST_INNER_MEAN ? (double)size : 1.0;
    block_begin_running(size, b, b->x, 1.0);
    for (int distance = 1; distance < size; distance *= 2) {
        for (int p = 0; p + distance < size; p++) {
            block_merge(b, p, p + distance);
        }
    }
    block_log(size, b); // over the risk set of p
    for (int p = 0; p < size; p++) {
        for (int l = 0; l < LIST_BLOCK; l++) {
            b->slope[p][l] = b->max[p][l];
            b->sum[p][l] = m_sub64(b->max[p][l], b->x[p][l]);
        }
    }
    block_sum(size, b->sum, b->loss);
    for (int l = 0; l < LIST_BLOCK && terms != 1.0; l++) {
        b->loss[l] = m_div64(b->loss[l], terms);
    }
    if (a->io.grad_scores == NULL) return;
    block_begin_running(size, b, b->slope, -1.0);
    for (int distance = 1; distance < size; distance *= 2) {
        for (int p = size - 1; p >= distance; p--) {
            block_merge(b, p, p - distance);
        }
    }
    block_log(size, b); // of the stages up to p
    for (int p = 0; p < size; p++) {
        for (int l = 0; l < LIST_BLOCK; l++) {
            b->slope[p][l] = m_sub64(m_exp64(m_add64(b->x[p][l], b->max[p][l])), 1.0);
        }
        for (int l = 0; l < LIST_BLOCK && terms != 1.0; l++) {
            b->slope[p][l] = m_div64(b->slope[p][l], terms);
        }
    }
}

// Results -------------------------------------------------------------------------------------------

// merit_list_finish of all items.
BLOCK_INLINE void block_write(const merit_preference_list_args *a, int32_t dtype, int size,
                              int64_t first, double scale, list_block *b)
{
    const int ranked = a->d.mode == MERIT_LIST_MODE_PLACKETT_LUCE;
    for (int i = 0; i < size; i++) {
        for (int l = 0; l < LIST_BLOCK && a->d.tau != 1.0f; l++) {
            b->slope[i][l] = m_div64(b->slope[i][l], (double)a->d.tau);
        }
        for (int l = 0; l < LIST_BLOCK; l++) {
            const double ds = b->slope[i][l];
            b->slope[i][l] = ds == 0.0 ? ds : m_mul64(m_mul64(scale, b->weight[l]), ds);
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
    const merit_list_outcome none = merit_list_outcome_empty();
    block_read(a, dtype, size, first, b);
    if (a->d.mode == MERIT_LIST_MODE_PLACKETT_LUCE) {
        block_plackett_luce(a, size, b);
    } else if (size == 2) {
        block_pair(b);
    } else {
        block_cross_entropy(size, b);
    }
    for (int l = 0; l < LIST_BLOCK; l++) {
        if (!b->fits[l]) continue;
        const merit_list_group g = {.group = first + l,
                                    .fate = MERIT_LIST_PRESENT,
                                    .weight = b->weight[l],
                                    .loss = b->loss[l]};
        merit_list_record(a, &g, &none);
    }
    if (a->io.grad_scores != NULL) block_write(a, dtype, size, first, scale, b);
}

#endif
