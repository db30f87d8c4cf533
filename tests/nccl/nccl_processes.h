// Ranks as forked processes over a communicator of NCCL.
#ifndef MERIT_NCCL_PROCESSES_H
#define MERIT_NCCL_PROCESSES_H

#include "../processes/world.h"
#include "nccl_library.h"

typedef struct nccl_rank {
    world world;
    const nccl_library *nccl;
    void *nccl_comm;
    int64_t k; // of the fault, as the program wants it
    int code;
} nccl_rank;

typedef void nccl_body(nccl_rank *r);

typedef struct nccl_run {
    const char *what;
    nccl_body *body;
    int size;
    int64_t k;
    int code;
    double timeout; // seconds; 0: the default
    int dying; // this rank is meant to be killed; -1: none
} nccl_run;

// Makes a context on the backend of the program; NULL when there is no device for the rank.
typedef merit_context *nccl_context(int rank);

// Runs the body on every rank, each a process with a communicator `r->world.comm`, which the body may
// leave in error: then the ncclComm_t is not destroyed. Returns the failures.
int nccl_run_processes(const nccl_library *nccl, nccl_context *context, int on_device,
                       const nccl_run *run);

#endif
