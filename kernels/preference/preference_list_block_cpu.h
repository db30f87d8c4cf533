// preference_list, CPU: sixteen short groups side by side, by loops that the compiler turns into vectors.
// For groups of 2 to 64 scores, ragged, masked or not. Groups are taken one by
// one into the block of their size; a member that is not there has no weight in any sum. Groups with an
// infinite or NaN score, without content, with ranks that are not 0, 1, ... in some order, or with a weight
// that is not positive go through the general path.
#ifndef MERIT_PREFERENCE_LIST_BLOCK_CPU_H
#define MERIT_PREFERENCE_LIST_BLOCK_CPU_H

#include "preference_list_block_pairs_cpu.h"
#include "preference_list_block_rows_cpu.h"

// Whether the options of a call suit blocks.
static int list_block_suits(const merit_preference_list_args *a)
{
    const merit_preference_list_desc *const d = &a->d;
    const merit_groups *const g = &d->groups;
    const int layout =
        g->group_size == 0 || (g->group_size >= 2 && g->group_size <= LIST_BLOCK_SIZE &&
                               g->group_stride == g->group_size);
    return layout && g->index == NULL && d->top_k == 0;
}

// Groups share a block with others of about their size: pairs, up to 4, 8, 16, 32, 64.
enum { LIST_BLOCKS = 6 };

static int list_block_of(int size, int is_pair)
{
    return is_pair ? 0 : size <= 4 ? 1 : size <= 8 ? 2 : size <= 16 ? 3 : size <= 32 ? 4 : 5;
}

// Reading -------------------------------------------------------------------------------------------
//
// all: every item is a member and row i is item i, so that neither `in` nor, but for ranks, `place` is used.

BLOCK_INLINE int block_is_in(const list_block *b, int i, int l, int all)
{
    return all || b->in[i][l];
}

// -1: no row.
BLOCK_INLINE int block_row(const list_block *b, int i, int l, int all)
{
    return all ? i : b->place[i][l];
}

// Each returns whether what the mode wants of group l suits; kind: what the metrics call positive.

BLOCK_INLINE int block_read_ranks(const int32_t *ranks, int size, int members, int l, int all,
                                  list_block *b)
{
    uint64_t seen = 0;
    int absent = members;
    for (int i = 0; i < size; i++) {
        if (!all) b->q[i][l] = i < members ? 1.0 : 0.0;
        if (!block_is_in(b, i, l, all)) {
            b->place[i][l] = absent++;
            b->kind[i][l] = 0.0;
            continue;
        }
        const int good = ranks[i] >= 0 && ranks[i] < members;
        b->place[i][l] = good ? ranks[i] : 0;
        b->kind[i][l] = ranks[i] == 0 ? 1.0 : -1.0;
        seen |= (uint64_t)good << (ranks[i] & 63);
    }
    return seen == ~(uint64_t)0 >> (64 - members);
}

BLOCK_INLINE int block_read_target(int32_t target, int size, int l, int all, list_block *b)
{
    for (int i = 0; i < size; i++) {
        const int row = block_row(b, i, l, all);
        if (row < 0) continue;
        const int member = block_is_in(b, i, l, all);
        b->kind[row][l] = !member ? 0.0 : i == target ? 1.0 : -1.0;
        b->q[row][l] = member && i == target ? 1.0 : 0.0;
    }
    return target >= 0 && target < size && block_is_in(b, target, l, all);
}

BLOCK_INLINE int block_read_weights(const float *weights, int size, int l, int all, list_block *b)
{
    int good = 1;
    int some = 0;
    for (int i = 0; i < size; i++) {
        const int row = block_row(b, i, l, all);
        if (row < 0) continue;
        const int member = block_is_in(b, i, l, all);
        const float weight = member ? weights[i] : 0.0f;
        b->kind[row][l] = !member ? 0.0 : weight > 0.0f ? 1.0 : -1.0;
        b->q[row][l] = (double)weight;
        good &= weight >= 0.0f && weight < m_inf32();
        some |= weight > 0.0f;
    }
    return good && some;
}

BLOCK_INLINE int block_read_signs(const merit_preference_list_desc *d, const int8_t *signs,
                                  int size, int l, int all, list_block *b)
{
    const int both = d->require_both || d->anchored == MERIT_ANCHORED_PRODUCT;
    int positives = 0;
    int negatives = 0;
    int good = 1;
    for (int i = 0; i < size; i++) {
        const int sign = block_is_in(b, i, l, all) ? signs[i] : 0;
        b->kind[i][l] = (double)sign;
        positives += sign > 0;
        negatives += sign < 0;
        good &= sign >= -1 && sign <= 1;
    }
    if (d->inner == MERIT_LIST_INNER_MEAN) b->terms[l] = (double)(positives + negatives);
    return good && (both ? positives > 0 && negatives > 0 : positives + negatives > 0);
}

