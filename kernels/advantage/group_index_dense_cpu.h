// group_index, CPU: dense ids by counting, in two readings of them. Rows are cut into parts, one per thread; each
// part counts its rows of every id, the counts are summed id by id and part by part, and each part then knows where
// its rows go. The counts take the room of the keys that the passes of group_index.h would sort.
#ifndef MERIT_ADVANTAGE_GROUP_INDEX_DENSE_CPU_H
#define MERIT_ADVANTAGE_GROUP_INDEX_DENSE_CPU_H

#include "../core/counters.h"
#include "../core/parallel.h"
#include "group_index.h"

// Counters of one part beyond this leave the caches; passes of 8 bits are then faster.
enum { MERIT_GROUP_INDEX_MOST_COUNTERS = 1 << 17 };

typedef struct merit_group_index_count {
    const merit_group_index_args *a;
    int64_t num_parts;
    int64_t part; // rows of a part
    int64_t stride; // counters of a part
} merit_group_index_count;

static inline uint32_t *merit_group_index_counters(const merit_group_index_count *c, int64_t part)
{
    return (uint32_t *)c->a->keys[0] + part * c->stride;
}

// 0 when counting would be slower than sorting, or has no room.
static inline int merit_group_index_can_count(const merit_group_index_args *a, int num_threads,
                                              merit_group_index_count *c)
{
    c->a = a;
    c->num_parts = num_threads > 1 ? num_threads : 1;
    c->part = (a->d.num_rows + c->num_parts - 1) / c->num_parts;
    c->stride = a->d.num_groups + 1; // the last: rows in no group
    return a->d.kind == MERIT_GROUP_KIND_DENSE && c->stride <= MERIT_GROUP_INDEX_MOST_COUNTERS &&
           c->num_parts * c->stride <= 2 * a->d.num_rows;
}

static inline int64_t merit_group_index_part_end(const merit_group_index_count *c, int64_t part)
{
    const int64_t end = (part + 1) * c->part;
    return end < c->a->d.num_rows ? end : c->a->d.num_rows;
}

static inline void merit_group_index_count_part(const merit_group_index_count *c, int64_t part)
{
    const merit_group_index_args *const a = c->a;
    const int64_t num_groups = a->d.num_groups;
    uint32_t *const counters = merit_group_index_counters(c, part);
    uint64_t ungrouped = 0;
    for (int64_t n = 0; n <= num_groups; n++) {
        counters[n] = 0;
    }
    for (int64_t i = part * c->part; i < merit_group_index_part_end(c, part); i++) {
        const int64_t id = merit_group_index_id(a, i);
        const uint64_t key =
            (uint64_t)id < (uint64_t)num_groups ? (uint64_t)id : (uint64_t)num_groups;
        counters[key]++;
        ungrouped += id < 0;
        if (a->io.group_of != NULL) {
            a->io.group_of[i] = (int64_t)key == num_groups ? -1 : (int32_t)key;
        }
    }
    m_count(a->io.diagnostics, MERIT_COUNTER_UNGROUPED, ungrouped);
    m_count(a->io.diagnostics, MERIT_COUNTER_BAD_ID, counters[num_groups] - ungrouped);
}

static void merit_group_index_count_parts(void *state, int64_t begin, int64_t end)
{
    for (int64_t part = begin; part < end; part++) {
        merit_group_index_count_part(state, part);
    }
}

static void merit_group_index_place_parts(void *state, int64_t begin, int64_t end)
{
    const merit_group_index_count *const c = state;
    const merit_group_index_args *const a = c->a;
    const uint64_t num_groups = (uint64_t)a->d.num_groups;
    for (int64_t part = begin; part < end; part++) {
        uint32_t *const next = merit_group_index_counters(c, part);
        for (int64_t i = part * c->part; i < merit_group_index_part_end(c, part); i++) {
            const uint64_t id = (uint64_t)merit_group_index_id(a, i);
            a->io.index[next[id < num_groups ? id : num_groups]++] = (int32_t)i;
        }
    }
}

// Offsets, index, group_of and counters of the call.
static inline void merit_group_index_by_counting(merit_group_index_count *c)
{
    const merit_group_index_args *const a = c->a;
    merit_parallel_ranges((int)c->num_parts, c->num_parts, 1, merit_group_index_count_parts, c);
    uint32_t sum = 0;
    for (int64_t n = 0; n < c->stride; n++) {
        a->io.offsets[n] = sum;
        for (int64_t part = 0; part < c->num_parts; part++) {
            uint32_t *const counter = &merit_group_index_counters(c, part)[n];
            const uint32_t count = *counter;
            *counter = sum;
            sum += count;
        }
    }
    merit_parallel_ranges((int)c->num_parts, c->num_parts, 1, merit_group_index_place_parts, c);
}

#endif
