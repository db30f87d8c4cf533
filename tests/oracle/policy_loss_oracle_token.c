#include "policy_loss_oracle_token.h"

#include <math.h>
#include <string.h>

real plo_lp(const plo_sequence *q, int64_t t)
{
    return q->lp != NULL ? q->lp[t] : q->io->logprob[t];
}

static real fixed_of(const plo_sequence *q, int64_t t)
{
    return q->io->logprob[t];
}

real plo_old(const plo_sequence *q, int64_t t)
{
    return q->io->old != NULL ? (real)q->io->old[t] : fixed_of(q, t);
}

int plo_is_valid(const plo_sequence *q, int64_t t)
{
    return q->D != 0 && (q->io->mask == NULL || q->io->mask[t] != 0);
}

static real clamp(real x, real low, real high)
{
    return x < low ? low : x > high ? high : x;
}

int plo_is_sequence(int level)
{
    return level == MERIT_POLICY_LEVEL_SEQUENCE_MEAN || level == MERIT_POLICY_LEVEL_SEQUENCE_SUM;
}

static real gap_of(const plo_sequence *q, int64_t t)
{
    const int current = q->d->mismatch_numerator == MERIT_POLICY_NUMERATOR_CURRENT;
    return (current ? fixed_of(q, t) : plo_old(q, t)) - q->io->rollout[t];
}

static real reject_of(const plo_sequence *q, int64_t t)
{
    if (q->d->reject_source == MERIT_POLICY_REJECT_SOURCE_CURRENT_OLD) {
        return fixed_of(q, t) - plo_old(q, t);
    }
    return plo_old(q, t) - q->io->rollout[t];
}

static real level(const plo_sequence *q, int level_kind, real sum)
{
    return level_kind == MERIT_POLICY_LEVEL_SEQUENCE_MEAN ? sum / q->n : sum;
}

static void bounds(const merit_policy_loss_desc *d, real A, int alt, real *low, real *high)
{
    *low = d->ratio_low, *high = d->ratio_high;
    if (A < 0 && !isnan(d->ratio_low_negative)) *low = d->ratio_low_negative;
    if (A < 0 && !isnan(d->ratio_high_negative)) *high = d->ratio_high_negative;
    if (alt) *low = d->alt_low, *high = d->alt_high;
}

// u of GEOMETRIC, and whether it moves with rho.
real plo_bounded(const plo_sequence *q, real rho, int *moves)
{
    real low, high;
    bounds(q->d, q->A, 0, &low, &high);
    const real u = q->A > 0 ? fminl(rho, logl(high)) : fmaxl(rho, logl(low));
    *moves = isnan(rho) || (q->A > 0 ? !(rho > logl(high)) : !(rho < logl(low)));
    return isnan(rho) ? rho : u;
}

// What the tokens share.
void plo_settle(plo_sequence *q)
{
    const merit_policy_loss_desc *const d = q->d;
    real rho = 0, fixed = 0, m = 0, reject = 0, A = 0, u = 0;
    for (int64_t t = q->begin; t < q->begin + q->size; t++) {
        if (!plo_is_valid(q, t)) continue;
        q->n++;
        rho += plo_lp(q, t) - plo_old(q, t);
        fixed += fixed_of(q, t) - plo_old(q, t);
        if (plo_is_sequence(d->mismatch_level)) m += gap_of(q, t);
        if (plo_is_sequence(d->reject_level)) reject += reject_of(q, t);
        if (d->advantage_level == MERIT_POLICY_ADVANTAGE_TOKEN) A += q->io->advantages[t];
    }
    q->a = q->s / q->D;
    if (d->aggregation == MERIT_POLICY_AGGREGATION_SEQUENCE) q->a /= q->n;
    if (q->n == 0) return;
    q->rho = level(q, d->ratio_level, rho);
    q->rho_fixed = level(q, d->ratio_level, fixed);
    q->m = level(q, d->mismatch_level, m);
    q->reject = level(q, d->reject_level, reject);
    if (d->advantage_level == MERIT_POLICY_ADVANTAGE_TOKEN) q->A = A / q->n;
    if (d->surrogate != MERIT_POLICY_SURROGATE_GEOMETRIC) return;
    for (int64_t t = q->begin; t < q->begin + q->size; t++) {
        int moves;
        if (plo_is_valid(q, t)) u += plo_bounded(q, plo_lp(q, t) - plo_old(q, t), &moves);
    }
    q->geometric_mean = u / q->n;
    q->geometric = -q->A * expl(q->geometric_mean);
}

