// Ranks of MPI: every operation with the bits of one process on all ranks together, then on two halves of
// them; wrong use, and an MPI that fails. Run by mpirun.
#include <math.h>
#include <merit/comm_mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../processes/world.h"

// MPI between merit and MPI: the functions that may fail, counted and made to fail at the k-th call.
static int countdown, all_gathers;

static int fails(void)
{
    return countdown > 0 && --countdown == 0;
}

int MPI_Allgather(const void *send, int send_count, MPI_Datatype send_type, void *receive,
                  int receive_count, MPI_Datatype receive_type, MPI_Comm comm)
{
    all_gathers++;
    if (fails()) return MPI_ERR_OTHER;
    return PMPI_Allgather(send, send_count, send_type, receive, receive_count, receive_type, comm);
}

int MPI_Comm_dup(MPI_Comm comm, MPI_Comm *made)
{
    return fails() ? MPI_ERR_OTHER : PMPI_Comm_dup(comm, made);
}

int MPI_Comm_set_errhandler(MPI_Comm comm, MPI_Errhandler handler)
{
    return fails() ? MPI_ERR_OTHER : PMPI_Comm_set_errhandler(comm, handler);
}

int MPI_Type_contiguous(int count, MPI_Datatype type, MPI_Datatype *made)
{
    return fails() ? MPI_ERR_OTHER : PMPI_Type_contiguous(count, type, made);
}

int MPI_Type_commit(MPI_Datatype *type)
{
    return fails() ? MPI_ERR_OTHER : PMPI_Type_commit(type);
}

// -------------------------------------------------------------------------------------------------

static void create(world *w, MPI_Comm mpi_comm)
{
    const merit_status status = merit_comm_create_mpi(mpi_comm, &w->comm);
    MPI_Comm_rank(mpi_comm, &w->rank);
    MPI_Comm_size(mpi_comm, &w->size);
    world_expect(w, status == MERIT_STATUS_OK, "%s", merit_status_string(status));
    world_expect(w, merit_comm_rank(w->comm) == w->rank && merit_comm_size(w->comm) == w->size,
                 "comm says rank %d of %d", (int)merit_comm_rank(w->comm),
                 (int)merit_comm_size(w->comm));
}

static void agree(world *w, MPI_Comm mpi_comm)
{
    create(w, mpi_comm);
    all_gathers = 0;
    world_run_operations(w);
    if (w->size > 1) world_run_wrong_use(w);
    world_expect(w, (uint64_t)all_gathers == merit_comm_collectives(w->comm),
                 "%d all-gathers of MPI, %llu counted", all_gathers,
                 (unsigned long long)merit_comm_collectives(w->comm));
    merit_comm_destroy(w->comm);
    w->comm = NULL;
}

// The halves have other numbers of ranks and take other times: messages must not meet.
static void agree_in_halves(world *w)
{
    MPI_Comm half;
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_split(MPI_COMM_WORLD, rank % 3 == 0, -rank, &half);
    agree(w, half);
    MPI_Comm_free(&half);
}

static void expect_none(world *w, MPI_Comm mpi_comm, merit_status expected)
{
    merit_comm *comm = (merit_comm *)w;
    const merit_status status = merit_comm_create_mpi(mpi_comm, &comm);
    world_expect(w, status == expected && comm == NULL, "%s, expected %s",
                 merit_status_string(status), merit_status_string(expected));
}

static void fail_everywhere(world *w)
{
    w->doing = "an MPI that fails";
    for (int k = 1; k <= 4; k++) {
        countdown = k;
        expect_none(w, MPI_COMM_WORLD, MERIT_STATUS_COMM_ERROR);
    }
    countdown = 0;
    create(w, MPI_COMM_WORLD);
    countdown = 1;
    world_expect_status(w, world_gather_bytes(w, 8), MERIT_STATUS_COMM_ERROR, "returned 1");
    const int before = all_gathers;
    world_expect_status(w, world_gather_bytes(w, 8), MERIT_STATUS_COMM_ERROR, "comm is in error");
    world_expect(w, all_gathers == before, "a communicator in error went on");
    world_expect(w, merit_comm_state(w->comm) == MERIT_STATUS_COMM_ERROR, "its state is %s",
                 merit_status_string(merit_comm_state(w->comm)));
    merit_comm_destroy(w->comm);
    w->comm = NULL;
}

int main(int argc, char **argv)
{
    world w = {.doing = "before MPI_Init"};
    expect_none(&w, MPI_COMM_WORLD, MERIT_STATUS_INVALID_ARGUMENT);
    MPI_Init(&argc, &argv);
    merit_context_desc d;
    merit_context_desc_init(&d, sizeof d);
    d.backend = MERIT_BACKEND_CPU;
    d.num_threads = 1;
    if (merit_context_create(&d, &w.ctx) != MERIT_STATUS_OK) return 1;

    agree(&w, MPI_COMM_WORLD);
    const int rank = w.rank, size = w.size;
    if (size > 2) agree_in_halves(&w);
    w.doing = "no communicator";
    expect_none(&w, MPI_COMM_NULL, MERIT_STATUS_INVALID_ARGUMENT);
    world_expect(&w, merit_comm_create_mpi(MPI_COMM_WORLD, NULL) == MERIT_STATUS_INVALID_ARGUMENT,
                 "comm NULL was accepted");
    fail_everywhere(&w);

    // Destroyed too late: nothing is left to give back.
    merit_comm *late = NULL;
    w.doing = "after MPI_Finalize";
    world_expect(&w, merit_comm_create_mpi(MPI_COMM_SELF, &late) == MERIT_STATUS_OK, "no comm");
    int64_t mine[2] = {w.checks, w.failures}, all[2] = {0, 0};
    MPI_Reduce(mine, all, 2, MPI_INT64_T, MPI_SUM, 0, MPI_COMM_WORLD);
    MPI_Finalize();
    merit_comm_destroy(late);
    expect_none(&w, MPI_COMM_WORLD, MERIT_STATUS_INVALID_ARGUMENT);
    merit_context_destroy(w.ctx);
    world_release(&w);
    if (rank == 0) {
        printf("%d ranks: %lld checks, %lld failures\n", size, (long long)all[0],
               (long long)all[1]);
    }
    return w.failures > 0;
}
