// libmerit_mpi: MPI_Allgather as the all-gather of a communicator. A plain client of libmerit.
#include <limits.h>
#include <merit/comm_mpi.h>
#include <stdlib.h>

// Messages are whole blocks of this many bytes, so a count that fits an int means up to 1 TB.
enum { BLOCK = 512 };

typedef struct mpi_ranks {
    MPI_Comm comm;
    MPI_Datatype block;
} mpi_ranks;

static int all_gather(void *user, const void *send, void *receive, size_t bytes,
                      merit_stream stream)
{
    (void)stream; // idle: merit calls a custom all-gather when the message is complete
    const mpi_ranks *const ranks = user;
    if (bytes % BLOCK != 0 || bytes / BLOCK > INT_MAX) return MPI_ERR_COUNT;
    const int blocks = (int)(bytes / BLOCK);
    const int code =
        MPI_Allgather(send, blocks, ranks->block, receive, blocks, ranks->block, ranks->comm);
    int class = code;
    if (code != MPI_SUCCESS && MPI_Error_class(code, &class) != MPI_SUCCESS) class = code;
    return class;
}

static void release(void *user)
{
    mpi_ranks *const ranks = user;
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (!finalized) {
        if (ranks->block != MPI_DATATYPE_NULL) MPI_Type_free(&ranks->block);
        if (ranks->comm != MPI_COMM_NULL) MPI_Comm_free(&ranks->comm);
    }
    free(ranks);
}

static int is_usable(MPI_Comm mpi_comm)
{
    int initialized = 0, finalized = 0, between_groups = 0;
    MPI_Initialized(&initialized);
    MPI_Finalized(&finalized);
    if (!initialized || finalized || mpi_comm == MPI_COMM_NULL) return 0;
    return MPI_Comm_test_inter(mpi_comm, &between_groups) == MPI_SUCCESS && !between_groups;
}

static int set_up(mpi_ranks *ranks, MPI_Comm mpi_comm, int *rank, int *size)
{
    int code = MPI_Comm_dup(mpi_comm, &ranks->comm);
    if (code == MPI_SUCCESS) code = MPI_Comm_set_errhandler(ranks->comm, MPI_ERRORS_RETURN);
    if (code == MPI_SUCCESS) code = MPI_Comm_rank(ranks->comm, rank);
    if (code == MPI_SUCCESS) code = MPI_Comm_size(ranks->comm, size);
    if (code == MPI_SUCCESS) code = MPI_Type_contiguous(BLOCK, MPI_BYTE, &ranks->block);
    if (code == MPI_SUCCESS) code = MPI_Type_commit(&ranks->block);
    return code;
}

merit_status merit_comm_create_mpi(MPI_Comm mpi_comm, merit_comm **comm)
{
    if (comm == NULL) return MERIT_STATUS_INVALID_ARGUMENT;
    *comm = NULL;
    if (!is_usable(mpi_comm)) return MERIT_STATUS_INVALID_ARGUMENT;
    mpi_ranks *const ranks = malloc(sizeof *ranks);
    if (ranks == NULL) return MERIT_STATUS_OUT_OF_MEMORY;
    *ranks = (mpi_ranks){.comm = MPI_COMM_NULL, .block = MPI_DATATYPE_NULL};
    int rank = 0, size = 0;
    merit_status status = MERIT_STATUS_COMM_ERROR;
    if (set_up(ranks, mpi_comm, &rank, &size) == MPI_SUCCESS) {
        status = merit_comm_create_custom(all_gather, ranks, rank, size, comm);
    }
    if (status == MERIT_STATUS_OK) status = merit_comm_on_destroy(*comm, release);
    if (status != MERIT_STATUS_OK) release(ranks);
    return status;
}
