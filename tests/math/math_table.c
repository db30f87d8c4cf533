#include "math_table.h"

#include <math.h>
#include <string.h>

static double expm1m(double x)
{
    if (!isfinite(x)) return x * x;
    // Of a double's input long double keeps 11 bits to spare, and 0.25 loses 3 of them.
    if (fabs(x) > 0.25) return (double)(expm1l(x) - (long double)x);
    long double term = x, sum = 0;
    for (int i = 2; i < 20 && fabsl(term) > fabsl(sum) * 0x1p-70L; ++i) {
        term *= (long double)x / i;
        sum += term;
    }
    return x == 0 ? 0 : (double)sum;
}

static double sigmoid(double x)
{
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static double softplus(double x)
{
    return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}

static double log_sigmoid(double x)
{
    return -softplus(-x);
}

static double exp2_p5(double x)
{
    return x < -125 ? 0 : exp2(x);
}

#define ALL -INFINITY, INFINITY
#define ROW32(name) .map = MATH_##name, .lo_map = -1

const math_row32 math_table32[] = {
    {"exp", ROW32(exp), ALL, exp, 0.76},
    {"exp2", ROW32(exp2), ALL, exp2, 0.76},
    {"expm1", ROW32(expm1), ALL, expm1, 0.80},
    {"expm1m", ROW32(expm1m), ALL, expm1m, 1.20},
    {"log", ROW32(log), ALL, log, 0.65},
    {"log2", ROW32(log2), ALL, log2, 0.70},
    {"log1p", ROW32(log1p), ALL, log1p, 0.65},
    {"sigmoid", ROW32(sigmoid), ALL, sigmoid, 0.76},
    {"log_sigmoid", ROW32(log_sigmoid), ALL, log_sigmoid, 0.76},
    {"softplus", ROW32(softplus), ALL, softplus, 0.76},
    {"tanh", ROW32(tanh), ALL, tanh, 0.70},
    {"exp2_p5", ROW32(exp2_p5), ALL, exp2_p5, 2.60},
    {"logistic softplus", ROW32(logistic_sp), ALL, softplus, 1.00},
    {"logistic sigmoid", ROW32(logistic_s), ALL, sigmoid, 2.50},
    // Above 2^-100, where the second word is normal.
    {"exp hi + lo", MATH_exp, MATH_exp_lo, -69, 88.7, exp, 0.12},
    {"log hi + lo", MATH_log, MATH_log_lo, ALL, log, 0.15},
};
const int math_num_rows32 = sizeof math_table32 / sizeof *math_table32;

static void mp_exp(mpfr_ptr y, mpfr_srcptr x)
{
    mpfr_exp(y, x, MPFR_RNDN);
}

static void mp_exp2(mpfr_ptr y, mpfr_srcptr x)
{
    mpfr_exp2(y, x, MPFR_RNDN);
}

static void mp_expm1(mpfr_ptr y, mpfr_srcptr x)
{
    mpfr_expm1(y, x, MPFR_RNDN);
}

static void mp_log(mpfr_ptr y, mpfr_srcptr x)
{
    mpfr_log(y, x, MPFR_RNDN);
}

static void mp_log2(mpfr_ptr y, mpfr_srcptr x)
{
    mpfr_log2(y, x, MPFR_RNDN);
}

static void mp_log1p(mpfr_ptr y, mpfr_srcptr x)
{
    mpfr_log1p(y, x, MPFR_RNDN);
}

static void mp_softplus(mpfr_ptr y, mpfr_srcptr x)
{
    mpfr_abs(y, x, MPFR_RNDN);
    mpfr_neg(y, y, MPFR_RNDN);
    mpfr_exp(y, y, MPFR_RNDN);
    mpfr_log1p(y, y, MPFR_RNDN);
    if (mpfr_sgn(x) > 0) mpfr_add(y, y, x, MPFR_RNDN);
}

static void mp_log_sigmoid(mpfr_ptr y, mpfr_srcptr x)
{
    mpfr_t negated;
    mpfr_init2(negated, 53);
    mpfr_neg(negated, x, MPFR_RNDN);
    mp_softplus(y, negated);
    mpfr_neg(y, y, MPFR_RNDN);
    mpfr_clear(negated);
}

const math_row64 math_table64[] = {
    {"exp64", ROW32(exp64), -746, 710, mp_exp, 0.80},
    {"exp2_64", ROW32(exp2_64), -1076, 1025, mp_exp2, 0.80},
    {"expm1_64", ROW32(expm1_64), -50, 710, mp_expm1, 0.95},
    {"log64", ROW32(log64), -0.5, 8, mp_log, 0.70},
    {"log2_64", ROW32(log2_64), -0.5, 8, mp_log2, 0.70},
    {"log1p64", ROW32(log1p64), -1.25, 8, mp_log1p, 0.70},
    {"softplus64", ROW32(softplus64), -746, 64, mp_softplus, 0.80},
    {"log_sigmoid64", ROW32(log_sigmoid64), -64, 746, mp_log_sigmoid, 0.80},
    {"exp64 hi + lo", MATH_exp64, MATH_exp64_lo, -600, 709, mp_exp, 0.10},
    {"log64 hi + lo", MATH_log64, MATH_log64_lo, 0, 8, mp_log, 0.15},
};
const int math_num_rows64 = sizeof math_table64 / sizeof *math_table64;

double math_error32(const math_row32 *row, float x, float hi, float lo)
{
    const double exact = row->reference(x);
    const float rounded = (float)exact;
    if (isnan(exact)) {
        uint32_t bits;
        memcpy(&bits, &hi, sizeof bits);
        return bits == 0x7fc00000u ? 0 : INFINITY;
    }
    if (isinf(hi) || isinf(exact)) return hi == rounded ? 0 : INFINITY;
    int exponent = -126;
    if (exact != 0) frexp(exact, &exponent);
    const double error = row->lo_map < 0 ? hi - exact : (hi - exact) + lo;
    return ldexp(fabs(error), -(exponent - 24 < -149 ? -149 : exponent - 24));
}

double math_error64(const math_row64 *row, double x, double hi, double lo)
{
    mpfr_t exact, input;
    mpfr_init2(exact, MATH_PRECISION);
    mpfr_init2(input, 53);
    mpfr_set_d(input, x, MPFR_RNDN);
    row->reference(exact, input);
    double error = INFINITY;
    if (mpfr_nan_p(exact)) {
        uint64_t bits;
        memcpy(&bits, &hi, sizeof bits);
        error = bits == 0x7ff8000000000000u ? 0 : INFINITY;
    } else if (isinf(hi) || mpfr_inf_p(exact)) {
        error = hi == mpfr_get_d(exact, MPFR_RNDN) ? 0 : INFINITY;
    } else {
        long exponent = mpfr_zero_p(exact) ? -1074 : mpfr_get_exp(exact) - 53;
        exponent = exponent < -1074 ? -1074 : exponent;
        mpfr_sub_d(exact, exact, hi, MPFR_RNDN);
        if (row->lo_map >= 0) mpfr_sub_d(exact, exact, lo, MPFR_RNDN);
        mpfr_mul_2si(exact, exact, -exponent, MPFR_RNDN);
        error = fabs(mpfr_get_d(exact, MPFR_RNDU));
    }
    mpfr_clear(exact);
    mpfr_clear(input);
    return error;
}

uint64_t math_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1du;
}

