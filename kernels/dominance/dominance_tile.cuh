// A square tile of pairs of actions, kEdge x kEdge, by a group of kEdge^2 / 4 threads: each takes two
// actions by two. Levels stream through shared memory in chunks of a multiple of four, so that lanes
// simply go on; a chunk's missing levels are zeros of weight zero, which change no sum.
#ifndef MERIT_DOMINANCE_TILE_CUH
#define MERIT_DOMINANCE_TILE_CUH

#include "../core/launch.cuh"
#include "dominance_pair.h"

constexpr int kDominanceThreads = 256;
constexpr int kDominanceChunk = 32; // levels
constexpr int kDominanceStride = kDominanceChunk + 1; // odd: rows start in different banks

template <int kEdge>
struct TileShape {
    static constexpr int kHalf = kEdge / 2;
    static constexpr int kGroup = kHalf * kHalf; // threads
    static constexpr int kGroups = kDominanceThreads / kGroup; // of a block
    // Rows of a group: a tile of 32 may compare different actions, smaller ones hold all there are.
    static constexpr int kRows = kEdge == 32 ? 2 * kEdge : kEdge;
};

// Where rows come from: q, or A rows of N that were sorted before.
struct DominanceSource {
    const merit_dominance_compare *c;
    const float *sorted;
    int64_t state;
    int objective;
};

MERIT_DEVICE float source_level(const DominanceSource &s, int a, int n)
{
    if (s.sorted != NULL) return s.sorted[(int64_t)a * s.c->num_levels + n];
    const int64_t at = merit_dominance_row_at(s.c, s.state, s.objective, a);
    return merit_dominance_load(s.c, at + n * s.c->stride_level);
}

// A group's part of the shared memory.
struct TileMemory {
    float *levels; // [kRows, kDominanceStride]
    float *weights; // [kDominanceChunk]
    double *sums; // [kRows] of a row's levels, or of weight times level
    uint32_t *flags; // [kRows]
    int *bad_weights; // [1]
};

// What a thread brings of a tile.
struct TileWork {
    int rank; // in the group
    bool live; // the group has a tile at all; if not it comes to the barriers
    int first_a, first_b; // actions of the tile; equal: one set of rows
    const uint32_t *present; // actions that are there, NULL = all: others count as rows of zeros
};

template <int kEdge>
MERIT_DEVICE int tile_rows(const TileWork &w)
{
    return w.first_a == w.first_b ? kEdge : TileShape<kEdge>::kRows;
}

// Action of row `row` of the group, -1 if it is none.
template <int kEdge>
MERIT_DEVICE int tile_action(const DominanceSource &s, const TileWork &w, int row)
{
    const int a = row < kEdge ? w.first_a + row : w.first_b + (row - kEdge);
    if (!w.live || a >= s.c->num_actions) return -1;
    if (w.present != NULL && (w.present[a / 32] >> (a % 32) & 1u) == 0) return -1;
    return a;
}

// Row of the group that holds the thread's action i (0, 1) of either side.
template <int kEdge>
MERIT_DEVICE int tile_row_a(const TileWork &w, int i)
{
    return w.rank / TileShape<kEdge>::kHalf + i * TileShape<kEdge>::kHalf;
}

template <int kEdge>
MERIT_DEVICE int tile_row_b(const TileWork &w, int i)
{
    const int row = w.rank % TileShape<kEdge>::kHalf + i * TileShape<kEdge>::kHalf;
    return w.first_a == w.first_b ? row : kEdge + row;
}

// Sums of the thread's four pairs, [2 i + j]; as if larger were better, all >= 0.
struct TileSums {
    double more[4], less[4], tie[4];
    int undefined[4];
};

