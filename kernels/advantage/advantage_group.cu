// advantage_group, CUDA.
#include "../backend.h"
#include "../core/launch.cuh"
#include "advantage_group.h"

extern "C" int MERIT_BACKEND_FN(advantage_group)(const merit_advantage_group_args *args,
                                                 const merit_launch *launch)
{
    (void)args;
    (void)launch;
    return (int)cudaErrorNotSupported;
}

extern "C" int MERIT_BACKEND_FN(advantage_group_load)(const merit_launch *limits)
{
    (void)limits;
    return 0;
}