BLOCK_INLINE int block_read_labels(const float *labels, int size, int l, int all, list_block *b)
{
    float best = -m_inf32(), worst = m_inf32();
    int good = 1;
    for (int i = 0; i < size; i++) {
        const float label = block_is_in(b, i, l, all) ? labels[i] : m_nan32();
        good &= !m_is_nan32(label) || !block_is_in(b, i, l, all);
        best = label > best ? label : best;
        worst = label < worst ? label : worst;
        b->q[i][l] = (double)label;
    }
    for (int i = 0; i < size; i++) {
        b->kind[i][l] = !block_is_in(b, i, l, all) ? 0.0 : b->q[i][l] == (double)best ? 1.0 : -1.0;
    }
    return good && best > worst;
}

BLOCK_INLINE int block_read_mode(const merit_preference_list_args *a, int64_t group, int members,
                                 int l, int all, list_block *b)
{
    const int64_t row = b->begin[l];
    const int size = b->length[l];
    b->terms[l] = 1.0;
    switch (a->d.mode) {
    case MERIT_LIST_MODE_PLACKETT_LUCE:
        if (a->d.inner == MERIT_LIST_INNER_MEAN) b->terms[l] = (double)members;
        return block_read_ranks(a->io.ranks + row, size, members, l, all, b);
    case MERIT_LIST_MODE_ALL_PAIRS: return block_read_labels(a->io.labels + row, size, l, all, b);
    case MERIT_LIST_MODE_ANCHORED:
        return block_read_signs(&a->d, a->io.signs + row, size, l, all, b);
    default:
        if (a->d.target == MERIT_LIST_TARGET_WEIGHTS) {
            return block_read_weights(a->io.weights + row, size, l, all, b);
        }
        return block_read_target(a->io.target_index[group], size, l, all, b);
    }
}

// Whether each item is a member, its row, and the number of members. Of pairs, only the members have rows.
BLOCK_INLINE int block_read_members(const uint8_t *mask, int size, int is_pair, int l,
                                    list_block *b)
{
    int members = 0;
    for (int i = 0; i < size; i++) {
        const int member = mask == NULL || mask[i] != 0;
        b->in[i][l] = member;
        b->place[i][l] = !is_pair ? i : member ? members : -1;
        members += member;
    }
    return members;
}

// Takes a group as the next of the block, if it suits.
BLOCK_INLINE int block_take(const merit_preference_list_args *a, int32_t dtype, int64_t group,
                            const merit_list_span *span, int is_pair, int all, list_block *b)
{
    const int l = b->count;
    const int size = (int)span->size;
    const double inf = m_inf64();
    const double weight = merit_list_weight(a, group);
    int members = size;
    if (!all) {
        const uint8_t *const mask = a->io.mask == NULL ? NULL : a->io.mask + span->begin;
        members = block_read_members(mask, size, is_pair, l, b);
    }
    b->group[l] = group;
    b->begin[l] = span->begin;
    b->length[l] = size;
    b->weight[l] = weight;
    b->members[l] = (double)members;
    int good = weight > 0.0 && weight < inf;
    if (!good || !block_read_mode(a, group, members, l, all, b)) return 0;
    const int ranked = a->d.mode == MERIT_LIST_MODE_PLACKETT_LUCE; // x by item for now
    const int later = block_reads_rows(a, dtype, all);
    if (later) good = block_are_finite((const float *)a->io.scores + span->begin, size);
    for (int i = 0; i < size && !later; i++) {
        const int row = ranked ? i : block_row(b, i, l, all);
        if (row < 0) continue;
        const int64_t at = (span->begin + i) * a->d.score_stride;
        const int member = block_is_in(b, i, l, all);
        const double s = member ? m_add64(m_load_real(a->io.scores, dtype, at), 0.0) : 0.0;
        good &= (s < inf) & (s > -inf);
        b->x[row][l] = s;
    }
    if (!good) return 0;
    const int used = is_pair ? 2 : size;
    b->is_sparse |= (b->count > 0 && used != b->size) || (!is_pair && members != size);
    b->size = used > b->size ? used : b->size;
    b->count++;
    return 1;
}

// Rows behind the last of each group, and something that every mode takes where no group is.
BLOCK_INLINE void block_fill(int is_pair, list_block *b)
{
    for (int l = 0; l < LIST_BLOCK; l++) {
        const int empty = l >= b->count;
        if (empty) {
            b->terms[l] = 1.0;
            b->members[l] = (double)b->size;
            b->weight[l] = 0.0;
        }
        for (int i = empty || is_pair ? 0 : b->length[l]; i < b->size && (empty || !is_pair); i++) {
            b->place[i][l] = i;
            b->in[i][l] = empty;
            b->kind[i][l] = !empty ? 0.0 : i == 0 ? 1.0 : -1.0;
            b->q[i][l] = empty ? 1.0 : 0.0;
            b->x[i][l] = 0.0;
        }
    }
}

// n / (n - 1), or 1.
BLOCK_INLINE void block_factor(const merit_preference_list_args *a, const list_block *b,
                               double *factor)
{
    for (int l = 0; l < LIST_BLOCK; l++) {
        const double n = b->members[l];
        const int leaves_out = a->d.center == MERIT_LIST_CENTER_LEAVE_ONE_OUT;
        factor[l] = leaves_out ? m_div64(n, m_sub64(n, 1.0)) : 1.0;
    }
}

