// policy_logprob_forward, CPU: the sums of one segment of 2048 logits. The largest logit, by integer
// comparisons beside the sums of an earlier segment, then the weights. Bound by the arithmetic of 2^x.
#ifndef MERIT_POLICY_LOGPROB_SEGMENT_CPU_H
#define MERIT_POLICY_LOGPROB_SEGMENT_CPU_H

#include "../core/wide32_cpu.h"
#include "policy_logprob_row.h"
#include "policy_logprob_words_cpu.h"

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

// The largest word of a segment, as a signed and as an unsigned number: as long as there are both signs, the
// one is the largest number and the other the smallest.
typedef struct word_extremes {
    int16_t signed_max;
    uint16_t unsigned_max;
} word_extremes;

static word_extremes extremes_of_vectors(wide16_i signed_max, wide16_i unsigned_max)
{
    word_extremes e = {INT16_MIN, 0};
    for (int i = 0; i < 2 * WIDE32_WIDTH; i++) {
        const uint16_t word = (uint16_t)unsigned_max[i];
        e.signed_max = signed_max[i] > e.signed_max ? signed_max[i] : e.signed_max;
        e.unsigned_max = word > e.unsigned_max ? word : e.unsigned_max;
    }
    return e;
}

static word_extremes extremes_of(const uint16_t *words)
{
    wide16_i signed_max = wide16_load(words);
    wide16_i unsigned_max = signed_max;
    for (int i = 0; i < MERIT_TILE; i += 2 * WIDE32_WIDTH) {
        const wide16_i w = wide16_load(words + i);
        signed_max = wide16_max_signed(signed_max, w);
        unsigned_max = wide16_max_unsigned(unsigned_max, w);
    }
    return extremes_of_vectors(signed_max, unsigned_max);
}

