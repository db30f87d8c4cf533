// policy_count, CUDA. A warp takes a sequence, lanes stride over its mask; memory-bound, launch-bound below
// some million tokens. Integer sums: any order gives the same.
#include "../backend.h"
#include "../core/team.cuh"
#include "policy_count.h"

namespace
{

constexpr int kThreads = kTeamBlock;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kBlocksPerSm = 8; // of 256 threads: a full multiprocessor of 2048

typedef merit_policy_count_args CountArgs;

MERIT_DEVICE unsigned long long *count_word(const CountArgs &a, int ticket)
{
    return reinterpret_cast<unsigned long long *>(a.tickets + ticket);
}

// grid: any; block: kThreads.
MERIT_KERNEL(kThreads) policy_count_kernel(const MERIT_GRID_CONSTANT CountArgs a)
{
    const int lane = threadIdx.x % kWarpSize;
    const int64_t step = (int64_t)gridDim.x * kWarps;
    unsigned long long tokens = 0;
    unsigned long long nonempty = 0;
    for (int64_t n = (int64_t)blockIdx.x * kWarps + threadIdx.x / kWarpSize; n < a.num_sequences;
         n += step) {
        const merit_policy_span span = merit_policy_span_of(&a.layout, n);
        if (lane == 0) merit_policy_tell(&span, a.io.diagnostics);
        if (span.refusal != MERIT_POLICY_FINE) continue;
        unsigned long long mine = 0;
        if (a.io.mask == NULL) {
            mine = lane == 0 ? (unsigned long long)span.size : 0;
        } else {
            for (int64_t i = lane; i < span.size; i += kWarpSize) {
                mine += a.io.mask[span.begin + i] != 0;
            }
        }
        for (int distance = 1; distance < kWarpSize; distance *= 2) {
            mine += __shfl_xor_sync(kFullWarp, mine, distance);
        }
        tokens += mine;
        nonempty += mine > 0;
    }
    if (lane == 0 && tokens > 0) {
        atomicAdd(count_word(a, MERIT_POLICY_COUNT_TICKET_TOKENS), tokens);
        atomicAdd(count_word(a, MERIT_POLICY_COUNT_TICKET_NONEMPTY), nonempty);
    }
    if (!block_is_last(&a.tickets[MERIT_POLICY_COUNT_TICKET_DONE], 1, gridDim.x)) return;
    if (threadIdx.x != 0) return;
    merit_policy_counts counts;
    counts.tokens = (int64_t)atomicExch(count_word(a, MERIT_POLICY_COUNT_TICKET_TOKENS), 0ull);
    counts.nonempty_sequences =
        (int64_t)atomicExch(count_word(a, MERIT_POLICY_COUNT_TICKET_NONEMPTY), 0ull);
    *a.io.counts = counts;
}

} // namespace

extern "C" int MERIT_BACKEND_FN(policy_count)(const merit_policy_count_args *args,
                                              const merit_launch *launch)
{
    const int64_t chunks = (args->num_sequences + kWarps - 1) / kWarps;
    const int64_t limit = (int64_t)launch->num_sms * kBlocksPerSm;
    const int64_t blocks = chunks < 1 ? 1 : chunks < limit ? chunks : limit;
    return MERIT_LAUNCH(policy_count_kernel, dim3((unsigned)blocks), dim3(kThreads), 0,
                        launch->stream, *args);
}

extern "C" int MERIT_BACKEND_FN(policy_count_load)(const merit_launch *limits)
{
    (void)limits;
    cudaFuncAttributes attributes;
    return (int)cudaFuncGetAttributes(&attributes, policy_count_kernel);
}
