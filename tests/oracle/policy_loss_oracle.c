#include "policy_loss_oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "policy_loss_oracle_token.h"

static void add(plo_number *to, real value, real noise)
{
    to->value += value;
    to->noise += isfinite(noise) ? fabsl(noise) : 0;
}

// The parts of a token's loss, a left out.
typedef struct parts {
    plo_number policy, kl, entropy;
} parts;

static parts parts_of(const plo_sequence *q, const plo_token *k)
{
    const merit_policy_loss_desc *const d = q->d;
    parts p;
    memset(&p, 0, sizeof p);
    if (k->c != 0) add(&p.policy, k->c * k->l, k->c * k->l * (k->noise_l + 2e-6L));
    if (k->k == 0) return p;
    const real coef = d->kl_coef * k->k;
    if (d->kl_coef != 0) add(&p.kl, coef * k->kl, coef * k->kl * (k->noise_kl + 2e-6L));
    const real entropy = -(real)d->entropy_coef * k->k * k->H;
    if (d->entropy_coef != 0) add(&p.entropy, entropy, entropy * 2e-6L);
    return p;
}

// Sequences ---------------------------------------------------------------------------------------

static plo_sequence begin(const merit_policy_loss_desc *d, const merit_policy_loss_io *io,
                          const double *lp, int64_t i)
{
    plo_sequence q = {.d = d, .io = io, .lp = lp};
    const int64_t stride =
        d->sequences.group_stride ? d->sequences.group_stride : d->sequences.group_size;
    q.begin = d->sequences.group_size > 0 ? i * stride : d->sequences.offsets[i];
    q.size = d->sequences.group_size > 0 ? d->sequences.group_size
                                         : d->sequences.offsets[i + 1] - q.begin;
    q.s = io->sequence_weight != NULL ? (real)io->sequence_weight[i] : 1;
    q.D = d->denominator == 0 ? (real)io->denominator[0] : (real)d->denominator;
    if (d->advantage_level == MERIT_POLICY_ADVANTAGE_SEQUENCE) q.A = io->advantages[i];
    return q;
}

static int is_refused(const plo_sequence *q, policy_loss_oracle *o)
{
    const merit_policy_loss_desc *const d = q->d;
    const int bad = q->begin < 0 || q->size < 0 || q->begin + q->size > d->num_tokens;
    const int large = !bad && d->sequences.group_size == 0 && d->sequences.max_size > 0 &&
                      q->size > d->sequences.max_size;
    if (o == NULL) return bad || large;
    o->bad_offsets += bad;
    o->too_large += large;
    for (int64_t t = q->begin;
         (bad || large) && t >= 0 && t < d->num_tokens && t < q->begin + q->size; t++) {
        o->valid[t] = -1;
    }
    return bad || large;
}

