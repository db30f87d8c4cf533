// What moves the messages of a communicator: what comm.c, comm_gather.c and comm_nccl.c share.
#ifndef MERIT_COMM_TRANSPORT_H
#define MERIT_COMM_TRANSPORT_H

#include "comm_gather.h"

enum { MERIT_COMM_MAX_SIZE = 1 << 20 };

// What `error` and `allgather` of a transport return for what is still being started.
enum { MERIT_COMM_IN_PROGRESS = INT32_MIN };

typedef struct merit_comm_transport {
    const char *name;
    merit_allgather allgather; // NULL: one rank, nothing to move
    int after_stream; // called when the stream is idle
    int on_device_only; // its arrays are memory of `device`
    int device;
    double timeout; // seconds from the start of a gather, 0: it may take forever
    // These may be NULL.
    int (*error)(void *state); // of what was started: 0, a code or MERIT_COMM_IN_PROGRESS
    const char *(*text)(void *state, int code);
    void (*abandon)(void *state); // gives up what was started; only close may follow
    void (*close)(void *state);
} merit_comm_transport;

struct merit_comm {
    merit_comm_transport transport;
    void *state; // of the transport
    int32_t rank;
    int32_t size;
    merit_status failed; // OK, or what ended it
    char reason[256]; // the sentence of that
    uint64_t collectives;
    merit_comm_header own; // of the call under way
    merit_comm_header headers[]; // [size] of the last gather
};

// On failure `state` is not closed.
merit_status merit_comm_create_over(const char *function, const merit_comm_transport *transport,
                                    void *state, int32_t rank, int32_t size, merit_comm **comm);

#endif
