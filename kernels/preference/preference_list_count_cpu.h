// preference_list, CPU: how many groups count in MEAN_VALID.
#ifndef MERIT_PREFERENCE_LIST_COUNT_CPU_H
#define MERIT_PREFERENCE_LIST_COUNT_CPU_H

#include "preference_list.h"

// merit_list_counts of groups of one size whose items all are members, where a look at each tells.
static int counts_fast(const merit_preference_list_args *a)
{
    const merit_groups *const g = &a->d.groups;
    return g->group_size >= 2 && g->index == NULL && a->io.mask == NULL && !a->d.skip_invalid &&
           a->io.group_weight == NULL && a->d.mode == MERIT_LIST_MODE_CROSS_ENTROPY;
}

static int64_t count_fast(const merit_preference_list_args *a, int64_t begin, int64_t end)
{
    const merit_groups *const g = &a->d.groups;
    int64_t valid = 0;
    if (a->d.target == MERIT_LIST_TARGET_INDEX) {
        const int32_t *const targets = a->io.target_index;
        for (int64_t group = begin; group < end; group++) {
            valid += targets[group] >= 0;
        }
        return valid;
    }
    for (int64_t group = begin; group < end; group++) {
        const float *const weights = a->io.weights + group * g->group_stride;
        int some = 0;
        for (int64_t i = 0; i < g->group_size && !some; i++) {
            some = !(weights[i] == 0.0f);
        }
        valid += some;
    }
    return valid;
}

static void count_groups(void *state, int64_t begin, int64_t end)
{
    merit_preference_list_args *const a = state;
    const int fast = counts_fast(a);
    int64_t valid = fast ? count_fast(a, begin, end) : 0;
    for (int64_t group = begin; group < end && !fast; group++) {
        valid += merit_list_counts(a, group);
    }
    __atomic_fetch_add(&a->num_valid, valid, __ATOMIC_RELAXED);
}

#endif
