// Order of levels: ascending by bits, -0 before +0, NaN last whatever its sign; stable.
#ifndef MERIT_DOMINANCE_SORT_H
#define MERIT_DOMINANCE_SORT_H

#include "../core/portable.h"

// Unsigned keys in the order of the levels. All NaN share the largest.
MERIT_HD static inline uint32_t merit_dominance_key(float level)
{
    const uint32_t bits = m_bits32(level);
    const uint32_t key = bits ^ ((uint32_t)((int32_t)bits >> 31) | 0x80000000u);
    return (bits & 0x7fffffffu) > 0x7f800000u ? 0xffffffffu : key;
}

MERIT_HD static inline float merit_dominance_level_of(uint32_t key)
{
    const uint32_t bits = key ^ (key >> 31 ? 0x80000000u : 0xffffffffu);
    return key == 0xffffffffu ? m_nan32() : m_from_bits32(bits);
}

// A key, and below it where the level stood: equal keys keep their order.
MERIT_HD static inline uint64_t merit_dominance_word(float level, int32_t place)
{
    return (uint64_t)merit_dominance_key(level) << 32 | (uint32_t)place;
}

MERIT_HD static inline float merit_dominance_word_level(uint64_t word)
{
    return merit_dominance_level_of((uint32_t)(word >> 32));
}

MERIT_HD static inline int32_t merit_dominance_word_place(uint64_t word)
{
    return (int32_t)(uint32_t)word;
}

// Comparator `pair` of a step of the bitonic network in which every comparator puts the smaller
// element first, so that absent elements beyond the end never move. Phase `width` = 2, 4, ...: its
// first step (step = width) mirrors, the others (step = width / 2, width / 4, ... 2) do not.
MERIT_HD static inline int merit_dominance_comparator(int pair, int step, int mirrored, int *other)
{
    const int half = step / 2;
    const int low = pair & (half - 1); // half is a power of two
    const int block = 2 * (pair - low);
    *other = block + (mirrored ? step - 1 - low : low + half);
    return block + low;
}

#endif
