// The one collective of an operation call: messages with a header, moved by the transport, waited for
// until its deadline, and checked.
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "comm_transport.h"

enum { COMM_BLOCK = 512 };

static const uint64_t comm_magic = 0x6d657269745f6167u; // "merit_ag"

size_t merit_comm_message_bytes(size_t bytes)
{
    return (sizeof(merit_comm_header) + bytes + COMM_BLOCK - 1) / COMM_BLOCK * COMM_BLOCK;
}

unsigned char *merit_comm_take_messages(merit_layout *layout, const merit_comm *comm, size_t bytes)
{
    return merit_layout_take(layout, (int64_t)merit_comm_size(comm) + 1,
                             merit_comm_message_bytes(bytes));
}

const void *merit_comm_payload(const unsigned char *gathered, size_t offset)
{
    return gathered + sizeof(merit_comm_header) + offset;
}

// Failures ----------------------------------------------------------------------------------------

// Ends the communicator: the other ranks are left without an answer, so no later call can meet theirs.
static merit_status fail_comm(merit_context *ctx, merit_comm *comm, merit_status status,
                              const char *format, ...) __attribute__((format(printf, 4, 5)));

static merit_status fail_comm(merit_context *ctx, merit_comm *comm, merit_status status,
                              const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(comm->reason, sizeof comm->reason, format, arguments);
    va_end(arguments);
    comm->failed = status;
    if (comm->transport.abandon != NULL) comm->transport.abandon(comm->state);
    return merit_fail(ctx, status, "%s", comm->reason);
}

static merit_status fail_allgather(merit_context *ctx, merit_comm *comm, size_t bytes, int code)
{
    const char *const text =
        comm->transport.text == NULL ? NULL : comm->transport.text(comm->state, code);
    return fail_comm(ctx, comm, MERIT_STATUS_COMM_ERROR,
                     "the all-gather of %zu bytes on rank %d returned %d%s%s", bytes,
                     (int)comm->rank, code, text == NULL ? "" : ": ", text == NULL ? "" : text);
}

static merit_status fail_device(merit_context *ctx, merit_comm *comm, int code)
{
    return fail_comm(ctx, comm, MERIT_STATUS_CUDA_ERROR,
                     "%s (code %d) during the all-gather on rank %d",
                     ctx->backend->error_text(code), code, (int)comm->rank);
}

// Waiting -----------------------------------------------------------------------------------------

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// Lets others run; after some milliseconds there is no hurry.
static void pause_after(double waited)
{
    static const struct timespec nap = {0, 50000};
    if (waited < 2e-3) {
        sched_yield();
    } else {
        nanosleep(&nap, NULL);
    }
}

// Waits for what was started at `start`. The transport is asked first: as long as it is starting the
// work, the stream has none.
static merit_status wait_for(merit_context *ctx, merit_comm *comm, size_t bytes, double start,
                             merit_stream stream)
{
    const merit_comm_transport *const t = &comm->transport;
    for (;;) {
        const int error = t->error == NULL ? 0 : t->error(comm->state);
        if (error != 0 && error != MERIT_COMM_IN_PROGRESS) {
            return fail_allgather(ctx, comm, bytes, error);
        }
        int finished = 0;
        const int code = ctx->backend->finished(stream, &finished);
        if (code != 0) return fail_device(ctx, comm, code);
        if (finished && error == 0) return MERIT_STATUS_OK;
        const double waited = seconds() - start;
        if (t->timeout > 0.0 && waited > t->timeout) {
            return fail_comm(ctx, comm, MERIT_STATUS_COMM_TIMEOUT,
                             "the all-gather of %zu bytes on rank %d of %d is not done after %g s",
                             bytes, (int)comm->rank, (int)comm->size, t->timeout);
        }
        pause_after(waited);
    }
}

// Waits for what the caller put on the stream, and the message.
static int drain(merit_context *ctx, merit_stream stream)
{
    const double start = seconds();
    for (;;) {
        int finished = 0;
        const int code = ctx->backend->finished(stream, &finished);
        if (code != 0 || finished) return code;
        pause_after(seconds() - start);
    }
}

// Messages ----------------------------------------------------------------------------------------

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

// What is behind the header of a message.
typedef struct payload {
    const merit_comm_part *parts;
    int count;
    size_t bytes;
} payload;

