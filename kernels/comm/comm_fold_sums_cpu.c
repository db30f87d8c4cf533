// comm_fold_sums, CPU: one total after the other.
#include "../backend.h"
#include "comm_fold_sums.h"

merit_comm_fold_sums_launcher MERIT_BACKEND_FN(comm_fold_sums);

int MERIT_BACKEND_FN(comm_fold_sums)(const merit_comm_fold_sums_args *args,
                                     const merit_launch *launch)
{
    (void)launch; // a few additions per rank
    const int64_t count = (int64_t)args->num_sums + args->num_counts;
    for (int64_t i = 0; i < count; i++) {
        merit_comm_fold_total(args, i);
    }
    return 0;
}
