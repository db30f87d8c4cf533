// The mathematics of kernels/core against libm and MPFR, by the table of math_table.c, and the bits of
// every instruction set against each other. exhaustive_math does the same over all inputs.
#include "math_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

static float from_bits32(uint32_t bits)
{
    float a;
    memcpy(&a, &bits, sizeof a);
    return a;
}

static uint32_t bits32(float a)
{
    uint32_t bits;
    memcpy(&bits, &a, sizeof bits);
    return bits;
}

static uint64_t bits64(double a)
{
    uint64_t bits;
    memcpy(&bits, &a, sizeof bits);
    return bits;
}

// Every 1021st binary32, every bf16 and f16 value, and the surroundings of the multiples of ln2 / 2
// (the seams of exp), of the powers of two, and of their sums with sqrt(1/2) - 1 and such (log1p).
#ifdef __SANITIZE_ADDRESS__
enum { SAMPLE_STRIDE = 8191, NEIGHBORS = 24 }; // sanitizers look at accesses
#else
enum { SAMPLE_STRIDE = 1021, NEIGHBORS = 24 };
#endif

static float *sample32(size_t *n)
{
    const size_t room = 0x100000000u / SAMPLE_STRIDE + 1 + 2 * 65536 + 2000 * (2 * NEIGHBORS + 1);
    float *const sample = malloc(room * sizeof *sample);
    cr_assert_not_null(sample);
    size_t count = 0;
    for (uint64_t bits = 0; bits <= 0xffffffffu; bits += SAMPLE_STRIDE)
        sample[count++] = from_bits32((uint32_t)bits);
    for (uint32_t word = 0; word <= 0xffff; ++word) {
        sample[count++] = from_bits32(word << 16);
        sample[count++] = (float)math_decode16((uint16_t)word, 5);
    }
    float centers[2000];
    size_t num_centers = 0;
    for (int k = -310; k <= 310; ++k)
        centers[num_centers++] = (float)(k * 0.34657359027997264);
    for (int k = -149; k <= 127; ++k)
        for (int sign = -1; sign <= 1; sign += 2)
            centers[num_centers++] = (float)ldexp(sign, k);
    for (int k = -4; k <= 30; ++k) {
        centers[num_centers++] = (float)ldexp(0.70710678118654752, k);
        centers[num_centers++] = (float)(ldexp(0.70710678118654752, k) - 1);
    }
    const float others[] = {0, INFINITY, -INFINITY, NAN, 10, -10, 1000, -125, 3.4028235e38f};
    for (size_t i = 0; i < sizeof others / sizeof *others; ++i)
        centers[num_centers++] = others[i];
    for (size_t i = 0; i < num_centers; ++i)
        for (uint32_t step = 0; step <= 2 * NEIGHBORS; ++step)
            sample[count++] = from_bits32(bits32(centers[i]) + step - NEIGHBORS);
    cr_assert_leq(count, room);
    *n = count;
    return sample;
}

static float *map32(const math_variant *variant, int map, const float *in, size_t n)
{
    float *const out = malloc(n * sizeof *out);
    cr_assert_not_null(out);
    variant->map32[map](out, in, n);
    return out;
}

static double *map64(const math_variant *variant, int map, const double *in, size_t n)
{
    double *const out = malloc(n * sizeof *out);
    cr_assert_not_null(out);
    variant->map64[map](out, in, n);
    return out;
}

// Parameters are row numbers: each test is a fresh process, where a row's pointers are other ones.
static int row_numbers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

ParameterizedTestParameters(math, binary32_error_is_within_the_table)
{
    return cr_make_param_array(int, row_numbers, (size_t)math_num_rows32);
}

ParameterizedTest(const int *number, math, binary32_error_is_within_the_table)
{
    const math_row32 *const row = &math_table32[*number];
    size_t n;
    float *const in = sample32(&n);
    float *const hi = map32(math_variants()[0], row->map, in, n);
    float *const lo = row->lo_map < 0 ? NULL : map32(math_variants()[0], row->lo_map, in, n);
    size_t judged = 0;
    for (size_t i = 0; i < n; ++i) {
        if (isnan(in[i]) ? isfinite(row->low) : !(in[i] >= row->low && in[i] <= row->high))
            continue;
        const double error = math_error32(row, in[i], hi[i], lo == NULL ? 0 : lo[i]);
        cr_assert(error <= row->max_ulp, "%s(%a) is %a, exactly %a: %g ulp, at most %g", row->name,
                  in[i], hi[i], row->reference(in[i]), error, row->max_ulp);
        ++judged;
    }
    cr_assert_gt(judged, 100000);
    free(in), free(hi), free(lo);
}

ParameterizedTestParameters(math, binary64_error_is_within_the_table)
{
    return cr_make_param_array(int, row_numbers, (size_t)math_num_rows64);
}

