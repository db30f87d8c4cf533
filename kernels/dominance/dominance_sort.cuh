// Sorting rows by a block, in shared memory.
#ifndef MERIT_DOMINANCE_SORT_CUH
#define MERIT_DOMINANCE_SORT_CUH

#include "../core/launch.cuh"
#include "dominance_sort.h"
#include "dominance_tile.cuh"

// Sorts keys[0 .. count), in shared or global memory, by the whole block; the caller has synchronized.
template <typename Word>
MERIT_DEVICE void block_sort(Word *keys, int count)
{
    int padded = 2;
    while (padded < count) {
        padded *= 2;
    }
    for (int width = 2; width <= padded; width *= 2) {
        for (int step = width; step >= 2; step /= 2) {
            for (int pair = threadIdx.x; pair < padded / 2; pair += blockDim.x) {
                int other;
                const int at = merit_dominance_comparator(pair, step, step == width, &other);
                if (other < count && keys[other] < keys[at]) {
                    const Word word = keys[at];
                    keys[at] = keys[other];
                    keys[other] = word;
                }
            }
            __syncthreads(); // this step is done
        }
    }
}

// Sorts the rows of the actions that are present into `sorted`, [A,N]. keys: shared,
// MERIT_DOMINANCE_MAX_SORTED.
MERIT_DEVICE_CALL void sort_rows(const DominanceSource &s, const uint32_t *present, uint32_t *keys,
                                 float *sorted)
{
    const int levels = s.c->num_levels;
    DominanceSource from = s;
    from.sorted = NULL;
    for (int a = 0; a < s.c->num_actions; a++) {
        if (present != NULL && (present[a / 32] >> (a % 32) & 1u) == 0) continue; // for the block
        for (int n = threadIdx.x; n < levels; n += blockDim.x) {
            keys[n] = merit_dominance_key(source_level(from, a, n));
        }
        __syncthreads(); // the keys are there
        block_sort(keys, levels);
        for (int n = threadIdx.x; n < levels; n += blockDim.x) {
            sorted[(int64_t)a * levels + n] = merit_dominance_level_of(keys[n]);
        }
        __syncthreads(); // and read, before the next row overwrites them
    }
}

#endif
