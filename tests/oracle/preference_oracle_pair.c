#include <math.h>

#include "preference_oracle.h"

// Relative errors: half a unit of binary32 and of binary64, taken twice.
#define E32 0x1p-23L
#define E64 0x1p-52L

long double po_sp(long double x)
{
    return fmaxl(x, 0) + log1pl(expl(-fabsl(x)));
}

long double po_s(long double x)
{
    return x >= 0 ? 1 / (1 + expl(-x)) : expl(x) / (1 + expl(x));
}

// Links -------------------------------------------------------------------------------------------

static int is_binary32(int32_t link)
{
    return link == MERIT_LINK_LOGISTIC || link == MERIT_LINK_EXPONENTIAL ||
           link == MERIT_LINK_SIGMOID;
}

// Steps of binary32 around a value: an ulp, subnormals included.
static long double ulp32(long double x)
{
    int exponent;
    if (x == 0 || !isfinite(x)) return 0x1p-149L;
    frexpl(x, &exponent);
    return ldexpl(1, exponent - 24 > -149 ? exponent - 24 : -149);
}

static po_number ulps32(long double value, long double ulps)
{
    return (po_number){value, ulps * ulp32(value)};
}

static po_number ulps64(long double value, long double magnitude)
{
    return (po_number){value, 8 * E64 * magnitude};
}

// e^x to binary32 accuracy, and no further than e^485.
static po_number exponential(long double x)
{
    const long double value = expl(fminl(x, 485));
    return ulps32(value, value < 0x1p128L ? 1 : 8);
}

static po_phi exo(long double e, long double z)
{
    const long double s = po_s(z), t = po_s(-z), log_s = -po_sp(-z), log_t = -po_sp(z);
    const long double up = s == 0 ? 0 : s * (log_s - logl(1 - e));
    const long double down = t == 0 ? 0 : t * (log_t - logl(e));
    const long double far = fabsl(z) + fabsl(logl((1 - e) / e));
    return (po_phi){.value =
                        ulps64(up + down, fabsl(up) + fabsl(down) + s * fabsl(log_s) +
                                              t * fabsl(log_t) - s * logl(1 - e) - t * logl(e)),
                    .slope = ulps64(s * t * (z - logl((1 - e) / e)), s * t * far * (1 + fabsl(z)))};
}

// u e^-z in the log domain: either factor alone leaves every range.
static po_phi discopop(long double T, long double z)
{
    const long double u = po_s(z / T), v = po_s(-z / T), sp = po_sp(-z);
    const long double log_product = fminl(-z - po_sp(-z / T), 485), product = expl(log_product);
    const long double worse = 4 + fabsl(z) + fabsl(z / T);
    const long double inner = v / T - 1;
    const long double steep = product == 0 ? 0 : product * inner;
    po_phi f = {.overflows = 0};
    f.overflows = product >= 0x1p690L ? PO_BEYOND : 0;
    f.value = ulps64(v * sp + product, worse * (v * sp + product));
    f.slope.value = -v * po_s(-z) + steep - u * v / T * sp;
    f.slope.noise = 8 * E64 * worse *
                    (v * po_s(-z) + (product == 0 ? 0 : product * (v / T + 1)) + u * v / T * sp);
    return f;
}

po_phi po_link(int32_t link, long double link_param, long double z)
{
    po_phi f = {0};
    switch (link) {
    case MERIT_LINK_LOGISTIC:
        f.value = ulps32(po_sp(-z), 1);
        f.slope = ulps32(-po_s(-z), 2); // the header allows 4
        break;
    case MERIT_LINK_HINGE:
        f.value = ulps64(fmaxl(0, 1 - z), 0);
        f.slope = ulps64(z < 1 ? -1 : 0, 0);
        if (z < 1) f.value.noise = E64 * (1 - z);
        break;
    case MERIT_LINK_SQUARED:
        f.value = ulps64(z * z, z * z);
        f.slope = ulps64(2 * z, 0);
        break;
    case MERIT_LINK_EXPONENTIAL:
        f.value = exponential(-z);
        f.slope = (po_number){-f.value.value, f.value.noise};
        f.overflows = f.value.value >= 0x1p128L ? PO_COUNTED | PO_BEYOND : 0;
        break;
    case MERIT_LINK_SIGMOID:
        f.value = ulps32(po_s(-z), 1);
        f.slope = ulps32(-po_s(z) * po_s(-z), 3);
        break;
    case MERIT_LINK_EXO: f = exo(link_param, z); break;
    default: f = discopop(link_param, z); break;
    }
    return f;
}