// Tokens ------------------------------------------------------------------------------------------

static real bernoulli(real lp, real anchor)
{
    const real pi = expl(lp), o = expl(anchor);
    return o * (anchor - lp) + (1 - o) * logl((1 - o + 1e-8L) / (1 - pi + 1e-8L));
}

static int within_of(const plo_sequence *q, int64_t t, real A)
{
    const merit_policy_loss_desc *const d = q->d;
    if (d->divergence == MERIT_POLICY_DIVERGENCE_NONE) return 1;
    const real lp = fixed_of(q, t);
    const real anchor = d->divergence_anchor == MERIT_POLICY_ANCHOR_ROLLOUT
                            ? (real)q->io->rollout[t]
                            : plo_old(q, t);
    const real gap = expl(lp) - expl(anchor);
    if (isnan(gap)) return 1;
    if (d->divergence == MERIT_POLICY_DIVERGENCE_TV) {
        return A > 0 ? gap <= d->divergence_high : gap >= -d->divergence_low;
    }
    const real D = bernoulli(lp, anchor);
    return A > 0 ? D <= d->divergence_high || gap <= 0 : D <= d->divergence_low || gap >= 0;
}

static void weigh(const plo_sequence *q, int64_t t, plo_token *k)
{
    const merit_policy_loss_desc *const d = q->d;
    real w = 1;
    k->kept = 1, k->W = 1;
    k->gap = q->io->rollout != NULL ? gap_of(q, t) : 0;
    if (d->mismatch_level != MERIT_POLICY_LEVEL_NONE) {
        const real m = d->mismatch_level == MERIT_POLICY_LEVEL_TOKEN ? k->gap : q->m;
        k->W = expl(clamp(m, -20, 20));
        const int outside = k->W < d->mismatch_low || k->W > d->mismatch_high;
        w = k->W;
        if (d->mismatch_rule == MERIT_POLICY_MISMATCH_RULE_MASK && outside) w = 0;
        if (d->mismatch_rule == MERIT_POLICY_MISMATCH_RULE_TRUNCATE) {
            w = clamp(k->W, d->mismatch_low, d->mismatch_high);
        }
        if (d->mismatch_rule == MERIT_POLICY_MISMATCH_RULE_NONE) w = 1;
    }
    if (d->reject_level != MERIT_POLICY_LEVEL_NONE) {
        const real m = d->reject_level == MERIT_POLICY_LEVEL_TOKEN ? reject_of(q, t) : q->reject;
        const real x = expl(clamp(m, -20, 20));
        const int touched = d->reject_when == MERIT_POLICY_REJECT_WHEN_ANY || k->A < 0;
        if (touched && (x < d->reject_low || x > d->reject_high)) k->kept = 0;
    }
    if (!k->kept) w = 0;
    k->within = within_of(q, t, k->A);
    k->k = d->correction_scope == MERIT_POLICY_SCOPE_ALL ? w : 1;
    k->c = w;
    if (q->io->token_weight != NULL) {
        const real weight = q->io->token_weight[t];
        k->c = weight == 0 || w == 0 ? 0 : weight * w;
    }
    if (!k->within) k->c = 0;
    if (q->s == 0) k->c = 0, k->k = 0;
}

