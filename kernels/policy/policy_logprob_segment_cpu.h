// policy_logprob_forward, CPU: the sums of one segment of 2048 logits. Two passes over the segment in L1:
// the largest logit, by integer comparisons, then the weights. Bound by the arithmetic of 2^x.
#ifndef MERIT_POLICY_LOGPROB_SEGMENT_CPU_H
#define MERIT_POLICY_LOGPROB_SEGMENT_CPU_H

#include "../core/wide32_cpu.h"
#include "policy_logprob_row.h"

enum { SEGMENT_VECTORS = MERIT_LANES / WIDE32_WIDTH, SEGMENT_ROUNDS = MERIT_TILE / MERIT_LANES };

// Largest and smallest of a whole segment. *bad: NaN or +inf.
typedef struct segment_range {
    float max, min;
    int bad;
} segment_range;

// Words as integers that are ordered like the numbers they stand for.
#define ORDERED16(word) ((int16_t)((word) ^ (uint16_t)((int16_t)(word) >> 15 & 0x7fff)))
#define ORDERED32(word) ((int32_t)((word) ^ (uint32_t)((int32_t)(word) >> 31 & 0x7fffffff)))

static segment_range range_of_keys16(int16_t max, int16_t min, int bf16)
{
    const int16_t infinity = bf16 ? 0x7f80 : 0x7c00;
    const uint16_t top = (uint16_t)ORDERED16((uint16_t)max); // its own inverse
    const uint16_t bottom = (uint16_t)ORDERED16((uint16_t)min);
    segment_range r;
    r.bad = max >= infinity || min < (int16_t)(-infinity - 1);
    r.max = bf16 ? m_from_bf16(top) : m_from_f16(top);
    r.min = bf16 ? m_from_bf16(bottom) : m_from_f16(bottom);
    return r;
}

static segment_range range_of_words16(const uint16_t *words, int bf16)
{
    // As long as there are both signs, signed words have the largest number and unsigned ones the
    // smallest.
    int16_t signed_max = INT16_MIN;
    uint16_t unsigned_max = 0;
    for (int i = 0; i < MERIT_TILE; i++) {
        const int16_t word = (int16_t)words[i];
        signed_max = word > signed_max ? word : signed_max;
        unsigned_max = words[i] > unsigned_max ? words[i] : unsigned_max;
    }
    if (signed_max >= 0 && unsigned_max >= 0x8000u) {
        return range_of_keys16(signed_max, ORDERED16(unsigned_max), bf16);
    }
    int16_t max = INT16_MIN;
    int16_t min = INT16_MAX;
    for (int i = 0; i < MERIT_TILE; i++) {
        const int16_t key = ORDERED16(words[i]);
        max = key > max ? key : max;
        min = key < min ? key : min;
    }
    return range_of_keys16(max, min, bf16);
}

static segment_range range_of_words32(const float *x)
{
    int32_t max = INT32_MIN;
    int32_t min = INT32_MAX;
    for (int i = 0; i < MERIT_TILE; i++) {
        const int32_t key = ORDERED32(m_bits32(x[i]));
        max = key > max ? key : max;
        min = key < min ? key : min;
    }
    segment_range r;
    r.bad = max >= 0x7f800000 || min < -0x7f800000 - 1;
    r.max = m_from_bits32((uint32_t)ORDERED32((uint32_t)max));
    r.min = m_from_bits32((uint32_t)ORDERED32((uint32_t)min));
    return r;
}

static segment_range range_of(const void *logits, int32_t dtype)
{
    switch (dtype) {
    case MERIT_DTYPE_BF16: return range_of_words16(logits, 1);
    case MERIT_DTYPE_F16: return range_of_words16(logits, 0);
    default: return range_of_words32(logits);
    }
}

