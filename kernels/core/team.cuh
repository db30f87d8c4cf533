// Threads that own one group (or row) together: part of a warp, a warp, or a block. A team holds up to
// a tile of the group, some elements (slots) per thread, placed so that a reduction follows the
// canonical order of lanes.h with as few exchanges as possible:
//
//   part of a warp   1 slot, element = rank                 groups of at most `width` <= 32
//   warp             8 slots, element = 8 rank + slot       groups of at most 256
//   block of 256     8 slots, element = 256 slot + rank     tiles of 2048
//
// The single slot is a register; the others lie in shared memory, so that loops over slots need not be
// unrolled.
// Every thread of a team calls every reduction, absent elements bring the neutral value, and every
// thread gets the result. Teams in one warp stay together: no caller branches on the data of a group
// around a reduction, except with the warp and block teams.
#ifndef MERIT_CORE_TEAM_CUH
#define MERIT_CORE_TEAM_CUH

#include "lanes.h"
#include "reduce.cuh"

constexpr int kTeamBlock = 256; // threads of a block team, and of every kernel that uses teams

enum TeamKind { kTeamSubwarp, kTeamWarp, kTeamBlockWide };

template <TeamKind kKind>
struct Team {
    static constexpr int kSlots = kKind == kTeamSubwarp ? 1 : 8;
    int rank; // in the team
    int width; // threads of a sub-warp team: a power of two
    double *scratch; // block team: shared, 8 values
};

// Element of the tile that a slot holds.
template <TeamKind kKind>
MERIT_DEVICE int team_element(const Team<kKind> &team, int slot)
{
    if (kKind == kTeamSubwarp) return team.rank;
    if (kKind == kTeamWarp) return 8 * team.rank + slot;
    return kTeamBlock * slot + team.rank;
}

// Where a slot of a tile lies in an array of the team in shared memory: without bank conflicts.
template <TeamKind kKind>
MERIT_DEVICE int team_place(const Team<kKind> &team, int slot)
{
    if (kKind == kTeamSubwarp) return 0; // a register
    return (kKind == kTeamWarp ? kWarpSize : kTeamBlock) * slot + team.rank;
}

// The place of an element, for reading another thread's.
template <TeamKind kKind>
MERIT_DEVICE int team_place_of(int element)
{
    if (kKind == kTeamWarp) return element % 8 * kWarpSize + element / 8;
    return element;
}

// Makes what the team's threads wrote to shared memory visible to them all.
template <TeamKind kKind>
MERIT_DEVICE void team_sync(void)
{
    if (kKind == kTeamWarp) __syncwarp(kFullWarp);
    if (kKind == kTeamBlockWide) __syncthreads();
}

// Reduces one value per thread with a commutative combine(a, b), neighbours first.
template <TeamKind kKind, typename Value, typename Combine>
MERIT_DEVICE Value team_reduce(const Team<kKind> &team, Value value, Combine combine)
{
    const int width = kKind == kTeamSubwarp ? team.width : kWarpSize;
    for (int distance = 1; distance < width; distance *= 2) {
        value = combine(value, __shfl_xor_sync(kFullWarp, value, distance));
    }
    if (kKind != kTeamBlockWide) return value;
    Value *const warps = reinterpret_cast<Value *>(team.scratch);
    if (team.rank % kWarpSize == 0) warps[team.rank / kWarpSize] = value;
    __syncthreads(); // the eight values are there
    const Value low = combine(combine(warps[0], warps[1]), combine(warps[2], warps[3]));
    const Value high = combine(combine(warps[4], warps[5]), combine(warps[6], warps[7]));
    __syncthreads(); // and read, before the next reduction writes its own
    return combine(low, high);
}

// Canonical sum over the tile of term(slot), an absent element's being 0.
template <TeamKind kKind, typename Term>
MERIT_DEVICE double team_sum(const Team<kKind> &team, Term term)
{
    double mine;
    if (kKind == kTeamWarp) {
        // the tree over the thread's eight lanes, like the digits of a binary counter
        double pair = 0.0;
        double quad = 0.0;
        mine = 0.0;
#pragma unroll 1
        for (int slot = 0; slot < 8; slot += 2) {
            const double two = m_add64(term(slot), term(slot + 1));
            if (slot % 4 == 0) {
                pair = two;
            } else {
                const double four = m_add64(pair, two);
                if (slot == 2) quad = four;
                if (slot == 6) mine = m_add64(quad, four);
            }
        }
    } else {
        mine = term(0);
#pragma unroll 1
        for (int slot = 1; slot < Team<kKind>::kSlots; slot++) {
            mine = m_add64(mine, term(slot));
        }
    }
    return team_reduce(team, mine, [](double a, double b) { return m_add64(a, b); });
}

