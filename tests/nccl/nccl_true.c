// The transport over the NCCL of this machine: one process, and one per GPU where there are several. Each
// operation has the bits of one process.
#include <stdio.h>
#include <stdlib.h>

#include <cuda_runtime_api.h>

#include "nccl_processes.h"

enum { SKIPPED = 77, MOST = 8 };

static merit_context *gpu_context(int rank)
{
    merit_context_desc d;
    merit_context_desc_init(&d, sizeof d);
    d.backend = MERIT_BACKEND_CUDA;
    d.device = rank;
    merit_context *ctx = NULL;
    if (cudaSetDevice(rank) == cudaSuccess) merit_context_create(&d, &ctx);
    return ctx;
}

static void agree(nccl_rank *r)
{
    world_run_operations(&r->world);
    if (r->world.size > 1) world_run_wrong_use(&r->world);
}

// Asked in a process of its own: one that has used CUDA cannot fork.
static int count_devices(const char *self)
{
    char command[4096];
    int count = 0;
    snprintf(command, sizeof command, "'%s' --count", self);
    FILE *const out = popen(command, "r");
    if (out == NULL || fscanf(out, "%d", &count) != 1) count = 0;
    if (out != NULL) pclose(out);
    return count;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        int count = 0;
        printf("%d\n", cudaGetDeviceCount(&count) == cudaSuccess ? count : 0);
        return 0;
    }
    nccl_library library;
    const int devices = count_devices(argv[0]);
    const char *missing = NULL;
    if (devices == 0) missing = "no CUDA device";
    if (!nccl_library_open("libnccl.so.2", &library)) missing = "no libnccl.so.2";
    if (missing != NULL) {
        printf("skipped: %s\n", missing);
        return getenv("MERIT_REQUIRE_CUDA") != NULL ? 1 : SKIPPED;
    }
    int failures = 0;
    for (int size = 1; size <= devices && size <= MOST; size++) {
        const nccl_run run = {"the bits of one process", agree, size, 0, 0, 60.0, -1};
        failures += nccl_run_processes(&library, gpu_context, 1, &run);
    }
    printf("1..%d GPUs, %d failures\n", devices < MOST ? devices : MOST, failures);
    return failures > 0;
}
