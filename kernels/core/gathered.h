// Parts of an array as an all-gather leaves them: whole messages in rank order, read where they lie.
#ifndef MERIT_CORE_GATHERED_H
#define MERIT_CORE_GATHERED_H

#include "lanes.h"

// Something of rank 0, of the same place in the message of `rank`; step: bytes of a message.
MERIT_HD static inline const void *merit_gathered_at(const void *first, int64_t step, int32_t rank)
{
    return (const unsigned char *)first + step * rank;
}

// Tiles of the part of `rank`; sizes: how many elements of the split axis rank 0 has.
MERIT_HD static inline int64_t merit_gathered_tiles(const int64_t *sizes, int64_t step,
                                                    int32_t rank)
{
    const int64_t size = *(const int64_t *)merit_gathered_at(sizes, step, rank);
    return (size + MERIT_TILE - 1) / MERIT_TILE;
}

#endif
