// group_index, CUDA. Up to 16384 rows one block does everything: launch-bound. Above, the passes of
// group_index.h as launches over tiles: memory-bound, 3 launches a pass.
#include "../backend.h"
#include "group_index_tile.cuh"

// Tuning ------------------------------------------------------------------------------------------

constexpr int kTileThreads = 256; // of the launches over tiles
constexpr int kTileWarps = kTileThreads / kWarpSize;
constexpr int kBlockThreads = 1024; // of the launches of one block
constexpr int kBlockWarps = kBlockThreads / kWarpSize;
constexpr int64_t kBlockRows = 16384;
constexpr int64_t kBlockGroups = 65536; // offsets that one block writes in a few microseconds
constexpr int kBlocksPerSm = 8; // of grid-stride launches: full occupancy at 256 threads

static_assert(kTileThreads == kDigits, "one thread per digit");

struct group_index_step {
    merit_group_index_args a;
    int32_t pass;
};

// Kernels -----------------------------------------------------------------------------------------

// The whole call. grid: 1; block: kBlockThreads.
MERIT_KERNEL(kBlockThreads) group_index_block_kernel(const merit_group_index_args a)
{
    MERIT_SHARED(uint32_t, counters, [kBlockWarps * kDigits]);
    MERIT_SHARED(uint32_t, base, [kDigits]);
    MERIT_SHARED(uint64_t, words, [2 * kBlockWarps]);
    row_range rows;
    rows.begin = 0;
    rows.end = a.d.num_rows;
    survey<kBlockWarps>(a, rows, words);
    merit_group_index_state s = state_from(a, words[0], words[1]);
    __syncthreads(); // words are read before they are reused

    const uint64_t *sorted = NULL;
    if (a.d.kind != MERIT_GROUP_KIND_RUNS && a.d.num_rows > 0) {
        const int num_passes = merit_group_index_pass_of(s.mask, 0).num_passes;
        for (int pass = 0; pass < num_passes; pass++) {
            const merit_group_index_pass p = merit_group_index_pass_of(s.mask, pass);
            count_digits<kBlockWarps>(a, s, p, rows, counters);
            if (threadIdx.x < kDigits) {
                base[threadIdx.x] = digit_total<kBlockWarps>(counters, threadIdx.x);
            }
            scan_digits(base);
            scatter<kBlockWarps>(a, s, p, rows, counters, base);
        }
        sorted = merit_group_index_sorted(&a, &s);
    }

    if (a.d.kind == MERIT_GROUP_KIND_DENSE) {
        for (int64_t n = threadIdx.x; n <= a.d.num_groups; n += kBlockThreads) {
            a.io.offsets[n] = first_position(sorted, a.d.num_rows, n);
        }
    } else {
        count_heads<kBlockWarps>(a, s, sorted, rows, words);
        uint64_t total = 0;
        for (int warp = 0; warp < kBlockWarps; warp++) {
            total += words[warp];
        }
        s.num_groups = (int64_t)(total >> 32);
        s.grouped = (int64_t)(uint32_t)total;
        write_heads<kBlockWarps>(a, s, sorted, rows, words, 0);
        if (threadIdx.x == 0) a.io.offsets[a.d.num_rows] = s.grouped;
    }

    if (threadIdx.x == 0) {
        if (a.io.num_groups != NULL) *a.io.num_groups = s.num_groups;
        if (a.io.max_size != NULL) *a.io.max_size = 0;
    }
    __syncthreads(); // offsets, and the zero
    if (a.io.max_size != NULL) {
        find_max_size(a.io.offsets, s.num_groups, threadIdx.x, kBlockThreads, a.io.max_size);
    }
}

// The bits of a tile of LABELS, counters of LABELS and RUNS. grid: tiles; block: kTileThreads.
MERIT_KERNEL(kTileThreads) group_index_survey_kernel(const merit_group_index_args a)
{
    MERIT_SHARED(uint64_t, words, [2 * kTileWarps]);
    survey<kTileWarps>(a, tile_rows(a, blockIdx.x), words);
    if (threadIdx.x < 2) a.words[2 * (int64_t)blockIdx.x + threadIdx.x] = words[threadIdx.x];
}

