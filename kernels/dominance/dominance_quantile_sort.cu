// dominance_quantile_sort, CUDA. A block sorts rows in shared memory, several short ones at a time. A row
// of more than 4096 values lies in the workspace: its tiles are sorted in shared memory, and of the steps
// that merge them only those that reach beyond a tile go through global memory.
//
// Without places to report, the words to sort are the keys alone.
#include "../backend.h"
#include "dominance_quantile_sort.h"
#include "dominance_sort_block.cuh"

namespace
{

typedef merit_dominance_quantile_sort_args Args;

constexpr int kThreads = 256;
constexpr int kBlocksPerSm = 4; // of 256 threads and 32 KB
constexpr int kTileShift = 12;
constexpr int kTile = 1 << kTileShift;
static_assert(kTile == MERIT_SORT_SHARED, "what the driver takes for a long row");
constexpr int kElements = 2048; // of short rows, at a time: four comparators per thread and step

template <typename Word>
MERIT_DEVICE Word make_word(float value, int place)
{
    const uint64_t word = merit_dominance_word(value, place);
    return sizeof(Word) == sizeof(uint64_t) ? (Word)word : (Word)(word >> 32);
}

template <typename Word>
MERIT_DEVICE uint64_t whole_word(Word word)
{
    return sizeof(Word) == sizeof(uint64_t) ? (uint64_t)word : (uint64_t)word << 32;
}

// Short rows: as many as fit kElements.
MERIT_HD static inline int rows_at_once(int levels)
{
    const int padded = 1 << sort_shift(levels);
    return padded < kElements ? kElements / padded : 1;
}

template <typename Word>
MERIT_DEVICE void run_short_rows(const Args &args, Word *words)
{
    const int levels = args.d.num_levels;
    const int results = args.num_results;
    const int shift = sort_shift(levels);
    const int pitch = 1 << shift;
    const int results_shift = sort_shift(results);
    const int most = rows_at_once(levels);
    for (int64_t first = (int64_t)blockIdx.x * most; first < args.d.num_rows;
         first += (int64_t)gridDim.x * most) {
        const int64_t left = args.d.num_rows - first;
        const int rows = (int)(left < most ? left : most);
        for (int n = threadIdx.x; n < rows * pitch; n += kThreads) {
            const int place = n & (pitch - 1);
            const int64_t r = first + (n >> shift);
            if (place >= levels) continue;
            words[n] = make_word<Word>(args.io.values[r * args.d.ld_values + place], place);
        }
        __syncthreads(); // the words are there
        sort_rows_of(words, pitch, rows, levels);
        for (int n = threadIdx.x; n < rows << results_shift; n += kThreads) {
            const int row = n >> results_shift;
            const int q = n & ((1 << results_shift) - 1);
            if (q >= results) continue;
            const Word word = words[row * pitch + merit_sort_place(&args, q)];
            merit_sort_write(&args, first + row, q, whole_word(word));
        }
        __syncthreads(); // and read, before the next rows overwrite them
    }
}

// grid: any; block: kThreads.
MERIT_KERNEL(kThreads, 1) dominance_quantile_sort_keys_kernel(const MERIT_GRID_CONSTANT Args args)
{
    MERIT_SHARED(uint32_t, words, [kTile]);
    run_short_rows(args, words);
}

// grid: any; block: kThreads.
MERIT_KERNEL(kThreads, 1) dominance_quantile_sort_kernel(const MERIT_GRID_CONSTANT Args args)
{
    MERIT_SHARED(uint64_t, words, [kTile]);
    run_short_rows(args, words);
}

// Long rows ---------------------------------------------------------------------------------------

// A tile of a row to shared memory, or back.
MERIT_DEVICE void copy_tile(uint64_t *to, const uint64_t *from, int length)
{
    for (int n = threadIdx.x; n < length; n += kThreads) {
        to[n] = from[n];
    }
    __syncthreads(); // the copy is there
}

// grid: any, at most args.num_slots; block: kThreads.
MERIT_KERNEL(kThreads, 1) dominance_quantile_sort_long_kernel(const MERIT_GRID_CONSTANT Args args)
{
    MERIT_SHARED(uint64_t, tile, [kTile]);
    const int levels = args.d.num_levels;
    const int shift = sort_shift(levels);
    uint64_t *const row = args.words + (int64_t)blockIdx.x * args.words_per_slot;
    for (int64_t r = blockIdx.x; r < args.d.num_rows; r += gridDim.x) {
        const float *const values = args.io.values + r * args.d.ld_values;
        for (int start = 0; start < levels; start += kTile) {
            const int length = levels - start < kTile ? levels - start : kTile;
            for (int n = threadIdx.x; n < length; n += kThreads) {
                tile[n] = merit_dominance_word(values[start + n], start + n);
            }
            __syncthreads(); // the tile is there
            sort_rows_of(tile, 0, 1, length);
            copy_tile(row + start, tile, length);
        }
        for (int width = 2 * kTile; width <= 1 << shift; width *= 2) {
            for (int step = width; step > kTile; step /= 2) {
                sort_step(row, 0, 1, levels, shift, step, step == width);
                __syncthreads(); // this step is done
            }
            for (int start = 0; start < levels; start += kTile) {
                const int length = levels - start < kTile ? levels - start : kTile;
                copy_tile(tile, row + start, length);
                sort_steps(tile, 0, 1, length, kTileShift, kTile, false, true);
                copy_tile(row + start, tile, length);
            }
        }
        for (int q = threadIdx.x; q < args.num_results; q += kThreads) {
            merit_sort_write(&args, r, q, row[merit_sort_place(&args, q)]);
        }
        __syncthreads(); // and read, before the next row overwrites them
    }
}

} // namespace

// Launchers ---------------------------------------------------------------------------------------

extern "C" int
MERIT_BACKEND_FN(dominance_quantile_sort)(const merit_dominance_quantile_sort_args *args,
                                          const merit_launch *launch)
{
    const Args &a = *args;
    if (a.d.num_levels > kTile) {
        return MERIT_LAUNCH(dominance_quantile_sort_long_kernel, dim3((unsigned)a.num_slots),
                            dim3(kThreads), 0, launch->stream, a);
    }
    const int rows = rows_at_once(a.d.num_levels);
    const int64_t chunks = (a.d.num_rows + rows - 1) / rows;
    const int64_t limit = (int64_t)launch->num_sms * kBlocksPerSm;
    const dim3 blocks((unsigned)(chunks < limit ? chunks : limit));
    if (a.io.index == NULL) {
        return MERIT_LAUNCH(dominance_quantile_sort_keys_kernel, blocks, dim3(kThreads), 0,
                            launch->stream, a);
    }
    return MERIT_LAUNCH(dominance_quantile_sort_kernel, blocks, dim3(kThreads), 0, launch->stream,
                        a);
}

extern "C" int MERIT_BACKEND_FN(dominance_quantile_sort_load)(const merit_launch *limits)
{
    (void)limits;
    cudaFuncAttributes attributes;
    int code = (int)cudaFuncGetAttributes(&attributes, dominance_quantile_sort_keys_kernel);
    if (code == 0) code = (int)cudaFuncGetAttributes(&attributes, dominance_quantile_sort_kernel);
    if (code == 0) {
        code = (int)cudaFuncGetAttributes(&attributes, dominance_quantile_sort_long_kernel);
    }
    return code;
}
