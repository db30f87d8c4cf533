// Memory traffic on the CPU. Several loops per kind of traffic: the fastest is the roof.
#include <string.h>

#include "movers.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

void bench_parallel(int num_threads, int64_t count, int64_t grain, bench_range_body *body,
                    void *state)
{
    const int64_t blocks = (count + grain - 1) / grain;
    const int parts = (int)(blocks < num_threads ? blocks : num_threads);
    if (parts <= 1) {
        if (count > 0) body(state, 0, count);
        return;
    }
#ifdef _OPENMP
#pragma omp parallel for schedule(static, 1) num_threads(parts)
#endif
    for (int part = 0; part < parts; part++) {
        const int64_t begin = blocks * part / parts * grain;
        const int64_t end = blocks * (part + 1) / parts * grain;
        body(state, begin, end < count ? end : count);
    }
}

static void nothing(void *state, int64_t begin, int64_t end)
{
    (void)state;
    (void)begin;
    (void)end;
}

double bench_host_launch(int num_threads)
{
    enum { LAUNCHES = 200 };
    const double start = bench_now();
    for (int i = 0; i < LAUNCHES; i++) {
        bench_parallel(num_threads, num_threads, 1, nothing, NULL);
    }
    return (bench_now() - start) / LAUNCHES;
}

// Loops over whole 4096-byte pieces of one thread's part ------------------------------------------------

// also: the second source of 2R1W, NULL for the others.
typedef void piece_loop(char *to, const char *from, const char *also, size_t bytes);

enum { PIECE = 4096 };

static volatile uint64_t sink; // keeps what a reading loop found

static void read_plain(char *to, const char *from, const char *also, size_t bytes)
{
    (void)also;
    (void)to;
    uint64_t found[8] = {0};
    for (size_t i = 0; i + 64 <= bytes; i += 64) {
        uint64_t words[8];
        memcpy(words, from + i, 64);
        for (int k = 0; k < 8; k++)
            found[k] |= words[k];
    }
    uint64_t all = 0;
    for (int k = 0; k < 8; k++)
        all |= found[k];
    sink = all;
}

static void write_memset(char *to, const char *from, const char *also, size_t bytes)
{
    (void)also;
    (void)from;
    memset(to, 0, bytes);
}

static void merge_plain(char *to, const char *from, const char *also, size_t bytes)
{
    for (size_t i = 0; i + 64 <= bytes; i += 64) {
        uint64_t a[8], b[8];
        memcpy(a, from + i, 64);
        memcpy(b, also + i, 64);
        for (int k = 0; k < 8; k++)
            a[k] |= b[k];
        memcpy(to + i, a, 64);
    }
}

static void copy_memcpy(char *to, const char *from, const char *also, size_t bytes)
{
    (void)also;
    memcpy(to, from, bytes);
}

#if defined(__x86_64__)

// The same loops for a vector type: `or` everything, store zeros, copy, `or` two; stores ordinary (store)
// or past the cache (stream).
#define STORE_LOOPS(isa, target_name, vector, load, store, either, zero, fence)                  \
    __attribute__((target(target_name))) static void write_##isa(char *to, const char *from,     \
                                                                 const char *also, size_t bytes) \
    {                                                                                            \
        (void)from;                                                                              \
        (void)also;                                                                              \
        for (size_t i = 0; i < bytes; i += sizeof(vector))                                       \
            store((void *)(to + i), zero());                                                     \
        fence;                                                                                   \
    }                                                                                            \
    __attribute__((target(target_name))) static void copy_##isa(char *to, const char *from,      \
                                                                const char *also, size_t bytes)  \
    {                                                                                            \
        (void)also;                                                                              \
        for (size_t i = 0; i < bytes; i += sizeof(vector)) {                                     \
            store((void *)(to + i), load((const void *)(from + i)));                             \
        }                                                                                        \
        fence;                                                                                   \
    }                                                                                            \
    __attribute__((target(target_name))) static void merge_##isa(char *to, const char *from,     \
                                                                 const char *also, size_t bytes) \
    {                                                                                            \
        for (size_t i = 0; i < bytes; i += sizeof(vector)) {                                     \
            store((void *)(to + i),                                                              \
                  either(load((const void *)(from + i)), load((const void *)(also + i))));       \
        }                                                                                        \
        fence;                                                                                   \
    }

