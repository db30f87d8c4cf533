// Communicators: creation, what they say of themselves, and messages that are not merit's.
#include <stdlib.h>
#include <string.h>

#include "ranks.h"

// An empty fold: the shortest call that makes a collective.
static merit_status fold(merit_context *ctx, merit_comm *comm)
{
    merit_comm_fold_moments_desc d;
    merit_comm_fold_moments_desc_init(&d, sizeof d);
    merit_moments moments;
    const merit_comm_fold_moments_io io = {sizeof io, NULL, &moments};
    size_t bytes = 0;
    merit_status status = merit_comm_fold_moments_workspace(ctx, comm, &d, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    void *const workspace = aligned_alloc(256, bytes + 256 - bytes % 256);
    status = merit_comm_fold_moments(ctx, comm, &d, &io, workspace, bytes, NULL);
    free(workspace);
    return status;
}

static merit_context *cpu_context(void)
{
    merit_context_desc d;
    cr_assert(merit_context_desc_init(&d, sizeof d) == MERIT_STATUS_OK);
    d.backend = MERIT_BACKEND_CPU;
    d.num_threads = 1;
    merit_context *ctx = NULL;
    cr_assert(merit_context_create(&d, &ctx) == MERIT_STATUS_OK);
    return ctx;
}

// An all-gather for another number of ranks than the communicator's, or of something else.
static int gather_nothing(void *user, const void *send, void *receive, size_t bytes,
                          merit_stream stream)
{
    (void)stream;
    unsigned char *const out = receive;
    memcpy(out, send, bytes);
    memset(out + bytes, 0, bytes);
    if (user != NULL) { // rank 1 of three, not of two
        memcpy(out + bytes, send, bytes);
        const int32_t places[2] = {1, 3};
        memcpy(out + bytes + 16, places, sizeof places);
    }
    return 0;
}

Test(comm, foreign_messages_are_found_out)
{
    merit_context *const ctx = cpu_context();
    int three = 3;
    for (int i = 0; i < 2; i++) {
        merit_comm *comm = NULL;
        cr_assert(merit_comm_create_custom(gather_nothing, i == 0 ? NULL : &three, 0, 2, &comm) ==
                  MERIT_STATUS_OK);
        tk_expect_rejected(ctx, fold(ctx, comm), MERIT_STATUS_INVALID_ARGUMENT,
                           i == 0 ? "rank 1|not one of merit" : "says 3 ranks|this rank 2");
        merit_comm_destroy(comm);
    }
    merit_context_destroy(ctx);
}

// Rank 1 of two says that it is rank 0.
static void claim_rank_0(rank *r, void *state)
{
    (void)state;
    merit_comm *comm = NULL;
    cr_expect(merit_comm_create_custom(ranks_gather, r->seat, 0, 2, &comm) == MERIT_STATUS_OK);
    ranks_expect(r, fold(r->ctx, comm), MERIT_STATUS_INVALID_ARGUMENT, "stands in the place of");
    merit_comm_destroy(comm);
}

Test(comm, two_ranks_in_one_place_are_found_out)
{
    ranks_run(&(ranks){.size = 2}, claim_rank_0, NULL);
}

Test(comm, wrong_use_is_rejected)
{
    static int something;
    merit_comm *comm = (merit_comm *)(void *)&something;
    cr_expect(merit_comm_create_custom(NULL, NULL, 0, 1, &comm) == MERIT_STATUS_INVALID_ARGUMENT);
    cr_expect(comm == NULL);
    static const int32_t bad[][2] = {{-1, 2}, {2, 2}, {0, 0}, {0, (1 << 20) + 1}};
    for (int i = 0; i < 4; i++) {
        cr_expect(merit_comm_create_custom(ranks_gather, NULL, bad[i][0], bad[i][1], &comm) ==
                  MERIT_STATUS_INVALID_ARGUMENT);
        cr_expect(strstr(merit_context_last_error(NULL), ", expected ") != NULL);
    }
    cr_expect(merit_comm_create_custom(ranks_gather, NULL, 0, 1, NULL) ==
              MERIT_STATUS_INVALID_ARGUMENT);
    cr_expect(merit_comm_create_single(NULL) == MERIT_STATUS_INVALID_ARGUMENT);
    cr_expect(merit_comm_rank(NULL) == -1 && merit_comm_size(NULL) == 0);
    cr_expect(merit_comm_collectives(NULL) == 0);
    merit_comm_destroy(NULL);
    cr_assert(merit_comm_create_single(&comm) == MERIT_STATUS_OK);
    cr_expect(merit_comm_rank(comm) == 0 && merit_comm_size(comm) == 1);
    merit_comm_destroy(comm);
}
