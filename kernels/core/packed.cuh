// 16-byte reads, and pairs of 16-bit floats in one word: what needs PTX, each with a twin for the host.
#ifndef MERIT_CORE_PACKED_CUH
#define MERIT_CORE_PACKED_CUH

#include "float16.h"
#include "launch.cuh"

// Numbers as integers in their order; NaN with a clear sign bit lies above +inf. Its own inverse.
MERIT_HD static inline int32_t m_ordered32(uint32_t bits)
{
    return (int32_t)(bits ^ (uint32_t)((int32_t)bits >> 31 & 0x7fffffff));
}

// The larger of each half; a NaN in either wins, with a clear sign bit.
MERIT_DEVICE uint32_t m_max_bf16x2(uint32_t a, uint32_t b)
{
#if defined(__CUDA_ARCH__)
    uint32_t r;
    asm("max.NaN.bf16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
    return r;
#else
    uint32_t r = 0;
    for (int half = 0; half < 32; half += 16) {
        const float x = m_from_bf16((uint16_t)(a >> half));
        const float y = m_from_bf16((uint16_t)(b >> half));
        r |= (x != x || y != y ? 0x7fffu : (x > y ? a : b) >> half & 0xffffu) << half;
    }
    return r;
#endif
}

MERIT_DEVICE uint32_t m_max_f16x2(uint32_t a, uint32_t b)
{
#if defined(__CUDA_ARCH__)
    uint32_t r;
    asm("max.NaN.f16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
    return r;
#else
    uint32_t r = 0;
    for (int half = 0; half < 32; half += 16) {
        const float x = m_from_f16((uint16_t)(a >> half));
        const float y = m_from_f16((uint16_t)(b >> half));
        r |= (x != x || y != y ? 0x7fffu : (x > y ? a : b) >> half & 0xffffu) << half;
    }
    return r;
#endif
}

MERIT_DEVICE float m_max_nan32(float a, float b)
{
#if defined(__CUDA_ARCH__)
    float r;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
    return r;
#else
    return a != a || b != b ? m_from_bits32(0x7fffffffu) : a > b ? a : b;
#endif
}

// The smaller of each half. Of numbers.
MERIT_DEVICE uint32_t m_min_bf16x2(uint32_t a, uint32_t b)
{
#if defined(__CUDA_ARCH__)
    uint32_t r;
    asm("min.bf16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
    return r;
#else
    uint32_t r = 0;
    for (int half = 0; half < 32; half += 16) {
        const float x = m_from_bf16((uint16_t)(a >> half));
        const float y = m_from_bf16((uint16_t)(b >> half));
        r |= ((x < y ? a : b) >> half & 0xffffu) << half;
    }
    return r;
#endif
}

MERIT_DEVICE uint32_t m_min_f16x2(uint32_t a, uint32_t b)
{
#if defined(__CUDA_ARCH__)
    uint32_t r;
    asm("min.f16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
    return r;
#else
    uint32_t r = 0;
    for (int half = 0; half < 32; half += 16) {
        const float x = m_from_f16((uint16_t)(a >> half));
        const float y = m_from_f16((uint16_t)(b >> half));
        r |= ((x < y ? a : b) >> half & 0xffffu) << half;
    }
    return r;
#endif
}

MERIT_DEVICE float m_min32(float a, float b)
{
    return a < b ? a : b;
}

// Half 0 or 1 of a word, widened.
MERIT_DEVICE float m_half_of_bf16x2(uint32_t word, int half)
{
    return m_from_bits32(half == 0 ? word << 16 : word & 0xffff0000u);
}

MERIT_DEVICE float m_half_of_f16x2(uint32_t word, int half)
{
#if defined(__CUDA_ARCH__)
    float r;
    const uint16_t bits = (uint16_t)(half == 0 ? word : word >> 16);
    asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(bits));
    return r;
#else
    return m_from_f16((uint16_t)(word >> 16 * half));
#endif
}

// 16 bytes of memory that nothing writes meanwhile, at a multiple of 16.
MERIT_DEVICE void m_read16(const void *from, uint32_t words[4])
{
    const uint4 v = __ldg(static_cast<const uint4 *>(from));
    words[0] = v.x;
    words[1] = v.y;
    words[2] = v.z;
    words[3] = v.w;
}

// The same of memory that is written later, too: not by the read-only path.
MERIT_DEVICE void m_read16_cached(const void *from, uint32_t words[4])
{
    const uint4 v = *static_cast<const uint4 *>(from);
    words[0] = v.x;
    words[1] = v.y;
    words[2] = v.z;
    words[3] = v.w;
}

MERIT_DEVICE void m_write16(void *to, const uint32_t words[4])
{
    *static_cast<uint4 *>(to) = make_uint4(words[0], words[1], words[2], words[3]);
}

// Two numbers, not NaN, rounded to nearest even: the first in the low half.
MERIT_DEVICE uint32_t m_pack_bf16x2(float low, float high)
{
#if defined(__CUDA_ARCH__)
    uint32_t r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
#else
    return m_to_bf16(low) | (uint32_t)m_to_bf16(high) << 16;
#endif
}

MERIT_DEVICE uint32_t m_pack_f16x2(float low, float high)
{
#if defined(__CUDA_ARCH__)
    uint32_t r;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
#else
    return m_to_f16(low) | (uint32_t)m_to_f16(high) << 16;
#endif
}

#endif
