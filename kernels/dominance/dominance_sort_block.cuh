// Sorting by a block: the network of dominance_sort.h over one row, or several at a time.
#ifndef MERIT_DOMINANCE_SORT_BLOCK_CUH
#define MERIT_DOMINANCE_SORT_BLOCK_CUH

#include "../core/launch.cuh"
#include "dominance_sort.h"

// Elements that the comparators of a warp meet in a step of at most as many: no others do.
constexpr int kWarpReach = 2 * kWarpSize;

// The power of two that holds `count` elements, 2 at least.
MERIT_HD static inline int sort_padded(int count)
{
    int padded = 2;
    while (padded < count) {
        padded *= 2;
    }
    return padded;
}

// A step over rows of `count` elements that lie `pitch` words apart, in shared or global memory.
// padded: sort_padded(count).
template <typename Word>
MERIT_DEVICE void sort_step(Word *words, int pitch, int rows, int count, int padded, int step,
                            bool mirrored)
{
    const int half = padded / 2;
    for (int n = threadIdx.x; n < rows * half; n += blockDim.x) {
        const int pair = n & (half - 1);
        Word *const row = words + (n - pair) / half * pitch;
        int other;
        const int at = merit_dominance_comparator(pair, step, mirrored, &other);
        if (other < count && row[other] < row[at]) {
            const Word word = row[at];
            row[at] = row[other];
            row[other] = word;
        }
    }
}

// The steps `first`, first / 2, ... 2 of a phase whose first step, if it is among them, mirrors. The block
// is synchronized behind them if `last`, or if the next phase needs it.
template <typename Word>
MERIT_DEVICE void sort_steps(Word *words, int pitch, int rows, int count, int padded, int first,
                             bool mirrors, bool last)
{
    for (int step = first; step >= 2; step /= 2) {
        sort_step(words, pitch, rows, count, padded, step, mirrors && step == first);
        const int next = step > 2 ? step / 2 : last ? padded : 2 * first;
        if (step <= kWarpReach && next <= kWarpReach && !(last && step == 2)) {
            __syncwarp(kFullWarp); // the next step stays among the elements of the warp
        } else {
            __syncthreads(); // this step is done
        }
    }
}

// Sorts rows of `count` elements by the whole block; the caller has synchronized.
template <typename Word>
MERIT_DEVICE void sort_rows_of(Word *words, int pitch, int rows, int count)
{
    const int padded = sort_padded(count);
    for (int width = 2; width <= padded; width *= 2) {
        sort_steps(words, pitch, rows, count, padded, width, true, width == padded);
    }
}

#endif
