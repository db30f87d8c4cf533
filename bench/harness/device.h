// Memory and clock of the place where a backend computes: the host, or a CUDA device.
#ifndef MERIT_BENCH_DEVICE_H
#define MERIT_BENCH_DEVICE_H

#include "bench.h"

// n calls in a row, the first with number `first`.
typedef void bench_calls(void *state, int64_t first, int64_t n);

// What a roof does: reads `bytes` of from, writes `bytes` of to, or both.
typedef struct bench_stream_buffers {
    void *to;
    const void *from;
    size_t bytes;
    int num_threads;
    merit_stream stream;
} bench_stream_buffers;

typedef enum bench_traffic {
    BENCH_READ,
    BENCH_WRITE,
    BENCH_COPY,
    BENCH_2R1W, // two bytes read for one written: half the bytes of from to half of to
    BENCH_NUM_TRAFFIC
} bench_traffic;

// One way of moving bytes as fast as possible.
typedef struct bench_mover {
    bench_traffic traffic;
    const char *name;
    bool (*available)(void); // NULL: always
    void (*move)(const bench_stream_buffers *buffers);
} bench_mover;

typedef struct bench_device {
    const char *name; // "cpu" or "cuda"
    char description[BENCH_TEXT];
    size_t cache_bytes; // last-level cache
    size_t memory_bytes; // free at start
    double peak_bytes_per_second; // by the data sheet; 0 = unknown
    merit_stream stream;
    const bench_mover *movers; // ends with a NULL name
    void *(*alloc)(size_t bytes); // 256-byte aligned; NULL = no memory
    void (*release)(void *memory, size_t bytes);
    void (*upload)(void *to, const void *from_host, size_t bytes);
    void (*download)(void *to_host, const void *from, size_t bytes);
    void (*finish)(void); // waits for the stream
    double (*time)(bench_calls *calls, void *state, int64_t first, int64_t n); // seconds
    double (*node)(bench_calls *calls,
                   void *state); // seconds of a call in a graph; NULL: no graphs
    double (*launch)(int num_threads); // seconds of a launch that does nothing
} bench_device;

const bench_device *bench_device_host(void);

// NULL with the reason when this build or this machine has no CUDA device.
const bench_device *bench_device_cuda(char reason[BENCH_TEXT]);

// Seconds of a steady clock.
double bench_now(void);

// Prints "merit_bench: ..." and ends the program with status 1: nothing can be measured any more.
_Noreturn void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
