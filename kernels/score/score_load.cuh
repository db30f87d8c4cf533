// Eight consecutive elements of a row, which are eight neighboring lanes of the canonical order.
#ifndef MERIT_SCORE_LOAD_CUH
#define MERIT_SCORE_LOAD_CUH

#include "../core/launch.cuh"
#include "../core/load.h"

namespace
{

constexpr int kLanesOfThread = 8;

template <int kDtype>
MERIT_DEVICE float load_element(const void *array, int64_t i)
{
    if (kDtype == MERIT_DTYPE_BF16) return m_from_bf16(static_cast<const uint16_t *>(array)[i]);
    if (kDtype == MERIT_DTYPE_F16) return m_from_f16(static_cast<const uint16_t *>(array)[i]);
    return static_cast<const float *>(array)[i];
}

template <int kDtype>
MERIT_DEVICE float widen_word(uint32_t word)
{
    return kDtype == MERIT_DTYPE_BF16 ? m_from_bf16((uint16_t)word) : m_from_f16((uint16_t)word);
}

// Elements [first, first + 8) of array; those from `end` on are 0 and not read.
template <int kDtype>
MERIT_DEVICE void load_eight(const void *array, int64_t first, int64_t end, bool vectors,
                             float *out)
{
    if (vectors && first + kLanesOfThread <= end) {
        if (kDtype == MERIT_DTYPE_F32) {
            const float4 *const from =
                reinterpret_cast<const float4 *>(static_cast<const float *>(array) + first);
            const float4 low = from[0];
            const float4 high = from[1];
            out[0] = low.x, out[1] = low.y, out[2] = low.z, out[3] = low.w;
            out[4] = high.x, out[5] = high.y, out[6] = high.z, out[7] = high.w;
            return;
        }
        const uint4 words =
            *reinterpret_cast<const uint4 *>(static_cast<const uint16_t *>(array) + first);
        const uint32_t pairs[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
        for (int i = 0; i < 4; i++) {
            out[2 * i] = widen_word<kDtype>(pairs[i] & 0xffffu);
            out[2 * i + 1] = widen_word<kDtype>(pairs[i] >> 16);
        }
        return;
    }
#pragma unroll
    for (int i = 0; i < kLanesOfThread; i++) {
        out[i] = first + i < end ? load_element<kDtype>(array, first + i) : 0.0f;
    }
}

} // namespace

#endif
