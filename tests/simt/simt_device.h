// Device functions: barriers, warp operations, atomics, bits, cached access.
#ifndef MERIT_SIMT_DEVICE_H
#define MERIT_SIMT_DEVICE_H

#include <stdint.h>
#include <string.h>

// Barriers ----------------------------------------------------------------------------------------

enum simt_operation {
    SIMT_BARRIER,
    SIMT_BARRIER_OR,
    SIMT_BARRIER_AND,
    SIMT_BARRIER_COUNT,
    SIMT_SYNCWARP,
    SIMT_SHFL,
    SIMT_SHFL_UP,
    SIMT_SHFL_DOWN,
    SIMT_SHFL_XOR,
    SIMT_BALLOT,
    SIMT_ANY,
    SIMT_ALL,
    SIMT_MATCH_ANY,
    SIMT_ADD,
    SIMT_MIN_SIGNED,
    SIMT_MIN_UNSIGNED,
    SIMT_MAX_SIGNED,
    SIMT_MAX_UNSIGNED,
    SIMT_AND,
    SIMT_OR,
    SIMT_XOR
};

int simt_barrier(simt_operation operation, int predicate, const char *file, int line);
void simt_fence();
void simt_look_again();

// Around every atomic access, for ThreadSanitizer: see simt_order.cpp.
#if defined(__SANITIZE_THREAD__) || defined(SIMT_TSAN)
void simt_before_atomic(const void *at);
void simt_after_atomic(const void *at);
#else
static inline void simt_before_atomic(const void *)
{
}

static inline void simt_after_atomic(const void *)
{
}
#endif

static inline void __syncthreads(SIMT_SITE)
{
    simt_barrier(SIMT_BARRIER, 0, file, line);
}

static inline int __syncthreads_or(int predicate, SIMT_SITE)
{
    return simt_barrier(SIMT_BARRIER_OR, predicate, file, line);
}

static inline int __syncthreads_and(int predicate, SIMT_SITE)
{
    return simt_barrier(SIMT_BARRIER_AND, predicate, file, line);
}

static inline int __syncthreads_count(int predicate, SIMT_SITE)
{
    return simt_barrier(SIMT_BARRIER_COUNT, predicate, file, line);
}

static inline void __threadfence()
{
    simt_fence();
}

static inline void __threadfence_block()
{
    simt_fence();
}

// Warp operations -----------------------------------------------------------------------------------

// `bits` is this lane's value, `argument` the source lane, distance or lane mask of a shuffle.
uint64_t simt_warp(simt_operation operation, unsigned mask, uint64_t bits, int argument, int width,
                   const char *file, int line);

static inline void __syncwarp(unsigned mask = 0xffffffffu, SIMT_SITE)
{
    simt_warp(SIMT_SYNCWARP, mask, 0, 0, 32, file, line);
}

template <typename T>
static inline T simt_shuffle(simt_operation operation, unsigned mask, T value, int argument,
                             int width, const char *file, int line)
{
    static_assert(sizeof(T) <= sizeof(uint64_t), "shuffles move up to 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = simt_warp(operation, mask, bits, argument, width, file, line);
    memcpy(&value, &bits, sizeof value);
    return value;
}

#define SIMT_SHUFFLES(T)                                                                          \
    static inline T __shfl_sync(unsigned mask, T value, int source, int width = 32, SIMT_SITE)    \
    {                                                                                             \
        return simt_shuffle(SIMT_SHFL, mask, value, source, width, file, line);                   \
    }                                                                                             \
    static inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,        \
                                   SIMT_SITE)                                                     \
    {                                                                                             \
        return simt_shuffle(SIMT_SHFL_UP, mask, value, (int)delta, width, file, line);            \
    }                                                                                             \
    static inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,      \
                                     SIMT_SITE)                                                   \
    {                                                                                             \
        return simt_shuffle(SIMT_SHFL_DOWN, mask, value, (int)delta, width, file, line);          \
    }                                                                                             \
    static inline T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, SIMT_SITE) \
    {                                                                                             \
        return simt_shuffle(SIMT_SHFL_XOR, mask, value, lanes, width, file, line);                \
    }                                                                                             \
    static inline unsigned __match_any_sync(unsigned mask, T value, SIMT_SITE)                    \
    {                                                                                             \
        uint64_t bits = 0;                                                                        \
        memcpy(&bits, &value, sizeof value);                                                      \
        return (unsigned)simt_warp(SIMT_MATCH_ANY, mask, bits, 0, 32, file, line);                \
    }
SIMT_SHUFFLES(int)
SIMT_SHUFFLES(unsigned)
SIMT_SHUFFLES(long)
SIMT_SHUFFLES(unsigned long)
SIMT_SHUFFLES(long long)
SIMT_SHUFFLES(unsigned long long)
SIMT_SHUFFLES(float)
SIMT_SHUFFLES(double)
#undef SIMT_SHUFFLES

static inline unsigned __ballot_sync(unsigned mask, int predicate, SIMT_SITE)
{
    return (unsigned)simt_warp(SIMT_BALLOT, mask, predicate != 0, 0, 32, file, line);
}

static inline int __any_sync(unsigned mask, int predicate, SIMT_SITE)
{
    return (int)simt_warp(SIMT_ANY, mask, predicate != 0, 0, 32, file, line);
}

static inline int __all_sync(unsigned mask, int predicate, SIMT_SITE)
{
    return (int)simt_warp(SIMT_ALL, mask, predicate != 0, 0, 32, file, line);
}

