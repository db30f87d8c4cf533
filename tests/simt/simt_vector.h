// CUDA's vector types, with CUDA's alignment.
#ifndef MERIT_SIMT_VECTOR_H
#define MERIT_SIMT_VECTOR_H

#include <stdint.h>

// clang-format off
#define SIMT_VECTOR2(type, name, bytes)                                          \
    struct alignas(bytes) name { type x, y; };                                   \
    static inline name make_##name(type x, type y) { return {x, y}; }
#define SIMT_VECTOR3(type, name)                                                 \
    struct name { type x, y, z; };                                               \
    static inline name make_##name(type x, type y, type z) { return {x, y, z}; }
#define SIMT_VECTOR4(type, name, bytes)                                          \
    struct alignas(bytes) name { type x, y, z, w; };                             \
    static inline name make_##name(type x, type y, type z, type w) { return {x, y, z, w}; }
// clang-format on

SIMT_VECTOR2(signed char, char2, 2)
SIMT_VECTOR4(signed char, char4, 4)
SIMT_VECTOR2(unsigned char, uchar2, 2)
SIMT_VECTOR4(unsigned char, uchar4, 4)
SIMT_VECTOR2(short, short2, 4)
SIMT_VECTOR4(short, short4, 8)
SIMT_VECTOR2(unsigned short, ushort2, 4)
SIMT_VECTOR4(unsigned short, ushort4, 8)
SIMT_VECTOR2(int, int2, 8)
SIMT_VECTOR3(int, int3)
SIMT_VECTOR4(int, int4, 16)
SIMT_VECTOR2(unsigned, uint2, 8)
SIMT_VECTOR3(unsigned, uint3)
SIMT_VECTOR4(unsigned, uint4, 16)
SIMT_VECTOR2(long long, longlong2, 16)
SIMT_VECTOR2(unsigned long long, ulonglong2, 16)
SIMT_VECTOR2(float, float2, 8)
SIMT_VECTOR3(float, float3)
SIMT_VECTOR4(float, float4, 16)
SIMT_VECTOR2(double, double2, 16)

#undef SIMT_VECTOR2
#undef SIMT_VECTOR3
#undef SIMT_VECTOR4

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_)
    {
    }
};

#endif
