#include "policy_value_oracle.h"

#include <math.h>
#include <stdlib.h>

typedef long double real;

static real h(real u, real delta)
{
    if (delta == 0) return u * u;
    return fabsl(u) <= delta ? u * u / 2 : delta * (fabsl(u) - delta / 2);
}

static real slope(real u, real delta)
{
    if (delta == 0) return 2 * u;
    return fabsl(u) <= delta ? u : u > 0 ? delta : -delta;
}

static void *zeros(int64_t count, size_t size)
{
    void *const block = calloc((size_t)count + 1, size);
    if (block == NULL) abort();
    return block;
}

static void add_token(const merit_policy_value_loss_desc *d, const merit_policy_value_loss_io *io,
                      int64_t t, real a, policy_value_oracle *o)
{
    const real v = io->value[t], R = io->returns[t], c = d->clip;
    real l = h(v - R, d->huber_delta);
    real g = isnan(v - R) ? (real)NAN : slope(v - R, d->huber_delta);
    if (c > 0) {
        const real old = io->old_value[t];
        const real near = v < old - c ? old - c : v > old + c ? old + c : v;
        const real other = h(near - R, d->huber_delta);
        if (other > l) l = other, g = 0, o->clipped++;
        if (isnan(old)) l = NAN, g = NAN;
    }
    o->valid[t] = 1;
    o->grad[t] = a * d->scale * g;
    o->loss += a * d->scale * l;
    o->loss_size += fabsl(a * d->scale * l);
    o->tokens++;
    o->sum_value += v, o->sum_return += R;
    o->sum_squared_error += (v - R) * (v - R), o->sum_return_squared += R * R;
}

policy_value_oracle *policy_value_oracle_run(const merit_policy_value_loss_desc *d,
                                             const merit_policy_value_loss_io *io)
{
    policy_value_oracle *const o = zeros(1, sizeof *o);
    const merit_groups *const g = &d->sequences;
    const real D = d->denominator == 0 ? (real)io->denominator[0] : (real)d->denominator;
    o->grad = zeros(d->num_tokens, sizeof *o->grad);
    o->valid = zeros(d->num_tokens, sizeof *o->valid);
    for (int64_t i = 0; i < g->num_groups && d->num_tokens > 0; i++) {
        const int64_t stride = g->group_stride ? g->group_stride : g->group_size;
        const int64_t begin = g->group_size > 0 ? i * stride : g->offsets[i];
        const int64_t end = g->group_size > 0 ? begin + g->group_size : g->offsets[i + 1];
        const int bad = begin < 0 || end < begin || end > d->num_tokens;
        const int large = g->group_size == 0 && g->max_size > 0 && end - begin > g->max_size;
        if (bad || large) {
            o->refused += bad;
            for (int64_t t = begin < 0 ? d->num_tokens : begin; t < d->num_tokens && t < end; t++) {
                o->valid[t] = -1;
            }
            continue;
        }
        int64_t n = 0;
        for (int64_t t = begin; t < end; t++) {
            n += io->mask == NULL || io->mask[t];
        }
        const real a = d->aggregation == MERIT_POLICY_AGGREGATION_SEQUENCE ? 1 / (n * D) : 1 / D;
        for (int64_t t = begin; t < end && D != 0; t++) {
            if (io->mask == NULL || io->mask[t]) add_token(d, io, t, a, o);
        }
    }
    return o;
}

void policy_value_oracle_free(policy_value_oracle *o)
{
    free(o->grad), free(o->valid), free(o);
}
