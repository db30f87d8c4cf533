#include "internal.h"

#ifndef MERIT_REVISION
#define MERIT_REVISION "unknown"
#endif
#ifdef MERIT_HAVE_CUDA
#define CUDA_TEXT "cuda " MERIT_CUDA_VERSION
#else
#define CUDA_TEXT "no cuda"
#endif
#define STRING_(x) #x
#define STRING(x) STRING_(x)

int32_t merit_version(void)
{
    return MERIT_VERSION_MAJOR * 10000 + MERIT_VERSION_MINOR * 100 + MERIT_VERSION_PATCH;
}

int32_t merit_numerics_version(void)
{
    return 3;
}

const char *merit_build_info(void)
{
    return "merit " STRING(MERIT_VERSION_MAJOR) "." STRING(MERIT_VERSION_MINOR) "." STRING(
        MERIT_VERSION_PATCH) " (revision " MERIT_REVISION ", " CUDA_TEXT ", compiler " __VERSION__
                             ")";
}
