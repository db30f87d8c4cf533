// Ranks as threads, and what their all-gather shares.
#include "ranks.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tk_memory.h"

typedef struct exchange {
    pthread_barrier_t barrier;
    const void *send[RANKS_MAX];
    size_t bytes[RANKS_MAX];
    int size;
    int code;
    int on_device;
} exchange;

typedef struct seat {
    exchange *exchange;
    rank rank;
    rank_body *body;
    void *state;
} seat;

typedef struct rank_block {
    struct rank_block *next;
    void *data;
} rank_block;

// Memory -------------------------------------------------------------------------------------------

static void *allocate(int on_device, size_t bytes)
{
#ifdef TK_HAVE_CUDA
    if (on_device) return tk_cuda_allocate(bytes);
#endif
    (void)on_device;
    void *data = NULL;
    return posix_memalign(&data, 256, bytes) == 0 ? data : NULL;
}

static void release(int on_device, void *data)
{
#ifdef TK_HAVE_CUDA
    if (on_device) {
        tk_cuda_free(data);
        return;
    }
#endif
    (void)on_device;
    free(data);
}

static void copy_in(int on_device, void *block, const void *host, size_t bytes)
{
#ifdef TK_HAVE_CUDA
    if (on_device) {
        cr_expect(tk_cuda_copy_in(block, host, bytes) == 0, "copy of %zu bytes failed", bytes);
        return;
    }
#endif
    (void)on_device;
    if (bytes > 0) memcpy(block, host, bytes);
}

static void copy_out(int on_device, void *host, const void *block, size_t bytes)
{
#ifdef TK_HAVE_CUDA
    if (on_device) {
        cr_expect(tk_cuda_copy_out(host, block, bytes) == 0, "a kernel or copy failed");
        return;
    }
#endif
    (void)on_device;
    if (bytes > 0) memcpy(host, block, bytes);
}

void *ranks_room(rank *r, size_t bytes)
{
    rank_block *const block = malloc(sizeof *block);
    unsigned char *const image = malloc(bytes + 1);
    block->data = allocate(r->on_device, bytes > 0 ? bytes : 1);
    memset(image, TK_GUARD, bytes);
    copy_in(r->on_device, block->data, image, bytes);
    free(image);
    block->next = r->blocks;
    r->blocks = block;
    return block->data;
}

void *ranks_copy(rank *r, const void *data, size_t bytes)
{
    if (data == NULL) return NULL;
    void *const block = ranks_room(r, bytes);
    copy_in(r->on_device, block, data, bytes);
    return block;
}

void *ranks_workspace(rank *r, size_t bytes)
{
    if (bytes == 0) return NULL;
    void *const workspace = ranks_room(r, bytes);
    cr_expect(merit_workspace_init(r->ctx, workspace, bytes, NULL) == MERIT_STATUS_OK);
    return workspace;
}

void ranks_read(rank *r, const void *block, void *host, size_t bytes)
{
    copy_out(r->on_device, host, block, bytes);
}

void ranks_expect(const rank *r, merit_status status, merit_status expected, const char *word)
{
    const char *const error = merit_context_last_error(r->ctx);
    cr_expect(status == expected, "rank %d of %d: %s, %s", r->rank, r->size,
              merit_status_string(status), error);
    cr_expect(word == NULL || strstr(error, word) != NULL, "rank %d of %d: %s, expected %s",
              r->rank, r->size, error, word);
}

// The all-gather -----------------------------------------------------------------------------------

int ranks_gather(void *user, const void *send, void *receive, size_t bytes, merit_stream stream)
{
    (void)stream; // the default one: a copy to the host waits for it
    seat *const s = user;
    exchange *const e = s->exchange;
    const int self = s->rank.rank;
    void *const own = malloc(bytes + 1);
    copy_out(e->on_device, own, send, bytes);
    e->send[self] = own;
    e->bytes[self] = bytes;
    pthread_barrier_wait(&e->barrier);
    int code = e->code;
    for (int i = 0; i < e->size; i++) {
        if (e->bytes[i] != bytes) code = RANKS_UNEQUAL;
    }
    for (int i = 0; i < e->size && code == 0; i++) {
        copy_in(e->on_device, (unsigned char *)receive + (size_t)i * bytes, e->send[i], bytes);
    }
    pthread_barrier_wait(&e->barrier);
    free(own);
    return code;
}

// Threads ------------------------------------------------------------------------------------------

static void *run_rank(void *state)
{
    seat *const s = state;
    s->body(&s->rank, s->state);
    while (s->rank.blocks != NULL) {
        rank_block *const block = s->rank.blocks;
        s->rank.blocks = block->next;
        release(s->rank.on_device, block->data);
        free(block);
    }
    return NULL;
}

static merit_context *create_context(tk_fixture *tk)
{
    if (tk != NULL) return tk_context(tk, 1);
    merit_context_desc d;
    cr_assert(merit_context_desc_init(&d, sizeof d) == MERIT_STATUS_OK);
    d.backend = MERIT_BACKEND_CPU;
    d.num_threads = 1;
    merit_context *ctx = NULL;
    cr_assert(merit_context_create(&d, &ctx) == MERIT_STATUS_OK);
    return ctx;
}

void ranks_run(const ranks *all, rank_body *body, void *state)
{
    exchange e = {.size = all->size, .code = all->code};
    seat seats[RANKS_MAX];
    pthread_t threads[RANKS_MAX];
    cr_assert(all->size >= 1 && all->size <= RANKS_MAX);
    e.on_device = all->tk != NULL && all->tk->on_device;
    cr_assert(pthread_barrier_init(&e.barrier, NULL, (unsigned)all->size) == 0);
    for (int i = 0; i < all->size; i++) {
        seat *const s = &seats[i];
        *s = (seat){.exchange = &e, .body = body, .state = state};
        s->rank = (rank){.rank = i, .size = all->size, .seat = s, .on_device = e.on_device};
        s->rank.ctx = create_context(all->tk);
        cr_assert(merit_comm_create_custom(ranks_gather, s, i, all->size, &s->rank.comm) ==
                  MERIT_STATUS_OK);
    }
    for (int i = 0; i < all->size; i++) {
        cr_assert(pthread_create(&threads[i], NULL, run_rank, &seats[i]) == 0);
    }
    for (int i = 0; i < all->size; i++) {
        cr_assert(pthread_join(threads[i], NULL) == 0);
        merit_comm_destroy(seats[i].rank.comm);
        merit_context_destroy(seats[i].rank.ctx);
    }
    pthread_barrier_destroy(&e.barrier);
}

void ranks_split(tk_random *random, int64_t total, int64_t unit, int size, int64_t *cuts)
{
    const int64_t units = (total + unit - 1) / unit;
    cuts[0] = 0;
    cuts[size] = total;
    for (int i = 1; i < size; i++) {
        const int64_t cut = tk_below(random, units + 1) * unit;
        int at = i; // insertion sort
        for (; at > 1 && cuts[at - 1] > cut; at--) {
            cuts[at] = cuts[at - 1];
        }
        cuts[at] = cut;
    }
    for (int i = 1; i < size; i++) {
        if (cuts[i] > total) cuts[i] = total;
    }
}
