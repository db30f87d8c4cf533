// Kernels without a bug, in the shapes that merit uses: the emulator must find nothing in them, and
// every seed must give the same bits.
#include "../../kernels/core/launch.cuh"
#include "../../kernels/core/reduce.cuh"

#include "planted.h"

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;

// Sum over the block, in every thread: warps first, then one value of each.
MERIT_DEVICE double block_sum(double value)
{
    MERIT_SHARED(double, partial, [kWarps]);
    const int warp = (int)threadIdx.x / kWarpSize, lane = (int)threadIdx.x % kWarpSize;
    const double sum = merit_warp_sum64<kWarpSize>(value);
    if (lane == 0) partial[warp] = sum;
    __syncthreads(); // partial: written above, read below
    const double total = merit_warp_sum64<kWarpSize>(lane < kWarps ? partial[lane] : 0.0);
    __syncthreads(); // partial: read above, written by the next call
    return total;
}

// Group norm over ragged groups: one block per group, two passes.
MERIT_KERNEL(kThreads) clean_ragged_kernel(const planted_args args)
{
    for (int g = (int)blockIdx.x; g < args.num_groups; g += (int)gridDim.x) {
        const int first = args.offsets[g], size = args.offsets[g + 1] - first;
        double sum = 0.0;
        for (int i = (int)threadIdx.x; i < size; i += kThreads) {
            sum = m_add64(sum, (double)args.in[first + i]);
        }
        const double mean = m_div64(block_sum(sum), (double)size);
        double squares = 0.0;
        for (int i = (int)threadIdx.x; i < size; i += kThreads) {
            const double dev = m_sub64((double)args.in[first + i], mean);
            squares = m_fma64(dev, dev, squares);
        }
        const double scale = m_sqrt64(m_div64(block_sum(squares), (double)size));
        for (int i = (int)threadIdx.x; i < size; i += kThreads) {
            const double dev = m_sub64((double)args.in[first + i], mean);
            args.out[first + i] = m_round32(m_div64(dev, m_add64(scale, 1e-6)));
        }
    }
}

// One launch over all values: a partial of each block, and the last block to finish folds them.
MERIT_KERNEL(kThreads) clean_ticket_kernel(const planted_args args)
{
    MERIT_SHARED(int, last, );
    double sum = 0.0;
    for (int i = (int)(blockIdx.x * kThreads + threadIdx.x); i < args.count;
         i += (int)gridDim.x * kThreads) {
        sum = m_add64(sum, (double)args.in[i]);
    }
    const double total = block_sum(sum);
    if (threadIdx.x == 0) {
        args.partials[blockIdx.x] = total;
        __threadfence(); // the partial before the ticket
        last = atomicAdd(args.ticket, 1u) == gridDim.x - 1;
    }
    __syncthreads(); // last
    if (!last) return;
    __threadfence(); // the ticket before the partials of the others
    double value = 0.0;
    for (int i = (int)threadIdx.x; i < (int)gridDim.x; i += kThreads) {
        value = m_add64(value, args.partials[i]);
    }
    value = block_sum(value);
    if (threadIdx.x == 0) {
        args.out[0] = m_round32(value);
        *args.ticket = 0;
    }
}

int planted_launch_ragged(const planted_args &args, int blocks)
{
    return MERIT_LAUNCH(clean_ragged_kernel, blocks, kThreads, 0, nullptr, args);
}

int planted_launch_ticket(const planted_args &args, int blocks)
{
    return MERIT_LAUNCH(clean_ticket_kernel, blocks, kThreads, 0, nullptr, args);
}
