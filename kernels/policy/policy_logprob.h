// policy_logprob: the exponentials of a row of logits, segment by segment, and what is made of their sums.
//
// All in base 2: with c = log2(e) scale / temperature rounded to binary32, a logit x weighs 2^(x c), and
// every result is that of exact arithmetic with this c. A segment of 2048 logits has an integer reference
// exponent M, at least its largest x c, so that moving its sums to another reference is exact.
#ifndef MERIT_POLICY_LOGPROB_H
#define MERIT_POLICY_LOGPROB_H

#include "../core/counters.h"
#include "../core/exact.h"
#include "../core/float16.h"
#include "../core/lanes.h"
#include "policy_logprob_args.h"

#define MERIT_LOG2E64 0x1.71547652b82fep0
#define MERIT_LN2_64 0x1.62e42fefa39efp-1

// Logits ------------------------------------------------------------------------------------------

// c of a temperature. Under a soft cap the scale lies in cap_ratio.
MERIT_HD static inline float merit_logprob_factor(const merit_policy_logprob_desc *d,
                                                  float temperature)
{
    const double scale = d->soft_cap > 0.0f ? 1.0 : m_abs64((double)d->logit_scale);
    return m_round32(m_div64(m_mul64(MERIT_LOG2E64, scale), (double)temperature));
}

// A logit as the exponentials take it. Whatever the scale and the cap, -inf times a positive scale stays
// -inf and +inf stays +inf: the one is a mask, the other an error.
MERIT_HD static inline float merit_logprob_enter(const merit_policy_logprob_desc *d,
                                                 float cap_ratio, float x)
{
    const float turned = d->logit_scale < 0.0f ? -x : x;
    const int masked = turned == -m_inf32();
    const float scaled = d->logit_scale == 0.0f && !masked ? m_mul(turned, 0.0f) : turned;
    if (!(d->soft_cap > 0.0f) || m_abs32(scaled) == m_inf32()) return scaled;
    return m_mul(d->soft_cap, m_tanh(m_mul(scaled, cap_ratio)));
}

MERIT_HD static inline float merit_logprob_load(const void *logits, int32_t dtype, int64_t i)
{
    switch (dtype) {
    case MERIT_DTYPE_BF16: return m_from_bf16(((const uint16_t *)logits)[i]);
    case MERIT_DTYPE_F16: return m_from_f16(((const uint16_t *)logits)[i]);
    default: return ((const float *)logits)[i];
    }
}

// The target of row t among the logits here: -1 if it is not; *bad: nor with any other rank.
MERIT_HD static inline int64_t merit_logprob_target(const merit_policy_logprob_desc *d,
                                                    const void *targets, int64_t t, int *ignored,
                                                    int *bad)
{
    const int64_t target = d->target_dtype == MERIT_DTYPE_I32
                               ? (int64_t)((const int32_t *)targets)[t]
                               : ((const int64_t *)targets)[t];
    *ignored = target == d->ignore_index;
    *bad = !*ignored && (target < 0 || target >= d->vocab_total);
    const int here = !*bad && target >= d->vocab_begin && target - d->vocab_begin < d->vocab_size;
    return here ? target - d->vocab_begin : -1;
}

// Whether the sampler could have chosen v in row t.
MERIT_HD static inline int merit_logprob_keeps(const merit_policy_logprob_desc *d,
                                               const uint32_t *keep_mask, int64_t t, int64_t v)
{
    if (d->support != MERIT_LOGPROB_SUPPORT_MASK) return 1;
    return (keep_mask[t * d->ld_mask + v / 32] >> (v % 32) & 1u) != 0;
}

// Weights -----------------------------------------------------------------------------------------

// A reference exponent as the formulas below use it.
typedef struct merit_logprob_reference {
    float factor; // c
    float shift; // 1.5 2^23 - M, exact
    float offset; // -M
    int32_t exponent; // M
} merit_logprob_reference;

MERIT_HD static inline merit_logprob_reference merit_logprob_reference_at(float factor,
                                                                          int32_t exponent)
{
    merit_logprob_reference r;
    r.factor = factor;
    r.offset = -m_from_int32(exponent);
    r.shift = m_add(MERIT_ROUND32, r.offset);
    r.exponent = exponent;
    return r;
}

// M = ceil(max c). Returns 0 where abs(max c) is not below 2^22: the reference is of no use then.
MERIT_HD static inline int merit_logprob_choose(float max, float factor,
                                                merit_logprob_reference *reference)
{
    const float top = m_mul(max, factor);
    const float near = m_sub(m_add(top, MERIT_ROUND32), MERIT_ROUND32);
    const float above = near < top ? m_add(near, 1.0f) : near;
    reference->factor = factor;
    reference->offset = -above;
    reference->shift = m_sub(MERIT_ROUND32, above);
    reference->exponent = (int32_t)(m_bits32(MERIT_ROUND32) - m_bits32(reference->shift));
    return m_abs32(top) < 0x1p22f;
}

// y = x c - M.
MERIT_HD static inline float merit_logprob_exponent(const merit_logprob_reference *r, float x)
{
    return m_fma(x, r->factor, r->offset);
}

// 2^y for y >= -125: rounding to an integer takes M along, and the rest of the product is formed anew.
MERIT_HD static inline float merit_logprob_power(const merit_logprob_reference *r, float x)
{
    const float shifted = m_fma(x, r->factor, r->shift);
    const float whole = m_sub(shifted, r->shift);
    return m_exp2_p5_scaled(m_fma(x, r->factor, -whole), shifted);
}

