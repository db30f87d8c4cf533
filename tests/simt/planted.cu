// Each kernel has one bug that kSound takes out. The emulator must catch every bug in the way that
// test_simt.cpp says, find nothing in a sound kernel, and give the same bits for every seed there.
#include "../../kernels/core/launch.cuh"
#include "../../kernels/core/reduce.cuh"

#include "planted.h"

constexpr int kThreads = PLANTED_THREADS;
constexpr int kWarps = kThreads / kWarpSize;

// Sum over the block, in every thread: warps first, then one value of each.
template <bool kLastBarrier = true>
MERIT_DEVICE double planted_block_sum(double value)
{
    MERIT_SHARED(double, partial, [kWarps]);
    const int warp = (int)threadIdx.x / kWarpSize, lane = (int)threadIdx.x % kWarpSize;
    const double sum = merit_warp_sum64<kWarpSize>(value);
    if (lane == 0) partial[warp] = sum;
    __syncthreads(); // partial: written above, read below
    const double total = merit_warp_sum64<kWarpSize>(lane < kWarps ? partial[lane] : 0.0);
    if (kLastBarrier) __syncthreads(); // partial: read above, written by the next call
    return total;
}

// Shared memory is written and read across warps without a barrier between.
template <bool kSound>
MERIT_KERNEL(kThreads)
missing_raw_kernel(const planted_args args)
{
    MERIT_SHARED(float, values, [kThreads]);
    const int tid = (int)threadIdx.x;
    values[tid] = args.in[tid];
    if (kSound) __syncthreads();
    args.out[tid] = values[(tid + kThreads / 2) % kThreads];
}

// Shared memory is used again without a barrier: the group norm over ragged groups, one block each.
template <bool kSound>
MERIT_KERNEL(kThreads)
missing_war_kernel(const planted_args args)
{
    for (int g = (int)blockIdx.x; g < PLANTED_GROUPS; g += (int)gridDim.x) {
        const int first = args.offsets[g], size = args.offsets[g + 1] - first;
        double sum = 0.0;
        for (int i = (int)threadIdx.x; i < size; i += kThreads) {
            sum = m_add64(sum, (double)args.in[first + i]);
        }
        const double mean = m_div64(planted_block_sum<kSound>(sum), (double)size);
        double squares = 0.0;
        for (int i = (int)threadIdx.x; i < size; i += kThreads) {
            const double dev = m_sub64((double)args.in[first + i], mean);
            squares = m_fma64(dev, dev, squares);
        }
        const double variance = m_div64(planted_block_sum<kSound>(squares), (double)size);
        const double scale = m_add64(m_sqrt64(variance), 1e-6);
        for (int i = (int)threadIdx.x; i < size; i += kThreads) {
            const double dev = m_sub64((double)args.in[first + i], mean);
            args.out[first + i] = m_round32(m_div64(dev, scale));
        }
    }
}

// Lanes exchange values through shared memory without __syncwarp.
template <bool kSound>
MERIT_KERNEL(kThreads)
missing_syncwarp_kernel(const planted_args args)
{
    MERIT_SHARED(float, values, [kThreads]);
    const int tid = (int)threadIdx.x;
    values[tid] = args.in[tid];
    if (kSound) __syncwarp();
    args.out[tid] = values[tid ^ 1];
}

// A shuffle stands where memory needs __syncwarp: it moves registers and orders no memory.
template <bool kSound>
MERIT_KERNEL(kThreads)
shuffle_as_fence_kernel(const planted_args args)
{
    MERIT_SHARED(float, values, [kThreads]);
    const int tid = (int)threadIdx.x;
    values[tid] = args.in[tid];
    const float other = __shfl_xor_sync(kFullWarp, values[tid], 2);
    if (kSound) __syncwarp();
    args.out[tid] = m_add(values[tid ^ 1], other);
}

// 64 threads increment one counter.
template <bool kSound>
MERIT_KERNEL(kThreads)
lost_update_kernel(const planted_args args)
{
    MERIT_SHARED(int, counter, [1]);
    if (threadIdx.x == 0) counter[0] = 0;
    __syncthreads(); // counter: set above, counted below
    if (threadIdx.x < 64 && kSound) atomicAdd(&counter[0], args.one);
    if (threadIdx.x < 64 && !kSound) counter[0] += args.one;
    __syncthreads(); // counter: counted above, read below
    if (threadIdx.x == 0) args.out[0] = (float)counter[0];
}

// The guard lets one element too many through.
template <bool kSound>
MERIT_KERNEL(kThreads)
global_bounds_kernel(const planted_args args)
{
    const int limit = kSound ? args.count : args.count + args.one;
    for (int i = (int)(blockIdx.x * kThreads + threadIdx.x); i < limit;
         i += (int)gridDim.x * kThreads) {
        args.out[i] = m_mul(args.in[kSound ? i : i % args.count], 2.0f);
    }
}

