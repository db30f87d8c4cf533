// preference_list: running sums of exponentials over items in the order of their ranks (PLACKETT_LUCE).
#ifndef MERIT_PREFERENCE_LIST_RANKS_H
#define MERIT_PREFERENCE_LIST_RANKS_H

#include "preference_list_input.h"

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

// Groups may overlap when offsets decrease; whatever then lies in their shared arrays, an item of a group
// of this size comes out.
MERIT_HD static inline int64_t merit_list_key_item(uint64_t key, int64_t size)
{
    const int64_t i = (int64_t)(key & 0xffffffffu);
    return i < size ? i : 0;
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

#endif
