// advantage_group, CUDA. Memory-bound above about a million rewards, launch-bound below; which
// schedule runs depends on the layout only, and no bit depends on it:
//
//   subwarp  uniform groups of at most 32: one member per thread, 256 / width groups per block
//   plain    the same for the most common options, in fewer registers
//   mixed    anything else: a block takes eight neighbouring groups, each warp one of at most 256
//            members, then the whole block the larger ones, tile by tile
//   split    groups beyond 65536 whose options need one pass over the tiles: their tiles are spread
//            over all blocks; the last block to finish a group folds its partials
//
// BATCH levels: a first run writes the record of each group, the last block to finish a tile of 2048
// groups folds it, and the last of those folds the tiles; a second run applies. One block does both
// for at most 8192 rows.
#include "../backend.h"
#include "advantage_group_split.cuh"

namespace
{

constexpr int kBlocksPerSm = 8; // of 256 threads: a full multiprocessor of 2048
constexpr int kOneBlockRows = 8192; // one launch then costs less than two

// Rows in no group --------------------------------------------------------------------------------

MERIT_DEVICE_CALL void write_outside(const Args &a)
{
    int64_t before;
    int64_t after;
    merit_advantage_outside(&a, &before, &after);
    const int64_t count = before + (a.d.num_rows - after);
    const int64_t step = (int64_t)gridDim.x * kThreads;
    for (int64_t n = (int64_t)blockIdx.x * kThreads + threadIdx.x; n < count; n += step) {
        const int64_t row = merit_advantage_row(&a, 0, n < before ? n : after + (n - before));
        m_count(a.io.diagnostics, row < 0 ? MERIT_COUNTER_BAD_INDEX : MERIT_COUNTER_UNGROUPED, 1);
        if (row >= 0) merit_advantage_write_nan(&a, row);
    }
}

// Sub-warp schedule -------------------------------------------------------------------------------

MERIT_DEVICE int subwarp_width(int64_t group_size)
{
    int width = 1;
    while (width < group_size) {
        width *= 2;
    }
    return width;
}

// options: a itself, or a copy in which the compiler sees constants.
MERIT_DEVICE void run_subwarp(const Args &a, const Args &options)
{
    const int width = subwarp_width(a.d.groups.group_size);
    const int per_block = kThreads / width;
    const int64_t groups = a.d.groups.num_groups;
    double x;
    double u = 0.0;
    uint8_t state;
    AdvantageWork<kTeamSubwarp> w;
    w.team.rank = threadIdx.x % width;
    w.team.width = width;
    w.team.scratch = NULL;
    w.stacks = NULL;
    w.capacity = kWarpSize;
    w.x = &x;
    w.u = &u;
    w.state = &state;
    for (int pass = a.first_pass; pass <= a.last_pass; pass++) {
        const bool records_only = options.needs_batch && pass == MERIT_ADVANTAGE_PASS_RECORDS;
        for (int64_t first = (int64_t)blockIdx.x * per_block; first < groups;
             first += (int64_t)gridDim.x * per_block) {
            w.group = first + threadIdx.x / width;
            w.span.begin = w.group * a.d.groups.group_stride;
            w.span.size = w.group < groups ? a.d.groups.group_size : 0;
            w.span.refusal = MERIT_ADVANTAGE_FINE;
            work_run_group(options, w, records_only);
            const int64_t left = groups - first;
            if (records_only) finish_records(a, first, left < per_block ? left : per_block);
        }
        __syncthreads(); // one block making both passes: the folded record
    }
    if (a.last_pass == MERIT_ADVANTAGE_PASS_APPLY) write_outside(a);
}

// grid: any; block: kThreads.
MERIT_KERNEL(kThreads, 1) advantage_group_subwarp_kernel(const MERIT_GRID_CONSTANT Args a)
{
    run_subwarp(a, a);
}

// The same for merit_advantage_is_plain, with all options that it fixes as constants: a third of the
// registers.
// grid: any; block: kThreads.
MERIT_KERNEL(kThreads) advantage_group_plain_kernel(const MERIT_GRID_CONSTANT Args a)
{
    Args plain = a;
    plain.d.num_columns = 1;
    plain.d.reward_row_stride = 1;
    plain.d.reward_column_stride = 1;
    plain.d.reward_dtype = MERIT_DTYPE_F32;
    plain.d.advantage_dtype = MERIT_DTYPE_F32;
    plain.d.columns = MERIT_COLUMNS_COMBINE_FIRST;
    plain.d.transform = MERIT_TRANSFORM_NONE;
    plain.d.center_level = MERIT_LEVEL_GROUP;
    plain.d.scale_level = MERIT_LEVEL_GROUP;
    plain.d.scale = a.d.scale == MERIT_SCALE_NONE ? MERIT_SCALE_NONE : MERIT_SCALE_STD;
    plain.d.invalid = MERIT_INVALID_PROPAGATE;
    plain.d.map = MERIT_MAP_IDENTITY;
    plain.d.low = -INFINITY;
    plain.d.high = INFINITY;
    plain.d.gain = 1.0f;
    plain.d.groups.offsets = NULL;
    plain.d.groups.index = NULL;
    plain.io.column_weights = NULL;
    plain.io.mask = NULL;
    plain.io.stats_mask = NULL;
    plain.io.weights = NULL;
    plain.io.add = NULL;
    plain.num_sets = 1;
    plain.needs_pairs = 0;
    plain.needs_batch = 0;
    plain.sums = NULL;
    run_subwarp(a, plain);
}

// Mixed schedule ----------------------------------------------------------------------------------

// Members of a group that a block keeps in shared memory. Comparing all pairs needs the whole group.
MERIT_HD static inline int resident_members(const Args &a)
{
    if (a.needs_pairs && a.size_bound > kTile) return MERIT_ADVANTAGE_PAIRS_LIMIT;
    return (int)kTile;
}

// grid: any; block: kThreads; dynamic shared memory: mixed_shared_bytes.
MERIT_KERNEL(kThreads, 1) advantage_group_mixed_kernel(const MERIT_GRID_CONSTANT Args a)
{
    MERIT_SHARED(double, scratch, [kWarps]);
    MERIT_SHARED(AdvantageStacks, stacks, [1]);
    MERIT_SHARED(int, listed, [1]);
    MERIT_DYN_SMEM(double, values);
    const int64_t groups = a.d.groups.num_groups;
    const int warp = threadIdx.x / kWarpSize;
    const int capacity = resident_members(a);
    AdvantageWork<kTeamWarp> w;
    w.team.rank = threadIdx.x % kWarpSize;
    w.team.width = kWarpSize;
    w.team.scratch = NULL;
    w.stacks = NULL;
    place_work(w, values, capacity, warp * (int)kLanes);
    AdvantageWork<kTeamBlockWide> b;
    b.team.rank = threadIdx.x;
    b.team.width = kThreads;
    b.team.scratch = scratch;
    b.stacks = stacks;
    place_work(b, values, capacity, 0);
    for (int pass = a.first_pass; pass <= a.last_pass; pass++) {
        const bool records_only = pass == MERIT_ADVANTAGE_PASS_RECORDS;
        for (int64_t first = (int64_t)blockIdx.x * kWarps; first < groups;
             first += (int64_t)gridDim.x * kWarps) {
            w.group = first + warp;
            if (w.group < groups) {
                w.span = merit_advantage_span_of(&a, w.group);
                if (w.span.size <= kLanes) work_run_group(a, w, records_only);
            }
            __syncthreads(); // the warps' rewards, before the block's take their place
            int64_t done = 0;
            for (int64_t group = first; group < first + kWarps && group < groups; group++) {
                b.group = group;
                b.span = merit_advantage_span_of(&a, group);
                if (may_split(a, b.span)) {
                    if (threadIdx.x == 0) {
                        listed[0] =
                            a.lists_split ? list_for_split(a, b.span, group) : is_listed(a, group);
                    }
                    __syncthreads(); // the answer is there
                    const bool goes_split = listed[0] != 0;
                    __syncthreads(); // and read, before the next one
                    if (goes_split) continue;
                }
                done++;
                if (b.span.size > kLanes) work_run_group(a, b, records_only);
            }
            __syncthreads(); // and the other way round
            if (records_only && done > 0) finish_records(a, first, done);
        }
        __syncthreads(); // one block making both passes: the folded record
    }
    if (a.last_pass == MERIT_ADVANTAGE_PASS_APPLY) write_outside(a);
}

// Launchers ---------------------------------------------------------------------------------------

int launch_pass(const Args &a, const merit_launch *launch, int first_pass, int last_pass,
                bool lists_split)
{
    Args args = a;
    args.first_pass = first_pass;
    args.last_pass = last_pass;
    args.lists_split = lists_split;
    const bool subwarp = a.d.groups.group_size > 0 && a.d.groups.group_size <= kWarpSize;
    int64_t per_block = kWarps;
    if (subwarp) {
        int width = 1;
        while (width < a.d.groups.group_size) {
            width *= 2;
        }
        per_block = kThreads / width;
    }
    const int64_t chunks = (a.d.groups.num_groups + per_block - 1) / per_block;
    const int64_t limit = (int64_t)launch->num_sms * kBlocksPerSm;
    const bool both = first_pass != last_pass;
    const unsigned blocks = both ? 1u : (unsigned)(chunks < limit ? chunks : limit);
    const int plain_scale = a.d.scale == MERIT_SCALE_NONE || a.d.scale == MERIT_SCALE_STD;
    if (merit_advantage_is_plain(&a, kWarpSize, plain_scale)) {
        return MERIT_LAUNCH(advantage_group_plain_kernel, dim3(blocks), dim3(kThreads), 0,
                            launch->stream, args);
    }
    if (subwarp) {
        return MERIT_LAUNCH(advantage_group_subwarp_kernel, dim3(blocks), dim3(kThreads), 0,
                            launch->stream, args);
    }
    return MERIT_LAUNCH(advantage_group_mixed_kernel, dim3(blocks), dim3(kThreads),
                        (size_t)resident_members(a) * kBytesPerMember, launch->stream, args);
}

} // namespace

