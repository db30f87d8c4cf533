#include "preference_list_oracle_modes.h"

#include <math.h>
#include <stdlib.h>

static real softplus(real x)
{
    return fmaxl(x, 0) + log1pl(expl(-fabsl(x)));
}

static real sigmoid(real x)
{
    const real e = expl(-fabsl(x));
    return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

real list_oracle_log_sum_exp(const group_set *g, const int *in, real sign, int anchor)
{
    real top = anchor ? 0 : -INFINITY;
    for (int64_t i = 0; i < g->n; i++) {
        if (in[i]) top = fmaxl(top, sign * g->x[i]);
    }
    if (!(top > -INFINITY)) return -INFINITY;
    real sum = anchor ? expl(-top) : 0;
    for (int64_t i = 0; i < g->n; i++) {
        if (in[i]) sum += expl(sign * g->x[i] - top);
    }
    return top + logl(sum);
}

// Modes -------------------------------------------------------------------------------------------

real list_oracle_cross_entropy(const merit_preference_list_desc *d, group_set *g)
{
    real total = 0;
    for (int64_t i = 0; i < g->n; i++) {
        if (g->member[i])
            total += d->target == MERIT_LIST_TARGET_WEIGHTS ? g->key[i] : i == g->target;
    }
    const real lse = list_oracle_log_sum_exp(g, g->member, 1, 0);
    real loss = 0;
    for (int64_t i = 0; i < g->n; i++) {
        if (!g->member[i]) continue;
        real q = d->target == MERIT_LIST_TARGET_WEIGHTS ? g->key[i] / total : i == g->target;
        q = (1 - (real)d->smoothing) * q + (real)d->smoothing / g->m;
        if (q != 0) loss += q * (lse - g->x[i]);
        g->dx[i] = expl(g->x[i] - lse) - q;
    }
    return loss;
}

int list_oracle_is_stage(const merit_preference_list_desc *d, double rank)
{
    return rank >= 0 && (d->top_k == 0 || rank < d->top_k);
}

// O(stages * n). Stages of one rank share their risk set.
real list_oracle_plackett_luce(const merit_preference_list_desc *d, group_set *g)
{
    int *const risk = malloc(sizeof *risk * (size_t)(g->n + 1));
    int *const done = calloc((size_t)g->n + 1, sizeof *done);
    real loss = 0;
    for (int64_t j = 0; j < g->n; j++) {
        if (!g->member[j] || !list_oracle_is_stage(d, g->key[j]) || done[j]) continue;
        int count = 0;
        for (int64_t i = 0; i < g->n; i++) {
            risk[i] = g->member[i] && (g->key[i] >= g->key[j] || g->key[i] == -1);
            if (g->member[i] && g->key[i] == g->key[j]) done[i] = 1, count++;
        }
        const real lse = list_oracle_log_sum_exp(g, risk, 1, 0);
        if (lse == -INFINITY) continue;
        for (int64_t i = 0; i < g->n; i++) {
            if (risk[i]) g->dx[i] += count * expl(g->x[i] - lse);
            if (!(g->member[i] && g->key[i] == g->key[j])) continue;
            g->dx[i] -= 1;
            loss += lse - g->x[i];
        }
    }
    free(risk), free(done);
    return loss;
}

static real phi(const merit_preference_list_desc *d, real z, real *slope)
{
    if (d->link == MERIT_LINK_HINGE) {
        *slope = z < 1 ? -1 : 0;
        return z < 1 ? 1 - z : 0;
    }
    if (d->link == MERIT_LINK_EXPONENTIAL) {
        *slope = -expl(-z);
        return expl(-z);
    }
    *slope = -sigmoid(-z);
    return softplus(-z);
}

real list_oracle_all_pairs(const merit_preference_list_desc *d, group_set *g, int64_t counts[3])
{
    real loss = 0;
    for (int64_t i = 0; i < g->n; i++) {
        for (int64_t j = 0; j < g->n; j++) {
            if (!g->member[i] || !g->member[j] || !(g->key[i] > g->key[j])) continue;
            real slope;
            loss += phi(d, g->x[i] - g->x[j] - d->margin, &slope);
            g->dx[i] += slope;
            g->dx[j] -= slope;
            counts[g->x[i] > g->x[j] ? 0 : g->x[i] < g->x[j] ? 1 : 2]++;
        }
    }
    return loss;
}

real list_oracle_anchored(const merit_preference_list_desc *d, group_set *g)
{
    int *const sets = calloc(2 * (size_t)(g->n + 1), sizeof *sets);
    int *const positive = sets, *const negative = sets + g->n;
    for (int64_t i = 0; i < g->n; i++) {
        positive[i] = g->member[i] && g->key[i] > 0;
        negative[i] = g->member[i] && g->key[i] < 0;
    }
    const int split = d->anchored == MERIT_ANCHORED_SPLIT;
    const real a = list_oracle_log_sum_exp(g, positive, -1, split);
    const real b = list_oracle_log_sum_exp(g, negative, 1, split);
    real loss = split ? a + b : softplus(a + b);
    if (d->anchored == MERIT_ANCHORED_POINTWISE) loss = 0;
    for (int64_t i = 0; i < g->n; i++) {
        if (!positive[i] && !negative[i]) continue;
        const real side = positive[i] ? -1 : 1;
        if (d->anchored == MERIT_ANCHORED_POINTWISE) {
            loss += softplus(side * g->x[i]);
            g->dx[i] = side * sigmoid(side * g->x[i]);
        } else {
            const real share = expl(side * g->x[i] - (positive[i] ? a : b));
            g->dx[i] = side * share * (split ? 1 : sigmoid(a + b));
        }
    }
    free(sets);
    return loss;
}
