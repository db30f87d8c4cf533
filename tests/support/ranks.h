// Ranks as threads of one process over an all-gather of shared memory.
//
// ranks_run(&ranks, body, state) runs body on every rank at once. A rank has a context of its own on the
// backend of the test and a communicator over the shared all-gather. Bodies expect (cr_expect), they do
// not assert: a rank that left would keep the others waiting.
#ifndef MERIT_TESTS_RANKS_H
#define MERIT_TESTS_RANKS_H

#include "tk.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    RANKS_MAX = 16,
    RANKS_UNEQUAL = 77 // the all-gather's answer to messages of different lengths
};

typedef struct ranks {
    tk_fixture *tk; // whose backend it is; NULL: the CPU
    int size; // 1..RANKS_MAX
    int code; // what the all-gather returns on every rank
} ranks;

typedef struct rank {
    int rank, size;
    merit_context *ctx;
    merit_comm *comm;
    void *seat; // the `user` of ranks_gather, for a body that makes another communicator
    struct rank_block *blocks;
    int on_device;
} rank;

typedef void rank_body(rank *r, void *state);

// merit_<op> of a rank with a workspace of the size it asks for; the status goes into `status`.
#define RANKS_CALL(status, r, op, d, io)                                            \
    do {                                                                            \
        size_t ranks_bytes = 0;                                                     \
        status = merit_##op##_workspace((r)->ctx, d, &ranks_bytes);                 \
        if (status == MERIT_STATUS_OK) {                                            \
            void *const ranks_scratch = ranks_workspace(r, ranks_bytes);            \
            status = merit_##op((r)->ctx, d, io, ranks_scratch, ranks_bytes, NULL); \
        }                                                                           \
    } while (0)

// The same for merit_comm_<op>.
#define RANKS_COMM_CALL(status, r, op, d, io)                                                  \
    do {                                                                                       \
        size_t ranks_bytes = 0;                                                                \
        status = merit_comm_##op##_workspace((r)->ctx, (r)->comm, d, &ranks_bytes);            \
        if (status == MERIT_STATUS_OK) {                                                       \
            void *const ranks_scratch = ranks_workspace(r, ranks_bytes);                       \
            status =                                                                           \
                merit_comm_##op((r)->ctx, (r)->comm, d, io, ranks_scratch, ranks_bytes, NULL); \
        }                                                                                      \
    } while (0)

void ranks_run(const ranks *all, rank_body *body, void *state);

// The all-gather. Ranks whose messages differ in length get RANKS_UNEQUAL.
int ranks_gather(void *user, const void *send, void *receive, size_t bytes, merit_stream stream);

// A rank's status is `status`, and its last error has `word` (NULL: not looked at).
void ranks_expect(const rank *r, merit_status status, merit_status expected, const char *word);

// Memory of the rank's backend, freed when its body returns. Exactly `bytes` long.
void *ranks_copy(rank *r, const void *data, size_t bytes); // NULL gives NULL
void *ranks_room(rank *r, size_t bytes); // filled with TK_GUARD
void *ranks_workspace(rank *r, size_t bytes); // as merit_workspace_init leaves it; NULL for 0 bytes
void ranks_read(rank *r, const void *block, void *host, size_t bytes);

// Cuts 0 .. total into `size` shards at multiples of `unit`, rank i from cuts[i] to cuts[i + 1]. Some are
// empty. Only the last that is not may end off a multiple.
void ranks_split(tk_random *random, int64_t total, int64_t unit, int size, int64_t *cuts);

#ifdef __cplusplus
}
#endif

#endif
