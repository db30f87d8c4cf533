// advantage_spread, CUDA. One block per tile of positions, so long segments are shared by blocks and
// short ones by threads; a thread owns four neighbors and stores them as one word when it can.
// Write-bound.
#include "../backend.h"
#include "../core/reduce.cuh"
#include "advantage_spread.h"

// Tuning ------------------------------------------------------------------------------------------

constexpr int kTile = MERIT_ADVANTAGE_SPREAD_TILE;
constexpr int kBlockThreads = 256;
constexpr int kEach = 4; // positions of a thread: 16 bytes of binary32
constexpr int kBlocksPerSm = 8; // full occupancy at 256 threads

struct alignas(16) four_words {
    uint32_t word[kEach];
};

struct alignas(8) four_halves {
    uint16_t word[kEach];
};

// Steps -------------------------------------------------------------------------------------------

// The reach of positions [begin, end), the same in all threads. ends: [2] shared.
MERIT_DEVICE merit_advantage_spread_reach tile_reach(const merit_advantage_spread_args &a,
                                                     int64_t begin, int64_t end, int64_t *ends)
{
    merit_advantage_spread_reach reach;
    reach.low = 0;
    reach.high = 0;
    reach.rising = 1;
    const int64_t num = a.d.segments.num_groups;
    const int64_t *const offsets = a.d.segments.offsets;
    if (num == 0 || a.d.segments.group_size > 0) return reach; // uniform in the grid
    if (threadIdx.x % kWarpSize == 0 && threadIdx.x < 2 * kWarpSize) { // one thread of two warps
        const int64_t position = threadIdx.x == 0 ? begin : end - 1;
        ends[threadIdx.x / kWarpSize] =
            merit_advantage_spread_bisect(offsets, -1, num + 1, position);
    }
    __syncthreads(); // both ends
    reach.low = ends[0];
    reach.high = ends[1] + 1;
    int rising = 1;
    for (int64_t n = (reach.low < 0 ? 0 : reach.low) + threadIdx.x; n < reach.high && n < num;
         n += kBlockThreads) {
        if (offsets[n] > offsets[n + 1]) rising = 0;
    }
    reach.rising = __syncthreads_and(rising); // and the ends are read before the next tile's
    return reach;
}

// Positions [first, first + count), count <= kEach, that are tokens themselves.
MERIT_DEVICE void spread_tokens(const merit_advantage_spread_args &a,
                                merit_advantage_spread_reach reach, int64_t first, int count,
                                bool aligned)
{
    merit_advantage_spread_span span;
    span.end = first;
    span.fate = MERIT_ADVANTAGE_SPREAD_ZERO;
    span.value = 0.0;
    four_words words;
    bool untouched[kEach];
    bool whole = aligned && count == kEach;
#pragma unroll
    for (int i = 0; i < kEach; i++) {
        untouched[i] = true;
        words.word[i] = 0;
        if (i >= count) continue;
        if (first + i >= span.end) span = merit_advantage_spread_span_at(&a, reach, first + i);
        untouched[i] = span.fate == MERIT_ADVANTAGE_SPREAD_KEEP;
        if (untouched[i]) {
            whole = false;
        } else {
            words.word[i] = merit_advantage_spread_word(&a, span.fate, span.value, first + i);
        }
    }
    if (whole && a.d.out_dtype == MERIT_DTYPE_F32) {
        *reinterpret_cast<four_words *>(static_cast<float *>(a.io.out) + first) = words;
        return;
    }
    if (whole) {
        four_halves halves;
#pragma unroll
        for (int i = 0; i < kEach; i++) {
            halves.word[i] = (uint16_t)words.word[i];
        }
        *reinterpret_cast<four_halves *>(static_cast<uint16_t *>(a.io.out) + first) = halves;
        return;
    }
#pragma unroll
    for (int i = 0; i < kEach; i++) {
        if (!untouched[i]) merit_advantage_spread_store(&a, first + i, words.word[i]);
    }
}

