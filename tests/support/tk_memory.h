// Memory of the backends, for tk only.
#ifndef MERIT_TESTS_TK_MEMORY_H
#define MERIT_TESTS_TK_MEMORY_H

#include "tk.h"

// CUDA memory, through the runtime; compiled with CUDA only. Each returns NULL or 0 on success,
// else says what went wrong.
const char *tk_cuda_missing(void); // why there is no device, NULL when there is one
void *tk_cuda_allocate(size_t bytes);
void tk_cuda_free(void *block);
int tk_cuda_copy_in(void *block, const void *host, size_t bytes);
int tk_cuda_copy_out(void *host, const void *block, size_t bytes);

struct tk_memory *tk_memory_create(int on_device);
void tk_memory_destroy(struct tk_memory *memory);

// What the first run read back, and how far a later run has come.
typedef struct tk_journal {
    unsigned char *bytes;
    size_t length, capacity, position;
    int replaying;
} tk_journal;

#endif
