// advantage_group, CPU: groups of many sizes under the options of advantage_group_dense_cpu.h. Those of one size
// are found by counting within a window of groups, copied next to each other and worked on side by side; the copy
// stays in the cache.
#ifndef MERIT_ADVANTAGE_GROUP_RAGGED_CPU_H
#define MERIT_ADVANTAGE_GROUP_RAGGED_CPU_H

#include <string.h>

#include "advantage_group_dense_cpu.h"

enum {
    RAGGED_WINDOW = 4096, // groups
    RAGGED_LEAST = 2, // groups of one size that are worth a block
    RAGGED_MOST = DENSE_MAX_SIZE * WIDE_WIDTH // rewards of a batch
};

typedef struct ragged_window {
    int64_t first; // group
    int32_t num_others;
    int32_t starts[DENSE_MAX_SIZE + 2]; // where the groups of a size stand in `order`
    uint16_t order[RAGGED_WINDOW]; // groups less `first`, by size
    uint16_t others[RAGGED_WINDOW]; // those that no block takes
    float rewards[RAGGED_MOST];
    float advantages[RAGGED_MOST];
    dense_batch batch;
} ragged_window;

// The size that a block may have for a group, else 0.
static inline int ragged_size(const merit_advantage_group_args *a, int64_t group)
{
    const merit_advantage_span span = merit_advantage_span_of(a, group);
    const int fits =
        span.refusal == MERIT_ADVANTAGE_FINE && span.size >= 2 && span.size <= DENSE_MAX_SIZE;
    return fits ? (int)span.size : 0;
}

// Sorts the groups [first, last).
static void ragged_find(ragged_window *w, const merit_advantage_group_args *a, int64_t first,
                        int64_t last)
{
    uint8_t sizes[RAGGED_WINDOW];
    int32_t next[DENSE_MAX_SIZE + 1] = {0};
    const int count = (int)(last - first);
    for (int i = 0; i < count; i++) {
        sizes[i] = (uint8_t)ragged_size(a, first + i);
        next[sizes[i]]++;
    }
    int32_t sum = 0;
    w->first = first;
    w->num_others = 0;
    for (int size = 0; size <= DENSE_MAX_SIZE; size++) {
        const int32_t groups = size == 0 || next[size] < RAGGED_LEAST ? 0 : next[size];
        w->starts[size] = sum;
        next[size] = groups > 0 ? sum : -1;
        sum += groups;
    }
    w->starts[DENSE_MAX_SIZE + 1] = sum;
    for (int i = 0; i < count; i++) {
        int32_t *const place = &next[sizes[i]];
        if (*place < 0) {
            w->others[w->num_others++] = (uint16_t)i;
        } else {
            w->order[(*place)++] = (uint16_t)i;
        }
    }
}

static inline int64_t ragged_begin(const merit_advantage_group_args *a, int64_t group)
{
    return merit_advantage_span_of(a, group).begin;
}

// `count` groups of one size, at `order`: copied, the last block filled up with the last of them.
static void ragged_batch(ragged_window *w, const merit_advantage_group_args *a,
                         const merit_advantage_group_args *copied, dense_runner *run,
                         const uint16_t *order, int count, merit_range_body *general)
{
    const int size = (int)copied->d.groups.group_size;
    const size_t bytes = (size_t)size * sizeof(float);
    const int blocks = (count + WIDE_WIDTH - 1) / WIDE_WIDTH;
    const int outputs = dense_has_outputs(a);
    for (int i = 0; i < blocks * WIDE_WIDTH; i++) {
        const int64_t group = w->first + order[i < count ? i : count - 1];
        memcpy(w->rewards + i * size, (const float *)a->io.rewards + ragged_begin(a, group), bytes);
    }
    run(copied, 0, blocks, &w->batch);
    for (int i = 0; i < count; i++) {
        const dense_block *const block = &w->batch.blocks[i / WIDE_WIDTH];
        const int64_t group = w->first + order[i];
        const int64_t begin = ragged_begin(a, group);
        if (block->is_general) {
            general((void *)a, group, group + 1);
            continue;
        }
        if (a->io.advantages != NULL) {
            memcpy((float *)a->io.advantages + begin, w->advantages + i * size, bytes);
        }
        if (outputs) dense_output(a, group, begin, size, block, i % WIDE_WIDTH);
    }
}

static void ragged_run(ragged_window *w, const merit_advantage_group_args *a,
                       merit_range_body *general)
{
    merit_advantage_group_args copied = *a;
    copied.io.rewards = w->rewards;
    copied.io.advantages = a->io.advantages == NULL ? NULL : w->advantages;
    copied.d.groups.num_groups = 0; // nothing follows
    for (int size = 2; size <= DENSE_MAX_SIZE; size++) {
        const int32_t end = w->starts[size + 1];
        if (w->starts[size] == end) continue;
        copied.d.groups.group_size = size;
        copied.d.groups.group_stride = size;
        dense_runner *const run = dense_runner_of(&copied);
        const int most = dense_batch_blocks(size) * WIDE_WIDTH;
        for (int32_t at = w->starts[size]; at < end; at += most) {
            const int count = end - at < most ? end - at : most;
            ragged_batch(w, a, &copied, run, w->order + at, count, general);
        }
    }
}

#endif
