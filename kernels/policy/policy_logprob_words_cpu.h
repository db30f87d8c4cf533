// Rows of logits and gradients as binary32 and back, for the CPU.
#ifndef MERIT_POLICY_LOGPROB_WORDS_CPU_H
#define MERIT_POLICY_LOGPROB_WORDS_CPU_H

#include "../core/float16.h"
#include "policy_logprob_args.h"

// Logits [first, first + count) of a row, widened.
static inline void logits_widen(const void *logits, int32_t dtype, int64_t first, int count,
                                float *x)
{
    if (dtype == MERIT_DTYPE_BF16) {
        const uint16_t *const words = (const uint16_t *)logits + first;
        for (int i = 0; i < count; i++) {
            x[i] = m_from_bf16(words[i]);
        }
    } else if (dtype == MERIT_DTYPE_F16) {
        const uint16_t *const words = (const uint16_t *)logits + first;
        for (int i = 0; i < count; i++) {
            x[i] = m_from_f16(words[i]);
        }
    } else {
        memcpy(x, (const float *)logits + first, (size_t)count * sizeof *x);
    }
}

// Gradients into a row, rounded to its type.
static inline void logits_narrow(const float *g, int count, void *grad, int32_t dtype,
                                 int64_t first)
{
    if (dtype == MERIT_DTYPE_BF16) {
        uint16_t *const words = (uint16_t *)grad + first;
        for (int i = 0; i < count; i++) {
            words[i] = m_to_bf16(g[i]);
        }
    } else if (dtype == MERIT_DTYPE_F16) {
        uint16_t *const words = (uint16_t *)grad + first;
        for (int i = 0; i < count; i++) {
            words[i] = m_to_f16(g[i]);
        }
    } else {
        float *const words = (float *)grad + first;
        for (int i = 0; i < count; i++) {
            words[i] = m_canonical32(g[i]);
        }
    }
}

#endif
