// group_index, CUDA: what one block does with its tile of rows. kWarps is the number of warps of the
// block; order inside a tile comes from giving each a contiguous part of it and ranking 32 rows at
// a time by votes.
#ifndef MERIT_ADVANTAGE_GROUP_INDEX_TILE_CUH
#define MERIT_ADVANTAGE_GROUP_INDEX_TILE_CUH

#include "../core/counters.h"
#include "../core/reduce.cuh"
#include "group_index.h"

constexpr int kDigits = MERIT_GROUP_INDEX_DIGITS;
constexpr int kTile = MERIT_GROUP_INDEX_TILE;

// Warp and block operations -----------------------------------------------------------------------

MERIT_DEVICE int warp_lane()
{
    return (int)threadIdx.x % kWarpSize;
}

MERIT_DEVICE int warp_number()
{
    return (int)threadIdx.x / kWarpSize;
}

MERIT_DEVICE int count_bits(unsigned votes)
{
    return __popc(votes);
}

// Lanes below this one.
MERIT_DEVICE unsigned lanes_below()
{
    return (1u << warp_lane()) - 1u;
}

// Sum of the values of lower lanes and this one.
MERIT_DEVICE uint64_t warp_inclusive_sum(uint64_t value)
{
    for (int distance = 1; distance < kWarpSize; distance *= 2) {
        const uint64_t below = __shfl_up_sync(kFullWarp, value, distance);
        if (warp_lane() >= distance) value += below;
    }
    return value;
}

struct row_range {
    int64_t begin;
    int64_t end;
};

// This warp's contiguous part of [begin, end); all but the last ones are whole warps long.
template <int kWarps>
MERIT_DEVICE row_range warp_part(int64_t begin, int64_t end)
{
    constexpr int64_t kStep = (int64_t)kWarps * kWarpSize;
    const int64_t length = (end - begin + kStep - 1) / kStep * kWarpSize;
    const int64_t first = begin + warp_number() * length;
    row_range part;
    part.begin = first < end ? first : end;
    part.end = first + length < end ? first + length : end;
    return part;
}

MERIT_DEVICE row_range tile_rows(const merit_group_index_args &a, int64_t tile)
{
    row_range rows;
    rows.begin = tile * kTile;
    rows.end = rows.begin + kTile < a.d.num_rows ? rows.begin + kTile : a.d.num_rows;
    return rows;
}

// Survey: counters, group_of of DENSE, the bits of LABELS ------------------------------------------

// words: [2 * kWarps] shared; afterwards words[0] and words[1] hold the bits that were seen set and
// clear among the labels, the highest bit of words[0] whether some row is ungrouped.
template <int kWarps>
MERIT_DEVICE void survey(const merit_group_index_args &a, row_range rows, uint64_t *words)
{
    uint64_t ones = 0;
    uint64_t zeros = 0;
    int ungrouped = 0;
    int bad = 0;
    for (int64_t i = rows.begin + threadIdx.x; i < rows.end; i += kWarps * kWarpSize) {
        const int64_t id = merit_group_index_id(&a, i);
        const int is_bad = merit_group_index_bad(&a, id);
        const int is_ungrouped = id < 0;
        ones |= is_ungrouped ? (uint64_t)1 << 63 : (uint64_t)id;
        zeros |= is_ungrouped ? 0 : ~(uint64_t)id;
        ungrouped += is_ungrouped;
        bad += is_bad;
        if (a.d.kind == MERIT_GROUP_KIND_DENSE && a.io.group_of != NULL) {
            a.io.group_of[i] = is_ungrouped || is_bad ? -1 : (int32_t)id;
        }
    }
    for (int distance = 1; distance < kWarpSize; distance *= 2) {
        ones |= __shfl_xor_sync(kFullWarp, ones, distance);
        zeros |= __shfl_xor_sync(kFullWarp, zeros, distance);
    }
    ungrouped = merit_warp_sum_int<kWarpSize>(ungrouped);
    bad = merit_warp_sum_int<kWarpSize>(bad);
    if (warp_lane() == 0) {
        words[2 * warp_number()] = ones;
        words[2 * warp_number() + 1] = zeros;
        m_count(a.io.diagnostics, MERIT_COUNTER_UNGROUPED, (uint64_t)ungrouped);
        m_count(a.io.diagnostics, MERIT_COUNTER_BAD_ID, (uint64_t)bad);
    }
    __syncthreads(); // words of all warps
    if (threadIdx.x == 0) {
        for (int warp = 1; warp < kWarps; warp++) {
            words[0] |= words[2 * warp];
            words[1] |= words[2 * warp + 1];
        }
    }
    __syncthreads(); // words[0] and words[1]
}

