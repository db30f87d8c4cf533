// preference_ordinal, CPU: sixteen pairs side by side, by loops that the compiler turns into vectors.
//
// Logits within 100 temperatures of their maximum have exponentials between 2^-145 and 1, and terms of
// the shares that are 0 or above 2^-439: neither these nor their sums leave the range of binary64. So the
// numbers of preference_ordinal_levels.h need no powers of their own here: not to scale by powers of two
// changes no rounding. Only the logarithm wants to know the power that they would have ended with.
// Divisions by the sums are those of quotient.h, in its range. Pairs with other logits, without an
// admissible pair of levels or with a bad weight go through the general path.
#ifndef MERIT_PREFERENCE_ORDINAL_BLOCK_CPU_H
#define MERIT_PREFERENCE_ORDINAL_BLOCK_CPU_H

#include "../core/quotient.h"
#include "preference_ordinal.h"
#include "preference_words_cpu.h"

enum { ORDINAL_BLOCK = PREFERENCE_WORDS };

#define ORDINAL_NEAR (-100.0)
#define ORDINAL_INLINE static inline __attribute__((always_inline))

typedef double ordinal_row[ORDINAL_BLOCK]; // a value of each pair

// One side of the pairs.
typedef struct ordinal_side {
    float logit[MERIT_ORDINAL_MAX_LEVELS][ORDINAL_BLOCK];
    uint32_t grad[MERIT_ORDINAL_MAX_LEVELS][ORDINAL_BLOCK]; // words of logit_dtype
    ordinal_row e[MERIT_ORDINAL_MAX_LEVELS]; // e^((logit - max) / T)
    ordinal_row max, sum, reciprocal, mean;
    ordinal_row low, high; // region
} ordinal_side;

typedef struct ordinal_block {
    ordinal_side a, b;
    ordinal_row share, power, win, tie, lose, loss, t;
    int64_t near[ORDINAL_BLOCK]; // 1: the pair is done here
} ordinal_block;

// Reading -------------------------------------------------------------------------------------------

ORDINAL_INLINE void ordinal_read(const void *logits, int32_t dtype, int64_t at, int levels,
                                 int place, ordinal_side *s)
{
    for (int k = 0; k < levels; k++) {
        s->logit[k][place] = (float)m_load_real(logits, dtype, at + k);
    }
}

ORDINAL_INLINE void ordinal_max(int levels, ordinal_side *s)
{
    float max[ORDINAL_BLOCK];
    for (int l = 0; l < ORDINAL_BLOCK; l++) {
        max[l] = -m_inf32();
    }
    for (int k = 0; k < levels; k++) {
        for (int l = 0; l < ORDINAL_BLOCK; l++) {
            max[l] = s->logit[k][l] > max[l] ? s->logit[k][l] : max[l];
        }
    }
    for (int l = 0; l < ORDINAL_BLOCK; l++) {
        s->max[l] = (double)max[l];
    }
}

// 2^n, n an integer, abs(n) <= 1022.
ORDINAL_INLINE double ordinal_power(double n)
{
    return m_exp2_int64(m_rounded_int64(m_add64(n, MERIT_ROUND64)));
}

// e^((logit - max) / T) at level k, and its power. A NaN, infinite or far logit ends near.
ORDINAL_INLINE void ordinal_exp(int k, double temperature, ordinal_side *s, double *power,
                                int64_t *near)
{
    ordinal_row x;
    float hi[ORDINAL_BLOCK], lo[ORDINAL_BLOCK];
    for (int l = 0; l < ORDINAL_BLOCK; l++) {
        x[l] = m_sub64((double)s->logit[k][l], s->max[l]);
    }
    for (int l = 0; l < ORDINAL_BLOCK && temperature != 1.0; l++) {
        x[l] = m_div64(x[l], temperature);
    }
    for (int l = 0; l < ORDINAL_BLOCK; l++) {
        near[l] = x[l] >= ORDINAL_NEAR ? near[l] : 0;
    }
    for (int l = 0; l < ORDINAL_BLOCK; l++) {
        const merit_scaled_parts p = merit_scaled_reduce(x[l]);
        power[l] = p.n;
        hi[l] = p.r.hi;
        lo[l] = p.r.lo;
    }
    for (int l = 0; l < ORDINAL_BLOCK; l++) {
        const merit_pair32 r = {hi[l], lo[l]};
        const merit_pair32 e = m_exp_core(r);
        hi[l] = e.hi;
        lo[l] = e.lo;
    }
    for (int l = 0; l < ORDINAL_BLOCK; l++) {
        s->e[k][l] = m_mul64(m_add64((double)hi[l], (double)lo[l]), ordinal_power(power[l]));
    }
}

// Sums ----------------------------------------------------------------------------------------------

ORDINAL_INLINE void ordinal_clear(double *row)
{
    for (int l = 0; l < ORDINAL_BLOCK; l++) {
        row[l] = 0.0;
    }
}