// Gradients of a sequence: each token's own and what goes through the ratio.
static void differentiate(const plo_sequence *q, policy_loss_oracle *o)
{
    const merit_policy_loss_desc *const d = q->d;
    const int through =
        plo_is_sequence(d->ratio_level) && d->ratio_gradient == MERIT_POLICY_RATIO_GRADIENT_THROUGH;
    plo_number shared = {0, 0};
    for (int64_t t = q->begin; t < q->begin + q->size; t++) {
        if (!plo_is_valid(q, t)) continue;
        const plo_token k = plo_token_of(q, t);
        plo_number own = {0, 0};
        const int far = through || k.surrogate == MERIT_POLICY_SURROGATE_GEOMETRIC;
        const real noise = k.noise_dl + 2e-6L;
        if (k.c != 0) {
            const real all = far ? k.dl_lp : k.dl_lp + k.dl_rho;
            add(&own, q->a * k.c * all, q->a * k.c * all * noise);
            if (far) add(&shared, q->a * k.c * k.dl_rho, q->a * k.c * k.dl_rho * noise);
        }
        if (k.k != 0 && d->kl_coef != 0) {
            const real scale = q->a * d->kl_coef * k.k;
            const real size = fabsl(k.dkl) + fabsl(k.dkl_rho);
            const real all = through ? k.dkl : k.dkl + k.dkl_rho;
            const int exact = !through && k.inside && d->kl == MERIT_POLICY_KL_K3 &&
                              d->kl_gradient == MERIT_POLICY_KL_GRADIENT_OWN;
            const real error = (exact ? fabsl(all) : size) * (k.noise_dkl + 2e-6L);
            add(&own, scale * all, scale * error);
            if (through) add(&shared, scale * k.dkl_rho, scale * size * (k.noise_dkl + 2e-6L));
        }
        o->grad[t] = own;
        if (d->entropy_coef != 0 && k.k != 0) {
            const real g = -(real)d->entropy_coef * q->a * k.k;
            add(&o->grad_entropy[t], g, g * 4e-7L);
        }
    }
    const real factor = d->ratio_level == MERIT_POLICY_LEVEL_SEQUENCE_SUM ? 1 : 1.0L / q->n;
    const int is_geometric = d->surrogate == MERIT_POLICY_SURROGATE_GEOMETRIC;
    for (int64_t t = q->begin; t < q->begin + q->size; t++) {
        if (!plo_is_valid(q, t)) continue;
        int moves = 1;
        if (is_geometric) plo_bounded(q, plo_lp(q, t) - plo_old(q, t), &moves);
        if (moves) add(&o->grad[t], factor * shared.value, factor * shared.noise);
    }
}

static void widen(plo_number *low, plo_number *high, real value, real noise)
{
    if (isnan(value)) return;
    if (!isfinite(noise)) noise = 0;
    if (value < low->value) low->value = value, low->noise = value * noise;
    if (value > high->value) high->value = value, high->noise = value * noise;
}

static void observe(const plo_sequence *q, const plo_token *k, const parts *p, plo_stats *s)
{
    const merit_policy_loss_desc *const d = q->d;
    const real rho = k->lp - k->old;
    const real k3 = isinf(rho) ? (real)INFINITY : expm1l(rho) - rho;
    const real noise = PLO_EPS * (3 + fabsl(k->rho));
    s->tokens++;
    s->clipped_low += k->clipped_low, s->clipped_high += k->clipped_high;
    s->capped += k->capped, s->dual_clipped += k->dual, s->log_clamped += k->clamped;
    s->divergence_masked += !k->within, s->rejected_tokens += !k->kept;
    s->nan_tokens += isnan(p->policy.value + p->kl.value + p->entropy.value);
    add(&s->sum_ratio, k->r, k->r * noise);
    add(&s->sum_ratio_squared, k->r * k->r, 2 * k->r * k->r * noise);
    add(&s->sum_k1, -rho, rho * PLO_EPS);
    add(&s->sum_k3, k3, k3 * PLO_EPS * (4 + 2 * fabsl(rho)));
    widen(&s->ratio_min, &s->ratio_max, k->r, noise);
    if (d->kl_coef != 0) add(&s->sum_kl_ref, k->kl_seen, k->kl_seen * PLO_EPS * (4 + 2 * 20));
    add(&s->sum_entropy, k->H, 0);
    if (q->io->rollout != NULL) add(&s->sum_abs_logprob_gap, fabsl(k->gap), k->gap * PLO_EPS);
    if (d->mismatch_level == MERIT_POLICY_LEVEL_NONE) return;
    const int outside = k->W < d->mismatch_low || k->W > d->mismatch_high;
    s->mismatch_truncated += outside && d->mismatch_rule == MERIT_POLICY_MISMATCH_RULE_TRUNCATE;
    s->mismatch_masked += outside && d->mismatch_rule == MERIT_POLICY_MISMATCH_RULE_MASK;
    add(&s->sum_mismatch, k->W, k->W * PLO_EPS * 25);
    widen(&s->mismatch_min, &s->mismatch_max, k->W, PLO_EPS * 25);
}