static double random_unit(uint64_t *state)
{
    return (double)(math_random(state) >> 11) * 0x1p-53;
}

double math_random_input64(const math_row64 *row, uint64_t *state)
{
    double x;
    switch (math_random(state) >> 62) {
    case 0: return row->low + random_unit(state) * (row->high - row->low);
    case 1: x = 3 * random_unit(state) - 1.5; break;
    case 2: x = ldexp(2 * random_unit(state) - 1, (int)(math_random(state) % 68) - 60); break;
    default: {
        const uint64_t bits = math_random(state);
        memcpy(&x, &bits, sizeof x);
    }
    }
    return row->lo_map < 0 || (x > row->low && x < row->high) ? x : row->high;
}

double math_decode16(uint16_t word, int exponent_bits)
{
    const int mantissa_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
    const int mantissa = word & ((1 << mantissa_bits) - 1);
    const int exponent = word >> mantissa_bits & ((1 << exponent_bits) - 1);
    double a = exponent == 0
                   ? ldexp(mantissa, 1 - bias - mantissa_bits)
                   : ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
    if (exponent == (1 << exponent_bits) - 1) a = mantissa == 0 ? INFINITY : NAN;
    return word & 0x8000 ? -a : a;
}

uint16_t math_encode16(double a, int exponent_bits)
{
    const int mantissa_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
    const unsigned infinity = ((1u << exponent_bits) - 1) << mantissa_bits;
    if (isnan(a)) return (uint16_t)(infinity | 1u << (mantissa_bits - 1));
    const unsigned sign = signbit(a) ? 0x8000u : 0u;
    int exponent = -1000;
    if (isfinite(a) && a != 0) frexp(a, &exponent);
    exponent = exponent - 1 < 1 - bias ? 1 - bias : exponent - 1;
    // In units of the last place; rint may carry into the next binade, the sum below is still right.
    const double units = rint(ldexp(fabs(a), mantissa_bits - exponent));
    if (isinf(a) || exponent > bias || ldexp(units, exponent - mantissa_bits) >= ldexp(1, bias + 1))
        return (uint16_t)(sign | infinity);
    return (uint16_t)(sign + ((unsigned)(exponent + bias - 1) << mantissa_bits) + (unsigned)units);
}

