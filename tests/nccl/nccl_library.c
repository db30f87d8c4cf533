#include "nccl_library.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

static int find(void *handle, const char *name, void *function)
{
    void *const symbol = dlsym(handle, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

int nccl_library_open(const char *path, nccl_library *library)
{
    void *const handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    memset(library, 0, sizeof *library);
    if (handle == NULL) return 0;
    find(handle, "fake_nccl_fail", &library->fail);
    find(handle, "fake_nccl_pending", &library->pending);
    find(handle, "fake_nccl_aborts", &library->aborts);
    find(handle, "fake_nccl_calls", &library->calls);
    find(handle, "fake_nccl_set_device", &library->set_device);
    return find(handle, "ncclGetUniqueId", &library->unique_id) &&
           find(handle, "ncclCommInitRank", &library->init) &&
           find(handle, "ncclCommDestroy", &library->destroy);
}
