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
#include "advantage_group_apply.cuh"

namespace
{

constexpr int kThreads = kTeamBlock;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kBlocksPerSm = 8; // of 256 threads: a full multiprocessor of 2048
constexpr int kOneBlockRows = 8192; // one launch then costs less than two

constexpr int64_t kTile = MERIT_TILE; // groups whose records fold together, members of a tile
constexpr int64_t kLanes = MERIT_LANES; // of a tile

typedef merit_advantage_group_args Args;

// Batch records -----------------------------------------------------------------------------------

struct MergeRecords {
    MERIT_HD merit_advantage_record operator()(merit_advantage_record a,
                                               merit_advantage_record b) const
    {
        return merit_advantage_record_merge(a, b);
    }
};

struct MergePartials {
    MERIT_HD merit_advantage_partial operator()(merit_advantage_partial a,
                                                merit_advantage_partial b) const
    {
        return merit_advantage_partial_merge(a, b);
    }
};

// True in every thread of the block that brought *ticket to `total`; the block's earlier writes are
// visible to it, and the ticket is back at 0.
MERIT_DEVICE bool block_is_last(uint32_t *ticket, uint32_t amount, uint32_t total)
{
    MERIT_SHARED(int, last, [1]);
    __threadfence(); // this thread's results, before the ticket tells of them
    __syncthreads();
    if (threadIdx.x == 0) {
        last[0] = atomicAdd(ticket, amount) + amount == total;
        if (last[0]) *ticket = 0;
    }
    __syncthreads();
    const bool is_last = last[0] != 0;
    __syncthreads(); // read before the next call writes it
    if (is_last) __threadfence(); // the others' results, behind their tickets
    return is_last;
}

// Folds one tile of 2048 groups in every set, in place: lanes in rising order, then the lane tree.
MERIT_DEVICE void fold_group_tile(const Args &a, int64_t tile, int64_t tiles)
{
    const int64_t groups = a.d.groups.num_groups;
    const int64_t first = tile * kTile;
    const int64_t count = groups - first < kTile ? groups - first : kTile;
    const int64_t lanes = count < kLanes ? count : kLanes;
    for (int32_t set = 0; set < a.num_sets; set++) {
        merit_advantage_record *const records = a.group_records + set * groups + first;
        if ((int64_t)threadIdx.x < lanes) {
            merit_advantage_record lane = records[threadIdx.x];
            for (int64_t g = threadIdx.x + kLanes; g < count; g += kLanes) {
                lane = merit_advantage_record_merge(lane, records[g]);
            }
            records[threadIdx.x] = lane;
        }
        __syncthreads(); // the lanes, before the tree reads them
        block_fold_records(records, lanes, MergeRecords());
        if (threadIdx.x == 0) a.tile_records[set * tiles + tile] = records[0];
    }
}

MERIT_DEVICE void fold_batch(const Args &a, int64_t tiles)
{
    for (int32_t set = 0; set < a.num_sets; set++) {
        merit_advantage_record *const records = a.tile_records + set * tiles;
        block_fold_records(records, tiles, MergeRecords());
        if (threadIdx.x == 0) {
            a.batch_records[set] = records[0];
            if (a.io.batch_moments != NULL) {
                a.io.batch_moments[set] = merit_advantage_batch_output(&records[0]);
            }
        }
    }
}

// Called by a whole block when `amount` groups of the tile of `group` have their records.
MERIT_DEVICE_CALL void finish_records(const Args &a, int64_t group, int64_t amount)
{
    const int64_t groups = a.d.groups.num_groups;
    const int64_t tiles = (groups + kTile - 1) / kTile;
    const int64_t tile = group / kTile;
    const int64_t left = groups - tile * kTile;
    const uint32_t total = (uint32_t)(left < kTile ? left : kTile);
    if (!block_is_last(&a.tile_tickets[tile], (uint32_t)amount, total)) return;
    fold_group_tile(a, tile, tiles);
    if (!block_is_last(&a.tickets[MERIT_ADVANTAGE_TICKET_BATCH], 1, (uint32_t)tiles)) return;
    fold_batch(a, tiles);
}

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

constexpr int kBytesPerMember = 2 * (int)sizeof(double) + 1; // x, u, state

MERIT_DEVICE bool goes_split(const Args &a, const merit_advantage_span &span)
{
    return a.split_groups != NULL && span.refusal == MERIT_ADVANTAGE_FINE &&
           span.size > MERIT_ADVANTAGE_SPLIT_SIZE;
}

// Appends a group to the list of the split schedule. The order of the list reaches no result.
MERIT_DEVICE void list_split(const Args &a, int64_t group)
{
    const uint32_t at = atomicAdd(&a.tickets[MERIT_ADVANTAGE_TICKET_SPLIT], 1u);
    a.split_groups[at].group = group;
    a.split_groups[at].tiles_done = 0;
    a.split_groups[at].saw = 0;
}

// A team's part of the shared rewards. capacity: members of one group that the block holds; all its
// warps together hold a tile.
template <TeamKind kKind>
MERIT_DEVICE void place_work(AdvantageWork<kKind> &w, double *values, int capacity, int first)
{
    w.capacity = kKind == kTeamWarp ? (int)kLanes : capacity;
    w.x = values + first;
    w.u = values + capacity + first;
    w.state = reinterpret_cast<uint8_t *>(values + 2 * capacity) + first;
}

// grid: any; block: kThreads; dynamic shared memory: mixed_shared_bytes.
MERIT_KERNEL(kThreads, 1) advantage_group_mixed_kernel(const MERIT_GRID_CONSTANT Args a)
{
    MERIT_SHARED(double, scratch, [kWarps]);
    MERIT_SHARED(AdvantageStacks, stacks, [1]);
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
                if (goes_split(a, b.span)) {
                    if (a.lists_split && threadIdx.x == 0) list_split(a, group);
                    continue;
                }
                done++;
                if (b.span.size > kLanes) work_run_group(a, b, records_only);
            }
            __syncthreads(); // and the other way round
            if (records_only) finish_records(a, first, done);
        }
        __syncthreads(); // one block making both passes: the folded record
    }
    if (a.last_pass == MERIT_ADVANTAGE_PASS_APPLY) write_outside(a);
}

