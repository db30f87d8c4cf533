// policy_loss, CUDA, the common case: CLIP with a ratio per token, at most K3 of the reference, loss and
// gradient alone. The functions of policy_loss_team.cuh with all other options as literals, so that the
// compiler leaves them out, and the inputs of a tile on their way before the first is worked on.
#ifndef MERIT_POLICY_LOSS_PLAIN_CUH
#define MERIT_POLICY_LOSS_PLAIN_CUH

#include "policy_loss_team.cuh"

namespace
{

MERIT_DEVICE PolicyArgs policy_plain_args(const PolicyArgs &a, bool with_kl)
{
    PolicyArgs p = a;
    p.d.advantage_level = MERIT_POLICY_ADVANTAGE_SEQUENCE;
    p.d.ratio_level = MERIT_POLICY_LEVEL_TOKEN;
    p.d.surrogate = MERIT_POLICY_SURROGATE_CLIP;
    p.d.divergence = MERIT_POLICY_DIVERGENCE_NONE;
    p.d.kl = MERIT_POLICY_KL_K3;
    p.d.kl_gradient = MERIT_POLICY_KL_GRADIENT_OWN;
    p.d.kl_weight = MERIT_POLICY_KL_WEIGHT_ONE;
    if (!with_kl) p.d.kl_coef = 0.0f;
    p.d.mismatch_level = MERIT_POLICY_LEVEL_NONE;
    p.d.reject_level = MERIT_POLICY_LEVEL_NONE;
    p.d.correction_scope = MERIT_POLICY_SCOPE_POLICY;
    p.d.entropy_coef = 0.0f;
    p.io.token_weight = NULL;
    p.io.token_mode = NULL;
    p.io.grad_entropy = NULL;
    p.io.token_loss = NULL;
    p.io.stats = NULL;
    p.is_geometric = 0;
    p.reads_rollout = 0;
    p.reads_entropy = 0;
    p.goes_through = 0;
    return p;
}

// The sums of a tile into the totals or the stacks, its gradients to their places.
MERIT_DEVICE void policy_plain_tile(const PolicyArgs &a, PolicyWork<kTeamBlockWide> *w,
                                    int64_t start, bool is_long)
{
    constexpr int kSlots = Team<kTeamBlockWide>::kSlots;
    const merit_policy_span span = w->s.span;
    PolicyRaw x[kSlots];
    bool live[kSlots];
#pragma unroll
    for (int slot = 0; slot < kSlots; slot++) {
        const int64_t at = start + team_element(w->team, slot);
        live[slot] = at < span.size && merit_policy_is_valid(&a, span.begin + at);
        if (live[slot]) x[slot] = policy_read(a, w->s, span.begin + at);
    }
    double acc[MERIT_POLICY_LOSS_CELLS] = {0.0, 0.0, 0.0, 0.0};
#pragma unroll
    for (int slot = 0; slot < kSlots; slot++) {
        const int64_t at = start + team_element(w->team, slot);
        if (at >= span.size) continue;
        if (!live[slot]) {
            policy_fill_token(a, span.begin + at, 0.0f);
            continue;
        }
        const PolicyToken t = policy_token<false>(a, w->s, x[slot]);
        policy_add<false>(a, t, acc);
        policy_write(a, w->s, t, span.begin + at);
    }
#pragma unroll
    for (int k = 0; k < MERIT_POLICY_LOSS_CELLS; k++) {
        if (k != MERIT_POLICY_CELL_POLICY && !(k == MERIT_POLICY_CELL_KL && a.d.kl_coef > 0.0f)) {
            continue;
        }
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

// One sequence by the block; its terms are written by the first thread.
MERIT_DEVICE void policy_plain_sequence(const PolicyArgs &a, PolicyWork<kTeamBlockWide> *w,
                                        int64_t n)
{
    w->s = merit_policy_begin(&a, n);
    const merit_policy_span span = w->s.span;
    const bool is_fine = span.refusal == MERIT_POLICY_FINE;
    const bool is_long = span.size > MERIT_TILE;
    if (w->team.rank < MERIT_POLICY_LOSS_CELLS) {
        w->totals[w->team.rank] = 0.0;
        w->stacks[w->team.rank].count = 0;
    }
    policy_fill(w, span.begin + span.size, span.gap, 0.0f);
    w->s.valid = is_fine && !w->s.is_dead ? span.size : 0;
    if (w->s.valid > 0 && a.needs_sequence) {
        w->s.valid = policy_count_valid(w);
        merit_policy_counted(&a, &w->s);
    }
    __syncthreads(); // the stacks are empty
    if (w->s.valid == 0) {
        if (!is_fine && w->team.rank == 0) merit_policy_tell(&span, a.io.diagnostics);
        policy_fill(w, span.begin, span.size, is_fine ? 0.0f : m_nan32());
    } else {
        for (int64_t start = 0; start < span.size; start += MERIT_TILE) {
            policy_plain_tile(a, w, start, is_long);
        }
    }
    if (w->team.rank == 0) {
        if (is_long && w->s.valid > 0) {
            for (int k = 0; k <= MERIT_POLICY_CELL_KL; k++) {
                w->totals[k] = merit_tile_sum_finish(&w->stacks[k]);
            }
        }
        merit_policy_write_terms(&a, &w->s, n, w->totals);
    }
    __syncthreads(); // the totals and stacks are read
}

} // namespace

#endif
