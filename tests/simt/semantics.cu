#include "../../kernels/core/launch.cuh"

#include "semantics.h"

#include <type_traits>

static_assert(sizeof(float4) == 16 && alignof(float4) == 16, "vectors are aligned as in CUDA");
static_assert(sizeof(uint4) == 16 && alignof(uint4) == 16, "vectors are aligned as in CUDA");
static_assert(sizeof(double2) == 16 && alignof(double2) == 16, "vectors are aligned as in CUDA");
static_assert(sizeof(float2) == 8 && alignof(float2) == 8, "vectors are aligned as in CUDA");
static_assert(sizeof(uint3) == 12 && alignof(uint3) == 4, "vectors are aligned as in CUDA");

template <typename T, typename = void>
struct has_atomic_add : std::false_type {
};
template <typename T>
struct has_atomic_add<T, std::void_t<decltype(atomicAdd(static_cast<T *>(nullptr), T()))>>
    : std::true_type {
};
static_assert(has_atomic_add<int>::value && has_atomic_add<unsigned long long>::value, "");
static_assert(!has_atomic_add<float>::value && !has_atomic_add<double>::value,
              "the order of a sum of floats must not depend on who comes first");

constexpr int kThreads = SEMANTICS_THREADS;

MERIT_DEVICE void put(const semantics_args &args, int slot, double value)
{
    args.out[slot * kThreads + (int)threadIdx.x] = value;
}

MERIT_KERNEL(kThreads) shuffles_kernel(const semantics_args args)
{
    const int tid = (int)threadIdx.x, lane = tid % kWarpSize;
    put(args, 0, __shfl_sync(kFullWarp, 100 + tid, 3));
    put(args, 1, __shfl_sync(kFullWarp, 100u + threadIdx.x, 11, 8));
    put(args, 2, (double)__shfl_sync(kFullWarp, -1000000000000ll - tid, lane ^ 6));
    put(args, 3, (double)__shfl_up_sync(kFullWarp, 0x100000000000ull + threadIdx.x, 5, 16));
    put(args, 4, (double)__shfl_down_sync(kFullWarp, 0.5f + (float)tid, 5, 16));
    put(args, 5, __shfl_xor_sync(kFullWarp, 0.1 + tid, 16));
    put(args, 6, __shfl_xor_sync(kFullWarp, tid, 9, 8));
    if (lane < 16) { // these lanes shuffle among themselves while the others are ahead
        put(args, 7, __shfl_down_sync(0x0000ffffu, tid, 1, 16));
    } else {
        put(args, 7, __shfl_down_sync(0xffff0000u, tid, 2, 16));
    }
    put(args, 8, __shfl_up_sync(kFullWarp, tid, 1));
}

MERIT_KERNEL(kThreads) votes_kernel(const semantics_args args)
{
    const int tid = (int)threadIdx.x, lane = tid % kWarpSize;
    put(args, 0, __ballot_sync(kFullWarp, tid % 3 == 0));
    put(args, 1, __any_sync(kFullWarp, tid == 40));
    put(args, 2, __all_sync(kFullWarp, tid != 40));
    put(args, 3, __match_any_sync(kFullWarp, tid / 5));
    put(args, 4, __match_any_sync(kFullWarp, -1ll * (lane % 2)));
    if (lane % 2 == 1) put(args, 5, __ballot_sync(0xaaaaaaaau, lane > 8));
    __syncwarp();
    put(args, 6, __any_sync(kFullWarp, 256)); // nonzero, not 1
}

MERIT_KERNEL(kThreads) reductions_kernel(const semantics_args args)
{
    const int tid = (int)threadIdx.x, lane = tid % kWarpSize;
    put(args, 0, __reduce_add_sync(kFullWarp, -tid));
    put(args, 1, __reduce_add_sync(kFullWarp, 0x10000000u + (unsigned)tid)); // wraps around
    put(args, 2, __reduce_min_sync(kFullWarp, 5 - tid));
    put(args, 3, __reduce_max_sync(kFullWarp, tid - 100));
    put(args, 4, __reduce_min_sync(kFullWarp, (unsigned)(tid - 3)));
    put(args, 5, __reduce_max_sync(kFullWarp, (unsigned)(tid - 3)));
    put(args, 6, __reduce_and_sync(kFullWarp, 0xffu & ~(1u << lane % 4)));
    put(args, 7, __reduce_or_sync(kFullWarp, 1u << tid % 7));
    put(args, 8, __reduce_xor_sync(kFullWarp, (unsigned)tid));
}

