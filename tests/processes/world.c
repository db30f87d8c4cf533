#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef TK_HAVE_CUDA
#include "tk_memory.h"
#endif

typedef struct world_block {
    struct world_block *next;
    void *data;
} world_block;

// Expectations ------------------------------------------------------------------------------------

int world_expect(world *w, int condition, const char *format, ...)
{
    w->checks++;
    if (condition) return 1;
    w->failures++;
    char sentence[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    fprintf(stderr, "rank %d of %d, %s: %s\n", w->rank, w->size, w->doing, sentence);
    return 0;
}

int world_expect_ok(world *w, merit_status status)
{
    return world_expect(w, status == MERIT_STATUS_OK, "%s: %s", merit_status_string(status),
                        merit_context_last_error(w->ctx));
}

void world_expect_status(world *w, merit_status status, merit_status expected, const char *word)
{
    const char *const sentence = merit_context_last_error(w->ctx);
    world_expect(w, status == expected && strstr(sentence, word) != NULL,
                 "%s with \"%s\", expected %s with \"%s\"", merit_status_string(status), sentence,
                 merit_status_string(expected), word);
}

void world_expect_bits(world *w, const char *what, const void *actual, const void *expected,
                       size_t bytes)
{
    const unsigned char *const a = actual, *const e = expected;
    size_t differing = 0, first = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (a[i] == e[i]) continue;
        if (differing++ == 0) first = i;
    }
    world_expect(w, differing == 0,
                 "%s: %zu of %zu bytes differ from one process, the first at %zu", what, differing,
                 bytes, first);
}

// Memory ------------------------------------------------------------------------------------------

static void *allocate(const world *w, size_t bytes)
{
#ifdef TK_HAVE_CUDA
    if (w->on_device) return tk_cuda_allocate(bytes + 1);
#endif
    (void)w;
    void *data = NULL;
    return posix_memalign(&data, 256, bytes + 1) == 0 ? data : NULL;
}

static void copy_in(world *w, void *block, const void *host, size_t bytes)
{
#ifdef TK_HAVE_CUDA
    if (w->on_device) {
        world_expect(w, tk_cuda_copy_in(block, host, bytes) == 0, "a copy to the device failed");
        return;
    }
#endif
    (void)w;
    if (bytes > 0) memcpy(block, host, bytes);
}

void world_read(world *w, void *host, const void *block, size_t bytes)
{
#ifdef TK_HAVE_CUDA
    if (w->on_device) {
        world_expect(w, tk_cuda_copy_out(host, block, bytes) == 0, "a kernel or a copy failed");
        return;
    }
#endif
    (void)w;
    if (bytes > 0) memcpy(host, block, bytes);
}

void world_expect_same(world *w, const char *what, const void *actual, const void *expected,
                       size_t bytes)
{
    void *const a = malloc(bytes + 1), *const e = malloc(bytes + 1);
    if (a == NULL || e == NULL) abort();
    world_read(w, a, actual, bytes);
    world_read(w, e, expected, bytes);
    world_expect_bits(w, what, a, e, bytes);
    free(a);
    free(e);
}

void *world_room(world *w, size_t bytes)
{
    world_block *const block = malloc(sizeof *block);
    void *const data = allocate(w, bytes);
    if (block == NULL || data == NULL) abort();
    *block = (world_block){.next = w->blocks, .data = data};
    w->blocks = block;
    return data;
}

void *world_copy(world *w, const void *host, size_t bytes)
{
    if (host == NULL) return NULL;
    void *const data = world_room(w, bytes);
    copy_in(w, data, host, bytes);
    return data;
}

void *world_workspace(world *w, size_t bytes)
{
    if (bytes == 0) return NULL;
    void *const workspace = world_room(w, bytes);
    world_expect_ok(w, merit_workspace_init(w->ctx, workspace, bytes, NULL));
    return workspace;
}

void world_release(world *w)
{
    while (w->blocks != NULL) {
        world_block *const block = w->blocks;
        w->blocks = block->next;
#ifdef TK_HAVE_CUDA
        if (w->on_device) tk_cuda_free(block->data);
#endif
        if (!w->on_device) free(block->data);
        free(block);
    }
}

uint32_t world_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

// Each rank takes a part of what is left, the last all of it.
int64_t world_part(const world *w, uint32_t *state, int64_t total, int64_t unit, int64_t *first,
                   int64_t *rows)
{
    const int64_t units = (total + unit - 1) / unit;
    int64_t begin = 0, most = 0;
    for (int rank = 0; rank < w->size; rank++) {
        const int64_t left = units - begin;
        const int64_t mine =
            rank == w->size - 1 ? left : (int64_t)(world_random(state) % (uint32_t)(left + 1));
        const int64_t end = (begin + mine) * unit < total ? (begin + mine) * unit : total;
        const int64_t size = end - (begin * unit < total ? begin * unit : total);
        if (rank == w->rank) *first = end - size, *rows = size;
        most = size > most ? size : most;
        begin += mine;
    }
    return most;
}
