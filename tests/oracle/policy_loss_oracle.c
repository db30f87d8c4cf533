#include "policy_loss_oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef long double real;

static const real EPS = 1.2e-7L; // two units of half an ulp of binary32

// One sequence at work. lp moves for differences, fixed does not.
typedef struct sequence {
    const merit_policy_loss_desc *d;
    const merit_policy_loss_io *io;
    const double *lp; // [T]; NULL: io->logprob
    int64_t begin, size, n;
    real s, D, a, A;
    real rho, rho_fixed, m, reject; // of the sequence
    real geometric, geometric_mean;
} sequence;

static real lp_of(const sequence *q, int64_t t)
{
    return q->lp != NULL ? q->lp[t] : q->io->logprob[t];
}

static real fixed_of(const sequence *q, int64_t t)
{
    return q->io->logprob[t];
}

static real old_of(const sequence *q, int64_t t)
{
    return q->io->old != NULL ? (real)q->io->old[t] : fixed_of(q, t);
}

static int is_valid(const sequence *q, int64_t t)
{
    return q->D != 0 && (q->io->mask == NULL || q->io->mask[t] != 0);
}

static real clamp(real x, real low, real high)
{
    return x < low ? low : x > high ? high : x;
}

static int is_sequence(int level)
{
    return level == MERIT_POLICY_LEVEL_SEQUENCE_MEAN || level == MERIT_POLICY_LEVEL_SEQUENCE_SUM;
}

static real gap_of(const sequence *q, int64_t t)
{
    const int current = q->d->mismatch_numerator == MERIT_POLICY_NUMERATOR_CURRENT;
    return (current ? fixed_of(q, t) : old_of(q, t)) - q->io->rollout[t];
}

static real reject_of(const sequence *q, int64_t t)
{
    if (q->d->reject_source == MERIT_POLICY_REJECT_SOURCE_CURRENT_OLD) {
        return fixed_of(q, t) - old_of(q, t);
    }
    return old_of(q, t) - q->io->rollout[t];
}

static real level(const sequence *q, int level_kind, real sum)
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
static real bounded(const sequence *q, real rho, int *moves)
{
    real low, high;
    bounds(q->d, q->A, 0, &low, &high);
    const real u = q->A > 0 ? fminl(rho, logl(high)) : fmaxl(rho, logl(low));
    *moves = isnan(rho) || (q->A > 0 ? !(rho > logl(high)) : !(rho < logl(low)));
    return isnan(rho) ? rho : u;
}

// What the tokens share.
static void settle(sequence *q)
{
    const merit_policy_loss_desc *const d = q->d;
    real rho = 0, fixed = 0, m = 0, reject = 0, A = 0, u = 0;
    for (int64_t t = q->begin; t < q->begin + q->size; t++) {
        if (!is_valid(q, t)) continue;
        q->n++;
        rho += lp_of(q, t) - old_of(q, t);
        fixed += fixed_of(q, t) - old_of(q, t);
        if (is_sequence(d->mismatch_level)) m += gap_of(q, t);
        if (is_sequence(d->reject_level)) reject += reject_of(q, t);
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
        if (is_valid(q, t)) u += bounded(q, lp_of(q, t) - old_of(q, t), &moves);
    }
    q->geometric_mean = u / q->n;
    q->geometric = -q->A * expl(q->geometric_mean);
}

// Tokens ------------------------------------------------------------------------------------------

typedef struct token {
    real lp, old, A, rho, r, r_fixed, inside;
    real W, gap, c, k, H;
    int alt, kept, within, surrogate;
    real low, high;
    real l, dl_rho, dl_lp; // the surrogate
    real kl, kl_seen, dkl, dkl_rho;
    real noise_l, noise_dl, noise_kl, noise_dkl; // relative
    int clipped_low, clipped_high, capped, dual, clamped;
} token;

static real bernoulli(real lp, real anchor)
{
    const real pi = expl(lp), o = expl(anchor);
    return o * (anchor - lp) + (1 - o) * logl((1 - o + 1e-8L) / (1 - pi + 1e-8L));
}

