// merit_comm: creation and what it says of itself.
#include <stdlib.h>
#include <string.h>

#include "comm_transport.h"

static const char custom_name[] = "custom";

merit_status merit_comm_create_over(const char *function, const merit_comm_transport *transport,
                                    void *state, int32_t rank, int32_t size, merit_comm **comm)
{
    merit_comm *const made = calloc(1, sizeof *made + (size_t)size * sizeof made->headers[0]);
    if (made == NULL) {
        return merit_fail_in(function, MERIT_STATUS_OUT_OF_MEMORY,
                             "no memory for a communicator of %d ranks", (int)size);
    }
    made->transport = *transport;
    made->state = state;
    made->rank = rank;
    made->size = size;
    *comm = made;
    return MERIT_STATUS_OK;
}

merit_status merit_comm_create_single(merit_comm **comm)
{
    static const merit_comm_transport single = {.name = "single"};
    if (comm == NULL) {
        return merit_fail_in(__func__, MERIT_STATUS_INVALID_ARGUMENT, "comm is NULL");
    }
    *comm = NULL;
    return merit_comm_create_over(__func__, &single, NULL, 0, 1, comm);
}

merit_status merit_comm_create_custom(merit_allgather allgather, void *user, int32_t rank,
                                      int32_t size, merit_comm **comm)
{
    if (comm == NULL) {
        return merit_fail_in(__func__, MERIT_STATUS_INVALID_ARGUMENT, "comm is NULL");
    }
    *comm = NULL;
    if (allgather == NULL) {
        return merit_fail_in(__func__, MERIT_STATUS_INVALID_ARGUMENT, "allgather is NULL");
    }
    if (size < 1 || size > MERIT_COMM_MAX_SIZE) {
        return merit_fail_in(__func__, MERIT_STATUS_INVALID_ARGUMENT, "size is %d, expected 1..%d",
                             (int)size, MERIT_COMM_MAX_SIZE);
    }
    if (rank < 0 || rank >= size) {
        return merit_fail_in(__func__, MERIT_STATUS_INVALID_ARGUMENT, "rank is %d, expected 0..%d",
                             (int)rank, (int)size - 1);
    }
    const merit_comm_transport custom = {
        .name = custom_name, .allgather = allgather, .after_stream = 1};
    return merit_comm_create_over(__func__, &custom, user, rank, size, comm);
}

merit_status merit_comm_on_destroy(merit_comm *comm, void (*release)(void *user))
{
    if (comm == NULL || strcmp(comm->transport.name, custom_name) != 0) {
        return merit_fail_in(__func__, MERIT_STATUS_INVALID_ARGUMENT, "comm is %s, expected %s",
                             comm == NULL ? "NULL" : comm->transport.name, custom_name);
    }
    comm->transport.close = release;
    return MERIT_STATUS_OK;
}

void merit_comm_destroy(merit_comm *comm)
{
    if (comm != NULL && comm->transport.close != NULL) comm->transport.close(comm->state);
    free(comm);
}

int32_t merit_comm_rank(const merit_comm *comm)
{
    return comm == NULL ? -1 : comm->rank;
}

int32_t merit_comm_size(const merit_comm *comm)
{
    return comm == NULL ? 0 : comm->size;
}

merit_status merit_comm_state(const merit_comm *comm)
{
    return comm == NULL ? MERIT_STATUS_INVALID_ARGUMENT : comm->failed;
}

uint64_t merit_comm_collectives(const merit_comm *comm)
{
    return comm == NULL ? 0 : comm->collectives;
}

const merit_comm_header *merit_comm_headers(const merit_comm *comm)
{
    return comm->headers;
}

merit_status merit_comm_check(merit_context *ctx, const merit_comm *comm)
{
    MERIT_REQUIRE(ctx, comm != NULL, "comm is NULL");
    if (comm->failed != MERIT_STATUS_OK) {
        return merit_fail(ctx, MERIT_STATUS_COMM_ERROR, "comm is in error: %s", comm->reason);
    }
    return MERIT_STATUS_OK;
}