// m_exp2_p5_scaled
WIDE_INLINE wide32_f exp2_scaled(wide32_f f, wide32_f shifted)
{
    wide32_f p = wide32_splat(0x1.5fbaa2p-10f);
    p = wide32_fma(p, f, wide32_splat(0x1.3ced7p-7f));
    p = wide32_fma(p, f, wide32_splat(0x1.c6adaap-5f));
    p = wide32_fma(p, f, wide32_splat(0x1.ebf9b2p-3f));
    p = wide32_fma(p, f, wide32_splat(0x1.62e432p-1f));
    p = wide32_fma(p, f, wide32_splat(1.0f));
    return (wide32_f)((wide32_i)p + ((wide32_i)shifted << 23));
}

typedef struct vector_reference {
    wide32_f factor, shift, offset;
} vector_reference;

typedef struct vector_sums {
    wide32_f sum, moment, squares;
} vector_sums;

// Adds the weights of a vector of logits. clamp: some may be 0.
WIDE_INLINE void add_vector(const vector_reference *r, wide32_f x, int clamp, int level,
                            vector_sums *s)
{
    const wide32_f shifted = wide32_fma(x, r->factor, r->shift);
    const wide32_f whole = shifted - r->shift;
    wide32_f e = exp2_scaled(wide32_fma(x, r->factor, -whole), shifted);
    wide32_f y = wide32_splat(0.0f);
    if (clamp || level >= MERIT_LOGPROB_MOMENT) y = wide32_fma(x, r->factor, r->offset);
    if (clamp) {
        const wide32_i live = y >= wide32_splat(MERIT_LOGPROB_LOWEST);
        e = wide32_keep(live, e);
        y = wide32_keep(live, y);
    }
    s->sum += e;
    if (level >= MERIT_LOGPROB_MOMENT) s->moment = wide32_fma(e, y, s->moment);
    if (level >= MERIT_LOGPROB_SQUARES) s->squares = wide32_fma(e, e, s->squares);
}

// The sums of a whole segment, options being literals.
WIDE_INLINE void sum_segment(const void *logits, int32_t dtype, int clamp, int level,
                             const merit_logprob_reference *reference, merit_logprob_segment *s)
{
    const vector_reference r = {wide32_splat(reference->factor), wide32_splat(reference->shift),
                                wide32_splat(reference->offset)};
    const int pairs = dtype == MERIT_DTYPE_BF16; // two vectors at a time, by even and odd numbers
    const int vectors = pairs ? SEGMENT_VECTORS / 2 : SEGMENT_VECTORS;
    const vector_sums none = {wide32_splat(0.0f), wide32_splat(0.0f), wide32_splat(0.0f)};
    wide32_f sums[SEGMENT_VECTORS], moments[SEGMENT_VECTORS], squares[SEGMENT_VECTORS];
    for (int i = 0; i < vectors; i++) {
        vector_sums a = none;
        vector_sums b = none;
        for (int round = 0; round < SEGMENT_ROUNDS; round++) {
            const int at = round * MERIT_LANES + i * (MERIT_LANES / vectors);
            if (pairs) {
                wide32_f even, odd;
                wide32_load_bf16_pairs((const uint16_t *)logits + at, &even, &odd);
                add_vector(&r, even, clamp, level, &a);
                add_vector(&r, odd, clamp, level, &b);
            } else if (dtype == MERIT_DTYPE_F16) {
                add_vector(&r, wide32_load_f16((const uint16_t *)logits + at), clamp, level, &a);
            } else {
                add_vector(&r, wide32_load_f32((const float *)logits + at), clamp, level, &a);
            }
        }
        // the first level of the tree is that of the pairs
        sums[i] = pairs ? a.sum + b.sum : a.sum;
        moments[i] = pairs ? a.moment + b.moment : a.moment;
        squares[i] = pairs ? a.squares + b.squares : a.squares;
    }
    s->sum = wide32_fold(sums, vectors);
    if (level >= MERIT_LOGPROB_MOMENT) s->moment = wide32_fold(moments, vectors);
    if (level >= MERIT_LOGPROB_SQUARES) s->squares = wide32_fold(squares, vectors);
}