// As a call sees it: z of three links is rounded.
static po_phi link_of(int32_t link, long double link_param, long double z, long double z_noise,
                      int is_exact)
{
    const int rounds = is_binary32(link) && !is_exact;
    const long double z32 = (long double)(float)(double)z;
    po_phi f = po_link(link, link_param, rounds && isfinite(z32) ? z32 : z);
    if (z_noise > 0 && isfinite(f.value.value)) { // and may be rounded the other way
        const long double step = z_noise + (rounds ? ulp32(z) : 0);
        const po_phi above = po_link(link, link_param, z + step);
        const po_phi below = po_link(link, link_param, z - step);
        f.value.noise +=
            fabsl(above.value.value - f.value.value) + fabsl(below.value.value - f.value.value);
        f.slope.noise +=
            fabsl(above.slope.value - f.slope.value) + fabsl(below.slope.value - f.slope.value);
    }
    return f;
}

// Sums of terms -----------------------------------------------------------------------------------

// sum += coefficient * x; a coefficient of 0 selects the term away.
static void add(po_number *sum, long double coefficient, po_number x)
{
    if (coefficient == 0) return;
    if (fabsl(coefficient * x.value) >= 0x1p1024L) x = (po_number){copysignl(INFINITY, x.value), 0};
    sum->value += coefficient * x.value;
    sum->noise += fabsl(coefficient) * (x.noise + 4 * E64 * fabsl(x.value));
}

static po_number times(long double coefficient, po_number x)
{
    po_number product = {0, 0};
    add(&product, coefficient, x);
    return product;
}

// Ties --------------------------------------------------------------------------------------------

typedef struct tie_terms {
    po_number loss, by_z, by_tie;
} tie_terms;

static tie_terms rao_kupper(long double eta, long double z, int is_tie)
{
    const long double near = po_s(eta - z), far = po_s(eta + z);
    const long double reach = 1 + fabsl(z) + fabsl(eta);
    tie_terms t;
    if (!is_tie) {
        t.loss = ulps64(po_sp(eta - z), po_sp(eta - z) * reach);
        t.by_z = ulps64(-near, near * reach);
        t.by_tie = ulps64(near, near * reach);
        return t;
    }
    const long double sum = po_sp(eta - z) + po_sp(eta + z);
    const long double norm = eta < 100 ? logl(expm1l(2 * eta)) : 2 * eta;
    const long double share = 2 / expm1l(-2 * eta);
    t.loss = ulps64(sum - norm, sum + fabsl(norm) + reach);
    t.by_z = ulps64(far - near, (far + near) * reach);
    t.by_tie = ulps64(near + far + share, (near + far + fabsl(share)) * reach);
    return t;
}

static tie_terms davidson(long double l, long double z, int is_tie)
{
    const long double top = fmaxl(fabsl(z) / 2, l);
    const long double M = top + logl(expl(z / 2 - top) + expl(-z / 2 - top) + expl(l - top));
    const long double c = expl(z / 2 - M), r = expl(-z / 2 - M), t = expl(l - M);
    const long double reach = 1 + fabsl(z) + fabsl(l);
    tie_terms out;
    if (!is_tie) {
        const long double stable =
            z >= 0 ? log1pl(expl(-z) + expl(l - z / 2)) : -z + log1pl(expl(z) + expl(l + z / 2));
        out.loss = ulps64(stable, stable * reach);
        out.by_z = ulps64(-(r + t / 2), (r + t / 2) * reach);
        out.by_tie = ulps64(t, t * reach);
        return out;
    }
    out.loss = ulps64(M - l, M - l + reach);
    out.by_z = ulps64((c - r) / 2, (c + r) * reach);
    out.by_tie = ulps64(t - 1, (t + 1) * reach);
    return out;
}

