// The backends that cases run on, and their memory.
#ifndef MERIT_CASE_BACKEND_H
#define MERIT_CASE_BACKEND_H

#include <merit/merit.h>

#include "case_error.h"

struct merit_backend;

enum { CASE_MAX_BACKENDS = 8 };

typedef struct case_backend {
    const char *name; // "cpu_v4", "cuda", "simt"
    const struct merit_backend *table;
    merit_context *ctx;
} case_backend;

// Names of the backends of this build, NULL past the last.
const char *case_backend_name(int i);

// Opens those that `which` asks for: "all" (every one that runs here), "cpu" (the widest), or a
// name. `*skipped` says which of "all" were left out and why, empty if none.
bool case_backends_open(const char *which, case_backend *list, int *count, case_error *skipped,
                        case_error *error);
void case_backends_close(case_backend *list, int count);

// Memory of a backend, aligned to 256 bytes, exactly as long as asked. NULL when there is none.
void *case_memory_new(const case_backend *b, size_t bytes);
void case_memory_free(const case_backend *b, void *memory);
bool case_memory_put(const case_backend *b, void *to, const void *from, size_t bytes);

// Waits for all work of the backend first.
bool case_memory_get(const case_backend *b, void *to, const void *from, size_t bytes);

#endif