// merit_ordinal_sums. A term that is 0 has no power.
ORDINAL_INLINE void ordinal_sums(const merit_preference_ordinal_args *args, ordinal_block *o)
{
    const double h = (double)args->d.tie_share;
    const double temperature = (double)args->d.temperature;
    ordinal_side *const a = &o->a;
    ordinal_side *const b = &o->b;
    ordinal_row below, below_power, power_a, power_b;
    double *const cleared[] = {a->sum, a->mean, b->sum,  b->mean, o->share,
                               o->win, o->tie,  o->lose, below};
    for (size_t n = 0; n < sizeof cleared / sizeof cleared[0]; n++) {
        ordinal_clear(cleared[n]);
    }
    for (int l = 0; l < ORDINAL_BLOCK; l++) {
        o->power[l] = -m_inf64();
        below_power[l] = -m_inf64();
    }
    double level = 0.0;
    for (int k = 0; k < args->d.num_levels; k++) {
        ordinal_exp(k, temperature, a, power_a, o->near);
        ordinal_exp(k, temperature, b, power_b, o->near);
        for (int l = 0; l < ORDINAL_BLOCK; l++) {
            const int in_a = (level >= a->low[l]) & (level <= a->high[l]);
            const int in_b = (level >= b->low[l]) & (level <= b->high[l]);
            const double own = in_b ? b->e[k][l] : 0.0;
            const double own_power = in_b ? power_b[l] : -m_inf64();
            const double tie_power = h == 0.0 ? -m_inf64() : own_power;
            const double beaten = m_add64(below[l], m_mul64(own, h));
            const double beaten_power = tie_power > below_power[l] ? tie_power : below_power[l];
            const double power = m_add64(power_a[l], beaten_power);
            const double term_power = in_a ? power : -m_inf64();
            o->share[l] = m_add64(o->share[l], in_a ? m_mul64(a->e[k][l], beaten) : 0.0);
            o->power[l] = term_power > o->power[l] ? term_power : o->power[l];
            below[l] = m_add64(below[l], own);
            below_power[l] = own_power > below_power[l] ? own_power : below_power[l];
        }
        for (int l = 0; l < ORDINAL_BLOCK && args->needs_order; l++) {
            o->win[l] = m_add64(o->win[l], m_mul64(a->e[k][l], b->sum[l]));
            o->lose[l] = m_add64(o->lose[l], m_mul64(b->e[k][l], a->sum[l]));
            o->tie[l] = m_add64(o->tie[l], m_mul64(a->e[k][l], b->e[k][l]));
        }
        for (int l = 0; l < ORDINAL_BLOCK && args->needs_mean; l++) {
            a->mean[l] = m_add64(a->mean[l], m_mul64(a->e[k][l], level));
            b->mean[l] = m_add64(b->mean[l], m_mul64(b->e[k][l], level));
        }
        for (int l = 0; l < ORDINAL_BLOCK; l++) {
            a->sum[l] = m_add64(a->sum[l], a->e[k][l]);
            b->sum[l] = m_add64(b->sum[l], b->e[k][l]);
        }
        level = m_add64(level, 1.0);
    }
}

ORDINAL_INLINE void ordinal_losses(ordinal_block *o)
{
    for (int l = 0; l < ORDINAL_BLOCK; l++) {
        o->near[l] = o->share[l] > 0.0 ? o->near[l] : 0;
        const merit_scaled a = {o->a.sum[l], 0.0};
        const merit_scaled b = {o->b.sum[l], 0.0};
        const merit_scaled share = {m_mul64(o->share[l], ordinal_power(-o->power[l])), o->power[l]};
        o->loss[l] = merit_scaled_log_ratio(a, b, share);
    }
}

// Gradients -----------------------------------------------------------------------------------------

// n / d for a quotient of quotient.h's range, reciprocal that of d.
ORDINAL_INLINE double ordinal_ratio(double n, double d, double reciprocal)
{
    const merit_divisor64 divisor = {d, reciprocal, 1};
    return m_quotient_unchecked64(n, divisor);
}