static po_number davidson_chosen(long double l, long double z)
{
    const long double reach = 1 + fabsl(z) + fabsl(l);
    const long double top = fmaxl(fabsl(z) / 2, l);
    const long double sum = expl(z / 2 - top) + expl(-z / 2 - top) + expl(l - top);
    return ulps64(expl(z / 2 - top) / sum, expl(z / 2 - top) / sum * reach);
}

// A pair ------------------------------------------------------------------------------------------

// The header's binary64, or no rounding.
static long double rounded(const po_point *point, long double x)
{
    return point->is_exact ? x : (long double)(double)x;
}

static long double score(const po_point *point, long double value, long double reference,
                         long double length)
{
    return rounded(point, rounded(point, value - reference) / length);
}

static long double beta_of(const merit_preference_pair_desc *desc, const po_point *point,
                           long double *noise)
{
    *noise = 0;
    if (desc->beta_map == MERIT_BETA_MAP_CONSTANT) return desc->beta;
    if (desc->beta_map == MERIT_BETA_MAP_ARRAY) return point->signal;
    if (desc->map_weight == 0) return desc->beta;
    const long double rise = -expm1l(-(long double)desc->map_rate * point->signal);
    const long double beta = desc->beta * (1 + desc->map_weight * rise);
    *noise = 8 * E64 * desc->beta *
             (1 + desc->map_weight *
                      (fabsl(rise) + (1 + fabsl(rise)) * fabsl(desc->map_rate * point->signal)));
    if (!(beta > 0)) {
        if (beta < -*noise || !isfinite(beta)) *noise = 0;
        return 0;
    }
    return beta;
}

static long double fitted(const merit_preference_pair_desc *desc, long double p)
{
    const long double e = desc->smoothing;
    if (p == 0.5L) return p;
    if (desc->smoothing_kind == MERIT_SMOOTHING_ROBUST) return (p - e) / (1 - 2 * e);
    return (1 - e) * p + e * (1 - p);
}

typedef struct bracket {
    po_number loss, by_d, by_tie;
} bracket;

// q+ phi(z+) + q- phi(z-), or minus the log probability of the outcome; derivative wrt beta d.
static bracket outcome_terms(const merit_preference_pair_desc *desc, const po_point *point,
                             long double z, long double opposite, long double z_noise,
                             int *overflows)
{
    bracket b = {{0, 0}, {0, 0}, {0, 0}};
    if (desc->tie_model == MERIT_TIE_MODEL_RAO_KUPPER ||
        desc->tie_model == MERIT_TIE_MODEL_DAVIDSON) {
        const int is_tie = point->p == 0.5L;
        const long double at = point->p == 0 ? opposite : z;
        const tie_terms t = desc->tie_model == MERIT_TIE_MODEL_DAVIDSON
                                ? davidson(point->log_tie, at, is_tie)
                                : rao_kupper(point->log_tie, at, is_tie);
        b.loss = t.loss, b.by_tie = t.by_tie;
        b.by_d = times(point->p == 0 ? -1 : 1, t.by_z);
        b.loss.noise += z_noise, b.by_d.noise += z_noise, b.by_tie.noise += z_noise;
        return b;
    }
    const long double q = fitted(desc, point->p), rest = 1 - q;
    if (q != 0) {
        const po_phi f = link_of(desc->link, desc->link_param, z, z_noise, point->is_exact);
        add(&b.loss, q, f.value), add(&b.by_d, q, f.slope), *overflows |= f.overflows;
    }
    // The call has q in binary64: what is left of 1 may be the rounding of it.
    if (rest != 0) {
        const po_phi f = link_of(desc->link, desc->link_param, opposite, z_noise, point->is_exact);
        add(&b.loss, rest, f.value), add(&b.by_d, -rest, f.slope), *overflows |= f.overflows;
        b.loss.noise += 4 * E64 * (isfinite(f.value.value) ? fabsl(f.value.value) : 0);
        b.by_d.noise += 4 * E64 * (isfinite(f.slope.value) ? fabsl(f.slope.value) : 0);
    }
    return b;
}

