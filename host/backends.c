// The backends of this build and which of them this machine can run.
#include <string.h>

#include "internal.h"

extern const merit_backend merit_backend_cpu;
extern const merit_backend merit_backend_cpu_v2;
extern const merit_backend merit_backend_cpu_v3;
extern const merit_backend merit_backend_cpu_v4;
#ifdef MERIT_HAVE_CUDA
extern const merit_backend merit_backend_cuda;
#endif

static const merit_backend *const backends[] = {
#ifdef MERIT_HAVE_CPU
    &merit_backend_cpu,
#endif
#ifdef MERIT_HAVE_CPU_V2
    &merit_backend_cpu_v2,
#endif
#ifdef MERIT_HAVE_CPU_V3
    &merit_backend_cpu_v3,
#endif
#ifdef MERIT_HAVE_CPU_V4
    &merit_backend_cpu_v4,
#endif
#ifdef MERIT_HAVE_CUDA
    &merit_backend_cuda,
#endif
};

enum { NUM_BACKENDS = (int)(sizeof backends / sizeof backends[0]) };

const merit_backend *merit_backend_at(int i)
{
    return i >= 0 && i < NUM_BACKENDS ? backends[i] : NULL;
}

const merit_backend *merit_backend_by_name(const char *name)
{
    for (int i = 0; i < NUM_BACKENDS; i++) {
        if (strcmp(backends[i]->name, name) == 0) return backends[i];
    }
    return NULL;
}

int merit_backend_runs_here(const merit_backend *backend)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (strcmp(backend->name, "cpu_v3") == 0) return __builtin_cpu_supports("x86-64-v3");
    if (strcmp(backend->name, "cpu_v4") == 0) return __builtin_cpu_supports("x86-64-v4");
    if (strcmp(backend->name, "cpu_v2") == 0) return __builtin_cpu_supports("x86-64-v2");
#endif
    return !backend->on_device;
}

const merit_backend *merit_backend_best_cpu(const char *isa_limit)
{
    const merit_backend *best = backends[0];
    for (int i = 0; i < NUM_BACKENDS; i++) {
        if (backends[i]->on_device || !merit_backend_runs_here(backends[i])) continue;
        best = backends[i];
        if (isa_limit != NULL && strcmp(backends[i]->name + strlen("cpu_"), isa_limit) == 0) break;
    }
    return best;
}
