// Shared memory: one arena, each variable with a gap around it. Before every block the memory is 0xff
// (NaN, -1) and, with AddressSanitizer, everything but the variables is poisoned; after it, the gaps are
// looked at for what was written out of bounds.
#include "simt_executor.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { GAP = 64, ARENA = 320 * 1024, MAX_VARIABLES = 64 };

struct variable {
    const void *key;
    const char *name;
    size_t offset, bytes;
};

alignas(4096) static unsigned char arena[ARENA];
static variable variables[MAX_VARIABLES];
static unsigned num_variables;
static size_t used; // end of the last variable
static size_t filled = ARENA; // what may differ from 0xff
static size_t static_bytes;
static const char dynamic_key = 0;

static void poison(size_t offset, size_t bytes, bool on)
{
#if defined(SIMT_ASAN)
    if (on) {
        __asan_poison_memory_region(arena + offset, bytes);
    } else {
        __asan_unpoison_memory_region(arena + offset, bytes);
    }
#else
    (void)offset, (void)bytes, (void)on;
#endif
}

// Aligned to `alignment` and to nothing more: a wider access than the type allows is misaligned here
// as it may be on the device.
static void *place(const void *key, const char *name, size_t bytes, size_t alignment)
{
    const size_t offset = (used + 2 * GAP - 1) / GAP * GAP + alignment % GAP;
    variables[num_variables++] = {key, name, offset, bytes};
    used = offset + bytes;
    poison(offset, bytes, false);
    return arena + offset;
}

// ThreadSanitizer would take the accesses of two blocks for a race.
static void forget_accesses()
{
#if defined(SIMT_TSAN)
    if (mmap(arena, ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
             0) == MAP_FAILED) {
        abort();
    }
    filled = ARENA;
#endif
}

void simt_begin_shared()
{
    forget_accesses();
    poison(0, filled, false);
    memset(arena, 0xff, filled);
    poison(0, filled, true);
    num_variables = 0;
    used = 0;
    static_bytes = 0;
    place(&dynamic_key, "dynamic shared memory", simt_state.dynamic_bytes, 16);
    filled = used + GAP;
}

void simt_end_shared()
{
#if !defined(SIMT_ASAN)
    for (unsigned i = 0; i < num_variables; i++) {
        const size_t end = variables[i].offset + variables[i].bytes;
        const size_t next = i + 1 < num_variables ? variables[i + 1].offset : end + GAP;
        for (size_t at = end; at < next; at++) {
            if (arena[at] == 0xff) continue;
            simt_report(SIMT_WITHOUT_THREADS,
                        "shared memory was written out of bounds: %zu bytes past the end of %s",
                        at - end, variables[i].name);
            simt_state.failed = true;
            filled = ARENA;
            return;
        }
    }
#endif
}

size_t simt_static_shared_bytes()
{
    return static_bytes;
}

void *simt_dynamic_memory()
{
    return arena + variables[0].offset;
}

void *simt_shared_variable(const void *key, const char *name, size_t bytes, size_t alignment)
{
    for (unsigned i = 1; i < num_variables; i++) {
        if (variables[i].key == key) return arena + variables[i].offset;
    }
    static_bytes += bytes;
    if (num_variables == MAX_VARIABLES) simt_fail("has more than 63 shared variables");
    if (static_bytes > SIMT_SHARED_DEFAULT) {
        simt_fail("uses more than 48 KiB of static shared memory");
    }
    if (static_bytes + simt_state.dynamic_bytes > SIMT_SHARED_LIMIT) {
        simt_fail("uses more than 227 KiB of shared memory, static and dynamic together");
    }
    void *const memory = place(key, name, bytes, alignment);
    filled = used + GAP;
    return memory;
}
