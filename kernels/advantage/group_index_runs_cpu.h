// group_index, CPU: the tiles of RUNS in loops that compilers turn into vectors.
#ifndef MERIT_ADVANTAGE_GROUP_INDEX_RUNS_CPU_H
#define MERIT_ADVANTAGE_GROUP_INDEX_RUNS_CPU_H

#include "group_index.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

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

// Bit j: whether row j differs from the row before it. Eight rows, where MERIT_GROUP_INDEX_BY_EIGHT.
#if defined(__AVX2__)
enum { MERIT_GROUP_INDEX_BY_EIGHT = 1 };

static inline __m256i merit_group_index_words(const void *ids)
{
    return _mm256_loadu_si256(ids);
}

static inline uint32_t merit_group_index_heads_int32_t(const int32_t *ids)
{
    const __m256i same =
        _mm256_cmpeq_epi32(merit_group_index_words(ids), merit_group_index_words(ids - 1));
    return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(same)) ^ 0xffu;
}

static inline uint32_t merit_group_index_heads_int64_t(const int64_t *ids)
{
#if defined(__AVX512F__)
    return _mm512_cmpneq_epi64_mask(_mm512_loadu_si512((const void *)ids),
                                    _mm512_loadu_si512((const void *)(ids - 1)));
#else
    uint32_t same = 0;
    for (int j = 0; j < 8; j += 4) {
        const __m256i equal = _mm256_cmpeq_epi64(merit_group_index_words(ids + j),
                                                 merit_group_index_words(ids + j - 1));
        same |= (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(equal)) << j;
    }
    return same ^ 0xffu;
#endif
}
#else
enum { MERIT_GROUP_INDEX_BY_EIGHT = 0 };

// As fast by the row: only here so that the loop below compiles.
static inline uint32_t merit_group_index_heads_int32_t(const int32_t *ids)
{
    uint32_t heads = 0;
    for (int j = 0; j < 8; j++) {
        heads |= (uint32_t)(ids[j] != ids[j - 1]) << j;
    }
    return heads;
}

static inline uint32_t merit_group_index_heads_int64_t(const int64_t *ids)
{
    uint32_t heads = 0;
    for (int j = 0; j < 8; j++) {
        heads |= (uint32_t)(ids[j] != ids[j - 1]) << j;
    }
    return heads;
}
#endif

// Rows [begin, end), all in groups, behind `heads` heads and `grouped` rows in groups. Eight rows at a time have few
// heads: only those cost a branch.
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
        int64_t i = begin;                                                                \
        if (MERIT_GROUP_INDEX_BY_EIGHT && group_of == NULL) {                             \
            if (i == 0 && i < end) {                                                      \
                offsets[heads++] = grouped;                                               \
                i++;                                                                      \
            }                                                                             \
            for (; i + 8 <= end; i += 8) {                                                \
                uint32_t left = merit_group_index_heads_##type(ids + i);                  \
                for (; left != 0; left &= left - 1) {                                     \
                    offsets[heads++] = grouped + (i - begin) + __builtin_ctz(left);       \
                }                                                                         \
            }                                                                             \
        }                                                                                 \
        for (; i < end; i++) {                                                            \
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