extern "C" int MERIT_BACKEND_FN(advantage_group)(const merit_advantage_group_args *args,
                                                 const merit_launch *launch)
{
    const Args &a = *args;
    const bool split = a.split_groups != NULL;
    const int records = MERIT_ADVANTAGE_PASS_RECORDS;
    const int apply = MERIT_ADVANTAGE_PASS_APPLY;
    const dim3 split_blocks((unsigned)(launch->num_sms * kBlocksPerSm));
    int code = 0;
    if (a.needs_batch && a.d.num_rows <= kOneBlockRows) {
        return launch_pass(a, launch, records, apply, false);
    }
    if (a.needs_batch) {
        const int64_t tiles = (a.d.groups.num_groups + kTile - 1) / kTile;
        if (tiles > MERIT_ADVANTAGE_TICKET_NEAR) {
            code = (int)cudaMemsetAsync(a.tile_tickets, 0, (size_t)tiles * sizeof(uint32_t),
                                        launch->stream);
            if (code != 0) return code;
        }
        code = launch_pass(a, launch, records, records, split);
        if (code != 0) return code;
        if (split) {
            code = MERIT_LAUNCH(advantage_group_split_kernel, split_blocks, dim3(kThreads),
                                kTileBytes, launch->stream, a);
            if (code != 0) return code;
        }
    }
    code = launch_pass(a, launch, apply, apply, split && !a.needs_batch);
    if (code != 0 || !split) return code;
    if (!a.needs_batch) {
        code = MERIT_LAUNCH(advantage_group_split_kernel, split_blocks, dim3(kThreads), kTileBytes,
                            launch->stream, a);
        if (code != 0) return code;
    }
    return MERIT_LAUNCH(advantage_group_split_apply_kernel, split_blocks, dim3(kThreads),
                        kTileBytes, launch->stream, a);
}

extern "C" int MERIT_BACKEND_FN(advantage_group_load)(const merit_launch *limits)
{
    (void)limits;
    cudaFuncAttributes attributes;
    int code = (int)cudaFuncGetAttributes(&attributes, advantage_group_plain_kernel);
    if (code == 0) code = (int)cudaFuncGetAttributes(&attributes, advantage_group_subwarp_kernel);
    if (code == 0) code = (int)cudaFuncGetAttributes(&attributes, advantage_group_mixed_kernel);
    if (code == 0) {
        code = (int)cudaFuncSetAttribute(advantage_group_mixed_kernel,
                                         cudaFuncAttributeMaxDynamicSharedMemorySize,
                                         MERIT_ADVANTAGE_PAIRS_LIMIT * kBytesPerMember);
    }
    if (code == 0) code = (int)cudaFuncGetAttributes(&attributes, advantage_group_split_kernel);
    if (code == 0) {
        code = (int)cudaFuncGetAttributes(&attributes, advantage_group_split_apply_kernel);
    }
    return code;
}
