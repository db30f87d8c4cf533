// policy_loss, CUDA: one sequence by a warp (at most 32 tokens) or a block.
#ifndef MERIT_POLICY_LOSS_TEAM_CUH
#define MERIT_POLICY_LOSS_TEAM_CUH

#include "policy_loss_sequence.h"
#include "policy_terms.cuh"

namespace
{

typedef merit_policy_loss_args PolicyArgs;

// What a thread counts over all of its tokens.
struct PolicyTally {
    uint32_t counts[MERIT_POLICY_COUNTS];
    uint32_t extremes[MERIT_POLICY_MAX_EXTREMES];
};

template <TeamKind kKind>
struct PolicyWork {
    Team<kKind> team;
    const PolicyArgs *a;
    merit_policy_sequence s;
    merit_tile_sum *stacks; // block team: shared, [MERIT_POLICY_CELLS]
    double *totals; // shared, [MERIT_POLICY_CELLS]: sums over the sequence
};

// A token as worked out.
struct PolicyToken {
    float ratio, log_ratio, shared_log, gap, mismatch, entropy, kl_seen;
    float c, k;
    float policy, kl, entropy_part; // parts of the loss, 0 where their weight is
    float slope, ratio_slope, kl_slope, kl_ratio_slope;
    bool through;
    uint32_t flags;
};

// Makes what the team wrote to shared memory visible to it.
template <TeamKind kKind>
MERIT_DEVICE void policy_sync(void)
{
    if (kKind == kTeamSubwarp) {
        __syncwarp(kFullWarp);
    } else {
        __syncthreads();
    }
}

// Tokens ------------------------------------------------------------------------------------------

// A valid token as read.
struct PolicyRaw {
    float lp, old, ref, rollout, entropy, weight, A;
    bool alt;
};

MERIT_DEVICE PolicyRaw policy_read(const PolicyArgs &a, const merit_policy_sequence &s, int64_t i)
{
    PolicyRaw x;
    x.lp = a.io.logprob[i];
    x.old = merit_policy_old(&a, i);
    x.ref = a.d.kl_coef > 0.0f ? a.io.ref[i] : 0.0f;
    x.rollout = a.reads_rollout ? a.io.rollout[i] : 0.0f;
    x.entropy = a.reads_entropy ? a.io.entropy[i] : 0.0f;
    x.weight = a.io.token_weight != NULL ? a.io.token_weight[i] : 1.0f;
    x.A = a.d.advantage_level == MERIT_POLICY_ADVANTAGE_TOKEN ? a.io.advantages[i] : s.advantage;
    x.alt = a.io.token_mode != NULL && a.io.token_mode[i] == 1;
    return x;
}

template <bool kStats>
MERIT_DEVICE PolicyToken policy_token(const PolicyArgs &a, const merit_policy_sequence &s,
                                      const PolicyRaw &x)
{
    const merit_policy_loss_desc &d = a.d;
    PolicyToken t;
    const float lp = x.lp;
    const float old = x.old;
    const float rollout = x.rollout;
    const float A = x.A;
    const int alt = x.alt;
    const int32_t surrogate = alt ? d.surrogate_alt : d.surrogate;
    t.entropy = x.entropy;
    t.log_ratio = m_sub(lp, old);
    t.shared_log = merit_policy_is_sequence_level(d.ratio_level) ? s.log_ratio : t.log_ratio;
    const merit_policy_ratio r = merit_policy_ratio_of(&a, t.shared_log);
    t.ratio = r.value;

    // w keep, then c and k
    t.c = 1.0f;
    t.gap = merit_policy_gap(&d, lp, old, rollout);
    t.mismatch = 1.0f;
    if (d.mismatch_level != MERIT_POLICY_LEVEL_NONE) {
        const bool own = d.mismatch_level == MERIT_POLICY_LEVEL_TOKEN;
        t.mismatch = merit_policy_importance(own ? t.gap : s.mismatch);
        t.c = merit_policy_mismatch_weight(d.mismatch_rule, d.mismatch_low, d.mismatch_high,
                                           t.mismatch);
    }
    int kept = 1;
    if (d.reject_level != MERIT_POLICY_LEVEL_NONE) {
        const bool own = d.reject_level == MERIT_POLICY_LEVEL_TOKEN;
        const float m = own ? merit_policy_reject_log(&d, lp, old, rollout) : s.reject;
        kept = merit_policy_kept(&a, merit_policy_importance(m), A);
        if (!kept) t.c = 0.0f;
    }
    t.k = d.correction_scope == MERIT_POLICY_SCOPE_ALL ? t.c : 1.0f;
    int within = 1;
    const float anchor = d.divergence_anchor == MERIT_POLICY_ANCHOR_ROLLOUT ? rollout : old;
    if (d.divergence == MERIT_POLICY_DIVERGENCE_TV) {
        within = merit_policy_within_tv(&a, lp, anchor, A);
    } else if (d.divergence == MERIT_POLICY_DIVERGENCE_KL) {
        within = merit_policy_within_kl(&a, lp, anchor, A);
    }
    if (a.io.token_weight != NULL) {
        t.c = t.c == 0.0f || x.weight == 0.0f ? 0.0f : m_mul(x.weight, t.c);
    }
    if (!within || s.is_absent) t.c = 0.0f;
    if (s.is_absent) t.k = 0.0f;

    const float low = merit_policy_low(&a, A, alt);
    const float high = merit_policy_high(&a, A, alt);
    const merit_policy_surrogate_value v =
        merit_policy_surrogate_of(&a, surrogate, s.geometric, A, r, t.shared_log, lp, low, high);
    t.through = merit_policy_token_through(&a, alt);
    t.policy = t.c == 0.0f ? 0.0f : v.loss;
    t.slope = v.slope;
    t.ratio_slope = v.ratio_slope;
    t.kl = 0.0f;
    t.kl_seen = 0.0f;
    t.kl_slope = 0.0f;
    t.kl_ratio_slope = 0.0f;
    if (d.kl_coef > 0.0f) {
        const float apart = m_sub(x.ref, lp);
        const float near = merit_policy_clamp(apart, -d.kl_input_clamp, d.kl_input_clamp);
        merit_policy_kl_value kl =
            merit_policy_kl_of(&a, apart, near, merit_policy_kl_raw(d.kl, near),
                               merit_policy_kl_raw_slope(d.kl, near));
        if (d.kl_weight == MERIT_POLICY_KL_WEIGHT_RATIO) {
            kl = merit_policy_kl_by_ratio(kl, r, merit_policy_ratio_through(&a));
        }
        t.kl_seen = kl.seen;
        t.kl = t.k == 0.0f ? 0.0f : kl.loss;
        t.kl_slope = kl.slope;
        t.kl_ratio_slope = kl.ratio_slope;
    }
    t.entropy_part = t.k == 0.0f || d.entropy_coef == 0.0f ? 0.0f : t.entropy;
    t.flags = 0;
    if (kStats) {
        const bool lost =
            t.policy != t.policy || t.c != t.c || t.kl != t.kl || t.entropy_part != t.entropy_part;
        t.flags = merit_policy_ratio_flags(&a, &s, surrogate, A, t.ratio, t.shared_log, low, high,
                                           merit_policy_or_infinite(d.ratio_cap),
                                           merit_policy_or_infinite(d.dual_clip));
        if (d.mismatch_level != MERIT_POLICY_LEVEL_NONE) {
            t.flags |= merit_policy_mismatch_flags(&a, t.mismatch);
        }
        t.flags |= (uint32_t)!within << MERIT_POLICY_COUNT_DIVERGENCE_MASKED |
                   (uint32_t)!kept << MERIT_POLICY_COUNT_REJECTED |
                   (uint32_t)lost << MERIT_POLICY_COUNT_NAN | 1u << MERIT_POLICY_COUNT_TOKENS;
    }
    return t;
}

MERIT_DEVICE double policy_product(float weight, float part)
{
    return m_mul64((double)weight, (double)part);
}

template <bool kStats>
MERIT_DEVICE void policy_add(const PolicyArgs &a, const PolicyToken &t, double *acc)
{
    acc[MERIT_POLICY_CELL_POLICY] =
        m_add64(acc[MERIT_POLICY_CELL_POLICY], policy_product(t.c, t.policy));
    // binary64 is dear on some devices
    if (a.d.kl_coef > 0.0f) {
        acc[MERIT_POLICY_CELL_KL] = m_add64(acc[MERIT_POLICY_CELL_KL], policy_product(t.k, t.kl));
    }
    if (a.d.entropy_coef != 0.0f) {
        acc[MERIT_POLICY_CELL_ENTROPY] =
            m_add64(acc[MERIT_POLICY_CELL_ENTROPY], policy_product(t.k, t.entropy_part));
    }
    if (a.goes_through) {
        double slope = acc[MERIT_POLICY_CELL_SLOPE];
        if (t.c != 0.0f && t.through) slope = m_add64(slope, policy_product(t.c, t.ratio_slope));
        if (t.k != 0.0f && a.d.kl_coef > 0.0f) {
            const double weight = policy_product(a.d.kl_coef, t.k);
            slope = m_add64(slope, m_mul64(weight, (double)t.kl_ratio_slope));
        }
        acc[MERIT_POLICY_CELL_SLOPE] = slope;
    }
    if (!kStats) return;
    const double seen[MERIT_POLICY_CELLS - MERIT_POLICY_CELL_RATIO] = {
        (double)t.ratio,
        policy_product(t.ratio, t.ratio),
        (double)-t.log_ratio,
        (double)m_expm1m(t.log_ratio),
        (double)t.kl_seen,
        (double)t.entropy,
        a.d.mismatch_level != MERIT_POLICY_LEVEL_NONE ? (double)t.mismatch : 0.0,
        a.reads_rollout ? (double)m_abs32(t.gap) : 0.0};
#pragma unroll
    for (int k = MERIT_POLICY_CELL_RATIO; k < MERIT_POLICY_CELLS; k++) {
        acc[k] = m_add64(acc[k], seen[k - MERIT_POLICY_CELL_RATIO]);
    }
}

MERIT_DEVICE void policy_extreme(PolicyTally *tally, int which, uint32_t word)
{
    if (word > tally->extremes[which]) tally->extremes[which] = word;
}

MERIT_DEVICE void policy_count(const PolicyArgs &a, const PolicyToken &t, PolicyTally *tally)
{
#pragma unroll
    for (int k = 0; k <= MERIT_POLICY_COUNT_TOKENS; k++) {
        tally->counts[k] += t.flags >> k & 1;
    }
    policy_extreme(tally, MERIT_POLICY_EXTREME_RATIO_MIN, merit_policy_low_word(t.ratio));
    policy_extreme(tally, MERIT_POLICY_EXTREME_RATIO_MAX, merit_policy_high_word(t.ratio));
    if (a.d.mismatch_level == MERIT_POLICY_LEVEL_NONE) return;
    policy_extreme(tally, MERIT_POLICY_EXTREME_MISMATCH_MIN, merit_policy_low_word(t.mismatch));
    policy_extreme(tally, MERIT_POLICY_EXTREME_MISMATCH_MAX, merit_policy_high_word(t.mismatch));
}

MERIT_DEVICE void policy_write(const PolicyArgs &a, const merit_policy_sequence &s,
                               const PolicyToken &t, int64_t i)
{
    if (a.io.token_loss != NULL) {
        const double loss =
            merit_policy_token_loss(&a, policy_product(t.c, t.policy), policy_product(t.k, t.kl),
                                    policy_product(t.k, t.entropy_part));
        const bool none = t.c == 0.0f && t.k == 0.0f;
        const float scaled = m_round32(m_mul64(s.scale, loss));
        a.io.token_loss[i] = m_canonical32(m_add(none ? 0.0f : scaled, 0.0f));
    }
    if (a.io.grad_entropy != NULL) {
        const bool none = t.k == 0.0f || a.d.entropy_coef == 0.0f;
        const float g = m_mul(m_mul(-a.d.entropy_coef, t.k), s.scale32);
        a.io.grad_entropy[i] = m_canonical32(m_add(none ? 0.0f : g, 0.0f));
    }
    if (a.io.grad_logprob == NULL) return;
    float shared = 0.0f;
    if (a.goes_through && merit_policy_passes(&a, &s, t.log_ratio)) shared = m_round32(s.slope);
    const float slope = t.through ? t.slope : m_add(t.ratio_slope, t.slope);
    a.io.grad_logprob[i] = merit_policy_gradient(&a, &s, t.c, t.k, slope, t.kl_slope, shared);
}

MERIT_DEVICE void policy_fill_token(const PolicyArgs &a, int64_t i, float value)
{
    if (a.io.grad_logprob != NULL) a.io.grad_logprob[i] = value;
    if (a.io.grad_entropy != NULL) a.io.grad_entropy[i] = value;
    if (a.io.token_loss != NULL) a.io.token_loss[i] = value;
}

MERIT_HD static inline bool policy_has_outputs(const PolicyArgs &a)
{
    return a.io.grad_logprob != NULL || a.io.grad_entropy != NULL || a.io.token_loss != NULL;
}

// Sequences ---------------------------------------------------------------------------------------

template <TeamKind kKind>
MERIT_DEVICE void policy_fill(const PolicyWork<kKind> *w, int64_t begin, int64_t count, float value)
{
    if (!policy_has_outputs(*w->a)) return;
    for (int64_t i = w->team.rank; i < count; i += w->team.width) {
        policy_fill_token(*w->a, begin + i, value);
    }
}

template <TeamKind kKind>
MERIT_DEVICE_CALL int64_t policy_count_valid(const PolicyWork<kKind> *w)
{
    const merit_policy_span span = w->s.span;
    if (w->s.is_dead) return 0;
    if (w->a->io.mask == NULL) return span.size;
    int64_t mine = 0;
    for (int64_t i = w->team.rank; i < span.size; i += w->team.width) {
        mine += w->a->io.mask[span.begin + i] != 0;
    }
    return team_reduce(w->team, mine, [](int64_t x, int64_t y) { return x + y; });
}

MERIT_DEVICE double policy_before(const PolicyArgs &a, const merit_policy_sequence &s, int kind,
                                  int64_t i)
{
    const float A = kind == MERIT_POLICY_BEFORE_ADVANTAGE ? a.io.advantages[i] : 0.0f;
    const float rollout = a.reads_rollout ? a.io.rollout[i] : 0.0f;
    return merit_policy_before_term(&a.d, &s, kind, a.io.logprob[i], merit_policy_old(&a, i),
                                    rollout, A);
}

// Canonical sum over the sequence of a term of the valid tokens.
template <TeamKind kKind>
MERIT_DEVICE_CALL double policy_sum_before(PolicyWork<kKind> *w, int kind)
{
    const merit_policy_span span = w->s.span;
    const bool is_long = kKind == kTeamBlockWide && span.size > MERIT_TILE;
    if (is_long && w->team.rank == 0) w->stacks->count = 0;
    double sum = 0.0;
    for (int64_t start = 0; start < span.size; start += MERIT_TILE) {
        sum = team_sum(w->team, [&](int slot) {
            const int64_t i = start + team_element(w->team, slot);
            if (i >= span.size || !merit_policy_is_valid(w->a, span.begin + i)) return 0.0;
            return policy_before(*w->a, w->s, kind, span.begin + i);
        });
        if (is_long && w->team.rank == 0) merit_tile_sum_push(w->stacks, sum);
    }
    if (!is_long) return sum;
    __syncthreads(); // the stack is complete
    sum = merit_tile_sum_finish(w->stacks);
    __syncthreads(); // and read, before the next sum starts it again
    return sum;
}

// adds: into the totals; writes: the outputs.
template <TeamKind kKind, bool kStats>
MERIT_DEVICE_CALL void policy_sweep(PolicyWork<kKind> *w, bool adds, bool writes,
                                    PolicyTally *tally)
{
    constexpr int kCells = kStats ? (int)MERIT_POLICY_CELLS : (int)MERIT_POLICY_LOSS_CELLS;
    const PolicyArgs &a = *w->a;
    const merit_policy_span span = w->s.span;
    const bool is_long = kKind == kTeamBlockWide && span.size > MERIT_TILE;
    if (is_long && w->team.rank < kCells) w->stacks[w->team.rank].count = 0;
    if (is_long) __syncthreads(); // the stacks are empty
    for (int64_t start = 0; start < span.size; start += MERIT_TILE) {
        double acc[kCells];
#pragma unroll
        for (int k = 0; k < kCells; k++) {
            acc[k] = 0.0;
        }
#pragma unroll 1
        for (int slot = 0; slot < Team<kKind>::kSlots; slot++) {
            const int64_t at = start + team_element(w->team, slot);
            if (at >= span.size) break;
            const int64_t i = span.begin + at;
            if (w->s.is_dead || !merit_policy_is_valid(&a, i)) {
                if (writes) policy_fill_token(a, i, 0.0f);
                continue;
            }
            const PolicyToken t = policy_token<kStats>(a, w->s, policy_read(a, w->s, i));
            if (adds) policy_add<kStats>(a, t, acc);
            if (adds && kStats) policy_count(a, t, tally);
            if (writes) policy_write(a, w->s, t, i);
        }
        if (!adds) continue;
#pragma unroll
        for (int k = 0; k < kCells; k++) {
            const double sum =
                team_reduce(w->team, acc[k], [](double x, double y) { return m_add64(x, y); });
            if (w->team.rank != 0) continue;
            if (is_long) {
                merit_tile_sum_push(&w->stacks[k], sum);
            } else {
                w->totals[k] = sum;
            }
        }
    }
    if (!adds) return;
    policy_sync<kKind>(); // the totals or the stacks
    if (!is_long) return;
    if (w->team.rank < kCells)
        w->totals[w->team.rank] = merit_tile_sum_finish(&w->stacks[w->team.rank]);
    __syncthreads(); // the totals are there
}

template <TeamKind kKind, bool kStats>
MERIT_DEVICE_CALL void policy_run_sequence(PolicyWork<kKind> *w, int64_t n, PolicyTally *tally)
{
    const PolicyArgs &a = *w->a;
    w->s = merit_policy_begin(&a, n);
    const merit_policy_span span = w->s.span;
    if (w->team.rank == 0) {
        for (int k = 0; k < MERIT_POLICY_CELLS; k++) {
            w->totals[k] = 0.0;
        }
    }
    policy_sync<kKind>(); // zeros, before sums take their place
    policy_fill(w, span.begin + span.size, span.gap, 0.0f);
    const uint32_t tokens = tally->counts[MERIT_POLICY_COUNT_TOKENS];
    const uint32_t rejected = tally->counts[MERIT_POLICY_COUNT_REJECTED];
    if (span.refusal != MERIT_POLICY_FINE) {
        if (w->team.rank == 0) merit_policy_tell(&span, a.io.diagnostics);
        policy_fill(w, span.begin, span.size, m_nan32());
    } else {
        w->s.valid = span.size;
        if (a.needs_sequence) {
            w->s.valid = policy_count_valid(w);
            merit_policy_counted(&a, &w->s);
            for (int kind = 0; kind < MERIT_POLICY_BEFORE_KINDS && w->s.valid > 0; kind++) {
                if (!merit_policy_needs_before(&a, kind)) continue;
                merit_policy_take(&a, &w->s, kind, policy_sum_before(w, kind));
            }
        }
        if (w->s.valid == 0) {
            policy_fill(w, span.begin, span.size, 0.0f);
        } else {
            policy_sweep<kKind, kStats>(w, true, !a.goes_through, tally);
            if (a.goes_through) {
                merit_policy_take_slope(&a, &w->s, w->totals[MERIT_POLICY_CELL_SLOPE]);
                policy_sweep<kKind, kStats>(w, false, true, tally);
            }
        }
    }
    if (kStats) {
        const uint64_t mine = (uint64_t)(tally->counts[MERIT_POLICY_COUNT_REJECTED] - rejected) |
                              (uint64_t)(tally->counts[MERIT_POLICY_COUNT_TOKENS] - tokens) << 32;
        const uint64_t all =
            team_reduce(w->team, mine, [](uint64_t x, uint64_t y) { return x + y; });
        if (w->team.rank == 0) {
            const uint32_t valid = (uint32_t)(all >> 32);
            tally->counts[MERIT_POLICY_COUNT_NONEMPTY] += valid > 0;
            tally->counts[MERIT_POLICY_COUNT_REJECTED_SEQUENCES] +=
                valid > 0 && valid == (uint32_t)all;
        }
    }
    if (w->team.rank == 0) merit_policy_write_terms(&a, &w->s, n, w->totals);
}

} // namespace

#endif