MERIT_DEVICE merit_group_index_state state_from(const merit_group_index_args &a, uint64_t ones,
                                                uint64_t zeros)
{
    const uint64_t high = (uint64_t)1 << 63;
    return merit_group_index_state_of(&a, ones & ~high, zeros, (ones & high) != 0);
}

// Sort --------------------------------------------------------------------------------------------

// Counts the digits of each warp's part into counters, [kWarps * 256] shared.
template <int kWarps>
MERIT_DEVICE void count_digits(const merit_group_index_args &a, const merit_group_index_state &s,
                               merit_group_index_pass p, row_range rows, uint32_t *counters)
{
    for (int i = threadIdx.x; i < kWarps * kDigits; i += kWarps * kWarpSize) {
        counters[i] = 0;
    }
    __syncthreads(); // zeros before counts
    const row_range part = warp_part<kWarps>(rows.begin, rows.end);
    uint32_t *const mine = counters + warp_number() * kDigits;
    for (int64_t i = part.begin + warp_lane(); i < part.end; i += kWarpSize) {
        atomicAdd(&mine[merit_group_index_digit(merit_group_index_key_at(&a, &s, p, i), p)], 1u);
    }
    __syncthreads(); // counts before they are read
}

// Digit `digit` of all warps.
template <int kWarps>
MERIT_DEVICE uint32_t digit_total(const uint32_t *counters, int digit)
{
    uint32_t total = 0;
    for (int warp = 0; warp < kWarps; warp++) {
        total += counters[warp * kDigits + digit];
    }
    return total;
}

// values[256] shared to the sums of those before each; done by the first warp.
MERIT_DEVICE void scan_digits(uint32_t *values)
{
    constexpr int kEach = kDigits / kWarpSize;
    __syncthreads(); // values before the scan
    if (warp_number() == 0) {
        uint32_t *const mine = values + warp_lane() * kEach;
        uint32_t total = 0;
        for (int i = 0; i < kEach; i++) {
            total += mine[i];
        }
        uint32_t sum = (uint32_t)warp_inclusive_sum(total) - total;
        for (int i = 0; i < kEach; i++) {
            const uint32_t value = mine[i];
            mine[i] = sum;
            sum += value;
        }
    }
    __syncthreads(); // the scan before its use
}

// Moves rows whose digits are counted in `counters`; those of digit d go to base[d] and on. Both are
// used up.
template <int kWarps>
MERIT_DEVICE void scatter(const merit_group_index_args &a, const merit_group_index_state &s,
                          merit_group_index_pass p, row_range rows, uint32_t *counters,
                          const uint32_t *base)
{
    if (threadIdx.x < kDigits) {
        uint32_t sum = base[threadIdx.x];
#pragma unroll 4 // all 32 of the largest block would spill
        for (int warp = 0; warp < kWarps; warp++) {
            uint32_t *const counter = &counters[warp * kDigits + threadIdx.x];
            const uint32_t count = *counter;
            *counter = sum;
            sum += count;
        }
    }
    __syncthreads(); // places of all digits and warps
    const row_range part = warp_part<kWarps>(rows.begin, rows.end);
    uint32_t *const mine = counters + warp_number() * kDigits;
    for (int64_t first = part.begin; first < part.end; first += kWarpSize) {
        const int64_t i = first + warp_lane();
        const bool live = i < part.end;
        const uint64_t key = live ? merit_group_index_key_at(&a, &s, p, i) : 0;
        const int32_t row = live ? merit_group_index_row_at(&a, p, i) : 0;
        const uint32_t digit = merit_group_index_digit(key, p);
        unsigned same = __ballot_sync(kFullWarp, live);
        for (int bit = 0; bit < p.bits; bit++) {
            const int set = (int)(digit >> bit & 1u);
            const unsigned votes = __ballot_sync(kFullWarp, set);
            same &= set ? votes : ~votes;
        }
        const int before = count_bits(same & lanes_below());
        const uint32_t place = mine[digit] + (uint32_t)before;
        __syncwarp(); // all have read before one adds
        if (live && before == 0) mine[digit] += (uint32_t)count_bits(same);
        __syncwarp(); // the sum before the next rows
        if (live) merit_group_index_put(&a, p, place, key, row);
    }
    __syncthreads(); // the block's rows before its next step, counters before their reuse
}

