#include "parallel.h"

#ifdef _OPENMP
#include <omp.h>
#endif

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

// libgomp is not instrumented: tell ThreadSanitizer about the fork and the join.
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#define TSAN_RELEASE(address) __tsan_release(address)
#define TSAN_ACQUIRE(address) __tsan_acquire(address)
#else
#define TSAN_RELEASE(address) ((void)(address))
#define TSAN_ACQUIRE(address) ((void)(address))
#endif

// Floating-point environment ----------------------------------------------------------------------

typedef struct float_mode {
    uint64_t word;
} float_mode;

#if defined(__SSE2__)

#define MXCSR_CONTROL 0xffc0u // exception masks, rounding, flush-to-zero, denormals-are-zero
#define MXCSR_DEFAULT 0x1f80u // all exceptions masked, to nearest, no flushing

static float_mode enter_default_mode(void)
{
    const unsigned word = _mm_getcsr();
    _mm_setcsr((word & ~MXCSR_CONTROL) | MXCSR_DEFAULT);
    return (float_mode){word};
}

static void restore_mode(float_mode mode)
{
    _mm_setcsr((unsigned)mode.word);
}

#elif defined(__aarch64__)

static float_mode enter_default_mode(void)
{
    uint64_t word;
    __asm__ volatile("mrs %0, fpcr" : "=r"(word));
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0));
    return (float_mode){word};
}

static void restore_mode(float_mode mode)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(mode.word));
}

#else
#include <fenv.h>

static float_mode enter_default_mode(void)
{
    const int rounding = fegetround();
    fesetround(FE_TONEAREST);
    return (float_mode){(uint64_t)rounding};
}

static void restore_mode(float_mode mode)
{
    fesetround((int)mode.word);
}

#endif

// Ranges ------------------------------------------------------------------------------------------

static void run_part(merit_range_body *body, void *state, int64_t begin, int64_t end)
{
    const float_mode mode = enter_default_mode();
    body(state, begin, end);
    restore_mode(mode);
}

void merit_parallel_ranges(int num_threads, int64_t count, int64_t grain, merit_range_body *body,
                           void *state)
{
    if (count <= 0) return;
    const int64_t blocks = (count + grain - 1) / grain;
    const int parts = (int)(blocks < num_threads ? blocks : num_threads);
    if (parts <= 1) {
        run_part(body, state, 0, count);
        return;
    }
#ifdef _OPENMP
    char fork = 0;
    char join = 0;
    TSAN_RELEASE(&fork);
#pragma omp parallel for schedule(static, 1) num_threads(parts)
    for (int part = 0; part < parts; part++) {
        TSAN_ACQUIRE(&fork);
        const int64_t begin = blocks * part / parts * grain;
        const int64_t end = blocks * (part + 1) / parts * grain;
        run_part(body, state, begin, end < count ? end : count);
        TSAN_RELEASE(&join);
    }
    TSAN_ACQUIRE(&join);
#else
    run_part(body, state, 0, count);
#endif
}

int merit_parallel_default_threads(void)
{
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}
