#include "case_backend.h"

#include <stdlib.h>
#include <string.h>

#ifdef MERIT_HAVE_CUDA
#include <cuda_runtime_api.h>
#endif

#include "../../host/internal.h"

#ifdef MERIT_HAVE_SIMT
extern const merit_backend merit_backend_simt; // the CUDA kernels, emulated on the host
#endif

static const merit_backend *table_at(int i)
{
    const merit_backend *const table = merit_backend_at(i);
#ifdef MERIT_HAVE_SIMT
    if (table == NULL && (i == 0 || merit_backend_at(i - 1) != NULL)) return &merit_backend_simt;
#endif
    return table;
}

const char *case_backend_name(int i)
{
    const merit_backend *const table = table_at(i);
    return table != NULL ? table->name : NULL;
}

// Why it does not run here, NULL when it does.
static const char *open_one(const merit_backend *table, case_backend *b)
{
    *b = (case_backend){.name = table->name, .table = table};
    if (!table->on_device && !merit_backend_runs_here(table)) {
        return "this machine lacks its instructions";
    }
    const merit_status status = merit_context_create_on(table, NULL, &b->ctx);
    return status == MERIT_STATUS_OK ? NULL : merit_context_last_error(NULL);
}

static bool open_all(case_backend *list, int *count, case_error *skipped)
{
    for (int i = 0; table_at(i) != NULL; i++) {
        const char *const reason = open_one(table_at(i), &list[*count]);
        if (reason == NULL) {
            ++*count;
        } else {
            case_append(skipped, "%s%s: %s", skipped->text[0] != '\0' ? "; " : "",
                        table_at(i)->name, reason);
        }
    }
    return true;
}

bool case_backends_open(const char *which, case_backend *list, int *count, case_error *skipped,
                        case_error *error)
{
    *count = 0;
    skipped->text[0] = '\0';
    if (strcmp(which, "all") == 0) return open_all(list, count, skipped);
    const merit_backend *table =
        strcmp(which, "cpu") == 0 ? merit_backend_best_cpu(getenv("MERIT_CPU_ISA")) : NULL;
    for (int i = 0; table == NULL && table_at(i) != NULL; i++) {
        if (strcmp(table_at(i)->name, which) == 0) table = table_at(i);
    }
    if (table == NULL) {
        case_fail(error, "this build has no backend \"%.40s\", expected all, cpu", which);
        for (int i = 0; table_at(i) != NULL; i++) {
            case_append(error, ", %s", table_at(i)->name);
        }
        return false;
    }
    const char *const reason = open_one(table, list);
    if (reason != NULL) return case_fail(error, "backend %s: %s", table->name, reason);
    *count = 1;
    return true;
}

void case_backends_close(case_backend *list, int count)
{
    for (int i = 0; i < count; i++) {
        merit_context_destroy(list[i].ctx);
    }
}

// Memory ------------------------------------------------------------------------------------------

#ifdef MERIT_HAVE_CUDA
static bool is_cuda(const merit_backend *table)
{
    return strcmp(table->name, "cuda") == 0;
}
#endif

void *case_memory_new(const case_backend *b, size_t bytes)
{
    void *memory = NULL;
    if (bytes == 0) bytes = 1; // a call tells an empty array from an absent one by the pointer
#ifdef MERIT_HAVE_CUDA
    if (is_cuda(b->table)) return cudaMalloc(&memory, bytes) == cudaSuccess ? memory : NULL;
#endif
    (void)b;
    return posix_memalign(&memory, 256, bytes) == 0 ? memory : NULL;
}

void case_memory_free(const case_backend *b, void *memory)
{
#ifdef MERIT_HAVE_CUDA
    if (is_cuda(b->table)) {
        cudaFree(memory);
        return;
    }
#endif
    (void)b;
    free(memory);
}

bool case_memory_put(const case_backend *b, void *to, const void *from, size_t bytes)
{
#ifdef MERIT_HAVE_CUDA
    if (is_cuda(b->table)) {
        return cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice) == cudaSuccess;
    }
#endif
    (void)b;
    if (bytes > 0) memcpy(to, from, bytes);
    return true;
}

bool case_memory_get(const case_backend *b, void *to, const void *from, size_t bytes)
{
#ifdef MERIT_HAVE_CUDA
    if (is_cuda(b->table)) {
        return cudaDeviceSynchronize() == cudaSuccess &&
               cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost) == cudaSuccess;
    }
#endif
    (void)b;
    if (bytes > 0) memcpy(to, from, bytes);
    return true;
}
