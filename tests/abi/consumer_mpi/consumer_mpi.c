// The smallest user of libmerit_mpi: the moments of what each rank has are those of all.
#include <merit/comm_mpi.h>
#include <merit/merit.h>
#include <stdio.h>
#include <stdlib.h>

enum { GROUPS = 2048 };

static int complain(const merit_context *ctx)
{
    fprintf(stderr, "%s\n", merit_context_last_error(ctx));
    return 1;
}

static int fold(merit_context *ctx, merit_comm *comm)
{
    merit_moments record = {.count = GROUPS}, moments;
    record.mean = record.min = record.max = merit_comm_rank(comm);
    merit_comm_fold_moments_desc desc;
    merit_comm_fold_moments_desc_init(&desc, sizeof desc);
    desc.num_groups = GROUPS;
    const merit_comm_fold_moments_io io = {sizeof io, &record, &moments};
    size_t bytes = 0;
    if (merit_comm_fold_moments_workspace(ctx, comm, &desc, &bytes) != MERIT_STATUS_OK) {
        return complain(ctx);
    }
    void *const workspace = aligned_alloc(256, bytes);
    const merit_status status =
        merit_comm_fold_moments(ctx, comm, &desc, &io, workspace, bytes, NULL);
    free(workspace);
    if (status != MERIT_STATUS_OK) return complain(ctx);
    const int size = merit_comm_size(comm);
    printf("rank %d of %d: mean %g of %g groups\n", (int)merit_comm_rank(comm), size, moments.mean,
           moments.count);
    return moments.count != (double)size * GROUPS || moments.mean != 0.5 * (size - 1);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    merit_context_desc desc;
    merit_context_desc_init(&desc, sizeof desc);
    desc.backend = MERIT_BACKEND_CPU;
    merit_context *ctx = NULL;
    merit_comm *comm = NULL;
    int failed = merit_context_create(&desc, &ctx) != MERIT_STATUS_OK ||
                 merit_comm_create_mpi(MPI_COMM_WORLD, &comm) != MERIT_STATUS_OK;
    if (!failed) failed = fold(ctx, comm);
    merit_comm_destroy(comm);
    merit_context_destroy(ctx);
    MPI_Finalize();
    return failed;
}
