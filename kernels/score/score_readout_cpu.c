// score_readout_forward and score_readout_backward, CPU. Threads own ranges of rows.
#include "../backend.h"
#include "../core/parallel.h"
#include "score_readout.h"

static void run_rows(void *state, int64_t begin, int64_t end)
{
    for (int64_t p = begin; p < end; p++) {
        readout_row(state, p);
    }
}

merit_score_readout_forward_launcher MERIT_BACKEND_FN(score_readout_forward);
merit_score_readout_backward_launcher MERIT_BACKEND_FN(score_readout_backward);

int MERIT_BACKEND_FN(score_readout_forward)(const merit_score_readout_forward_args *args,
                                            const merit_launch *launch)
{
    merit_parallel_ranges(launch->num_threads, args->a.d.num_rows, 16, run_rows, (void *)&args->a);
    return 0;
}

int MERIT_BACKEND_FN(score_readout_backward)(const merit_score_readout_backward_args *args,
                                             const merit_launch *launch)
{
    merit_parallel_ranges(launch->num_threads, args->a.d.num_rows, 16, run_rows, (void *)&args->a);
    return 0;
}
