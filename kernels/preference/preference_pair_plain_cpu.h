// preference_pair, CPU, the common case (merit_preference_pair_is_plain) at full speed: 256 pairs at a
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
    PLAIN_BLOCK = 32, // pairs that are worked on together: what the registers hold
    PLAIN_STREAM_PAIRS = 1 << 20, // gradients of as many do not fit a cache
    PLAIN_CACHE_LINE = 64
};

typedef struct preference_plain_chunk {
    float z[MERIT_LANES];
    float loss[MERIT_LANES];
    float gradient[MERIT_LANES]; // s(-z), then times the scale
} preference_plain_chunk;

typedef enum preference_plain_kind {
    PREFERENCE_PLAIN_NEAR, // abs(z) <= 80: m_logistic_near
    PREFERENCE_PLAIN_FAR,
    PREFERENCE_PLAIN_SPECIAL // NaN or infinity among the differences
} preference_plain_kind;

static preference_plain_kind preference_plain_read(const float *chosen, const float *rejected,
                                                   int count, preference_plain_chunk *c)
{
    uint32_t largest = 0; // the order of binary32 words without a sign is that of their values
    for (int i = 0; i < count; i++) {
        const float z = m_sub(chosen[i], rejected[i]);
        const uint32_t size = m_bits32(z) & 0x7fffffffu;
        c->z[i] = z;
        largest = size > largest ? size : largest;
    }
    if (largest >= 0x7f800000u) return PREFERENCE_PLAIN_SPECIAL;
    return largest <= m_bits32(80.0f) ? PREFERENCE_PLAIN_NEAR : PREFERENCE_PLAIN_FAR;
}

static inline void preference_plain_prefetch(const float *scores)
{
    for (int i = 0; i < PLAIN_BLOCK * (int)sizeof(float); i += PLAIN_CACHE_LINE) {
        __builtin_prefetch((const char *)scores + i, 0, 2);
    }
}

// A whole chunk of near differences. The next chunk of the scores is prefetched; reading past the end
// of the arrays that way is harmless.
static void preference_plain_near_chunk(const float *next_chosen, const float *next_rejected,
                                        preference_plain_chunk *c)
{
    for (int start = 0; start < MERIT_LANES; start += PLAIN_BLOCK) {
        preference_plain_prefetch(next_chosen + start);
        preference_plain_prefetch(next_rejected + start);
        for (int i = start; i < start + PLAIN_BLOCK; i++) {
            const merit_logistic l = m_logistic_near(-c->z[i]);
            c->loss[i] = l.softplus;
            c->gradient[i] = l.sigmoid;
        }
    }
}

static void preference_plain_any_chunk(preference_plain_chunk *c, int count)
{
    for (int i = 0; i < count; i++) {
        const merit_logistic l = m_logistic(-c->z[i]);
        c->loss[i] = l.softplus;
        c->gradient[i] = l.sigmoid;
    }
}

// Where the scale is a binary32, its products with slopes are exact in binary64: one rounding either
// way.
static void preference_plain_scale(double scale, int count, preference_plain_chunk *c)
{
    const float narrow = m_round32(scale);
    if (narrow == 1.0f && scale == 1.0) return;
    if ((double)narrow == scale) {
        for (int i = 0; i < count; i++) {
            c->gradient[i] = m_mul(narrow, c->gradient[i]);
        }
    } else {
        for (int i = 0; i < count; i++) {
            c->gradient[i] = m_round32(m_mul64(scale, (double)c->gradient[i]));
        }
    }
}

// gradients = gradient ^ sign, sign being 0 or the sign bit.
static void preference_plain_store(float *gradients, uint32_t sign, int count, int streams,
                                   const preference_plain_chunk *c)
{
    if (gradients == NULL) return;
#if defined(__AVX512F__)
    if (streams && count == MERIT_LANES && (uintptr_t)gradients % 64 == 0) {
        const __m512i flip = _mm512_set1_epi32((int)sign);
        for (int i = 0; i < MERIT_LANES; i += 16) {
            const __m512i word = _mm512_loadu_si512(c->gradient + i);
            _mm512_stream_si512((void *)(gradients + i), _mm512_xor_si512(word, flip));
        }
        return;
    }
#elif defined(__AVX__)
    if (streams && count == MERIT_LANES && (uintptr_t)gradients % 64 == 0) {
        const __m256 flip = _mm256_castsi256_ps(_mm256_set1_epi32((int)sign));
        for (int i = 0; i < MERIT_LANES; i += 8) {
            const __m256 word = _mm256_loadu_ps(c->gradient + i);
            _mm256_stream_ps(gradients + i, _mm256_xor_ps(word, flip));
        }
        return;
    }
#endif
    (void)streams;
    for (int i = 0; i < count; i++) {
        gradients[i] = m_from_bits32(m_bits32(c->gradient[i]) ^ sign);
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
