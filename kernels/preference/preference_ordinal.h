// preference_ordinal: the formulas of one pair. Levels are visited in rising order (falling for what
// lies above), by one thread.
//
//   A = sum of e^(a_i), B = sum of e^(b_j)    S A B = sum over i in R_c of e^(a_i) (sum over j < i in R_r
//   of e^(b_j) + h [i in R_r] e^(b_i))
//
// with the maxima of both sides taken out.
#ifndef MERIT_PREFERENCE_ORDINAL_H
#define MERIT_PREFERENCE_ORDINAL_H

#include "../core/counters.h"
#include "../core/load.h"
#include "preference_ordinal_args.h"
#include "preference_ordinal_levels.h"

// One pair. Logits are binary32 words, which the gradients, as words of logit_dtype, take the place of.
typedef struct merit_ordinal_pair {
    uint32_t *a; // [K] chosen
    uint32_t *b; // [K] rejected
    uint32_t *spare; // [K] scratch: gets the gradient of rejected
    int64_t index;
    double weight;
    int32_t low_a, high_a, low_b, high_b; // regions, inclusive
    double max_a, max_b;
    merit_scaled sum_a, sum_b; // A, B
    merit_scaled share; // S A B
    merit_scaled win, tie, lose; // of A B
    merit_scaled mean_a, mean_b; // sums of level * e^logit
    double loss;
    int32_t valid;
    int32_t absent; // nothing to read: +0 in every output
    int32_t invalid; // NaN
    int32_t lost; // win, tie and mean are NaN, too
} merit_ordinal_pair;

// What of a pair can be told without its logits. Returns 1 if they are wanted.
MERIT_HD static inline int merit_ordinal_begin(const merit_preference_ordinal_args *args,
                                               merit_ordinal_pair *p, int64_t i)
{
    const merit_preference_ordinal_io *const io = &args->io;
    p->index = i;
    p->valid = io->mask == NULL || io->mask[i] != 0;
    p->weight = !p->valid || io->weights == NULL ? 1.0 : (double)io->weights[i];
    p->absent = !p->valid || p->weight == 0.0;
    p->invalid = 0;
    p->lost = 0;
    p->loss = 0.0;
    p->low_a = p->low_b = p->high_a = p->high_b = 0;
    p->max_a = p->max_b = 0.0;
    p->sum_a = p->sum_b = p->share = merit_scaled_zero();
    p->win = p->tie = p->lose = p->share;
    p->mean_a = p->mean_b = p->share;
    return !p->absent;
}

// The largest logit; *bad: one is NaN or +inf.
MERIT_HD static inline double merit_ordinal_max(const uint32_t *logits, int levels, int *bad)
{
    double max = -m_inf64();
    for (int k = 0; k < levels; k++) {
        const double x = (double)m_from_bits32(logits[k]);
        *bad |= !(x < m_inf64());
        max = x > max ? x : max;
    }
    return max;
}

// Whether a weight or logits let skip_invalid drop the pair.
MERIT_HD static inline int merit_ordinal_is_dropped(const merit_preference_ordinal_args *args,
                                                    const merit_ordinal_pair *p, int bad)
{
    return args->d.skip_invalid && (bad || !m_is_finite64(p->weight));
}

// What a pair adds to the divisor of a mean.
MERIT_HD static inline double merit_ordinal_share_of(const merit_preference_ordinal_args *args,
                                                     int valid, double weight)
{
    if (!valid) return 0.0;
    return args->d.reduction == MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT ? weight : 1.0;
}

