#include "logprob_oracle.h"

#include <math.h>
#include <mpfr.h>
#include <stdlib.h>

enum { BITS = 160 };

typedef struct row {
    const merit_policy_logprob_desc *d;
    const logprob_inputs *in;
    int64_t t;
    double temperature;
    double *z; // [V] effective logits, in double: the cap is exact to its last bits
    int *times; // [V] how often v is in K
} row;

// Logits ------------------------------------------------------------------------------------------

static double effective(const row *r, double x)
{
    const double a = (double)r->d->logit_scale * x;
    const double cap = r->d->soft_cap;
    if (r->d->logit_scale == 0) return x == -INFINITY ? x : a;
    if (a == -INFINITY || a == INFINITY) return a; // a mask, an error
    return (cap > 0 ? cap * tanh(a / cap) : a) / r->temperature;
}

static void find_support(row *r)
{
    const merit_policy_logprob_desc *const d = r->d;
    for (int64_t v = 0; v < d->vocab_size; v++) {
        r->times[v] = d->support == MERIT_LOGPROB_SUPPORT_ALL;
        if (d->support == MERIT_LOGPROB_SUPPORT_MASK) {
            r->times[v] = r->in->keep_mask[r->t * d->ld_mask + v / 32] >> (v % 32) & 1;
        }
    }
    for (int i = 0; d->support == MERIT_LOGPROB_SUPPORT_SUBSET && i < d->subset_size; i++) {
        r->times[r->in->subset_ids[r->t * d->ld_subset + i]]++;
    }
}

static int has_bad_id(const row *r)
{
    const merit_policy_logprob_desc *const d = r->d;
    for (int i = 0; d->support == MERIT_LOGPROB_SUPPORT_SUBSET && i < d->subset_size; i++) {
        const int32_t id = r->in->subset_ids[r->t * d->ld_subset + i];
        if (id < 0 || id >= d->vocab_size) return 1;
    }
    return 0;
}

// Sums --------------------------------------------------------------------------------------------

// sum of e^(z - max), sum of e^(z - max) (z - max), sum of e^(2 (z - max))
typedef struct sums {
    double max;
    mpfr_t sum, moment, squares;
} sums;

static void take(const row *r, int full, sums *s)
{
    mpfr_t e, term;
    mpfr_inits2(BITS, s->sum, s->moment, s->squares, e, term, (mpfr_ptr)0);
    mpfr_set_zero(s->sum, 1), mpfr_set_zero(s->moment, 1), mpfr_set_zero(s->squares, 1);
    s->max = -INFINITY;
    for (int64_t v = 0; v < r->d->vocab_size; v++) {
        if ((full || r->times[v] > 0) && r->z[v] > s->max) s->max = r->z[v];
    }
    for (int64_t v = 0; v < r->d->vocab_size && s->max > -INFINITY; v++) {
        const int times = full ? 1 : r->times[v];
        if (times == 0 || r->z[v] == -INFINITY) continue;
        mpfr_set_d(e, r->z[v], MPFR_RNDN);
        mpfr_sub_d(e, e, s->max, MPFR_RNDN);
        mpfr_set(term, e, MPFR_RNDN);
        mpfr_exp(e, e, MPFR_RNDN);
        mpfr_mul(term, term, e, MPFR_RNDN);
        mpfr_mul_si(term, term, times, MPFR_RNDN);
        mpfr_add(s->moment, s->moment, term, MPFR_RNDN);
        mpfr_sqr(term, e, MPFR_RNDN);
        mpfr_mul_si(term, term, times, MPFR_RNDN);
        mpfr_add(s->squares, s->squares, term, MPFR_RNDN);
        mpfr_mul_si(e, e, times, MPFR_RNDN);
        mpfr_add(s->sum, s->sum, e, MPFR_RNDN);
    }
    mpfr_clears(e, term, (mpfr_ptr)0);
}

static void give_back(sums *s)
{
    mpfr_clears(s->sum, s->moment, s->squares, (mpfr_ptr)0);
}

static void fill(logprob_oracle *o, int64_t t, double value)
{
    o->logprob[t] = o->lse[t] = o->entropy[t] = o->sum_sq[t] = o->mass[t] = value;
    o->argmax[t] = -1;
}

