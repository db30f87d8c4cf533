// Adding to the caller's diagnostics, from any number of threads.
#ifndef MERIT_CORE_COUNTERS_H
#define MERIT_CORE_COUNTERS_H

#include <merit/types.h>

#include "portable.h"

// diagnostics NULL: nothing. Integer additions commute, so the totals are deterministic.
MERIT_HD static inline void m_count(merit_diagnostics *diagnostics, int counter, uint64_t amount)
{
    if (diagnostics == NULL || amount == 0) return;
#if defined(__CUDA_ARCH__)
    atomicAdd((unsigned long long *)&diagnostics->count[counter], (unsigned long long)amount);
#else
    __atomic_fetch_add(&diagnostics->count[counter], amount, __ATOMIC_RELAXED);
#endif
}

#endif
