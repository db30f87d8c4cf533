#include "preference_ordinal_oracle.h"

#include <math.h>
#include <stdlib.h>

typedef long double real;

enum { MAX_LEVELS = 64 };

// log sum e^x over x[0 .. n).
static real log_sum_exp(const real *x, int n)
{
    real top = -INFINITY;
    for (int k = 0; k < n; k++) {
        top = fmaxl(top, x[k]);
    }
    if (!(top > -INFINITY)) return -INFINITY;
    real sum = 0;
    for (int k = 0; k < n; k++) {
        sum += expl(x[k] - top);
    }
    return top + logl(sum);
}

typedef struct pair_state {
    int K;
    real log_p[MAX_LEVELS], log_r[MAX_LEVELS];
} pair_state;

// Log of the joint probability of (i, j) with its share: 1 for i > j, h for i = j.
static real joint(const pair_state *s, int i, int j, double h)
{
    const real both = s->log_p[i] + s->log_r[j];
    if (i > j) return both;
    return i == j && h > 0 ? both + logl(h) : -INFINITY;
}

typedef struct region_pair {
    int32_t low_a, high_a, low_b, high_b;
} region_pair;

static int inside(int k, int32_t low, int32_t high)
{
    return k >= low && k <= high;
}

// log S over the regions, with i or j held when it is not -1.
static real log_share(const pair_state *s, region_pair r, double h, int only_i, int only_j)
{
    real terms[MAX_LEVELS * MAX_LEVELS];
    int n = 0;
    for (int i = 0; i < s->K; i++) {
        for (int j = 0; j < s->K; j++) {
            if (!inside(i, r.low_a, r.high_a) || !inside(j, r.low_b, r.high_b)) continue;
            if ((only_i >= 0 && i != only_i) || (only_j >= 0 && j != only_j)) continue;
            terms[n++] = joint(s, i, j, h);
        }
    }
    return log_sum_exp(terms, n);
}

static int normalize(const double *logits, int K, double temperature, real *out, int *bad)
{
    real x[MAX_LEVELS];
    int some = 0;
    for (int k = 0; k < K; k++) {
        *bad |= isnan(logits[k]) || logits[k] == INFINITY;
        some |= logits[k] > -INFINITY;
        x[k] = (real)logits[k] / temperature;
    }
    if (*bad || !some) return 0;
    const real lse = log_sum_exp(x, K);
    for (int k = 0; k < K; k++) {
        out[k] = x[k] - lse;
    }
    return 1;
}

