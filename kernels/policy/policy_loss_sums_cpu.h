// policy_loss, CPU: what a chunk of tokens adds to the sums of its sequence, and what is written of it.
#ifndef MERIT_POLICY_LOSS_SUMS_CPU_H
#define MERIT_POLICY_LOSS_SUMS_CPU_H

#include "policy_loss_chunk_cpu.h"
#include "policy_terms_cpu.h"

// Lanes of the tile at hand, and sums of the tiles before it.
typedef struct policy_sums {
    double lanes[MERIT_POLICY_CELLS][MERIT_LANES];
    merit_tile_sum tiles[MERIT_POLICY_CELLS];
    double sums[MERIT_POLICY_CELLS];
} policy_sums;

static void policy_add_lanes(double *restrict lanes, int count, const float *restrict c,
                             const float *restrict part)
{
    for (int j = 0; j < count; j++) {
        lanes[j] = m_add64(lanes[j], m_mul64((double)c[j], (double)part[j]));
    }
}

// at: the lane of the chunk's first token.
static void policy_add_loss(const merit_policy_loss_args *restrict a,
                            const policy_chunk *restrict p, policy_sums *restrict sums, int at)
{
    const int count = p->count;
    policy_add_lanes(sums->lanes[MERIT_POLICY_CELL_POLICY] + at, count, p->c, p->policy_part);
    if (a->d.kl_coef > 0.0f) {
        policy_add_lanes(sums->lanes[MERIT_POLICY_CELL_KL] + at, count, p->k, p->kl_part);
    }
    if (a->d.entropy_coef != 0.0f) {
        policy_add_lanes(sums->lanes[MERIT_POLICY_CELL_ENTROPY] + at, count, p->k, p->entropy_part);
    }
}

static void policy_add_slopes(const merit_policy_loss_args *restrict a,
                              const policy_chunk *restrict p, policy_sums *restrict sums, int at)
{
    double *const lanes = sums->lanes[MERIT_POLICY_CELL_SLOPE] + at;
    const double coef = (double)a->d.kl_coef;
    const int with_kl = a->d.kl_coef > 0.0f && a->d.kl_weight == MERIT_POLICY_KL_WEIGHT_RATIO &&
                        merit_policy_ratio_through(a);
    for (int j = 0; j < p->count; j++) {
        const double slope = m_mul64((double)p->c[j], (double)p->surrogate.ratio_slope[j]);
        const int has = (p->c[j] != 0.0f) & merit_policy_token_through(a, p->is_alt[j]);
        lanes[j] = m_add64(lanes[j], has ? slope : 0.0);
    }
    if (!with_kl) return;
    for (int j = 0; j < p->count; j++) {
        const double weight = m_mul64(coef, (double)p->k[j]);
        const double slope = m_mul64(weight, (double)p->kl_ratio_slope[j]);
        lanes[j] = m_add64(lanes[j], p->k[j] == 0.0f ? 0.0 : slope);
    }
}

static void policy_add_seen(const policy_chunk *restrict p, double *restrict lanes,
                            const float *restrict values)
{
    for (int j = 0; j < p->count; j++) {
        lanes[j] = m_add64(lanes[j], p->valid[j] ? (double)values[j] : 0.0);
    }
}

static void policy_add_statistics(const merit_policy_loss_args *restrict a,
                                  const policy_chunk *restrict p, policy_sums *restrict sums,
                                  int at)
{
    float values[POLICY_CHUNK];
    double *const squares = sums->lanes[MERIT_POLICY_CELL_RATIO_SQUARED] + at;
    policy_add_seen(p, sums->lanes[MERIT_POLICY_CELL_RATIO] + at, p->ratio);
    for (int j = 0; j < p->count; j++) {
        const double square = m_mul64((double)p->ratio[j], (double)p->ratio[j]);
        squares[j] = m_add64(squares[j], p->valid[j] ? square : 0.0);
    }
    for (int j = 0; j < p->count; j++) {
        values[j] = -p->log_ratio[j];
    }
    policy_add_seen(p, sums->lanes[MERIT_POLICY_CELL_K1] + at, values);
    for (int j = 0; j < p->count; j++) {
        values[j] = m_expm1m(p->log_ratio[j]);
    }
    policy_add_seen(p, sums->lanes[MERIT_POLICY_CELL_K3] + at, values);
    if (a->d.kl_coef > 0.0f)
        policy_add_seen(p, sums->lanes[MERIT_POLICY_CELL_KL_REF] + at, p->kl_seen);
    if (a->reads_entropy) {
        policy_add_seen(p, sums->lanes[MERIT_POLICY_CELL_ENTROPY_SEEN] + at, p->entropy);
    }
    if (a->d.mismatch_level != MERIT_POLICY_LEVEL_NONE) {
        policy_add_seen(p, sums->lanes[MERIT_POLICY_CELL_MISMATCH] + at, p->mismatch);
    }
    if (!a->reads_rollout) return;
    for (int j = 0; j < p->count; j++) {
        values[j] = m_abs32(p->gap[j]);
    }
    policy_add_seen(p, sums->lanes[MERIT_POLICY_CELL_GAP] + at, values);
}

