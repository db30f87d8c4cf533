#include "preference_oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define E64 0x1p-52L

double po_element(const void *array, int32_t dtype, int64_t i)
{
    if (dtype == MERIT_DTYPE_F32) return ((const float *)array)[i];
    const unsigned word = ((const uint16_t *)array)[i];
    if (dtype == MERIT_DTYPE_BF16) {
        const uint32_t bits = (uint32_t)word << 16;
        float value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    const int exponent = word >> 10 & 31;
    const double fraction = word & 1023, sign = word & 0x8000 ? -1 : 1;
    if (exponent == 31) return fraction != 0 ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * ldexp(fraction, -24);
    return sign * ldexp(fraction + 1024, exponent - 25);
}

// What one pair is --------------------------------------------------------------------------------

typedef struct state {
    int is_valid; // counts in D
    int is_zero; // of weight 0
    int is_bad; // NaN
    int64_t route;
    long double weight;
    po_point point;
} state;

typedef struct call {
    const merit_preference_pair_desc *d;
    const merit_preference_pair_io *io;
    preference_oracle *o;
} call;

static int is_used(const void *array, int64_t i, int64_t stride, int32_t dtype, long double *value,
                   int *nonfinite)
{
    if (array == NULL) return 0;
    *value = po_element(array, dtype, i * stride);
    if (!isfinite(*value)) *nonfinite = 1;
    return 1;
}

static int read_numbers(const call *c, int64_t i, po_point *p)
{
    const merit_preference_pair_desc *const d = c->d;
    const merit_preference_pair_io *const io = c->io;
    int nonfinite = 0;
    is_used(io->chosen, i, d->chosen_stride, d->score_dtype, &p->chosen, &nonfinite);
    is_used(io->rejected, i, d->rejected_stride, d->score_dtype, &p->rejected, &nonfinite);
    is_used(io->ref_chosen, i, d->ref_chosen_stride, MERIT_DTYPE_F32, &p->ref_chosen, &nonfinite);
    is_used(io->ref_rejected, i, d->ref_rejected_stride, MERIT_DTYPE_F32, &p->ref_rejected,
            &nonfinite);
    is_used(io->margins, i, 1, MERIT_DTYPE_F32, &p->margin, &nonfinite);
    is_used(io->betas, i, 1, MERIT_DTYPE_F32, &p->signal, &nonfinite);
    is_used(io->beta_signal, i, 1, MERIT_DTYPE_F32, &p->signal, &nonfinite);
    is_used(io->probabilities, i, 1, MERIT_DTYPE_F32, &p->p, &nonfinite);
    return nonfinite;
}

static int bad_target(const call *c, int64_t i, po_point *p)
{
    if (c->d->target == MERIT_PAIR_TARGET_OUTCOME) {
        const int outcome = c->io->outcomes[i];
        p->p = outcome == 0 ? 0.5L : outcome > 0;
        if (outcome >= -1 && outcome <= 1) return 0;
        p->p = 1; // any but 1/2
        return 1;
    }
    return c->d->target == MERIT_PAIR_TARGET_PROBABILITY && !(p->p >= 0 && p->p <= 1);
}

static int bad_length(const int32_t *lengths, int64_t i, long double *length)
{
    if (lengths == NULL) return 0;
    *length = lengths[i];
    return lengths[i] <= 0;
}

static long long *counter(const call *c, int which)
{
    return &c->o->counters[which];
}

static state read_pair(const call *c, int64_t i)
{
    const merit_preference_pair_desc *const d = c->d;
    const merit_preference_pair_io *const io = c->io;
    state s = {.weight = 1};
    po_point *const p = &s.point;
    p->chosen_length = p->rejected_length = p->p = 1;
    p->log_tie = io->log_tie_dev != NULL ? *io->log_tie_dev : d->log_tie;
    p->unary_shift = io->unary_shift_dev != NULL ? *io->unary_shift_dev : d->unary_shift;
    if (io->mask != NULL && io->mask[i] == 0) return s;

    if (io->weights != NULL) s.weight = io->weights[i];
    s.is_zero = s.weight == 0;
    const int is_drop = !s.is_zero && d->tie_model == MERIT_TIE_MODEL_DROP && io->outcomes[i] == 0;
    if (is_drop) return s;
    int nonfinite = 0;
    if (!s.is_zero) nonfinite = read_numbers(c, i, p) || !isfinite(s.weight);
    if (nonfinite) ++*counter(c, MERIT_COUNTER_NONFINITE);
    if (nonfinite && d->skip_invalid) return s;

    s.is_valid = 1;
    int bad_route = 0;
    if (d->route_kind == MERIT_ROUTE_KIND_COLUMN) s.route = i % d->num_routes;
    if (d->route_kind == MERIT_ROUTE_KIND_ARRAY) {
        s.route = io->routes[i];
        bad_route = s.route < 0 || s.route >= d->num_routes;
        if (bad_route) s.route = 0, ++*counter(c, MERIT_COUNTER_BAD_ROUTE);
    }
    if (s.is_zero) return s;

    const int bad_weight = !(s.weight >= 0);
    const int target = bad_target(c, i, p);
    const int chosen_length = bad_length(io->chosen_length, i, &p->chosen_length);
    const int length = bad_length(io->rejected_length, i, &p->rejected_length) | chosen_length;
    const int tie =
        d->tie_model == MERIT_TIE_MODEL_RAO_KUPPER && io->outcomes[i] == 0 && !(p->log_tie > 0);
    *counter(c, MERIT_COUNTER_BAD_WEIGHT) += bad_weight;
    *counter(c, MERIT_COUNTER_BAD_TARGET) += target;
    *counter(c, MERIT_COUNTER_BAD_LENGTH) += length;
    *counter(c, MERIT_COUNTER_BAD_TIE) += tie;
    s.is_bad = nonfinite || bad_route || bad_weight || target || length || tie;
    return s;
}

// Sums --------------------------------------------------------------------------------------------

// With the rounding of the canonical order: its depth in units of the magnitudes.

static void sum_in(po_number *sum, po_number x)
{
    if (fabsl(x.value) >= 0x1p1024L) x = (po_number){copysignl(INFINITY, x.value), 0};
    sum->value += x.value;
    sum->noise += x.noise + 32 * E64 * fabsl(x.value);
}

// Whether a call may hold 0 here: binary64 ends at 2^-1074.
static int is_noise(po_number x)
{
    return fabsl(x.value) <= x.noise + 0x1p-1060L;
}

static po_number exactly(long double value)
{
    return (po_number){value, 0};
}

static po_number scaled(long double factor, po_number x)
{
    if (x.value == 0) return (po_number){0, x.noise > 0 ? fabsl(factor) * x.noise : 0};
    return (po_number){factor * x.value,
                       fabsl(factor) * x.noise + 8 * E64 * fabsl(factor * x.value)};
}

// Metrics and calibration -------------------------------------------------------------------------

static void count_pair(po_metrics *m, const call *c, const state *s, const po_pair *v)
{
    const int is_decided = s->point.p != 0.5L;
    m->pairs++;
    m->zero_weight += s->is_zero;
    if (s->is_zero) return;
    m->decided += is_decided;
    m->label_ties += !is_decided;
    m->invalid += s->is_bad;
    if (s->is_bad) return;
    m->correct_strict += is_decided && v->d != 0 && (v->d > 0) == (s->point.p > 0.5L);
    m->tied += is_decided && v->d == 0;
    sum_in(&m->weight, exactly(s->weight));
    sum_in(&m->loss, v->loss);
    sum_in(&m->difference, exactly(v->d));
    sum_in(&m->difference_squared, (po_number){v->d * v->d, E64 * v->d * v->d});
    sum_in(&m->chosen, exactly(v->x_c));
    sum_in(&m->rejected, exactly(v->x_r));
    if (c->io->chosen != NULL) {
        m->min_score = fminl(m->min_score, v->x_c), m->max_score = fmaxl(m->max_score, v->x_c);
    }
    if (c->io->rejected != NULL) {
        m->min_score = fminl(m->min_score, v->x_r), m->max_score = fmaxl(m->max_score, v->x_r);
    }
}

static void count_confidence(const call *c, const state *s, const po_pair *v)
{
    const int bins = c->d->calibration_bins;
    if (bins == 0 || s->is_zero || s->is_bad) return;
    const long double z32 = (long double)(float)(double)v->z, confidence = po_s(fabsl(z32));
    const long double at = (confidence - 0.5L) * 2 * bins;
    const int bin = at >= bins - 1 ? bins - 1 : (int)at;
    const long double border = roundl(at); // two units of binary32 to either side
    const int unsure = border >= 1 && border < bins && fabsl(at - border) < 4 * bins * 0x1p-24L;
    po_bin *const row = c->o->bins + s->route * bins;
    const long double p = s->point.p;
    const double hit = v->z == 0 || p == 0.5L ? 0.5 : (v->z > 0) == (p > 0.5L) ? 1.0 : 0.0;
    if (unsure) {
        row[(int)border - 1].unsure++, row[(int)border].unsure++;
        return;
    }
    row[bin].count++;
    row[bin].hit += hit;
    sum_in(&row[bin].confidence, (po_number){confidence, 0x1p-24L});
}

// A call ------------------------------------------------------------------------------------------

static void denominators(const call *c, const state *states, long double *D)
{
    const int K = c->d->num_routes;
    for (int k = 0; k < K; k++) {
        D[k] = c->d->reduction == MERIT_PREFERENCE_REDUCTION_SUM     ? 1
               : c->d->reduction == MERIT_PREFERENCE_REDUCTION_GIVEN ? c->io->denominators[k]
                                                                     : 0;
    }
    for (int64_t i = 0; i < c->d->num_pairs; i++) {
        if (!states[i].is_valid) continue;
        if (c->d->reduction == MERIT_PREFERENCE_REDUCTION_MEAN_VALID) D[states[i].route] += 1;
        if (c->d->reduction == MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT) {
            D[states[i].route] += states[i].weight;
        }
    }
}

static po_number gradient(po_number by_score, long double scale, const state *s)
{
    if (!s->is_valid || s->is_zero) return exactly(0);
    if (s->is_bad) return exactly(NAN);
    // Over a denominator of 0 or NaN all depends on whether the call's gradient is 0.
    if (!isfinite(scale) && is_noise(by_score)) return (po_number){0, INFINITY};
    return scaled(s->weight * scale, by_score);
}

// A sum over routes: where some are infinite, the sum of their alpha / D tells the sign.
typedef struct joined {
    po_number finite;
    long double infinite;
} joined;

static void join(joined *j, long double alpha, long double D, po_number sum)
{
    if (alpha == 0 && !isnan(sum.value)) return;
    const po_number term = scaled((double)alpha / (double)D, sum);
    if (fabsl(term.value) >= 0x1p1024L) {
        const double share = (double)alpha / (double)D;
        j->infinite += copysign(fmin(fabs(share), 0x1p1000), term.value);
    } else {
        sum_in(&j->finite, term);
    }
}

static po_number joined_value(joined j)
{
    if (j.infinite == 0 || isnan(j.finite.value)) return j.finite;
    return exactly(copysignl(INFINITY, j.infinite));
}

static void reduce(const call *c, const state *states)
{
    const merit_preference_pair_desc *const d = c->d;
    const merit_preference_pair_io *const io = c->io;
    preference_oracle *const o = c->o;
    const int K = d->num_routes;
    const long double upstream = io->grad_scale != NULL ? *io->grad_scale : 1;
    long double D[PO_MAX_ROUTES];
    po_number by_tie[PO_MAX_ROUTES] = {{0, 0}};
    denominators(c, states, D);
    for (int64_t i = 0; i < o->num_pairs; i++) {
        const state *const s = &states[i];
        const long double alpha = io->alpha != NULL ? io->alpha[s->route] : 1;
        // The call's three roundings; an infinity or NaN among them stays one.
        const long double numerator = (double)(upstream * alpha);
        const int is_nothing = numerator == 0 && D[s->route] == 0;
        const long double scale = is_nothing ? 0 : (double)(numerator / D[s->route]);
        const po_pair *const v = &o->pairs[i];
        o->valid[i] = (unsigned char)s->is_valid;
        o->grad_chosen[i] = gradient(v->by_chosen, scale, s);
        o->grad_rejected[i] = gradient(v->by_rejected, scale, s);
        if (!s->is_valid) continue;
        count_pair(&o->metrics[s->route], c, s, v);
        count_confidence(c, s, v);
        if (s->is_zero) continue;
        o->pair_loss[i] = s->is_bad ? exactly(NAN) : scaled(s->weight, v->loss);
        o->probability[i] = s->is_bad ? exactly(NAN) : v->probability;
        sum_in(&o->route_sum[s->route], o->pair_loss[i]);
        sum_in(&o->tiles[i / PO_TILE * K + s->route], o->pair_loss[i]);
        sum_in(&by_tie[s->route], s->is_bad ? exactly(NAN) : scaled(s->weight, v->by_tie));
        if (v->overflows & PO_COUNTED) ++o->counters[MERIT_COUNTER_NONFINITE];
    }
    const int divides = io->loss != NULL || io->grad_chosen != NULL || io->grad_rejected != NULL ||
                        io->grad_tie != NULL;
    int loss_is_open = 0, tie_is_open = 0;
    joined loss = {{0, 0}, 0}, tie = loss;
    for (int k = 0; k < K; k++) {
        if (o->metrics[k].pairs == 0) continue;
        const long double alpha = io->alpha != NULL ? io->alpha[k] : 1;
        const int is_zero = D[k] == 0;
        if (is_zero && divides) ++o->counters[MERIT_COUNTER_ZERO_DENOMINATOR];
        loss_is_open |= is_zero && o->route_sum[k].value != 0 && is_noise(o->route_sum[k]);
        tie_is_open |= is_zero && by_tie[k].value != 0 && is_noise(by_tie[k]);
        if (!is_zero || o->route_sum[k].value != 0) join(&loss, alpha, D[k], o->route_sum[k]);
        if (!is_zero || by_tie[k].value != 0) join(&tie, alpha, D[k], by_tie[k]);
    }
    o->loss = joined_value(loss);
    o->grad_tie = scaled(upstream, joined_value(tie));
    // Rounding to 0 alone decides.
    if (loss_is_open) o->loss = (po_number){0, INFINITY};
    if (tie_is_open) o->grad_tie = (po_number){0, INFINITY};
}

static void *zeros(int64_t count, size_t size)
{
    void *const memory = calloc((size_t)count + 1, size);
    if (memory == NULL) abort();
    return memory;
}

preference_oracle *preference_oracle_run(const merit_preference_pair_desc *desc,
                                         const merit_preference_pair_io *io)
{
    preference_oracle *const o = zeros(1, sizeof *o);
    const int64_t N = desc->num_pairs;
    const call c = {desc, io, o};
    o->num_pairs = N, o->num_routes = desc->num_routes;
    o->num_tiles = (N + PO_TILE - 1) / PO_TILE;
    o->pair_loss = zeros(N, sizeof(po_number));
    o->probability = zeros(N, sizeof(po_number));
    o->grad_chosen = zeros(N, sizeof(po_number));
    o->grad_rejected = zeros(N, sizeof(po_number));
    o->valid = zeros(N, 1);
    o->pairs = zeros(N, sizeof(po_pair));
    o->tiles = zeros(o->num_tiles * o->num_routes, sizeof(po_number));
    o->bins = zeros((int64_t)o->num_routes * desc->calibration_bins, sizeof(po_bin));
    for (int k = 0; k < o->num_routes; k++) {
        o->metrics[k].min_score = INFINITY, o->metrics[k].max_score = -INFINITY;
    }
    state *const states = zeros(N, sizeof *states);
    for (int64_t i = 0; i < N; i++) {
        states[i] = read_pair(&c, i);
        if (states[i].is_valid && !states[i].is_zero && !states[i].is_bad) {
            o->pairs[i] = po_evaluate(desc, &states[i].point);
        }
    }
    reduce(&c, states);
    free(states);
    return o;
}

void preference_oracle_free(preference_oracle *o)
{
    free(o->pair_loss), free(o->probability), free(o->grad_chosen), free(o->grad_rejected);
    free(o->valid), free(o->pairs), free(o->tiles), free(o->bins), free(o);
}
