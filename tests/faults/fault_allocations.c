// Allocations of the program and of the static library in it, counted and made to fail by --wrap.
#include <errno.h>
#include <stddef.h>

#include "fault_runtime.h"

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
int __real_posix_memalign(void **memory, size_t alignment, size_t bytes);
void __real_free(void *memory);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t bytes);
void __wrap_free(void *memory);

static uint64_t failing;
static uint64_t count;
static int64_t live;

void fault_arm_allocations(uint64_t k)
{
    failing = k;
    count = 0;
    live = 0;
}

uint64_t fault_allocations(void)
{
    return count;
}

int64_t fault_live_allocations(void)
{
    return live;
}

static int fails(void)
{
    return ++count == failing;
}

static void *keep(void *memory)
{
    live += memory != NULL;
    return memory;
}

void *__wrap_malloc(size_t bytes)
{
    return fails() ? NULL : keep(__real_malloc(bytes));
}

void *__wrap_calloc(size_t elements, size_t bytes)
{
    return fails() ? NULL : keep(__real_calloc(elements, bytes));
}

void *__wrap_realloc(void *memory, size_t bytes)
{
    if (fails()) return NULL;
    live -= memory != NULL;
    return keep(__real_realloc(memory, bytes));
}

int __wrap_posix_memalign(void **memory, size_t alignment, size_t bytes)
{
    if (fails()) return ENOMEM;
    const int code = __real_posix_memalign(memory, alignment, bytes);
    live += code == 0;
    return code;
}

void __wrap_free(void *memory)
{
    live -= memory != NULL;
    __real_free(memory);
}