// Brings levels [first, first + kDominanceChunk) and their weights.
template <int kEdge>
MERIT_DEVICE void tile_load(const DominanceSource &s, const TileWork &w, const TileMemory &memory,
                            int first)
{
    const int levels = s.c->num_levels;
    const int count = tile_rows<kEdge>(w) * kDominanceChunk;
    for (int i = w.rank; i < count; i += TileShape<kEdge>::kGroup) {
        const int row = i / kDominanceChunk;
        const int n = i % kDominanceChunk;
        const int a = tile_action<kEdge>(s, w, row);
        const bool here = a >= 0 && first + n < levels;
        memory.levels[row * kDominanceStride + n] = here ? source_level(s, a, first + n) : 0.0f;
    }
    const float *const weights = w.live ? merit_dominance_weights_of(s.c, s.state) : NULL;
    for (int n = w.rank; n < kDominanceChunk; n += TileShape<kEdge>::kGroup) {
        float weight = first + n < levels ? 1.0f : 0.0f;
        if (weights != NULL && first + n < levels) weight = weights[first + n];
        if (!(weight >= 0.0f)) atomicOr(memory.bad_weights, 1);
        memory.weights[n] = weight;
    }
}

// What a thread keeps of a row that it describes.
struct RowState {
    double lanes[MERIT_DOMINANCE_LANES];
    float before;
    uint32_t flags;
};

MERIT_DEVICE void describe_chunk(const DominanceSource &s, const TileMemory &memory, int row,
                                 int first, RowState *r)
{
    const int left = s.c->num_levels - first;
    const int count = left < kDominanceChunk ? left : kDominanceChunk;
    for (int n = 0; n < count; n++) {
        const float level = memory.levels[row * kDominanceStride + n];
        const double term = m_mul64((double)memory.weights[n], (double)level);
        r->flags |= merit_dominance_level_flags(s.c, level, first + n == 0 ? level : r->before);
        r->before = level;
        switch (n % MERIT_DOMINANCE_LANES) { // registers have no index
        case 0: r->lanes[0] = m_add64(r->lanes[0], term); break;
        case 1: r->lanes[1] = m_add64(r->lanes[1], term); break;
        case 2: r->lanes[2] = m_add64(r->lanes[2], term); break;
        default: r->lanes[3] = m_add64(r->lanes[3], term); break;
        }
    }
}

// Levels of b below and not above each level of a, both rising.
MERIT_DEVICE void count_ranks(const DominanceSource &s, int a, int b, double *more, double *less,
                              double *tie)
{
    const int levels = s.c->num_levels;
    int64_t below_all = 0;
    int64_t upto_all = 0;
    int below = 0;
    int upto = 0;
    for (int i = 0; i < levels; i++) {
        const float level = source_level(s, a, i);
        while (below < levels && source_level(s, b, below) < level) {
            below++;
        }
        upto = upto > below ? upto : below;
        while (upto < levels && source_level(s, b, upto) <= level) {
            upto++;
        }
        below_all += below;
        upto_all += upto;
    }
    *more = (double)below_all;
    *tie = (double)(upto_all - below_all);
    *less = m_sub64(m_mul64((double)levels, (double)levels), (double)upto_all);
}

// Whether both rows hold the same infinity at a level.
MERIT_DEVICE_CALL int has_undefined(const DominanceSource &s, int a, int b)
{
    int found = 0;
    for (int n = 0; n < s.c->num_levels; n++) {
        found |= m_is_nan32(m_sub(source_level(s, a, n), source_level(s, b, n)));
    }
    return found;
}