// Counts and extremes ------------------------------------------------------------------------------

static void policy_tally_extremes(const int32_t *restrict valid, const float *restrict values,
                                  int count, uint32_t *low, uint32_t *high)
{
    uint32_t below[POLICY_CHUNK], above[POLICY_CHUNK];
    uint32_t lowest = *low;
    uint32_t highest = *high;
    for (int j = 0; j < count; j++) {
        const uint32_t under = merit_policy_low_word(values[j]);
        const uint32_t over = merit_policy_high_word(values[j]);
        below[j] = valid[j] != 0 ? under : 0;
        above[j] = valid[j] != 0 ? over : 0;
    }
    for (int j = 0; j < count; j++) {
        const uint32_t word = below[j];
        lowest = word > lowest ? word : lowest;
    }
    for (int j = 0; j < count; j++) {
        const uint32_t word = above[j];
        highest = word > highest ? word : highest;
    }
    *low = lowest;
    *high = highest;
}

// Counts the bits of up to POLICY_CHUNK words.
static void policy_tally_flags(const uint32_t *restrict flags, int count, uint64_t *restrict counts)
{
    uint32_t seen = 0;
    for (int j = 0; j < count; j++) {
        seen |= flags[j];
    }
    for (; seen != 0; seen &= seen - 1) {
        const int bit = __builtin_ctz(seen);
        uint32_t some = 0;
        for (int j = 0; j < count; j++) {
            some += flags[j] >> bit & 1;
        }
        counts[bit] += some;
    }
}

__attribute__((always_inline)) static inline void
policy_flags_as(const merit_policy_loss_args *restrict a, const merit_policy_sequence *restrict s,
                const policy_chunk *restrict p, int32_t kind, int alt, uint32_t *restrict flags)
{
    const float cap = merit_policy_or_infinite(a->d.ratio_cap);
    const float dual = merit_policy_or_infinite(a->d.dual_clip);
    float low[POLICY_CHUNK], high[POLICY_CHUNK];
    policy_bounds(a, p, alt, low, high);
    for (int j = 0; j < p->count; j++) {
        const uint32_t mine = merit_policy_ratio_flags(
            a, s, kind, p->advantage[j], p->ratio[j], p->shared_log[j], low[j], high[j], cap, dual);
        flags[j] = p->is_alt[j] == alt ? mine : flags[j];
    }
}

static void policy_flags(const merit_policy_loss_args *restrict a,
                         const merit_policy_sequence *restrict s, const policy_chunk *restrict p,
                         int32_t kind, int alt, uint32_t *restrict flags)
{
    switch (kind) {
    case MERIT_POLICY_SURROGATE_CLIP:
        policy_flags_as(a, s, p, MERIT_POLICY_SURROGATE_CLIP, alt, flags);
        break;
    case MERIT_POLICY_SURROGATE_DETACHED:
        policy_flags_as(a, s, p, MERIT_POLICY_SURROGATE_DETACHED, alt, flags);
        break;
    default: policy_flags_as(a, s, p, kind, alt, flags); break;
    }
}

static void policy_flag_nan(const policy_chunk *p, const float *part, uint32_t *restrict flags)
{
    for (int j = 0; j < p->count; j++) {
        flags[j] |= (uint32_t)(part[j] != part[j]) << MERIT_POLICY_COUNT_NAN;
    }
}

