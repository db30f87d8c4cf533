// comm_fold_stats, CPU: one field after the other.
#include "../backend.h"
#include "comm_fold_stats.h"

merit_comm_fold_stats_launcher MERIT_BACKEND_FN(comm_fold_stats);

int MERIT_BACKEND_FN(comm_fold_stats)(const merit_comm_fold_stats_args *args,
                                      const merit_launch *launch)
{
    (void)launch; // a few additions per rank
    const int64_t count = (int64_t)args->num_records * args->num_fields;
    for (int64_t i = 0; i < count; i++) {
        merit_comm_fold_stat(args, i);
    }
    return 0;
}