// One rank: the payload alone, as a captured call must not read host memory when it is replayed.
static merit_status copy_single(merit_context *ctx, merit_comm *comm, const payload *p,
                                unsigned char *gathered, merit_stream stream)
{
    comm->collectives++;
    comm->headers[0] = comm->own;
    unsigned char *const to = gathered + sizeof comm->own;
    int code = 0;
    for (int i = 0; i < p->count && code == 0; i++) {
        const merit_comm_part *const part = &p->parts[i];
        code = ctx->backend->copy(to + part->offset, part->data, part->bytes, stream);
    }
    return merit_launch_status(ctx, code);
}

// The message of this rank, without a byte that is left undefined.
static int write_message(const merit_backend *b, const merit_comm_header *own, const payload *p,
                         unsigned char *message, merit_stream stream)
{
    unsigned char *const to = message + sizeof *own;
    size_t end = 0;
    int code = b->copy(message, own, sizeof *own, stream);
    for (int i = 0; i < p->count; i++) {
        const merit_comm_part *const part = &p->parts[i];
        if (code == 0) code = b->zero(to + end, part->offset - end, stream);
        if (code == 0) code = b->copy(to + part->offset, part->data, part->bytes, stream);
        end = part->offset + part->bytes;
    }
    const size_t room = merit_comm_message_bytes(p->bytes) - sizeof *own;
    return code != 0 ? code : b->zero(to + end, room - end, stream);
}

static merit_status exchange(merit_context *ctx, merit_comm *comm, const payload *p,
                             unsigned char *messages, merit_stream stream)
{
    const merit_backend *const b = ctx->backend;
    const size_t head = sizeof comm->own, message = merit_comm_message_bytes(p->bytes);
    int capturing = 0;
    int code = b->capturing(stream, &capturing);
    if (code == 0 && capturing) {
        return merit_fail(ctx, MERIT_STATUS_UNSUPPORTED,
                          "stream is captured, but a gather over %d ranks waits for them",
                          (int)comm->size);
    }
    if (code == 0) code = write_message(b, &comm->own, p, messages, stream);
    if (code == 0 && comm->transport.after_stream) code = drain(ctx, stream);
    MERIT_TRY(merit_launch_status(ctx, code));

    comm->collectives++;
    const double start = seconds();
    code = comm->transport.allgather(comm->state, messages, messages + message, message, stream);
    if (code != 0 && (code != MERIT_COMM_IN_PROGRESS || comm->transport.error == NULL)) {
        return fail_allgather(ctx, comm, message, code);
    }
    MERIT_TRY(wait_for(ctx, comm, message, start, stream));
    code = b->copy_rows(comm->headers, head, messages + message, message, head, (size_t)comm->size,
                        stream);
    if (code != 0) return fail_device(ctx, comm, code);
    return wait_for(ctx, comm, message, start, stream);
}

static merit_status gather_on(merit_context *ctx, merit_comm *comm, const payload *p,
                              unsigned char *messages, merit_stream stream)
{
    if (comm->transport.allgather != NULL) return exchange(ctx, comm, p, messages, stream);
    return copy_single(ctx, comm, p, messages + merit_comm_message_bytes(p->bytes), stream);
}

merit_status merit_comm_gather(merit_context *ctx, merit_comm *comm, merit_comm_header header,
                               const merit_comm_part *parts, int count, size_t bytes,
                               unsigned char *messages, merit_stream stream,
                               const unsigned char **gathered)
{
    if (comm->transport.on_device_only && !ctx->backend->on_device) {
        return merit_fail(ctx, MERIT_STATUS_UNSUPPORTED,
                          "comm is over %s, which moves device memory, but backend is %s",
                          comm->transport.name, ctx->backend->name);
    }
    if (comm->transport.on_device_only) {
        MERIT_REQUIRE(ctx, comm->transport.device == ctx->device,
                      "comm is on device %d, the context on device %d", comm->transport.device,
                      ctx->device);
    }
    header.magic = comm_magic;
    header.version = (uint32_t)merit_numerics_version();
    header.rank = comm->rank;
    header.size = comm->size;
    comm->own = header; // stays until copies from it are done, on any kind of host memory

    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const payload p = {parts, count, bytes};
    const merit_status status = gather_on(ctx, comm, &p, messages, stream);
    MERIT_TRY(merit_leave_device(ctx, previous, status));
    *gathered = messages + merit_comm_message_bytes(bytes);
    for (int32_t rank = 0; rank < comm->size; rank++) {
        MERIT_TRY(check_message(ctx, &header, rank, &comm->headers[rank]));
    }
    return MERIT_STATUS_OK;
}
