// policy_logprob_backward, CUDA. A block owns a piece of a row; a thread reads eight neighboring logits, 16 bytes of
// bf16, and writes their gradients, maybe over them. Memory-bound: 4 bytes per logit, half of them
// written, cover the arithmetic of 2^x.
#include "../backend.h"
#include "../core/packed.cuh"
#include "policy_logprob_gradient.h"

namespace
{

typedef merit_policy_logprob_backward_args Args;

constexpr int kThreads = 128;
constexpr int kOwn = 8;
constexpr int kEach = 8; // groups of logits of a thread in a piece
constexpr int kPiece = kThreads * kOwn * kEach;
constexpr unsigned kMostBlocks = 0x7fffffffu;

MERIT_DEVICE_CALL merit_logprob_slope begin_row(const Args &args, int64_t t, bool counts)
{
    int32_t counter;
    const merit_logprob_slope s = merit_logprob_slope_begin(&args, t, &counter);
    if (counts && counter >= 0) m_count(args.io.diagnostics, counter, 1);
    return s;
}

// One logit under every option.
MERIT_DEVICE_CALL void write_one(const Args &args, const merit_logprob_slope &s, float x, int64_t v)
{
    merit_logprob_store(s.grad, args.d.dtype, v, merit_logprob_gradient_of(&args, &s, x, v));
}

// One logit that enters as it is.
MERIT_DEVICE_CALL void write_plain(const Args &args, const merit_logprob_slope &s, float x,
                                   int64_t v)
{
    merit_logprob_store(s.grad, args.d.dtype, v, merit_logprob_gradient_as(&args, &s, x, v, 1));
}

MERIT_DEVICE_CALL void fill_row(const Args &args, const merit_logprob_slope &s, float filling,
                                int64_t first, int64_t end)
{
    for (int64_t v = first + threadIdx.x; v < end; v += kThreads) {
        merit_logprob_store(s.grad, args.d.dtype, v, filling);
    }
}

// Eight logits that enter as they are ---------------------------------------------------------------

template <int kDtype>
struct Eight {
    static constexpr int kBytes = kDtype == MERIT_DTYPE_F32 ? 4 : 2; // of a logit
    uint32_t words[kOwn * kBytes / 4];
};

template <int kDtype>
MERIT_DEVICE void read_eight(const char *from, Eight<kDtype> &e)
{
    m_read16_cached(from, e.words);
    if (kDtype == MERIT_DTYPE_F32) m_read16_cached(from + 16, e.words + 4);
}

template <int kDtype>
MERIT_DEVICE float logit_of(const Eight<kDtype> &e, int k)
{
    if (kDtype == MERIT_DTYPE_F32) return m_from_bits32(e.words[k]);
    return kDtype == MERIT_DTYPE_F16 ? m_half_of_f16x2(e.words[k / 2], k % 2)
                                     : m_half_of_bf16x2(e.words[k / 2], k % 2);
}

template <int kDtype>
MERIT_DEVICE void write_eight(char *to, const float *g)
{
    uint32_t words[kOwn];
    bool bad = false;
#pragma unroll
    for (int k = 0; k < kOwn; k += 2) {
        bad |= m_is_nan32(g[k]) || m_is_nan32(g[k + 1]);
        if (kDtype == MERIT_DTYPE_F32) {
            words[k] = m_bits32(g[k]);
            words[k + 1] = m_bits32(g[k + 1]);
        } else {
            words[k / 2] = kDtype == MERIT_DTYPE_F16 ? m_pack_f16x2(g[k], g[k + 1])
                                                     : m_pack_bf16x2(g[k], g[k + 1]);
        }
    }
    if (bad) { // only the canonical NaN leaves
#pragma unroll
        for (int k = 0; k < kOwn; k++) {
            merit_logprob_store(to, kDtype, k, g[k]);
        }
        return;
    }
    m_write16(to, words);
    if (kDtype == MERIT_DTYPE_F32) m_write16(to + 16, words + 4);
}

// None of the logits is the target's.
template <int kDtype, bool kEntropic>
MERIT_DEVICE void run_eight(const merit_logprob_slope &s, const Eight<kDtype> &e, char *grad,
                            bool alike)
{
    float g[kOwn];
#pragma unroll
    for (int k = 0; k < kOwn; k++) {
        g[k] = merit_logprob_gradient(&s, logit_of<kDtype>(e, k), kEntropic);
    }
    if (alike) {
        write_eight<kDtype>(grad, g);
        return;
    }
#pragma unroll
    for (int k = 0; k < kOwn; k++) {
        merit_logprob_store(grad, kDtype, k, g[k]);
    }
}

// Kernels -------------------------------------------------------------------------------------------

// grid: any; block: kThreads.
template <int kDtype, bool kEntropic>
MERIT_KERNEL(kThreads, 5)
policy_logprob_backward_plain_kernel(const MERIT_GRID_CONSTANT Args args)
{
    constexpr int kBytes = kDtype == MERIT_DTYPE_F32 ? 4 : 2;
    constexpr int kAhead =
        8 / kBytes; // groups read at a time: 40 KB on their way per multiprocessor
    const int64_t units = args.d.num_tokens * args.parts;
    for (int64_t unit = blockIdx.x; unit < units; unit += gridDim.x) {
        const int64_t piece = unit % args.parts;
        const merit_logprob_slope s =
            begin_row(args, unit / args.parts, piece == 0 && threadIdx.x == 0);
        // groups of eight lie at multiples of 16 bytes of the logits: the first may start before the row
        const char *const logits = static_cast<const char *>(s.logits);
        char *const grad = static_cast<char *>(s.grad);
        const int shift = (int)(reinterpret_cast<uintptr_t>(logits) % 16) / kBytes;
        const bool alike =
            (reinterpret_cast<uintptr_t>(grad) - reinterpret_cast<uintptr_t>(logits)) % 16 == 0;
        const int vocab = (int)args.d.vocab_size; // at most 2^24, as every place in a row
        const int start = (int)piece * kPiece - shift;
        if (s.fate != MERIT_LOGPROB_SLOPES) {
            const int end = start + kPiece < vocab ? start + kPiece : vocab;
            fill_row(args, s, merit_logprob_filling(&s), start > 0 ? start : 0, end);
            continue;
        }
        const merit_logprob_slope slope = s; // in registers: nobody is told its address
        const int target = (int)s.target; // -1: meets no group
        for (int batch = start; batch < start + kPiece; batch += kThreads * kOwn * kAhead) {
            // groups of the thread whose reads are under way together
            Eight<kDtype> eight[kAhead];
            bool fast[kAhead];
#pragma unroll
            for (int i = 0; i < kAhead; i++) {
                const int first = batch + (i * kThreads + (int)threadIdx.x) * kOwn;
                const bool meets = target >= first && target < first + kOwn;
                fast[i] = first >= 0 && first + kOwn <= vocab && !meets;
                if (fast[i]) read_eight<kDtype>(logits + (int64_t)first * kBytes, eight[i]);
            }
#pragma unroll
            for (int i = 0; i < kAhead; i++) {
                const int first = batch + (i * kThreads + (int)threadIdx.x) * kOwn;
                if (fast[i]) {
                    run_eight<kDtype, kEntropic>(slope, eight[i], grad + (int64_t)first * kBytes,
                                                 alike);
                    continue;
                }
                for (int v = first > 0 ? first : 0; v < first + kOwn && v < vocab; v++) {
                    write_plain(args, s, merit_logprob_load(logits, kDtype, v), v);
                }
            }
        }
    }
}

// grid: any; block: kThreads. Under every option, logit by logit.
MERIT_KERNEL(kThreads, 8)
policy_logprob_backward_any_kernel(const MERIT_GRID_CONSTANT Args args)
{
    const int64_t units = args.d.num_tokens * args.parts;
    for (int64_t unit = blockIdx.x; unit < units; unit += gridDim.x) {
        const int64_t piece = unit % args.parts;
        const merit_logprob_slope s =
            begin_row(args, unit / args.parts, piece == 0 && threadIdx.x == 0);
        const int64_t first = piece * kPiece;
        const int64_t end = first + kPiece < args.d.vocab_size ? first + kPiece : args.d.vocab_size;
        if (s.fate != MERIT_LOGPROB_SLOPES) {
            fill_row(args, s, merit_logprob_filling(&s), first, end);
            continue;
        }
        for (int64_t v = first + threadIdx.x; v < end; v += kThreads) {
            write_one(args, s, merit_logprob_load(s.logits, args.d.dtype, v), v);
        }
    }
}

// grid: any; block: kThreads, a row at a time. A subset alone: zeros but for its ids.
MERIT_KERNEL(kThreads)
policy_logprob_backward_subset_kernel(const MERIT_GRID_CONSTANT Args args)
{
    for (int64_t t = blockIdx.x; t < args.d.num_tokens; t += gridDim.x) {
        const merit_logprob_slope s = begin_row(args, t, threadIdx.x == 0);
        const int32_t *const ids = args.io.subset_ids + t * args.d.ld_subset;
        const bool slopes = s.fate == MERIT_LOGPROB_SLOPES;
        const int i = threadIdx.x;
        bool mine = slopes && i < args.d.subset_size;
        for (int j = 0; mine && j < i; j++) {
            mine = ids[j] != ids[i]; // the first of equal ids writes
        }
        const float x = mine ? merit_logprob_load(s.logits, args.d.dtype, ids[i]) : 0.0f;
        __syncthreads(); // the logits are read, before zeros may take their place
        fill_row(args, s, slopes ? 0.0f : merit_logprob_filling(&s), 0, args.d.vocab_size);
        __syncthreads(); // and the zeros written, before the gradients
        if (mine) write_one(args, s, x, ids[i]);
    }
}

// Launchers -----------------------------------------------------------------------------------------

typedef void backward_kernel(const Args);

template <int kDtype>
backward_kernel *kernel_of_type(bool entropic)
{
    return entropic ? policy_logprob_backward_plain_kernel<kDtype, true>
                    : policy_logprob_backward_plain_kernel<kDtype, false>;
}

backward_kernel *plain_kernel(int32_t dtype, bool entropic)
{
    switch (dtype) {
    case MERIT_DTYPE_BF16: return kernel_of_type<MERIT_DTYPE_BF16>(entropic);
    case MERIT_DTYPE_F16: return kernel_of_type<MERIT_DTYPE_F16>(entropic);
    default: return kernel_of_type<MERIT_DTYPE_F32>(entropic);
    }
}

dim3 grid_of(int64_t blocks)
{
    return dim3(blocks < (int64_t)kMostBlocks ? (unsigned)blocks : kMostBlocks);
}

} // namespace