#define MERIT_LOGPROB_LOWEST -125.0f

// The weight of a logit: 0 below y = -125.
MERIT_HD static inline float merit_logprob_weight(const merit_logprob_reference *r, float x)
{
    const float power = merit_logprob_power(r, x);
    return merit_logprob_exponent(r, x) < MERIT_LOGPROB_LOWEST ? 0.0f : power;
}

// Sums --------------------------------------------------------------------------------------------

MERIT_HD static inline merit_logprob_sums merit_logprob_sums_none(void)
{
    merit_logprob_sums s;
    s.sum = 0.0;
    s.moment = 0.0;
    s.squares = 0.0;
    s.exponent = INT32_MIN;
    s.tile = 0;
    s.max = -m_inf32();
    return s;
}

// A segment without weights. bad: a logit is NaN or +inf.
MERIT_HD static inline merit_logprob_segment merit_logprob_segment_of(float max, int bad)
{
    merit_logprob_segment s;
    s.max = bad ? m_nan32() : max;
    s.sum = bad ? m_nan32() : 0.0f;
    s.moment = 0.0f;
    s.squares = 0.0f;
    return s;
}

MERIT_HD static inline merit_logprob_sums
merit_logprob_sums_of(const merit_logprob_segment *segment, float factor, int64_t tile)
{
    merit_logprob_reference r;
    (void)merit_logprob_choose(segment->max, factor, &r);
    merit_logprob_sums s;
    s.sum = (double)segment->sum;
    s.moment = (double)segment->moment;
    s.squares = (double)segment->squares;
    s.exponent = segment->sum > 0.0f ? r.exponent : INT32_MIN;
    s.tile = (int32_t)tile;
    s.max = segment->max;
    return s;
}

// a 2^distance, distance <= 0, as good as 0 from -1000 down.
MERIT_HD static inline double merit_logprob_lower(double a, int64_t distance)
{
    return m_scale64(a, distance < -1000 ? -1000 : distance);
}

// Both sums under the larger exponent. Scaling is exact, and the moment moves with the reference.
MERIT_HD static inline merit_logprob_sums merit_logprob_sums_merge(merit_logprob_sums a,
                                                                   merit_logprob_sums b)
{
    const int later = b.max > a.max;
    const int32_t tile = later ? b.tile : a.tile;
    const float max = later ? b.max : a.max;
    merit_logprob_sums r = a.sum == 0.0 ? b : a;
    if (a.exponent == b.exponent) { // the same as below, where nothing moves
        r.sum = m_add64(a.sum, b.sum);
        r.moment = m_add64(a.moment, b.moment);
        r.squares = m_add64(a.squares, b.squares);
    } else if (a.sum != 0.0 && b.sum != 0.0) {
        r.exponent = a.exponent > b.exponent ? a.exponent : b.exponent;
        const int64_t of_a = (int64_t)a.exponent - r.exponent;
        const int64_t of_b = (int64_t)b.exponent - r.exponent;
        r.sum = m_add64(merit_logprob_lower(a.sum, of_a), merit_logprob_lower(b.sum, of_b));
        const double moment_a = m_add64(a.moment, m_mul64(a.sum, (double)of_a));
        const double moment_b = m_add64(b.moment, m_mul64(b.sum, (double)of_b));
        r.moment =
            m_add64(merit_logprob_lower(moment_a, of_a), merit_logprob_lower(moment_b, of_b));
        r.squares = m_add64(merit_logprob_lower(a.squares, 2 * of_a),
                            merit_logprob_lower(b.squares, 2 * of_b));
    }
    r.tile = tile;
    r.max = max;
    return r;
}

// The tree over segments, one at a time: as merit_tile_sum. 16384 of them, twice the most of a vocabulary.
typedef struct merit_logprob_stack {
    float factor;
    int32_t count;
    merit_logprob_sums level[15];
} merit_logprob_stack;

MERIT_HD static inline merit_logprob_stack merit_logprob_stack_empty(float factor)
{
    merit_logprob_stack stack;
    stack.factor = factor;
    stack.count = 0;
    return stack;
}

MERIT_HD static inline int merit_logprob_stack_depth(const merit_logprob_stack *stack)
{
    int depth = 0;
    for (int32_t bits = stack->count; bits != 0; bits &= bits - 1) {
        depth++;
    }
    return depth;
}

MERIT_HD static inline void merit_logprob_stack_push(merit_logprob_stack *stack,
                                                     merit_logprob_sums s)
{
    int depth = merit_logprob_stack_depth(stack);
    for (int32_t bits = stack->count; (bits & 1) != 0; bits >>= 1) {
        s = merit_logprob_sums_merge(stack->level[--depth], s);
    }
    stack->level[depth] = s;
    stack->count++;
}

MERIT_HD static inline merit_logprob_sums
merit_logprob_stack_finish(const merit_logprob_stack *stack)
{
    int depth = merit_logprob_stack_depth(stack);
    if (depth == 0) return merit_logprob_sums_none();
    merit_logprob_sums s = stack->level[--depth];
    while (depth > 0) {
        s = merit_logprob_sums_merge(stack->level[--depth], s);
    }
    return s;
}

#endif