static void clip(const plo_sequence *q, plo_token *k)
{
    const merit_policy_loss_desc *const d = q->d;
    const real cap = d->ratio_cap > 0 ? (real)d->ratio_cap : INFINITY;
    const real first = -k->A * fminl(k->r, cap);
    const real second = -k->A * clamp(k->r, k->low, k->high);
    real l = fmaxl(first, second);
    const int dual = k->A < 0 && d->dual_clip > 0 && -d->dual_clip * k->A < l;
    if (dual) l = -d->dual_clip * k->A;
    k->l = isnan(first) || isnan(second) ? (real)NAN : l;
    k->dl_rho = first >= second && k->r <= cap && !dual ? -k->A * k->r * k->inside : 0;
    if (isnan(k->l)) k->dl_rho = NAN;
    k->capped = k->r > cap, k->dual = dual;
}

static void surrogate(const plo_sequence *q, plo_token *k)
{
    const merit_policy_loss_desc *const d = q->d;
    const real A = k->A, r = k->r;
    k->noise_l = k->noise_dl = PLO_EPS * (3 + fabsl(k->rho));
    switch (k->surrogate) {
    case MERIT_POLICY_SURROGATE_DETACHED:
        k->dl_lp = -clamp(k->r_fixed, k->low, k->high) * A;
        k->l = k->dl_lp * k->lp;
        if (isnan(k->lp)) k->dl_lp = NAN;
        break;
    case MERIT_POLICY_SURROGATE_GATE: {
        const real tau = A > 0 ? d->gate_tau_positive : d->gate_tau_negative;
        const real x = tau * (r - 1);
        const real s = 1 / (1 + expl(-x)), rest = 1 / (1 + expl(x));
        k->l = -A * (4 / tau) * s;
        k->dl_rho = s * rest == 0 ? -4 * A * (s * rest) : -4 * A * s * rest * r * k->inside;
        k->noise_l += PLO_EPS, k->noise_dl += PLO_EPS * (4 + tau * r * (3 + fabsl(k->rho)));
        k->noise_l += PLO_EPS * rest * tau * r * (3 + fabsl(k->rho));
        break;
    }
    case MERIT_POLICY_SURROGATE_GEOMETRIC:
        k->l = q->geometric, k->dl_rho = q->geometric;
        k->noise_l = k->noise_dl = PLO_EPS * (3 + fabsl(q->geometric_mean));
        break;
    case MERIT_POLICY_SURROGATE_QUADRATIC: {
        const real rho = k->rho;
        k->l = -(A * k->lp - d->quadratic / 2.0L * rho * rho);
        k->dl_lp = isnan(k->lp) ? k->lp : -A, k->dl_rho = d->quadratic * rho;
        const real size = fabsl(A * k->lp) + d->quadratic * rho * rho;
        k->noise_l = k->l == 0 ? 0 : 3 * PLO_EPS * size / fabsl(k->l);
        const real slope = fabsl(A) + fabsl(k->dl_rho), sum = fabsl(k->dl_rho - A);
        k->noise_dl = 3 * PLO_EPS * (sum == 0 ? 1 : slope / sum);
        break;
    }
    case MERIT_POLICY_SURROGATE_RESHAPE: {
        const real p = expl(k->lp);
        k->l = -A * p / (p + d->reshape);
        k->dl_lp = -A * p * d->reshape / ((p + d->reshape) * (p + d->reshape));
        k->noise_l = k->noise_dl = 4 * PLO_EPS;
        break;
    }
    default: clip(q, k); break;
    }
    if (A == 0 && k->surrogate != MERIT_POLICY_SURROGATE_QUADRATIC &&
        k->surrogate != MERIT_POLICY_SURROGATE_GEOMETRIC) {
        const int lp_only = k->surrogate == MERIT_POLICY_SURROGATE_RESHAPE;
        const int lp_too = lp_only || k->surrogate == MERIT_POLICY_SURROGATE_DETACHED;
        const int lost = (lp_too && isnan(k->lp)) || (!lp_only && isnan(r));
        k->l = lost ? (real)NAN : 0, k->dl_rho = 0, k->dl_lp = 0;
        if (lost) k->dl_lp = NAN;
    }
}