// Split schedule ----------------------------------------------------------------------------------

// First partial of a split group: those before it have fewer tiles than this leaves room for.
MERIT_DEVICE int64_t split_base(const merit_advantage_span &span)
{
    return span.begin / kTile + span.begin / MERIT_ADVANTAGE_SPLIT_SIZE;
}

MERIT_DEVICE_CALL void fold_partials(merit_advantage_partial *partials, int64_t count)
{
    block_fold_records(partials, count, MergePartials());
}

// Block that takes tile 0 of list entry n: entries start at different blocks.
MERIT_DEVICE int64_t split_first_tile(uint32_t n)
{
    return ((int64_t)blockIdx.x + (int64_t)gridDim.x - (int64_t)(n * 32u % gridDim.x)) % gridDim.x;
}

MERIT_DEVICE void begin_split(const Args &a, AdvantageWork<kTeamBlockWide> &w, double *scratch,
                              double *values, const merit_advantage_split &entry)
{
    w.team.rank = threadIdx.x;
    w.team.width = kThreads;
    w.team.scratch = scratch;
    w.stacks = NULL;
    place_work(w, values, (int)kTile, 0);
    w.group = entry.group;
    w.span = merit_advantage_span_of(&a, entry.group);
    w.set = 0;
    w.saw = 0;
}