template <TeamKind kKind>
MERIT_DEVICE double team_min(const Team<kKind> &team, double mine)
{
    return team_reduce(team, mine, [](double a, double b) { return m_min64(a, b); });
}

template <TeamKind kKind>
MERIT_DEVICE double team_max(const Team<kKind> &team, double mine)
{
    return team_reduce(team, mine, [](double a, double b) { return m_max64(a, b); });
}

template <TeamKind kKind>
MERIT_DEVICE int team_sum_int(const Team<kKind> &team, int mine)
{
    return team_reduce(team, mine, [](int a, int b) { return a + b; });
}

template <TeamKind kKind>
MERIT_DEVICE int team_or_int(const Team<kKind> &team, int mine)
{
    return team_reduce(team, mine, [](int a, int b) { return a | b; });
}

template <TeamKind kKind>
MERIT_DEVICE int team_min_int(const Team<kKind> &team, int mine)
{
    return team_reduce(team, mine, [](int a, int b) { return a < b ? a : b; });
}

// True in every thread of the block that brought *ticket to `total`; the block's earlier writes are
// visible to it, and the ticket is back at 0.
MERIT_DEVICE bool block_is_last(uint32_t *ticket, uint32_t amount, uint32_t total)
{
    MERIT_SHARED(int, last, [1]);
    __threadfence(); // this thread's results, before the ticket tells of them
    __syncthreads();
    if (threadIdx.x == 0) {
        last[0] = atomicAdd(ticket, amount) + amount == total;
        if (last[0]) atomicExch(ticket, 0u); // atomic: nothing orders the others' adds before it
    }
    __syncthreads();
    const bool is_last = last[0] != 0;
    __syncthreads(); // read before the next call writes it
    if (is_last) __threadfence(); // the others' results, behind their tickets
    return is_last;
}

// Units of work that blocks take in rising order, one at a time: the next one's number, by a whole block.
// A unit may wait (block_wait) for what units before it will set, and for nothing else: whoever took those
// is running, so no block waits for one that may not have started, however few fit on the device.
MERIT_DEVICE int64_t block_claim(uint64_t *claims)
{
    MERIT_SHARED(int64_t, claimed, [1]);
    if (threadIdx.x == 0) {
        claimed[0] = (int64_t)atomicAdd(reinterpret_cast<unsigned long long *>(claims), 1ull);
    }
    __syncthreads();
    const int64_t unit = claimed[0];
    __syncthreads(); // read before the next call writes it
    return unit;
}

// By one thread, when its block has synchronized behind all that it wrote: what block_wait waits for.
MERIT_DEVICE void block_tell(uint32_t *word, uint32_t value)
{
    __threadfence();
    atomicExch(word, value);
}

// Until *word is at least `least`; what was written before that is visible then, to the whole block.
MERIT_DEVICE void block_wait(uint32_t *word, uint32_t least)
{
    if (threadIdx.x == 0) {
        while (atomicAdd(word, 0u) < least) {
            MERIT_LOOK_AGAIN();
        }
    }
    __syncthreads();
    __threadfence();
}

// Tree over records[0 .. count) in global memory, in place, by one block of kTeamBlock threads:
// neighbours first, a record without a right sibling passes through. The result is records[0].
template <typename Record, typename Merge>
MERIT_DEVICE void block_fold_records(Record *records, int64_t count, Merge merge)
{
    for (; count > 1; count = (count + 1) / 2) {
        for (int64_t first = 0; first < (count + 1) / 2; first += kTeamBlock) {
            const int64_t i = first + threadIdx.x;
            const bool live = i < (count + 1) / 2;
            Record merged;
            if (live) {
                merged =
                    2 * i + 1 < count ? merge(records[2 * i], records[2 * i + 1]) : records[2 * i];
            }
            __syncthreads(); // all of this round are read before one is overwritten
            if (live) records[i] = merged;
            __syncthreads(); // and written before the next round reads
        }
    }
}

#endif