template <bool kSound>
MERIT_KERNEL(kThreads)
static_read_kernel(const planted_args args)
{
    MERIT_SHARED(float, values, [kThreads]);
    const int tid = (int)threadIdx.x;
    values[tid] = args.in[tid];
    __syncthreads(); // values: written above, read below
    args.out[tid] = values[kSound ? (tid + 1) % kThreads : tid + args.one];
}

template <bool kSound>
MERIT_KERNEL(kThreads)
static_write_kernel(const planted_args args)
{
    MERIT_SHARED(float, values, [kThreads]);
    const int tid = (int)threadIdx.x;
    if (tid == 0) values[0] = 1.0f;
    __syncthreads(); // values[0] may be written twice
    values[kSound ? (tid + 1) % kThreads : tid + args.one] = args.in[tid];
    __syncthreads(); // values: written above, read below
    args.out[tid] = values[tid];
}

template <bool kSound>
MERIT_KERNEL(kThreads)
dynamic_read_kernel(const planted_args args)
{
    MERIT_DYN_SMEM(float, values);
    const int tid = (int)threadIdx.x;
    values[tid] = args.in[tid];
    __syncthreads(); // values: written above, read below
    args.out[tid] = values[kSound ? (tid + 1) % kThreads : tid + args.one];
}

template <bool kSound>
MERIT_KERNEL(kThreads)
uninitialized_kernel(const planted_args args)
{
    MERIT_SHARED(float, values, [kThreads]);
    const int tid = (int)threadIdx.x;
    if (kSound || tid != 3) values[tid] = args.in[tid];
    __syncthreads(); // values: written above, read below
    args.out[tid] = values[kThreads - 1 - tid];
}

// A barrier, and before it shuffles, that only some threads reach.
template <bool kSound>
MERIT_KERNEL(kThreads)
divergent_barrier_kernel(const planted_args args)
{
    const int tid = (int)threadIdx.x;
    if (kSound || tid < 128) {
        args.out[tid] = m_round32(planted_block_sum((double)args.in[tid]));
    }
}

// Half of the block waits at one barrier, half at another.
template <bool kSound>
MERIT_KERNEL(kThreads)
two_barriers_kernel(const planted_args args)
{
    const int tid = (int)threadIdx.x;
    if (kSound || tid < 128) {
        __syncthreads();
        args.out[tid] = args.in[tid];
    } else {
        __syncthreads();
        args.out[tid] = args.in[tid];
    }
}

template <bool kSound>
MERIT_KERNEL(kThreads)
divergent_shuffle_kernel(const planted_args args)
{
    const int tid = (int)threadIdx.x;
    float value = args.in[tid];
    if (kSound || tid % kWarpSize < 20) {
        value = __shfl_xor_sync(kFullWarp, value, 1);
    }
    args.out[tid] = value;
}

// Some lanes of a warp return before its last shuffle.
template <bool kSound>
MERIT_KERNEL(kThreads)
returned_lane_kernel(const planted_args args)
{
    const int tid = (int)threadIdx.x;
    if (!kSound && tid % kWarpSize >= 20) return;
    args.out[tid] = __shfl_xor_sync(kFullWarp, args.in[tid], 1);
}

// The lanes of one mask stand at two lines.
template <bool kSound>
MERIT_KERNEL(kThreads)
two_shuffles_kernel(const planted_args args)
{
    const int tid = (int)threadIdx.x;
    float value = args.in[tid];
    if (kSound || tid % 2 == 0) {
        value = __shfl_xor_sync(kFullWarp, value, 1);
    } else {
        value = __shfl_xor_sync(kFullWarp, value, 1);
    }
    args.out[tid] = value;
}

// The caller is not in its own mask.
template <bool kSound>
MERIT_KERNEL(kThreads)
foreign_mask_kernel(const planted_args args)
{
    const int tid = (int)threadIdx.x;
    args.out[tid] = __shfl_sync(kSound ? kFullWarp : 0x0000ffffu, args.in[tid], 3);
}

// The lower half reads a lane of the upper half, which is not in the mask.
template <bool kSound>
MERIT_KERNEL(kThreads)
inactive_source_kernel(const planted_args args)
{
    const int tid = (int)threadIdx.x;
    float value = args.in[tid];
    if (tid % kWarpSize < 16) {
        value = __shfl_sync(0x0000ffffu, value, kSound ? 7 : 20);
    }
    args.out[tid] = value;
}

// One launch over all values: a partial of each block, and the last block to finish folds them.
template <bool kSound>
MERIT_KERNEL(kThreads)
missing_fence_kernel(const planted_args args)
{
    MERIT_SHARED(int, last, );
    double sum = 0.0;
    for (int i = (int)(blockIdx.x * kThreads + threadIdx.x); i < args.count;
         i += (int)gridDim.x * kThreads) {
        sum = m_add64(sum, (double)args.in[i]);
    }
    const double total = planted_block_sum(sum);
    if (threadIdx.x == 0) {
        args.partials[blockIdx.x] = total;
        if (kSound) __threadfence(); // the partial before the ticket
        last = atomicAdd(args.ticket, 1u) == gridDim.x - 1;
    }
    __syncthreads(); // last: written above, read below
    if (!last) return;
    __threadfence(); // the ticket before the partials of the others
    const double part = threadIdx.x < gridDim.x ? args.partials[threadIdx.x] : 0.0;
    const double value = planted_block_sum(part);
    if (threadIdx.x == 0) {
        args.out[0] = m_round32(value);
        atomicExch(args.ticket, 0u);
    }
}

