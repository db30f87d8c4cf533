// preference_pair, CPU, the common case (merit_preference_pair_is_shifted) at full speed: 256 pairs at a
// time, one per lane of the canonical sum, by loops that the compiler turns into vectors. Gradients of
// large batches go past the cache, and the next scores are asked for while the present ones are worked
// on: one thread then computes for about as long as its memory takes. A chunk with a NaN or infinite
// difference goes through the general path before anything of it is written.
#ifndef MERIT_PREFERENCE_PAIR_PLAIN_CPU_H
#define MERIT_PREFERENCE_PAIR_PLAIN_CPU_H

#include "preference_pair.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

enum {
    PLAIN_BLOCK = 128, // pairs whose steps alternate with each other; a part of MERIT_LANES
    PLAIN_STREAM_PAIRS = 1 << 20, // gradients of as many do not fit a cache
    PLAIN_CACHE_LINE = 64,
    PLAIN_INPUTS = 4 // chosen, rejected, references of both
};

typedef struct preference_plain_chunk {
    float x[MERIT_LANES]; // -z
    float loss[MERIT_LANES];
    float gradient[MERIT_LANES]; // s(-z), then times the scale
} preference_plain_chunk;

typedef enum preference_plain_kind {
    PREFERENCE_PLAIN_NEAR, // abs(x) <= 80: m_logistic_near
    PREFERENCE_PLAIN_FAR,
    PREFERENCE_PLAIN_SPECIAL // NaN or infinity among the differences
} preference_plain_kind;

static preference_plain_kind preference_plain_read(const float *chosen, const float *rejected,
                                                   int count, preference_plain_chunk *c)
{
    uint32_t largest = 0; // the order of binary32 words without a sign is that of their values
    for (int i = 0; i < count; i++) {
        const float x = m_sub(rejected[i], chosen[i]);
        const uint32_t size = m_bits32(x) & 0x7fffffffu;
        c->x[i] = x;
        largest = size > largest ? size : largest;
    }
    if (largest >= 0x7f800000u) return PREFERENCE_PLAIN_SPECIAL;
    return largest <= m_bits32(80.0f) ? PREFERENCE_PLAIN_NEAR : PREFERENCE_PLAIN_FAR;
}

// x of pairs with references, a beta or a margin. What binary32 holds of z is decided as for any pair; from
// 2^127 on the general path decides.
static preference_plain_kind preference_plain_read_shifted(const merit_preference_pair_args *a,
                                                           int64_t start, int count,
                                                           preference_plain_chunk *c)
{
    const float *const chosen = (const float *)a->io.chosen + start;
    const float *const rejected = (const float *)a->io.rejected + start;
    const double beta = (double)a->d.beta;
    const double margin = (double)a->d.margin;
    uint32_t largest = 0;
    if (a->io.ref_chosen != NULL) {
        const float *const ref_chosen = a->io.ref_chosen + start;
        const float *const ref_rejected = a->io.ref_rejected + start;
        for (int i = 0; i < count; i++) {
            const double d = m_sub64(m_sub64((double)chosen[i], (double)ref_chosen[i]),
                                     m_sub64((double)rejected[i], (double)ref_rejected[i]));
            c->x[i] = -m_round32(m_sub64(m_mul64(beta, d), margin));
        }
    } else {
        for (int i = 0; i < count; i++) {
            const double d = m_sub64((double)chosen[i], (double)rejected[i]);
            c->x[i] = -m_round32(m_sub64(m_mul64(beta, d), margin));
        }
    }
    for (int i = 0; i < count; i++) {
        const uint32_t size = m_bits32(c->x[i]) & 0x7fffffffu;
        largest = size > largest ? size : largest;
    }
    if (largest >= m_bits32(0x1p127f)) return PREFERENCE_PLAIN_SPECIAL;
    return largest <= m_bits32(80.0f) ? PREFERENCE_PLAIN_NEAR : PREFERENCE_PLAIN_FAR;
}

static inline void preference_plain_prefetch(const float *scores)
{
    for (int i = 0; i < PLAIN_BLOCK * (int)sizeof(float); i += PLAIN_CACHE_LINE) {
        __builtin_prefetch((const char *)scores + i, 0, 3);
    }
}

static void preference_plain_any_chunk(preference_plain_chunk *c, int count)
{
    for (int i = 0; i < count; i++) {
        const merit_logistic l = m_logistic(c->x[i]);
        c->loss[i] = l.softplus;
        c->gradient[i] = l.sigmoid;
    }
}

// What slopes are multiplied with: by beta, then by the scale of the call, in binary64. Where the product of
// both is a binary32, that with a slope is exact in binary64, and one binary32 multiplication rounds the same.
typedef struct preference_plain_gain {
    double scale;
    double beta;
    float narrow;
    int is_narrow;
} preference_plain_gain;

static preference_plain_gain preference_plain_gain_of(double scale, double beta)
{
    preference_plain_gain g = {scale, beta, 0.0f, 0};
    const double product = m_mul64(scale, beta);
    g.narrow = m_round32(product);
    g.is_narrow = (double)g.narrow == product && m_fma64(scale, beta, -product) == 0.0 &&
                  (g.narrow == 0.0f || m_abs64(product) >= 0x1p-100);
    return g;
}