static int within_of(const sequence *q, int64_t t, real A)
{
    const merit_policy_loss_desc *const d = q->d;
    if (d->divergence == MERIT_POLICY_DIVERGENCE_NONE) return 1;
    const real lp = fixed_of(q, t);
    const real anchor = d->divergence_anchor == MERIT_POLICY_ANCHOR_ROLLOUT
                            ? (real)q->io->rollout[t]
                            : old_of(q, t);
    const real gap = expl(lp) - expl(anchor);
    if (isnan(gap)) return 1;
    if (d->divergence == MERIT_POLICY_DIVERGENCE_TV) {
        return A > 0 ? gap <= d->divergence_high : gap >= -d->divergence_low;
    }
    const real D = bernoulli(lp, anchor);
    return A > 0 ? D <= d->divergence_high || gap <= 0 : D <= d->divergence_low || gap >= 0;
}

static void weigh(const sequence *q, int64_t t, token *k)
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

static void clip(const sequence *q, token *k)
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

static void surrogate(const sequence *q, token *k)
{
    const merit_policy_loss_desc *const d = q->d;
    const real A = k->A, r = k->r;
    k->noise_l = k->noise_dl = EPS * (3 + fabsl(k->rho));
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
        k->noise_l += EPS, k->noise_dl += EPS * (4 + tau * r * (3 + fabsl(k->rho)));
        k->noise_l += EPS * rest * tau * r * (3 + fabsl(k->rho));
        break;
    }
    case MERIT_POLICY_SURROGATE_GEOMETRIC:
        k->l = q->geometric, k->dl_rho = q->geometric;
        k->noise_l = k->noise_dl = EPS * (3 + fabsl(q->geometric_mean));
        break;
    case MERIT_POLICY_SURROGATE_QUADRATIC: {
        const real rho = k->rho;
        k->l = -(A * k->lp - d->quadratic / 2.0L * rho * rho);
        k->dl_lp = isnan(k->lp) ? k->lp : -A, k->dl_rho = d->quadratic * rho;
        const real size = fabsl(A * k->lp) + d->quadratic * rho * rho;
        k->noise_l = k->l == 0 ? 0 : 3 * EPS * size / fabsl(k->l);
        const real slope = fabsl(A) + fabsl(k->dl_rho), sum = fabsl(k->dl_rho - A);
        k->noise_dl = 3 * EPS * (sum == 0 ? 1 : slope / sum);
        break;
    }
    case MERIT_POLICY_SURROGATE_RESHAPE: {
        const real p = expl(k->lp);
        k->l = -A * p / (p + d->reshape);
        k->dl_lp = -A * p * d->reshape / ((p + d->reshape) * (p + d->reshape));
        k->noise_l = k->noise_dl = 4 * EPS;
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

static void flag(const sequence *q, token *k)
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

static void kl(const sequence *q, int64_t t, token *k)
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
    k->noise_kl = k->noise_dkl = EPS * (4 + 2 * fabsl(x));
    if (d->kl_weight == MERIT_POLICY_KL_WEIGHT_RATIO) {
        k->dkl_rho = k->r * k->kl * k->inside;
        k->kl *= k->r;
        k->dkl *= k->r;
        k->noise_kl += EPS * (3 + fabsl(k->rho));
        k->noise_dkl += EPS * (3 + fabsl(k->rho));
    }
    if (stops) k->dkl = 0, k->dkl_rho = 0;
}