// The state that sorting starts from. grid: 1; block: kBlockThreads.
MERIT_KERNEL(kBlockThreads) group_index_bits_kernel(const merit_group_index_args a)
{
    MERIT_SHARED(uint64_t, words, [2 * kBlockWarps]);
    uint64_t ones = 0;
    uint64_t zeros = 0;
    for (int64_t tile = threadIdx.x; tile < a.num_tiles; tile += kBlockThreads) {
        ones |= a.words[2 * tile];
        zeros |= a.words[2 * tile + 1];
    }
    for (int distance = 1; distance < kWarpSize; distance *= 2) {
        ones |= __shfl_xor_sync(kFullWarp, ones, distance);
        zeros |= __shfl_xor_sync(kFullWarp, zeros, distance);
    }
    if (warp_lane() == 0) {
        words[2 * warp_number()] = ones;
        words[2 * warp_number() + 1] = zeros;
    }
    __syncthreads(); // words of all warps
    if (threadIdx.x == 0) {
        for (int warp = 1; warp < kBlockWarps; warp++) {
            ones |= words[2 * warp];
            zeros |= words[2 * warp + 1];
        }
        *a.state = state_from(a, ones, zeros);
    }
}

// Digits of a tile; with the first pass of DENSE its survey. grid: tiles; block: kTileThreads.
MERIT_KERNEL(kTileThreads) group_index_count_kernel(const group_index_step step)
{
    MERIT_SHARED(uint32_t, counters, [kTileWarps * kDigits]);
    MERIT_SHARED(uint64_t, words, [2 * kTileWarps]);
    const merit_group_index_args &a = step.a;
    const int64_t tile = blockIdx.x;
    const bool dense = a.d.kind == MERIT_GROUP_KIND_DENSE;
    const merit_group_index_state s = dense ? state_from(a, 0, 0) : *a.state;
    const merit_group_index_pass p = merit_group_index_pass_of(s.mask, step.pass);
    if (p.bits == 0) return; // the labels differ in fewer bits
    if (dense && p.pass == 0) survey<kTileWarps>(a, tile_rows(a, tile), words);
    count_digits<kTileWarps>(a, s, p, tile_rows(a, tile), counters);
    a.counts[threadIdx.x * a.num_tiles + tile] = digit_total<kTileWarps>(counters, threadIdx.x);
}

// The counts of one digit to the counts in tiles before. grid: 256; block: kTileThreads.
MERIT_KERNEL(kTileThreads) group_index_scan_counts_kernel(const group_index_step step)
{
    MERIT_SHARED(uint64_t, words, [kTileWarps]);
    const merit_group_index_args &a = step.a;
    const uint64_t mask =
        a.d.kind == MERIT_GROUP_KIND_DENSE ? state_from(a, 0, 0).mask : a.state->mask;
    if (merit_group_index_pass_of(mask, step.pass).bits == 0) return;
    uint32_t *const counts = a.counts + blockIdx.x * a.num_tiles;
    uint32_t sum = 0;
    for (int64_t first = 0; first < a.num_tiles; first += kTileThreads) {
        const int64_t tile = first + threadIdx.x;
        const uint32_t count = tile < a.num_tiles ? counts[tile] : 0;
        const uint32_t within = (uint32_t)warp_inclusive_sum(count);
        if (warp_lane() == kWarpSize - 1) words[warp_number()] = within;
        __syncthreads(); // words of all warps
        uint32_t before = sum;
        for (int warp = 0; warp < kTileWarps; warp++) {
            if (warp < warp_number()) before += (uint32_t)words[warp];
            sum += (uint32_t)words[warp];
        }
        if (tile < a.num_tiles) counts[tile] = before + within - count;
        __syncthreads(); // words are read before they are reused
    }
    if (threadIdx.x == 0) a.totals[blockIdx.x] = sum;
}

// grid: tiles; block: kTileThreads.
MERIT_KERNEL(kTileThreads) group_index_scatter_kernel(const group_index_step step)
{
    MERIT_SHARED(uint32_t, counters, [kTileWarps * kDigits]);
    MERIT_SHARED(uint32_t, base, [kDigits]);
    const merit_group_index_args &a = step.a;
    const merit_group_index_state s =
        a.d.kind == MERIT_GROUP_KIND_DENSE ? state_from(a, 0, 0) : *a.state;
    const merit_group_index_pass p = merit_group_index_pass_of(s.mask, step.pass);
    if (p.bits == 0) return;
    const row_range rows = tile_rows(a, blockIdx.x);
    count_digits<kTileWarps>(a, s, p, rows, counters);
    base[threadIdx.x] = a.totals[threadIdx.x];
    scan_digits(base);
    base[threadIdx.x] += a.counts[threadIdx.x * a.num_tiles + blockIdx.x];
    scatter<kTileWarps>(a, s, p, rows, counters, base); // each thread reads its own base
}

