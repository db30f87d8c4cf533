// Arrays of a case as the comparisons take them.
#include "golden_oracles.h"

#include <math.h>
#include <stdlib.h>

#include "preference_oracle.h"

float *golden_floats(const void *array, int32_t dtype, const int64_t dims[4],
                     const int64_t strides[4])
{
    const int64_t count = dims[0] * dims[1] * dims[2] * dims[3];
    float *const values = calloc((size_t)count + 1, sizeof *values);
    cr_assert_not_null(values);
    for (int64_t i = 0; array != NULL && i < count; i++) {
        int64_t at = 0, rest = i;
        for (int k = 3; k >= 0; k--) {
            at += rest % dims[k] * strides[k];
            rest /= dims[k];
        }
        values[i] = (float)po_element(array, dtype, at);
    }
    return values;
}

float *golden_rows(const void *array, int32_t dtype, int64_t rows, int64_t stride, int64_t columns)
{
    return golden_floats(array, dtype, (const int64_t[4]){1, 1, rows, columns},
                         (const int64_t[4]){0, 0, stride, 1});
}

int64_t *golden_integers(const void *array, int32_t dtype, int64_t count)
{
    if (array == NULL) return NULL;
    int64_t *const values = calloc((size_t)count + 1, sizeof *values);
    cr_assert_not_null(values);
    for (int64_t i = 0; i < count; i++) {
        values[i] =
            dtype == MERIT_DTYPE_I64 ? ((const int64_t *)array)[i] : ((const int32_t *)array)[i];
    }
    return values;
}
