#include "dominance_oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *x, const void *y)
{
    const double a = *(const double *)x, b = *(const double *)y;
    if (isnan(a) || isnan(b)) return isnan(a) - isnan(b);
    return (a > b) - (a < b);
}

static int expects_order(const merit_dominance_pairwise_desc *d)
{
    return !d->sort_levels && (d->integrate || d->measure == MERIT_DOMINANCE_MEASURE_MANN_WHITNEY);
}

static const float *weights_of(const dominance_oracle *o, int64_t b)
{
    return o->weights == NULL ? NULL : o->weights + b * o->d.weights_stride_state;
}

dominance_oracle *dominance_oracle_new(const merit_dominance_pairwise_desc *d, const double *q,
                                       const float *weights)
{
    dominance_oracle *const o = calloc(1, sizeof *o);
    const int64_t rows = d->num_states * d->num_objectives * d->num_actions, N = d->num_levels;
    o->d = *d;
    o->weights = weights;
    o->levels = malloc((size_t)(rows * N + 1) * sizeof *o->levels);
    o->unknown = calloc((size_t)rows + 1, sizeof *o->unknown);
    o->bad_weights = calloc((size_t)d->num_states + 1, sizeof *o->bad_weights);
    if (rows > 0) memcpy(o->levels, q, (size_t)(rows * N) * sizeof *q);
    for (int64_t r = 0; r < rows; r++) {
        double *const row = o->levels + r * N;
        if (d->sort_levels) qsort(row, (size_t)N, sizeof *row, by_value);
        int falls = 0;
        for (int64_t n = 0; n < N; n++) {
            o->unknown[r] |= isnan(row[n]) != 0;
            falls |= n > 0 && row[n] < row[n - 1];
        }
        if (expects_order(d) && falls) {
            o->unknown[r] = 1;
            o->unsorted++;
        }
    }
    for (int64_t b = 0; b < d->num_states; b++) {
        const float *const w = weights_of(o, b);
        for (int64_t n = 0; w != NULL && n < N; n++) {
            o->bad_weights[b] |= !(w[n] >= 0);
        }
        o->bad_weight += (uint64_t)o->bad_weights[b];
    }
    return o;
}

void dominance_oracle_free(dominance_oracle *o)
{
    free(o->levels), free(o->unknown), free(o->bad_weights), free(o);
}

static dominance_oracle_pair mann_whitney(const double *a, const double *b, int N)
{
    dominance_oracle_pair p = {0, 0, 0};
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            p.gain += a[i] > b[j];
            p.loss += a[i] < b[j];
            p.tie += a[i] == b[j];
        }
    }
    const double all = (double)N * N;
    return (dominance_oracle_pair){p.gain / all, p.loss / all, p.tie / all};
}

dominance_oracle_pair dominance_oracle_compare(const dominance_oracle *o, int64_t b, int m, int a1,
                                               int a2)
{
    const merit_dominance_pairwise_desc *const d = &o->d;
    const int N = d->num_levels;
    const int64_t row = (b * d->num_objectives + m) * d->num_actions;
    const double *x = o->levels + (row + a1) * N, *y = o->levels + (row + a2) * N;
    if (o->unknown[row + a1] || o->unknown[row + a2] || o->bad_weights[b]) {
        return (dominance_oracle_pair){NAN, NAN, NAN};
    }
    if (d->sign != NULL && d->sign[m] < 0) {
        const double *const swapped = x;
        x = y;
        y = swapped;
    }
    if (d->measure == MERIT_DOMINANCE_MEASURE_MANN_WHITNEY) return mann_whitney(x, y, N);
    const float *const weights = weights_of(o, b);
    // Without weights all is N (integrated: N^(p+1)) times as large until the end: sums of multiples of a
    // power of two then are exact, and so are ties.
    const double factor = weights == NULL ? N : 1;
    const double delta = (d->delta == NULL ? 0 : d->delta[m]) * (d->integrate ? factor : 1);
    const double unit = d->integrate ? pow(factor, d->power + 1) : factor;
    dominance_oracle_pair p = {0, 0, 0};
    double running = 0;
    for (int n = 0; n < N; n++) {
        const double w = weights == NULL ? 1 : weights[n];
        double difference = x[n] - y[n];
        if (d->power == 0 && !d->integrate && isnan(difference)) difference = 0; // inf, inf
        if (d->integrate) difference = running += w * difference;
        const double z = difference > delta    ? difference - delta
                         : difference < -delta ? difference + delta
                                               : 0 * difference;
        if (isnan(z) && !(d->power == 0 && isinf(difference))) {
            return (dominance_oracle_pair){NAN, NAN, NAN};
        }
        const double size = d->power == 0 ? 1 : d->power == 1 ? fabs(z) : z * z;
        if (z > 0) p.gain += w * size;
        if (z < 0) p.loss += w * size;
        if (!(z > 0) && !(z < 0)) p.tie += w;
    }
    return (dominance_oracle_pair){p.gain / unit, p.loss / unit, p.tie / factor};
}

static int halves(const dominance_oracle *o)
{
    return o->d.measure == MERIT_DOMINANCE_MEASURE_MANN_WHITNEY ||
           (o->d.power == 0 && o->d.ties == MERIT_DOMINANCE_TIES_HALF);
}

double dominance_oracle_qd(const dominance_oracle *o, dominance_oracle_pair p)
{
    if (isnan(p.gain)) return NAN;
    if (halves(o) && p.gain + p.loss + p.tie > 0) {
        return (p.gain + p.tie / 2) / (p.gain + p.loss + p.tie);
    }
    return p.gain + p.loss == 0 ? 0.5 : p.gain / (p.gain + p.loss);
}

int dominance_oracle_beats(const dominance_oracle *o, dominance_oracle_pair p, double theta,
                           double eta, int *near)
{
    const double all = p.gain + p.loss + (halves(o) ? p.tie : 0);
    const int exact = halves(o) || o->d.power == 0;
    const double slack = exact && o->weights == NULL ? 1e-12 : 1e-5;
    *near = 0;
    if (isnan(p.gain) || isinf(p.gain) || isinf(p.loss)) return 0;
    const double ahead = p.gain - p.loss;
    const double third =
        halves(o) ? p.gain + p.tie / 2 - theta * all : (1 - theta) * p.gain - theta * p.loss;
    // An exact 0 (equal rows, no violation at theta 1) is no near miss.
    if (ahead != 0 && fabs(ahead) < slack * all) *near = !exact;
    if (eta > 0 && fabs(ahead - eta) < slack * (all + eta)) *near = 1;
    if (ahead != 0 && p.loss > 0 && fabs(third) < slack * all) *near |= !exact;
    if (theta == 1 && !halves(o)) return ahead > 0 && (!(eta > 0) || ahead > eta) && p.loss == 0;
    return ahead > 0 && (!(eta > 0) || ahead > eta) && third >= (exact ? -1e-13 * all : 0);
}