static token token_of(const sequence *q, int64_t t)
{
    const merit_policy_loss_desc *const d = q->d;
    token k;
    memset(&k, 0, sizeof k);
    k.lp = lp_of(q, t), k.old = old_of(q, t);
    k.A = d->advantage_level == MERIT_POLICY_ADVANTAGE_TOKEN ? (real)q->io->advantages[t] : q->A;
    k.alt = q->io->token_mode != NULL && q->io->token_mode[t] == 1;
    k.surrogate = k.alt ? d->surrogate_alt : d->surrogate;
    bounds(d, k.A, k.alt, &k.low, &k.high);
    const int shared = is_sequence(d->ratio_level);
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

static void add(plo_number *to, real value, real noise)
{
    to->value += value;
    to->noise += isfinite(noise) ? fabsl(noise) : 0;
}

// The parts of a token's loss, a left out.
typedef struct parts {
    plo_number policy, kl, entropy;
} parts;

static parts parts_of(const sequence *q, const token *k)
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

static sequence begin(const merit_policy_loss_desc *d, const merit_policy_loss_io *io,
                      const double *lp, int64_t i)
{
    sequence q = {.d = d, .io = io, .lp = lp};
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

static int is_refused(const sequence *q, policy_loss_oracle *o)
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
static void differentiate(const sequence *q, policy_loss_oracle *o)
{
    const merit_policy_loss_desc *const d = q->d;
    const int through =
        is_sequence(d->ratio_level) && d->ratio_gradient == MERIT_POLICY_RATIO_GRADIENT_THROUGH;
    plo_number shared = {0, 0};
    for (int64_t t = q->begin; t < q->begin + q->size; t++) {
        if (!is_valid(q, t)) continue;
        const token k = token_of(q, t);
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
        if (!is_valid(q, t)) continue;
        int moves = 1;
        if (is_geometric) bounded(q, lp_of(q, t) - old_of(q, t), &moves);
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

static void observe(const sequence *q, const token *k, const parts *p, plo_stats *s)
{
    const merit_policy_loss_desc *const d = q->d;
    const real rho = k->lp - k->old;
    const real k3 = isinf(rho) ? (real)INFINITY : expm1l(rho) - rho;
    const real noise = EPS * (3 + fabsl(k->rho));
    s->tokens++;
    s->clipped_low += k->clipped_low, s->clipped_high += k->clipped_high;
    s->capped += k->capped, s->dual_clipped += k->dual, s->log_clamped += k->clamped;
    s->divergence_masked += !k->within, s->rejected_tokens += !k->kept;
    s->nan_tokens += isnan(p->policy.value + p->kl.value + p->entropy.value);
    add(&s->sum_ratio, k->r, k->r * noise);
    add(&s->sum_ratio_squared, k->r * k->r, 2 * k->r * k->r * noise);
    add(&s->sum_k1, -rho, rho * EPS);
    add(&s->sum_k3, k3, k3 * EPS * (4 + 2 * fabsl(rho)));
    widen(&s->ratio_min, &s->ratio_max, k->r, noise);
    if (d->kl_coef != 0) add(&s->sum_kl_ref, k->kl_seen, k->kl_seen * EPS * (4 + 2 * 20));
    add(&s->sum_entropy, k->H, 0);
    if (q->io->rollout != NULL) add(&s->sum_abs_logprob_gap, fabsl(k->gap), k->gap * EPS);
    if (d->mismatch_level == MERIT_POLICY_LEVEL_NONE) return;
    const int outside = k->W < d->mismatch_low || k->W > d->mismatch_high;
    s->mismatch_truncated += outside && d->mismatch_rule == MERIT_POLICY_MISMATCH_RULE_TRUNCATE;
    s->mismatch_masked += outside && d->mismatch_rule == MERIT_POLICY_MISMATCH_RULE_MASK;
    add(&s->sum_mismatch, k->W, k->W * EPS * 25);
    widen(&s->mismatch_min, &s->mismatch_max, k->W, EPS * 25);
}

static void run_sequence(sequence *q, policy_loss_oracle *o, plo_number *loss)
{
    plo_stats *const s = &o->stats;
    settle(q);
    const long long before = s->rejected_tokens;
    for (int64_t t = q->begin; t < q->begin + q->size; t++) {
        if (!is_valid(q, t)) continue;
        const token k = token_of(q, t);
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
        sequence q = begin(d, io, NULL, i);
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
        sequence q = begin(d, io, lp, i);
        if (is_refused(&q, NULL)) continue;
        settle(&q);
        for (int64_t t = q.begin; t < q.begin + q.size; t++) {
            if (!is_valid(&q, t)) continue;
            const token k = token_of(&q, t);
            const parts p = parts_of(&q, &k);
            loss += q.a * (p.policy.value + p.kl.value + p.entropy.value);
        }
    }
    return loss;
}
