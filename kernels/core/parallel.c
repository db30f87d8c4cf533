#include "parallel.h"

#ifdef _OPENMP
#include <omp.h>
#endif

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

// libgomp is not instrumented: tell ThreadSanitizer about the fork and the join, and leave out what
// happens between libgomp and the first of the two.
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#define TSAN_RELEASE(address) __tsan_release(address)
#define TSAN_ACQUIRE(address) __tsan_acquire(address)
#define NOT_INSTRUMENTED __attribute__((no_sanitize("thread")))
#else
#define TSAN_RELEASE(address) ((void)(address))
#define TSAN_ACQUIRE(address) ((void)(address))
#define NOT_INSTRUMENTED
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

// One call of merit_parallel_ranges: blocks of `grain` items, dealt to `parts` threads.
typedef struct job {
    merit_range_body *body;
    void *state;
    int64_t count;
    int64_t grain;
    int64_t blocks;
    int parts;
    char fork, join; // places that ThreadSanitizer knows the two by
} job;

static void run_part(job *j, int part)
{
    TSAN_ACQUIRE(&j->fork);
    const int64_t begin = j->blocks * part / j->parts * j->grain;
    const int64_t end = j->blocks * (part + 1) / j->parts * j->grain;
    const float_mode mode = enter_default_mode();
    j->body(j->state, begin, end < j->count ? end : j->count);
    restore_mode(mode);
    TSAN_RELEASE(&j->join);
}

NOT_INSTRUMENTED static void run_parts(job *j)
{
#ifdef _OPENMP
#pragma omp parallel for schedule(static, 1) num_threads(j->parts)
#endif
    for (int part = 0; part < j->parts; part++)
        run_part(j, part);
}

void merit_parallel_ranges(int num_threads, int64_t count, int64_t grain, merit_range_body *body,
                           void *state)
{
    if (count <= 0) return;
    const int64_t blocks = (count + grain - 1) / grain;
    job j = {.body = body, .state = state, .count = count, .grain = grain, .blocks = blocks};
    j.parts = (int)(blocks < num_threads ? blocks : num_threads);
    if (j.parts <= 1) {
        j.parts = 1;
        run_part(&j, 0);
        return;
    }
    TSAN_RELEASE(&j.fork);
    run_parts(&j);
    TSAN_ACQUIRE(&j.join);
}

int merit_parallel_default_threads(void)
{
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}