ParameterizedTest(const int *number, math, binary64_error_is_within_the_table)
{
    const math_row64 *const row = &math_table64[*number];
    enum { N = 200000 };
    static double in[N];
    uint64_t state = 20240811;
    for (size_t i = 0; i < N; ++i)
        in[i] = math_random_input64(row, &state);
    const double special[] = {0.0, -0.0, 1, -1, INFINITY, -INFINITY, NAN, 0x1p-1074, -0x1p-1074};
    if (row->lo_map < 0) memcpy(in, special, sizeof special);
    double *const hi = map64(math_variants()[0], row->map, in, N);
    double *const lo = row->lo_map < 0 ? NULL : map64(math_variants()[0], row->lo_map, in, N);
    for (size_t i = 0; i < N; ++i) {
        const double error = math_error64(row, in[i], hi[i], lo == NULL ? 0 : lo[i]);
        cr_assert(error <= row->max_ulp, "%s(%a) is %a: %g ulp, at most %g", row->name, in[i],
                  hi[i], error, row->max_ulp);
    }
    free(hi), free(lo);
}

Test(math, bits_are_the_same_on_every_instruction_set)
{
    size_t n;
    float *const in = sample32(&n);
    enum { N64 = 100000 };
    static double in64[N64];
    const math_variant *const *const variants = math_variants();
    for (size_t v = 1; variants[v] != NULL; ++v) {
        for (int map = 0; map < MATH_NUM_MAPS32; ++map) {
            float *const first = map32(variants[0], map, in, n);
            float *const other = map32(variants[v], map, in, n);
            for (size_t i = 0; memcmp(first, other, n * sizeof *first) != 0; ++i)
                cr_assert(bits32(first[i]) == bits32(other[i]), "map %d at %a: %s gives %a, %s %a",
                          map, in[i], variants[0]->name, first[i], variants[v]->name, other[i]);
            free(first), free(other);
        }
        for (int map = 0; map < MATH_NUM_MAPS64; ++map) {
            uint64_t state = (uint64_t)map + 1;
            for (size_t i = 0; i < N64; ++i)
                in64[i] = math_random_input64(&math_table64[map % math_num_rows64], &state);
            double *const first = map64(variants[0], map, in64, N64);
            double *const other = map64(variants[v], map, in64, N64);
            for (size_t i = 0; memcmp(first, other, N64 * sizeof *first) != 0; ++i)
                cr_assert(bits64(first[i]) == bits64(other[i]), "map %d at %a: %s gives %a, %s %a",
                          map, in64[i], variants[0]->name, first[i], variants[v]->name, other[i]);
            free(first), free(other);
        }
    }
    free(in);
}

typedef struct exact_case {
    int map;
    double x, y;
} exact_case;

static const exact_case exact_cases32[] = {
    {MATH_exp, 0, 1},
    {MATH_exp, INFINITY, INFINITY},
    {MATH_exp, -INFINITY, 0},
    {MATH_exp, 89, INFINITY},
    {MATH_exp, -104, 0},
    {MATH_exp2, -149, 0x1p-149},
    {MATH_exp2, 127, 0x1p127},
    {MATH_exp2, 128, INFINITY},
    {MATH_exp2, 10, 1024},
    {MATH_exp2_p5, 0, 1},
    {MATH_exp2_p5, -125, 0x1p-125},
    {MATH_exp2_p5, -125.00001, 0},
    {MATH_exp2_p5, -INFINITY, 0},
    {MATH_exp2_p5, 127, 0x1p127},
    {MATH_exp2_p5, 128, INFINITY},
    {MATH_expm1, 0.0, 0.0},
    {MATH_expm1, -0.0, -0.0},
    {MATH_expm1, -INFINITY, -1},
    {MATH_expm1, -40, -1},
    {MATH_expm1m, 0, 0},
    {MATH_expm1m, INFINITY, INFINITY},
    {MATH_expm1m, -INFINITY, INFINITY},
    {MATH_expm1m, -1048576, 1048575},
    {MATH_log, 1, 0},
    {MATH_log, 0, -INFINITY},
    {MATH_log, -0.0, -INFINITY},
    {MATH_log, INFINITY, INFINITY},
    {MATH_log2, 0x1p-149, -149},
    {MATH_log2, 0x1p127, 127},
    {MATH_log2, 1, 0},
    {MATH_log1p, 0.0, 0.0},
    {MATH_log1p, -0.0, -0.0},
    {MATH_log1p, -1, -INFINITY},
    {MATH_log1p, 0x1p-149, 0x1p-149},
    {MATH_sigmoid, 0, 0.5},
    {MATH_sigmoid, -0.0, 0.5},
    {MATH_sigmoid, INFINITY, 1},
    {MATH_sigmoid, -INFINITY, 0},
    {MATH_logistic_s, 0, 0.5},
    {MATH_logistic_s, -0.0, 0.5},
    {MATH_logistic_sp, 0, 0.69314718055994531},
    {MATH_logistic_sp, -INFINITY, 0},
    {MATH_logistic_sp, INFINITY, INFINITY},
    {MATH_softplus, INFINITY, INFINITY},
    {MATH_softplus, -INFINITY, 0},
    {MATH_softplus, 40, 40},
    {MATH_log_sigmoid, -INFINITY, -INFINITY},
    {MATH_log_sigmoid, -40, -40},
    {MATH_tanh, 0.0, 0.0},
    {MATH_tanh, -0.0, -0.0},
    {MATH_tanh, INFINITY, 1},
    {MATH_tanh, -INFINITY, -1},
    {MATH_tanh, 0x1p-149, 0x1p-149},
};

