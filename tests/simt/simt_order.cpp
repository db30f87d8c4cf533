// What orders memory between blocks, for ThreadSanitizer: a fence, an atomic access after it, an atomic
// access by another thread that sees it, a fence after that.
//
// An atomic access of a thread that has fenced releases its address; a fence acquires the addresses that
// its block has accessed (those of the whole block: the thread that took the ticket hands the rest of the
// block on by a barrier). Approximate where a thread writes between its fence and its atomic access:
// such a write counts as ordered.
#include "simt_executor.h"

#if defined(SIMT_TSAN)
void simt_fence()
{
    simt_executor &s = simt_state;
    simt_self()->fenced = true;
    for (unsigned i = 0; i < SIMT_SEEN && s.seen[i] != nullptr; i++) {
        simt_acquire(const_cast<void *>(s.seen[i]));
    }
}

void simt_before_atomic(const void *at)
{
    if (simt_self()->fenced) simt_release(const_cast<void *>(at));
}

void simt_after_atomic(const void *at)
{
    simt_executor &s = simt_state;
    for (unsigned i = 0; i < SIMT_SEEN && s.seen[i] != nullptr; i++) {
        if (s.seen[i] == at) return;
    }
    s.seen[s.num_seen++ % SIMT_SEEN] = at;
}
#else
void simt_fence()
{
    asm volatile("" ::: "memory");
}
#endif

// Whatever ran before has come to its end, so looking again would show the same.
void simt_look_again()
{
    simt_fail("waits for a block that has not run");
}
