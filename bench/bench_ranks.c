#include "bench_ranks.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "device.h"
#include "random.h"

typedef struct seat {
    bench_rank rank;
    void *message; // recorded
    void *received; // [size] messages
    pthread_t thread;
} seat;

// Those of the point that is run.
static struct {
    int size, started;
    size_t bytes; // of a message
    _Atomic int arrived, round; // of the barrier
    _Atomic int stop;
    const void *send[BENCH_MAX_RANKS];
    seat seats[BENCH_MAX_RANKS];
    merit_comm *comm;
} ranks;

merit_comm *bench_comm(void)
{
    return ranks.comm;
}

const void *bench_rank_input(int64_t rank, int array)
{
    return ranks.seats[rank].rank.arrays.array[array];
}

// The all-gather ------------------------------------------------------------------------------------

// More ranks than cores: waiting gives way, and sleeps where the caller is busy with other things.
static void wait_for_round(int round)
{
    static const struct timespec nap = {0, 50000};
    for (int i = 0; atomic_load(&ranks.round) == round; i++) {
        if (i < 2000) {
            sched_yield();
        } else {
            nanosleep(&nap, NULL);
        }
    }
}

static void meet(void)
{
    const int round = atomic_load(&ranks.round);
    if (atomic_fetch_add(&ranks.arrived, 1) == ranks.size - 1) {
        atomic_store(&ranks.arrived, 0);
        atomic_store(&ranks.round, round + 1);
    } else {
        wait_for_round(round);
    }
}

static int gather(void *user, const void *send, void *receive, size_t bytes, merit_stream stream)
{
    (void)stream;
    const seat *const s = user;
    ranks.send[s->rank.rank] = send;
    meet();
    if (atomic_load(&ranks.stop)) return 1;
    for (int i = 0; i < ranks.size; i++) {
        memcpy((unsigned char *)receive + (size_t)i * bytes, ranks.send[i], bytes);
    }
    meet(); // nobody's message changes before all have it
    return 0;
}

static void *take_part(void *state)
{
    seat *const s = state;
    while (gather(s, s->message, s->received, ranks.bytes, NULL) == 0) {
    }
    return NULL;
}

void bench_bare_allgather(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    (void)c, (void)buffers, (void)num_threads;
    seat *const s = &ranks.seats[0];
    gather(s, s->message, s->received, ranks.bytes, NULL);
}

// Arrays --------------------------------------------------------------------------------------------

// Rank 0 has the inputs of the case.
static bool is_of_case(const bench_case *c, int rank, int array)
{
    return rank == 0 && !c->arrays[array].output;
}

static void make_arrays(bench_rank *r)
{
    for (int i = 0; i < r->c->num_arrays; i++) {
        const bench_array *const a = &r->c->arrays[i];
        const bool own = !is_of_case(r->c, r->rank, i);
        r->arrays.array[i] = own ? bench_device_host()->alloc(a->bytes) : a->host;
        if (r->arrays.array[i] == NULL) bench_die("no memory for %zu bytes of a rank", a->bytes);
    }
}

static void free_arrays(bench_rank *r)
{
    for (int i = 0; r->c != NULL && i < r->c->num_arrays; i++) {
        if (is_of_case(r->c, r->rank, i)) continue;
        bench_device_host()->release(r->arrays.array[i], r->c->arrays[i].bytes);
    }
}

void bench_fill_tiles(const bench_rank *rank, int array)
{
    double *const tiles = rank->arrays.array[array];
    const uint64_t count = rank->c->arrays[array].bytes / sizeof *tiles;
    for (uint64_t i = 0; i < count; i++) {
        tiles[i] =
            2 * bench_uniform(rank->c->seed + (uint64_t)array, (uint64_t)rank->rank * count + i) -
            1;
    }
}

double bench_sum_of_tiles(const bench_case *c, int array, int64_t entries, int64_t entry)
{
    const int64_t count = (int64_t)(c->arrays[array].bytes / sizeof(double));
    long double sum = 0;
    for (int rank = 0; rank < ranks.size; rank++) {
        const double *const tiles = bench_rank_input(rank, array);
        for (int64_t i = entry; i < count; i += entries)
            sum += tiles[i];
    }
    return (double)sum;
}

