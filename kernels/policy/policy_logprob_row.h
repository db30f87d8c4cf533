// policy_logprob_forward: a row from its first look to its results.
#ifndef MERIT_POLICY_LOGPROB_ROW_H
#define MERIT_POLICY_LOGPROB_ROW_H

#include "policy_logprob.h"

typedef struct merit_logprob_row {
    const void *logits; // [V]
    int64_t index;
    int64_t target; // -1: none, or a bad one
    float factor; // c
    float cap_ratio; // |logit_scale| / soft_cap
    int32_t bad_label;
    int32_t bad_temperature;
    int32_t ignored;
} merit_logprob_row;

MERIT_HD static inline merit_logprob_row
merit_logprob_row_begin(const merit_policy_logprob_forward_args *args, int64_t t)
{
    const merit_policy_logprob_desc *const d = &args->d;
    const int64_t bytes = d->dtype == MERIT_DTYPE_F32 ? 4 : 2;
    merit_logprob_row row;
    row.logits = (const char *)args->io.logits + t * d->ld_logits * bytes;
    row.index = t;
    row.target = -1;
    row.ignored = 0;
    row.factor = 0.0f;
    row.cap_ratio = 0.0f;
    row.bad_label = 0;
    row.bad_temperature = 0;
    if (args->io.targets != NULL) {
        int ignored, bad;
        row.target = merit_logprob_target(d, args->io.targets, t, &ignored, &bad);
        row.ignored = ignored;
        row.bad_label = bad;
    }
    if (row.ignored) return row;
    const float temperature =
        args->io.temperatures != NULL ? args->io.temperatures[t] : d->temperature;
    row.bad_temperature = !(temperature > 0.0f && temperature < m_inf32());
    row.factor = merit_logprob_factor(d, row.bad_temperature ? 1.0f : temperature);
    if (d->soft_cap > 0.0f) row.cap_ratio = m_div(m_abs32(d->logit_scale), d->soft_cap);
    return row;
}

MERIT_HD static inline int merit_logprob_row_is_read(const merit_logprob_row *row)
{
    return !row->ignored && !row->bad_temperature;
}

// Logit v of the row, -inf where it is left out. within: K, else every v.
MERIT_HD static inline float merit_logprob_row_at(const merit_policy_logprob_forward_args *args,
                                                  const merit_logprob_row *row, int64_t v,
                                                  int within)
{
    const merit_policy_logprob_desc *const d = &args->d;
    if (within && !merit_logprob_keeps(d, args->io.keep_mask, row->index, v)) return -m_inf32();
    return merit_logprob_enter(d, row->cap_ratio, merit_logprob_load(row->logits, d->dtype, v));
}

// Subsets -----------------------------------------------------------------------------------------

MERIT_HD static inline const int32_t *
merit_logprob_row_ids(const merit_policy_logprob_forward_args *args, int64_t t)
{
    return args->io.subset_ids + t * args->d.ld_subset;
}

// The sums over the ids of a subset: a tile of its own, by position in the list. *bad: an id is none of the
// vocabulary.
MERIT_HD static inline merit_logprob_sums
merit_logprob_subset(const merit_policy_logprob_forward_args *args, const merit_logprob_row *row,
                     int *bad)
{
    const int32_t *const ids = merit_logprob_row_ids(args, row->index);
    const int size = args->d.subset_size;
    float max = -m_inf32();
    int infinite = 0;
    *bad = 0;
    for (int i = 0; i < size; i++) {
        const int inside = ids[i] >= 0 && ids[i] < args->d.vocab_size;
        *bad |= !inside;
        const float x = inside ? merit_logprob_row_at(args, row, ids[i], 0) : -m_inf32();
        infinite |= !(x < m_inf32());
        max = x > max ? x : max;
    }
    merit_logprob_reference r;
    merit_logprob_segment s = merit_logprob_segment_of(max, infinite || *bad);
    if (!merit_logprob_choose(max, row->factor, &r) || m_is_nan32(s.sum)) {
        return merit_logprob_sums_of(&s, row->factor, 0);
    }
    // the tree over positions, like the digits of a binary counter
    float sums[3][8];
    for (int i = 0; i < MERIT_LOGPROB_MAX_SUBSET; i++) {
        const float x = i < size ? merit_logprob_row_at(args, row, ids[i], 0) : -m_inf32();
        const float e = merit_logprob_weight(&r, x);
        const float y = e > 0.0f ? merit_logprob_exponent(&r, x) : 0.0f;
        float term[3] = {e, m_fma(e, y, 0.0f), m_fma(e, e, 0.0f)};
        int depth = 0;
        for (; (i >> depth & 1) != 0; depth++) {
            for (int k = 0; k < 3; k++) {
                term[k] = m_add(sums[k][depth], term[k]);
            }
        }
        for (int k = 0; k < 3; k++) {
            sums[k][depth] = term[k];
        }
    }
    s.sum = sums[0][6];
    s.moment = sums[1][6];
    s.squares = sums[2][6];
    return merit_logprob_sums_of(&s, row->factor, 0);
}

