// Results of preference_pair against the oracle.
#include <math.h>

#include "preference_case.h"

enum { BINARY64 = -1 };

// Digits of the significand, exponent of the smallest step, and what rounds to infinity.
static void format(int32_t dtype, int *digits, int *least, long double *overflow)
{
    switch (dtype) {
    case MERIT_DTYPE_BF16: *digits = 8, *least = -133, *overflow = 0x1.ffp127L; break;
    case MERIT_DTYPE_F16: *digits = 11, *least = -24, *overflow = 65520; break;
    case MERIT_DTYPE_F32: *digits = 24, *least = -149, *overflow = 0x1.ffffffp127L; break;
    default: *digits = 53, *least = -1074, *overflow = 0x1.fffffffffffff8p1023L; break;
    }
}

long double pc_ulp(int32_t dtype, long double value)
{
    int digits, least, exponent;
    long double overflow;
    format(dtype, &digits, &least, &overflow);
    if (value == 0 || !isfinite(value)) return ldexpl(1, least);
    frexpl(value, &exponent);
    return ldexpl(1, exponent - digits > least ? exponent - digits : least);
}

static int fits(double actual, po_number expected, int32_t dtype, long double *limit)
{
    int digits, least;
    long double overflow;
    const long double value = expected.value, size = fabsl(value);
    format(dtype, &digits, &least, &overflow);
    *limit = expected.noise + pc_ulp(dtype, size + expected.noise) / 2;
    if (isinf(expected.noise) && isfinite(value)) return 1; // rounding alone decides
    if (isnan(value)) return isnan(actual);
    if (isinf(value) || size - expected.noise >= overflow)
        return actual == copysignl(INFINITY, value);
    if (isinf(actual) && expected.noise - size >= overflow) return 1; // of either sign
    if (isinf(actual) && size + expected.noise >= overflow) return (actual > 0) == (value > 0);
    return fabsl(actual - value) <= *limit;
}

static void expect_number(const char *name, int64_t i, double actual, po_number expected,
                          int32_t dtype)
{
    long double limit;
    if (fits(actual, expected, dtype, &limit)) return;
    tk_fail(__FILE__, __LINE__, "%s[%lld] is %.17g, expected %.17Lg: off by %.3Lg, limit %.3Lg",
            name, (long long)i, actual, expected.value, fabsl(actual - expected.value), limit);
}

static int is_plus_zero(double x)
{
    return x == 0 && !signbit(x);
}

// Pairs that are absent hold +0, not -0.
static void expect_pairs(const pc_case *c, const pc_result *r, const preference_oracle *o)
{
    for (int64_t i = 0; i < r->num_pairs; i++) {
        const double values[] = {r->pair_loss != NULL ? (double)r->pair_loss[i] : 0,
                                 r->probability != NULL ? (double)r->probability[i] : 0,
                                 r->grad_chosen != NULL ? r->grad_chosen[i] : 0,
                                 r->grad_rejected != NULL ? r->grad_rejected[i] : 0};
        const int is_absent = !o->valid[i] || (c->io.weights != NULL && c->io.weights[i] == 0);
        if (is_absent) {
            TK_EXPECT(is_plus_zero(values[0]) && is_plus_zero(values[1]) &&
                          is_plus_zero(values[2]) && is_plus_zero(values[3]),
                      "pair %lld is absent and holds %g %g %g %g", (long long)i, values[0],
                      values[1], values[2], values[3]);
            continue;
        }
        if (r->pair_loss != NULL) {
            expect_number("pair_loss", i, values[0], o->pair_loss[i], MERIT_DTYPE_F32);
        }
        if (r->probability != NULL) {
            expect_number("pair_probability", i, values[1], o->probability[i], MERIT_DTYPE_F32);
        }
        if (r->grad_chosen != NULL) {
            expect_number("grad_chosen", i, values[2], o->grad_chosen[i], c->d.score_dtype);
        }
        if (r->grad_rejected != NULL) {
            expect_number("grad_rejected", i, values[3], o->grad_rejected[i], c->d.score_dtype);
        }
    }
}

// What lies between the elements of a strided gradient is left alone.
static void expect_gaps(const pc_case *c, const void *array, int64_t stride, const char *name)
{
    const int64_t size = (int64_t)pc_dtype_bytes(c->d.score_dtype);
    const int64_t extent = pc_extent(c->d.num_pairs, stride);
    for (int64_t i = 0; array != NULL && i < extent; i++) {
        if (i % stride == 0 || tk_untouched((const char *)array + i * size, 1, (size_t)size))
            continue;
        tk_fail(__FILE__, __LINE__, "%s: the gap at %lld was written", name, (long long)i);
        return;
    }
}

static void expect_count(const char *name, int k, int64_t actual, long long expected)
{
    TK_EXPECT(actual == expected, "%s of route %d is %lld, expected %lld", name, k,
              (long long)actual, expected);
}

