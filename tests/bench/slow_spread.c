// merit_advantage_spread with a share of its time spent again, by link-time wrapping. The share in
// percent is SLOW_PERCENT of the environment, else 30.
#include <stdlib.h>
#include <time.h>

#include <merit/merit.h>

merit_status __real_merit_advantage_spread(merit_context *ctx,
                                           const merit_advantage_spread_desc *desc,
                                           const merit_advantage_spread_io *io, void *workspace,
                                           size_t workspace_bytes, merit_stream stream);
merit_status __wrap_merit_advantage_spread(merit_context *ctx,
                                           const merit_advantage_spread_desc *desc,
                                           const merit_advantage_spread_io *io, void *workspace,
                                           size_t workspace_bytes, merit_stream stream);

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

merit_status __wrap_merit_advantage_spread(merit_context *ctx,
                                           const merit_advantage_spread_desc *desc,
                                           const merit_advantage_spread_io *io, void *workspace,
                                           size_t workspace_bytes, merit_stream stream)
{
    const char *const percent = getenv("SLOW_PERCENT");
    const double share = percent != NULL ? 1e-2 * atof(percent) : 0.3;
    const double start = now();
    const merit_status status =
        __real_merit_advantage_spread(ctx, desc, io, workspace, workspace_bytes, stream);
    const double end = now() + share * (now() - start);
    while (now() < end) {
    }
    return status;
}