MERIT_KERNEL(kThreads) barriers_kernel(const semantics_args args)
{
    const int tid = (int)threadIdx.x;
    put(args, 0, __syncthreads_or(tid == 5 ? 8 : 0));
    put(args, 1, __syncthreads_or(0));
    put(args, 2, __syncthreads_and(tid + 1));
    put(args, 3, __syncthreads_and(tid));
    put(args, 4, __syncthreads_count(tid % 4));
}

// words start as the test says; every thread takes part.
MERIT_KERNEL(kThreads) atomics_kernel(const semantics_args args)
{
    MERIT_SHARED(unsigned long long, wide, );
    MERIT_SHARED(int, narrow, [2]);
    const unsigned tid = threadIdx.x;
    if (tid == 0) {
        wide = 1ull << 40;
        narrow[0] = narrow[1] = -50;
    }
    __syncthreads(); // wide, narrow
    atomicAdd(&wide, (unsigned long long)tid);
    atomicMin(&narrow[0], -(int)tid);
    atomicMax(&narrow[1], (int)tid - 60);
    atomicAdd(&args.words[0], 1u);
    atomicMin(&args.words[1], tid);
    atomicMax(&args.words[2], tid);
    atomicOr(&args.words[3], 1u << tid % 9);
    atomicAnd(&args.words[4], ~(1u << tid % 9));
    atomicXor(&args.words[5], tid);
    atomicInc(&args.words[6], 9);
    atomicSub(&args.words[7], 2u);
    for (unsigned old = 0, seen;; old = seen) { // a counter by compare-and-swap
        seen = atomicCAS(&args.words[8], old, old + 3);
        if (seen == old) break;
    }
    const unsigned before =
        atomicExch(&args.words[9], tid + 1); // a chain: each value is handed on once
    atomicAdd(&args.words[10], before);
    __threadfence();
    __threadfence_block();
    __syncthreads(); // all of the above
    put(args, 0, (double)wide);
    put(args, 1, narrow[0]);
    put(args, 2, narrow[1]);
}

MERIT_KERNEL(kThreads) bits_kernel(const semantics_args args)
{
    const int tid = (int)threadIdx.x;
    put(args, 0, __popc(0xf0f0u << tid % 8) + 100 * __popcll(0xffff00000000ffffull >> tid));
    put(args, 1, __ffs(tid) + 100 * __ffsll((long long)tid << 32));
    put(args, 2, __clz(tid) + 100 * __clzll(tid));
    put(args, 3, __brev((unsigned)tid));
    put(args, 4, min(tid, 7) + 1000 * max(tid, 7));
    put(args, 5, (double)min(-(long long)tid, -9ll) + (double)max((unsigned long long)tid, 9ull));
    put(args, 6, __ldg(&args.words[tid]) + __ldcs(&args.words[tid]) + __ldcg(&args.words[tid]));
    __stcs(&args.out[7 * kThreads + tid], (double)tid);
}

MERIT_KERNEL(kThreads) shape_kernel(const semantics_args args)
{
    const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    // Lanes follow the linear index: lane 0 of each warp tells its thread.
    const unsigned first = (unsigned)__shfl_sync(kFullWarp, (int)thread, 0);
    args.out[block * kThreads + thread] = block * 1000 + thread + 0.5 * (first % 32);
}

