// group_index, CPU: labels of many bits by a table of those that differ. With far fewer labels than rows it is enough
// to sort the labels; rows then go where the counts of their labels put them, in two passes over rows instead of
// one per 8 bits. The table has open addressing and takes the room of the keys that the passes of group_index.h
// would sort; when there are too many labels for it, or it is slow, those passes do it all.
#ifndef MERIT_ADVANTAGE_GROUP_INDEX_LABELS_CPU_H
#define MERIT_ADVANTAGE_GROUP_INDEX_LABELS_CPU_H

#include "group_index.h"

enum {
    MERIT_GROUP_INDEX_LEAST_PASSES = 3, // fewer passes are faster
    MERIT_GROUP_INDEX_MOST_THREADS = 4, // more make passes faster: one thread fills the table
    MERIT_GROUP_INDEX_LEAST_ROWS = 64,
    MERIT_GROUP_INDEX_ROWS_PER_LABEL = 4, // at least, on average
    MERIT_GROUP_INDEX_LOOK = 8192, // rows after which there should not be as many labels
    MERIT_GROUP_INDEX_FIRST_BITS = 12, // of the first table
    MERIT_GROUP_INDEX_STEPS_PER_ROW = 4 // at most, on average, for all rows
};

typedef struct merit_group_index_label {
    uint64_t label;
    uint32_t count; // rows, then where they go
    uint32_t group;
} merit_group_index_label;

// A label is known by its number, in order of appearance; a slot holds that number + 1, or 0.
typedef struct merit_group_index_table {
    const merit_group_index_args *a;
    uint32_t *slots; // in keys[0]
    int32_t bits; // 2^bits slots
    uint64_t steps; // to slots that others have
    uint32_t num_labels;
    uint32_t most_labels;
    merit_group_index_label *labels; // in keys[1]
} merit_group_index_table;

static inline uint64_t merit_group_index_slot(const merit_group_index_table *t, uint64_t label)
{
    return (label ^ label >> 32) * 0x9e3779b97f4a7c15u >> (64 - t->bits);
}

// An empty table of 2^bits slots, then the labels known so far.
static void merit_group_index_fill(merit_group_index_table *t, int32_t bits)
{
    const uint64_t last = ((uint64_t)1 << bits) - 1;
    t->bits = bits;
    for (uint64_t slot = 0; slot <= last; slot++) {
        t->slots[slot] = 0;
    }
    for (uint32_t number = 0; number < t->num_labels; number++) {
        uint64_t slot = merit_group_index_slot(t, t->labels[number].label);
        while (t->slots[slot] != 0) {
            slot = (slot + 1) & last;
            t->steps++;
        }
        t->slots[slot] = number + 1;
    }
}

static merit_group_index_table merit_group_index_table_of(const merit_group_index_args *a)
{
    merit_group_index_table t = {.a = a};
    t.slots = (uint32_t *)a->keys[0];
    t.labels = (merit_group_index_label *)a->keys[1];
    t.most_labels = (uint32_t)(a->d.num_rows / MERIT_GROUP_INDEX_ROWS_PER_LABEL);
    int32_t bits = MERIT_GROUP_INDEX_FIRST_BITS;
    while (((int64_t)1 << bits) > a->d.num_rows) {
        bits--;
    }
    merit_group_index_fill(&t, bits);
    return t;
}

// The number of a label that has none, at an empty slot; most_labels when there is no room for it.
static __attribute__((noinline)) uint32_t merit_group_index_add(merit_group_index_table *t,
                                                                uint64_t slot, uint64_t label)
{
    const uint32_t number = t->num_labels;
    if (number == t->most_labels) return number;
    t->labels[number].label = label;
    t->labels[number].count = 0;
    t->num_labels++;
    t->slots[slot] = number + 1;
    // A quarter full at most: beyond, steps cost more than misses of the cache. As most_labels is a quarter of the
    // rows, 2^bits stays below 2 num_rows, the room of keys[0].
    if (4 * (uint64_t)t->num_labels > (uint64_t)1 << t->bits) {
        merit_group_index_fill(t, t->bits + 1);
    }
    return number;
}

static inline uint32_t merit_group_index_number(merit_group_index_table *t, uint64_t label)
{
    const uint64_t last = ((uint64_t)1 << t->bits) - 1;
    uint64_t slot = merit_group_index_slot(t, label);
    uint32_t number = t->slots[slot];
    while (number != 0 && t->labels[number - 1].label != label) {
        slot = (slot + 1) & last;
        number = t->slots[slot];
        t->steps++;
    }
    return number != 0 ? number - 1 : merit_group_index_add(t, slot, label);
}

