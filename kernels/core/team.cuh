// Threads that own one group (or row) together: part of a warp, a warp, or a block. A team holds up to
// a tile of the group, some elements (slots) per thread, placed so that a reduction follows the
// canonical order of lanes.h with as few exchanges as possible:
//
//   part of a warp   1 slot, element = rank                 groups of at most `width` <= 32
//   warp             8 slots, element = 8 rank + slot       groups of at most 256
//   block of 256     8 slots, element = 256 slot + rank     tiles of 2048
//
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
    static constexpr int kCapacity = kKind == kTeamSubwarp ? 32
                                     : kKind == kTeamWarp  ? MERIT_LANES
                                                           : MERIT_TILE;
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

// Canonical sum over the tile.
template <TeamKind kKind>
MERIT_DEVICE double team_sum(const Team<kKind> &team, const double (&v)[Team<kKind>::kSlots])
{
    double mine = v[0];
    if (kKind == kTeamWarp) {
        mine = m_add64(m_add64(m_add64(v[0], v[1 % Team<kKind>::kSlots]),
                               m_add64(v[2 % Team<kKind>::kSlots], v[3 % Team<kKind>::kSlots])),
                       m_add64(m_add64(v[4 % Team<kKind>::kSlots], v[5 % Team<kKind>::kSlots]),
                               m_add64(v[6 % Team<kKind>::kSlots], v[7 % Team<kKind>::kSlots])));
    } else {
#pragma unroll
        for (int slot = 1; slot < Team<kKind>::kSlots; slot++) {
            mine = m_add64(mine, v[slot]);
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
