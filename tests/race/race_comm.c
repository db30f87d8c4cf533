// Ranks as threads, each with a context and a communicator of its own: every operation across ranks, with
// the bits of one process. ThreadSanitizer watches that they share nothing but the messages.
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "../processes/world.h"

enum { RANKS = 3 };

static pthread_barrier_t barrier;
static const void *sent[RANKS];

static int gather(void *user, const void *send, void *receive, size_t bytes, merit_stream stream)
{
    (void)stream;
    const world *const w = user;
    sent[w->rank] = send;
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < RANKS; i++) {
        memcpy((unsigned char *)receive + (size_t)i * bytes, sent[i], bytes);
    }
    pthread_barrier_wait(&barrier);
    return 0;
}

static void *run_rank(void *state)
{
    world *const w = state;
    merit_context_desc d;
    merit_context_desc_init(&d, sizeof d);
    d.backend = MERIT_BACKEND_CPU;
    d.num_threads = 1;
    world_expect(w, merit_context_create(&d, &w->ctx) == MERIT_STATUS_OK, "no context");
    world_expect(w,
                 merit_comm_create_custom(gather, w, w->rank, RANKS, &w->comm) == MERIT_STATUS_OK,
                 "no communicator");
    world_run_operations(w);
    world_run_wrong_use(w);
    merit_comm_destroy(w->comm);
    merit_context_destroy(w->ctx);
    return NULL;
}

int main(void)
{
    static world worlds[RANKS];
    pthread_t threads[RANKS];
    long long checks = 0, failures = 0;
    if (pthread_barrier_init(&barrier, NULL, RANKS) != 0) return 1;
    for (int i = 0; i < RANKS; i++) {
        worlds[i] = (world){.rank = i, .size = RANKS, .doing = "creation"};
        if (pthread_create(&threads[i], NULL, run_rank, &worlds[i]) != 0) return 1;
    }
    for (int i = 0; i < RANKS; i++) {
        pthread_join(threads[i], NULL);
        checks += worlds[i].checks;
        failures += worlds[i].failures;
    }
    printf("%d ranks: %lld checks, %lld failures\n", RANKS, checks, failures);
    return failures > 0;
}