// The lowest id with the largest logit.
MERIT_HD static inline int32_t
merit_logprob_subset_argmax(const merit_policy_logprob_forward_args *args,
                            const merit_logprob_row *row, float max)
{
    const int32_t *const ids = merit_logprob_row_ids(args, row->index);
    int32_t best = INT32_MAX;
    for (int i = 0; i < args->d.subset_size; i++) {
        if (merit_logprob_row_at(args, row, ids[i], 0) == max && ids[i] < best) best = ids[i];
    }
    return best;
}

// Results -----------------------------------------------------------------------------------------

typedef struct merit_logprob_results {
    float logprob, lse, entropy, sum_sq, mass;
    int32_t argmax;
    merit_policy_logprob_state state;
    int32_t counter; // MERIT_COUNTER_ ..., -1: none
} merit_logprob_results;

MERIT_HD static inline merit_logprob_results merit_logprob_results_all(float value, int32_t counter)
{
    merit_logprob_results r;
    r.logprob = value;
    r.lse = value;
    r.entropy = value;
    r.sum_sq = value;
    r.mass = value;
    r.argmax = -1;
    r.state.exponent = 0;
    r.state.inverse = value;
    r.counter = counter;
    return r;
}

// The logit of the target, -inf outside K or the logits here.
MERIT_HD static inline float
merit_logprob_target_logit(const merit_policy_logprob_forward_args *args,
                           const merit_logprob_row *row)
{
    if (row->target < 0 || !merit_logprob_row_is_read(row)) return -m_inf32();
    if (args->d.support == MERIT_LOGPROB_SUPPORT_SUBSET) {
        const int32_t *const ids = merit_logprob_row_ids(args, row->index);
        int found = 0;
        for (int i = 0; i < args->d.subset_size; i++) {
            found |= ids[i] == row->target;
        }
        if (!found) return -m_inf32();
    }
    return merit_logprob_row_at(args, row, row->target, 1);
}

// 2^exponent * s = the sum of all, s in [1, 2); the exponent stays where merit_logprob_reference takes it.
MERIT_HD static inline merit_policy_logprob_state
merit_logprob_state_of(const merit_logprob_sums *all)
{
    int32_t floor = (int32_t)(m_bits64(all->sum) >> 52) - 1023; // a normal, positive number
    int64_t exponent = (int64_t)all->exponent + floor; // records may hold any
    if (exponent > 1 << 22) exponent = 1 << 22;
    floor = (int32_t)(exponent - all->exponent);
    merit_policy_logprob_state state;
    state.exponent = (int32_t)exponent;
    state.inverse = m_round32(m_div64(1.0, m_scale64(all->sum, -floor)));
    return state;
}

MERIT_HD static inline float merit_logprob_lse_of(int32_t exponent, double log_all)
{
    return m_round32(m_mul64(MERIT_LN2_64, m_add64((double)exponent, log_all)));
}

// sum of pi (log2 S - y) over K; share, moment: over K under the exponent of all. certain: all the weight lies
// on one logit, and results are exact.
MERIT_HD static inline float merit_logprob_entropy_of(double share, double moment, double sum,
                                                      double log_all, int certain)
{
    const double bits = m_div64(m_sub64(m_mul64(share, log_all), moment), sum);
    return certain || !(bits > 0.0) ? 0.0f : m_round32(m_mul64(MERIT_LN2_64, bits));
}

MERIT_HD static inline float merit_logprob_sum_sq_of(double squares, double sum, int certain)
{
    return certain ? 1.0f : m_round32(m_div64(squares, m_mul64(sum, sum)));
}

// Of the logit x. sure: it has all the weight.
MERIT_HD static inline float merit_logprob_of_logit(float x, float factor, int32_t exponent,
                                                    double log_all, int sure)
{
    const double y = m_fma64((double)x, (double)factor, -(double)exponent);
    const double logprob = m_mul64(MERIT_LN2_64, m_sub64(y, log_all));
    return sure || logprob > 0.0 ? 0.0f : m_round32(logprob);
}