static void finish(logprob_oracle *o, const row *r, const sums *k, const sums *all)
{
    const int64_t t = r->t;
    mpfr_t log_all, x, share;
    mpfr_inits2(BITS, log_all, x, share, (mpfr_ptr)0);
    mpfr_log(log_all, all->sum, MPFR_RNDN);
    mpfr_add_d(x, log_all, all->max, MPFR_RNDN);
    o->lse[t] = mpfr_get_d(x, MPFR_RNDN); // Z
    // pi = e^(z - k.max) factor, factor = e^(k.max - Z)
    mpfr_d_sub(share, k->max, x, MPFR_RNDN);
    mpfr_exp(share, share, MPFR_RNDN);
    // entropy = -sum of pi (z - k.max + k.max - Z)
    mpfr_t part;
    mpfr_init2(part, BITS);
    mpfr_d_sub(part, k->max, x, MPFR_RNDN);
    mpfr_mul(part, part, k->sum, MPFR_RNDN);
    mpfr_add(part, part, k->moment, MPFR_RNDN);
    mpfr_mul(part, part, share, MPFR_RNDN);
    o->entropy[t] = -mpfr_get_d(part, MPFR_RNDN) + 0.0;
    mpfr_sqr(part, share, MPFR_RNDN);
    mpfr_mul(part, part, k->squares, MPFR_RNDN);
    o->sum_sq[t] = mpfr_get_d(part, MPFR_RNDN);
    mpfr_mul(part, share, k->sum, MPFR_RNDN);
    mpfr_log(part, part, MPFR_RNDN);
    o->mass[t] = mpfr_get_d(part, MPFR_RNDN) + 0.0;
    for (int64_t v = r->d->vocab_size - 1; v >= 0; v--) {
        if (r->times[v] > 0 && r->z[v] == k->max) o->argmax[t] = (int32_t)v;
    }
    const int64_t target = r->in->targets == NULL ? -1 : r->in->targets[t];
    o->logprob[t] = NAN;
    if (r->in->targets != NULL && (target < 0 || target >= r->d->vocab_size)) {
        o->counters[MERIT_COUNTER_BAD_LABEL]++;
    } else if (target >= 0) {
        const double z = r->times[target] > 0 ? r->z[target] : -INFINITY;
        mpfr_d_sub(part, z, x, MPFR_RNDN);
        o->logprob[t] = mpfr_get_d(part, MPFR_RNDN);
        o->spread[t] = z == -INFINITY ? 0 : all->max - z;
        o->counters[MERIT_COUNTER_TARGET_OUTSIDE_SUPPORT] += z == -INFINITY;
    }
    mpfr_clears(log_all, x, share, part, (mpfr_ptr)0);
}

// Rows --------------------------------------------------------------------------------------------

static void run_row(logprob_oracle *o, row *r)
{
    const merit_policy_logprob_desc *const d = r->d;
    const int full = d->normalize == MERIT_LOGPROB_NORMALIZE_FULL;
    if (r->in->targets != NULL && r->in->targets[r->t] == d->ignore_index) {
        fill(o, r->t, 0);
        return;
    }
    r->temperature = r->in->temperatures != NULL ? r->in->temperatures[r->t] : d->temperature;
    fill(o, r->t, NAN);
    if (!(r->temperature > 0) || r->temperature == INFINITY) {
        o->counters[MERIT_COUNTER_BAD_TEMPERATURE]++;
        return;
    }
    if (has_bad_id(r)) {
        o->counters[MERIT_COUNTER_BAD_LABEL]++;
        return;
    }
    find_support(r);
    double top = -INFINITY;
    int bad = 0, empty = 1;
    for (int64_t v = 0; v < d->vocab_size; v++) {
        r->z[v] = effective(r, r->in->logits[r->t * d->vocab_size + v]);
        if (!full && r->times[v] == 0) continue;
        bad |= !(r->z[v] < INFINITY);
        if (r->z[v] > top) top = r->z[v];
        if (r->times[v] > 0 && r->z[v] > -INFINITY) empty = 0;
    }
    if (bad) {
        o->counters[MERIT_COUNTER_NONFINITE]++;
    } else if (fabs(top) * M_LOG2E >= 0x1p22 && top > -INFINITY) {
        o->counters[MERIT_COUNTER_LOGIT_RANGE]++;
    } else if (empty && top == -INFINITY) {
        o->counters[MERIT_COUNTER_EMPTY_SUPPORT]++;
        o->lse[r->t] = -INFINITY;
    } else {
        sums k, all;
        take(r, 0, &k);
        take(r, full, &all);
        if (empty) { // FULL: only the whole has weights
            o->counters[MERIT_COUNTER_EMPTY_SUPPORT]++;
            mpfr_log(all.sum, all.sum, MPFR_RNDN);
            o->lse[r->t] = all.max + mpfr_get_d(all.sum, MPFR_RNDN);
            o->mass[r->t] = -INFINITY;
        } else {
            finish(o, r, &k, &all);
        }
        give_back(&k), give_back(&all);
    }
}

