// Sorting by a block: the network of dominance_sort.h over one row, or several at a time.
#ifndef MERIT_DOMINANCE_SORT_BLOCK_CUH
#define MERIT_DOMINANCE_SORT_BLOCK_CUH

#include "../core/launch.cuh"
#include "dominance_sort.h"

// Elements that the comparators of a warp meet in a step of at most as many: no others do.
constexpr int kWarpReach = 2 * kWarpSize;

// The power of two that holds `count` elements, 2 at least, is 1 << sort_shift(count).
MERIT_HD static inline int sort_shift(int count)
{
    int shift = 1;
    while (1 << shift < count) {
        shift++;
    }
    return shift;
}

// A step over rows of `count` elements that lie `pitch` words apart, in shared or global memory.
// shift: sort_shift(count).
template <typename Word>
MERIT_DEVICE void sort_step(Word *words, int pitch, int rows, int count, int shift, int step,
                            bool mirrored)
{
    const int pairs = 1 << (shift - 1);
    for (int n = threadIdx.x; n < rows * pairs; n += blockDim.x) {
        Word *const row = words + (n >> (shift - 1)) * pitch;
        int other;
        const int at = merit_dominance_comparator(n & (pairs - 1), step, mirrored, &other);
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
MERIT_DEVICE void sort_steps(Word *words, int pitch, int rows, int count, int shift, int first,
                             bool mirrors, bool last)
{
    for (int step = first; step >= 2; step /= 2) {
        sort_step(words, pitch, rows, count, shift, step, mirrors && step == first);
        const int next = step > 2 ? step / 2 : 2 * first;
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
    const int shift = sort_shift(count);
    const int padded = 1 << shift;
    for (int width = 2; width <= padded; width *= 2) {
        sort_steps(words, pitch, rows, count, shift, width, true, width == padded);
    }
}

#endif
