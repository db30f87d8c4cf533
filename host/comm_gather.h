// The communicator inside, and the one collective of an operation call.
#ifndef MERIT_COMM_GATHER_H
#define MERIT_COMM_GATHER_H

#include "check.h"

// What every rank's message starts with: ranks that called something else are found out.
typedef struct merit_comm_header {
    uint64_t magic;
    uint32_t version; // merit_numerics_version: other bits, other folding
    uint32_t operation; // merit_comm_operation
    int32_t rank;
    int32_t size;
    int64_t count; // records of the rank: the same on all
    int64_t extent; // what the rank holds of the split axis
    int64_t reserved[3];
} merit_comm_header;

typedef enum merit_comm_operation {
    // of comm_folds.h
    MERIT_COMM_FOLD_MOMENTS = 1,
    MERIT_COMM_FOLD_SUMS = 2,
    MERIT_COMM_FOLD_STATS = 3,
    MERIT_COMM_GATHER_ROWS = 4,
    // of comm_shards.h
    MERIT_COMM_POLICY_LOGPROB = 32,
    MERIT_COMM_SCORE = 33,
    MERIT_COMM_SCORE_GRADIENTS = 34
} merit_comm_operation;

// Bytes of one message with a payload of `bytes`: whole 512-byte blocks.
size_t merit_comm_message_bytes(size_t bytes);

// Messages with a payload of `bytes` for every rank and the one it sends; NULL while only sizes are laid out.
unsigned char *merit_comm_take_messages(merit_layout *layout, const merit_comm *comm, size_t bytes);

// Rejects NULL and a communicator in error.
merit_status merit_comm_check(merit_context *ctx, const merit_comm *comm);

// An array of a payload, `offset` bytes from its start.
typedef struct merit_comm_part {
    const void *data; // may be NULL with no bytes
    size_t bytes;
    size_t offset;
} merit_comm_part;

// Gathers the payloads of all ranks, of `bytes` in arrays of rising offsets; gaps between them are zeros.
// Arrays and messages are memory of the backend. `messages` has (size + 1) messages; the first is this
// rank's own. On return *gathered is the message of rank 0, those of the others behind it, complete on
// the stream. A communicator of several ranks waits for that; single, the call may be captured.
merit_status merit_comm_gather(merit_context *ctx, merit_comm *comm, merit_comm_header header,
                               const merit_comm_part *parts, int count, size_t bytes,
                               unsigned char *messages, merit_stream stream,
                               const unsigned char **gathered);

// `offset` bytes into the payload of rank 0.
const void *merit_comm_payload(const unsigned char *gathered, size_t offset);

// The headers of the last gather [size], in host memory, checked to agree with that of this rank but
// for rank, extent and reserved.
const merit_comm_header *merit_comm_headers(const merit_comm *comm);

#endif
