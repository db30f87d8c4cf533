// What a stream may not be doing in the collective, told to the emulator.
#include "../host/comm_gather.h"
#include "ranks.h"
#include "simt_control.h"

static merit_status gather(rank *r)
{
    const merit_comm_header header = {.operation = MERIT_COMM_FOLD_MOMENTS, .count = 1};
    const unsigned char own[8] = {(unsigned char)(r->rank + 1)};
    const unsigned char *const payload = ranks_copy(r, own, sizeof own);
    const size_t message = merit_comm_message_bytes(sizeof own);
    unsigned char *const messages = ranks_workspace(r, ((size_t)r->size + 1) * message);
    const unsigned char *gathered = NULL;
    const merit_comm_part part = {payload, sizeof own, 0};
    merit_status status = merit_begin(r->ctx, "gather");
    if (status == MERIT_STATUS_OK) {
        status = merit_comm_gather(r->ctx, r->comm, header, &part, 1, sizeof own, messages, NULL,
                                   &gathered);
    }
    const int size = merit_comm_size(r->comm);
    for (int i = 0; i < size && status == MERIT_STATUS_OK; i++) {
        unsigned char first = 0;
        ranks_read(r, gathered + (size_t)i * message + sizeof header, &first, 1);
        cr_expect(first == (size == 1 ? r->rank : i) + 1, "rank %d sent %d", i, first);
    }
    return status;
}

static void gather_once(rank *r, void *state)
{
    (void)state;
    cr_expect(gather(r) == MERIT_STATUS_OK, "%s", merit_context_last_error(r->ctx));
}

static void gather_captured(rank *r, void *state)
{
    (void)state;
    cr_expect(gather(r) == MERIT_STATUS_UNSUPPORTED);
    cr_expect(strstr(merit_context_last_error(r->ctx), "stream is captured") != NULL);
    cr_expect(merit_comm_collectives(r->comm) == 0);
    merit_comm *const several = r->comm;
    cr_assert(merit_comm_create_single(&r->comm) == MERIT_STATUS_OK);
    cr_expect(gather(r) == MERIT_STATUS_OK, "one rank waits for nobody");
    merit_comm_destroy(r->comm);
    r->comm = several;
}

// Polls of a stream that are answered with "not ready".
static int polls;

static int never_at_first(void *stream)
{
    (void)stream;
    return __atomic_fetch_sub(&polls, 1, __ATOMIC_RELAXED) > 0;
}

TK_TEST(comm_streams, refuses_a_captured_stream_and_waits_for_a_busy_one)
{
    if (!tk->emulated) return;
    simt_set_capturing(1);
    ranks_run(&(ranks){.tk = tk, .size = 2}, gather_captured, NULL);
    simt_set_capturing(0);
    polls = 1000;
    simt_set_pending(never_at_first);
    ranks_run(&(ranks){.tk = tk, .size = 2}, gather_once, NULL);
    simt_set_pending(NULL);
    cr_expect(polls <= 0, "%d polls are left", polls);
}