// The same for pair i, from memory.
MERIT_HD static inline double merit_ordinal_divisor_term(const merit_preference_ordinal_args *args,
                                                         int64_t i)
{
    merit_ordinal_pair p;
    const int wanted = merit_ordinal_begin(args, &p, i);
    if (wanted && args->d.skip_invalid) {
        int bad = 0;
        for (int k = 0; k < args->d.num_levels && !bad; k++) {
            bad |= !(m_load_real(args->io.chosen_logits, args->d.logit_dtype,
                                 i * args->d.chosen_stride + k) < m_inf64());
            bad |= !(m_load_real(args->io.rejected_logits, args->d.logit_dtype,
                                 i * args->d.rejected_stride + k) < m_inf64());
        }
        if (merit_ordinal_is_dropped(args, &p, bad)) p.valid = 0;
    }
    return merit_ordinal_share_of(args, p.valid, p.weight);
}

MERIT_HD static inline merit_scaled merit_ordinal_exp(const merit_preference_ordinal_args *args,
                                                      uint32_t logit, double max)
{
    const double x = m_sub64((double)m_from_bits32(logit), max);
    const int plain = args->d.temperature == 1.0f;
    return merit_scaled_exp(plain ? x : m_div64(x, (double)args->d.temperature));
}

MERIT_HD static inline int merit_ordinal_in(int k, int32_t low, int32_t high)
{
    return k >= low && k <= high;
}

// Reads the regions; 0: bad.
MERIT_HD static inline int merit_ordinal_regions(const merit_preference_ordinal_args *args,
                                                 merit_ordinal_pair *p)
{
    const int32_t levels = args->d.num_levels;
    p->low_a = 0;
    p->low_b = 0;
    p->high_a = levels - 1;
    p->high_b = levels - 1;
    if (args->io.chosen_region == NULL) return 1;
    p->low_a = args->io.chosen_region[2 * p->index];
    p->high_a = args->io.chosen_region[2 * p->index + 1];
    p->low_b = args->io.rejected_region[2 * p->index];
    p->high_b = args->io.rejected_region[2 * p->index + 1];
    return p->low_a >= 0 && p->low_a <= p->high_a && p->high_a < levels && p->low_b >= 0 &&
           p->low_b <= p->high_b && p->high_b < levels;
}

// One visit of all levels: every sum of the pair.
MERIT_HD static inline void merit_ordinal_sums(const merit_preference_ordinal_args *args,
                                               merit_ordinal_pair *p)
{
    const double h = (double)args->d.tie_share;
    merit_scaled below_b = merit_scaled_zero(); // of b in its region, below this level
    double level = 0.0; // k
    p->sum_a = p->sum_b = p->win = p->tie = p->lose = below_b;
    p->mean_a = p->mean_b = p->share = below_b;
    for (int k = 0; k < args->d.num_levels; k++) {
        const merit_scaled a = merit_ordinal_exp(args, p->a[k], p->max_a);
        const merit_scaled b = merit_ordinal_exp(args, p->b[k], p->max_b);
        const int in_b = merit_ordinal_in(k, p->low_b, p->high_b);
        if (merit_ordinal_in(k, p->low_a, p->high_a)) {
            const merit_scaled beaten =
                in_b ? merit_scaled_add(below_b, merit_scaled_times(b, h)) : below_b;
            p->share = merit_scaled_add(p->share, merit_scaled_mul(a, beaten));
        }
        if (in_b) below_b = merit_scaled_add(below_b, b);
        if (args->needs_order) {
            p->win = merit_scaled_add(p->win, merit_scaled_mul(a, p->sum_b));
            p->lose = merit_scaled_add(p->lose, merit_scaled_mul(b, p->sum_a));
            p->tie = merit_scaled_add(p->tie, merit_scaled_mul(a, b));
        }
        if (args->needs_mean) {
            p->mean_a = merit_scaled_add(p->mean_a, merit_scaled_times(a, level));
            p->mean_b = merit_scaled_add(p->mean_b, merit_scaled_times(b, level));
        }
        p->sum_a = merit_scaled_add(p->sum_a, a);
        p->sum_b = merit_scaled_add(p->sum_b, b);
        level = m_add64(level, 1.0);
    }
}

