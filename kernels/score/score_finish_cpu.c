// score_finish, CPU.
#include "../backend.h"
#include "../core/parallel.h"
#include "score_finish.h"

static void finish_range(void *state, int64_t begin, int64_t end)
{
    for (int64_t i = begin; i < end; i++) {
        score_finish_one(state, i);
    }
}

merit_score_finish_launcher MERIT_BACKEND_FN(score_finish);

int MERIT_BACKEND_FN(score_finish)(const merit_score_finish_args *args, const merit_launch *launch)
{
    for (int64_t k = 0; args->io.post_std != NULL && k < args->d.num_heads; k++) {
        score_finish_count_std(args, k);
    }
    merit_parallel_ranges(launch->num_threads, args->d.num_positions * score_finish_columns(args),
                          64, finish_range, (void *)args);
    return 0;
}