// grid: any; block: kTileThreads.
MERIT_KERNEL(kTileThreads) group_index_offsets_kernel(const merit_group_index_args a)
{
    const merit_group_index_state s = state_from(a, 0, 0);
    const uint64_t *const sorted = merit_group_index_sorted(&a, &s);
    const int64_t first = (int64_t)blockIdx.x * kTileThreads + threadIdx.x;
    for (int64_t n = first; n <= a.d.num_groups; n += (int64_t)gridDim.x * kTileThreads) {
        a.io.offsets[n] = first_position(sorted, a.d.num_rows, n);
    }
    if (first == 0) {
        if (a.io.num_groups != NULL) *a.io.num_groups = a.d.num_groups;
        if (a.io.max_size != NULL) *a.io.max_size = 0;
    }
}

// grid: tiles; block: kTileThreads.
MERIT_KERNEL(kTileThreads) group_index_count_heads_kernel(const merit_group_index_args a)
{
    MERIT_SHARED(uint64_t, words, [kTileWarps]);
    const bool runs = a.d.kind == MERIT_GROUP_KIND_RUNS;
    const merit_group_index_state s = runs ? state_from(a, 0, 0) : *a.state;
    const uint64_t *const sorted = runs ? NULL : merit_group_index_sorted(&a, &s);
    count_heads<kTileWarps>(a, s, sorted, tile_rows(a, blockIdx.x), words);
    if (threadIdx.x == 0) {
        uint64_t sum = 0;
        for (int warp = 0; warp < kTileWarps; warp++) {
            sum += words[warp];
        }
        a.words[blockIdx.x] = sum;
    }
}

// words of the tiles to the sums of those before. grid: 1; block: kBlockThreads.
MERIT_KERNEL(kBlockThreads) group_index_scan_heads_kernel(const merit_group_index_args a)
{
    MERIT_SHARED(uint64_t, words, [kBlockWarps]);
    const int64_t each = (a.num_tiles + kBlockThreads - 1) / kBlockThreads;
    const int64_t first = threadIdx.x * each;
    const int64_t end = first + each < a.num_tiles ? first + each : a.num_tiles;
    uint64_t own = 0;
    for (int64_t tile = first; tile < end; tile++) {
        own += a.words[tile];
    }
    const uint64_t within = warp_inclusive_sum(own);
    if (warp_lane() == kWarpSize - 1) words[warp_number()] = within;
    __syncthreads(); // words of all warps
    uint64_t before = within - own;
    uint64_t total = 0;
    for (int warp = 0; warp < kBlockWarps; warp++) {
        if (warp < warp_number()) before += words[warp];
        total += words[warp];
    }
    for (int64_t tile = first; tile < end; tile++) {
        const uint64_t word = a.words[tile];
        a.words[tile] = before;
        before += word;
    }
    if (threadIdx.x == 0) {
        const int64_t num_groups = (int64_t)(total >> 32);
        const int64_t grouped = (int64_t)(uint32_t)total;
        a.state->num_groups = num_groups;
        a.state->grouped = grouped;
        a.io.offsets[a.d.num_rows] = grouped;
        if (a.io.num_groups != NULL) *a.io.num_groups = num_groups;
        if (a.io.max_size != NULL) *a.io.max_size = 0;
    }
}

// grid: tiles; block: kTileThreads.
MERIT_KERNEL(kTileThreads) group_index_write_heads_kernel(const merit_group_index_args a)
{
    MERIT_SHARED(uint64_t, words, [kTileWarps]);
    const merit_group_index_state s = *a.state;
    const uint64_t *const sorted =
        a.d.kind == MERIT_GROUP_KIND_RUNS ? NULL : merit_group_index_sorted(&a, &s);
    const row_range rows = tile_rows(a, blockIdx.x);
    count_heads<kTileWarps>(a, s, sorted, rows, words);
    write_heads<kTileWarps>(a, s, sorted, rows, words, a.words[blockIdx.x]);
}

// grid: any; block: kTileThreads.
MERIT_KERNEL(kTileThreads) group_index_max_size_kernel(const merit_group_index_args a)
{
    const int64_t num_groups =
        a.d.kind == MERIT_GROUP_KIND_DENSE ? a.d.num_groups : a.state->num_groups;
    find_max_size(a.io.offsets, num_groups, (int64_t)blockIdx.x * kTileThreads + threadIdx.x,
                  (int64_t)gridDim.x * kTileThreads, a.io.max_size);
}

// Launchers ---------------------------------------------------------------------------------------