// Everything of a pair but its gradients. Counts into the diagnostics.
MERIT_HD static inline void merit_ordinal_evaluate(const merit_preference_ordinal_args *args,
                                                   merit_ordinal_pair *p)
{
    merit_diagnostics *const diagnostics = args->io.diagnostics;
    int bad = 0;
    p->max_a = merit_ordinal_max(p->a, args->d.num_levels, &bad);
    p->max_b = merit_ordinal_max(p->b, args->d.num_levels, &bad);
    if (merit_ordinal_is_dropped(args, p, bad)) {
        m_count(diagnostics, MERIT_COUNTER_NONFINITE, 1);
        p->valid = 0;
        p->absent = 1;
        return;
    }
    p->lost = bad || !(p->max_a > -m_inf64() && p->max_b > -m_inf64());
    const int bad_weight = !(p->weight >= 0.0);
    const int infinite = !m_is_finite64(p->weight);
    int bad_region = !merit_ordinal_regions(args, p);
    if (bad_region) p->low_a = 1, p->high_a = 0; // no admissible pair
    if (!p->lost) {
        merit_ordinal_sums(args, p);
        bad_region |= p->share.m == 0.0;
    }
    p->invalid = p->lost || bad_weight || infinite || bad_region;
    if (!p->invalid) p->loss = merit_scaled_log_ratio(p->sum_a, p->sum_b, p->share);
    m_count(diagnostics, MERIT_COUNTER_NONFINITE, p->lost || infinite);
    m_count(diagnostics, MERIT_COUNTER_BAD_WEIGHT, (uint64_t)bad_weight);
    m_count(diagnostics, MERIT_COUNTER_BAD_REGION, (uint64_t)bad_region);
}

// Gradients -----------------------------------------------------------------------------------------

MERIT_HD static inline uint32_t merit_ordinal_word(int32_t dtype, double value)
{
    switch (dtype) {
    case MERIT_DTYPE_BF16: return m_to_bf16_64(value);
    case MERIT_DTYPE_F16: return m_to_f16_64(value);
    default: return m_bits32(m_canonical32(m_round32(value)));
    }
}

// t (own - given S) / T as a word; a 0 stays one whatever t.
MERIT_HD static inline uint32_t merit_ordinal_slope(const merit_preference_ordinal_args *args,
                                                    double t, double own, double given)
{
    double slope = m_sub64(own, given);
    if (args->d.temperature != 1.0f) slope = m_div64(slope, (double)args->d.temperature);
    return merit_ordinal_word(args->d.logit_dtype, slope == 0.0 ? slope : m_mul64(t, slope));
}

// Puts the gradients in the place of the logits: of rejected in p->spare, of chosen in p->a. scale:
// grad_scale / D.
MERIT_HD static inline void merit_ordinal_gradients(const merit_preference_ordinal_args *args,
                                                    merit_ordinal_pair *p, double scale)
{
    const int levels = args->d.num_levels;
    if (p->absent || p->invalid) {
        const uint32_t word = merit_ordinal_word(args->d.logit_dtype, p->absent ? 0.0 : m_nan64());
        for (int k = 0; k < levels; k++) {
            p->a[k] = word;
            p->spare[k] = word;
        }
        return;
    }
    const double h = (double)args->d.tie_share;
    const double t = m_mul64(scale, p->weight);
    merit_scaled above = merit_scaled_zero(); // of a in its region, above this level
    for (int k = levels - 1; k >= 0; k--) {
        const merit_scaled a = merit_ordinal_exp(args, p->a[k], p->max_a);
        const merit_scaled b = merit_ordinal_exp(args, p->b[k], p->max_b);
        const int in_a = merit_ordinal_in(k, p->low_a, p->high_a);
        double given = 0.0;
        if (merit_ordinal_in(k, p->low_b, p->high_b)) {
            const merit_scaled beaten_by =
                in_a ? merit_scaled_add(above, merit_scaled_times(a, h)) : above;
            given = merit_scaled_ratio(merit_scaled_mul(b, beaten_by), p->share);
        }
        if (in_a) above = merit_scaled_add(above, a);
        p->spare[k] = merit_ordinal_slope(args, t, merit_scaled_ratio(b, p->sum_b), given);
    }
    merit_scaled below = merit_scaled_zero();
    for (int k = 0; k < levels; k++) {
        const merit_scaled a = merit_ordinal_exp(args, p->a[k], p->max_a);
        const merit_scaled b = merit_ordinal_exp(args, p->b[k], p->max_b);
        const int in_b = merit_ordinal_in(k, p->low_b, p->high_b);
        double given = 0.0;
        if (merit_ordinal_in(k, p->low_a, p->high_a)) {
            const merit_scaled beaten =
                in_b ? merit_scaled_add(below, merit_scaled_times(b, h)) : below;
            given = merit_scaled_ratio(merit_scaled_mul(a, beaten), p->share);
        }
        if (in_b) below = merit_scaled_add(below, b);
        p->a[k] = merit_ordinal_slope(args, t, merit_scaled_ratio(a, p->sum_a), given);
    }
}