static void flag(const plo_sequence *q, plo_token *k)
{
    if (k->surrogate == MERIT_POLICY_SURROGATE_CLIP ||
        k->surrogate == MERIT_POLICY_SURROGATE_DETACHED) {
        k->clipped_low = k->A < 0 && k->r_fixed < k->low;
        k->clipped_high = k->A > 0 && k->r_fixed > k->high;
    }
    if (k->surrogate == MERIT_POLICY_SURROGATE_GEOMETRIC) {
        real low, high;
        bounds(q->d, q->A, 0, &low, &high);
        k->clipped_low = q->A < 0 && k->rho < logl(low);
        k->clipped_high = q->A > 0 && k->rho > logl(high);
    }
    k->clamped = k->rho < q->d->log_ratio_min || k->rho > q->d->log_ratio_max;
}

static void kl(const plo_sequence *q, int64_t t, plo_token *k)
{
    const merit_policy_loss_desc *const d = q->d;
    if (d->kl_coef == 0) return;
    const real diff = q->io->ref[t] - k->lp;
    const real x = clamp(diff, -d->kl_input_clamp, d->kl_input_clamp);
    real value, slope;
    switch (d->kl) {
    case MERIT_POLICY_KL_K1: value = -x, slope = 1; break;
    case MERIT_POLICY_KL_K2: value = x * x / 2, slope = -x; break;
    case MERIT_POLICY_KL_ABS: value = fabsl(x), slope = x > 0 ? -1 : x < 0 ? 1 : 0; break;
    default: value = expm1l(x) - x, slope = -expm1l(x); break;
    }
    if (isnan(x)) slope = x;
    if (d->kl == MERIT_POLICY_KL_K3 && isinf(x)) value = INFINITY;
    if (d->kl_gradient == MERIT_POLICY_KL_GRADIENT_SQUARED) slope = -x;
    const int stops = fabsl(diff) > d->kl_input_clamp || fabsl(value) > d->kl_output_clamp;
    k->kl_seen = k->kl = clamp(value, -d->kl_output_clamp, d->kl_output_clamp);
    k->dkl = slope;
    k->noise_kl = k->noise_dkl = PLO_EPS * (4 + 2 * fabsl(x));
    if (d->kl_weight == MERIT_POLICY_KL_WEIGHT_RATIO) {
        k->dkl_rho = k->r * k->kl * k->inside;
        k->kl *= k->r;
        k->dkl *= k->r;
        k->noise_kl += PLO_EPS * (3 + fabsl(k->rho));
        k->noise_dkl += PLO_EPS * (3 + fabsl(k->rho));
    }
    if (stops) k->dkl = 0, k->dkl_rho = 0;
}

plo_token plo_token_of(const plo_sequence *q, int64_t t)
{
    const merit_policy_loss_desc *const d = q->d;
    plo_token k;
    memset(&k, 0, sizeof k);
    k.lp = plo_lp(q, t), k.old = plo_old(q, t);
    k.A = d->advantage_level == MERIT_POLICY_ADVANTAGE_TOKEN ? (real)q->io->advantages[t] : q->A;
    k.alt = q->io->token_mode != NULL && q->io->token_mode[t] == 1;
    k.surrogate = k.alt ? d->surrogate_alt : d->surrogate;
    bounds(d, k.A, k.alt, &k.low, &k.high);
    const int shared = plo_is_sequence(d->ratio_level);
    k.rho = shared ? q->rho : k.lp - k.old;
    const real fixed = shared ? q->rho_fixed : fixed_of(q, t) - k.old;
    k.r = expl(clamp(k.rho, d->log_ratio_min, d->log_ratio_max));
    k.r_fixed = expl(clamp(fixed, d->log_ratio_min, d->log_ratio_max));
    k.inside = !(k.rho < d->log_ratio_min || k.rho > d->log_ratio_max);
    k.H = q->io->entropy != NULL ? (real)q->io->entropy[t] : 0;
    weigh(q, t, &k);
    surrogate(q, &k);
    flag(q, &k);
    kl(q, t, &k);
    return k;
}