// Messages ------------------------------------------------------------------------------------------

// The all-gather of a rank that starts: it fails, and the call with it, when the message is there.
static int record(void *user, const void *send, void *receive, size_t bytes, merit_stream stream)
{
    (void)receive, (void)stream;
    seat *const s = user;
    s->message = malloc(bytes);
    s->received = calloc((size_t)ranks.size, bytes);
    if (s->message != NULL) memcpy(s->message, send, bytes);
    ranks.bytes = bytes;
    return 1;
}

static bool record_message(seat *s, bench_fill_rank *fill)
{
    const bench_rank *const r = &s->rank;
    const bench_op *const op = r->c->point.op;
    if (merit_comm_create_custom(record, s, r->rank, ranks.size, &ranks.comm) != MERIT_STATUS_OK) {
        return false;
    }
    make_arrays(&s->rank);
    fill(r);
    bench_call call;
    size_t bytes = 0;
    if (op->bind(r->c, &r->arrays, &call) == MERIT_STATUS_OK &&
        op->workspace(r->ctx, &call, &bytes) == MERIT_STATUS_OK) {
        void *const scratch = bench_device_host()->alloc(bytes);
        op->run(r->ctx, &call, scratch, bytes, NULL);
        bench_device_host()->release(scratch, bytes);
    }
    merit_comm_destroy(ranks.comm);
    ranks.comm = NULL;
    return s->message != NULL && s->received != NULL;
}

static bool record_messages(bench_case *c, bench_fill_rank *fill)
{
    merit_context_desc d;
    merit_context *ctx = NULL;
    merit_context_desc_init(&d, sizeof d);
    d.backend = MERIT_BACKEND_CPU;
    bool good = merit_context_create(&d, &ctx) == MERIT_STATUS_OK;
    for (int rank = 0; rank < ranks.size && good; rank++) {
        seat *const s = &ranks.seats[rank];
        s->rank = (bench_rank){.c = c, .rank = rank, .ctx = ctx};
        good = record_message(s, fill);
        s->rank.ctx = NULL;
        if (!good) {
            snprintf(c->reason, BENCH_TEXT, "rank %d of %d has no message: %.200s", rank,
                     ranks.size, merit_context_last_error(ctx));
        }
    }
    merit_context_destroy(ctx);
    return good;
}

// Threads -------------------------------------------------------------------------------------------

bool bench_start_ranks(bench_case *c, bench_fill_rank *fill)
{
    snprintf(c->data, sizeof c->data, "generated");
    snprintf(c->reason, BENCH_TEXT, "no room for %d ranks", (int)c->point.v[AXIS_RANKS]);
    if (c->point.v[AXIS_RANKS] > BENCH_MAX_RANKS) return false;
    ranks.size = (int)c->point.v[AXIS_RANKS];
    ranks.started = 1;
    bool good = record_messages(c, fill) &&
                merit_comm_create_custom(gather, &ranks.seats[0], 0, ranks.size, &ranks.comm) ==
                    MERIT_STATUS_OK;
    for (int i = 1; i < ranks.size && good; i++) {
        good = pthread_create(&ranks.seats[i].thread, NULL, take_part, &ranks.seats[i]) == 0;
        ranks.started += good;
    }
    if (!good) bench_stop_ranks(c);
    return good;
}

void bench_stop_ranks(bench_case *c)
{
    (void)c;
    ranks.size = ranks.started; // those that wait
    atomic_store(&ranks.stop, 1);
    if (ranks.started > 1) meet();
    for (int i = 1; i < ranks.started; i++) {
        pthread_join(ranks.seats[i].thread, NULL);
    }
    for (int i = 0; i < BENCH_MAX_RANKS; i++) {
        free_arrays(&ranks.seats[i].rank);
        free(ranks.seats[i].message);
        free(ranks.seats[i].received);
    }
    merit_comm_destroy(ranks.comm);
    memset(&ranks, 0, sizeof ranks);
}
