// Inside the emulator.
//
// One CUDA thread is one fiber: a stack and a saved stack pointer. Blocks run one after the other in a
// random order; the fibers of a block run one at a time on the thread that launched, each until it waits
// at a barrier or a warp operation. It then chooses the next one by the policy of the seed and switches
// to it directly. A fiber is made once and used again for every block.
#ifndef MERIT_SIMT_EXECUTOR_H
#define MERIT_SIMT_EXECUTOR_H

#include "simt.h"
#include "simt_control.h"

// SIMT_ASAN and SIMT_TSAN come from the build: these files are themselves not instrumented.
#if defined(SIMT_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(SIMT_TSAN)
#include <sanitizer/tsan_interface.h>
#endif
#if !defined(SIMT_UCONTEXT) && !defined(__x86_64__)
#define SIMT_UCONTEXT 1
#endif
#if defined(SIMT_UCONTEXT)
#include <ucontext.h>
#endif

enum {
    SIMT_LANES = 32,
    SIMT_MAX_WARPS = 32,
    SIMT_MAX_THREADS = SIMT_LANES * SIMT_MAX_WARPS,
    SIMT_SHARED_LIMIT = 227 * 1024, // of a block, static and dynamic together, opted in
    SIMT_SHARED_DEFAULT = 48 * 1024, // without opting in
    SIMT_SHARED_PER_SM = 228 * 1024,
    SIMT_SHARED_RESERVED = 1024, // of each block, by the system
    SIMT_SEEN = 64, // atomic addresses that a block remembers
};

struct simt_fiber {
    void *sp = nullptr;
#if defined(SIMT_UCONTEXT)
    ucontext_t context;
#endif
    char *stack = nullptr;
    size_t stack_bytes = 0;
    void *fake_stack = nullptr; // AddressSanitizer
    void *tsan = nullptr;
};

// What a thread waits for. `file` is null until its first wait.
struct simt_wait {
    simt_operation operation;
    const char *file;
    int line;
    unsigned mask;
};

struct simt_cuda_thread : simt_thread {
    simt_fiber fiber;
    uint8_t warp, lane;
    bool fenced; // has passed a memory fence
    simt_wait wait;
};

// The lanes of one mask on their way to a warp operation.
struct simt_gathering {
    simt_wait first; // what the first lane brought
    unsigned arrived;
    char *order; // address that ThreadSanitizer orders __syncwarp by
};

// Addresses of a block by which ThreadSanitizer orders its threads. They are taken in turn: a thread
// ahead must not hide what one behind has yet to see.
enum {
    SIMT_BARRIER_ORDERS = 2,
    SIMT_WARP_ORDERS = 8,
    SIMT_BLOCK_ORDERS = SIMT_BARRIER_ORDERS + SIMT_MAX_WARPS * SIMT_WARP_ORDERS
};

struct simt_warp_state {
    unsigned ready; // lanes that can run
    unsigned exited;
    unsigned rank; // place in the order of warps
    unsigned gatherings; // that lanes wait in; their masks differ
    simt_gathering gathering[SIMT_LANES];
    uint64_t value[SIMT_LANES];
    int argument[SIMT_LANES], width[SIMT_LANES];
    uint64_t result[SIMT_LANES];
    unsigned syncwarps;
};

enum simt_policy { SIMT_WARPS_AHEAD, SIMT_UNIFORM, SIMT_DESCENDING, SIMT_ASCENDING };

struct simt_executor {
    // The launch
    void (*call)(const void *kernel, const void *args);
    const void *kernel;
    const void *args;
    const char *name;
    size_t dynamic_bytes;
    bool active, failed;
    char begin, end; // addresses by which ThreadSanitizer orders threads and launch

    // The block
    unsigned threads, warps, live;
    unsigned ready_warps; // by rank
    uint8_t warp_at[SIMT_MAX_WARPS]; // rank -> warp
    simt_wait barrier; // what the first thread brought
    unsigned at_barrier, barriers;
    int barrier_count, barrier_result;
    const void *seen[SIMT_SEEN]; // addresses of atomic accesses of the block
    unsigned num_seen;
    char *orders; // [SIMT_BLOCK_ORDERS]

    // The order
    simt_policy policy;
    uint64_t random;

    simt_fiber host; // the thread that launched
    simt_cuda_thread thread[SIMT_MAX_THREADS];
    simt_warp_state warp[SIMT_MAX_WARPS];
};

extern simt_executor simt_state;
extern uint64_t simt_switches; // counted by the switch itself
uint64_t simt_seed();

// simt_fiber.cpp
bool simt_make_fibers(unsigned count);
void simt_switch(simt_fiber *from, simt_fiber *to);
void simt_begin_fibers(); // of a block
void simt_end_fibers();
void simt_fiber_main(); // what a fiber runs; in simt.cpp

