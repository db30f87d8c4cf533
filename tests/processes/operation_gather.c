// The collective itself: every byte of every payload arrives at every rank, and ranks that disagree are
// found out.
#include <stdlib.h>
#include <string.h>

#include "../../host/comm_gather.h"
#include "world_operations.h"

static unsigned char byte_of(int rank, size_t i)
{
    return (unsigned char)(7 * rank + 13 * (int)(i % 1009) + 1);
}

static merit_status gather(world *w, const merit_comm_header *header, size_t bytes,
                           const unsigned char **gathered)
{
    unsigned char *const own = malloc(bytes + 1);
    if (own == NULL) abort();
    for (size_t i = 0; i < bytes; i++) {
        own[i] = byte_of(w->rank, i);
    }
    const void *const payload = world_copy(w, own, bytes);
    free(own);
    unsigned char *const messages =
        world_room(w, ((size_t)w->size + 1) * merit_comm_message_bytes(bytes));
    const merit_comm_part part = {payload, bytes, 0};
    merit_status status = merit_begin(w->ctx, "gather");
    if (status == MERIT_STATUS_OK) status = merit_comm_check(w->ctx, w->comm);
    if (status != MERIT_STATUS_OK) return status;
    return merit_comm_gather(w->ctx, w->comm, *header, &part, 1, bytes, messages, NULL, gathered);
}

merit_status world_gather_bytes(world *w, size_t bytes)
{
    const merit_comm_header header = {.operation = MERIT_COMM_FOLD_MOMENTS, .count = 1};
    const unsigned char *gathered = NULL;
    return gather(w, &header, bytes, &gathered);
}

void operation_gather(world *w, int variant)
{
    static const size_t sizes[] = {0, 1, 448, 449, 200000};
    const size_t bytes = sizes[variant], message = merit_comm_message_bytes(bytes);
    const merit_comm_header header = {
        .operation = MERIT_COMM_FOLD_MOMENTS, .count = variant, .extent = 100 + w->rank};
    const unsigned char *gathered = NULL;
    if (!world_expect_ok(w, gather(w, &header, bytes, &gathered))) return;
    unsigned char *const actual = malloc(2 * bytes + 1), *const expected = actual + bytes;
    if (actual == NULL) abort();
    for (int i = 0; i < w->size; i++) {
        world_read(w, actual, gathered + (size_t)i * message + sizeof header, bytes);
        for (size_t k = 0; k < bytes; k++) {
            expected[k] = byte_of(i, k);
        }
        world_expect_bits(w, "payload", actual, expected, bytes);
        const merit_comm_header *const h = &merit_comm_headers(w->comm)[i];
        world_expect(w, h->rank == i && h->extent == 100 + i, "header %d says rank %d, extent %lld",
                     i, (int)h->rank, (long long)h->extent);
    }
    free(actual);
}

void world_run_wrong_use(world *w)
{
    merit_comm_header header = {.operation = MERIT_COMM_FOLD_MOMENTS, .count = 1};
    const unsigned char *gathered = NULL;
    const int last = w->rank == w->size - 1;

    w->doing = "ranks with other counts";
    header.count = last ? 2 : 1;
    world_expect_status(w, gather(w, &header, 8, &gathered), MERIT_STATUS_INVALID_ARGUMENT,
                        "records, this rank");
    w->doing = "ranks that call another operation";
    header.count = 1;
    header.operation = MERIT_COMM_FOLD_MOMENTS + (uint32_t)last;
    world_expect_status(w, gather(w, &header, 8, &gathered), MERIT_STATUS_INVALID_ARGUMENT,
                        "calls must come in one order");
    w->doing = "two calls in another order";
    for (uint32_t call = 0; call < 2; call++) {
        header.operation = MERIT_COMM_FOLD_MOMENTS + (call ^ (uint32_t)last);
        world_expect_status(w, gather(w, &header, 8 + 100 * header.operation, &gathered),
                            MERIT_STATUS_INVALID_ARGUMENT, "calls must come in one order");
    }
    w->doing = "calls after those that were refused";
    header.operation = MERIT_COMM_FOLD_MOMENTS;
    world_expect_ok(w, gather(w, &header, 8, &gathered));
    world_expect(w, merit_comm_state(w->comm) == MERIT_STATUS_OK, "comm is in error");
    world_release(w);
}
