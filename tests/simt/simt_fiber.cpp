// Fibers: stacks with guard pages, the switch between them, and what the sanitizers want to know.
#include "simt_executor.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(SIMT_ASAN) || defined(SIMT_TSAN)
static const size_t stack_bytes = 256 * 1024;
#else
static const size_t stack_bytes = 64 * 1024;
#endif

static void start_fiber()
{
    simt_fiber_main();
    abort(); // it never returns
}

#if defined(SIMT_ASAN)
// After a switch: the stack that was left tells the host's bounds the first time.
static void finish_asan_switch(simt_fiber *self)
{
    const void *left = nullptr;
    size_t bytes = 0;
    __sanitizer_finish_switch_fiber(self->fake_stack, &left, &bytes);
    simt_fiber &host = simt_state.host;
    if (host.stack == nullptr && self != &host) {
        host.stack = static_cast<char *>(const_cast<void *>(left));
        host.stack_bytes = bytes;
    }
}
#endif

static void enter_fiber()
{
#if defined(SIMT_ASAN)
    finish_asan_switch(&simt_self()->fiber);
#endif
    start_fiber();
}

// Raw switch --------------------------------------------------------------------------------------

#if defined(SIMT_UCONTEXT)
static void prepare(simt_fiber *fiber)
{
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack;
    fiber->context.uc_stack.ss_size = fiber->stack_bytes;
    fiber->context.uc_link = nullptr;
    makecontext(&fiber->context, enter_fiber, 0);
}

static void raw_switch(simt_fiber *from, simt_fiber *to)
{
    swapcontext(&from->context, &to->context);
}
#else
extern "C" void simt_switch_stack(void **save, void *load);
// The six callee-saved registers of the System V ABI; everything else the compiler has saved.
asm(R"(
    .text
    .globl simt_switch_stack
    .hidden simt_switch_stack
    .type simt_switch_stack, @function
simt_switch_stack:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size simt_switch_stack, .-simt_switch_stack
)");

static void prepare(simt_fiber *fiber)
{
    // At a function's first instruction rsp is 8 mod 16: a return address has just been pushed. Here
    // it is 0, which ends every backtrace.
    uint64_t *sp = reinterpret_cast<uint64_t *>(fiber->stack + fiber->stack_bytes - 16);
    *--sp = 0;
    *--sp = reinterpret_cast<uint64_t>(&enter_fiber);
    for (int i = 0; i < 6; i++) {
        *--sp = 0;
    }
    fiber->sp = sp;
}

static void raw_switch(simt_fiber *from, simt_fiber *to)
{
    simt_switch_stack(&from->sp, to->sp);
}
#endif

void simt_switch(simt_fiber *from, simt_fiber *to)
{
    simt_switches++;
#if defined(SIMT_ASAN)
    // Never a null fake stack: a fiber that is left will be entered again.
    __sanitizer_start_switch_fiber(&from->fake_stack, to->stack, to->stack_bytes);
#endif
#if defined(SIMT_TSAN)
    if (from == &simt_state.host) from->tsan = __tsan_get_current_fiber();
    // A switch orders nothing: only barriers and fences do.
    __tsan_switch_to_fiber(to->tsan, __tsan_switch_to_fiber_no_sync);
#endif
    raw_switch(from, to);
#if defined(SIMT_ASAN)
    finish_asan_switch(from);
#endif
}

// Making them -------------------------------------------------------------------------------------

#if defined(SIMT_TSAN)
// For ThreadSanitizer the threads of different blocks are different threads, which nothing but the launch
// and fences orders: a block takes the next fibers of a pool. Only blocks that are far apart in the
// order of execution share fibers.
enum { POOL = 2 * SIMT_MAX_THREADS };
static simt_fiber pool[POOL];
static unsigned next_in_pool, first_of_block;

bool simt_make_fibers(unsigned)
{
    if (pool[0].stack != nullptr) return true;
    void *const memory = mmap(nullptr, POOL * stack_bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return false;
    for (unsigned i = 0; i < POOL; i++) {
        pool[i].stack = static_cast<char *>(memory) + i * stack_bytes;
        pool[i].stack_bytes = stack_bytes;
    }
    return true;
}

static void start_anew(simt_fiber *fiber)
{
    if (fiber->tsan != nullptr) __tsan_destroy_fiber(fiber->tsan);
    fiber->tsan = __tsan_create_fiber(0);
    prepare(fiber);
}

void simt_begin_fibers()
{
    const unsigned count = simt_state.threads;
    first_of_block = next_in_pool + count <= POOL ? next_in_pool : 0;
    next_in_pool = first_of_block + count;
    for (unsigned i = 0; i < count; i++) {
        simt_fiber *const fiber = &pool[first_of_block + i];
        if (fiber->tsan == nullptr) start_anew(fiber); // a millisecond: not before it is needed
        simt_state.thread[i].fiber = *fiber;
    }
    simt_release(&simt_state.begin);
}

void simt_end_fibers()
{
    void *const host = __tsan_get_current_fiber();
    for (unsigned i = 0; i < simt_state.threads; i++) {
        simt_fiber &fiber = simt_state.thread[i].fiber;
        // Each thread, one that did not come to its end too, is before the end of the launch.
        __tsan_switch_to_fiber(fiber.tsan, __tsan_switch_to_fiber_no_sync);
        simt_release(&simt_state.end);
        __tsan_switch_to_fiber(host, __tsan_switch_to_fiber_no_sync);
        if (simt_state.failed) start_anew(&fiber);
        pool[first_of_block + i] = fiber;
    }
}
#else
static unsigned fibers_made;

bool simt_make_fibers(unsigned count)
{
    if (count <= fibers_made) return true;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t step = stack_bytes + page;
    const size_t bytes = (count - fibers_made) * step + page;
    char *const memory = static_cast<char *>(
        mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (memory == MAP_FAILED) return false;
    for (unsigned i = fibers_made; i < count; i++) {
        simt_fiber &fiber = simt_state.thread[i].fiber;
        fiber.stack = memory + (i - fibers_made) * step + page;
        fiber.stack_bytes = stack_bytes;
        if (mprotect(fiber.stack, stack_bytes, PROT_READ | PROT_WRITE) != 0) return false;
        prepare(&fiber);
    }
    fibers_made = count;
    return true;
}

void simt_begin_fibers()
{
}

// After a failure all fibers start anew, wherever they were.
void simt_end_fibers()
{
    if (!simt_state.failed) return;
    for (unsigned i = 0; i < fibers_made; i++) {
        simt_fiber &fiber = simt_state.thread[i].fiber;
#if defined(SIMT_ASAN)
        __asan_unpoison_memory_region(fiber.stack, fiber.stack_bytes);
        fiber.fake_stack = nullptr;
#endif
        prepare(&fiber);
    }
}
#endif
