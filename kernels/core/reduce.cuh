// The canonical order of lanes.h as warp and block operations. Every lane that is named takes part;
// absent elements bring the neutral value.
#ifndef MERIT_CORE_REDUCE_CUH
#define MERIT_CORE_REDUCE_CUH

#include "launch.cuh"

// Neighbours-first tree over `kWidth` consecutive lanes of a warp, kWidth a power of two; every lane
// gets the result. xor-shuffles give both partners the same two operands, and addition commutes.
template <int kWidth>
MERIT_DEVICE double merit_warp_sum64(double value)
{
#pragma unroll
    for (int distance = 1; distance < kWidth; distance *= 2) {
        value = m_add64(value, __shfl_xor_sync(kFullWarp, value, distance));
    }
    return value;
}

template <int kWidth>
MERIT_DEVICE int merit_warp_sum_int(int value)
{
#pragma unroll
    for (int distance = 1; distance < kWidth; distance *= 2) {
        value += __shfl_xor_sync(kFullWarp, value, distance);
    }
    return value;
}

#endif