static void policy_tally(const merit_policy_loss_args *restrict a,
                         const merit_policy_sequence *restrict s, const policy_chunk *restrict p,
                         merit_policy_tally *restrict tally)
{
    uint32_t flags[POLICY_CHUNK];
    for (int j = 0; j < p->count; j++) {
        flags[j] = 0;
    }
    policy_flags(a, s, p, a->d.surrogate, 0, flags);
    if (a->io.token_mode != NULL) policy_flags(a, s, p, a->d.surrogate_alt, 1, flags);
    if (a->d.mismatch_level != MERIT_POLICY_LEVEL_NONE) {
        for (int j = 0; j < p->count; j++) {
            flags[j] |= merit_policy_mismatch_flags(a, p->mismatch[j]);
        }
    }
    for (int j = 0; j < p->count; j++) {
        const int lost = (p->policy_part[j] != p->policy_part[j]) | (p->c[j] != p->c[j]);
        flags[j] |= (uint32_t)!p->within[j] << MERIT_POLICY_COUNT_DIVERGENCE_MASKED |
                    (uint32_t)!p->kept[j] << MERIT_POLICY_COUNT_REJECTED |
                    (uint32_t)lost << MERIT_POLICY_COUNT_NAN | 1u << MERIT_POLICY_COUNT_TOKENS;
    }
    if (a->d.kl_coef > 0.0f) policy_flag_nan(p, p->kl_part, flags);
    if (a->d.entropy_coef != 0.0f) policy_flag_nan(p, p->entropy_part, flags);
    for (int j = 0; j < p->count; j++) {
        flags[j] = p->valid[j] ? flags[j] : 0;
    }
    policy_tally_flags(flags, p->count, tally->counts);
    policy_tally_extremes(p->valid, p->ratio, p->count,
                          &tally->extremes[MERIT_POLICY_EXTREME_RATIO_MIN],
                          &tally->extremes[MERIT_POLICY_EXTREME_RATIO_MAX]);
    if (a->d.mismatch_level == MERIT_POLICY_LEVEL_NONE) return;
    policy_tally_extremes(p->valid, p->mismatch, p->count,
                          &tally->extremes[MERIT_POLICY_EXTREME_MISMATCH_MIN],
                          &tally->extremes[MERIT_POLICY_EXTREME_MISMATCH_MAX]);
}

// Outputs -----------------------------------------------------------------------------------------

static void policy_gradients(const merit_policy_loss_args *restrict a,
                             const merit_policy_sequence *restrict s,
                             const policy_chunk *restrict p, float *restrict to)
{
    const float shared = m_round32(s->slope);
    const int has_kl = a->d.kl_coef > 0.0f;
    float slope[POLICY_CHUNK], all[POLICY_CHUNK];
    for (int j = 0; j < p->count; j++) {
        const float both = m_add(p->surrogate.ratio_slope[j], p->surrogate.slope[j]);
        slope[j] = merit_policy_token_through(a, p->is_alt[j]) ? p->surrogate.slope[j] : both;
        all[j] = 0.0f;
    }
    if (a->goes_through) {
        for (int j = 0; j < p->count; j++) {
            const int passes = p->valid[j] & merit_policy_passes(a, s, p->log_ratio[j]);
            all[j] = passes ? shared : 0.0f;
        }
    }
    for (int j = 0; j < p->count; j++) {
        const float kl_slope = has_kl ? p->kl_slope[j] : 0.0f;
        to[j] = merit_policy_gradient(a, s, p->c[j], p->k[j], slope[j], kl_slope, all[j]);
    }
}

static void policy_write(const merit_policy_loss_args *restrict a,
                         const merit_policy_sequence *restrict s, const policy_chunk *restrict p)
{
    const int has_kl = a->d.kl_coef > 0.0f;
    const int has_entropy = a->d.entropy_coef != 0.0f;
    if (a->io.token_loss != NULL) {
        float *const to = a->io.token_loss + p->start;
        for (int j = 0; j < p->count; j++) {
            const double policy = m_mul64((double)p->c[j], (double)p->policy_part[j]);
            const double kl = has_kl ? m_mul64((double)p->k[j], (double)p->kl_part[j]) : 0.0;
            const double entropy =
                has_entropy ? m_mul64((double)p->k[j], (double)p->entropy_part[j]) : 0.0;
            const double loss = merit_policy_token_loss(a, policy, kl, entropy);
            const int none = (p->c[j] == 0.0f) & (p->k[j] == 0.0f);
            const double scaled = m_mul64(s->scale, loss);
            to[j] = m_canonical32(m_add(none ? 0.0f : m_round32(scaled), 0.0f));
        }
    }
    if (a->io.grad_entropy != NULL) {
        float *const to = a->io.grad_entropy + p->start;
        for (int j = 0; j < p->count; j++) {
            const float g = m_mul(m_mul(-a->d.entropy_coef, p->k[j]), s->scale32);
            const int none = (p->k[j] == 0.0f) | !has_entropy;
            to[j] = m_canonical32(m_add(none ? 0.0f : g, 0.0f));
        }
    }
    if (a->io.grad_logprob != NULL) {
        float gradients[POLICY_CHUNK];
        policy_gradients(a, s, p, gradients);
        memcpy(a->io.grad_logprob + p->start, gradients, (size_t)p->count * sizeof(float));
    }
}

#endif
