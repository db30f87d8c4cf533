// The transport over NCCL on a fake one, with the emulated CUDA backend: every operation in 2 to 4
// processes with the bits of one, then what can go wrong.
//
// usage: nccl_fake LIBRARY LIBRARY_WITHOUT_ABORT
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../host/internal.h"
#include "../faults/fault_runtime.h"
#include "../simt/simt_control.h"
#include "nccl_processes.h"

extern const merit_backend merit_backend_simt;

static const double short_timeout = 0.15;
static nccl_library fake;

static merit_context *emulated_context(int rank)
{
    (void)rank;
    merit_context *ctx = NULL;
    simt_set_pending(fake.pending);
    merit_context_create_on(&merit_backend_simt, NULL, &ctx);
    return ctx;
}

// Calls -------------------------------------------------------------------------------------------

static merit_status call(nccl_rank *r)
{
    return world_gather_bytes(&r->world, 8);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// The k-th call ends the communicator with `status`; later ones are refused and reach nobody.
static void expect_end(nccl_rank *r, merit_status status, const char *word)
{
    world *const w = &r->world;
    for (int64_t i = 1; i < r->k; i++) {
        world_expect_ok(w, call(r));
    }
    const double start = seconds();
    world_expect_status(w, call(r), status, word);
    const double waited = seconds() - start;
    world_expect(w, status != MERIT_STATUS_COMM_TIMEOUT || waited >= short_timeout,
                 "it gave up after %g s", waited);
    world_expect(w, waited < short_timeout + 5.0, "it gave up after %g s", waited);
    world_expect(w, merit_comm_state(w->comm) == status, "the state is %s",
                 merit_status_string(merit_comm_state(w->comm)));
    world_expect(w, r->nccl->aborts() == 1, "%d aborts", r->nccl->aborts());
    const int calls = r->nccl->calls();
    world_expect_status(w, call(r), MERIT_STATUS_COMM_ERROR, "comm is in error");
    world_expect_status(w, call(r), MERIT_STATUS_COMM_ERROR, word);
    world_expect(w, r->nccl->calls() == calls && r->nccl->aborts() == 1,
                 "a communicator in error went on");
    world_expect(w, merit_comm_collectives(w->comm) == (uint64_t)r->k, "%llu collectives",
                 (unsigned long long)merit_comm_collectives(w->comm));
}

static void expect_timeout(nccl_rank *r)
{
    expect_end(r, MERIT_STATUS_COMM_TIMEOUT, "is not done after");
}

// Bodies ------------------------------------------------------------------------------------------

static void agree(nccl_rank *r)
{
    world *const w = &r->world;
    world_run_operations(w);
    if (w->size > 1) world_run_wrong_use(w);
    world_expect(w, r->nccl->aborts() == 0, "%d aborts", r->nccl->aborts());
    world_expect(w, (uint64_t)r->nccl->calls() == merit_comm_collectives(w->comm),
                 "%d collectives of NCCL, %llu counted", r->nccl->calls(),
                 (unsigned long long)merit_comm_collectives(w->comm));
}

// A communicator that does not block: the work starts some polls later.
static void start_slowly(nccl_rank *r)
{
    for (int i = 1; i <= 3; i++) {
        r->nccl->fail(FAKE_NCCL_SLOW, 1, 5 * i);
        world_expect_ok(&r->world, call(r));
    }
}

static void refuse_on_rank_1(nccl_rank *r)
{
    if (r->world.rank == 1) {
        r->nccl->fail(FAKE_NCCL_ALLGATHER, r->k, r->code);
        expect_end(r, MERIT_STATUS_COMM_ERROR, "returned 2: unhandled system error");
    } else {
        expect_timeout(r);
    }
}

static void break_on_rank_0(nccl_rank *r)
{
    if (r->world.rank == 0) {
        r->nccl->fail(FAKE_NCCL_ASYNC, r->k, r->code);
        expect_end(r, MERIT_STATUS_COMM_ERROR, "returned 2: unhandled system error");
    } else {
        expect_timeout(r);
    }
}

static void die_on_rank_1(nccl_rank *r)
{
    for (int64_t i = 1; r->world.rank == 1 && i < r->k; i++) {
        world_expect_ok(&r->world, call(r));
    }
    if (r->world.rank == 1) raise(SIGKILL);
    expect_timeout(r);
}

// Messages of different lengths are no wrong use that headers can find: NCCL has to.
static void send_other_lengths(nccl_rank *r)
{
    world *const w = &r->world;
    w->doing = "messages of other lengths";
    world_expect_status(w, world_gather_bytes(w, w->rank == 0 ? 8 : 5000), MERIT_STATUS_COMM_ERROR,
                        "returned 5: invalid usage");
}

// Every call of the CUDA runtime fails once: before the collective the communicator stays whole, from
// there on it is in error.
static void fail_every_runtime_call(nccl_rank *r)
{
    world *const w = &r->world;
    world_expect_ok(w, call(r));
    simt_set_fault((uint64_t)r->k, 719);
    const uint64_t before = merit_comm_collectives(w->comm);
    const merit_status status = call(r);
    const int calls = (int)simt_call_count();
    simt_set_fault(0, 0);
    if (calls < r->k) { // the last k: nothing failed
        world_expect_ok(w, status);
        return;
    }
    world_expect_status(w, status, MERIT_STATUS_CUDA_ERROR, "unspecified launch failure");
    const int started = merit_comm_collectives(w->comm) > before;
    const int ended = merit_comm_state(w->comm) != MERIT_STATUS_OK;
    // Giving the caller's device back is the one that fails after the collective is over.
    world_expect(w, !ended || started, "in error before the collective");
    world_expect(w, r->nccl->aborts() == ended, "%d aborts", r->nccl->aborts());
    if (!ended) world_expect_ok(w, call(r));
}

// Creation ----------------------------------------------------------------------------------------

static void expect_refused(world *w, void *nccl_comm, const merit_comm_nccl_desc *desc,
                           merit_status expected, const char *word)
{
    merit_comm *made = w->comm;
    const merit_status status = merit_comm_create_nccl(nccl_comm, desc, &made);
    const char *const sentence = merit_context_last_error(NULL);
    world_expect(w, status == expected && strstr(sentence, word) != NULL && made == NULL,
                 "%s with \"%s\", expected %s with \"%s\"", merit_status_string(status), sentence,
                 merit_status_string(expected), word);
    merit_comm_destroy(made == w->comm ? NULL : made);
}

static const char *without_abort;

static void create_wrongly(nccl_rank *r)
{
    world *const w = &r->world;
    merit_comm_nccl_desc d;
    merit_comm_nccl_desc_init(&d, sizeof d);
    expect_refused(w, NULL, NULL, MERIT_STATUS_INVALID_ARGUMENT, "nccl_comm is NULL");
    static const double bad[] = {0.0, -1.0, (double)NAN};
    for (int i = 0; i < 3; i++) {
        d.timeout = bad[i];
        expect_refused(w, r->nccl_comm, &d, MERIT_STATUS_INVALID_ARGUMENT, "expected more than 0");
    }
    d.struct_size = 3;
    expect_refused(w, r->nccl_comm, &d, MERIT_STATUS_INVALID_ARGUMENT, "struct_size is 3");
    int64_t foreign[64] = {0};
    expect_refused(w, foreign, NULL, MERIT_STATUS_COMM_ERROR, "invalid argument (code 4)");
    for (int k = 1; k <= 3; k++) { // rank, size, device
        r->nccl->fail(FAKE_NCCL_QUERY, k, 2);
        expect_refused(w, r->nccl_comm, NULL, MERIT_STATUS_COMM_ERROR, "unhandled system error");
    }
    setenv("MERIT_NCCL", "/nonexistent/libnccl.so.2", 1);
    expect_refused(w, r->nccl_comm, NULL, MERIT_STATUS_UNSUPPORTED,
                   "NCCL is not here: no libnccl.so.2");
    setenv("MERIT_NCCL", without_abort, 1);
    expect_refused(w, r->nccl_comm, NULL, MERIT_STATUS_UNSUPPORTED, "no ncclCommAbort");
    unsetenv("MERIT_NCCL");
    world_expect(w,
                 merit_comm_create_nccl(r->nccl_comm, NULL, NULL) == MERIT_STATUS_INVALID_ARGUMENT,
                 "comm NULL was accepted");
    world_expect(w, merit_comm_on_destroy(w->comm, free) == MERIT_STATUS_INVALID_ARGUMENT,
                 "a communicator over NCCL took a release function");
    world_expect_ok(w, call(r));
}

// Each allocation of a creation fails once; what was allocated before it is given back.
static void create_without_memory(nccl_rank *r)
{
    world *const w = &r->world;
    static const char *const sentences[] = {"no memory for a communicator over NCCL",
                                            "no memory for a communicator of 1 ranks"};
    for (int k = 1; k <= 2; k++) {
        merit_comm *made = NULL;
        fault_arm_allocations((uint64_t)k);
        const merit_status status = merit_comm_create_nccl(r->nccl_comm, NULL, &made);
        const int64_t live = fault_live_allocations();
        fault_arm_allocations(0);
        const char *const sentence = merit_context_last_error(NULL);
        world_expect(w,
                     status == MERIT_STATUS_OUT_OF_MEMORY && made == NULL &&
                         strstr(sentence, sentences[k - 1]) != NULL,
                     "allocation %d: %s with \"%s\"", k, merit_status_string(status), sentence);
        world_expect(w, live == 0, "allocation %d leaves %lld", k, (long long)live);
    }
    merit_comm *made = NULL;
    fault_arm_allocations(0);
    world_expect(w, merit_comm_create_nccl(r->nccl_comm, NULL, &made) == MERIT_STATUS_OK, "%s",
                 merit_context_last_error(NULL));
    world_expect(w, fault_allocations() == 2, "%d allocations", (int)fault_allocations());
    merit_comm_destroy(made);
    world_expect(w, fault_live_allocations() == 0, "a destroyed communicator leaves allocations");
    world_expect_ok(w, call(r));
}

static void use_wrong_contexts(nccl_rank *r)
{
    world *const w = &r->world;
    merit_context *const emulated = w->ctx;
    merit_context_desc d;
    merit_context_desc_init(&d, sizeof d);
    d.backend = MERIT_BACKEND_CPU;
    world_expect(w, merit_context_create(&d, &w->ctx) == MERIT_STATUS_OK, "no CPU context");
    world_expect_status(w, call(r), MERIT_STATUS_UNSUPPORTED, "moves device memory");
    merit_context_destroy(w->ctx);
    w->ctx = emulated;

    merit_comm *const first = w->comm;
    r->nccl->set_device(1);
    world_expect(w, merit_comm_create_nccl(r->nccl_comm, NULL, &w->comm) == MERIT_STATUS_OK, "%s",
                 merit_context_last_error(NULL));
    world_expect_status(w, call(r), MERIT_STATUS_INVALID_ARGUMENT,
                        "comm is on device 1, the context on device 0");
    merit_comm_destroy(w->comm);
    w->comm = first;
    world_expect(w, merit_comm_collectives(first) == 0 && r->nccl->calls() == 0,
                 "a refused call reached NCCL");
    world_expect_ok(w, call(r));
}

// -------------------------------------------------------------------------------------------------

static int run(const char *what, nccl_body *body, int size, int64_t k, int dying)
{
    const nccl_run one = {what, body, size, k, 2, dying == -2 ? 0.0 : short_timeout, dying};
    return nccl_run_processes(&fake, emulated_context, 0, &one);
}

int main(int argc, char **argv)
{
    if (argc != 3 || !nccl_library_open(argv[1], &fake) || fake.fail == NULL) {
        fprintf(stderr, "usage: nccl_fake LIBRARY LIBRARY_WITHOUT_ABORT\n");
        return 2;
    }
    without_abort = argv[2];
    unsetenv("MERIT_NCCL");
    int failures = 0, runs = 0;
    for (int size = 1; size <= 4; size++, runs++) {
        failures += run("the bits of one process", agree, size, 0, -2);
    }
    failures += run("a start that takes its time", start_slowly, 2, 0, -2);
    failures += run("a communicator that cannot be made", create_wrongly, 1, 0, -2);
    failures += run("a communicator without memory", create_without_memory, 1, 0, -2);
    failures += run("contexts that do not fit", use_wrong_contexts, 1, 0, -2);
    failures += run("messages of other lengths", send_other_lengths, 3, 1, -2);
    runs += 5;
    for (int64_t k = 1; k <= 3; k++, runs += 3) {
        const int size = (int)k + 1;
        failures += run("an all-gather that is refused", refuse_on_rank_1, size, k, -1);
        failures += run("an asynchronous error", break_on_rank_0, size, k, -1);
        failures += run("a dead peer", die_on_rank_1, size, k, 1);
    }
    for (int64_t k = 1; k <= 16; k++, runs++) {
        failures += run("a failing runtime", fail_every_runtime_call, 1, k, -2);
    }
    printf("%d runs of processes, %d failures\n", runs, failures);
    return failures > 0;
}