static segment_range range_of_words16(const uint16_t *words, int bf16, word_extremes e)
{
    if (e.signed_max >= 0 && e.unsigned_max >= 0x8000u) {
        return range_of_keys16(e.signed_max, ORDERED16(e.unsigned_max), bf16);
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

typedef struct vector_reference {
    wide32_f factor, shift, offset;
} vector_reference;

typedef struct vector_sums {
    wide32_f sum, moment, squares;
} vector_sums;

enum { ABREAST = 4 }; // vectors whose chains of operations run side by side

// Adds the weights of vectors of logits, step by step for all of them, so that the scheduler of the processor
// finds independent operations. clamp: some may be 0.
WIDE_INLINE void add_vectors(const vector_reference *r, const wide32_f *x, int clamp, int level,
                             vector_sums *s)
{
    // m_exp2_p5_core
    static const float coefficients[] = {0x1.5fbaa2p-10f, 0x1.3ced7p-7f,  0x1.c6adaap-5f,
                                         0x1.ebf9b2p-3f,  0x1.62e432p-1f, 1.0f};
    wide32_f shifted[ABREAST], f[ABREAST], e[ABREAST];
    for (int i = 0; i < ABREAST; i++) {
        shifted[i] = wide32_fma(x[i], r->factor, r->shift);
    }
    for (int i = 0; i < ABREAST; i++) {
        f[i] = wide32_fma(x[i], r->factor, -(shifted[i] - r->shift));
    }
    for (int i = 0; i < ABREAST; i++) {
        e[i] = wide32_splat(coefficients[0]);
    }
    for (int k = 1; k < 6; k++) {
        for (int i = 0; i < ABREAST; i++) {
            e[i] = wide32_fma(e[i], f[i], wide32_splat(coefficients[k]));
        }
    }
    for (int i = 0; i < ABREAST; i++) {
        e[i] = (wide32_f)((wide32_u)e[i] + ((wide32_u)shifted[i] << 23)); // m_exp2_p5_scaled
    }
    for (int i = 0; i < ABREAST; i++) {
        wide32_f y = wide32_splat(0.0f);
        if (clamp || level >= MERIT_LOGPROB_MOMENT) y = wide32_fma(x[i], r->factor, r->offset);
        if (clamp) {
            const wide32_i live = y >= wide32_splat(MERIT_LOGPROB_LOWEST);
            e[i] = wide32_keep(live, e[i]);
            y = wide32_keep(live, y);
        }
        s[i].sum += e[i];
        if (level >= MERIT_LOGPROB_MOMENT) s[i].moment = wide32_fma(e[i], y, s[i].moment);
        if (level >= MERIT_LOGPROB_SQUARES) s[i].squares = wide32_fma(e[i], e[i], s[i].squares);
    }
}

// The sums of a whole segment, options being literals. Meanwhile *e gets the extremes of the 16-bit words of a
// later one: comparisons cost nothing beside multiplications.
WIDE_INLINE void sum_segment(const void *logits, int32_t dtype, int clamp, int level,
                             const merit_logprob_reference *reference, merit_logprob_segment *s,
                             const void *later, word_extremes *extremes)
{
    const vector_reference r = {wide32_splat(reference->factor), wide32_splat(reference->shift),
                                wide32_splat(reference->offset)};
    const int bytes = dtype == MERIT_DTYPE_F32 ? 4 : 2;
    const int pairs = dtype == MERIT_DTYPE_BF16; // two vectors of a read, by even and odd numbers
    const int vectors = pairs ? SEGMENT_VECTORS / 2 : SEGMENT_VECTORS; // below the first level then
    const vector_sums none = {wide32_splat(0.0f), wide32_splat(0.0f), wide32_splat(0.0f)};
    const int words = dtype != MERIT_DTYPE_F32;
    wide16_i signed_max = {0};
    wide16_i unsigned_max = {0};
    if (words) signed_max = unsigned_max = wide16_load(later);
    wide32_f sums[SEGMENT_VECTORS], moments[SEGMENT_VECTORS], squares[SEGMENT_VECTORS];
    for (int first = 0; first < SEGMENT_VECTORS; first += ABREAST) {
        vector_sums lanes[ABREAST];
        for (int i = 0; i < ABREAST; i++) {
            lanes[i] = none;
        }
        for (int round = 0; round < SEGMENT_ROUNDS; round++) {
            const int at = round * MERIT_LANES + first * WIDE32_WIDTH;
            // No hardware prefetcher crosses a page, and a segment of bf16 is one. Four ahead: 23.5 GB/s,
            // three 21.9, none 17 (an EPYC with AVX-512, one thread, 45 GB/s to read).
            const uintptr_t ahead = (uintptr_t)logits + (uintptr_t)(4 * MERIT_TILE * bytes) +
                                    (uintptr_t)(first * SEGMENT_ROUNDS + ABREAST * round) *
                                        (uintptr_t)(WIDE32_WIDTH * bytes);
            for (int line = 0; line < ABREAST * WIDE32_WIDTH * bytes; line += 64) {
                __builtin_prefetch((const void *)(ahead + (uintptr_t)line));
            }
            wide32_f x[ABREAST];
            for (int i = 0; i < ABREAST; i += 1 + pairs) {
                const int from = at + i * WIDE32_WIDTH;
                if (pairs) {
                    wide32_load_bf16_pairs((const uint16_t *)logits + from, &x[i], &x[i + 1]);
                } else if (dtype == MERIT_DTYPE_F16) {
                    x[i] = wide32_load_f16((const uint16_t *)logits + from);
                } else {
                    x[i] = wide32_load_f32((const float *)logits + from);
                }
            }
            for (int i = 0; words && i < ABREAST; i += 2) {
                const wide16_i w = wide16_load((const uint16_t *)later + at + i * WIDE32_WIDTH);
                signed_max = wide16_max_signed(signed_max, w);
                unsigned_max = wide16_max_unsigned(unsigned_max, w);
            }
            add_vectors(&r, x, clamp, level, lanes);
        }
        for (int i = 0; i < ABREAST; i += 1 + pairs) {
            const int to =
                (first + i) / (1 + pairs); // the first level of the tree is that of the pairs
            sums[to] = pairs ? lanes[i].sum + lanes[i + 1].sum : lanes[i].sum;
            moments[to] = pairs ? lanes[i].moment + lanes[i + 1].moment : lanes[i].moment;
            squares[to] = pairs ? lanes[i].squares + lanes[i + 1].squares : lanes[i].squares;
        }
    }
    if (words) *extremes = extremes_of_vectors(signed_max, unsigned_max);
    s->sum = wide32_fold(sums, vectors);
    if (level >= MERIT_LOGPROB_MOMENT) s->moment = wide32_fold(moments, vectors);
    if (level >= MERIT_LOGPROB_SQUARES) s->squares = wide32_fold(squares, vectors);
}

// One function per combination, so that each loop is compiled for its own.
#define SEGMENT_FUNCTION(name, dtype, clamp, level)                                        \
    static void name(const void *logits, const merit_logprob_reference *r,                 \
                     merit_logprob_segment *s, const void *later, word_extremes *extremes) \
    {                                                                                      \
        sum_segment(logits, dtype, clamp, level, r, s, later, extremes);                   \
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

typedef void segment_function(const void *logits, const merit_logprob_reference *r,
                              merit_logprob_segment *s, const void *later, word_extremes *extremes);

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

// A whole segment of logits that enter as they are, before its weights are summed.
typedef struct segment_plan {
    const void *logits;
    segment_range range;
    merit_logprob_reference reference;
    int wanted; // it has weights
} segment_plan;

static segment_plan plan_of_range(const void *logits, segment_range range, float factor)
{
    segment_plan p = {.logits = logits, .range = range};
    p.wanted = merit_logprob_choose(range.max, factor, &p.reference) && !range.bad;
    return p;
}

// e: NULL, or the extremes of its words.
static segment_plan plan_segment(const void *logits, int32_t dtype, float factor,
                                 const word_extremes *e)
{
    if (dtype == MERIT_DTYPE_F32) return plan_of_range(logits, range_of_words32(logits), factor);
    const segment_range range =
        range_of_words16(logits, dtype == MERIT_DTYPE_BF16, e != NULL ? *e : extremes_of(logits));
    return plan_of_range(logits, range, factor);
}

// Returns whether *e has the extremes of `later`.
static int run_plan(const segment_plan *p, int32_t dtype, int level, merit_logprob_segment *s,
                    const void *later, word_extremes *e)
{
    *s = merit_logprob_segment_of(p->range.max, p->range.bad);
    if (!p->wanted) return 0;
    const int clamp =
        !(merit_logprob_exponent(&p->reference, p->range.min) >= MERIT_LOGPROB_LOWEST);
    segment_sum(dtype, clamp, level)(p->logits, &p->reference, s, later, e);
    return dtype != MERIT_DTYPE_F32;
}

// A segment of up to MERIT_LANES logits, one to a lane: without the lanes that stay empty.
static merit_logprob_segment short_segment(const float *logits, int count, float factor, int level)
{
    float sums[MERIT_LANES], moments[MERIT_LANES], squares[MERIT_LANES];
    float max = -m_inf32();
    int bad = 0;
    for (int i = 0; i < count; i++) {
        const float x = logits[i];
        bad |= !(x < m_inf32());
        max = x > max ? x : max;
    }
    merit_logprob_reference r;
    merit_logprob_segment s = merit_logprob_segment_of(max, bad);
    if (!merit_logprob_choose(max, factor, &r) || bad) return s;
    const int width = merit_tile_width(count);
    for (int i = 0; i < count; i++) {
        const float exponent = merit_logprob_exponent(&r, logits[i]);
        const int live = exponent >= MERIT_LOGPROB_LOWEST; // NaN is that of -inf under a scale of 0
        const float power = merit_logprob_power(&r, logits[i]);
        const float e = live ? power : 0.0f;
        const float y = live ? exponent : 0.0f;
        sums[i] = e;
        moments[i] = m_fma(e, y, 0.0f);
        squares[i] = m_fma(e, e, 0.0f);
    }
    for (int i = count; i < width; i++) {
        sums[i] = 0.0f;
        moments[i] = 0.0f;
        squares[i] = 0.0f;
    }
    s.sum = merit_lanes_fold32(sums, width);
    if (level >= MERIT_LOGPROB_MOMENT) s.moment = merit_lanes_fold32(moments, width);
    if (level >= MERIT_LOGPROB_SQUARES) s.squares = merit_lanes_fold32(squares, width);
    return s;
}

// Segment `tile` of a row over K (set 0) or every v (set 1), under every option.
static merit_logprob_segment any_segment(const merit_policy_logprob_forward_args *args,
                                         const merit_logprob_row *row, int64_t tile, int set)
{
    const merit_policy_logprob_desc *const d = &args->d;
    const int64_t first = tile * MERIT_TILE;
    const int64_t left = d->vocab_size - first;
    const int count = left < MERIT_TILE ? (int)left : MERIT_TILE;
    const float cap_ratio = row->cap_ratio;
    float logits[MERIT_TILE];
    logits_widen(row->logits, d->dtype, first, count, logits);
    if (d->soft_cap > 0.0f || !(d->logit_scale > 0.0f)) {
        for (int i = 0; i < count; i++) {
            logits[i] = merit_logprob_enter(d, cap_ratio, logits[i]);
        }
    }
    if (set == 0 && d->support == MERIT_LOGPROB_SUPPORT_MASK) {
        for (int i = 0; i < count; i++) {
            const int kept = merit_logprob_keeps(d, args->io.keep_mask, row->index, first + i);
            logits[i] = kept ? logits[i] : -m_inf32();
        }
    }
    if (count <= MERIT_LANES) return short_segment(logits, count, row->factor, args->level);
    for (int i = count; i < MERIT_TILE; i++) {
        logits[i] = -m_inf32();
    }
    const segment_plan plan = plan_segment(logits, MERIT_DTYPE_F32, row->factor, NULL);
    merit_logprob_segment s;
    word_extremes unused;
    run_plan(&plan, MERIT_DTYPE_F32, args->level, &s, logits, &unused);
    return s;
}

// Segments [begin, end) of a row to take(state, tile, segment). While the weights of one are summed, the second
// one behind it is searched for its largest logit, so that no segment waits for the last steps of another.
typedef void segment_taker(void *state, int64_t tile, const merit_logprob_segment *segment);

WIDE_INLINE void segments_of_row(const merit_policy_logprob_forward_args *args,
                                 const merit_logprob_row *row, int set, int64_t begin, int64_t end,
                                 segment_taker *take, void *state)
{
    const int32_t dtype = args->d.dtype;
    const int64_t bytes = MERIT_TILE * (dtype == MERIT_DTYPE_F32 ? 4 : 2);
    const char *const logits = row->logits;
    const int64_t plain = end < args->plain_tiles ? end : args->plain_tiles;
    const int64_t last = plain - 1;
    int64_t tile = begin;
    if (tile < plain) {
        const int64_t second = tile < last ? tile + 1 : last;
        segment_plan plan = plan_segment(logits + tile * bytes, dtype, row->factor, NULL);
        segment_plan next = plan_segment(logits + second * bytes, dtype, row->factor, NULL);
        for (; tile < plain; tile++) {
            const int64_t third = tile + 2 < plain ? tile + 2 : last;
            const char *const later = logits + third * bytes;
            merit_logprob_segment s;
            word_extremes e;
            const int found = run_plan(&plan, dtype, args->level, &s, later, &e);
            plan = next;
            if (tile + 2 < plain) {
                next = plan_segment(later, dtype, row->factor, found ? &e : NULL);
            }
            take(state, tile, &s);
        }
    }
    for (; tile < end; tile++) {
        const merit_logprob_segment s = any_segment(args, row, tile, set);
        take(state, tile, &s);
    }
}

#endif
