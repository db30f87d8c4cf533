// policy_logprob_merge, CPU.
#include "../backend.h"
#include "../core/parallel.h"
#include "policy_logprob_merge_block_cpu.h"

static void run_rows(void *state, int64_t begin, int64_t end)
{
    const merit_policy_logprob_merge_args *const args =
        *(const merit_policy_logprob_merge_args *const *)state;
    const merit_policy_logprob_forward_args whole = merit_logprob_merge_whole(args);
    int64_t t = begin;
    if (args->io.segments == NULL && end - begin >= MERGE_ROWS) {
        for (; end - t >= MERGE_ROWS; t += MERGE_ROWS) {
            merge_rows(args, &whole, t, t);
        }
        if (t < end) merge_rows(args, &whole, end - MERGE_ROWS, t);
        return;
    }
    for (; t < end; t++) {
        merit_logprob_merge_row(args, &whole, t);
    }
}

int MERIT_BACKEND_FN(policy_logprob_merge)(const merit_policy_logprob_merge_args *args,
                                           const merit_launch *launch)
{
    merit_parallel_ranges(launch->num_threads, args->d.num_tokens, 16, run_rows, &args);
    return 0;
}