// One function per combination, so that each loop is compiled for its own.
#define SEGMENT_FUNCTION(name, dtype, clamp, level)                        \
    static void name(const void *logits, const merit_logprob_reference *r, \
                     merit_logprob_segment *s)                             \
    {                                                                      \
        sum_segment(logits, dtype, clamp, level, r, s);                    \
    }
#define SEGMENT_FUNCTIONS(name, dtype)                                 \
    SEGMENT_FUNCTION(name##_0, dtype, 0, MERIT_LOGPROB_SUM)            \
    SEGMENT_FUNCTION(name##_1, dtype, 0, MERIT_LOGPROB_MOMENT)         \
    SEGMENT_FUNCTION(name##_2, dtype, 0, MERIT_LOGPROB_SQUARES)        \
    SEGMENT_FUNCTION(name##_clamped_0, dtype, 1, MERIT_LOGPROB_SUM)    \
    SEGMENT_FUNCTION(name##_clamped_1, dtype, 1, MERIT_LOGPROB_MOMENT) \
    SEGMENT_FUNCTION(name##_clamped_2, dtype, 1, MERIT_LOGPROB_SQUARES)
SEGMENT_FUNCTIONS(sum_bf16, MERIT_DTYPE_BF16)
SEGMENT_FUNCTIONS(sum_f16, MERIT_DTYPE_F16)
SEGMENT_FUNCTIONS(sum_f32, MERIT_DTYPE_F32)

typedef void segment_function(const void *, const merit_logprob_reference *,
                              merit_logprob_segment *);

#define SEGMENT_ROW(name)                                        \
    {                                                            \
        {name##_0, name##_1, name##_2},                          \
        {                                                        \
            name##_clamped_0, name##_clamped_1, name##_clamped_2 \
        }                                                        \
    }

static segment_function *segment_sum(int32_t dtype, int clamp, int level)
{
    static segment_function *const table[3][2][3] = {SEGMENT_ROW(sum_bf16), SEGMENT_ROW(sum_f16),
                                                     SEGMENT_ROW(sum_f32)};
    const int type = dtype == MERIT_DTYPE_BF16 ? 0 : dtype == MERIT_DTYPE_F16 ? 1 : 2;
    return table[type][clamp][level];
}

// A whole segment of logits that enter as they are.
static merit_logprob_segment whole_segment(const void *logits, int32_t dtype, float factor,
                                           int level)
{
    const segment_range range = range_of(logits, dtype);
    merit_logprob_reference r;
    merit_logprob_segment s = merit_logprob_segment_of(range.max, range.bad);
    if (!merit_logprob_choose(range.max, factor, &r) || range.bad) return s;
    const int clamp = !(merit_logprob_exponent(&r, range.min) >= MERIT_LOGPROB_LOWEST);
    segment_sum(dtype, clamp, level)(logits, &r, &s);
    return s;
}

// Segment `tile` of a row over K (set 0) or every v (set 1).
static merit_logprob_segment segment_of_row(const merit_policy_logprob_forward_args *args,
                                            const merit_logprob_row *row, int64_t tile, int set)
{
    const merit_policy_logprob_desc *const d = &args->d;
    const int64_t first = tile * MERIT_TILE;
    const int64_t left = d->vocab_size - first;
    const int64_t bytes = d->dtype == MERIT_DTYPE_F32 ? 4 : 2;
    if (tile < args->plain_tiles) {
        return whole_segment((const char *)row->logits + first * bytes, d->dtype, row->factor,
                             args->level);
    }
    float logits[MERIT_TILE];
    for (int i = 0; i < MERIT_TILE; i++) {
        logits[i] = i < left ? merit_logprob_row_at(args, row, first + i, set == 0) : -m_inf32();
    }
    return whole_segment(logits, MERIT_DTYPE_F32, row->factor, args->level);
}

#endif
