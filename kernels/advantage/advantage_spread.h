// advantage_spread: the arguments of its launchers and what both backends compute from them.
//
// Positions are cut into tiles. A tile finds the segments of its first and last position by
// bisection; in between, offsets that rise lead from one segment to the next.
#ifndef MERIT_ADVANTAGE_SPREAD_H
#define MERIT_ADVANTAGE_SPREAD_H

#include <merit/advantage.h>

#include "../core/counters.h"
#include "../core/load.h"

enum { MERIT_ADVANTAGE_SPREAD_TILE = 4096 }; // positions

typedef struct merit_advantage_spread_args {
    merit_advantage_spread_desc d; // group_stride resolved
    merit_advantage_spread_io io;
    uint64_t reciprocal; // floor((2^64 - 1) / group_stride) of a uniform layout
} merit_advantage_spread_args;

// Spans -------------------------------------------------------------------------------------------

typedef enum merit_advantage_spread_fate {
    MERIT_ADVANTAGE_SPREAD_ZERO = 0, // in no segment
    MERIT_ADVANTAGE_SPREAD_VALUE = 1,
    MERIT_ADVANTAGE_SPREAD_NAN = 2, // in a segment above max_size
    MERIT_ADVANTAGE_SPREAD_KEEP = 3 // in a bad segment: nothing is written
} merit_advantage_spread_fate;

// Positions [.., end) with one fate.
typedef struct merit_advantage_spread_span {
    int64_t end;
    int32_t fate;
    double value; // gain * values[n]
} merit_advantage_spread_span;

// What bisection of a tile found out.
typedef struct merit_advantage_spread_reach {
    int64_t low; // offsets[low] is at or before the first position; -1: none is
    int64_t high; // offsets[high] is after the last position; N + 1: none is
    int32_t rising; // the offsets between do not decrease
} merit_advantage_spread_reach;

