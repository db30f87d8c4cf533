// policy_logprob_forward, CUDA: the sums of one segment of 2048 logits by one warp.
//
// Thread t holds the eight logits 8 t ... 8 t + 7 of each 256, so that 16 bytes of bf16 are one read and the
// first three levels of the tree over lanes are its own. All reads are under way before the largest logit
// is known; then the weights are computed from registers.
//
// Rows that do not start at a multiple of 16 bytes are read at the multiples below: a thread's sums then
// belong to lanes that are up to seven further down, and move there before the tree.
#ifndef MERIT_POLICY_LOGPROB_SEGMENT_CUH
#define MERIT_POLICY_LOGPROB_SEGMENT_CUH

#include "../core/packed.cuh"
#include "policy_logprob_row.h"

namespace
{

constexpr int kOwn = 8; // neighboring logits of a thread
constexpr int kRounds = MERIT_TILE / MERIT_LANES;
constexpr int kMostWarps = 8; // of a block
constexpr int kStaging = MERIT_LANES + MERIT_LANES / kOwn; // with gaps against bank conflicts

// The logits of a thread in a segment.
template <int kDtype>
struct Words {
    static constexpr int kWords = kDtype == MERIT_DTYPE_F32 ? 8 : 4;
    static constexpr int kBytes = kDtype == MERIT_DTYPE_F32 ? 4 : 2; // of a logit
    uint32_t word[kRounds][kWords];
};

template <int kDtype>
MERIT_DEVICE float logit_of(const uint32_t *words, int k)
{
    if (kDtype == MERIT_DTYPE_F32) return m_from_bits32(words[k]);
    if (kDtype == MERIT_DTYPE_F16) return m_half_of_f16x2(words[k / 2], k % 2);
    return m_half_of_bf16x2(words[k / 2], k % 2);
}

template <int kDtype>
MERIT_DEVICE uint32_t max_of(uint32_t a, uint32_t b)
{
    if (kDtype == MERIT_DTYPE_F32) {
        return m_bits32(m_max_nan32(m_from_bits32(a), m_from_bits32(b)));
    }
    return kDtype == MERIT_DTYPE_F16 ? m_max_f16x2(a, b) : m_max_bf16x2(a, b);
}

template <int kDtype>
MERIT_DEVICE uint32_t min_of(uint32_t a, uint32_t b)
{
    if (kDtype == MERIT_DTYPE_F32) return m_bits32(m_min32(m_from_bits32(a), m_from_bits32(b)));
    return kDtype == MERIT_DTYPE_F16 ? m_min_f16x2(a, b) : m_min_bf16x2(a, b);
}

// Reading -----------------------------------------------------------------------------------------

// Eight logits from `first` on, those before it repeated: for the start of a shifted segment.
template <int kDtype>
MERIT_DEVICE void read_start(const void *first, int shift, uint32_t *words)
{
#pragma unroll
    for (int k = 0; k < kOwn; k++) {
        const int at = k < shift ? 0 : k - shift;
        if (kDtype == MERIT_DTYPE_F32) {
            words[k] = static_cast<const uint32_t *>(first)[at];
        } else {
            const uint32_t word = static_cast<const uint16_t *>(first)[at];
            words[k / 2] = k % 2 == 0 ? word : words[k / 2] | word << 16;
        }
    }
}

// A row as a warp reads it.
struct WarpRow {
    const char *mine; // the eight logits of this thread, of the first 256
    float factor;
    int shift; // logits by which the row starts above a multiple of 16 bytes
    int lane;
};

template <int kDtype>
MERIT_DEVICE WarpRow warp_row(const merit_logprob_row &row, int lane)
{
    constexpr int kBytes = Words<kDtype>::kBytes;
    WarpRow w;
    w.shift = (int)(reinterpret_cast<uintptr_t>(row.logits) % 16) / kBytes;
    w.mine = static_cast<const char *>(row.logits) + (kOwn * lane - w.shift) * kBytes;
    w.factor = row.factor;
    w.lane = lane;
    return w;
}

// The first logit of a segment.
template <int kDtype>
MERIT_DEVICE const char *start_of_segment(const WarpRow &row, int tile)
{
    constexpr int kBytes = Words<kDtype>::kBytes;
    return row.mine + ((int64_t)tile * MERIT_TILE - (kOwn * row.lane - row.shift)) * kBytes;
}

template <int kDtype, bool kShifted>
MERIT_DEVICE void read_segment(const WarpRow &row, int tile, Words<kDtype> &w)
{
    constexpr int kBytes = Words<kDtype>::kBytes;
    const char *const mine = row.mine + (int64_t)tile * (MERIT_TILE * kBytes);
    const bool early = kShifted && row.lane == 0; // its first places lie before the segment
#pragma unroll
    for (int round = 0; round < kRounds; round++) {
        if (round == 0 && early) continue;
        const char *const from = mine + round * MERIT_LANES * kBytes;
        m_read16(from, w.word[round]);
        if (kDtype == MERIT_DTYPE_F32) m_read16(from + 16, w.word[round] + 4);
    }
    if (kShifted && early) {
        read_start<kDtype>(start_of_segment<kDtype>(row, tile), row.shift, w.word[0]);
    }
}

// Sums --------------------------------------------------------------------------------------------

template <int kLevel>
struct LaneSums {
    float sum[kOwn];
    float moment[kLevel >= MERIT_LOGPROB_MOMENT ? kOwn : 1];
    float squares[kLevel >= MERIT_LOGPROB_SQUARES ? kOwn : 1];
};

// A logit as weight and exponent. kClamp: the weight may be 0.
template <int kLevel, bool kClamp>
MERIT_DEVICE float weigh(const merit_logprob_reference &r, float x, float *exponent)
{
    const float e = merit_logprob_power(&r, x);
    *exponent = 0.0f;
    if (!kClamp && kLevel < MERIT_LOGPROB_MOMENT) return e;
    const float y = merit_logprob_exponent(&r, x);
    const bool live = !kClamp || y >= MERIT_LOGPROB_LOWEST;
    *exponent = live ? y : 0.0f;
    return live ? e : 0.0f;
}

template <int kLevel, bool kClamp>
MERIT_DEVICE void add_logit(const merit_logprob_reference &r, float x, int k, LaneSums<kLevel> &s)
{
    float y;
    const float e = weigh<kLevel, kClamp>(r, x, &y);
    s.sum[k] = m_add(s.sum[k], e);
    if (kLevel >= MERIT_LOGPROB_MOMENT) s.moment[k] = m_fma(e, y, s.moment[k]);
    if (kLevel >= MERIT_LOGPROB_SQUARES) s.squares[k] = m_fma(e, e, s.squares[k]);
}

// The first logit of a lane: the same as adding it to 0.
template <int kLevel, bool kClamp>
MERIT_DEVICE void set_logit(const merit_logprob_reference &r, float x, int k, LaneSums<kLevel> &s)
{
    float y;
    const float e = weigh<kLevel, kClamp>(r, x, &y);
    s.sum[k] = e;
    if (kLevel >= MERIT_LOGPROB_MOMENT) s.moment[k] = m_mul(e, y);
    if (kLevel >= MERIT_LOGPROB_SQUARES) s.squares[k] = m_mul(e, e);
}

template <int kLevel>
MERIT_DEVICE void clear_sums(LaneSums<kLevel> &s, int k)
{
    s.sum[k] = 0.0f;
    if (kLevel >= MERIT_LOGPROB_MOMENT) s.moment[k] = 0.0f;
    if (kLevel >= MERIT_LOGPROB_SQUARES) s.squares[k] = 0.0f;
}

// Of a shifted row, the first `shift` places of thread 0 lie before the segment.
template <int kDtype, int kLevel, bool kShifted, bool kClamp>
MERIT_DEVICE void add_segment(const merit_logprob_reference &r, const Words<kDtype> &w, int shift,
                              int lane, LaneSums<kLevel> &s)
{
#pragma unroll
    for (int k = 0; k < kOwn; k++) {
        set_logit<kLevel, kClamp>(r, logit_of<kDtype>(w.word[0], k), k, s);
    }
    if (kShifted) {
#pragma unroll
        for (int k = 0; k < kOwn - 1; k++) {
            if (lane == 0 && k < shift) clear_sums(s, k);
        }
    }
#pragma unroll
    for (int round = 1; round < kRounds; round++) {
#pragma unroll
        for (int k = 0; k < kOwn; k++) {
            add_logit<kLevel, kClamp>(r, logit_of<kDtype>(w.word[round], k), k, s);
        }
    }
}

// Tree over the eight lanes of each thread, then over the threads.
MERIT_DEVICE float fold_own(const float *own)
{
    return m_add(m_add(m_add(own[0], own[1]), m_add(own[2], own[3])),
                 m_add(m_add(own[4], own[5]), m_add(own[6], own[7])));
}

MERIT_DEVICE float fold_lanes(const float *own)
{
    float sum = fold_own(own);
#pragma unroll
    for (int distance = 1; distance < kWarpSize; distance *= 2) {
        sum = m_add(sum, __shfl_xor_sync(kFullWarp, sum, distance));
    }
    return sum;
}

// Two of them at once: after the first exchange, even threads go on with one and odd ones with the other.
// Even threads get the first sum, odd ones the second.
MERIT_DEVICE float fold_two(const float *first, const float *second, int lane)
{
    const float a = fold_own(first);
    const float b = fold_own(second);
    const bool odd = lane % 2 != 0;
    float sum = odd ? b : a;
    sum = m_add(sum, __shfl_xor_sync(kFullWarp, odd ? a : b, 1));
#pragma unroll
    for (int distance = 2; distance < kWarpSize; distance *= 2) {
        sum = m_add(sum, __shfl_xor_sync(kFullWarp, sum, distance));
    }
    return sum;
}

// Moves sums from the lanes of their places to the lanes of their logits, `shift` further down.
MERIT_DEVICE void shift_lanes(float *own, int shift, int lane)
{
    MERIT_SHARED(float, places, [kMostWarps * kStaging]);
    float *const staging = places + (int)threadIdx.x / kWarpSize * kStaging;
    __syncwarp(kFullWarp); // the last values are read
#pragma unroll
    for (int k = 0; k < kOwn; k++) {
        staging[(kOwn + 1) * lane + k] = own[k];
    }
    __syncwarp(kFullWarp); // the values are there
#pragma unroll
    for (int k = 0; k < kOwn; k++) {
        const int place = (kOwn * lane + k + shift) % MERIT_LANES;
        own[k] = staging[place + place / kOwn];
    }
}

// The last `shift` logits of a shifted segment end the lanes that thread 0 holds.
template <int kLevel>
MERIT_DEVICE void add_end(const merit_logprob_reference &r, float x, int shift, int lane,
                          LaneSums<kLevel> &s)
{
#pragma unroll
    for (int k = 0; k < kOwn - 1; k++) {
        const float end = __shfl_sync(kFullWarp, x, k);
        if (lane == 0 && k < shift) add_logit<kLevel, true>(r, end, k, s);
    }
}

// A whole segment of logits that enter as they are. Thread 0 gets the sums.
template <int kDtype, int kLevel, bool kShifted>
MERIT_DEVICE merit_logprob_segment whole_segment(const WarpRow &row, int tile)
{
    const int shift = row.shift;
    const int lane = row.lane;
    Words<kDtype> w;
    read_segment<kDtype, kShifted>(row, tile, w);
    float end = 0.0f;
    if (kShifted) {
        const int at = lane < shift ? MERIT_TILE - shift + lane : MERIT_TILE - 1;
        end = merit_logprob_load(start_of_segment<kDtype>(row, tile), kDtype, at);
    }

    uint32_t max = w.word[0][0];
    uint32_t min = max;
#pragma unroll
    for (int i = 1; i < kRounds * Words<kDtype>::kWords; i++) {
        const uint32_t word = w.word[i / Words<kDtype>::kWords][i % Words<kDtype>::kWords];
        max = max_of<kDtype>(max, word);
        min = min_of<kDtype>(min, word);
    }
    float top = logit_of<kDtype>(&max, 0);
    float bottom = logit_of<kDtype>(&min, 0);
    if (kDtype != MERIT_DTYPE_F32) {
        top = m_max_nan32(top, logit_of<kDtype>(&max, 1));
        bottom = m_min32(bottom, logit_of<kDtype>(&min, 1));
    }
    if (kShifted) {
        top = m_max_nan32(top, end);
        bottom = m_min32(bottom, end);
    }
    const int highest = __reduce_max_sync(kFullWarp, m_ordered32(m_bits32(top)));
    const int lowest = __reduce_min_sync(kFullWarp, m_ordered32(m_bits32(bottom)));
    top = m_from_bits32((uint32_t)m_ordered32((uint32_t)highest));
    bottom = m_from_bits32((uint32_t)m_ordered32((uint32_t)lowest));

    merit_logprob_reference r;
    LaneSums<kLevel> s;
    const bool inside = merit_logprob_choose(top, row.factor, &r);
    if (inside && merit_logprob_exponent(&r, bottom) >= MERIT_LOGPROB_LOWEST) {
        add_segment<kDtype, kLevel, kShifted, false>(r, w, shift, lane, s);
    } else {
        const bool bad = !(top < m_inf32());
        if (!inside || bad) return merit_logprob_segment_of(top, bad);
        add_segment<kDtype, kLevel, kShifted, true>(r, w, shift, lane, s);
    }
    if (kShifted) {
        add_end<kLevel>(r, end, shift, lane, s);
        shift_lanes(s.sum, shift, lane);
        if (kLevel >= MERIT_LOGPROB_MOMENT) shift_lanes(s.moment, shift, lane);
        if (kLevel >= MERIT_LOGPROB_SQUARES) shift_lanes(s.squares, shift, lane);
    }
    merit_logprob_segment sums;
    sums.max = top;
    sums.moment = 0.0f;
    sums.squares = 0.0f;
    if (kLevel >= MERIT_LOGPROB_MOMENT) {
        sums.sum = fold_two(s.sum, s.moment, lane);
        sums.moment = __shfl_down_sync(kFullWarp, sums.sum, 1);
    } else {
        sums.sum = fold_lanes(s.sum);
    }
    if (kLevel >= MERIT_LOGPROB_SQUARES) sums.squares = fold_lanes(s.squares);
    return sums;
}

// Any segment, logit by logit ---------------------------------------------------------------------

MERIT_DEVICE_CALL float row_at(const merit_policy_logprob_forward_args &args,
                               const merit_logprob_row &row, int64_t v, int within)
{
    return v < args.d.vocab_size ? merit_logprob_row_at(&args, &row, v, within) : -m_inf32();
}

// Over K (set 0) or every v (set 1), under every option.
MERIT_DEVICE_CALL merit_logprob_segment any_segment(const merit_policy_logprob_forward_args &args,
                                                    const merit_logprob_row &row, int64_t tile,
                                                    int set, int lane)
{
    const int64_t first = tile * MERIT_TILE + kOwn * lane;
    const int64_t left = args.d.vocab_size - tile * MERIT_TILE;
    const int rounds = left < MERIT_TILE ? (int)((left + MERIT_LANES - 1) / MERIT_LANES) : kRounds;
    float top = -m_inf32();
    for (int round = 0; round < rounds; round++) {
        for (int k = 0; k < kOwn; k++) {
            top = m_max_nan32(top, row_at(args, row, first + round * MERIT_LANES + k, set == 0));
        }
    }
    const int highest = __reduce_max_sync(kFullWarp, m_ordered32(m_bits32(top)));
    top = m_from_bits32((uint32_t)m_ordered32((uint32_t)highest));
    merit_logprob_reference r;
    merit_logprob_segment sums = merit_logprob_segment_of(top, !(top < m_inf32()));
    if (!merit_logprob_choose(top, row.factor, &r) || m_is_nan32(sums.sum)) return sums;
    LaneSums<MERIT_LOGPROB_SQUARES> s;
#pragma unroll
    for (int k = 0; k < kOwn; k++) {
        clear_sums(s, k);
    }
    for (int round = 0; round < rounds; round++) {
#pragma unroll
        for (int k = 0; k < kOwn; k++) {
            const float x = row_at(args, row, first + round * MERIT_LANES + k, set == 0);
            add_logit<MERIT_LOGPROB_SQUARES, true>(r, x, k, s);
        }
    }
    sums.sum = fold_lanes(s.sum);
    sums.moment = fold_lanes(s.moment);
    sums.squares = fold_lanes(s.squares);
    return sums;
}

} // namespace

#endif