// One side: `own` against `other`, levels from first on by step. What `other` has in its region at the
// levels visited before, and h of the present one, is what an `own` level meets.
ORDINAL_INLINE void ordinal_gradients(const merit_preference_ordinal_args *args, int32_t dtype,
                                      const ordinal_block *o, ordinal_side *own,
                                      const ordinal_side *other, int first, int step)
{
    const double h = (double)args->d.tie_share;
    const double temperature = (double)args->d.temperature;
    const int levels = args->d.num_levels;
    ordinal_row met, share_reciprocal;
    for (int l = 0; l < ORDINAL_BLOCK; l++) {
        met[l] = 0.0;
        share_reciprocal[l] = m_div64(1.0, o->share[l]);
    }
    for (int n = 0, k = first; n < levels; n++, k += step) {
        const double level = (double)k;
        ordinal_row slope;
        for (int l = 0; l < ORDINAL_BLOCK; l++) {
            const int in_own = (level >= own->low[l]) & (level <= own->high[l]);
            const int in_other = (level >= other->low[l]) & (level <= other->high[l]);
            const double here = in_other ? other->e[k][l] : 0.0;
            const double meets = m_add64(met[l], m_mul64(here, h));
            const double term = in_own ? m_mul64(own->e[k][l], meets) : 0.0;
            const double given = ordinal_ratio(term, o->share[l], share_reciprocal[l]);
            const double p = ordinal_ratio(own->e[k][l], own->sum[l], own->reciprocal[l]);
            met[l] = m_add64(met[l], here);
            slope[l] = m_sub64(p, given);
        }
        for (int l = 0; l < ORDINAL_BLOCK && temperature != 1.0; l++) {
            slope[l] = m_div64(slope[l], temperature);
        }
        for (int l = 0; l < ORDINAL_BLOCK; l++) {
            slope[l] = slope[l] == 0.0 ? slope[l] : m_mul64(o->t[l], slope[l]);
        }
        preference_words(dtype, slope, own->grad[k]);
    }
}

ORDINAL_INLINE void ordinal_write_row(const merit_preference_ordinal_args *args, int32_t dtype,
                                      void *grad, int64_t at, int place, const ordinal_side *s)
{
    for (int k = 0; k < args->d.num_levels; k++) {
        preference_store_word(dtype, grad, at + k, s->grad[k][place]);
    }
}

// Blocks --------------------------------------------------------------------------------------------

// The outputs of a pair but its gradients.
ORDINAL_INLINE void ordinal_write_pair(const merit_preference_ordinal_args *args,
                                       const ordinal_block *o, int l, merit_ordinal_pair *p)
{
    p->sum_a.m = o->a.sum[l];
    p->sum_b.m = o->b.sum[l];
    p->mean_a.m = o->a.mean[l];
    p->mean_b.m = o->b.mean[l];
    p->win.m = o->win[l];
    p->tie.m = o->tie[l];
    p->lose.m = o->lose[l];
    p->loss = o->loss[l];
    merit_ordinal_write(args, p);
}

// Pairs [first, first + ORDINAL_BLOCK), those that this path is made for; near says which. scale:
// grad_scale / D.
ORDINAL_INLINE void ordinal_run_block(const merit_preference_ordinal_args *args, int32_t dtype,
                                      int64_t first, double scale, ordinal_block *o)
{
    const merit_preference_ordinal_io *const io = &args->io;
    const int levels = args->d.num_levels;
    merit_ordinal_pair pairs[ORDINAL_BLOCK];
    for (int l = 0; l < ORDINAL_BLOCK; l++) {
        merit_ordinal_pair *const p = &pairs[l];
        const int64_t i = first + l;
        const int wanted = merit_ordinal_begin(args, p, i) && p->weight > 0.0 &&
                           p->weight < m_inf64() && merit_ordinal_regions(args, p);
        o->near[l] = wanted;
        o->t[l] = m_mul64(scale, p->weight);
        o->a.low[l] = (double)p->low_a;
        o->a.high[l] = (double)p->high_a;
        o->b.low[l] = (double)p->low_b;
        o->b.high[l] = (double)p->high_b;
        if (wanted) {
            ordinal_read(io->chosen_logits, dtype, i * args->d.chosen_stride, levels, l, &o->a);
            ordinal_read(io->rejected_logits, dtype, i * args->d.rejected_stride, levels, l, &o->b);
        }
        for (int k = 0; k < levels && !wanted; k++) {
            o->a.logit[k][l] = 0.0f;
            o->b.logit[k][l] = 0.0f;
        }
    }
    ordinal_max(levels, &o->a);
    ordinal_max(levels, &o->b);
    ordinal_sums(args, o);
    ordinal_losses(o);
    for (int l = 0; l < ORDINAL_BLOCK; l++) {
        if (o->near[l]) ordinal_write_pair(args, o, l, &pairs[l]);
    }
    for (int l = 0; l < ORDINAL_BLOCK; l++) {
        o->a.reciprocal[l] = m_div64(1.0, o->a.sum[l]);
        o->b.reciprocal[l] = m_div64(1.0, o->b.sum[l]);
    }
    if (io->grad_chosen_logits != NULL) {
        ordinal_gradients(args, dtype, o, &o->a, &o->b, 0, 1);
        for (int l = 0; l < ORDINAL_BLOCK; l++) {
            if (!o->near[l]) continue;
            ordinal_write_row(args, dtype, io->grad_chosen_logits,
                              (first + l) * args->d.grad_chosen_stride, l, &o->a);
        }
    }
    if (io->grad_rejected_logits == NULL) return;
    ordinal_gradients(args, dtype, o, &o->b, &o->a, levels - 1, -1);
    for (int l = 0; l < ORDINAL_BLOCK; l++) {
        if (!o->near[l]) continue;
        ordinal_write_row(args, dtype, io->grad_rejected_logits,
                          (first + l) * args->d.grad_rejected_stride, l, &o->b);
    }
}

#endif