// The n in [low, high) with offsets[n] <= position < offsets[n + 1]; -1 and N stand for the
// positions before and after all segments. It exists whenever the ends are as in a reach, however
// the offsets run between.
MERIT_HD static inline int64_t merit_advantage_spread_bisect(const int64_t *offsets, int64_t low,
                                                             int64_t high, int64_t position)
{
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        if (offsets[middle] <= position) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

// The fate of segment n of an offsets layout.
MERIT_HD static inline int32_t merit_advantage_spread_fate_of(const merit_advantage_spread_args *a,
                                                              int64_t n)
{
    const int64_t begin = a->d.segments.offsets[n];
    const int64_t end = a->d.segments.offsets[n + 1];
    if (!(0 <= begin && begin <= end && end <= a->d.num_tokens)) {
        return MERIT_ADVANTAGE_SPREAD_KEEP;
    }
    const int64_t most = a->d.segments.max_size;
    return most > 0 && end - begin > most ? MERIT_ADVANTAGE_SPREAD_NAN
                                          : MERIT_ADVANTAGE_SPREAD_VALUE;
}

MERIT_HD static inline double merit_advantage_spread_value(const merit_advantage_spread_args *a,
                                                           int64_t n)
{
    return m_mul64((double)a->d.gain, m_load_real(a->io.values, a->d.value_dtype, n));
}

// position / group_stride. The product misses the quotient by less than 2^-3, so its floor by at
// most 1, as position < 2^60. A 64-bit division is a subroutine on devices.
MERIT_HD static inline int64_t merit_advantage_spread_quotient(const merit_advantage_spread_args *a,
                                                               int64_t position)
{
#if defined(__CUDA_ARCH__)
    const int64_t q = (int64_t)__umul64hi((uint64_t)position, a->reciprocal);
#else
    __extension__ typedef unsigned __int128 wide;
    const int64_t q = (int64_t)((wide)(uint64_t)position * a->reciprocal >> 64);
#endif
    const int64_t rest = position - q * a->d.segments.group_stride;
    return rest >= a->d.segments.group_stride ? q + 1 : q;
}

MERIT_HD static inline merit_advantage_spread_span
merit_advantage_spread_uniform_span(const merit_advantage_spread_args *a, int64_t position)
{
    merit_advantage_spread_span span;
    const int64_t n = merit_advantage_spread_quotient(a, position);
    const int64_t begin = n * a->d.segments.group_stride;
    span.fate = MERIT_ADVANTAGE_SPREAD_ZERO;
    span.value = 0.0;
    if (n >= a->d.segments.num_groups) {
        span.end = a->d.num_tokens;
    } else if (position - begin >= a->d.segments.group_size) {
        span.end = begin + a->d.segments.group_stride;
    } else {
        span.fate = MERIT_ADVANTAGE_SPREAD_VALUE;
        span.end = begin + a->d.segments.group_size;
        span.value = merit_advantage_spread_value(a, n);
    }
    return span;
}

MERIT_HD static inline merit_advantage_spread_span
merit_advantage_spread_offsets_span(const merit_advantage_spread_args *a,
                                    merit_advantage_spread_reach reach, int64_t position)
{
    merit_advantage_spread_span span;
    const int64_t *const offsets = a->d.segments.offsets;
    const int64_t num = a->d.segments.num_groups;
    const int64_t n = merit_advantage_spread_bisect(offsets, reach.rising ? reach.low : -1,
                                                    reach.rising ? reach.high : num + 1, position);
    span.end = n == num ? a->d.num_tokens : offsets[n + 1];
    span.fate = MERIT_ADVANTAGE_SPREAD_ZERO;
    span.value = 0.0;
    if (n >= 0 && n < num) {
        span.fate = merit_advantage_spread_fate_of(a, n);
        if (span.fate == MERIT_ADVANTAGE_SPREAD_VALUE) {
            span.value = merit_advantage_spread_value(a, n);
        }
    }
    // Where offsets decrease, bisection may take another path at the next position.
    if (!reach.rising) span.end = position + 1;
    return span;
}

// The span that `position` is in, as far as it goes from there.
MERIT_HD static inline merit_advantage_spread_span
merit_advantage_spread_span_at(const merit_advantage_spread_args *a,
                               merit_advantage_spread_reach reach, int64_t position)
{
    if (a->d.segments.num_groups == 0) {
        merit_advantage_spread_span none;
        none.end = a->d.num_tokens;
        none.fate = MERIT_ADVANTAGE_SPREAD_ZERO;
        none.value = 0.0;
        return none;
    }
    if (a->d.segments.group_size > 0) return merit_advantage_spread_uniform_span(a, position);
    return merit_advantage_spread_offsets_span(a, reach, position);
}

// Adds what segment n has to say to the counters: a segment is counted once, by whoever owns n.
MERIT_HD static inline void merit_advantage_spread_check(const merit_advantage_spread_args *a,
                                                         int64_t n, uint64_t *bad,
                                                         uint64_t *too_large)
{
    const int32_t fate = merit_advantage_spread_fate_of(a, n);
    *bad += fate == MERIT_ADVANTAGE_SPREAD_KEEP;
    *too_large += fate == MERIT_ADVANTAGE_SPREAD_NAN;
}

// Tokens ------------------------------------------------------------------------------------------

// The bits of out[token]: a binary32 or a bf16 word.
MERIT_HD static inline uint32_t merit_advantage_spread_word(const merit_advantage_spread_args *a,
                                                            int32_t fate, double value,
                                                            int64_t token)
{
    const int is_bf16 = a->d.out_dtype == MERIT_DTYPE_BF16;
    if (fate == MERIT_ADVANTAGE_SPREAD_ZERO) return 0;
    if (a->io.mask != NULL && a->io.mask[token] == 0) return 0;
    if (fate == MERIT_ADVANTAGE_SPREAD_NAN) return is_bf16 ? MERIT_BF16_NAN : m_bits32(m_nan32());
    const double sum = a->io.add == NULL ? value : m_add64(value, (double)a->io.add[token]);
    return is_bf16 ? m_to_bf16_64(sum) : m_bits32(m_canonical32(m_round32(sum)));
}

MERIT_HD static inline void merit_advantage_spread_store(const merit_advantage_spread_args *a,
                                                         int64_t token, uint32_t word)
{
    if (a->d.out_dtype == MERIT_DTYPE_BF16) {
        ((uint16_t *)a->io.out)[token] = (uint16_t)word;
    } else {
        ((float *)a->io.out)[token] = m_from_bits32(word);
    }
}

// The token at a position; -1 when its index entry is out of range.
MERIT_HD static inline int64_t merit_advantage_spread_token(const merit_advantage_spread_args *a,
                                                            int64_t position)
{
    if (a->d.segments.index == NULL) return position;
    const int64_t token = a->d.segments.index[position];
    return token >= 0 && token < a->d.num_tokens ? token : -1;
}

#endif