static inline void preference_plain_multiply(const preference_plain_gain *g, int count,
                                             float *gradient)
{
    const preference_plain_gain by = *g; // gradient may not change it
    if (by.is_narrow && by.narrow == 1.0f) return;
    if (by.is_narrow) {
        for (int i = 0; i < count; i++) {
            gradient[i] = m_mul(by.narrow, gradient[i]);
        }
    } else {
        for (int i = 0; i < count; i++) {
            gradient[i] = m_round32(m_mul64(by.scale, m_mul64(by.beta, (double)gradient[i])));
        }
    }
}

// Gradients to gradients[0 .. count), their signs turned where `sign` is the sign bit and not 0. Past
// the cache where `streams`: then count is a multiple of 16 and gradients is aligned.
static inline void preference_plain_store(float *gradients, uint32_t sign, int count, int streams,
                                          const float *from)
{
    if (gradients == NULL) return;
#if defined(__AVX512F__)
    const __m512i flip = _mm512_set1_epi32((int)sign);
    for (int i = 0; i < count && streams; i += 16) {
        const __m512i word = _mm512_loadu_si512(from + i);
        _mm512_stream_si512((void *)(gradients + i), _mm512_xor_si512(word, flip));
    }
    if (streams) return;
#elif defined(__AVX__)
    const __m256 flip = _mm256_castsi256_ps(_mm256_set1_epi32((int)sign));
    for (int i = 0; i < count && streams; i += 8) {
        const __m256 word = _mm256_loadu_ps(from + i);
        _mm256_stream_ps(gradients + i, _mm256_xor_ps(word, flip));
    }
    if (streams) return;
#endif
    (void)streams;
    for (int i = 0; i < count; i++) {
        gradients[i] = m_from_bits32(m_bits32(from[i]) ^ sign);
    }
}

// Where the gradients of a chunk go.
typedef struct preference_plain_target {
    float *chosen; // NULL: nowhere
    float *rejected;
    int streams;
} preference_plain_target;

static preference_plain_target preference_plain_target_at(const merit_preference_pair_args *a,
                                                          int64_t start, int count)
{
    preference_plain_target t;
    t.chosen = a->io.grad_chosen == NULL ? NULL : (float *)a->io.grad_chosen + start;
    t.rejected = a->io.grad_rejected == NULL ? NULL : (float *)a->io.grad_rejected + start;
    const uintptr_t places = (uintptr_t)t.chosen | (uintptr_t)t.rejected;
    t.streams = a->d.num_pairs >= PLAIN_STREAM_PAIRS && count == MERIT_LANES && places % 64 == 0;
    return t;
}

static void preference_plain_write(const preference_plain_target *t, int count,
                                   const preference_plain_chunk *c)
{
    preference_plain_store(t->chosen, 0x80000000u, count, t->streams, c->gradient);
    preference_plain_store(t->rejected, 0, count, t->streams, c->gradient);
}

// A whole chunk of near differences: losses into the lanes, gradients to their places, in blocks, so that the memory's part of one hides behind the arithmetic of the next.
// Two loops, because the operations of a pair form one long chain: a CPU looks ahead over some hundred
// operations, and half the chain at a time lets it work on twice as many pairs at once.
// The next chunk of the inputs is prefetched; past the end of the arrays that is harmless.
static void preference_plain_near_chunk(const float *const next[PLAIN_INPUTS],
                                        const preference_plain_gain *gain, double *lanes,
                                        const preference_plain_target *t, preference_plain_chunk *c)
{
    const preference_plain_target to = *t;
    const float first = gain->is_narrow ? gain->narrow : 1.0f;
    for (int start = 0; start < MERIT_LANES; start += PLAIN_BLOCK) {
        for (int k = 0; k < PLAIN_INPUTS && next[k] != NULL; k++) {
            preference_plain_prefetch(next[k] + start);
        }
        float t[PLAIN_BLOCK], t_lo[PLAIN_BLOCK];
        for (int i = 0; i < PLAIN_BLOCK; i++) {
            const merit_pair32 e = m_logistic_near_exp(c->x[start + i]);
            t[i] = e.hi;
            t_lo[i] = e.lo;
        }
        for (int i = start; i < start + PLAIN_BLOCK; i++) {
            const merit_logistic l = m_logistic_of(c->x[i], t[i - start], t_lo[i - start]);
            c->loss[i] = l.softplus;
            c->gradient[i] = m_mul(first, l.sigmoid);
        }
        if (!gain->is_narrow) preference_plain_multiply(gain, PLAIN_BLOCK, c->gradient + start);
        for (int i = start; i < start + PLAIN_BLOCK; i++) {
            lanes[i] = m_add64(lanes[i], (double)c->loss[i]);
        }
        preference_plain_store(to.chosen == NULL ? NULL : to.chosen + start, 0x80000000u,
                               PLAIN_BLOCK, to.streams, c->gradient + start);
        preference_plain_store(to.rejected == NULL ? NULL : to.rejected + start, 0, PLAIN_BLOCK,
                               to.streams, c->gradient + start);
    }
}

// After streaming stores: other threads see them behind what this one writes next.
static void preference_plain_fence(void)
{
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

#endif