// All threads have results, and the ticket is taken before the last of them is there.
template <bool kSound>
MERIT_KERNEL(kThreads)
early_ticket_kernel(const planted_args args)
{
    MERIT_SHARED(int, last, );
    const int tid = (int)threadIdx.x, block = (int)blockIdx.x;
    args.out[block * kThreads + tid] = m_mul(args.in[block * kThreads + tid], 2.0f);
    __threadfence(); // this thread's result before the ticket
    if (kSound) __syncthreads(); // and everyone's
    if (tid == 0) last = atomicAdd(args.ticket, 1u) == gridDim.x - 1;
    __syncthreads(); // last: written above, read below
    if (!last) return;
    __threadfence(); // the ticket before the results of the others
    float sum = 0.0f;
    for (int i = 0; i < (int)gridDim.x; i++) {
        sum = m_add(sum, args.out[i * kThreads + tid]);
    }
    __syncthreads(); // all results are read before some are overwritten
    args.out[tid] = sum;
    if (tid == 0)
        atomicExch(args.ticket, 0u); // atomic: no fence stands between it and the others' adds
}

// Blocks write the same element, with the value of whoever comes last.
template <bool kSound>
MERIT_KERNEL(kThreads)
overlapping_blocks_kernel(const planted_args args)
{
    const int tid = (int)threadIdx.x, block = (int)blockIdx.x;
    args.out[kSound ? block * kThreads + tid : block + tid] = (float)block;
}

// A 16-byte access to an array that is only aligned to 4.
template <bool kSound>
MERIT_KERNEL(kThreads)
misaligned_kernel(const planted_args args)
{
    MERIT_SHARED(float, values, [kThreads]);
    const int tid = (int)threadIdx.x;
    values[tid] = args.in[tid];
    __syncthreads(); // values: written above, read below
    if (tid >= kThreads / 4) return;
    if (kSound) {
        args.out[tid] = values[4 * tid + 2];
    } else {
        args.out[tid] = reinterpret_cast<const float4 *>(values)[tid].z;
    }
}

// Launchers ---------------------------------------------------------------------------------------

#define PLANTED(name, blocks, smem)                                                                \
    static int launch_##name(const planted_args *args, int sound)                                  \
    {                                                                                              \
        return sound ? MERIT_LAUNCH(name##_kernel<true>, blocks, kThreads, smem, nullptr, *args)   \
                     : MERIT_LAUNCH(name##_kernel<false>, blocks, kThreads, smem, nullptr, *args); \
    }
PLANTED(missing_raw, 1, 0)
PLANTED(missing_war, PLANTED_BLOCKS, 0)
PLANTED(missing_syncwarp, 1, 0)
PLANTED(shuffle_as_fence, 1, 0)
PLANTED(lost_update, 1, 0)
PLANTED(global_bounds, PLANTED_BLOCKS, 0)
PLANTED(static_read, 1, 0)
PLANTED(static_write, 1, 0)
PLANTED(dynamic_read, 1, kThreads * sizeof(float))
PLANTED(uninitialized, 1, 0)
PLANTED(divergent_barrier, 1, 0)
PLANTED(two_barriers, 1, 0)
PLANTED(divergent_shuffle, 1, 0)
PLANTED(returned_lane, 1, 0)
PLANTED(two_shuffles, 1, 0)
PLANTED(foreign_mask, 1, 0)
PLANTED(inactive_source, 1, 0)
PLANTED(missing_fence, PLANTED_BLOCKS, 0)
PLANTED(early_ticket, PLANTED_BLOCKS, 0)
PLANTED(overlapping_blocks, PLANTED_BLOCKS, 0)
PLANTED(misaligned, 1, 0)

#define ROW(name)            \
    {                        \
#name, launch_##name \
    }
extern "C" const planted_bug planted_bugs[] = {
    ROW(missing_raw),       ROW(missing_war),   ROW(missing_syncwarp),  ROW(shuffle_as_fence),
    ROW(lost_update),       ROW(global_bounds), ROW(static_read),       ROW(static_write),
    ROW(dynamic_read),      ROW(uninitialized), ROW(divergent_barrier), ROW(two_barriers),
    ROW(divergent_shuffle), ROW(returned_lane), ROW(two_shuffles),      ROW(foreign_mask),
    ROW(inactive_source),   ROW(missing_fence), ROW(early_ticket),      ROW(overlapping_blocks),
    ROW(misaligned)};
extern "C" const int num_planted_bugs = (int)(sizeof planted_bugs / sizeof planted_bugs[0]);
