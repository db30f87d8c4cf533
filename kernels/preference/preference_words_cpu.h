// Gradients in binary64 become words of their type, many at a time: loops that the compiler turns into
// vectors where dtype is a literal.
#ifndef MERIT_PREFERENCE_WORDS_CPU_H
#define MERIT_PREFERENCE_WORDS_CPU_H

#include <merit/types.h>

#include "../core/float16.h"

enum { PREFERENCE_WORDS = 16 };

__attribute__((always_inline)) static inline void
preference_words(int32_t dtype, const double *values, uint32_t *words)
{
    float rounded[PREFERENCE_WORDS];
    for (int l = 0; l < PREFERENCE_WORDS; l++) {
        rounded[l] = m_round32(values[l]);
    }
    for (int l = 0; l < PREFERENCE_WORDS && dtype == MERIT_DTYPE_F32; l++) {
        const uint32_t word = m_bits32(rounded[l]);
        words[l] = (word & 0x7fffffffu) > 0x7f800000u ? m_bits32(m_nan32()) : word;
    }
    for (int l = 0; l < PREFERENCE_WORDS && dtype == MERIT_DTYPE_BF16; l++) {
        words[l] = m_to_bf16_64(values[l]);
    }
    for (int l = 0; l < PREFERENCE_WORDS && dtype == MERIT_DTYPE_F16; l++) {
        words[l] = m_to_f16_64(values[l]);
    }
}

static inline void preference_store_word(int32_t dtype, void *gradients, int64_t at, uint32_t word)
{
    if (dtype == MERIT_DTYPE_F32) {
        ((uint32_t *)gradients)[at] = word;
    } else {
        ((uint16_t *)gradients)[at] = (uint16_t)word;
    }
}

#endif
