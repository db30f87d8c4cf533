#include "nccl_processes.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WATCHDOG = 30 }; // seconds after which a process that hangs is ended

// Rank 0 makes the id and hands it on: the process that forks must not have touched CUDA.
static int agree_on_id(const nccl_library *nccl, int rank, int size, const int ends[2],
                       nccl_unique_id *id)
{
    const ssize_t bytes = (ssize_t)sizeof *id;
    int good = rank > 0 ? 1 : nccl->unique_id(id) == 0;
    for (int i = 1; rank == 0 && good && i < size; i++) {
        good = write(ends[1], id, sizeof *id) == bytes;
    }
    close(ends[1]);
    if (rank > 0) good = read(ends[0], id, sizeof *id) == bytes;
    if (rank > 0) close(ends[0]); // rank 0 keeps it: a write to nobody would end it
    return good;
}

static int run_rank(const nccl_library *nccl, nccl_context *context, int on_device,
                    const nccl_run *run, const int ends[2], int rank)
{
    nccl_rank r = {.nccl = nccl, .k = run->k, .code = run->code};
    world *const w = &r.world;
    alarm(WATCHDOG);
    w->rank = rank;
    w->size = run->size;
    w->on_device = on_device;
    w->emulated = !on_device;
    w->doing = run->what;
    w->ctx = context(rank);
    if (!world_expect(w, w->ctx != NULL, "no context: %s", merit_context_last_error(NULL))) {
        return 1;
    }
    nccl_unique_id id;
    if (!world_expect(w, agree_on_id(nccl, rank, run->size, ends, &id), "no ncclUniqueId")) {
        return 1;
    }
    const int code = nccl->init(&r.nccl_comm, run->size, id, rank);
    if (!world_expect(w, code == 0, "ncclCommInitRank returned %d", code)) return 1;
    merit_comm_nccl_desc d;
    merit_comm_nccl_desc_init(&d, sizeof d);
    if (run->timeout > 0.0) d.timeout = run->timeout;
    const merit_status status = merit_comm_create_nccl(r.nccl_comm, &d, &w->comm);
    if (world_expect(w, status == MERIT_STATUS_OK, "%s", merit_context_last_error(NULL))) {
        world_expect(w, merit_comm_rank(w->comm) == rank && merit_comm_size(w->comm) == run->size,
                     "comm says rank %d of %d", (int)merit_comm_rank(w->comm),
                     (int)merit_comm_size(w->comm));
        run->body(&r);
    }
    const int lives = merit_comm_state(w->comm) == MERIT_STATUS_OK;
    merit_comm_destroy(w->comm);
    if (lives) nccl->destroy(r.nccl_comm);
    merit_context_destroy(w->ctx);
    world_release(w);
    return w->failures > 0;
}

int nccl_run_processes(const nccl_library *nccl, nccl_context *context, int on_device,
                       const nccl_run *run)
{
    pid_t processes[8];
    int failures = 0, ends[2];
    if (pipe(ends) != 0) abort();
    fflush(NULL);
    for (int rank = 0; rank < run->size; rank++) {
        processes[rank] = fork();
        if (processes[rank] < 0) abort();
        if (processes[rank] == 0) {
            exit(run_rank(nccl, context, on_device, run, ends, rank));
        }
    }
    close(ends[0]);
    close(ends[1]);
    for (int rank = 0; rank < run->size; rank++) {
        int status = 0;
        waitpid(processes[rank], &status, 0);
        const int good = rank == run->dying ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
                                            : WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (!good) {
            fprintf(stderr, "%s, k = %lld: rank %d of %d ended with status 0x%x\n", run->what,
                    (long long)run->k, rank, run->size, (unsigned)status);
        }
        failures += !good;
    }
    return failures;
}
