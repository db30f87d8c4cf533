// preference_list, CPU: the modes of sixteen short groups side by side, item by item or rank by rank.
#ifndef MERIT_PREFERENCE_LIST_BLOCK_MODES_CPU_H
#define MERIT_PREFERENCE_LIST_BLOCK_MODES_CPU_H

#include "../core/quotient.h"
#include "preference_list.h"
#include "preference_words_cpu.h"

enum { LIST_BLOCK = PREFERENCE_WORDS, LIST_BLOCK_SIZE = 64, LIST_CHUNK = 32 };

#define BLOCK_INLINE static inline __attribute__((always_inline))

typedef double list_row[LIST_BLOCK]; // a value of each group

typedef struct list_block {
    list_row x[LIST_BLOCK_SIZE]; // by item; PLACKETT_LUCE: by rank, once centered
    list_row q
        [LIST_BLOCK_SIZE]; // CROSS_ENTROPY: weights, then shares; PLACKETT_LUCE: 1 for a stage; labels
    list_row slope[LIST_BLOCK_SIZE]; // as x
    list_row max[LIST_BLOCK_SIZE]; // of running sums; scratch
    list_row sum[LIST_BLOCK_SIZE];
    uint32_t word[LIST_BLOCK_SIZE][LIST_BLOCK]; // gradients
    int32_t place[LIST_BLOCK_SIZE][LIST_BLOCK]; // row of item i; PLACKETT_LUCE: its rank
    int32_t in[LIST_BLOCK_SIZE][LIST_BLOCK]; // item i is a member
    list_row kind[LIST_BLOCK_SIZE]; // 1 positive, -1 negative, 0 neither
    list_row weight, members, mean, loss, terms;
    list_row best_positive, worst_positive, best_negative, above;
    int32_t concordant[LIST_BLOCK], discordant[LIST_BLOCK], tied[LIST_BLOCK]; // ALL_PAIRS
    int64_t group[LIST_BLOCK], begin[LIST_BLOCK]; // the group and its first row
    int32_t length[LIST_BLOCK]; // its items, members or not
    int32_t count; // groups taken
    int32_t size; // rows in use: of the longest of them
    int32_t is_sparse; // some row of some group is no member's
} list_block;

// What stands for the x of no member: no share of a softmax; below any score, in a running sum.
BLOCK_INLINE double block_absent(const merit_preference_list_args *a)
{
    if (a->d.mode == MERIT_LIST_MODE_ANCHORED) return 0.0; // its sign is 0
    if (a->d.mode == MERIT_LIST_MODE_ALL_PAIRS) return 0.0; // its label is NaN
    return a->d.mode == MERIT_LIST_MODE_PLACKETT_LUCE ? -0x1p1020 : -m_inf64();
}

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

// The same of rows that stay.
BLOCK_INLINE void block_sum_of(int size, list_row *rows, list_row *scratch, double *sum)
{
    memcpy(scratch, rows, (size_t)size * sizeof *rows);
    block_sum(size, scratch, sum);
}

// merit_list_exp(x, top).
BLOCK_INLINE void block_exp(const double *x, const double *top, double *e)
{
    float y[LIST_BLOCK];
    for (int l = 0; l < LIST_BLOCK; l++) {
        y[l] = m_round32(m_sub64(x[l], top[l]));
    }
    for (int l = 0; l < LIST_BLOCK; l++) {
        y[l] = m_exp(y[l]);
    }
    for (int l = 0; l < LIST_BLOCK; l++) {
        e[l] = (double)y[l];
    }
}

// Sum of exp(x - max), and the exponentials in slope.
BLOCK_INLINE void block_softmax(int size, list_row *x, list_block *b, double *max, double *total)
{
    for (int l = 0; l < LIST_BLOCK; l++) {
        max[l] = x[0][l];
    }
    for (int i = 1; i < size; i++) {
        for (int l = 0; l < LIST_BLOCK; l++) {
            max[l] = x[i][l] > max[l] ? x[i][l] : max[l];
        }
    }
    for (int i = 0; i < size; i++) {
        block_exp(x[i], max, b->slope[i]);
    }
    block_sum_of(size, b->slope, b->sum, total);
}

