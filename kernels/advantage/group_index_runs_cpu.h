// group_index, CPU: the tiles of RUNS in loops that compilers turn into vectors.
#ifndef MERIT_ADVANTAGE_GROUP_INDEX_RUNS_CPU_H
#define MERIT_ADVANTAGE_GROUP_INDEX_RUNS_CPU_H

#include "group_index.h"

// Heads and grouped rows among [begin, end), packed.
#define MERIT_GROUP_INDEX_COUNT_RUNS(type)                                                     \
    static inline uint64_t merit_group_index_count_runs_##type(const type *ids, int64_t begin, \
                                                               int64_t end)                    \
    {                                                                                          \
        uint32_t heads = begin == 0 && begin < end && ids[0] >= 0;                             \
        uint32_t grouped = heads;                                                              \
        for (int64_t i = begin > 0 ? begin : 1; i < end; i++) {                                \
            const uint32_t in = ids[i] >= 0;                                                   \
            grouped += in;                                                                     \
            heads += in & (uint32_t)(ids[i] != ids[i - 1]);                                    \
        }                                                                                      \
        return merit_group_index_pack(heads, grouped);                                         \
    }
MERIT_GROUP_INDEX_COUNT_RUNS(int32_t)
MERIT_GROUP_INDEX_COUNT_RUNS(int64_t)

static inline uint64_t merit_group_index_count_runs(const merit_group_index_args *a, int64_t begin,
                                                    int64_t end)
{
    if (a->d.id_dtype == MERIT_DTYPE_I32) {
        return merit_group_index_count_runs_int32_t(a->io.ids, begin, end);
    }
    return merit_group_index_count_runs_int64_t(a->io.ids, begin, end);
}

// Rows [begin, end), all in groups, behind `heads` heads and `grouped` rows in groups.
#define MERIT_GROUP_INDEX_WRITE_RUNS(type)                                                \
    static inline void merit_group_index_write_runs_##type(                               \
        const merit_group_index_args *a, const type *ids, int64_t begin, int64_t end,     \
        int64_t heads, int64_t grouped)                                                   \
    {                                                                                     \
        int64_t *const offsets = a->io.offsets;                                           \
        int32_t *const index = a->io.index + (grouped - begin);                           \
        int32_t *const group_of = a->io.group_of;                                         \
        for (int64_t i = begin; i < end; i++) {                                           \
            index[i] = (int32_t)i;                                                        \
        }                                                                                 \
        for (int64_t i = begin; i < end; i++) {                                           \
            if (i == 0 || ids[i] != ids[i - 1]) offsets[heads++] = grouped + (i - begin); \
            if (group_of != NULL) group_of[i] = (int32_t)(heads - 1);                     \
        }                                                                                 \
    }
MERIT_GROUP_INDEX_WRITE_RUNS(int32_t)
MERIT_GROUP_INDEX_WRITE_RUNS(int64_t)

static inline void merit_group_index_write_runs(const merit_group_index_args *a, int64_t begin,
                                                int64_t end, int64_t heads, int64_t grouped)
{
    if (a->d.id_dtype == MERIT_DTYPE_I32) {
        merit_group_index_write_runs_int32_t(a, a->io.ids, begin, end, heads, grouped);
    } else {
        merit_group_index_write_runs_int64_t(a, a->io.ids, begin, end, heads, grouped);
    }
}

#endif