static void expect_metrics(const merit_preference_metrics *a, const po_metrics *e, int k)
{
    expect_count("pairs", k, a->pairs, e->pairs);
    expect_count("zero_weight", k, a->zero_weight, e->zero_weight);
    expect_count("decided", k, a->decided, e->decided);
    expect_count("correct_strict", k, a->correct_strict, e->correct_strict);
    expect_count("tied", k, a->tied, e->tied);
    expect_count("label_ties", k, a->label_ties, e->label_ties);
    expect_count("invalid", k, a->invalid, e->invalid);
    expect_number("sum_weight", k, a->sum_weight, e->weight, BINARY64);
    expect_number("sum_loss", k, a->sum_loss, e->loss, BINARY64);
    expect_number("sum_difference", k, a->sum_difference, e->difference, BINARY64);
    expect_number("sum_difference_squared", k, a->sum_difference_squared, e->difference_squared,
                  BINARY64);
    expect_number("sum_chosen", k, a->sum_chosen, e->chosen, BINARY64);
    expect_number("sum_rejected", k, a->sum_rejected, e->rejected, BINARY64);
    expect_number("min_score", k, a->min_score, (po_number){e->min_score, 0}, BINARY64);
    expect_number("max_score", k, a->max_score, (po_number){e->max_score, 0}, BINARY64);
}

static void expect_bins(const pc_case *c, const pc_result *r, const preference_oracle *o)
{
    const int count = c->d.num_routes * c->d.calibration_bins;
    for (int b = 0; r->bins != NULL && b < count; b++) {
        const merit_preference_bin *const a = &r->bins[b];
        const po_bin *const e = &o->bins[b];
        TK_EXPECT(a->count >= e->count && a->count <= e->count + e->unsure,
                  "bin %d holds %lld pairs, expected %lld and up to %lld more", b,
                  (long long)a->count, e->count, e->unsure);
        po_number confidence = e->confidence, hit = {e->hit, 0};
        confidence.noise += e->unsure, hit.noise += e->unsure;
        expect_number("sum_confidence", b, a->sum_confidence, confidence, BINARY64);
        expect_number("sum_hit", b, a->sum_hit, hit, BINARY64);
    }
}

// ZERO_DENOMINATOR counts where something is divided: the oracle looks at which outputs there are.
static merit_preference_pair_io with_outputs(const pc_case *c, const pc_result *r)
{
    static double somewhere;
    merit_preference_pair_io io = c->io;
    const int has_tie =
        c->d.tie_model == MERIT_TIE_MODEL_RAO_KUPPER || c->d.tie_model == MERIT_TIE_MODEL_DAVIDSON;
    io.loss = c->outputs & PC_LOSS ? &somewhere : NULL;
    io.grad_chosen = r->chosen_array;
    io.grad_rejected = r->rejected_array;
    io.grad_tie = has_tie && c->outputs & PC_GRAD_TIE ? &somewhere : NULL;
    return io;
}

void pc_expect_oracle(const pc_case *c, const pc_result *r)
{
    const merit_preference_pair_io io = with_outputs(c, r);
    preference_oracle *const o = preference_oracle_run(&c->d, &io);
    const int K = c->d.num_routes;
    if (io.loss != NULL) expect_number("loss", 0, r->loss, o->loss, BINARY64);
    if (io.grad_tie != NULL) expect_number("grad_tie", 0, r->grad_tie, o->grad_tie, BINARY64);
    for (int k = 0; k < K; k++) {
        if (r->route_sum != NULL) {
            expect_number("route_sum", k, r->route_sum[k], o->route_sum[k], BINARY64);
        }
        if (r->metrics != NULL) expect_metrics(&r->metrics[k], &o->metrics[k], k);
    }
    for (int64_t i = 0; r->tiles != NULL && i < r->num_tiles * K; i++) {
        expect_number("loss_tiles", i, r->tiles[i], o->tiles[i], BINARY64);
    }
    expect_pairs(c, r, o);
    if (!(c->in_place & PC_GRAD_CHOSEN)) {
        expect_gaps(c, r->chosen_array, c->d.grad_chosen_stride, "grad_chosen");
    }
    if (!(c->in_place & PC_GRAD_REJECTED)) {
        expect_gaps(c, r->rejected_array, c->d.grad_rejected_stride, "grad_rejected");
    }
    expect_bins(c, r, o);
    for (int i = 0; i < MERIT_NUM_COUNTERS && c->outputs & PC_DIAGNOSTICS; i++) {
        TK_EXPECT((long long)r->diagnostics.count[i] == o->counters[i],
                  "counter %d is %llu, expected %lld", i,
                  (unsigned long long)r->diagnostics.count[i], o->counters[i]);
    }
    preference_oracle_free(o);
}
