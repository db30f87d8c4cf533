#include <math.h>

#include "advantage_oracle_group.h"

static int is_equal(double a, double b)
{
    return a == b; // NaN equals nothing
}

static real rank(const oracle_group *g, int64_t i, real n)
{
    const oracle_member *const me = &g->members[i];
    real above = 0, ties = 0, earlier = 0;
    if (n == 1) return 0;
    for (int64_t j = 0; j < g->size; j++) {
        const oracle_member *const m = &g->members[j];
        if (!m->is_counted) continue;
        above += m->x > me->x;
        ties += j != i && is_equal(m->x, me->x);
        earlier += j < i && is_equal(m->x, me->x);
    }
    switch (g->desc->rank_ties) {
    case MERIT_RANK_TIES_AVERAGE: above += ties / 2; break;
    case MERIT_RANK_TIES_ORDINAL: above += earlier; break;
    default: break;
    }
    return 1 - above / (n - 1);
}

// log sum exp of V without member i.
static real log_sum_exp_without(const oracle_group *g, int64_t i)
{
    real max = -INFINITY, sum = 0;
    for (int64_t j = 0; j < g->size; j++) {
        const oracle_member *const m = &g->members[j];
        if (m->is_counted && j != i && m->x > max) max = m->x;
    }
    for (int64_t j = 0; j < g->size; j++) {
        const oracle_member *const m = &g->members[j];
        if (m->is_counted && j != i) sum += expl(m->x - max);
    }
    return max + logl(sum);
}

static real softplus(real x)
{
    return x > 0 ? x + log1pl(expl(-x)) : log1pl(expl(x));
}

void oracle_group_transform(oracle_group *g)
{
    const merit_advantage_group_desc *const d = g->desc;
    real n = 0, max = -INFINITY, sum = 0, size = 0;
    double first = NAN;
    int has_nan = 0, all_equal = 1;
    for (int64_t i = 0; i < g->size; i++) {
        const oracle_member *const m = &g->members[i];
        if (!m->is_counted) continue;
        if (n == 0) first = m->x;
        n++;
        has_nan |= isnan(m->x);
        all_equal &= m->x == first && isfinite(m->x);
        max = m->x > max ? m->x : max;
        size = fabsl(m->x) > size ? fabsl(m->x) : size;
    }
    g->stats.x_all_equal = n > 0 && all_equal;
    for (int64_t i = 0; i < g->size; i++) {
        const oracle_member *const m = &g->members[i];
        if (m->is_counted) sum += expl((m->x - max) / d->temperature);
    }
    for (int64_t i = 0; i < g->size; i++) {
        oracle_member *const m = &g->members[i];
        m->u = m->x;
        m->u_error = 0;
        if (d->transform == MERIT_TRANSFORM_NONE) continue;
        if (d->transform == MERIT_TRANSFORM_LEAVE_ONE_OUT_LME && n == 1 && m->is_counted) continue;
        if (n == 0 || has_nan || isnan(m->x)) {
            m->u = NAN;
        } else if (d->transform == MERIT_TRANSFORM_RANK) {
            m->u = rank(g, i, n);
            m->u_error = 0x1p-52L;
        } else if (d->transform == MERIT_TRANSFORM_SOFTMAX) {
            const real argument = (m->x - max) / d->temperature;
            m->u = expl(argument) / sum;
            m->u_error = m->u * (ORACLE_ROUNDING + fabsl(argument) * 0x1p-51L);
        } else {
            // V without i has n - 1 members, or n when i is not one of them.
            const real others = m->is_counted ? n - 1 : n;
            const real rest = log_sum_exp_without(g, i);
            m->u = softplus(m->x - rest) - logl((others + 1) / others);
            m->u_error = 0x1p-51L * (1 + fabsl(m->x) + fabsl(rest) + size);
            if (g->stats.x_all_equal && m->x == first) m->u = 0, m->u_error = 0;
        }
    }
}
