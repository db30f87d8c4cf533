// The functions of NCCL that merit and its tests use, over shared memory of processes on one machine.
// A collective goes on whenever its stream is queried (fake_nccl_pending), so a test decides when, and
// nothing waits: every rank has a slot for its message, a count of those it sent and of those it took.
#include "fake_nccl.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SUCCESS = 0, SYSTEM_ERROR = 2, INVALID_ARGUMENT = 4, INVALID_USAGE = 5, IN_PROGRESS = 7 };
enum { MAX_RANKS = 8, SLOT = 1 << 20, MAGIC = 0x6e63636c };

typedef struct unique_id {
    char name[128];
} unique_id;

typedef struct shared {
    _Atomic int attached;
    _Atomic uint64_t sent[MAX_RANKS], taken[MAX_RANKS];
    size_t bytes[MAX_RANKS]; // of the message in each slot
    unsigned char slot[MAX_RANKS][SLOT];
} shared;

typedef struct communicator {
    int magic, rank, size;
    shared *shared;
    // The collective under way.
    int active, posted, stuck, error;
    int slow; // polls until it has started
    const void *send;
    void *receive;
    size_t bytes;
    uint64_t number;
} communicator;

#define API __attribute__((visibility("default")))

API fake_nccl_fail_function fake_nccl_fail;
API fake_nccl_pending_function fake_nccl_pending;
API fake_nccl_count_function fake_nccl_aborts, fake_nccl_calls;
API fake_nccl_device_function fake_nccl_set_device;
API int ncclGetUniqueId(unique_id *id);
API int ncclCommInitRank(communicator **comm, int size, unique_id id, int rank);
API int ncclCommDestroy(communicator *comm);
API int ncclCommUserRank(const communicator *comm, int *rank);
API int ncclCommCount(const communicator *comm, int *count);
API int ncclCommCuDevice(const communicator *comm, int *device);
API int ncclCommGetAsyncError(communicator *comm, int *error);
API int ncclAllGather(const void *send, void *receive, size_t count, int type, communicator *comm,
                      void *stream);
API const char *ncclGetErrorString(int code);

// Faults ------------------------------------------------------------------------------------------

static int armed, failure, device, aborts, calls;
static int64_t countdown;
static communicator *running; // one collective at a time in a process

void fake_nccl_fail(int fault, int64_t k, int code)
{
    armed = fault;
    countdown = k;
    failure = code;
}

static int fails(int fault)
{
    return armed == fault && countdown > 0 && --countdown == 0;
}

int fake_nccl_aborts(void)
{
    return aborts;
}

int fake_nccl_calls(void)
{
    return calls;
}

void fake_nccl_set_device(int which)
{
    device = which;
}

// Communicators -----------------------------------------------------------------------------------

int ncclGetUniqueId(unique_id *id)
{
    static int made;
    memset(id, 0, sizeof *id);
    snprintf(id->name, sizeof id->name, "/merit-fake-nccl-%ld-%d", (long)getpid(), made++);
    const int file = shm_open(id->name, O_CREAT | O_EXCL | O_RDWR, 0600);
    if (file < 0) return SYSTEM_ERROR;
    const int code = ftruncate(file, sizeof(shared)); // zeroes
    close(file);
    return code == 0 ? SUCCESS : SYSTEM_ERROR;
}

int ncclCommInitRank(communicator **comm, int size, unique_id id, int rank)
{
    if (size < 1 || size > MAX_RANKS || rank < 0 || rank >= size) return INVALID_ARGUMENT;
    const int file = shm_open(id.name, O_RDWR, 0600);
    if (file < 0) return SYSTEM_ERROR;
    shared *const s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    communicator *const made = calloc(1, sizeof *made);
    if (s == MAP_FAILED || made == NULL) return SYSTEM_ERROR;
    *made = (communicator){.magic = MAGIC, .rank = rank, .size = size, .shared = s};
    if (atomic_fetch_add(&s->attached, 1) == size - 1) shm_unlink(id.name);
    while (atomic_load(&s->attached) < size) { // collective, as in NCCL
        usleep(50);
    }
    *comm = made;
    return SUCCESS;
}

static int is_valid(const communicator *comm)
{
    return comm != NULL && comm->magic == MAGIC;
}

