#include <math.h>
#include <string.h>

#include "advantage_oracle_group.h"

static double from_f16(unsigned bits)
{
    const int exponent = (int)(bits >> 10 & 31), fraction = (int)(bits & 1023);
    const double sign = bits >> 15 ? -1.0 : 1.0;
    if (exponent == 31) return fraction != 0 ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * ldexp(fraction, -24);
    return sign * ldexp(1024 + fraction, exponent - 25);
}

static double from_bf16(unsigned bits)
{
    const uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

double oracle_element(const void *array, int32_t dtype, int64_t i)
{
    switch (dtype) {
    case MERIT_DTYPE_F64: return ((const double *)array)[i];
    case MERIT_DTYPE_BF16: return from_bf16(((const uint16_t *)array)[i]);
    case MERIT_DTYPE_F16: return from_f16(((const uint16_t *)array)[i]);
    default: return ((const float *)array)[i];
    }
}
