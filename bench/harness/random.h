// Inputs from a seed: a value depends on the seed and its index alone, so any thread can make it.
#ifndef MERIT_BENCH_RANDOM_H
#define MERIT_BENCH_RANDOM_H

#include <stdint.h>

// SplitMix64 (Steele, Lea, Flood 2014) as a hash of the index.
static inline uint64_t bench_random(uint64_t seed, uint64_t index)
{
    uint64_t z = seed * 0xd1342543de82ef95u + (index + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

// In [0, 1).
static inline double bench_uniform(uint64_t seed, uint64_t index)
{
    return (double)(bench_random(seed, index) >> 11) * 0x1p-53;
}

// Roughly normal: the sum of four 16-bit uniforms, mean 0, deviation 1, in multiples of 2^-16 * sqrt(3).
static inline float bench_normal(uint64_t seed, uint64_t index)
{
    const uint64_t z = bench_random(seed, index);
    const uint32_t sum = (uint32_t)(z & 0xffff) + (uint32_t)(z >> 16 & 0xffff) +
                         (uint32_t)(z >> 32 & 0xffff) + (uint32_t)(z >> 48);
    return ((float)sum - 131070.0f) * (1.7320508f / 65536.0f);
}

#endif