// K: sums over the support; all: what probabilities are normalized by (K itself with SUPPORT); x: the logit of
// the target, if there is one.
MERIT_HD static inline merit_logprob_results
merit_logprob_row_finish(const merit_logprob_row *row, const merit_logprob_sums *support,
                         const merit_logprob_sums *all, int32_t argmax, float x)
{
    if (row->ignored) return merit_logprob_results_all(0.0f, -1);
    if (row->bad_temperature) {
        return merit_logprob_results_all(m_nan32(), MERIT_COUNTER_BAD_TEMPERATURE);
    }
    if (m_is_nan64(support->sum) || m_is_nan64(all->sum)) {
        return merit_logprob_results_all(m_nan32(), MERIT_COUNTER_NONFINITE);
    }
    merit_logprob_results r = merit_logprob_results_all(m_nan32(), MERIT_COUNTER_EMPTY_SUPPORT);
    if (all->max == -m_inf32()) {
        r.lse = -m_inf32();
        return r;
    }
    merit_logprob_reference top;
    if (!merit_logprob_choose(all->max, row->factor, &top)) {
        return merit_logprob_results_all(m_nan32(), MERIT_COUNTER_LOGIT_RANGE);
    }
    const merit_logprob_reference whole = merit_logprob_reference_at(row->factor, all->exponent);
    const double log_all = m_log2_64(all->sum);
    r.lse = merit_logprob_lse_of(all->exponent, log_all);
    if (support->max == -m_inf32()) { // FULL, nothing kept
        r.mass = -m_inf32();
        return r;
    }
    r.counter = -1;
    r.argmax = argmax;

    // All the weight on one logit: exact results.
    const int64_t distance = (int64_t)support->exponent - all->exponent;
    const double share = support->sum > 0.0 ? merit_logprob_lower(support->sum, distance) : 0.0;
    const int certain =
        share == all->sum && (double)merit_logprob_weight(&whole, support->max) == share;
    const double moment =
        support->sum > 0.0
            ? merit_logprob_lower(m_add64(support->moment, m_mul64(support->sum, (double)distance)),
                                  distance)
            : 0.0;
    const double squares =
        support->sum > 0.0 ? merit_logprob_lower(support->squares, 2 * distance) : 0.0;
    r.entropy = merit_logprob_entropy_of(share, moment, all->sum, log_all, certain);
    r.sum_sq = merit_logprob_sum_sq_of(squares, all->sum, certain);
    r.mass = 0.0f;
    if (share != all->sum) { // FULL only
        const double kept = m_add64((double)distance, m_sub64(m_log2_64(support->sum), log_all));
        r.mass = kept > 0.0 ? 0.0f : m_round32(m_mul64(MERIT_LN2_64, kept));
    }

    r.state = merit_logprob_state_of(all);

    if (row->bad_label) r.counter = MERIT_COUNTER_BAD_LABEL;
    if (row->target < 0) return r;
    if (x == -m_inf32()) {
        r.logprob = -m_inf32();
        r.counter = MERIT_COUNTER_TARGET_OUTSIDE_SUPPORT;
        return r;
    }
    const int sure = (double)merit_logprob_weight(&whole, x) == all->sum;
    r.logprob = merit_logprob_of_logit(x, row->factor, all->exponent, log_all, sure);
    return r;
}

MERIT_HD static inline void merit_logprob_row_write(const merit_policy_logprob_forward_args *args,
                                                    int64_t t, const merit_logprob_results *r)
{
    const merit_policy_logprob_forward_io *const io = &args->io;
    if (io->logprob != NULL) io->logprob[t] = m_canonical32(r->logprob);
    if (io->lse != NULL) io->lse[t] = m_canonical32(r->lse);
    if (io->entropy != NULL) io->entropy[t] = m_canonical32(r->entropy);
    if (io->sum_sq != NULL) io->sum_sq[t] = m_canonical32(r->sum_sq);
    if (io->mass != NULL) io->mass[t] = m_canonical32(r->mass);
    if (io->argmax != NULL) io->argmax[t] = r->argmax;
    if (io->state != NULL) io->state[t] = r->state;
    if (r->counter >= 0) m_count(io->diagnostics, r->counter, 1);
}

// What of the row the ranks tell each other.
MERIT_HD static inline void
merit_logprob_row_write_shard(const merit_policy_logprob_forward_args *args,
                              const merit_logprob_row *row, const merit_logprob_sums *support,
                              int32_t argmax)
{
    merit_policy_logprob_shard shard;
    shard.sum = m_canonical64(support->sum);
    shard.moment = m_canonical64(support->moment);
    shard.squares = m_canonical64(support->squares);
    shard.exponent = support->exponent;
    shard.argmax = argmax < 0 ? -1 : argmax + (int32_t)args->d.vocab_begin;
    shard.max = m_canonical32(support->max);
    shard.target = m_canonical32(merit_logprob_target_logit(args, row));
    args->io.shards[row->index] = shard;
}

#endif