logprob_oracle *logprob_oracle_run(const merit_policy_logprob_desc *d, const logprob_inputs *in)
{
    logprob_oracle *const o = calloc(1, sizeof *o);
    const size_t T = (size_t)d->num_tokens + 1, V = (size_t)d->vocab_size;
    o->logprob = calloc(T, sizeof(double)), o->lse = calloc(T, sizeof(double));
    o->entropy = calloc(T, sizeof(double)), o->sum_sq = calloc(T, sizeof(double));
    o->mass = calloc(T, sizeof(double)), o->spread = calloc(T, sizeof(double));
    o->argmax = calloc(T, sizeof(int32_t));
    row r = {.d = d, .in = in, .z = calloc(V, sizeof(double)), .times = calloc(V, sizeof(int))};
    for (r.t = 0; r.t < d->num_tokens; r.t++) {
        run_row(o, &r);
    }
    free(r.z), free(r.times);
    mpfr_free_cache();
    return o;
}

// The derivative of row t, from its results: with pi_v = e^(z_v - Z), m_v the times v is in K, P = sum of
// m pi over K,
//   SUPPORT   d logprob = [v = y] - m pi          d entropy = -m pi (log pi + H)
//   FULL      d logprob = [v = y] - pi            d entropy = -m pi (log pi + 1) + pi (P - H)
static void derive_row(logprob_oracle *o, row *r, double by_logprob, double by_entropy)
{
    const merit_policy_logprob_desc *const d = r->d;
    const int full = d->normalize == MERIT_LOGPROB_NORMALIZE_FULL;
    const int64_t target = r->in->targets == NULL ? -1 : r->in->targets[r->t];
    const double H = o->entropy[r->t], P = full ? exp(o->mass[r->t]) : 1;
    find_support(r);
    for (int64_t v = 0; v < d->vocab_size; v++) {
        const double x = r->in->logits[r->t * d->vocab_size + v], m = r->times[v];
        const double z = effective(r, x);
        const int hit = v == target && m > 0 && z > -INFINITY;
        double *const g = &o->grad[r->t * d->vocab_size + v];
        *g = 0;
        const int missed = v == target && !hit; // the log-prob is -inf whatever this logit is
        if ((m == 0 && !full) || (missed && z == -INFINITY)) continue;
        const double log_pi = z - o->lse[r->t], pi = exp(log_pi);
        o->log_pi[r->t * d->vocab_size + v] = log_pi;
        *g = by_logprob * (missed ? 0 : hit - (full ? pi : m * pi));
        if (pi > 0) {
            *g +=
                by_entropy * (full ? pi * (P - H) - m * pi * (log_pi + 1) : -m * pi * (log_pi + H));
        }
        const double bend = d->soft_cap > 0 ? tanh(d->logit_scale * x / d->soft_cap) : 0;
        *g *= d->logit_scale / r->temperature * (1 - bend * bend);
    }
}

void logprob_oracle_gradient(const merit_policy_logprob_desc *d, const logprob_inputs *in,
                             logprob_oracle *o, const float *by_logprob, const float *by_entropy)
{
    const int64_t V = d->vocab_size;
    row r = {.d = d, .in = in, .times = calloc((size_t)V, sizeof(int))};
    free(o->grad), free(o->log_pi);
    o->log_pi = calloc((size_t)(d->num_tokens * V) + 1, sizeof(double));
    o->grad = calloc((size_t)(d->num_tokens * V) + 1, sizeof(double));
    for (r.t = 0; r.t < d->num_tokens; r.t++) {
        const int64_t target = in->targets == NULL ? 0 : in->targets[r.t];
        r.temperature = in->temperatures != NULL ? in->temperatures[r.t] : d->temperature;
        if (in->targets != NULL && target == d->ignore_index) continue;
        if (target < 0 || target >= V || isnan(o->entropy[r.t])) {
            for (int64_t v = 0; v < V; v++) {
                o->grad[r.t * V + v] = NAN;
            }
            continue;
        }
        derive_row(o, &r, by_logprob == NULL ? 0 : by_logprob[r.t],
                   by_entropy == NULL ? 0 : by_entropy[r.t]);
    }
    free(r.times);
}

void logprob_oracle_free(logprob_oracle *o)
{
    free(o->logprob), free(o->lse), free(o->entropy), free(o->sum_sq), free(o->mass);
    free(o->spread), free(o->argmax), free(o->grad), free(o->log_pi), free(o);
}
