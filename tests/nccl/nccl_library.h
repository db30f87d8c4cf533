// The copy of NCCL that a program of this folder uses: the fake one or the true one.
#ifndef MERIT_NCCL_LIBRARY_H
#define MERIT_NCCL_LIBRARY_H

#include "fake_nccl.h"

typedef struct nccl_unique_id {
    char internal[128];
} nccl_unique_id;

typedef struct nccl_library {
    int (*unique_id)(nccl_unique_id *id);
    int (*init)(void **comm, int size, nccl_unique_id id, int rank);
    int (*destroy)(void *comm);
    // Of the fake one; NULL in the true one.
    fake_nccl_fail_function *fail;
    fake_nccl_pending_function *pending;
    fake_nccl_count_function *aborts, *calls;
    fake_nccl_device_function *set_device;
} nccl_library;

// Opens `path`; 0 when it lacks what a program needs.
int nccl_library_open(const char *path, nccl_library *library);

#endif