static double with_significand(uint64_t significand)
{
    const uint64_t bits = 0x3ff0000000000000u | (significand & 0xfffffffffffffu);
    double a;
    memcpy(&a, &bits, sizeof a);
    return a;
}

// Random, or within 64 units of the last place of 1 or 2, or with few bits set or clear.
static uint64_t hard_significand(uint64_t *state)
{
    const uint64_t random = math_random(state);
    switch (random & 7) {
    case 0: return random >> 58;
    case 1: return ~(random >> 58);
    case 2: return (uint64_t)1 << (random >> 8) % 52 | (uint64_t)1 << (random >> 16) % 52;
    case 3: return ~((uint64_t)1 << (random >> 8) % 52 | (uint64_t)1 << (random >> 16) % 52);
    default: return random >> 8;
    }
}

void math_hard_quotient(uint64_t *state, double *c, double *d)
{
    *d = with_significand(hard_significand(state));
    const double q = with_significand(hard_significand(state));
    switch (math_random(state) >> 62) {
    case 0: *c = q; break;
    case 1: *c = fma(q, *d, 0x1p-53 * *d); break; // quotient in [1, 4): midpoint below 2
    case 2: *c = fma(q / 2, *d, 0x1p-54 * *d); break; // quotient in [1/2, 1)
    default: *c = *d + (double)((int)(math_random(state) >> 58) - 32) * 0x1p-52; break;
    }
    const int shift = (int)(math_random(state) % 201) - 100;
    *c = ldexp(math_random(state) & 1 ? -*c : *c, shift);
    *d = ldexp(math_random(state) & 1 ? -*d : *d, (int)(math_random(state) % 201) - 100);
}

extern const math_variant math_variant_v4, math_variant_v3, math_variant_v2, math_variant_scalar,
    math_variant_base;

const math_variant *const *math_variants(void)
{
    static const math_variant *runnable[5];
    size_t n = 0;
#if defined(__x86_64__)
    const int has_v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                       __builtin_cpu_supports("bmi2");
    const int has_v4 = has_v3 && __builtin_cpu_supports("avx512f") &&
                       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
                       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (has_v4) runnable[n++] = &math_variant_v4;
    if (has_v3) {
        runnable[n++] = &math_variant_v3;
        runnable[n++] = &math_variant_scalar;
    }
    if (__builtin_cpu_supports("sse4.2")) runnable[n++] = &math_variant_v2;
#else
    runnable[n++] = &math_variant_base;
#endif
    return runnable;
}
