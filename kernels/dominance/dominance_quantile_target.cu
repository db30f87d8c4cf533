// dominance_quantile_target, CUDA. A warp, or a part of one, takes a row and reads the samples of its
// actions four at a time where they are aligned. Memory-bound.
#include "../backend.h"
#include "../core/launch.cuh"
#include "dominance_quantile_target.h"

namespace
{

typedef merit_dominance_quantile_target_args Args;

constexpr int kThreads = 256;
constexpr int kBlocksPerSm = 8; // of 256 threads: a full multiprocessor of 2048
constexpr int kQuad = 4;

// Threads of a row: a power of two.
MERIT_HD static inline int row_width(int steps)
{
    int width = 1;
    while (width < steps && width < kWarpSize) {
        width *= 2;
    }
    return width;
}

MERIT_DEVICE float load(const Args &args, int64_t i)
{
    switch (args.d.dtype) {
    case MERIT_DTYPE_BF16: return m_from_bf16(static_cast<const uint16_t *>(args.io.q_next)[i]);
    case MERIT_DTYPE_F16: return m_from_f16(static_cast<const uint16_t *>(args.io.q_next)[i]);
    default: return static_cast<const float *>(args.io.q_next)[i];
    }
}

// Four neighboring samples.
MERIT_DEVICE float4 load_quad(const Args &args, int64_t i)
{
    if (args.d.dtype == MERIT_DTYPE_F32) {
        return *reinterpret_cast<const float4 *>(static_cast<const float *>(args.io.q_next) + i);
    }
    const uint2 words =
        *reinterpret_cast<const uint2 *>(static_cast<const uint16_t *>(args.io.q_next) + i);
    const uint16_t half[kQuad] = {(uint16_t)words.x, (uint16_t)(words.x >> 16), (uint16_t)words.y,
                                  (uint16_t)(words.y >> 16)};
    const bool brain = args.d.dtype == MERIT_DTYPE_BF16;
    float4 q;
    q.x = brain ? m_from_bf16(half[0]) : m_from_f16(half[0]);
    q.y = brain ? m_from_bf16(half[1]) : m_from_f16(half[1]);
    q.z = brain ? m_from_bf16(half[2]) : m_from_f16(half[2]);
    q.w = brain ? m_from_bf16(half[3]) : m_from_f16(half[3]);
    return q;
}

// The targets of one action's samples, which begin at element `at`.
template <bool kQuads>
MERIT_DEVICE void run_action(const Args &args, const merit_target_row &row, int64_t at, float *out,
                             int rank, int width)
{
    const int levels = args.d.num_levels;
    if (kQuads) {
        for (int n = rank; n < levels / kQuad; n += width) {
            const float4 q = load_quad(args, at + kQuad * n);
            float4 y;
            y.x = merit_target_of(row.value, row.discount, q.x);
            y.y = merit_target_of(row.value, row.discount, q.y);
            y.z = merit_target_of(row.value, row.discount, q.z);
            y.w = merit_target_of(row.value, row.discount, q.w);
            reinterpret_cast<float4 *>(out)[n] = y;
        }
    } else {
        for (int n = rank; n < levels; n += width) {
            const float q = load(args, at + n * args.d.stride_level);
            out[n] = merit_target_of(row.value, row.discount, q);
        }
    }
}

// Threads meet nowhere: each goes its own way through the rows.
template <bool kQuads>
MERIT_DEVICE void run_rows(const Args &args)
{
    const int64_t rows = args.d.num_states * args.d.num_objectives;
    const int words = merit_target_words(&args);
    const int width = row_width(kQuads ? args.d.num_levels / kQuad : args.d.num_levels);
    const int rank = threadIdx.x % width;
    const int64_t step = (int64_t)gridDim.x * (kThreads / width);
    for (int64_t r = ((int64_t)blockIdx.x * kThreads + threadIdx.x) / width; r < rows; r += step) {
        const merit_target_row row = merit_target_row_of(&args, r, rank == 0);
        float *out = args.io.target + r * args.d.ld_target;
        if (row.is_filled) {
            for (int n = rank; n < row.count; n += width) {
                out[n] = row.value;
            }
            continue;
        }
        if (row.set == NULL) {
            run_action<kQuads>(args, row, row.q, out, rank, width);
            continue;
        }
        for (int w = 0; w < words; w++) {
            uint32_t actions = merit_target_actions(&args, row.set, w);
            for (; actions != 0; actions &= actions - 1) {
                const int a = 32 * w + merit_target_lowest(actions);
                run_action<kQuads>(args, row, row.q + a * args.d.stride_action, out, rank, width);
                out += args.d.num_levels;
            }
        }
    }
}

// grid: any; block: kThreads.
MERIT_KERNEL(kThreads, 1) dominance_quantile_target_kernel(const MERIT_GRID_CONSTANT Args args)
{
    run_rows<false>(args);
}

// grid: any; block: kThreads. Every row and action begins at a multiple of four samples.
MERIT_KERNEL(kThreads, 1)
dominance_quantile_target_quads_kernel(const MERIT_GRID_CONSTANT Args args)
{
    run_rows<true>(args);
}

} // namespace

// Launchers ---------------------------------------------------------------------------------------

static bool has_quads(const Args &a)
{
    const int64_t strides = a.d.stride_state | a.d.stride_objective | a.d.stride_action |
                            a.d.ld_target | a.d.num_levels;
    const uintptr_t from = reinterpret_cast<uintptr_t>(a.io.q_next);
    const uintptr_t to = reinterpret_cast<uintptr_t>(a.io.target);
    const uintptr_t quad = a.d.dtype == MERIT_DTYPE_F32 ? sizeof(float4) : sizeof(uint2);
    return a.d.stride_level == 1 && strides % kQuad == 0 && from % quad == 0 &&
           to % sizeof(float4) == 0;
}

extern "C" int
MERIT_BACKEND_FN(dominance_quantile_target)(const merit_dominance_quantile_target_args *args,
                                            const merit_launch *launch)
{
    const Args &a = *args;
    const bool quads = has_quads(a);
    const int rows = kThreads / row_width(quads ? a.d.num_levels / kQuad : a.d.num_levels);
    const int64_t chunks = (a.d.num_states * a.d.num_objectives + rows - 1) / rows;
    const int64_t limit = (int64_t)launch->num_sms * kBlocksPerSm;
    const dim3 blocks((unsigned)(chunks < limit ? chunks : limit));
    if (quads) {
        return MERIT_LAUNCH(dominance_quantile_target_quads_kernel, blocks, dim3(kThreads), 0,
                            launch->stream, a);
    }
    return MERIT_LAUNCH(dominance_quantile_target_kernel, blocks, dim3(kThreads), 0, launch->stream,
                        a);
}

extern "C" int MERIT_BACKEND_FN(dominance_quantile_target_load)(const merit_launch *limits)
{
    (void)limits;
    cudaFuncAttributes attributes;
    const int code = (int)cudaFuncGetAttributes(&attributes, dominance_quantile_target_kernel);
    if (code != 0) return code;
    return (int)cudaFuncGetAttributes(&attributes, dominance_quantile_target_quads_kernel);
}
