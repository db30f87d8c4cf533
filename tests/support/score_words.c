#include "score_words.h"

#include <math.h>
#include <merit/types.h>
#include <stdlib.h>
#include <string.h>

size_t score_word_bytes(int32_t dtype)
{
    return dtype == MERIT_DTYPE_F32 ? 4 : 2;
}

// Finite values of f16 that are not 0 are at least 2^-14 here.
void score_to_word(void *word, float value, int32_t dtype)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint16_t half = (uint16_t)(bits >> 16);
    if (dtype == MERIT_DTYPE_F16) {
        const uint32_t sign = bits >> 16 & 0x8000;
        half = (uint16_t)(sign | ((bits >> 23 & 255) - 112) << 10 | (bits >> 13 & 1023));
        if (value == 0) half = (uint16_t)sign;
        if (isinf(value)) half = (uint16_t)(sign | 0x7c00);
        if (isnan(value)) half = 0x7e01;
    }
    memcpy(word, dtype == MERIT_DTYPE_F32 ? (const void *)&bits : &half, score_word_bytes(dtype));
}

double score_from_word(const void *word, int32_t dtype)
{
    float value;
    uint16_t half;
    if (dtype == MERIT_DTYPE_F32) {
        memcpy(&value, word, sizeof value);
        return value;
    }
    memcpy(&half, word, sizeof half);
    if (dtype == MERIT_DTYPE_BF16) {
        const uint32_t bits = (uint32_t)half << 16;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    const int exponent = half >> 10 & 31;
    const double sign = half >> 15 ? -1 : 1;
    if (exponent == 31) return (half & 1023) != 0 ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * ldexp(half & 1023, -24);
    return sign * ldexp(1024 + (half & 1023), exponent - 25);
}

void *score_store_rows(const float *values, int64_t rows, int64_t columns, int64_t stride,
                       int32_t dtype)
{
    if (values == NULL) return NULL;
    const size_t size = score_word_bytes(dtype);
    const size_t count = rows == 0 ? 0 : (size_t)((rows - 1) * stride + columns);
    unsigned char *const memory = malloc((count + 1) * size);
    memset(memory, 0xff, (count + 1) * size);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < columns; c++) {
            score_to_word(memory + (size_t)(r * stride + c) * size, values[r * columns + c], dtype);
        }
    }
    return memory;
}