// Numbers of all rows, into a->rows; most_labels for a row in no group. 0: passes should do it.
static int merit_group_index_number_rows(merit_group_index_table *t)
{
    const merit_group_index_args *const a = t->a;
    const uint64_t most_steps = MERIT_GROUP_INDEX_STEPS_PER_ROW * (uint64_t)a->d.num_rows;
    for (int64_t i = 0; i < a->d.num_rows; i++) {
        const int64_t id = merit_group_index_id(a, i);
        uint32_t number = t->most_labels;
        if (id >= 0) {
            number = merit_group_index_number(t, (uint64_t)id);
            if (number == t->most_labels || t->steps > most_steps) return 0;
            t->labels[number].count++;
        }
        a->rows[i] = (int32_t)number;
        if (i + 1 == MERIT_GROUP_INDEX_LOOK &&
            t->num_labels > MERIT_GROUP_INDEX_LOOK - MERIT_GROUP_INDEX_LOOK / 16) {
            return 0;
        }
    }
    return 1;
}

// Numbers by the bits of mask, which hold all in which labels differ. The slots are lost.
static const uint32_t *merit_group_index_sort_labels(merit_group_index_table *t, uint64_t mask)
{
    const int32_t num_passes = merit_group_index_pass_of(mask, 0).num_passes;
    const int64_t num_labels = t->num_labels;
    uint64_t *from = t->a->keys[0];
    uint64_t *to = from + num_labels;
    uint32_t *order = (uint32_t *)(to + num_labels);
    uint32_t *next_order = order + num_labels;
    for (int64_t n = 0; n < num_labels; n++) {
        from[n] = t->labels[n].label;
        order[n] = (uint32_t)n;
    }
    for (int32_t pass = 0; pass < num_passes; pass++) {
        const merit_group_index_pass p = merit_group_index_pass_of(mask, pass);
        uint32_t next[MERIT_GROUP_INDEX_DIGITS] = {0};
        for (int64_t n = 0; n < num_labels; n++) {
            next[merit_group_index_digit(from[n], p)]++;
        }
        uint32_t sum = 0;
        for (int digit = 0; digit < MERIT_GROUP_INDEX_DIGITS; digit++) {
            const uint32_t count = next[digit];
            next[digit] = sum;
            sum += count;
        }
        for (int64_t n = 0; n < num_labels; n++) {
            const uint32_t at = next[merit_group_index_digit(from[n], p)]++;
            to[at] = from[n];
            next_order[at] = order[n];
        }
        uint64_t *const sorted = to;
        uint32_t *const sorted_order = next_order;
        to = from;
        next_order = order;
        from = sorted;
        order = sorted_order;
    }
    return order;
}

// Offsets, index and group_of of the call, and the counts of s. 0: nothing is written.
static int merit_group_index_by_labels(const merit_group_index_args *a, int num_threads,
                                       merit_group_index_state *s)
{
    const int32_t num_passes = merit_group_index_pass_of(s->mask, 0).num_passes;
    if (a->d.kind != MERIT_GROUP_KIND_LABELS || num_passes < MERIT_GROUP_INDEX_LEAST_PASSES ||
        num_threads > MERIT_GROUP_INDEX_MOST_THREADS ||
        a->d.num_rows < MERIT_GROUP_INDEX_LEAST_ROWS) {
        return 0;
    }
    merit_group_index_table t = merit_group_index_table_of(a);
    if (!merit_group_index_number_rows(&t)) return 0;
    const uint32_t *const order = merit_group_index_sort_labels(&t, s->mask ^ s->ungrouped);
    uint32_t sum = 0;
    for (uint32_t group = 0; group < t.num_labels; group++) {
        merit_group_index_label *const label = &t.labels[order[group]];
        const uint32_t count = label->count;
        a->io.offsets[group] = sum;
        label->count = sum;
        label->group = group;
        sum += count;
    }
    for (int64_t i = t.num_labels; i <= a->d.num_rows; i++) {
        a->io.offsets[i] = sum;
    }
    uint32_t outside = sum;
    for (int64_t i = 0; i < a->d.num_rows; i++) {
        const uint32_t number = (uint32_t)a->rows[i];
        const int is_outside = number == t.most_labels;
        uint32_t *const next = is_outside ? &outside : &t.labels[number].count;
        a->io.index[(*next)++] = (int32_t)i;
        if (a->io.group_of != NULL) {
            a->io.group_of[i] = is_outside ? -1 : (int32_t)t.labels[number].group;
        }
    }
    s->num_groups = t.num_labels;
    s->grouped = sum;
    return 1;
}

#endif