#define VECTOR_LOOPS(isa, target_name, vector, load, store, stream, either, zero)               \
    __attribute__((target(target_name))) static void read_##isa(char *to, const char *from,     \
                                                                const char *also, size_t bytes) \
    {                                                                                           \
        (void)to;                                                                               \
        (void)also;                                                                             \
        vector a = zero(), b = zero(), c = zero(), d = zero();                                  \
        for (size_t i = 0; i < bytes; i += 4 * sizeof(vector)) {                                \
            a = either(a, load((const void *)(from + i)));                                      \
            b = either(b, load((const void *)(from + i + sizeof(vector))));                     \
            c = either(c, load((const void *)(from + i + 2 * sizeof(vector))));                 \
            d = either(d, load((const void *)(from + i + 3 * sizeof(vector))));                 \
        }                                                                                       \
        const vector all = either(either(a, b), either(c, d));                                  \
        uint64_t words[sizeof(vector) / 8];                                                     \
        memcpy(words, &all, sizeof all);                                                        \
        sink = words[0];                                                                        \
    }                                                                                           \
    STORE_LOOPS(isa, target_name, vector, load, store, either, zero, (void)0)                   \
    STORE_LOOPS(isa##_stream, target_name, vector, load, stream, either, zero, _mm_sfence())

VECTOR_LOOPS(avx2, "avx2", __m256i, _mm256_load_si256, _mm256_store_si256, _mm256_stream_si256,
             _mm256_or_si256, _mm256_setzero_si256)
VECTOR_LOOPS(avx512, "avx512f", __m512i, _mm512_load_si512, _mm512_store_si512, _mm512_stream_si512,
             _mm512_or_si512, _mm512_setzero_si512)

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2");
}

static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f");
}

#endif

// Parts of threads ---------------------------------------------------------------------------------

typedef struct part_state {
    piece_loop *loop;
    const bench_stream_buffers *buffers;
    const char *also; // second source
} part_state;

static void move_part(void *state, int64_t begin, int64_t end)
{
    const part_state *const s = state;
    char *const to = s->buffers->to;
    const char *const from = s->buffers->from;
    s->loop(to != NULL ? to + begin : NULL, from != NULL ? from + begin : NULL,
            s->also != NULL ? s->also + begin : NULL, (size_t)(end - begin));
}

static void move(piece_loop *loop, const bench_stream_buffers *buffers)
{
    part_state state = {loop, buffers, NULL};
    bench_parallel(buffers->num_threads, (int64_t)buffers->bytes, PIECE, move_part, &state);
}

// The two halves of the source to the first half of the target.
static void move_halves(piece_loop *loop, const bench_stream_buffers *buffers)
{
    const size_t half = buffers->bytes / 2;
    part_state state = {loop, buffers, (const char *)buffers->from + half};
    bench_parallel(buffers->num_threads, (int64_t)half, PIECE, move_part, &state);
}

#define MOVER(loop)                                              \
    static void move_##loop(const bench_stream_buffers *buffers) \
    {                                                            \
        move(loop, buffers);                                     \
    }
#define MERGER(loop)                                             \
    static void move_##loop(const bench_stream_buffers *buffers) \
    {                                                            \
        move_halves(loop, buffers);                              \
    }
MOVER(read_plain)
MERGER(merge_plain)
MOVER(write_memset)
MOVER(copy_memcpy)
#if defined(__x86_64__)
MOVER(read_avx2)
MOVER(write_avx2)
MOVER(write_avx2_stream)
MOVER(copy_avx2)
MOVER(copy_avx2_stream)
MERGER(merge_avx2)
MERGER(merge_avx2_stream)
MOVER(read_avx512)
MOVER(write_avx512)
MOVER(write_avx512_stream)
MOVER(copy_avx512)
MOVER(copy_avx512_stream)
MERGER(merge_avx512)
MERGER(merge_avx512_stream)
#endif

const bench_mover bench_host_movers[] = {
    {BENCH_READ, "plain C", NULL, move_read_plain},
    {BENCH_WRITE, "memset", NULL, move_write_memset},
    {BENCH_COPY, "memcpy", NULL, move_copy_memcpy},
    {BENCH_2R1W, "plain C", NULL, move_merge_plain},
#if defined(__x86_64__)
    {BENCH_READ, "AVX2", has_avx2, move_read_avx2},
    {BENCH_WRITE, "AVX2 stores", has_avx2, move_write_avx2},
    {BENCH_WRITE, "AVX2 streaming stores", has_avx2, move_write_avx2_stream},
    {BENCH_COPY, "AVX2 stores", has_avx2, move_copy_avx2},
    {BENCH_COPY, "AVX2 streaming stores", has_avx2, move_copy_avx2_stream},
    {BENCH_2R1W, "AVX2 stores", has_avx2, move_merge_avx2},
    {BENCH_2R1W, "AVX2 streaming stores", has_avx2, move_merge_avx2_stream},
    {BENCH_READ, "AVX-512", has_avx512, move_read_avx512},
    {BENCH_WRITE, "AVX-512 stores", has_avx512, move_write_avx512},
    {BENCH_WRITE, "AVX-512 streaming stores", has_avx512, move_write_avx512_stream},
    {BENCH_COPY, "AVX-512 stores", has_avx512, move_copy_avx512},
    {BENCH_COPY, "AVX-512 streaming stores", has_avx512, move_copy_avx512_stream},
    {BENCH_2R1W, "AVX-512 stores", has_avx512, move_merge_avx512},
    {BENCH_2R1W, "AVX-512 streaming stores", has_avx512, move_merge_avx512_stream},
#endif
    {BENCH_READ, NULL, NULL, NULL},
};
