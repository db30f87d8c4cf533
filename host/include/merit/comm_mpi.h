// Ranks of MPI: library merit_mpi. The only header that includes <mpi.h>.
#ifndef MERIT_COMM_MPI_H
#define MERIT_COMM_MPI_H

#include <mpi.h>

#include "comm.h"

#ifdef __cplusplus
extern "C" {
#endif

// Over a duplicate of mpi_comm, which merit_comm_destroy frees: collective, with the same calls on every
// rank, merit_comm_destroy before MPI_Finalize. Messages of merit and of the caller never meet, and errors
// of the duplicate come back as COMM_ERROR with the error class of MPI in the sentence, not by the
// caller's error handler. One MPI_Allgather per operation call.
// There is no deadline: what becomes of the ranks when one dies is up to MPI, which by default ends them.
// Contexts on the CPU. With a CUDA context the messages are device memory, for an MPI that says it
// handles that; any other reads an address that it cannot.
// Statuses: INVALID_ARGUMENT (comm NULL, MPI not initialized or already finalized, mpi_comm MPI_COMM_NULL
// or between two groups), OUT_OF_MEMORY, COMM_ERROR: MPI failed. On failure *comm is NULL.
MERIT_API merit_status merit_comm_create_mpi(MPI_Comm mpi_comm, merit_comm **comm);

#ifdef __cplusplus
}
#endif

#endif