// Results -----------------------------------------------------------------------------------------

MERIT_HD static inline double merit_ordinal_level_value(const merit_preference_ordinal_args *args,
                                                        merit_scaled mean, merit_scaled sum)
{
    return m_fma64((double)args->d.value_step, merit_scaled_ratio(mean, sum),
                   (double)args->d.first_value);
}

// Writes all outputs of a pair but its gradients, and its terms for the fold.
MERIT_HD static inline void merit_ordinal_write(const merit_preference_ordinal_args *args,
                                                const merit_ordinal_pair *p)
{
    const merit_preference_ordinal_io *const io = &args->io;
    const int64_t i = p->index;
    const int present = !p->absent && !p->invalid;
    const double weighted = p->absent ? 0.0 : p->invalid ? m_nan64() : m_mul64(p->weight, p->loss);
    if (io->pair_loss != NULL) io->pair_loss[i] = m_canonical32(m_round32(weighted));
    double order[3] = {0.0, 0.0, 0.0};
    double mean[2] = {0.0, 0.0};
    if (!p->absent) {
        const int known = !p->lost;
        const merit_scaled both =
            known ? merit_scaled_mul(p->sum_a, p->sum_b) : merit_scaled_zero();
        order[0] = known && args->needs_order ? merit_scaled_ratio(p->win, both) : m_nan64();
        order[1] = known && args->needs_order ? merit_scaled_ratio(p->tie, both) : m_nan64();
        order[2] = known && args->needs_order ? merit_scaled_ratio(p->lose, both) : m_nan64();
        mean[0] = known ? merit_ordinal_level_value(args, p->mean_a, p->sum_a) : m_nan64();
        mean[1] = known ? merit_ordinal_level_value(args, p->mean_b, p->sum_b) : m_nan64();
    }
    if (io->win != NULL) io->win[i] = m_canonical32(m_round32(order[0]));
    if (io->tie != NULL) io->tie[i] = m_canonical32(m_round32(order[1]));
    if (io->mean != NULL) {
        io->mean[2 * i] = m_canonical32(m_round32(mean[0]));
        io->mean[2 * i + 1] = m_canonical32(m_round32(mean[1]));
    }
    if (!args->needs_fold) return;
    const int zero = p->valid && p->weight == 0.0;
    const uint32_t right = (uint32_t)(present && order[0] > order[2]);
    const uint32_t tied = (uint32_t)(present && order[0] == order[2]);
    args->terms.flags[i] = (uint32_t)(p->valid != 0) << MERIT_ORDINAL_COUNT_VALID |
                           (uint32_t)zero << MERIT_ORDINAL_COUNT_ZERO_WEIGHT |
                           right << MERIT_ORDINAL_COUNT_CORRECT | tied << MERIT_ORDINAL_COUNT_TIED |
                           (uint32_t)(p->invalid != 0) << MERIT_ORDINAL_COUNT_INVALID;
    double *const sums = args->terms.sums + i;
    const int64_t pairs = args->terms.count;
    sums[MERIT_ORDINAL_SUM_WEIGHTED * pairs] = weighted;
    if (args->terms.num_sums <= MERIT_ORDINAL_SUM_SHARE) return;
    sums[MERIT_ORDINAL_SUM_SHARE * pairs] = merit_ordinal_share_of(args, p->valid, p->weight);
    if (args->terms.num_sums <= MERIT_ORDINAL_SUM_LOSS) return;
    sums[MERIT_ORDINAL_SUM_LOSS * pairs] = present ? p->loss : 0.0;
    sums[MERIT_ORDINAL_SUM_WEIGHT * pairs] = present ? p->weight : 0.0;
    sums[MERIT_ORDINAL_SUM_DIFFERENCE * pairs] = present ? m_sub64(mean[0], mean[1]) : 0.0;
}