// The whole tile: sums of the thread's pairs, and sums and flags of the rows in shared memory. plain: no
// weights, no dead zone. Every thread of the block calls it; the caller synchronizes before the shared
// results are overwritten.
template <int kEdge, int kKind, bool kPlain>
MERIT_DEVICE_CALL void tile_compare(const DominanceSource &s, const TileWork &w,
                                    const TileMemory &memory, TileSums *sums)
{
    constexpr int kRowsOfThread =
        (TileShape<kEdge>::kRows + TileShape<kEdge>::kGroup - 1) / TileShape<kEdge>::kGroup;
    static_assert(kRowsOfThread == 1, "a thread describes at most one row");
    merit_dominance_lane lanes[4][MERIT_DOMINANCE_LANES];
    merit_dominance_running running[4];
    RowState row = {{0.0, 0.0, 0.0, 0.0}, 0.0f, 0};
#pragma unroll
    for (int p = 0; p < 4; p++) {
        running[p] = merit_dominance_running{0.0, 0.0, 0.0, 0.0};
#pragma unroll
        for (int l = 0; l < MERIT_DOMINANCE_LANES; l++) {
            lanes[p][l] = merit_dominance_lane{0.0f, 0.0f, 0.0f};
        }
    }
    const int levels = s.c->num_levels;
    const float delta = kPlain ? 0.0f : s.c->delta[s.objective];
    const double wide_delta =
        kKind == MERIT_DOMINANCE_KIND_RUNNING ? merit_dominance_running_delta(s.c, s.objective) : 0;
    const float *const a0 = memory.levels + tile_row_a<kEdge>(w, 0) * kDominanceStride;
    const float *const a1 = memory.levels + tile_row_a<kEdge>(w, 1) * kDominanceStride;
    const float *const b0 = memory.levels + tile_row_b<kEdge>(w, 0) * kDominanceStride;
    const float *const b1 = memory.levels + tile_row_b<kEdge>(w, 1) * kDominanceStride;
    if (w.rank == 0) memory.bad_weights[0] = 0;
    __syncthreads(); // before weights are judged, and after the last tile was read
    for (int first = 0; first < levels; first += kDominanceChunk) {
        tile_load<kEdge>(s, w, memory, first);
        __syncthreads(); // the chunk is there
        if (w.rank < tile_rows<kEdge>(w)) describe_chunk(s, memory, w.rank, first, &row);
        const int left = levels - first;
        const int count = left < kDominanceChunk ? left : kDominanceChunk;
        for (int n = 0; kKind != MERIT_DOMINANCE_KIND_RANKS && n < count;
             n += MERIT_DOMINANCE_LANES) {
#pragma unroll
            for (int l = 0; l < MERIT_DOMINANCE_LANES; l++) {
                const float qa[2] = {a0[n + l], a1[n + l]};
                const float qb[2] = {b0[n + l], b1[n + l]};
                const float weight = kPlain ? 1.0f : memory.weights[n + l];
#pragma unroll
                for (int p = 0; p < 4; p++) {
                    if (kKind == MERIT_DOMINANCE_KIND_RUNNING) {
                        if (n + l < count) {
                            merit_dominance_add_running(&running[p], s.c->power, wide_delta,
                                                        (double)weight, qa[p / 2], qb[p % 2]);
                        }
                    } else {
                        merit_dominance_add(&lanes[p][l], (merit_dominance_kind)kKind, !kPlain,
                                            delta, weight, qa[p / 2], qb[p % 2]);
                    }
                }
            }
        }
        __syncthreads(); // the chunk is read
    }
    if (w.rank < tile_rows<kEdge>(w)) {
        memory.sums[w.rank] =
            merit_dominance_fold64(row.lanes[0], row.lanes[1], row.lanes[2], row.lanes[3]);
        memory.flags[w.rank] = row.flags;
    }
    __syncthreads(); // sums and flags are there
#pragma unroll
    for (int p = 0; p < 4; p++) {
        if (kKind == MERIT_DOMINANCE_KIND_RUNNING) {
            sums->more[p] = running[p].more;
            sums->less[p] = running[p].less;
            sums->tie[p] = running[p].tie;
            sums->undefined[p] = m_is_nan64(running[p].sum);
        } else {
            const merit_dominance_lane *const l = lanes[p];
            sums->more[p] =
                (double)merit_dominance_fold(l[0].more, l[1].more, l[2].more, l[3].more);
            sums->less[p] = (double)m_sub(
                0.0f, merit_dominance_fold(l[0].less, l[1].less, l[2].less, l[3].less));
            sums->tie[p] = (double)merit_dominance_fold(l[0].tie, l[1].tie, l[2].tie, l[3].tie);
            sums->undefined[p] = 0;
        }
    }
#pragma unroll 1
    for (int p = 0; p < 4; p++) {
        const int row_a = tile_row_a<kEdge>(w, p / 2);
        const int row_b = tile_row_b<kEdge>(w, p % 2);
        const int a = tile_action<kEdge>(s, w, row_a);
        const int b = tile_action<kEdge>(s, w, row_b);
        if (a < 0 || b < 0) continue;
        if (kKind == MERIT_DOMINANCE_KIND_RANKS) {
            count_ranks(s, a, b, &sums->more[p], &sums->less[p], &sums->tie[p]);
        }
        if ((kKind == MERIT_DOMINANCE_KIND_AREA || kKind == MERIT_DOMINANCE_KIND_SQUARE) &&
            (memory.flags[row_a] & memory.flags[row_b] & MERIT_DOMINANCE_ROW_INF) != 0) {
            sums->undefined[p] = has_undefined(s, a, b);
        }
    }
}