static const exact_case exact_cases64[] = {
    {MATH_exp64, 0, 1},
    {MATH_exp64, -INFINITY, 0},
    {MATH_exp64, INFINITY, INFINITY},
    {MATH_exp2_64, -1074, 0x1p-1074},
    {MATH_exp2_64, 1023, 0x1p1023},
    {MATH_exp2_64, 1024, INFINITY},
    {MATH_expm1_64, -0.0, -0.0},
    {MATH_expm1_64, -INFINITY, -1},
    {MATH_log64, 1, 0},
    {MATH_log64, 0, -INFINITY},
    {MATH_log64, INFINITY, INFINITY},
    {MATH_log2_64, 0x1p-1074, -1074},
    {MATH_log2_64, 0x1p1023, 1023},
    {MATH_log1p64, -0.0, -0.0},
    {MATH_log1p64, -1, -INFINITY},
    {MATH_softplus64, -INFINITY, 0},
    {MATH_softplus64, INFINITY, INFINITY},
    {MATH_softplus64, 800, 800},
    {MATH_log_sigmoid64, -INFINITY, -INFINITY},
};

// Functions for small arguments leave out what those do not need.
Test(math, near_functions_have_the_bits_of_the_general_ones)
{
    const math_variant *const variant = math_variants()[0];
    static const int maps[5][2] = {{MATH_logistic_sp, MATH_logistic_near_sp},
                                   {MATH_logistic_s, MATH_logistic_near_s},
                                   {MATH_exp, MATH_exp_or_near},
                                   {MATH_expm1, MATH_expm1_or_near},
                                   {MATH_expm1m, MATH_expm1m_or_near}};
    size_t n;
    float *const x = sample32(&n);
    float *const expected = malloc(n * sizeof *expected);
    float *const actual = malloc(n * sizeof *actual);
    cr_assert(expected != NULL && actual != NULL);
    for (int k = 0; k < 5; ++k) {
        variant->map32[maps[k][0]](expected, x, n);
        variant->map32[maps[k][1]](actual, x, n);
        for (size_t i = 0; i < n; ++i)
            cr_expect(bits32(actual[i]) == bits32(expected[i]), "x = %a: %a, expected %a", x[i],
                      actual[i], expected[i]);
    }
    free(x);
    free(expected);
    free(actual);
}

Test(math, is_exact_where_mathematics_is_exact)
{
    const math_variant *const variant = math_variants()[0];
    for (size_t i = 0; i < sizeof exact_cases32 / sizeof *exact_cases32; ++i) {
        const float x = (float)exact_cases32[i].x, expected = (float)exact_cases32[i].y;
        float y;
        variant->map32[exact_cases32[i].map](&y, &x, 1);
        cr_expect(bits32(y) == bits32(expected), "case %zu, x = %a: %a, expected %a", i, x, y,
                  expected);
    }
    for (size_t i = 0; i < sizeof exact_cases64 / sizeof *exact_cases64; ++i) {
        const double x = exact_cases64[i].x, expected = exact_cases64[i].y;
        double y;
        variant->map64[exact_cases64[i].map](&y, &x, 1);
        cr_expect(bits64(y) == bits64(expected), "case %zu, x = %a: %a, expected %a", i, x, y,
                  expected);
    }
}

Test(math, tanh_is_odd)
{
    size_t n;
    float *const in = sample32(&n);
    float *const y = map32(math_variants()[0], MATH_tanh, in, n);
    for (size_t i = 0; i < n; ++i)
        in[i] = -in[i];
    float *const negated = map32(math_variants()[0], MATH_tanh, in, n);
    for (size_t i = 0; i < n; ++i)
        cr_assert(isnan(y[i]) ? isnan(in[i]) : bits32(y[i]) == (bits32(negated[i]) ^ 0x80000000u),
                  "tanh(%a) is %a, tanh(%a) is %a", -in[i], y[i], in[i], negated[i]);
    free(in), free(y), free(negated);
}