static void run_sequence(plo_sequence *q, policy_loss_oracle *o, plo_number *loss)
{
    plo_stats *const s = &o->stats;
    plo_settle(q);
    const long long before = s->rejected_tokens;
    for (int64_t t = q->begin; t < q->begin + q->size; t++) {
        if (!plo_is_valid(q, t)) continue;
        const plo_token k = plo_token_of(q, t);
        const parts p = parts_of(q, &k);
        const real all = p.policy.value + p.kl.value + p.entropy.value;
        const real noise = p.policy.noise + p.kl.noise + p.entropy.noise;
        o->valid[t] = 1;
        observe(q, &k, &p, s);
        if (k.c == 0 && k.k == 0) continue;
        o->token_loss[t] = (plo_number){q->a * all, fabsl(q->a * noise)};
        add(loss, q->a * all, q->a * noise);
        add(&s->policy_loss, q->a * p.policy.value, q->a * p.policy.noise);
        add(&s->kl_loss, q->a * p.kl.value, q->a * p.kl.noise);
        add(&s->entropy_loss, q->a * p.entropy.value, q->a * p.entropy.noise);
    }
    s->nonempty_sequences += q->n > 0;
    s->rejected_sequences += q->n > 0 && s->rejected_tokens - before == q->n;
    differentiate(q, o);
}

static void *zeros(int64_t count, size_t size)
{
    void *const block = calloc((size_t)count + 1, size);
    if (block == NULL) abort();
    return block;
}

policy_loss_oracle *policy_loss_oracle_run(const merit_policy_loss_desc *d,
                                           const merit_policy_loss_io *io)
{
    policy_loss_oracle *const o = zeros(1, sizeof *o);
    const int64_t B = d->sequences.num_groups, T = d->num_tokens;
    o->num_tokens = T, o->num_tiles = (B + PLO_TILE - 1) / PLO_TILE;
    o->tiles = zeros(o->num_tiles, sizeof *o->tiles);
    o->grad = zeros(T, sizeof *o->grad);
    o->grad_entropy = zeros(T, sizeof *o->grad_entropy);
    o->token_loss = zeros(T, sizeof *o->token_loss);
    o->valid = zeros(T, sizeof *o->valid);
    o->stats.sequences = B;
    o->stats.ratio_min.value = o->stats.mismatch_min.value = INFINITY;
    o->stats.ratio_max.value = o->stats.mismatch_max.value = -INFINITY;
    for (int64_t i = 0; i < B && T > 0; i++) {
        plo_sequence q = begin(d, io, NULL, i);
        if (!is_refused(&q, o)) run_sequence(&q, o, &o->tiles[i / PLO_TILE]);
    }
    for (int64_t i = 0; i < o->num_tiles; i++) {
        add(&o->loss, o->tiles[i].value, o->tiles[i].noise);
    }
    return o;
}

void policy_loss_oracle_free(policy_loss_oracle *o)
{
    free(o->tiles), free(o->grad), free(o->grad_entropy), free(o->token_loss), free(o->valid);
    free(o);
}

long double policy_loss_oracle_at(const merit_policy_loss_desc *d, const merit_policy_loss_io *io,
                                  const double *lp)
{
    real loss = 0;
    for (int64_t i = 0; i < d->sequences.num_groups; i++) {
        plo_sequence q = begin(d, io, lp, i);
        if (is_refused(&q, NULL)) continue;
        plo_settle(&q);
        for (int64_t t = q.begin; t < q.begin + q.size; t++) {
            if (!plo_is_valid(&q, t)) continue;
            const plo_token k = plo_token_of(&q, t);
            const parts p = parts_of(&q, &k);
            loss += q.a * (p.policy.value + p.kl.value + p.entropy.value);
        }
    }
    return loss;
}