#define SIMT_REDUCE(name, T, operation)                                           \
    static inline T name(unsigned mask, T value, SIMT_SITE)                       \
    {                                                                             \
        return (T)simt_warp(operation, mask, (unsigned)value, 0, 32, file, line); \
    }
SIMT_REDUCE(__reduce_add_sync, int, SIMT_ADD)
SIMT_REDUCE(__reduce_add_sync, unsigned, SIMT_ADD)
SIMT_REDUCE(__reduce_min_sync, int, SIMT_MIN_SIGNED)
SIMT_REDUCE(__reduce_min_sync, unsigned, SIMT_MIN_UNSIGNED)
SIMT_REDUCE(__reduce_max_sync, int, SIMT_MAX_SIGNED)
SIMT_REDUCE(__reduce_max_sync, unsigned, SIMT_MAX_UNSIGNED)
SIMT_REDUCE(__reduce_and_sync, unsigned, SIMT_AND)
SIMT_REDUCE(__reduce_or_sync, unsigned, SIMT_OR)
SIMT_REDUCE(__reduce_xor_sync, unsigned, SIMT_XOR)
#undef SIMT_REDUCE

// Atomics: relaxed, as on the device. Integers only.
struct simt_atomic_access {
    const void *const at;
    explicit simt_atomic_access(const void *where) : at(where)
    {
        simt_before_atomic(at);
    }
    ~simt_atomic_access()
    {
        simt_after_atomic(at);
    }
    simt_atomic_access(const simt_atomic_access &) = delete;
};

// A function of the old value that the atomic access stores.
template <typename T, typename Change>
static inline T simt_exchange(T *at, Change change)
{
    const simt_atomic_access access(at);
    T old = __atomic_load_n(at, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(at, &old, change(old), false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
    }
    return old;
}

#define SIMT_ATOMIC(name, T, change)                                        \
    static inline T name(T *at, T value)                                    \
    {                                                                       \
        return simt_exchange(at, [value](T old) -> T { return (change); }); \
    }
#define SIMT_ATOMICS(T)                                                                   \
    SIMT_ATOMIC(atomicAdd, T, old + value)                                                \
    SIMT_ATOMIC(atomicAnd, T, old &value)                                                 \
    SIMT_ATOMIC(atomicOr, T, old | value)                                                 \
    SIMT_ATOMIC(atomicXor, T, old ^ value)                                                \
    SIMT_ATOMIC(atomicMin, T, value < old ? value : old)                                  \
    SIMT_ATOMIC(atomicMax, T, old < value ? value : old)                                  \
    SIMT_ATOMIC(atomicExch, T, ((void)old, value))                                        \
    static inline T atomicCAS(T *at, T expected, T value)                                 \
    {                                                                                     \
        return simt_exchange(                                                             \
            at, [expected, value](T old) -> T { return old == expected ? value : old; }); \
    }
SIMT_ATOMICS(int)
SIMT_ATOMICS(unsigned)
SIMT_ATOMICS(unsigned long long)
SIMT_ATOMIC(atomicSub, int, old - value)
SIMT_ATOMIC(atomicSub, unsigned, old - value)
SIMT_ATOMIC(atomicInc, unsigned, old >= value ? 0u : old + 1u)
#undef SIMT_ATOMICS
#undef SIMT_ATOMIC

// Bits ----------------------------------------------------------------------------------------------

static inline int __popc(unsigned x)
{
    return __builtin_popcount(x);
}

static inline int __popcll(unsigned long long x)
{
    return __builtin_popcountll(x);
}

static inline int __ffs(int x)
{
    return __builtin_ffs(x);
}

static inline int __ffsll(long long x)
{
    return __builtin_ffsll(x);
}

static inline int __clz(int x)
{
    return x == 0 ? 32 : __builtin_clz((unsigned)x);
}

static inline int __clzll(long long x)
{
    return x == 0 ? 64 : __builtin_clzll((unsigned long long)x);
}

static inline unsigned __brev(unsigned x)
{
    x = (x >> 1 & 0x55555555u) | (x & 0x55555555u) << 1;
    x = (x >> 2 & 0x33333333u) | (x & 0x33333333u) << 2;
    x = (x >> 4 & 0x0f0f0f0fu) | (x & 0x0f0f0f0fu) << 4;
    return __builtin_bswap32(x);
}

#define SIMT_MIN_MAX(T)           \
    static inline T min(T a, T b) \
    {                             \
        return b < a ? b : a;     \
    }                             \
    static inline T max(T a, T b) \
    {                             \
        return a < b ? b : a;     \
    }
SIMT_MIN_MAX(int)
SIMT_MIN_MAX(unsigned)
SIMT_MIN_MAX(long)
SIMT_MIN_MAX(unsigned long)
SIMT_MIN_MAX(long long)
SIMT_MIN_MAX(unsigned long long)
#undef SIMT_MIN_MAX

// Cached access: caches are not emulated ------------------------------------------------------------

#define SIMT_LOAD(name)                 \
    template <typename T>               \
    static inline T name(const T *from) \
    {                                   \
        return *from;                   \
    }
#define SIMT_STORE(name)                    \
    template <typename T>                   \
    static inline void name(T *to, T value) \
    {                                       \
        *to = value;                        \
    }
SIMT_LOAD(__ldg)
SIMT_LOAD(__ldca)
SIMT_LOAD(__ldcg)
SIMT_LOAD(__ldcs)
SIMT_LOAD(__ldlu)
SIMT_LOAD(__ldcv)
SIMT_STORE(__stwb)
SIMT_STORE(__stcg)
SIMT_STORE(__stcs)
SIMT_STORE(__stwt)
#undef SIMT_LOAD
#undef SIMT_STORE

#endif