// From scores to x = u / tau.
BLOCK_INLINE void block_settle(const merit_preference_list_args *a, int size, list_block *b)
{
    if (a->d.center != MERIT_LIST_CENTER_NONE) {
        list_row factor;
        block_factor(a, b, factor);
        block_sum_of(size, b->x, b->sum, b->mean);
        for (int l = 0; l < LIST_BLOCK; l++) {
            b->mean[l] = m_div64(b->mean[l], b->members[l]);
        }
        for (int i = 0; i < size; i++) {
            for (int l = 0; l < LIST_BLOCK; l++) {
                b->x[i][l] = m_mul64(m_sub64(b->x[i][l], b->mean[l]), factor[l]);
            }
        }
    }
    for (int i = 0; i < size && a->d.tau != 1.0f; i++) {
        for (int l = 0; l < LIST_BLOCK; l++) {
            b->x[i][l] = m_div64(b->x[i][l], (double)a->d.tau);
        }
    }
    for (int i = 0; i < size && b->is_sparse; i++) {
        for (int l = 0; l < LIST_BLOCK; l++) {
            const double x = b->x[i][l]; // loaded before it is chosen: gcc 12 is wrong otherwise
            b->x[i][l] = b->in[i][l] ? x : block_absent(a);
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
BLOCK_INLINE void block_record(const merit_preference_list_args *a, const list_block *b)
{
    for (int l = 0; l < b->count; l++) {
        merit_list_outcome outcome = {.above = (int64_t)b->above[l]};
        if (a->d.mode == MERIT_LIST_MODE_ALL_PAIRS) {
            outcome.concordant = b->concordant[l];
            outcome.discordant = b->discordant[l];
            outcome.tied = b->tied[l];
        }
        merit_list_group g = {.group = b->group[l],
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
BLOCK_INLINE void block_write(const merit_preference_list_args *a, int32_t dtype, int size, int all,
                              double scale, list_block *b)
{
    const int ranked = a->d.mode == MERIT_LIST_MODE_PLACKETT_LUCE;
    const int centers = a->d.center != MERIT_LIST_CENTER_NONE;
    list_row t, factor;
    block_factor(a, b, factor);
    for (int l = 0; l < LIST_BLOCK; l++) {
        t[l] = m_mul64(scale, b->weight[l]);
    }
    for (int i = 0; i < size; i++) {
        for (int l = 0; l < LIST_BLOCK && a->d.inner == MERIT_LIST_INNER_MEAN; l++) {
            b->slope[i][l] = m_div64(b->slope[i][l], b->terms[l]);
        }
    }
    if (centers) block_sum_of(size, b->slope, b->sum, b->mean);
    for (int l = 0; l < LIST_BLOCK && centers; l++) {
        b->mean[l] = m_div64(b->mean[l], b->members[l]);
    }
    for (int i = 0; i < size; i++) {
        for (int l = 0; l < LIST_BLOCK && centers; l++) {
            b->slope[i][l] = m_mul64(factor[l], m_sub64(b->slope[i][l], b->mean[l]));
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
    int done = 0;
    if (all && dtype == MERIT_DTYPE_F32 && a->d.grad_stride == 1 && !ranked) {
        done = block_write_rows((float *)a->io.grad_scores, size, b);
    }
    for (int l = 0; l < b->count; l++) {
        for (int i = done; i < b->length[l]; i++) {
            const int64_t at = (b->begin[l] + i) * a->d.grad_stride;
            const int row = ranked ? b->place[i][l] : block_row(b, i, l, all);
            const uint32_t word = block_is_in(b, i, l, all) ? b->word[row][l] : 0; // +0
            preference_store_word(dtype, a->io.grad_scores, at, word);
        }
    }
}

// The groups of a block, which is then empty. scale: grad_scale / D.
BLOCK_INLINE void list_run_block(const merit_preference_list_args *a, int32_t dtype, int is_pair,
                                 int all, double scale, list_block *b)
{
    const int anchored = a->d.mode == MERIT_LIST_MODE_ANCHORED;
    const int size = b->size;
    if (block_reads_rows(a, dtype, all)) block_read_rows((const float *)a->io.scores, size, b);
    block_fill(is_pair, b);
    block_settle(a, size, b);
    if (a->io.metrics != NULL || anchored) block_find_extremes(size, b);
    if (a->io.lse != NULL) block_lse(size, b, a->io.lse);
    if (a->d.mode == MERIT_LIST_MODE_PLACKETT_LUCE) {
        block_order(size, b);
        block_plackett_luce(a, size, b);
    } else if (a->d.mode == MERIT_LIST_MODE_ALL_PAIRS) {
        block_all_pairs(a, size, b);
    } else if (!anchored) {
        block_cross_entropy(a, size, is_pair, b);
    } else if (a->d.anchored == MERIT_ANCHORED_POINTWISE) {
        block_pointwise(size, b);
    } else {
        block_sets(size, a->d.anchored == MERIT_ANCHORED_SPLIT, b);
    }
    block_record(a, b);
    if (a->io.grad_scores != NULL) block_write(a, dtype, size, all, scale, b);
    b->count = b->size = b->is_sparse = 0;
}

#endif