static void run_pair(const merit_preference_ordinal_desc *d, const merit_preference_ordinal_io *io,
                     const double *a, const double *b, int64_t n, ordinal_oracle *o, real *sum,
                     real *divisor)
{
    const int K = d->num_levels;
    if (io->mask != NULL && io->mask[n] == 0) return;
    const double w = io->weights == NULL ? 1 : io->weights[n];
    const int by_weight = d->reduction == MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT;
    if (w == 0) {
        o->metrics.pairs++;
        o->metrics.zero_weight++;
        *divisor += by_weight ? 0 : 1;
        return;
    }
    pair_state s = {.K = K};
    int bad = 0;
    const int fine_a = normalize(a, K, d->temperature, s.log_p, &bad);
    const int fine_b = normalize(b, K, d->temperature, s.log_r, &bad);
    if (d->skip_invalid && (bad || !isfinite(w))) {
        o->counters[MERIT_COUNTER_NONFINITE]++;
        return;
    }
    o->metrics.pairs++;
    *divisor += by_weight ? (real)w : 1;
    region_pair r = {0, K - 1, 0, K - 1};
    if (io->chosen_region != NULL) {
        r = (region_pair){io->chosen_region[2 * n], io->chosen_region[2 * n + 1],
                          io->rejected_region[2 * n], io->rejected_region[2 * n + 1]};
    }
    int bad_region = !(r.low_a >= 0 && r.low_a <= r.high_a && r.high_a < K && r.low_b >= 0 &&
                       r.low_b <= r.high_b && r.high_b < K);
    const int lost = !fine_a || !fine_b;
    real log_s = -INFINITY;
    if (!lost && !bad_region) {
        log_s = log_share(&s, r, d->tie_share, -1, -1);
        bad_region = log_s == -INFINITY;
    }
    const int invalid = lost || bad_region || !(w >= 0 && w < INFINITY);
    o->counters[MERIT_COUNTER_NONFINITE] += lost || !isfinite(w);
    o->counters[MERIT_COUNTER_BAD_WEIGHT] += !(w >= 0);
    o->counters[MERIT_COUNTER_BAD_REGION] += bad_region;
    const region_pair all = {0, K - 1, 0, K - 1};
    real win = NAN, lose = NAN, tie = NAN, mean_a = NAN, mean_b = NAN;
    if (!lost) {
        win = lose = tie = mean_a = mean_b = 0;
        for (int i = 0; i < K; i++) {
            const real level = d->first_value + (real)i * d->value_step;
            mean_a += level * expl(s.log_p[i]);
            mean_b += level * expl(s.log_r[i]);
            for (int j = 0; j < K; j++) {
                const real both = expl(s.log_p[i] + s.log_r[j]);
                *(i > j ? &win : i < j ? &lose : &tie) += both;
            }
        }
        win = expl(log_share(&s, all, 0, -1, -1));
    }
    o->win[n] = (double)win, o->tie[n] = (double)tie;
    o->mean[2 * n] = (double)mean_a, o->mean[2 * n + 1] = (double)mean_b;
    if (invalid) {
        o->metrics.invalid++;
        o->pair_loss[n] = NAN;
        *sum += NAN;
    } else {
        o->pair_loss[n] = (double)(w * -log_s);
        *sum += w * -log_s;
        o->metrics.sum_loss += (double)-log_s;
        o->metrics.sum_weight += w;
        o->metrics.sum_difference += (double)(mean_a - mean_b);
        o->metrics.correct_strict += win - lose > 1e-16L; // else a tie, up to rounding
    }
    for (int k = 0; k < K; k++) {
        real ga = NAN, gb = NAN;
        if (!invalid) {
            ga = w / d->temperature *
                 (expl(s.log_p[k]) - expl(log_share(&s, r, d->tie_share, k, -1) - log_s));
            gb = w / d->temperature *
                 (expl(s.log_r[k]) - expl(log_share(&s, r, d->tie_share, -1, k) - log_s));
        }
        o->grad_chosen[n * K + k] = (double)ga;
        o->grad_rejected[n * K + k] = (double)gb;
    }
}

ordinal_oracle *ordinal_oracle_run(const merit_preference_ordinal_desc *desc,
                                   const merit_preference_ordinal_io *io, const double *chosen,
                                   const double *rejected)
{
    const int64_t N = desc->num_pairs, K = desc->num_levels;
    const size_t pairs = (size_t)N + 1, levels = (size_t)(N * K) + 1;
    ordinal_oracle *const o = calloc(1, sizeof *o);
    o->pair_loss = calloc(pairs, sizeof(double));
    o->win = calloc(pairs, sizeof(double));
    o->tie = calloc(pairs, sizeof(double));
    o->mean = calloc(2 * pairs, sizeof(double));
    o->grad_chosen = calloc(levels, sizeof(double));
    o->grad_rejected = calloc(levels, sizeof(double));
    real sum = 0, divisor = 0;
    for (int64_t n = 0; n < N; n++) {
        run_pair(desc, io, chosen + n * K, rejected + n * K, n, o, &sum, &divisor);
    }
    if (desc->reduction == MERIT_PREFERENCE_REDUCTION_SUM) divisor = 1;
    if (desc->reduction == MERIT_PREFERENCE_REDUCTION_GIVEN) divisor = *io->denominator;
    const real upstream = io->grad_scale == NULL ? 1 : *io->grad_scale;
    const real scale = upstream == 0 && divisor == 0 ? 0 : upstream / divisor;
    o->loss = o->metrics.pairs == 0 || sum == 0 ? 0 : (double)(sum / divisor);
    o->counters[MERIT_COUNTER_ZERO_DENOMINATOR] += o->metrics.pairs > 0 && divisor == 0;
    for (int64_t i = 0; i < N * K; i++) {
        if (o->grad_chosen[i] != 0) {
            o->grad_chosen[i] = (double)(o->grad_chosen[i] * scale);
        }
        if (o->grad_rejected[i] != 0) {
            o->grad_rejected[i] = (double)(o->grad_rejected[i] * scale);
        }
    }
    return o;
}

void ordinal_oracle_free(ordinal_oracle *oracle)
{
    if (oracle == NULL) return;
    free(oracle->pair_loss);
    free(oracle->win);
    free(oracle->tie);
    free(oracle->mean);
    free(oracle->grad_chosen);
    free(oracle->grad_rejected);
    free(oracle);
}