static int release(communicator *comm)
{
    if (!is_valid(comm)) return INVALID_ARGUMENT;
    if (running == comm) running = NULL;
    munmap(comm->shared, sizeof *comm->shared);
    comm->magic = 0;
    free(comm);
    return SUCCESS;
}

int ncclCommDestroy(communicator *comm)
{
    return release(comm);
}

#ifndef FAKE_NCCL_WITHOUT_ABORT
API int ncclCommAbort(communicator *comm);
int ncclCommAbort(communicator *comm)
{
    aborts++;
    return release(comm);
}
#endif

static int answer(const communicator *comm, int *out, int value)
{
    if (!is_valid(comm)) return INVALID_ARGUMENT;
    if (fails(FAKE_NCCL_QUERY)) return failure;
    *out = value;
    return SUCCESS;
}

int ncclCommUserRank(const communicator *comm, int *rank)
{
    return answer(comm, rank, comm->rank);
}

int ncclCommCount(const communicator *comm, int *count)
{
    return answer(comm, count, comm->size);
}

int ncclCommCuDevice(const communicator *comm, int *which)
{
    return answer(comm, which, device);
}

const char *ncclGetErrorString(int code)
{
    return code == SYSTEM_ERROR       ? "unhandled system error"
           : code == INVALID_USAGE    ? "invalid usage"
           : code == IN_PROGRESS      ? "in progress"
           : code == INVALID_ARGUMENT ? "invalid argument"
                                      : "another error";
}

// The collective ----------------------------------------------------------------------------------

int ncclAllGather(const void *send, void *receive, size_t count, int type, communicator *comm,
                  void *stream)
{
    (void)stream;
    calls++;
    if (!is_valid(comm) || send == NULL || receive == NULL || type > 1) return INVALID_ARGUMENT;
    if (comm->active || count > SLOT) return INVALID_USAGE;
    if (fails(FAKE_NCCL_ALLGATHER)) return failure;
    comm->active = 1;
    comm->posted = 0;
    comm->send = send;
    comm->receive = receive;
    comm->bytes = count;
    comm->number = comm->shared->sent[comm->rank] + 1;
    running = comm;
    if (fails(FAKE_NCCL_ASYNC)) {
        comm->stuck = 1;
        comm->error = failure;
    }
    if (fails(FAKE_NCCL_SLOW)) {
        comm->slow = failure;
        return IN_PROGRESS;
    }
    return SUCCESS;
}

int ncclCommGetAsyncError(communicator *comm, int *error)
{
    if (!is_valid(comm)) return INVALID_ARGUMENT;
    *error = comm->slow > 0 ? IN_PROGRESS : comm->error;
    comm->slow -= comm->slow > 0;
    return SUCCESS;
}

// Whether every rank's count has come to `number`.
static int all_have(const communicator *comm, const _Atomic uint64_t *count, uint64_t number)
{
    for (int i = 0; i < comm->size; i++) {
        if (atomic_load(&count[i]) < number) return 0;
    }
    return 1;
}

static void move_on(communicator *comm)
{
    shared *const s = comm->shared;
    if (comm->stuck || comm->slow > 0) return;
    if (!comm->posted) {
        if (!all_have(comm, s->taken, comm->number - 1)) return; // somebody still reads the slot
        memcpy(s->slot[comm->rank], comm->send, comm->bytes);
        s->bytes[comm->rank] = comm->bytes;
        atomic_store(&s->sent[comm->rank], comm->number);
        comm->posted = 1;
    }
    if (!all_have(comm, s->sent, comm->number)) return;
    for (int i = 0; i < comm->size; i++) {
        if (s->bytes[i] != comm->bytes) {
            comm->stuck = 1;
            comm->error = INVALID_USAGE; // NCCL would hang or mix the messages up
            return;
        }
    }
    for (int i = 0; i < comm->size; i++) {
        memcpy((unsigned char *)comm->receive + (size_t)i * comm->bytes, s->slot[i], comm->bytes);
    }
    atomic_store(&s->taken[comm->rank], comm->number);
    comm->active = 0;
    running = NULL;
}

// A collective that has not started is none of the stream's.
int fake_nccl_pending(void *stream)
{
    (void)stream;
    if (running == NULL) return 0;
    if (running->slow > 0) return 0;
    move_on(running);
    return running != NULL;
}
