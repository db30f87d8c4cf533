#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "environment.h"
#include "movers.h"

double bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void bench_die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    fputs("merit_bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

// Huge pages where the system gives them, for roofs and operations alike: both are then measured
// without the noise of which 4 KiB pages they got.
static void *host_alloc(size_t bytes)
{
    void *const memory = mmap(NULL, bytes > 0 ? bytes : 1, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    madvise(memory, bytes, MADV_HUGEPAGE);
    return memory;
}

static void host_release(void *memory, size_t bytes)
{
    if (memory != NULL) munmap(memory, bytes > 0 ? bytes : 1);
}

static void host_upload(void *to, const void *from_host, size_t bytes)
{
    if (bytes > 0) memcpy(to, from_host, bytes);
}

static void host_finish(void)
{
}

static double host_time(bench_calls *calls, void *state, int64_t first, int64_t n)
{
    const double start = bench_now();
    calls(state, first, n);
    return bench_now() - start;
}

const bench_device *bench_device_host(void)
{
    static bench_device device;
    if (device.name == NULL) {
        device = (bench_device){
            .name = "cpu",
            .cache_bytes = bench_cache_bytes(),
            .memory_bytes = bench_free_memory(),
            .movers = bench_host_movers,
            .alloc = host_alloc,
            .release = host_release,
            .upload = host_upload,
            .download = host_upload,
            .finish = host_finish,
            .time = host_time,
            .launch = bench_host_launch,
        };
        bench_cpu_text(device.description);
    }
    return &device;
}

#ifndef MERIT_HAVE_CUDA
const bench_device *bench_device_cuda(char reason[BENCH_TEXT])
{
    snprintf(reason, BENCH_TEXT, "this build has no CUDA backend");
    return NULL;
}
#endif
