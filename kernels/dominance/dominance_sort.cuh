// Sorting rows by a block, in shared memory.
#ifndef MERIT_DOMINANCE_SORT_CUH
#define MERIT_DOMINANCE_SORT_CUH

#include "dominance_sort_block.cuh"
#include "dominance_tile.cuh"

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
        sort_rows_of(keys, 0, 1, levels);
        for (int n = threadIdx.x; n < levels; n += blockDim.x) {
            sorted[(int64_t)a * levels + n] = merit_dominance_level_of(keys[n]);
        }
        __syncthreads(); // and read, before the next row overwrites them
    }
}

#endif
