// Blocks of the backend's memory between guard zones, and the journal of what was read back.
#include "tk_memory.h"

#include <stdlib.h>
#include <string.h>

enum {
    ZONE = 512, // guard bytes before and after a block
    BOUNDARY = 256 // blocks start here, plus the shift
};

typedef struct tk_block {
    struct tk_block *next;
    unsigned char *base; // in the backend's memory
    unsigned char *data; // base + ZONE + shift
    unsigned char
        *image; // host: what the whole allocation must look like, data of outputs excepted
    size_t bytes, total;
    int is_input;
} tk_block;

struct tk_memory {
    tk_block *blocks;
    int on_device;
};

struct tk_memory *tk_memory_create(int on_device)
{
    struct tk_memory *const memory = calloc(1, sizeof *memory);
    cr_assert(memory != NULL);
    memory->on_device = on_device;
    return memory;
}

static void *allocate(const struct tk_memory *memory, size_t bytes)
{
#ifdef TK_HAVE_CUDA
    if (memory->on_device) return tk_cuda_allocate(bytes);
#endif
    (void)memory;
    return aligned_alloc(BOUNDARY, (bytes + BOUNDARY - 1) / BOUNDARY * BOUNDARY);
}

static void copy_in(const struct tk_memory *memory, void *block, const void *host, size_t bytes)
{
#ifdef TK_HAVE_CUDA
    if (memory->on_device) {
        cr_assert(tk_cuda_copy_in(block, host, bytes) == 0, "copy of %zu bytes failed", bytes);
        return;
    }
#endif
    (void)memory;
    memcpy(block, host, bytes);
}

static void copy_out(const struct tk_memory *memory, void *host, const void *block, size_t bytes)
{
#ifdef TK_HAVE_CUDA
    if (memory->on_device) {
        cr_assert(tk_cuda_copy_out(host, block, bytes) == 0, "a kernel or copy failed");
        return;
    }
#endif
    (void)memory;
    memcpy(host, block, bytes);
}

static void release(const struct tk_memory *memory, void *block)
{
#ifdef TK_HAVE_CUDA
    if (memory->on_device) {
        tk_cuda_free(block);
        return;
    }
#endif
    (void)memory;
    free(block);
}

static void *add_block(tk_fixture *tk, const void *data, size_t bytes, size_t shift, int is_input)
{
    struct tk_memory *const memory = tk->memory;
    tk_block *const block = calloc(1, sizeof *block);
    cr_assert(block != NULL);
    block->bytes = bytes;
    block->total = ZONE + shift + bytes + ZONE;
    block->is_input = is_input;
    block->base = allocate(memory, block->total);
    block->image = malloc(block->total);
    cr_assert(block->base != NULL && block->image != NULL, "no memory for %zu bytes", block->total);
    block->data = block->base + ZONE + shift;
    memset(block->image, TK_GUARD, block->total);
    if (data != NULL) memcpy(block->image + ZONE + shift, data, bytes);
    copy_in(memory, block->base, block->image, block->total);
    block->next = memory->blocks;
    memory->blocks = block;
    return block->data;
}

const void *tk_input(tk_fixture *tk, const void *data, int64_t count, size_t size)
{
    if (data == NULL) return NULL;
    return add_block(tk, data, (size_t)count * size, (size_t)tk->shift * size, 1);
}

void *tk_inout(tk_fixture *tk, const void *data, int64_t count, size_t size)
{
    if (data == NULL) return NULL;
    return add_block(tk, data, (size_t)count * size, (size_t)tk->shift * size, 0);
}

void *tk_output(tk_fixture *tk, int64_t count, size_t size)
{
    return add_block(tk, NULL, (size_t)count * size, (size_t)tk->shift * size, 0);
}

void *tk_workspace(tk_fixture *tk, size_t bytes)
{
    if (bytes == 0) return NULL;
    void *const workspace = add_block(tk, NULL, bytes, 0, 0);
    tk_expect_ok(tk->ctx, merit_workspace_init(tk->ctx, workspace, bytes, NULL));
    return workspace;
}

void tk_write(tk_fixture *tk, void *block, const void *host, int64_t count, size_t size)
{
    copy_in(tk->memory, block, host, (size_t)count * size);
}

void tk_read(tk_fixture *tk, const void *block, void *host, int64_t count, size_t size)
{
    const size_t bytes = (size_t)count * size;
    if (bytes == 0) return;
    copy_out(tk->memory, host, block, bytes);
    tk_journal *const journal = tk->journal;
    if (!journal->replaying) {
        if (journal->length + bytes > journal->capacity) {
            journal->capacity = 2 * (journal->length + bytes);
            journal->bytes = realloc(journal->bytes, journal->capacity);
            cr_assert(journal->bytes != NULL);
        }
        memcpy(journal->bytes + journal->length, host, bytes);
        journal->length += bytes;
        return;
    }
    if (journal->position + bytes > journal->length) {
        tk_fail(__FILE__, __LINE__, "this run reads back more than the first");
        return;
    }
    tk_expect_bits_at(__FILE__, __LINE__, "read back, against the first run", host,
                      journal->bytes + journal->position, count, size);
    journal->position += bytes;
}

static void check_block(const struct tk_memory *memory, const tk_block *block,
                        unsigned char *scratch)
{
    copy_out(memory, scratch, block->base, block->total);
    const size_t begin = (size_t)(block->data - block->base), end = begin + block->bytes;
    for (size_t i = 0; i < block->total; i++) {
        if (i >= begin && i < end && !block->is_input) continue;
        if (scratch[i] == block->image[i]) continue;
        tk_fail(__FILE__, __LINE__, "byte %td of a block of %zu was overwritten (%s)",
                (ptrdiff_t)i - (ptrdiff_t)begin, block->bytes,
                i >= begin && i < end ? "an input" : "out of bounds");
        return;
    }
}

void tk_release(tk_fixture *tk)
{
    struct tk_memory *const memory = tk->memory;
    while (memory->blocks != NULL) {
        tk_block *const block = memory->blocks;
        memory->blocks = block->next;
        unsigned char *const scratch = malloc(block->total);
        cr_assert(scratch != NULL);
        check_block(memory, block, scratch);
        free(scratch);
        release(memory, block->base);
        free(block->image);
        free(block);
    }
}

void tk_memory_destroy(struct tk_memory *memory)
{
    free(memory);
}

int tk_untouched(const void *host, int64_t count, size_t size)
{
    const unsigned char *const bytes = host;
    for (size_t i = 0; i < (size_t)count * size; i++) {
        if (bytes[i] != TK_GUARD) return 0;
    }
    return 1;
}
