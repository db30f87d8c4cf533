// comm_fold_moments, CUDA. A block folds a tile of 2048 groups, or a thread brings its record; then a block
// folds the tiles of a set. Small next to the all-gather before it.
#include "../backend.h"
#include "../core/records.cuh"
#include "comm_fold_moments.h"

namespace
{

typedef merit_comm_fold_moments_args Args;

constexpr int kThreads = kTeamBlock;
constexpr int kBlocksPerSm = 8;

struct MergeMoments {
    MERIT_HD merit_moments operator()(merit_moments a, merit_moments b) const
    {
        return merit_moments_merge(a, b);
    }
};

// One record per group. grid: any; block: kThreads.
MERIT_KERNEL(kThreads) comm_fold_moments_tile_kernel(const MERIT_GRID_CONSTANT Args a)
{
    MERIT_SHARED(merit_moments, lanes, [MERIT_LANES]);
    const int64_t tiles = merit_comm_moments_tiles(&a);
    for (int64_t item = blockIdx.x; item < tiles * a.num_sets; item += gridDim.x) {
        const int32_t set = (int32_t)(item / tiles);
        const int64_t first = (item - set * tiles) * MERIT_TILE;
        const int64_t left = a.num_groups - first;
        merit_comm_walk walk = merit_comm_walk_begin();
        block_fold_tile(
            lanes, left < MERIT_TILE ? left : (int64_t)MERIT_TILE, MergeMoments(),
            [&](int64_t i) { return merit_comm_moments_at(&a, &walk, first + i, set); });
        if (threadIdx.x == 0) a.tiles[item] = lanes[0];
        __syncthreads(); // read before the next tile writes its lanes
    }
}

// One record per tile: [tiles,num_sets] of the ranks to [num_sets,tiles]. grid: any; block: kThreads.
MERIT_KERNEL(kThreads) comm_fold_moments_sort_kernel(const MERIT_GRID_CONSTANT Args a)
{
    const int64_t tiles = merit_comm_moments_tiles(&a);
    const int64_t step = (int64_t)gridDim.x * kThreads;
    for (int64_t item = (int64_t)blockIdx.x * kThreads + threadIdx.x; item < tiles * a.num_sets;
         item += step) {
        const int32_t set = (int32_t)(item / tiles);
        merit_comm_walk walk = merit_comm_walk_begin();
        a.tiles[item] = merit_comm_moments_at(&a, &walk, item - set * tiles, set);
    }
}

// grid: any; block: kThreads.
MERIT_KERNEL(kThreads) comm_fold_moments_tree_kernel(const MERIT_GRID_CONSTANT Args a)
{
    const int64_t tiles = merit_comm_moments_tiles(&a);
    for (int32_t set = blockIdx.x; set < a.num_sets; set += gridDim.x) {
        merit_moments *const records = a.tiles + set * tiles;
        block_fold_records(records, tiles, MergeMoments());
        if (threadIdx.x == 0) {
            a.moments[set] = merit_moments_output(tiles > 0 ? records[0] : merit_moments_empty());
        }
    }
}

} // namespace

extern "C" int MERIT_BACKEND_FN(comm_fold_moments)(const merit_comm_fold_moments_args *args,
                                                   const merit_launch *launch)
{
    const int by_group = args->groups_per_record == 1;
    const int64_t items = merit_comm_moments_tiles(args) * args->num_sets;
    const int64_t limit = (int64_t)launch->num_sms * kBlocksPerSm;
    const int64_t blocks = by_group ? items : (items + kThreads - 1) / kThreads;
    const dim3 threads(kThreads);
    int code = 0;
    if (items > 0) {
        code = MERIT_LAUNCH(
            by_group ? comm_fold_moments_tile_kernel : comm_fold_moments_sort_kernel,
            dim3((unsigned)(blocks < limit ? blocks : limit)), threads, 0, launch->stream, *args);
    }
    if (code != 0) return code;
    const int64_t sets = args->num_sets < limit ? args->num_sets : limit;
    return MERIT_LAUNCH(comm_fold_moments_tree_kernel, dim3((unsigned)sets), threads, 0,
                        launch->stream, *args);
}

extern "C" int MERIT_BACKEND_FN(comm_fold_moments_load)(const merit_launch *limits)
{
    (void)limits;
    cudaFuncAttributes attributes;
    int code = (int)cudaFuncGetAttributes(&attributes, comm_fold_moments_tile_kernel);
    if (code == 0) code = (int)cudaFuncGetAttributes(&attributes, comm_fold_moments_sort_kernel);
    if (code == 0) code = (int)cudaFuncGetAttributes(&attributes, comm_fold_moments_tree_kernel);
    return code;
}
