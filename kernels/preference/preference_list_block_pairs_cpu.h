// preference_list, CPU: ALL_PAIRS of sixteen short groups side by side.
#ifndef MERIT_PREFERENCE_LIST_BLOCK_PAIRS_CPU_H
#define MERIT_PREFERENCE_LIST_BLOCK_PAIRS_CPU_H

#include "preference_list_block_modes_cpu.h"

// One of two items of each group.
typedef struct block_side {
    const double *x, *label;
    double *loss, *slope;
} block_side;

BLOCK_INLINE block_side block_side_of(list_block *b, int i)
{
    const block_side side = {b->x[i], b->q[i], b->sum[i], b->slope[i]};
    return side;
}

BLOCK_INLINE void block_gather(const list_row value, double *restrict sum)
{
    for (int l = 0; l < LIST_BLOCK; l++) {
        sum[l] = m_add64(sum[l], value[l]);
    }
}

// Two items of each group meet: merit_list_meet for both. kind: a literal.
BLOCK_INLINE void block_meet(const merit_preference_list_args *a, int32_t kind, block_side own,
                             block_side other, list_block *restrict b)
{
    merit_preference_link link = a->link;
    link.link = kind;
    const double margin = (double)a->d.margin;
    list_row loss, slope, won, lost, up, down;
    for (int l = 0; l < LIST_BLOCK; l++) {
        const int wins = own.label[l] > other.label[l];
        const merit_list_pair pair = merit_list_pair_of(&link, margin, wins, own.x[l], other.x[l]);
        loss[l] = pair.loss;
        slope[l] = pair.slope;
    }
    for (int l = 0; l < LIST_BLOCK; l++) {
        const double label = own.label[l], others = other.label[l];
        won[l] = label > others ? loss[l] : 0.0;
        lost[l] = label < others ? loss[l] : 0.0;
        up[l] = label > others ? slope[l] : label < others ? -slope[l] : 0.0;
        down[l] = label < others ? slope[l] : label > others ? -slope[l] : 0.0;
    }
    block_gather(won, own.loss);
    block_gather(lost, other.loss);
    block_gather(up, own.slope);
    block_gather(down, other.slope);
    for (int l = 0; l < LIST_BLOCK; l++) {
        const int wins = own.label[l] > other.label[l];
        const int loses = own.label[l] < other.label[l];
        const int above = own.x[l] > other.x[l];
        const int below = own.x[l] < other.x[l];
        b->concordant[l] += (wins & above) | (loses & below);
        b->discordant[l] += (wins & below) | (loses & above);
        b->tied[l] += (wins | loses) & !above & !below;
    }
}

// Every item meets the others in rising order: those before it in their turns, the rest in its own.
__attribute__((noinline)) static void block_meet_logistic(const merit_preference_list_args *a,
                                                          int size, list_block *b)
{
    for (int i = 0; i < size; i++) {
        for (int j = i + 1; j < size; j++) {
            block_meet(a, MERIT_LINK_LOGISTIC, block_side_of(b, i), block_side_of(b, j), b);
        }
    }
}

__attribute__((noinline)) static void block_meet_hinge(const merit_preference_list_args *a,
                                                       int size, list_block *b)
{
    for (int i = 0; i < size; i++) {
        for (int j = i + 1; j < size; j++) {
            block_meet(a, MERIT_LINK_HINGE, block_side_of(b, i), block_side_of(b, j), b);
        }
    }
}

__attribute__((noinline)) static void block_meet_exponential(const merit_preference_list_args *a,
                                                             int size, list_block *b)
{
    for (int i = 0; i < size; i++) {
        for (int j = i + 1; j < size; j++) {
            block_meet(a, MERIT_LINK_EXPONENTIAL, block_side_of(b, i), block_side_of(b, j), b);
        }
    }
}

// list_all_pairs.
BLOCK_INLINE void block_all_pairs(const merit_preference_list_args *a, int size, list_block *b)
{
    for (int i = 0; i < size && b->is_sparse; i++) {
        for (int l = 0; l < LIST_BLOCK; l++) {
            const double label = b->q[i][l];
            b->q[i][l] = b->in[i][l] ? label : m_nan64(); // meets nobody
        }
    }
    memset(b->sum, 0, (size_t)size * sizeof *b->sum);
    memset(b->slope, 0, (size_t)size * sizeof *b->slope);
    memset(b->concordant, 0, sizeof b->concordant);
    memset(b->discordant, 0, sizeof b->discordant);
    memset(b->tied, 0, sizeof b->tied);
    switch (a->d.link) {
    case MERIT_LINK_HINGE: block_meet_hinge(a, size, b); break;
    case MERIT_LINK_EXPONENTIAL: block_meet_exponential(a, size, b); break;
    default: block_meet_logistic(a, size, b); break;
    }
    block_sum(size, b->sum, b->loss);
    for (int l = 0; l < LIST_BLOCK && a->d.inner == MERIT_LIST_INNER_MEAN; l++) {
        const int32_t pairs = b->concordant[l] + b->discordant[l] + b->tied[l];
        b->terms[l] = pairs > 1 ? (double)pairs : 1.0;
    }
}

#endif
