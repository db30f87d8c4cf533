#include "bench_ranks.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct seat {
    bench_ranks *ranks;
    int rank;
    void *message; // recorded
    void *received; // [size] messages
    pthread_t thread;
} seat;

struct bench_ranks {
    int size, started;
    size_t bytes; // of a message
    _Atomic int arrived, round; // of the barrier
    _Atomic int stop;
    const void *send[BENCH_MAX_RANKS];
    seat seats[BENCH_MAX_RANKS];
    merit_comm *comm;
};

// The all-gather ------------------------------------------------------------------------------------

// More ranks than cores: waiting gives way, and sleeps where the caller is busy with other things.
static void wait_for_round(bench_ranks *ranks, int round)
{
    static const struct timespec nap = {0, 50000};
    for (int i = 0; atomic_load(&ranks->round) == round; i++) {
        if (i < 2000) {
            sched_yield();
        } else {
            nanosleep(&nap, NULL);
        }
    }
}

static void meet(bench_ranks *ranks)
{
    const int round = atomic_load(&ranks->round);
    if (atomic_fetch_add(&ranks->arrived, 1) == ranks->size - 1) {
        atomic_store(&ranks->arrived, 0);
        atomic_store(&ranks->round, round + 1);
    } else {
        wait_for_round(ranks, round);
    }
}

static int gather(void *user, const void *send, void *receive, size_t bytes, merit_stream stream)
{
    (void)stream;
    const seat *const s = user;
    bench_ranks *const ranks = s->ranks;
    ranks->send[s->rank] = send;
    meet(ranks);
    if (atomic_load(&ranks->stop)) return 1;
    for (int i = 0; i < ranks->size; i++) {
        memcpy((unsigned char *)receive + (size_t)i * bytes, ranks->send[i], bytes);
    }
    meet(ranks); // nobody's message changes before all have it
    return 0;
}

static void *take_part(void *state)
{
    seat *const s = state;
    while (gather(s, s->message, s->received, s->ranks->bytes, NULL) == 0) {
    }
    return NULL;
}

void bench_bare_allgather(bench_ranks *ranks)
{
    seat *const s = &ranks->seats[0];
    gather(s, s->message, s->received, ranks->bytes, NULL);
}

// Messages ------------------------------------------------------------------------------------------

static int record(void *user, const void *send, void *receive, size_t bytes, merit_stream stream)
{
    (void)receive, (void)stream;
    seat *const s = user;
    s->message = malloc(bytes);
    s->received = calloc((size_t)s->ranks->size, bytes);
    if (s->message != NULL) memcpy(s->message, send, bytes);
    s->ranks->bytes = bytes;
    return 1;
}

static bool record_message(bench_ranks *ranks, int rank, merit_context *ctx, bench_rank_call *call,
                           void *state)
{
    seat *const s = &ranks->seats[rank];
    merit_comm *comm = NULL;
    *s = (seat){.ranks = ranks, .rank = rank};
    if (merit_comm_create_custom(record, s, rank, ranks->size, &comm) != MERIT_STATUS_OK) {
        return false;
    }
    call(state, ctx, comm);
    merit_comm_destroy(comm);
    return s->message != NULL && s->received != NULL;
}

static bool record_messages(bench_ranks *ranks, bench_rank_call *call, void *state)
{
    merit_context_desc d;
    merit_context *ctx = NULL;
    merit_context_desc_init(&d, sizeof d);
    d.backend = MERIT_BACKEND_CPU;
    if (merit_context_create(&d, &ctx) != MERIT_STATUS_OK) return false;
    bool good = true;
    for (int rank = 0; rank < ranks->size && good; rank++) {
        good = record_message(ranks, rank, ctx, call, state);
    }
    merit_context_destroy(ctx);
    return good;
}

// Threads -------------------------------------------------------------------------------------------

bench_ranks *bench_start_ranks(int size, bench_rank_call *call, void *state,
                               char reason[BENCH_TEXT])
{
    bench_ranks *const ranks = calloc(1, sizeof *ranks);
    if (ranks == NULL || size < 1 || size > BENCH_MAX_RANKS) {
        snprintf(reason, BENCH_TEXT, "no room for %d ranks", size);
        free(ranks);
        return NULL;
    }
    ranks->size = size;
    ranks->started = 1;
    bool good = record_messages(ranks, call, state) &&
                merit_comm_create_custom(gather, &ranks->seats[0], 0, size, &ranks->comm) ==
                    MERIT_STATUS_OK;
    for (int i = 1; i < size && good; i++) {
        good = pthread_create(&ranks->seats[i].thread, NULL, take_part, &ranks->seats[i]) == 0;
        ranks->started += good;
    }
    if (good) return ranks;
    snprintf(reason, BENCH_TEXT, "%d ranks do not start: %s", size, merit_context_last_error(NULL));
    ranks->size = ranks->started; // those that wait
    bench_stop_ranks(ranks);
    return NULL;
}

void bench_stop_ranks(bench_ranks *ranks)
{
    if (ranks == NULL) return;
    atomic_store(&ranks->stop, 1);
    if (ranks->started > 1) meet(ranks);
    for (int i = 1; i < ranks->started; i++) {
        pthread_join(ranks->seats[i].thread, NULL);
    }
    for (int i = 0; i < BENCH_MAX_RANKS; i++) {
        free(ranks->seats[i].message);
        free(ranks->seats[i].received);
    }
    merit_comm_destroy(ranks->comm);
    free(ranks);
}

merit_comm *bench_comm_of(bench_ranks *ranks)
{
    return ranks->comm;
}

size_t bench_message_bytes(const bench_ranks *ranks)
{
    return ranks->bytes;
}
