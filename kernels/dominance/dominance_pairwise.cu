// dominance_pairwise, CUDA. Groups of threads take tiles of pairs of one state and objective. Up to about
// 18 actions the levels' way from memory is the limit, beyond it the three to six operations per pair
// and level. With sort_levels a block takes all tiles of a state and objective, after sorting its rows
// into a slot of the workspace.
#include "../backend.h"
#include "../core/counters.h"
#include "dominance_pairwise_args.h"
#include "dominance_sort.cuh"
#include "dominance_tile.cuh"

namespace
{

typedef merit_dominance_pairwise_args Args;

constexpr int kThreads = kDominanceThreads;
constexpr int kBlocksPerSm = 8; // of 256 threads: a full multiprocessor of 2048

template <int kEdge>
MERIT_DEVICE_CALL void write_tile(const Args &args, const DominanceSource &s, const TileWork &w,
                                  const TileMemory &memory, const TileSums &sums)
{
    const int64_t A = args.c.num_actions;
    const int64_t matrix = (s.state * args.c.num_objectives + s.objective) * A * A;
#pragma unroll 1
    for (int p = 0; p < 4; p++) {
        const int a = tile_action<kEdge>(s, w, tile_row_a<kEdge>(w, p / 2));
        const int b = tile_action<kEdge>(s, w, tile_row_b<kEdge>(w, p % 2));
        if (a < 0 || b < 0) continue;
        const merit_dominance_pair pair = tile_pair<kEdge>(s, w, memory, sums, p);
        const merit_dominance_pair turned = merit_dominance_turned(pair);
        const int64_t at = matrix + a * A + b;
        const int64_t across = matrix + b * A + a;
        const bool both = w.first_a != w.first_b; // one set of rows is compared both ways
        if (args.qd != NULL) {
            args.qd[at] = a == b ? 0.5f : merit_dominance_qd(&args.c, pair);
            if (both) args.qd[across] = merit_dominance_qd(&args.c, turned);
        }
        if (args.gain != NULL) {
            args.gain[at] = a == b ? 0.0f : merit_dominance_gain(&args.c, pair);
            if (both) args.gain[across] = merit_dominance_gain(&args.c, turned);
        }
    }
}

// What only the rows and weights show, once each: rows with the tiles on the diagonal, weights with the
// first tile of a state.
template <int kEdge>
MERIT_DEVICE void count_tile(const Args &args, const DominanceSource &s, const TileWork &w,
                             const TileMemory &memory)
{
    if (!w.live || w.first_a != w.first_b || w.rank >= kEdge) return;
    const bool unsorted = (memory.flags[w.rank] & MERIT_DOMINANCE_ROW_UNSORTED) != 0;
    m_count(args.c.diagnostics, MERIT_COUNTER_UNSORTED, unsorted);
    const bool first = w.rank == 0 && w.first_a == 0 && s.objective == 0;
    m_count(args.c.diagnostics, MERIT_COUNTER_BAD_WEIGHT, first && memory.bad_weights[0]);
}

// grid: any, with sort_levels at most the slots; block: kThreads.
template <int kEdge>
MERIT_KERNEL(kThreads)
dominance_pairwise_kernel(const MERIT_GRID_CONSTANT Args args)
{
    typedef TileShape<kEdge> Shape;
    MERIT_SHARED(float, levels, [Shape::kGroups * Shape::kRows * kDominanceStride]);
    MERIT_SHARED(float, weights, [Shape::kGroups * kDominanceChunk]);
    MERIT_SHARED(double, row_sums, [Shape::kGroups * Shape::kRows]);
    MERIT_SHARED(uint32_t, flags, [Shape::kGroups * Shape::kRows]);
    MERIT_SHARED(int, bad_weights, [Shape::kGroups]);
    MERIT_SHARED(uint32_t, keys, [kEdge == 32 ? MERIT_DOMINANCE_MAX_SORTED : 1]);
    const merit_dominance_compare &c = args.c;
    const int group = threadIdx.x / Shape::kGroup;
    TileMemory memory;
    memory.levels = levels + group * Shape::kRows * kDominanceStride;
    memory.weights = weights + group * kDominanceChunk;
    memory.sums = row_sums + group * Shape::kRows;
    memory.flags = flags + group * Shape::kRows;
    memory.bad_weights = bad_weights + group;
    const int tiles = tile_count(kEdge, c.num_actions);
    const int64_t items = c.num_states * c.num_objectives;
    const bool sorts = kEdge == 32 && c.sort_levels; // a block takes all tiles of an item
    const int64_t count = sorts ? items : items * tiles;
    const int64_t step = (int64_t)gridDim.x * (sorts ? 1 : Shape::kGroups);
    float *const slot =
        sorts ? args.scratch.sorted + (int64_t)blockIdx.x * c.num_actions * c.num_levels : NULL;
    for (int64_t base = (int64_t)blockIdx.x * (sorts ? 1 : Shape::kGroups); base < count;
         base += step) {
        const int64_t at = base + (sorts ? 0 : group);
        const bool live = at < count;
        const int64_t item = !live ? 0 : sorts ? at : at / tiles;
        DominanceSource s;
        s.c = &c;
        s.sorted = slot;
        s.state = item / c.num_objectives;
        s.objective = (int)(item % c.num_objectives);
        if (sorts) sort_rows(s, NULL, keys, slot);
        const int first = sorts || !live ? 0 : (int)(at - item * tiles);
        for (int tile = first; tile < (sorts ? tiles : first + 1); tile++) {
            TileWork w;
            TileSums sums;
            w.rank = threadIdx.x % Shape::kGroup;
            w.live = live;
            w.present = NULL;
            tile_place(kEdge, c.num_actions, tile, &w.first_a, &w.first_b);
            tile_sums<kEdge>(s, w, memory, &sums);
            write_tile<kEdge>(args, s, w, memory, sums);
            count_tile<kEdge>(args, s, w, memory);
            __syncthreads(); // the tile's shared results are read
        }
    }
}

template <int kEdge>
static int launch_tiles(const Args &a, const merit_launch *launch)
{
    const int64_t items = a.c.num_states * a.c.num_objectives;
    const int64_t groups = TileShape<kEdge>::kGroups;
    const int64_t tiles = items * tile_count(kEdge, a.c.num_actions);
    int64_t blocks = (tiles + groups - 1) / groups;
    int64_t limit = (int64_t)launch->num_sms * kBlocksPerSm;
    if (a.c.sort_levels) {
        blocks = items;
        limit = a.scratch.num_slots;
    }
    return MERIT_LAUNCH(dominance_pairwise_kernel<kEdge>,
                        dim3((unsigned)(blocks < limit ? blocks : limit)), dim3(kThreads), 0,
                        launch->stream, a);
}

} // namespace

// Launchers ---------------------------------------------------------------------------------------

extern "C" int MERIT_BACKEND_FN(dominance_pairwise)(const merit_dominance_pairwise_args *args,
                                                    const merit_launch *launch)
{
    if (args->c.sort_levels || args->c.num_actions > 16) return launch_tiles<32>(*args, launch);
    if (args->c.num_actions > 8) return launch_tiles<16>(*args, launch);
    return launch_tiles<8>(*args, launch);
}

extern "C" int MERIT_BACKEND_FN(dominance_pairwise_load)(const merit_launch *limits)
{
    (void)limits;
    cudaFuncAttributes attributes;
    int code = (int)cudaFuncGetAttributes(&attributes, dominance_pairwise_kernel<8>);
    if (code == 0) code = (int)cudaFuncGetAttributes(&attributes, dominance_pairwise_kernel<16>);
    if (code == 0) code = (int)cudaFuncGetAttributes(&attributes, dominance_pairwise_kernel<32>);
    return code;
}
