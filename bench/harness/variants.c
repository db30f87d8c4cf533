#include "variants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bench_variant variants[BENCH_MAX_VARIANTS];
static int num_variants;

static merit_context *create(int32_t backend, int num_threads)
{
    merit_context_desc desc;
    merit_context *ctx = NULL;
    if (merit_context_desc_init(&desc, sizeof desc) != MERIT_STATUS_OK) return NULL;
    desc.backend = backend;
    desc.num_threads = num_threads;
    return merit_context_create(&desc, &ctx) == MERIT_STATUS_OK ? ctx : NULL;
}

// The library reads MERIT_CPU_ISA when a context is made: "cpu_v3" asks for v3.
static merit_context *create_on(const char *backend, int num_threads)
{
    if (strcmp(backend, "cuda") == 0) return create(MERIT_BACKEND_CUDA, num_threads);
    if (strncmp(backend, "cpu_", 4) != 0) return create(MERIT_BACKEND_CPU, num_threads);
    const char *const before = getenv("MERIT_CPU_ISA");
    char kept[32] = "";
    if (before != NULL) snprintf(kept, sizeof kept, "%s", before);
    setenv("MERIT_CPU_ISA", backend + 4, 1);
    merit_context *const ctx = create(MERIT_BACKEND_CPU, num_threads);
    if (before != NULL) {
        setenv("MERIT_CPU_ISA", kept, 1);
    } else {
        unsetenv("MERIT_CPU_ISA");
    }
    return ctx;
}

const bench_variant *bench_variant_of(const char *backend, int num_threads)
{
    for (int i = 0; i < num_variants; i++) {
        if (variants[i].num_threads == num_threads && strcmp(variants[i].backend, backend) == 0) {
            return &variants[i];
        }
    }
    if (num_variants == BENCH_MAX_VARIANTS) bench_die("more than %d variants", num_variants);
    char reason[BENCH_TEXT];
    const bool on_device = strcmp(backend, "cuda") == 0;
    const bench_device *const device = on_device ? bench_device_cuda(reason) : bench_device_host();
    if (device == NULL) return NULL;
    merit_context *const ctx = create_on(backend, num_threads);
    if (ctx == NULL) return NULL;
    if (strcmp(merit_context_backend(ctx), backend) != 0) { // a narrower one, or unknown
        merit_context_destroy(ctx);
        return NULL;
    }
    bench_variant *const made = &variants[num_variants++];
    *made = (bench_variant){.num_threads = num_threads, .device = device, .ctx = ctx};
    snprintf(made->backend, sizeof made->backend, "%s", backend);
    return made;
}

const bench_backends *bench_available_backends(void)
{
    static bench_backends backends;
    if (backends.count > 0) return &backends;
    static const char *const candidates[] = {"cpu_v4", "cpu_v3", "cpu_v2", "cpu", "cuda"};
    merit_context *const best = create(MERIT_BACKEND_CPU, 1);
    if (best == NULL) bench_die("no CPU context: %s", merit_context_last_error(NULL));
    bool reached = false; // MERIT_CPU_ISA may rule out wider ones
    for (size_t i = 0; i < sizeof candidates / sizeof candidates[0]; i++) {
        const bool cuda = strcmp(candidates[i], "cuda") == 0;
        reached = reached || strcmp(candidates[i], merit_context_backend(best)) == 0;
        if ((!cuda && !reached) || bench_variant_of(candidates[i], 1) == NULL) continue;
        snprintf(backends.name[backends.count], sizeof backends.name[0], "%s", candidates[i]);
        backends.count++;
        backends.num_cpu += !cuda;
    }
    merit_context_destroy(best);
    return &backends;
}