// Heads: RUNS and sorted LABELS -------------------------------------------------------------------

// Heads and grouped rows of each warp's part into words[warp], shared.
template <int kWarps>
MERIT_DEVICE void count_heads(const merit_group_index_args &a, const merit_group_index_state &s,
                              const uint64_t *sorted, row_range rows, uint64_t *words)
{
    const row_range part = warp_part<kWarps>(rows.begin, rows.end);
    int heads = 0;
    int grouped = 0;
#pragma unroll 1 // more loads in flight spill on sm_80
    for (int64_t i = part.begin + warp_lane(); i < part.end; i += kWarpSize) {
        const merit_group_index_place place = merit_group_index_place_at(&a, &s, sorted, i);
        heads += place.head;
        grouped += place.grouped;
    }
    heads = merit_warp_sum_int<kWarpSize>(heads);
    grouped = merit_warp_sum_int<kWarpSize>(grouped);
    if (warp_lane() == 0) {
        words[warp_number()] = merit_group_index_pack((uint32_t)heads, (uint32_t)grouped);
    }
    __syncthreads(); // words of all warps
}

// sum: heads and grouped rows before `rows`; words as count_heads left them.
template <int kWarps>
MERIT_DEVICE void write_heads(const merit_group_index_args &a, const merit_group_index_state &s,
                              const uint64_t *sorted, row_range rows, const uint64_t *words,
                              uint64_t sum)
{
    for (int warp = 0; warp < warp_number(); warp++) {
        sum += words[warp];
    }
    const row_range part = warp_part<kWarps>(rows.begin, rows.end);
    int32_t heads = (int32_t)(sum >> 32);
    int32_t grouped = (int32_t)(uint32_t)sum;
    for (int64_t first = part.begin; first < part.end; first += kWarpSize) {
        const int64_t i = first + warp_lane();
        const bool live = i < part.end;
        merit_group_index_place place;
        place.grouped = 0;
        place.head = 0;
        if (live) place = merit_group_index_place_at(&a, &s, sorted, i);
        const unsigned head_votes = __ballot_sync(kFullWarp, place.head);
        const unsigned grouped_votes = __ballot_sync(kFullWarp, place.grouped);
        if (live) {
            merit_group_index_write(&a, &s, place, i,
                                    heads + count_bits(head_votes & lanes_below()),
                                    grouped + count_bits(grouped_votes & lanes_below()));
        }
        heads += count_bits(head_votes);
        grouped += count_bits(grouped_votes);
    }
}

// Offsets of DENSE, the largest group -------------------------------------------------------------

// First position whose key is at least n.
MERIT_DEVICE int64_t first_position(const uint64_t *sorted, int64_t num_rows, int64_t n)
{
    int64_t low = 0;
    int64_t high = num_rows;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if ((int64_t)sorted[middle] < n) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// The largest of groups first, first + step, ...: into *max_size, which other threads share.
MERIT_DEVICE void find_max_size(const int64_t *offsets, int64_t num_groups, int64_t first,
                                int64_t step, int32_t *max_size)
{
    int32_t largest = 0;
    for (int64_t n = first; n < num_groups; n += step) {
        const int32_t size = (int32_t)(offsets[n + 1] - offsets[n]);
        largest = size > largest ? size : largest;
    }
    for (int distance = 1; distance < kWarpSize; distance *= 2) {
        const int32_t other = __shfl_xor_sync(kFullWarp, largest, distance);
        largest = other > largest ? other : largest;
    }
    if (warp_lane() == 0 && largest > 0) atomicMax(max_size, largest);
}

#endif