// merit_list_lse of every group. Uses slope.
BLOCK_INLINE void block_lse(int size, list_block *b, float *lse)
{
    list_row max, total;
    for (int i = 0; i < size && b->is_sparse; i++) {
        for (int l = 0; l < LIST_BLOCK; l++) {
            const double x = b->x[i][l];
            b->max[i][l] = b->in[i][l] ? x : -m_inf64();
        }
    }
    block_softmax(size, b->is_sparse ? b->max : b->x, b, max, total);
    for (int l = 0; l < LIST_BLOCK; l++) {
        const float value = m_round32(m_add64(max[l], m_log64(total[l])));
        if (l < b->count) lse[b->group[l]] = value;
    }
}

// CROSS_ENTROPY -------------------------------------------------------------------------------------

// From weights (INDEX: 1 at the target) to shares.
BLOCK_INLINE void block_shares(const merit_preference_list_args *a, int size, list_block *b)
{
    const double e = (double)a->d.smoothing;
    list_row total, each;
    for (int l = 0; l < LIST_BLOCK && e != 0.0; l++) {
        each[l] = m_div64(e, b->members[l]);
    }
    if (a->d.target == MERIT_LIST_TARGET_WEIGHTS) {
        block_sum_of(size, b->q, b->sum, total);
        for (int i = 0; i < size; i++) {
            for (int l = 0; l < LIST_BLOCK; l++) {
                b->q[i][l] = m_div64(b->q[i][l], total[l]);
            }
        }
    }
    for (int i = 0; i < size && e != 0.0; i++) {
        for (int l = 0; l < LIST_BLOCK; l++) {
            b->q[i][l] = m_add64(m_mul64(m_sub64(1.0, e), b->q[i][l]), each[l]);
        }
        for (int l = 0; l < LIST_BLOCK && b->is_sparse; l++) {
            const double q = b->q[i][l];
            b->q[i][l] = b->in[i][l] ? q : 0.0;
        }
    }
}

// Two members: the loss of a pair.
BLOCK_INLINE void block_pair(list_block *b)
{
    for (int i = 0; i < 2; i++) {
        const double *const q = b->q[i];
        const double *const other = b->q[1 - i];
        for (int l = 0; l < LIST_BLOCK; l++) {
            const double gap = m_sub64(b->x[i][l], b->x[1 - i][l]);
            const merit_logistic behind = m_logistic(m_round32(-gap));
            const merit_logistic ahead = m_logistic(m_round32(gap));
            const double loss = m_mul64(q[l], merit_preference_softplus_of(behind, -gap));
            const double won = m_mul64(q[l], -(double)behind.sigmoid);
            const double lost = m_mul64(other[l], -(double)ahead.sigmoid);
            b->sum[i][l] = q[l] == 0.0 ? 0.0 : loss;
            b->slope[i][l] = m_sub64(q[l] == 0.0 ? 0.0 : won, other[l] == 0.0 ? 0.0 : lost);
        }
    }
    block_sum(2, b->sum, b->loss);
}

