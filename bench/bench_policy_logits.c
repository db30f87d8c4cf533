#include <math.h>
#include <string.h>

#include "bench_policy_logits.h"
#include "movers.h"
#include "random.h"

size_t logits_bytes(const logits_shape *s)
{
    return (size_t)(s->tokens * s->vocab) * (s->dtype == LOGITS_F32 ? 4 : 2);
}

typedef struct generated {
    const logits_shape *s;
    void *logits;
} generated;

// The binary16 below a binary32 of magnitude up to 2^15, toward zero; 0 below the normal numbers.
static uint16_t half_word(uint32_t bits)
{
    const uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude < 0x38800000) return (uint16_t)sign;
    return (uint16_t)(sign | ((magnitude - 0x38000000) >> 13));
}

// Back again.
static uint32_t half_bits(uint16_t word)
{
    const uint32_t sign = (uint32_t)(word & 0x8000) << 16, magnitude = word & 0x7fff;
    return magnitude == 0 ? sign : sign | ((magnitude << 13) + 0x38000000);
}

static float value_of(const logits_shape *s, int64_t i)
{
    if (s->kind == LOGITS_FLAT) return 0;
    if (s->kind == LOGITS_PEAKED) {
        const int64_t row = i / s->vocab;
        const uint64_t peak = bench_random(s->seed + 2, (uint64_t)row) % (uint64_t)s->vocab;
        if ((uint64_t)(i - row * s->vocab) == peak) return 100;
    }
    return 3 * bench_normal(s->seed, (uint64_t)i);
}

static void generate(void *state, int64_t begin, int64_t end)
{
    const generated *const g = state;
    for (int64_t i = begin; i < end; i++) {
        const float value = value_of(g->s, i);
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        if (g->s->dtype == LOGITS_F32) {
            ((float *)g->logits)[i] = value;
        } else if (g->s->dtype == LOGITS_F16) {
            ((uint16_t *)g->logits)[i] = half_word(bits);
        } else {
            ((uint16_t *)g->logits)[i] = (uint16_t)(bits >> 16);
        }
    }
}

void logits_fill(const logits_shape *s, void *logits, int64_t *targets)
{
    generated state = {s, logits};
    bench_parallel(64, s->tokens * s->vocab, 64, generate, &state);
    for (int64_t t = 0; t < s->tokens; t++)
        targets[t] = (int64_t)(bench_random(s->seed + 1, (uint64_t)t) % (uint64_t)s->vocab);
}

float logits_at(const logits_shape *s, const void *logits, int64_t i)
{
    if (s->dtype == LOGITS_F32) return ((const float *)logits)[i];
    const uint16_t word = ((const uint16_t *)logits)[i];
    const uint32_t bits = s->dtype == LOGITS_F16 ? half_bits(word) : (uint32_t)word << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void logits_reference(const logits_shape *s, const void *logits, int64_t t, double *lse,
                      double *entropy)
{
    const int64_t first = t * s->vocab;
    double max = logits_at(s, logits, first), sum = 0, moment = 0;
    for (int64_t v = 1; v < s->vocab; v++)
        max = fmax(max, logits_at(s, logits, first + v));
    for (int64_t v = 0; v < s->vocab; v++) {
        const double z = logits_at(s, logits, first + v) - max, e = exp(z);
        sum += e;
        moment += e * z;
    }
    *lse = max + log(sum);
    *entropy = log(sum) - moment / sum;
}

bool logits_check(const logits_shape *s, const void *logits, const int64_t *targets,
                  const float *logprob, const float *entropy, bench_error *error)
{
    bool good = true;
    for (int64_t t = 0; t < s->tokens; t++) {
        double lse, expected;
        logits_reference(s, logits, t, &lse, &expected);
        const double x = logits_at(s, logits, t * s->vocab + targets[t]);
        good &= bench_check_f32(error, t, logprob[t], x - lse, 0.5, 1.5e-6 + 1.4e-8 * 40);
        if (entropy != NULL) {
            good &= bench_check_f32(error, t, entropy[t], expected, 0, 3e-6 * (1 + expected));
        }
    }
    return good;
}

void logits_naive(const logits_shape *s, const void *logits, int64_t t, float *lse, float *entropy)
{
    const int64_t first = t * s->vocab;
    float max = logits_at(s, logits, first), sum = 0, moment = 0;
    for (int64_t v = 1; v < s->vocab; v++) {
        const float x = logits_at(s, logits, first + v);
        max = x > max ? x : max;
    }
    if (entropy == NULL) {
        for (int64_t v = 0; v < s->vocab; v++)
            sum += expf(logits_at(s, logits, first + v) - max);
    } else {
        for (int64_t v = 0; v < s->vocab; v++) {
            const float z = logits_at(s, logits, first + v) - max, e = expf(z);
            sum += e;
            moment += e * z;
        }
        *entropy = logf(sum) - moment / sum;
    }
    *lse = max + logf(sum);
}