static unsigned stride_grid(const merit_launch *launch, int64_t items)
{
    const int64_t blocks = (items + kTileThreads - 1) / kTileThreads;
    const int64_t most = (int64_t)launch->num_sms * kBlocksPerSm;
    return (unsigned)(blocks < most ? blocks : most);
}

static int launch_sort(const merit_group_index_args &a, const merit_launch *launch)
{
    const unsigned tiles = (unsigned)a.num_tiles;
    int code = 0;
    for (int pass = 0; pass < a.max_passes && code == 0; pass++) {
        group_index_step step;
        step.a = a;
        step.pass = pass;
        code = MERIT_LAUNCH(group_index_count_kernel, tiles, kTileThreads, 0, launch->stream, step);
        if (code != 0) return code;
        code = MERIT_LAUNCH(group_index_scan_counts_kernel, kDigits, kTileThreads, 0,
                            launch->stream, step);
        if (code != 0) return code;
        code =
            MERIT_LAUNCH(group_index_scatter_kernel, tiles, kTileThreads, 0, launch->stream, step);
    }
    return code;
}

static int launch_dense(const merit_group_index_args &a, const merit_launch *launch)
{
    int code = a.num_tiles > 0 ? launch_sort(a, launch) : 0;
    if (code != 0) return code;
    return MERIT_LAUNCH(group_index_offsets_kernel, stride_grid(launch, a.d.num_groups + 1),
                        kTileThreads, 0, launch->stream, a);
}

// Above kBlockRows rows, so there are tiles.
static int launch_heads(const merit_group_index_args &a, const merit_launch *launch)
{
    const unsigned tiles = (unsigned)a.num_tiles;
    int code = MERIT_LAUNCH(group_index_survey_kernel, tiles, kTileThreads, 0, launch->stream, a);
    if (code != 0) return code;
    if (a.d.kind == MERIT_GROUP_KIND_LABELS) {
        code = MERIT_LAUNCH(group_index_bits_kernel, 1, kBlockThreads, 0, launch->stream, a);
        if (code != 0) return code;
        code = launch_sort(a, launch);
        if (code != 0) return code;
    }
    code = MERIT_LAUNCH(group_index_count_heads_kernel, tiles, kTileThreads, 0, launch->stream, a);
    if (code != 0) return code;
    code = MERIT_LAUNCH(group_index_scan_heads_kernel, 1, kBlockThreads, 0, launch->stream, a);
    if (code != 0) return code;
    return MERIT_LAUNCH(group_index_write_heads_kernel, tiles, kTileThreads, 0, launch->stream, a);
}

extern "C" int MERIT_BACKEND_FN(group_index)(const struct merit_group_index_args *args,
                                             const merit_launch *launch)
{
    const merit_group_index_args &a = *args;
    const bool dense = a.d.kind == MERIT_GROUP_KIND_DENSE;
    if (a.d.num_rows <= kBlockRows && (!dense || a.d.num_groups <= kBlockGroups)) {
        return MERIT_LAUNCH(group_index_block_kernel, 1, kBlockThreads, 0, launch->stream, a);
    }
    const int code = dense ? launch_dense(a, launch) : launch_heads(a, launch);
    if (code != 0 || a.io.max_size == NULL) return code;
    const int64_t most_groups = dense ? a.d.num_groups : a.d.num_rows;
    if (most_groups == 0) return code; // the zero is there
    return MERIT_LAUNCH(group_index_max_size_kernel, stride_grid(launch, most_groups), kTileThreads,
                        0, launch->stream, a);
}

template <typename Args>
static int load_kernel(void (*kernel)(const Args))
{
    cudaFuncAttributes attributes;
    return (int)cudaFuncGetAttributes(&attributes, kernel);
}

extern "C" int MERIT_BACKEND_FN(group_index_load)(const merit_launch *limits)
{
    (void)limits;
    const int codes[] = {
        load_kernel(group_index_block_kernel),       load_kernel(group_index_survey_kernel),
        load_kernel(group_index_bits_kernel),        load_kernel(group_index_count_kernel),
        load_kernel(group_index_scan_counts_kernel), load_kernel(group_index_scatter_kernel),
        load_kernel(group_index_offsets_kernel),     load_kernel(group_index_count_heads_kernel),
        load_kernel(group_index_scan_heads_kernel),  load_kernel(group_index_write_heads_kernel),
        load_kernel(group_index_max_size_kernel),
    };
    for (const int code : codes) {
        if (code != 0) return code;
    }
    return 0;
}