// Shared memory is 0xff before each block, whatever the one before has written.
MERIT_KERNEL(kThreads) fresh_shared_kernel(const semantics_args args)
{
    MERIT_SHARED(unsigned, fixed, [kThreads]);
    MERIT_DYN_SMEM(unsigned, dynamic);
    const int tid = (int)threadIdx.x;
    if (fixed[tid] != 0xffffffffu || dynamic[tid] != 0xffffffffu) atomicAdd(&args.words[0], 1u);
    fixed[tid] = dynamic[tid] = (unsigned)tid;
    __syncthreads(); // fixed, dynamic
    if (fixed[kThreads - 1 - tid] + dynamic[tid] != (unsigned)kThreads - 1) {
        atomicAdd(&args.words[1], 1u);
    }
}

// Lanes of warp 1 wait for each other at two different places.
MERIT_KERNEL(kThreads) deadlock_kernel(const semantics_args args)
{
    const int tid = (int)threadIdx.x;
    if (tid >= 32 && tid < 40) {
        __syncwarp();
    } else {
        __syncthreads();
    }
    put(args, 0, 1.0);
}

// Block `count` tells of itself, and each block waits until it has.
MERIT_KERNEL(kThreads) waiting_kernel(const semantics_args args)
{
    const int mine = (int)atomicAdd(&args.words[0], 1u);
    if (mine == args.count) atomicExch(&args.words[1], 1u);
    while (atomicAdd(&args.words[1], 0u) == 0) {
        MERIT_LOOK_AGAIN();
    }
}

MERIT_KERNEL(1024) order_kernel(const semantics_args args)
{
    const int place = (int)atomicAdd(&args.words[0], 1u);
    args.order[place] = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    __syncthreads();
    const int after = (int)atomicAdd(&args.words[0], 1u);
    args.order[after] = (int)(blockIdx.x * blockDim.x + threadIdx.x);
}

MERIT_KERNEL(1024) empty_kernel(const semantics_args args)
{
    (void)args;
}

// Launchers ---------------------------------------------------------------------------------------

int semantics_shuffles(const semantics_args &args)
{
    return MERIT_LAUNCH(shuffles_kernel, 1, kThreads, 0, nullptr, args);
}

int semantics_votes(const semantics_args &args)
{
    return MERIT_LAUNCH(votes_kernel, 1, kThreads, 0, nullptr, args);
}

int semantics_reductions(const semantics_args &args)
{
    return MERIT_LAUNCH(reductions_kernel, 1, kThreads, 0, nullptr, args);
}

int semantics_barriers(const semantics_args &args)
{
    return MERIT_LAUNCH(barriers_kernel, 1, kThreads, 0, nullptr, args);
}

int semantics_atomics(const semantics_args &args)
{
    return MERIT_LAUNCH(atomics_kernel, 1, kThreads, 0, nullptr, args);
}

int semantics_bits(const semantics_args &args)
{
    return MERIT_LAUNCH(bits_kernel, 1, kThreads, 0, nullptr, args);
}

int semantics_shape(const semantics_args &args)
{
    return MERIT_LAUNCH(shape_kernel, dim3(3, 2, 2), dim3(8, 4, 2), 0, nullptr, args);
}

int semantics_fresh_shared(const semantics_args &args, int blocks)
{
    return MERIT_LAUNCH(fresh_shared_kernel, (unsigned)blocks, kThreads,
                        kThreads * sizeof(unsigned), nullptr, args);
}

int semantics_deadlock(const semantics_args &args)
{
    return MERIT_LAUNCH(deadlock_kernel, 1, kThreads, 0, nullptr, args);
}

int semantics_waiting(const semantics_args &args)
{
    return MERIT_LAUNCH(waiting_kernel, 3, kThreads, 0, nullptr, args);
}

int semantics_order(const semantics_args &args, int blocks, int threads)
{
    return MERIT_LAUNCH(order_kernel, (unsigned)blocks, (unsigned)threads, 0, nullptr, args);
}

int semantics_shape_limits(unsigned x, unsigned y, unsigned z, unsigned threads, size_t smem)
{
    const semantics_args args = {};
    return MERIT_LAUNCH(empty_kernel, dim3(x, y, z), threads, smem, nullptr, args);
}

int semantics_opt_in(int bytes)
{
    return (int)cudaFuncSetAttribute(empty_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                     bytes);
}