BLOCK_INLINE void block_cross_entropy(const merit_preference_list_args *a, int size, int is_pair,
                                      list_block *b)
{
    list_row max, total, reciprocal, log_sum;
    block_shares(a, size, b);
    if (is_pair) {
        block_pair(b);
        return;
    }
    block_softmax(size, b->x, b, max, total);
    for (int l = 0; l < LIST_BLOCK; l++) {
        reciprocal[l] = m_div64(1.0, total[l]);
        log_sum[l] = m_log64(total[l]);
    }
    for (int i = 0; i < size; i++) {
        for (int l = 0; l < LIST_BLOCK; l++) {
            const merit_divisor64 divisor = {total[l], reciprocal[l], 1};
            const double q = b->q[i][l];
            const double loss = m_mul64(q, m_add64(m_sub64(max[l], b->x[i][l]), log_sum[l]));
            b->sum[i][l] = q == 0.0 ? 0.0 : loss;
            b->slope[i][l] = m_sub64(m_quotient_unchecked64(b->slope[i][l], divisor), q);
        }
    }
    block_sum(size, b->sum, b->loss);
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
    if (b->is_sparse) memcpy(b->sum, b->q, (size_t)size * sizeof *b->q);
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

// 0 where there is no stage.
BLOCK_INLINE void block_keep_stages(int size, list_block *b, list_row *rows)
{
    for (int p = 0; p < size && b->is_sparse; p++) {
        for (int l = 0; l < LIST_BLOCK; l++) {
            const double value = rows[p][l];
            rows[p][l] = b->q[p][l] != 0.0 ? value : 0.0;
        }
    }
}

// list_run_back and list_run_forth: a chunk of ranks by doubling, then all of it with the chunk before.
BLOCK_INLINE void block_run_back(int size, list_block *b)
{
    for (int start = (size - 1) / LIST_CHUNK * LIST_CHUNK; start >= 0; start -= LIST_CHUNK) {
        const int end = size - start < LIST_CHUNK ? size : start + LIST_CHUNK;
        for (int distance = 1; distance < end - start; distance *= 2) {
            for (int p = start; p + distance < end; p++) {
                block_merge(b, p, p + distance);
            }
        }
        for (int p = start; p < end && end < size; p++) {
            block_merge(b, p, end);
        }
    }
}

BLOCK_INLINE void block_run_forth(int size, list_block *b)
{
    for (int start = 0; start < size; start += LIST_CHUNK) {
        const int end = size - start < LIST_CHUNK ? size : start + LIST_CHUNK;
        for (int distance = 1; distance < end - start; distance *= 2) {
            for (int p = end - 1; p >= start + distance; p--) {
                block_merge(b, p, p - distance);
            }
        }
        for (int p = start; p < end && start > 0; p++) {
            block_merge(b, p, start - 1);
        }
    }
}

// list_plackett_luce: the ranks are positions, each a stage of its own.
BLOCK_INLINE void block_plackett_luce(const merit_preference_list_args *a, int size, list_block *b)
{
    block_begin_running(size, b, b->x, 1.0);
    block_run_back(size, b);
    block_log(size, b); // over the risk set of p
    for (int p = 0; p < size; p++) {
        for (int l = 0; l < LIST_BLOCK; l++) {
            b->slope[p][l] = b->max[p][l];
            b->sum[p][l] = m_sub64(b->max[p][l], b->x[p][l]);
        }
    }
    block_keep_stages(size, b, b->slope);
    block_keep_stages(size, b, b->sum);
    block_sum(size, b->sum, b->loss);
    if (a->io.grad_scores == NULL) return;
    block_begin_running(size, b, b->slope, -1.0);
    block_run_forth(size, b);
    block_log(size, b); // of the stages up to p
    for (int p = 0; p < size; p++) {
        for (int l = 0; l < LIST_BLOCK; l++) {
            b->slope[p][l] = m_sub64(m_exp64(m_add64(b->x[p][l], b->max[p][l])), 1.0);
        }
    }
    block_keep_stages(size, b, b->slope);
}

// ANCHORED ------------------------------------------------------------------------------------------
//
// Signs are factors, and what a condition chooses from is computed before: so the loops become vectors.
// Adding +0 makes -0 a +0.

BLOCK_INLINE void block_pointwise(int size, list_block *b)
{
    for (int i = 0; i < size; i++) {
        for (int l = 0; l < LIST_BLOCK; l++) {
            const double y = m_mul64(-b->kind[i][l], b->x[i][l]);
            const merit_logistic v = m_logistic(m_round32(y));
            const double loss = merit_preference_softplus_of(v, y);
            b->sum[i][l] = b->kind[i][l] == 0.0 ? 0.0 : loss;
            b->slope[i][l] = m_add64(m_mul64(-b->kind[i][l], (double)v.sigmoid), 0.0);
        }
    }
    block_sum(size, b->sum, b->loss);
}

// SPLIT and PRODUCT: exponentials of each item within its set to slope, the sums of both sets.
BLOCK_INLINE void block_set_sums(int size, const double *top_positive, const double *top_negative,
                                 list_block *b, double *positive, double *negative)
{
    for (int i = 0; i < size; i++) {
        float y[LIST_BLOCK];
        for (int l = 0; l < LIST_BLOCK; l++) {
            const double top = b->kind[i][l] > 0.0 ? top_positive[l] : top_negative[l];
            y[l] = m_round32(m_sub64(m_mul64(-b->kind[i][l], b->x[i][l]), top));
        }
        for (int l = 0; l < LIST_BLOCK; l++) {
            y[l] = m_exp(y[l]);
        }
        for (int l = 0; l < LIST_BLOCK; l++) {
            const double e = (double)y[l];
            b->slope[i][l] = b->kind[i][l] == 0.0 ? 0.0 : e;
            b->sum[i][l] = b->kind[i][l] > 0.0 ? e : 0.0;
            b->max[i][l] = b->kind[i][l] < 0.0 ? e : 0.0;
        }
    }
    block_sum(size, b->sum, positive);
    block_sum(size, b->max, negative);
}

// Adds the anchor's exponential.
BLOCK_INLINE void block_anchor(const double *top, double *total)
{
    float y[LIST_BLOCK];
    for (int l = 0; l < LIST_BLOCK; l++) {
        y[l] = m_round32(m_sub64(0.0, top[l]));
    }
    for (int l = 0; l < LIST_BLOCK; l++) {
        y[l] = m_exp(y[l]);
    }
    for (int l = 0; l < LIST_BLOCK; l++) {
        total[l] = m_add64(total[l], (double)y[l]);
    }
}

// Of groups with both signs under PRODUCT. block_find_extremes comes first.
BLOCK_INLINE void block_sets(int size, int split, list_block *b)
{
    list_row top_positive, top_negative, positive, negative, joint, up, down;
    for (int l = 0; l < LIST_BLOCK; l++) {
        const double worst = b->worst_positive[l];
        const double best = b->best_negative[l];
        top_positive[l] = split && !(worst < 0.0) ? 0.0 : -worst;
        top_negative[l] = split && !(best > 0.0) ? 0.0 : best;
    }
    block_set_sums(size, top_positive, top_negative, b, positive, negative);
    if (split) {
        block_anchor(top_positive, positive);
        block_anchor(top_negative, negative);
    }
    for (int l = 0; l < LIST_BLOCK; l++) {
        up[l] = m_div64(1.0, positive[l]);
        down[l] = m_div64(1.0, negative[l]);
        b->loss[l] = m_add64(m_add64(top_positive[l], m_log64(positive[l])),
                             m_add64(top_negative[l], m_log64(negative[l])));
    }
    for (int l = 0; l < LIST_BLOCK && !split; l++) {
        joint[l] = merit_preference_sigmoid64(b->loss[l]);
        b->loss[l] = m_softplus64(b->loss[l]);
    }
    for (int i = 0; i < size; i++) {
        for (int l = 0; l < LIST_BLOCK; l++) {
            const int is_positive = b->kind[i][l] > 0.0;
            const merit_divisor64 divisor = {is_positive ? positive[l] : negative[l],
                                             is_positive ? up[l] : down[l], 1};
            b->slope[i][l] = m_quotient_unchecked64(b->slope[i][l], divisor);
        }
        for (int l = 0; l < LIST_BLOCK && !split; l++) {
            b->slope[i][l] = m_mul64(joint[l], b->slope[i][l]);
        }
        for (int l = 0; l < LIST_BLOCK; l++) {
            b->slope[i][l] = m_add64(m_mul64(-b->kind[i][l], b->slope[i][l]), 0.0);
        }
    }
}

#endif
