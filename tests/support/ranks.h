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

void ranks_run(const ranks *all, rank_body *body, void *state);

// The all-gather. Ranks whose messages differ in length get RANKS_UNEQUAL.
int ranks_gather(void *user, const void *send, void *receive, size_t bytes, merit_stream stream);

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