// Partials of all tiles of the listed groups; the last block of a group folds them.
// grid: any; block: kThreads; dynamic shared memory: one tile.
MERIT_KERNEL(kThreads, 1) advantage_group_split_kernel(const MERIT_GRID_CONSTANT Args a)
{
    MERIT_SHARED(double, scratch, [kWarps]);
    MERIT_DYN_SMEM(double, values);
    const uint32_t listed = a.tickets[MERIT_ADVANTAGE_TICKET_SPLIT];
    AdvantageWork<kTeamBlockWide> w;
    for (uint32_t n = 0; n < listed; n++) {
        merit_advantage_split *const entry = &a.split_groups[n];
        begin_split(a, w, scratch, values, *entry);
        merit_advantage_partial *const partials = a.split_tiles + split_base(w.span);
        const int64_t tiles = work_tiles(w);
        for (int64_t tile = split_first_tile(n); tile < tiles; tile += gridDim.x) {
            w.saw = 0;
            work_read_tile(a, w, tile, true);
            work_transform_tile(a, w, tile);
            const merit_advantage_partial p = work_tile_partial(a, w, tile);
            const int saw = team_or_int(w.team, w.saw);
            if (threadIdx.x == 0) {
                partials[tile] = p;
                if (saw != 0) atomicOr(&entry->saw, saw);
            }
            if (!block_is_last(&entry->tiles_done, 1, (uint32_t)tiles)) continue;
            fold_partials(partials, tiles);
            const bool refused =
                (*(volatile int32_t *)&entry->saw & MERIT_ADVANTAGE_SAW_BAD_INDEX) != 0;
            if (threadIdx.x == 0) entry->partial = partials[0];
            if (!a.needs_batch) continue;
            if (threadIdx.x == 0) {
                a.group_records[w.group] =
                    refused ? merit_advantage_record_empty() : partials[0].record;
            }
            finish_records(a, w.group, 1);
        }
    }
}

// Advantages of the listed groups; the last block of a group writes its group_* outputs, the last
// block of the grid empties the list.
// grid: any; block: kThreads; dynamic shared memory: one tile.
MERIT_KERNEL(kThreads, 1) advantage_group_split_apply_kernel(const MERIT_GRID_CONSTANT Args a)
{
    MERIT_SHARED(double, scratch, [kWarps]);
    MERIT_DYN_SMEM(double, values);
    const uint32_t listed = a.tickets[MERIT_ADVANTAGE_TICKET_SPLIT];
    AdvantageWork<kTeamBlockWide> w;
    for (uint32_t n = 0; n < listed; n++) {
        merit_advantage_split *const entry = &a.split_groups[n];
        begin_split(a, w, scratch, values, *entry);
        const merit_advantage_partial p = entry->partial;
        const merit_advantage_rule rule = merit_advantage_rule_of(&a, &p, 0);
        const bool refused =
            (*(volatile int32_t *)&entry->saw & MERIT_ADVANTAGE_SAW_BAD_INDEX) != 0;
        w.shape.count = rule.count; // no transform: x is u
        w.shape.x_min = p.record.moments.min;
        w.shape.x_max = p.record.moments.max;
        const bool keep = !merit_moments_all_equal(w.shape.x_min, w.shape.x_max);
        for (int64_t tile = split_first_tile(n); tile < work_tiles(w); tile += gridDim.x) {
            w.saw = 0;
            if (refused) {
                const int64_t begin = tile * kTile;
                for (int64_t i = begin + threadIdx.x; i < begin + kTile && i < w.span.size;
                     i += kThreads) {
                    const int64_t row = merit_advantage_row(&a, w.span.begin, i);
                    if (row >= 0) merit_advantage_write_nan(&a, row);
                }
            } else {
                work_apply_tile(a, w, rule, keep, tile, NULL);
            }
            const int saw = team_or_int(w.team, w.saw);
            if (threadIdx.x == 0 && saw != 0) atomicOr(&entry->saw, saw);
            if (!block_is_last(&entry->tiles_done, 1, (uint32_t)work_tiles(w))) continue;
            if (threadIdx.x != 0) continue;
            if (refused) {
                merit_advantage_write_refused(&a, w.group, MERIT_ADVANTAGE_BAD_INDEX);
            } else {
                merit_advantage_write_group(&a, w.group, 0, w.span.size, &w.shape, &p, &rule,
                                            *(volatile int32_t *)&entry->saw);
            }
        }
    }
    if (block_is_last(&a.tickets[MERIT_ADVANTAGE_TICKET_APPLY], 1, gridDim.x) && threadIdx.x == 0) {
        a.tickets[MERIT_ADVANTAGE_TICKET_SPLIT] = 0;
    }
}

// Launchers ---------------------------------------------------------------------------------------

constexpr size_t kTileBytes = (size_t)kTile * kBytesPerMember;

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
    if (merit_advantage_is_plain(&a)) {
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