// simt_shared.cpp
void simt_begin_shared(); // poisons and fills the memory of a block
void simt_end_shared(); // reports what was written between the variables
size_t simt_static_shared_bytes(); // of the block that ran last

// simt_report.cpp
enum simt_report_detail { SIMT_WITHOUT_THREADS, SIMT_WITH_THREADS };
void simt_report(simt_report_detail detail, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// From a fiber: reports and ends the launch.
[[noreturn]] void simt_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *simt_operation_name(simt_operation operation);
const char *simt_base_name(const char *path);

// simt_runtime.cpp
int simt_injected_fault(); // 0, or the code with which this call is to fail
int simt_remember_error(int code); // returns it
size_t simt_dynamic_limit(const void *kernel);
void simt_note_static_shared(const void *kernel, size_t bytes);

// ThreadSanitizer sees order only where CUDA gives it.
static inline void simt_release(void *address)
{
#if defined(SIMT_TSAN)
    __tsan_release(address);
#else
    (void)address;
#endif
}

static inline void simt_acquire(void *address)
{
#if defined(SIMT_TSAN)
    __tsan_acquire(address);
#else
    (void)address;
#endif
}

// Scheduling --------------------------------------------------------------------------------------

// xorshift64 (Marsaglia 2003)
static inline uint64_t simt_random()
{
    uint64_t x = simt_state.random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return simt_state.random = x;
}

// A set bit of `bits`, the first one from a random place on.
static inline unsigned simt_random_bit(unsigned bits, unsigned from)
{
    from &= 31;
    const unsigned rotated = bits >> from | bits << (-from & 31);
    return ((unsigned)__builtin_ctz(rotated) + from) & 31;
}

static inline void simt_draw_warp_order()
{
    simt_executor &s = simt_state;
    for (unsigned i = 0; i < s.warps; i++) {
        unsigned j = i;
        if (s.policy == SIMT_WARPS_AHEAD) {
            j = (unsigned)(simt_random() >> 32) % (i + 1);
        }
        s.warp_at[i] = s.warp_at[j];
        s.warp_at[j] = (uint8_t)i;
    }
    for (unsigned i = 0; i < s.warps; i++) {
        s.warp[s.warp_at[i]].rank = i;
    }
}

static inline void simt_make_ready(simt_warp_state &warp, unsigned lanes)
{
    warp.ready |= lanes;
    simt_state.ready_warps |= 1u << warp.rank;
}

static inline void simt_make_waiting(simt_warp_state &warp, unsigned lanes)
{
    warp.ready &= ~lanes;
    if (warp.ready == 0) simt_state.ready_warps &= ~(1u << warp.rank);
}

// The next thread to run, or null if none can.
static inline simt_cuda_thread *simt_next()
{
    simt_executor &s = simt_state;
    if (s.ready_warps == 0) return nullptr;
    unsigned rank = 0, lane = 0, warp = 0;
    switch (s.policy) {
    case SIMT_WARPS_AHEAD: {
        warp = s.warp_at[__builtin_ctz(s.ready_warps)];
        lane = simt_random_bit(s.warp[warp].ready, (unsigned)(simt_random() >> 32));
        break;
    }
    case SIMT_UNIFORM: {
        const unsigned draw = (unsigned)(simt_random() >> 32);
        rank = simt_random_bit(s.ready_warps, draw);
        warp = s.warp_at[rank];
        lane = simt_random_bit(s.warp[warp].ready, draw >> 5);
        break;
    }
    case SIMT_DESCENDING:
        warp = s.warp_at[31 - __builtin_clz(s.ready_warps)];
        lane = 31u - (unsigned)__builtin_clz(s.warp[warp].ready);
        break;
    case SIMT_ASCENDING:
        warp = s.warp_at[__builtin_ctz(s.ready_warps)];
        lane = (unsigned)__builtin_ctz(s.warp[warp].ready);
        break;
    }
    return &s.thread[warp * SIMT_LANES + lane];
}

static inline simt_cuda_thread *simt_self()
{
    return static_cast<simt_cuda_thread *>(simt_current);
}

// Leaves the running thread, which has registered what it waits for, until it is chosen again.
static inline void simt_run_next()
{
    simt_executor &s = simt_state;
    simt_cuda_thread *const self = simt_self();
    simt_cuda_thread *const next = simt_next();
    if (next == self) return;
    if (next != nullptr) {
        simt_current = next;
        simt_switch(&self->fiber, &next->fiber);
        return;
    }
    if (s.live > 0) simt_fail("was the last that could run: deadlock");
    simt_current = nullptr;
    simt_switch(&self->fiber, &s.host);
}

#endif
