// Reading an element of an array whose type is an option.
#ifndef MERIT_CORE_LOAD_H
#define MERIT_CORE_LOAD_H

#include <merit/types.h>

#include "float16.h"

// array[i] widened to binary64, exactly.
MERIT_HD static inline double m_load_real(const void *array, int32_t dtype, int64_t i)
{
    switch (dtype) {
    case MERIT_DTYPE_F64: return ((const double *)array)[i];
    case MERIT_DTYPE_BF16: return (double)m_from_bf16(((const uint16_t *)array)[i]);
    case MERIT_DTYPE_F16: return (double)m_from_f16(((const uint16_t *)array)[i]);
    default: return (double)((const float *)array)[i];
    }
}

#endif