// One position that stands for the token index[position]. Returns 1 when that is out of range.
MERIT_DEVICE int spread_position(const merit_advantage_spread_args &a,
                                 merit_advantage_spread_reach reach, int64_t position)
{
    const int64_t token = merit_advantage_spread_token(&a, position);
    if (token < 0) return 1;
    const merit_advantage_spread_span span = merit_advantage_spread_span_at(&a, reach, position);
    if (span.fate != MERIT_ADVANTAGE_SPREAD_KEEP) {
        merit_advantage_spread_store(&a, token,
                                     merit_advantage_spread_word(&a, span.fate, span.value, token));
    }
    return 0;
}

// Counts the segments that thread `first` of `step` owns.
MERIT_DEVICE void check_segments(const merit_advantage_spread_args &a, int64_t first, int64_t step)
{
    uint64_t bad = 0;
    uint64_t too_large = 0;
    for (int64_t n = first; n < a.d.segments.num_groups; n += step) {
        merit_advantage_spread_check(&a, n, &bad, &too_large);
    }
    m_count(a.io.diagnostics, MERIT_COUNTER_BAD_OFFSETS, bad);
    m_count(a.io.diagnostics, MERIT_COUNTER_GROUP_TOO_LARGE, too_large);
}

// Kernels -----------------------------------------------------------------------------------------

// grid: any; block: kBlockThreads.
MERIT_KERNEL(kBlockThreads) advantage_spread_tile_kernel(const merit_advantage_spread_args a)
{
    MERIT_SHARED(int64_t, ends, [2]);
    const size_t four = a.d.out_dtype == MERIT_DTYPE_F32 ? sizeof(four_words) : sizeof(four_halves);
    const bool aligned = reinterpret_cast<uintptr_t>(a.io.out) % four == 0;
    int bad_index = 0;
    for (int64_t begin = (int64_t)blockIdx.x * kTile; begin < a.d.num_tokens;
         begin += (int64_t)gridDim.x * kTile) {
        const int64_t end = begin + kTile < a.d.num_tokens ? begin + kTile : a.d.num_tokens;
        const merit_advantage_spread_reach reach = tile_reach(a, begin, end, ends);
        if (a.d.segments.index != NULL) {
            for (int64_t p = begin + threadIdx.x; p < end; p += kBlockThreads) {
                bad_index += spread_position(a, reach, p);
            }
        } else {
            for (int64_t p = begin + threadIdx.x * kEach; p < end; p += kBlockThreads * kEach) {
                spread_tokens(a, reach, p, end - p < kEach ? (int)(end - p) : kEach, aligned);
            }
        }
    }
    m_count(a.io.diagnostics, MERIT_COUNTER_BAD_INDEX, (uint64_t)bad_index);
    if (a.d.segments.group_size == 0 && a.io.diagnostics != NULL) {
        check_segments(a, (int64_t)blockIdx.x * kBlockThreads + threadIdx.x,
                       (int64_t)gridDim.x * kBlockThreads);
    }
}

// Launchers ---------------------------------------------------------------------------------------

extern "C" int MERIT_BACKEND_FN(advantage_spread)(const struct merit_advantage_spread_args *args,
                                                  const merit_launch *launch)
{
    const int64_t tiles = (args->d.num_tokens + kTile - 1) / kTile;
    const int64_t most = (int64_t)launch->num_sms * kBlocksPerSm;
    return MERIT_LAUNCH(advantage_spread_tile_kernel, (unsigned)(tiles < most ? tiles : most),
                        kBlockThreads, 0, launch->stream, *args);
}

extern "C" int MERIT_BACKEND_FN(advantage_spread_load)(const merit_launch *limits)
{
    (void)limits;
    cudaFuncAttributes attributes;
    return (int)cudaFuncGetAttributes(&attributes, advantage_spread_tile_kernel);
}