// The unary terms of one side, and their derivative wrt x.
static void add_unary(const merit_preference_pair_desc *desc, const po_point *point,
                      const float *coefficients, long double x, long double beta,
                      long double beta_noise, po_number *loss, po_number *by_x, int *overflows)
{
    const long double u = rounded(point, rounded(point, beta * x) - point->unary_shift);
    const long double noise = beta_noise * fabsl(x);
    for (int side = 0; side < 2; side++) {
        if (coefficients[side] == 0) continue;
        const long double y = rounded(point, (side == 0 ? u : -u) - desc->unary_margin);
        const po_phi f = link_of(desc->unary_link, desc->link_param, y, noise, point->is_exact);
        add(loss, coefficients[side], f.value);
        add(by_x, (side == 0 ? beta : -beta) * coefficients[side], f.slope);
        by_x->noise += beta_noise * coefficients[side] * fabsl(f.slope.value);
        *overflows |= f.overflows;
    }
}

po_pair po_evaluate(const merit_preference_pair_desc *desc, const po_point *point)
{
    po_pair r = {.overflows = 0};
    long double beta_noise;
    r.x_c = score(point, point->chosen, point->ref_chosen, point->chosen_length);
    r.x_r = score(point, point->rejected, point->ref_rejected, point->rejected_length);
    r.d = rounded(point, r.x_c - r.x_r);
    r.beta = beta_of(desc, point, &beta_noise);
    const long double scaled = rounded(point, r.beta * r.d);
    const long double margin = rounded(point, desc->margin + point->margin);
    const long double z_noise = beta_noise * fabsl(r.d);
    r.z = rounded(point, scaled - margin);
    const long double opposite =
        desc->opposite == MERIT_OPPOSITE_SWAP ? rounded(point, -scaled - margin) : -r.z;

    po_number by_c = {0, 0}, by_r = {0, 0};
    if (desc->pair_weight != 0) {
        const bracket b = outcome_terms(desc, point, r.z, opposite, z_noise, &r.overflows);
        add(&r.loss, desc->pair_weight, b.loss);
        add(&by_c, desc->pair_weight * r.beta, b.by_d);
        add(&r.by_tie, desc->pair_weight, b.by_tie);
        by_c.noise += beta_noise * desc->pair_weight * fabsl(b.by_d.value);
        add(&by_r, -1, by_c);
    }
    add_unary(desc, point, desc->unary, r.x_c, r.beta, beta_noise, &r.loss, &by_c, &r.overflows);
    add_unary(desc, point, desc->unary + 2, r.x_r, r.beta, beta_noise, &r.loss, &by_r,
              &r.overflows);
    const long double sum = rounded(point, r.x_c + r.x_r);
    add(&r.loss, desc->center, ulps64(sum * sum, sum * sum));
    add(&by_c, 2 * desc->center, (po_number){sum, E64 * fabsl(sum)});
    add(&by_r, 2 * desc->center, (po_number){sum, E64 * fabsl(sum)});
    // A term that left its range makes the loss infinite; ROBUST has terms of either sign.
    if ((r.overflows & PO_BEYOND) != 0 && desc->smoothing_kind != MERIT_SMOOTHING_ROBUST) {
        r.loss = (po_number){INFINITY, 0};
    }
    r.by_chosen = times(1 / point->chosen_length, by_c);
    r.by_rejected = times(1 / point->rejected_length, by_r);

    if (desc->tie_model == MERIT_TIE_MODEL_RAO_KUPPER) {
        const long double at = r.z - point->log_tie;
        r.probability = ulps64(po_s(at), po_s(at) * (1 + fabsl(r.z) + fabsl(point->log_tie)));
    } else if (desc->tie_model == MERIT_TIE_MODEL_DAVIDSON) {
        r.probability = davidson_chosen(point->log_tie, r.z);
    } else {
        const long double z32 = point->is_exact ? r.z : (long double)(float)(double)r.z;
        r.probability = ulps32(po_s(z32), 1);
        r.probability.noise += z_noise > 0 ? z_noise + ulp32(r.z) : 0;
    }
    return r;
}
