// The collective inside an operation call, on memory of every backend: what arrives, and what a stream
// may not be doing.
#include "../host/comm_gather.h"
#include "ranks.h"

enum { MAX_BYTES = 3000 };

static unsigned char byte_of(int rank, size_t i)
{
    return (unsigned char)(7 * rank + 13 * (int)i + 1);
}

static merit_status gather(rank *r, size_t bytes, int64_t count, const unsigned char **gathered)
{
    const merit_comm_header header = {
        .operation = MERIT_COMM_FOLD_MOMENTS, .count = count, .extent = 10 + r->rank};
    unsigned char own[MAX_BYTES];
    for (size_t i = 0; i < bytes; i++) {
        own[i] = byte_of(r->rank, i);
    }
    const unsigned char *const payload = ranks_copy(r, own, bytes);
    unsigned char *const messages =
        ranks_workspace(r, ((size_t)r->size + 1) * merit_comm_message_bytes(bytes));
    const merit_comm_part part = {payload, bytes, 0};
    merit_status status = merit_begin(r->ctx, "gather");
    if (status == MERIT_STATUS_OK) status = merit_comm_check(r->ctx, r->comm);
    if (status != MERIT_STATUS_OK) return status;
    return merit_comm_gather(r->ctx, r->comm, header, &part, 1, bytes, messages, NULL, gathered);
}

static void gather_sizes(rank *r, void *state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 447, 448, 449, MAX_BYTES};
    for (size_t n = 0; n < sizeof sizes / sizeof sizes[0]; n++) {
        const size_t bytes = sizes[n], message = merit_comm_message_bytes(bytes);
        const unsigned char *gathered = NULL;
        const merit_status status = gather(r, bytes, (int64_t)bytes, &gathered);
        cr_expect(status == MERIT_STATUS_OK, "%s", merit_context_last_error(r->ctx));
        if (status != MERIT_STATUS_OK) return;
        for (int i = 0; i < r->size; i++) {
            unsigned char payload[MAX_BYTES];
            ranks_read(r, gathered + (size_t)i * message + sizeof(merit_comm_header), payload,
                       bytes);
            size_t wrong = 0;
            for (size_t k = 0; k < bytes; k++) {
                wrong += payload[k] != byte_of(i, k);
            }
            cr_expect(wrong == 0, "%zu of %zu bytes of rank %d are wrong", wrong, bytes, i);
            const merit_comm_header *const h = &merit_comm_headers(r->comm)[i];
            cr_expect(h->rank == i && h->extent == 10 + i && h->count == (int64_t)bytes);
        }
        cr_expect(merit_comm_collectives(r->comm) == n + 1);
    }
}

TK_TEST(comm_gather, brings_every_payload_to_every_rank)
{
    for (int size = 1; size <= 5; size++) {
        ranks_run(&(ranks){.tk = tk, .size = size}, gather_sizes, NULL);
    }
}

static void gather_other_counts(rank *r, void *state)
{
    (void)state;
    const unsigned char *gathered = NULL;
    cr_expect(gather(r, 8, r->rank == 2, &gathered) == MERIT_STATUS_INVALID_ARGUMENT);
    cr_expect(strstr(merit_context_last_error(r->ctx), "records, this rank") != NULL);
    cr_expect(gather(r, 8, 5, &gathered) == MERIT_STATUS_OK, "what all agree on goes on");
}

TK_TEST(comm_gather, finds_headers_that_differ)
{
    ranks_run(&(ranks){.tk = tk, .size = 3}, gather_other_counts, NULL);
}

static void gather_failing(rank *r, void *state)
{
    (void)state;
    const unsigned char *gathered = NULL;
    for (int i = 0; i < 2; i++) {
        cr_expect(gather(r, 8, 1, &gathered) == MERIT_STATUS_COMM_ERROR);
        cr_expect(strstr(merit_context_last_error(r->ctx), "returned 9") != NULL);
    }
    cr_expect(merit_comm_collectives(r->comm) == 1);
}

TK_TEST(comm_gather, ends_a_communicator_whose_all_gather_failed)
{
    ranks_run(&(ranks){.tk = tk, .size = 2, .code = 9}, gather_failing, NULL);
}
