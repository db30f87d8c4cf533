// merit_comm: creation, and the all-gather with its header.
#include <stdlib.h>
#include <string.h>

#include "comm_gather.h"

enum { COMM_MAX_SIZE = 1 << 20, COMM_BLOCK = 512 };

static const uint64_t comm_magic = 0x6d657269745f6167u; // "merit_ag"

struct merit_comm {
    merit_allgather allgather; // NULL: single
    void *user;
    int32_t rank;
    int32_t size;
    int failed; // what the all-gather returned when it failed
    uint64_t collectives;
};

static merit_status create(const char *function, merit_comm init, merit_comm **comm)
{
    *comm = malloc(sizeof **comm);
    if (*comm == NULL) {
        return merit_fail_in(function, MERIT_STATUS_OUT_OF_MEMORY, "no memory for a communicator");
    }
    **comm = init;
    return MERIT_STATUS_OK;
}

merit_status merit_comm_create_single(merit_comm **comm)
{
    if (comm == NULL) {
        return merit_fail_in(__func__, MERIT_STATUS_INVALID_ARGUMENT, "comm is NULL");
    }
    return create(__func__, (merit_comm){.size = 1}, comm);
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
    if (size < 1 || size > COMM_MAX_SIZE) {
        return merit_fail_in(__func__, MERIT_STATUS_INVALID_ARGUMENT, "size is %d, expected 1..%d",
                             (int)size, COMM_MAX_SIZE);
    }
    if (rank < 0 || rank >= size) {
        return merit_fail_in(__func__, MERIT_STATUS_INVALID_ARGUMENT, "rank is %d, expected 0..%d",
                             (int)rank, (int)size - 1);
    }
    return create(__func__,
                  (merit_comm){.allgather = allgather, .user = user, .rank = rank, .size = size},
                  comm);
}

void merit_comm_destroy(merit_comm *comm)
{
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

uint64_t merit_comm_collectives(const merit_comm *comm)
{
    return comm == NULL ? 0 : comm->collectives;
}

size_t merit_comm_message_bytes(size_t bytes)
{
    return (sizeof(merit_comm_header) + bytes + COMM_BLOCK - 1) / COMM_BLOCK * COMM_BLOCK;
}

merit_status merit_comm_check(merit_context *ctx, const merit_comm *comm)
{
    MERIT_REQUIRE(ctx, comm != NULL, "comm is NULL");
    if (comm->failed != 0) {
        return merit_fail(ctx, MERIT_STATUS_COMM_ERROR,
                          "comm is in error: an earlier all-gather returned %d", comm->failed);
    }
    return MERIT_STATUS_OK;
}

static merit_status check_message(merit_context *ctx, const merit_comm_header *own, int32_t rank,
                                  const merit_comm_header *h)
{
    MERIT_REQUIRE(ctx, h->magic == own->magic,
                  "the message of rank %d is not one of merit: its call or its all-gather differs",
                  (int)rank);
    MERIT_REQUIRE(ctx, h->version == own->version,
                  "rank %d has numerics version %u, this rank %u: one library for all", (int)rank,
                  (unsigned)h->version, (unsigned)own->version);
    MERIT_REQUIRE(ctx, h->size == own->size, "rank %d says %d ranks, this rank %d", (int)rank,
                  (int)h->size, (int)own->size);
    MERIT_REQUIRE(ctx, h->rank == rank, "rank %d stands in the place of rank %d", (int)h->rank,
                  (int)rank);
    MERIT_REQUIRE(ctx, h->operation == own->operation,
                  "rank %d called operation %u, this rank %u: calls must come in one order",
                  (int)rank, (unsigned)h->operation, (unsigned)own->operation);
    MERIT_REQUIRE(ctx, h->count == own->count, "rank %d has %lld records, this rank %lld",
                  (int)rank, (long long)h->count, (long long)own->count);
    return MERIT_STATUS_OK;
}

merit_status merit_comm_gather(merit_context *ctx, merit_comm *comm, merit_comm_header header,
                               const void *payload, size_t bytes, unsigned char *messages,
                               merit_stream stream, const unsigned char **gathered)
{
    const size_t message = merit_comm_message_bytes(bytes);
    header.magic = comm_magic;
    header.version = (uint32_t)merit_numerics_version();
    header.rank = comm->rank;
    header.size = comm->size;
    memset(messages, 0, ((size_t)comm->size + 1) * message);
    memcpy(messages, &header, sizeof header);
    memcpy(messages + sizeof header, payload, bytes);
    comm->collectives++;
    if (comm->allgather == NULL) {
        memcpy(messages + message, messages, message);
    } else {
        comm->failed = comm->allgather(comm->user, messages, messages + message, message, stream);
        if (comm->failed != 0) {
            return merit_fail(ctx, MERIT_STATUS_COMM_ERROR,
                              "the all-gather of %zu bytes on rank %d returned %d", message,
                              (int)comm->rank, comm->failed);
        }
    }
    *gathered = messages + message;
    for (int32_t rank = 0; rank < comm->size; rank++) {
        merit_comm_header h;
        memcpy(&h, *gathered + (size_t)rank * message, sizeof h);
        MERIT_TRY(check_message(ctx, &header, rank, &h));
    }
    return MERIT_STATUS_OK;
}