extern "C" int
MERIT_BACKEND_FN(policy_logprob_backward)(const merit_policy_logprob_backward_args *args,
                                          const merit_launch *launch)
{
    Args a = *args;
    const int64_t rows = a.d.num_tokens;
    if (a.listed) {
        return MERIT_LAUNCH(policy_logprob_backward_subset_kernel, grid_of(rows), dim3(kThreads), 0,
                            launch->stream, a);
    }
    // a shifted row may need one piece more
    a.parts = (int32_t)((a.d.vocab_size + kOwn - 1 + kPiece - 1) / kPiece);
    backward_kernel *const kernel = a.plain ? plain_kernel(a.d.dtype, a.io.grad_entropy != NULL)
                                            : policy_logprob_backward_any_kernel;
    return MERIT_LAUNCH(kernel, grid_of(rows * a.parts), dim3(kThreads), 0, launch->stream, a);
}

extern "C" int MERIT_BACKEND_FN(policy_logprob_backward_load)(const merit_launch *limits)
{
    (void)limits;
    const int32_t types[] = {MERIT_DTYPE_F32, MERIT_DTYPE_F16, MERIT_DTYPE_BF16};
    cudaFuncAttributes attributes;
    int code = (int)cudaFuncGetAttributes(&attributes, policy_logprob_backward_subset_kernel);
    if (code == 0) {
        code = (int)cudaFuncGetAttributes(&attributes, policy_logprob_backward_any_kernel);
    }
    for (int i = 0; i < 6 && code == 0; i++) {
        code = (int)cudaFuncGetAttributes(&attributes, plain_kernel(types[i / 2], i % 2 != 0));
    }
    return code;
}