// divisor: the sum of merit_ordinal_divisor_term, for the means.
MERIT_HD static inline double merit_ordinal_denominator(const merit_preference_ordinal_args *args,
                                                        double divisor)
{
    switch (args->d.reduction) {
    case MERIT_PREFERENCE_REDUCTION_SUM: return 1.0;
    case MERIT_PREFERENCE_REDUCTION_GIVEN: return args->io.denominator[0];
    default: return divisor;
    }
}

MERIT_HD static inline double merit_ordinal_scale(const merit_preference_ordinal_args *args,
                                                  double divisor)
{
    const double upstream = args->io.grad_scale == NULL ? 1.0 : (double)args->io.grad_scale[0];
    const double d = merit_ordinal_denominator(args, divisor);
    return upstream == 0.0 && d == 0.0 ? upstream : m_div64(upstream, d);
}

// loss, metrics and the check of the denominator, from the totals of all pairs.
MERIT_HD static inline void merit_ordinal_write_totals(const merit_preference_ordinal_args *args,
                                                       const merit_preference_totals *t)
{
    const merit_preference_ordinal_io *const io = &args->io;
    const int64_t valid = t->counts[MERIT_ORDINAL_COUNT_VALID];
    const double sum = t->sums[MERIT_ORDINAL_SUM_WEIGHTED];
    const int asked =
        io->loss != NULL || io->grad_chosen_logits != NULL || io->grad_rejected_logits != NULL;
    if (io->loss != NULL) *io->loss = 0.0;
    if (valid > 0 && asked) {
        const int by_weight = args->d.reduction == MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT;
        const double divisor = by_weight ? t->sums[MERIT_ORDINAL_SUM_SHARE] : (double)valid;
        const double d = merit_ordinal_denominator(args, divisor);
        m_count(io->diagnostics, MERIT_COUNTER_ZERO_DENOMINATOR, d == 0.0);
        if (io->loss != NULL && sum != 0.0) *io->loss = m_canonical64(m_div64(sum, d));
    }
    merit_preference_ordinal_metrics *const m = io->metrics;
    if (m == NULL) return;
    m->pairs = valid;
    m->zero_weight = t->counts[MERIT_ORDINAL_COUNT_ZERO_WEIGHT];
    m->correct_strict = t->counts[MERIT_ORDINAL_COUNT_CORRECT];
    m->tied = t->counts[MERIT_ORDINAL_COUNT_TIED];
    m->invalid = t->counts[MERIT_ORDINAL_COUNT_INVALID];
    m->sum_weight = t->sums[MERIT_ORDINAL_SUM_WEIGHT];
    m->sum_loss = t->sums[MERIT_ORDINAL_SUM_LOSS];
    m->sum_difference = t->sums[MERIT_ORDINAL_SUM_DIFFERENCE];
}

#endif