template <int kEdge>
MERIT_DEVICE void tile_sums(const DominanceSource &s, const TileWork &w, const TileMemory &memory,
                            TileSums *sums)
{
    const bool plain = s.c->weights == NULL && s.c->by_means;
    switch (merit_dominance_kind_of(s.c)) {
    case MERIT_DOMINANCE_KIND_WINS:
        tile_compare<kEdge, MERIT_DOMINANCE_KIND_WINS, false>(s, w, memory, sums);
        break;
    case MERIT_DOMINANCE_KIND_AREA:
        if (plain) {
            tile_compare<kEdge, MERIT_DOMINANCE_KIND_AREA, true>(s, w, memory, sums);
        } else {
            tile_compare<kEdge, MERIT_DOMINANCE_KIND_AREA, false>(s, w, memory, sums);
        }
        break;
    case MERIT_DOMINANCE_KIND_SQUARE:
        tile_compare<kEdge, MERIT_DOMINANCE_KIND_SQUARE, false>(s, w, memory, sums);
        break;
    case MERIT_DOMINANCE_KIND_RUNNING:
        tile_compare<kEdge, MERIT_DOMINANCE_KIND_RUNNING, false>(s, w, memory, sums);
        break;
    default: tile_compare<kEdge, MERIT_DOMINANCE_KIND_RANKS, false>(s, w, memory, sums); break;
    }
}

// Pair p of the thread, the objective's sign applied; a and b are there.
template <int kEdge>
MERIT_DEVICE merit_dominance_pair tile_pair(const DominanceSource &s, const TileWork &w,
                                            const TileMemory &memory, const TileSums &sums, int p)
{
    const int row_a = tile_row_a<kEdge>(w, p / 2);
    const int row_b = tile_row_b<kEdge>(w, p % 2);
    const uint32_t flags = memory.flags[row_a] | memory.flags[row_b];
    const int unknown =
        memory.bad_weights[0] || sums.undefined[p] || (flags & MERIT_DOMINANCE_ROW_UNKNOWN) != 0;
    return merit_dominance_make(s.c, s.objective, sums.more[p], sums.less[p], sums.tie[p],
                                memory.sums[row_a], memory.sums[row_b], row_a < row_b, unknown);
}

// Tile number `tile` of the upper triangle, row by row.
MERIT_DEVICE void tile_place(int edge, int actions, int tile, int *first_a, int *first_b)
{
    const int count = (actions + edge - 1) / edge;
    int row = 0;
    while (tile >= count - row) {
        tile -= count - row;
        row++;
    }
    *first_a = row * edge;
    *first_b = (row + tile) * edge;
}

MERIT_HD static inline int tile_count(int edge, int actions)
{
    const int count = (actions + edge - 1) / edge;
    return count * (count + 1) / 2;
}

#endif
